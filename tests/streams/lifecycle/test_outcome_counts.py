"""What is counted of outcomes: each message once, when it becomes final, and no restored one."""

from collections import Counter
from itertools import groupby
from typing import Any

import pytest

from models.counters import COUNT_NAMES, OUTCOMES, Cells
from models.time import DAY_MS
from streams.common.plan import Count, Plan
from streams.lifecycle import shard as shard_module
from tests.streams.lifecycle.test_shard import OURS, T0, World, event, message_id_of
from tests.support.records import Record

FINISHED, FAILED = "receipts_finished_messages_total", "receipts_failure_codes_total"
RECEIPTS = "receipts_provider_receipts_total"
LATE = T0 + 4 * DAY_MS


def take(world: World, *records: Record, at: int = T0) -> list[Plan]:
    """Records in this order; those of one topic that follow each other are a batch."""
    batches = (list(batch) for _, batch in groupby(records, key=lambda record: record.topic))
    return [world.take(*batch, at=at) for batch in batches]


def of(name: str, *plans: list[Plan]) -> dict[tuple[str, ...], int]:
    """What plans count of one metric, by its labels."""
    counts: Counter[Count] = sum((plan.counts for each in plans for plan in each), Counter())
    return {count[1:]: number for count, number in counts.items() if count[0] == name}


def sent(message_id: str = OURS, **fields: Any) -> Any:
    return event("sends", message_id, **({"provider": "p1"} | fields))


def received(status: str, message_id: str = OURS, **fields: Any) -> Any:
    return event("receipts", message_id, status=status, **fields)


def test_every_count_has_an_outcome_or_is_pending() -> None:
    named = dict(zip(COUNT_NAMES, OUTCOMES, strict=False))
    assert named == {
        "submitted": "",
        "queued": "",
        "delivered": "delivered",
        "read": "delivered",
        "undelivered_soft": "undelivered",
        "undelivered_hard": "undelivered",
        "expired": "expired",
        "rejected": "rejected",
        "deleted": "deleted",
    }


@pytest.mark.parametrize(
    ("status", "fields", "outcome", "code"),
    [
        ("delivered", {}, "delivered", None),
        ("read", {}, "delivered", None),
        ("undelivered", {"error_code": "27"}, "undelivered", "27"),
        ("rejected", {}, "rejected", ""),
        ("deleted", {"error_code": "x"}, "deleted", "x"),
    ],
)
def test_a_final_message_is_counted_by_provider_country_and_outcome(
    status: str, fields: dict[str, str], outcome: str, code: str | None
) -> None:
    world = World()
    first = take(world, sent(), received("queued"))
    assert of(FINISHED, first) == {}
    last = take(world, received(status, **fields))
    assert of(FINISHED, last) == {("p1", "SE", outcome): 1}
    assert of(FAILED, last) == ({} if code is None else {("p1", code): 1})


def test_only_the_first_final_outcome_counts() -> None:
    world = World()
    take(world, sent(), received("undelivered", error_code="1"))
    again = take(world, received("undelivered", error_code="1"))
    changed = take(world, received("delivered"), received("read"))
    assert of(FINISHED, again, changed) == of(FAILED, again, changed) == {}


def test_a_restored_message_does_not_count_again() -> None:
    world = World()
    final, pending = OURS, message_id_of(1, start=500)
    take(world, sent(), received("delivered"), sent(pending))
    world.restart(2)
    ticked, replay = list(world.shard.tick(T0)), take(world, sent(), received("delivered"))
    assert of(FINISHED, ticked, replay) == {}
    assert of(FINISHED, take(world, received("read", final), received("rejected", pending))) == {
        ("p1", "SE", "rejected"): 1
    }


def test_states_merged_by_a_restore_do_not_count_again() -> None:
    world = World()
    take(world, sent(), received("delivered"))
    world.restart(2)
    assert of(FINISHED, list(world.shard.amend(list(world.states)))) == {}


def test_an_expired_message_counts_once_and_not_when_it_is_delivered_late() -> None:
    world = World()
    take(world, sent())
    expired = [world.deliver(plan) for plan in world.shard.tick(LATE)]
    assert of(FINISHED, expired) == {("p1", "SE", "expired"): 1}
    assert of(FAILED, expired) == {("p1", ""): 1}
    late = take(world, received("delivered", at=LATE), at=LATE)
    assert of(FINISHED, late) == {}


def test_a_retry_does_not_count_its_message_again() -> None:
    world = World()
    first = take(world, sent(), received("undelivered", error_code="1", attempt=1))
    assert of(FINISHED, first) == {("p1", "SE", "undelivered"): 1}
    retried = take(world, sent(attempt=2, provider="p2", sent_at=T0 + 1, first_sent_at=T0))
    delivered = take(world, received("delivered", attempt=2, at=T0 + 2))
    assert of(FINISHED, retried, delivered) == {}


def test_two_attempts_without_an_outcome_count_when_there_is_one() -> None:
    world = World()
    take(world, sent(), sent(attempt=2, provider="p2", sent_at=T0 + 1, first_sent_at=T0))
    delivered = take(world, received("delivered", attempt=2, at=T0 + 2))
    assert of(FINISHED, delivered) == {("p2", "SE", "delivered"): 1}


def test_receipts_before_their_send_count_with_it() -> None:
    world = World()
    orphan = take(world, received("rejected", error_code="9"))
    assert of(FINISHED, orphan) == of(FAILED, orphan) == {}
    known = take(world, sent())
    assert of(FINISHED, known) == {("p1", "SE", "rejected"): 1}
    assert of(FAILED, known) == {("p1", "9"): 1}


def test_an_inbound_message_has_no_outcome() -> None:
    world = World()
    assert of(FINISHED, take(world, sent(direction="inbound"), received("delivered"))) == {}


def test_nothing_of_a_rule_that_raised_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(*_: object) -> None:
        raise ZeroDivisionError

    world = World()
    take(world, sent())
    monkeypatch.setattr(shard_module, "annotate", raising)
    plan = take(world, received("delivered", provider="p7"))
    assert of(FINISHED, plan) == of(RECEIPTS, plan) == {}


def test_each_receipt_counts_for_its_provider_else_for_that_of_its_send() -> None:
    world = World()
    plan = take(world, received("queued"), received("queued", provider="p7"))
    assert of(RECEIPTS, plan) == {("",): 1, ("p7",): 1}
    take(world, sent())
    again = take(world, received("delivered"), received("delivered"), received("read"))
    assert of(RECEIPTS, again) == {("p1",): 3}
    assert of("receipts_events_total", plan, again) == {
        ("receipts", "queued"): 2,
        ("receipts", "delivered"): 2,
        ("receipts", "read"): 1,
    }


def pending(cells: Cells) -> Counter[int]:
    return sum(cells.pending(), Counter[int]())


def test_pending_messages_are_counted_by_the_hour_of_their_first_send() -> None:
    world, hour = World(), T0 - T0 % 3_600_000
    others = [message_id_of(1, start) for start in (100, 200, 300)]
    take(world, sent(), sent(others[0], campaign_id="c"), sent(others[1], sent_at=T0 - 7_200_000))
    take(world, sent(others[2]), received("delivered", others[2]))
    assert pending(world.shard.cells) == {hour: 2, hour - 7_200_000: 1}
    take(world, received("queued"), received("rejected", others[0]))
    assert pending(world.shard.cells) == {hour: 1, hour - 7_200_000: 1}
    for plan in world.shard.tick(LATE):
        world.deliver(plan)
    assert pending(world.shard.cells) == {}, "expired"
