"""A TCP relay on loopback between a process and a server, which can misbehave on demand."""

from __future__ import annotations

import asyncio
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from contextlib import suppress

from deploy.embedded.brokers import free_port

CHUNK = 256 * 1024
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with 0 s: close() sends a reset


class Proxy:
    """Relays connections on `port` to `target` (another port of 127.0.0.1).

    delay_s: every chunk waits so long, in both directions. answer: bytes that a client gets to
    whatever it sends, instead of being relayed. on_request: sees what clients send.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = free_port()
        self.delay_s = 0.0
        self.answer: bytes | None = None
        self.on_request: Callable[[bytes], None] | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._open: set[StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        """Accept connections (again)."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    def refuse(self) -> None:
        """Refuse new connections, as a port without a listener does."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def reset(self) -> int:
        """Reset every connection, on both sides; how many there were."""
        for writer in (writers := list(self._open)):
            sock = writer.get_extra_info("socket")
            if sock is not None and not writer.is_closing():
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
        return len(writers) // 2

    def stall(self) -> None:
        """Keep connections open and relay nothing: half-open."""
        self._flowing.clear()

    async def heal(self) -> None:
        """Behave."""
        self.delay_s, self.answer, self.on_request = 0.0, None, None
        self._flowing.set()
        await self.listen()

    async def close(self) -> None:
        """Stop listening and end all connections."""
        self.refuse()
        self.reset()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.ensure_future(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            inner, outer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, outer}
        try:
            there = self._relay(reader, outer, writer)
            await asyncio.gather(there, self._relay(inner, writer, None))
        finally:
            self._open -= {writer, outer}
            writer.close()
            outer.close()

    async def _relay(
        self, reader: StreamReader, to: StreamWriter, back: StreamWriter | None
    ) -> None:
        """One direction. back: to the client, in the direction from it."""
        with suppress(OSError):  # a connection that breaks on one side is closed on the other
            while chunk := await reader.read(CHUNK):
                if back is not None and self.on_request is not None:
                    self.on_request(chunk)
                if back is not None and self.answer is not None:
                    back.write(self.answer)
                    back.close()
                    break
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._flowing.wait()
                to.write(chunk)
                await to.drain()
        to.close()
