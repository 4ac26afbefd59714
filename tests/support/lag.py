"""The lag of a consumer group, as every tool computes it."""

from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition


async def lag(brokers: str, group: str, topics: Iterable[str], partitions: int) -> int:
    """Ends of the partitions less what the group has committed, over full names of topics."""
    consumer = AIOKafkaConsumer(bootstrap_servers=brokers, group_id=group)
    await consumer.start()
    try:
        places = [TopicPartition(topic, n) for topic in topics for n in range(partitions)]
        ends = await consumer.end_offsets(places)
        return sum([ends[place] - (await consumer.committed(place) or 0) for place in places])
    finally:
        await consumer.stop()
