"""One or three real Kafka brokers. Processes under test reach them through proxies only."""

from __future__ import annotations

import asyncio
import os
import signal

from deploy.embedded.brokers import KafkaBroker, free_port
from tests.chaos.processes import Launcher
from tests.chaos.proxy import Proxy
from tests.support.kafka_cluster import KafkaCluster

HEAP = "512m"
#: A transaction whose producer died is aborted soon after its timeout, not 10 s later.
_SETTINGS = {"transaction_abort_timed_out_transaction_cleanup_interval_ms": "500"}


class Brokers:
    """bootstrap: the brokers themselves, for the driver. proxied: through the proxies."""

    def __init__(self, count: int, launcher: Launcher) -> None:
        self._launcher = launcher
        self._cluster = KafkaCluster(**_SETTINGS) if count > 1 else None
        self.nodes: list[KafkaBroker] = []
        self.nodes += self._cluster.nodes if self._cluster else [KafkaBroker(HEAP, **_SETTINGS)]
        self.proxies = [_behind_proxy(node) for node in self.nodes]
        self._down: set[int] = set()
        self._frozen: set[int] = set()

    @property
    def bootstrap(self) -> str:
        return ",".join(node.bootstrap for node in self.nodes)

    @property
    def proxied(self) -> str:
        return ",".join(f"127.0.0.1:{proxy.port}" for proxy in self.proxies)

    async def start(self) -> None:
        """Start all. Raises BrokerError."""
        await self._launcher(self._cluster.start if self._cluster else self.nodes[0].start)
        for proxy in self.proxies:
            await proxy.listen()

    def kill(self, number: int) -> None:
        """kill -9. Its port refuses connections until it is started again."""
        self._frozen.discard(number)
        self._down.add(number)
        self.proxies[number].refuse()
        self.nodes[number].kill()

    async def restart(self, number: int) -> None:
        """Start a killed broker; returns when it answers."""
        node = self.nodes[number]
        await self._launcher(node.launch)
        await asyncio.to_thread(node.wait_ready)
        await self.proxies[number].listen()
        self._down.discard(number)

    def freeze(self, number: int) -> None:
        """SIGSTOP: connections stay open, nothing is answered."""
        self._frozen.add(number)
        os.kill(self.nodes[number].pid, signal.SIGSTOP)

    def thaw(self, number: int) -> None:
        """SIGCONT."""
        self._frozen.discard(number)
        os.kill(self.nodes[number].pid, signal.SIGCONT)

    async def heal(self) -> None:
        """All brokers run, all proxies behave."""
        for number in sorted(self._frozen):
            self.thaw(number)
        for number in sorted(self._down):
            await self.restart(number)
        for proxy in self.proxies:
            await proxy.heal()

    async def close(self) -> None:
        """End all at once and remove their data."""
        for proxy in self.proxies:
            await proxy.close()
        for node in self.nodes:
            node.kill()
        for node in self.nodes:
            node.close()


def _behind_proxy(node: KafkaBroker) -> Proxy:
    """A second listener of the broker, advertised under the port of a proxy."""
    proxy = Proxy(free_port())
    inside = f"PLAINTEXT://{node.bootstrap},PROXIED://127.0.0.1:{proxy.target}"
    node._settings |= {
        "listeners": f"{inside},CONTROLLER://127.0.0.1:{node.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{node.bootstrap},PROXIED://127.0.0.1:{proxy.port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,"
        "CONTROLLER:PLAINTEXT",
    }
    return proxy
