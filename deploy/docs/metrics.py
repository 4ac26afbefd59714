"""docs/metrics.md from the table of metrics."""

from models.metrics import TABLE, Metric

_HEAD = """\
# Metrics

Generated from `models/metrics.py` by `python -m deploy.docs`; a test keeps it current.
Worker and sink each serve their metrics at `/metrics`.

| name | kind | labels | unit | where | meaning |
|---|---|---|---|---|---|
"""


def metrics_page() -> str:
    """The page docs/metrics.md."""
    return _HEAD + "".join(map(_row, TABLE))


def _row(metric: Metric) -> str:
    labels = ", ".join(metric.labels) or "–"
    bounds = ", ".join(f"{b:g}" for b in metric.buckets)
    meaning = f"{metric.meaning} Buckets up to {bounds}." if bounds else metric.meaning
    cells = (f"`{metric.name}`", metric.kind, labels, metric.unit, metric.where, meaning)
    return "| " + " | ".join(cells) + " |\n"
