"""Who has which partitions, and who keeps copies of their tables (docs/standbys.md).

Faust's own plan promotes a standby only where that fits its order of members, and gives a member
that joins partitions of which it has nothing. Here a partition goes to a member that has its tables
whenever there is one; a member that lacks them follows first, and takes over when it has caught up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

#: A copy that lacks at most so many offsets is as good as none that lacks any.
NEAR: Final = 10_000

#: The lag of tables that are on disk and not open.
UNKNOWN: Final = -1


class Member(NamedTuple):
    """A worker that joins.

    actives: partitions that it had
    lags: of its tables by partition, in offsets, or UNKNOWN; 0 for a partition that it processed
    """

    actives: frozenset[int]
    lags: Mapping[int, int]

    def is_near(self, partition: int) -> bool:
        """Whether it can go on with a partition at once."""
        return 0 <= self.lags.get(partition, UNKNOWN) <= NEAR


class Share(NamedTuple):
    """What a member is assigned. warming: standbys that are to become its own once it is near."""

    actives: set[int]
    standbys: set[int]
    warming: set[int]


def plan_shares(members: Mapping[str, Member], partitions: int, standbys: int) -> dict[str, Share]:
    """Each partition gets one owner, and as many standbys as there are other members for it.

    With standbys, one that is not near becomes the owner only where nobody is near; so the numbers
    of partitions may differ by more than 1 until those that warm up are near, and the plan is made
    again.
    """
    plan = _Plan(members, partitions, standbys)
    plan.choose_owners()
    plan.balance()
    plan.choose_standbys()
    plan.warm_up()
    return plan.shares


class _Plan:
    def __init__(self, members: Mapping[str, Member], partitions: int, standbys: int) -> None:
        self._members = dict(sorted(members.items()))
        self._partitions = range(partitions)
        self._copies = min(standbys, len(members) - 1)
        self._owners: dict[int, str] = {}
        self.shares = {name: Share(set(), set(), set()) for name in self._members}

    def _load(self, name: str) -> int:
        return len(self.shares[name].actives)

    def _near(self, partition: int) -> list[str]:
        return [name for name, member in self._members.items() if member.is_near(partition)]

    # --- owners ---------------------------------------------------------------------------------

    def choose_owners(self) -> None:
        """Who had a partition keeps it, else who is near, else who has anything of it."""
        orphans = []
        for partition in self._partitions:
            owners = [name for name, each in self._members.items() if partition in each.actives]
            near = self._near(partition)
            kept = [name for name in owners if name in near] or ([] if near else owners)
            if kept:
                self._give(partition, kept[0])
            else:
                orphans.append((len(near) or len(self._members) + 1, partition))
        most = -(-len(self._partitions) // len(self._members))
        for _, partition in sorted(orphans):  # those with the fewest candidates first
            candidates = self._near(partition) or list(self._members)
            self._give(
                partition, min(candidates, key=lambda name: self._order(name, partition, most))
            )

    def _order(self, name: str, partition: int, most: int) -> tuple[bool, int, int]:
        return self._load(name) >= most, self._lacks(name, partition), self._load(name)

    def _lacks(self, name: str, partition: int) -> int:
        """0: it is near; 1: it has something; 2: it has nothing."""
        member = self._members[name]
        return 0 if member.is_near(partition) else 1 if partition in member.lags else 2

    def _give(self, partition: int, name: str) -> None:
        if partition in self._owners:
            self.shares[self._owners[partition]].actives.discard(partition)
        self._owners[partition] = name
        self.shares[name].actives.add(partition)

    def balance(self) -> None:
        """Move partitions from members with many to members with few."""
        while move := next(self._moves(), None):
            self._give(*move)

    def _moves(self) -> Iterator[tuple[int, str]]:
        names = list(self._members)
        gaps = [(self._load(a) - self._load(b), a, b) for a in names for b in names]
        for gap, giver, taker in sorted(gaps, key=lambda each: -each[0]):
            if gap < 2:
                return
            movable = [
                (self._lacks(taker, partition), partition)
                for partition in self.shares[giver].actives
                if self._may_move(partition, giver, taker)
            ]
            if movable:
                yield min(movable)[1], taker

    def _may_move(self, partition: int, giver: str, taker: str) -> bool:
        near = self._members[taker].is_near(partition)
        return near or not self._copies or not self._members[giver].is_near(partition)

    # --- standbys -------------------------------------------------------------------------------

    def choose_standbys(self) -> None:
        """Copies that exist stay, as long as those of one owner are spread over all others: they
        take over together when it dies."""
        pairs: Counter[tuple[str, str]] = Counter()
        for partition, owner in sorted(self._owners.items()):
            for name in self._existing(partition, owner, pairs):
                self._follow(partition, owner, name, pairs)
        for partition, owner in sorted(self._owners.items()):
            others = [name for name in self._members if name != owner]
            for _ in range(self._copies - self._standbys_of(partition)):
                free = [name for name in others if partition not in self.shares[name].standbys]
                best = min(free, key=lambda n: (len(self.shares[n].standbys), pairs[owner, n]))
                self._follow(partition, owner, best, pairs)

    def _existing(
        self, partition: int, owner: str, pairs: Mapping[tuple[str, str], int]
    ) -> list[str]:
        others = len(self._members) - 1
        most_of_owner = -(-self._load(owner) * self._copies // max(1, others))
        most = -(-len(self._partitions) * self._copies // len(self._members))
        fits = [
            name
            for name, member in self._members.items()
            if name != owner
            and partition in member.lags
            and pairs.get((owner, name), 0) < most_of_owner
            and len(self.shares[name].standbys) < most
        ]
        fits.sort(key=lambda name: (self._lacks(name, partition), len(self.shares[name].standbys)))
        return fits[: self._copies]

    def _standbys_of(self, partition: int) -> int:
        return sum(partition in share.standbys for share in self.shares.values())

    def _follow(
        self, partition: int, owner: str, name: str, pairs: Counter[tuple[str, str]]
    ) -> None:
        self.shares[name].standbys.add(partition)
        pairs[owner, name] += 1

    def warm_up(self) -> None:
        """A member with few partitions follows what it lacks, in addition to its other standbys."""
        if not self._copies:
            return
        left = {name: self._load(name) for name in self._members}
        while left[giver := max(left, key=left.__getitem__)] - 1 > min(left.values()):
            taker = min(left, key=left.__getitem__)
            share = self.shares[taker]
            wanted = min(
                self.shares[giver].actives - self._warming(),
                key=lambda p: (p not in share.standbys, self._lacks(taker, p), p),
            )
            share.standbys.add(wanted)
            share.warming.add(wanted)
            left[giver] -= 1
            left[taker] += 1

    def _warming(self) -> set[int]:
        return {partition for share in self.shares.values() for partition in share.warming}
