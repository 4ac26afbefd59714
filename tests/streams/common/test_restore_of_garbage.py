"""A changelog with records that are not ours: they count as not written, nothing else changes."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from models.joining import join_encoded
from models.masking import mask_key
from models.state import MessageState, check_record, decode, encode
from streams.batching import MemoryStore
from streams.batching.table import _Held, _join
from streams.kafka.reading import Place, UnreadableRecord
from tests.support.records import Record, record

KEY = b"acme/m-1"
GOOD = encode(MessageState(version=5 << 32, queued_at=7))
NEWER = encode(MessageState(version=5 << 32 | 1, queued_at=7, delivered_at=9))
GARBAGE = [
    b"",
    b"\xc1",
    b"garbage",
    b"{}",
    GOOD[:-1],
    GOOD + b"\x00",
    encode(["version"]),
    encode([-1]),
    encode([1 << 63]),
    encode([5 << 32, "not a list of sends"]),
]


def restored(*records: Any) -> tuple[_Held, list[tuple[Place, str]]]:
    held, reports = _Held(MemoryStore()), list[tuple[Place, str]]()
    table: Any = SimpleNamespace(
        merge=join_encoded,
        check=check_record,
        report=lambda place, fault: reports.append((place, fault)),
    )
    _join(held, records, table)
    return held, reports


def at(offset: int, value: bytes | None, key: bytes | None = KEY) -> Record:
    return record("message-states", key, value, 0, partition=3, offset=offset)


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_between_two_states(garbage: bytes) -> None:
    held, reports = restored(at(1, GOOD), at(2, garbage), at(3, NEWER))
    assert decode(held.store[KEY]).delivered_at == 9
    assert [place for place, _ in reports] == [Place("message-states", 3, 2, KEY)]
    assert reports[0][0].shown(mask_key) == "topic message-states, partition 3, offset 2"


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_at_the_end_is_written_over(garbage: bytes) -> None:
    held, reports = restored(at(1, GOOD), at(2, garbage))
    assert held.store == {KEY: GOOD} and held.merged == {KEY}
    assert len(reports) == 1


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_at_the_beginning(garbage: bytes) -> None:
    held, reports = restored(at(1, garbage), at(2, GOOD))
    assert held.store == {KEY: GOOD}
    assert reports


def test_a_record_that_the_client_cannot_read() -> None:
    fields = [field.name for field in dataclasses.fields(UnreadableRecord)]
    values: dict[str, Any] = dict.fromkeys(fields) | {
        "topic": "message-states", "partition": 3, "offset": 2, "key": KEY, "value": NEWER,
        "fault": "header 1: its name is not UTF-8",
    }  # fmt: skip
    held, reports = restored(at(1, GOOD), UnreadableRecord(**values))
    assert held.store == {KEY: GOOD}
    assert reports == [(Place("message-states", 3, 2, KEY), "header 1: its name is not UTF-8")]


def test_a_record_without_a_key() -> None:
    held, reports = restored(at(1, GOOD, None))
    assert held.store == {} and len(reports) == 1


def test_a_tombstone_after_garbage_deletes() -> None:
    held, _ = restored(at(1, GOOD), at(2, b"\xc1"), at(3, None))
    assert held.store == {} and held.merged == set()
