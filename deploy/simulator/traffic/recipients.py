"""What senders and support know of numbers, and what they decide: whom to write to, requests.

Only a rough picture, as real senders have it: what a number's state must be is the oracle's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from deploy.simulator.event import REQUESTS, Event
from deploy.simulator.traffic.encoding import Fields, stamp
from deploy.simulator.traffic.phones import is_dead
from deploy.simulator.traffic.profiles import CARELESS, FIRST_NAMES, WRITTEN_TO_AGAIN, Account

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
NOTICED_MS = 30_000  # a sender follows the list with this delay
NEVER_MS = 1 << 62
_HOT = 4  # numbers an account keeps writing to though they bounce

MakeEvent = Callable[[float, str, Fields, str], Event]


class Person(NamedTuple):
    """Somebody in an account's address book."""

    country: str
    person: int


class Contact(NamedTuple):
    """Somebody an account wrote to."""

    account: Account
    who: Person
    recipient: str


class _Known:
    """What an account knows of one number. Times in epoch ms."""

    __slots__ = ("closed", "struck")

    def __init__(self) -> None:
        self.struck = 0  # since the last release
        self.closed: list[tuple[int, int]] = []  # from, until


class People:
    """Numbers that stand out: bounced, unsubscribed, suppressed, released."""

    def __init__(self, rng: Random, event: MakeEvent) -> None:
        self._rng = rng
        self._event = event
        self._known: dict[tuple[str, str], _Known] = {}
        self._hot: defaultdict[str, list[Person]] = defaultdict(list)
        self._shut: defaultdict[str, list[Person]] = defaultdict(list)

    def again(self, account: Account) -> Person | None:
        """Now and then somebody whose number bounced hard lately, or was suppressed."""
        hot, shut, rng = self._hot[account.name], self._shut[account.name], self._rng
        if shut and account.obeys < 1 and rng.random() < CARELESS * (1 - account.obeys):
            return rng.choice(shut)
        if not hot or rng.random() > WRITTEN_TO_AGAIN:
            return None
        place = rng.randrange(len(hot))
        return hot.pop(place) if rng.random() < 0.18 else hot[place]

    def is_closed(self, account: Account, recipient: str, at_ms: int) -> bool:
        """Whether a sender that looks at the list leaves this number out at that time."""
        known = self._known.get((account.name, recipient))
        return known is not None and any(
            begin + NOTICED_MS <= at_ms < end for begin, end in known.closed
        )

    def _of(self, contact: Contact) -> _Known:
        return self._known.setdefault((contact.account.name, contact.recipient), _Known())

    def _close(self, contact: Contact, begin_ms: int, end_ms: int) -> None:
        self._of(contact).closed.append((begin_ms, end_ms))
        self._shut[contact.account.name].append(contact.who)

    def bounced(self, contact: Contact, at_ms: int) -> Iterator[Event]:
        """A message bounced hard; support may release the number that this suppressed."""
        account, who, _ = contact
        rng, known, hot = self._rng, self._of(contact), self._hot[account.name]
        if len(hot) < _HOT and who not in hot and is_dead(who.person):
            hot.append(who)
        known.struck += 1
        limit = account.settings.get("strike_limit", 3)
        if known.struck != limit or not account.settings.get("suppress_hard_bounces", True):
            return
        released_at = NEVER_MS
        if rng.random() < 0.4:
            released_at = at_ms + int(rng.uniform(10 * MINUTE_MS, 16 * HOUR_MS))
            known.struck = 0
            hot += [who] * 2  # released to be written to, and still dead
            yield from self._ask(contact, "release", released_at, "number is reused")
        elif rng.random() < account.obeys:
            hot[:] = [other for other in hot if other != who]
        self._close(contact, at_ms, released_at)

    def unsubscribed(self, contact: Contact, at_ms: int) -> Iterator[Event]:
        """The recipient wants no more messages; some change their mind."""
        rng, back_at = self._rng, NEVER_MS
        luck = rng.random()
        if luck < 0.25:
            back_at = at_ms + int(rng.uniform(HOUR_MS, DAY_MS))
            yield from self._ask(contact, "resubscribe", back_at, "web form")
        elif luck < 0.30:  # at the very same moment: the cautious word wins
            yield from self._ask(contact, "resubscribe", at_ms, "double click")
        self._close(contact, at_ms, back_at)

    def decide(self, contact: Contact, sent_ms: int) -> Iterator[Event]:
        """Now and then a person suppresses a number, or notes an unsubscribe told elsewhere."""
        rng = self._rng
        luck = rng.random()
        if luck > 0.0016:
            return
        at = sent_ms + int(rng.uniform(MINUTE_MS, 6 * HOUR_MS))
        if luck < 0.0004:
            yield from self._ask(contact, "unsubscribe", at, "preference centre")
            yield from self.unsubscribed(contact, at)
            return
        until = NEVER_MS
        yield from self._ask(contact, "suppress", at, "complained by phone")
        if luck < 0.0009:
            until = at + int(rng.uniform(0, 12 * HOUR_MS)) * (luck > 0.0005)
            yield from self._ask(contact, "release", until, "was a mistake")
        self._close(contact, at, until)

    def _ask(self, contact: Contact, action: str, at_ms: int, why: str) -> Iterator[Event]:
        """The record of a decision; sometimes late, sometimes twice."""
        rng, (account, _, recipient) = self._rng, contact
        name = FIRST_NAMES[at_ms % len(FIRST_NAMES)]
        at_ms -= at_ms % 1000 if account.seconds_only else 0
        fields: Fields = {
            "account": account.name, "recipient": recipient, "action": action,
            "at": stamp(at_ms, account.zone, account.seconds_only),
            "who": f"{name}@{account.name}.example", "why": why,
        }  # fmt: skip
        if account.nulls and action == "suppress":
            del fields["who"]
        arrival = at_ms + rng.randint(50, 3000)
        if rng.random() < 0.06:
            arrival += int(rng.uniform(MINUTE_MS, 8 * HOUR_MS))
        event = self._event(arrival, REQUESTS, fields, action)
        yield event
        if rng.random() < 0.06:
            yield self._event(arrival + rng.uniform(100, HOUR_MS), REQUESTS, fields, "duplicate")
