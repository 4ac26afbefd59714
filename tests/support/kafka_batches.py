"""Record batches byte by byte, and a producer that sends them as they are: what no client library
would send, but some client does."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Sequence
from typing import Any, Self

import cramjam
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.codec import lz4_encode
from aiokafka.errors import NodeNotReadyError, NoError, for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.util import calc_crc32c

#: Ids of Kafka's codecs in the attributes of a batch.
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
HEADER_BYTES = 61
#: An election or a restart of a broker takes no longer.
PASSES_S = 30.0

Headers = Sequence[tuple[str, bytes | None]]
Content = tuple[bytes | None, bytes | None, Headers]


class RawName(str):
    """A header name of bytes that need not be UTF-8."""

    raw: bytes

    def __new__(cls, raw: bytes) -> Self:
        """raw: the bytes on the wire."""
        made = super().__new__(cls, raw.decode("latin-1"))
        made.raw = raw
        return made

    def encode(self, *_: Any) -> bytes:
        """The bytes, where aiokafka's builder in Python encodes the name."""
        return self.raw


def batch(
    base: int, records: Sequence[Content], codec: int = 0, timestamp_ms: int = 1_000
) -> bytes:
    """A record batch as a producer sends it and a broker stores it.

    Names of headers may be RawName; the n-th record has the time timestamp_ms + n.
    """
    # The builder in C checks names; the one in Python lets RawName through.
    builder = _DefaultRecordBatchBuilderPy(2, codec, 0, -1, -1, -1, 1 << 30)
    for place, (key, value, headers) in enumerate(records):
        builder.append(place, timestamp_ms + place, key, value, list(headers))
    built: bytes = bytes(builder.build())
    return base.to_bytes(8, "big") + built[8:]


def resealed(data: bytes) -> bytes:
    """The batch with the checksum of what it holds now: damage by its producer."""
    checksum: int = calc_crc32c(data[21:])
    return data[:17] + checksum.to_bytes(4, "big") + data[21:]


def packed(data: bytes, codec: int) -> bytes:
    """The same batch packed. Snappy as librdkafka does it: one block, no frame."""
    pack: dict[int, Any] = {
        0: bytes,
        1: gzip.compress,
        2: cramjam.snappy.compress_raw,
        3: lz4_encode,  # brokers refuse frames of linked blocks
        4: cramjam.zstd.compress,
    }
    body = bytes(pack[codec](data[HEADER_BYTES:]))
    head = bytearray(data[:HEADER_BYTES])
    head[22] |= codec
    head[8:12] = (len(head) - 12 + len(body)).to_bytes(4, "big")
    return resealed(bytes(head) + body)


async def produce_raw(brokers: str, topic: str, partition: int, data: bytes) -> int:
    """Send a batch as it is; the offset it got. AssertionError when the broker refuses it.

    What passes, such as an election, is waited for.
    """
    producer = AIOKafkaProducer(bootstrap_servers=brokers)
    await producer.start()
    deadline = time.monotonic() + PASSES_S
    try:
        while True:
            error, offset = await _produce(producer, topic, partition, data)
            if error is NoError:
                return offset
            assert error.retriable and time.monotonic() < deadline, f"refused: {error.__name__}"
            await asyncio.sleep(0.2)
            await producer.client.force_metadata_update()
    finally:
        await producer.stop()


async def _produce(
    producer: AIOKafkaProducer, topic: str, partition: int, data: bytes
) -> tuple[Any, int]:
    await producer.partitions_for(topic)
    node = producer.client.cluster.leader_for_partition(TopicPartition(topic, partition))
    request = ProduceRequest(
        transactional_id=None,
        required_acks=-1,
        timeout=10_000,
        topics=[(topic, [(partition, data)])],
    )
    try:
        answer = await producer.client.send(node, request)
    except NodeNotReadyError:  # no leader now
        return NodeNotReadyError, -1
    ((_, ((_, error, offset, *_),)),) = answer.topics
    return for_code(error), int(offset)
