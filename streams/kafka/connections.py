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
- Why a broker refuses a connection (TLS, login) goes to the log only.
- A session that a broker limits (`connections.max.reauth.ms`, tokens) is used until the broker
  closes the connection under a request. Here another connection replaces it in time.

`adopt()` turns the client of any aiokafka consumer, producer or admin client into a fixed one.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import defaultdict
from typing import Any, Final, cast

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import (
    AuthenticationFailedError,
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    RequestTimedOutError,
    SaslAuthenticationFailed,
)
from aiokafka.protocol.admin import SaslAuthenticateRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest

from streams.kafka.errors import Report, kind_of, report_codes
from streams.kafka.refusals import refusal_of

log = logging.getLogger(__name__)

#: Timeout of handshakes, metadata, coordinators and heartbeats: a healthy broker answers at once.
QUICK_TIMEOUT_S: Final = 5.0

#: The same for a handshake with a broker that failed lately.
RETRY_TIMEOUT_S: Final = 2.0

#: Maximum age of the metadata of the topics in use. Kafka lists only healthy brokers in it.
METADATA_AGE_MS: Final = 1_000

#: A broker that failed is the last choice for this long when any broker would do.
AVOIDED_S: Final = 30.0

#: A connection is replaced when this share of its session is over.
RENEW_AFTER: Final = 0.75

#: Seconds between attempts to replace it, and between looks whether the old one is idle.
RENEW_RETRY_S: Final = 1.0
DRAIN_POLL_S: Final = 0.05

#: Separate connections, in addition to those of aiokafka's ConnectionGroup.
_METADATA: Final = "metadata"
_HEARTBEATS: Final = "heartbeats"


class Connection(AIOKafkaConnection):  # type: ignore[misc]
    """One connection to one broker."""

    session_s = 0.0
    """Length of the session that the broker granted at the login; 0: no limit."""

    async def connect(self) -> Any:
        """Connect and log in. Raises KafkaError, OSError, TimeoutError."""
        try:
            return await super().connect()
        except OSError:  # that of a certificate is a ValueError too
            raise
        except (ValueError, AssertionError) as error:  # of aiokafka's side of SASL
            text = f"the broker's answer to the login is not valid: {error}"
            raise AuthenticationFailedError(text) from error

    async def _note_session(self, answer: Any) -> Any:
        response = await answer
        if self._sasl_mechanism == "OAUTHBEARER" and response.sasl_auth_bytes:
            # A broker answers so to a token that it refuses; aiokafka would go on without a login.
            raise SaslAuthenticationFailed("the token is refused")
        self.session_s = getattr(response, "session_lifetime_ms", 0) / 1000
        return response

    @property
    def is_idle(self) -> bool:
        """Whether no request waits for its response."""
        return not self._requests

    def send(self, request: Any, expect_response: bool = True) -> Any:
        """As aiokafka's, but raises KafkaConnectionError where uvloop raises RuntimeError."""
        try:
            sent = super().send(request, expect_response)
            is_login = isinstance(request, SaslAuthenticateRequest)
            return self._note_session(sent) if is_login else sent
        except KafkaError:
            raise
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
    _renewals: set[asyncio.Task[None]]
    _sync_task: asyncio.Task[None] | None
    report: Report
    """Called with the kind of each request that failed; of the client's own loop."""
    refusal: str
    """Why the latest connection was refused (TLS, login); empty after one that was not."""

    async def bootstrap(self) -> None:
        """As aiokafka's, with the reason.

        Raises AccessRefused when a broker refuses us, else KafkaConnectionError.
        """
        failures: dict[str, BaseException] = {}
        for host, port, _ in self.hosts:
            conn = None
            try:
                conn = await self._connect(host, port)
                metadata = await conn.send(MetadataRequest([]))
            except (OSError, KafkaError, TimeoutError) as error:
                failures[f"{host}:{port}"] = error
                if conn is not None:
                    conn.close()
                continue
            self._use(conn, metadata)
            return
        for broker, failure in failures.items():
            if refused := refusal_of(failure, broker, self._security_protocol):
                raise refused from failure
        reasons = "; ".join(f"{at}: {self._reason(failure)}" for at, failure in failures.items())
        raise KafkaConnectionError(reasons)

    def _reason(self, error: BaseException) -> str:
        """For logs: aiokafka's text, and what else may be wrong when a broker just hangs up."""
        hint = f" (is RECEIPTS_KAFKA_SECURITY_PROTOCOL={self._security_protocol} right?)"
        hung_up = isinstance(error, KafkaConnectionError | TimeoutError | ConnectionResetError)
        return (str(error) or type(error).__name__) + (hint if hung_up else "")

    def _use(self, conn: Any, metadata: Any) -> None:
        self.cluster.update_metadata(metadata)
        if self.cluster.brokers():
            conn.close()
        else:  # serves until brokers are known by number
            self._conns["bootstrap", ConnectionGroup.DEFAULT] = conn
        if self._sync_task is None:
            self._sync_task = asyncio.ensure_future(self._md_synchronizer())

    async def close(self) -> None:
        """As aiokafka's."""
        for renewal in self._renewals:
            renewal.cancel()
        await super().close()

    async def _connect(self, host: str, port: int) -> Connection:
        conn = Connection(
            host,
            port,
            client_id=self._client_id,
            request_timeout_ms=self._request_timeout_ms,
            ssl_context=self._ssl_context,
            security_protocol=self._security_protocol,
            on_close=self._on_connection_closed,
            max_idle_ms=self._connections_max_idle_ms,
            sasl_mechanism=self._sasl_mechanism,
            sasl_plain_username=self._sasl_plain_username,
            sasl_plain_password=self._sasl_plain_password,
            sasl_kerberos_service_name=self._sasl_kerberos_service_name,
            sasl_kerberos_domain_name=self._sasl_kerberos_domain_name,
            sasl_oauth_token_provider=self._sasl_oauth_token_provider,
        )
        await conn.connect()
        return conn

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
            conn = self._conns.get((node_id, group))
            if conn is not None and conn.connected():
                return conn  # another caller opened it meanwhile
            conn = await self._open(node_id, group)
        self._note(node_id, healthy=conn is not None)
        return conn

    @property
    def _metadata_max_age_ms(self) -> int:
        # Without topics aiokafka requests the metadata of the whole cluster.
        return METADATA_AGE_MS if self._topics else self.__dict__["_metadata_max_age_ms"]

    async def _open(self, node_id: Any, group: Any) -> Any:
        self._conns.pop((node_id, group), None)
        broker = self.cluster.broker_metadata(node_id)
        if broker is None:
            log.warning("Broker %s is not in the metadata", node_id)
            self.force_metadata_update()
            return None
        limit_s = RETRY_TIMEOUT_S if self._failed_lately(node_id) else QUICK_TIMEOUT_S
        try:
            async with asyncio.timeout(limit_s):
                conn = await self._connect(broker.host, broker.port)
        except (OSError, TimeoutError, RuntimeError) as error:  # KafkaError is a RuntimeError
            self._note_refusal(node_id, f"{broker.host}:{broker.port}", error)
            self.force_metadata_update()
            return None
        self.refusal = ""
        self._conns[node_id, group] = conn
        if conn.session_s:
            self._in_background(self._renew(node_id, group, conn))
        return conn

    def _note_refusal(self, node_id: Any, broker: str, error: BaseException) -> None:
        if refused := refusal_of(error, broker, self._security_protocol):
            self.report("authentication")
            self.refusal = str(refused)
            log.error("Broker refuses the connection: %s", refused)
        else:
            self.report(kind_of(error))
            log.warning("Broker %s cannot be connected to: %s", node_id, self._reason(error))

    def _in_background(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._renewals.add(task)
        task.add_done_callback(self._renewals.discard)

    async def _renew(self, node_id: Any, group: Any, conn: Connection) -> None:
        """Replace a connection before its session ends; requests on their way are answered first.

        While that fails the old one stays in use, until the broker closes it.
        """
        key = node_id, group
        await asyncio.sleep(conn.session_s * RENEW_AFTER)
        while self._conns.get(key) is conn and conn.connected():
            broker = self.cluster.broker_metadata(node_id)
            if broker is None:
                return
            try:
                async with asyncio.timeout(QUICK_TIMEOUT_S):
                    fresh = await self._connect(broker.host, broker.port)
            except (OSError, TimeoutError, RuntimeError) as error:
                self._note_refusal(node_id, f"{broker.host}:{broker.port}", error)
                await asyncio.sleep(RENEW_RETRY_S)
                continue
            if self._conns.get(key) is not conn:  # closed meanwhile, and perhaps opened again
                fresh.close()
                return
            self._conns[key] = fresh
            if fresh.session_s:
                self._in_background(self._renew(node_id, group, fresh))
            try:
                while conn.connected() and not conn.is_idle:
                    await asyncio.sleep(DRAIN_POLL_S)
            finally:
                conn.close()
            return

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
    adopted._renewals = set()
    adopted.refusal = ""
    adopted.report = lambda kind: None
    return adopted
