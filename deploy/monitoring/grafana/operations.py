"""The dashboard *operations*: on one screen, whether an installation is well and what is behind."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import dashboard, stat, table
from grafana_foundation_sdk.builders import timeseries as series
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig
from ruamel.yaml import YAML

from deploy.monitoring.grafana.panels import (
    GREEN,
    PROMETHEUS,
    RED,
    YELLOW,
    Expression,
    Overrides,
    Size,
    Steps,
    expressions,
    lines,
    link,
    new,
    number,
    rows,
    table_of,
)

#: As the jobs of prometheus.yml begin.
WORKER: Final = 'job=~"receipts-worker.*"'
SINK: Final = 'job=~"receipts-sink.*"'
PROCESSES: Final = 'job=~"receipts-(worker|sink).*"'
THRESHOLDS: Final = Path(__file__).parents[1] / "prometheus/thresholds.yml"
RUNBOOK: Final = "/d/receipts-runbook"
_SMALL: Final = Size(3, 3)
_WIDE: Final = Size(6, 6)
_FLAT: Final = Size(6, 5)
_ANY: Final[Steps] = ((1, RED),)
_RATE: Final = "$__rate_interval"
_BY_TOPIC: Final = "Of workers by topic; of the sinks over all topics."
#: Of what is rare: a rate would leave out the first of each kind, with which its series begins.
_SINCE_START: Final = "Counted since each process started: a line that rises is news."


def limits() -> dict[str, float]:
    """The limits of the alerts by name. Panels change their colour with them, as shipped."""
    (group,) = YAML(typ="safe").load(THRESHOLDS)["groups"]
    return {rule["labels"]["name"]: _constant(rule["expr"]) for rule in group["rules"]}


def _constant(vector: str) -> float:
    return float(vector.removeprefix("vector(").removesuffix(")"))


def _ticket_and_page(limit: str) -> Steps:
    known = limits()
    return ((known[f"{limit}_ticket"], YELLOW), (known[f"{limit}_page"], RED))


def _p95(metric: str, *by: str, only: str = "") -> str:
    """The 95th percentile of a histogram, for each group. only: labels of its series."""
    labels = ", ".join(("le", *by))
    buckets = f"{metric}_bucket{{{only}}}" if only else f"{metric}_bucket"
    return f"histogram_quantile(0.95, sum by ({labels}) (rate({buckets}[{_RATE}])))"


def _days(severity: str) -> float:
    """Seconds before the end of a certificate at which an alert of the severity fires."""
    return limits()[f"certificate_days_{severity}"] * 86_400


def _is_it_well() -> list[stat.Panel]:
    """What an on-call engineer looks at first. All of them are 0 when nothing is wrong."""
    firing = number(
        "Alerts firing",
        "Alerts that fire now, of all severities.",
        _SMALL,
        Expression('count(ALERTS{alertstate="firing"}) or vector(0)'),
        _ANY,
    )
    not_ready = number(
        "Not ready",
        "Workers and sinks that do not answer, or are not ready: they join, restore, or cannot "
        "reach Kafka or ClickHouse.",
        _SMALL,
        Expression(f"count(up{{{PROCESSES}}}) - (sum(receipts_ready) or vector(0))"),
        _ANY,
    )
    oldest = number(
        "Oldest waiting",
        "Age of the oldest record that a worker or a sink has not worked off.",
        _SMALL,
        Expression("max(receipts_lag_seconds)"),
        _ticket_and_page("lag_seconds"),
        "s",
    )
    waiting = number(
        "Waiting to be inserted",
        "How long rows have waited for ClickHouse to acknowledge an insert.",
        _SMALL,
        Expression("max(receipts_sink_waiting_seconds)"),
        _ticket_and_page("sink_waiting_seconds"),
        "s",
    )
    dead = number(
        "Dead letters in an hour",
        "Records refused in the last hour.",
        _SMALL,
        Expression("sum(receipts:dead_letters:increase1h)"),
        ((1, YELLOW),),
    ).decimals(0)
    suppressed = number(
        "Sent to suppressed",
        "Messages sent in the last hour to numbers that were suppressed before.",
        _SMALL,
        Expression("sum(increase(receipts_sends_to_suppressed_total[1h]))"),
        ((1, YELLOW),),
    ).decimals(0)
    pending = number(
        "Pending over 24 h",
        "Messages without a final receipt a day after they were sent.",
        _SMALL,
        Expression('sum(receipts_pending_messages{older_than="24h"})'),
        (),
    )
    certificate = number(
        "Certificate ends in",
        "Until the first certificate of a worker or sink is not valid any more.",
        _SMALL,
        Expression("min(receipts_certificate_expiry_timestamp_seconds) - time()"),
        ((_days("page"), YELLOW), (_days("ticket"), GREEN)),
        "s",
        below=RED,
    ).no_value("no TLS")
    return [firing, not_ready, oldest, waiting, dead, suppressed, pending, certificate]


def _alerts() -> table.Panel:
    """The alerts that fire, each with its section of the runbook."""
    runbook = [{"title": "Runbook", "url": RUNBOOK, "targetBlank": True}]
    fields: Overrides = {
        "alertname": {"displayName": "Alert", "links": runbook},
        "severity": {"displayName": "Severity", "custom.width": 80},
        "instance": {"displayName": "Process"},
    }
    alerts = 'max by (alertname, severity, instance) (ALERTS{alertstate="firing"})'
    panel = rows("Firing now", "Click on an alert for its runbook.", _WIDE, fields)
    panel.datasource(PROMETHEUS).with_target(table_of(Expression(alerts))).no_value("none")
    hidden = {"excludeByName": {"Time": True, "Value": True}}
    return panel.with_transformation(DataTransformerConfig("organize", options=hidden))


def _what_is_behind() -> list[series.Panel]:
    seconds = lines(
        "Lag in seconds", f"Age of the oldest record not worked off. {_BY_TOPIC}", _WIDE, "s"
    )
    records = lines("Lag in records", f"Records not worked off. {_BY_TOPIC}", _WIDE, "short")
    events = lines(
        "Events and rows",
        "Events that workers accepted, by topic, and rows that ClickHouse acknowledged.",
        _WIDE,
        "ops",
    )
    return [
        expressions(
            seconds,
            Expression(f"max by (topic) (receipts_lag_seconds{{{WORKER}}})", "{{topic}}"),
            Expression(f"max(receipts_lag_seconds{{{SINK}}})", "sink"),
        ),
        expressions(
            records,
            Expression(f"sum by (topic) (receipts_lag_records{{{WORKER}}})", "{{topic}}"),
            Expression(f"sum(receipts_lag_records{{{SINK}}})", "sink"),
        ),
        expressions(
            events,
            Expression(
                f"sum by (topic) (rate(receipts_events_total{{{WORKER}}}[{_RATE}]))", "{{topic}}"
            ),
            Expression(f"sum(rate(receipts_sink_rows_total[{_RATE}]))", "rows inserted"),
        ),
    ]


def _who_is_slow() -> list[series.Panel]:
    batches = lines("Batch, 95 %", f"Time to process a batch. {_BY_TOPIC}", _WIDE, "s")
    loop = lines(
        "Event loop delay",
        "How late the event loop woke. Above a second, work blocks it or the CPU is short.",
        _WIDE,
        "s",
    )
    memory = lines(
        "Memory used", "Of the memory that the process may use.", _WIDE, "percentunit"
    ).max(1)
    cpu = lines("CPU used", "Cores; a process uses little more than one.", _WIDE, "short")
    return [
        expressions(
            batches,
            Expression(_p95("receipts_batch_seconds", "topic", only=WORKER), "{{topic}}"),
            Expression(_p95("receipts_batch_seconds", only=SINK), "sink"),
        ),
        expressions(loop, Expression("receipts_loop_delay_seconds", "{{instance}}")),
        expressions(
            memory,
            Expression(
                "process_resident_memory_bytes / receipts_memory_limit_bytes", "{{instance}}"
            ),
        ),
        expressions(
            cpu,
            Expression(f"rate(process_cpu_seconds_total{{{PROCESSES}}}[{_RATE}])", "{{instance}}"),
        ),
    ]


def _restores_and_inserts() -> list[series.Panel]:
    restores = lines(
        "Restores",
        "Changelog records left to restore. It must fall; a partition is processed at 0.",
        _FLAT,
        "short",
    )
    inserts = lines("Insert, 95 %", "Time of an insert, and until a record is visible.", _FLAT, "s")
    parts = lines(
        "Parts in ClickHouse",
        "Active parts in the fullest partition of the tables that have most; inserts are delayed "
        "from 1,000 on.",
        _FLAT,
        "short",
    )
    followers = lines(
        "Age of followed topics",
        "Since a worker last knew the whole topic: suppressions and settings of accounts.",
        _FLAT,
        "s",
    )
    return [
        expressions(
            restores,
            Expression("sum by (instance) (receipts_restore_left_records)", "{{instance}}"),
        ),
        expressions(
            inserts,
            Expression(_p95("receipts_sink_insert_seconds"), "insert"),
            Expression(_p95("receipts_sink_delay_seconds"), "visible after"),
        ),
        expressions(
            parts,
            Expression("topk(4, max by (table) (receipts_clickhouse_parts))", "{{table}}"),
            Expression("max(receipts_clickhouse_delayed_inserts)", "delayed inserts"),
        ),
        expressions(
            followers, Expression("max by (topic) (receipts_follower_age_seconds)", "{{topic}}")
        ),
    ]


def _what_fails() -> list[series.Panel]:
    dead = lines(
        "Dead letters", "Records refused in the hour before, by reason.", _FLAT, "short", bars=True
    )
    kafka = lines(
        "Errors of Kafka",
        f"Failed requests by client and kind, and failed commits. {_SINCE_START}",
        _FLAT,
        "short",
    ).no_value("none")
    inserts = lines(
        "Failed inserts",
        "By kind: unavailable (tried again), bad_rows (bisected), broken (the sink stops); and "
        f"inserts that ClickHouse rejected. {_SINCE_START}",
        _FLAT,
        "short",
    ).no_value("none")
    unacknowledged = lines(
        "Not acknowledged", "Records produced that Kafka has not acknowledged.", _FLAT, "short"
    )
    return [
        expressions(
            dead,
            Expression("sum by (reason) (receipts:dead_letters:increase1h)", "{{reason}}"),
        ),
        expressions(
            kafka,
            Expression(
                "sum by (client, kind) (receipts_kafka_errors_total)", "{{client}} {{kind}}"
            ),
            Expression("sum(receipts_commit_failures_total)", "commits"),
        ),
        expressions(
            inserts,
            Expression("sum by (kind) (receipts_sink_insert_failures_total)", "{{kind}}"),
            Expression("sum(receipts_clickhouse_rejected_inserts_total)", "rejected"),
        ),
        expressions(
            unacknowledged,
            Expression("sum by (instance) (receipts_unacknowledged_records)", "{{instance}}"),
        ),
    ]


def operations() -> dashboard.Dashboard:
    """The dashboard: its panels fill one screen."""
    made = new(
        "receipts-operations",
        "Operations",
        "Whether workers and sinks are well, and who is behind.",
    )
    made.time("now-1h", "now").refresh("10s").link(link("Runbook", RUNBOOK))
    for panel in (
        *_is_it_well(),
        _alerts(),
        *_what_is_behind(),
        *_who_is_slow(),
        *_restores_and_inserts(),
        *_what_fails(),
    ):
        made.with_panel(panel)
    return made
