"""The private names of Faust, mode and aiokafka this package relies on, asserted at start.

They are why faust-streaming, mode-streaming and aiokafka are pinned exactly: see docs/design.md.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.fetcher import Fetcher as AIOKafkaFetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import TopicPartitionState
from aiokafka.producer.message_accumulator import MessageAccumulator
from faust import App, Stream, Topic
from faust.assignor.partition_assignor import PartitionAssignor
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver

from streams.batching.errors import IncompatibleVersions
from streams.kafka.private_names import missing_names

_PINNED = ("faust-streaming", "mode-streaming", "aiokafka")

_METHODS: tuple[tuple[Any, str], ...] = (
    (App, "_on_agent_error _on_partitions_revoked _on_partitions_assigned _create_directories"),
    (faust_consumer.Fetcher, "_fetcher"),
    (faust_consumer.Consumer, "_drain_messages _getmany _get_active_partitions perform_seek"),
    (faust_consumer.Consumer, "force_commit maybe_wait_for_commit_to_finish _is_changelog_tp"),
    (faust_consumer.Consumer, "on_task_error verify_event_path wait_first"),
    (faust_consumer.Consumer, "verify_all_partitions_active"),
    (driver.Consumer, "_new_consumer_thread _commit subscribe"),
    (driver.AIOKafkaConsumerThread, "_create_consumer _fetch_records _commit _ensure_consumer"),
    (driver.AIOKafkaConsumerThread, "seek_to_beginning call_thread"),
    (driver.Producer, "_new_producer _ensure_producer send_soon"),
    (Topic, "_compile_decode on_stop_iteration"),
    (Stream, "maybe_start on_stop"),
    (TableManager, "recovery add _update_channels"),
    (Recovery, "_add _build_highwaters _restart_recovery _resume_streams _set_recovery_ended"),
    (Recovery, "_slurp_changelogs on_recovery_completed on_rebalance need_recovery"),
    (PartitionAssignor, "_perform_assignment _get_client_metadata _update_member_urls"),
    (PartitionAssignor, "_get_copartitioned_groups _protocol_assignments _compress _decompress"),
    (PartitionAssignor, "_get_changelog_distribution _get_external_topic_distribution _metadata"),
    (GroupCoordinator, "request_rejoin"),
    (GroupCoordinator, "_send_req _do_heartbeat _heartbeat_routine"),
    (AIOKafkaProducer, "create_batch send_batch"),
    (AIOKafkaClient, "send ready fetch_all_metadata force_metadata_update _get_conn"),
    (AIOKafkaClient, "_metadata_update get_random_node"),
    (AIOKafkaConnection, "send connected close"),
    (MessageAccumulator, "fail_all"),
    (AIOKafkaFetcher, "fetched_records"),
    (TopicPartitionState, "has_valid_position position consumed_to"),
)

# Set in constructors: searched in the source, since no instance exists yet.
_ATTRIBUTES: tuple[tuple[Any, str], ...] = (
    (faust_consumer.Consumer, "_read_offset _committed_offset _commit_fut"),
    (driver.AIOKafkaConsumerThread, "_consumer"),
    (Recovery, "active_tps active_offsets active_highwaters tp_to_table signal_recovery_end"),
    (Recovery, "signal_recovery_start in_recovery standby_tps standby_offsets"),
    (Recovery, "standby_highwaters _active_events_received_at"),
    (Stream, "_active_agens _finalized"),
    (AIOKafkaConsumer, "_client _coordinator _fetch_max_wait_ms _isolation_level"),
    (AIOKafkaConsumer, "_subscription"),
    (AIOKafkaProducer, "client _message_accumulator"),
    (AIOKafkaClient, "_conns _topics cluster _request_timeout_ms"),
    (MessageAccumulator, "_batch_ttl"),
    (TopicPartitionState, "highwater"),
    (GroupCoordinator, "generation _pending_exception _coordination_task"),
)


def assert_private_api() -> None:
    """Raises IncompatibleVersions, naming what is missing and which versions are installed."""
    if missing := missing_names(_METHODS, _ATTRIBUTES, ("faust.", "aiokafka.")):
        installed = ", ".join(f"{name} {metadata.version(name)}" for name in _PINNED)
        raise IncompatibleVersions(
            f"{installed} lack {', '.join(missing)}: install the versions pinned in pyproject.toml"
        )
