"""Pins: what is shown of a group against what was seen before."""

import pytest

from recrypt_client import pins
from recrypt_client.errors import Trouble
from recrypt_client.pins import Pin, Seen
from recrypt_core.documents import Head, VerifiedGroupKey
from recrypt_core.keys import Curve, PrivateKey
from tests.builders import NOW, URL, Group, new_group, signed_group_key


def pinned(key: VerifiedGroupKey, head: Head | None = None) -> Pin:
    return pins.renew(None, key, service=URL, now=NOW, head=head)


def next_key(group: Group, generation: int) -> VerifiedGroupKey:
    key = PrivateKey.generate(Curve.X25519)
    return signed_group_key(group.master, key, generation=generation, previous=group.key.public.udf)


def test_the_first_key_the_same_and_a_newer_one_are_told_apart() -> None:
    group = new_group()
    pin = pinned(group.signed_key)
    assert pins.compare(None, group.signed_key) is Seen.FIRST
    assert pins.compare(pin, group.signed_key) is Seen.SAME
    assert pins.compare(pin, next_key(group, 2)) is Seen.NEWER


def test_another_fingerprint_is_refused_loudly() -> None:
    with pytest.raises(Trouble, match="FINGERPRINT HAS CHANGED"):
        pins.compare(pinned(new_group().signed_key), new_group().signed_key)


def test_a_lower_generation_is_refused_loudly() -> None:
    group = new_group()
    with pytest.raises(Trouble, match="OLD GROUP KEY, generation 1 where 2"):
        pins.compare(pinned(next_key(group, 2)), group.signed_key)


def test_another_key_of_the_same_generation_is_refused_loudly() -> None:
    group = new_group()
    with pytest.raises(Trouble, match="ANOTHER GROUP KEY of generation 1"):
        pins.compare(pinned(group.signed_key), next_key(group, 1))


def test_a_renewed_pin_knows_past_keys_and_keeps_head_and_age() -> None:
    group, head = new_group(), Head(3, "A" * 43)
    newer = next_key(group, 2)
    pin = pinned(group.signed_key, head)
    renewed = pins.renew(pin, newer, service="https://other.example", now=NOW)
    assert (renewed.generation, renewed.head, renewed.since) == (2, head, pin.since)
    assert renewed.is_key(group.key.public.udf)
    assert renewed.is_key(newer.udf)
    assert renewed.service == "https://other.example"


@pytest.mark.parametrize("found", [None, "B" * 43])
def test_a_chain_without_the_change_that_was_seen_is_refused(found: str | None) -> None:
    pin = pinned(new_group().signed_key)
    with pytest.raises(Trouble, match="ANOTHER HISTORY"):
        pins.check_hash(pin, Head(2, "A" * 43), found)
    pins.check_hash(pin, Head(2, "A" * 43), "A" * 43)
