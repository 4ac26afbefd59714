"""Clients and brokers that die, freeze or reset connections, without a real outage."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaConnectionError, NodeNotReadyError, RequestTimedOutError
from aiokafka.protocol.metadata import MetadataRequest

from deploy.embedded.brokers import Broker
from streams.kafka import clients, connections
from streams.kafka.security import Access
from tests.support.topics import create_topics


@pytest.fixture
def deaf() -> Iterator[str]:
    """Address of a listener that accepts connections and never answers, as a frozen broker."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def _reset(client: Any) -> list[str]:
    """The next write to each connection fails as uvloop's do after a reset; nothing is written."""
    failed: list[str] = []
    for (node_id, _), conn in client._conns.items():
        writer = conn._writer

        def write(data: bytes, node_id: Any = node_id) -> None:
            failed.append(str(node_id))
            raise RuntimeError("unable to perform operation on <TCPTransport closed=True>")

        writer.write = write
    return failed


async def test_a_write_to_a_reset_connection_can_be_retried(embedded_broker: Broker) -> None:
    admin = clients.admin(Access(embedded_broker.bootstrap))
    await admin.start()
    try:
        client = admin._client
        node = client.get_random_node()
        await client.send(node, MetadataRequest([]))
        failed = _reset(client)
        with pytest.raises(KafkaConnectionError) as raised:
            await client.send(node, MetadataRequest([]))
        assert failed
        assert raised.value.retriable
        assert (await client.send(node, MetadataRequest([]))).brokers
    finally:
        await admin.close()


async def test_callers_at_the_same_time_share_a_connection(embedded_broker: Broker) -> None:
    """Each of them would open one, and leave those of the others open."""
    admin = clients.admin(Access(embedded_broker.bootstrap))
    await admin.start()
    try:
        client = admin._client
        node, group = client.get_random_node(), ConnectionGroup.DEFAULT
        opened = await asyncio.gather(*(client._get_conn(node, group=group) for _ in range(5)))
        assert len(set(opened)) == 1
        assert opened[0].connected()
    finally:
        await admin.close()


async def test_a_reset_connection_does_not_end_a_producer(
    embedded_broker: Broker, prefix: str
) -> None:
    await create_topics(embedded_broker.bootstrap, prefix + "a", partitions=1)
    producer = clients.producer(Access(embedded_broker.bootstrap))
    await producer.start()
    try:
        await producer.send_and_wait(prefix + "a", b"one", partition=0)
        failed = _reset(producer.client)
        again = await producer.send_and_wait(prefix + "a", b"two", partition=0)
        assert failed
        assert again.offset == 1, "the first try wrote something"
    finally:
        await producer.stop()


async def test_a_reset_connection_does_not_end_metadata_updates(
    embedded_broker: Broker, prefix: str
) -> None:
    await create_topics(embedded_broker.bootstrap, prefix + "a", partitions=1)
    producer = clients.producer(Access(embedded_broker.bootstrap))
    await producer.start()
    try:
        await producer.client.force_metadata_update()
        failed = _reset(producer.client)
        async with asyncio.timeout(10):
            while not failed:
                await producer.client.force_metadata_update()
                await asyncio.sleep(0.05)
        assert await asyncio.wait_for(producer.client.force_metadata_update(), 10)
    finally:
        await producer.stop()


async def test_a_frozen_first_address_costs_one_request_timeout(
    embedded_broker: Broker, deaf: str
) -> None:
    admin = clients.admin(Access(f"{deaf},{embedded_broker.bootstrap}"), request_timeout_ms=1000)
    began = time.monotonic()
    await admin.start()
    try:
        assert await clients.retry_for_a_while(admin.list_topics) is not None
        assert time.monotonic() - began < 4
    finally:
        await admin.close()


@pytest.fixture
async def crowded(embedded_broker: Broker, deaf: str) -> Any:
    """An admin client that knows the live broker and, as number 7, a frozen one."""
    admin = clients.admin(Access(embedded_broker.bootstrap))
    await admin.start()
    host, _, port = deaf.rpartition(":")
    live = next(iter(admin._client.cluster.brokers()))
    admin._client.cluster._brokers[7] = live._replace(nodeId=7, host=host, port=int(port))
    yield admin
    await admin.close()


async def test_a_frozen_broker_is_given_up_soon_and_tried_last(
    crowded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "QUICK_TIMEOUT_S", 0.5)
    client = crowded._client
    with pytest.raises(NodeNotReadyError):
        await client.send(7, MetadataRequest([]))
    assert 7 not in {client.get_random_node() for _ in range(50)}


async def test_a_frozen_broker_does_not_keep_others_from_being_connected(crowded: Any) -> None:
    client = crowded._client
    hanging = asyncio.ensure_future(client.ready(7))
    await asyncio.sleep(0.1)
    live = next(b.nodeId for b in client.cluster.brokers() if b.nodeId != 7)
    fresh = ConnectionGroup.COORDINATION
    assert await asyncio.wait_for(client.ready(live, group=fresh), 2)
    assert not hanging.done()
    hanging.cancel()


async def test_what_waits_for_a_broker_fails_when_the_cluster_drops_it(
    embedded_broker: Broker, deaf: str
) -> None:
    """A broker that froze: its partitions have other leaders long before the request times out."""
    admin = clients.admin(Access(embedded_broker.bootstrap))
    await admin.start()
    try:
        client = admin._client
        node = client.get_random_node()
        assert await client.ready(node)
        conn = client._conns[node, ConnectionGroup.DEFAULT]
        conn._writer.write = lambda data: None  # the request is never answered
        waiting = asyncio.ensure_future(client.send(node, MetadataRequest([])))
        await asyncio.sleep(0.1)
        client._close_all_but({node + 1})
        with pytest.raises(KafkaConnectionError):
            await asyncio.wait_for(waiting, 2)
    finally:
        await admin.close()


async def test_a_command_asks_again_while_another_broker_may_answer() -> None:
    answers: list[Any] = [NodeNotReadyError("dead"), RequestTimedOutError("frozen"), "well"]

    async def ask() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await clients.retry_for_a_while(ask) == "well"


async def test_a_command_gives_up_at_last_and_at_once_what_no_broker_changes() -> None:
    calls = 0

    async def ask() -> None:
        nonlocal calls
        calls += 1
        raise error

    error: Exception = NodeNotReadyError("dead")
    with pytest.raises(NodeNotReadyError):
        await clients.retry_for_a_while(ask, patience_s=0.6)
    assert calls >= 2
    calls, error = 0, ValueError("ours")
    with pytest.raises(ValueError, match="ours"):
        await clients.retry_for_a_while(ask)
    assert calls == 1
