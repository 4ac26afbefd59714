"""When messages are sent: daily rhythm and bursts of campaigns, slot by slot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import cos, pi
from random import Random
from typing import NamedTuple

from deploy.simulator.traffic.profiles import ACCOUNTS, Account

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MAX_SPAN_MS = 8 * DAY_MS  # two days of margin below the 10 days of retention
SLOTS = 1440


@dataclass(frozen=True, slots=True)
class Shape:
    """Distribution of traffic over time.

    span_ms: how far before `as_of_ms` the first message is sent (at most 8 days).
    campaign_share: share of messages that belong to campaigns.
    campaign_ms: shortest and longest time one campaign sends for.
    """

    name: str
    span_ms: int
    campaign_share: float
    campaign_ms: tuple[int, int]

    def __post_init__(self) -> None:
        if not 60_000 <= self.span_ms <= MAX_SPAN_MS:
            raise ValueError(f"span_ms: {self.span_ms} is not within one minute and 8 days")


SHAPES = {
    "days": Shape("days", int(4.5 * DAY_MS), 0.40, (20 * 60_000, 4 * HOUR_MS)),
    "hour": Shape("hour", HOUR_MS, 0.40, (3 * 60_000, 20 * 60_000)),
    "burst": Shape("burst", 6 * HOUR_MS, 0.85, (10 * 60_000, 30 * 60_000)),
}


class Campaign(NamedTuple):
    """One campaign: who sends it, when, and its weight among all campaign messages."""

    campaign_id: str
    account: Account
    start_ms: int
    end_ms: int
    weight: float


class PlannedMessage(NamedTuple):
    """One message to send: its time and campaign (None: another source)."""

    sent_ms: int
    campaign: Campaign | None


def plan_campaigns(rng: Random, shape: Shape, seed: int, messages: int, start_ms: int) -> list[
    Campaign
]:  # fmt: skip
    """Campaigns in order of their start; a few big ones and many small ones."""
    count = max(6, min(400, messages // 1500))
    owners = [a for a in ACCOUNTS if "campaign" in a.sources.names]
    return sorted(
        (_campaign(rng, shape, seed, n, start_ms, owners) for n in range(count)),
        key=lambda c: c.start_ms,
    )


def _campaign(
    rng: Random, shape: Shape, seed: int, n: int, start_ms: int, owners: list[Account]
) -> Campaign:
    owner = rng.choices(owners, [a.share for a in owners])[0]
    length = min(rng.randint(*shape.campaign_ms), shape.span_ms // 2)
    begin = start_ms + rng.randrange(shape.span_ms - length)
    name = f"c{seed:x}{'/' if n % 7 == 3 else '-'}{n:04d}"
    return Campaign(name, owner, begin, begin + length, 1 / (n + 1) ** 0.8)


def plan_messages(
    rng: Random, shape: Shape, messages: int, start_ms: int, campaigns: list[Campaign]
) -> Iterator[PlannedMessage]:
    """About `messages` messages in order of `sent_ms`; holds one slot in memory."""
    slot_ms = shape.span_ms / SLOTS
    loose = _rhythm(shape, start_ms, slot_ms, messages * (1 - shape.campaign_share))
    total = sum(c.weight for c in campaigns)
    bulk = messages * shape.campaign_share / total
    for slot in range(SLOTS):
        begin, end = start_ms + int(slot * slot_ms), start_ms + int((slot + 1) * slot_ms)
        due = [
            PlannedMessage(rng.randrange(begin, end), None)
            for _ in range(_rounded(rng, loose[slot]))
        ]
        for campaign in campaigns:
            low, high = max(begin, campaign.start_ms), min(end, campaign.end_ms)
            if low < high:
                part = (high - low) / (campaign.end_ms - campaign.start_ms)
                count = _rounded(rng, bulk * campaign.weight * part)
                due += [PlannedMessage(rng.randrange(low, high), campaign) for _ in range(count)]
        due.sort(key=_sent_ms)
        yield from due


def _sent_ms(planned: PlannedMessage) -> int:
    return planned.sent_ms


def _rhythm(shape: Shape, start_ms: int, slot_ms: float, messages: float) -> list[float]:
    """Messages in each slot: most at noon UTC, few at night."""
    weights = [
        1.25 - cos(2 * pi * ((start_ms + (slot + 0.5) * slot_ms) % DAY_MS) / DAY_MS)
        for slot in range(SLOTS)
    ]
    scale = messages / sum(weights)
    return [weight * scale for weight in weights]


def _rounded(rng: Random, value: float) -> int:
    """`value` rounded up or down at random, so that the mean stays."""
    whole = int(value)
    return whole + (rng.random() < value - whole)
