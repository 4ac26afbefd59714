"""The three pages: metrics of the table only, alive by the clock, ready with its reasons."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from deploy.processes.monitoring import ProcessHealth, PrometheusMeter, monitoring_server
from models.metrics import TABLE


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


def test_every_metric_of_the_table_is_on_the_page(meter: PrometheusMeter, port: int) -> None:
    text = get(port, "metrics")[1]
    families = {f.name for f in text_string_to_metric_families(text)}
    assert families >= {metric.name.removesuffix("_total") for metric in TABLE}


def test_a_name_kind_or_label_outside_the_table_is_an_error(meter: PrometheusMeter) -> None:
    with pytest.raises(ValueError, match="no such metric"):
        meter.add("receipts_evnts_total", topic="sends", kind="x")
    with pytest.raises(ValueError, match="it is a gauge"):
        meter.add("receipts_ready")
    with pytest.raises(ValueError, match="labels are"):
        meter.add("receipts_events_total", topic="sends")
    with pytest.raises(ValueError, match="labels are"):
        meter.set("receipts_ready", 1, partition="0")


def test_label_values_from_the_traffic_cannot_grow_without_bound() -> None:
    meter = PrometheusMeter(CollectorRegistry(), max_series=2)
    for n in range(5):
        meter.add("receipts_state_changes_total", status=f"s{n}")
    meter.add("receipts_state_changes_total", status="s1")
    assert sample(meter, "receipts_state_changes_total", status="s1") == 2
    assert sample(meter, "receipts_state_changes_total", status="other") == 3
    assert sample(meter, "receipts_state_changes_total", status="s4") is None


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
