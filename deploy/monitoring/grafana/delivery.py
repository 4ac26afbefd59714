"""The dashboard *delivery*: what became of an account's messages, from the views of BI tools.

Figures, rates and percentiles are those of the reports: every panel reads the view of a report, or
one that docs/bi.md names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from clickhouse_connect.driver.binding import format_str
from grafana_foundation_sdk.builders import common, dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BarGaugeNamePlacement,
    ScaleDistribution,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    FieldColorModeId,
    Panel,
    VariableHide,
    VariableModel,
    VariableOption,
    VariableRefresh,
)

from deploy.monitoring.grafana.panels import (
    CLICKHOUSE,
    WIDTH,
    Overrides,
    Size,
    bars,
    figures,
    fixed,
    lines,
    new,
    sql,
    sql_rows,
)
from models.suppression import SuppressionReason
from models.vocabulary import CHANNELS
from reports.catalogue import BY_NAME
from reports.pages.charts.palette import STATUS
from reports.query.query import HOURLY_DAYS, Period

#: Both channels, in the variable of that name: a choice of Grafana cannot be empty.
_BOTH: Final = "both"
#: More groups than a panel can show are left out; the largest come first.
_GROUPS: Final = 200
#: Reasons that a chart distinguishes.
_REASONS: Final = 6
#: Groups by time: 90 days of 100 providers or reasons.
_GROUPS_OVER_TIME: Final = 10_000

#: The dashboard's period in whole hours: the hours of the counters, and the same messages in
#: the panels that read messages. A report takes times in UTC.
SINCE: Final = "toStartOfHour(toTimeZone($__fromTime, 'UTC'))"
UNTIL: Final = "toStartOfHour(toTimeZone($__toTime, 'UTC')) + INTERVAL 1 HOUR"
_ZONE: Final = "${zone:singlequote}"
_ACCOUNT: Final = "${account:singlequote}"
#: The counters know hours of UTC; days of India and Nepal begin within one.
_WHOLE_HOURS: Final = " AND ".join(
    f"timeZoneOffset(toTimeZone({end}, {_ZONE})) % 3600 = 0" for end in ("$__fromTime", "$__toTime")
)
_CHOSEN: Final = {
    "account": _ACCOUNT,
    "since": SINCE,
    "until": UNTIL,
    "channel": f"if('${{channel}}' = '{_BOTH}', '', '${{channel}}')",
    "zone": _ZONE,
    "by_hour": f"(dateDiff('second', $__fromTime, $__toTime) <= {HOURLY_DAYS} * 86400)",
    "whole_hours": f"({_WHOLE_HOURS})",
    "limit": str(_GROUPS),
    "offset": "0",
}

_RATE: Final = {"unit": "percentunit", "decimals": 1}
_COUNT: Final = {"unit": "locale"}
_SECONDS: Final = {"unit": "s"}
#: An empty text, in words.
_UNKNOWN: Final = {
    "mappings": [{"type": "special", "options": {"match": "empty", "result": {"text": "unknown"}}}]
}
_GAUGE: Final = {
    **_RATE,
    "min": 0,
    "max": 1,
    "custom.cellOptions": {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"},
    "color": {"mode": FieldColorModeId.CONTINUOUS_RD_YL_GR},
}


def report(name: str, section: str = "", **given: str) -> str:
    """A call of the view of a report's section for what the dashboard shows.

    given: SQL of parameters by name; those that are neither given nor chosen filter nothing.
    """
    wanted = BY_NAME[name].section(section)
    known = {**_CHOSEN, **given}
    neutral = {
        parameter: "[]" if kind.startswith("Array") else "''"
        for parameter, kind in wanted.parameters.items()
    }
    arguments = ",\n    ".join(
        f"{parameter} = {known.get(parameter, nothing)}" for parameter, nothing in neutral.items()
    )
    return f"{wanted.view}(\n    {arguments}\n)"


def labelled(name: str, section: str = "", **wanted: Mapping[str, object]) -> Overrides:
    """Columns of a section with their label in the report and properties of their own."""
    labels = {column.name: column.label for column in BY_NAME[name].section(section).view_columns}
    return {column: {"displayName": labels[column], **more} for column, more in wanted.items()}


def _totals() -> Builder[Panel]:
    fields = labelled(
        "overview",
        "totals",
        sent=_COUNT,
        delivered=_COUNT,
        delivery_rate=_RATE,
        queued=_COUNT,
        undelivered=_COUNT,
        rejected=_COUNT,
        segments=_COUNT,
        credits=_COUNT,
    )
    return figures(
        "Messages",
        "All outbound messages sent in the period, by their present status.",
        Size(WIDTH, 3),
        f"SELECT {', '.join(fields)}\nFROM {report('overview', 'totals')}",
        fields,
    )


def _volume() -> Builder[Panel]:
    shown = ("delivered", "queued", "undelivered", "rejected")
    colors = {name: {"color": fixed(STATUS[name])} for name in shown}
    return sql(
        lines(
            "Volume",
            "Messages by the time of sending and their present status: by hour in periods of up "
            f"to {HOURLY_DAYS} days, else by day of the account's time zone.",
            Size(12, 9),
            "locale",
            bars=True,
        ),
        f"SELECT slot AS time, {', '.join(shown)}\n"
        f"FROM {report('overview', 'slots')}\nORDER BY time",
        labelled("overview", "slots", **colors),
    )


def _rates() -> Builder[Panel]:
    groups = report("speed", "groups", by=_by("provider", "time"), limit=str(_GROUPS_OVER_TIME))
    panel = lines(
        "Delivery rate by provider",
        "Delivered messages among those sent, by the time of sending. The newest are low: "
        "their receipts are on the way.",
        Size(12, 9),
        "percentunit",
    )
    return sql(
        panel,
        "SELECT slot AS time, if(provider = '', 'unknown', provider) AS provider, delivery_rate\n"
        f"FROM {groups}\nORDER BY time, provider",
        {},
    )


def _speed() -> Builder[Panel]:
    panel = lines(
        "Time to deliver",
        "Half, 90 %, 95 % and 99 % of the delivered messages arrived within these seconds.",
        Size(12, 9),
        "s",
    )
    logarithmic = common.ScaleDistributionConfig().type(ScaleDistribution.LOG).log(10)
    return sql(
        panel.scale_distribution(logarithmic),
        f"SELECT slot AS time, p50, p90, p95, p99\nFROM {report('speed', 'times')}\nORDER BY time",
        {},
    )


def _failures() -> Builder[Panel]:
    most = report("speed", "errors", limit=str(_GROUPS_OVER_TIME))
    errors = report("speed", "errors", by=_by("time"), limit=str(_GROUPS_OVER_TIME))
    return sql(
        lines(
            "Failures by reason",
            "Messages undelivered or rejected, by the time of sending: the "
            f"{_REASONS} reasons that most of them have, and others.",
            Size(12, 9),
            "locale",
            bars=True,
        ),
        f"""WITH most AS (
    SELECT fail_reason
    FROM {most}
    GROUP BY fail_reason
    ORDER BY sum(failed) DESC, fail_reason
    LIMIT {_REASONS}
)
SELECT
    slot AS time,
    multiIf(fail_reason NOT IN most, 'others', fail_reason = '', 'unknown', fail_reason) AS reason,
    sum(failed) AS failed
FROM {errors}
GROUP BY time, reason
ORDER BY time, reason""",
        {},
    )


def _countries() -> Builder[Panel]:
    fields = labelled(
        "locations",
        country=_UNKNOWN,
        sent=_COUNT,
        share=_RATE,
        delivery_rate=_GAUGE,
        credits=_COUNT,
    )
    return sql_rows(
        "Countries",
        "Messages by country of the recipient.",
        Size(8, 10),
        fields,
        f"SELECT {', '.join(fields)}\nFROM {report('locations')}\nLIMIT {_GROUPS}",
    )


def _providers() -> Builder[Panel]:
    fields = labelled(
        "speed",
        "groups",
        provider=_UNKNOWN,
        sent=_COUNT,
        delivery_rate=_GAUGE,
        p50=_SECONDS,
        p95=_SECONDS,
    )
    return sql_rows(
        "Providers",
        "Messages by provider of the latest attempt, and the seconds in which they arrived.",
        Size(8, 10),
        fields,
        f"SELECT {', '.join(fields)}\nFROM {report('speed', 'groups', by=_by('provider'))}",
    )


def _codes() -> Builder[Panel]:
    fields = labelled(
        "speed",
        "errors",
        provider=_UNKNOWN,
        error_code={},
        fail_reason=_UNKNOWN,
        bounce={},
        failed=_COUNT,
        share=_RATE,
    )
    return sql_rows(
        "Codes",
        "Failed messages by provider, code and reason.",
        Size(8, 10),
        fields,
        f"SELECT {', '.join(fields)}\nFROM {report('speed', 'errors', by=_by('provider'))}",
    )


def _by(*dimensions: str) -> str:
    return f"[{', '.join(map(format_str, dimensions))}]"


def _suppressed() -> Builder[Panel]:
    always = Period.everything("UTC")
    ends = {"since": f"'{always.since:%F %T}'", "until": f"'{always.until:%F %T}'"}
    reasons: dict[str, Mapping[str, object]] = {one: {} for one in get_args(SuppressionReason)}
    fields = labelled("suppressions", "totals", numbers={}, **reasons)
    panel = bars(
        "Suppressed numbers",
        "Numbers of the account that are suppressed now, each once, and by reason; a number may "
        "have several.",
        Size(8, 7),
        f"SELECT {', '.join(fields)}\nFROM {report('suppressions', 'totals', **ends)}",
        fields,
    )
    return (
        panel.unit("locale")
        .min(0)
        .orientation(VizOrientation.HORIZONTAL)
        .display_mode(BarGaugeDisplayMode.BASIC)
        .name_placement(BarGaugeNamePlacement.LEFT)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("/.*/"))
    )


def _suppressions() -> Builder[Panel]:
    reasons = get_args(SuppressionReason)
    columns = ",\n    ".join(
        f"uniqExactIf(recipient, has(reasons, '{reason}')) AS {reason}" for reason in reasons
    )
    fields = labelled("suppressions", "totals", **{reason: {} for reason in reasons})
    return sql(
        lines(
            "Suppressions that began",
            "Numbers by the day since which they are suppressed, and by reason. Those released "
            "since are not counted.",
            Size(16, 7),
            "locale",
            bars=True,
        ),
        f"SELECT\n    toStartOfDay(assumeNotNull(since), {_ZONE}) AS time,\n    {columns}\n"
        "FROM suppressions\n"
        f"WHERE account = {_ACCOUNT} AND suppressed AND since >= {SINCE} AND since < {UNTIL}\n"
        f"    AND '${{channel}}' IN ('{_BOTH}', channel)\n"
        "GROUP BY time\nORDER BY time",
        fields,
    )


def _variables() -> list[Builder[VariableModel]]:
    account = (
        dashboard.QueryVariable("account")
        .label("Account")
        .description("Accounts that sent messages")
        .datasource(CLICKHOUSE)
        .query("SELECT DISTINCT account FROM counters_day ORDER BY account")
        .refresh(VariableRefresh.ON_DASHBOARD_LOAD)
    )
    channel = (
        dashboard.CustomVariable("channel")
        .label("Channel")
        .values(",".join((_BOTH, *CHANNELS)))
        .current(VariableOption(selected=True, text=_BOTH, value=_BOTH))
    )
    zone = (
        dashboard.QueryVariable("zone")
        .label("Time zone")
        .description("Of the account: its days are counted")
        .datasource(CLICKHOUSE)
        .query(
            "SELECT if(max(time_zone) = '', 'UTC', max(time_zone)) AS zone\n"
            f"FROM accounts_current\nWHERE account = {_ACCOUNT}"
        )
        .refresh(VariableRefresh.ON_DASHBOARD_LOAD)
        .hide(VariableHide.HIDE_VARIABLE)
    )
    return [account, channel, zone]


def delivery() -> dashboard.Dashboard:
    """The dashboard. Its period is that of Grafana's time picker."""
    made = new(
        "receipts-delivery", "Delivery", "What became of the messages of an account, and how fast."
    )
    made.time("now-7d", "now").refresh("5m")
    for variable in _variables():
        made.with_variable(variable)
    for panel in (
        _totals(),
        _volume(),
        _rates(),
        _speed(),
        _failures(),
        _countries(),
        _providers(),
        _codes(),
        _suppressed(),
        _suppressions(),
    ):
        made.with_panel(panel)
    return made
