"""The one table of metric names, and what streams and sinks are given to report with.

Names, kinds, labels, units and meanings stand here and nowhere else; `docs/metrics.md` is made
from this table and a test keeps it current.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple, Protocol

Kind = Literal["counter", "gauge", "histogram"]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Of work done in this process."""
DELAYS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800)
"""Between produced and visible."""
DELIVERIES = (1, 2, 5, 10, 30, 60, 120, 300, 900, 1800, 3600, 14_400, 43_200, 86_400, 259_200)
"""Between sent and delivered: seconds to days (validity is three days by default)."""
SIZES = (1, 10, 50, 100, 250, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
"""Records or rows in one batch."""


class Metric(NamedTuple):
    """One metric. `unit` is of the value; `buckets` are upper bounds, for histograms only."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    unit: str
    meaning: str
    where: Literal["worker", "sink", "both"]
    buckets: tuple[float, ...] = ()


class Meter(Protocol):
    """What streams and sinks report to. A name or label that is not in the table is an error."""

    def add(self, name: str, value: float = 1, **labels: str) -> None:
        """Raise a counter."""

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Put one value into a histogram."""

    def observe_many(self, name: str, values: Iterable[float], **labels: str) -> None:
        """Put many values of the same labels into a histogram."""


class Health(Protocol):
    """What a process says about itself; `/healthz` and `/readyz` answer from it. Thread-safe."""

    def beat(self, part: str) -> None:
        """This part ("loop", "batches" …) goes on. One that falls silent for too long is dead."""

    def ready(self, part: str) -> None:
        """Nothing about this part stands in the way any more."""

    def unready(self, part: str, reason: str) -> None:
        """The process is not ready, because of this part, for this reason."""


TABLE: tuple[Metric, ...] = (
    Metric(
        "receipts_events_total",
        "counter",
        ("topic", "kind"),
        "events",
        "Events accepted. kind: the status of a receipt; outbound or inbound of a send; "
        "click or unsubscribe of an engagement; campaign.",
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
        "Records stepped over because they cannot be read, on topics that a worker restores or "
        "follows whole. The sink keeps them as dead letters.",
        "worker",
    ),
    Metric(
        "receipts_state_changes_total",
        "counter",
        ("status",),
        "states",
        "Message states changed and written, by the status they now have.",
        "worker",
    ),
    Metric(
        "receipts_strays_total",
        "counter",
        ("topic",),
        "records",
        "Records with a wrong or missing key, or in another partition than their key's, "
        "sent on once to where they belong.",
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
        "Messages that were still pending when their validity ran out.",
        "worker",
    ),
    Metric(
        "receipts_strikes_total",
        "counter",
        (),
        "records",
        "Strikes, withdrawals and deliveries told to the suppression agent.",
        "worker",
    ),
    Metric(
        "receipts_suppressions_total",
        "counter",
        ("change",),
        "numbers",
        "Numbers whose standing changed. change: suppressed or released.",
        "worker",
    ),
    Metric(
        "receipts_sends_to_suppressed_total",
        "counter",
        (),
        "sends",
        "Sends to a number that was suppressed before: their sender ignores the list.",
        "worker",
    ),
    Metric(
        "receipts_retry_requests_total",
        "counter",
        (),
        "requests",
        "Requests to send a message that bounced softly again, published when due.",
        "worker",
    ),
    Metric(
        "receipts_rule_failures_total",
        "counter",
        ("agent",),
        "failures",
        "Messages or numbers on which a rule raised: a bug. What an event led to is refused "
        "(dead letter internal_error); what a timer led to is tried again. "
        "agent: lifecycle or suppression.",
        "worker",
    ),
    Metric(
        "receipts_refused_account_settings",
        "gauge",
        (),
        "accounts",
        "Accounts whose newest record on the topic accounts is refused; the settings before it "
        "stay in force.",
        "worker",
    ),
    Metric(
        "receipts_newer_values_total",
        "counter",
        ("topic",),
        "values",
        "Statuses, bounces and counter slots that only a newer version knows, read with defaults "
        "(docs/semantics.md): by a worker while it restores, by the sink as it writes rows.",
        "both",
    ),
    Metric(
        "receipts_retired_total",
        "counter",
        (),
        "states",
        "States dropped because their day is past the retention.",
        "worker",
    ),
    Metric(
        "receipts_time_to_deliver_seconds",
        "histogram",
        ("channel", "provider"),
        "seconds",
        "From sent_at to the first delivered or read, once a message. "
        "provider: the first 100 that were seen, then other.",
        "worker",
        DELIVERIES,
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
        "Records in one batch taken from Kafka.",
        "both",
        SIZES,
    ),
    Metric(
        "receipts_batch_seconds",
        "histogram",
        ("topic",),
        "seconds",
        "Time to work through one batch, until everything it led to is handed over.",
        "both",
        SECONDS,
    ),
    Metric(
        "receipts_lag_records",
        "gauge",
        ("topic", "partition"),
        "records",
        "Records between the last one worked through and the end of the partition.",
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
        "receipts_rebalances_total",
        "counter",
        (),
        "rebalances",
        "Times this process was given a new set of partitions.",
        "both",
    ),
    Metric(
        "receipts_partitions",
        "gauge",
        (),
        "partitions",
        "Partitions this process owns now, over all topics.",
        "both",
    ),
    Metric(
        "receipts_restore_left_records",
        "gauge",
        ("partition",),
        "records",
        "Records still to read back before a partition goes on; 0 when it is restored.",
        "worker",
    ),
    Metric(
        "receipts_states",
        "gauge",
        ("partition",),
        "states",
        "Message states in memory.",
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
        "Inserts that failed. kind: unavailable (tried again), bad_rows (bisected), "
        "broken (the process stops).",
        "sink",
    ),
    Metric(
        "receipts_sink_skipped_total",
        "counter",
        ("topic", "reason"),
        "records",
        "Records the sink leaves out on purpose: tombstones, and sends and engagements "
        "the contract refuses (the worker makes them dead letters).",
        "sink",
    ),
    Metric(
        "receipts_sink_delay_seconds",
        "histogram",
        ("topic",),
        "seconds",
        "From a record's Kafka timestamp until ClickHouse acknowledged it; "
        "one value a batch, of its oldest record.",
        "sink",
        DELAYS,
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
        "receipts_build_info",
        "gauge",
        ("process", "version", "python", "faust", "aiokafka"),
        "constant",
        "Always 1; its labels say what runs.",
        "both",
    ),
)

BY_NAME: dict[str, Metric] = {metric.name: metric for metric in TABLE}
