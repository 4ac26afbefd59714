"""Records that nobody can read fill no log: a few lines for many of them."""

import asyncio
import logging
from typing import Any

import pytest

from models.refusal import Reason, Refusal
from models.settings import Settings
from streams.common.delivery import Delivery
from streams.common.plan import DeadLetter
from streams.common.reporting import FIRST_LINES, SteppedOver
from streams.kafka.reading import Place
from tests.support.fakes import Meter
from tests.support.records import record


class Sender:
    """Takes everything and keeps nothing."""

    async def send_many(self, *_: object) -> None:
        pass


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [entry.getMessage() for entry in caplog.records]


def test_unreadable_records_of_a_plan_are_a_line_for_each_partition_of_a_topic(
    caplog: pytest.LogCaptureFixture,
) -> None:
    places = [("sends", 1)] * 2_000 + [("receipts", 1)] + [("sends", 2)] * 3
    refusal = Refusal(Reason.UNREADABLE, "header 1: its name is not UTF-8")
    letters = [
        DeadLetter(record(topic, b"k", b"v", 0, partition=n, offset=offset), refusal)
        for offset, (topic, n) in enumerate(places)
    ]
    letters.append(DeadLetter(record("sends", b"k", b"v", 0), Refusal(Reason.EMPTY, "value")))
    unused: Any = None
    sender: Any = Sender()
    meter = Meter()
    delivery = Delivery(sender, meter, Settings(), unused)
    asyncio.run(delivery._produce_dead_letters(1, letters))
    said = refusal.detail
    assert lines(caplog) == [
        f"topic sends, partition 1, offset 0: {said} (the first of 2000 records)",
        f"topic receipts, partition 1, offset 2000: {said}",
        f"topic sends, partition 2, offset 2001: {said} (the first of 3 records)",
    ]


def test_what_is_stepped_over_is_logged_a_few_times_then_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    now = [0.0]
    log = SteppedOver(lambda: now[0])
    for second in range(121):
        now[0] = second
        log.report(Place("message-states", 0, second), "f" * 1_000_000)
    found = lines(caplog)
    assert len(found) == FIRST_LINES + 1
    assert found[0].startswith("topic message-states, partition 0, offset 0: stepped over, it ")
    assert found[4].endswith("; more of this topic are logged once a minute")
    assert found[5].endswith(" (and 59 more of this topic since the last line)")
    assert max(map(len, found)) < 1_300
    log.report(Place("suppressions", 0, None, b"k" * 1_000_000), "fault")
    assert len(lines(caplog)[-1]) < 1_300


def test_the_limit_holds_for_each_topic(caplog: pytest.LogCaptureFixture) -> None:
    log = SteppedOver(lambda: 0.0)
    topics = ["message-states", "suppressions", "accounts"]
    for topic in topics:
        for offset in range(100):
            log.report(Place(topic, 0, offset), "fault")
    assert [sum(f"topic {t}," in line for line in lines(caplog)) for t in topics] == [5, 5, 5]
