"""`receipts sink`."""

import sys

from deploy.cli.help import command
from deploy.cli.preflight import preflight
from deploy.processes.process import read_settings, run_process, run_until_stopped
from models.metrics import Health, Meter
from models.settings import Settings


@command(
    "receipts sink",
    "RECEIPTS_CLICKHOUSE_URL=http://user:password@clickhouse:8123/receipts receipts sink",
    "RECEIPTS_MIGRATE_ON_START=false receipts sink",
)
def sink() -> None:
    """Write messages, counters and events to ClickHouse.

    Fills the tables of states, counters, texts, engagements, campaigns and dead letters, in whole
    batches. Checks the topics and applies missing migrations (unless
    RECEIPTS_MIGRATE_ON_START=false), then runs until SIGTERM or Ctrl-C. While ClickHouse is
    unavailable the rows wait in Kafka. Start more sinks to share the partitions.
    """
    settings = read_settings()
    sys.exit(run_process("sink", settings.sink_host, settings.sink_port, settings, _sink))


def _sink(settings: Settings, meter: Meter, health: Health) -> int:
    from reports.views import statements
    from sinks.run import run_sink

    preflight(settings, "sink")
    views = statements()
    return run_until_stopped(
        lambda stop: run_sink(settings, meter, health, stop, views=views), health
    )
