"""The three pages: metrics of the table only, alive by the clock, ready with its reasons."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Literal

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from deploy.processes import monitoring
from deploy.processes.monitoring import ProcessHealth, PrometheusMeter, monitoring_server
from models.metrics import LIMITS, TABLE


class Clock:
    """Seconds that only the test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def meter() -> PrometheusMeter:
    return PrometheusMeter(CollectorRegistry())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(meter: PrometheusMeter, clock: Clock) -> ProcessHealth:
    return ProcessHealth(10, meter, clock)


@pytest.fixture
def port(meter: PrometheusMeter, health: ProcessHealth) -> Iterator[int]:
    with monitoring_server(meter.registry, health, "127.0.0.1", 0) as taken:
        yield taken


def get(port: int, page: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def sample(meter: PrometheusMeter, name: str, **labels: str) -> float | None:
    return meter.registry.get_sample_value(name, labels)


def test_values_reach_the_page(meter: PrometheusMeter, port: int) -> None:
    meter.add("receipts_events_total", 3, topic="sends", kind="outbound")
    meter.set("receipts_lag_records", 7, topic="sends", partition="0")
    meter.observe("receipts_batch_seconds", 0.2, topic="sends")
    times = [4.0, 4000.0]
    meter.observe_many("receipts_time_to_deliver_seconds", times, channel="sms", provider="p")
    status, text = get(port, "metrics")
    assert status == 200
    samples = {
        (s.name, *sorted(s.labels.values())): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }
    assert samples["receipts_events_total", "outbound", "sends"] == 3
    assert samples["receipts_lag_records", "0", "sends"] == 7
    assert samples["receipts_batch_seconds_sum", "sends"] == pytest.approx(0.2)
    assert samples["receipts_time_to_deliver_seconds_bucket", "5.0", "p", "sms"] == 1
    assert samples["receipts_time_to_deliver_seconds_count", "p", "sms"] == 2


def families(text: str) -> dict[str, str]:
    return {family.name: family.type for family in text_string_to_metric_families(text)}


@pytest.mark.parametrize("process", ["worker", "sink", None])
def test_a_page_has_the_metrics_of_its_process_and_no_other(
    process: Literal["worker", "sink"] | None,
) -> None:
    meter = PrometheusMeter(CollectorRegistry(), process)
    here = [m for m in TABLE if process is None or m.where in (process, "both")]
    first = families(generate_latest(meter.registry).decode())
    assert "receipts_memory_limit_bytes" not in first, "0 would be a wrong value"
    for metric in here:
        if metric.kind == "gauge" and not metric.labels:
            meter.set(metric.name, 1)
    shown = families(generate_latest(meter.registry).decode())
    assert shown == {metric.name.removesuffix("_total"): metric.kind for metric in here}
    for metric in TABLE:
        if metric not in here:
            report = {"counter": meter.add, "gauge": meter.set, "histogram": meter.observe}
            with pytest.raises(ValueError, match=f"{metric.name}: it is a {metric.kind} of"):
                report[metric.kind](metric.name, 1.0, **dict.fromkeys(metric.labels, "x"))


def test_a_name_kind_or_label_outside_the_table_is_an_error(meter: PrometheusMeter) -> None:
    with pytest.raises(ValueError, match="no such metric"):
        meter.add("receipts_evnts_total", topic="sends", kind="x")
    with pytest.raises(ValueError, match="it is a gauge"):
        meter.add("receipts_ready")
    with pytest.raises(ValueError, match="labels are"):
        meter.add("receipts_events_total", topic="sends")
    with pytest.raises(ValueError, match="labels are"):
        meter.set("receipts_ready", 1, partition="0")


def series(meter: PrometheusMeter, name: str) -> dict[tuple[str, ...], float]:
    """Values of a metric by its labels, in the order of the table."""
    labels = next(metric.labels for metric in TABLE if metric.name == name)
    return {
        tuple(sample.labels[label] for label in labels): sample.value
        for family in meter.registry.collect()
        for sample in family.samples
        if sample.name == name
    }


def test_an_unknown_provider_beyond_the_limit_is_other_and_the_country_stays(
    meter: PrometheusMeter,
) -> None:
    name, most = "receipts_finished_messages_total", LIMITS["provider"]
    for n in range(most + 5):
        meter.add(name, provider=f"p{n}", country="SE", outcome="delivered")
    meter.add(name, provider=f"p{most}", country="NO", outcome="expired")
    meter.add(name, provider="p0", country="NO", outcome="expired")
    found = series(meter, name)
    assert found["p0", "SE", "delivered"] == found["p99", "SE", "delivered"] == 1
    assert found["other", "SE", "delivered"] == 5
    assert found["other", "NO", "expired"] == found["p0", "NO", "expired"] == 1
    assert len(found) == most + 3


def test_each_provider_has_codes_of_its_own(meter: PrometheusMeter) -> None:
    name, most = "receipts_failure_codes_total", LIMITS["code"]
    for provider in "ab":
        for n in range(most + 7):
            meter.add(name, provider=provider, code=f"{provider}{n}")
    found = series(meter, name)
    assert len(found) == 2 * most + 2
    assert found["a", "other"] == found["b", "other"] == 7


def test_hostile_traffic_cannot_make_series_without_end(
    meter: PrometheusMeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitoring, "SERIES", 300)
    name, outcomes = "receipts_finished_messages_total", ("delivered", "expired")
    added = 0
    for n in range(2_000):
        labels = {"provider": f"p{n % 90}", "country": f"c{n % 240}", "outcome": outcomes[n % 2]}
        meter.add(name, **labels)
        added += 1
    found = series(meter, name)
    assert sum(found.values()) == added
    collapsed = {labels for labels in found if labels[0] == "other"}
    assert len(found) - len(collapsed) == 300
    assert collapsed <= {("other", "other", outcome) for outcome in outcomes} | {
        ("other", f"c{n}", outcome) for n in range(240) for outcome in outcomes
    }
    before = found["p0", "c0", "delivered"]
    meter.add(name, provider="p0", country="c0", outcome="delivered")
    assert series(meter, name)["p0", "c0", "delivered"] == before + 1, "known series go on"


def test_an_age_grows_by_itself(meter: PrometheusMeter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process may hang: no more calls come then."""
    name, labels = "receipts_lag_seconds", {"topic": "sends", "partition": "0"}
    now = [1000.0]
    monkeypatch.setattr(monitoring.time, "time", lambda: now[0])
    meter.set_age(name, 990.0, **labels)
    assert sample(meter, name, **labels) == 10
    now[0] = 1100.0
    assert sample(meter, name, **labels) == 110
    meter.set_age(name, None, **labels)
    assert sample(meter, name, **labels) == 0
    meter.set_age(name, 2000.0, **labels)
    assert sample(meter, name, **labels) == 0, "a moment of the future has no age"
    with pytest.raises(ValueError, match="it is a counter"):
        meter.set_age("receipts_expired_total", 1.0)


def test_what_went_to_another_process_is_forgotten(meter: PrometheusMeter) -> None:
    name, labels = "receipts_lag_seconds", {"topic": "sends", "partition": "0"}
    meter.set_age(name, 1.0, **labels)
    meter.set_age(name, 1.0, **(labels | {"partition": "1"}))
    meter.forget(name, partition="0", topic="sends")
    meter.forget(name, **(labels | {"partition": "7"}))
    assert set(series(meter, name)) == {("sends", "1")}
    meter.set_age(name, None, **labels)
    assert series(meter, name)["sends", "0"] == 0, "it may come back"


def test_a_process_is_not_ready_until_it_says_so(
    meter: PrometheusMeter, health: ProcessHealth, port: int
) -> None:
    status, text = get(port, "readyz")
    assert (status, json.loads(text)) == (
        503,
        {"ready": False, "reasons": {"start": "starting"}},
    )
    health.unready("clickhouse", "connection refused")
    assert json.loads(get(port, "readyz")[1])["reasons"] == {"clickhouse": "connection refused"}
    assert sample(meter, "receipts_ready") == 0
    health.ready("clickhouse")
    status, text = get(port, "readyz")
    assert (status, json.loads(text)) == (200, {"ready": True, "reasons": {}})
    assert sample(meter, "receipts_ready") == 1


def test_one_part_in_the_way_is_enough(health: ProcessHealth, port: int) -> None:
    health.unready("restore", "partition 2 is being restored")
    health.ready("kafka")
    assert get(port, "readyz")[0] == 503
    health.ready("restore")
    assert get(port, "readyz")[0] == 200


def test_a_silent_part_is_dead_and_named(health: ProcessHealth, clock: Clock, port: int) -> None:
    health.beat("loop")
    health.beat("batches")
    clock.now += 9
    health.beat("loop")
    assert get(port, "healthz")[0] == 200
    clock.now += 2
    status, text = get(port, "healthz")
    assert (status, json.loads(text)) == (503, {"alive": False, "silent_s": {"batches": 11.0}})
    health.beat("batches")
    assert get(port, "healthz")[0] == 200


def test_a_process_that_never_starts_is_dead_after_the_bound(
    health: ProcessHealth, clock: Clock, port: int
) -> None:
    assert get(port, "healthz")[0] == 200
    clock.now += 11
    assert get(port, "healthz")[0] == 503


def test_a_taken_port_is_an_error_that_names_it(
    meter: PrometheusMeter, health: ProcessHealth
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        with (
            pytest.raises(OSError, match=str(port)),
            monitoring_server(meter.registry, health, "127.0.0.1", port),
        ):
            pass


def test_the_port_is_free_again_afterwards(meter: PrometheusMeter, health: ProcessHealth) -> None:
    with monitoring_server(meter.registry, health, "127.0.0.1", 0) as port:
        assert get(port, "readyz")[0] == 503
    with monitoring_server(meter.registry, health, "127.0.0.1", port) as again:
        assert again == port
