"""Tables on disk and a changelog that does not fit them: read again, or refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.batching import EXIT_FAILED
from tests.streams.batching.harness import KEYS, PARTITIONS, Rig
from tests.support.waiting import eventually

COMPACTED = {"cleanup.policy": "compact"}


async def stopped(rig: Rig, folder: Path) -> None:
    """A worker has taken some numbers into its tables on disk, and has ended."""
    worker = rig.start(state_dir=str(folder))
    await rig.feed(400)
    await rig.finish()
    worker.process.terminate()
    assert await worker.ended() == 0, worker.log


async def made_again(rig: Rig, *names: str) -> None:
    """The topics are deleted and made again, empty."""
    admin = AIOKafkaAdminClient(bootstrap_servers=rig.bootstrap)
    await admin.start()
    topics = [rig.prefix + name for name in names]
    try:
        await admin.delete_topics(topics)

        async def are_gone() -> bool:
            return not set(topics) & set(await admin.list_topics())

        await eventually(are_gone, 20)
    finally:
        await admin.close()
    await rig._create(rig.bootstrap, *topics, partitions=PARTITIONS, config=COMPACTED)


async def refused(rig: Rig, folder: Path, *parts: str) -> None:
    """The next worker ends with an error that has these parts, and changes nothing on disk."""
    worker = rig.start(state_dir=str(folder))
    assert await worker.ended(30) == EXIT_FAILED, worker.log
    assert all(part in worker.log for part in parts), worker.log


async def test_tables_on_disk_are_read_on(rig: Rig, tmp_path: Path) -> None:
    await rig.set_up()
    await stopped(rig, tmp_path)
    worker = rig.start(state_dir=str(tmp_path))
    await eventually(lambda: len(worker.of("ready")) == PARTITIONS, 30, lambda: worker.log)
    assert sum(entry["keys"] for entry in worker.of("ready")) == KEYS
    restored = sum(sum(entry["restored"].values()) for entry in worker.of("ready")[-1:])
    assert restored == 0
    await rig.feed(100)
    await rig.finish()


@pytest.mark.parametrize("longer", [False, True], ids=["shorter", "longer"])
@pytest.mark.kafka
async def test_a_changelog_that_was_made_again_is_refused(
    kafka_rig: Rig, tmp_path: Path, longer: bool
) -> None:
    """Also when it has more records than the old one had."""
    await kafka_rig.set_up()
    await stopped(kafka_rig, tmp_path)
    await made_again(kafka_rig, "states")
    if longer:
        async with AIOKafkaProducer(bootstrap_servers=kafka_rig.bootstrap) as sender:
            for number in range(2_000):
                await sender.send(
                    kafka_rig.prefix + "states", b"[%d]" % number, key=b"new-%d" % number,
                    partition=number % PARTITIONS,
                )  # fmt: skip
    topic = kafka_rig.prefix + "states"
    await refused(
        kafka_rig, tmp_path,
        f"it has the states of another topic {topic}, which was made again",
        "Fix: if the new topic is right, delete the folder: it is made again from Kafka",
    )  # fmt: skip


@pytest.mark.kafka
async def test_a_changelog_that_begins_behind_the_tables_is_read_again(
    kafka_rig: Rig, tmp_path: Path
) -> None:
    """Its records up to the present were deleted, and others came meanwhile."""
    await kafka_rig.set_up()
    await stopped(kafka_rig, tmp_path)
    await kafka_rig.feed(400)
    other = kafka_rig.start(state_dir=str(tmp_path / "other"))
    await kafka_rig.finish()
    other.process.terminate()
    assert await other.ended() == 0, other.log
    await delete_records(kafka_rig, "states")
    worker = kafka_rig.start(state_dir=str(tmp_path), dump=True)
    await eventually(lambda: len(worker.of("ready")) == PARTITIONS, 30, lambda: worker.log)
    assert "begins behind the states on disk: they are read from Kafka again" in worker.log
    assert all(entry["held"] == {} for entry in worker.of("ready"))


async def delete_records(rig: Rig, name: str) -> None:
    """Delete all records of a topic; its offsets go on."""
    topic = rig.prefix + name
    ends = {number: len(records) for number, records in (await rig.read(name)).items()}
    admin = AIOKafkaAdminClient(bootstrap_servers=rig.bootstrap)
    await admin.start()
    try:
        # Kafka deletes records where the policy allows it only.
        policy = {"cleanup.policy": "compact,delete"}
        await admin.alter_configs([_config(topic, policy)])
        await admin.delete_records(
            {TopicPartition(topic, number): RecordsToDelete(-1) for number in ends}
        )
    finally:
        await admin.close()


def _config(topic: str, configs: dict[str, str]) -> object:
    return ConfigResource(ConfigResourceType.TOPIC, topic, configs)


async def test_a_folder_that_cannot_be_used_ends_the_worker_by_name(
    quick_rig: Rig, tmp_path: Path
) -> None:
    """Before it has partitions, and when it gets one."""
    await quick_rig.set_up()
    (tmp_path / "file").write_text("")
    await refused(
        quick_rig, tmp_path / "file", "it cannot be written (Not a directory)", "Fix: let"
    )
    app = tmp_path / "state" / f"{quick_rig.prefix}counter"
    app.mkdir(parents=True)
    (app / "2").write_text("in the way of a database")
    await refused(quick_rig, tmp_path / "state", f"{app}/2", "Fix: ")
