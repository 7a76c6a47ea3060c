"""Every object of the server, made and wired by hand; its start, and its stop in good order."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from listserver.answering import Answering
from listserver.audit import AuditKeeping
from listserver.bouncing import Bouncing
from listserver.carrying import Carrying
from listserver.catalogue import Catalogue
from listserver.config import Config
from listserver.delivering import Delivering
from listserver.edges.certificates import certificates
from listserver.edges.clock import SystemClock
from listserver.edges.courier import SmtpCourier
from listserver.edges.disk import DiskRoom
from listserver.edges.door import Door
from listserver.edges.gateway import Gateway
from listserver.edges.housekeeping import Housekeeping
from listserver.edges.logs import EventLog
from listserver.edges.metrics import Metrics, Page, Places
from listserver.edges.own_words import read_own_words
from listserver.edges.pages import Pages
from listserver.edges.relay import Relay
from listserver.edges.service import Beside, MetricsPage, Service, open_socket
from listserver.edges.sqlite import SqliteStore, open_store
from listserver.edges.templates import Templates
from listserver.edges.workers import Workers
from listserver.erasing import Erasing, ErasingTime
from listserver.forwarding import Forwarding
from listserver.front_desk import FrontDesk
from listserver.greeting import Greetings
from listserver.holding import Holding, HoldKeeping
from listserver.joining import Joining, JoinKeeping
from listserver.leaving import LeaveKeeping, Leaving
from listserver.limits import PROBE_DAYS, PROBE_SLACK
from listserver.links import Links
from listserver.mailing import Mailing
from listserver.model import House, Scoring
from listserver.notices import Notices
from listserver.owner_mail import OwnerMail
from listserver.posting import Posting
from listserver.probing import Probing
from listserver.profiles import note_members
from listserver.receiving import Receiving
from listserver.sections import Endpoint
from listserver.showing import Showing
from listserver.signers import Signers
from listserver.transactions import Transactions
from listserver.vault import Vault, read_key_line
from recrypt_core.errors import Malformed


class StartError(Exception):
    """The server can't start; the words say what, where and what to do."""


class App:
    """The whole server, made of its settings."""

    def __init__(self, config: Config, store: SqliteStore, vault: Vault, password: str) -> None:
        self._config = config
        self._store = store
        self._vault = vault
        self._clock = SystemClock()
        self._log = Metrics(EventLog(config.log, self._clock, sys.stderr))
        store.on_commit = self._log.committed
        self._courier = SmtpCourier(config.relay, config.domain, password=password)
        schedule = config.relay.schedule
        links = Links(vault, config.public_url)
        self._workers = Workers(config.relay, config.domain, self._log, password=password)
        connections = config.relay.connections
        carrier = self._workers if config.relay.workers else Carrying(self._courier, connections)
        self._delivering = Delivering(store, carrier, links, self._clock, schedule)
        self._mailing = Mailing(store, self._courier, self._clock, schedule)
        self._written = asyncio.Event()
        house = _house(config)
        posting = Posting(house, store, self._clock, self._log)
        self._relays = (
            Relay(
                self._delivering,
                posting.arrived,
                connections=connections,
                log=self._log,
            ),
            Relay(self._mailing, self._written, connections=1, log=self._log, what="letters"),
        )
        room = DiskRoom(
            config.store.file.parent,
            self._log,
            reserve=config.store.reserve_mib * 2**20,
            spare=lambda: store.spare_octets,
        )
        self._leaving = Leaving(house, store, vault, self._clock, self._log)
        self._housekeeping = self._make_housekeeping(house)
        self._gateway = self._make_gateway(house, posting, room)
        self._service = self._make_service(house, posting, room)

    def _make_gateway(self, house: House, posting: Posting, room: DiskRoom) -> Gateway:
        bouncing = Bouncing(house, self._store, self._vault, self._clock, self._log)
        bouncing.on_trouble = self._housekeeping.wake
        receiving = Receiving(
            posting,
            bouncing,
            Forwarding(house, self._store, self._clock, self._log, written=self._written.set),
            self._make_desk(house, posting),
            self._make_owner_mail(house),
        )
        # A post may come as JSON, a third longer than its copies, whose size is what counts.
        octets = house.post_octets * 4 // 3 + 2**20
        at_door = replace(self._config.smtp, max_post_octets=octets)
        return Gateway(Door(receiving, self._log, at_door, domains=house.domains, room=room))

    def _make_desk(self, house: House, posting: Posting) -> FrontDesk:
        answering = Answering(house, self._store, self._clock, self._log)
        answering.on_written = self._written.set
        signers = Signers(house, self._store)
        joining = Joining(house, self._store, signers, self._written.set)
        desk = FrontDesk(answering, joining, self._leaving, self._clock, self._log)
        holding = Holding(house, self._store, signers, self._waking(posting))
        desk.decide = holding.decide_by_mail
        return desk

    def _waking(self, posting: Posting) -> Callable[[], None]:
        def wake() -> None:
            posting.arrived.set()
            self._written.set()

        return wake

    def _make_owner_mail(self, house: House) -> OwnerMail:
        owner_mail = OwnerMail(house, self._store, self._clock, self._log)
        owner_mail.on_written = self._written.set
        return owner_mail

    def _make_service(self, house: House, posting: Posting, room: DiskRoom) -> Service:
        config = self._config
        places = Places(config.store.file, certificates(config), self._gateway.door)
        wake = self._waking(posting)
        transactions = Transactions(house, self._store, self._clock, self._log, wake=wake)
        transactions.on_greeting = self._housekeeping.wake
        return Service(
            transactions,
            config.service,
            self._log,
            has_room=room.has_room,
            beside=Beside(
                MetricsPage(Page(self._log, places, self._clock).text, config.service.metrics),
                self._make_pages(house),
            ),
        )

    def _make_pages(self, house: House) -> Pages:
        settings = self._config.service
        showing = Showing(house, self._store, self._clock, front=settings.show_lists)
        try:
            templates = Templates(settings.templates)
            return Pages(house, showing, self._leaving, templates=templates, log=self._log)
        except Malformed as problem:
            raise StartError(f"[service] templates: {problem}: mend it, or empty this") from problem

    def _make_housekeeping(self, house: House) -> Housekeeping:
        """Make what is done every half minute, or soon after something went wrong."""
        bounces, lifetime = self._config.bounces, self._config.relay.schedule.lifetime
        patience = max(PROBE_DAYS, (lifetime + PROBE_SLACK).days)
        scoring = Scoring(bounces.threshold, bounces.window_days, patience)
        notices = Notices(house, self._store, self._clock, self._log, written=self._written.set)
        probing = Probing(self._store, self._vault, self._clock, self._log, scoring=scoring)
        probing.catalogue, probing.on_written = house.catalogue, self._written.set
        keep = timedelta(days=self._config.service.audit_days)
        time = ErasingTime(self._store, self._clock, self._log)
        log = AuditKeeping(self._store, self._clock, time, keep)
        joins = JoinKeeping(self._store, self._clock)
        held = HoldKeeping(self._store, time)
        erasing = (Erasing(self._store, time).erase, log.erase_old, joins.erase_old, held.end_old)
        left = LeaveKeeping(self._store, time, self._log)
        leaving = (self._leaving.write_some, left.make_final)
        greetings = Greetings(house, self._store, self._clock, self._log)
        greetings.on_written = self._written.set
        chores = (*leaving, notices.tell, probing.probe, greetings.write_some, *erasing)
        housekeeping = Housekeeping(chores, self._log)
        self._leaving.on_asked, self._leaving.on_written = housekeeping.wake, self._written.set
        self._delivering.on_trouble = self._mailing.on_trouble = housekeeping.wake
        return housekeeping

    async def run(self, announce: Callable[[str], None]) -> None:
        """Serve until SIGTERM or SIGINT; then finish what is in hand.

        Args:
            announce: Is called with one line when every listener is up.

        Raises:
            StartError: if a listener can't be opened.
        """
        stopping = _stop_signal()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)
        listening, line = await self._listen()
        released = await self._delivering.recover()
        await self._mailing.recover()
        self._workers.open()
        self._log.event("started", resumed=released)
        tasks = (
            asyncio.create_task(self._service.run(listening)),
            *(asyncio.create_task(relay.run()) for relay in self._relays),
            asyncio.create_task(self._housekeeping.run()),
        )
        announce(line)
        waiter = asyncio.create_task(stopping.wait())
        await asyncio.wait((*tasks, waiter), return_when=asyncio.FIRST_COMPLETED)
        await self._stop(tasks)

    async def _listen(self) -> tuple[socket.socket, str]:
        """Open the listeners; give the service's socket and the line that tells where all are."""
        try:
            self._gateway.reload()
        except OSError as problem:
            raise StartError(
                f"[smtp] tls_certificate, tls_key: can't be used ({problem}): look at the files"
            ) from problem
        smtp, lmtp, service = self._config.smtp.listen, self._config.smtp.lmtp, self._config.service
        try:
            where = [f"smtp {_where((await self._gateway.listen(smtp)).sockets)}"]
        except OSError as problem:
            raise _cannot_listen("[smtp] listen", smtp, problem) from problem
        if lmtp is not None:
            try:
                server = await self._gateway.listen(lmtp, lmtp=True)
            except OSError as problem:
                raise _cannot_listen("[smtp] lmtp", lmtp, problem) from problem
            where.append(f"lmtp {_where(server.sockets)}")
        try:
            listening = open_socket(service.listen)
        except OSError as problem:
            raise _cannot_listen("[service] listen", service.listen, problem) from problem
        where.append(f"service {_where([listening])}")
        return listening, f"listserver: ready: {', '.join(where)}"

    def _reload(self) -> None:
        """Read the certificates again (SIGHUP); the old ones stay if the new ones are no good."""
        try:
            self._gateway.reload()
        except OSError as problem:
            self._log.event("certificate-trouble", error=type(problem).__name__)
        else:
            self._log.event("certificates-read")

    async def _stop(self, tasks: tuple[asyncio.Task[None], ...]) -> None:
        """Stop in the order that loses nothing: the door, the service, the relays, the store."""
        self._log.event("stopping")
        await self._gateway.close()
        self._service.stop()
        self._housekeeping.stop()
        for relay in self._relays:
            relay.stop()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(self._courier.close(), self._workers.close())
        await self._store.close()
        self._log.event("stopped")
        for problem in ended:
            if isinstance(problem, BaseException):
                raise problem


async def serve(config: Config, announce: Callable[[str], None]) -> None:
    """Run the server until it is told to stop.

    Raises:
        StartError: if it can't start.
        NotAuthentic: if the vault key isn't the store's.
    """
    vault = open_vault(config)
    store = await open_store(config.store.file, vault, alone=True)
    try:
        await note_members(store)
        app = App(config, store, vault, _password(config))
    except (OSError, StartError):
        await store.close()
        raise
    await app.run(announce)


def open_vault(config: Config) -> Vault:
    """Read the vault's key.

    Raises:
        StartError: if the file can't be read, or holds no key.
    """
    file = config.vault.key_file
    try:
        return read_key_line(Path(file).read_bytes())
    except OSError as problem:
        raise StartError(
            f"the vault key {file} can't be read ({problem.strerror}):"
            " restore it from where it was kept, or look at [vault] key_file"
        ) from problem
    except Malformed as problem:
        raise StartError(f"{file}: {problem}: restore it from where it was kept") from problem


def _house(config: Config) -> House:
    return House(
        config.domain,
        config.public_url,
        config.smtp.max_post_octets,
        operator=_operator(config),
        groups_per_profile=config.service.groups_per_profile,
        recryptions_per_member=config.service.recryptions_per_member,
        recryptions_per_group=config.service.recryptions_per_group,
        more_domains=config.more_domains,
        language=config.service.language,
        catalogue=_catalogue(config),
    )


def _catalogue(config: Config) -> Catalogue:
    try:
        return read_own_words(config.words.folder, domain=config.domain, domains=config.domains)
    except Malformed as problem:
        raise StartError(f"[words] folder: {problem}: mend it, or empty this") from problem


def _operator(config: Config) -> str | None:
    """Find where the operator's mail goes on to: not to this server, which has no mailboxes."""
    return None if config.operator.domain in config.domains else str(config.operator)


def _password(config: Config) -> str:
    file = config.relay.password_file
    if file is None:
        return ""
    try:
        return Path(file).read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as problem:
        raise StartError(
            f"the password file {file} can't be read: look at [relay] password_file"
        ) from problem


def _stop_signal() -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


def _where(sockets: "tuple[socket.socket, ...] | list[socket.socket]") -> str:
    host, port = sockets[0].getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _cannot_listen(setting: str, endpoint: Endpoint, problem: OSError) -> StartError:
    return StartError(
        f"{setting}: can't listen at {endpoint.host}:{endpoint.port} ({problem.strerror}):"
        " stop the program that has the port, or change the setting"
    )
