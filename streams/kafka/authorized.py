"""What Kafka's ACLs allow this user, as the brokers answer (KIP-430).

Brokers answer for any user that may see a topic or a group; no right is tried out. Brokers without
ACLs allow everything. On PLAINTEXT nobody logs in and nothing is requested: a request by name would
create topics on the embedded broker.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    IncompatibleBrokerVersion,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from streams.kafka.refusals import denial, user_of

#: Kafka's AclOperation by number: bits of the answer.
OPERATIONS: Final = {
    3: "READ", 4: "WRITE", 5: "CREATE", 6: "DELETE", 7: "ALTER", 8: "DESCRIBE",
    10: "DESCRIBE_CONFIGS", 11: "ALTER_CONFIGS",
}  # fmt: skip
#: The answer of brokers that do not know.
_UNKNOWN: Final = -(2**31)

#: Operations; None: the broker does not know them, or the topic does not exist.
Allowed = frozenset[str] | None


class MetadataResponse_v8(Response):  # type: ignore[misc]  # noqa: N801  (as aiokafka's)
    """With authorized operations."""

    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(
                ("node_id", Int32),
                ("host", String("utf-8")),
                ("port", Int32),
                ("rack", String("utf-8")),
            ),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class MetadataRequest_v8(RequestStruct):  # type: ignore[misc]  # noqa: N801
    """The newest that aiokafka has is v5, without authorized operations."""

    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = MetadataResponse_v8
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class GroupsRequest_v3(DescribeGroupsRequest_v3):  # type: ignore[misc]  # noqa: N801
    """aiokafka decodes the answer to its own as one of v2, without authorized operations."""

    RESPONSE_TYPE = DescribeGroupsResponse_v3


class _OfGroup(Request[GroupsRequest_v3]):  # type: ignore[misc]
    API_KEY = 15

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[GroupsRequest_v3]) -> GroupsRequest_v3:
        return request_struct_class([self._group], True)


class _OfTopics(Request[MetadataRequest_v8]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[MetadataRequest_v8]) -> MetadataRequest_v8:
        return request_struct_class(self._topics, False, False, True)


def _operations(bits: int) -> Allowed:
    if bits == _UNKNOWN:
        return None
    return frozenset(name for number, name in OPERATIONS.items() if bits >> number & 1)


async def allowed_on_topics(client: Any, topics: Iterable[str]) -> dict[str, Allowed]:
    """Operations by topic; none at all where the user may not see it. Raises KafkaError.

    client: of a consumer, producer or admin client.
    """
    names = sorted(topics)
    if client._security_protocol == "PLAINTEXT":
        return dict.fromkeys(names)
    try:
        answer = await client.send(client.get_random_node(), _OfTopics(names))
    except (IncompatibleBrokerVersion, NotImplementedError):
        return dict.fromkeys(names)
    found: dict[str, Allowed] = {}
    for code, name, _, _, bits in answer.topics:
        denied = code == TopicAuthorizationFailedError.errno
        found[name] = frozenset() if denied else None if code else _operations(bits)
    return found


async def allowed_on_group(admin: AIOKafkaAdminClient, group: str) -> Allowed:
    """Operations on a consumer group; none at all where the user may not see it.

    Raises KafkaError.
    """
    if admin._client._security_protocol == "PLAINTEXT":
        return None
    try:
        coordinator = await admin.find_coordinator(group)
        answer = await admin._client.send(coordinator, _OfGroup(group))
    except GroupAuthorizationFailedError:
        return frozenset()
    except (IncompatibleBrokerVersion, NotImplementedError):
        return None
    ((code, *_, bits),) = answer.groups
    if code == GroupAuthorizationFailedError.errno:
        return frozenset()
    if code:
        raise for_code(code)(group)
    return _operations(bits)


async def hidden_topics(client: Any, topics: Iterable[str]) -> list[str]:
    """Those of the topics that the user may not see, in their order. Raises KafkaError.

    Kafka does not show whether they exist.
    """
    names = list(topics)
    allowed = await allowed_on_topics(client, names) if names else {}
    return [name for name in names if allowed.get(name) == frozenset()]


async def absence(client: Any, topic: str, operation: str) -> str:
    """Why a topic is not among those that the brokers list, and the fix."""
    if await hidden_topics(client, [topic]):
        return denial(f"{operation} on topic {topic}", user_of(client))
    return f"topic {topic} is missing. Fix: run `receipts topics`"
