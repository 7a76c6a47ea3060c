"""The service over HTTP: its one route, its bounds, and a real socket."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from listserver.config import ServiceSettings
from listserver.edges import bodies
from listserver.edges.service import Service, application, open_socket
from listserver.model import House
from listserver.sections import Endpoint
from listserver.transactions import Transactions
from recrypt_core.encoding import read_json
from recrypt_core.limits import REQUEST_OCTETS
from recrypt_core.messages import GetGroup, GetKey, Hello, Response, write_message
from recrypt_core.signing import request_body, sign_request
from tests.builders import NOW, TEAM, URL, new_group, new_membership, new_person, posted
from tests.fakes import Bench, administrator, open_bench
from tests.sites import client_of

PATH = "/.well-known/recrypt"
PLAIN = {"Content-Type": "application/json"}
SIGNED = {"Content-Type": "application/jose+json"}
HELLO = write_message(Hello())


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Open a server."""
    async with open_bench(tmp_path) as opened:
        yield opened


@pytest_asyncio.fixture
async def client(bench: Bench) -> AsyncIterator[httpx2.AsyncClient]:
    """Call the application without a socket."""
    async with client_of(application(bench.transactions, bench.log)) as opened:
        yield opened


def status_of(response: httpx2.Response, name: str) -> int:
    """Give the Status in the answer, which is HTTP's too."""
    members = read_json(response.content, limit=REQUEST_OCTETS)[f"{name}Response"]
    assert isinstance(members, dict)
    status = members["Status"]
    assert isinstance(status, int)
    assert status == response.status_code
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    return status


@pytest.mark.asyncio
@pytest.mark.parametrize("path", [PATH, f"{PATH}/"])
async def test_it_answers_with_and_without_a_trailing_slash(
    client: httpx2.AsyncClient, path: str
) -> None:
    response = await client.post(path, content=HELLO, headers=PLAIN)
    assert status_of(response, "Hello") == 201


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "APPLICATION/JSON", " application/json ;x=y"]
)
async def test_a_content_type_is_read_without_its_parameters(
    client: httpx2.AsyncClient, kind: str
) -> None:
    response = await client.post(PATH, content=HELLO, headers={"Content-Type": kind})
    assert status_of(response, "Hello") == 201


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "json"])
async def test_another_content_type_is_415(client: httpx2.AsyncClient, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    response = await client.post(PATH, content=HELLO, headers=headers)
    assert status_of(response, "Recrypt") == 415
    assert "send application/json, or application/jose+json if it is signed" in response.text


@pytest.mark.asyncio
@pytest.mark.parametrize(("headers", "most"), [(PLAIN, 4096), (SIGNED, REQUEST_OCTETS)])
async def test_a_body_of_the_limit_is_read_and_one_octet_more_is_413(
    client: httpx2.AsyncClient, headers: dict[str, str], most: int
) -> None:
    whole = HELLO.ljust(most)
    read = await client.post(PATH, content=whole, headers=headers)
    assert read.status_code == (201 if headers is PLAIN else 400)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(129):
            yield b" " * 2**16

    for body in (whole + b" ", chunks()):
        response = await client.post(PATH, content=body, headers=headers)
        assert status_of(response, "Recrypt") == 413
        assert f"at most {most} octets: send it in several" in response.text


@pytest.mark.asyncio
async def test_what_is_held_of_large_bodies_is_bounded_and_small_ones_have_room(
    client: httpx2.AsyncClient,
) -> None:
    going_on = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(127):
            yield b" " * 2**16
        await going_on.wait()

    sending = [
        asyncio.create_task(client.post(PATH, content=slow(), headers=SIGNED)) for _ in range(9)
    ]
    done, waiting = await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
    (refused,) = done
    assert status_of(await refused, "Recrypt") == 503
    assert "too many large requests at once: try again later" in (await refused).text
    hello = await client.post(PATH, content=HELLO, headers=PLAIN)
    assert status_of(hello, "Hello") == 201
    going_on.set()
    assert {(await each).status_code for each in waiting} == {400}
    again = await client.post(PATH, content=HELLO.ljust(REQUEST_OCTETS), headers=SIGNED)
    assert again.status_code == 400


@pytest.mark.asyncio
async def test_so_many_requests_are_in_hand_at_once_and_their_places_are_given_back(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_REQUESTS", 2)
    begun, going_on = asyncio.Semaphore(0), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        begun.release()
        await going_on.wait()
        yield HELLO

    sending = [
        asyncio.create_task(client.post(PATH, content=slow(), headers=PLAIN)) for _ in range(2)
    ]
    for _ in sending:
        await begun.acquire()
    refused = await client.post(PATH, content=HELLO, headers=PLAIN)
    assert status_of(refused, "Recrypt") == 503
    assert "too many requests at once: try again later" in refused.text
    going_on.set()
    assert [(await each).status_code for each in sending] == [201, 201]
    assert (await client.post(PATH, content=HELLO, headers=PLAIN)).status_code == 201


@pytest.mark.asyncio
async def test_a_body_that_does_not_come_is_408(bench: Bench) -> None:
    never = asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield HELLO[:5]
        await never.wait()

    impatient = application(bench.transactions, bench.log, body_timeout=timedelta(0))
    async with client_of(impatient) as client:
        response = await client.post(PATH, content=stuck(), headers=PLAIN)
    assert status_of(response, "Recrypt") == 408


@pytest.mark.asyncio
async def test_nothing_else_is_offered_and_that_is_said_in_the_services_own_form(
    client: httpx2.AsyncClient,
) -> None:
    for method in ("GET", "PUT", "DELETE"):
        response = await client.request(method, PATH)
        assert status_of(response, "Recrypt") == 405
        assert f"requests are POSTed to {PATH}" in response.text
    assert (await client.request("HEAD", PATH)).status_code == 405
    for path in ("/", f"{PATH}/x", "/docs", "/.well-known/"):
        response = await client.post(path, content=HELLO, headers=PLAIN)
        assert status_of(response, "Recrypt") == 404


@pytest.mark.asyncio
async def test_a_signed_body_is_read_as_one_and_a_plain_one_not(
    bench: Bench, client: httpx2.AsyncClient
) -> None:
    group, alice = new_group(), new_person("alice@example.org")
    history = await bench.create(group, administrator(alice, group), authorised=alice)
    read = sign_request(write_message(GetGroup(group_id=TEAM)), alice.online, url=URL, now=NOW)
    body = request_body(read, {})
    assert (await client.post(PATH, content=body, headers=PLAIN)).status_code == 400
    response = await client.post(PATH, content=body, headers=SIGNED)
    assert status_of(response, "GetGroup") == 201
    bob = new_membership(new_person("bob@example.org"), group.key)
    change = posted(history.sign(history.add_message(bob), alice.online), bob)
    response = await client.post(PATH, content=change, headers=SIGNED)
    assert status_of(response, "AddMember") == 201
    unknown = write_message(GetKey(group_id="none@lists.example"))
    response = await client.post(PATH, content=unknown, headers=PLAIN)
    assert status_of(response, "GetKey") == 404


class Faulty(Transactions):
    """Has a bug."""

    async def answer(
        self, body: bytes, *, signed: bool, has_room: bool = True
    ) -> tuple[str, Response]:
        """Fail, with words that are nobody's business."""
        assert has_room
        raise ZeroDivisionError(f"alice@example.org {len(body)} {signed}")


@pytest.mark.asyncio
async def test_while_room_is_short_what_adds_to_the_store_is_503(bench: Bench) -> None:
    group, alice = new_group(), new_person("alice@example.org")
    history = await bench.create(group, administrator(alice, group), authorised=alice)
    bob = new_membership(new_person("bob@example.org"), group.key)
    change = posted(history.sign(history.add_message(bob), alice.online), bob)
    short = application(bench.transactions, bench.log, has_room=lambda: False)
    async with client_of(short) as client:
        response = await client.post(PATH, content=change, headers=SIGNED)
        assert status_of(response, "AddMember") == 503
        assert "disk is nearly full; try again later" in response.text
        response = await client.post(PATH, content=HELLO, headers=PLAIN)
        assert status_of(response, "Hello") == 201


@pytest.mark.asyncio
async def test_a_fault_of_ours_is_503_and_none_of_its_words_get_out(bench: Bench) -> None:
    house = House("lists.example", URL, bench.post_octets)
    faulty = Faulty(house, bench.store, bench.clock, bench.log, wake=bench.posting.arrived.set)
    async with client_of(application(faulty, bench.log)) as client:
        response = await client.post(PATH, content=HELLO, headers=PLAIN)
    assert status_of(response, "Recrypt") == 503
    assert "trouble here: try again later" in response.text
    assert bench.log.events == [("service-fault", {"error": "ZeroDivisionError"})]
    assert "example" not in response.text


@asynccontextmanager
async def listening(bench: Bench) -> AsyncIterator[str]:
    """Serve on a real socket, and stop."""
    here = Endpoint("127.0.0.1", 0)
    bound = open_socket(here)
    service = Service(bench.transactions, ServiceSettings(here, None, None), bench.log)
    task = asyncio.create_task(service.run(bound))
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        service.stop()
        await asyncio.wait_for(task, 5)


@pytest.mark.asyncio
async def test_a_real_socket_answers_and_says_nothing_of_itself(bench: Bench) -> None:
    async with listening(bench) as url, httpx2.AsyncClient(base_url=url) as real:
        for _ in range(2):
            response = await real.post(PATH, content=HELLO, headers=PLAIN)
            assert status_of(response, "Hello") == 201
            assert "server" not in response.headers
        too_large = await real.post(PATH, content=b" " * (REQUEST_OCTETS + 1), headers=SIGNED)
        assert too_large.status_code == 413


@pytest.mark.asyncio
async def test_a_client_that_hangs_up_in_its_request_does_no_harm(bench: Bench) -> None:
    async with listening(bench) as url:
        port = int(url.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        async with httpx2.AsyncClient(base_url=url) as real:
            assert (await real.post(PATH, content=HELLO, headers=PLAIN)).status_code == 201
    assert not [name for name, _ in bench.log.events if name == "service-fault"]


def test_a_port_in_use_is_an_error_of_the_system() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            open_socket(Endpoint("127.0.0.1", port))


def test_what_is_accepted_waits_for_no_delayed_ack() -> None:
    with open_socket(Endpoint("127.0.0.1", 0)) as listening_socket:
        address = listening_socket.getsockname()
        with socket.create_connection(address), listening_socket.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
