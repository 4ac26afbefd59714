"""Three real Kafka brokers that share one cluster, each to be killed, frozen and started again.

    with KafkaCluster() as cluster:
        cluster.nodes[0].kill()          # SIGKILL, as a crash
        cluster.nodes[0].start()         # the same port, the same data
        with cluster.nodes[1].frozen():  # SIGSTOP ... SIGCONT
            ...

Every node is broker and controller, so that one of three may be lost. Topics have three copies, two
of which must be in sync. Kafka's own defaults hold where the constructor is given nothing else:
the controller takes a silent broker for dead after 9 s.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

from deploy.embedded.brokers import KafkaBroker, fetch_kafka, new_cluster_id

NODES: Final = 3

#: of each broker's JVM; three of them share a small machine with the tests
HEAP: Final = "320m"

_SHARED: Final = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "broker.session.timeout.ms": "9000",
    "broker.heartbeat.interval.ms": "2000",
}


class KafkaNode(KafkaBroker):
    """One of the brokers: start(), stop(), kill(), freeze(), thaw()."""

    copies = NODES

    def __init__(self, node_id: int, **settings: str) -> None:
        super().__init__(HEAP)
        self.node_id = node_id
        self.voters = ""
        self.name = f"Kafka node {node_id}"
        self._settings = settings
        self._frozen = False

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)
        self._frozen = True

    def thaw(self) -> None:
        """SIGCONT. Without effect on a node that is not frozen."""
        if self._frozen:
            os.kill(self.pid, signal.SIGCONT)
        self._frozen = False

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Frozen while the block runs."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def kill(self) -> None:
        """SIGKILL, frozen or not."""
        self._frozen = False
        super().kill()

    def stop(self) -> None:
        """As Broker's; a frozen node could not react to SIGTERM."""
        self.thaw()
        super().stop()

    def _java(self) -> list[str]:
        java, *rest = super()._java()
        # Less work for two cores: start-up counts here, not throughput.
        return [java, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *rest]

    def _server_properties(self) -> dict[str, str]:
        own = {"node.id": str(self.node_id), "controller.quorum.voters": self.voters}
        return {**super()._server_properties(), **_SHARED, **own, **self._settings}


class KafkaCluster:
    """A context manager. settings: more server properties of all nodes, underscores for dots."""

    def __init__(self, **settings: str) -> None:
        given = {name.replace("_", "."): value for name, value in settings.items()}
        self.nodes = [KafkaNode(number, **given) for number in range(1, NODES + 1)]
        cluster_id = new_cluster_id()
        for node in self.nodes:
            node.cluster_id = cluster_id
            node.voters = ",".join(
                f"{other.node_id}@127.0.0.1:{other.controller_port}" for other in self.nodes
            )

    @property
    def bootstrap(self) -> str:
        """Addresses for clients, host:port, comma separated."""
        return ",".join(node.bootstrap for node in self.nodes)

    def node(self, node_id: int) -> KafkaNode:
        """The node of a broker id, as metadata name it."""
        return self.nodes[node_id - 1]

    def start(self) -> Self:
        """Start the nodes that do not run and wait until each answers. Raises BrokerError."""
        fetch_kafka()
        with ThreadPoolExecutor(NODES) as pool:
            list(pool.map(KafkaNode.format, self.nodes))
        stopped = [node for node in self.nodes if not node.is_running]
        # A node answers only when two of three are there: all of them start, then all are awaited.
        # Not in the pool: a broker dies with the thread that started it.
        for node in stopped:
            node.launch()
        for node in stopped:
            node.wait_ready()
        return self

    def close(self) -> None:
        """End all nodes at once and remove their data."""
        for node in self.nodes:
            node.kill()
            node.close()

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
