"""The server: it relays what it cannot read to members who cannot see each other (docs/spec.md).

A module uses its own floor and those below, never one above:

* entry: `cli`, `upkeep_cli` and their `options`; `app` (makes and wires every object), `rotation`
* `edges`: all that touches network, disk or clock
* flows, through ports only: `posting`, `delivering`, `groups`, `transactions`
* rules, pure: `tokens`, `admission`, `posts`, `headers`, `threads`, `copies`, `vault`
* words: `model`, `ports`, `store`, `limits`, `config`, `addresses`, `outcomes`, `replies`
"""
