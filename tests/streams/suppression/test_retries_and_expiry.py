"""Retries, expiry and reasons from the first receipt to the row, one readable row a rule.

Both agents' shards take part (tests/support/recipient_world.py), and the clock is an argument.
"""

import pytest

from models.contract import MAX_ATTEMPT, Event
from tests.support.recipient_world import (
    DAY,
    HOUR,
    MINUTE,
    NUMBER,
    SECOND,
    T0,
    World,
    clock,
    hard,
    make_receipt,
    send,
    soft,
    unsubscribe,
)

NOW = T0 + 10 * MINUTE

# --- retries ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bounced", "due"),
    [
        ("0:10", "1:00"),
        ("0:50", "1:00"),
        ("1:00", "2:00"),
        ("47:59", "48:00"),
        ("48:00", None),
        ("48:01", None),
    ],
)
def test_a_retry_of_a_soft_bounce_is_requested_when_it_is_due_and_not_before(bounced, due):
    world = World()
    world.take(send(channel="whatsapp"), at=T0)
    world.take(soft(clock(bounced)), at=clock(bounced))
    world.wait(clock(bounced), clock("60:00"), MINUTE)
    if due is None:
        assert not world.requested
        assert world.row("m").no_retry_reason == "too_late"
        return
    ((request, at),) = world.requested
    assert at == request.due_at == clock(due)
    assert (request.id, request.attempt) == ("acme/m/2", 2)
    assert (request.account, request.message_id) == ("acme", "m")
    assert (request.first_sent_at, request.recipient, request.channel) == (T0, NUMBER, "whatsapp")
    assert world.row("m").next_attempt_at == clock(due)


def test_a_sender_that_obeys_sends_every_hour_for_48_hours_and_no_longer():
    world = World()
    world.take(send(), soft(clock("0:10")), at=clock("0:10"))
    for hour in range(1, 60):
        at = clock(f"{hour}:00")
        world.commit(at)
        if world.requested and world.requested[-1].at == at:
            attempt = world.requested[-1].request.attempt
            world.take(send(at=at, attempt=attempt), at=at + SECOND)
            assert world.row("m").status == "submitted"  # pending again
            world.take(soft(at + MINUTE, attempt), at=at + MINUTE)
            assert (world.row("m").status, world.row("m").bounce) == ("undelivered", "soft")
    assert [requested.request.due_at for requested in world.requested] == [
        clock(f"{hour}:00") for hour in range(1, 49)
    ]
    assert [requested.request.attempt for requested in world.requested] == list(range(2, 50))
    row = world.row("m")
    assert (row.attempts, row.failed_attempt) == (49, 49)
    assert (row.no_retry_reason, row.next_attempt_at) == ("too_late", 0)


# why it became pointless between bounce and due time
POINTLESS: list[tuple[str, list[Event], str]] = [
    ("delivered", [make_receipt("delivered", clock("0:30"))], ""),
    ("read", [make_receipt("read", clock("0:30"))], ""),
    ("hard", [hard("m", clock("0:30"))], "final"),
    ("rejected", [make_receipt("rejected", clock("0:30"))], "final"),
    ("deleted", [make_receipt("deleted", clock("0:30"))], "final"),
    ("sent again already", [send(at=clock("0:30"), attempt=2)], ""),
    ("suppressed", [unsubscribe(clock("0:30"), "m")], "suppressed"),
]


@pytest.mark.parametrize(("why", "events", "noted"), POINTLESS, ids=[row[0] for row in POINTLESS])
def test_a_request_that_became_pointless_is_not_published(why, events, noted):
    world = World()
    world.take(send(), soft(clock("0:10")), at=clock("0:10"))
    assert world.row("m").next_attempt_at == clock("1:00")
    world.take(*events, at=clock("0:30"))
    world.wait(clock("0:30"), clock("70:00"))
    assert not world.requested
    assert world.row("m").no_retry_reason == noted


def test_none_for_an_expired_message_even_when_its_soft_receipt_comes_at_last():
    world = World(validity_s=3_600)
    world.take(send(), at=T0)
    world.wait(T0, clock("2:00"))
    world.take(soft(clock("2:10")), at=clock("2:10"))
    world.wait(clock("2:00"), clock("70:00"))
    assert not world.requested
    assert (world.row("m").bounce, world.row("m").no_retry_reason) == ("soft", "expired")


def test_retries_off_asks_for_nothing_and_on_again_asks():
    world = World(retry_soft_bounces=False)
    world.take(send(), soft(clock("0:10")), at=clock("0:10"))
    assert world.row("m").no_retry_reason == "off"
    world.wait(clock("0:10"), clock("5:10"))
    assert not world.requested
    world.set(retry_soft_bounces=True)
    world.commit(clock("5:30"))
    assert [requested.request.id for requested in world.requested] == ["acme/m/2"]


def test_switched_off_before_it_was_due_asks_for_nothing():
    world = World()
    world.take(send(), soft(clock("0:10")), at=clock("0:10"))
    world.set(retry_soft_bounces=False)
    world.wait(clock("0:10"), clock("70:10"))
    assert not world.requested


def test_delivered_on_any_attempt_wins_and_ends_the_retries():
    world = World()
    world.take(send(), soft(clock("0:10")), at=clock("0:10"))
    world.take(send(at=clock("1:00"), attempt=2), soft(clock("1:10"), 2), at=clock("1:10"))
    world.take(make_receipt("delivered", clock("1:20")), at=clock("1:20"))
    world.wait(clock("1:20"), clock("70:20"))
    assert world.row("m").status == "delivered"
    assert not world.requested


def test_a_restart_forgets_no_retry_and_repeats_none():
    world = World()
    world.take(send(), soft(clock("0:10")), at=clock("0:10"))
    world.restart()
    world.commit(clock("1:00"))
    world.restart()
    world.commit(clock("2:00"))
    assert [requested.at for requested in world.requested] == [clock("1:00")]


def test_no_retry_is_due_after_the_validity():
    world = World()
    world.take(send(validity_s=300), soft(T0 + MINUTE), at=T0 + MINUTE)  # a code for a login
    world.wait(T0, clock("3:00"))
    assert [requested.request.due_at for requested in world.requested] == []


def test_no_retry_is_requested_after_the_time_for_retries():
    world = World()
    world.take(send(), at=T0)
    world.take(soft(clock("0:10")), at=clock("60:00"))
    world.wait(clock("60:00"), clock("61:00"))
    assert [requested.at for requested in world.requested] == []


def test_a_request_that_fell_due_while_no_worker_ran_comes_late_with_its_due_time():
    """The sender decides by due_at; a replay of old traffic asks for the same retries."""
    world = World()
    world.take(send(), soft(clock("0:10")), at=clock("0:10"))
    world.restart()
    world.commit(clock("60:00"))
    assert [requested.request.due_at for requested in world.requested] == [clock("1:00")]


def test_no_attempt_is_requested_that_the_contract_refuses():
    world = World(retry_every_s=60)
    world.take(send(), send(at=clock("2:00"), attempt=MAX_ATTEMPT), at=clock("2:00"))
    world.take(soft(clock("2:01"), MAX_ATTEMPT), at=clock("2:01"))
    world.wait(clock("2:00"), clock("3:00"), MINUTE)
    assert [requested.request.attempt for requested in world.requested] == []


@pytest.mark.parametrize("restarts", [False, True])
def test_the_row_shows_that_retries_were_switched_off_before_one_was_due(restarts):
    world = World()
    world.take(send(), soft(clock("0:10")), at=clock("0:10"))
    world.set(retry_soft_bounces=False)
    if restarts:
        world.restart()
    world.wait(clock("0:10"), clock("3:10"))
    assert (world.row("m").no_retry_reason, world.row("m").next_attempt_at) == ("off", 0)


# --- expiry and reasons ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "own", "fields", "hours"),
    [
        ("after three days", {}, {}, 72),
        ("after what the account says", {"validity_s": 7_200}, {}, 2),
        ("after what the send says", {"validity_s": 7_200}, {"validity_s": 18_000}, 5),
    ],
)
def test_a_message_without_a_final_receipt_expires_to_the_second(rule, own, fields, hours):
    world = World(**own)
    world.take(send(**fields), make_receipt("queued", T0 + 1), at=T0 + 1)
    deadline = T0 + hours * HOUR
    world.commit(deadline - 1)
    assert world.row("m").status == "queued"
    world.commit(deadline)
    row = world.row("m")
    assert (row.status, row.bounce, row.fail_reason) == ("undelivered", "soft", "expired")
    assert (row.finalized_at, row.no_retry_reason) == (deadline, "expired")
    assert not world.requested


@pytest.mark.parametrize("late", [SECOND, 5 * DAY])
def test_a_delivery_one_second_or_five_days_after_the_expiry_still_wins(late):
    world = World()
    world.take(send(), at=T0)
    world.wait(T0, clock("72:00"))
    assert world.row("m").fail_reason == "expired"
    at = clock("72:00") + late
    world.take(make_receipt("delivered", at), at=at)
    row = world.row("m")
    assert (row.status, row.fail_reason, row.no_retry_reason) == ("delivered", "", "")
    assert row.delivered_at == row.finalized_at == at


def test_a_retry_without_receipts_expires_with_its_message():
    world = World()
    world.take(send(), soft(clock("0:10")), at=clock("0:10"))
    world.take(send(at=clock("47:00"), attempt=2), at=clock("47:00"))
    world.wait(clock("47:00"), clock("71:59"), MINUTE)
    assert world.row("m").status == "submitted"
    world.commit(clock("72:00"))
    row = world.row("m")
    assert (row.fail_reason, row.failed_attempt, row.attempts) == ("expired", 2, 2)


def test_a_row_gives_the_human_reason_beside_code_and_words():
    world = World(fail_reasons={"infobip:27": "the phone is off"})
    off = make_receipt("undelivered", NOW, error_code="27", reason="EC_ABSENT_SUBSCRIBER")
    world.take(send(provider="infobip"), off, at=NOW)
    row = world.row("m")
    assert (row.error_code, row.error_text) == ("27", "EC_ABSENT_SUBSCRIBER")
    assert (row.fail_reason, row.failed_attempt) == ("the phone is off", 1)
    strange = make_receipt("rejected", NOW + 1, error_code="4711", reason="EC_STRANGE")
    world.take(strange, at=NOW + 1)
    row = world.row("m")
    assert (row.fail_reason, row.error_text) == ("other", "EC_STRANGE")
