"""Postfix and Dovecot, each with its own configuration and nothing of the system's."""

import os
import shutil
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.ports import free_port
from tests.end_to_end.programs import Program

POSTFIX: Final = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = /dev/stdout
myhostname = mx.example.org
mydestination =
inet_protocols = ipv4
inet_interfaces = 127.0.0.1
alias_maps =
virtual_mailbox_domains = example.org
virtual_transport = lmtp:inet:127.0.0.1:{lmtp_port}
smtpd_relay_restrictions = reject_unauth_destination
"""
# service type private unpriv chroot wakeup maxproc command
POSTFIX_SERVICES: Final = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
verify unix - - n - 1 verify
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
postlog unix-dgram n - n - 1 postlogd
"""
DOVECOT: Final = """\
protocols = lmtp
base_dir = {folder}/run
log_path = /dev/stderr
ssl = no
mail_location = maildir:{folder}/mail/%n
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/mail/%n allow_all_users=yes
}}
first_valid_uid = 1
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""


class MailSystem:
    """Postfix takes mail for example.org by SMTP; Dovecot gets it by LMTP and files it."""

    def __init__(self, folder: Path) -> None:
        """Use a folder that nobody and postfix may pass through."""
        self._folder = folder
        self._stack = ExitStack()
        self.port = free_port()

    def start(self, settings: str = "") -> None:
        """Run both, until they are up; with more settings of Postfix."""
        lmtp_port = self._start_dovecot()
        self._start_postfix(lmtp_port, settings)

    def stop(self) -> None:
        """Stop what runs."""
        self._stack.close()

    def wait_for_mail(self, name: str, count: int) -> list[Path]:
        """Wait until so many mails are in a Maildir; give their files."""
        self._dovecot.wait_for(rf"lmtp\({name}@example\.org\).*saved mail to INBOX", count=count)
        return sorted((self._folder / "mail" / name / "new").iterdir())

    def _start_dovecot(self) -> int:
        port = free_port()
        mail = self._folder / "mail"
        mail.mkdir()
        shutil.chown(mail, "nobody", "nogroup")
        config = self._folder / "dovecot.conf"
        config.write_text(DOVECOT.format(folder=self._folder, port=port))
        self._dovecot = Program("dovecot", "-F", "-c", config)
        self._stack.callback(self._dovecot.stop)
        self._dovecot.wait_for("Dovecot .* starting up for lmtp")
        return port

    def _start_postfix(self, lmtp_port: int, settings: str) -> None:
        config = self._folder / "postfix"
        for each in (config, self._folder / "queue", self._folder / "data"):
            each.mkdir()
        shutil.chown(self._folder / "data", "postfix")
        main = POSTFIX.format(folder=self._folder, lmtp_port=lmtp_port)
        (config / "main.cf").write_text(main + settings)
        (config / "master.cf").write_text(POSTFIX_SERVICES.format(port=self.port))
        program = Program("postfix", "-c", config, "start-fg")
        self._stack.callback(program.wait)
        self._stack.callback(self._stop_postfix)
        program.wait_for("daemon started")

    def _stop_postfix(self) -> None:
        """End the master process, which is no child of ours, as `postfix stop` does."""
        pid = (self._folder / "queue/pid/master.pid").read_text()
        os.kill(int(pid), signal.SIGTERM)
