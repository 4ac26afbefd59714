"""Speed and quality against the truth; percentiles against those of Python's own library."""

import statistics
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import pytest

from deploy.simulator.oracle.messages import Message
from reports.catalogue.speed import SPEED
from reports.query.query import ReportQuery
from tests.reports.counting import by_slot, grouped, is_delivered, is_failed, share, slot_of
from tests.reports.queries import Messages, queries, rows_of
from tests.reports.truth import Row
from tests.reports.world import World, every_world_and_zone

#: column -> the value of `by` that shows it, its value for a message, its value when not shown
DIMENSIONS: dict[str, tuple[str, Callable[[Message, ReportQuery], Any], Any]] = {
    "country": ("country", lambda message, query: message.country, ""),
    "provider": ("provider", lambda message, query: message.provider, ""),
    "source": ("source", lambda message, query: message.source, ""),
    "slot": ("time", lambda message, query: slot_of(message.sent_at, query), None),
}
BY = (["country"], ["provider"], ["source"], ["time"], ["time", "country", "source", "provider"])


def seconds(messages: Iterable[Message]) -> list[float]:
    """Seconds to deliver: 0 where a clock is a little behind, unknown where it is far behind."""
    delays = [one.delivered_at - one.sent_at for one in messages if is_delivered(one)]
    return sorted(max(0, delay) / 1000 for delay in delays if delay >= -300_000)


def percentile(values: list[float], number: int) -> Any:
    """As PERCENTILE.INC."""
    if len(values) < 2:
        return values[0] if values else None
    found = statistics.quantiles(values, n=100, method="inclusive")[number - 1]
    return pytest.approx(found, rel=1e-9)


def speed(messages: Messages) -> Row:
    """The figures of a group of messages."""
    values, delivered = seconds(messages.values()), sum(map(is_delivered, messages.values()))
    return {
        "sent": len(messages),
        "delivered": delivered,
        "delivery_rate": share(delivered, len(messages)),
        **{f"p{number}": percentile(values, number) for number in (50, 90, 95, 99)},
        "within_10s": share(sum(value <= 10 for value in values), len(values)),
    }


def place(message: Message, query: ReportQuery) -> tuple[Any, ...]:
    """What a message is broken down by."""
    return tuple(
        value(message, query) if word in query.values["by"] else nothing
        for word, value, nothing in DIMENSIONS.values()
    )


def broken_down(messages: Messages, query: ReportQuery) -> Mapping[tuple[Any, ...], Messages]:
    """Messages by all that they are broken down by."""
    return grouped(messages, lambda _, message: place(message, query))


def by_error(messages: Messages, query: ReportQuery) -> Mapping[tuple[Any, ...], Messages]:
    """Messages by their error and all that they are broken down by."""
    return grouped(
        messages,
        lambda _, one: (one.error_code, one.fail_reason, one.bounce, *place(one, query)),
    )


def in_order(row: Row) -> tuple[Any, ...]:
    """The order of the report: most messages first, then by its words and dimensions."""
    words = [row[name] for name in ("error_code", "fail_reason", "bounce") if name in row]
    dimensions = [row[name] for name in DIMENSIONS if name != "slot"]
    return (-row.get("sent", row.get("failed")), *words, *dimensions, row["slot"] or datetime.max)


@every_world_and_zone
def test_totals_and_times_are_those_of_the_truth(world: World, zone: str) -> None:
    for query, messages in queries(world, SPEED, zone):
        assert rows_of(world, query, "totals") == [speed(messages)]
        assert rows_of(world, query, "times") == [
            {"slot": slot, **speed(share)} for slot, share in by_slot(messages, query)
        ]


@every_world_and_zone
@pytest.mark.parametrize("by", BY, ids="+".join)
def test_groups_are_those_of_the_truth(world: World, zone: str, by: list[str]) -> None:
    for query, messages in list(queries(world, SPEED, zone, by=by))[BY.index(by) % 2 :: 4]:
        wanted = [
            {**dict(zip(DIMENSIONS, where, strict=True)), **speed(group)}
            for where, group in broken_down(messages, query).items()
        ]
        assert rows_of(world, query, "groups") == sorted(wanted, key=in_order)


@every_world_and_zone
@pytest.mark.parametrize("by", BY, ids="+".join)
def test_errors_are_those_of_the_truth(world: World, zone: str, by: list[str]) -> None:
    for query, messages in list(queries(world, SPEED, zone, by=by))[1 + BY.index(by) % 2 :: 4]:
        failed = {name: one for name, one in messages.items() if is_failed(one)}
        names = ("error_code", "fail_reason", "bounce", *DIMENSIONS)
        wanted = [
            {
                **dict(zip(names, what, strict=True)),
                "failed": len(group),
                "share": share(len(group), len(failed)),
            }
            for what, group in by_error(failed, query).items()
        ]
        assert rows_of(world, query, "errors") == sorted(wanted, key=in_order)


def test_filters_narrow_every_section(world: World) -> None:
    params = {"source": ["campaign"], "country": ["IN", "US", "FI"], "channel": "sms"}
    for query, messages in queries(world, SPEED, "UTC", **params):
        narrowed = {
            name: one
            for name, one in messages.items()
            if one.source == "campaign"
            and one.country in params["country"]
            and one.channel == "sms"
        }
        assert rows_of(world, query, "totals") == [speed(narrowed)]
        assert sum(row["sent"] for row in rows_of(world, query, "groups")) == len(narrowed)
        assert sum(row["sent"] for row in rows_of(world, query, "times")) == len(narrowed)
        failed = sum(map(is_failed, narrowed.values()))
        assert sum(row["failed"] for row in rows_of(world, query, "errors")) == failed
