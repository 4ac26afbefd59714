"""Accounts, strikes, suppressions, requests: from records to what people read of them."""

import itertools

import pytest

from models.refusal import Reason
from models.settings import Topic
from models.strikes import Strike
from models.suppression import ChannelStatus, SuppressionStatus, of_any
from sinks.rows import map_records
from tests.support.account_records import (
    NUMBER,
    account,
    record_of,
    request,
    retry,
    strike,
    suppression,
)
from tests.support.fakes import AT_T0, T0, receipt, send, state, state_record
from tests.support.records import Record
from tests.support.written import WrittenDatabase

FREE = SuppressionStatus(suppressed=False, reasons=(), since=0, until=0, strikes=2)
STRUCK = SuppressionStatus(suppressed=True, reasons=("hard_bounces",), since=T0, until=0, strikes=3)
BOTH = SuppressionStatus(
    suppressed=True, reasons=("unsubscribed", "manual"), since=T0, until=T0 + 1, strikes=0
)


@pytest.fixture
def way() -> str:
    """The real HTTP driver alone: the engine is the same."""
    return "http"


def milliseconds(column: str) -> str:
    return f"toUnixTimestamp64Milli({column})"


# --- messages and orphans -----------------------------------------------------------------------


def test_a_failure_has_a_reason_for_people_beside_the_words_of_the_provider(
    world: WrittenDatabase,
) -> None:
    failed = state(
        4,
        send(),
        receipt("undelivered", bounce="soft", error_code="30003", reason="Unreachable handset"),
        fail_reason="absent or switched off",
        next_attempt_at=T0 + 3_600_000,
        to_suppressed=True,
    )
    world.write("message-states", state_record(failed))
    columns = (
        "error_code, error_text, fail_reason, failed_attempt, no_retry_reason, "
        f"{milliseconds('next_attempt_at')}, sent_to_suppressed"
    )
    assert world.rows(f"SELECT {columns} FROM messages_current") == [
        ("30003", "Unreachable handset", "absent or switched off", 1, "", T0 + 3_600_000, True)
    ]


def test_a_failure_that_is_not_retried_has_a_reason(world: WrittenDatabase) -> None:
    over = state(
        2, send(), send(attempt=2, sent_at=T0 + 9, first_sent_at=T0),
        receipt("undelivered", attempt=2), no_retry="too_late",
    )  # fmt: skip
    world.write("message-states", state_record(over))
    assert world.rows(
        "SELECT attempts, failed_attempt, no_retry_reason, next_attempt_at FROM messages_current"
    ) == [(2, 2, "too_late", None)]


def test_a_message_that_has_not_failed_has_no_failure_columns(world: WrittenDatabase) -> None:
    world.write("message-states", state_record(state(1, send(), receipt("delivered"))))
    columns = "error_text, fail_reason, failed_attempt, no_retry_reason, next_attempt_at"
    assert world.rows(f"SELECT {columns}, sent_to_suppressed FROM messages_current") == [
        ("", "", None, "", None, False)
    ]


def test_an_orphan_has_both_reasons_too(world: WrittenDatabase) -> None:
    known = state(
        1, receipt("undelivered", bounce="hard", reason="gone"), fail_reason="unknown subscriber"
    )
    world.write("message-states", state_record(known))
    assert world.rows("SELECT error_text, fail_reason FROM orphans_current") == [
        ("gone", "unknown subscriber")
    ]


# --- accounts -----------------------------------------------------------------------------------


def test_an_account_as_people_see_it(world: WrittenDatabase) -> None:
    world.write(
        "accounts",
        account(
            7, strike_limit=2, suppress_hard_bounces=False, suppression_days=30, validity_s=3600,
            time_zone="Europe/Berlin", fail_reasons={"p:1": "Grüße", "2": "x"}, updated_at=T0 + 5,
            codes={"P:1": {"bounce": "hard"}}, unsubscribe_binds="all",
        ),
    )  # fmt: skip
    columns = (
        "account, suppress_hard_bounces, strike_limit, strikes_reset_on_delivery, "
        "suppression_days, retry_soft_bounces, retry_every_s, retry_for_s, validity_s, time_zone, "
        f"text_days, recipient_days, fail_reasons, {milliseconds('updated_at')}, published_at, "
        "version, codes, unsubscribe_binds"
    )
    assert world.rows(f"SELECT {columns} FROM accounts_current") == [
        (
            "acme", False, 2, False, 30, True, 3600, 172_800, 3600, "Europe/Berlin", None, None,
            {"p:1": "Grüße", "2": "x"}, T0 + 5, AT_T0, 7, {"p:1": '{"bounce":"hard"}'}, "all",
        )
    ]  # fmt: skip


def test_meanings_of_codes_and_what_an_unsubscribe_binds(world: WrittenDatabase) -> None:
    codes = {"Twilio:030003": {"bounce": "hard", "scope": "recipient", "reason": "gone"}, "5": {}}
    world.write("accounts", account(7, codes=codes, unsubscribe_binds="all"))
    world.write("accounts", account(8)._replace(key=b"other", value=None))
    assert world.rows("SELECT account, codes, unsubscribe_binds FROM accounts ORDER BY ALL") == [
        (
            "acme",
            {"twilio:30003": '{"bounce":"hard","scope":"recipient","reason":"gone"}', "5": "{}"},
            "all",
        ),
        ("other", {}, "marketing"),
    ]


def test_the_last_settings_published_win_whatever_their_updated_at(
    world: WrittenDatabase,
) -> None:
    first, last = account(0, strike_limit=5, updated_at=T0 + 9), account(1, updated_at=T0)
    for order in itertools.permutations((first, last, first)):
        world.write("accounts", *order)
    world.merge("accounts")
    world.write("accounts", first)
    assert world.rows("SELECT strike_limit, version FROM accounts_current") == [(3, 1)]


def test_withdrawn_settings_are_gone_until_others_are_published(world: WrittenDatabase) -> None:
    gone = Record("accounts", 0, 1, T0, b"acme", None)
    world.write("accounts", gone, account(0))
    world.write("accounts", account(0))
    assert world.rows("SELECT count() FROM accounts_current") == [(0,)]
    world.write("accounts", account(2, strike_limit=4))
    world.write("accounts", gone)
    assert world.rows("SELECT strike_limit FROM accounts_current") == [(4,)]


@pytest.mark.parametrize(
    ("record", "reason", "detail"),
    [
        (account(strike_limit=0), Reason.BAD_VALUE, "strike_limit: "),
        (account(time_zone="Mars"), Reason.BAD_VALUE, "time_zone: "),
        (account(retry_every_s="3600"), Reason.WRONG_TYPE, "retry_every_s: "),
        (account()._replace(value=b""), Reason.EMPTY, "value: "),
        (account()._replace(value=b"{"), Reason.NOT_JSON, "value: "),
        (account()._replace(value=b"[]"), Reason.NOT_OBJECT, "value: "),
        (account()._replace(value=b"{}"), Reason.MISSING_FIELD, "account: "),
        (account(key=None), Reason.MISROUTED, "key: "),
    ],
)
def test_refused_settings_become_dead_letters(record: Record, reason: Reason, detail: str) -> None:
    found = map_records({"accounts": [record, account()]}, 65_536)
    ((refused, refusal),) = found.refused
    assert refused is record
    assert refusal.reason == reason
    assert refusal.detail.startswith(detail)
    assert len(found.tables["accounts"].rows) == 1
    assert found.accepted == {("accounts", "account"): 1}


# --- strikes ------------------------------------------------------------------------------------


def test_a_message_is_one_strike_and_its_highest_version_wins(world: WrittenDatabase) -> None:
    struck, better = strike(version=3), strike(version=5)
    withdrawn, other = strike("withdrawn", version=9), strike(version=4, message_id="m2")
    for order in itertools.permutations((struck, better, withdrawn, other)):
        world.write("strikes", *order)
    world.merge("strikes")
    world.write("strikes", struck, better)
    columns = "account, recipient, message_id, struck, code, sent_at, version"
    assert world.rows(f"SELECT {columns} FROM strikes_current ORDER BY message_id") == [
        ("acme", NUMBER, "m1", False, "30005", AT_T0, 9),
        ("acme", NUMBER, "m2", True, "30005", AT_T0, 4),
    ]


def test_a_delivery_is_no_strike_and_refused_strikes_are_the_workers() -> None:
    found = map_records(
        {"strikes": [strike("delivered"), strike()._replace(value=b"{}"), strike()]}, 65_536
    )
    assert found.skipped == {("strikes", "delivered"): 1, ("strikes", "refused"): 1}
    assert len(found.tables["strikes"].rows) == 1
    assert found.refused == []


# --- suppressions -------------------------------------------------------------------------------

SUPPRESSIONS = (
    "SELECT suppressed, reasons, since, until IS NULL, strikes, version FROM suppressions "
    "WHERE channel = 'sms'"
)
HISTORY = (
    f"SELECT {milliseconds('published_at')}, version, suppressed, reasons "
    "FROM suppression_history WHERE channel = 'sms' ORDER BY version"
)


def test_the_status_of_a_recipient_and_its_history(world: WrittenDatabase) -> None:
    published = [
        suppression(1, FREE, T0),
        suppression(2, STRUCK, T0 + 10),
        suppression(3, BOTH, T0 + 20),
        suppression(4, FREE, T0 + 30),
        suppression(5, STRUCK, T0 + 40),
    ]
    for order in (published, published[::-1], published[2:] + published[:2]):
        world.write("suppressions", *order)
        assert world.rows(SUPPRESSIONS) == [(True, ["hard_bounces"], AT_T0, 1, 3, 5)]
    world.merge("suppression_records", "suppression_versions")
    world.write("suppressions", published[3])
    assert world.rows(SUPPRESSIONS) == [(True, ["hard_bounces"], AT_T0, 1, 3, 5)]
    assert world.rows(HISTORY) == [
        (T0, 1, False, []),
        (T0 + 10, 2, True, ["hard_bounces"]),
        (T0 + 20, 3, True, ["unsubscribed", "manual"]),
        (T0 + 30, 4, False, []),
        (T0 + 40, 5, True, ["hard_bounces"]),
    ]


def test_a_released_number_stays_visible_and_has_no_times(world: WrittenDatabase) -> None:
    world.write("suppressions", suppression(1, STRUCK), suppression(2, FREE))
    assert world.rows(SUPPRESSIONS) == [(False, [], None, 1, 2, 2)]
    assert world.rows("SELECT recipient FROM suppressions WHERE has(reasons, 'manual')") == []


def test_a_suppression_without_a_value_leaves_its_rows(world: WrittenDatabase) -> None:
    world.write("suppressions", suppression(1, STRUCK))
    tombstone = suppression(2, FREE)._replace(value=None)
    found = map_records({"suppressions": [tombstone]}, 65_536)
    assert (found.tables, found.refused) == ({}, [])
    assert found.skipped == {("suppressions", "tombstone"): 1}


def on(channel: str, reason: str = "", for_all: int = 0) -> ChannelStatus:
    """The status on one channel; without a reason it is not suppressed there."""
    reasons = (reason,) if reason else ()
    return ChannelStatus(channel, bool(reason), reasons, T0 if reason else 0, 0, 1, for_all)


def test_a_number_has_a_row_for_each_channel_and_a_release_on_one_replaces_its_row(
    world: WrittenDatabase,
) -> None:
    struck, left = on("sms", "hard_bounces", T0), on("whatsapp", "unsubscribed")
    both, one = of_any([struck, left]), of_any([on("sms"), left])
    records = [suppression(1, STRUCK), suppression(2, both), suppression(3, one)]
    columns = "channel, suppressed, reasons, since IS NULL, binds, version"
    for order in itertools.permutations(records):
        world.write("suppressions", *order)
    for _ in range(2):
        assert world.rows(f"SELECT {columns} FROM suppressions ORDER BY channel") == [
            ("sms", False, [], 1, "", 3),
            ("whatsapp", True, ["unsubscribed"], 0, "marketing", 3),
        ]
        world.merge("suppression_records", "suppression_versions")
    history = "SELECT version, channel, binds FROM suppression_history ORDER BY version, channel"
    assert world.rows(history) == [
        (1, "sms", "all"),
        (1, "whatsapp", "all"),
        (2, "sms", "all"),
        (2, "whatsapp", "marketing"),
        (3, "sms", ""),
        (3, "whatsapp", "marketing"),
    ]


@pytest.mark.parametrize(
    ("reasons", "binds"), [(("unsubscribed",), "marketing"), (("unsubscribed", "manual"), "all")]
)
def test_a_record_from_before_channels_were_known_is_about_every_channel(
    world: WrittenDatabase, reasons: tuple[str, ...], binds: str
) -> None:
    world.write("suppressions", suppression(1, SuppressionStatus(True, reasons, T0, 0, 0)))
    assert world.rows("SELECT channel, binds FROM suppressions ORDER BY channel") == [
        ("sms", binds),
        ("whatsapp", binds),
    ]
    assert world.rows("SELECT channel, binds FROM suppression_records") == [("", binds)]


def test_strikes_and_requests_have_a_channel_and_the_spelling_of_the_person(
    world: WrittenDatabase,
) -> None:
    person, spelling = "+5582999448232", "+558299448232"
    wish = request("release", recipient=spelling, channel="whatsapp")
    struck = Strike("struck", "acme", spelling, "m1", T0, 1, T0, channel="whatsapp")
    world.write("suppression-requests", wish, request("release"))
    world.write("strikes", strike(), record_of(struck))
    for view in ("suppression_requests_current", "strikes_current"):
        assert world.rows(f"SELECT recipient, channel FROM {view} ORDER BY channel") == [
            (NUMBER, ""),
            (person, "whatsapp"),
        ]


def test_every_request_has_one_row(world: WrittenDatabase) -> None:
    requests = [
        request("suppress", who="ann", why="complaint"),
        request("suppress", who="ben", why="complaint"),
        request("release", who="ann"),
        request("unsubscribe", T0 + 1, who="recipient", why="m1"),
        request("resubscribe", T0 + 2),
    ]
    for _ in range(2):
        world.write("suppression-requests", *requests)
        world.write("suppression-requests", *reversed(requests))
    world.merge("suppression_requests")
    world.write("suppression-requests", requests[0])
    columns = f"{milliseconds('at')}, action, who, why"
    assert world.rows(
        f"SELECT {columns} FROM suppression_requests_current ORDER BY at, action, who"
    ) == [
        (T0, "release", "ann", ""),
        (T0, "suppress", "ann", "complaint"),
        (T0, "suppress", "ben", "complaint"),
        (T0 + 1, "unsubscribe", "recipient", "m1"),
        (T0 + 2, "resubscribe", "", ""),
    ]


def test_refused_requests_are_the_workers() -> None:
    found = map_records(
        {"suppression-requests": [request("forget"), request("release", -1), request("release")]},
        65_536,
    )
    assert found.skipped == {("suppression-requests", "refused"): 2}
    assert len(found.tables["suppression_requests"].rows) == 1
    assert found.refused == []


# --- retry requests -----------------------------------------------------------------------------


def test_of_a_request_published_twice_the_first_wins(world: WrittenDatabase) -> None:
    first, again = retry(), retry(at=T0 + 3_600_500, due_at=T0 + 3_600_001)
    third = retry(at=T0 + 9_000_000, due_at=T0 + 7_200_000, attempt=3)
    for order in itertools.permutations((first, again, third)):
        world.write("retry-requests", *order)
    world.merge("retry_requests")
    world.write("retry-requests", again)
    columns = f"id, account, message_id, attempt, first_sent_at, {milliseconds('due_at')}, channel"
    assert world.rows(f"SELECT {columns} FROM retry_requests_current ORDER BY attempt") == [
        ("acme/m1/2", "acme", "m1", 2, AT_T0, T0 + 3_600_000, "sms"),
        ("acme/m1/3", "acme", "m1", 3, AT_T0, T0 + 7_200_000, "sms"),
    ]


@pytest.mark.parametrize("topic", ["suppressions", "retry-requests"])
@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b"\xff", b'{"account": 1}'])
def test_what_the_workers_never_write_becomes_a_dead_letter(topic: Topic, value: bytes) -> None:
    record = Record(topic, 0, 0, T0, b"acme/m1", value)
    ((refused, refusal),) = map_records({topic: [record]}, 65_536).refused
    assert (refused, refusal.reason) == (record, Reason.BAD_ROW)
