"""What the server mails to people, in English, by name: the source of all other languages.

The first line of a letter, an answer or a part of the letter about troubles is its subject, or its
share of one. What `{...}` stands for is filled in.
"""

from collections.abc import Mapping
from typing import Final

from recrypt_core.invitations import LETTER

TEXTS: Final[Mapping[str, str]] = {
    # --- letters to members and to who wants to be one
    "asking": """\
{name}: do you want to be on the list?

Who has the keys that open this asked that {account}
be a member of the list {list}.

If that was you, save this mail as LETTER, as it came or opened, and run

  recrypt join {list} --token LETTER

within {days} days. It sends this back, which is good once
(with --by-mail it writes a mail that does):

  {token}

In Thunderbird, with the extension Recrypt for Thunderbird, open this mail
and press "Yes, I want to be on the list" instead.

Then an administrator of the list decides. If it wasn't you, do nothing.
""",
    "goodbye": """\
{name}: you are no longer on the list

You, as {account}, are no member of the list {list} any more,
and get nothing more from it. Nobody but its administrators is told so.

Copies that you have you can read as before, if you keep your keys.

To ask to be a member again: recrypt join {list}
""",
    "in-vain": """\
{name}: your post reached nobody

Your post to {list} was taken, and could be delivered to nobody.

  {post}

Its administrators know. You can send it again later, or ask them.
""",
    "invitation": LETTER,
    "leaving": """\
{name}: you are leaving the list

By a link in a copy that you had from the list {list}
somebody asked that you be sent nothing more. Nothing is, from now on.

If that was you, there is nothing to do: in {days} days you have left.
If it wasn't, or you want to stay, open this page within that time,

  {page}

or send a mail, with whatever in it, to

  {address}

or run: recrypt mail {list} on

Then mail comes again, and links in the copies that you had before do
nothing any more. What came meanwhile an administrator can send you.
""",
    "probe": """\
{name}: is your address working?

Mail from the list {list} to you came back several times.
If you can read this, your address works again, and there is nothing to do.
If this comes back as well, the list sends you nothing more until an
administrator of it turns your mail on again.
""",
    "rejected": """\
{name}: your post was not accepted

Your post to {list} waited for a decision,
and those who administer the list have rejected it. Nobody else got it.

  {post}
""",
    "welcome": """\
{name}: welcome to the list

You are a member of the list {list} now, as {account}.
Nobody but its administrators is told so. Copies of what is written to it come
to this address; `recrypt read` shows them. In Thunderbird the extension
Recrypt for Thunderbird opens them, and writes to the list as you write any mail.

  Service:     {service}
  Fingerprint: {identifier}

Compare the fingerprint with what an administrator tells you by another way. In
a home that doesn't know the list yet:

  recrypt key {list} --service {service} \\
    --fingerprint {identifier}

To write to the list, so that only its members can read it:

  recrypt seal --to {list} --from {account}

makes a mail from the mail on its standard input. If you want no mail for a
while, or to leave:

  recrypt mail {list} off
  recrypt leave {list}

Keep a back-up of your keys: recrypt profile export FILE. Without them nobody,
not even an administrator, can make readable to you what you have.
""",
    # --- letters to administrators
    "owner-mail": """\
{name}: mail to those who administer the list

{sender} seems to have written to those who administer
{list}. What came is attached; nothing in it is proven.
""",
    "troubles-asking": """\
people who ask to join: {count}

People who want to join {list}, and wait for an answer: {count}.
To see who they are, and to let them in or not:
  recrypt requests {list}
  recrypt approve {list} ADDRESS
  recrypt deny {list} ADDRESS
""",
    "troubles-waiting": """\
posts that wait for a decision: {count}

Posts to {list} that wait for a decision: {count}.
Who administers the list has a copy of each. To see and to decide:
  recrypt held {list}
  recrypt held {list} accept NUMBER
""",
    "troubles-stopped": """\
posts that are held: {count}

Posts to {list} that failed at the server, and are held there: {count}.
Nobody gets copies of them any more until its operator has mended that and
runs `listserver queue retry`.
""",
    "troubles-failed": """\
copies that failed: {count}

Copies of posts to {list} that could not be delivered:

{copies}

They are not tried again. While a post is kept, you can send it once more:
  recrypt redeliver {list} ADDRESS --since DATE
What is held failed at the server; its operator sees it with `listserver queue`.
""",
    "troubles-off": """\
members without mail: {count}

Mail to these members came back too often, and is not sent any more:

{members}

When their address works again:
  recrypt resume {list} ADDRESS
  recrypt redeliver {list} ADDRESS --since DATE
""",
    "troubles-left": """\
members who left: {count}

These members have left, and are sent nothing more:

{members}

They can read what they have, and are members until you end that:
  recrypt refresh {list}
""",
    "given-up": "given up",
    "held": "held, as it failed at the server",
    "more-copies": "... and {count} more.",
    "more-members": "... and {count} more: recrypt members {list}",
    "post": "{message_id} of {time} UTC",
    # --- answers of the desk, in clear: their subjects, and the parts that they are made of
    "subject-help": "{name}: help",
    "subject-join": "{name}: to be a member",
    "subject-key": "{name}: the list's key",
    "subject-leave": "{name}: to leave",
    "desk-what": """\
{list} is an encrypted mailing list: what is written to it only its
members can read, and the server that sends it on can't.

  Fingerprint: {fingerprint}
  Service:     {service}
  Page:        {page}

Compare the fingerprint with what its administrators tell you by another way.
""",
    "desk-key": """\
To get its key, run
  recrypt key {list} --service {service}
or send an empty mail to {key}
""",
    "desk-key-use": """\
Its key is in the attached file {file}, signed. Save it, and run
  recrypt key {list} --service {service} \\
    --file {file} --fingerprint FINGERPRINT
which checks it from the fingerprint on. Then `recrypt seal` and `recrypt encrypt`
write to the list. Any JOSE library can too, with the EncryptionKey in the payload
of SignedKey: a JWE, ECDH-ES+A256KW and A256GCM, whose kid is that key's.
""",
    "desk-join": """\
To ask to be a member, run
  recrypt join {list} --service {service}
or by mail alone: make a profile with `recrypt profile create`, and send the file
that `recrypt profile show --out profile.json` writes to {subscribe}
(`recrypt join {list} --by-mail` writes that mail). A letter comes to
the profile's address; answer it as it says. To answer by mail you need the list's
key, too, which an empty mail to {key} brings you.
Then an administrator decides.
""",
    "desk-post": """\
To write to the list, encrypt to its key: recrypt seal --to {list}
makes a mail of the mail on its standard input. What isn't encrypted is refused.
""",
    "desk-leave": """\
To leave, run: recrypt leave {list}
or use the link to unsubscribe in any copy that you had from the list.
""",
    "desk-owner": """\
To write to who administers the list: {owner}
What is sent there in clear is sealed to them as it arrives.
""",
    # --- beside the envelope in every copy
    "copy": """\
This message from the list {list} is encrypted.
The part message.mmx holds it, sealed so that you alone can read your copy.

To read it, save this message and run: recrypt read FILE
""",
    "held-copy": """\
This message to the list {list} is held, as number {number}: only those who
administer the list have it, until one of them decides. It is encrypted.

To read it, save this message and run: recrypt read FILE
Then decide: recrypt held {list} accept {post}
or reject, which tells a sender who is proven, or discard.
""",
}
