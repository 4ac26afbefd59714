"""docs/metrics.md from the table of metrics."""

from models.metrics import LIMITS, OTHER, SERIES, TABLE, WITHIN, Metric

_HEAD = """\
# Metrics

Generated from `models/metrics.py` by `python -m deploy.docs`; a test keeps it current.
Worker and sink each serve their metrics at `/metrics`, with those of the process and of Python
(`process_…`, `python_…`). Counters and histograms without labels are 0 from the start; every other
series appears with its first value.

Traffic cannot make series without end. A metric shows at most {limits};
all others are `{OTHER}`, and the other labels stay. From {SERIES:,} series on, all new ones are
`{OTHER}` in these labels.

Seconds since a moment, such as `receipts_lag_seconds`, grow by themselves, also while the process
hangs.

| name | kind | labels | unit | where | meaning |
|---|---|---|---|---|---|
"""


def metrics_page() -> str:
    """The page docs/metrics.md."""
    limits = ", ".join(map(_limit, LIMITS))
    head = _HEAD.format(limits=limits, OTHER=OTHER, SERIES=SERIES)
    return head + "".join(map(_row, TABLE))


def _limit(label: str) -> str:
    within = " of each provider" if label in WITHIN else ""
    return f"{LIMITS[label]} values of `{label}`{within}"


def _row(metric: Metric) -> str:
    labels = ", ".join(metric.labels) or "–"
    bounds = ", ".join(f"{b:g}" for b in metric.buckets)
    meaning = f"{metric.meaning} Buckets up to {bounds}." if bounds else metric.meaning
    cells = (f"`{metric.name}`", metric.kind, labels, metric.unit, metric.where, meaning)
    return "| " + " | ".join(cells) + " |\n"
