"""What a callback costs a worker, without Kafka: reading it, and finding its message.

python -m tests.bench.correlation [--receipts 20000] [--repeats 3]

translate: a callback into receipts, by provider: its cheapest, median and dearest sample.
correlate:
a receipt that its URL names, and one that is looked up by its id: with the link first, and before
its link. All in µs of CPU for each callback or receipt, the best of all repeats.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from statistics import median
from typing import Final

from rich.console import Console
from rich.table import Table

from models.callbacks import RawCallback
from models.correlation import Link
from models.endpoints import read_endpoints
from models.providers import ADAPTERS
from models.providers.callback import Callback
from models.routes import Routes
from streams.batching.stores.memory import MemoryStore
from streams.common.plan import Plan
from streams.correlation.shard import CorrelationRules, CorrelationShard
from tests.models.providers.samples import SAMPLES_BY_PROVIDER
from tests.support.records import Record, record

NOW: Final = 1_790_000_000_000
BATCH: Final = 500
ROUTES: Final = Routes(
    read_endpoints(
        'public_url = "https://receipts.example.com"\n'
        + "".join(
            f'[endpoints.{name}]\nprovider = "{name}"\naccount = "acme"\nunverified = true\n'
            'zone = "Europe/London"\n'
            for name in ADAPTERS
        )
    ).endpoints
)


class Bench:
    """A shard and its store. seconds: CPU of all plans so far"""

    def __init__(self) -> None:
        self._store = MemoryStore()
        self._shard = CorrelationShard(0, self._store, CorrelationRules(1, 30, 3), ROUTES)
        self.seconds = 0.0

    def plan(self, topic: str, records: Sequence[Record]) -> list[Plan]:
        """Decide all records in batches, and keep what changes."""
        plans = []
        for start in range(0, len(records), BATCH):
            batch = records[start : start + BATCH]
            began = time.process_time()
            plan = self._shard.plan(topic, batch, NOW)
            self.seconds += time.process_time() - began
            for key, value in plan.changes.items():
                assert value is not None
                self._store[key] = value
            plans.append(plan)
        return plans


def callback(endpoint: str, found: Callback, reference: str = "") -> Record:
    """As `receipts listen` keeps it."""
    raw = RawCallback(found.body, endpoint, found.content_type, found.query, reference, NOW)
    return record("callbacks", None, raw.body, NOW, headers=tuple(raw.headers()))


def translating(repeats: int) -> Iterable[tuple[str, list[float]]]:
    """Providers, and µs for a callback of each of their samples, sorted."""
    for provider in ADAPTERS:
        taken = [
            best(repeats, BATCH, partial(_seconds, "callbacks", [each] * BATCH))
            for each in (
                callback(provider, sample.callback, "acme/m1")
                for sample in SAMPLES_BY_PROVIDER[provider]
            )
        ]
        yield provider, sorted(taken)


def _seconds(topic: str, records: Sequence[Record]) -> float:
    bench = Bench()
    bench.plan(topic, records)
    return bench.seconds


def best(repeats: int, count: int, run: Callable[[], float]) -> float:
    """µs for each of `count`."""
    return min(run() for _ in range(repeats)) / count * 1e6


def correlating(receipts: int, link_first: bool) -> float:
    """Seconds for so many receipts of Twilio under their ids, without reading the callbacks."""
    bench = Bench()
    records = [
        callback("twilio", Callback(b"MessageSid=SM%032x&MessageStatus=delivered" % number))
        for number in range(receipts)
    ]
    waiting = [
        record("provider-receipts", key, value, NOW)
        for plan in bench.plan("callbacks", records)
        for key, value in plan.outputs["provider-receipts"]
    ]
    links = [
        record("provider-links", key, value, NOW)
        for number in range(receipts)
        for key, value in ROUTES.links_of(
            "acme", "twilio", f"SM{number:032x}", "", "", Link(NOW, f"m{number}", 1)
        )
    ]
    bench.seconds = 0.0
    order = [("provider-links", links), ("provider-receipts", waiting)]
    plans = [bench.plan(*each) for each in (order if link_first else reversed(order))]
    published = sum(len(plan.outputs["receipts"]) for plan in plans[1])
    assert published == receipts, published
    return bench.seconds


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--receipts", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    repeats, receipts = options.repeats, options.receipts
    read = Table("provider", "samples", "min", "median", "max", title="translate, µs a callback")
    for provider, taken in translating(repeats):
        figures = (f"{each:.0f}" for each in (taken[0], median(taken), taken[-1]))
        read.add_row(provider, str(len(taken)), *figures)
    named = [
        callback(
            "twilio",
            Callback(b"MessageSid=SM%032x&MessageStatus=delivered" % number),
            f"acme/m{number}",
        )
        for number in range(receipts)
    ]
    found = Table("receipt", "µs", title="correlate, µs a receipt")
    direct = best(repeats, receipts, partial(_seconds, "callbacks", named))
    found.add_row("named by its URL, with reading it", f"{direct:.0f}")
    for name, link_first in (("link first", True), ("receipt first", False)):
        taken_us = best(repeats, receipts, partial(correlating, receipts, link_first))
        found.add_row(f"{name}: link and receipt", f"{taken_us:.0f}")
    for table in (read, found):
        Console().print(table)


if __name__ == "__main__":
    main()
