"""Measure partials, seals, openings and splits per second, beside what OpenSSL says of itself.

    python benchmarks/partials.py [--seconds 1] [--rounds 3]

Each figure is the best of the rounds, on one core. A partial is one exchange, so its peer is
`openssl speed` of the same curve, run by the same call: the ratio says what Python costs.
"""

import argparse
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final

from recrypt_core.agreement import Split, partial
from recrypt_core.encoding import write_json
from recrypt_core.envelope import Recryption
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.opening import open_with_halves
from recrypt_core.sealing import seal
from recrypt_core.splitting import split

CONTENT: Final = bytes(2048)
PEERS: Final[Mapping[Curve, tuple[str, str]]] = {
    Curve.X25519: ("ecdhx25519", "X25519"),
    Curve.X448: ("ecdhx448", "X448"),
    Curve.P256: ("ecdhp256", "nistp256"),
}
OPERATIONS: Final = ("partials", "seals", "openings", "splits")


def rate(act: Callable[[], object], *, seconds: float, rounds: int) -> float:
    """Count how often `act` is done in a second, in the best of some rounds."""
    act()
    best = 0.0
    for _ in range(rounds):
        count, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < seconds or not count:
            act()
            count += 1
        best = max(best, count / spent)
    return best


def operations(curve: Curve) -> dict[str, Callable[[], object]]:
    """Give what is measured: 2 KiB are sealed to a group, and opened with halves."""
    whole, device = PrivateKey.generate(curve), PrivateKey.generate(curve)
    halves = split(whole)
    r, x = halves.recryption, halves.decryption
    envelope = seal(CONTENT, [whole.public])
    epk = envelope.recipients[0].epk
    wrapped = seal(write_json(x.to_secret_jwk()), [device.public], named=False)
    recryption = Recryption(whole.public.udf, x.public.udf, Split.SUM, partial(r, epk), wrapped)
    return {
        "partials": lambda: partial(r, epk),
        "seals": lambda: seal(CONTENT, [whole.public]),
        "openings": lambda: open_with_halves(envelope, recryption, x),
        "splits": lambda: split(whole).decryption.public,  # which an entry names
    }


def openssl_rates(program: str, seconds: float) -> dict[Curve, float]:
    """Give the exchanges per second that `openssl speed` reports; it counts whole seconds."""
    whole_seconds = str(max(1, round(seconds)))
    names = [name for name, _ in PEERS.values()]
    run = subprocess.run(  # noqa: S603 - the program on the PATH, fixed arguments
        [program, "speed", "-seconds", whole_seconds, *names],
        capture_output=True,
        check=False,
        text=True,
    )
    found = {}
    for curve, (_, label) in PEERS.items():
        line = re.search(rf"\({label}\)\s+[\d.]+s\s+([\d.]+)", run.stdout)
        if line is not None:
            found[curve] = float(line[1])
    return found


def table(ours: Mapping[Curve, Mapping[str, float]], theirs: Mapping[Curve, float]) -> str:
    """Lay the figures out, a line for each curve."""
    heads = (*OPERATIONS, "openssl", "partials/openssl")
    lines = [f"{'per second':<10}" + "".join(f"{head:>{len(head) + 4}}" for head in heads)]
    for curve, rates in ours.items():
        peer = theirs.get(curve)
        cells = [f"{rates[name]:,.0f}" for name in OPERATIONS]
        cells.append(f"{peer:,.0f}" if peer else "-")
        cells.append(f"{rates['partials'] / peer:.2f}" if peer else "-")
        line = "".join(f"{cell:>{len(head) + 4}}" for cell, head in zip(cells, heads, strict=True))
        lines.append(f"{curve.value:<10}{line}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description="Partials, seals, openings, splits per second.")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a round (default 1)")
    parser.add_argument("--rounds", type=int, default=3, help="the best counts (default 3)")
    asked = parser.parse_args(arguments)
    ours = {
        curve: {
            name: rate(act, seconds=asked.seconds, rounds=asked.rounds)
            for name, act in operations(curve).items()
        }
        for curve in Curve
    }
    program = shutil.which("openssl")
    theirs = openssl_rates(program, asked.seconds) if program else {}
    sys.stdout.write(table(ours, theirs) + "\n")
    if program is None:
        sys.stdout.write("openssl is not installed: nothing to compare with.\n")
    elif len(theirs) < len(ours):
        sys.stdout.write("`openssl speed` gave no figure for some curves.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
