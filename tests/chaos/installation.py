"""One installation: topics under a prefix of its own, ClickHouse, workers, a sink, traffic."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from deploy.kafka.topics import create_topics
from deploy.simulator.event import Published
from models.settings import Settings
from tests.chaos.cluster import Brokers
from tests.chaos.processes import ASK_S, Exit, Front, Launcher, Member
from tests.chaos.traffic import Publisher, Traffic, events, published
from tests.chaos.verdict import Hostile
from tests.chaos.watch import SINK, WORKER, Watch
from tests.support.state_checks import run_state_check

MEMBERS = ("worker-1", "worker-2", "sink-1")
#: It keeps states on disk; the other worker of its group has them in memory.
ON_DISK = "worker-1"
START_S = 60.0
STOP_S = 20.0
PARTITIONS = 4
MOST_SHOWN = 4  # ends of one process that are progress; all are counted


class Late(Exception):
    """Something did not happen in time; the text says what."""


class Installation:
    """Under test. `exits`: processes that ended though nobody ended them."""

    def __init__(
        self, number: int, brokers: Brokers, launcher: Launcher, home: Path, rate: int, seed: int,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        """number: of this installation, for its prefix. seed: of its traffic."""
        self.say = say
        self.brokers = brokers
        self.folder = home / f"installation-{number}"
        self.folder.mkdir()
        self.front = Front(self.folder, launcher)
        self.settings = Settings(
            brokers=brokers.proxied,
            app_id=f"chaos-{number}",
            topic_prefix=f"c{number}.",
            partitions=PARTITIONS,
            replication=len(brokers.nodes),
            clickhouse_url=self._clickhouse(self.front.proxy.port),
        )
        self._side_seed = seed * 1_000 + 500
        self.traffic = Traffic(brokers.bootstrap, self.settings, rate, self.folder, seed * 1_000)
        self.watch = Watch(brokers.bootstrap, self.settings)
        self.exits: list[Exit] = []
        self.hostile: list[Hostile] = []
        self.members = [
            Member(name, self._settings_of(name), self.folder / f"{name}.log", launcher, self._note)
            for name in MEMBERS
        ]

    def _settings_of(self, name: str) -> Settings:
        folder = str(self.folder / f"{name}-states") if name == ON_DISK else ""
        return self.settings.model_copy(update={"state_dir": folder})

    async def state_faults(self) -> list[str]:
        """What `receipts state check` finds, in words, once nothing is published: in the folder of
        the worker on disk, which stops for it, and in the changelog."""
        (worker,) = (member for member in self.members if member.name == ON_DISK)
        worker.hold()
        try:
            worker.send(signal.SIGTERM)
            await worker.gone(STOP_S)
            environ = self.own_settings.environ()
            folder = self._settings_of(ON_DISK).state_dir
            checks = [("states on disk", ("--dir", folder)), ("changelog", ("--changelog",))]
            found = []
            for what, options in checks:
                done = await asyncio.to_thread(run_state_check, environ, *options)
                if done.returncode:
                    found.append(f"{what}: {done.stdout}{done.stderr}")
            return found
        finally:
            worker.release()

    def _clickhouse(self, port: int) -> str:
        return f"http://default:@127.0.0.1:{port}/receipts"

    @property
    def own_settings(self) -> Settings:
        """As the settings, but around the proxies: for the driver itself."""
        return self.settings.model_copy(update={"brokers": self.brokers.bootstrap})

    @property
    def clickhouse_url(self) -> str:
        """ClickHouse around the proxy."""
        return self._clickhouse(self.front.port)

    def _note(self, ended: Exit) -> None:
        self.exits.append(ended)
        if sum(e.name == ended.name for e in self.exits) <= MOST_SHOWN:
            self.say(f"{ended.name} ended by itself, exit code {ended.code}: {ended.line[:200]}")

    def of_kind(self, kind: str) -> list[Member]:
        """Its workers or its sinks."""
        return [member for member in self.members if member.kind == kind]

    async def start(self) -> None:
        """Start everything but the traffic. Raises Late, ChildError, TopicsError."""
        async with asyncio.timeout(START_S):
            await asyncio.gather(create_topics(self.own_settings), self.front.start())
            await asyncio.gather(*(member.start() for member in self.members))
        await self.until_ready(START_S)
        await self.watch.start()

    async def until_ready(self, timeout_s: float) -> None:
        """Until every process is ready. Raises Late."""
        give_up = time.monotonic() + timeout_s
        for member in self.members:
            while not await member.is_ready():
                if time.monotonic() > give_up:
                    raise Late(f"{member.name} is not ready after {timeout_s:g} s")
                await asyncio.sleep(ASK_S)

    async def until_flowing(self, since: float, timeout_s: float) -> None:
        """Until each partition had a state and a commit of the sink since then.

        Raises Late, or what ended the traffic.
        """
        give_up = time.monotonic() + timeout_s
        while silent := self.silent(since):
            self.traffic.check()
            if time.monotonic() > give_up:
                raise Late(f"after {timeout_s:g} s still {silent}")
            await asyncio.sleep(ASK_S)

    def silent(self, since: float) -> str:
        """What did not go on since then, in words; empty when all did."""
        partitions, found = self.watch.partitions, []
        for kind, what in ((WORKER, "new state"), (SINK, "commit of the sink")):
            if left := self.watch.gaps.silent_since(kind, partitions, since):
                found.append(f"no {what} in partitions {', '.join(map(str, left))}")
        return " and ".join(found)

    def side_events(self, count: int) -> list[Published]:
        """Valid events of messages of their own, not yet published."""
        self._side_seed += 1
        simulated = events(self._side_seed, count)
        return [r for r in published(simulated, self.settings) if not r.expect]

    async def publish(self, records: Iterable[Published], **options: Any) -> None:
        """Records for the truth. options: of the producer."""
        async with Publisher(self.brokers.bootstrap, **options) as publisher:
            try:
                for record in records:
                    await publisher.send(record)
                await publisher.flush()
            finally:
                self.traffic.note(publisher.acknowledged)

    async def publish_hostile(
        self, records: Iterable[Published], must: Callable[[Published], bool], **options: Any
    ) -> None:
        """Hostile records. must: whether one has to become a dead letter."""
        async with Publisher(self.brokers.bootstrap, **options) as publisher:
            try:
                for record in records:
                    await publisher.send(record)
                await publisher.flush()
            finally:
                self.hostile += [Hostile(r, must(r)) for r in publisher.acknowledged]

    async def heal(self) -> None:
        """Whatever a fault left behind: everything runs, nothing misbehaves."""
        await self.front.heal()
        for member in self.members:
            member.thaw()
            member.release()

    async def stop(self) -> None:
        """End everything at once."""
        for member in self.members:
            await member.end()
        await self.watch.stop()
        await self.front.close()
