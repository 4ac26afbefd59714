"""Topics on both brokers: created once, then checked, refused when they differ."""

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource

from deploy.embedded.brokers import (
    Broker,
    free_port,
)
from deploy.kafka.topics import (
    ActualTopic,
    TopicsError,
    check_topics,
    create_topics,
    differences,
    topic_specs,
)
from models.settings import Settings


@pytest.fixture
def settings(broker: Broker) -> Settings:
    return Settings(brokers=broker.bootstrap, topic_prefix=f"t{uuid.uuid4().hex[:8]}.")


async def make(settings: Settings, name: str, partitions: int, **config: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.brokers)
    await admin.start()
    try:
        dotted = {key.replace("_", "."): value for key, value in config.items()}
        answer = await admin.create_topics([NewTopic(name, partitions, 1, None, dotted)])
        assert answer.topic_errors[0][1] == 0
        while name not in await admin.list_topics():
            await asyncio.sleep(0.05)
    finally:
        await admin.close()


async def names_on(settings: Settings) -> set[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.brokers)
    await admin.start()
    try:
        found = await admin.list_topics()
    finally:
        await admin.close()
    return {name for name in found if name.startswith(settings.topic_prefix)}


async def test_all_topics_are_created_once_and_then_pass_the_check(settings: Settings) -> None:
    first = await create_topics(settings)
    assert [spec.name for spec in first.created] == [spec.name for spec in topic_specs(settings)]
    again = await create_topics(settings)
    assert (again.created, again.existing) == ([], first.created)
    assert await check_topics(settings) == []


async def test_a_dry_run_creates_nothing(settings: Settings) -> None:
    outcome = await create_topics(settings, dry_run=True)
    assert outcome.created == topic_specs(settings)
    assert await names_on(settings) == set()


async def test_the_check_creates_nothing_and_names_what_is_missing(settings: Settings) -> None:
    with pytest.raises(TopicsError, match=r"missing: .*sends.*Fix: run `receipts topics`"):
        await check_topics(settings)
    assert await names_on(settings) == set()


async def test_differing_partition_counts_are_refused_and_nothing_is_created(
    settings: Settings,
) -> None:
    await make(settings, settings.topic("sends"), 4)
    await make(settings, settings.topic("receipts"), 3)
    with pytest.raises(TopicsError) as caught:
        await create_topics(settings)
    text = str(caught.value)
    assert f"{settings.topic('receipts')} has 3" in text
    assert f"{settings.topic('sends')} has 4" in text
    assert "Fix: " in text
    assert await names_on(settings) == {settings.topic("sends"), settings.topic("receipts")}


async def test_another_count_than_in_the_settings_is_refused(settings: Settings) -> None:
    await create_topics(settings)
    other = settings.model_copy(update={"partitions": 8})
    with pytest.raises(TopicsError, match="RECEIPTS_PARTITIONS=4"):
        await check_topics(other)


async def test_a_state_topic_that_is_not_compacted_is_refused(settings: Settings) -> None:
    await make(settings, settings.topic("message-states"), 4, cleanup_policy="delete")
    with pytest.raises(TopicsError, match=r"cleanup\.policy is delete, not compact"):
        await create_topics(settings)


async def test_another_retention_is_only_a_warning(settings: Settings) -> None:
    await create_topics(settings)
    longer = settings.model_copy(update={"event_days": 14})
    warnings = await check_topics(longer)
    assert {w.where.removeprefix("topic ") for w in warnings} == {
        settings.topic("sends"),
        settings.topic("receipts"),
        settings.topic("engagements"),
        settings.topic("suppression-requests"),
        settings.topic("strikes"),
        settings.topic("retry-requests"),
    }
    assert all("retention.ms" in w.problem and "--add-config" in w.fix for w in warnings)


@pytest.mark.parametrize("broker", [pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True)
async def test_more_copies_than_brokers_is_kafkas_own_refusal(settings: Settings) -> None:
    with pytest.raises(TopicsError, match="replication factor"):
        await create_topics(settings.model_copy(update={"replication": 3}))


async def test_a_broker_that_gives_no_answer_is_named() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(TopicsError, match=f"{address} does not answer.*RECEIPTS_BROKERS"):
        await check_topics(Settings(brokers=address))


def found_like(settings: Settings, **changed: ActualTopic) -> Mapping[str, ActualTopic]:
    as_wanted = {
        s.name: ActualTopic(s.partitions, s.replication, s.config) for s in topic_specs(settings)
    }
    return {**as_wanted, **{name.replace("_", "-"): found for name, found in changed.items()}}


DAY_MS = 86_400_000


def test_what_is_compacted_and_how_long_the_rest_is_kept() -> None:
    settings = Settings(event_days=7, dead_letter_days=30)
    kept = {
        s.name: s.config["retention.ms"]
        for s in topic_specs(settings)
        if "retention.ms" in s.config
    }
    assert {name: int(ms) // DAY_MS for name, ms in kept.items()} == {
        "sends": 7,
        "receipts": 7,
        "engagements": 7,
        "suppression-requests": 28,
        "strikes": 7,
        "retry-requests": 7,
        "dead-letters": 30,
    }
    compacted = {s.name for s in topic_specs(settings) if s.config["cleanup.policy"] == "compact"}
    assert compacted == {
        "campaigns",
        "accounts",
        "message-states",
        "status-counters",
        "suppressions",
    }


def test_every_topic_has_the_same_number_of_partitions() -> None:
    assert {spec.partitions for spec in topic_specs(Settings(partitions=6))} == {6}


async def test_topics_of_an_earlier_version_are_kept_and_the_new_ones_added(
    settings: Settings,
) -> None:
    earlier = next(s for s in topic_specs(settings) if s.name == settings.topic("campaigns"))
    config = {key.replace(".", "_"): value for key, value in earlier.config.items()}
    await make(settings, earlier.name, earlier.partitions, **config)
    outcome = await create_topics(settings)
    assert outcome.existing == [earlier]
    assert await check_topics(settings) == []


def test_what_is_as_wanted_does_not_differ() -> None:
    settings = Settings(replication=3)
    assert differences(topic_specs(settings), found_like(settings)) == ([], [])


def test_fewer_copies_are_a_warning_and_smaller_dead_letters_are_not() -> None:
    settings = Settings()
    config = {**topic_specs(settings)[-1].config, "max.message.bytes": "1000"}
    found = found_like(settings, dead_letters=ActualTopic(4, 2, config))
    fatal, harmless = differences(topic_specs(settings), found)
    assert [issue.problem for issue in fatal] == ["max.message.bytes is 1000, not 2097152"]
    assert [issue.problem for issue in harmless] == ["has 2 copies, not 1 as in the settings"]


async def test_a_young_topic_that_one_of_the_brokers_does_not_know_is_waited_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that does not know a new topic yet answers error 3 for its configuration."""
    describe, requested = AIOKafkaAdminClient.describe_configs, list[str]()

    async def behind(self: AIOKafkaAdminClient, resources: list[ConfigResource]) -> Any:
        (answer,) = await describe(self, resources)
        requested.append(resources[0].name)
        if requested.count(resources[0].name) <= 2:
            answer.resources[0] = (3, "", *answer.resources[0][2:])
        return (answer,)

    monkeypatch.setattr(AIOKafkaAdminClient, "describe_configs", behind)
    outcome = await create_topics(settings)
    assert len(outcome.created) == len(topic_specs(settings))
    assert all(requested.count(spec.name) == 3 for spec in outcome.created)
    assert await check_topics(settings) == []
