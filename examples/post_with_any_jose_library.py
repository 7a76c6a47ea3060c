"""Post to a confidential list with a stock JOSE library, and nothing of this project.

Fetch the list's key once, verified, then write as often as you like:

    recrypt key team@lists.example --service https://lists.example --out key.json
    python post_with_any_jose_library.py key.json team@lists.example mail.example:25 < words.txt

Needs: pip install jwcrypto
"""

import json
import smtplib
import sys
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

key_file, group, mail_host = sys.argv[1:]
key = json.loads(Path(key_file).read_text())

inner = EmailMessage(SMTP)  # what members will read: a whole message, its Subject unseen outside
inner["From"], inner["To"], inner["Subject"] = "bob@example.org", group, "Sealed by a stock library"
inner.set_content(sys.stdin.read())

sealed = JWE(inner.as_bytes(), protected={"enc": "A256GCM"})
sealed.add_recipient(JWK(**key), json.dumps({"alg": "ECDH-ES+A256KW", "kid": key["kid"]}))

post = EmailMessage()  # what everybody on the way sees
post["From"], post["To"], post["Subject"] = "bob@example.org", group, "[...]"
post.set_content(sealed.serialize().encode(), "application", "jose+json")

host, port = mail_host.split(":")
with smtplib.SMTP(host, int(port)) as smtp:
    smtp.send_message(post)
