"""The shared core, pure: octets in, octets out. No network, no disk, no clock (docs/spec.md).

* `errors`, `limits`, `encoding`, `_random`: the exceptions, every number, strict forms, randomness
* `words`, `mailboxes`: the drafts' words in any case; the one grammar of addresses
* `keys`, `signature_keys`, `udf`: keys in their JWK and SPKI forms, and their fingerprints
* `fields`, `agreement`, `splitting`: the two halves of a key and what is computed with them
* `envelope`, `sealing`, `opening`: the JWE and its `.mmx` form; making and opening one
* `passphrases`: private keys at rest, for clients
* `jose`, `signing`: the strict door to JOSE; signatures and signed requests
* `wire`, `documents`, `messages` and their `records`, `wishes`, `moderation` and `invitations`:
  profiles, groups, entries; requests and responses
* `chain` and its `members`: a group's history as a machine
* `authorship`: who wrote a post; `padding`: lengths that tell little of a message

`splitting` and `opening` are for clients: a server that imports them could read mail.
"""
