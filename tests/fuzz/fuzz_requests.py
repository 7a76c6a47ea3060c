r"""Requests of every shape, made by atheris: each is answered, with Done or one of the refusals.

It is no test of `make test`, and atheris none of the project's dependencies. To run it for five
minutes, with an environment of its own beside .venv:

    python3 -m venv /tmp/fuzzing && /tmp/fuzzing/bin/pip install atheris --editable .
    mkdir -p /tmp/found && nice /tmp/fuzzing/bin/python -m tests.fuzz.fuzz_requests \
        -max_total_time=300 -max_len=16384 -artifact_prefix=/tmp/found/ /tmp/found \
        tests/cases/requests

What it finds stops it, and is written to /tmp/found/crash-…: put that into tests/cases/requests,
where tests/flows/test_request_cases.py runs it ever after. The store stays in /tmp/fuzz-….
"""

import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["recrypt_core", "listserver"]):
    from tests.fuzz.target import DONE, REFUSALS, open_target


def main() -> None:
    """Run until something is found, or the time is over."""
    loop = asyncio.new_event_loop()
    stack = AsyncExitStack()
    folder = tempfile.mkdtemp(prefix="fuzz-")
    target = loop.run_until_complete(stack.enter_async_context(open_target(Path(folder))))

    def once(case: bytes) -> None:
        status = loop.run_until_complete(target.answer(case)).status
        if status not in (DONE, *REFUSALS):
            raise AssertionError(status)

    atheris.Setup(sys.argv, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
