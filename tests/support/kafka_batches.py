"""Record batches byte by byte, and a producer that sends them as they are: what no client library
would send, but some client does."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from typing import Any

import cramjam
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.codec import lz4_encode
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

#: Ids of Kafka's codecs in the attributes of a batch.
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
HEADER_BYTES = 61

Headers = Sequence[tuple[str, bytes | None]]
Content = tuple[bytes | None, bytes | None, Headers]


def batch(
    base: int, records: Sequence[Content], codec: int = 0, timestamp_ms: int = 1_000
) -> bytes:
    """A record batch as a producer sends it and a broker stores it."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 30)
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


def with_header_name(data: bytes, name: bytes, instead_of: bytes) -> bytes:
    """The batch with another name of a header, of the same length, UTF-8 or not."""
    assert len(name) == len(instead_of) and data.count(instead_of) == 1
    return resealed(data.replace(instead_of, name))


async def produce_raw(brokers: str, topic: str, partition: int, data: bytes) -> int:
    """Send a batch as it is; the offset it got. AssertionError when the broker refuses it."""
    producer = AIOKafkaProducer(bootstrap_servers=brokers)
    await producer.start()
    try:
        await producer.partitions_for(topic)
        node = producer.client.cluster.leader_for_partition(TopicPartition(topic, partition))
        request = ProduceRequest(
            transactional_id=None,
            required_acks=-1,
            timeout=10_000,
            topics=[(topic, [(partition, data)])],
        )
        answer = await producer.client.send(node, request)
        ((_, ((_, error, offset, *_),)),) = answer.topics
        assert error == 0, f"the broker refuses the batch: error {error}"
        return int(offset)
    finally:
        await producer.stop()
