"""What a replay promises to change is what the shard of messages makes of it."""

from itertools import product
from typing import Any

import pytest

from models.accounts import AccountSettings
from models.contract import Receipt
from models.replays import Change, Effect, compared, compared_meaning, earlier_of, receipt_of
from tests.streams.lifecycle.test_shard import OURS, T0, World, event

#: Readings of one receipt, by the word that its message is counted under.
READINGS: dict[str, dict[str, Any]] = {
    "unknown": {"status": "unknown"},
    "submitted": {"status": "submitted"},
    "queued": {"status": "queued"},
    "undelivered_soft": {"status": "undelivered", "bounce": "soft"},
    "undelivered_hard": {"status": "undelivered", "bounce": "hard", "scope": "network"},
    "rejected": {"status": "rejected", "bounce": "hard", "scope": "content"},
    "deleted": {"status": "deleted"},
    "delivered": {"status": "delivered"},
    "read": {"status": "read"},
}
#: A message of which nothing is known is submitted, so this change cannot be seen.
PAIRS = [pair for pair in product(READINGS, READINGS) if pair != ("submitted", "unknown")]
#: Of equal rank the bytes decide: none of them is promised.
SAME_RANK = {"undelivered_hard", "rejected", "deleted"}


def reading(**fields: Any) -> Receipt:
    found = receipt_of(
        {"account": "acme", "message_id": OURS, "occurred_at": T0, "provider": "twilio", **fields}
    )
    assert found is not None
    return found


def outcome(*readings: dict[str, Any]) -> str:
    """As what the message is counted, by the shard."""
    world = World()
    world.take(event("sends", provider="twilio"))
    for fields in readings:
        world.take(event("receipts", provider="twilio", **fields))
    row = world.row()
    return f"{row.status}_{row.bounce}" if row.status == "undelivered" else str(row.status)


@pytest.mark.parametrize(("before", "now"), PAIRS)
def test_the_promise_is_what_the_shard_does(before: str, now: str) -> None:
    change = compared(reading(**READINGS[now]), [reading(**READINGS[before])])
    if before == now:
        assert change == Change(Effect.SAME, now, now)
        return
    assert (change.before, change.now) == (before, now)
    alone, both = outcome(READINGS[now]), outcome(READINGS[before], READINGS[now])
    assert (change.effect is Effect.WINS) == (both == alone)
    if change.effect is not Effect.WINS:
        assert change.effect is Effect.STAYS
        assert both == outcome(READINGS[before])


def test_what_can_be_mended_and_what_cannot() -> None:
    """As docs/semantics.md has it."""
    wins = {
        (before, now)
        for before, now in product(READINGS, READINGS)
        if compared(reading(**READINGS[now]), [reading(**READINGS[before])]).effect is Effect.WINS
        and not {before, now} <= SAME_RANK
    }
    by_rank = [{"unknown"}, {"submitted"}, {"queued"}, {"undelivered_soft"}, SAME_RANK,
               {"delivered"}, {"read"}]  # fmt: skip
    promised = {
        (before, now)
        for low, lower in enumerate(by_rank)
        for higher in by_rank[low + 1 :]
        for before, now in product(lower, higher)
    }
    assert wins == promised


@pytest.mark.parametrize(
    ("status", "was", "now", "effect"),
    [
        ("delivered", T0, T0 - 3_600_000, Effect.WINS),
        ("delivered", T0 - 3_600_000, T0, Effect.STAYS),
        ("undelivered", T0 - 3_600_000, T0, Effect.WINS),
        ("undelivered", T0, T0 - 3_600_000, Effect.STAYS),
    ],
)
def test_another_time_counts_where_the_rules_take_it(
    status: str, was: int, now: int, effect: Effect
) -> None:
    """The first delivery counts, and the last failure."""
    before, after = (reading(status=status, occurred_at=at) for at in (was, now))
    assert compared(after, [before]).effect is effect
    world = World()
    world.take(event("sends", sent_at=T0 - 7_200_000))
    for at in (was, now):
        world.take(event("receipts", status=status, provider="twilio", occurred_at=at))
    row = world.row()
    shown = row.delivered_at if status == "delivered" else row.finalized_at
    assert (shown == now) == (effect is Effect.WINS)


def test_a_reading_that_was_replayed_before_is_not_new() -> None:
    wrong, right = reading(status="unknown"), reading(status="delivered")
    assert compared(right, [wrong, right]).effect is Effect.SAME
    assert compared(wrong, [wrong, right]).effect is Effect.SAME


def test_what_was_refused_is_new_and_another_message_keeps_what_it_has() -> None:
    now = reading(status="delivered")
    assert compared(now, []) == Change(Effect.NEW, "", "delivered")
    elsewhere = reading(status="read", message_id="m-other")
    assert compared(now, [elsewhere]) == Change(Effect.ELSEWHERE, "read", "delivered")


@pytest.mark.parametrize(
    ("outcome", "effect"),
    [
        ("undelivered_soft", Effect.WINS),
        ("undelivered_hard", Effect.SAME),
        ("rejected", Effect.STAYS),
        ("", Effect.SAME),
        ("delivered", Effect.SAME),
    ],
)
def test_an_equal_receipt_whose_code_means_something_else(outcome: str, effect: Effect) -> None:
    """30005 is an unknown subscriber."""
    equal = reading(status="undelivered", error_code="30005")
    assert compared_meaning(equal, outcome, None).effect is effect


def test_meanings_of_the_account_are_its_own() -> None:
    codes = {"twilio:30005": {"bounce": "soft"}}
    settings = AccountSettings.model_validate({"account": "acme", "codes": codes})
    equal = reading(status="undelivered", error_code="30005")
    assert compared_meaning(equal, "undelivered_soft", settings).effect is Effect.SAME


def test_earlier_readings_are_found_by_id_else_by_message() -> None:
    one = reading(status="read", provider_message_id="SM1")
    other = reading(status="read", provider_message_id="SM2", message_id="m2")
    assert earlier_of([one, other], "SM2", "") == [other]
    assert earlier_of([one, other], "", OURS) == [one]
