"""Kafka topics: what each must be like, creating the missing, refusing those that differ.

Nothing that exists is ever altered: a difference is reported with its fix.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple, get_args

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from models.dead_letters import MAX_LETTER_BYTES
from models.issues import Issue
from models.settings import Settings, Topic
from models.time import DAY_MS
from streams.kafka import clients

BROKER_MAX_BYTES = 1_048_588
"""Kafka's own default for one record batch."""
COMPACTED: frozenset[Topic] = frozenset(
    {"campaigns", "accounts", "message-states", "status-counters", "suppressions"}
)
REQUESTS_KEPT = 4
"""Suppression requests are kept this many times as long as events: a person can then still ask
who released a number, and they are few."""
FATAL = frozenset({"cleanup.policy", "max.message.bytes", "message.timestamp.type"})
"""Configuration that the promises rest on. Other differences are only reported."""

UNKNOWN, EXISTS = 3, 36
VISIBLE_S = 15.0


class TopicSpec(NamedTuple):
    """What a topic must be like."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


class Found(NamedTuple):
    """What a topic on the cluster is like."""

    partitions: int
    replication: int
    config: Mapping[str, str]


class Differences(NamedTuple):
    """How the topics on the cluster differ. A worker does not start while one is fatal."""

    fatal: list[Issue]
    harmless: list[Issue]


class TopicsError(RuntimeError):
    """The cluster cannot be used as it is; the text has a line for every reason."""


class Outcome(NamedTuple):
    """What `create_topics` found and did. `created` is what it would create when only asked."""

    created: list[TopicSpec]
    kept: list[TopicSpec]
    warnings: list[Issue]


def wanted(settings: Settings) -> list[TopicSpec]:
    """Every topic of this installation, in the order of the flow."""
    return [_spec(topic, settings) for topic in get_args(Topic)]


def _spec(topic: Topic, settings: Settings) -> TopicSpec:
    compacted = topic in COMPACTED
    dead = topic == "dead-letters"
    config = {
        "cleanup.policy": "compact" if compacted else "delete",
        "max.message.bytes": str(MAX_LETTER_BYTES if dead else BROKER_MAX_BYTES),
        "message.timestamp.type": "CreateTime",
    }
    if not compacted:
        config["retention.ms"] = str(_days(topic, settings) * DAY_MS)
    if settings.replication >= 3:
        config["min.insync.replicas"] = "2"
    return TopicSpec(settings.topic(topic), settings.partitions, settings.replication, config)


def _days(topic: Topic, settings: Settings) -> int:
    if topic == "dead-letters":
        return settings.dead_letter_days
    if topic == "suppression-requests":
        return settings.event_days * REQUESTS_KEPT
    return settings.event_days


def differences(specs: Iterable[TopicSpec], found: Mapping[str, Found]) -> Differences:
    """How the topics found differ from their specifications; missing topics are left out."""
    present = {spec.name: spec for spec in specs if spec.name in found}
    counts = {name: found[name].partitions for name in present}
    if len(set(counts.values())) > 1:
        return Differences([_uneven(counts)], [])
    fatal: list[Issue] = []
    harmless: list[Issue] = []
    for name, spec in present.items():
        for is_fatal, issue in _differences(spec, found[name]):
            (fatal if is_fatal else harmless).append(issue)
    return Differences(fatal, harmless)


def _uneven(counts: Mapping[str, int]) -> Issue:
    shown = ", ".join(f"{name} has {n}" for name, n in sorted(counts.items()))
    return Issue(
        "topic partitions",
        f"these topics must have the same number of partitions, but {shown}",
        "delete the odd ones if they hold nothing, or start anew under another "
        "RECEIPTS_TOPIC_PREFIX and replay; adding partitions to a topic that holds data "
        "would split the messages in it",
    )


def _differences(spec: TopicSpec, found: Found) -> Iterable[tuple[bool, Issue]]:
    """(is fatal, issue) of one topic."""
    where = f"topic {spec.name}"
    if found.partitions != spec.partitions:
        problem = f"has {found.partitions} partitions, the settings say {spec.partitions}"
        yield True, Issue(where, problem, f"set RECEIPTS_PARTITIONS={found.partitions}")
    if found.replication != spec.replication:
        problem = f"has {found.replication} copies, the settings say {spec.replication}"
        fix = f"set RECEIPTS_REPLICATION={found.replication} or move its partitions"
        yield False, Issue(where, problem, fix)
    for key, value in spec.config.items():
        held = found.config.get(key)
        if held != value:
            problem = f"{key} is {held or 'not set'}, not {value}"
            fix = (
                f"kafka-configs.sh --alter --entity-type topics --entity-name {spec.name} "
                f"--add-config {key}={value}"
            )
            yield key in FATAL, Issue(where, problem, fix)


async def check_topics(settings: Settings) -> list[Issue]:
    """What is not as it should be but does no harm; a worker calls this before it starts.

    Raises TopicsError when a topic is missing, differs fatally, or no broker answers.
    """
    specs = wanted(settings)
    async with _admin(settings) as admin:
        found = await _found(admin, specs)
    missing = [spec.name for spec in specs if spec.name not in found]
    if missing:
        raise TopicsError(f"topics are missing: {', '.join(missing)}. Fix: run `receipts topics`")
    return _raise_fatal(differences(specs, found))


async def create_topics(settings: Settings, *, dry_run: bool = False) -> Outcome:
    """Create what is missing, after checking what is there: nothing is created beside a conflict.

    Raises TopicsError when an existing topic differs fatally, the cluster refuses a topic, or no
    broker answers.
    """
    specs = wanted(settings)
    async with _admin(settings) as admin:
        found = await _found(admin, specs)
        warnings = _raise_fatal(differences(specs, found))
        missing = [spec for spec in specs if spec.name not in found]
        if missing and not dry_run:
            await _create(admin, missing)
            await _wait_visible(admin, specs)
    return Outcome(missing, [spec for spec in specs if spec.name in found], warnings)


def _raise_fatal(found: Differences) -> list[Issue]:
    """The harmless differences. Raises TopicsError if one is fatal."""
    if found.fatal:
        raise TopicsError("\n".join(map(str, found.fatal)))
    return found.harmless


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = clients.admin(settings.brokers, client_id="receipts-topics")
    try:
        await admin.start()
        yield admin
    except (KafkaError, OSError) as error:
        raise TopicsError(
            f"Kafka at {settings.brokers} gives no answer ({error}). "
            "Fix: start it, or set RECEIPTS_BROKERS"
        ) from error
    finally:
        await admin.close()


async def _found(admin: AIOKafkaAdminClient, specs: list[TopicSpec]) -> dict[str, Found]:
    # All topics are listed: asking by name would create them on the embedded broker.
    names = {spec.name for spec in specs}
    described = await clients.retry_for_a_while(admin.describe_topics)
    shapes = {t["topic"]: t["partitions"] for t in described}
    present = sorted(names & shapes.keys())
    configs = await _configs(admin, present) if present else {}
    return {
        name: Found(len(shapes[name]), len(shapes[name][0]["replicas"]), config)
        for name, config in configs.items()
    }


async def _configs(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    """By topic, without those that the broker asked does not know."""
    # One request a topic: the embedded broker answers only for the first of several.
    held = {}
    for name in names:
        topic = ConfigResource(ConfigResourceType.TOPIC, name)
        (answer,) = await clients.retry_for_a_while(partial(admin.describe_configs, [topic]))
        code, message, _, _, entries = answer.resources[0]
        if code == UNKNOWN:
            continue  # of several brokers one does not know a young topic yet: not visible
        if code:
            raise TopicsError(f"topic {name}: cannot read its configuration: {message} ({code})")
        held[name] = {entry[0]: entry[1] for entry in entries}
    return held


async def _create(admin: AIOKafkaAdminClient, specs: list[TopicSpec]) -> None:
    new = [NewTopic(s.name, s.partitions, s.replication, None, dict(s.config)) for s in specs]
    answer = await clients.retry_for_a_while(partial(_ask_to_create, admin, new))
    refused = [
        f"topic {name}: Kafka refused it: {message or 'no reason given'} (error {code})"
        for name, code, message in answer.topic_errors
        if code not in (0, EXISTS)
    ]
    if refused:
        raise TopicsError("\n".join(refused))


async def _ask_to_create(admin: AIOKafkaAdminClient, new: list[NewTopic]) -> Any:
    answer = await admin.create_topics(new)
    for _, code, message in answer.topic_errors:
        if (error := for_code(code)).retriable:
            raise error(message)
    return answer


async def _wait_visible(admin: AIOKafkaAdminClient, specs: list[TopicSpec]) -> None:
    for _ in range(int(VISIBLE_S * 10)):
        found = await _found(admin, specs)
        if len(found) == len(specs):
            _raise_fatal(differences(specs, found))
            return
        await asyncio.sleep(0.1)
    missing = [spec.name for spec in specs if spec.name not in found]
    raise TopicsError(f"topics created but still not visible: {', '.join(missing)}")
