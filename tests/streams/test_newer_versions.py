"""What an older or newer version stored is read with defaults (docs/semantics.md, upgrades)."""

import json
from typing import Any

import msgspec
import pytest

from models.accounts import AccountSettings
from models.counters import (
    COUNT_NAMES,
    check_record,
    contribution,
    decode_cell,
    encode_cell,
    encode_retired,
    retired_key,
)
from models.facts import Outcome, greater_outcome
from models.joining import join_encoded, joined
from models.message_row import row_of
from models.state import MessageState, decode, encode
from models.strikes import active_strike
from models.suppression import decode as decode_suppression
from models.suppression import encode as encode_suppression
from models.suppression import published, status_of
from models.suppression_facts import Facts, add_unsubscribe
from models.vocabulary import CHANNELS, Bounce, Status
from sinks.rows import map_records
from streams.batching import MemoryStore
from streams.followers.suppression_index import SuppressionIndex
from streams.suppression.shard import RecipientShard
from tests.streams.lifecycle.test_shard import HERE, OURS, T0, World, event
from tests.support.fakes import counts_of
from tests.support.records import record
from tests.support.stores import restore_recipients

KEY = b"acme/" + OURS.encode()
NUMBER = "+46701234567"
NUMBER_KEY = b"acme/" + NUMBER.encode()
VALIDITY_MS = 259_200_000
#: A status that no version of ours knows.
NEWER = max(Status) + 1
pack, unpack = msgspec.msgpack.encode, msgspec.msgpack.decode


def stored(world: World) -> list[Any]:
    """The state as plain values, to be changed as another version would write it."""
    fields: list[Any] = unpack(world.states[KEY])
    return fields


def world_with(status: int, bounce: int = 0, scope: str = "", **send: Any) -> World:
    """A message whose stored receipt has this status, after a restart."""
    world = World()
    world.take(event("sends", **send))
    world.take(event("receipts", status="queued"))
    fields = stored(world)
    outcome = MessageState.__struct_fields__.index("outcome")
    fields[outcome][1:3] = [status, bounce]
    fields[outcome][4] = scope
    world.states[KEY] = pack(fields)
    world.publish_cells()
    world.restart(2)
    return world


@pytest.mark.parametrize("scope", ["", "recipient"])
@pytest.mark.parametrize("bounce", [0, 1, 2, 3, -1])
@pytest.mark.parametrize("status", [NEWER, NEWER + 1, 255, 2**40, -1])
def test_an_unknown_status_reads_as_if_its_receipt_had_not_come(status, bounce, scope):
    world = world_with(status, bounce, scope)
    row = world.row()
    assert (row.status, row.carrier_status, row.bounce) == ("submitted", "queued", "")
    assert (row.delivered_at, row.finalized_at, row.fail_reason) == (0, 0, "")
    state = decode(world.states[KEY])
    assert active_strike(state) is None
    counted = contribution("acme", state)
    assert counted is not None
    assert COUNT_NAMES[counted[1]] == "submitted"


def test_an_unknown_status_neither_expires_nor_strikes_nor_is_asked_for_again():
    world = world_with(NEWER, 2, "recipient")
    plans = [*world.shard.tick(T0 + 2 * VALIDITY_MS)]
    assert all(not plan.changes for plan in plans)
    assert not decode(world.states[KEY]).expired_at
    plan = world.take(event("sends", attempt=2, first_sent_at=T0, at=T0 + 1000))
    assert not (plan.strikes or plan.requests or plan.retries or plan.dead_letters)


def test_a_message_with_an_unknown_status_goes_on_as_others_do():
    world = world_with(NEWER)
    assert world.take(event("engagements")).changes
    plan = world.take(event("receipts", status="undelivered", bounce="hard"))
    assert not (plan.dead_letters or plan.failures)
    assert decode(world.states[KEY]).delivered_at == 0
    world.take(event("receipts", status="delivered", at=T0 + 5))
    assert (world.row().status, world.row().delivered_at) == ("delivered", T0 + 5)


@pytest.mark.parametrize(
    "status", [Status.QUEUED, Status.UNDELIVERED, Status.REJECTED, Status.DELETED]
)
def test_an_unknown_status_is_kept_for_the_version_that_knows_it(status):
    unknown = Outcome(1, NEWER, 0, T0, "", "code")
    known = Outcome(1, status, Bounce.NONE, T0 + 99)
    assert greater_outcome(unknown, known) == greater_outcome(known, unknown) == unknown
    world = world_with(NEWER)
    world.take(event("receipts", status=status.word, at=T0 + 99))
    outcome = decode(world.states[KEY]).outcome
    assert outcome is not None
    assert outcome.status == NEWER


@pytest.mark.parametrize("bounce", [3, -1])
@pytest.mark.parametrize(
    ("status", "word"), [(Status.UNDELIVERED, "soft"), (Status.REJECTED, ""), (Status.DELETED, "")]
)
def test_an_unknown_bounce_is_no_strike_and_rows_and_counters_agree(status, word, bounce):
    world = world_with(status, bounce, "recipient")
    state = decode(world.states[KEY])
    assert active_strike(state) is None
    assert world.row().bounce == word
    counted = contribution("acme", state)
    assert counted is not None
    slot = "undelivered_soft" if status is Status.UNDELIVERED else status.word
    assert COUNT_NAMES[counted[1]] == slot
    assert not any(plan.retries for plan in world.shard.tick(T0 + VALIDITY_MS))


def test_a_restore_logs_which_values_it_does_not_know():
    world = world_with(NEWER, 3)
    assert world.shard.newer == {f"status {NEWER}": 1, "bounce 3": 1}
    assert world_with(Status.READ).shard.newer == {}


# --- fields of states ----------------------------------------------------------------------------


def test_fields_that_a_newer_version_appended_are_ignored():
    world = World()
    world.take(event("sends"), event("sends", attempt=2, first_sent_at=T0))
    world.take(event("receipts"))
    before = row_of(KEY, decode(world.states[KEY]))
    fields = stored(world)
    fields[1] = [[*send, "new", {"a": 1}] for send in fields[1]]
    fields[2] += [None, 1.5]
    world.states[KEY] = pack([*fields, "new", [1], True])
    world.restart(2)
    assert row_of(KEY, decode(world.states[KEY])) == before
    assert world.take(event("receipts", status="read")).changes


@pytest.mark.parametrize("left", range(len(MessageState.__struct_fields__)))
def test_fields_that_an_older_version_did_not_have_are_defaults(left):
    world = World()
    world.take(event("sends"))
    world.take(event("receipts"))
    fields = stored(world)
    required = 8  # of a send; of a receipt four
    fields[1] = [send[:required] for send in fields[1]]
    fields[2] = fields[2][:4]
    world.states[KEY] = pack(fields[:left])
    world.restart(2)
    plan = world.take(event("receipts", status="read", at=T0 + 1))
    assert not (plan.dead_letters or plan.failures)
    assert decode(world.states[KEY]).read_at == T0 + 1


def test_states_of_two_versions_are_joined():
    one, other = MessageState(version=1 << 32), MessageState(version=2 << 32)
    one.outcome, other.outcome = Outcome(1, NEWER, 9, T0), Outcome(1, Status.QUEUED, 0, T0)
    whole = decode(join_encoded(pack([*unpack(encode(one)), "new"]), encode(other)))
    assert whole == joined(one, other) == joined(other, one)
    assert whole.outcome == one.outcome


# --- cells ---------------------------------------------------------------------------------------


def changed_cells(world: World, **change: Any) -> None:
    """All published cells as another version writes them; None takes a slot away."""
    for key, value in world.published.items():
        numbers = {**json.loads(value), **change}
        kept = {name: number for name, number in numbers.items() if number is not None}
        world.published[key] = json.dumps(kept).encode()


def restored(**change: Any) -> World:
    world = World()
    world.take(event("sends"))
    world.publish_cells()
    changed_cells(world, **change)
    world.restart(2)
    return world


@pytest.mark.parametrize("new", [7, {"sms": 1}, 1.5, None, "x"])
def test_a_slot_of_a_newer_version_is_ignored_and_stays_as_published(new):
    world = restored(of_newer=new)
    assert list(world.shard.cells.take_dirty()) == []
    assert world.shard.newer_cells == ({} if new is None else {"count 'of_newer'": 2})


def test_a_slot_that_an_older_version_did_not_have_is_none_and_is_published_when_it_counts():
    assert list(restored(read=None).shard.cells.take_dirty()) == []
    world = restored(submitted=None)
    assert {cell.counts[0] for cell in world.shard.cells.take_dirty()} == {1}


def test_cells_of_a_kind_we_do_not_count_are_left_alone():
    world = World()
    week = json.dumps(["week", 0, "acme", "sms", "direct", "SE", "", "", HERE]).encode()
    world.published[week] = encode_cell(5, [3] * len(COUNT_NAMES))
    world.restart(2)
    assert list(world.shard.cells.take_dirty()) == []
    assert world.shard.cells.retire(10**6) == []
    assert world.shard.newer_cells == {"kind 'week'": 1}


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"{}", b'{"version":"x"}', b"\xff"])
def test_a_cell_that_no_version_wrote_is_stepped_over_by_the_restore(value):
    """The table asks check_record of each record it reads: none of these reaches the shard."""
    world = World()
    world.take(event("sends"))
    world.publish_cells()
    (first, *_) = world.published
    for key in (first, b"\xff", b"[1,2]", retired_key(HERE)):
        with pytest.raises((msgspec.DecodeError, ValueError)):
            check_record(key, value)
    for key, ours in world.published.items():
        check_record(key, ours)


def test_a_mark_with_more_than_we_know_is_read():
    world = World()
    mark = {**json.loads(encode_retired(9 << 32, 20_000)), "why": "new"}
    world.published[retired_key(HERE)] = json.dumps(mark).encode()
    world.restart(1)
    assert world.shard.retired_day == 20_000
    assert world.shard.version > 9 << 32


# --- the sink ------------------------------------------------------------------------------------


def mapped_rows(topic: str, key: bytes, value: bytes) -> Any:
    return map_records({topic: [record(topic, key, value, T0)]}, 65_536)


@pytest.mark.parametrize("status", [NEWER, 2**40, -1])
def test_the_sink_writes_a_row_of_an_unknown_status_and_counts_it(status):
    mapped = mapped_rows("message-states", KEY, world_with(status).states[KEY])
    assert not mapped.refused
    (row,) = mapped.tables["messages"].rows
    named = dict(zip(mapped.tables["messages"].table.names, row, strict=True))
    assert (named["status"], named["delivered_at"]) == ("submitted", 0)
    assert mapped.newer == {"message-states": 1}


def test_the_sink_writes_cells_of_other_versions():
    world = restored(of_newer=7, read=None)
    assert world.published
    for key, value in world.published.items():
        mapped = mapped_rows("status-counters", key, value)
        assert not mapped.refused
        (row,) = mapped.tables["status_counters"].rows
        cell = decode_cell(key, value)
        assert cell is not None
        assert row[-len(COUNT_NAMES) :] == cell.counts == tuple(counts_of(submitted=1, segments=1))


# --- suppressed numbers --------------------------------------------------------------------------


def number_stored(reasons: list[str], facts: Facts | None = None, **change: Any) -> bytes:
    facts = facts or Facts()
    stands = status_of(facts, AccountSettings(account="acme"), T0)
    value = json.loads(encode_suppression(published("acme", NUMBER, facts, stands, 7 << 32)))
    there = {"suppressed": True, "reasons": reasons, "since": T0}
    value |= there
    value["channels"] = [each | there for each in value["channels"]]
    value["facts"]["complained_at"] = T0
    return json.dumps(value | change).encode()


def number_shard(value: bytes) -> tuple[RecipientShard, dict[bytes, bytes]]:
    from models.accounts import Accounts

    numbers = MemoryStore({NUMBER_KEY: value}.items())
    shard = RecipientShard(0, numbers, 1, Accounts())
    restore_recipients(shard, 1)
    return shard, numbers


def test_a_number_suppressed_for_an_unknown_reason_stays_suppressed():
    shard, _ = number_shard(number_stored(["complained"], new_field=1))
    assert shard.newer == {"reason 'complained'": 1}
    assert shard.version > 7 << 32
    request = {"account": "acme", "recipient": NUMBER, "action": "release", "at": T0}
    wish = record("suppression-requests", NUMBER_KEY, json.dumps(request).encode(), T0)
    plan = shard.plan("suppression-requests", [wish], T0)
    assert not (plan.dead_letters or plan.failures)
    (value,) = plan.changes.values()
    assert value is not None
    known = decode_suppression(value)
    assert (known.suppressed, known.reasons, known.since) == (True, ("complained",), T0)


def test_workers_and_sink_read_a_number_with_an_unknown_reason():
    value = number_stored(["complained", "manual"])
    suppressed = SuppressionIndex()
    suppressed.take(NUMBER_KEY, value)
    known = suppressed.known("acme", NUMBER)
    assert known is not None
    assert {(each.reasons, each.since) for each in known.channels} == {(("manual",), T0)}
    mapped = mapped_rows("suppressions", NUMBER_KEY, value)
    assert not mapped.refused
    assert len(mapped.tables["suppression_records"].rows) == len(CHANNELS)


def test_a_channel_of_a_newer_version_is_kept_and_stays_suppressed():
    facts = Facts()
    add_unsubscribe(facts.of("rcs"), T0)
    value = json.loads(number_stored([], facts))
    known = {"since": T0, "until": 0, "strikes": 0, "since_for_all": T0}
    value["channels"] = [
        {"channel": name, "suppressed": True, "reasons": ["complained"]} | known
        for name in ("rcs", "fax")
    ]
    shard, _ = number_shard(json.dumps(value).encode())
    request = {"account": "acme", "recipient": NUMBER, "action": "suppress", "at": T0}
    wish = record("suppression-requests", NUMBER_KEY, json.dumps(request).encode(), T0)
    plan = shard.plan("suppression-requests", [wish], T0)
    assert not (plan.dead_letters or plan.failures)
    record_ = decode_suppression(plan.changes[NUMBER_KEY] or b"")
    assert record_.facts.channels["rcs"].unsubscribed_at == T0
    assert {each.channel: each.reasons for each in record_.channels} == {
        "sms": ("manual",),
        "whatsapp": ("manual",),
        "rcs": ("unsubscribed", "manual", "complained"),
        "fax": ("complained",),
    }
