"""Mail programs in which people read a list: neomutt in a terminal, and Thunderbird."""

import mailbox
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from benchmarks.ports import free_port
from tests.end_to_end.marionette import thunderbird
from tests.end_to_end.terminals import Terminal, in_terminal

NEOMUTT: Final = """\
set realname = "{name}"
set from = "{address}"
set use_from = yes
set hostname = "{host}"
set mbox_type = Maildir
set folder = "{folder}"
lists team@lists.example
set record = ""
set header_cache = ""
set sort = threads
set sort_aux = date
set strict_threads = yes
set hide_thread_subject = no
set ascii_chars = yes
set index_format = "%i %s"
set sidebar_visible = no
set help = no
set editor = "true"
set edit_headers = no
set abort_unmodified = no
set include = no
set fast_reply = yes
set reverse_name = no
set sendmail = "{folder}/keep"
set sendmail_wait = 0
set crypt_use_gpgme = no
"""
KEEP: Final = "#!/bin/sh\nexec cat > {folder}/written\n"

_INDEX_LINE: Final = re.compile(r"^(<[^>]+>) ((?:[|` ] ?)*[|`]->)?\[", re.MULTILINE)

# Tells which message each one is below, as Thunderbird's threads have it.
THUNDERBIRD_THREADS: Final = """
const [name, done] = arguments;
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
(async () => {
  const root = MailServices.accounts.localFoldersServer.rootFolder;
  const folder = root.getChildNamed(name);
  await new Promise(ready => {
    const listener = {
      QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
      OnStartRunningUrl() {},
      OnStopRunningUrl() { ready(); },
    };
    try {
      folder.QueryInterface(Ci.nsIMsgLocalMailFolder).getDatabaseWithReparse(listener, null);
      ready();
    } catch { /* it is being read now */ }
  });
  const database = folder.msgDatabase;
  const found = {};
  for (const each of database.enumerateMessages()) {
    const above = each.threadParent === 0xffffffff ? null : each.threadParent;
    found[each.messageId] = above === null ? null : database.getMsgHdrForKey(above).messageId;
  }
  return found;
})().then(done, problem => done(String(problem)));
"""
THUNDERBIRD: Final = """\
user_pref("marionette.port", {port});
user_pref("mail.accountmanager.accounts", "account1");
user_pref("mail.accountmanager.localfoldersserver", "server1");
user_pref("mail.account.account1.server", "server1");
user_pref("mail.server.server1.type", "none");
user_pref("mail.server.server1.hostname", "Local Folders");
user_pref("mail.server.server1.userName", "nobody");
user_pref("mail.server.server1.name", "Local Folders");
user_pref("mail.server.server1.directory-rel", "[ProfD]Mail/Local Folders");
user_pref("mail.provider.suppress_dialog_on_startup", true);
user_pref("app.update.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("network.online", false);
user_pref("offline.startup_state", 3);
"""


class Neomutt:
    """One person's neomutt over a maildir of its own; mail that it sends is kept."""

    def __init__(
        self, folder: Path, name: str, *, more: str = "", program: str = "neomutt"
    ) -> None:
        """Set it up; `more` are settings that come last. mutt is run in the same way."""
        self._program = program
        self._folder = folder
        self._mail = mailbox.Maildir(folder / "mail", create=True)
        self._keep = folder / "keep"
        self._keep.write_text(KEEP.format(folder=shlex.quote(str(folder))))
        self._keep.chmod(0o755)
        settings = NEOMUTT.format(
            name=name.title(), address=f"{name}@example.org", host=f"{name}.example", folder=folder
        )
        (folder / "neomuttrc").write_text(settings + more)

    def put(self, message: bytes) -> None:
        """Have a mail in the maildir."""
        self._mail.add(message)

    def reply_to(self, message_id: str) -> bytes:
        """Let it answer a mail, and give what it hands to sendmail."""
        one = re.escape(message_id.strip("<>"))
        self.press(f"<limit>~i '{one}'<enter><list-reply><send-message>")
        return (self._folder / "written").read_bytes()

    def shown(self, count: int) -> Sequence[tuple[str, int]]:
        """Give the index as it stands on the screen: each id, and how deep it is in its thread."""
        screen = self.screen("<first-entry>")
        found = [(each[1], len(each[2] or " ") // 2) for each in _INDEX_LINE.finditer(screen)]
        assert len(found) == count, screen
        return found

    def press(self, keys: str) -> None:
        """Press keys in the index, and quit from there."""
        with self._running(f"{keys}<quit>") as terminal:
            terminal.program.wait()

    def screen(self, keys: str, *, until: str = "") -> str:
        """Press keys, and give the screen as it is then, or when it shows `until`.

        After a trouble it takes no more keys of these.
        """
        if not until:
            keys, until = f"{keys}<enter-command>echo THE-END<enter>", "THE-END"
        with self._running(keys) as terminal:
            terminal.program.wait_for(f"^%output .*{until}")
            return terminal.screen()

    def _running(self, keys: str) -> AbstractContextManager[Terminal]:
        rc = self._folder / "neomuttrc"
        mails, push = self._folder / "mail", f'push "{keys}"'
        return in_terminal(self._folder, [self._program, "-n", "-F", rc, "-f", mails, "-e", push])


class Thunderbird:
    """Thunderbird without a window, over a folder of mails; Marionette asks it things."""

    def __init__(self, profile: Path, mails: Iterable[bytes]) -> None:
        folder = profile / "Mail" / "Local Folders"
        folder.mkdir(parents=True)
        box = mailbox.mbox(folder / "Team")
        for mail in mails:
            box.add(mail.replace(b"\r\n", b"\n"))
        box.close()
        self._port = free_port()
        (profile / "user.js").write_text(THUNDERBIRD.format(port=self._port))
        self._profile = profile

    def parents(self) -> Mapping[str, str | None]:
        """Give each mail's id, and that of the one below which it is shown."""
        with thunderbird(self._profile, self._port) as marionette:
            found = marionette.script(THUNDERBIRD_THREADS, "Team")
        assert isinstance(found, dict), found
        return found
