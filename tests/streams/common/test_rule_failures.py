"""A rule that raises stops nothing and loses nothing: events are refused, timers tried again."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from models import retries
from models.accounts import Accounts, AccountSettings
from models.counters import COUNT_NAMES, encode_cell
from models.refusal import Reason
from models.settings import Settings
from models.state import decode
from models.strikes import Strike, encode_strike
from models.suppression import ChannelStatus, of_any, published
from models.suppression import decode as decode_suppression
from models.suppression import encode as encode_suppression
from models.suppression_facts import Facts
from models.time import DAY_MS
from streams.common import context as context_module
from streams.common.context import AgentContext
from streams.common.delivery import Delivery
from streams.common.plan import Plan
from streams.common.shard import RETRY_MS
from streams.followers.suppression_index import SuppressionIndex
from streams.lifecycle import handlers, pending
from streams.lifecycle import shard as shard_module
from streams.lifecycle.agent import LifecycleAgent
from streams.lifecycle.shard import Rules
from streams.suppression import shard as numbers
from streams.suppression.agent import SuppressionAgent
from tests.streams.lifecycle import test_shard
from tests.streams.lifecycle.test_agent import Batch, Broker, Table
from tests.streams.lifecycle.test_shard import T0, event
from tests.support.fakes import Meter
from tests.support.records import Record, record

NUMBER = "+46701234567"
NUMBER_KEY = b"acme/" + NUMBER.encode()
KEY = b"acme/m1"
VALIDITY_MS = 259_200_000
HARD = {"status": "undelivered", "bounce": "hard"}


class Broken:
    """A rule that raises as long as `broken` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, where: Any, name: str) -> None:
        self.rule = getattr(where, name)
        self.broken = True
        monkeypatch.setattr(where, name, self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.broken:
            raise ZeroDivisionError("of the rule")
        return self.rule(*args, **kwargs)


class Agents:
    """Either agent with its one partition, at a wall clock that the test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, agent: str) -> None:
        self.wall = T0
        monkeypatch.setattr(context_module, "wall_ms", lambda: self.wall)
        self.broker: Any = Broker()
        self.broker.lags = dict.fromkeys(
            ("sends", "receipts", "engagements", "strikes", "suppression-requests"), 0
        )
        self.meter = Meter()
        self.accounts = Accounts()
        self.accounts.publish(AccountSettings(account="acme", suppression_days=1, strike_limit=1))
        self.table: Any = Table("table", self.broker)
        self.cells: Any = Table("cells", self.broker)
        self.name = agent
        self.start()

    def start(self) -> None:
        """A worker starts and takes the partition over."""
        delivery = Delivery(self.broker, self.meter, Settings(partitions=1), self.table)
        make = self._suppression if self.name == "suppression" else self._lifecycle
        self.agent: Any = make(delivery)
        asyncio.run(self.agent.open(0))

    def _suppression(self, delivery: Delivery) -> SuppressionAgent:
        topics = {topic: topic for topic in ("strikes", "suppression-requests")}
        context = AgentContext(self.broker, topics)
        return SuppressionAgent(
            self.broker, delivery, self.meter, 1, self.table, context, self.accounts
        )

    def _lifecycle(self, delivery: Delivery) -> LifecycleAgent:
        topics = {topic: topic for topic in ("sends", "receipts", "engagements")}
        context = AgentContext(self.broker, topics)
        return LifecycleAgent(
            self.broker,
            delivery,
            self.meter,
            Rules(partitions=1),
            self.table,
            self.cells,
            context,
            self.accounts,
            SuppressionIndex(),
        )

    def take(self, *records: Record) -> None:
        batch: Any = Batch(each._replace(partition=0) for each in records)
        asyncio.run(self.agent.take(batch))
        assert batch.finished

    def commit(self, at: int) -> None:
        self.wall = at
        asyncio.run(self.agent.before_commit())

    @property
    def failures(self) -> float:
        return self.meter.value("receipts_rule_failures_total", self.name)

    def letters(self) -> list[bytes]:
        sent = [what for topic, what in self.broker.done if topic == "dead-letters"]
        return [dict(letter.headers)["reason"] for letters in sent for letter in letters]


@pytest.fixture
def numbers_agent(monkeypatch: pytest.MonkeyPatch) -> Agents:
    return Agents(monkeypatch, "suppression")


@pytest.fixture
def messages_agent(monkeypatch: pytest.MonkeyPatch) -> Agents:
    return Agents(monkeypatch, "lifecycle")


def strike(number: int = 1) -> Record:
    told = Strike("struck", "acme", NUMBER, f"m{number}", T0, number, T0, "1")
    return record("strikes", NUMBER_KEY, encode_strike(told), T0)


def suppressed(agents: Agents) -> bool:
    return decode_suppression(agents.table.data[NUMBER_KEY]).suppressed


# --- timers of the suppression agent -------------------------------------------------------------

NUMBER_RULES = ["decode", "status_of", "published", "encode"]


@pytest.mark.parametrize("rule", NUMBER_RULES)
def test_a_number_whose_rule_raises_on_its_timer_is_released_when_it_works_again(
    numbers_agent, monkeypatch, caplog, rule
):
    agents = numbers_agent
    agents.take(strike())
    assert suppressed(agents)
    lapsed = T0 + DAY_MS
    broken = Broken(monkeypatch, numbers, rule)
    agents.commit(lapsed)
    agents.commit(lapsed + 1_000)
    assert "a rule failed on acme/+4670*****67" in caplog.text
    assert "Traceback" in caplog.text
    assert agents.failures == 1
    agents.commit(lapsed + RETRY_MS)
    assert agents.failures == 2
    broken.broken = False
    assert suppressed(agents)
    agents.commit(lapsed + 2 * RETRY_MS)
    assert not suppressed(agents)
    assert agents.meter.value("receipts_suppressions_total", "released") == 1


@pytest.mark.parametrize("rule", ["status_of", "published", "encode"])
def test_a_restart_finds_the_timer_of_a_number_again(numbers_agent, monkeypatch, rule):
    agents = numbers_agent
    agents.take(strike())
    version = decode_suppression(agents.table.data[NUMBER_KEY]).version
    broken = Broken(monkeypatch, numbers, rule)
    agents.commit(T0 + DAY_MS)
    agents.start()
    agents.commit(T0 + DAY_MS)
    broken.broken = False
    agents.start()
    agents.commit(T0 + DAY_MS)
    known = decode_suppression(agents.table.data[NUMBER_KEY])
    assert (known.suppressed, known.version > version) == (False, True)


@pytest.mark.parametrize("rule", ["status_of", "published", "encode"])
def test_strikes_whose_rule_raises_are_refused_and_leave_nothing(
    numbers_agent, monkeypatch, caplog, rule
):
    agents = numbers_agent
    agents.take(strike())
    before = dict(agents.table.data)
    broken = Broken(monkeypatch, numbers, rule)
    agents.take(strike(2), strike(3))
    assert agents.letters() == [b"internal_error"] * 2
    assert agents.meter.value("receipts_dead_letters_total", "strikes", "internal_error") == 2
    assert agents.table.data == before
    assert agents.failures == 1
    assert agents.meter.value("receipts_events_total", "strikes", "struck") == 1
    broken.broken = False
    agents.take(strike(2))
    first = decode_suppression(before[NUMBER_KEY]).version
    assert decode_suppression(agents.table.data[NUMBER_KEY]).version == first + 1


# --- timers of the lifecycle agent ---------------------------------------------------------------

MESSAGE_RULES: list[tuple[Any, str]] = [
    *(
        (shard_module, name)
        for name in ("decode", "next_timer_at", "retention_day", "contribution")
    ),
    *(
        (shard_module, name)
        for name in ("is_pending", "annotate", "emit_recipient_events", "encode")
    ),
    *((pending, name) for name in ("next_timer_at", "contribution")),
]


@pytest.mark.parametrize("rule", MESSAGE_RULES, ids=lambda rule: rule[1])
def test_a_message_whose_rule_raises_on_its_timer_expires_when_it_works_again(
    messages_agent, monkeypatch, caplog, rule
):
    agents = messages_agent
    agents.take(event("sends", "m1"), event("sends", "m2"))
    agents.commit(T0)
    broken = Broken(monkeypatch, *rule)
    agents.commit(T0 + VALIDITY_MS)
    assert "a rule failed on acme/m1" in caplog.text
    assert agents.failures == 2
    broken.broken = False
    agents.commit(T0 + VALIDITY_MS + RETRY_MS)
    states = [decode(value) for value in agents.table.data.values()]
    assert [state.expired_at for state in states] == [T0 + VALIDITY_MS] * 2
    assert agents.meter.value("receipts_expired_total") == 2


def test_a_retry_whose_rule_raises_is_requested_when_it_works_again(messages_agent, monkeypatch):
    agents = messages_agent
    agents.take(event("sends", "m1"))
    agents.take(event("receipts", "m1", status="undelivered"))
    agents.commit(T0)
    due_at = T0 + 3_600_000
    broken = Broken(monkeypatch, shard_module, "retry_request")
    agents.commit(due_at)
    assert agents.failures == 1
    broken.broken = False
    agents.commit(due_at + RETRY_MS)
    (requests,) = [what for topic, what in agents.broker.done if topic == "retry-requests"]
    (request,) = [json.loads(value) for _, value in requests]
    assert (request["attempt"], request["due_at"]) == (2, due_at)


def test_a_rule_that_raises_on_one_message_keeps_no_other_from_its_timer(
    messages_agent, monkeypatch
):
    agents = messages_agent
    agents.take(*(event("sends", f"m{number}") for number in range(5)))
    original = shard_module.is_pending

    def raising(state: Any) -> bool:
        if state.sends[0].sender_id == "boom":
            raise ZeroDivisionError
        return original(state)

    agents.take(event("sends", "bad", sender_id="boom"))
    monkeypatch.setattr(shard_module, "is_pending", raising)
    agents.commit(T0 + VALIDITY_MS)
    states = {key: decode(value) for key, value in agents.table.data.items()}
    assert {key for key, state in states.items() if not state.expired_at} == {b"acme/bad"}


@pytest.mark.parametrize("rule", ["contribution", "next_timer_at"])
def test_a_rule_that_raises_at_the_restore_stops_no_worker_and_counts_its_message_later(
    messages_agent, monkeypatch, rule
):
    agents = messages_agent
    agents.take(event("sends", "m1"), event("sends", "m2"))
    agents.commit(T0)
    versions = [decode(value).version for value in agents.table.data.values()]
    broken = Broken(monkeypatch, shard_module, rule)
    agents.start()
    agents.commit(T0)
    agents.take(event("receipts", "other"))
    broken.broken = False
    agents.commit(T0 + RETRY_MS)
    assert not agents.agent.shards[0].uncounted
    agents.take(event("receipts", "m1"))
    agents.commit(T0 + RETRY_MS)
    assert counts(agents) == {"submitted": 1, "delivered": 1, "segments": 2}
    assert all(decode(agents.table.data[b"acme/m1"]).version > version for version in versions)


def counts(agents: Agents) -> dict[str, int]:
    """What the published cell of the day says."""
    (day,) = [value for key, value in agents.cells.data.items() if key.startswith(b'["day"')]
    return {
        name: number for name, number in json.loads(day).items() if number and name in COUNT_NAMES
    }


def test_a_setting_of_an_account_on_which_a_rule_raises_stops_no_commit(
    messages_agent, monkeypatch
):
    agents = messages_agent
    agents.take(event("sends", "m1"))
    where = (retries, shard_module, pending)
    rules = [Broken(monkeypatch, module, "next_timer_at") for module in where]
    agents.agent.rearm("acme")
    agents.commit(T0)
    assert agents.failures == 1
    for rule in rules:
        rule.broken = False
    agents.commit(T0 + VALIDITY_MS)
    assert decode(agents.table.data[KEY]).expired_at


def test_a_joined_state_on_which_a_rule_raises_stops_no_restore(messages_agent, monkeypatch):
    agents = messages_agent
    agents.take(event("sends", "m1"))
    agents.table.merged = {KEY, b"\xff"}
    Broken(monkeypatch, shard_module, "annotate")
    agents.start()
    assert agents.failures == 1


def test_a_fault_is_logged_once_a_minute_and_counted_each_time(messages_agent, monkeypatch, caplog):
    agents = messages_agent
    agents.take(*(event("sends", f"m{number}") for number in range(50)))
    Broken(monkeypatch, shard_module, "is_pending")
    agents.commit(T0 + VALIDITY_MS)
    assert agents.failures == 50
    assert len([entry for entry in caplog.records if entry.levelno == logging.ERROR]) == 1


# --- nothing half-done in a plan -----------------------------------------------------------------

LAST_RULES: list[tuple[Any, str]] = [
    (shard_module, "encode"),
    (shard_module, "emit_recipient_events"),
    (shard_module, "annotate"),
    (shard_module, "close_late_retry"),
]


def parts(plan: Plan) -> dict[str, Any]:
    return {
        "changes": plan.changes,
        "rerouted": plan.rerouted,
        "counts": {
            count: number
            for count, number in plan.counts.items()
            if count[0] != "receipts_dead_letters_total"
        },
        "delays": plan.delays,
        "strikes": plan.strikes,
        "deferred_keys": plan.deferred_keys,
        "requests": plan.requests,
        "retries": plan.retries,
    }


def left_by(world: test_shard.World) -> dict[str, Any]:
    """What a shard knows beyond its states."""
    shard = world.shard
    return {
        "version": shard.version,
        "cells": {key: list(cell.counts) for key, cell in shard.cells.by_key.items()},
        "timers": len(shard.timers),
        "days": shard.days.first(),
        "touched": set(shard.touched_days),
    }


def prepared() -> test_shard.World:
    """Known: a message that struck and a number that is suppressed."""
    world = test_shard.World()
    world.accounts.publish(AccountSettings(account="acme", strikes_reset_on_delivery=True))
    by_hand = ChannelStatus("sms", True, ("manual",), T0 - 1, 0, 0, T0 - 1)
    world.suppressed.take(
        NUMBER_KEY, encode_suppression(published("acme", NUMBER, Facts(), of_any([by_hand]), 1))
    )
    world.take(event("sends"), event("sends", attempt=3, first_sent_at=T0, at=T0 + 10))
    world.take(event("receipts", **HARD, attempt=3))
    return world


#: batches whose effects are strikes, withdrawals, deliveries, requests, conflicts and counts
BATCHES: dict[str, Callable[[], list[Record]]] = {
    "a strike moves": lambda: [event("sends", at=T0 - 10)],
    "a strike is withdrawn": lambda: [event("receipts"), event("receipts", status="read")],
    "an unsubscribe": lambda: [event("engagements", type="unsubscribe"), event("engagements")],
    "a conflict and a send to a suppressed number": lambda: [
        event("sends", sender_id="other"),
        event("sends", attempt=2, first_sent_at=T0, at=T0 + 5),
    ],
}


CASES = [(rule, batch) for rule in LAST_RULES for batch in BATCHES]
CASES += [((pending, "encode_strike"), batch) for batch in BATCHES if "strike" in batch]


@pytest.mark.parametrize(
    ("rule", "batch"), CASES, ids=[f"{rule[1]}: {batch}" for rule, batch in CASES]
)
def test_a_rule_that_raises_leaves_no_half_done_plan(monkeypatch, rule, batch):
    records = BATCHES[batch]()
    world = prepared()
    states, known = dict(world.states), left_by(world)
    broken = Broken(monkeypatch, *rule)
    plan = world.take(*records)
    assert [dead.refusal.reason for dead in plan.dead_letters] == [Reason.INTERNAL_ERROR] * len(
        records
    )
    assert parts(plan) == parts(Plan())
    assert (world.states, left_by(world)) == (states, known)
    broken.broken = False
    expected = prepared()
    redone = world.take(*records)
    assert parts(redone) == parts(expected.take(*records))
    assert parts(redone) != parts(Plan())
    assert left_by(world) == left_by(expected)


@pytest.mark.parametrize("rule", LAST_RULES, ids=lambda rule: rule[1])
def test_a_timer_whose_rule_raises_leaves_no_half_done_plan(monkeypatch, rule):
    world = test_shard.World()
    world.take(event("sends"))
    world.take(event("receipts", status="undelivered"))
    known = left_by(world)
    Broken(monkeypatch, *rule)
    (plan,) = world.shard.tick(T0 + 3_600_000)
    assert len(plan.failures) == 1
    assert parts(plan) == parts(Plan())
    assert left_by(world) == known


def test_of_two_messages_the_one_whose_rule_raises_takes_nothing_from_the_other(monkeypatch):
    world = test_shard.World()
    other = test_shard.message_id_of(test_shard.HERE, 99)
    original = shard_module.encode

    def raising(state: Any) -> bytes:
        if state.sends and state.sends[0].sender_id == "boom":
            raise ZeroDivisionError
        return original(state)

    monkeypatch.setattr(shard_module, "encode", raising)
    before = world.shard.version
    plan = world.take(event("sends", sender_id="boom"), event("sends", other))
    assert list(plan.changes) == [b"acme/" + other.encode()]
    assert plan.counts["receipts_events_total", "sends", "outbound"] == 1
    (value,) = plan.changes.values()
    assert value is not None
    assert decode(value).version == before + 1 == world.shard.version


def test_a_rule_that_raises_again_when_others_are_worked_in_again_refuses_them_too(monkeypatch):
    world = test_shard.World()
    world.take(event("sends"))
    before = dict(world.states)
    outcomes = iter([False, True, True])
    original = handlers.outcome_of

    def raising(receipt: Any, settings: Any) -> Any:
        if next(outcomes):
            raise ZeroDivisionError
        return original(receipt, settings)

    monkeypatch.setattr(handlers, "outcome_of", raising)
    plan = world.take(event("receipts"), event("receipts", status="read"))
    assert [dead.refusal.reason for dead in plan.dead_letters] == [Reason.INTERNAL_ERROR] * 2
    assert (parts(plan), world.states) == (parts(Plan()), before)


def test_cells_published_before_a_failure_stay_the_fold_of_the_states(monkeypatch):
    world = test_shard.World()
    world.take(event("sends"))
    Broken(monkeypatch, shard_module, "encode")
    world.take(event("receipts"))
    published = [encode_cell(1, cell.counts) for cell in world.shard.cells.by_key.values()]
    restarted = test_shard.World()
    restarted.states = world.states
    restarted.restart(2)
    assert [
        encode_cell(1, cell.counts) for cell in restarted.shard.cells.by_key.values()
    ] == published
