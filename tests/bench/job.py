"""The whole lifecycle job against its yardsticks, interleaved on the same input.

Every candidate is one process, watched from outside and by one rule:

start  CreateTime of its first record in the states topic: the first batch was just handled, so
       that batch (2,000 records; 1 for stock Faust) is left out of the events counted
end    the group's committed offsets reach the end of the input (asked ten times a second); every
       candidate commits once a second, after what it produced was acknowledged
       (events/s "to the last state": the end is the CreateTime of the last record in the states
       topic instead, which leaves out the wait for that commit)
CPU    user + system of the process with all its threads between these two moments
"""

import asyncio
import tempfile
import time
from typing import NamedTuple
from uuid import uuid4

import msgspec

from deploy.embedded.brokers import free_port
from models.settings import Settings
from tests.bench.child import Child, cpu_s, running
from tests.bench.cluster import INPUTS, OUTPUTS, BenchError, Cluster, Ends
from tests.bench.loop import BATCH, Task
from tests.bench.traffic import Truth, publish

ASK_S = 0.1
STALL_S = 120.0


class Input(NamedTuple):
    """Published traffic: topics under a prefix, and what must come of them."""

    prefix: str
    partitions: int
    truth: Truth


class Run(msgspec.Struct):
    """One run of one candidate. seconds: start to end as above; wrong: "" when its result holds."""

    candidate: str
    partitions: int
    events: int
    counted: int
    seconds: float
    events_per_s: float
    events_per_s_to_last_state: float
    cpu_us_per_event: float
    broker_cpu_us_per_event: float
    states_written: int
    wrong: str = ""


class Plan(NamedTuple):
    """What to compare. events by candidate: stock Faust gets fewer, at its speed.

    failed: takes the words about runs that came to nothing; the others go on
    """

    partitions: int
    repeats: int
    shape: str
    events: dict[str, int]
    broker_pid: int
    failed: list[str]


async def bench_job(cluster: Cluster, plan: Plan) -> list[Run]:
    """Publish the traffic, then A B C D A B C D … as often as asked."""
    inputs = {count: await _publish(cluster, plan, count) for count in {*plan.events.values()}}
    runs = []
    for turn in range(plan.repeats):
        for candidate, count in plan.events.items():
            try:
                run = await _run(cluster, plan, candidate, inputs[count])
            except BenchError as error:
                plan.failed.append(f"job, {candidate}: {error}")
                continue
            print(f"job {turn + 1}/{plan.repeats} {_line(run)}", flush=True)
            runs.append(run)
    await cluster.delete(await cluster.names(f"job{plan.partitions}-"))
    return runs


def _line(run: Run) -> str:
    return (
        f"{run.candidate:6} {run.partitions} partitions: {run.events_per_s:9,.0f} events/s "
        f"{run.cpu_us_per_event:8.1f} CPU µs/event {run.seconds:7.2f} s {run.wrong}"
    )


def settings_of(cluster: Cluster, prefix: str, partitions: int, **more: object) -> Settings:
    """Settings of a worker or sink in a group of its own."""
    return Settings.model_validate(
        {
            "brokers": cluster.brokers,
            "topic_prefix": prefix,
            "partitions": partitions,
            "app_id": f"bench-{uuid4().hex[:8]}",
            "worker_port": free_port(),
            "sink_port": free_port(),
            "log_level": "warning",
            **more,
        }
    )


async def _publish(cluster: Cluster, plan: Plan, count: int) -> Input:
    prefix = f"job{plan.partitions}-{count}."
    await cluster.create_all(settings_of(cluster, prefix, plan.partitions))
    began = time.monotonic()
    truth = await publish(cluster.brokers, prefix, plan.partitions, count, plan.shape)
    took = time.monotonic() - began
    print(f"job: published {truth} to {plan.partitions} partitions in {took:.0f} s", flush=True)
    return Input(prefix, plan.partitions, truth)


async def _run(cluster: Cluster, plan: Plan, candidate: str, given: Input) -> Run:
    if candidate == "ours":
        return await _run_ours(cluster, plan, given)
    group = f"{given.prefix}{candidate}-{uuid4().hex[:6]}"
    outputs = {name: f"{group}-{name}" for name in OUTPUTS}
    with tempfile.TemporaryDirectory(prefix="bench-faust-") as datadir:
        naive = candidate == "naive"
        task = Task(cluster.brokers, group, given.prefix, given.partitions, outputs, naive, datadir)
        if candidate != "loop":
            outputs["message-states"] = f"{group}-states-changelog"
            outputs["status-counters"] = f"{group}-counters-changelog"
        await cluster.create_outputs(outputs, given.partitions)
        module = "tests.bench.loop" if candidate == "loop" else "tests.bench.stock"
        command = ["-m", module, msgspec.json.encode(task).decode()]
        first = BATCH if candidate == "loop" else 1
        run = await _measure(cluster, plan, candidate, command, {}, group, given, outputs, first)
    await cluster.delete(await cluster.names(group))
    return run


async def _run_ours(cluster: Cluster, plan: Plan, given: Input) -> Run:
    """The real command line. Its output topics share the input's prefix, so they are made anew."""
    outputs = {name: given.prefix + name for name in OUTPUTS}
    await cluster.delete(outputs.values())
    settings = settings_of(cluster, given.prefix, given.partitions)
    await cluster.create_all(settings)
    command = ["-m", "deploy.cli", "worker"]
    group, first = settings.app_id, settings.batch_size
    environ = settings.environ()
    return await _measure(cluster, plan, "ours", command, environ, group, given, outputs, first)


async def _measure(
    cluster: Cluster,
    plan: Plan,
    candidate: str,
    command: list[str],
    environ: dict[str, str],
    group: str,
    given: Input,
    outputs: dict[str, str],
    first: int,
) -> Run:
    ends = await cluster.ends([given.prefix + kind for kind in INPUTS])
    broker: list[tuple[float, float]] = []
    async with running(candidate, command, environ) as child:
        end_ms = await until_committed(cluster, group, ends, child, broker, plan.broker_pid)
        states = await cluster.written([outputs["message-states"]])
        dead = await cluster.ends([outputs["dead-letters"]])
        cpu = child.cpu_at(end_ms) - child.cpu_at(states.first_ms)
    if not broker or not states.records:
        raise BenchError(f"{candidate}: it committed all and wrote no state")
    counted = max(given.truth.events - first, 1)
    seconds = max(end_ms - states.first_ms, 1) / 1000
    at_start = min((b for b in broker), key=lambda b: abs(b[0] - states.first_ms))
    return Run(
        candidate=candidate,
        partitions=given.partitions,
        events=given.truth.events,
        counted=counted,
        seconds=round(seconds, 3),
        events_per_s=round(counted / seconds, 1),
        events_per_s_to_last_state=round(
            counted / max(states.last_ms - states.first_ms, 1) * 1000, 1
        ),
        cpu_us_per_event=round(cpu / counted * 1e6, 2),
        broker_cpu_us_per_event=round((broker[-1][1] - at_start[1]) / counted * 1e6, 2),
        states_written=states.records,
        wrong=_wrong(given.truth, states.keys, sum(dead.values())),
    )


def _wrong(truth: Truth, messages: int, dead_letters: int) -> str:
    """Repeats are allowed for dead letters (at least once), but no run here is interrupted."""
    found = []
    if messages != truth.messages:
        found.append(f"{messages} messages in its states, {truth.messages} expected")
    if dead_letters != truth.dead_letters:
        found.append(f"{dead_letters} dead letters, {truth.dead_letters} expected")
    return "; ".join(found)


async def until_committed(
    cluster: Cluster,
    group: str,
    ends: Ends,
    child: Child,
    broker: list[tuple[float, float]],
    broker_pid: int,
) -> float:
    """Epoch ms when the group was first seen to have committed all. Raises when it stands still."""
    least, moved_at = sum(ends.values()), time.monotonic()
    while True:
        child.check()
        asked_ms = time.time() * 1000
        left = await cluster.left(group, ends)
        broker.append((asked_ms, cpu_s(broker_pid)))
        if left == 0:
            child.sample()
            return asked_ms
        if left < least:
            least, moved_at = left, time.monotonic()
        if time.monotonic() - moved_at > STALL_S:
            raise BenchError(
                f"{child.name}: {left} records uncommitted and nothing for {STALL_S:.0f} s: "
                f"{child.tail()}"
            )
        await asyncio.sleep(ASK_S)
