"""The whole system as processes: worker(s), sink(s) and the HTTP interface of ClickHouse's engine.

Tests kill processes with kill -9 and check the result with the ledger.
"""

import asyncio
import contextlib
import json
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from prometheus_client.parser import text_string_to_metric_families

from deploy.demo.scrape import Samples, samples_at
from deploy.embedded.brokers import free_port
from deploy.kafka.topics import create_topics
from deploy.processes.child import Child
from deploy.simulator.event import KINDS
from deploy.simulator.ledger.compare import Ledger, expectation, wait_until_balanced
from deploy.simulator.publish.publish import (
    ReplayOptions,
    SimulateOptions,
    Summary,
    replay,
    simulate,
)
from models.access_rights import Program
from models.settings import Settings
from streams.kafka.security import kafka_access
from tests.support.state_checks import state_check
from tests.support.waiting import until

BALANCE_S = 90.0
READY_S = 40.0


class System:
    """One installation on a broker, separated from others by its topic prefix and group.

    login: fields of Settings with which each program connects to Kafka; by default plain text.
    on_disk: workers keep states in a folder of their own, instead of in memory
    standbys: other workers that keep a copy of each partition
    """

    def __init__(
        self,
        brokers: str,
        prefix: str,
        folder: Path,
        *,
        partitions: int = 4,
        login: Callable[[Program], Mapping[str, Any]] = lambda program: {},
        on_disk: bool = False,
        standbys: int = 0,
    ) -> None:
        self._login = login
        self._on_disk = on_disk
        self.folder = folder
        self.port = free_port()
        self.engine = f"http://127.0.0.1:{self.port}/ping"
        self.settings = Settings(
            brokers=brokers,
            app_id=f"{prefix}receipts",
            topic_prefix=prefix,
            partitions=partitions,
            clickhouse_url=f"http://default:@127.0.0.1:{self.port}/receipts",
            batch_size=500,
            standbys=standbys,
            session_timeout_s=6,  # joining a group of the embedded broker takes half of it
        )
        self._children: list[Child] = []
        self.truths: list[Path] = []

    def start(self) -> None:
        """Create topics and start the engine; the test starts workers and sinks."""
        asyncio.run(create_topics(self.settings_of("admin")))
        self.start_engine()

    def start_engine(self) -> None:
        """Start the engine, again on the same data if it was killed."""
        engine = ["-m", "deploy.embedded.clickhouse", "--path", str(self.folder / "engine")]
        self.clickhouse = self._child("engine", [*engine, "--port", str(self.port)], {})
        until(lambda: self._answers(), "the engine answers")

    def stop_engine(self) -> None:
        """End ClickHouse's engine; all else runs on."""
        self.clickhouse.stop()

    def kill_engine(self) -> None:
        """kill -9: nothing answers at its address until it is started again."""
        self.clickhouse.kill()

    def settings_of(self, program: Program) -> Settings:
        """The settings with the login of a program."""
        return Settings(**{**self.settings.model_dump(), **self._login(program)})

    def stop(self) -> None:
        """End everything, the newest first."""
        for child in reversed(self._children):
            child.stop()

    def _child(self, name: str, arguments: list[str], settings: dict[str, str]) -> Child:
        child = Child(name, [sys.executable, *arguments], settings, self.folder / f"{name}.log")
        self._children.append(child)
        return child

    def process(
        self,
        kind: Literal["worker", "sink", "listen"],
        name: str | None = None,
        command: tuple[str, ...] = (),
        port: int = 0,
        state: str = "",
        *,
        in_memory: bool = False,
    ) -> "Process":
        """Start a worker or a sink.

        command: what to run instead of the command line. port: of its pages; 0: a free one. state:
        name of the folder of its states, by default its own name; a successor may have it.
        in_memory: its states, although those of others are on disk
        """
        port = port or free_port()
        pages = "listen_monitoring" if kind == "listen" else kind
        changed: dict[str, Any] = {f"{pages}_port": port}
        if self._on_disk and not in_memory:
            changed["state_dir"] = str(self.state_folder(state or name or kind))
        settings = self.settings_of(kind).model_copy(update=changed)
        command = command or ("deploy.cli", kind)
        return Process(self._child(name or kind, ["-m", *command], settings.environ()), port)

    def state_folder(self, state: str) -> Path:
        """Where the worker with this name for its states keeps them."""
        return self.folder / "state" / state

    def check_states(self, state: str) -> dict[str, Any]:
        """The result of `receipts state check` for the folder of a worker that has ended: exact."""
        settings = self.settings_of("worker")
        return state_check(settings.environ(), "--dir", str(self.state_folder(state)))

    def check_changelog(self) -> dict[str, Any]:
        """The same for the topics, while nothing is published."""
        return state_check(self.settings_of("worker").environ(), "--changelog")

    def publish(
        self, events: int, seed: int, *, rate: float | None = None, name: str = "truth"
    ) -> Summary:
        """Publish simulated traffic; the ledger expects it."""
        truth = self.folder / f"{name}.jsonl"
        self.truths.append(truth)
        topics: dict[str, str] = {kind: self.settings.topic(kind) for kind in KINDS}
        return asyncio.run(
            simulate(
                SimulateOptions(
                    kafka_access(self.settings_of("simulator")),
                    seed,
                    events,
                    rate,
                    topics=topics,
                    truth_path=truth,
                )
            )
        )

    def replay(self, recording: Path) -> Summary:
        """Publish a recording; the ledger does not expect it."""
        return asyncio.run(
            replay(ReplayOptions(kafka_access(self.settings_of("simulator")), recording))
        )

    def replay_lines(self, lines: list[dict[str, Any]]) -> Summary:
        """Publish records by topic without prefix; the ledger does not expect them."""
        recording = self.folder / f"lines-{time.monotonic_ns()}.jsonl"
        named = ({**line, "topic": self.settings.topic(line["topic"])} for line in lines)
        recording.write_text("".join(json.dumps(line) + "\n" for line in named))
        return self.replay(recording)

    def ledger(self, timeout_s: float = BALANCE_S) -> Ledger:
        """The ledger when it balances, or the last one when the time is up."""
        expected = expectation(self.truths, time.time_ns() // 1_000_000)
        return wait_until_balanced(self.client(), expected, timeout_s)

    def client(self) -> Client:
        return clickhouse_connect.get_client(dsn=self.settings.clickhouse_url)

    def rows(self, table: str) -> int:
        """Rows visible in a view; 0 while it does not exist."""
        with contextlib.suppress(clickhouse_connect.driver.exceptions.DatabaseError):
            ((rows,),) = self.client().query(f"SELECT count() FROM {table}").result_rows
            return int(rows)
        return 0

    def wait_for_rows(self, count: int) -> None:
        """Wait until so many messages are visible."""
        until(lambda: self.rows("messages_current") >= count, f"{count} messages", 60)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(self.engine, timeout=1) as page:
            return bool(page.status == 200)
        return False


class Process:
    """A process with pages."""

    def __init__(self, child: Child, port: int) -> None:
        self.child = child
        self.port = port

    def samples(self, *names: str) -> Samples:
        return samples_at(f"http://127.0.0.1:{self.port}/metrics", *names)

    def value(self, name: str) -> float:
        return self.samples(name).get(name, 0.0)

    def message_events(self) -> float:
        """Number of accepted events of messages: sends, receipts and engagements."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(url, timeout=5) as page:
            families = text_string_to_metric_families(page.read().decode())
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == "receipts_events_total"
            and sample.labels["topic"] in ("sends", "receipts", "engagements")
        )

    def wait_ready(self) -> "Process":
        """Wait until receipts_ready is 1."""

        def ready() -> bool:
            self.child.check()
            return self.value("receipts_ready") == 1

        until(ready, f"{self.child.name} is ready", READY_S)
        return self

    def kill(self) -> None:
        """kill -9"""
        self.child.kill()


@contextlib.contextmanager
def running(
    brokers: str,
    prefix: str,
    folder: Path,
    login: Callable[[Program], Mapping[str, Any]] = lambda program: {},
    *,
    on_disk: bool = False,
    standbys: int = 0,
) -> Iterator[System]:
    """A system with topics and an engine; stops it at the end."""
    system = System(brokers, prefix, folder, login=login, on_disk=on_disk, standbys=standbys)
    try:
        system.start()
        yield system
    finally:
        system.stop()
