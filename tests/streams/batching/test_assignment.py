"""The plan of an assignment: laws, over workers that come, die and return."""

from __future__ import annotations

from collections.abc import Mapping

from faust.assignor.client_assignment import ClientAssignment, ClientMetadata
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.batching.assignment import NEAR, UNKNOWN, Member, Share, plan_shares
from streams.batching.assignor import Metadata

#: What happens to a group: a worker joins (True), or one of those there dies, by its place.
CHANGES = st.lists(st.one_of(st.just(True), st.integers(0, 5)), min_size=1, max_size=12)

Group = dict[str, Member]


def change(group: Group, number: int, happens: bool | int) -> tuple[Group, Member | None]:
    """The group after a change, and the member that died."""
    if happens is True or not group:
        return {**group, f"w{number}": Member(frozenset(), {})}, None
    name = sorted(group)[happens % len(group)]
    return {other: member for other, member in group.items() if other != name}, group[name]


def after(shares: Mapping[str, Share]) -> Group:
    """The members when they have read all that they were assigned."""
    return {
        name: Member(frozenset(share.actives), dict.fromkeys(share.actives | share.standbys, 0))
        for name, share in shares.items()
    }


def loads(shares: Mapping[str, Share]) -> list[int]:
    return sorted(len(share.actives) for share in shares.values())


@settings(max_examples=300, deadline=None)
@given(CHANGES, st.integers(1, 24), st.integers(0, 2))
def test_every_plan_is_whole_and_soon_balanced(changes, partitions, standbys):
    group: Group = {}
    for number, happens in enumerate(changes):
        group, dead = change(group, number, happens)
        if not group:
            continue
        shares = plan_shares(group, partitions, standbys)
        assert_whole(shares, partitions, min(standbys, len(group) - 1))
        if dead is not None:
            assert_promoted(dead, group, shares)
        if standbys == 0:
            assert loads(shares)[-1] - loads(shares)[0] <= 1
        if any(share.warming for share in shares.values()):
            shares = plan_shares(after(shares), partitions, standbys)
        assert not any(share.warming for share in shares.values())
        assert loads(shares)[-1] - loads(shares)[0] <= 1
        group = after(shares)
        again = plan_shares(group, partitions, standbys)
        assert {n: s.actives for n, s in again.items()} == {n: s.actives for n, s in shares.items()}


def assert_whole(shares: Mapping[str, Share], partitions: int, copies: int) -> None:
    """Each partition has one owner, and its standbys are others."""
    owned = [partition for share in shares.values() for partition in share.actives]
    assert sorted(owned) == list(range(partitions))
    for share in shares.values():
        assert not share.actives & share.standbys
        assert share.warming <= share.standbys
    for partition in range(partitions):
        found = sum(partition in share.standbys for share in shares.values())
        warming = sum(partition in share.warming for share in shares.values())
        assert copies <= found <= copies + warming


def assert_promoted(dead: Member, group: Group, shares: Mapping[str, Share]) -> None:
    """What the dead member had goes to members that have its tables."""
    for partition in dead.actives:
        near = {name for name, member in group.items() if member.is_near(partition)}
        owner = next(name for name, share in shares.items() if partition in share.actives)
        assert owner in near or not near


def test_the_partitions_of_a_worker_that_dies_are_shared_by_its_heirs():
    group = after(plan_shares({n: Member(frozenset(), {}) for n in "abcd"}, 12, 1))
    for name, member in group.items():
        rest = {other: each for other, each in group.items() if other != name}
        assert len(member.actives) == 3
        assert loads(plan_shares(rest, 12, 1)) == [4, 4, 4]


def test_a_worker_that_returns_gets_what_it_has_on_disk():
    alone = Member(frozenset(range(4)), dict.fromkeys(range(4), 0))
    back = Member(frozenset(), {1: UNKNOWN, 3: UNKNOWN})
    assert plan_shares({"a": alone, "b": back}, 4, 0)["b"].actives == {1, 3}


def test_with_standbys_a_worker_takes_over_only_what_it_has():
    alone = Member(frozenset(range(4)), dict.fromkeys(range(4), 0))
    behind = Member(frozenset(), {1: UNKNOWN, 3: NEAR + 1})
    share = plan_shares({"a": alone, "b": behind}, 4, 1)["b"]
    assert not share.actives
    assert share.warming == {1, 3}
    near = Member(frozenset(), {1: NEAR, 3: 0})
    assert plan_shares({"a": alone, "b": near}, 4, 1)["b"].actives == {1, 3}


def test_partitions_that_nobody_has_restored_are_shared_at_once():
    first = Member(frozenset(range(4)), dict.fromkeys(range(4), 5_000_000))
    shares = plan_shares({"a": first, "b": Member(frozenset(), {})}, 4, 1)
    assert loads(shares) == [2, 2]


def test_two_members_that_claim_a_partition_do_not_both_get_it():
    behind = Member(frozenset({0}), {0: 3 * NEAR})
    shares = plan_shares({"a": behind, "b": Member(frozenset({0}), {0: 0})}, 1, 0)
    assert shares["b"].actives == {0}
    assert not shares["a"].actives


def test_members_with_and_without_this_assignor_understand_each_other():
    """A worker of an older version has Faust's own metadata."""
    more = {"lags": {"1": 5}, "warming": [1]}
    ours = Metadata(assignment=ClientAssignment({"t": [0]}, {"t": [1]}), url="", **more,
                    changelog_distribution={})  # fmt: skip
    read = ClientMetadata.loads(ours.dumps())
    assert read.assignment.actives == {"t": [0]}
    assert Metadata.loads(ours.dumps()).lags == {"1": 5}
    assert Metadata.loads(read.dumps()).lags is None
