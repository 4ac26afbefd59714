"""Topics of a test."""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka.admin import AIOKafkaAdminClient, NewTopic


async def create_topics(
    bootstrap: str,
    *names: str,
    partitions: int = 4,
    config: Mapping[str, str] | None = None,
    replication: int = 1,
) -> None:
    """Create topics and wait for them; raises when the broker refuses one."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        wanted = [
            NewTopic(name, partitions, replication, topic_configs=dict(config or {}))
            for name in names
        ]
        answer = await admin.create_topics(wanted)
        refused = [entry for entry in answer.topic_errors if entry[1] != 0]
        assert not refused, f"topics not created: {refused}"
    finally:
        await admin.close()
