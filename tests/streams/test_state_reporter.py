"""The metrics of states on disk, from real databases."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from deploy.processes.monitoring import PrometheusMeter
from streams.batching import StateFolder, StateUse
from streams.batching.stores.folder import DiskStores, MemoryStores
from streams.state_reporter import StateReporter

CACHE_BYTES = 1 << 20


@pytest.fixture
def stores(tmp_path: Path) -> DiskStores:
    return DiskStores(StateFolder(tmp_path, CACHE_BYTES, "rules"), "app", {"states": "states"})


def used(stores: DiskStores | MemoryStores) -> StateUse:
    use = stores.use()
    assert use is not None
    return use


def put(stores: DiskStores, partition: int, count: int) -> None:
    store = stores.open("states", partition)
    for number in range(count):
        store[b"%d" % number] = b"x" * 200
    store.freeze()
    store.write(count)
    stores.written({partition: store.written()})


def test_it_grows_with_the_states(stores: DiskStores) -> None:
    put(stores, 3, 10)
    before = used(stores)
    put(stores, 3, 20_000)
    stores.close(3)
    stores.open("states", 3)  # all is in files now
    after = used(stores)
    assert before.databases.keys() == after.databases.keys() == {3}
    assert after.databases[3] > before.databases[3] > 0
    assert 0 < after.free < after.total


def test_memory_stays_within_its_limits(stores: DiskStores) -> None:
    put(stores, 0, 20_000)  # of 4 MiB
    use = used(stores)
    assert use.memory.keys() == use.limits.keys() == {"values", "blocks", "unflushed"}
    assert use.limits["values"] == CACHE_BYTES
    for part, size in use.memory.items():
        assert 0 < size <= use.limits[part], part


def test_what_is_looked_for_is_counted_by_where_it_was(stores: DiskStores) -> None:
    put(stores, 0, 100)
    store, before = stores.open("states", 0), used(stores).reads
    store.prefetch([b"1", b"2", b"new", b"new"])
    store.get(b"other")
    after = used(stores).reads
    assert after["cache"] - before["cache"] == 2
    assert after["database"] - before["database"] == 2


def test_in_memory_there_is_nothing_to_report() -> None:
    registry = CollectorRegistry()
    reporter = StateReporter(MemoryStores().use, PrometheusMeter(registry, "worker"))

    async def run_once() -> None:
        task = asyncio.create_task(reporter.run())
        await asyncio.sleep(0)
        await asyncio.wait([task], timeout=0.1)
        assert not task.done()
        task.cancel()

    asyncio.run(run_once())
    assert registry.get_sample_value("receipts_state_disk_free_bytes") is None


def test_counters_go_on_and_a_partition_that_left_is_forgotten(stores: DiskStores) -> None:
    registry = CollectorRegistry()
    reporter = StateReporter(stores.use, PrometheusMeter(registry, "worker"))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    put(stores, 0, 10)
    put(stores, 1, 10)
    for _ in range(2):
        reporter.report(used(stores))
    assert value("receipts_state_reads_total", source="database") == 20
    assert value("receipts_state_bytes", partition="1")
    stores.close(1)
    stores.open("states", 0).prefetch([b"new"])
    reporter.report(used(stores))
    assert value("receipts_state_reads_total", source="database") == 21
    assert value("receipts_state_bytes", partition="0")
    assert value("receipts_state_bytes", partition="1") is None


def test_a_folder_that_is_gone_is_no_failure(stores: DiskStores) -> None:
    put(stores, 0, 10)
    for file in stores.path(0).iterdir():
        file.unlink()
    stores.path(0).rmdir()
    assert used(stores).databases == {0: 0}
