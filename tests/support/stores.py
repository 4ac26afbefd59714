"""Shards of a state store, restored as the agents do it."""

from collections.abc import Mapping

from models.counters import retired_key
from streams.lifecycle.shard import Shard
from streams.suppression.shard import RecipientShard


def restore(shard: Shard, published: Mapping[bytes, bytes], generation: int) -> int:
    """Fold the states of a shard; how many there were. published: records of `status-counters`."""
    shard.know_retired(published.get(retired_key(shard.partition)))
    *_, folded = shard.fold()
    shard.finish_restore(published, generation)
    return folded


def restore_recipients(shard: RecipientShard, generation: int) -> None:
    """Fold the suppressions of a shard."""
    for _ in shard.fold():
        pass
    shard.finish_restore(generation)
