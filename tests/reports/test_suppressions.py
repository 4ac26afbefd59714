"""Suppressed numbers and the messages behind them against the truth."""

from collections import Counter
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from models.numbers import person_of
from models.vocabulary import CHANNELS
from reports.catalogue.suppressions import SUPPRESSIONS
from reports.query.database import Database
from reports.query.query import parse_query
from reports.views import statements
from sinks.client import connect
from sinks.migrate import migrate
from tests.reports.queries import biggest, query_of, rows_of
from tests.reports.truth import Row, Truth, at, day_of, truth_of
from tests.reports.world import World, every_world_and_zone
from tests.support.front import Front

Held = tuple[str, str]
"""A person and a channel."""


def strikes_of(world: World, truth: Truth) -> dict[Held, list[tuple[str, int, int, str]]]:
    """Message, sent, struck and code of the strikes that count, the newest first."""
    released: dict[Held, int] = {}
    for one in world.expected.decisions:
        if one.account == truth.account and one.action == "release":
            for channel in [one.channel] if one.channel else CHANNELS:
                held = one.person, channel
                released[held] = max(released.get(held, 0), one.at)
    found: dict[Held, list[tuple[int, int, str, str]]] = {}
    for (account, name), strike in world.expected.strikes.items():
        held = person_of(strike.recipient), strike.channel
        if account == truth.account and strike.sent_at >= released.get(held, 0):
            found.setdefault(held, []).append(
                (strike.occurred_at, strike.sent_at, name, strike.code)
            )
    return {
        held: [
            (name, sent_at, struck_at, code)
            for struck_at, sent_at, name, code in sorted(theirs, reverse=True)
        ][: truth.held[held].strikes if held in truth.held else 0]
        for held, theirs in found.items()
    }


def numbers_of(world: World, truth: Truth, zone: str, first: date, last: date) -> list[Row]:
    """One row for each suppressed number and channel, the latest suppression first."""
    strikes = strikes_of(world, truth)
    rows = []
    for (number, channel), status in truth.held.items():
        if number in truth.undetermined_recipients:
            continue
        if first <= day_of(status.since, zone) <= last:
            rows.append({
                "recipient": number,
                "channel": channel,
                "reasons": ", ".join(status.reasons),
                "since": at(status.since),
                "until": at(status.until),
                "binds": status.binds,
                "strikes": status.strikes,
                "messages": ", ".join(one[0] for one in strikes.get((number, channel), [])),
            })  # fmt: skip
    rows.sort(key=lambda row: (row["recipient"], row["channel"]))
    return sorted(rows, key=lambda row: row["since"], reverse=True)


def found(world: World, truth: Truth, zone: str, params: Row, section: str) -> list[Row]:
    rows = rows_of(world, query_of(world, SUPPRESSIONS, truth.account, params, zone), section)
    return [row for row in rows if row["recipient"] not in truth.undetermined_recipients]


@every_world_and_zone
def test_numbers_and_messages_are_those_of_the_truth(world: World, zone: str) -> None:
    reasons: Counter[str] = Counter()
    thorough = world.turn(zone) == 0
    for account in world.accounts if thorough else [biggest(world)]:
        truth = truth_of(world, account)
        strikes = strikes_of(world, truth)
        for params in ({}, {"last": "2"}) if thorough else ({"last": "3"},):
            query = query_of(world, SUPPRESSIONS, account, params, zone)
            assert query.period.is_everything == (not params)
            wanted = numbers_of(world, truth, zone, query.period.first, query.period.last)
            assert found(world, truth, zone, params, "numbers") == wanted
            rows = found(world, truth, zone, params, "strikes")
            assert [
                (
                    row["recipient"],
                    row["channel"],
                    row["message_id"],
                    row["sent_at"],
                    row["struck_at"],
                    row["code"],
                )
                for row in rows
            ] == [
                (number["recipient"], number["channel"], name, at(sent_at), at(struck_at), code)
                for number in wanted
                for name, sent_at, struck_at, code in strikes.get(
                    (number["recipient"], number["channel"]), []
                )
            ]
            for row in rows:
                message = truth.messages[row["message_id"]]
                assert row["campaign_id"] == message.campaign_id
                if "fail_reason" not in truth.undetermined.get(row["message_id"], ()):
                    assert row["fail_reason"] == message.fail_reason != ""
            reasons.update(reason for row in wanted for reason in row["reasons"].split(", "))
    assert reasons["unsubscribed"]
    assert not thorough or len(reasons) == 3


def test_filters_leave_exactly_their_numbers(world: World) -> None:
    today: datetime = world.now.astimezone(ZoneInfo("UTC"))
    for account in world.accounts:
        truth = truth_of(world, account)
        everything = numbers_of(world, truth, "UTC", date(2000, 1, 1), today.date())
        for chosen in (["hard_bounces"], ["unsubscribed", "manual"]):
            rows = found(world, truth, "UTC", {"reason": chosen}, "numbers")
            assert rows == [
                row for row in everything if set(row["reasons"].split(", ")) & {*chosen}
            ]
        for one in everything[:2]:
            params = {"recipient": one["recipient"], "channel": one["channel"]}
            assert found(world, truth, "UTC", params, "numbers") == [one]
            long_ago = {**params, "since": "2020-01-01", "until": "2020-01-02"}
            assert found(world, truth, "UTC", long_ago, "numbers") == [one]
        for params in ({}, {"channel": "sms"}, {"reason": ["manual"]}):
            (totals,) = rows_of(world, query_of(world, SUPPRESSIONS, account, params), "totals")
            theirs = rows_of(world, query_of(world, SUPPRESSIONS, account, params), "numbers")
            assert totals["numbers"] == len({row["recipient"] for row in theirs})
            for reason in ("hard_bounces", "unsubscribed", "manual"):
                of_reason = {row["recipient"] for row in theirs if reason in row["reasons"]}
                assert totals[reason] == len(of_reason)


def test_strikes_of_messages_from_before_a_release_do_not_count(reports_front: Front) -> None:
    """Even when the receipt that struck came after it."""
    url = reports_front.url("suppressions_released")
    clickhouse = connect(url)
    migrate(clickhouse, 90, views=statements())
    for table, columns, rows in (
        (
            "strikes",
            "account, recipient, sent_at, message_id, struck, occurred_at, code",
            "('a', '+1', '2026-11-20 10:00', 'old', true, '2026-11-20 13:00', '7'),"
            "('a', '+1', '2026-11-20 12:30', 'new', true, '2026-11-20 12:45', '8'),"
            "('a', '+1', '2026-11-20 12:40', 'withdrawn', false, '2026-11-20 12:50', '9')",
        ),
        (
            "suppression_requests",
            "account, recipient, at, action",
            "('a', '+1', '2026-11-20 12:00', 'release')",
        ),
        (
            "suppression_records",
            "account, recipient, suppressed, reasons, since, strikes, channel, binds",
            "('a', '+1', true, ['manual'], '2026-11-20 14:00', 1, 'sms', 'all')",
        ),
    ):
        clickhouse.command(f"INSERT INTO {table} ({columns}) VALUES {rows}")
    clickhouse.close()
    query = parse_query(SUPPRESSIONS, "a", "UTC", {}, datetime(2026, 11, 21, tzinfo=UTC))
    database = Database(url)
    _, numbers, strikes = SUPPRESSIONS.sections
    (row,) = database.rows(numbers.sql, query.parameters(numbers)).records()
    assert (row["messages"], row["reasons"]) == ("new", "manual")
    (row,) = database.rows(strikes.sql, query.parameters(strikes)).records()
    assert (row["message_id"], row["code"], row["fail_reason"]) == ("new", "8", "")
    database.close()
