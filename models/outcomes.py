"""Which of a message's receipts decides: attempts that no receipt names, and parts.

A receipt without an attempt belongs to the latest attempt sent before it occurred. Which one that
is changes as sends become known, so every receipt is kept that may win then: of those without an
attempt, each one that no other beats in both time and rank (at most one a rank).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec

from models.accounts import AccountSettings
from models.facts import (
    HARD_RANK,
    NO_ATTEMPT,
    SOFT_RANK,
    Outcome,
    Price,
    SendFact,
    canonical,
    explained,
    greater_outcome,
    is_unexplained,
    outcome_order,
)
from models.vocabulary import SUCCESSES, Bounce, Status

replace: Final = msgspec.structs.replace

#: What is kept of one message, so that its state is bounded. Of parts and of prices by attempt and
#: part those of the latest attempts, of prices without an attempt the latest of each part:
#: forgetting obeys the join.
MAX_PARTS: Final = 255
MAX_PRICES: Final = 16
#: Failures that only the provider of their send explains, of different codes: the latest.
MAX_UNEXPLAINED: Final = 16

_READ: Final = Status.READ.value
_DELIVERED: Final = Status.DELIVERED.value
_QUEUED: Final = Status.QUEUED.value
_SUBMITTED: Final = Status.SUBMITTED.value
_NO_BOUNCE: Final = Bounce.NONE.value
_QUEUED_RANK: Final = Status.QUEUED.rank
_SOFT: Final = Bounce.SOFT.value


# --- attempts that no receipt names -----------------------------------------------------------


def attempt_at(sends: Sequence[SendFact], occurred_at: int) -> int:
    """The latest attempt sent before a time (epoch ms); 1 where none was. sends: by attempt."""
    for send in reversed(sends):
        if send.sent_at <= occurred_at:
            return send.attempt
    return 1


def placed(receipt: Outcome, sends: Sequence[SendFact]) -> Outcome:
    """A receipt in the attempt that it belongs to."""
    if not receipt.flags & NO_ATTEMPT:
        return receipt
    attempt = attempt_at(sends, receipt.occurred_at)
    return receipt if attempt == receipt.attempt else replace(receipt, attempt=attempt)


def as_received(outcome: Outcome) -> Outcome:
    """A receipt as before it was placed."""
    if outcome.flags & NO_ATTEMPT and outcome.attempt != 1:
        return replace(outcome, attempt=1)
    return outcome


def candidates_of(receipts: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """Those of some receipts, as received, that may win whatever sends become known; sorted."""
    distinct = set(receipts)
    kept = [one for one in distinct if not any(compared(other, one) > 0 for other in distinct)]
    unexplained = sorted(filter(is_unexplained, kept), key=_by_time)[:-MAX_UNEXPLAINED]
    return tuple(sorted(set(kept).difference(unexplained), key=canonical))


def _by_time(fact: Outcome | Price) -> tuple[int, bytes]:
    return fact.occurred_at, canonical(fact)


def compared(one: Outcome, other: Outcome) -> int:
    """1: the first of two receipts, as received, wins whatever sends become known; -1: the other
    does; 0: they are equal, or the sends decide."""
    success, attempt, rank, at = outcome_order(one)
    other_success, other_attempt, other_rank, other_at = outcome_order(other)
    if success != other_success:
        return 1 if success > other_success else -1
    floating = one.flags & NO_ATTEMPT
    if floating != other.flags & NO_ATTEMPT or one == other:
        return 0
    if not floating and attempt != other_attempt:
        return 1 if attempt > other_attempt else -1
    if is_unexplained(one) or is_unexplained(other):
        return _compared_by_ranges(one, other)
    if rank == other_rank and at == other_at:
        return 1 if canonical(one) > canonical(other) else -1
    if not floating:
        return 1 if (rank, at) > (other_rank, other_at) else -1
    if rank >= other_rank and at >= other_at:
        return 1
    return -1 if rank <= other_rank and at <= other_at else 0


def _compared_by_ranges(one: Outcome, other: Outcome) -> int:
    """The same of receipts whose rank the provider of the send decides: both with the same code and
    the same given fields have the same."""
    lowest, highest = _range_of_rank(one)
    other_lowest, other_highest = _range_of_rank(other)
    if _kind(one) == _kind(other) and one.provider == other.provider:
        lowest = highest = other_lowest = other_highest = 0
    if _beats(one, lowest, other, other_highest):
        return 1
    return -1 if _beats(other, other_lowest, one, highest) else 0


def _beats(one: Outcome, lowest: float, other: Outcome, highest: float) -> bool:
    """Whether one wins even with its lowest rank against the other with its highest.

    It must be transitive: else what is kept would depend on the order. So an equal rank is decided
    by the time, a greater one wins at any time; without an attempt not before the other, which may
    belong to a later one.
    """
    if one.flags & NO_ATTEMPT and one.occurred_at < other.occurred_at:
        return False
    return lowest > highest or (lowest == highest and _by_time(one) > _by_time(other))


def _kind(receipt: Outcome) -> tuple[int, int, str, str]:
    return receipt.status, receipt.bounce, receipt.error_code, receipt.reason


def _range_of_rank(receipt: Outcome) -> tuple[float, float]:
    """The lowest and the highest rank that a receipt can have."""
    if not is_unexplained(receipt):
        rank = _rank(receipt)
        return rank, rank
    if receipt.bounce == _NO_BOUNCE:
        return SOFT_RANK, HARD_RANK
    rank = SOFT_RANK if receipt.bounce == _SOFT else HARD_RANK
    return rank, rank


def provider_at(sends: Sequence[SendFact], attempt: int) -> str:
    """The provider that an attempt was sent by, else that of the latest one known; "": unknown."""
    for send in sends:
        if send.attempt == attempt and send.provider:
            return send.provider
    return sends[-1].provider if sends else ""


def winner_of(
    candidates: Iterable[Outcome], sends: Sequence[SendFact], settings: AccountSettings | None
) -> Outcome | None:
    """The receipt that decides, placed and explained; None without candidates."""
    return greatest(_read(candidate, sends, settings) for candidate in candidates)


def _read(receipt: Outcome, sends: Sequence[SendFact], settings: AccountSettings | None) -> Outcome:
    """A receipt as the sends place and explain it."""
    here = placed(receipt, sends)
    if is_unexplained(here):
        return explained(here, provider_at(sends, here.attempt), settings)
    return here


def greatest(outcomes: Iterable[Outcome]) -> Outcome | None:
    """The greatest of some outcomes; None: there is none."""
    found: Outcome | None = None
    for outcome in outcomes:
        found = outcome if found is None else greater_outcome(found, outcome)
    return found


# --- parts of long messages -------------------------------------------------------------------


def part_receipts_of(receipts: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """Those of some receipts of parts that may matter: what may win, and the first deliveries."""
    slots: defaultdict[tuple[int, int, int], list[Outcome]] = defaultdict(list)
    for one in receipts:
        attempt = 0 if one.flags & NO_ATTEMPT else one.attempt
        slots[attempt, one.parts, one.part].append(one)
    kept: set[Outcome] = set()
    for slot in sorted(slots)[-MAX_PARTS:]:
        kept.update(candidates_of(slots[slot]))
        delivered = [one for one in slots[slot] if one.status in SUCCESSES]
        kept.update(sorted(delivered, key=_by_time)[:1])
    return tuple(sorted(kept, key=canonical))


_Group = dict[int, list[Outcome]]


def _groups(
    part_receipts: Iterable[Outcome],
    sends: Sequence[SendFact],
    settings: AccountSettings | None = None,
) -> list[tuple[int, int, _Group]]:
    """(attempt, number of parts, receipts by part), each receipt placed and explained."""
    groups: defaultdict[tuple[int, int], defaultdict[int, list[Outcome]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for receipt in part_receipts:
        here = _read(receipt, sends, settings)
        groups[here.attempt, here.parts][here.part].append(here)
    return [(attempt, parts, dict(group)) for (attempt, parts), group in groups.items()]


def wholes_of(
    part_receipts: Iterable[Outcome], sends: Sequence[SendFact], settings: AccountSettings | None
) -> list[Outcome]:
    """What the receipts of parts make of each attempt, as one receipt each."""
    return [
        _whole(attempt, parts, group)
        for attempt, parts, group in _groups(part_receipts, sends, settings)
    ]


def _whole(attempt: int, parts: int, group: _Group) -> Outcome:
    """Failed when one part failed for good, delivered when all are."""
    best = [one for receipts in group.values() if (one := greatest(receipts)) is not None]
    failed = [one for one in best if one.status not in SUCCESSES and _rank(one) >= SOFT_RANK]
    if (decides := greatest(failed)) is not None:
        return replace(decides, attempt=attempt, part=0, flags=decides.flags & ~NO_ATTEMPT)
    latest = max(best, key=_by_time)
    if len(group) >= parts and all(one.status in SUCCESSES for one in best):
        status = _READ if all(one.status == _READ for one in best) else _DELIVERED
    else:
        queued = any(_rank(one) >= _QUEUED_RANK for one in best)
        status = _QUEUED if queued else _SUBMITTED
    return Outcome(
        attempt,
        status,
        _NO_BOUNCE,
        latest.occurred_at,
        provider=latest.provider,
        provider_message_id=latest.provider_message_id,
        recipient=latest.recipient,
        parts=parts,
    )


def _rank(outcome: Outcome) -> float:
    return outcome_order(outcome)[2]


def all_parts_at(
    part_receipts: Iterable[Outcome], sends: Sequence[SendFact], statuses: Collection[int]
) -> int:
    """When the last part of an attempt first had one of these statuses, in epoch ms; 0: not yet."""
    found = 0
    for _, parts, group in _groups(part_receipts, sends):
        firsts = [
            min((one.occurred_at for one in receipts if one.status in statuses), default=0)
            for receipts in group.values()
        ]
        if len(firsts) >= parts and all(firsts):
            found = min(found, max(firsts)) if found else max(firsts)
    return found


# --- prices -----------------------------------------------------------------------------------


def prices_of(prices: Iterable[Price]) -> tuple[Price, ...]:
    """Those of some prices that may count: of each attempt and part the latest; sorted."""
    named: dict[tuple[int, int], Price] = {}
    floating: defaultdict[int, set[Price]] = defaultdict(set)
    for price in prices:
        place = (price.attempt, price.part)
        if not price.attempt:
            floating[price.part].add(price)
        elif place not in named or _by_time(price) > _by_time(named[place]):
            named[place] = price
    kept = [named[place] for place in sorted(named)[-MAX_PARTS:]]
    for part in sorted(floating)[-MAX_PARTS:]:
        kept += sorted(floating[part], key=_by_time)[-MAX_PRICES:]
    return tuple(sorted(kept, key=canonical))


def total_price(prices: Sequence[Price], sends: Sequence[SendFact]) -> tuple[int, str]:
    """(sum in 10^-6, currency) over attempts and parts; of two currencies that of the latest."""
    if not prices:
        return 0, ""
    if len(prices) == 1:
        return prices[0].micro, prices[0].currency
    counted: dict[tuple[int, int], Price] = {}
    for price in sorted(prices, key=_by_time):
        attempt = price.attempt or attempt_at(sends, price.occurred_at)
        counted[attempt, price.part] = price
    currency = max(counted.values(), key=_by_time).currency
    return sum(one.micro for one in counted.values() if one.currency == currency), currency
