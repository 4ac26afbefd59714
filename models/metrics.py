"""The table of all metrics, and the interfaces that streams and sinks report through.

Names, kinds, labels, units and meanings are defined only here; `docs/metrics.md` is generated from
this table, and a test keeps it current.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple, Protocol

Kind = Literal["counter", "gauge", "histogram"]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""For work done in this process."""
DELAYS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800)
"""From produced to visible."""
DELIVERIES = (1, 2, 5, 10, 30, 60, 120, 300, 900, 1800, 3600, 14_400, 43_200, 86_400, 259_200)
"""From sent to delivered: seconds to days (the default validity is three days)."""
SIZES = (1, 10, 50, 100, 250, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
"""Records or rows in one batch."""

#: Label whose values come from the traffic → most values of it in one metric; the others are OTHER.
LIMITS: Final[Mapping[str, int]] = {"provider": 100, "country": 250, "code": 200}
#: Labels whose limit holds for each combination of the labels before them.
WITHIN: Final = frozenset({"code"})
#: The limit of every other label: its values come from the program or the installation.
LABEL_VALUES: Final = 10_000
#: Most series of one metric. In one more, the labels of LIMITS become OTHER, from the first on.
SERIES: Final = 20_000
OTHER: Final = "other"


class Metric(NamedTuple):
    """One metric. `unit` is of the value; `buckets` are upper bounds, for histograms only."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    unit: str
    meaning: str
    where: Literal["worker", "sink", "listen", "both"]
    """both: worker and sink; `receipts listen` has those of them that are about any process."""
    buckets: tuple[float, ...] = ()


class Meter(Protocol):
    """Where streams and sinks report metrics; names and labels must be those of the table.

    Thread-safe.
    """

    def add(self, name: str, value: float = 1, **labels: str) -> None:
        """Raise a counter."""

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""

    def set_age(self, name: str, since_s: float | None, **labels: str) -> None:
        """Set a gauge to the age of a moment; it grows by itself, also while this process hangs.

        since_s: epoch seconds; None: the age is 0. A gauge is set by `set` or by this, not by both.
        """

    def forget(self, name: str, **labels: str) -> None:
        """Remove a series of a gauge whose object has gone, such as a partition that moved."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add one value to a histogram."""

    def observe_many(self, name: str, values: Iterable[float], **labels: str) -> None:
        """Add many values with the same labels to a histogram."""


class Health(Protocol):
    """Liveness and readiness of a process, for `/healthz` and `/readyz`. Thread-safe."""

    def beat(self, part: str) -> None:
        """This part ("loop", "batches" …) is alive. A part without a beat for too long is dead."""

    def ready(self, part: str) -> None:
        """This part no longer keeps the process from being ready."""

    def unready(self, part: str, reason: str) -> None:
        """This part keeps the process from being ready; reason: shown by `/readyz`."""


TABLE: tuple[Metric, ...] = (
    Metric(
        "receipts_events_total",
        "counter",
        ("topic", "kind"),
        "events",
        "Events accepted. kind: the status of a receipt; outbound or inbound of a send; "
        "the type of an engagement; campaign.",
        "both",
    ),
    Metric(
        "receipts_dead_letters_total",
        "counter",
        ("topic", "reason"),
        "events",
        "Records written to dead-letters, by the topic they came from and the reason code.",
        "both",
    ),
    Metric(
        "receipts_unreadable_records_total",
        "counter",
        ("topic",),
        "records",
        "Unreadable records skipped on topics that a worker restores or reads whole. The sink "
        "keeps them as dead letters.",
        "worker",
    ),
    Metric(
        "receipts_state_changes_total",
        "counter",
        ("status",),
        "states",
        "Message states changed and written, by their new status.",
        "worker",
    ),
    Metric(
        "receipts_strays_total",
        "counter",
        ("topic",),
        "records",
        "Misrouted records (wrong or missing key, or not in the partition of their key), rerouted "
        "once to their right partition.",
        "worker",
    ),
    Metric(
        "receipts_conflicts_total",
        "counter",
        (),
        "sends",
        "Sends that differ from a send already known for the same attempt of the same message.",
        "worker",
    ),
    Metric(
        "receipts_expired_total",
        "counter",
        (),
        "messages",
        "Messages that were still pending when their validity period ended.",
        "worker",
    ),
    Metric(
        "receipts_callbacks_total",
        "counter",
        ("endpoint", "result"),
        "requests",
        "Requests of providers. endpoint: its name; empty for an unknown one. result: accepted, "
        "unavailable (503: Kafka is away or slow, or too many wait), signature_wrong, "
        "signature_missing, signature_stale, address (403: it may not call), too_large, slow, "
        "gone, method, unknown_endpoint, probe, handshake or confirmed (of a subscription).",
        "listen",
    ),
    Metric(
        "receipts_callback_seconds",
        "histogram",
        ("endpoint",),
        "seconds",
        "From a request of a provider to the answer, Kafka's acknowledgement included.",
        "listen",
        SECONDS,
    ),
    Metric(
        "receipts_callbacks_waiting",
        "gauge",
        (),
        "requests",
        "Callbacks that wait for Kafka.",
        "listen",
    ),
    Metric(
        "receipts_callback_items_total",
        "counter",
        ("provider", "kind"),
        "items",
        "What callbacks were read as. kind: receipt, inbound (a message to us), other (neither) or "
        "refused (a dead letter).",
        "worker",
    ),
    Metric(
        "receipts_correlated_total",
        "counter",
        ("result",),
        "receipts",
        "Receipts of callbacks. result: named (by the sender's reference), resolved (by the "
        "provider's id or another reference) or unmatched (after RECEIPTS_UNMATCHED_DAYS).",
        "worker",
    ),
    Metric(
        "receipts_strikes_total",
        "counter",
        (),
        "records",
        "Records produced to strikes (struck, withdrawn, delivered).",
        "worker",
    ),
    Metric(
        "receipts_suppressions_total",
        "counter",
        ("change",),
        "recipients",
        "Recipients whose suppression status changed. change: suppressed or released.",
        "worker",
    ),
    Metric(
        "receipts_sends_to_suppressed_total",
        "counter",
        (),
        "sends",
        "Sends to a recipient that was suppressed before: the sender ignores the suppression list.",
        "worker",
    ),
    Metric(
        "receipts_repaired_fields_total",
        "counter",
        ("topic", "field"),
        "fields",
        "Fields of events that were wrong and were mended or left out; the event counts. "
        "field: its name; value: the JSON around the fields.",
        "both",
    ),
    Metric(
        "receipts_unbound_unsubscribes_total",
        "counter",
        (),
        "messages",
        "Messages whose day retired with an unsubscribe and without a send: unless it named a "
        "recipient, it has bound no number. Publish the recipient with it.",
        "worker",
    ),
    Metric(
        "receipts_wrong_delivery_times_total",
        "counter",
        ("provider",),
        "messages",
        "Messages delivered more than five minutes before they were sent: a clock of the sender or "
        "of the provider's mapper is wrong.",
        "worker",
    ),
    Metric(
        "receipts_retry_requests_total",
        "counter",
        (),
        "requests",
        "Retry requests for soft-bounced messages, produced when they are due.",
        "worker",
    ),
    Metric(
        "receipts_rule_failures_total",
        "counter",
        ("agent",),
        "failures",
        "Messages or recipients whose rule raised an exception: a bug. Their events are refused "
        "(dead letter internal_error), their timers are tried again. "
        "agent: lifecycle or suppression.",
        "worker",
    ),
    Metric(
        "receipts_refused_account_settings",
        "gauge",
        (),
        "accounts",
        "Accounts whose latest record on the topic accounts is refused; their previous settings "
        "stay in force.",
        "worker",
    ),
    Metric(
        "receipts_newer_values_total",
        "counter",
        ("topic",),
        "values",
        "Statuses, bounces and counters that only a newer version knows, read with defaults "
        "(docs/semantics.md): by a worker during a restore, by the sink when it writes rows.",
        "both",
    ),
    Metric(
        "receipts_retired_total",
        "counter",
        (),
        "states",
        "States deleted because the retention of their day ended.",
        "worker",
    ),
    Metric(
        "receipts_time_to_deliver_seconds",
        "histogram",
        ("channel", "provider"),
        "seconds",
        "From sent_at to the first delivered or read receipt, once per message.",
        "worker",
        DELIVERIES,
    ),
    Metric(
        "receipts_finished_messages_total",
        "counter",
        ("provider", "country", "outcome"),
        "messages",
        "Messages whose outcome became final for the first time, by the provider of their latest "
        "attempt and the country of their recipient (empty: unknown). "
        "outcome: delivered, undelivered, rejected, expired or deleted.",
        "worker",
    ),
    Metric(
        "receipts_failure_codes_total",
        "counter",
        ("provider", "code"),
        "messages",
        "Messages whose outcome became final for the first time, as a failure, by the code of "
        "their receipt (empty: none).",
        "worker",
    ),
    Metric(
        "receipts_provider_receipts_total",
        "counter",
        ("provider",),
        "receipts",
        "Receipts joined, by the provider that they name, else by that of their send (empty: "
        "unknown). A provider that stays at its number has become silent.",
        "worker",
    ),
    Metric(
        "receipts_pending_messages",
        "gauge",
        ("older_than",),
        "messages",
        "Messages still pending, of this worker's partitions, whose first send is older than "
        "older_than: 1h, 6h, 24h. From the counters: exact to the hour.",
        "worker",
    ),
    Metric(
        "receipts_opt_outs_total",
        "counter",
        ("channel",),
        "opt-outs",
        "Unsubscribes, and opt-outs that a code of a receipt means, joined into suppressions. "
        "channel: empty for all channels.",
        "worker",
    ),
    Metric(
        "receipts_records_out_total",
        "counter",
        ("topic",),
        "records",
        "Records produced and acknowledged by the broker.",
        "worker",
    ),
    Metric(
        "receipts_batch_records",
        "histogram",
        ("topic",),
        "records",
        "Records in one batch consumed from Kafka.",
        "both",
        SIZES,
    ),
    Metric(
        "receipts_batch_seconds",
        "histogram",
        ("topic",),
        "seconds",
        "Time to process one batch, until its output is handed to the producer or to ClickHouse.",
        "both",
        SECONDS,
    ),
    Metric(
        "receipts_lag_records",
        "gauge",
        ("topic", "partition"),
        "records",
        "Records between the last processed record and the end of the partition.",
        "both",
    ),
    Metric(
        "receipts_lag_seconds",
        "gauge",
        ("topic", "partition"),
        "seconds",
        "Age of the oldest record of the partition that is not worked off: by its Kafka timestamp, "
        "or since the process knows of it where it is not fetched yet. 0: no record waits. In the "
        "sink a record is worked off when ClickHouse has acknowledged it.",
        "both",
    ),
    Metric(
        "receipts_lag_age_seconds",
        "gauge",
        ("topic", "partition"),
        "seconds",
        "Time since the leader of the partition last answered a fetch, or since the partition was "
        "assigned: the lags are of that moment. It also grows while fetched records wait in the "
        "process, which then fetches no more.",
        "both",
    ),
    Metric(
        "receipts_commits_total",
        "counter",
        (),
        "commits",
        "Offset commits acknowledged by Kafka.",
        "both",
    ),
    Metric(
        "receipts_commit_failures_total",
        "counter",
        (),
        "commits",
        "Requests to commit offsets that failed; most are tried again. While records are not "
        "acknowledged the worker does not commit: then receipts_commits_total stays as it is.",
        "both",
    ),
    Metric(
        "receipts_kafka_errors_total",
        "counter",
        ("client", "kind"),
        "errors",
        "Requests that failed, error codes in responses, and connections that could not be "
        "opened; most are tried again. Not those before a client has started. client: "
        "consumer, producer or follower. kind: connection, timeout, authentication, "
        "authorization or other (such as a partition without a leader).",
        "both",
    ),
    Metric(
        "receipts_unacknowledged_records",
        "gauge",
        (),
        "records",
        "Records produced that Kafka has not acknowledged yet.",
        "both",
    ),
    Metric(
        "receipts_rebalances_total",
        "counter",
        (),
        "rebalances",
        "Times this process was assigned a new set of partitions.",
        "both",
    ),
    Metric(
        "receipts_partitions",
        "gauge",
        (),
        "partitions",
        "Partitions assigned to this process now, over all topics.",
        "both",
    ),
    Metric(
        "receipts_restore_left_records",
        "gauge",
        ("partition",),
        "records",
        "Changelog records left to restore before a partition is processed; 0: it is restored.",
        "worker",
    ),
    Metric(
        "receipts_restore_seconds",
        "gauge",
        ("partition",),
        "seconds",
        "Since the restore of the partition began; 0: it is restored.",
        "worker",
    ),
    Metric(
        "receipts_standbys",
        "gauge",
        (),
        "copies",
        "Copies of each partition that other workers are to keep: RECEIPTS_STANDBYS.",
        "worker",
    ),
    Metric(
        "receipts_standby_lag_records",
        "gauge",
        ("partition",),
        "records",
        "Changelog records that this worker's copy of another worker's partition lacks; with "
        "RECEIPTS_STANDBYS (docs/standbys.md).",
        "worker",
    ),
    Metric(
        "receipts_follower_age_seconds",
        "gauge",
        ("topic",),
        "seconds",
        "Since this worker last knew all records of a topic that it reads whole (accounts, "
        "suppressions); before the first time, since the process started.",
        "worker",
    ),
    Metric(
        "receipts_states",
        "gauge",
        ("partition",),
        "states",
        "Message states: in memory, or on disk with RECEIPTS_STATE_DIR.",
        "worker",
    ),
    Metric(
        "receipts_cells",
        "gauge",
        ("partition",),
        "cells",
        "Counter cells in memory.",
        "worker",
    ),
    Metric(
        "receipts_state_bytes",
        "gauge",
        ("partition",),
        "bytes",
        "Size of the partition's database below RECEIPTS_STATE_DIR.",
        "worker",
    ),
    Metric(
        "receipts_state_disk_free_bytes",
        "gauge",
        (),
        "bytes",
        "Free space, for this process, of the volume of RECEIPTS_STATE_DIR.",
        "worker",
    ),
    Metric(
        "receipts_state_disk_bytes",
        "gauge",
        (),
        "bytes",
        "Size of the volume of RECEIPTS_STATE_DIR.",
        "worker",
    ),
    Metric(
        "receipts_state_reads_total",
        "counter",
        ("source",),
        "values",
        "Values that were looked for in states on disk. source: cache, or database: the cache did "
        "not know them. A new message is looked for in the database too; a bloom filter answers.",
        "worker",
    ),
    Metric(
        "receipts_state_write_seconds",
        "histogram",
        (),
        "seconds",
        "Duration of one write of the changed states of all partitions to disk, after a commit.",
        "worker",
        SECONDS,
    ),
    Metric(
        "receipts_state_memory_bytes",
        "gauge",
        ("part",),
        "bytes",
        "Memory for states on disk. part: values (recently used ones, RECEIPTS_STATE_CACHE_MB), "
        "blocks (of files, with their indexes and filters), unflushed (written, not yet in a "
        "file).",
        "worker",
    ),
    Metric(
        "receipts_state_memory_limit_bytes",
        "gauge",
        ("part",),
        "bytes",
        "What each part of that memory may have; blocks in use at the same time may exceed it.",
        "worker",
    ),
    Metric(
        "receipts_clock_timestamp_seconds",
        "gauge",
        ("partition",),
        "seconds since 1970",
        "The partition's clock, by which messages expire and days retire.",
        "worker",
    ),
    Metric(
        "receipts_sink_rows_total",
        "counter",
        ("table",),
        "rows",
        "Rows acknowledged by ClickHouse.",
        "sink",
    ),
    Metric(
        "receipts_sink_insert_rows",
        "histogram",
        ("table",),
        "rows",
        "Rows in one insert.",
        "sink",
        SIZES,
    ),
    Metric(
        "receipts_sink_insert_seconds",
        "histogram",
        ("table",),
        "seconds",
        "Duration of one insert that ClickHouse acknowledged.",
        "sink",
        SECONDS,
    ),
    Metric(
        "receipts_sink_insert_failures_total",
        "counter",
        ("table", "kind"),
        "inserts",
        "Inserts that failed. kind: unavailable (retried), bad_rows (bisected), "
        "broken (the process stops).",
        "sink",
    ),
    Metric(
        "receipts_sink_skipped_total",
        "counter",
        ("topic", "reason"),
        "records",
        "Records the sink skips on purpose: tombstones, deliveries in strikes, receipts that a "
        "worker rerouted (their original has a row), and events that the contract refuses (the "
        "worker writes their dead letters).",
        "sink",
    ),
    Metric(
        "receipts_sink_delay_seconds",
        "histogram",
        ("topic",),
        "seconds",
        "From a record's Kafka timestamp until ClickHouse acknowledged it; "
        "one value per batch, for its oldest record.",
        "sink",
        DELAYS,
    ),
    Metric(
        "receipts_sink_waiting_seconds",
        "gauge",
        (),
        "seconds",
        "While rows wait to be written: since they wait, or since ClickHouse last acknowledged an "
        "insert if that is shorter. 0: no rows wait.",
        "sink",
    ),
    Metric(
        "receipts_clickhouse_parts",
        "gauge",
        ("table",),
        "parts",
        "Active parts in the partition of the table that has most of them. ClickHouse delays "
        "inserts from 1,000 on (`parts_to_delay_insert`) and rejects them from 3,000 on.",
        "sink",
    ),
    Metric(
        "receipts_clickhouse_delayed_inserts",
        "gauge",
        (),
        "inserts",
        "Inserts of all clients that ClickHouse delays now, since a table has too many parts.",
        "sink",
    ),
    Metric(
        "receipts_clickhouse_rejected_inserts_total",
        "counter",
        (),
        "inserts",
        "Inserts of all clients that ClickHouse rejected while this sink runs, since a table "
        "has too many parts.",
        "sink",
    ),
    Metric(
        "receipts_ready",
        "gauge",
        (),
        "boolean",
        "1 while /readyz answers 200, else 0.",
        "both",
    ),
    Metric(
        "receipts_certificate_expiry_timestamp_seconds",
        "gauge",
        ("certificate",),
        "seconds since 1970",
        "End of validity of a certificate that this process uses; of a file with several, the "
        "earliest end; of authorities, the earliest of those still valid. While the files cannot "
        "be used it is that of the certificate before. certificate: kafka-client, kafka-ca, "
        "monitoring, clickhouse-client or clickhouse-ca.",
        "both",
    ),
    Metric(
        "receipts_certificate_usable",
        "gauge",
        ("certificate",),
        "boolean",
        "1 while the files of a certificate and its key can be loaded, and the end of its validity "
        "read; 0: the log has the reason. It is looked at every minute.",
        "both",
    ),
    Metric(
        "receipts_loop_delay_seconds",
        "gauge",
        (),
        "seconds",
        "How late the event loop woke, at most, in the last 30 to 60 s.",
        "both",
    ),
    Metric(
        "receipts_memory_limit_bytes",
        "gauge",
        (),
        "bytes",
        "Memory that this process may use: the limit of its cgroup, else that of the machine.",
        "both",
    ),
    Metric(
        "receipts_clock_skew_seconds",
        "gauge",
        (),
        "seconds",
        "How far the timestamps of Kafka records are ahead of the clock of this machine, at "
        "most, in the last 30 to 60 s; 0: they are not. Above 0 this clock is behind, or that "
        "of a producer is ahead.",
        "both",
    ),
    Metric(
        "receipts_build_info",
        "gauge",
        ("process", "version", "python", "faust", "aiokafka"),
        "constant",
        "Always 1; the labels name the running versions.",
        "both",
    ),
)

BY_NAME: dict[str, Metric] = {metric.name: metric for metric in TABLE}
