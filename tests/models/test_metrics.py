"""The table of metrics is well formed, and is what the code uses: no name twice, none unused."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.metrics import BY_NAME, TABLE, Metric

ROOT = Path(__file__).parents[2]
ROOMS = ("streams", "sinks", "deploy")
METHODS = {
    "add": "counter",
    "set": "gauge",
    "observe": "histogram",
    "observe_many": "histogram",
}


@pytest.mark.parametrize("metric", TABLE, ids=lambda metric: metric.name)
def test_a_metric_is_fully_described(metric: Metric) -> None:
    assert metric.name.startswith("receipts_")
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert (metric.buckets != ()) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert metric.unit
    assert metric.meaning.endswith(".")
    if metric.unit == "seconds":
        assert metric.name.endswith("_seconds")


def test_no_name_occurs_twice() -> None:
    assert len(BY_NAME) == len(TABLE)


def calls() -> Iterator[tuple[str, ast.Call, str]]:
    """(place, call, metric name) of every report in the code."""
    for room in ROOMS:
        for path in ROOT.joinpath(room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                called = node.func if isinstance(node, ast.Call) else None
                if isinstance(called, ast.Attribute) and called.attr in METHODS:
                    assert isinstance(node, ast.Call)
                    first = node.args[0] if node.args else None
                    if isinstance(first, ast.Constant) and str(first.value) in BY_NAME:
                        yield f"{path}:{node.lineno}", node, str(first.value)


def test_every_report_uses_the_kind_of_its_metric() -> None:
    assert any(calls())
    for place, call, name in calls():
        assert isinstance(call.func, ast.Attribute)
        assert METHODS[call.func.attr] == BY_NAME[name].kind, place


def test_every_report_gives_the_labels_of_its_metric() -> None:
    for place, call, name in calls():
        given = {keyword.arg for keyword in call.keywords}
        if None not in given:
            assert given - {"value"} == set(BY_NAME[name].labels), place


def counts() -> Iterator[tuple[str, str, int]]:
    """(place, metric name, number of label values) of everything that plans count."""
    for path in ROOT.joinpath("streams").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Tuple):
                values = node.elts
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "count":
                values = node.args
            else:
                continue
            first = values[0] if values else None
            if isinstance(first, ast.Constant) and str(first.value) in BY_NAME:
                yield f"{path}:{node.lineno}", str(first.value), len(values) - 1


def test_every_count_of_a_plan_is_a_counter_with_all_its_labels() -> None:
    found = list(counts())
    assert {name for _, name, _ in found} >= {"receipts_events_total", "receipts_expired_total"}
    for place, name, labels in found:
        assert BY_NAME[name].kind == "counter", place
        assert labels == len(BY_NAME[name].labels), place


def names_in_code() -> dict[str, str]:
    """Every text in the code that looks like a metric name, and where it stands."""
    found = {}
    for room in ROOMS:
        for path in ROOT.joinpath(room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and str(node.value).startswith("receipts_"):
                    found[re.sub("_(sum|count|bucket)$", "", str(node.value))] = str(path)
    return found


def test_the_code_reports_every_metric_and_no_other() -> None:
    assert set(names_in_code()) == set(BY_NAME)
