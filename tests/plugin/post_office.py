"""Dovecot as the post box of one person: mail is put into it, and read from it by IMAP."""

import shutil
from itertools import count
from pathlib import Path
from typing import Final

from benchmarks.ports import free_port
from tests.end_to_end.network import LOCALHOST, is_open
from tests.end_to_end.programs import Program

PASSWORD: Final = "letters"  # noqa: S105 - of a box that stands for a test
CONFIG: Final = """\
protocols = imap
base_dir = {folder}/run
log_path = /dev/stderr
ssl = {tls}
disable_plaintext_auth = no
mail_location = maildir:{mail}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={mail} allow_all_users=yes
}}
first_valid_uid = 1
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Drafts {{
    auto = subscribe
    special_use = \\Drafts
  }}
  mailbox Sent {{
    auto = subscribe
    special_use = \\Sent
  }}
}}
service imap-login {{
  inet_listener imap {{
    address = {host}
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
"""


class PostOffice:
    """Has one Maildir, and serves it by IMAP to whoever knows the password."""

    def __init__(self, folder: Path, *, certificate: tuple[Path, Path] | None = None) -> None:
        """Use a folder that anybody may pass through; STARTTLS with a certificate and its key."""
        self._folder = folder
        self._tls = "no"
        self.certificate = certificate[0] if certificate else None
        if certificate is not None:
            self._tls = f"yes\nssl_cert = <{certificate[0]}\nssl_key = <{certificate[1]}"
        self.mail = folder / "mail"
        self.port = free_port()
        self._numbers = count(1)
        self._program: Program | None = None

    def start(self) -> None:
        """Run, until it is up."""
        for name in ("new", "cur", "tmp"):
            (self.mail / name).mkdir(parents=True)
        for each in (self.mail, *self.mail.iterdir()):
            shutil.chown(each, "nobody", "nogroup")
        config = self._folder / "dovecot.conf"
        config.write_text(
            CONFIG.format(
                folder=self._folder,
                tls=self._tls,
                mail=self.mail,
                password=PASSWORD,
                host=LOCALHOST,
                port=self.port,
            )
        )
        self._program = Program("dovecot", "-F", "-c", config)
        self._program.wait_for("Dovecot .* starting up for imap")
        assert is_open(self.port)

    def stop(self) -> None:
        """Stop, if it runs."""
        if self._program is not None:
            self._program.stop()

    def put(self, mail: bytes) -> None:
        """Have a mail in the inbox."""
        name = f"{next(self._numbers)}.mail"
        written = self.mail / "tmp" / name
        written.write_bytes(mail)
        shutil.chown(written, "nobody", "nogroup")
        written.rename(self.mail / "new" / name)
