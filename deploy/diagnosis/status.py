"""One look at an installation: Kafka, ClickHouse and the pages of processes, all at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec
from aiokafka.errors import KafkaError

from deploy import __version__
from deploy.diagnosis.clickhouse import read_clickhouse, read_suppressed
from deploy.diagnosis.findings import Finding, is_well, sorted_findings
from deploy.diagnosis.judge import judge
from deploy.diagnosis.kafka import read_kafka
from deploy.diagnosis.pages import default_pages, own_certificate, read_pages, trust_in
from deploy.diagnosis.readings import Database, Kafka, Page, Status
from deploy.diagnosis.steps import (
    REQUEST_S,
    SOURCE_S,
    clickhouse_finding,
    in_thread,
    kafka_finding,
    reason,
)
from models.settings import Settings
from sinks.errors import SinkError
from streams.kafka.reading import UnusableClient


async def look(settings: Settings, pages: Sequence[str] = (), cafile: str = "") -> Status:
    """Everything that can be read within seconds. What does not answer is a finding.

    pages: addresses of the pages of processes; (): those of the settings, if they answer.
    cafile: PEM file with the authority of the pages' certificates; "": those of the system
    """
    now_s = time.time()
    kafka, clickhouse, processes = await asyncio.gather(
        _kafka(settings, int(now_s * 1000)),
        _clickhouse(settings.sink_url),
        _pages(settings, pages, cafile, now_s),
    )
    found = sorted_findings(judge(kafka, clickhouse, processes, __version__))
    return Status(
        taken_at=int(now_s * 1000),
        version=__version__,
        topic_prefix=settings.topic_prefix,
        well=is_well(found),
        findings=found,
        kafka=kafka if isinstance(kafka, Kafka) else None,
        kafka_problem="" if isinstance(kafka, Kafka) else kafka.problem,
        clickhouse=clickhouse if isinstance(clickhouse, Database) else None,
        clickhouse_problem="" if isinstance(clickhouse, Database) else clickhouse.problem,
        pages=tuple(processes),
    )


async def _pages(
    settings: Settings, pages: Sequence[str], cafile: str, now_s: float
) -> tuple[Page, ...]:
    token = settings.monitoring_token
    if pages:
        return await read_pages(pages, now_s, trust_in(cafile), token, required=True)
    tls = own_certificate(settings.monitoring_certfile)
    return await read_pages(default_pages(settings), now_s, tls, token, required=False)


async def _kafka(settings: Settings, now_ms: int) -> Kafka | Finding:
    """What Kafka has, or why it cannot be read."""
    try:
        # Its steps end within SOURCE_S; what comes before and after them is quick, or it is away.
        async with asyncio.timeout(SOURCE_S + REQUEST_S):
            return await read_kafka(settings, now_ms)
    except (KafkaError, OSError, UnusableClient) as error:
        fix = "start it, or set RECEIPTS_BROKERS; `receipts doctor` tries each address"
        return kafka_finding(settings.brokers, error, fix, settings.kafka_sasl_username)


async def _clickhouse(url: str) -> Database | Finding:
    # Counting suppressed recipients may take long: the rest does not wait for it.
    counting = asyncio.create_task(_suppressed(url))
    try:
        async with asyncio.timeout(SOURCE_S):
            found = await in_thread(lambda: read_clickhouse(url))
        if found.pending:
            return found  # the view may not exist yet, or lack columns
        suppressed = await counting
        if isinstance(suppressed, str):
            unread = (*found.unread, f"suppressed recipients: {suppressed}")
            return msgspec.structs.replace(found, unread=unread)
        return msgspec.structs.replace(found, suppressed=suppressed)
    except (SinkError, OSError) as error:
        return clickhouse_finding(url, error, "RECEIPTS_CLICKHOUSE_URL")
    finally:
        counting.cancel()


async def _suppressed(url: str) -> dict[str, int] | str:
    """Suppressed recipients by channel, or why they could not be counted."""
    try:
        async with asyncio.timeout(SOURCE_S):
            return await in_thread(lambda: read_suppressed(url))
    except (SinkError, OSError) as error:
        return reason(error)
