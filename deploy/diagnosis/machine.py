"""Examines this machine: libraries, codecs, file limit, folders of the engine, certificates."""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
from collections.abc import Iterable, Iterator
from datetime import datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from deploy.diagnosis.examination import Certificate, Disk, Library, Machine, StateFolder
from deploy.diagnosis.readings import Process
from deploy.diagnosis.steps import reason
from deploy.processes.tls import certificates_of, server_pair
from models.settings import Settings
from streams.kafka.reading import UnusableClient, guard_reading
from streams.tls.certificates import Certificates

_MOUNTS: Final = Path("/proc/mounts")
#: How the kernel writes a space and the like in a path.
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


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
            yield _disk(Path(unquote(urlsplit(url).path)))


def _disk(folder: Path) -> Disk:
    """The volume that a folder is on, or would be on."""
    usage = shutil.disk_usage(_existing(folder))
    return Disk(f"folder {folder}", usage.total, usage.free)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    return next(each for each in (folder, *folder.parents) if each.exists())


def examine_state_folder(state_dir: str, mounts: Path = _MOUNTS) -> StateFolder:
    """Where a worker keeps states, without writing there. mounts: as /proc/mounts"""
    folder = Path(state_dir).absolute()
    existing = _existing(folder)
    problem = ""
    if not existing.is_dir():
        problem = f"{existing} is not a folder"
    elif not os.access(existing, os.W_OK | os.X_OK):
        problem = f"this process may not write in {existing}"
    return StateFolder(str(folder), problem, _filesystem(existing, mounts), _disk(folder))


def _filesystem(folder: Path, mounts: Path) -> str:
    """The type of the filesystem that a folder is on; empty: not known."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:  # not Linux
        return ""
    found, depth, real = "", -1, folder.resolve()
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        mounted = Path(_OCTAL.sub(lambda code: chr(int(code[1], 8)), point))
        if real.is_relative_to(mounted) and len(mounted.parts) >= depth:
            found, depth = kind, len(mounted.parts)
    return found


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
