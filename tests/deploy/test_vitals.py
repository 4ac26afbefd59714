"""What a process reports of itself: memory limit, certificates, delays of its loop."""

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.processes import vitals
from deploy.processes.tls import certificates_of
from deploy.processes.vitals import measure_loop, memory_limit, reporting
from models.settings import Settings
from streams.tls.certificates import Authorities, Certificates, NamedFile, expiry_of
from tests.support.certificates import Authority
from tests.support.fakes import Meter
from tests.support.waiting import eventually, until

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
EXPIRY = "receipts_certificate_expiry_timestamp_seconds"
USABLE = "receipts_certificate_usable"
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


def authorities(path: Path) -> Certificates:
    return Authorities(NamedFile("RECEIPTS_KAFKA_SSL_CAFILE", str(path)))


def test_a_certificate_that_cannot_be_used_is_seen_and_keeps_the_end_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(vitals, "REPORT_EVERY_S", 0.02)
    pki = Authority(tmp_path)
    pem = pki.issue("pages", "127.0.0.1")
    settings = Settings(monitoring_certfile=str(pem.cert), monitoring_keyfile=str(pem.key))
    meter = Meter()
    with reporting(meter, certificates_of(settings, "worker")):
        until(lambda: meter.value(USABLE, "monitoring") == 1, "it can be used")
        ends = expiry_of(pem.cert.read_bytes(), authorities=False).timestamp()
        assert meter.value(EXPIRY, "monitoring") == ends
        kept, garbage = tmp_path / "kept.key", tmp_path / "garbage.key"
        garbage.write_text("hello")
        pem.key.rename(kept)
        for place, words in (
            (None, "pages.key cannot be read: No such file"),
            (garbage, "pages.key holds no private key in PEM format"),
            (pki.issue("other", "127.0.0.1").key, "is not that of the certificate in"),
        ):
            if place is not None:
                place.replace(pem.key)
            until(lambda: words in caplog.text, "the reason is logged")  # noqa: B023
            assert meter.value(USABLE, "monitoring") == 0
            assert meter.value(EXPIRY, "monitoring") == ends
        assert len({record.getMessage() for record in caplog.records}) == len(caplog.records)
        kept.replace(pem.key)
        until(lambda: meter.value(USABLE, "monitoring") == 1, "it can be used again")


def test_an_end_that_cannot_be_read_is_not_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As when OpenSSL takes what a stricter reader does not."""

    def unreadable(*_: object) -> datetime:
        raise ValueError("invalid serial number")

    monkeypatch.setattr(Authorities, "ends", unreadable)
    meter, pki = Meter(), Authority(tmp_path)
    with reporting(meter, {"kafka-ca": authorities(pki.cafile)}):
        until(lambda: (USABLE, ("kafka-ca",)) in meter.sums, "it is reported")
        until(lambda: "invalid serial number" in caplog.text, "the reason is logged")
    assert meter.value(USABLE, "kafka-ca") == 0 and (EXPIRY, ("kafka-ca",)) not in meter.sums
    assert "RECEIPTS_KAFKA_SSL_CAFILE" in caplog.text


def test_limits_and_certificates_are_reported_while_the_process_runs(tmp_path: Path) -> None:
    meter, path = Meter(), tmp_path / "ca.pem"
    path.write_bytes(certificate(NOW))
    with reporting(meter, {"kafka-ca": authorities(path)}):
        until(lambda: meter.value(EXPIRY, "kafka-ca") == NOW.timestamp(), "it is reported")
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

    def paths(settings: Settings, process: Literal["worker", "sink"]) -> dict[str, str]:
        used = certificates_of(settings, process)
        return {label: files.files[0].path for label, files in used.items()}

    assert paths(settings, "worker") == worker
    assert paths(settings, "sink") == {**worker, "clickhouse-ca": "/clickhouse.pem"}
    assert paths(Settings(), "sink") == {}
