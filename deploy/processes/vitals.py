"""What every process reports of itself: delays of its loop, its memory limit, its certificates."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from models.metrics import Meter
from models.settings import Settings
from streams.kafka.certificates import expiry_of
from streams.kafka.measures import RecentMaximum

log = logging.getLogger(__name__)

LOOP_STEP_S: Final = 0.1
REPORT_EVERY_S: Final = 60.0

_CGROUPS: Final = Path("/sys/fs/cgroup")
_OF_THIS_PROCESS: Final = Path("/proc/self/cgroup")


async def measure_loop(meter: Meter) -> None:
    """Report how late this loop wakes, until cancelled."""
    worst = RecentMaximum()
    while True:
        due = time.monotonic() + LOOP_STEP_S
        await asyncio.sleep(LOOP_STEP_S)
        worst.note(time.monotonic() - due)
        meter.set("receipts_loop_delay_seconds", worst.value())


@contextmanager
def reporting(meter: Meter, certificates: Mapping[str, str]) -> Iterator[None]:
    """Report the memory limit and the certificates at once and every minute, until the block ends.

    certificates: as in `report_certificates`
    """
    ended = threading.Event()

    def report() -> None:
        while True:
            meter.set("receipts_memory_limit_bytes", memory_limit())
            report_certificates(meter, certificates)
            if ended.wait(REPORT_EVERY_S):
                return

    thread = threading.Thread(target=report, name="receipts-vitals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def memory_limit(cgroups: Path = _CGROUPS, of_this_process: Path = _OF_THIS_PROCESS) -> int:
    """Bytes that this process may use: the lowest limit of its cgroups, else the machine's memory.

    cgroups: where they are mounted, version 2 or 1. of_this_process: as /proc/self/cgroup
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        lines = of_this_process.read_text().splitlines()
    except OSError:  # not Linux
        return machine
    limits = [machine]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            limits += _limits(cgroups, path, "memory.max")
        elif "memory" in controllers.split(","):
            limits += _limits(cgroups / "memory", path, "memory.limit_in_bytes")
    return min(limits)


def _limits(mount: Path, path: str, name: str) -> Iterator[int]:
    """Limits of a cgroup and of all above it. In a container some of them are not to be seen."""
    folder = mount / path.lstrip("/")
    for each in (folder, *folder.parents):
        if not each.is_relative_to(mount):
            return
        try:
            text = (each / name).read_text().strip()
        except OSError:
            continue
        if text.isdigit():  # "max": none
            yield int(text)


def certificates_of(settings: Settings, process: Literal["worker", "sink"]) -> dict[str, str]:
    """The PEM files that a process uses, by the label of their metric."""
    used = {
        "kafka-client": settings.kafka_ssl_certfile,
        "kafka-ca": settings.kafka_ssl_cafile,
        "monitoring": settings.monitoring_certfile,
    }
    if process == "sink":
        used["clickhouse-client"] = settings.clickhouse_certfile
        used["clickhouse-ca"] = settings.clickhouse_cafile
    return {label: path for label, path in used.items() if path}


def report_certificates(meter: Meter, paths: Mapping[str, str]) -> None:
    """Report when certificates end; one that cannot be read is logged and has no value.

    paths: PEM files by the label of the metric, such as "kafka-client" or "kafka-ca"
    """
    gauge = "receipts_certificate_expiry_timestamp_seconds"
    for name, path in paths.items():
        try:
            ends = expiry_of(Path(path).read_bytes(), authorities=name.endswith("-ca"))
        except (OSError, ValueError) as error:
            log.warning("the certificate %s (%s) cannot be read: %s", path, name, error)
            meter.forget(gauge, certificate=name)
        else:
            meter.set(gauge, ends.timestamp(), certificate=name)
