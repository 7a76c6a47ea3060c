"""The `recrypt` command of administrators, members and senders (docs/spec.md, spec §11).

A module uses its own floor and those below, never one above:

* entry: `cli`, `commands`
* flows of years: `recovering` (escrow), `verifying` (everything checked anew), `watching` (who
  waits is let in by rule, all else kept in order), over `inviting`, `rekeying` (a new group key),
  `refreshing` (members' newer profiles), `removing` (an administrator who left), `restoring` (a
  service's back-up), `joining` (ask in), `deciding` (let in; decline), `devices` (one profile on
  several machines), `publishing` (it is sent to services, and noted until it is), `quotas` (how
  often a member may have the service recrypt)
* flows: `founding` (a profile, a group), `administering` (members), `moderating` (what waits, who
  is banned), `writing` (believe a key, seal), `reading` (open, check who wrote it),
  `showing` (as text), `submitting` (what becomes of mail that a program hands over),
  `syncing` and `plain_mail` (list mail of an account, as ordinary mail)
* changes: `changing` (sent, and made anew if another came first), `custody` (a group's keys),
  `debts` (who has keys and isn't to)
* the chain: `chains` (fetched, replayed, held against the pin; one change more)
* a profile elsewhere and later: `exporting`, `importing` (one sealed file), `renewing` (the time
  of a group key)
* outer: `home`, `files`, `paths` and `keyring` (RECRYPT_HOME, and what is sealed in it),
  `contacts`, `invitations` (those sent from here), `discovery` (SRV), `service` (HTTP),
  `mail_servers`, `accounts` (IMAP), `maildirs`, `smtp_door` and `upstream` (SMTP in and out),
  `terminal`
* pure: `entries` (splits for members), `sharing` (AdministratorKeys), `group_keys` (the group's
  key and Master, signed), `policies` (KEY=VALUE), `rosters` (files of members), `posts` (inside
  and outside of a post), `pins` (what was seen before), `mail` (MIME in and out as octets),
  `by_mail` (to a list's desk), `submission` (a mail that is handed over, and the reply)
* words: `errors` (what a person has to know), `clock`
"""
