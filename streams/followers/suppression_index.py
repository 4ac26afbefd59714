"""The numbers that are suppressed now, as the topic `suppressions` says: every worker keeps all.

The lifecycle agent asks it about sends and retries, the worker's page about what senders ask (ADR
0008). A suppressed number takes about 170 bytes.
"""

import time
from collections.abc import Iterator, Mapping
from struct import Struct
from typing import Final, NamedTuple

from models.suppression import REASONS, SuppressionReason, decode_checked

#: since, until, version, strikes, reasons as bits: packed, this is a third of the objects' memory
_PACKED: Final = Struct("<qqHQB")


class SuppressionEntry(NamedTuple):
    """What is kept of a suppressed number. Times in epoch ms; `until` 0: no end is set."""

    reasons: tuple[SuppressionReason, ...]
    since: int
    until: int
    strikes: int
    version: int


class SuppressionIndex(Mapping[bytes, int]):
    """number key → since when it is suppressed (epoch ms); others are not in it.

    Written by the worker's loop alone; any thread may read.
    """

    def __init__(self) -> None:
        self._packed: dict[bytes, bytes] = {}
        self._known_at_ms = 0

    def take(self, key: bytes, value: bytes | None) -> None:
        """Follow one record of the topic; None is a tombstone.

        Raises DecodeError or ValueError for a record that a restore steps over too.
        """
        record = decode_checked(value) if value is not None else None
        known = self.known(key)
        if record is not None and known is not None and record.version < known.version:
            return  # a former owner of the number wrote it after its successor
        if record is None or not record.suppressed:
            self._packed.pop(key, None)
            return
        # For a reason that only a newer version knows, a number is suppressed all the same.
        bits = sum(1 << place for place, reason in enumerate(REASONS) if reason in record.reasons)
        self._packed[key] = _PACKED.pack(
            record.since, record.until, record.strikes, record.version, bits
        )

    def mark_caught_up(self, at_ms: int) -> None:
        """The topic held nothing more at this moment (epoch ms)."""
        self._known_at_ms = at_ms

    def staleness_s(self) -> float | None:
        """Seconds since all that the topic held was known here; None: it never was yet."""
        if not self._known_at_ms:
            return None
        return max(0.0, time.time() - self._known_at_ms / 1000)

    def known(self, key: bytes) -> SuppressionEntry | None:
        """What is kept of a number; None: it is not suppressed."""
        packed = self._packed.get(key)
        if packed is None:
            return None
        since, until, strikes, version, bits = _PACKED.unpack(packed)
        reasons = tuple(reason for place, reason in enumerate(REASONS) if bits >> place & 1)
        return SuppressionEntry(reasons, since, until, strikes, version)

    def __getitem__(self, key: bytes) -> int:
        since: int = _PACKED.unpack(self._packed[key])[0]
        return since

    def __contains__(self, key: object) -> bool:
        return key in self._packed

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)
