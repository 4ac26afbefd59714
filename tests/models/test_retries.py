"""When a message that bounced softly is due again, one row a rule."""

from typing import Any

import pytest

from models.accounts import AccountSettings
from models.contract import Receipt, Send
from models.retries import (
    RetryRequest,
    next_attempt,
    next_timer_at,
    retry_decision,
    retry_due_at,
    retry_request,
)
from tests.models.test_message_row import DEADLINE, HOUR, MINUTE, T0, make_receipt, sent, state_of


def clock(hours_minutes: str) -> int:
    """The moment so many hours and minutes after the first send."""
    hours, minutes = hours_minutes.split(":")
    return T0 + int(hours) * HOUR + int(minutes) * MINUTE


def soft(at: str, attempt: int = 1) -> Receipt:
    return make_receipt("undelivered", (clock(at) - T0) // MINUTE, attempt)


def settings(**fields: Any) -> AccountSettings:
    return AccountSettings(account="acme", **fields)


@pytest.mark.parametrize(
    ("bounced", "due"),
    [
        ("0:10", "1:00"),
        ("0:50", "1:00"),
        ("0:59", "1:00"),
        ("1:00", "2:00"),
        ("1:01", "2:00"),
        ("2:30", "3:00"),
        ("46:59", "47:00"),
        ("47:00", "48:00"),
        ("47:59", "48:00"),
        ("48:00", None),
        ("48:01", None),
        ("71:59", None),
    ],
)
def test_due_at_the_first_full_hour_since_the_send_after_the_bounce(bounced, due):
    found = retry_due_at(state_of(sent(), soft(bounced)), settings())
    assert found == (clock(due) if due else 0)


def test_just_before_and_at_the_full_hour():
    before = make_receipt("undelivered")
    exact = before.model_copy(update={"occurred_at": T0 + HOUR})
    before = before.model_copy(update={"occurred_at": T0 + HOUR - 1})
    assert retry_due_at(state_of(sent(), before), settings()) == clock("1:00")
    assert retry_due_at(state_of(sent(), exact), settings()) == clock("2:00")


@pytest.mark.parametrize(
    ("rule", "own", "bounced", "due"),
    [
        ("every half hour", {"retry_every_s": 1_800}, "0:10", "0:30"),
        ("every half hour, later", {"retry_every_s": 1_800}, "0:30", "1:00"),
        ("every seven hours", {"retry_every_s": 25_200}, "7:01", "14:00"),
        ("for a day: still", {"retry_for_s": 86_400}, "23:59", "24:00"),
        ("for a day: over", {"retry_for_s": 86_400}, "24:00", None),
        ("no room for a whole step", {"retry_every_s": 25_200}, "42:00", None),
        ("for no time at all", {"retry_for_s": 0}, "0:10", None),
        ("switched off", {"retry_soft_bounces": False}, "0:10", None),
    ],
)
def test_accounts_decide_how_often_and_for_how_long(rule, own, bounced, due):
    found = retry_due_at(state_of(sent(), soft(bounced)), settings(**own))
    assert found == (clock(due) if due else 0)


# rule, events, when the next attempt is due
RULES: list[tuple[str, list[Send | Receipt], str | None]] = [
    (
        "the second attempt ended softly",
        [sent(), soft("0:10"), sent(2, 60), soft("1:05", 2)],
        "2:00",
    ),
    ("by the first send, not by the retry", [sent(), sent(2, 95), soft("1:50", 2)], "2:00"),
    ("the retry is pending", [sent(), soft("0:10"), sent(2, 60)], None),
    ("a late soft receipt of an earlier attempt", [sent(), sent(2, 60), soft("1:05", 1)], None),
    ("only the retry's send is known", [sent(2, 60), soft("1:05", 2)], "2:00"),
    ("the receipt overtook the send of its attempt", [sent(), soft("1:05", 2)], "2:00"),
    ("a bounce before the send, by the provider's clock", [sent(1, 10), soft("0:00")], "1:10"),
    ("the last soft receipt counts", [sent(), soft("0:10"), soft("1:10")], "2:00"),
    ("a temporary refusal is soft", [sent(), make_receipt("rejected", 10, bounce="soft")], "1:00"),
    ("pending: nothing to retry", [sent(), make_receipt("queued")], None),
    ("delivered", [sent(), soft("0:10"), make_receipt("delivered", 20)], None),
    ("read", [sent(), soft("0:10"), make_receipt("read", 20)], None),
    ("hard", [sent(), soft("0:10"), make_receipt("undelivered", 20, bounce="hard")], None),
    ("rejected", [sent(), soft("0:10"), make_receipt("rejected", 20)], None),
    ("deleted", [sent(), soft("0:10"), make_receipt("deleted", 20)], None),
    ("the send is unknown", [soft("0:10")], None),
    ("a received message", [sent(direction="inbound"), soft("0:10")], None),
]


@pytest.mark.parametrize("rule", RULES, ids=[row[0] for row in RULES])
@pytest.mark.parametrize("backwards", [False, True])
def test_only_a_message_that_ended_softly_is_due_again(rule, backwards):
    _, events, due = rule
    state = state_of(*(events[::-1] if backwards else events))
    assert retry_due_at(state, settings()) == (clock(due) if due else 0)


def test_an_expired_message_is_never_due_again():
    state = state_of(sent(), soft("0:10"), expired_at=DEADLINE)
    assert retry_due_at(state, settings()) == 0


def test_the_next_attempt_is_one_after_the_highest_known():
    assert next_attempt(state_of(sent(), soft("0:10"))) == 2
    assert next_attempt(state_of(sent(), sent(2, 60), soft("1:05", 2))) == 3
    assert next_attempt(state_of(sent(), soft("1:05", 3))) == 4


def test_the_request_carries_all_that_the_sender_needs():
    state = state_of(sent(channel="whatsapp"), sent(2, 60), soft("1:05", 2))
    assert retry_request("acme", "m", state, clock("2:00")) == RetryRequest(
        id="acme/m/3",
        account="acme",
        message_id="m",
        attempt=3,
        first_sent_at=T0,
        due_at=clock("2:00"),
        recipient="+46701234567",
        channel="whatsapp",
    )


# --- when to look again, and what people read --------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "events", "own", "wakes"),
    [
        ("pending: at its deadline", [sent()], {}, "72:00"),
        ("pending: at the account's", [sent()], {"validity_s": 7_200}, "2:00"),
        ("pending: at its own before the account's", [sent(validity_s=60)], {}, "0:01"),
        ("ended softly: when it is due", [sent(), soft("0:10")], {}, "1:00"),
        ("ended softly too late: never", [sent(), soft("48:00")], {}, None),
        ("its retry is pending: at the deadline", [sent(), soft("0:10"), sent(2, 60)], {}, "72:00"),
        ("delivered: never", [sent(), make_receipt("delivered")], {}, None),
    ],
)
def test_when_the_clock_has_something_to_decide(rule, events, own, wakes):
    assert next_timer_at(state_of(*events), settings(**own)) == (clock(wakes) if wakes else 0)


def test_what_was_decided_is_not_decided_again():
    state = state_of(sent(), soft("0:10"))
    state.retry_decided = 2
    assert next_timer_at(state, settings()) == 0
    later = state_of(sent(), sent(2, 60), soft("1:05", 2))
    later.retry_decided = 2
    assert next_timer_at(later, settings()) == clock("2:00")


@pytest.mark.parametrize(
    ("rule", "events", "own", "why", "due"),
    [
        ("a retry is due", [sent(), soft("0:10")], {}, "", "1:00"),
        ("switched off", [sent(), soft("0:10")], {"retry_soft_bounces": False}, "off", None),
        ("too late", [sent(), soft("48:00")], {}, "too_late", None),
        ("hard", [sent(), make_receipt("undelivered", bounce="hard")], {}, "final", None),
        ("rejected", [sent(), make_receipt("rejected")], {}, "final", None),
        ("deleted", [sent(), make_receipt("deleted")], {}, "final", None),
    ],
)
def test_why_no_further_attempt_is_made(rule, events, own, why, due):
    assert retry_decision(state_of(*events), settings(**own)) == (why, clock(due) if due else 0)


def test_an_expired_message_stays_expired_when_a_soft_receipt_comes_after_all():
    state = state_of(sent(), soft("73:00"), expired_at=DEADLINE)
    assert retry_decision(state, settings()) == ("expired", 0)


@pytest.mark.parametrize("noted", ["", "suppressed"])
def test_a_decision_made_when_a_retry_was_due_survives_later_settings(noted):
    state = state_of(sent(), soft("0:10"))
    state.retry_decided, state.no_retry, state.next_attempt_at = 2, noted, clock("1:00")
    for own in ({}, {"retry_soft_bounces": False}, {"retry_every_s": 1_800}):
        assert retry_decision(state, settings(**own)) == (noted, clock("1:00"))
