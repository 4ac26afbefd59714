"""aiokafka's client, fixed for brokers that die, freeze or reset their connections.

What the pinned version lacks, and what happens without it:

- A connection is opened under one lock for all brokers, and the handshake with a frozen broker
  takes a whole request timeout: meanwhile no other broker can be reached.
- Metadata and coordinators are looked up at a random broker, so repeatedly at the dead one.
- A request to a frozen broker waits for a whole request timeout, though the cluster has moved its
  partitions long ago; another client of the process, idle at that time, begins the same wait later.
  Metadata may be five minutes old.
- A broker answers the requests of one connection in order. Metadata and heartbeats wait behind
  a produce request or a commit that waits for a dead replica, and count as lost.
- A write to a connection that was just reset raises RuntimeError (uvloop). Unlike KafkaError this
  ends the producer, the heartbeats or the metadata updates for good, though nothing was written.

`adopt()` turns the client of any aiokafka consumer, producer or admin client into a fixed one.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, cast

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    RequestTimedOutError,
)
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest

from streams.kafka.errors import Report, kind_of, report_codes

log = logging.getLogger(__name__)

#: Timeout of handshakes, metadata, coordinators and heartbeats: a healthy broker answers at once.
QUICK_TIMEOUT_S: Final = 5.0

#: The same for a handshake with a broker that failed lately.
RETRY_TIMEOUT_S: Final = 2.0

#: Maximum age of the metadata of the topics in use. Kafka lists only healthy brokers in it.
METADATA_AGE_MS: Final = 1_000

#: A broker that failed is the last choice for this long when any broker would do.
AVOIDED_S: Final = 30.0

#: Separate connections, in addition to those of aiokafka's ConnectionGroup.
_METADATA: Final = "metadata"
_HEARTBEATS: Final = "heartbeats"


class Connection(AIOKafkaConnection):  # type: ignore[misc]
    """One connection to one broker."""

    def send(self, request: Any, expect_response: bool = True) -> Any:
        """As aiokafka's, but raises KafkaConnectionError where uvloop raises RuntimeError."""
        try:
            return super().send(request, expect_response)
        except RuntimeError as error:
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(
                f"the connection to {self.host}:{self.port} was closed before the request was "
                f"written: {error}"
            ) from error


class Client(AIOKafkaClient):  # type: ignore[misc]
    """Made only by adopt()."""

    _opening: defaultdict[tuple[Any, Any], asyncio.Lock]
    _failed_at: dict[Any, float]
    report: Report
    """Called with the kind of each request that failed; of the client's own loop."""

    @property
    def _get_conn_lock(self) -> AbstractAsyncContextManager[None]:
        return self._opened()  # each broker has a lock of its own in _get_conn

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        """Around the opening of a connection: aiokafka logs its error and returns None."""
        try:
            yield
        except (OSError, KafkaError) as error:
            self.report(kind_of(error))
            raise

    async def _get_conn(
        self, node_id: Any, *, group: Any = ConnectionGroup.DEFAULT, no_hint: bool = False
    ) -> Any:
        conn = self._conns.get((node_id, group))
        if conn is not None and conn.connected():
            return conn
        began_at = time.monotonic()
        async with self._opening[node_id, group]:
            if self._failed_at.get(node_id, 0.0) > began_at:
                return None  # another caller tried and failed while we waited
            conn = await self._open(node_id, group)
        self._note(node_id, healthy=conn is not None)
        return conn

    @property
    def _metadata_max_age_ms(self) -> int:
        # Without topics aiokafka requests the metadata of the whole cluster.
        return METADATA_AGE_MS if self._topics else self.__dict__["_metadata_max_age_ms"]

    async def _open(self, node_id: Any, group: Any) -> Any:
        limit_s = RETRY_TIMEOUT_S if self._failed_lately(node_id) else QUICK_TIMEOUT_S
        try:
            async with asyncio.timeout(limit_s):
                conn = await super()._get_conn(node_id, group=group)
        except (TimeoutError, RuntimeError) as error:
            self.report("timeout" if isinstance(error, TimeoutError) else "connection")
            log.warning("Broker %s cannot be connected to: %r", node_id, error)
            self.force_metadata_update()
            return None
        if conn is not None:
            conn.__class__ = Connection
        return conn

    async def send(
        self, node_id: Any, request: Any, *, group: Any = ConnectionGroup.DEFAULT
    ) -> Any:
        """As aiokafka's, with a short timeout for requests that are answered at once.

        Raises NodeNotReadyError, KafkaConnectionError or RequestTimedOutError, all retriable.
        """
        if isinstance(request, HeartbeatRequest):
            group = _HEARTBEATS
        if not await self.ready(node_id, group=group):
            raise NodeNotReadyError(f"broker {node_id} cannot be connected to")
        quick = isinstance(request, FindCoordinatorRequest | HeartbeatRequest)
        limit = QUICK_TIMEOUT_S if quick else None
        return await self._request(node_id, self._conns[node_id, group], request, limit)

    async def _request(self, node_id: Any, conn: Any, request: Any, limit_s: float | None) -> Any:
        # There is no await from here to the write in conn.send().
        answered = not (isinstance(request, ProduceRequest) and request.required_acks == 0)
        try:
            async with asyncio.timeout(limit_s):
                response = await conn.send(request, expect_response=answered)
        except TimeoutError as error:
            self._note(node_id, healthy=False)
            self.report("timeout")
            conn.close(reason=CloseReason.CONNECTION_TIMEOUT)
            raise RequestTimedOutError(f"broker {node_id} did not answer in time") from error
        except KafkaError as error:
            if isinstance(error, KafkaConnectionError):
                self._note(node_id, healthy=False)
            self.report(kind_of(error))
            raise
        self._note(node_id, healthy=True)
        report_codes(request, response, self.report)
        return response

    def _note(self, node_id: Any, *, healthy: bool) -> None:
        if healthy:
            self._failed_at.pop(node_id, None)
        else:
            self._failed_at[node_id] = time.monotonic()

    def _failed_lately(self, node_id: Any) -> bool:
        failed_at = self._failed_at.get(node_id)
        return failed_at is not None and time.monotonic() - failed_at < AVOIDED_S

    def _by_health(self, node_ids: list[Any]) -> list[Any]:
        """In random order, those that failed lately last, those connected for metadata first."""
        random.shuffle(node_ids)
        unconnected = {node_id for node_id in node_ids if (node_id, _METADATA) not in self._conns}
        return sorted(node_ids, key=lambda node: (self._failed_lately(node), node in unconnected))

    def get_random_node(self) -> Any:
        """A broker that did not fail lately, if there is one; None when none is known."""
        known = self._by_health([broker.nodeId for broker in self.cluster.brokers()])
        return known[0] if known else None

    async def _metadata_update(self, cluster_metadata: Any, topics: Any) -> bool:
        request = MetadataRequest(list(topics) if topics else None)
        for node_id in self._by_health(self._metadata_sources()):
            conn = await self._get_conn(node_id, group=_group_of(node_id))
            if conn is None:
                continue
            try:
                metadata = await self._request(node_id, conn, request, QUICK_TIMEOUT_S)
            except KafkaError as error:
                log.warning("No metadata from broker %s: %r", node_id, error)
                continue
            if not metadata.brokers:
                return False
            cluster_metadata.update_metadata(metadata)
            self._drop_bootstrap()
            self._close_all_but({broker.nodeId for broker in cluster_metadata.brokers()})
            return True
        log.warning("No metadata from any broker")
        cluster_metadata.failed_update(None)
        return False

    def _metadata_sources(self) -> list[Any]:
        nodes = [broker.nodeId for broker in self.cluster.brokers()]
        bootstrap = ("bootstrap", ConnectionGroup.DEFAULT) in self._conns
        return [*nodes, "bootstrap"] if bootstrap else nodes

    def _close_all_but(self, alive: set[Any]) -> None:
        """Close the connections to brokers that are no longer in the cluster's metadata.

        Requests that wait for them fail at once and are retried at the new leaders.
        """
        for (node_id, _), conn in list(self._conns.items()):
            if node_id not in alive and node_id != "bootstrap" and conn.connected():
                log.warning("Broker %s is not part of the cluster at the moment", node_id)
                self._note(node_id, healthy=False)
                conn.close(reason=CloseReason.CONNECTION_BROKEN)

    def _drop_bootstrap(self) -> None:
        """As aiokafka: the first connection serves only until brokers are known by number."""
        if self.cluster.brokers():
            conn = self._conns.pop(("bootstrap", ConnectionGroup.DEFAULT), None)
            if conn is not None:
                conn.close()


def _group_of(node_id: Any) -> Any:
    return ConnectionGroup.DEFAULT if node_id == "bootstrap" else _METADATA


def adopt(client: AIOKafkaClient) -> Client:
    """The same client, fixed. Call it before the client is started."""
    client.__class__ = Client
    adopted = cast(Client, client)
    adopted._opening = defaultdict(asyncio.Lock)
    adopted._failed_at = {}
    adopted.report = lambda kind: None
    return adopted
