"""What a process reports of itself: memory limit, certificates, delays of its loop."""

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.processes.vitals import (
    certificates_of,
    measure_loop,
    memory_limit,
    report_certificates,
    reporting,
)
from models.settings import Settings
from streams.kafka.certificates import expiry_of
from tests.support.fakes import Meter
from tests.support.waiting import eventually, until

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
EXPIRY = "receipts_certificate_expiry_timestamp_seconds"
NOW = datetime(2026, 11, 27, tzinfo=UTC)


def certificate(ends: datetime) -> bytes:
    """A certificate, PEM, that ends then."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ends - timedelta(days=90))
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        ("0::/a/b\n", {"a/memory.max": "500000\n", "a/b/memory.max": "max\n"}, 500_000),
        ("0::/a/b\n", {"a/memory.max": "500000\n", "a/b/memory.max": "400000\n"}, 400_000),
        ("0::/\n", {"memory.max": "300000\n"}, 300_000),  # inside a container
        ("0::/kubepods/x\n", {"memory.max": "300000\n"}, 300_000),  # the path is the host's
        ("0::/a\n", {"a/memory.max": "max\n"}, MACHINE),
        ("0::/a\n", {}, MACHINE),
        (
            "5:cpu,memory:/a\n4:pids:/a\n",
            {"memory/a/memory.limit_in_bytes": "200000", "pids/a/memory.max": "1"},
            200_000,
        ),
        ("5:memory:/a\n", {"memory/a/memory.limit_in_bytes": "9223372036854771712"}, MACHINE),
    ],
)
def test_the_lowest_limit_counts(
    tmp_path: Path, own: str, files: dict[str, str], limit: int
) -> None:
    cgroups = write(tmp_path / "cgroup", files)
    cgroups.mkdir(exist_ok=True)
    of_this_process = tmp_path / "self"
    of_this_process.write_text(own)
    assert memory_limit(cgroups, of_this_process) == limit


def test_without_cgroups_it_is_the_memory_of_the_machine(tmp_path: Path) -> None:
    assert memory_limit(tmp_path, tmp_path / "missing") == MACHINE
    assert 0 < memory_limit() <= MACHINE


def test_a_chain_ends_with_its_first_certificate_an_authority_with_the_first_in_force() -> None:
    past, soon, late = NOW - timedelta(days=1), NOW + timedelta(days=5), NOW + timedelta(days=50)
    chain = certificate(late) + certificate(soon)
    assert expiry_of(chain, authorities=False, now=NOW) == soon
    assert expiry_of(chain, authorities=True, now=NOW) == soon
    rotated = certificate(past) + certificate(late)
    assert expiry_of(rotated, authorities=False, now=NOW) == past
    assert expiry_of(rotated, authorities=True, now=NOW) == late
    assert expiry_of(certificate(past), authorities=True, now=NOW) == past


def test_a_certificate_that_cannot_be_read_is_logged_and_has_no_value(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    meter, path = Meter(), tmp_path / "client.pem"
    path.write_bytes(certificate(NOW))
    paths = {"kafka-client": str(path), "kafka-ca": str(tmp_path / "missing.pem")}
    report_certificates(meter, paths)
    assert meter.sums == {(EXPIRY, ("kafka-client",)): NOW.timestamp()}
    assert "missing.pem (kafka-ca) cannot be read" in caplog.text
    path.write_text("not PEM")
    report_certificates(meter, paths)
    assert not meter.sums
    assert "client.pem (kafka-client) cannot be read" in caplog.text


def test_limits_and_certificates_are_reported_while_the_process_runs(tmp_path: Path) -> None:
    meter, path = Meter(), tmp_path / "page.pem"
    path.write_bytes(certificate(NOW))
    with reporting(meter, {"monitoring": str(path)}):
        until(lambda: meter.value(EXPIRY, "monitoring") == NOW.timestamp(), "it is reported")
    assert meter.value("receipts_memory_limit_bytes") == memory_limit()


async def test_a_loop_that_was_held_up_is_seen() -> None:
    meter = Meter()
    measuring = asyncio.create_task(measure_loop(meter))
    try:
        await eventually(lambda: ("receipts_loop_delay_seconds", ()) in meter.sums)
        time.sleep(1)  # holds the loop up
        await eventually(lambda: meter.value("receipts_loop_delay_seconds") > 0.8)
    finally:
        measuring.cancel()


def test_the_files_of_the_settings_have_the_labels_of_the_metric() -> None:
    settings = Settings(
        kafka_security_protocol="SSL",
        kafka_ssl_cafile="/ca.pem",
        kafka_ssl_certfile="/client.pem",
        monitoring_certfile="/pages.pem",
        monitoring_keyfile="/pages.key",
        clickhouse_url="https://u:p@h/d",
        clickhouse_cafile="/clickhouse.pem",
    )
    worker = {"kafka-client": "/client.pem", "kafka-ca": "/ca.pem", "monitoring": "/pages.pem"}
    assert certificates_of(settings, "worker") == worker
    assert certificates_of(settings, "sink") == {**worker, "clickhouse-ca": "/clickhouse.pem"}
    assert certificates_of(Settings(), "sink") == {}
