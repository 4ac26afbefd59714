"""Kafka topics: specifications, creation of missing topics, checks of existing ones.

Existing topics are never altered: a difference is reported with its fix (docs/adr/0006).
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError, for_code

from deploy.kafka.access_rights import lacking_rights
from models.access_rights import NEEDS, Program, Right
from models.dead_letters import MAX_LETTER_BYTES
from models.issues import Issue
from models.settings import Settings, Topic
from models.time import DAY_MS
from streams.kafka import clients
from streams.kafka.refusals import denial, no_answer, user_of
from streams.kafka.security import kafka_access

BROKER_MAX_BYTES = 1_048_588
"""Kafka's own default for one record batch."""
COMPACTED: frozenset[Topic] = frozenset(
    {
        "campaigns",
        "accounts",
        "message-states",
        "status-counters",
        "suppressions",
        "provider-correlations",
    }
)
REQUESTS_KEPT = 4
"""Suppression requests are kept this many times as long as events, so that people can still look up
who released a recipient; they are few."""
FATAL = frozenset({"cleanup.policy", "max.message.bytes", "message.timestamp.type"})
"""Configuration that the guarantees depend on; other differences are warnings."""

UNKNOWN, EXISTS = 3, 36
VISIBLE_S = 15.0


class TopicSpec(NamedTuple):
    """A topic as the settings require it."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


class ActualTopic(NamedTuple):
    """A topic as it exists on the cluster."""

    partitions: int
    replication: int
    config: Mapping[str, str]


class Differences(NamedTuple):
    """Differences between cluster and settings. A worker does not start while one is fatal."""

    fatal: list[Issue]
    harmless: list[Issue]


class TopicsError(RuntimeError):
    """The topics cannot be used as they are; the text has a line for each reason."""


class CreateResult(NamedTuple):
    """Result of `create_topics`. created: with dry_run, the topics it would create."""

    created: list[TopicSpec]
    existing: list[TopicSpec]
    warnings: list[Issue]


def topic_specs(settings: Settings) -> list[TopicSpec]:
    """Every topic of this installation, in the order of the flow."""
    return [_spec(topic, settings) for topic in settings.topics]


def _spec(topic: Topic, settings: Settings) -> TopicSpec:
    compacted = topic in COMPACTED
    dead = topic == "dead-letters"
    config = {
        "cleanup.policy": "compact" if compacted else "delete",
        "max.message.bytes": str(MAX_LETTER_BYTES if dead else BROKER_MAX_BYTES),
        "message.timestamp.type": "CreateTime",
    }
    if compacted:
        # States on disk rely on it: streams/batching/stores/folder.py.
        config["delete.retention.ms"] = str(DAY_MS)
    else:
        config["retention.ms"] = str(_days(topic, settings) * DAY_MS)
    if settings.replication >= 3:
        config["min.insync.replicas"] = "2"
    return TopicSpec(settings.topic(topic), settings.partitions, settings.replication, config)


def _days(topic: Topic, settings: Settings) -> int:
    if topic == "dead-letters":
        return settings.dead_letter_days
    if topic == "callbacks":
        return settings.callback_days
    if topic == "suppression-requests":
        return settings.event_days * REQUESTS_KEPT
    return settings.event_days


def differences(specs: Iterable[TopicSpec], actual: Mapping[str, ActualTopic]) -> Differences:
    """Differences between existing topics and their specifications; missing topics are left out."""
    present = {spec.name: spec for spec in specs if spec.name in actual}
    counts = {name: actual[name].partitions for name in present}
    if len(set(counts.values())) > 1:
        return Differences([_uneven(counts)], [])
    fatal: list[Issue] = []
    harmless: list[Issue] = []
    for name, spec in present.items():
        for is_fatal, issue in _differences(spec, actual[name]):
            (fatal if is_fatal else harmless).append(issue)
    return Differences(fatal, harmless)


def _uneven(counts: Mapping[str, int]) -> Issue:
    shown = ", ".join(f"{name} has {n}" for name, n in sorted(counts.items()))
    return Issue(
        "topic partitions",
        f"these topics must have the same number of partitions, but {shown}",
        "delete those that differ if they are empty, or start again under another "
        "RECEIPTS_TOPIC_PREFIX and replay; adding partitions to a topic that holds data "
        "would split the events of a message",
    )


def _differences(spec: TopicSpec, actual: ActualTopic) -> Iterable[tuple[bool, Issue]]:
    """(is fatal, issue) of one topic."""
    where = f"topic {spec.name}"
    if actual.partitions != spec.partitions:
        problem = f"has {actual.partitions} partitions, not {spec.partitions} as in the settings"
        yield True, Issue(where, problem, f"set RECEIPTS_PARTITIONS={actual.partitions}")
    if actual.replication != spec.replication:
        problem = f"has {actual.replication} copies, not {spec.replication} as in the settings"
        fix = f"set RECEIPTS_REPLICATION={actual.replication} or move its partitions"
        yield False, Issue(where, problem, fix)
    for key, value in spec.config.items():
        current = actual.config.get(key)
        if current != value:
            problem = f"{key} is {current or 'not set'}, not {value}"
            fix = (
                f"kafka-configs.sh --alter --entity-type topics --entity-name {spec.name} "
                f"--add-config {key}={value}"
            )
            yield key in FATAL, Issue(where, problem, fix)


async def check_topics(settings: Settings, program: Program = "admin") -> list[Issue]:
    """The harmless differences; worker and sink call this before they start.

    program: whose rights and topics are checked. Raises TopicsError when it lacks a right, when a
    topic is missing or differs fatally, or no broker answers.
    """
    specs = [_spec(topic, settings) for topic in settings.topics if topic in NEEDS[program].checks]
    async with _admin(settings) as admin:
        await _check_rights(admin, program, settings)
        actual = await actual_topics(admin, specs)
    missing = [spec.name for spec in specs if spec.name not in actual]
    if missing:
        raise TopicsError(f"topics are missing: {', '.join(missing)}. Fix: run `receipts topics`")
    return _raise_fatal(differences(specs, actual))


async def create_topics(settings: Settings, *, dry_run: bool = False) -> CreateResult:
    """Create missing topics. Checks the existing ones first; creates nothing when one conflicts.

    Raises TopicsError when an existing topic differs fatally, the cluster refuses a topic, or no
    broker answers.
    """
    specs = topic_specs(settings)
    async with _admin(settings) as admin:
        await _check_rights(admin, "admin", settings)
        actual = await actual_topics(admin, specs)
        warnings = _raise_fatal(differences(specs, actual))
        missing = [spec for spec in specs if spec.name not in actual]
        if missing and not dry_run:
            await _create(admin, missing)
            await _wait_visible(admin, specs)
    return CreateResult(missing, [spec for spec in specs if spec.name in actual], warnings)


async def _check_rights(admin: AIOKafkaAdminClient, program: Program, settings: Settings) -> None:
    if lacking := await lacking_rights(admin, program, settings):
        user = settings.kafka_sasl_username
        raise TopicsError("\n".join(denial(right, user) for right in lacking))


def _raise_fatal(found: Differences) -> list[Issue]:
    """The harmless differences. Raises TopicsError with the fatal ones."""
    if found.fatal:
        raise TopicsError("\n".join(map(str, found.fatal)))
    return found.harmless


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = clients.admin(kafka_access(settings), client_id="receipts-topics")
    try:
        await admin.start()
        yield admin
    except (KafkaError, OSError) as error:
        user = settings.kafka_sasl_username
        raise TopicsError(no_answer(settings.brokers, error, user=user)) from error
    finally:
        await admin.close()


async def actual_topics(
    admin: AIOKafkaAdminClient, specs: list[TopicSpec]
) -> dict[str, ActualTopic]:
    """The topics that exist, by name. Raises KafkaError, or TopicsError when Kafka refuses."""
    # Lists all topics: a request by name would create them on the embedded broker.
    names = {spec.name for spec in specs}
    described = await clients.retry_for_a_while(admin.describe_topics)
    shapes = {t["topic"]: t["partitions"] for t in described}
    present = sorted(names & shapes.keys())
    configs = await _configs(admin, present) if present else {}
    return {
        name: ActualTopic(len(shapes[name]), len(shapes[name][0]["replicas"]), config)
        for name, config in configs.items()
    }


async def _configs(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    """Configuration by topic, without topics that the broker does not know."""
    # One request a topic: the embedded broker answers only for the first of several.
    configs = {}
    for name in names:
        topic = ConfigResource(ConfigResourceType.TOPIC, name)
        (answer,) = await clients.retry_for_a_while(partial(admin.describe_configs, [topic]))
        code, message, _, _, entries = answer.resources[0]
        if code == UNKNOWN:
            continue  # one of several brokers does not know a new topic yet: not visible
        if code:
            raise TopicsError(f"topic {name}: cannot read its configuration: {message} ({code})")
        configs[name] = {entry[0]: entry[1] for entry in entries}
    return configs


async def _create(admin: AIOKafkaAdminClient, specs: list[TopicSpec]) -> None:
    new = [NewTopic(s.name, s.partitions, s.replication, None, dict(s.config)) for s in specs]
    answer = await clients.retry_for_a_while(partial(_create_unless_retriable, admin, new))
    refused = [
        denial(Right("topic", name, "CREATE"), user_of(admin._client))
        if code == TopicAuthorizationFailedError.errno
        else f"topic {name}: Kafka refused it: {message or 'no reason given'} (error {code})"
        for name, code, message in answer.topic_errors
        if code not in (0, EXISTS)
    ]
    if refused:
        raise TopicsError("\n".join(refused))


async def _create_unless_retriable(admin: AIOKafkaAdminClient, new: list[NewTopic]) -> Any:
    """The answer of the broker. Raises retriable errors of single topics."""
    answer = await admin.create_topics(new)
    for _, code, message in answer.topic_errors:
        if (error := for_code(code)).retriable:
            raise error(message)
    return answer


async def _wait_visible(admin: AIOKafkaAdminClient, specs: list[TopicSpec]) -> None:
    for _ in range(int(VISIBLE_S * 10)):
        actual = await actual_topics(admin, specs)
        if len(actual) == len(specs):
            _raise_fatal(differences(specs, actual))
            return
        await asyncio.sleep(0.1)
    missing = [spec.name for spec in specs if spec.name not in actual]
    raise TopicsError(f"topics created but still not visible: {', '.join(missing)}")
