"""Truth files and recordings: JSON lines, one published record each.

A line: {"topic", "partition", "offset", "timestamp", "key", "value", "kind", "note", "expect"}.
Bytes that are not UTF-8 are in `key_base64` / `value_base64`. A recording needs only topic and
value; a truth file is a recording too.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from deploy.simulator.event import EVERY_KIND, Published

Header = tuple[str, bytes]


class Recorded(NamedTuple):
    """One line to replay. partition None: by its key. timestamp_ms None: the time of sending."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None
    offset: int | None
    timestamp_ms: int | None
    headers: tuple[Header, ...]
    kind: str
    note: str
    expect: str


class BadRecording(ValueError):
    """A line of a recording is invalid; the text names file, line and field."""


def to_line(record: Published) -> str:
    """One line of a truth file, without the line end."""
    line: dict[str, object] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "kind": record.kind,
    }
    _put(line, "key", record.key)
    _put(line, "value", record.value)
    if record.note:
        line["note"] = record.note
    if record.expect:
        line["expect"] = record.expect
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False)


def _put(line: dict[str, object], name: str, value: bytes | None) -> None:
    try:
        line[name] = None if value is None else value.decode()
    except UnicodeDecodeError:
        line[f"{name}_base64"] = b64encode(value or b"").decode()


def read_recording(path: Path) -> Iterator[Recorded]:
    """The records of one recording. Raises `BadRecording` naming line and field."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield _recorded(json.loads(line))
                except (ValueError, TypeError) as error:
                    raise BadRecording(f"{path}:{number}: {error}") from error


def _recorded(line: object) -> Recorded:
    if not isinstance(line, dict):
        raise ValueError("not a JSON object with at least topic and value")
    topic = line.get("topic")
    if not isinstance(topic, str) or not topic:
        raise ValueError("topic: is missing or not a text. Fix: give the name of the Kafka topic")
    return Recorded(
        topic=topic,
        key=_bytes(line, "key"),
        value=_bytes(line, "value"),
        partition=_integer(line, "partition"),
        offset=_integer(line, "offset"),
        timestamp_ms=_integer(line, "timestamp"),
        headers=_headers(line.get("headers")),
        kind=str(line.get("kind") or kind_of(topic)),
        note=str(line.get("note", "")),
        expect=str(line.get("expect", "")),
    )


def _bytes(line: dict[str, object], name: str) -> bytes | None:
    """Text as UTF-8, base64 as bytes, an object (easy to write by hand) as compact JSON."""
    encoded = line.get(f"{name}_base64")
    if isinstance(encoded, str):
        return b64decode(encoded, validate=True)
    value = line.get(name)
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode()
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _integer(line: dict[str, object], name: str) -> int | None:
    value = line.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name}: {value!r} is not a whole number of 0 or more")
    return value


def _headers(headers: object) -> tuple[Header, ...]:
    """Either {"name": "text"} or [["name", "text"], ...]."""
    if headers is None:
        return ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    if not isinstance(headers, dict | list):
        raise ValueError("headers: is neither an object nor a list of pairs")
    return tuple((str(name), str(text).encode()) for name, text in pairs)  # type: ignore[attr-defined]


def kind_of(topic: str) -> str:
    """The kind of event of a topic, by the end of its name; "" for other topics."""
    return next((kind for kind in EVERY_KIND if topic.endswith(kind)), "")


def read_truth(*paths: Path) -> Iterator[Published]:
    """The published records of truth files, in file order. Raises `BadRecording`."""
    for path in paths:
        for record in read_recording(path):
            place = (record.partition, record.offset, record.timestamp_ms)
            if place[0] is None or place[1] is None or place[2] is None:
                raise BadRecording(f"{path}: a truth line needs partition, offset and timestamp")
            yield Published(
                record.topic, place[0], place[1], place[2], record.key, record.value,
                record.kind, record.note, record.expect,
            )  # fmt: skip


def write_lines(path: Path, records: Iterable[Published]) -> None:
    """Writes a whole truth file."""
    with path.open("w", encoding="utf-8") as out:
        out.writelines(to_line(record) + "\n" for record in records)
