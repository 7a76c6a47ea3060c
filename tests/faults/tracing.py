"""strace at a server that runs: its calls are written down, fail, or kill it."""

from pathlib import Path

from tests.faults.house import Child, Server


class Strace:
    """strace, attached to all threads of a server; counts of calls begin here, for each thread."""

    def __init__(
        self, server: Server, calls: str, effect: str = "", out: Path | None = None
    ) -> None:
        """Attach.

        calls: system calls, with commas.
        effect: what is done to them, as strace's `inject` has it.
        out: where they are written down, with the paths of files and the ends of connections.
        """
        injected = ["-e", f"inject={calls}:{effect}"] if effect else []
        words = ["strace", "-f", "-yy", "-s", "80", "-o", str(out or "/dev/null")]
        pid = str(server.child.pid)
        self._child = Child(*words, "-e", f"trace={calls}", *injected, "-p", pid)
        self._child.wait_for("attached")

    def detach(self) -> None:
        """Let the server go on as it would; passed over if it is dead."""
        self._child.finish()
