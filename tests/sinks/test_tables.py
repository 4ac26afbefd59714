"""What the rows come to in ClickHouse, on the embedded engine and through the HTTP driver."""

import json
import random
import time
from decimal import Decimal
from typing import Any

import pytest

from models.counters import cell_key, encode_cell
from models.refusal import Reason, Refusal
from sinks.dead_letters import Record as SinkRecord
from sinks.errors import Broken, Unavailable
from sinks.mapped_batch import TableRows
from sinks.migrate import migrate
from sinks.rows import map_records
from sinks.tables import ALL
from tests.support.fakes import AT_T0, T0, counts_of, headers_of, receipt, send, state, state_record
from tests.support.records import Record
from tests.support.unmatched_records import NUMBER, unmatched_record
from tests.support.written import WrittenDatabase


@pytest.fixture(params=["UTC", "Asia/Kolkata", "America/St_Johns"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The zone of the machine the sink runs on."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    return str(request.param)


@pytest.fixture(autouse=True)
def zone_again() -> None:
    """Each test begins in the zone of the environment."""
    time.tzset()


def test_a_message_as_people_see_it(world: WrittenDatabase) -> None:
    known = state(
        7,
        send(credits=Decimal("0.072500"), campaign_id="c1", source="campaign", email="a@b.example"),
        receipt("queued", occurred_at=T0 + 1000),
        receipt("delivered", occurred_at=T0 + 5001, provider="p"),
    )
    world.write("message-states", state_record(known))
    columns = (
        "account, message_id, channel, direction, source, campaign_id, recipient, country, email, "
        "provider, segments, credits, attempts, status, platform_status, carrier_status, bounce, "
        "toUnixTimestamp64Milli(sent_at), toUnixTimestamp64Milli(queued_at), "
        "toUnixTimestamp64Milli(delivered_at), read_at, clicked_at, version"
    )
    assert world.rows(f"SELECT {columns} FROM messages_current") == [
        (
            "acme", "m1", "sms", "outbound", "campaign", "c1", "+4915112345678", "DE",
            "a@b.example", "p", 1, Decimal("0.072500"), 1, "delivered", "submitted", "delivered",
            "", T0, T0 + 1000, T0 + 5001, None, None, 7,
        )
    ]  # fmt: skip


def test_columns_of_messages_current_are_stable(world: WrittenDatabase) -> None:
    found = world.rows(
        "SELECT arrayStringConcat(groupArray(name), ' ') FROM (SELECT name FROM system.columns "
        f"WHERE database = '{world.clickhouse.database}' AND table = 'messages_current' "
        "ORDER BY position)"
    )
    assert found[0][0] == (
        "account message_id channel direction source sender_id sent_by campaign_id message_type "
        "recipient country external_id email platform provider segments credits attempts "
        "sent_at status platform_status carrier_status bounce scope error_code fail_reason "
        "queued_at delivered_at read_at finalized_at clicked_at unsubscribed_at version "
        "error_text failed_attempt no_retry_reason next_attempt_at sent_to_suppressed outcome "
        "person provider_message_id template category reference mccmnc price currency "
        "converted_at automated_clicked_at repaired"
    )


def test_any_order_and_any_repetition_ends_in_the_newest(world: WrittenDatabase) -> None:
    records = [
        state_record(state(1, send())),
        state_record(state(2, send(), receipt("queued"))),
        state_record(state(3, send(), receipt("queued"), receipt("delivered"))),
    ]
    for seed in range(4):
        random.Random(seed).shuffle(records)
        world.write("message-states", *records)
        for record in records:
            world.write("message-states", record)
    assert world.rows("SELECT status, version FROM messages_current") == [("delivered", 3)]
    world.clickhouse.command("OPTIMIZE TABLE messages FINAL")
    assert world.rows("SELECT status, version FROM messages_current") == [("delivered", 3)]


def test_a_superseded_row_vanishes_and_stays_away(world: WrittenDatabase) -> None:
    late = send(sent_at=T0 + 40 * 86_400_000)
    before = state_record(state(1, late))
    after = state_record(state(2, late, send()))
    world.write("message-states", before)
    world.write("message-states", after)
    world.write("message-states", before)
    assert world.rows("SELECT sent_at FROM messages_current") == [(AT_T0,)]
    world.clickhouse.command("OPTIMIZE TABLE messages FINAL")
    world.write("message-states", before, after)
    assert world.rows("SELECT sent_at FROM messages_current") == [(AT_T0,)]


def test_an_orphan_becomes_a_message(world: WrittenDatabase) -> None:
    alone = state_record(state(1, receipt("delivered")))
    world.write("message-states", alone)
    assert world.rows("SELECT message_id, status, occurred_at IS NULL FROM orphans_current") == [
        ("m1", "delivered", 0)
    ]
    found = state_record(state(2, send(), receipt("delivered"), orphaned=True))
    world.write("message-states", found)
    world.write("message-states", alone)
    assert world.rows("SELECT count() FROM orphans_current") == [(0,)]
    assert world.rows("SELECT status FROM messages_current") == [("delivered",)]


def test_a_filter_on_a_time_sees_null_and_not_1970(world: WrittenDatabase) -> None:
    world.write("message-states", state_record(state(1, send())))
    early = "SELECT count() FROM messages_current WHERE delivered_at < '2000-01-01 00:00:00'"
    assert world.rows(early) == [(0,)]
    never = "SELECT count() FROM messages_current WHERE delivered_at IS NULL"
    assert world.rows(never) == [(1,)]


def cell(version: int, partition: int = 0, kind: str = "hour", **counts: int) -> Record:
    hourly, of_campaign = ("acme", "sms", "direct", "DE", "p", ""), ("acme", *[""] * 4, "c1")
    where = of_campaign if kind == "campaign" else hourly
    key = cell_key(kind, T0, where, partition)
    return Record(
        "status-counters", partition, version, T0, key, encode_cell(version, counts_of(**counts))
    )


def test_cells_are_absolute_and_sum_over_partitions(world: WrittenDatabase) -> None:
    old = cell(1, submitted=5)
    new = cell(2, submitted=1, delivered=4, segments=6, credits=1_500_000)
    other = cell(1, partition=3, submitted=1, segments=1, credits=1)
    for _ in range(2):
        world.write("status-counters", new, old, other)
    wanted = "window_start, submitted, delivered, messages, segments, credits"
    assert world.rows(f"SELECT {wanted} FROM counters_hour") == [
        (AT_T0, 2, 4, 6, 7, Decimal("1.500001"))
    ]
    assert world.rows("SELECT count() FROM counters_day") == [(0,)]


def test_a_cell_back_at_zero_is_gone_from_the_view(world: WrittenDatabase) -> None:
    world.write("status-counters", cell(1, kind="campaign", submitted=1))
    assert world.rows("SELECT campaign_id, messages FROM counters_campaign") == [("c1", 1)]
    world.write("status-counters", cell(2, kind="campaign"))
    assert world.rows("SELECT campaign_id, messages FROM counters_campaign") == []


R0 = 4_102_444_800_000
"""When receipts occur here, in epoch ms: the time to live of none has ended."""


def receipt_record(offset: int = 0, partition: int = 0, **fields: object) -> Record:
    given = {"account": "acme", "message_id": "m1", "status": "queued", "occurred_at": R0, **fields}
    return Record(
        "receipts", partition, offset, R0 + 3, b"acme/m1", json.dumps(given, default=str).encode()
    )


def test_receipts_as_people_see_them(world: WrittenDatabase) -> None:
    world.write(
        "receipts",
        receipt_record(0),
        receipt_record(
            1, 2, status="undelivered", attempt=3, bounce="hard", scope="route", error_code="E1",
            reason="no route", provider="north", provider_message_id="p1", part=1, parts=2,
            recipient="+4915112345678", mccmnc="26201", price="-0.0075", currency="EUR",
            received_at=R0 + 2, provider_status="UNDELIV",
        ),
        receipt_record(2, price="0", currency="EUR"),
    )  # fmt: skip
    columns = (
        "account, message_id, toUnixTimestamp64Milli(occurred_at), attempt, status, bounce, scope, "
        "error_code, error_text, provider, provider_message_id, recipient, part, parts, mccmnc, "
        "price, currency, toUnixTimestamp64Milli(received_at), "
        "toUnixTimestamp64Milli(published_at), repaired, partition, offset, provider_status"
    )
    bare = ("acme", "m1", R0, None, "queued", *[""] * 7, None, None, "")
    assert world.rows(f"SELECT {columns} FROM receipt_events_current ORDER BY offset") == [
        (*bare, None, "", None, R0 + 3, [], 0, 0, ""),
        (
            "acme", "m1", R0, 3, "undelivered", "hard", "route", "E1", "no route", "north", "p1",
            "+4915112345678", 1, 2, "26201", Decimal("-0.0075"), "EUR", R0 + 2, R0 + 3, [], 2, 1,
            "UNDELIV",
        ),
        (*bare, Decimal(0), "EUR", None, R0 + 3, [], 0, 2, ""),
    ]  # fmt: skip


def test_a_replay_of_receipts_changes_nothing(world: WrittenDatabase) -> None:
    """In any order; the same receipt published twice has two rows, as it came."""
    records = [receipt_record(0), receipt_record(1), receipt_record(0, partition=1)]
    for seed in range(4):
        random.Random(seed).shuffle(records)
        world.write("receipts", *records)
        world.write("receipts", records[0])
    expected = [(0, 0), (0, 1), (1, 0)]
    query = "SELECT partition, offset FROM receipt_events_current ORDER BY ALL"
    assert world.rows(query) == expected
    world.merge("receipt_events")
    assert world.rows(query) == expected


def test_receipts_are_kept_as_long_as_the_setting_says(fresh_world: WrittenDatabase) -> None:
    now_ms, day_ms = time.time_ns() // 1_000_000, 86_400_000
    records = [receipt_record(days, occurred_at=now_ms - days * day_ms) for days in (0, 5, 8, 40)]
    fresh_world.write("receipts", *records)
    fresh_world.merge("receipt_events")
    query = "SELECT offset FROM receipt_events_current ORDER BY ALL"
    assert fresh_world.rows(query) == [(0,), (5,), (8,)]
    migrate(fresh_world.clickhouse, 90, events_days=6)
    fresh_world.merge("receipt_events")
    assert fresh_world.rows(query) == [(0,), (5,)]


def test_an_unmatched_receipt_as_people_see_it(world: WrittenDatabase) -> None:
    world.write("unmatched-receipts", unmatched_record(received_at=R0, at=R0 + 5))
    columns = (
        "account, id, toUnixTimestamp64Milli(received_at), found, message_id, "
        "toUnixTimestamp64Milli(at), endpoint, provider, provider_message_id, reference, "
        "recipient, status, provider_status, error_code, error_text, occurred_at"
    )
    query = f"SELECT {columns} FROM unmatched_receipts"
    about = ("twilio-eu", "twilio", "SM1", "order 7", NUMBER, "undelivered", "failed", "30003")
    assert world.rows(query) == [("acme", "r1", R0, False, "", R0 + 5, *about, "unreachable", None)]
    found = unmatched_record(received_at=R0, at=R0 + 9, message_id="m1", occurred_at=T0)
    world.write("unmatched-receipts", found)
    assert world.rows(query) == [
        ("acme", "r1", R0, True, "m1", R0 + 9, *about, "unreachable", AT_T0)
    ]


def test_an_unmatched_receipt_that_was_found_stays_found(world: WrittenDatabase) -> None:
    """Whatever comes later and in any order; then the later record counts. Each comes twice."""
    records = [
        unmatched_record(received_at=R0, at=R0 + 9),
        unmatched_record(received_at=R0, at=R0 + 1, message_id="m1"),
        unmatched_record(received_at=R0 + 86_400_000, at=R0 + 8, message_id="m2"),
        unmatched_record(received_at=R0, at=R0 + 2, id="r2"),
        unmatched_record(received_at=R0, at=R0 + 7, id="r2"),
        unmatched_record(received_at=R0, at=R0 + 7, account="other"),
    ]
    query = (
        "SELECT account, id, found, message_id, toUnixTimestamp64Milli(at) - {R0} "
        "FROM unmatched_receipts ORDER BY ALL"
    ).replace("{R0}", str(R0))
    expected = [
        ("acme", "r1", True, "m2", 8), ("acme", "r2", False, "", 7), ("other", "r1", False, "", 7)
    ]  # fmt: skip
    for seed in range(6):
        random.Random(seed).shuffle(records)
        for record in records:
            world.write("unmatched-receipts", record)
        world.write("unmatched-receipts", *records)
        assert world.rows(query) == expected
        if seed % 2:
            world.merge("unmatched_receipt_records")
            assert world.rows(query) == expected
        world.clickhouse.command("TRUNCATE TABLE unmatched_receipt_records")


def test_a_receipt_that_was_found_at_once_was_never_unmatched(world: WrittenDatabase) -> None:
    """It waits under its id too, where nothing comes: what is reported there is no longer so."""
    found = unmatched_record(received_at=R0, at=R0 + 1, message_id="m1", reported=False)
    for record in (found, unmatched_record(received_at=R0, at=R0 + 9), found):
        world.write("unmatched-receipts", record)
        assert world.rows("SELECT * FROM unmatched_receipts") == []


def test_unmatched_receipts_are_kept_as_long_as_receipts(fresh_world: WrittenDatabase) -> None:
    now_ms, day_ms = time.time_ns() // 1_000_000, 86_400_000
    records = [
        unmatched_record(id=str(days), received_at=now_ms - days * day_ms, at=now_ms)
        for days in (0, 5, 8, 40)
    ]
    fresh_world.write("unmatched-receipts", *records)
    fresh_world.merge("unmatched_receipt_records")
    query = "SELECT id FROM unmatched_receipts ORDER BY ALL"
    assert fresh_world.rows(query) == [("0",), ("5",), ("8",)]
    migrate(fresh_world.clickhouse, 90, events_days=6)
    fresh_world.merge("unmatched_receipt_records")
    assert fresh_world.rows(query) == [("0",), ("5",)]


@pytest.mark.parametrize(
    "wrong", [{"account": ""}, {"id": ""}, {"at": -1}, {"at": 1 << 60}, {"received_at": "now"}]
)
def test_a_record_that_is_no_unmatched_receipt_of_ours_is_refused(wrong: dict[str, Any]) -> None:
    mapped = map_records({"unmatched-receipts": [unmatched_record(**wrong)]}, 65_536)
    ((_, refusal),) = mapped.refused
    assert refusal.reason is Reason.BAD_ROW
    assert next(iter(wrong)) in refusal.detail
    assert mapped.tables == {}


def test_columns_that_are_empty_in_a_whole_batch_have_the_defaults(world: WrittenDatabase) -> None:
    record = state_record(state(1, send()))
    (rows,) = map_records({"message-states": [record]}, 65_536).tables.values()
    full = dict(zip(rows.table.names, rows.rows[0], strict=True)) | {
        "message_id": "m2", "provider_message_id": "p", "template": "t", "category": "c",
        "reference": "r", "mccmnc": "26201", "price": 1_234_567, "currency": "EUR",
        "converted_at": T0, "automated_clicked_at": T0, "repaired": ("text", "url"),
    }  # fmt: skip
    columns = (
        "message_id, provider_message_id, template, category, reference, mccmnc, price, currency, "
        "converted_at, automated_clicked_at, repaired"
    )
    empty = ("m1", *[""] * 5, Decimal(0), "", None, None, [])
    values = ("m2", "p", "t", "c", "r", "26201", Decimal("1.234567"), "EUR", AT_T0, AT_T0)
    for given in ([rows.rows[0]], [rows.rows[0], tuple(full.values())]):
        inserted = TableRows(rows.table)
        for row in given:
            inserted.add(row, record)
        assert world.writer.write(inserted) == []
        found = world.rows(f"SELECT {columns} FROM messages_current ORDER BY message_id")
        assert found == [empty, (*values, ["text", "url"])][: len(given)]


def test_only_columns_without_a_default_of_their_own_may_be_left_out(
    world: WrittenDatabase,
) -> None:
    for table in ALL:
        rare = [table.names[place] for place in table.rare]
        defaults = world.clickhouse.rows(
            "SELECT name, default_kind FROM system.columns "
            "WHERE database = {database:String} AND table = {table:String}",
            {"database": world.clickhouse.database, "table": table.name},
        )
        assert {dict(defaults)[name] for name in rare} <= {""}, table.name


def text_record(text: str, sent_at: int, offset: int = 0) -> Record:
    value = send(sent_at=sent_at, text=text).model_dump_json(exclude={"credits"}).encode()
    return Record("sends", 0, offset, sent_at, b"acme/m1", value)


def test_of_two_texts_of_one_attempt_the_earlier_wins(world: WrittenDatabase) -> None:
    # The texts' time to live counts from sent_at: it must not have run out while the test runs.
    now = int(time.time() * 1000)
    first, second = text_record("first", now), text_record("second", now + 1)
    world.write("sends", second, first)
    world.write("sends", second)
    assert world.rows("SELECT attempt, text FROM message_texts_current") == [(1, "first")]


def test_texts_are_forgotten_after_their_days(world: WrittenDatabase) -> None:
    world.write("sends", text_record("old", T0))
    world.clickhouse.command("OPTIMIZE TABLE message_texts FINAL")
    assert world.rows("SELECT count() FROM message_texts") == [(0,)]


UGLY = [
    b"",
    b"\x00",
    b"\x00" * 64 + b"\xff\xfe",
    bytes(range(256)),
    "Grüße 👋\t\n'\\".encode(),
    b"\xed\xa0\x80",
    random.Random(1).randbytes(65_536),
    None,
]


@pytest.mark.parametrize("key", UGLY, ids=range(len(UGLY)))
def test_dead_letters_keep_any_bytes(world: WrittenDatabase, key: bytes | None) -> None:
    refusal = Refusal(Reason.NOT_JSON, "value: nul \x00 and ü")
    for value in UGLY:
        origin = Record("receipts", 3, 12, T0, key, value)
        headers = headers_of(origin, refusal)
        letter = Record("dead-letters", 3, 4, T0 + 1, key, value, headers)
        world.write("dead-letters", letter)
        world.write("dead-letters", letter)
        found = world.rows(
            "SELECT topic, partition, offset, time, reason, detail, "
            "isNull(key), hex(ifNull(key, '')), isNull(value), hex(ifNull(value, '')), dead_offset "
            "FROM dead_letters"
        )
        assert found == [
            (
                "receipts", 3, 12, AT_T0, "not_json", refusal.detail,
                key is None, (key or b"").hex().upper(),
                value is None, (value or b"").hex().upper(), 4,
            )
        ]  # fmt: skip
        world.clickhouse.command("TRUNCATE TABLE dead_letter_records")


def test_times_do_not_depend_on_the_zone_of_the_machine(zone: str, world: WrittenDatabase) -> None:
    world.write("message-states", state_record(state(1, send(), receipt("delivered"))))
    world.write("status-counters", cell(1, submitted=1))
    milliseconds = "toUnixTimestamp64Milli(sent_at), toUnixTimestamp64Milli(delivered_at)"
    assert world.rows(f"SELECT {milliseconds} FROM messages_current") == [(T0, T0 + 5000)]
    assert world.rows("SELECT toString(sent_at) FROM messages_current") == [
        (AT_T0.strftime("%Y-%m-%d %H:%M:%S.000"),)
    ]
    assert world.rows("SELECT sent_at FROM messages_current") == [(AT_T0,)]
    assert world.rows("SELECT toUnixTimestamp64Milli(window_start) FROM counters_hour") == [(T0,)]


def test_one_batch_may_touch_many_months(world: WrittenDatabase) -> None:
    month = 31 * 86_400_000
    records = [
        state_record(state(1, send(f"m{n}", sent_at=T0 - n * month)), f"m{n}") for n in range(250)
    ]
    assert world.write("message-states", *records) == []
    assert world.rows("SELECT count() FROM messages_current") == [(250,)]


def bad_message(n: int) -> SinkRecord:
    """A record whose version no UInt64 can hold."""
    return state_record(state(-1, send(f"m{n}")), f"m{n}", offset=n)


def test_bad_rows_are_found_among_good_ones(world: WrittenDatabase) -> None:
    bad_places = {0, 17, 18, 99}
    records = [
        bad_message(n) if n in bad_places else state_record(state(1, send(f"m{n}")), f"m{n}", n)
        for n in range(100)
    ]
    bad = world.write("message-states", *records)
    assert {found.record.offset for found in bad} == bad_places
    assert all("version" in found.error for found in bad)
    assert world.rows("SELECT count() FROM messages_current") == [(96,)]
    assert world.meter.value("receipts_sink_rows_total", "messages") == 96
    failures = ("receipts_sink_insert_failures_total", "messages", "bad_rows")
    assert world.meter.value(*failures) >= 4


def test_a_row_that_clickhouse_refuses_is_found_too(fresh_world: WrittenDatabase) -> None:
    fresh_world.clickhouse.command(
        "ALTER TABLE messages ADD CONSTRAINT known CHECK recipient != '+4915112340000'"
    )
    refused = state_record(state(1, send("m2", recipient="+4915112340000")), "m2", offset=5)
    bad = fresh_world.write("message-states", state_record(state(1, send())), refused)
    assert [(found.record, "known" in found.error) for found in bad] == [(refused, True)]
    assert fresh_world.rows("SELECT message_id FROM messages_current") == [("m1",)]


def test_a_counter_below_zero_is_a_bad_row(world: WrittenDatabase) -> None:
    bad = world.write("status-counters", cell(1, submitted=-1), cell(1, 1, submitted=1))
    assert len(bad) == 1
    assert world.rows("SELECT submitted FROM counters_hour") == [(1,)]


def good_message(n: int) -> Record:
    return state_record(state(1, send(f"m{n}")), f"m{n}", offset=n)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """A limit that is reached sooner."""
    monkeypatch.setattr("sinks.writer.MAX_BAD_ROWS", 20)
    return 20


REFUSES = r"messages refuses every row, 21 by now, such as: .*version.* Fix: .*docs/schema.md"


def test_a_table_that_accepts_nothing_stops_the_sink(world: WrittenDatabase, few: int) -> None:
    with pytest.raises(Broken, match=REFUSES):
        world.write("message-states", *map(bad_message, range(few + 1)))


def test_a_table_that_accepts_nothing_stops_the_sink_over_inserts(
    world: WrittenDatabase, few: int
) -> None:
    for start in range(0, few, 5):
        assert len(world.write("message-states", *map(bad_message, range(start, start + 5)))) == 5
    world.write("status-counters", cell(1, submitted=1))  # another table that accepts
    with pytest.raises(Broken, match=REFUSES):
        world.write("message-states", bad_message(few))


def test_bad_rows_alone_in_their_inserts_do_not_stop_a_table_that_accepts_others(
    world: WrittenDatabase, few: int
) -> None:
    for n in range(few + 10):
        assert len(world.write("message-states", bad_message(n))) == 1
        if n == few - 1:
            assert world.write("message-states", good_message(n)) == []


def test_many_bad_rows_among_good_ones_do_not_stop_the_sink(
    world: WrittenDatabase, few: int
) -> None:
    """However many there are: rows that are accepted say that the table is as it must be."""
    both = [make(n) for n in range(few + 10) for make in (bad_message, good_message)]
    assert len(world.write("message-states", *both)) == few + 10
    assert world.rows("SELECT count() FROM messages_current") == [(few + 10,)]


def test_attempts_that_are_cut_off_are_not_counted_twice(
    world: WrittenDatabase, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inserted, insert = 0, world.clickhouse.insert

    def cut_off(*given: Any) -> None:
        nonlocal inserted
        inserted += 1
        if inserted == 20:
            raise Unavailable("cut off")
        insert(*given)

    monkeypatch.setattr(world.clickhouse, "insert", cut_off)
    records = [bad_message(n) for n in range(few - 5)]
    with pytest.raises(Unavailable):
        world.write("message-states", *records)
    assert len(world.write("message-states", *records)) == few - 5


def test_a_dead_letter_that_is_refused_stops_the_sink(fresh_world: WrittenDatabase) -> None:
    fresh_world.clickhouse.command(
        "ALTER TABLE dead_letter_records ADD CONSTRAINT no CHECK offset < 9"
    )
    letter = Record("dead-letters", 1, 9, T0, None, None)
    with pytest.raises(Broken, match=r"dead letter at dead-letters, partition 1, offset 9: "):
        fresh_world.write("dead-letters", letter)


def test_a_missing_table_stops_the_sink(fresh_world: WrittenDatabase) -> None:
    fresh_world.clickhouse.command("DROP TABLE status_counters")
    with pytest.raises(Broken, match="status_counters"):
        fresh_world.write("status-counters", cell(1, submitted=1))
    failures = ("receipts_sink_insert_failures_total", "status_counters", "broken")
    assert fresh_world.meter.value(*failures) == 1


def test_what_is_written_is_counted(world: WrittenDatabase) -> None:
    world.write("status-counters", cell(1, submitted=1), cell(1, 2, submitted=1))
    assert world.meter.value("receipts_sink_rows_total", "status_counters") == 2
    assert world.meter.value("receipts_sink_insert_rows", "status_counters") == 1
    assert world.meter.value("receipts_sink_insert_seconds", "status_counters") == 1
