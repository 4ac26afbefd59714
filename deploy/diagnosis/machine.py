"""Examines this machine: libraries, codecs, file limit, folders of the engine, certificates."""

from __future__ import annotations

import platform
import resource
import shutil
from collections.abc import Iterable, Iterator
from datetime import datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from urllib.parse import unquote, urlsplit

from deploy.diagnosis.examination import Certificate, Disk, Library, Machine
from deploy.diagnosis.readings import Process
from deploy.diagnosis.steps import reason
from deploy.processes.tls import certificates_of, server_pair
from models.settings import Settings
from streams.kafka.reading import UnusableClient, guard_reading
from streams.tls.certificates import Certificates


def examine_machine(
    settings: Settings | None, processes: Iterable[Process], now: datetime
) -> Machine:
    """This machine. settings: None while they are wrong. processes: whose certificates to read"""
    used = {files: files.problems() for files in _used(settings, processes)} if settings else {}
    return Machine(
        python=platform.python_version(),
        libraries=tuple(_libraries()),
        codecs=_codecs(),
        files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        disks=tuple(_disks(settings)) if settings else (),
        certificates=tuple(_certificate(files, now) for files, wrong in used.items() if not wrong),
        unusable=tuple(
            (each.variable, each.text, each.fix) for wrong in used.values() for each in wrong
        ),
    )


def _libraries() -> Iterator[Library]:
    """The libraries that pyproject.toml pins, without those of tests."""
    for requirement in requires("receipts") or ():
        name, _, pinned = requirement.partition("==")
        if ";" in requirement:
            continue  # an extra
        try:
            yield Library(name, pinned, version(name))
        except PackageNotFoundError:
            yield Library(name, pinned, "")


def _codecs() -> str:
    try:
        guard_reading()
    except UnusableClient as error:
        return str(error)
    return ""


def _disks(settings: Settings) -> Iterator[Disk]:
    """The volumes of embedded engines; a server's are its own."""
    for url in dict.fromkeys((settings.clickhouse_url, settings.reports_url)):
        if urlsplit(url).scheme == "chdb":
            folder = Path(unquote(urlsplit(url).path))
            existing = next(each for each in (folder, *folder.parents) if each.exists())
            usage = shutil.disk_usage(existing)
            yield Disk(f"folder {folder}", usage.total, usage.free)


def _used(settings: Settings, processes: Iterable[Process]) -> Iterator[Certificates]:
    """Files of certificates that these processes use; with the sink those of the report pages."""
    used: dict[str, Certificates] = {}
    for process in processes:
        used |= certificates_of(settings, process)
        if process == "sink" and (pair := server_pair(settings, "pages")):
            used["pages"] = pair
    yield from used.values()


def _certificate(files: Certificates, now: datetime) -> Certificate:
    variable, path = files.files[0]
    try:
        return Certificate(variable, path, files.ends(now))
    except (OSError, ValueError) as error:  # replaced just now, or OpenSSL is less strict
        return Certificate(variable, path, None, reason(error))
