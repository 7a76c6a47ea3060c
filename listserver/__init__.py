"""The server: it relays what it cannot read to members who cannot see each other (docs/spec.md).

A module uses its own floor and those below, never one above:

* entry: `cli`, `upkeep_cli` and its `letters_cli`, `checkup_cli` and their `options`; `app` (makes
  and wires every object), `rotation`
* `edges`: all that touches network, disk or clock
* flows, through ports only: `receiving` and what it hands mail to, `posting`, `bouncing` and
  `forwarding`; `delivering` of copies, `mailing` of letters, `probing`, `notices`, `erasing`;
  `transactions` and what it hands requests to: `groups`, `profiles`, `lookups`, `redelivering`,
  `recrypting`, `audit`, `joining`; their `signers`
* rules, pure: `tokens`, `admission`, `mime`, `posts`, `headers`, `threads`, `copies`, `letters`,
  `refusals`, `reports`, `bounces`, `vault`
* words: `model`, `ports`, `store` and its `store_...`, `limits`, `config` and
  its `sections`, `addresses`, `outcomes`, `replies`
"""
