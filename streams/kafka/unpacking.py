"""Kafka's codecs, with a limit on the decompressed size of a batch.

The broker's size limit is for the compressed batch: 1 MB can decompress to gigabytes, and the
client's own decoders would do that in memory.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Final

import cramjam
from aiokafka import codec

Unpacked = bytes | memoryview

#: Ordinary batches of text unpack to 5 to 30 times their size of at most 1 MB.
MAX_UNPACKED_BYTES: Final = 64 * 1024**2

#: The first buffer's size relative to the input; only larger output costs a second attempt.
_USUAL_RATIO: Final = 16
_USUAL_MIN: Final = 64 * 1024

_XERIAL: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER: Final = 16
_GZIP_WINDOW: Final = 31


class Damaged(Exception):
    """Bytes that cannot be read; the text is the reason."""


def unpack(codec_id: int, packed: memoryview, limit: int = MAX_UNPACKED_BYTES) -> Unpacked:
    """Decompress `packed`. codec_id: that of Kafka's record batches (1 gzip ... 4 zstd).

    Raises Damaged: an unknown codec, bytes that are not of it, or more than `limit` bytes.
    """
    if codec_id not in _CODECS:
        raise Damaged(f"its codec {codec_id} is unknown")
    name, decode = _CODECS[codec_id]
    try:
        unpacked = decode(packed, limit)
    except (zlib.error, cramjam.DecompressionError, ValueError) as error:
        raise Damaged(f"it cannot be unpacked by {name} ({error})") from error
    if unpacked is None:
        raise Damaged(f"{len(packed)} bytes of {name} unpack to more than {limit}")
    return unpacked


def missing_codecs() -> list[str]:
    """Names of Kafka's codecs that the client cannot read as it is installed."""
    return [
        name
        for name, found in (
            ("gzip", codec.has_gzip()),
            ("snappy", codec.has_snappy()),
            ("lz4", codec.has_lz4()),
            ("zstd", codec.has_zstd()),
        )
        if not found
    ]


# --- one function a codec: None when there is more than `limit` --------------------------------


def _gzip(packed: memoryview, limit: int) -> Unpacked | None:
    parts, size, rest = [], 0, bytes(packed)
    while rest:  # a stream may have several members
        member = zlib.decompressobj(_GZIP_WINDOW)
        part = member.decompress(rest, limit - size + 1)
        parts.append(part)
        size += len(part)
        if size > limit:
            return None
        if not member.eof:
            raise Damaged("it cannot be unpacked by gzip (it is cut off)")
        rest = member.unused_data
    return b"".join(parts)


def _snappy(packed: memoryview, limit: int) -> Unpacked | None:
    size = sum(cramjam.snappy.decompress_raw_len(block) for block in _snappy_blocks(packed))
    return codec.snappy_decode(packed) if size <= limit else None


def _snappy_blocks(packed: memoryview) -> list[bytes]:
    """Java clients write blocks with length prefixes; other clients write one block."""
    if bytes(packed[: len(_XERIAL)]) != _XERIAL:
        return [bytes(packed)]
    blocks, start = [], _XERIAL_HEADER
    while start < len(packed):
        end = start + 4 + int.from_bytes(packed[start : start + 4], "big")
        blocks.append(bytes(packed[start + 4 : end]))
        start = end
    return blocks


def _lz4(packed: memoryview, limit: int) -> Unpacked | None:
    return _into(cramjam.lz4.decompress_into, packed, limit)


def _zstd(packed: memoryview, limit: int) -> Unpacked | None:
    return _into(cramjam.zstd.decompress_into, packed, limit)


def _into(
    decompress_into: Callable[[memoryview, bytearray], int], packed: memoryview, limit: int
) -> Unpacked | None:
    usual = min(limit, _USUAL_MIN + _USUAL_RATIO * len(packed))
    for room in (usual, limit):
        space = bytearray(room)
        try:
            return memoryview(space)[: decompress_into(packed, space)]
        except cramjam.DecompressionError as error:
            if "whole buffer" not in str(error):
                raise
    return None


_CODECS: Final[Mapping[int, tuple[str, Callable[[memoryview, int], Unpacked | None]]]] = {
    1: ("gzip", _gzip),
    2: ("snappy", _snappy),
    3: ("lz4", _lz4),
    4: ("zstd", _zstd),
}
