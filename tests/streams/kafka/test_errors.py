"""Errors of Kafka's clients by kind, also those that aiokafka tries again and hides."""

import ssl
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import errors
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.produce import ProduceRequest

from deploy.embedded.brokers import free_port
from streams.kafka import clients
from streams.kafka.errors import Kind, error_codes, kind_of, report_codes, watch_commits
from streams.kafka.security import Access

HEARTBEAT = HeartbeatRequest("group", 1, "member")
COMMIT = OffsetCommitRequest("group", 1, "member", -1, [])


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.KafkaConnectionError(), "connection"),
        (errors.NodeNotReadyError(), "connection"),
        (ConnectionRefusedError(), "connection"),
        (TimeoutError(), "timeout"),
        (errors.RequestTimedOutError(), "timeout"),
        (errors.KafkaTimeoutError(), "timeout"),
        (ssl.SSLCertVerificationError(), "authentication"),
        (ssl.SSLEOFError(), "connection"),
        (errors.AuthenticationFailedError(), "authentication"),
        (errors.SaslAuthenticationFailed(), "authentication"),
        (errors.TopicAuthorizationFailedError(), "authorization"),
        (errors.GroupAuthorizationFailedError(), "authorization"),
        (errors.NotLeaderForPartitionError(), "other"),
        (ValueError(), "other"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_an_error_has_a_kind(error: Exception, kind: str) -> None:
    assert kind_of(error) == kind


def test_the_codes_of_all_partitions_are_seen() -> None:
    answer = SimpleNamespace(topics=[("a", [(0, 0), (1, 22)]), ("b", [(0, 25)])])
    assert error_codes(answer) == {0, 22, 25}
    assert error_codes(SimpleNamespace(error_code=27)) == {27}


@pytest.mark.parametrize(
    ("request_", "response", "kinds"),
    [
        (HEARTBEAT, SimpleNamespace(error_code=0), []),
        (HEARTBEAT, SimpleNamespace(error_code=27), []),  # it belongs to a rebalance
        (HEARTBEAT, SimpleNamespace(error_code=30), ["authorization"]),
        (
            ProduceRequest(None, required_acks=-1, timeout=1, topics=[]),
            SimpleNamespace(topics=[("t", [(0, 0, 7), (1, 19, -1)]), ("u", [(0, 29, -1)])]),
            ["authorization", "other"],
        ),
        (
            FetchRequest(1, 1, 1, 0, []),
            SimpleNamespace(topics=[("t", [(0, 7, 0, b"")])]),
            ["timeout"],
        ),
        # its second field is an offset
        (OffsetFetchRequest("g", []), SimpleNamespace(topics=[("t", [(0, 29, "", 0)])]), []),
    ],
)
def test_codes_in_a_response_are_reported(request_: Any, response: Any, kinds: list[Kind]) -> None:
    reported: list[Kind] = []
    report_codes(request_, response, reported.append)
    assert sorted(reported) == kinds


async def test_each_failed_commit_is_seen_and_nothing_else() -> None:
    answers: list[Any] = [
        SimpleNamespace(topics=[("t", [(0, 0)])]),
        SimpleNamespace(topics=[("t", [(0, 0), (1, 22)])]),
        errors.RequestTimedOutError(),
        SimpleNamespace(error_code=22),
    ]

    async def send(request: object) -> object:
        if isinstance(answer := answers.pop(0), Exception):
            raise answer
        return answer

    coordinator, failed = SimpleNamespace(_send_req=send), list[str]()
    watch_commits(coordinator, lambda: failed.append("failed"))
    await coordinator._send_req(COMMIT)
    assert failed == []
    await coordinator._send_req(COMMIT)
    assert len(failed) == 1
    with pytest.raises(errors.RequestTimedOutError):
        await coordinator._send_req(COMMIT)
    assert len(failed) == 2
    await coordinator._send_req(HEARTBEAT)
    assert len(failed) == 2


async def test_a_connection_that_cannot_be_opened_is_reported(embedded_broker: Any) -> None:
    """aiokafka logs it and goes on as if no broker were there."""
    admin = clients.admin(Access(embedded_broker.bootstrap))
    reported: list[Kind] = []
    admin._client.report = reported.append
    await admin.start()
    try:
        client = admin._client
        assert reported == []
        (node, *_) = client.cluster.brokers()
        client.cluster._brokers[node.nodeId] = node._replace(port=free_port())
        assert await client.ready(node.nodeId, group="another connection") is False
        assert reported == ["connection"]
    finally:
        await admin.close()
