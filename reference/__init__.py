"""What makes docs/openapi.json and docs/messages.md of the code: `python -m reference`.

cast: Alice, Bob and their list, whose keys in cast.json were drawn once and for show. examples: one
request and one response of each transaction, made by them. schemas: JSON schemas of the messages
and documents. openapi: the service as an OpenAPI document. page: the messages as a page to read.
"""
