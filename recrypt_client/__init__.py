"""The `recrypt` command of administrators, members and senders (docs/spec.md, spec §11).

A module uses its own floor and those below, never one above:

* entry: `cli`, `commands`
* flows: `administering` (a group and its chain), `writing` (compose, seal), `reading` (open, check)
* outer: `home` and `paths` (RECRYPT_HOME), `contacts`, `discovery` (SRV), `service` (HTTP),
  `terminal`
* pure: `pins` (what was seen before), `mail` (MIME in and out of posts)
"""
