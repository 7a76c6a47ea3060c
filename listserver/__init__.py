"""The server: it relays what it cannot read to members who cannot see each other (docs/spec.md).

A module uses its own floor and those below, never one above:

* entry: `cli`, `app` (makes and wires every object)
* `edges`: all that touches network, disk or clock
* flows, through ports only: `posting`, `delivering`, `joining`, `groups`, `recrypting`, `notices`,
  `audit`
* rules, pure: `addresses`, `tokens`, `replies`, `admission`, `posts`, `headers`, `threads`,
  `copies`, `outcomes`, `bounces`, `vault`
* words: `model`, `ports`, `limits`, `config`
"""
