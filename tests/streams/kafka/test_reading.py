"""What brokers send is read whole, whatever is damaged in it: no offset is lost or read twice."""

from __future__ import annotations

import gzip
from collections.abc import Iterable

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.consumer import fetcher
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.kafka import unpacking
from streams.kafka.reading import FETCHES, UnreadableRecord, guard_reading
from streams.kafka.unpacking import Damaged, missing_codecs, unpack
from tests.support.kafka_batches import CODECS, Content, RawName, batch, packed, resealed

_TP = TopicPartition("receipts", 3)

guard_reading()


def fetch(data: bytes, at: int) -> tuple[list[ConsumerRecord], int]:
    """What a consumer gets of one fetch, and where it fetches next."""
    records = fetcher.MemoryRecords(data)
    assert records.has_next() == bool(data)
    found = fetcher.PartitionRecords(
        _TP, records, None, at, None, None, True, fetcher.READ_COMMITTED
    )
    return list(found), found.next_fetch_offset


def read_all(log: bytes, at: int, end: int) -> list[ConsumerRecord]:
    """Fetch until nothing more comes, as a consumer does; the broker sends what is asked for."""
    found: list[ConsumerRecord] = []
    for _ in range(100):
        if at >= end:
            return found
        records, at = fetch(log, at)
        found += records
    raise AssertionError(f"stuck at {at}")


def plain(count: int, size: int = 20) -> list[Content]:
    return [(b"key %d" % place, b"v" * size, [("h", b"x")]) for place in range(count)]


def faults(records: Iterable[ConsumerRecord]) -> dict[int, str]:
    return {r.offset: r.fault for r in records if isinstance(r, UnreadableRecord)}


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_every_codec_is_read(codec: int) -> None:
    log = batch(10, plain(500, 300), codec) + batch(510, plain(3), codec)
    records = read_all(log, 10, 513)
    assert [r.offset for r in records] == list(range(10, 513))
    assert records[7].key == b"key 7" and records[7].value == b"v" * 300
    assert records[7].headers == (("h", b"x"),) and records[7].timestamp == 1_007
    assert not faults(records)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_header_name_that_is_not_utf8_costs_its_record_alone(codec: int) -> None:
    payload = batch(5, [*plain(2), (b"k", b"value", [(RawName(b"\xff\xfe!"), b"1")]), *plain(2)])
    log = packed(payload, codec)
    records = read_all(log, 5, 10)
    assert [r.offset for r in records] == [5, 6, 7, 8, 9]
    assert faults(records) == {7: "header 1: its name is not UTF-8: b'\\xff\\xfe!'"}
    assert (records[2].key, records[2].value, records[2].timestamp) == (b"k", b"value", 1_002)


def test_a_damaged_batch_is_fetched_again_and_then_stepped_over() -> None:
    log = bytearray(batch(5, plain(10)) + batch(15, plain(2)))
    log[100] ^= 1
    for _ in range(FETCHES - 1):
        assert fetch(bytes(log), 5) == ([], 5)
    records, following = fetch(bytes(log), 5)
    assert following == 17
    assert faults(records) == {5: "a batch, offsets 5 to 14: its checksum is wrong"}
    assert records[0].value == bytes(log[: len(batch(5, plain(10)))])
    assert [r.offset for r in records] == [5, 15, 16]


def test_a_batch_that_was_damaged_on_the_way_is_read_at_the_next_fetch() -> None:
    log = batch(5, plain(10))
    damaged = log[:-1] + bytes([log[-1] ^ 1])
    assert fetch(damaged, 5) == ([], 5)
    records, following = fetch(log, 5)
    assert following == 15 and len(records) == 10 and not faults(records)


@pytest.mark.parametrize("name", ["gzip", "snappy", "lz4", "zstd"])
def test_a_batch_that_unpacks_to_gigabytes_is_not_unpacked(name: str) -> None:
    payload = batch(5, [(b"k", bytes(unpacking.MAX_UNPACKED_BYTES), [])])
    records = read_all(packed(payload, CODECS[name]) + batch(6, plain(1)), 5, 7)
    assert [r.offset for r in records] == [5, 6]
    assert "unpack to more than 67108864" in faults(records)[5]
    assert len(records[0].value) < unpacking.MAX_UNPACKED_BYTES / 10


@pytest.mark.parametrize("codec", [1, 2, 3, 4, 5, 7])
def test_bytes_that_are_not_of_their_codec(codec: int) -> None:
    data = bytearray(batch(5, plain(3)))
    data[22] |= codec
    records = read_all(resealed(bytes(data)) + batch(8, plain(1)), 5, 9)
    assert list(faults(records)) == [5] and [r.offset for r in records] == [5, 8]


def test_a_damaged_length_costs_one_offset_at_a_time() -> None:
    data = bytearray(batch(5, plain(2)))
    data[8:12] = (1 << 30).to_bytes(4, "big")
    records = read_all(bytes(data), 5, 7)
    assert list(faults(records)) in ([5], [5, 6])
    assert "its length is wrong" in records[0].fault


def test_a_response_cut_at_its_size_limit_is_no_damage() -> None:
    whole = batch(5, plain(3))
    for cut in range(1, len(whole)):
        records, following = fetch(batch(3, plain(2)) + whole[:cut], 3)
        assert [r.offset for r in records] == [3, 4] and following == 5


def test_a_fetch_from_inside_of_a_batch() -> None:
    records, following = fetch(batch(5, plain(10)), 12)
    assert [r.offset for r in records] == [12, 13, 14] and following == 15


def test_a_length_inside_a_batch_that_is_damaged_ends_it_only() -> None:
    data = batch(5, [(b"k", b"v" * 30, [])] * 4)
    second = data.index(b"v" * 30, data.index(b"v" * 30) + 30) - 7
    broken = bytearray(data)
    broken[second : second + 2] = b"\xfe\x7f"
    records = read_all(resealed(bytes(broken)) + batch(9, plain(1)), 5, 10)
    assert [r.offset for r in records] == [5, 6, 9]
    assert list(faults(records)) == [6] and "offsets 6 to 8" in faults(records)[6]


def test_a_response_that_unpacks_to_gigabytes_is_read_in_parts() -> None:
    """Each batch is within the bound, all of them together are not."""
    size = unpacking.MAX_UNPACKED_BYTES // 4
    whole = b"".join(
        packed(batch(place, [(b"k", bytes(size), [])]), CODECS["zstd"]) for place in range(20)
    )
    assert len(whole) < 100_000
    records, following = fetch(whole, 0)
    assert 4 <= len(records) <= 5 and following == len(records)
    rest = whole[len(whole) * following // 20 :]
    assert fetch(rest, following)[0][0].offset == following


def test_a_control_batch_that_cannot_be_read() -> None:
    data = bytearray(batch(5, [(b"", b"", []), (b"", b"", [])]))
    data[22] |= 0x30  # of a transaction, control
    records = read_all(resealed(bytes(data)) + batch(7, plain(1)), 5, 8)
    assert [r.offset for r in records] == [5, 7] and "control record" in faults(records)[5]


def test_a_batch_behind_what_is_to_be_read_is_skipped() -> None:
    log = batch(0, plain(1)) + batch(1, plain(3))
    records, following = fetch(log, 2)
    assert [r.offset for r in records] == [2, 3] and following == 4
    assert not faults(records)


@settings(max_examples=300, deadline=None)
@given(
    at=st.integers(0, 10_000),
    flips=st.lists(st.tuples(st.integers(8, 10_000), st.integers(0, 255)), max_size=6),
    codec=st.sampled_from(list(CODECS.values())),
    sealed=st.booleans(),
)
def test_whatever_is_damaged_the_batch_behind_it_is_read(
    at: int, flips: list[tuple[int, int]], codec: int, sealed: bool
) -> None:
    """Any bytes of a batch may be wrong, with a right checksum or not: never an exception, never a
    stop, never an offset twice."""
    data = bytearray(batch(at, plain(6), codec))
    length = bytes(data[8:12])
    for place, value in flips:
        data[place % len(data)] = value
    data[0:8] = at.to_bytes(8, "big")
    data[8:12] = length  # a wrong length hides where the next batch begins: a test of its own
    log = (resealed(bytes(data)) if sealed else bytes(data)) + batch(at + 6, plain(2))
    records = read_all(log, at, at + 8)
    offsets = [r.offset for r in records]
    assert offsets == sorted(set(offsets))
    assert offsets[-2:] == [at + 6, at + 7] and not faults(records[-2:])
    if offsets[:6] != list(range(at, at + 6)):
        assert faults(records) or _claims_fewer_records(bytes(data))


def _claims_fewer_records(data: bytes) -> bool:
    """A batch that counts fewer records, or is a control or aborted batch, has no more to read."""
    count = int.from_bytes(data[57:61], "big", signed=True)
    return count != 6 or bool(data[22] & 0x30)


def test_a_codec_bound_counts_all_members_of_gzip() -> None:
    packed = gzip.compress(b"a" * 600) + gzip.compress(b"b" * 600)
    assert bytes(unpack(1, memoryview(packed), 1_200)) == b"a" * 600 + b"b" * 600
    with pytest.raises(Damaged, match="unpack to more than 1199"):
        unpack(1, memoryview(packed), 1_199)
    with pytest.raises(Damaged, match="cut off"):
        unpack(1, memoryview(packed[:-3]))


def test_the_codecs_are_installed() -> None:
    assert missing_codecs() == []
