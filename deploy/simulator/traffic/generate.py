"""Seeded, realistic traffic: all events of an installation in order of arrival."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import accumulate, islice
from random import Random
from zlib import crc32

from deploy.simulator.event import ACCOUNTS as SETTINGS
from deploy.simulator.event import CAMPAIGNS, COMPACTED, Event
from deploy.simulator.traffic.corruption import Corrupter
from deploy.simulator.traffic.encoding import Fields, stamp, to_json
from deploy.simulator.traffic.load_profiles import (
    SHAPES,
    Campaign,
    PlannedMessage,
    Shape,
    plan_campaigns,
    plan_messages,
)
from deploy.simulator.traffic.message_flow import MessageFlow
from deploy.simulator.traffic.profiles import ACCOUNTS, FIRST_NAMES, TEXTS, Account

CALM_MS = 4 * 3_600_000  # shorter traffic would have no soft bounces
CORRUPTED_SHARE = 0.005
MISROUTED_SHARE = 0.0006
EVENTS_PER_MESSAGE = {
    "days": 3.28,
    "hour": 3.05,
    "burst": 3.27,
}  # measured, corrupted ones included
_SHARES = list(accumulate(account.share for account in ACCOUNTS))


def generate(
    seed: int, events: int, as_of_ms: int, shape: Shape = SHAPES["days"]
) -> Iterator[Event]:
    """Exactly `events` events in order of arrival, none later than `as_of_ms`.

    The same arguments give the same events, byte for byte. Everything lies within
    `shape.span_ms` before `as_of_ms`; later events are left out. Memory holds only events that have
    not arrived yet. Raises ValueError for a negative number of events.
    """
    if events < 0:
        raise ValueError(f"events: {events} is negative; give 0 or more")
    rng = Random(seed)
    flow = MessageFlow(rng, seed, as_of_ms, calm=shape.span_ms > CALM_MS)
    faulty = _with_faults(_by_arrival(rng, flow, seed, events, as_of_ms, shape), rng, flow)
    yield from islice(faulty, events)


def _by_arrival(
    rng: Random, flow: MessageFlow, seed: int, events: int, as_of_ms: int, shape: Shape
) -> Iterator[Event]:
    """Events of all messages and campaigns, merged by arrival; never ends before `events`."""
    start_ms = as_of_ms - shape.span_ms
    per_message = EVENTS_PER_MESSAGE.get(shape.name, 3.0)
    count = int(events / per_message * 1.002 + (events / per_message) ** 0.5) + 1
    campaigns = plan_campaigns(rng, shape, seed, count, start_ms)
    due = plan_messages(rng, shape, count, start_ms, campaigns)
    waiting = [e for c in campaigns for e in _campaign_events(c, flow) if e[0] <= as_of_ms]
    waiting += _settings_events(flow, start_ms)
    heapify(waiting)
    for message in due:
        while waiting and waiting[0].arrival_ms < message.sent_ms:
            yield heappop(waiting)
        owner = message.campaign.account if message.campaign else _owner(rng)
        for event in flow.events_of(message, owner):
            heappush(waiting, event)
    while waiting:
        yield heappop(waiting)
    # Too few messages were planned: fill up at the last moment.
    while True:
        for event in flow.events_of(PlannedMessage(as_of_ms - 1000, None), _owner(rng)):
            yield event._replace(arrival_ms=as_of_ms)


def _owner(rng: Random) -> Account:
    return rng.choices(ACCOUNTS, cum_weights=_SHARES)[0]


def _with_faults(events: Iterator[Event], rng: Random, flow: MessageFlow) -> Iterator[Event]:
    """Misroutes some events and adds corrupted ones."""
    corrupter = Corrupter(rng)
    keys = _RecentKeys()
    for event in events:
        corrupter.remember(event)
        luck = rng.random()
        if luck < MISROUTED_SHARE and event.kind not in COMPACTED:
            yield _misrouted(event, rng, keys.older)
        else:
            yield event
        if luck > 1 - CORRUPTED_SHARE / (1 - CORRUPTED_SHARE):
            corrupted = corrupter.next_corrupted(event.arrival_ms, next(flow.sequence))
            if corrupted is not None:
                yield corrupted
        keys.add(event.key)


class _RecentKeys:
    """The key of an earlier event, for misrouted records with the key of another message."""

    def __init__(self) -> None:
        self.older: bytes | None = b"nobody/nothing"
        self._count = 0

    def add(self, key: bytes | None) -> None:
        self._count += 1
        if self._count % 97 == 0:
            self.older = key


def _misrouted(event: Event, rng: Random, other: bytes | None) -> Event:
    """A valid record without a key, with a wrong key, or in the wrong partition."""
    luck = rng.random()
    if luck < 0.3:
        return event._replace(key=None, shift=rng.randrange(64), note="misrouted:no_key")
    if luck < 0.5:
        return event._replace(key=other, note="misrouted:wrong_key")
    if luck < 0.6:
        return event._replace(key=b"\xff\x00not text", note="misrouted:binary_key")
    return event._replace(shift=1, note="misrouted:wrong_partition")


def _campaign_events(campaign: Campaign, flow: MessageFlow) -> Iterator[Event]:
    """Records of a campaign: drafted, sending, finished (the topic is compacted)."""
    name, account = campaign.campaign_id, campaign.account
    zone, luck = account.zone, crc32(name.encode())
    draft = campaign.start_ms - 60_000
    for status, at in (
        ("draft", draft), ("sending", campaign.start_ms), ("finished", campaign.end_ms),
    ):  # fmt: skip
        fields: Fields = {
            "account": account.name, "campaign_id": name, "name": f"Campaign {name}",
            "status": status, "updated_at": stamp(at, zone), "created_at": stamp(draft, zone),
            "message_type": "campaign", "text": TEXTS["campaign"][luck % 4],
            "creator": f"{FIRST_NAMES[luck % 3]}@{account.name}.example",
            "method": "broadcast" if luck % 2 else "targeted",
            "target_audience": 1000 + luck % 9000, "audience": "opted in, last 90 days",
        }  # fmt: skip
        if status != "draft":
            fields["started_at"] = stamp(campaign.start_ms, zone)
            fields["last_modified_by"] = f"{FIRST_NAMES[luck % 5]}@{account.name}.example"
        if status == "finished":
            fields["ended_at"] = stamp(at, zone)
        key = f"{account.name}/{name}".encode()
        seq = next(flow.sequence)
        yield Event(at + 200, seq, CAMPAIGNS, key, to_json(fields), status)


def _settings_events(flow: MessageFlow, start_ms: int) -> Iterator[Event]:
    """Settings of accounts, before their traffic. The last record of an account counts.

    The first one has the same rules: it may come in the middle of the traffic of another run.
    """
    for account in ACCOUNTS:
        if account.settings:
            first: Fields = {"account": account.name, **account.settings, "time_zone": "Asia/Tokyo"}
            yield flow.event(start_ms - 50_000, SETTINGS, first, "superseded")
            at = start_ms - 40_000
            fields: Fields = {"account": account.name, "updated_at": stamp(at, account.zone),
                              **account.settings, "plan": "enterprise"}  # fmt: skip
            yield flow.event(at, SETTINGS, fields, "settings")
