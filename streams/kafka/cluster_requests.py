"""Requests of Kafka's protocol that aiokafka lacks: log directories, ids of topics, and the release
of a broker.

Each is sent as aiokafka's own, through the `send` of its client, which chooses the version.
(aiokafka has no types: hence the ignores.)
"""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import Any, Final, NamedTuple
from uuid import UUID

from aiokafka.errors import IncompatibleBrokerVersion, for_code
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.types import (
    Array,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    String,
    TaggedFields,
)

_TEXT: Final = String("utf-8")
_COMPACT_TEXT: Final = CompactString("utf-8")


class LogDir(NamedTuple):
    """A directory of a broker. total_bytes, free_bytes: of its volume, None before Kafka 3.3."""

    broker: int
    path: str
    error: str
    total_bytes: int | None
    free_bytes: int | None


class _LogDirsResponse(Response):  # type: ignore[misc]
    API_KEY = 35
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            Array(
                ("error_code", Int16),
                ("log_dir", _TEXT),
                (
                    "topics",
                    Array(
                        ("name", _TEXT),
                        (
                            "partitions",
                            Array(
                                ("partition", Int32),
                                ("size", Int64),
                                ("offset_lag", Int64),
                                ("is_future", Boolean),
                            ),
                        ),
                    ),
                ),
            ),
        ),
    )


class _LogDirsRequestStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 35
    API_VERSION = 1
    RESPONSE_TYPE: type[Response] = _LogDirsResponse
    SCHEMA = Schema(("topics", Array(("topic", _TEXT), ("partitions", Array(Int32)))))


class _LogDirsWithSpaceResponse(Response):  # type: ignore[misc]
    API_KEY = 35
    API_VERSION = 4
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        (
            "results",
            CompactArray(
                ("error_code", Int16),
                ("log_dir", _COMPACT_TEXT),
                (
                    "topics",
                    CompactArray(
                        ("name", _COMPACT_TEXT),
                        (
                            "partitions",
                            CompactArray(
                                ("partition", Int32),
                                ("size", Int64),
                                ("offset_lag", Int64),
                                ("is_future", Boolean),
                                ("tags", TaggedFields),
                            ),
                        ),
                        ("tags", TaggedFields),
                    ),
                ),
                ("total_bytes", Int64),
                ("usable_bytes", Int64),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _LogDirsWithSpaceRequestStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 35
    API_VERSION = 4
    RESPONSE_TYPE = _LogDirsWithSpaceResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic", _COMPACT_TEXT),
                ("partitions", CompactArray(Int32)),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _LogDirsRequest(Request[_LogDirsRequestStruct | _LogDirsWithSpaceRequestStruct]):  # type: ignore[misc]
    """The log directories of the broker it is sent to, without their partitions."""

    API_KEY = 35

    def build(self, request_struct_class: Any) -> Any:
        # An empty list: no partition is of interest. None would be all of them.
        fields: tuple[Any, ...] = ([], {}) if request_struct_class.FLEXIBLE_VERSION else ([],)
        return request_struct_class(*fields)


async def log_dirs(client: Any, broker: int) -> list[LogDir]:
    """The log directories of a broker. Raises KafkaError, NotImplementedError for old brokers."""
    response = await client.send(broker, _LogDirsRequest())
    if code := getattr(response, "error_code", 0):
        raise for_code(code)(f"broker {broker}")
    return [
        LogDir(
            broker,
            found["log_dir"],
            _name(found["error_code"]),
            _known(found.get("total_bytes", -1)),
            _known(found.get("usable_bytes", -1)),
        )
        for found in response.to_object()["results"]
    ]


def _known(size: int) -> int | None:
    return size if size >= 0 else None


def _name(code: int) -> str:
    return "" if code == 0 else str(for_code(code).__name__)


class _Uuid(AbstractType[UUID]):  # type: ignore[misc]
    """16 bytes."""

    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))


_NO_ID: Final = UUID(int=0)


class _MetadataResponse(Response):  # type: ignore[misc]
    """v10 is the first with ids of topics (Kafka 2.8); aiokafka's newest is v5."""

    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", _COMPACT_TEXT),
                ("port", Int32),
                ("rack", _COMPACT_TEXT),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", _COMPACT_TEXT),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", _COMPACT_TEXT),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _MetadataRequestStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", _Uuid), ("name", _COMPACT_TEXT), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_MetadataRequestStruct]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: Any) -> Any:
        topics: list[Any] = [(_NO_ID, topic, {}) for topic in self._topics]
        return request_struct_class(topics, False, False, False, {})


async def topic_ids(client: Any, topics: Iterable[str]) -> dict[str, str]:
    """The id of each topic, in hex: a topic that is made again has another. Without those that do
    not exist, that this user may not see, and all of brokers before Kafka 2.8. Raises KafkaError.
    """
    try:
        answer = await client.send(client.get_random_node(), _MetadataRequest(sorted(topics)))
    except (IncompatibleBrokerVersion, NotImplementedError):
        return {}
    return {
        found["name"]: found["topic_id"].hex
        for found in answer.to_object()["topics"]
        if not found["error_code"] and found["topic_id"] != _NO_ID
    }


#: Latest versions of Produce and Fetch → the release that brought them.
_RELEASES: Final = {
    (9, 12): "2.8 or 3.0",
    (9, 13): "3.1 to 3.4",
    (9, 15): "3.5 or 3.6",
    (10, 16): "3.7",
    (11, 16): "3.8",
    (11, 17): "3.9",
    (12, 17): "4.0",
    (13, 18): "4.1",
}


async def release(client: Any) -> str:
    """The release of Apache Kafka whose protocol a broker speaks, as "4.1"; "" if unknown.

    Brokers do not name their release. Raises KafkaError.
    """
    response = await client.send(client.get_random_node(), ApiVersionRequest())
    latest = {key: last for key, _, last in response.api_versions}
    spoken = latest.get(ProduceRequest.API_KEY, 0), latest.get(FetchRequest.API_KEY, 0)
    if spoken > max(_RELEASES):
        return f"later than {_RELEASES[max(_RELEASES)]}"
    return _RELEASES.get(spoken, "")
