"""Whether Kafka answers a consumer, found by probing.

An idle topic delivers nothing, and neither does a lost broker. So every few seconds two small
requests are sent: one for the end offsets to the leaders of the assigned partitions, one for a
committed offset to the coordinator of the group. A consumer needs both to work.

The sink uses it. The worker's consumer runs in a thread of Faust's; its readiness follows
heartbeats and unacknowledged records instead (docs/runbook.md).

Call it in the event loop of the consumer:

    watching = asyncio.create_task(watch(consumer, report))   # after consumer.start()

`report("")` means Kafka answers; any other text names what does not. A loss is reported within
PROBE_EVERY_S + PROBE_TIMEOUT_S, the return within the same time after the client has connected.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from streams.kafka.refusals import denied_right, user_of

PROBE_EVERY_S: Final = 2.0
PROBE_TIMEOUT_S: Final = 5.0


async def watch(
    consumer: AIOKafkaConsumer,
    report: Callable[[str], None],
    *,
    every_s: float = PROBE_EVERY_S,
    timeout_s: float = PROBE_TIMEOUT_S,
) -> None:
    """Report the result of each probe, until cancelled."""
    while True:
        report(await probe(consumer, timeout_s))
        await asyncio.sleep(every_s)


async def probe(consumer: AIOKafkaConsumer, timeout_s: float = PROBE_TIMEOUT_S) -> str:
    """Why Kafka cannot be used now, in words; "" when it can.

    consumer: started, with a group. Never raises KafkaError: what a broker refuses is a reason too.
    """
    user = user_of(consumer._client)
    # The group gives no member the partitions of a topic that cannot be seen.
    unseen = set(consumer.subscription()) & consumer._client.cluster.unauthorized_topics
    if unseen:
        return str(denied_right(TopicAuthorizationFailedError(unseen), "READ", user))
    partitions = sorted(consumer.assignment())
    # The group may give this member nothing; the coordinator answers for any partition.
    known = partitions or [TopicPartition(topic, 0) for topic in sorted(consumer.subscription())]
    target = "the coordinator of the group"
    try:
        async with asyncio.timeout(timeout_s):
            for partition in known[:1]:
                await consumer.committed(partition)
            target = f"the leaders of {len(partitions)} partitions"
            await consumer.end_offsets(partitions)
    except TimeoutError:
        refused = consumer._client.refusal
        return refused or f"no answer from {target} within {timeout_s:g} s"
    except KafkaError as error:
        refused = consumer._client.refusal or denied_right(error, "READ", user)
        return str(refused or f"{target}: {error!r}")
    return ""
