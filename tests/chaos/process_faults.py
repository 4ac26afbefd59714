"""Faults of processes, brokers, ClickHouse and the network between them."""

from __future__ import annotations

import asyncio
import time
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from typing import Final

from tests.chaos.faults import Stage, fault
from tests.chaos.processes import Member

READY_S: Final = 45.0
STOP_S: Final = 12.0
INSERT_S: Final = 15.0
FAILING: Final = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 5\r\nConnection: close\r\n\r\nsorry"
)


# --- processes ------------------------------------------------------------------------------------


@fault("kill-worker", "kill -9 of a worker, twice", short=True)
async def kill_worker(stage: Stage) -> None:
    for _ in stage.times(2):
        await _kill(stage, stage.rng.choice(stage.system.of_kind("worker")))


@fault("kill-sink", "kill -9 of the sink, three times", short=True)
async def kill_sink(stage: Stage) -> None:
    for _ in stage.times(3):
        await _kill(stage, stage.rng.choice(stage.system.of_kind("sink")))


async def _kill(stage: Stage, member: Member) -> None:
    stage.say(f"kill -9 {member.name}")
    member.send(SIGKILL)
    await member.gone(STOP_S)
    await _going_on(stage)


async def _going_on(stage: Stage) -> None:
    """All are ready, and everything flows: what comes next is an outage of its own."""
    await stage.system.until_ready(READY_S)
    await stage.system.until_flowing(time.monotonic(), READY_S)


@fault("freeze-worker", "SIGSTOP of a worker for longer than its session", may_end=["worker"])
async def freeze_worker(stage: Stage) -> None:
    member = stage.rng.choice(stage.system.of_kind("worker"))
    seconds = stage.system.settings.session_timeout_s + stage.seconds(2, 6)
    stage.say(f"SIGSTOP {member.name}, {seconds:g} s")
    member.send(SIGSTOP)
    await asyncio.sleep(seconds)
    member.send(SIGCONT)
    await asyncio.sleep(1)  # time to see that its partitions are gone
    await stage.system.until_ready(READY_S)


@fault("rolling-restart", "SIGTERM of each process in turn")
async def rolling_restart(stage: Stage) -> None:
    members = list(stage.system.members)
    stage.rng.shuffle(members)
    for member in members:
        await restart(stage, member)


async def restart(stage: Stage, member: Member) -> None:
    """SIGTERM, and until all are ready again. Raises TimeoutError when it does not end."""
    stage.say(f"SIGTERM {member.name}")
    member.send(SIGTERM)
    await member.gone(STOP_S)
    await stage.system.until_ready(READY_S)


# --- brokers --------------------------------------------------------------------------------------


@fault(
    "kill-broker", "kill -9 of the one broker, restarted soon, then late", brokers=(1,), short=True
)
async def kill_broker(stage: Stage) -> None:
    await _kill_node(stage, 0, stage.seconds(1, 4))
    if not stage.short:
        await _going_on(stage)
        await _kill_node(stage, 0, stage.seconds(10, 14))


@fault("kill-brokers", "kill -9 of each of three brokers in turn", brokers=(3,), deadline_s=180)
async def kill_brokers(stage: Stage) -> None:
    numbers = list(range(len(stage.brokers.nodes)))
    stage.rng.shuffle(numbers)
    for number in numbers:
        await _kill_node(stage, number, stage.seconds(10, 14))
        await asyncio.sleep(stage.seconds(5, 8))  # its copies catch up


async def _kill_node(stage: Stage, number: int, seconds: float) -> None:
    stage.say(f"kill -9 broker {number + 1}, {seconds:g} s")
    await asyncio.to_thread(stage.brokers.kill, number)
    await asyncio.sleep(seconds)
    await stage.brokers.restart(number)


@fault(
    "freeze-broker",
    "SIGSTOP of the one broker, for longer than the session of the workers",
    may_end=["worker"],  # it may forget its members when it goes on
    brokers=(1,),
)
async def freeze_broker(stage: Stage) -> None:
    session_s = stage.system.settings.session_timeout_s
    await _freeze_node(stage, 0, session_s + stage.seconds(2, 6))


@fault("freeze-brokers", "SIGSTOP of one of three brokers", brokers=(3,))
async def freeze_brokers(stage: Stage) -> None:
    await _freeze_node(stage, stage.rng.randrange(len(stage.brokers.nodes)), stage.seconds(18, 22))


async def _freeze_node(stage: Stage, number: int, seconds: float) -> None:
    stage.say(f"SIGSTOP broker {number + 1}, {seconds:g} s")
    stage.brokers.freeze(number)
    await asyncio.sleep(seconds)
    stage.brokers.thaw(number)


# --- ClickHouse -----------------------------------------------------------------------------------


@fault("clickhouse-killed", "kill -9 of ClickHouse in the middle of an insert, three times")
async def clickhouse_killed(stage: Stage) -> None:
    front, hit = stage.system.front, asyncio.Event()
    for _ in stage.times(3):
        hit.clear()
        front.proxy.on_request = lambda chunk: hit.set() if b"INSERT INTO" in chunk else None
        await asyncio.wait_for(hit.wait(), INSERT_S)
        front.proxy.on_request = None
        after = stage.rng.uniform(0, 0.03)
        await asyncio.sleep(after)
        stage.say(f"kill -9 {after * 1000:.0f} ms after the begin of an insert")
        front.kill()
        await front.start()
        await _going_on(stage)


@fault("clickhouse-away", "ClickHouse is down")
async def clickhouse_away(stage: Stage) -> None:
    seconds = stage.seconds(8, 14)
    stage.say(f"away for {seconds:g} s")
    stage.system.front.kill()
    await asyncio.sleep(seconds)
    await stage.system.front.start()


@fault("clickhouse-500", "ClickHouse answers 500 without a code")
async def clickhouse_500(stage: Stage) -> None:
    seconds, proxy = stage.seconds(4, 8), stage.system.front.proxy
    stage.say(f"answers 500 for {seconds:g} s")
    proxy.answer = FAILING
    await asyncio.sleep(seconds)
    proxy.answer = None


# --- network --------------------------------------------------------------------------------------


@fault("connections-reset", "every connection to Kafka is reset, eight times")
async def connections_reset(stage: Stage) -> None:
    cut = 0
    for _ in stage.times(8):
        cut += sum(proxy.reset() for proxy in stage.brokers.proxies)
        await asyncio.sleep(stage.rng.uniform(0.3, 1.5))
    stage.say(f"{cut} connections reset")


@fault("connections-slow", "every packet to and from Kafka takes longer")
async def connections_slow(stage: Stage) -> None:
    delay, seconds = stage.rng.uniform(0.05, 0.2), stage.seconds(6, 10)
    stage.say(f"{delay * 1000:.0f} ms each way for {seconds:g} s")
    for proxy in stage.brokers.proxies:
        proxy.delay_s = delay
    await asyncio.sleep(seconds)


@fault("connections-silent", "connections to Kafka stay open and transfer nothing")
async def connections_silent(stage: Stage) -> None:
    seconds = stage.seconds(2, 4)
    stage.say(f"nothing passes for {seconds:g} s")
    for proxy in stage.brokers.proxies:
        proxy.stall()
    await asyncio.sleep(seconds)
