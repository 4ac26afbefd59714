"""What `receipts replay-callbacks` counts before it does anything."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from deploy.cli.callbacks import reading_in_short
from deploy.cli.replay import preview_lines
from deploy.cli.replay_preview import Preview, preview_of
from deploy.kafka.callbacks_client import KeptCallback, Position
from models import reading
from models.callbacks import RawCallback
from models.correlation import ReceivedReceipt
from models.endpoints import EndpointsFile
from models.replays import Change, Effect
from tests.deploy.test_callbacks_cli import statuses
from tests.support.correlation_world import endpoints

INBOUND = (
    b'{"entry": [{"changes": [{"field": "messages", "value": {"messages": ['
    b'{"id": "w2", "from": "447700900321", "type": "text", "text": {"body": "STOP"}}]}}]}]}'
)
BODIES = (
    statuses(("w1", "sent"), ("w1", "read")),
    statuses(("w1", "read"), ("", "read")),
    INBOUND,
    b"{",
    b'{"entry": []}',
)


async def _kept() -> AsyncIterator[KeptCallback]:
    for number, body in enumerate(BODIES):
        yield KeptCallback(Position(0, number), RawCallback(body, "meta"), None)


def counted() -> Preview:
    return asyncio.run(preview_of(_kept(), endpoints()["meta"], None))


def test_an_item_that_a_rule_raises_on_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(*_: Any) -> ReceivedReceipt:
        raise ZeroDivisionError

    monkeypatch.setattr(reading, "received", raising)
    found = counted()
    assert (found.callbacks, found.refused, found.empty) == (1, 3, 1)
    kept = KeptCallback(Position(0, 0), RawCallback(BODIES[0], "meta"), None)
    file = EndpointsFile(endpoints())
    assert reading_in_short(kept, file) == "; ".join(["refused: ZeroDivisionError()"] * 2)


def test_callbacks_that_lead_to_nothing_are_left_out() -> None:
    found = counted()
    assert (found.callbacks, found.partly, found.refused, found.empty) == (3, 1, 1, 1)
    assert found.items == {"read": 2, "sent": 1, "inbound": 1}


def test_the_preview_has_a_line_for_each_kind() -> None:
    lines = [" ".join(line.split()) for line in preview_lines(counted(), "ClickHouse is away")]
    assert lines == [
        "3 callbacks can be read",
        "1 cannot: they are left out",
        "1 have neither receipts nor messages: they are left out",
        "1 can be read in part: each is another dead letter",
        "2 read",
        "1 inbound",
        "1 sent",
        "not compared with ClickHouse: ClickHouse is away",
    ]


def test_changes_are_shown_by_their_effect() -> None:
    found = Preview()
    found.changes.update([Change(Effect.REFUSED, "", "read"), Change(Effect.SAME, "read", "read")])
    found.changes.update([Change(Effect.ELSEWHERE, "read", "delivered")] * 1_200)
    lines = [" ".join(line.split()) for line in preview_lines(found, "")]
    assert lines[1:] == [
        "1 receipts: as before",
        "1,200 receipts: of another message now; the one that has the earlier reading keeps it",
        "1,200 read → delivered",
        "1 receipts: no valid events: each is a dead letter of the topic receipts",
    ]
