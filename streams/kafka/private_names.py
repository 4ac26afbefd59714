"""The private names of aiokafka that this package relies on; any release may change them.

They are why aiokafka is pinned exactly: docs/design.md. `guard_reading()` checks them, so every
process that reads Kafka does.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, codec
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.consumer import fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import Assignment, Subscription, SubscriptionState
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch

#: An owner, and names that it has, separated by spaces.
Names = tuple[Any, str]

_METHODS: Final[tuple[Names, ...]] = (
    (fetcher, "PartitionRecords MemoryRecords READ_COMMITTED"),
    (fetcher.PartitionRecords, "_unpack_records _consume_aborted_up_to _contains_abort_marker"),
    (fetcher.PartitionRecords, "_consumer_record"),
    (DefaultRecordBatch, "validate_crc base_offset next_offset magic compression_type producer_id"),
    (DefaultRecordBatch, "is_control_batch is_transactional"),
    (DefaultRecordBatch, "first_timestamp max_timestamp timestamp_type"),
    (LegacyRecordBatch, "validate_crc next_offset is_control_batch is_transactional producer_id"),
    (codec, "has_gzip has_snappy has_lz4 has_zstd snappy_decode"),
    (SubscriptionState, "reassignment_in_progress subscription"),
    (Subscription, "assignment"),
    (Assignment, "all_consumed_offsets"),
    (AIOKafkaClient, "send ready force_metadata_update get_random_node"),
    (AIOKafkaClient, "_get_conn _metadata_update _md_synchronizer hosts bootstrap close"),
    (AIOKafkaClient, "_on_connection_closed"),
    (AIOKafkaConnection, "send close connected host port"),
    (ClusterMetadata, "brokers broker_metadata update_metadata failed_update"),
    (ConnectionGroup, "DEFAULT"),
    (GroupCoordinator, "request_rejoin"),
    (CloseReason, "CONNECTION_BROKEN CONNECTION_TIMEOUT"),
)

#: Set in constructors: searched in the source, since no instance exists yet.
_ATTRIBUTES: Final[tuple[Names, ...]] = (
    (fetcher.PartitionRecords, "_tp _records _check_crcs _isolation_level _aborted_producers"),
    (fetcher.PartitionRecords, "next_fetch_offset"),
    (AIOKafkaConsumer, "_client _subscription _coordinator"),
    (AIOKafkaProducer, "client"),
    (AIOKafkaAdminClient, "_client"),
    (AIOKafkaClient, "_conns _topics cluster _metadata_max_age_ms _sync_task _client_id"),
    (AIOKafkaClient, "_request_timeout_ms _ssl_context _security_protocol"),
    (AIOKafkaClient, "_connections_max_idle_ms _sasl_mechanism _sasl_plain_username"),
    (AIOKafkaClient, "_sasl_plain_password _sasl_kerberos_service_name"),
    (AIOKafkaClient, "_sasl_kerberos_domain_name _sasl_oauth_token_provider"),
    (AIOKafkaConnection, "_requests _sasl_mechanism"),
    (ClusterMetadata, "unauthorized_topics"),
)


def missing_names(
    methods: Iterable[Names] = _METHODS,
    attributes: Iterable[Names] = _ATTRIBUTES,
    libraries: tuple[str, ...] = ("aiokafka.",),
) -> list[str]:
    """Names that the installed versions lack, as Class.name.

    methods: of classes and modules. attributes: of instances, set in the classes' own code
    libraries: prefixes of the modules whose code counts
    """
    missing = [
        _full(owner, name)
        for owner, names in methods
        for name in names.split()
        if not hasattr(owner, name)
    ]
    for owner, names in attributes:
        source = _source(owner, libraries)
        missing += [
            _full(owner, name)
            for name in names.split()
            if f"self.{name}" not in source and not hasattr(owner, name)
        ]
    return missing


def _full(owner: Any, name: str) -> str:
    return f"{getattr(owner, '__qualname__', owner.__name__)}.{name}"


@cache
def _source(owner: type, libraries: tuple[str, ...]) -> str:
    kinds = (kind for kind in owner.__mro__[:-1] if kind.__module__.startswith(libraries))
    return "".join(inspect.getsource(kind) for kind in kinds)
