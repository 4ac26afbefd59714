"""What the receipts of one message say: of which attempt, how it ended, and who was at fault.

Part of the oracle: written from the rules as text, shares no code with the worker. A receipt that
names no attempt or no provider is read by the sends that are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from deploy.simulator.oracle.codes import meaning_of
from deploy.simulator.oracle.facts import Receipt, Send
from deploy.simulator.oracle.rules import Rules, entry_of

RANKS = {"submitted": 0, "queued": 1, "deleted": 3, "delivered": 4, "read": 5}
FAILURES = ("undelivered", "rejected")  # those that a code may explain


class Reading(NamedTuple):
    """A receipt as it is understood, with the defaults of docs/semantics.md.

    rank: 0 submitted, 1 queued, 2 soft failure, 3 other failure, 4 delivered, 5 read.
    status: the status a message has when this receipt decides. provider: as the receipt gives it;
    sender: that, else the provider of its attempt or of the latest one. opted_out: the code is an
    unsubscribe. never_again: the code is an unsubscribe or a block by the recipient: no retry.
    given: scope, code and words; those of a failure as they are understood, of others as they came.
    """

    rank: int
    attempt: int
    occurred_at: int
    status: str
    bounce: str
    scope: str
    error_code: str
    error_text: str
    provider: str
    provider_message_id: str
    recipient: str
    sender: str = ""
    opted_out: bool = False
    never_again: bool = False
    part: int = 0
    parts: int = 0
    given: tuple[str, str, str] = ("", "", "")

    @property
    def strikes(self) -> bool:
        """Hard, with scope recipient, and no unsubscribe."""
        return self.bounce == "hard" and self.scope == "recipient" and not self.opted_out


def winning_sends(sends: Iterable[Send]) -> list[Send]:
    """One send for each attempt, the lowest attempt first; the smallest `sent_at` wins."""
    winners: dict[int, Send] = {}
    for send in sorted(sends):
        winners.setdefault(send.attempt, send)
    return [winners[attempt] for attempt in sorted(winners)]


def attempt_of(receipt: Receipt, sends: Iterable[Send]) -> int:
    """The attempt it names, else the latest one sent before it occurred, else the first."""
    before = (send.attempt for send in sends if send.sent_at <= receipt.occurred_at)
    return receipt.attempt or max(before, default=1)


def readings_of(receipts: Iterable[Receipt], sends: list[Send], rules: Rules) -> list[Reading]:
    """All receipts that decide something, read by the winning sends."""
    providers = {send.attempt: send.provider for send in sends}
    readings = []
    for receipt in receipts:
        attempt = attempt_of(receipt, sends)
        provider = providers.get(attempt) or (sends[-1].provider if sends else "")
        readings.append(_read(receipt, attempt, provider, rules))
    return readings


def possible_readings(
    receipts: Iterable[Receipt], sends: list[Send], rules: Rules
) -> Iterator[Reading]:
    """Each failure as it may be read while only some of the sends are known."""
    for receipt in receipts:
        if receipt.status not in FAILURES:
            continue
        if receipt.attempt and receipt.provider:
            yield _read(receipt, receipt.attempt, "", rules)
            continue
        attempts = {receipt.attempt or 1}
        if not receipt.attempt:
            attempts |= {s.attempt for s in sends if s.sent_at <= receipt.occurred_at}
        for attempt in attempts:
            # That of its attempt, or of another one while its own is unknown.
            for provider in {receipt.provider} if receipt.provider else {s.provider for s in sends}:
                yield _read(receipt, attempt, provider, rules)


def may_be_strike(receipt: Receipt) -> bool:
    """Whether a failure that names no provider may strike by the codes of some provider."""
    open_kind = receipt.bounce != "soft" and receipt.scope in ("", "recipient")
    return receipt.status in FAILURES and not receipt.provider and open_kind


def _read(receipt: Receipt, attempt: int, provider: str, rules: Rules) -> Reading:
    """provider: of its attempt, for a receipt that names none."""
    sender, code = receipt.provider or provider, receipt.error_code
    status, bounce, scope = receipt.status, "", receipt.scope
    known = entry = None
    if status in FAILURES:
        known = meaning_of(sender, code or receipt.error_text)
        entry = entry_of(rules, sender, code)
        given = receipt.bounce or (entry.bounce if entry else "") or (known.bounce if known else "")
        bounce = given or ("soft" if status == "undelivered" else "hard")
        scope = scope or (entry.scope if entry else "") or (known.scope if known else "")
        if status == "rejected" and bounce == "soft":
            status = "undelivered"
        elif status == "undelivered" and bounce == "hard" and not (scope or known or entry):
            scope = "recipient"
    rank = RANKS.get(status, 2 if bounce == "soft" else 3)
    failed = rank in (2, 3)
    opted_out = known is not None and known.opted_out
    allowed = entry is not None and entry.bounce == "soft"  # the account does not mind
    blocked = known is not None and known.blocked and not allowed
    return Reading(
        rank=rank,
        attempt=attempt,
        occurred_at=receipt.occurred_at,
        status=status,
        bounce=bounce,
        scope=scope if failed else "",
        error_code=code if failed else "",
        error_text=receipt.error_text if failed else "",
        provider=receipt.provider,
        provider_message_id=receipt.provider_message_id,
        recipient=receipt.recipient,
        sender=sender,
        opted_out=opted_out,
        never_again=opted_out or blocked,
        part=receipt.part,
        parts=receipt.parts,
        given=(scope, code, receipt.error_text),
    )


Group = dict[int, list[Reading]]  # part -> its receipts


def wholes_of(readings: list[Reading]) -> list[Reading]:
    """Receipts about the whole message, and one for the parts of each attempt."""
    wholes = [reading for reading in readings if not reading.parts]
    return wholes + [_whole(group, parts) for parts, group in _groups(readings)]


def _groups(readings: Iterable[Reading]) -> list[tuple[int, Group]]:
    """(number of parts, receipts by part) of each attempt and number of parts."""
    groups: dict[tuple[int, int], Group] = {}
    for reading in readings:
        if reading.parts:
            group = groups.setdefault((reading.attempt, reading.parts), {})
            group.setdefault(reading.part, []).append(reading)
    return [(parts, group) for (_, parts), group in groups.items()]


def _usual(reading: Reading) -> tuple[int, int, Reading]:
    return reading.rank, reading.occurred_at, reading


def _whole(group: Group, parts: int) -> Reading:
    """What the parts of one attempt say together."""
    each = [max(receipts, key=_usual) for receipts in group.values()]
    for rank in (3, 2):
        failed = [reading for reading in each if reading.rank == rank]
        if failed:
            return max(failed, key=_usual)._replace(part=0, parts=0)
    latest = max(each, key=lambda reading: (reading.occurred_at, reading))
    ranks = [reading.rank for reading in each]
    if len(each) == parts and min(ranks) >= 4:
        rank, status = (5, "read") if min(ranks) == 5 else (4, "delivered")
    else:
        rank, status = (1, "queued") if max(ranks) >= 1 else (0, "submitted")
    return latest._replace(rank=rank, status=status, part=0, parts=0)


def first_reached(readings: list[Reading], *statuses: str) -> int:
    """When a message first had one of the statuses: of its parts all; 0: never."""
    times = [r.occurred_at for r in readings if not r.parts and r.status in statuses]
    for parts, group in _groups(readings):
        firsts = [first_seen(receipts, *statuses) for receipts in group.values()]
        if len(firsts) == parts and all(firsts):
            times.append(max(firsts))
    return min(times, default=0)


def first_seen(readings: Iterable[Reading], *statuses: str) -> int:
    """The earliest time of one of the statuses, in any part; 0: never."""
    return min((r.occurred_at for r in readings if r.status in statuses), default=0)


def winning_reading(wholes: Iterable[Reading], sends: Iterable[Send]) -> Reading:
    """The receipt that decides. A known send counts as a submitted receipt of its attempt; any real
    one of the attempt comes first."""
    implied = [Reading(0, s.attempt, 0, "submitted", "", "", "", "", "", "", "") for s in sends]
    candidates = [*wholes, *implied]
    good = [r for r in candidates if r.rank >= 4]
    if good:
        return max(good, key=lambda r: (r.rank, r.attempt, r.occurred_at, _tie_break(r)))
    return max(candidates, key=lambda r: (r.attempt, r.rank, r.occurred_at, _tie_break(r)))


def _tie_break(reading: Reading) -> tuple[object, ...]:
    """The remaining fields as canonical bytes: of two texts the longer one is the greater."""
    texts = (
        *reading.given,
        reading.provider,
        reading.provider_message_id,
        reading.recipient,
    )
    longer_first = tuple((len(text.encode()), text) for text in texts)
    return reading.status, reading.bounce, longer_first, reading
