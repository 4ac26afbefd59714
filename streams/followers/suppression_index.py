"""All recipients that are suppressed now, from the topic `suppressions`; every worker keeps all.

The lifecycle agent looks up sends and retries, the worker's page answers senders (ADR 0008). A
suppressed recipient takes about 170 bytes.
"""

import time
from collections.abc import Iterator, Mapping
from struct import Struct
from typing import Final, NamedTuple

from models.suppression import REASONS, SuppressionReason, decode_checked

#: since, until, version, strikes, reasons as bits: packed, it takes a third of the memory
_PACKED: Final = Struct("<qqHQB")


class SuppressionEntry(NamedTuple):
    """What is kept of a suppressed recipient. Times in epoch ms; until 0: until released."""

    reasons: tuple[SuppressionReason, ...]
    since: int
    until: int
    strikes: int
    version: int


class SuppressionIndex(Mapping[bytes, int]):
    """Recipient key → since when it is suppressed (epoch ms), for suppressed recipients only.

    Only the worker's loop writes; any thread may read.
    """

    def __init__(self) -> None:
        self._packed: dict[bytes, bytes] = {}
        self._known_at_ms = 0

    def take(self, key: bytes, value: bytes | None) -> None:
        """Apply one record of the topic; value None is a tombstone.

        Raises DecodeError or ValueError for a record that a restore skips too.
        """
        record = decode_checked(value) if value is not None else None
        known = self.known(key)
        if record is not None and known is not None and record.version < known.version:
            return  # a former owner of the partition wrote it after its successor
        if record is None or not record.suppressed:
            self._packed.pop(key, None)
            return
        # A reason that only a newer version knows suppresses too, though it has no bit here.
        bits = sum(1 << place for place, reason in enumerate(REASONS) if reason in record.reasons)
        self._packed[key] = _PACKED.pack(
            record.since, record.until, record.strikes, record.version, bits
        )

    def mark_caught_up(self, at_ms: int) -> None:
        """At this moment (epoch ms) all records of the topic were applied."""
        self._known_at_ms = at_ms

    def staleness_s(self) -> float | None:
        """Seconds since the topic was last known to be applied completely; None: never yet."""
        if not self._known_at_ms:
            return None
        return max(0.0, time.time() - self._known_at_ms / 1000)

    def known(self, key: bytes) -> SuppressionEntry | None:
        """The entry of a recipient; None: it is not suppressed."""
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
