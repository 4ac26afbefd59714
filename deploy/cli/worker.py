"""`receipts worker`."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from deploy.cli.help import command
from deploy.cli.preflight import preflight
from deploy.processes.process import read_settings, run_process
from models.metrics import Health, Meter
from models.settings import Settings

if TYPE_CHECKING:
    from streams.followers.suppression_index import SuppressionIndex


@command(
    "receipts worker",
    "RECEIPTS_BROKERS=kafka-1:9092,kafka-2:9092 receipts worker",
    "RECEIPTS_WORKER_PORT=6068 receipts worker    # a second one on the same machine",
)
def worker() -> None:
    """Turn sends and receipts into message states and counters.

    Checks the topics, then runs until SIGTERM or Ctrl-C. Start more workers to share the
    partitions.
    """
    from deploy.processes.suppressions_page import suppressions_page
    from streams.followers.suppression_index import SuppressionIndex

    settings, suppressed = read_settings(), SuppressionIndex()
    page = suppressions_page(suppressed, settings.alive_s)
    at = (settings.worker_host, settings.worker_port)
    sys.exit(run_process("worker", *at, settings, partial(_worker, suppressed), [page]))


def _worker(suppressed: SuppressionIndex, settings: Settings, meter: Meter, health: Health) -> int:
    from deploy.processes.endpoints import endpoints_of
    from deploy.processes.vitals import measure_loop
    from streams.worker import run

    preflight(settings, "worker")
    measure = partial(measure_loop, meter)
    return run(settings, meter, health, suppressed, measure, endpoints_of(settings).endpoints)
