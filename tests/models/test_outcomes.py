"""Which receipt decides: codes, attempts that no receipt names, parts, prices, clicks."""

import json
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from models.accounts import AccountSettings
from models.contract import Engagement, Receipt, Send
from models.facts import outcome_of, send_fact, strikes
from models.joining import add_engagement, add_receipt, add_send, decide
from models.message_row import MessageRow, row_of
from models.parsing import parse_receipt
from models.reasons import annotate
from models.refusal import Refusal
from models.retries import next_timer_at
from models.state import MessageState
from models.time import delay_of
from models.vocabulary import UNKNOWN_WORD

T0 = 1_795_176_000_000
DAY = T0 // 86_400_000
DEFAULTS = AccountSettings(account="acme")


def sent(**given: Any) -> Send:
    fields = {
        "account": "acme",
        "message_id": "m",
        "channel": "sms",
        "recipient": "+447700900123",
        "sent_at": T0,
    }
    return Send.model_validate(fields | given)


def retried(at: int, attempt: int = 2, **given: Any) -> Send:
    return sent(sent_at=at, attempt=attempt, first_sent_at=T0, **given)


def receipt(status: str, at: int = T0 + 5_000, **given: Any) -> Receipt:
    fields = {"account": "acme", "message_id": "m", "status": status, "occurred_at": at}
    return Receipt.model_validate(fields | given)


def clicked(at: int, **given: Any) -> Engagement:
    fields = {"account": "acme", "event_id": "e", "type": "click", "message_id": "m"}
    return Engagement.model_validate(fields | {"occurred_at": at} | given)


def state_of(*events: Any, settings: AccountSettings = DEFAULTS) -> MessageState:
    state = MessageState()
    for event in events:
        if isinstance(event, Send):
            add_send(state, send_fact(event))
        elif isinstance(event, Engagement):
            add_engagement(state, event, DAY)
        else:
            outcome = outcome_of(event, settings) if event.status != UNKNOWN_WORD else None
            add_receipt(state, event, outcome, DAY)
    decide(state, settings)
    annotate(state, settings)
    return state


def seen(*events: Any, settings: AccountSettings = DEFAULTS) -> MessageRow:
    """The row, which is the same for every order of the events."""
    rows = {row_of(b"acme/m", state_of(*some, settings=settings)) for some in permutations(events)}
    (row,) = rows
    return row


def account(**codes: dict[str, str]) -> AccountSettings:
    named = {code.replace("__", ":").lstrip("_"): meaning for code, meaning in codes.items()}
    return AccountSettings.model_validate({"account": "acme", "codes": named})


# --- codes ------------------------------------------------------------------------------------

# rule, word, given, settings, status, bounce, scope
CODES: list[tuple[str, str, dict[str, str], AccountSettings, str, str, str]] = [
    ("the table decides", "undelivered", {"error_code": "30005"}, DEFAULTS,
     "undelivered", "hard", "recipient"),
    ("a soft one too", "undelivered", {"error_code": "30003"}, DEFAULTS,
     "undelivered", "soft", "recipient"),
    ("a given bounce is believed", "undelivered", {"error_code": "30005", "bounce": "soft"},
     DEFAULTS, "undelivered", "soft", "recipient"),
    ("a given scope too", "undelivered", {"error_code": "30005", "scope": "network"}, DEFAULTS,
     "undelivered", "hard", "network"),
    ("an unknown code is soft", "undelivered", {"error_code": "no such"}, DEFAULTS,
     "undelivered", "soft", ""),
    ("and the recipient's, where it is hard", "undelivered",
     {"error_code": "no such", "bounce": "hard"}, DEFAULTS, "undelivered", "hard", "recipient"),
    ("hard for another reason is not the recipient's", "undelivered",
     {"error_code": "30034", "bounce": "hard"}, DEFAULTS, "undelivered", "hard", "sender"),
    ("rejected by the table", "rejected", {"error_code": "21610"}, DEFAULTS,
     "rejected", "hard", "recipient"),
    ("a temporary refusal", "rejected", {"error_code": "30001"}, DEFAULTS,
     "undelivered", "soft", "account"),
    ("an account's meaning", "undelivered", {"error_code": "30003"},
     account(twilio__30003={"bounce": "hard"}), "undelivered", "hard", "recipient"),
    ("of a code for every provider", "undelivered", {"error_code": "30003"},
     account(_30003={"bounce": "hard", "scope": "route"}), "undelivered", "hard", "route"),
    ("the receipt goes before the account", "undelivered",
     {"error_code": "30003", "bounce": "soft"}, account(_30003={"bounce": "hard"}),
     "undelivered", "soft", "recipient"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "given", "status", "reason", "opted_out"),
    [
        ("a status word that names a cause", {"status": "EXPIRED"}, "undelivered", "expired",
         False),
        ("one that names none", {"status": "failed"}, "undelivered",
         "not explained by the provider", False),
        ("the provider's words go before it", {"status": "EXPIRED", "reason": "Spam message"},
         "undelivered", "other", False),
        ("a status word that is a code", {"status": "opted_out", "provider": "aws"}, "rejected",
         "opted out", True),
        ("a sentence for a code", {"status": "failed", "provider": "aws",
                                   "reason": "Phone number is opted out"}, "undelivered",
         "opted out", True),
    ],
)  # fmt: skip
def test_words_where_there_is_no_code(rule, given, status, reason, opted_out):
    fields = {"account": "acme", "message_id": "m", "occurred_at": T0 + 1} | given
    read = Receipt.model_validate(fields)
    row = seen(sent(), read)
    assert (row.status, row.fail_reason) == (status, reason)
    assert bool(state_of(sent(), read).opted_out_at) == opted_out


@pytest.mark.parametrize("named_by", ["receipt", "send"])
@pytest.mark.parametrize(
    ("rule", "word", "given", "settings", "status", "bounce", "scope"),
    CODES,
    ids=[row[0] for row in CODES],
)
def test_a_code_decides(rule, word, given, settings, status, bounce, scope, named_by):
    if named_by == "receipt":
        row = seen(sent(), receipt(word, provider="Twilio", **given), settings=settings)
    else:
        row = seen(sent(provider="twilio"), receipt(word, **given), settings=settings)
    shown_bounce = row.bounce or ("hard" if row.status == "rejected" else "")
    assert (row.status, shown_bounce, row.scope) == (status, bounce, scope)


@pytest.mark.parametrize("provider_code", ["twilio:21610", "twilio:30004"])
def test_an_opt_out_and_a_block_are_never_retried(provider_code):
    provider, _, code = provider_code.partition(":")
    blocked = receipt("undelivered", bounce="soft", error_code=code, provider=provider)
    row = seen(sent(), blocked)
    assert (row.bounce, row.no_retry_reason, row.next_attempt_at) == ("soft", "final", 0)
    assert next_timer_at(state_of(sent(), blocked), DEFAULTS) == 0


def test_an_opt_out_is_no_strike_and_is_remembered_whatever_wins():
    opted_out = receipt("undelivered", at=T0 + 1, error_code="21610", provider="twilio")
    assert not strikes(outcome_of(opted_out))
    for events in permutations([sent(), opted_out, receipt("delivered")]):
        state = state_of(*events)
        assert (state.opted_out_at, state.opted_out_by) == (T0 + 1, "twilio")
        assert row_of(b"acme/m", state).status == "delivered"


def test_the_provider_of_the_send_makes_a_code_an_opt_out():
    anonymous = receipt("rejected", error_code="21610")
    by_twilio, by_other = sent(provider="twilio"), sent(provider="plivo")
    assert state_of(anonymous, by_twilio).opted_out_by == "twilio"
    assert state_of(anonymous, by_other).opted_out_at == 0
    assert state_of(anonymous).opted_out_at == 0


# --- attempts that no receipt names -------------------------------------------------------------


def test_a_receipt_without_an_attempt_belongs_to_the_latest_one_sent_before_it():
    row = seen(
        sent(),
        receipt("undelivered", at=T0 + 5_000, bounce="soft"),
        retried(T0 + 3_600_000),
        receipt("undelivered", at=T0 + 3_609_000, bounce="hard", error_code="1"),
    )
    assert (row.status, row.bounce, row.failed_attempt) == ("undelivered", "hard", 2)


def test_a_retry_is_pending_until_a_receipt_after_it():
    row = seen(sent(), receipt("undelivered", at=T0 + 5_000), retried(T0 + 3_600_000))
    assert row.status == "submitted"


def test_before_every_send_it_belongs_to_the_first_attempt():
    row = seen(sent(), receipt("undelivered", at=T0 - 5_000, bounce="hard"))
    assert (row.status, row.failed_attempt) == ("undelivered", 1)


def test_one_that_names_its_attempt_is_believed():
    late = receipt("undelivered", at=T0 + 9_000_000, bounce="hard", attempt=1)
    row = seen(sent(), retried(T0 + 3_600_000), late)
    assert row.status == "submitted"


def test_hard_then_soft_of_two_attempts_without_a_name():
    events = [
        sent(),
        receipt("undelivered", at=T0 + 1_000, bounce="hard"),
        receipt("undelivered", at=T0 + 3_601_000, bounce="soft"),
    ]
    assert seen(*events).bounce == "hard"  # both of attempt 1: the higher rank
    assert seen(*events, retried(T0 + 3_600_000)).bounce == "soft"  # of attempt 2


def test_unknown_decides_nothing():
    row = seen(sent(), receipt(UNKNOWN_WORD, at=T0 + 9_000), receipt("queued"))
    assert row.status == "queued"


# --- parts --------------------------------------------------------------------------------------


def part(number: int, status: str, at: int = T0 + 5_000, parts: int = 3, **given: Any) -> Receipt:
    return receipt(status, at=at, part=number, parts=parts, **given)


@pytest.mark.parametrize(
    ("rule", "receipts", "status", "bounce", "delivered_at"),
    [
        ("none: submitted", [], "submitted", "", 0),
        ("one of three", [part(1, "delivered")], "queued", "", 0),
        (
            "all three",
            [part(number, "delivered", T0 + number) for number in (2, 3, 1)],
            "delivered",
            "",
            T0 + 3,
        ),
        (
            "one failed for good",
            [part(1, "undelivered", bounce="hard"), part(2, "delivered"), part(3, "delivered")],
            "undelivered",
            "hard",
            0,
        ),
        ("one failed softly", [part(1, "undelivered"), part(2, "delivered")], "undelivered",
         "soft", 0),
        (
            "softly, and delivered later",
            [part(1, "undelivered", parts=2), part(1, "delivered", T0 + 9, 2),
             part(2, "delivered", T0 + 1, 2)],
            "delivered",
            "",
            T0 + 9,
        ),
        ("a message of one part", [part(1, "delivered", T0 + 1, 1)], "delivered", "", T0 + 1),
        (
            "the whole delivered beats a failed part",
            [part(1, "undelivered", bounce="hard"), receipt("delivered", T0 + 7)],
            "delivered",
            "",
            T0 + 7,
        ),
        ("all read", [part(1, "read", parts=2), part(2, "read", parts=2)], "read", "",
         T0 + 5_000),
    ],
)  # fmt: skip
def test_parts_make_a_whole(rule, receipts, status, bounce, delivered_at):
    row = seen(sent(), *receipts)
    assert (row.status, row.bounce, row.delivered_at) == (status, bounce, delivered_at)


def test_parts_belong_to_attempts():
    first = [part(1, "undelivered", T0 + 1, 2), part(2, "delivered", T0 + 1, 2)]
    again = [part(number, "delivered", T0 + 3_600_001, 2) for number in (1, 2)]
    row = seen(sent(), retried(T0 + 3_600_000), *first[:1], *again)
    assert (row.status, row.delivered_at) == ("delivered", T0 + 3_600_001)
    assert seen(sent(), retried(T0 + 3_600_000), *first).status == "submitted"


# --- prices, networks, clicks -------------------------------------------------------------------


def priced(price: str, at: int, currency: str = "EUR", **given: Any) -> Receipt:
    return receipt("queued", at=at, price=Decimal(price), currency=currency, **given)


@pytest.mark.parametrize(
    ("rule", "receipts", "price", "currency"),
    [
        ("none", [], 0, ""),
        ("one", [priced("0.05", T0 + 1)], 50_000, "EUR"),
        ("a charge written as negative", [priced("-0.0075", T0 + 1)], 7_500, "EUR"),
        ("the last one of an attempt", [priced("0.05", T0 + 1), priced("0.04", T0 + 2)], 40_000,
         "EUR"),
        ("summed over attempts", [priced("0.05", T0 + 1), priced("0.04", T0 + 3_600_001)], 90_000,
         "EUR"),
        ("attempts by name", [priced("0.05", T0 + 1, attempt=1), priced("0.04", T0, attempt=2)],
         90_000, "EUR"),
        ("summed over parts", [priced("0.05", T0 + 1, part=1, parts=2),
                               priced("0.05", T0 + 1, part=2, parts=2)], 100_000, "EUR"),
        ("of two currencies the latest", [priced("0.05", T0 + 1),
                                          priced("0.06", T0 + 3_600_001, "USD")], 60_000, "USD"),
    ],
)  # fmt: skip
def test_prices_add_up(rule, receipts, price, currency):
    row = seen(sent(), retried(T0 + 3_600_000), *receipts)
    assert (row.price, row.currency) == (price, currency)


def test_the_latest_network_counts():
    row = seen(
        sent(),
        receipt("queued", T0 + 1, mccmnc="23415"),
        receipt("delivered", T0 + 2, mccmnc="310260"),
        receipt("read", T0 + 3),
    )
    assert row.mccmnc == "310260"


@pytest.mark.parametrize(
    ("rule", "clicks", "person", "program"),
    [
        ("long after delivery", [clicked(T0 + 60_000)], T0 + 60_000, 0),
        ("right after it", [clicked(T0 + 7_000)], 0, T0 + 7_000),
        ("right before it", [clicked(T0 + 3_000)], 0, T0 + 3_000),
        ("just not", [clicked(T0 + 7_001)], T0 + 7_001, 0),
        ("known to the publisher", [clicked(T0 + 60_000, automated=True)], 0, T0 + 60_000),
        (
            "two links at once",
            [clicked(T0 + 60_000, link_id="a"), clicked(T0 + 61_000, link_id="b")],
            0,
            T0 + 60_000,
        ),
        (
            "one link twice",
            [clicked(T0 + 60_000, link_id="a"), clicked(T0 + 60_500, link_id="a")],
            T0 + 60_000,
            0,
        ),
        (
            "two links one after the other",
            [clicked(T0 + 60_000, link_id="a"), clicked(T0 + 61_001, url="https://a.example")],
            T0 + 60_000,
            0,
        ),
        (
            "a program, then a person",
            [clicked(T0 + 5_500), clicked(T0 + 90_000)],
            T0 + 90_000,
            T0 + 5_500,
        ),
    ],
)
def test_clicks_of_people_and_of_programs(rule, clicks, person, program):
    row = seen(sent(), receipt("delivered"), *clicks)
    assert (row.clicked_at, row.automated_clicked_at) == (person, program)


def test_a_click_of_an_older_version_stays():
    state = state_of(sent(), receipt("delivered"))
    state.clicked_at = T0 + 60_000
    assert row_of(b"acme/m", state).clicked_at == T0 + 60_000
    add_engagement(state, clicked(T0 + 90_000), DAY)
    assert row_of(b"acme/m", state).clicked_at == T0 + 60_000


def test_a_message_converts_once():
    goal = {"type": "conversion"}
    row = seen(sent(), clicked(T0 + 9_000, **goal), clicked(T0 + 8_000, **goal))
    assert (row.converted_at, row.clicked_at) == (T0 + 8_000, 0)


def test_what_a_send_brings_is_in_the_row():
    first = sent(provider_message_id="p1", template="t", category="utility", reference="r")
    again = retried(T0 + 1, provider_message_id="p2", template="other")
    row = seen(first, again, receipt("delivered", provider_message_id="p3"))
    named = (row.provider_message_id, row.template, row.category, row.reference)
    assert named == ("p2", "t", "utility", "r")
    assert seen(sent(), receipt("queued", provider_message_id="p3")).provider_message_id == "p3"


def test_two_spellings_are_one_person():
    assert seen(sent(recipient="+558299448232")).person == "+5582999448232"
    assert seen(sent(recipient="+5582999448232")).person == "+5582999448232"


@pytest.mark.parametrize(
    ("delivered_after", "delay"), [(5, 5), (0, 0), (-300_000, 0), (-300_001, None)]
)
def test_delivered_long_before_it_was_sent_is_a_wrong_clock(delivered_after, delay):
    assert delay_of(T0, T0 + delivered_after) == delay


@pytest.mark.parametrize("bounce", ["hard", "soft"])
def test_a_status_word_may_name_the_bounce(bounce):
    assert seen(sent(), receipt(f"{bounce}-bounce")).bounce == bounce
    assert seen(sent(), receipt("hard-bounce", bounce=bounce)).bounce == bounce


# --- what only the provider of a send explains ----------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "given"),
    [
        ("a code", {"error_code": "21610"}),
        ("a given soft bounce", {"error_code": "21610", "bounce": "soft"}),
        ("a given hard bounce", {"error_code": "21610", "bounce": "hard", "scope": "recipient"}),
    ],
)
def test_an_opt_out_is_one_whatever_comes_first(rule, given):
    anonymous = receipt("undelivered", **given)
    for events in permutations([sent(provider="twilio"), anonymous]):
        state = MessageState()
        for event in events:  # the owner decides after each
            if isinstance(event, Send):
                add_send(state, send_fact(event))
            else:
                add_receipt(state, event, outcome_of(event, DEFAULTS), DAY)
            decide(state, DEFAULTS)
        annotate(state, DEFAULTS)
        row = row_of(b"acme/m", state)
        assert (row.no_retry_reason, state.opted_out_by) == ("final", "twilio")
        assert state.outcome is not None
        assert not strikes(state.outcome)


@pytest.mark.parametrize(
    ("provider", "given"),
    [
        ("aws", {"reason": "Phone number is opted out"}),
        ("aws", {"status": "OPTED_OUT"}),
        ("aws", {"status": "Opted-Out"}),
        ("north", {"reason": "Recipient has opted out"}),
    ],
)
def test_words_and_status_words_opt_out_too(provider, given):
    fields = {"account": "acme", "message_id": "m", "status": "undelivered", "occurred_at": T0 + 1}
    came = parse_receipt(json.dumps(fields | given).encode(), -1)
    assert not isinstance(came, Refusal)
    row = seen(sent(provider=provider), came)
    assert (row.fail_reason, row.no_retry_reason) == ("opted out", "final")
    assert state_of(sent(provider=provider), came).opted_out_at == T0 + 1


def test_codes_that_may_be_opt_outs_hide_none_that_is_one():
    sure = receipt("undelivered", at=T0 + 1, error_code="21610", provider="twilio")
    others = [receipt("undelivered", at=T0 + 2 + n, error_code="9") for n in range(20)]
    state = state_of(sure, *others, sent(provider="north"))
    assert (state.opted_out_at, state.opted_out_by) == (T0 + 1, "twilio")


def test_an_opt_out_belongs_to_its_attempt():
    refused = receipt("undelivered", at=T0 + 3_600_001, error_code="21610", provider="twilio")
    state = state_of(sent(channel="whatsapp"), retried(T0 + 3_600_000), refused)
    assert state.opted_out_attempt == 2


def test_parts_that_are_read_make_a_message_that_is_read():
    row = seen(sent(), *(part(number, "read", T0 + number, 2) for number in (1, 2)))
    assert (row.status, row.read_at, row.delivered_at) == ("read", T0 + 2, T0 + 2)


def test_prices_of_many_parts_without_an_attempt_add_up():
    receipts = [priced("0.01", T0 + n, part=n, parts=20) for n in range(1, 21)]
    assert row_of(b"acme/m", state_of(sent(), *receipts)).price == 200_000


def test_metas_codes_are_read_through_whoever_passes_them_on():
    row = seen(sent(channel="whatsapp"), receipt("failed", error_code="131026", provider="turn"))
    assert (row.bounce, row.fail_reason) == ("hard", "not on WhatsApp")
