"""How far a consumer has read. A group commits this, not the last record + 1.

A transaction ends with a control record, which no application sees. Committing the last record + 1
would leave the group one offset behind the end for ever.
"""

from aiokafka import AIOKafkaConsumer, TopicPartition


def positions(consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
    """The offset of the next fetch for each assigned partition that has one.

    Read it after getmany(), without an await between: then everything before it was returned, or is
    a control record, an aborted record, or compacted away. It is empty during a rebalance: the
    caller may have given up the records returned before, and must not commit them.
    """
    # AIOKafkaConsumer.position() would wait for a partition that has no position yet.
    state = consumer._subscription
    if state.reassignment_in_progress or state.subscription.assignment is None:
        return {}
    consumed = state.subscription.assignment.all_consumed_offsets()
    return {tp: offset.offset for tp, offset in consumed.items()}
