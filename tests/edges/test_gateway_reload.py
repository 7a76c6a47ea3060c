"""The running server takes a new certificate at SIGHUP, and keeps the old one if it is no good."""

import os
import signal
import smtplib
import ssl
from pathlib import Path

from tests.doors import HERE, make_certificate
from tests.end_to_end.programs import BIN, Program

LISTENERS = "127.0.0.1:8025 127.0.0.1:8024 127.0.0.1:8080"


def test_a_certificate_is_taken_at_sighup_if_it_is_good(tmp_path: Path) -> None:
    files = make_certificate(tmp_path)
    init = Program(BIN / "listserver", "init", tmp_path / "s", "--domain", "lists.example")
    assert init.wait() == 0
    _use(files, tmp_path / "s" / "listserver.toml")
    server = Program(BIN / "listserver", "serve", "--config", tmp_path / "s" / "listserver.toml")
    try:
        port = int(server.wait_for(r"ready: smtp 127\.0\.0\.1:(\d+)")[1])
        first = _certificate(port, files[0])
        make_certificate(tmp_path)
        os.kill(server.pid, signal.SIGHUP)
        server.wait_for("certificates-read")
        second = _certificate(port, files[0])
        trusted = files[0].read_bytes()
        files[0].write_bytes(b"")
        os.kill(server.pid, signal.SIGHUP)
        server.wait_for("certificate-trouble")
        files[0].write_bytes(trusted)
        assert first != second == _certificate(port, files[0])
    finally:
        assert server.stop() == 0


def _use(files: tuple[Path, Path], settings: Path) -> None:
    """Name the files in the settings, and listen at any free port."""
    certificate, key = files
    text = settings.read_text("utf-8")
    for endpoint in LISTENERS.split():
        text = text.replace(f'"{endpoint}"', f'"{HERE}"')
    lines = f'[smtp]\ntls_certificate = "{certificate}"\ntls_key = "{key}"\n'
    settings.write_text(text.replace("[smtp]\n", lines), "utf-8")


def _certificate(port: int, trusted: Path) -> bytes | None:
    with smtplib.SMTP(HERE.host, port) as client:
        client.starttls(context=ssl.create_default_context(cafile=str(trusted)))
        assert isinstance(client.sock, ssl.SSLSocket)
        return client.sock.getpeercert(binary_form=True)
