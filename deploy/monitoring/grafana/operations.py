"""The dashboard *operations*: on one screen, whether an installation is well and what is behind."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

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
LISTENER: Final = 'job=~"receipts-listen.*"'
PROCESSES: Final = 'job=~"receipts-(worker|sink|listen).*"'
#: Of this system: Prometheus may have others.
FIRING: Final = 'ALERTS{alertname=~"Receipts.+", alertstate="firing"}'
THRESHOLDS: Final = Path(__file__).parents[1] / "prometheus/thresholds.yml"
RUNBOOK: Final = "/d/receipts-runbook"
_DAY_S: Final = 86_400
_RATE: Final = "$__rate_interval"
_BY_TOPIC: Final = "Of workers by topic; of the sinks over all topics."
#: Of what is rare: a rate would leave out the first of each kind, with which its series begins.
_SINCE_START: Final = "Counted since each process started: a line that rises is news."


class Number(NamedTuple):
    """One number. steps: its colours. below: colour below the first step. empty: text without data.

    decimals: digits after the point; None: as many as it needs
    """

    title: str
    meaning: str
    expr: str
    steps: Steps = ()
    unit: str = "short"
    below: str = GREEN
    empty: str = ""
    decimals: int | None = None


class Chart(NamedTuple):
    """Series over time. bars: stacked. empty: text without data."""

    title: str
    meaning: str
    unit: str
    queries: tuple[Expression, ...]
    bars: bool = False
    empty: str = ""


def limits() -> dict[str, float]:
    """The limits of the alerts by name. Panels change their colour with them, as shipped."""
    (group,) = YAML(typ="safe").load(THRESHOLDS)["groups"]
    return {rule["labels"]["name"]: _constant(rule["expr"]) for rule in group["rules"]}


def _constant(vector: str) -> float:
    return float(vector.removeprefix("vector(").removesuffix(")"))


_LIMITS: Final = limits()


def _ticket_and_page(limit: str) -> Steps:
    return ((_LIMITS[f"{limit}_ticket"], YELLOW), (_LIMITS[f"{limit}_page"], RED))


def _quantile(metric: str, *by: str, only: str = "", at: float = 0.95) -> str:
    """A quantile of a histogram, for each group. only: labels of its series."""
    labels = ", ".join(("le", *by))
    buckets = f"{metric}_bucket{{{only}}}" if only else f"{metric}_bucket"
    return f"histogram_quantile({at}, sum by ({labels}) (rate({buckets}[{_RATE}])))"


#: What an on-call engineer looks at first.
IS_IT_WELL: Final = (
    Number(
        "Alerts firing",
        "Alerts that fire now, of all severities.",
        f"count({FIRING}) or vector(0)",
        ((1, RED),),
    ),
    Number(
        "Not ready",
        "Workers and sinks that do not answer, or are not ready: they join, restore, or cannot "
        "reach Kafka or ClickHouse. And listeners that answer and are not ready.",
        f"count(up{{{WORKER}}} or up{{{SINK}}} or up{{{LISTENER}}} == 1)"
        " - (sum(receipts_ready) or vector(0))",
        ((1, RED),),
    ),
    Number(
        "Oldest waiting",
        "Age of the oldest record that a worker or a sink has not worked off.",
        "max(receipts_lag_seconds)",
        _ticket_and_page("lag_seconds"),
        "s",
    ),
    Number(
        "Waiting to be inserted",
        "How long rows have waited for ClickHouse to acknowledge an insert.",
        "max(receipts_sink_waiting_seconds)",
        _ticket_and_page("sink_waiting_seconds"),
        "s",
    ),
    Number(
        "Dead letters in an hour",
        "Records refused in the last hour.",
        "sum(receipts:dead_letters:increase1h)",
        ((1, YELLOW),),
        empty="0",
        decimals=0,
    ),
    Number(
        "Sent to suppressed",
        "Messages sent in the last hour to numbers that were suppressed before.",
        "sum(increase(receipts_sends_to_suppressed_total[1h]))",
        ((1, YELLOW),),
        decimals=0,
    ),
    Number(
        "Pending over 24 h",
        "Messages without a final receipt a day after they were sent.",
        'sum(receipts_pending_messages{older_than="24h"})',
    ),
    Number(
        "Certificate ends in",
        "Until the first certificate of a worker or sink is not valid any more.",
        "min(receipts_certificate_expiry_timestamp_seconds) - time()",
        (
            (_LIMITS["certificate_days_page"] * _DAY_S, YELLOW),
            (_LIMITS["certificate_days_ticket"] * _DAY_S, GREEN),
        ),
        "s",
        below=RED,
        empty="no TLS",
    ),
)
WHAT_IS_BEHIND: Final = (
    Chart(
        "Lag in seconds",
        f"Age of the oldest record not worked off. {_BY_TOPIC}",
        "s",
        (
            Expression(f"max by (topic) (receipts_lag_seconds{{{WORKER}}})", "{{topic}}"),
            Expression(f"max(receipts_lag_seconds{{{SINK}}})", "sink"),
        ),
    ),
    Chart(
        "Lag in records",
        f"Records not worked off. {_BY_TOPIC}",
        "short",
        (
            Expression(f"sum by (topic) (receipts_lag_records{{{WORKER}}})", "{{topic}}"),
            Expression(f"sum(receipts_lag_records{{{SINK}}})", "sink"),
        ),
    ),
    Chart(
        "Events and rows",
        "Events that workers accepted, by topic, and rows that ClickHouse acknowledged.",
        "ops",
        (
            Expression(
                f"sum by (topic) (rate(receipts_events_total{{{WORKER}}}[{_RATE}]))", "{{topic}}"
            ),
            Expression(f"sum(rate(receipts_sink_rows_total[{_RATE}]))", "rows inserted"),
        ),
    ),
)
WHO_IS_SLOW: Final = (
    Chart(
        "Batch, 95 %",
        f"Time to process a batch. {_BY_TOPIC}",
        "s",
        (
            Expression(_quantile("receipts_batch_seconds", "topic", only=WORKER), "{{topic}}"),
            Expression(_quantile("receipts_batch_seconds", only=SINK), "sink"),
        ),
    ),
    Chart(
        "Event loop delay",
        "How late the event loop woke. Above a second, work blocks it or the CPU is short.",
        "s",
        (Expression("receipts_loop_delay_seconds", "{{instance}}"),),
    ),
    Chart(
        "Memory used",
        "Of the memory that the process may use.",
        "percentunit",
        (
            Expression(
                "process_resident_memory_bytes / receipts_memory_limit_bytes", "{{instance}}"
            ),
        ),
    ),
    Chart(
        "CPU used",
        "Cores; a process uses little more than one.",
        "short",
        (Expression(f"rate(process_cpu_seconds_total{{{PROCESSES}}}[{_RATE}])", "{{instance}}"),),
    ),
)
RESTORES_AND_INSERTS: Final = (
    Chart(
        "Restores and copies",
        "Changelog records left to restore, which must fall: a partition is processed at 0. And "
        "those that copies of other workers' partitions lack.",
        "short",
        (
            Expression("sum by (instance) (receipts_restore_left_records)", "{{instance}}"),
            Expression("sum by (instance) (receipts_standby_lag_records)", "{{instance}}, copies"),
        ),
    ),
    Chart(
        "Insert, 95 %",
        "Time of an insert, and until a record is visible.",
        "s",
        (
            Expression(_quantile("receipts_sink_insert_seconds"), "insert"),
            Expression(_quantile("receipts_sink_delay_seconds"), "visible after"),
        ),
    ),
    Chart(
        "Parts in ClickHouse",
        "Active parts in the fullest partition of all tables; inserts are delayed from 1,000 on.",
        "short",
        (
            Expression("max(receipts_clickhouse_parts)", "parts"),
            Expression("max(receipts_clickhouse_delayed_inserts)", "delayed inserts"),
        ),
    ),
    Chart(
        "Age of followed topics",
        "Since a worker last knew the whole topic: suppressions and settings of accounts.",
        "s",
        (Expression("max by (topic) (receipts_follower_age_seconds)", "{{topic}}"),),
    ),
)
CALLBACKS: Final = (
    Chart(
        "Callbacks",
        "Requests of providers by what became of them; unavailable: 503, to be repeated.",
        "reqps",
        (Expression(f"sum by (result) (rate(receipts_callbacks_total[{_RATE}]))", "{{result}}"),),
        empty="none",
    ),
    Chart(
        "Callback answered, 99 %",
        "Time to the answer, Kafka's acknowledgement included. Some providers wait for 2 s only.",
        "s",
        (Expression(_quantile("receipts_callback_seconds", at=0.99), "all endpoints"),),
        empty="none",
    ),
    Chart(
        "Callbacks waiting for Kafka",
        "Callbacks that are not acknowledged yet.",
        "short",
        (Expression("sum by (instance) (receipts_callbacks_waiting)", "{{instance}}"),),
        empty="none",
    ),
    Chart(
        "Receipts of callbacks",
        "What workers read callbacks as, and how the messages of receipts are found: named by a "
        "reference, resolved by an id, or unmatched.",
        "ops",
        (
            Expression(
                f"sum by (kind) (rate(receipts_callback_items_total[{_RATE}]))", "read: {{kind}}"
            ),
            Expression(f"sum by (result) (rate(receipts_correlated_total[{_RATE}]))", "{{result}}"),
        ),
        empty="none",
    ),
)
WHAT_FAILS: Final = (
    Chart(
        "Dead letters",
        "Records refused in the hour before, by reason.",
        "short",
        (Expression("sum by (reason) (receipts:dead_letters:increase1h)", "{{reason}}"),),
        bars=True,
        empty="none",
    ),
    Chart(
        "Errors of Kafka",
        f"Failed requests by client and kind, and failed commits. {_SINCE_START}",
        "short",
        (
            Expression(
                "sum by (client, kind) (receipts_kafka_errors_total)", "{{client}} {{kind}}"
            ),
            Expression("sum(receipts_commit_failures_total)", "commits"),
        ),
        empty="none",
    ),
    Chart(
        "Failed inserts",
        "By kind: unavailable (tried again), bad_rows (bisected), broken (the sink stops); and "
        f"inserts that ClickHouse rejected. {_SINCE_START}",
        "short",
        (
            Expression("sum by (kind) (receipts_sink_insert_failures_total)", "{{kind}}"),
            Expression("sum(receipts_clickhouse_rejected_inserts_total)", "rejected"),
        ),
        empty="none",
    ),
    Chart(
        "Not acknowledged",
        "Records produced that Kafka has not acknowledged.",
        "short",
        (Expression("sum by (instance) (receipts_unacknowledged_records)", "{{instance}}"),),
    ),
)


def _number(of: Number) -> stat.Panel:
    panel = number(
        of.title,
        of.meaning,
        Size(3, 3),
        Expression(of.expr),
        of.steps,
        of.unit,
        below=of.below,
    )
    if of.empty:
        panel.no_value(of.empty)
    return panel if of.decimals is None else panel.decimals(of.decimals)


def _chart(of: Chart, height: int) -> series.Panel:
    panel = lines(of.title, of.meaning, Size(6, height), of.unit, bars=of.bars)
    if of.empty:
        panel.no_value(of.empty)
    return expressions(panel, *of.queries)


def _alerts() -> table.Panel:
    """The alerts that fire, with links to the runbook."""
    fields: Overrides = {
        "alertname": {
            "displayName": "Alert",
            "links": [{"title": "Runbook", "url": RUNBOOK, "targetBlank": True}],
        },
        "severity": {"displayName": "Severity", "custom.width": 80},
        "instance": {"displayName": "Process"},
    }
    alerts = f"max by (alertname, severity, instance) ({FIRING})"
    panel = rows("Firing now", "Click on an alert for its runbook.", Size(6, 5), fields)
    panel.datasource(PROMETHEUS).with_target(table_of(Expression(alerts))).no_value("none")
    hidden = {"excludeByName": {"Time": True, "Value": True}}
    return panel.with_transformation(DataTransformerConfig("organize", options=hidden))


def operations() -> dashboard.Dashboard:
    """The dashboard: its panels fill one screen."""
    made = new(
        "receipts-operations",
        "Operations",
        "Whether workers, sinks and listeners are well, who is behind.",
    )
    made.time("now-1h", "now").refresh("10s").link(link("Runbook", RUNBOOK))
    for one in IS_IT_WELL:
        made.with_panel(_number(one))
    made.with_panel(_alerts())
    for height, charts in (
        (5, WHAT_IS_BEHIND),
        (5, WHO_IS_SLOW),
        (4, RESTORES_AND_INSERTS),
        (4, CALLBACKS),
        (4, WHAT_FAILS),
    ):
        for chart in charts:
            made.with_panel(_chart(chart, height))
    return made
