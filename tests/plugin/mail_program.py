"""Bob's Thunderbird: an account at Dovecot, the extension, and the hand that uses them."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.ports import free_port
from tests.end_to_end.marionette import Marionette, thunderbird
from tests.end_to_end.network import LOCALHOST
from tests.plugin.post_office import PASSWORD

ADDRESS: Final = "bob@example.org"
DRIVING: Final = Path(__file__).with_name("driving.js")
PLUGIN: Final = Path(__file__).parents[2] / "plugins" / "thunderbird"
XPI: Final = PLUGIN / "dist" / "recrypt-thunderbird.xpi"
PICTURES: Final = Path(__file__).parents[2] / "build" / "screenshots"
STEP: Final = """
const done = arguments[arguments.length - 1];
(async () => steps[arguments[0]](...JSON.parse(arguments[1])))().then(
  given => done({ given: given ?? null }), problem => done({ problem: String(problem) }));
"""
SETTINGS: Final[Mapping[str, str | int | bool]] = {
    "mail.accountmanager.accounts": "account1,account2",
    "mail.accountmanager.defaultaccount": "account1",
    "mail.accountmanager.localfoldersserver": "server2",
    "mail.account.account1.identities": "id1",
    "mail.account.account1.server": "server1",
    "mail.account.account2.server": "server2",
    "mail.identity.id1.fullName": "Bob",
    "mail.identity.id1.useremail": ADDRESS,
    "mail.identity.id1.smtpServer": "smtp1",
    "mail.identity.id1.valid": True,
    "mail.identity.id1.compose_html": False,
    "mail.server.server1.type": "imap",
    "mail.server.server1.hostname": LOCALHOST,
    "mail.server.server1.userName": "bob",
    "mail.server.server1.name": "bob",
    "mail.server.server1.socketType": 0,
    "mail.server.server1.authMethod": 3,
    # At the start it would ask for the password, in front of everything.
    "mail.server.server1.login_at_startup": False,
    "mail.server.server1.check_new_mail": False,
    "mail.server.server1.directory-rel": "[ProfD]ImapMail/post-office",
    "mail.server.server2.type": "none",
    "mail.server.server2.hostname": "Local Folders",
    "mail.server.server2.userName": "nobody",
    "mail.server.server2.name": "Local Folders",
    "mail.server.server2.directory-rel": "[ProfD]Mail/Local Folders",
    "mail.smtpservers": "smtp1",
    "mail.smtp.defaultserver": "smtp1",
    "mail.smtpserver.smtp1.hostname": LOCALHOST,
    "mail.smtpserver.smtp1.try_ssl": 0,
    "mail.smtpserver.smtp1.authMethod": 1,
    "mail.smtpserver.smtp1.type": "smtp",
    "mail.spotlight.firstRunDone": True,
    "mail.shell.checkDefaultClient": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.version": 1,
    "mail.inappnotifications.enabled": False,
    "mailnews.start_page.enabled": False,
    "app.donation.eoy.version.viewed": 999,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    # What the extension may do besides is asked of a person in a window of its own.
    "extensions.webextOptionalPermissionPrompts": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "http://127.0.0.1:9/",
    "browser.download.folderList": 2,
    "browser.download.useDownloadDir": True,
}


class MailProgram:
    """Bob, who sits in front of it."""

    def __init__(self, marionette: Marionette, profile: Path) -> None:
        self._marionette = marionette
        self._driving = DRIVING.read_text()
        self.profile = profile
        self.saved = profile / "saved"

    def do(self, step: str, *words: object) -> object:
        """Let Bob do a step of driving.js; give what comes of it."""
        found = self._marionette.script(self._driving + STEP, step, json.dumps(words))
        assert isinstance(found, dict), found
        assert "problem" not in found, f"{step}{words}: {found['problem']}"
        return found["given"]

    def text(self, step: str, *words: object) -> str:
        """Do a step that gives text."""
        found = self.do(step, *words)
        assert isinstance(found, str), found
        return found

    def keep_picture(self, name: str, which: str = "main") -> None:
        """Keep what a window shows, for people to look at."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        (PICTURES / f"{name}.png").write_bytes(base64.b64decode(self.text("picture", which)))


@contextmanager
def mail_program(
    profile: Path, *, imap_port: int, smtp_port: int, xpi: Path = XPI
) -> Iterator[MailProgram]:
    """Run it with the extension, until the block ends."""
    port = free_port()
    settings = {
        **SETTINGS,
        "marionette.port": port,
        "mail.server.server1.port": imap_port,
        "mail.smtpserver.smtp1.port": smtp_port,
        "browser.download.dir": str(profile / "saved"),
    }
    (profile / "saved").mkdir(parents=True)
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in settings.items()]
    (profile / "user.js").write_text("".join(lines))
    with thunderbird(profile, port) as marionette:
        made = MailProgram(marionette, profile)
        made.do("password", PASSWORD)
        marionette.install(xpi)
        yield made
