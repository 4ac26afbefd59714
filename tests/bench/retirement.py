"""A day that retires while traffic flows: how late is what is published meanwhile?

States of one day that has just left retention are put into the changelog, worker, sink and the
engine start, and traffic with probes begins as in latency.py. A worker retires by the times of the
records that it reads, so the day begins to retire with the traffic.

seconds  from the first retired state to the last, by the worker's metric, read five times a second
p50, p99 of the probes produced in that time and in the second before it, since a commit retires;
         calm: of those produced after it
"""

import asyncio
import re
import time
from typing import NamedTuple

from deploy.embedded.brokers import free_port
from models.settings import Settings
from models.time import DAY_MS
from tests.bench.cluster import BenchError
from tests.bench.latency import Load, Seen, everything, observe, quantile
from tests.bench.sink import page
from tests.bench.state_runs import (
    EVENTS_AN_HOUR,
    HOUR_MS,
    PATIENCE_S,
    STATES_A_SECOND,
    Bench,
    Retirement,
    Store,
)
from tests.bench.states import aged
from tests.bench.traffic import events, place

ASK_S = 0.2
CALM_S = 15.0
COMMIT_S = 1.0
SLOWEST = 3_000
"""Retired states a second; a run that needs more time is cut off."""
_RETIRED = re.compile(r"^receipts_retired_total ([\d.e+]+)$", re.MULTILINE)


class Window(NamedTuple):
    """When states retired, epoch seconds, and how many."""

    began: float
    ended: float
    retired: int


async def bench_retirement(bench: Bench, store: Store) -> None:
    """Retire `bench.size.retire` states of one store; the result is noted in the bench."""
    size, first = bench.size, bench.settings[store]
    await bench.fill(store, aged(_retired_hours(first), EVENTS_AN_HOUR), size.retire)
    port = free_port()
    url = f"http://default:@127.0.0.1:{port}/receipts"
    settings = first.model_copy(update={"clickhouse_url": url})
    # The sink is measured on what comes, and not on the states that the bench has made up.
    topics = await bench.cluster.names(settings.topic_prefix)
    await bench.cluster.commit_ends(settings.sink_group, topics)
    seconds = 2 * CALM_S + size.retire / SLOWEST
    count, prefix = int(seconds * size.rate), settings.topic_prefix
    background = [
        place(event, prefix, size.partitions)
        for event in events(count, size.shape, seed=2000 if store == "disk" else 2001)
    ]
    present = bench.present if store == "disk" else size.retire
    patience_s = PATIENCE_S + present / STATES_A_SECOND
    enough = asyncio.Event()
    load = Load(bench.cluster.brokers, background, size.rate, seconds, enough)
    async with everything(settings, port, patience_s) as children:
        watching = asyncio.create_task(_watch(settings.worker_port, size.retire, enough))
        seen = await observe(settings, children, load, port)
        if not watching.done():
            watching.cancel()
            raise BenchError(f"state: not all retired after {seconds:.0f} s on {store}")
    run = _figures(store, present, seen, watching.result())
    bench.note(bench.found.retirements, run)


def _retired_hours(settings: Settings) -> list[int]:
    """The ends of the hours of the latest day that is out of retention, epoch ms."""
    today = time.time_ns() // 1_000_000 // DAY_MS * DAY_MS
    begin = today - (settings.retention_days + 1) * DAY_MS
    return [begin + (hour + 1) * HOUR_MS - 1 for hour in range(24)]


async def _watch(port: int, wanted: int, enough: asyncio.Event) -> Window:
    """Until all is retired and some calm traffic has followed; then the load is enough.

    The load ends by itself where that takes too long; then this is called off.
    """
    began = ended = 0.0
    retired = 0
    while retired < wanted:
        found = _RETIRED.search(await asyncio.to_thread(page, port, "metrics"))
        now, count = time.time(), int(float(found[1])) if found else 0
        if count > retired:
            began, ended, retired = began or now, now, count
        await asyncio.sleep(ASK_S)
    await asyncio.sleep(CALM_S)
    enough.set()
    return Window(began, ended, retired)


def _figures(store: Store, present: int, seen: Seen, window: Window) -> Retirement:
    began = window.began - COMMIT_S
    meanwhile = [d for at, _, d in seen.probes.seen if began <= at <= window.ended]
    calm = [d for at, _, d in seen.probes.seen if at > window.ended]
    unseen = len(seen.probes.waiting)
    return Retirement(
        store=store,
        states=present,
        retired=window.retired,
        seconds=round(window.ended - window.began, 1),
        events_per_s=round(seen.published / (seen.ended - seen.began), 1),
        probes=len(meanwhile),
        p50_s=quantile(meanwhile, 0.5),
        p99_s=quantile(meanwhile, 0.99),
        max_s=quantile(meanwhile, 1.0),
        calm_p99_s=quantile(calm, 0.99),
        wrong=f"{unseen} probes were never seen" if unseen else "",
    )
