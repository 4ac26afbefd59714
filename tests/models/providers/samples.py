"""Receipts of providers as they travel on the wire, and how they have to be read."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from models.providers.callback import Callback

FOLDER: Final = Path(__file__).parents[1] / "data" / "receipts"
_TYPES: Final = {
    ".form": "application/x-www-form-urlencoded",
    ".json": "application/json",
    ".txt": "text/plain",
}


class Sample(NamedTuple):
    """One file. expected: the receipts in it, by our names; contested: fields that may differ"""

    file: str
    provider: str
    callback: Callback
    expected: list[dict[str, Any]]
    contested: frozenset[str]


def callback_of(path: Path) -> Callback:
    """The callback in a file, by the end of its name."""
    content = path.read_bytes()
    if path.suffix == ".query":
        return Callback(query=content.decode().strip())
    return Callback(body=content, content_type=_TYPES[path.suffix])


def samples() -> Iterator[Sample]:
    """All of them; those without a receipt, and those to be refused, expect nothing."""
    seen = set()
    for line in (FOLDER / "expectations.jsonl").read_text().splitlines():
        found = json.loads(line)
        if found["file"] in seen:
            continue
        seen.add(found["file"])
        usable = found["is_receipt"] and not found.get("dead_letter")
        expected = found.get("expected") or ([found] if usable else [])
        contested = frozenset(found.get("contested", ()))
        callback = callback_of(FOLDER / found["file"])
        yield Sample(found["file"], found["provider"], callback, expected, contested)


def epoch_ms(instant: str | None) -> int | None:
    """Of an RFC 3339 time; None: there is none."""
    if instant is None:
        return None
    delta = datetime.fromisoformat(instant) - datetime(1970, 1, 1, tzinfo=UTC)
    return round(delta.total_seconds() * 1000)


SAMPLES_BY_PROVIDER: Final[dict[str, list[Sample]]] = {}
for _sample in samples():
    SAMPLES_BY_PROVIDER.setdefault(_sample.provider, []).append(_sample)
