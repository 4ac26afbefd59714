"""Examines this machine: installed libraries, codecs, file limit, folders of the engine."""

from __future__ import annotations

import platform
import resource
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from urllib.parse import unquote, urlsplit

from deploy.diagnosis.examination import Disk, Library, Machine
from models.settings import Settings
from streams.kafka.reading import UnusableClient, guard_reading


def examine_machine(settings: Settings | None) -> Machine:
    """This machine. settings: None while they are wrong."""
    return Machine(
        python=platform.python_version(),
        libraries=tuple(_libraries()),
        codecs=_codecs(),
        files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        disks=tuple(_disks(settings)) if settings else (),
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
