"""All recipients that are suppressed now, from the topic `suppressions`; every worker keeps all.

The lifecycle agent looks up sends and retries, the worker's page answers senders (ADR 0008). A
suppressed recipient takes up to 180 bytes, and 210 when its channels have different reasons.
"""

import time
from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from models.keys import is_of_person, message_key, recipient_key
from models.numbers import spellings_of
from models.suppression import (
    REASONS,
    VERIFICATION_SOURCES,
    ChannelStatus,
    Suppression,
    channels_of,
    decode_checked,
)
from models.vocabulary import CHANNELS

#: Packed, an entry takes a third of the memory: its version, then what channels have in common.
_VERSION: Final = Struct("<Q")
#: channels and reasons as bits, strikes, since, until, since for all
_COMMON: Final = Struct("<BBHqqq")
_BIT_OF: Final[dict[str, int]] = {channel: 1 << place for place, channel in enumerate(CHANNELS)}


class SuppressionEntry(NamedTuple):
    """What is kept of a suppressed recipient: the channels on which it is suppressed."""

    channels: tuple[ChannelStatus, ...]
    version: int


class SuppressionIndex:
    """Who is suppressed, on which channels, since when and for what.

    Only the worker's loop writes; any thread may read.
    """

    def __init__(self) -> None:
        self._packed: dict[bytes, bytes] = {}
        self._known_at_ms = 0
        self._other_spellings = 0
        """Keys that are not their person's: 0.1.0 wrote them, and workers are moving them."""

    def take(self, key: bytes, value: bytes | None) -> None:
        """Apply one record of the topic; value None is a tombstone.

        Raises DecodeError or ValueError for a record that a restore skips too.
        """
        record = decode_checked(value) if value is not None else None
        known = self._packed.get(key)
        if record is not None and known is not None and record.version < _version(known):
            return  # a former owner of the partition wrote it after its successor
        packed = _pack(record) if record is not None else b""
        if packed:
            self._packed[key] = packed
        elif known is not None:
            del self._packed[key]
        if not is_of_person(key):
            self._other_spellings += bool(packed) - (known is not None)

    def mark_caught_up(self, at_ms: int) -> None:
        """At this moment (epoch ms) all records of the topic were applied."""
        self._known_at_ms = at_ms

    def staleness_s(self) -> float | None:
        """Seconds since the topic was last known to be applied completely; None: never yet."""
        if not self._known_at_ms:
            return None
        return max(0.0, time.time() - self._known_at_ms / 1000)

    def binds(self, account: str, recipient: str, channel: str, source: str) -> int:
        """Since when (epoch ms) such a message must not be sent; 0: it may be."""
        found = 0
        for packed in self._find(account, recipient):
            for channels, _, _, since, _, since_for_all in _common(packed):
                if channels & _BIT_OF[channel]:
                    at = since_for_all if source in VERIFICATION_SOURCES else since
                    found = min(found, at) if found and at else found or at
        return found

    def known(self, account: str, recipient: str) -> SuppressionEntry | None:
        """The entry of a recipient, in any spelling; None: it is not suppressed."""
        found = self._find(account, recipient)
        if not found:
            return None
        statuses = {
            channel: ChannelStatus(channel, True, _reasons(bits), since, until, strikes, for_all)
            for packed in reversed(found)  # the person's own record goes before the others
            for channels, bits, strikes, since, until, for_all in _common(packed)
            for channel, bit in _BIT_OF.items()
            if channels & bit
        }
        in_order = tuple(statuses[channel] for channel in CHANNELS if channel in statuses)
        return SuppressionEntry(in_order, _version(found[0]))

    def _find(self, account: str, recipient: str) -> list[bytes]:
        """The entry of the person, and those that 0.1.0 kept under other spellings."""
        if not self._other_spellings:
            packed = self._packed.get(recipient_key(account, recipient))
            return [packed] if packed else []
        keys = (message_key(account, spelling) for spelling in spellings_of(recipient))
        return [self._packed[key] for key in keys if key in self._packed]

    def __len__(self) -> int:
        return len(self._packed)


def _pack(record: Suppression) -> bytes:
    """The suppressed channels of a record; empty: none."""
    channels: dict[tuple[int, int, int, int, int], int] = {}
    for each in channels_of(record):
        if each.suppressed and each.channel in _BIT_OF:
            # A reason that only a newer version knows suppresses too, though it has no bit here.
            bits = sum(1 << place for place, name in enumerate(REASONS) if name in each.reasons)
            common = (bits, each.strikes, each.since, each.until, each.since_for_all)
            channels[common] = channels.get(common, 0) | _BIT_OF[each.channel]
    if not channels:
        return b""
    parts = (_COMMON.pack(names, *common) for common, names in channels.items())
    return _VERSION.pack(record.version) + b"".join(parts)


def _version(packed: bytes) -> int:
    version: int = _VERSION.unpack_from(packed)[0]
    return version


def _common(packed: bytes) -> Iterator[tuple[int, int, int, int, int, int]]:
    return _COMMON.iter_unpack(memoryview(packed)[_VERSION.size :])


def _reasons(bits: int) -> tuple[str, ...]:
    return tuple(reason for place, reason in enumerate(REASONS) if bits >> place & 1)
