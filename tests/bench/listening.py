"""How many signed callbacks `receipts listen` takes, and how soon they are answered.

`python -m tests.bench.listening` starts a real Kafka and one listener, and sends callbacks of
Twilio, signed, by some connections that wait for each answer before the next. Of each run: answers
a second, their times, and CPU of the listener for each. docs/benchmarks.md has a run.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hmac
import json
import os
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from deploy.embedded.brokers import KafkaBroker, free_port
from tests.bench.child import Child, cpu_s, resident_bytes, running
from tests.bench.cluster import BenchError, Cluster, connected
from tests.bench.job import settings_of

TOKEN = "the auth token of the bench"
PUBLIC = "https://receipts.example.com"
ENDPOINTS = """
public_url = "https://receipts.example.com"

[endpoints.twilio]
provider = "twilio"
account = "acme"
secrets = ["env:BENCH_TOKEN"]
"""
READY_S = 60.0


class Listening(msgspec.Struct):
    """One run. Times in ms, CPU in µs of the listener for each callback."""

    callbacks: int
    connections: int
    per_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_us: float
    resident_mb: float
    refused: int


def requests(count: int) -> list[bytes]:
    """Callbacks as bytes on the wire."""
    found = []
    for number in range(count):
        path = f"/callbacks/twilio/acme/m{number:07d}"
        fields = {
            "AccountSid": "AC00000000000000000000000000000000",
            "ApiVersion": "2010-04-01",
            "From": "+15005550006",
            "MessageSid": f"SM{number:032x}",
            "MessageStatus": "delivered",
            "SmsSid": f"SM{number:032x}",
            "SmsStatus": "delivered",
            "To": "+447700900123",
        }
        text = PUBLIC + path + "".join(name + value for name, value in sorted(fields.items()))
        digest = hmac.new(TOKEN.encode(), text.encode(), "sha1").digest()
        body = urlencode(fields).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: inside\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\nUser-Agent: TwilioProxy/1.1\r\n"
            f"X-Twilio-Signature: {base64.b64encode(digest).decode()}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        found.append(head.encode() + body)
    return found


async def _connection(port: int, waiting: list[bytes], times: list[float]) -> int:
    """Send until nothing is left; how many were refused."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    refused = 0
    while waiting:
        began = time.perf_counter()
        writer.write(waiting.pop())
        head = await reader.readuntil(b"\r\n\r\n")
        times.append(time.perf_counter() - began)
        refused += not head.startswith(b"HTTP/1.1 204")
        if b"content-length: " in head:
            await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r")[0]))
    writer.close()
    return refused


async def _run(port: int, child: Child, count: int, connections: int) -> Listening:
    waiting = requests(count)
    times: list[float] = []
    began, cpu = time.perf_counter(), cpu_s(child.pid)
    calls = [_connection(port, waiting, times) for _ in range(connections)]
    refused = sum(await asyncio.gather(*calls))
    seconds, used = time.perf_counter() - began, cpu_s(child.pid) - cpu
    times.sort()
    return Listening(
        callbacks=count,
        connections=connections,
        per_s=round(count / seconds),
        p50_ms=round(times[len(times) // 2] * 1000, 1),
        p99_ms=round(times[len(times) * 99 // 100] * 1000, 1),
        max_ms=round(times[-1] * 1000, 1),
        cpu_us=round(used / count * 1e6, 1),
        resident_mb=round(resident_bytes(child.pid) / 2**20, 1),
        refused=refused,
    )


async def _measure(brokers: str, options: argparse.Namespace) -> None:
    async with connected(brokers) as cluster:
        await _listen(cluster, options)


async def _listen(cluster: Cluster, options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "endpoints.toml"
        file.write_text(ENDPOINTS)
        port = free_port()
        given = {"endpoints": str(file), "listen_port": port, "listen_monitoring_port": 0}
        settings = settings_of(cluster, "listen.", 4, **given)
        await cluster.create_all(settings)
        environ = {**settings.environ(), "BENCH_TOKEN": TOKEN}
        async with running("listen", ["-m", "deploy.cli", "listen"], environ) as child:
            await _until_open(port, child)
            for _ in range(options.repeats):
                for connections in options.connections:
                    run = await _run(port, child, options.callbacks, connections)
                    print(json.dumps(msgspec.structs.asdict(run)), flush=True)


async def _until_open(port: int, child: Child) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        child.check()
        try:
            await _connection(port, requests(1), [])
        except (OSError, asyncio.IncompleteReadError):
            await asyncio.sleep(0.1)
        else:
            return
    raise BenchError(f"listen does not answer: {child.tail()}")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callbacks", type=int, default=30_000)
    parser.add_argument("--connections", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    os.environ["BENCH_TOKEN"] = TOKEN
    with KafkaBroker() as broker:
        asyncio.run(_measure(broker.bootstrap, options))


if __name__ == "__main__":
    main()
