"""Kubernetes puts variables of every service into every pod: they are no settings, mistypes are."""

from collections.abc import Iterator

import pytest

from models.issues import SettingsError
from models.settings import Settings

#: Every service name that makes variables beginning with RECEIPTS_, and some that look like more.
SERVICES = [
    "receipts",
    "receipts-worker",
    "receipts-sink",
    "receipts-pages",
    "receipts-kafka",
    "receipts-clickhouse-0",
    "receipts-service",
    "receipts-port",
    "receipts-service-port",
    "receipts-worker-service",
    "receipts-session-timeout-s",
]
ADDRESSES = ["10.96.0.17", "fd00:10:96::a1b2"]
#: name of the port (None: it has none), number, protocol
PORTS = [[(None, 6066, "TCP")], [("http", 80, "TCP"), ("dns-udp", 53, "UDP"), ("s", 132, "SCTP")]]


def variables_of(
    service: str, address: str, ports: list[tuple[str | None, int, str]]
) -> Iterator[tuple[str, str]]:
    """As the kubelet makes them (pkg/kubelet/envvars)."""
    name = service.upper().replace("-", "_")
    host = f"[{address}]" if ":" in address else address
    yield f"{name}_SERVICE_HOST", address
    yield f"{name}_SERVICE_PORT", str(ports[0][1])
    for port_name, number, _ in ports:
        if port_name:
            yield f"{name}_SERVICE_PORT_{port_name.upper().replace('-', '_')}", str(number)
    first = ports[0]
    yield f"{name}_PORT", f"{first[2].lower()}://{host}:{first[1]}"
    for _, number, protocol in ports:
        link = f"{name}_PORT_{number}_{protocol}"
        yield link, f"{protocol.lower()}://{host}:{number}"
        yield f"{link}_PROTO", protocol.lower()
        yield f"{link}_PORT", str(number)
        yield f"{link}_ADDR", address


@pytest.mark.parametrize("ports", PORTS)
@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("service", SERVICES)
def test_the_variables_of_a_service_are_no_settings(service, address, ports):
    made = dict(variables_of(service, address, ports))
    assert len(made) >= 7
    assert Settings.read(made) == Settings()


def test_settings_hold_beside_the_variables_of_services():
    made = dict(variables_of("receipts-worker", ADDRESSES[0], PORTS[0]))
    given = {"RECEIPTS_WORKER_PORT": "7000", "RECEIPTS_PARTITIONS": "9"}
    settings = Settings.read({**made, **given})
    assert (settings.worker_port, settings.partitions) == (7000, 9)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RECEIPTS_WORKER_PROT", "6066"),
        ("RECEIPTS_WORKER_PORTS", "tcp://10.0.0.1:6066"),
        ("RECEIPTS_WORKER_PORT", "tcp://10.0.0.1"),
        ("RECEIPTS_WORKER_PORT", "tcp://10.0.0.1:99999"),
        ("RECEIPTS_WORKER_PORT", "http://10.0.0.1:6066"),
        ("RECEIPTS_WORKER_PORT", "tcp://10.0.0.1:6066/x"),
        ("RECEIPTS_PORT", "6066"),
        ("RECEIPTS_SERVICE_HOST", "kafka.local"),
        ("RECEIPTS_WORKER_SERVICE_PORT", "http"),
        ("RECEIPTS_WORKER_PORT_6066_TCP", "6066"),
        ("RECEIPTS_WORKER_PORT_6066_TCP_PROTO", "http"),
        ("RECEIPTS_WORKER_PORT_6066_TCP_ADDR", "somewhere"),
        ("RECEIPTS_WORKER_PORT_6066_TCP_PORT", "0"),
        ("RECEIPTS_WORKER_PORT_HTTP", "tcp://10.0.0.1:6066"),
        ("RECEIPTS_BROKERS", "tcp://10.0.0.1:9092"),
    ],
)
def test_a_mistyped_variable_is_refused_all_the_same(name, value):
    with pytest.raises(SettingsError) as caught:
        Settings.read({name: value})
    assert [issue.where for issue in caught.value.issues] == [name]
