"""The topic and the stream of batches: Faust's Topic and Stream with nothing decoded or acked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Any, cast

from faust.events import Event
from faust.streams import Stream
from faust.topics import Topic

from streams.batching.batch import Batch
from streams.batching.errors import AgentEnded

if TYPE_CHECKING:
    from streams.batching.app import BatchApp


class BatchTopic(Topic):
    """One or more topics whose stream yields a Batch per event."""

    def _compile_decode(self) -> None:
        # faust/topics.py:152; called by Topic.__init__, the conductor awaits self.decode.
        app = self.app

        async def decode(message: Any, *, propagate: bool = False) -> Event:
            return Event(app, None, message.value, {}, message)

        self.decode = decode  # type: ignore[method-assign]


class BatchStream(Stream[Any]):
    """Iterates batches.

    Faust's iteration acknowledges an event when the agent raises on it (faust/streams.py:1185) and
    drops skipped events without acknowledging them (_cython/streams.pyx:193). Here iterating
    acknowledges nothing: only Batch.done() does.
    """

    def __aiter__(self) -> AsyncIterator[Any]:
        if not isinstance(self.channel, BatchTopic):
            raise TypeError(f"{self.channel!r} is not a BatchTopic: see BatchApp.topic_of_batches")
        iterator = self._batches(self.channel)
        self._active_agens.add(iterator)  # faust/streams.py: on_stop() closes abandoned ones
        return iterator

    async def _batches(self, channel: BatchTopic) -> AsyncGenerator[Batch, None]:
        app = cast("BatchApp", self.app)
        self._finalized = True
        await self.maybe_start()
        try:
            while not self.should_stop:
                event = await channel.queue.get()
                await app.block_if_failed()
                batch: Batch = event.value
                if batch.take():
                    yield batch
        except StopAsyncIteration:
            return  # thrown into the queue when the agent is stopped; illegal in a generator
        finally:
            channel.on_stop_iteration()
            if not (self.should_stop or app.should_stop or app.stopping):
                app.fail(AgentEnded(f"the agent of {', '.join(channel.topics)} left its stream"))
