"""What senders and support staff know about recipients, and what they do: sends, requests.

Only a rough picture, as real senders have it. The oracle computes the exact status.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from deploy.simulator.event import ENGAGEMENTS, REQUESTS, Event
from deploy.simulator.traffic.encoding import Fields, stamp
from deploy.simulator.traffic.phones import is_dead
from deploy.simulator.traffic.profiles import (
    CARELESS_SHARE,
    FIRST_NAMES,
    KNOWN_BOUNCING_SHARE,
    Account,
)

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
LIST_DELAY_MS = 30_000  # delay until a sender knows a suppression
NEVER_MS = 1 << 62
_MAX_BOUNCING = 4  # bouncing recipients that an account keeps writing to

MakeEvent = Callable[[float, str, Fields, str], Event]


class Person(NamedTuple):
    """A person in the address book of an account."""

    country: str
    person: int


class Contact(NamedTuple):
    """A person that an account wrote to."""

    account: Account
    who: Person
    recipient: str


class _SenderKnowledge:
    """What an account knows about one recipient. Times in epoch ms."""

    __slots__ = ("strikes", "suppressed")

    def __init__(self) -> None:
        self.strikes = 0  # since the last release
        self.suppressed: list[tuple[int, int]] = []  # from, until


class Recipients:
    """Recipients with a history: bounced, unsubscribed, suppressed, released."""

    def __init__(self, rng: Random, event: MakeEvent) -> None:
        self._rng = rng
        self._event = event
        self._known: dict[tuple[str, Person], _SenderKnowledge] = {}
        self._bouncing: defaultdict[str, list[Person]] = defaultdict(list)
        self._suppressed: defaultdict[str, list[Person]] = defaultdict(list)

    def pick_known(self, account: Account) -> Person | None:
        """Sometimes a recipient that bounced hard lately or was suppressed; mostly None."""
        bouncing, suppressed = self._bouncing[account.name], self._suppressed[account.name]
        rng, careless = self._rng, CARELESS_SHARE * (1 - account.list_use)
        if suppressed and account.list_use < 1 and rng.random() < careless:
            return rng.choice(suppressed)
        if not bouncing or rng.random() > KNOWN_BOUNCING_SHARE:
            return None
        place = rng.randrange(len(bouncing))
        return bouncing.pop(place) if rng.random() < 0.18 else bouncing[place]

    def is_suppressed(self, account: Account, who: Person, at_ms: int) -> bool:
        """Whether a sender that uses the list of suppressed recipients skips this one then."""
        known = self._known.get((account.name, who))
        return known is not None and any(
            begin + LIST_DELAY_MS <= at_ms < end for begin, end in known.suppressed
        )

    def _of(self, contact: Contact) -> _SenderKnowledge:
        return self._known.setdefault((contact.account.name, contact.who), _SenderKnowledge())

    def _suppress(self, contact: Contact, begin_ms: int, end_ms: int) -> None:
        self._of(contact).suppressed.append((begin_ms, end_ms))
        self._suppressed[contact.account.name].append(contact.who)

    def on_bounce(self, contact: Contact, at_ms: int) -> Iterator[Event]:
        """A hard bounce; after a suppression support staff may release the recipient."""
        account, who, _ = contact
        rng, known, bouncing = self._rng, self._of(contact), self._bouncing[account.name]
        if len(bouncing) < _MAX_BOUNCING and who not in bouncing and is_dead(who.person):
            bouncing.append(who)
        known.strikes += 1
        limit = account.settings.get("strike_limit", 3)
        if known.strikes != limit or not account.settings.get("suppress_hard_bounces", True):
            return
        released_at = NEVER_MS
        if rng.random() < 0.4:
            released_at = at_ms + int(rng.uniform(10 * MINUTE_MS, 16 * HOUR_MS))
            known.strikes = 0
            bouncing += [who] * 2  # released, written to again, and still dead
            yield from self._request(contact, "release", released_at, "number is reused")
        elif rng.random() < account.list_use:
            bouncing[:] = [other for other in bouncing if other != who]
        self._suppress(contact, at_ms, released_at)

    def on_unsubscribe(self, contact: Contact, at_ms: int) -> Iterator[Event]:
        """An unsubscribe; some recipients resubscribe."""
        rng, back_at = self._rng, NEVER_MS
        luck = rng.random()
        if luck < 0.25:
            back_at = at_ms + int(rng.uniform(HOUR_MS, DAY_MS))
            if luck < 0.12:
                yield self._start(contact, back_at)
            else:
                yield from self._request(contact, "resubscribe", back_at, "web form")
        elif luck < 0.30:  # at the same time: the unsubscribe wins
            yield from self._request(contact, "resubscribe", at_ms, "double click")
        self._suppress(contact, at_ms, back_at)

    def on_send(self, contact: Contact, sent_ms: int) -> Iterator[Event]:
        """Sometimes staff suppress the recipient or record an unsubscribe."""
        rng = self._rng
        luck = rng.random()
        if luck > 0.0016:
            return
        at = sent_ms + int(rng.uniform(MINUTE_MS, 6 * HOUR_MS))
        if luck < 0.0004:
            yield from self._request(contact, "unsubscribe", at, "preference centre")
            yield from self.on_unsubscribe(contact, at)
            return
        until = NEVER_MS
        yield from self._request(contact, "suppress", at, "complained by phone")
        if luck < 0.0009:
            until = at + int(rng.uniform(0, 12 * HOUR_MS)) * (luck > 0.0005)
            yield from self._request(contact, "release", until, "was a mistake")
        self._suppress(contact, at, until)

    def _start(self, contact: Contact, at_ms: int) -> Event:
        """A START: the recipient subscribes again."""
        rng, (account, who, recipient) = self._rng, contact
        fields: Fields = {
            "account": account.name, "event_id": f"start/{at_ms}-{who.country}{who.person}",
            "type": "resubscribe", "occurred_at": stamp(at_ms, "Z"), "recipient": recipient,
        }  # fmt: skip
        if rng.random() < 0.2:
            fields["channel"] = rng.choice(("sms", "whatsapp"))
        return self._event(at_ms + rng.randint(50, 3000), ENGAGEMENTS, fields, "resubscribe")

    def _request(self, contact: Contact, action: str, at_ms: int, why: str) -> Iterator[Event]:
        """The record of a request; sometimes late, sometimes twice."""
        rng, (account, _, recipient) = self._rng, contact
        name = FIRST_NAMES[at_ms % len(FIRST_NAMES)]
        at_ms -= at_ms % 1000 if account.seconds_only else 0
        fields: Fields = {
            "account": account.name, "recipient": recipient, "action": action,
            "at": stamp(at_ms, account.zone, account.seconds_only),
            "who": f"{name}@{account.name}.example", "why": why,
        }  # fmt: skip
        if rng.random() < (0.05 if action == "release" else 0.25):
            fields["channel"] = rng.choice(("sms", "whatsapp"))
        if account.nulls and action == "suppress":
            del fields["who"]
        arrival = at_ms + rng.randint(50, 3000)
        if rng.random() < 0.06:
            arrival += int(rng.uniform(MINUTE_MS, 8 * HOUR_MS))
        event = self._event(arrival, REQUESTS, fields, action)
        yield event
        if rng.random() < 0.06:
            yield self._event(arrival + rng.uniform(100, HOUR_MS), REQUESTS, fields, "duplicate")
