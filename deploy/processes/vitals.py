"""What every process reports of itself: delays of its loop, its memory limit, its certificates."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from models.metrics import Meter
from streams.kafka.measures import RecentMaximum
from streams.tls.certificates import Certificates

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
def reporting(meter: Meter, certificates: Mapping[str, Certificates]) -> Iterator[None]:
    """Report the memory limit and the certificates at once and every minute, until the block ends.

    certificates: by the label of their metrics, such as "kafka-client"
    """
    ended, of_certificates = threading.Event(), _CertificateReport(meter, certificates)

    def report() -> None:
        while True:
            meter.set("receipts_memory_limit_bytes", memory_limit())
            of_certificates.report()
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


class _CertificateReport:
    """Reports whether certificates can be used and when they end; a mistake is logged once."""

    def __init__(self, meter: Meter, certificates: Mapping[str, Certificates]) -> None:
        self._meter = meter
        self._certificates = certificates
        self._logged: dict[str, str] = {}

    def report(self) -> None:
        """One that cannot be used keeps its end: the process goes on with the one before."""
        for label, files in self._certificates.items():
            problem, ends = _examined(files)
            self._meter.set("receipts_certificate_usable", ends is not None, certificate=label)
            if ends is not None:
                gauge = "receipts_certificate_expiry_timestamp_seconds"
                self._meter.set(gauge, ends.timestamp(), certificate=label)
            if problem and problem != self._logged.get(label):
                log.error("the certificate %s cannot be used: %s", label, problem)
            self._logged[label] = problem


def _examined(files: Certificates) -> tuple[str, datetime | None]:
    """What is wrong; or "" and when they end."""
    if problems := files.problems():
        return "; ".join(map(str, problems)), None
    try:
        return "", files.ends(datetime.now(UTC))
    except (OSError, ValueError) as error:
        variable, path = files.files[0]
        return f"{variable}: when {path} ends cannot be read: {error}", None
