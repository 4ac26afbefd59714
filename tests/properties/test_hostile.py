"""Whatever is in a record or in a store: no exception leaves the rules, nothing grows too large."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.accounts import Accounts, AccountSettings
from models.contract import MAX_ATTEMPT, Receipt, Send
from models.counters import COUNT_NAMES, check_record, encode_cell
from models.dead_letters import letter_of
from models.facts import outcome_of, send_fact
from models.joining import MAX_SORT_KEYS, add_receipt, add_send
from models.state import MessageState, decode, encode
from models.strikes import Strike, encode_strike
from models.suppression import decode as decode_suppression
from models.suppression import encode as encode_suppression
from models.suppression import published, status_of
from models.suppression_facts import Facts, ManualDecision
from sinks.rows import TOPICS, map_records
from streams.batching import MemoryStore
from streams.common.plan import Plan
from streams.followers.account_settings import AccountSettingsReader
from streams.followers.suppression_index import SuppressionIndex
from streams.lifecycle.shard import Rules, Shard
from streams.suppression.shard import RecipientShard
from tests.properties.events import NOON_MS
from tests.properties.hostile import BYTES, KEYS, VALUES, records, stored
from tests.support.fakes import Meter
from tests.support.records import record
from tests.support.stores import restore, restore_recipients

#: What a broker takes of one batch by default (max.message.bytes).
BROKER_BYTES = 1_048_588
LATER_MS = NOON_MS + 9 * 86_400_000


def is_ours(key: bytes, value: bytes) -> bool:
    """Whether a restore lets a record of `status-counters` by, as BatchTable asks it."""
    try:
        check_record(key, value)
    except (msgspec.DecodeError, ValueError):
        return False
    return True


def applied(table: dict[bytes, bytes], plan: Plan) -> Plan:
    for key, value in plan.changes.items():
        assert value is not None
        assert len(key) + len(value) < BROKER_BYTES
        table[key] = value
    for dead in plan.dead_letters:
        assert len(letter_of(dead.record, dead.refusal).headers) == 6
    for stray in plan.rerouted:
        assert stray.headers()
    return plan


@settings(deadline=None)
@given(st.data(), st.lists(st.sampled_from(["sends", "receipts", "engagements"]), max_size=3))
def test_no_record_stops_the_lifecycle_agent(data, topics):
    states = MemoryStore()
    suppressed = SuppressionIndex()
    by_hand = status_of(
        Facts(suppressed_by_hand=ManualDecision(1)), AccountSettings(account="acme"), 1
    )
    known = published("acme", "+46701234567", Facts(), by_hand, 1)
    suppressed.take(b"acme/+46701234567", encode_suppression(known))
    shard = Shard(0, states, Rules(partitions=1), Accounts(), suppressed)
    restore(shard, {}, 1)
    for topic in topics:
        batch = data.draw(st.lists(records(topic), max_size=4))
        plan = applied(states, shard.plan(topic, batch, NOON_MS))
        assert not plan.failures
        assert not [dead for dead in plan.dead_letters if dead.refusal.reason == "internal_error"]
    for plan in shard.tick(LATER_MS):
        assert not applied(states, plan).failures
    restarted = Shard(0, states, Rules(partitions=1), Accounts(), SuppressionIndex())
    restore(restarted, {}, 2)
    assert not restarted.uncounted
    rows = [record("message-states", key, value, NOON_MS) for key, value in states.items()]
    assert not map_records({"message-states": rows}, 65_536).refused


@settings(deadline=None)
@given(st.data(), st.lists(st.sampled_from(["strikes", "suppression-requests"]), max_size=3))
def test_no_record_stops_the_suppression_agent_and_all_follow_what_it_writes(data, topics):
    numbers = MemoryStore()
    shard = RecipientShard(0, numbers, 1, Accounts())
    restore_recipients(shard, 1)
    suppressed = SuppressionIndex()
    for topic in topics:
        batch = data.draw(st.lists(records(topic), max_size=4))
        plan = applied(numbers, shard.plan(topic, batch, NOON_MS))
        assert not plan.failures
        assert not [dead for dead in plan.dead_letters if dead.refusal.reason == "internal_error"]
        for key, value in plan.changes.items():
            suppressed.take(key, value)
    for plan in shard.tick(LATER_MS):
        assert not applied(numbers, plan).failures
    rows = [record("suppressions", key, value, NOON_MS) for key, value in numbers.items()]
    assert not map_records({"suppressions": rows}, 65_536).refused


@settings(deadline=None)
@given(st.data(), st.sampled_from(TOPICS))
def test_no_record_stops_the_sink(data, topic):
    batch = data.draw(st.lists(records(topic), max_size=5))
    mapped = map_records({topic: batch}, 65_536)
    for rows in mapped.tables.values():
        assert rows.table.columns(rows.rows)


@settings(deadline=None)
@given(KEYS.filter(lambda key: key is not None), st.one_of(BYTES, VALUES.map(json.dumps)))
def test_no_record_stops_the_settings_of_accounts(key, value):
    reader = AccountSettingsReader(Accounts(), lambda account: None, Meter(), 65_536)
    reader.take(key, value.encode() if isinstance(value, str) else value)
    reader.caught_up()
    reader.take(key, None)


@settings(deadline=None)
@given(st.dictionaries(KEYS.filter(bool), stored(), max_size=4), st.data())
def test_no_stored_state_stops_a_restore_and_events_and_timers_go_on(found, data):
    states = MemoryStore(found.items())
    cells = {
        key: data.draw(
            st.one_of(st.just(encode_cell(1, [0] * len(COUNT_NAMES))), BYTES.filter(bool))
        )
        for key in data.draw(st.lists(BYTES.filter(bool), max_size=3))
    }
    cells = {key: value for key, value in cells.items() if is_ours(key, value)}
    shard = Shard(0, states, Rules(partitions=1), Accounts(), SuppressionIndex())
    restore(shard, cells, 1)
    for key in shard.unusable:  # as BatchTable.discard() does
        del states[key]
    for plan in shard.amend(set(states)):
        applied(states, plan)
    for topic in ("sends", "receipts", "engagements"):
        applied(states, shard.plan(topic, data.draw(st.lists(records(topic), max_size=2)), NOON_MS))
    for plan in shard.tick(LATER_MS):
        applied(states, plan)
    list(shard.rearm({"acme"}))
    shard.take_retired(10)


@settings(deadline=None)
@given(st.dictionaries(KEYS.filter(bool), BYTES.filter(bool), max_size=4))
def test_no_stored_number_stops_a_restore(found):
    numbers = MemoryStore(found.items())
    shard = RecipientShard(0, numbers, 1, Accounts())
    restore_recipients(shard, 1)
    for plan in shard.tick(NOON_MS):
        applied(numbers, plan)


# --- the largest of everything --------------------------------------------------------------------

#: Four bytes in UTF-8 and in msgpack, and in JSON as they are.
LONG = "\U00010348"


def largest_send(attempt: int, place: int = 0) -> Send:
    names = ("sender_id", "sent_by", "external_id", "email")
    words = ("message_type", "provider", "platform")
    return Send(
        account="a" * 64,
        message_id=LONG * 128,
        channel="whatsapp",
        recipient="+" + "9" * 15,
        sent_at=NOON_MS - place,
        attempt=attempt,
        first_sent_at=NOON_MS - place if attempt > 1 else None,
        source="open_api_verification",
        segments=255,
        credits=Decimal("999999999.999999"),
        campaign_id=LONG * 128,
        country="SE",
        validity_s=604_800,
        **dict.fromkeys(names, LONG * 256),
        **dict.fromkeys(words, LONG * 64),
    )


def largest_receipt() -> Receipt:
    return Receipt(
        account="a" * 64,
        message_id=LONG * 128,
        status="undelivered",
        occurred_at=NOON_MS,
        attempt=MAX_ATTEMPT,
        bounce="hard",
        scope="recipient",
        error_code=LONG * 64,
        reason=LONG * 1_024,
        provider=LONG * 64,
        provider_message_id=LONG * 256,
        recipient="+" + "9" * 15,
    )


def test_the_largest_state_fits_a_record():
    state = MessageState(version=2**63)
    for attempt in range(1, MAX_ATTEMPT + 1):
        add_send(state, send_fact(largest_send(attempt, attempt)))
        add_send(state, send_fact(largest_send(attempt, attempt + 500)))
    receipt = largest_receipt()
    add_receipt(state, receipt, outcome_of(receipt), 99_999)
    state.fail_reason = LONG * 1_024
    assert len(state.sends) == MAX_ATTEMPT
    assert len(state.sort_keys) == MAX_SORT_KEYS
    assert 500_000 < len(encode(state)) < BROKER_BYTES
    (rows,) = map_records(
        {"message-states": [record("message-states", b"a/b", encode(state), NOON_MS)]}, 65_536
    ).tables.values()
    assert len(rows.rows) == MAX_SORT_KEYS + 1


def test_the_largest_events_of_one_message_go_through_the_shard_one_by_one():
    states = MemoryStore()
    shard = Shard(0, states, Rules(partitions=1), Accounts(), SuppressionIndex())
    restore(shard, {}, 1)
    for attempt in range(1, MAX_ATTEMPT + 1):
        send = largest_send(attempt, attempt).model_dump_json().encode()
        key = f"{'a' * 64}/{LONG * 128}".encode()
        plan = applied(states, shard.plan("sends", [record("sends", key, send, NOON_MS)], NOON_MS))
        assert not plan.dead_letters
    (value,) = states.values()
    assert len(decode(value).sends) == MAX_ATTEMPT


def test_the_largest_number_fits_a_record():
    numbers = MemoryStore()
    shard = RecipientShard(0, numbers, 1, Accounts())
    restore_recipients(shard, 1)
    key = b"acme/+" + b"9" * 15
    for place in range(60):
        strike = Strike(
            "struck",
            "acme",
            "+" + "9" * 15,
            LONG * 126 + f"{place:02}",
            NOON_MS + place,
            2**63 - 1,
            NOON_MS,
            "\x01" * 64,
        )
        one = record("strikes", key, encode_strike(strike), NOON_MS)
        assert not applied(numbers, shard.plan("strikes", [one], NOON_MS)).dead_letters
    for action in ("suppress", "release"):
        wish = {"account": "acme", "recipient": "+" + "9" * 15, "action": action, "at": NOON_MS}
        wish |= {"who": "\x01" * 256, "why": "\x01" * 1_024}
        one = record("suppression-requests", key, json.dumps(wish).encode(), NOON_MS)
        plan = applied(numbers, shard.plan("suppression-requests", [one], NOON_MS))
        assert not plan.dead_letters
    assert len(decode_suppression(numbers[key]).facts.strikes) == 40


STRIKE: dict[str, Any] = json.loads(
    encode_strike(Strike("struck", "acme", "+46701234567", "m1", NOON_MS, 1, NOON_MS, "1"))
)


@pytest.mark.parametrize(
    "change",
    [
        {"message_id": "x" * 900_000},
        {"code": "x" * 900_000},
        {"occurred_at": 2**63},
        {"occurred_at": -1},
        {"sent_at": 10**30},
        {"version": 2**64},
        {"version": -1},
        {"account": "a/b"},
        {"recipient": "nobody"},
        {"message_id": "a/b"},
    ],
)
def test_a_strike_beyond_the_contract_is_refused(change):
    """Its number's record would be too large, or one that other workers cannot keep."""
    shard = RecipientShard(0, MemoryStore(), 1, Accounts())
    restore_recipients(shard, 1)
    value = msgspec.json.encode({**STRIKE, **change})
    one = record("strikes", b"acme/+46701234567", value, NOON_MS)
    plan = shard.plan("strikes", [one], NOON_MS)
    assert [dead.refusal.reason for dead in plan.dead_letters] == ["bad_value"]
    assert not plan.changes
