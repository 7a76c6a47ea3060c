"""The server: it relays what it cannot read to members who cannot see each other (docs/spec.md).

A module uses its own floor and those below, never one above:

* entry: `cli`, `upkeep_cli` and its `letters_cli`, `checkup_cli` and their `options`; `app` (makes
  and wires every object), `rotation`
* `edges`: all that touches network, disk or clock
* flows, through ports only: `receiving` and what it hands mail to, `posting` (and `own_posts`,
  `ways`), `bouncing`, `forwarding`, `front_desk` (and `answering`), `owner_mail`; `delivering` of
  copies and their `carrying` (by workers in `jobs`), `mailing` of letters, `probing`, `leaving`,
  `notices`, `erasing`; `transactions` and what it hands requests to: `groups`, `profiles`,
  `wishes`, `lookups`, `showing` (for pages),
  `redelivering`, `recrypting`, `audit`, `joining` (and `join_bounds`), `inviting`, `holding`;
  their `signers`; `greeting`; `quick`, where there may be many octets
* rules, pure: `tokens`, `links`, `admission`, `mime`, `plain_text`, `manners`, `attachments`,
  `answers`, `posts`, `names`, `headers`, `threads`, `copies`, `letters`, `invitations`, `refusals`,
  `reports`, `bounces`, `vault`
* words: `catalogue` of all that is written to people (`english`, `english_pages`, `german`,
  `german_pages`), `model`, `troubles`, `held`, `ports`, `store` and its `store_...`, `limits`,
  `config` and its `sections`, `addresses`, `outcomes`, `replies`
"""
