"""Where a group's service is looked for, in which order (spec §11)."""

from recrypt_client import discovery, pins
from recrypt_client.discovery import find_service
from tests.builders import NOW, TEAM, new_group


def test_given_then_pinned_then_announced_then_the_domain() -> None:
    pin = pins.renew(None, new_group().signed_key, service="https://pinned.example", now=NOW)
    asked: list[str] = []

    def announced(domain: str) -> str | None:
        asked.append(domain)
        return "https://announced.example" if len(asked) == 1 else None

    assert find_service(TEAM, "https://given.example", pin, announced) == "https://given.example"
    assert find_service(TEAM, None, pin, announced) == "https://pinned.example"
    assert asked == []
    assert find_service(TEAM, None, None, announced) == "https://announced.example"
    assert find_service(TEAM, None, None, announced) == "https://lists.example"
    assert asked == ["lists.example", "lists.example"]


def test_a_domain_that_can_be_none_announces_nothing() -> None:
    assert discovery.look_up("a..b") is None
