"""The PEM files that the settings name: those of our own pages and those for ClickHouse."""

from typing import Literal

from models.issues import Issue, variable_of
from models.settings import Settings
from streams.kafka.security import kafka_files
from streams.tls.certificates import (
    Authorities,
    CertificatePair,
    Certificates,
    ClientFiles,
    NamedFile,
)


def server_pair(
    settings: Settings, server: Literal["monitoring", "pages", "listen"]
) -> CertificatePair | None:
    """The certificate with which they are served; None: plain HTTP."""
    return _pair(settings, server)


def clickhouse_files(settings: Settings) -> ClientFiles:
    """What a client of ClickHouse uses."""
    authorities = None
    if settings.clickhouse_cafile:
        authorities = Authorities(_named(settings, "clickhouse_cafile"))
    return ClientFiles(authorities, _pair(settings, "clickhouse"))


def clickhouse_tls_issues(settings: Settings) -> list[Issue]:
    """What is wrong with the certificates for ClickHouse."""
    return [Issue(*problem) for problem in clickhouse_files(settings).problems()]


def certificates_of(
    settings: Settings, process: Literal["worker", "sink", "listen"]
) -> dict[str, Certificates]:
    """The PEM files that a process uses, by the label of their metric."""
    kafka = kafka_files(settings)
    used: dict[str, Certificates | None] = {
        "kafka-client": kafka.pair,
        "kafka-ca": kafka.authorities,
        "monitoring": server_pair(settings, "monitoring"),
    }
    if process == "listen":
        used["listen"] = server_pair(settings, "listen")
    if process == "sink":
        clickhouse = clickhouse_files(settings)
        used["clickhouse-client"] = clickhouse.pair
        used["clickhouse-ca"] = clickhouse.authorities
    return {label: files for label, files in used.items() if files is not None}


def _pair(settings: Settings, name: str) -> CertificatePair | None:
    cert, key = (_named(settings, f"{name}_{which}") for which in ("certfile", "keyfile"))
    return CertificatePair(cert, key) if cert.path else None


def _named(settings: Settings, field: str) -> NamedFile:
    return NamedFile(variable_of(field), getattr(settings, field))
