"""The plan of the house: who may import whom and what, how large a room is, where state hides.

A new room is added to LAYERS, and to the other tables as far as it needs; the map of its package,
which is the docstring of `__init__.py`, names it too.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Floors of each package, lowest first. A room uses its own floor and those below.
LAYERS = {
    "recrypt_core": (
        "_random errors limits words encoding mailboxes keys signature_keys udf fields agreement "
        "splitting envelope jose wire passphrases sealing opening labels stream policy documents "
        "records wishes moderation invitations messages signing members chain authorship padding",
    ),
    "listserver": (
        "english english_pages german german_pages catalogue model troubles held ports store "
        "store_audit store_greeting store_holding store_joins store_leaving store_letters "
        "store_profiles store_stops limits config sections addresses outcomes replies",
        "tokens links admission mime plain_text manners attachments decisions answers posts names "
        "headers threads copies letterheads preparing letters invitations refusals reports "
        "bounces vault",
        "carrying jobs",
        "quick together posting own_posts ways holding delivering erasing bouncing probing leaving "
        "forwarding mailing receiving front_desk answering owner_mail signers lookups showing "
        "redelivering profiles wishes join_bounds joining inviting greeting groups transactions "
        "recrypting notices audit stopping",
        "edges.gateway edges.sessions edges.connections edges.content edges.door edges.disk "
        "edges.wire edges.dialogue edges.courier edges.loops edges.worker edges.workers "
        "edges.relay edges.housekeeping edges.service edges.heads edges.bodies edges.pages "
        "edges.templates edges.own_words edges.sqlite edges.sqlite_* edges.postgres edges.clock "
        "edges.logs edges.metrics edges.certificates edges.checkup edges.checkup_*",
        "app rotation",
        "options",
        "cli upkeep_cli letters_cli checkup_cli",
    ),
    "recrypt_client": (
        "errors clock",
        "pins mail by_mail submission",
        "entries posts sharing group_keys policies trails claims rosters",
        "contacts invitations discovery files home keyring paths service terminal mail_servers "
        "accounts maildirs smtp_door upstream",
        "chains escrows",
        "changing custody debts recrypting auditing submitting",
        "administering closing founding reading writing exporting importing renewing "
        "plain_mail syncing",
        "showing moderating rekeying refreshing removing restoring joining deciding inviting "
        "leaving publishing devices quotas",
        "recovering verifying watching",
        "commands.*",
        "cli",
    ),
}
# The packages meet in the wire format, which is recrypt_core's.
MAY_USE = {"recrypt_core": "", "listserver": "recrypt_core", "recrypt_client": "recrypt_core"}

FLOWS = (
    "listserver.posting listserver.together listserver.delivering listserver.bouncing "
    "listserver.carrying listserver.probing listserver.leaving listserver.inviting "
    "listserver.greeting "
    "listserver.own_posts listserver.holding listserver.forwarding listserver.mailing "
    "listserver.receiving listserver.joining listserver.front_desk listserver.owner_mail "
    "listserver.groups listserver.quick listserver.signers listserver.lookups listserver.showing "
    "listserver.redelivering listserver.profiles listserver.wishes listserver.transactions "
    "listserver.recrypting listserver.notices listserver.audit listserver.stopping"
)
# What touches network, disk, clock or terminal. All else takes values and returns values.
OUTER = (
    "listserver.edges.* listserver.app listserver.rotation listserver.options listserver.cli "
    "listserver.upkeep_cli listserver.letters_cli listserver.checkup_cli recrypt_client.contacts "
    "recrypt_client.invitations recrypt_client.discovery recrypt_client.files recrypt_client.home "
    "recrypt_client.keyring recrypt_client.paths recrypt_client.service recrypt_client.terminal "
    "recrypt_client.mail_servers recrypt_client.accounts recrypt_client.maildirs "
    "recrypt_client.smtp_door recrypt_client.upstream "
    "recrypt_client.commands.* recrypt_client.cli"
)
STORE = "listserver.edges.sqlite listserver.edges.sqlite_*"

# Rooms that only these may import.
ONLY_FROM = {
    "recrypt_core.splitting": "recrypt_client.*",
    "recrypt_core.opening": "recrypt_client.*",
    "recrypt_core.passphrases": "recrypt_client.*",
    "recrypt_core.sealing": "recrypt_client.* listserver.letters listserver.recrypting",
}
# What a server must not load, by whatever way: with them it could read mail.
UNREADABLE = {"recrypt_core.splitting", "recrypt_core.opening"}
# Not to be touched from there.
NEVER = {
    "recrypt_core.encoding": "recrypt_core.keys",
    "recrypt_core.fields": "recrypt_core.keys",
    "recrypt_core.keys": "recrypt_core.envelope",
    "recrypt_core.sealing": "recrypt_core.documents",
    "recrypt_core.opening": "recrypt_core.documents",
}

# Every import from outside has its rooms, so that it can be replaced.
DEPENDENCIES = {
    "aiosmtpd": "listserver.edges.connections listserver.edges.sessions recrypt_client.smtp_door",
    "aiosmtplib": "listserver.edges.dialogue recrypt_client.upstream",
    "click": (
        "listserver.options listserver.cli listserver.upkeep_cli listserver.checkup_cli "
        "recrypt_client.cli recrypt_client.commands.*"
    ),
    "cryptography": (
        "recrypt_core.keys recrypt_core.signature_keys recrypt_core.agreement "
        "recrypt_core.splitting recrypt_core.sealing recrypt_core.opening recrypt_core.signing "
        "recrypt_core.jose recrypt_core.passphrases listserver.vault listserver.edges.certificates"
    ),
    "dns": "recrypt_client.discovery listserver.edges.checkup_network",
    "flufl": "listserver.reports",
    "httpx2": "recrypt_client.service",
    "imapclient": "recrypt_client.accounts",
    "jinja2": "listserver.edges.templates",
    "jwcrypto": "recrypt_core.jose",
    "msgspec": (
        "recrypt_core.encoding recrypt_core.wire recrypt_core.passphrases recrypt_core.policy "
        "recrypt_core.documents recrypt_core.records recrypt_core.messages recrypt_core.signing "
        "recrypt_core.moderation recrypt_core.invitations "
        "recrypt_core.authorship listserver.jobs listserver.edges.sqlite_halves"
    ),
    "prometheus_client": "listserver.edges.metrics",
    "platformdirs": "recrypt_client.home recrypt_client.paths listserver.options",
    "pybase64": "recrypt_core.encoding",
    "rich": "recrypt_client.terminal listserver.cli",
    "segno": "listserver.edges.templates",
    "sqlite3": STORE,
    "sqlite_utils": STORE,
    "starlette": "listserver.edges.service listserver.edges.bodies listserver.edges.pages",
    "structlog": "listserver.edges.logs",
    "uvloop": "listserver.edges.loops",
    "uvicorn": "listserver.edges.service listserver.edges.heads listserver.app",
}
# Parts of the standard library that reach outside: for OUTER, and for the rooms named here.
REACHING = {
    "asyncio": FLOWS,
    "pathlib": "listserver.config listserver.sections",
    "secrets": "recrypt_core._random",
}
REACHING_TOO = (
    "concurrent ctypes fcntl getpass glob http imaplib importlib locale logging mmap os platform "
    "multiprocessing queue random sched select selectors shutil signal smtplib socket socketserver "
    "ssl subprocess sys tempfile threading time urllib uuid webbrowser"
)

FILE_LINES = 400
FUNCTION_LINES = 40
PARAMETERS = 5

CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*|__\w+__")
TYPE_NAME = re.compile(r"_?[A-Z][A-Za-z0-9]*")
# What a constant may be made with, besides the classes whose objects don't change.
MAKERS = (
    "timedelta frozenset tuple bytes int len max min range sum compile fromkeys maketrans fromhex "
    "from_bytes encode decode split join bit_length get_args"
)
STATEFUL = (
    "BytesIO Console ContextVar Condition Counter Event Lock OrderedDict Queue RLock Semaphore "
    "StringIO Task ThreadPoolExecutor WeakKeyDictionary WeakValueDictionary"
)
CACHES = {"cache", "lru_cache"}


@dataclass(frozen=True)
class Room:
    """One source file, by its dotted name."""

    name: str
    text: str

    @property
    def package(self) -> str:
        """Give the first part of the name."""
        return self.name.split(".")[0]

    @cached_property
    def tree(self) -> ast.Module:
        """Parse the text, once."""
        return ast.parse(self.text)


def read_rooms(package: str) -> list[Room]:
    """Read a package's files."""
    rooms = []
    for path in sorted((ROOT / package).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        rooms.append(Room(name, path.read_text("utf-8")))
    return rooms


Check = Callable[[Room], Iterator[str]]


@pytest.fixture(scope="module")
def rooms() -> list[Room]:
    found = {package: read_rooms(package) for package in LAYERS}
    assert all(found.values()), "a package has no files: is this the project's own folder?"
    return [room for package in found.values() for room in package]


def among(name: str, patterns: str) -> bool:
    """Tell whether a dotted name is one of the patterns, which stand in one string."""
    return any(fnmatchcase(name, pattern) for pattern in patterns.split())


def imports(room: Room) -> Iterator[str]:
    """Give the dotted name of everything imported anywhere in a file; relative ones with a dot."""
    for node in ast.walk(room.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                yield whole if is_folder(module) else module


def is_folder(name: str) -> bool:
    """Tell a package of ours, from which only modules can be imported, from a module."""
    return name.split(".")[0] in LAYERS and ROOT.joinpath(*name.split(".")).is_dir()


def own_imports(room: Room) -> Iterator[str]:
    return (name for name in imports(room) if name.split(".")[0] in LAYERS)


def floor(name: str) -> int | None:
    """Give the floor of a room in its package, or None for a room that isn't in the plan."""
    package, _, inner = name.partition(".")
    for number, patterns in enumerate(LAYERS[package]):
        if among(inner, patterns):
            return number
    return None


def not_planned(room: Room) -> Iterator[str]:
    if not room.name.endswith("__init__") and floor(room.name) is None:
        yield "is not in the plan: add it to LAYERS in tests/test_architecture.py"


def import_problems(room: Room) -> Iterator[str]:
    for name in imports(room):
        if name.startswith("."):
            yield f"imports {name} relatively: write the full name"
        elif name.split(".")[0] in LAYERS:
            yield from own_import_problems(room, name)
        elif not may_reach(room.name, name.split(".")[0]):
            yield f"may not import {name}: see DEPENDENCIES and REACHING"


def own_import_problems(room: Room, name: str) -> Iterator[str]:
    package = name.split(".")[0]
    if package != room.package and not among(package, MAY_USE[room.package]):
        yield f"may not import {name}: {room.package} knows nothing of {package}"
    elif package == room.package and (floor(name) or 0) > (floor(room.name) or 0):
        yield f"may not import {name}, which is above it"
    if package != room.package and not among(room.name, ONLY_FROM.get(name, "*")):
        yield f"may not import {name}: see ONLY_FROM"
    if among(name, NEVER.get(room.name, "")):
        yield f"may not touch {name}: see NEVER"


def may_reach(room: str, module: str) -> bool:
    if module in DEPENDENCIES:
        return among(room, DEPENDENCIES[module])
    if module in REACHING or among(module, REACHING_TOO):
        return among(room, f"{OUTER} {REACHING.get(module, '')}")
    return module in sys.stdlib_module_names


def size_problems(room: Room) -> Iterator[str]:
    if (lines := len(room.text.splitlines())) > FILE_LINES:
        yield f"has {lines} lines, over {FILE_LINES}: make two rooms of it"
    for node in ast.walk(room.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if (lines := lines_of(node)) > FUNCTION_LINES:
                yield f"{node.name}() has {lines} lines, over {FUNCTION_LINES}"
            if (count := parameters_of(node)) > PARAMETERS:
                yield f"{node.name}() has {count} parameters, over {PARAMETERS}"


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count a function's lines from `def` on, without its docstring."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function) is None:
        return lines
    docstring = function.body[0]
    return lines - ((docstring.end_lineno or 0) - docstring.lineno + 1)


def parameters_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return sum(arg is not None and arg.arg not in ("self", "cls") for arg in named)


def form_problems(room: Room) -> Iterator[str]:
    """Find what a file may not hold: no docstring, code in `__init__`, state, effects."""
    if ast.get_docstring(room.tree) is None:
        yield "does not say in a docstring what is in the room"
    if room.name.endswith("__init__") and len(room.tree.body) > 1:
        yield "has code: __init__ holds a docstring alone"
    for statement in room.tree.body[1:]:
        yield from (f"line {statement.lineno}: {what}" for what in effects(statement))
    for node in ast.walk(room.tree):
        if isinstance(node, ast.Global):
            yield f"line {node.lineno}: global state"
        elif isinstance(node, ast.Name | ast.Attribute) and name_of(node) in CACHES:
            yield f"line {node.lineno}: a cache is state"
        elif isinstance(node, ast.Name) and node.id in ("__import__", "eval", "exec"):
            yield f"line {node.lineno}: {node.id} hides what is imported"


def effects(statement: ast.stmt) -> Iterator[str]:
    """Find what happens when a file is imported, but for definitions and constants."""
    match statement:
        case ast.Import() | ast.ImportFrom():
            return
        case ast.Expr(value=ast.Constant(value=str())):  # the docstring of a constant
            return
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=body, orelse=[]):
            for inner in body:
                yield from effects(inner)
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield from constant_problems(name, value)
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield from constant_problems(name, value)
        case _:
            yield "a file holds definitions and constants: this is done at import"


def constant_problems(name: str, value: ast.expr) -> Iterator[str]:
    if not CONSTANT.fullmatch(name) and not TYPE_NAME.fullmatch(name):
        yield f"{name} is neither a constant (UPPER_CASE) nor a type: module-level state"
    for node in ast.walk(value):
        if isinstance(node, ast.Call) and not makes_a_value(name_of(node.func)):
            yield f"{name} is made by calling {name_of(node.func)}() at import"


def makes_a_value(called: str) -> bool:
    changeless = TYPE_NAME.fullmatch(called) and not among(called, STATEFUL)
    return bool(changeless) or among(called, MAKERS)


def name_of(node: ast.expr) -> str:
    """Give the last part of a name: `compile` of `re.compile`."""
    if isinstance(node, ast.Subscript):
        return name_of(node.value)
    return getattr(node, "attr", getattr(node, "id", "?"))


@pytest.mark.parametrize("check", [not_planned, import_problems, size_problems, form_problems])
def test_every_room_keeps_to_the_plan(check: Check, rooms: list[Room]) -> None:
    problems = [f"{room.name} {what}" for room in rooms for what in check(room)]
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def test_no_room_imports_itself_through_others(rooms: list[Room]) -> None:
    graph = {room.name: set(own_imports(room)) for room in rooms}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as cycle:
        pytest.fail("a cycle of imports: " + " -> ".join(cycle.args[1]))


def test_no_way_leads_from_the_server_to_what_opens_mail(rooms: list[Room]) -> None:
    graph = {room.name: set(own_imports(room)) for room in rooms}
    reached = {room.name for room in rooms if room.package == "listserver"}
    while new := {name for room in reached for name in graph.get(room, ())} - reached:
        reached |= new
    assert not reached & UNREADABLE


@pytest.mark.skipif(
    not (ROOT / "listserver/app.py").exists(), reason="listserver/app.py is not written yet"
)
def test_a_fresh_interpreter_with_the_server_in_it_cannot_read_mail() -> None:
    program = "import sys, listserver.app; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    loaded = set(run.stdout.split())
    assert "listserver.app" in loaded
    assert not loaded & UNREADABLE


BREACHES = [
    ("listserver.surprises", "", "is not in the plan"),
    ("recrypt_core.udf", "from . import keys", "relatively"),
    ("recrypt_core.udf", "import listserver.model", "knows nothing of listserver"),
    ("listserver.model", "from recrypt_client import pins", "knows nothing of recrypt_client"),
    ("listserver.model", "def f():\n    import listserver.posting", "above it"),
    ("listserver.groups", "from recrypt_core import sealing", "see ONLY_FROM"),
    ("listserver.app", "from recrypt_core.opening import open_with", "see ONLY_FROM"),
    ("recrypt_core.keys", "import recrypt_core.envelope", "see NEVER"),
    ("recrypt_core.keys", "import time", "may not import time"),
    ("listserver.posts", "from os.path import join", "may not import os.path"),
    ("listserver.app", "import sqlite3", "may not import sqlite3"),
    ("recrypt_core.keys", "import numpy", "may not import numpy"),
    ("recrypt_core.keys", "X = 1\n" * FILE_LINES, "make two rooms"),
    ("recrypt_core.keys", "def f():\n" + "    g()\n" * FUNCTION_LINES, "f() has 41 lines"),
    ("recrypt_core.keys", "def f(self, a, /, b, *c, d, e, **g): ...", "f() has 6 parameters"),
    ("recrypt_core.__init__", "X = 1", "has code"),
    ("recrypt_core.keys", "seen = []", "module-level state"),
    ("recrypt_core.keys", "LOCK = asyncio.Lock()", "calling Lock()"),
    ("recrypt_core.keys", "KEY = draw(32)", "calling draw()"),
    ("recrypt_core.keys", "register(1)", "done at import"),
    ("recrypt_core.keys", "def f():\n    global X", "global state"),
    ("recrypt_core.keys", "@functools.lru_cache\ndef f(): ...", "a cache is state"),
]


@pytest.mark.parametrize(("name", "text", "words"), BREACHES)
def test_a_breach_is_found_and_named(name: str, text: str, words: str) -> None:
    room = Room(name, f'"""A room."""\n{text}\n')
    checks = (not_planned, import_problems, size_problems, form_problems)
    assert any(words in what for check in checks for what in check(room))
