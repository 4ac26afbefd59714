"""Examines everything that an installation needs, and what is around it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final, get_args

from deploy import __version__
from deploy.diagnosis.checks import (
    check_clickhouse,
    check_kafka,
    check_machine,
    check_of,
    check_settings,
    check_state_folder,
    failed,
    skipped,
    wrong_settings,
)
from deploy.diagnosis.examination import Area, Check, Examination, Skipped
from deploy.diagnosis.examine_clickhouse import REPORTS, SINK, examine_clickhouse
from deploy.diagnosis.examine_kafka import examine_kafka
from deploy.diagnosis.machine import examine_machine, examine_state_folder
from deploy.diagnosis.readings import Process
from deploy.diagnosis.steps import SOURCE_S, clickhouse_finding, in_thread
from deploy.processes.process import read_settings
from models.issues import SettingsError
from models.settings import Settings
from sinks.errors import SinkError
from streams.tls.certificates import UnusableFiles

_AREAS: Final = get_args(Area)


async def examine(environ: Mapping[str, str], processes: tuple[Process, ...]) -> Examination:
    """All checks, by area. Wrong settings are checks too; then only the machine is examined.

    processes: what they use is examined; the user of the settings should have their rights
    """
    now = datetime.now(UTC)
    try:
        settings = read_settings(environ, clickhouse="sink" in processes)
    except SettingsError as error:
        checks = [*wrong_settings(error), *check_machine(examine_machine(None, (), now), now)]
    else:
        # First what needs no connection: a certificate that ended is why there is none.
        checks = list(check_machine(examine_machine(settings, processes, now), now))
        checks += _state_folder(settings, processes)
        try:
            checks += await _connected(settings, processes)
        except UnusableFiles as error:
            checks += [each for each in unusable_files(error) if each not in checks]
    checks.sort(key=lambda each: _AREAS.index(each.area))
    well = all(each.state != "error" for each in checks)
    return Examination(int(now.timestamp() * 1000), __version__, well, tuple(checks))


def unusable_files(error: UnusableFiles) -> Iterator[Check]:
    """A check for each file of the connection to Kafka that cannot be used."""
    for each in error.problems:
        yield failed("settings", "settings", "error", each.variable, each.text, each.fix)


async def _connected(settings: Settings, processes: tuple[Process, ...]) -> list[Check]:
    names = [SINK] if "sink" in processes else []
    if names and settings.reports_url != settings.sink_url:
        names.append(REPORTS)
    unused = () if names else (Skipped("connections", SINK, "a worker does not use ClickHouse"),)
    kafka, databases = await asyncio.gather(
        examine_kafka(settings, processes),
        asyncio.gather(*(_clickhouse(settings, name) for name in names)),
    )
    return [
        *check_settings(settings, kafka.brokers),
        *check_kafka(kafka, processes),
        *(check for found in databases for check in found),
        *skipped(unused),
    ]


def _state_folder(settings: Settings, processes: tuple[Process, ...]) -> Iterator[Check]:
    if settings.state_dir and "worker" in processes:
        yield from check_state_folder(examine_state_folder(settings.state_dir))


async def _clickhouse(settings: Settings, name: str) -> list[Check]:
    url = settings.sink_url if name == SINK else settings.reports_url
    try:
        async with asyncio.timeout(SOURCE_S):
            found = await in_thread(lambda: examine_clickhouse(settings, name))
    except (SinkError, OSError) as error:
        return [check_of("connections", clickhouse_finding(url, error, name))]
    return list(check_clickhouse(found))
