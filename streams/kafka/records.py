"""Parses Kafka's record format record by record, so that a bad record does not affect others.

Only for batches at which the client's own decoder (in C) raised: it cannot continue after a record.
Format: https://kafka.apache.org/documentation/#recordbatch
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from aiokafka.record.util import decode_varint

Headers = tuple[tuple[str, bytes | None], ...]

_LOG_APPEND_TIME = 1


class Parsed(NamedTuple):
    """One record, or what could be read of it. `fault`: why it cannot be used, empty when it can.

    timestamp: epoch ms, -1 when it could not be read
    """

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    fault: str


class BatchHeader(Protocol):
    """The used fields of a batch's header."""

    @property
    def base_offset(self) -> int: ...
    @property
    def next_offset(self) -> int: ...
    @property
    def first_timestamp(self) -> int: ...
    @property
    def max_timestamp(self) -> int: ...
    @property
    def timestamp_type(self) -> int: ...


def parse_records(payload: bytes, batch: BatchHeader, *, dense: bool) -> Iterator[Parsed]:
    """The records of an unpacked batch in their order; those that cannot be read with a fault.

    dense: the batch has a record for each of its offsets

    Where the length of a record is damaged, the rest of the batch is one record with a fault.
    """
    start, offset = 0, batch.base_offset
    while start < len(payload) and offset < batch.next_offset:
        try:
            length, body = decode_varint(payload, start)
            if length < 0 or body + length > len(payload):
                raise ValueError(f"a length of {length} with {len(payload) - body} bytes left")
        except (ValueError, IndexError) as error:
            last = f"the rest of a batch, offsets {offset} to {batch.next_offset - 1}: {error}"
            yield _unusable(offset, payload[start:], last)
            return
        record = _parse_one(payload[body : body + length], offset, batch, dense)
        yield record
        start, offset = body + length, record.offset + 1


def _parse_one(body: bytes, expected: int, batch: BatchHeader, dense: bool) -> Parsed:
    try:
        delta, pos = decode_varint(body, 1)  # the attributes of a record, one byte, are unused
        appended = batch.timestamp_type == _LOG_APPEND_TIME
        timestamp = batch.max_timestamp if appended else batch.first_timestamp + delta
        delta, pos = decode_varint(body, pos)
        offset = batch.base_offset + delta
        if not expected <= offset < (expected + 1 if dense else batch.next_offset):
            raise ValueError(f"an offset of {offset}")
        key, pos = _bytes(body, pos)
        value, pos = _bytes(body, pos)
    except (ValueError, IndexError) as error:
        return _unusable(expected, body, f"a record that cannot be read: {error}")
    headers, fault = _headers(body, pos)
    return Parsed(offset, timestamp, batch.timestamp_type, key, value, headers, fault)


def _bytes(body: bytes, pos: int) -> tuple[bytes | None, int]:
    size, pos = decode_varint(body, pos)
    if size < 0:
        return None, pos
    if pos + size > len(body):
        raise ValueError(f"{size} bytes of a key or value, {len(body) - pos} are left")
    return bytes(body[pos : pos + size]), pos + size


def _headers(body: bytes, pos: int) -> tuple[Headers, str]:
    """(headers up to the first that cannot be read, what is wrong with that one)"""
    headers: list[tuple[str, bytes | None]] = []
    try:
        count, pos = decode_varint(body, pos)
        if count < 0:
            raise ValueError(f"a number of {count}")
        for _ in range(count):
            name, pos = _bytes(body, pos)
            content, pos = _bytes(body, pos)
            if name is None:
                raise ValueError("it has no name")
            headers.append((name.decode(), content))
        if pos != len(body):
            raise ValueError(f"{len(body) - pos} bytes behind the last header")
    except UnicodeDecodeError as error:
        return tuple(headers), f"header {len(headers) + 1}: its name is not UTF-8: {error.object!r}"
    except (ValueError, IndexError) as error:
        return tuple(headers), f"header {len(headers) + 1}: {error}"
    return tuple(headers), ""


def _unusable(offset: int, value: bytes, fault: str) -> Parsed:
    return Parsed(offset, -1, 0, None, bytes(value), (), fault)
