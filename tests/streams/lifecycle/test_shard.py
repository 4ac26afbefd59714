"""What a partition decides about records: refusals, rerouting, orphans, retirement."""

import json
from typing import Any

import pytest

from models.accounts import Accounts, AccountSettings
from models.counters import decode_cell, retired_key
from models.dead_letters import letter_of
from models.keys import FORWARDED, message_key, partition_of
from models.message_row import row_of
from models.refusal import Reason
from models.state import decode
from models.time import DAY_MS
from streams.common.plan import Plan
from streams.common.shard import CHUNK_SIZE
from streams.followers.suppression_index import SuppressionIndex
from streams.lifecycle import handlers
from streams.lifecycle import shard as shard_module
from streams.lifecycle.shard import Rules, Shard
from tests.support.records import Record, record
from tests.support.stores import begin_again, checkpoint, new_store, restore

T0 = 1_795_176_000_000  # 2026-11-20T12:00:00Z
PARTITIONS = 4
HERE = 1


def message_id_of(partition: int, start: int = 0) -> str:
    """The first message id whose key lives in a partition."""
    return next(
        f"m{n}"
        for n in range(start, start + 999)
        if partition_of(message_key("acme", f"m{n}"), PARTITIONS) == partition
    )


OURS, THEIRS = message_id_of(HERE), message_id_of(HERE + 1)


class World:
    """A shard and its table, delivered to as the agent does."""

    def __init__(self, generation: int = 1) -> None:
        self.states = new_store()
        self.published: dict[bytes, bytes] = {}
        self.accounts = Accounts()
        self.suppressed = SuppressionIndex()
        self.delivered = 0
        self.restart(generation)

    def restart(self, generation: int) -> None:
        begin_again(self.states, dict(self.states))
        self.shard = Shard(
            HERE, self.states, Rules(partitions=PARTITIONS), self.accounts, self.suppressed
        )
        restore(self.shard, self.published, generation)

    def deliver(self, plan: Plan) -> Plan:
        for key, value in plan.changes.items():
            if value is None:
                self.states.pop(key)
            else:
                self.states[key] = value
        self.delivered += 1
        if self.delivered % 2:  # what follows is not written
            checkpoint(self.shard)
        return plan

    def take(self, *records: Record, at: int = T0) -> Plan:
        return self.deliver(self.shard.plan(records[0].topic, records, at))

    def row(self, message_id: str = OURS) -> Any:
        key = message_key("acme", message_id)
        return row_of(key, decode(self.states[key]))

    def publish_cells(self) -> None:
        publish(self, self.shard.take_cell_changes())


def publish(world: World, changes: dict[bytes, bytes | None]) -> None:
    for key, value in changes.items():
        assert value is not None
        world.published[key] = value


def changes_by_status(plan: Plan) -> dict[str, int]:
    return {
        count[1]: number
        for count, number in plan.counts.items()
        if count[0] == "receipts_state_changes_total"
    }


def event(topic: str, message_id: str = OURS, at: int = T0, **fields: Any) -> Record:
    given: dict[str, Any] = {"account": "acme", "message_id": message_id}
    if topic == "sends":
        given |= {"channel": "sms", "recipient": "+46701234567", "sent_at": at}
    elif topic == "receipts":
        given |= {"status": "delivered", "occurred_at": at}
    else:
        given |= {"event_id": "e1", "type": "click", "occurred_at": at}
    value = json.dumps({**given, **fields}).encode()
    return record(topic, message_key("acme", message_id), value, at, partition=HERE)


def test_a_refused_record_is_a_dead_letter_with_its_origin_and_the_rest_goes_on():
    world = World()
    broken = record("sends", b"\xffkey", b"\xff{", T0, partition=HERE, offset=7)
    plan = world.take(event("sends"), broken)
    assert len(plan.changes) == 1
    (dead,) = plan.dead_letters
    assert (dead.record.key, dead.record.value) == (b"\xffkey", b"\xff{")
    headers = letter_of(dead.record, dead.refusal).headers
    assert {k: v for k, v in headers if k != "detail"} == {
        "reason": b"not_json",
        "topic": b"sends",
        "partition": b"1",
        "offset": b"7",
        "time": str(T0).encode(),
    }


def test_a_misrouted_record_with_many_empty_headers_is_refused():
    """Packed they are a few bytes; unpacked they make a record that no broker takes."""
    world = World()
    headers = tuple(("", None) for _ in range(10_000))
    plan = world.take(event("sends")._replace(key=b"acme/other", headers=headers))
    assert [dead.refusal.reason for dead in plan.dead_letters] == [Reason.OVERSIZED]
    assert plan.counts == {("receipts_dead_letters_total", "sends", "oversized"): 1}
    assert not plan.rerouted


def test_a_rule_that_raises_refuses_its_event_and_goes_on(monkeypatch):
    world = World()
    original = handlers.outcome_of

    def raising(receipt, settings):
        if receipt.error_code == "boom":
            raise ZeroDivisionError("of the rule")
        return original(receipt, settings)

    monkeypatch.setattr(handlers, "outcome_of", raising)
    world.take(event("sends"))
    plan = world.take(event("receipts", error_code="boom"), event("receipts"))
    (dead,) = plan.dead_letters
    assert dead.refusal.reason is Reason.INTERNAL_ERROR
    assert "ZeroDivisionError: of the rule" in dead.refusal.detail
    assert world.row().status == "delivered"


def test_a_state_that_cannot_be_settled_refuses_the_events_that_led_to_it(monkeypatch):
    world = World()
    world.take(event("sends"))
    before = dict(world.states)

    def raising(account, state):
        raise ArithmeticError("of the fold")

    monkeypatch.setattr(shard_module, "contribution", raising)
    plan = world.take(event("receipts"), event("receipts", status="read"))
    assert [dead.refusal.reason for dead in plan.dead_letters] == [Reason.INTERNAL_ERROR] * 2
    assert [type(error) for _, error in plan.failures] == [ArithmeticError]
    assert world.states == before


@pytest.mark.parametrize(
    ("key", "message_id", "home"),
    [(None, OURS, HERE), (b"wrong", OURS, HERE), (b"acme/" + THEIRS.encode(), THEIRS, HERE + 1)],
)
def test_a_stray_is_sent_on_once_with_the_right_key_value_and_time(key, message_id, home):
    world = World()
    stray = event("receipts", message_id)._replace(key=key, headers=(("trace", b"1"),))
    plan = world.take(stray)
    assert not plan.changes
    assert not plan.dead_letters
    (sent_on,) = plan.rerouted
    assert (sent_on.key, sent_on.partition) == (b"acme/" + message_id.encode(), home)
    assert sent_on.record is stray
    assert plan.counts == {("receipts_strays_total", "receipts"): 1}
    assert sent_on.headers() == [("trace", b"1"), (FORWARDED, b"1")]


def test_a_record_sent_on_that_is_still_astray_becomes_a_dead_letter():
    plan = World().take(event("receipts", THEIRS)._replace(headers=((FORWARDED, b"1"),)))
    assert [dead.refusal.reason for dead in plan.dead_letters] == [Reason.MISROUTED]
    assert not plan.rerouted


def test_a_stray_is_seen_also_when_its_message_is_in_the_batch():
    world = World()
    plan = world.take(event("receipts"), event("receipts", status="read")._replace(key=None))
    assert len(plan.rerouted) == 1
    assert world.row().status == "delivered"


def test_an_engagement_of_a_recipient_alone_is_accepted_and_changes_no_message():
    click = event("engagements", recipient="+46701234567")
    value = json.dumps({k: v for k, v in json.loads(click.value).items() if k != "message_id"})
    key = message_key("acme", "+46701234567")
    here = partition_of(key, PARTITIONS)
    shard = Shard(here, new_store(), Rules(partitions=PARTITIONS), Accounts(), {})
    restore(shard, {}, 1)
    plan = shard.plan("engagements", [click._replace(key=key, value=value.encode())], T0)
    assert plan.counts == {("receipts_events_total", "engagements", "click"): 1}
    assert not (plan.changes or plan.rerouted or plan.dead_letters)


def test_an_orphan_waits_and_becomes_a_message_when_its_send_comes():
    world = World()
    world.take(event("receipts"))
    assert world.row().kind == "orphan"
    world.take(event("sends"))
    row = world.row()
    assert (row.kind, row.status, row.was_orphan) == ("message", "delivered", True)
    world.restart(2)
    world.take(event("receipts", status="read"))
    assert world.row().was_orphan


def test_a_send_of_a_retired_day_is_refused_as_too_late():
    world = World()
    late = event("sends", at=T0 - 12 * DAY_MS)._replace(timestamp=T0)
    plan = world.take(late)
    assert [dead.refusal.reason for dead in plan.dead_letters] == [Reason.TOO_LATE]
    in_time = event("sends", at=T0 - 10 * DAY_MS)._replace(timestamp=T0)
    assert not world.take(in_time).dead_letters


def test_whether_a_send_is_too_late_does_not_depend_on_its_neighbours():
    replayed = [event("sends", at=T0 - 12 * DAY_MS)] * 2
    skewed = event("receipts")._replace(topic="sends", timestamp=T0 + 99 * DAY_MS)
    assert len(World().take(*replayed, skewed, at=T0).dead_letters) == 1  # the skewed one


def test_after_its_day_retired_a_replayed_send_is_too_late_as_well():
    world = World()
    send = event("sends", at=T0 - 12 * DAY_MS)
    world.take(send, at=T0 - 12 * DAY_MS)
    retire(world, T0)
    (dead,) = world.take(send).dead_letters
    assert dead.refusal.reason is Reason.TOO_LATE


def test_a_late_receipt_of_a_retired_message_is_kept_as_an_orphan():
    world = World()
    world.take(event("sends", at=T0 - 10 * DAY_MS))
    retire(world, T0 + DAY_MS)
    assert not world.states
    world.take(event("receipts", at=T0 + DAY_MS))
    assert world.row().kind == "orphan"


def commit_twice(world: World) -> None:
    """After the second commit, records that were read before the first are not read again."""
    for _ in range(2):
        world.shard.start_commit()
        world.shard.finish_commit()


def retire(world: World, clock_ms: int) -> tuple[list[bytes], list[bytes]]:
    for plan in world.shard.tick(clock_ms):
        world.deliver(plan)
    commit_twice(world)
    day = world.shard.day_to_retire(clock_ms)
    assert day is not None
    world.publish_cells()
    publish(world, world.shard.retirement_mark(day))
    return forget(world, day)


def forget(world: World, day: int) -> tuple[list[bytes], list[bytes]]:
    """As the agent does, also right after a restart."""
    world.shard.retire(day)
    states = []
    while (keys := world.shard.take_retired(2)) is not None:
        states += keys
        for key in keys:
            del world.states[key]
    return states, [key for keys in world.shard.retire_cells(day) for key in keys]


def test_all_states_of_a_day_leave_together_and_its_cells_are_final():
    world = World()
    old, new = message_id_of(HERE), message_id_of(HERE, 50)
    world.take(event("sends", old, at=T0 - 11 * DAY_MS), at=T0 - 11 * DAY_MS)
    world.take(event("sends", new))
    states, cells = retire(world, T0 + 1)
    assert states == [message_key("acme", old)]
    assert {decode_cell(key, world.published[key]).kind for key in cells} == {"hour", "day"}
    assert list(world.states) == [message_key("acme", new)]
    assert world.shard.day_to_retire(T0 + 1) is None


def test_a_crash_while_a_day_leaves_never_touches_its_final_cells():
    world = World()
    world.take(event("sends", at=T0 - 11 * DAY_MS), at=T0 - 11 * DAY_MS)
    left_behind = dict(world.states)
    retire(world, T0)
    final = dict(world.published)
    world.states.update(left_behind)  # the tombstones were never written
    world.restart(2)
    world.publish_cells()
    assert world.published == final
    plan = world.take(event("receipts", at=T0))
    assert world.row().kind == "orphan"
    assert not changes_by_status(plan)
    world.publish_cells()
    assert world.published == final


def test_leftovers_of_a_retired_day_leave_right_after_the_restart():
    world = World()
    world.take(event("sends", at=T0 - 11 * DAY_MS), at=T0 - 11 * DAY_MS)
    left_behind = dict(world.states)
    retire(world, T0)
    world.states.update(left_behind)
    world.restart(2)
    states, cells = forget(world, world.shard.retired_day)
    assert states == list(left_behind)
    assert set(cells) == set(world.published) - {retired_key(HERE)}


def test_a_message_expires_at_exactly_its_deadline():
    world = World()
    world.take(event("sends", validity_s=259_200))
    deadline = T0 + 259_200_000
    assert list(world.shard.tick(deadline - 1)) == []
    (plan,) = world.shard.tick(deadline)
    world.deliver(plan)
    assert world.row().fail_reason == "expired"
    assert plan.counts["receipts_expired_total",] == 1
    world.take(event("receipts", at=deadline + 5 * DAY_MS), at=deadline + 5 * DAY_MS)
    assert world.row().status == "delivered"


def test_expiry_comes_in_portions_so_that_heartbeats_go_on():
    world = World()
    ids, start = [], 0
    while len(ids) <= CHUNK_SIZE:
        ids.append(message_id_of(HERE, start))
        start = int(ids[-1][1:]) + 1
    world.take(*(event("sends", each) for each in ids))
    sizes = []
    for plan in world.shard.tick(T0 + 5 * DAY_MS):
        sizes.append(len(plan.changes))
        world.deliver(plan)
    assert sizes == [CHUNK_SIZE, 1]


def test_a_conflict_is_counted_when_it_is_first_seen():
    world = World()
    conflicts = ("receipts_conflicts_total",)
    assert world.take(event("sends"), event("sends", sender_id="other")).counts[conflicts] == 1
    assert world.take(event("sends", sender_id="third")).counts[conflicts] == 0


def test_the_delay_to_delivery_is_measured_once():
    world = World()
    world.take(event("sends", provider="infobip"))
    plan = world.take(event("receipts", at=T0 + 2_500), event("receipts", at=T0 + 1_500))
    assert plan.delays == {("sms", "infobip"): [1.5]}
    assert world.take(event("receipts", status="read", at=T0 + 3_000)).delays == {}


def test_a_day_does_not_retire_while_its_messages_are_still_to_expire():
    world = World()
    world.take(event("sends", at=T0 - 12 * DAY_MS), at=T0 - 12 * DAY_MS)
    commit_twice(world)
    assert world.shard.day_to_retire(T0) is None
    for plan in world.shard.tick(T0):
        world.deliver(plan)
    commit_twice(world)
    assert world.shard.day_to_retire(T0) is not None


def test_a_day_does_not_retire_while_a_replay_could_still_bring_its_records():
    world = World()
    world.take(event("sends", at=T0 - 12 * DAY_MS), at=T0 - 12 * DAY_MS)
    world.take(event("receipts", at=T0))
    for plan in world.shard.tick(T0):
        world.deliver(plan)
    assert world.shard.day_to_retire(T0) is None
    world.shard.start_commit()
    assert world.shard.day_to_retire(T0) is None  # it may fail
    world.shard.start_commit()
    world.shard.finish_commit()
    assert world.shard.day_to_retire(T0) is None  # a batch in work at its begin is not in it
    world.shard.start_commit()
    assert world.shard.day_to_retire(T0) is None
    world.shard.finish_commit()
    assert world.shard.day_to_retire(T0) is not None


def test_a_duplicate_that_changes_nothing_keeps_its_day_too():
    world = World()
    world.take(event("sends", at=T0 - 12 * DAY_MS), at=T0 - 12 * DAY_MS)
    for plan in world.shard.tick(T0):
        world.deliver(plan)
    commit_twice(world)
    assert world.shard.day_to_retire(T0) is not None
    assert not world.take(event("sends", at=T0 - 12 * DAY_MS), at=T0 - 12 * DAY_MS).changes
    assert world.shard.day_to_retire(T0) is None
    commit_twice(world)
    assert world.shard.day_to_retire(T0) is not None


def test_receipts_without_a_record_time_wait_for_their_send_like_others():
    world = World()
    for status in ("delivered", "queued"):
        world.take(event("receipts", status=status)._replace(timestamp=-1))
    world.take(event("sends"))
    row = world.row()
    assert (row.kind, row.status, row.was_orphan) == ("message", "delivered", True)


def test_orphans_of_a_retired_day_join_each_other():
    world = World()
    world.take(event("sends", at=T0 - 12 * DAY_MS), at=T0 - 12 * DAY_MS)
    retire(world, T0)
    old = T0 - 12 * DAY_MS
    world.take(event("receipts", at=old))
    world.take(event("receipts", at=old, status="queued"))
    assert world.row().status == "delivered"


def test_a_rule_that_raises_leaves_nothing_of_its_event_behind(monkeypatch):
    world = World()
    world.take(event("sends"))
    original = handlers.add_receipt

    def raising(state, receipt, outcome, day):
        changed = original(state, receipt, outcome, day)
        if outcome.error_code == "boom":
            raise ZeroDivisionError
        return changed

    monkeypatch.setattr(handlers, "add_receipt", raising)
    plan = world.take(
        event("receipts", status="queued"), event("receipts", status="read", error_code="boom")
    )
    assert len(plan.dead_letters) == 1
    assert world.row().status == "queued"


def test_the_delay_is_measured_also_when_the_receipt_came_first():
    world = World()
    world.take(event("receipts", at=T0 + 2_000))
    assert world.take(event("sends")).delays == {("sms", ""): [2.0]}


def test_states_joined_by_a_restore_are_published_again():
    world = World()
    world.take(event("sends"))
    key = message_key("acme", OURS)
    (plan,) = world.shard.amend([key, b"acme/unknown"])
    before = decode(world.states[key]).version
    world.deliver(plan)
    assert decode(world.states[key]).version > before


def test_a_stray_with_huge_headers_is_a_dead_letter():
    stray = event("receipts", THEIRS)._replace(headers=(("x", b"y" * 20_000),))
    (dead,) = World().take(stray).dead_letters
    assert dead.refusal.reason is Reason.OVERSIZED


def test_a_retry_that_new_settings_put_off_is_checked_then_and_not_written_before():
    world = World()
    world.take(event("sends"))
    world.take(event("receipts", status="undelivered"))
    hour = 3_600_000
    world.accounts.publish(AccountSettings(account="acme", retry_every_s=7_200))
    assert [plan.changes for plan in world.shard.tick(T0 + hour)] == [{}]
    (plan,) = world.shard.tick(T0 + 2 * hour)
    assert len(plan.retries) == 1
