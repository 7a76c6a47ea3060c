"""The `recrypt` command of administrators, members and senders (docs/spec.md, spec §11).

A module uses its own floor and those below, never one above:

* entry: `cli`, `commands`
* flows: `founding` (a profile, a group), `administering` (members), `writing` (believe a key,
  seal), `reading` (open, check who wrote it)
* the chain: `chains` (fetched, replayed, held against the pin; one change more)
* outer: `home` and `paths` (RECRYPT_HOME), `contacts`, `discovery` (SRV), `service` (HTTP),
  `terminal`
* pure: `entries` (splits for members), `posts` (inside and outside of a post), `pins` (what was
  seen before), `mail` (MIME in and out as octets)
* words: `errors` (what a person has to know), `clock`
"""
