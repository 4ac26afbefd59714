"""What people see of one message: one row a rule of docs/design.md, words, in the rule's words."""

from decimal import Decimal
from typing import Any

import pytest

from models.contract import Receipt, Send
from models.counters import COUNT_NAMES, contribution
from models.facts import Outcome, outcome_of, outcome_order, send_fact
from models.joining import add_receipt, add_send, decide
from models.message_row import MessageRow, row_of
from models.state import MessageState, deadline_ms
from models.vocabulary import COUNTS, STATUS_OF_WORD, Bounce, Status

T0 = 1_795_176_000_000  # 2026-11-20T12:00:00Z
MINUTE = 60_000
HOUR = 60 * MINUTE
THREE_DAYS_S = 259_200
DEADLINE = T0 + THREE_DAYS_S * 1000


def sent(attempt: int = 1, minutes: int = 0, **fields: Any) -> Send:
    given: dict[str, Any] = {
        "account": "acme",
        "message_id": "m",
        "channel": "sms",
        "recipient": "+46701234567",
        "sent_at": T0 + minutes * MINUTE,
        "attempt": attempt,
        "first_sent_at": T0 if attempt > 1 else None,
        "provider": "infobip",
    }
    return Send(**{**given, **fields})


def make_receipt(status: str, minutes: int = 1, attempt: int = 1, **fields: Any) -> Receipt:
    given: dict[str, Any] = {
        "account": "acme",
        "message_id": "m",
        "status": status,
        "occurred_at": T0 + minutes * MINUTE,
        "attempt": attempt,
    }
    return Receipt(**{**given, **fields})


def state_of(*events: Send | Receipt, expired_at: int = 0) -> MessageState:
    state = MessageState(expired_at=expired_at)
    for event in events:
        if isinstance(event, Send):
            add_send(state, send_fact(event))
        else:
            add_receipt(state, event, outcome_of(event), T0 // 86_400_000)
    decide(state)
    return state


def seen(*events: Send | Receipt, expired_at: int = 0) -> MessageRow:
    return row_of(b"acme/m", state_of(*events, expired_at=expired_at))


# rule, events, status, platform status, carrier status, bounce, scope
RULES: list[tuple[str, list[Send | Receipt], str, str, str, str, str]] = [
    ("a send alone is submitted", [sent()], "submitted", "submitted", "queued", "", ""),
    (
        "a receipt that says sent counts as queued",
        [sent(), make_receipt("sent")],
        "queued",
        "submitted",
        "queued",
        "",
        "",
    ),
    (
        "delivered is final",
        [sent(), make_receipt("delivered")],
        "delivered",
        "submitted",
        "delivered",
        "",
        "",
    ),
    (
        "read beats delivered",
        [sent(), make_receipt("read", 2), make_receipt("delivered", 9)],
        "read",
        "submitted",
        "delivered",
        "",
        "",
    ),
    (
        "delivered beats a failure that came later",
        [sent(), make_receipt("delivered", 1), make_receipt("undelivered", 9, bounce="hard")],
        "delivered",
        "submitted",
        "delivered",
        "",
        "",
    ),
    (
        "a failure without a bounce is soft",
        [sent(), make_receipt("undelivered")],
        "undelivered",
        "submitted",
        "undelivered",
        "soft",
        "",
    ),
    (
        "undelivered and hard without a scope is the recipient's",
        [sent(), make_receipt("undelivered", bounce="hard")],
        "undelivered",
        "submitted",
        "undelivered",
        "hard",
        "recipient",
    ),
    (
        "a given scope stays",
        [sent(), make_receipt("undelivered", bounce="hard", scope="content")],
        "undelivered",
        "submitted",
        "undelivered",
        "hard",
        "content",
    ),
    (
        "rejected without a bounce is hard without a scope",
        [sent(), make_receipt("rejected")],
        "rejected",
        "rejected",
        "",
        "hard",
        "",
    ),
    (
        "rejected and soft is a temporary refusal",
        [sent(), make_receipt("rejected", bounce="soft", scope="network")],
        "undelivered",
        "submitted",
        "undelivered",
        "soft",
        "network",
    ),
    (
        "deleted has no bounce",
        [sent(), make_receipt("deleted", bounce="hard")],
        "deleted",
        "submitted",
        "undelivered",
        "",
        "",
    ),
    (
        "hard beats soft of the same attempt",
        [sent(), make_receipt("undelivered", 9), make_receipt("undelivered", 1, bounce="hard")],
        "undelivered",
        "submitted",
        "undelivered",
        "hard",
        "recipient",
    ),
    (
        "a failure beats queued of the same attempt, however late",
        [sent(), make_receipt("undelivered", 1), make_receipt("queued", 9)],
        "undelivered",
        "submitted",
        "undelivered",
        "soft",
        "",
    ),
    (
        "a retry that was sent is pending again",
        [sent(), make_receipt("undelivered"), sent(2, 60)],
        "submitted",
        "submitted",
        "queued",
        "",
        "",
    ),
    (
        "the latest attempt decides",
        [
            sent(),
            make_receipt("undelivered", bounce="hard"),
            sent(2, 60),
            make_receipt("undelivered", 61, attempt=2),
        ],
        "undelivered",
        "submitted",
        "undelivered",
        "soft",
        "",
    ),
    (
        "delivered on any attempt beats every failure",
        [
            sent(),
            make_receipt("delivered"),
            sent(2, 60),
            make_receipt("undelivered", 61, attempt=2, bounce="hard"),
        ],
        "delivered",
        "submitted",
        "delivered",
        "",
        "",
    ),
    (
        "inbound is received",
        [sent(direction="inbound"), make_receipt("delivered")],
        "received",
        "",
        "",
        "",
        "",
    ),
]


@pytest.mark.parametrize("rule", RULES, ids=[row[0] for row in RULES])
@pytest.mark.parametrize("backwards", [False, True])
def test_the_rules_of_status(rule, backwards):
    _, events, status, platform_status, carrier_status, bounce, scope = rule
    row = seen(*(events[::-1] if backwards else events))
    assert (row.status, row.platform_status, row.carrier_status) == (
        status,
        platform_status,
        carrier_status,
    )
    assert (row.bounce, row.scope) == (bounce, scope)


def test_a_pending_message_past_its_timer_is_expired_at_its_deadline():
    row = seen(sent(), sent(2, 60), make_receipt("queued", 61, attempt=2), expired_at=DEADLINE)
    assert row.status == row.carrier_status == "undelivered"
    assert (row.bounce, row.scope) == ("soft", "time")
    assert (row.finalized_at, row.failed_attempt, row.attempts) == (DEADLINE, 2, 2)
    assert (row.error_code, row.error_text) == ("", "")


def test_a_real_receipt_beats_the_timer_however_late():
    assert seen(sent(), make_receipt("delivered", 9_999), expired_at=DEADLINE).status == "delivered"
    hard = seen(sent(), make_receipt("undelivered", 9_999, bounce="hard"), expired_at=DEADLINE)
    assert (hard.status, hard.bounce) == ("undelivered", "hard")
    assert hard.finalized_at == T0 + 9_999 * MINUTE


@pytest.mark.parametrize(
    ("rule", "events", "deadline"),
    [
        ("the send's own validity", [sent(validity_s=60)], T0 + MINUTE),
        ("else the account's", [sent()], DEADLINE),
        ("of the first attempt known", [sent(1, validity_s=60), sent(2, 1)], T0 + MINUTE),
        ("from the first send on, also of a retry", [sent(2, 60, validity_s=60)], T0 + MINUTE),
        ("while it is queued", [sent(), make_receipt("queued")], DEADLINE),
        (
            "again once a retry was sent",
            [sent(), make_receipt("undelivered"), sent(2, 60)],
            DEADLINE,
        ),
        ("never after a final receipt", [sent(), make_receipt("undelivered")], 0),
        ("never after a delivery", [sent(), sent(2, 60), make_receipt("delivered")], 0),
        ("never for a received message", [sent(direction="inbound")], 0),
        ("never for an orphan", [make_receipt("queued")], 0),
    ],
)
def test_the_timer_runs_from_the_first_send_until_a_final_receipt(rule, events, deadline):
    assert deadline_ms(state_of(*events), THREE_DAYS_S) == deadline


def test_the_timer_runs_once():
    assert deadline_ms(state_of(sent(), sent(2, 60), expired_at=DEADLINE), THREE_DAYS_S) == 0


def test_a_failure_has_code_text_and_attempt_and_a_delivery_has_none():
    failed = make_receipt("undelivered", 61, 2, error_code="27", reason="Absent subscriber")
    row = seen(sent(), sent(2, 60), failed)
    assert (row.error_code, row.error_text, row.failed_attempt) == ("27", "Absent subscriber", 2)
    row = seen(sent(), sent(2, 60), failed, make_receipt("delivered", 90))
    assert (row.error_code, row.error_text, row.failed_attempt) == ("", "", 0)


def test_a_row_shows_what_was_noted_with_its_state():
    state = state_of(sent(), make_receipt("undelivered"))
    state.fail_reason, state.no_retry, state.next_attempt_at = "blocked", "off", T0 + HOUR
    state.to_suppressed = True
    row = row_of(b"acme/m", state)
    assert (row.fail_reason, row.no_retry_reason) == ("blocked", "off")
    assert (row.next_attempt_at, row.sent_to_suppressed) == (T0 + HOUR, True)


def test_first_seen_times_are_the_earliest_and_read_counts_as_delivered():
    row = seen(
        sent(),
        make_receipt("read", 3),
        make_receipt("delivered", 5),
        make_receipt("queued", 2),
        make_receipt("sent", 1),
    )
    assert row.queued_at == T0 + MINUTE
    assert row.delivered_at == row.finalized_at == row.read_at == T0 + 3 * MINUTE


def test_who_and_what_come_from_the_lowest_attempt_money_from_all_provider_from_the_latest():
    row = seen(
        sent(2, 60, sender_id="late", segments=2, credits=Decimal("0.5"), provider="sinch"),
        sent(1, 0, sender_id="first", segments=1, credits=Decimal("0.25")),
    )
    assert (row.sender_id, row.segments, row.credits) == ("first", 3, 750_000)
    assert (row.provider, row.attempts, row.sent_at) == ("sinch", 2, T0)


def test_the_provider_of_the_winning_receipt_replaces_that_of_a_send_without_one():
    assert (
        seen(sent(provider=None), make_receipt("delivered", provider="twilio")).provider == "twilio"
    )


def test_a_retry_whose_first_send_is_unknown_is_dated_by_first_sent_at():
    assert seen(sent(2, 60)).sent_at == T0


def test_a_conflict_keeps_the_smaller_time_and_deletes_the_other_row():
    state = state_of(sent(1, 5), sent(1, 0))
    assert state.conflict
    assert row_of(b"acme/m", state).sent_at == T0
    assert row_of(b"acme/m", state).superseded == (T0 + 5 * MINUTE,)


def test_the_first_attempt_arriving_after_its_retry_moves_the_row():
    row = seen(sent(2, 60, first_sent_at=T0 + HOUR), sent(1, 0))
    assert (row.sent_at, row.superseded) == (T0, (T0 + HOUR,))


def test_a_receipt_without_its_send_is_an_orphan():
    row = seen(make_receipt("delivered", recipient="+46701234567", provider_message_id="p-1"))
    assert (row.kind, row.status, row.recipient) == ("orphan", "delivered", "+46701234567")
    assert (row.provider_message_id, row.sent_at) == ("p-1", 0)


@pytest.mark.parametrize(
    ("events", "expired_at", "slot"),
    [
        ([sent()], 0, "submitted"),
        ([sent(), make_receipt("sent")], 0, "queued"),
        ([sent(), make_receipt("delivered")], 0, "delivered"),
        ([sent(), make_receipt("read")], 0, "read"),
        ([sent(), make_receipt("undelivered")], 0, "undelivered_soft"),
        ([sent(), make_receipt("undelivered", bounce="hard")], 0, "undelivered_hard"),
        ([sent(), make_receipt("queued")], DEADLINE, "expired"),
        ([sent(), make_receipt("rejected")], 0, "rejected"),
        ([sent(), make_receipt("deleted")], 0, "deleted"),
    ],
)
def test_each_message_counts_in_one_slot_of_its_hour(events, expired_at, slot):
    counted = contribution("acme", state_of(*events, expired_at=expired_at))
    assert counted is not None
    dimensions, place, segments, micro = counted
    assert dimensions == (T0, "acme", "sms", "direct", "SE", "infobip", "")
    assert (COUNT_NAMES[place], segments, micro) == (slot, 1, 0)


def test_orphans_and_received_messages_count_nowhere():
    assert contribution("acme", state_of(make_receipt("delivered"))) is None
    assert contribution("acme", state_of(sent(direction="inbound"))) is None


#: Texts of a send that a row shows as they came.
TEXTS = (
    "channel", "direction", "source", "sender_id", "sent_by", "campaign_id", "message_type",
    "external_id", "email", "platform", "provider",
)  # fmt: skip


def test_no_two_columns_of_a_row_are_swapped():
    """Rows and facts are built by position: keywords cost more than half of the time again."""
    words = {"channel": "whatsapp", "direction": "outbound", "source": "program"}
    texts = {name: words.get(name, name) for name in TEXTS}
    send = sent(**texts, country="CH", segments=2, credits=Decimal("0.5"), validity_s=60)
    fact = send_fact(send)
    assert {name: getattr(fact, name) for name in TEXTS} == texts
    assert (fact.recipient, fact.country, fact.segments, fact.credits, fact.validity_s) == (
        "+46701234567", "CH", 2, 500_000, 60,
    )  # fmt: skip
    state = state_of(
        send,
        make_receipt("queued", 1),
        make_receipt("read", 2),
    )
    state.clicked_at, state.unsubscribed_at, state.version = 4, 5, 6
    state.fail_reason, state.no_retry, state.next_attempt_at = "why", "off", 7
    row = row_of(b"acme/m", state)
    assert {name: getattr(row, name) for name in TEXTS} == texts
    assert (row.account, row.message_id, row.recipient) == ("acme", "m", "+46701234567")
    assert (row.queued_at, row.delivered_at, row.read_at) == (T0 + MINUTE, *[T0 + 2 * MINUTE] * 2)
    assert (row.clicked_at, row.unsubscribed_at, row.version) == (4, 5, 6)
    assert (row.fail_reason, row.no_retry_reason, row.next_attempt_at) == ("why", "off", 7)
    failed = seen(
        send,
        make_receipt(
            "undelivered", 3, scope="network", error_code="code", reason="text", bounce="hard"
        ),
    )
    assert (failed.status, failed.platform_status, failed.carrier_status) == (
        "undelivered", "submitted", "undelivered",
    )  # fmt: skip
    assert (failed.bounce, failed.scope) == ("hard", "network")
    assert (failed.error_code, failed.error_text, failed.failed_attempt) == ("code", "text", 1)
    assert failed.finalized_at == failed.occurred_at == T0 + 3 * MINUTE


STORED = {
    "submitted": 0, "queued": 1, "undelivered": 2, "rejected": 3, "deleted": 4, "delivered": 5,
    "read": 6,
}  # fmt: skip


def test_stored_numbers_and_words_keep_their_meaning():
    assert {word: int(STATUS_OF_WORD[word]) for word in STORED} == STORED
    assert STATUS_OF_WORD["sent"] is Status.QUEUED
    assert COUNT_NAMES[:9] == (
        "submitted", "queued", "delivered", "read", "undelivered_soft", "undelivered_hard",
        "expired", "rejected", "deleted",
    )  # fmt: skip


def test_successes_outrank_what_is_unknown_which_outranks_failures():
    ranks = {status: outcome_order(Outcome(1, status, Bounce.NONE, T0)) for status in Status}
    unknown = outcome_order(Outcome(1, 255, Bounce.NONE, T0))
    assert all((rank > unknown) == status.is_success for status, rank in ranks.items())


def test_every_status_is_counted_under_a_word():
    assert {count.status for count in COUNTS} == set(Status)
    several = [count.name for count in COUNTS if count.name != count.status.word]
    assert several == ["undelivered_soft", "undelivered_hard", "expired"]
