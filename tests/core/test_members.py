"""The members of a group: a map that never changes, found by Identifier and by signature key."""

from collections.abc import Sequence
from itertools import accumulate

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from recrypt_core.documents import Privilege, Status
from recrypt_core.members import Member, Members
from recrypt_core.udf import Udf
from tests.builders import new_group, new_membership, new_person

KEY = new_group().key
PEOPLE = [new_person(f"{name}@example.org") for name in ("alice", "bob", "carol", "dave", "erin")]
SHARED = [each.online.public for each in PEOPLE]


def _forms(at: int) -> list[Member]:
    """Give forms of a member: with its own online key, or others', a SUPER or SUSPENDED."""
    person = PEOPLE[at]
    other = person.changed(online_signature_keys=(SHARED[at - 1], SHARED[at - 2]))
    plain, greedy = (Member(new_membership(each).entry, each.verified) for each in (person, other))
    rules = msgspec.structs.replace(plain.entry, privileges=(Privilege.SUPER,))
    idle = msgspec.structs.replace(rules, status=Status.SUSPENDED)
    return [plain, greedy, Member(rules, plain.profile), Member(idle, plain.profile)]


FORMS = [form for at in range(len(PEOPLE)) for form in _forms(at)]
changes = st.lists(st.lists(st.sampled_from(FORMS), max_size=6), max_size=12)


def _plainly(sequence: Sequence[Sequence[Member]]) -> dict[Udf, Member]:
    return {each.profile.identifier: each for part in sequence for each in part}


@given(changes)
def test_it_is_what_a_dictionary_would_be(parts: list[list[Member]]) -> None:
    for members, told in zip(
        accumulate(parts, Members.with_changed, initial=Members()),
        accumulate(parts, lambda before, part: [*before, part], initial=list[list[Member]]()),
        strict=True,
    ):
        plain = _plainly(told)
        assert list(members) == list(plain)
        assert members == plain
        assert len(members) == len(plain)
        assert members.supers == sum(each.may(Privilege.SUPER) for each in plain.values())
        rulers = [each for each in plain.values() if each.may(Privilege.ADMIN, Privilege.SUPER)]
        assert members.administrators == len(rulers)
        for key in (*SHARED, *(each.master.public for each in PEOPLE)):
            expected = [
                each.profile.identifier
                for each in plain.values()
                if each.profile.signature_key(key.udf)
            ]
            found = [each.profile.identifier for each in members.holders(key.udf)]
            assert sorted(found) == sorted(expected)
            assert all(
                members[each.profile.identifier] is each for each in members.holders(key.udf)
            )


@given(changes, st.lists(st.sampled_from(FORMS)))
def test_it_stays_as_it_was_when_others_are_made_of_it(
    parts: list[list[Member]], later: list[Member]
) -> None:
    *_, members = accumulate(parts, Members.with_changed, initial=Members())
    before = list(members.items())
    members.with_changed(later)
    assert list(members.items()) == before


def test_who_listed_a_key_first_comes_before_who_lists_it_too() -> None:
    alice, greedy = FORMS[0], FORMS[5]
    members = Members([alice]).with_changed([greedy]).with_changed([FORMS[2]])
    assert [each.profile.identifier for each in members.holders(SHARED[0].udf)] == [
        alice.profile.identifier,
        greedy.profile.identifier,
    ]


def test_a_map_of_many_changes_has_few_layers() -> None:
    members = Members()
    for each in range(1000):
        members = members.with_changed([FORMS[each % len(FORMS)]])
    assert len(members._by_udf._layers) <= 4
    assert len(members) == len(PEOPLE)
