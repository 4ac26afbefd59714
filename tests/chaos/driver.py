"""Runs a plan: rounds of faults on an installation, and what each round ends with."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple

from aiokafka.errors import KafkaError

from deploy.embedded.brokers import BrokerError
from deploy.kafka.topics import TopicsError
from deploy.processes.child import ChildError
from deploy.simulator.ledger.compare import Ledger
from deploy.simulator.publish.publish import PublishError
from tests.chaos.cluster import Brokers
from tests.chaos.faults import Fault, Stage
from tests.chaos.installation import Installation, Late
from tests.chaos.processes import Exit, Launcher
from tests.chaos.verdict import judge, lag
from tests.chaos.watch import SINK, WORKER

WARM_UP_S = 30.0  # at most, from the start of the traffic to states and commits everywhere
RECOVER_S = 40.0
CALM_S = 1.0  # not when short
BALANCE_S, HOPELESS_S = 40.0, 10.0  # for the ledger; when something stopped for good
LAG_S = 15.0
#: The oracle reads all events again after each round: above so many the next round begins anew.
MOST_EVENTS = 40_000

#: What a fault may bring about in the driver itself; anything else is a bug of the driver.
FAILURES = (
    Late, TimeoutError, OSError, KafkaError, PublishError, TopicsError, ChildError, BrokerError,
)  # fmt: skip


class Options(NamedTuple):
    """rate: events a second. seed: of everything drawn."""

    seed: int
    rate: int
    brokers: int
    short: bool


@dataclass(slots=True)
class Outcome:
    """One fault of one round. Gaps in seconds; None: not measured.

    problems: why it failed, in words; empty when it did not. exits: processes that ended by
    themselves; those that may are among them.
    """

    fault: Fault
    round: int
    said: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    exits: list[Exit] = field(default_factory=list)
    worker_gap_s: float | None = None
    sink_gap_s: float | None = None
    seconds: float = 0.0
    ledger: Ledger | None = None
    finished: bool = False

    @property
    def wrong_exits(self) -> list[Exit]:
        """Those that should not have been."""
        return [e for e in self.exits if e.kind not in self.fault.may_end]

    @property
    def passed(self) -> bool:
        """Everything balances, and no process ended that should not have."""
        balances = self.ledger is not None and self.ledger.balances
        return self.finished and balances and not self.problems and not self.wrong_exits


class Driver:
    """Runs rounds. `outcomes` grows while it runs, so that there is something after Ctrl-C."""

    def __init__(self, options: Options, home: Path) -> None:
        self._options = options
        self._home = home
        self._launcher = Launcher()
        self._brokers = Brokers(options.brokers, self._launcher)
        self._system: Installation | None = None
        self._installations = 0
        self._begun = time.monotonic()
        self.outcomes: list[Outcome] = []

    def say(self, what: str) -> None:
        """Progress, on stderr."""
        print(f"[{time.monotonic() - self._begun:6.1f} s] {what}", file=sys.stderr, flush=True)

    async def run(self, rounds: Sequence[Sequence[Fault]], minutes: float | None) -> None:
        """Run the rounds. minutes: again and again until then; a round begun is finished."""
        try:
            self.say(f"{self._options.brokers} broker(s) of Apache Kafka start")
            await self._brokers.start()
            number = 0
            while number < len(rounds) or (minutes and self._elapsed_s < minutes * 60):
                await self._round(number + 1, rounds[number % len(rounds)])
                number += 1
                if minutes and self._elapsed_s >= minutes * 60:
                    break
        finally:
            self.say("everything ends")
            await self._discard()
            await self._brokers.close()
            self._launcher.close()

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._begun

    async def _round(self, number: int, faults: Sequence[Fault]) -> None:
        outcomes = [Outcome(fault, number) for fault in faults]
        self.outcomes += outcomes
        try:
            system = await self._ready_system()
            system.traffic.start()
            await system.until_flowing(time.monotonic(), WARM_UP_S)
            for outcome in outcomes:
                await self._inflict(system, outcome)
            await self._settle(system, outcomes)
        except FAILURES as error:
            outcomes[-1].problems.append(_words(error))
        for outcome in outcomes:
            outcome.finished = True
            self.say(f"{outcome.fault.name}: {'passed' if outcome.passed else 'FAILED'}")
        if not all(outcome.passed for outcome in outcomes):
            await self._discard()

    async def _ready_system(self) -> Installation:
        """The installation there is; a new one after a failure, or when the truth is long."""
        if self._system is not None and self._system.traffic.events > MOST_EVENTS:
            await self._discard()
        await self._brokers.heal()
        if self._system is None:
            self._installations += 1
            options, number = self._options, self._installations
            self.say(f"installation {number} starts")
            self._system = Installation(
                number, self._brokers, self._launcher, self._home, options.rate,
                options.seed * 100 + number, self.say,
            )  # fmt: skip
            await self._system.start()
        return self._system

    async def _discard(self) -> None:
        system, self._system = self._system, None
        if system is not None:
            try:
                await system.stop()
            except FAILURES as error:
                self.say(f"the installation did not end well: {_words(error)}")

    async def _inflict(self, system: Installation, outcome: Outcome) -> None:
        """The fault, and until everything goes on after it."""
        fault, begin, before = outcome.fault, time.monotonic(), len(system.exits)
        self.say(f"{fault.name}: {fault.meaning}")
        rng = Random(f"{self._options.seed}/{outcome.round}/{fault.name}")
        stage = Stage(system, rng, self._options.short, outcome.said)
        try:
            async with asyncio.timeout(fault.deadline_s):
                await fault.work(stage)
        except FAILURES as error:
            outcome.problems.append(_words(error))
        try:
            await self._brokers.heal()
            await system.heal()
            await system.until_ready(RECOVER_S)
            await system.until_flowing(time.monotonic(), RECOVER_S)
            await asyncio.sleep(0 if self._options.short else CALM_S)
        except FAILURES as error:
            outcome.problems.append(_words(error))
        end = time.monotonic()
        outcome.seconds = end - begin
        outcome.exits = system.exits[before:]
        gaps, partitions = system.watch.gaps, system.watch.partitions
        outcome.worker_gap_s = gaps.longest(WORKER, partitions, begin, end)
        outcome.sink_gap_s = gaps.longest(SINK, partitions, begin, end)

    async def _settle(self, system: Installation, outcomes: Sequence[Outcome]) -> None:
        """The traffic ends; the ledger of all there was, and the lag."""
        before = len(system.exits)
        last = outcomes[-1]
        try:
            await system.traffic.stop()
        except FAILURES as error:
            last.problems.append(_words(error))
        self.say(f"the ledger of {system.traffic.events:,} events")
        stopped = any(outcome.problems for outcome in outcomes)
        verdict = await asyncio.to_thread(
            judge,
            system.clickhouse_url,
            system.traffic.truths,
            system.hostile,
            HOPELESS_S if stopped else BALANCE_S,
        )
        for outcome in outcomes:
            outcome.ledger = verdict.ledger
        last.problems += verdict.missing
        if not stopped:
            last.problems += await self._lag(system)
            last.problems += await self._states(system)
        last.exits = [*last.exits, *system.exits[before:]]

    async def _states(self, system: Installation) -> list[str]:
        """What does not follow from the states, in words."""
        self.say("the states on disk and in the changelog")
        try:
            return await system.state_faults()
        except FAILURES as error:
            return [f"the states were not checked: {_words(error)}"]

    async def _lag(self, system: Installation) -> list[str]:
        """What the groups have not committed, in words, once they had time."""
        give_up = time.monotonic() + LAG_S
        while any((found := await lag(system.settings, self._brokers.bootstrap)).values()):
            if time.monotonic() > give_up:
                return [f"lag of group {group}: {n}" for group, n in found.items() if n]
            await asyncio.sleep(1)
        return []


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
