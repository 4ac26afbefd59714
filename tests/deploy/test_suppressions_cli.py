"""`receipts suppressions …` as processes, on the embedded broker with a real worker."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from click.testing import CliRunner

from deploy.cli import cli
from deploy.demo.scrape import samples_at
from deploy.embedded.brokers import EmbeddedBroker, free_port
from deploy.kafka.topics import create_topics
from deploy.processes.child import Child
from models.keys import message_key, partition_of, recipient_key
from models.settings import Settings, Topic
from models.suppression import ChannelStatus, encode, of_any, published
from models.suppression_facts import Facts

ROOT = Path(__file__).parents[2]
COMMANDS = ["check", "list", "add", "release", "resubscribe"]
STRUCK = "+447700900101"
HOUR_MS = 3_600_000


class Installation:
    """A broker, its topics and two workers, each of which must answer for every recipient."""

    def __init__(self, brokers: str, folder: Path) -> None:
        self.settings = Settings(brokers=brokers, clickhouse_url=f"chdb://{folder}/none")
        self.ports = [free_port(), free_port()]
        self._folder = folder

    def worker(self, port: int) -> Child:
        settings = self.settings.model_copy(update={"worker_port": port})
        command = [sys.executable, "-m", "deploy.cli", "worker"]
        return Child("worker", command, settings.environ(), self._folder / f"worker-{port}.log")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return receipts(*arguments, brokers=self.settings.brokers)

    def checked(self, recipient: str, account: str = "acme") -> dict[str, Any]:
        done = self.run("check", account, recipient, "--json")
        answer: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == (3 if answer["suppressed"] else 0), done.stderr
        return answer

    def page(self, port: int, recipient: str, account: str = "acme") -> dict[str, Any]:
        url = f"http://127.0.0.1:{port}/suppressions/{account}/{recipient}"
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except (urllib.error.URLError, OSError):
            return {}

    def rebalances(self) -> float:
        """Rebalances that both workers went through."""
        return min(sample(port, "receipts_rebalances_total") for port in self.ports)

    def wait_for_pages(self, recipient: str, *, suppressed: bool) -> None:
        """Until both workers say so."""
        give_up = time.monotonic() + 40
        while any(
            self.page(port, recipient).get("suppressed") is not suppressed for port in self.ports
        ):
            assert time.monotonic() < give_up, [self.page(p, recipient) for p in self.ports]
            time.sleep(0.1)

    def publish(self, topic: Topic, records: list[tuple[bytes, dict[str, Any]]]) -> None:
        asyncio.run(self._publish(topic, [(k, json.dumps(v).encode()) for k, v in records]))

    def publish_raw(self, topic: Topic, records: list[tuple[bytes, bytes]]) -> None:
        asyncio.run(self._publish(topic, records))

    async def _publish(self, topic: Topic, records: list[tuple[bytes, bytes]]) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.settings.brokers, acks="all")
        await producer.start()
        try:
            for key, value in records:
                home = partition_of(key, self.settings.partitions)
                name = self.settings.topic(topic)
                await producer.send_and_wait(name, value, key=key, partition=home)
        finally:
            await producer.stop()


def receipts(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RECEIPTS_")}
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", "suppressions", *arguments],
        cwd=ROOT,
        env={**clean, **{f"RECEIPTS_{k.upper()}": v for k, v in settings.items()}},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with EmbeddedBroker() as broker:
        yield broker.bootstrap


@pytest.fixture(scope="module")
def installed(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(broker, tmp_path_factory.mktemp("installed"))
    asyncio.run(create_topics(installation.settings))
    first, second = installation.ports
    with installation.worker(first), installation.worker(second):
        installation.wait_for_pages("+447700900999", suppressed=False)
        yield installation


# --- help and usage --------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_examples_whose_options_exist(name: str) -> None:
    result = CliRunner().invoke(cli, ["suppressions", name, "--help"])
    assert result.exit_code == 0
    options, examples = result.output.split("Examples:\n")
    assert f"receipts suppressions {name}" in examples
    for option in re.findall(r"(?<=\s)--[a-z-]+", examples):
        assert option in options


def test_the_help_of_check_names_its_exit_codes() -> None:
    output = CliRunner().invoke(cli, ["suppressions", "check", "--help"]).output
    assert "Exit code 0 when it is not suppressed, 3 when it is" in " ".join(output.split())


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["check", "acme", "07700900123"], "recipient: '07700900123' is not a number with its"),
        (["add", "acme", "ann", "--why", "x"], "such as +447700900123, or a user id of WhatsApp"),
        (["check", "acme", "+447700900123", "--channel", "email"], "'email' is not one of 'sms'"),
        (["check", "ac me", "+447700900123"], "account: 'ac me' is not 1 to 64 of"),
        (["list", "--account", "a/b"], "account: 'a/b' is not"),
        (["add", "acme", "+447700900123"], "Missing option '--why'"),
        (["add", "acme", "+447700900123", "--why", " "], "--why: is empty"),
        (["add", "acme", "+447700900123", "--why", "x", "--who", ""], "--who: is empty"),
        (["release", "acme", "+447700900123", "--why", "x" * 1025], "why: "),
        (["release", "acme", "+447700900123", "--why", "x", "--at", "noon"], "at: RFC 3339"),
        (
            ["release", "acme", "+447700900123", "--why", "x", "--at", "2100-01-01T00:00:00Z"],
            "at: more than a day after now",
        ),
    ],
)
def test_wrong_usage_names_the_field_without_a_broker(arguments: list[str], answer: str) -> None:
    done = receipts(*arguments, brokers="127.0.0.1:1")
    assert done.returncode == 2
    assert answer in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "acme", "+447700900123"],
        ["list"],
        ["add", "acme", "+447700900123", "--why", "x", "--who", "ann"],
    ],
)
def test_a_broker_that_is_away_is_one_clear_line_and_exit_1(arguments: list[str]) -> None:
    address = f"127.0.0.1:{free_port()}"
    done = receipts(*arguments, brokers=address)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"receipts: error: Kafka at {address} does not answer")


@pytest.mark.parametrize(
    ("arguments", "topic"),
    [
        (["check", "acme", "+447700900123"], "suppressions"),
        (["list"], "suppressions"),
        (["add", "acme", "+447700900123", "--why", "x", "--who", "a"], "suppression-requests"),
    ],
)
def test_a_missing_topic_is_named_and_not_created(
    broker: str, arguments: list[str], topic: str
) -> None:
    for _ in range(2):
        done = receipts(*arguments, brokers=broker, topic_prefix="nowhere.")
        assert done.returncode == 1
        assert f"topic nowhere.{topic} is missing. Fix: run `receipts topics`" in done.stderr


# --- with a worker ---------------------------------------------------------------------------


def test_three_hard_bounces_are_shown_with_their_messages(installed: Installation) -> None:
    ids = ["m-1", "m-2", "m-3"]
    now = time.time_ns() // 1_000_000 - HOUR_MS
    answer = {"account": "acme", "channel": "sms", "recipient": STRUCK}
    sends = [{**answer, "message_id": id_, "sent_at": now + n} for n, id_ in enumerate(ids)]
    failed = {"account": "acme", "status": "undelivered", "bounce": "hard", "error_code": "5"}
    receipts_ = [
        {**failed, "message_id": id_, "occurred_at": now + 10_000 * (n + 1)}
        for n, id_ in enumerate(ids)
    ]
    keys = [message_key("acme", id_) for id_ in ids]
    installed.publish("sends", list(zip(keys, sends, strict=True)))
    installed.publish("receipts", list(zip(keys, receipts_, strict=True)))
    installed.wait_for_pages(STRUCK, suppressed=True)

    found = installed.checked(STRUCK)
    assert (found["reasons"], found["since"], found["strikes"]) == (
        ["hard_bounces"],
        now + 30_000,
        3,
    )
    messages = [(m["message_id"], m["code"], m["counts"]) for m in found["messages"]]
    assert messages == [(id_, "5", True) for id_ in ids]
    for port in installed.ports:  # the owner and the other worker alike
        page = installed.page(port, STRUCK)
        sms, _ = page.pop("channels")
        assert sms == found["channels"][0]
        assert page == {key: found[key] for key in page}
    text = installed.run("check", "acme", "+44 (0) 7700 900101")
    assert text.returncode == 3
    assert "acme/+447700900101: suppressed" in text.stdout
    assert "sms: suppressed, binds every message" in text.stdout
    assert "why      hard bounces" in text.stdout
    *_, first, second, third, whatsapp = text.stdout.splitlines()
    assert [line.split(":")[0].strip() for line in (first, second, third)] == ids
    assert whatsapp == "whatsapp: not suppressed, strikes 0"
    assert installed.run("check", "acme", STRUCK, "--channel", "sms").returncode == 3
    assert installed.run("check", "acme", STRUCK, "--channel", "whatsapp").returncode == 0


def test_a_recipient_is_suppressed_by_hand_and_released(installed: Installation) -> None:
    recipient = "+447700900102"
    added = installed.run("add", "acme", recipient, "--why", "asked by phone", "--who", "ann")
    assert added.returncode == 0, added.stderr
    assert "published to suppression-requests, partition" in added.stdout
    installed.wait_for_pages(recipient, suppressed=True)
    assert installed.checked(recipient)["reasons"] == ["manual"]
    assert "by ann: asked by phone" in installed.run("check", "acme", recipient).stdout

    released = installed.run(
        "release", "acme", recipient, "--why", "mended", "--who", "bob", "--json"
    )
    placed = json.loads(released.stdout)
    home = partition_of(recipient_key("acme", recipient), installed.settings.partitions)
    assert (placed["topic"], placed["partition"]) == ("suppression-requests", home)
    assert placed["request"]["action"] == "release"
    installed.wait_for_pages(recipient, suppressed=False)
    found = installed.checked(recipient)
    assert (found["suppressed"], found["reasons"]) == (False, [])
    decided = [(d["what"], d["who"], d["why"]) for d in found["decisions"]]
    assert decided == [("suppressed", "ann", "asked by phone"), ("released", "bob", "mended")]


def test_a_decision_may_be_about_one_channel(installed: Installation) -> None:
    recipient = "+447700900108"
    sms = ("--channel", "sms", "--who", "ann")
    added = installed.run("add", "acme", "00 44 7700 900108", "--why", "x", *sms)
    assert f"suppress acme/{recipient} on sms at" in added.stdout
    installed.wait_for_pages(recipient, suppressed=True)
    assert "suppressed on sms" in installed.run("check", "acme", recipient).stdout
    for port in installed.ports:
        page = installed.page(port, f"{recipient}?channel=whatsapp")
        assert (page["suppressed"], page["binds"]) == (False, "")
        page = installed.page(port, f"{recipient}?channel=sms")
        assert (page["suppressed"], page["binds"]) == (True, "all")
    installed.run("release", "acme", recipient, "--why", "x", *sms)
    installed.wait_for_pages(recipient, suppressed=False)


def test_a_release_from_before_changes_nothing_and_the_time_is_the_one_given(
    installed: Installation,
) -> None:
    recipient = "+447700900103"
    installed.run("add", "acme", recipient, "--why", "x", "--at", "2026-03-01T12:00:00Z")
    installed.wait_for_pages(recipient, suppressed=True)
    assert installed.checked(recipient)["since"] == 1_772_366_400_000
    installed.run("release", "acme", recipient, "--why", "x", "--at", "2026-03-01T13:59:59+02:00")
    give_up = time.monotonic() + 20
    while len(found := installed.checked(recipient)["decisions"]) < 2:
        assert time.monotonic() < give_up, found
    assert installed.checked(recipient)["suppressed"] is True


def test_a_resubscribe_ends_an_unsubscribe_and_a_release_does_not(installed: Installation) -> None:
    recipient = "+447700900104"
    key = recipient_key("acme", recipient)
    unsubscribe = {
        "account": "acme",
        "event_id": "e-1",
        "type": "unsubscribe",
        "occurred_at": "2026-03-01T12:00:00Z",
        "recipient": recipient,
    }
    installed.publish("engagements", [(key, unsubscribe)])
    installed.wait_for_pages(recipient, suppressed=True)
    installed.run("release", "acme", recipient, "--why", "x")
    installed.run("resubscribe", "acme", recipient, "--why", "form 12")
    installed.wait_for_pages(recipient, suppressed=False)
    decided = [d["what"] for d in installed.checked(recipient)["decisions"]]
    assert decided == ["unsubscribed", "released", "resubscribed"]


def test_an_unknown_recipient_is_not_suppressed(installed: Installation) -> None:
    done = installed.run("check", "acme", "+447700900777")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("acme/+447700900777: not suppressed\n")


def test_every_answer_is_right_while_a_worker_comes_and_dies(
    installed: Installation,
) -> None:
    recipient = "+447700900107"
    installed.run("add", "acme", recipient, "--why", "x")
    installed.wait_for_pages(recipient, suppressed=True)
    port = free_port()
    with installed.worker(port) as third:
        give_up = time.monotonic() + 60
        while not ready(port):  # it has joined the group and taken its share
            assert_suppressed_on_both(installed, recipient)
            assert time.monotonic() < give_up, third.tail()
        assert installed.page(port, recipient)["suppressed"] is True
        third.process.kill()
    # The dead one is noticed after its session timeout; its partitions then go to the others.
    before, give_up = installed.rebalances(), time.monotonic() + 60
    while installed.rebalances() == before:
        assert_suppressed_on_both(installed, recipient)
        assert time.monotonic() < give_up
        time.sleep(0.05)


def sample(port: int, name: str) -> float:
    return samples_at(f"http://127.0.0.1:{port}/metrics", name).get(name, 0.0)


def ready(port: int) -> bool:
    return sample(port, "receipts_ready") == 1


def assert_suppressed_on_both(installed: Installation, recipient: str) -> None:
    for port in installed.ports:
        assert installed.page(port, recipient).get("suppressed") is True


# --- the topic alone -------------------------------------------------------------------------


@pytest.fixture
def alone(broker: str, tmp_path: Path) -> Installation:
    """Topics without a worker."""
    installation = Installation(broker, tmp_path)
    prefix = f"alone{time.time_ns()}."
    installation.settings = installation.settings.model_copy(update={"topic_prefix": prefix})
    asyncio.run(create_topics(installation.settings))
    return installation


def stored(
    account: str, recipient: str, version: int, *, suppressed: bool = True
) -> tuple[Any, Any]:
    since = 1_772_366_400_000 if suppressed else 0
    reasons = ("manual",) if suppressed else ()
    status = of_any(
        [
            ChannelStatus(channel, suppressed, reasons, since, 0, 0, since)
            for channel in ("sms", "whatsapp")
        ]
    )
    value = encode(published(account, recipient, Facts(), status, version))
    return recipient_key(account, recipient), value


def listed(installation: Installation, *arguments: str) -> list[tuple[str, str]]:
    settings = installation.settings
    done = receipts(
        "list", *arguments, brokers=settings.brokers, topic_prefix=settings.topic_prefix
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(line["suppressed"] for line in lines)
    return sorted((line["account"], line["recipient"]) for line in lines)


def test_the_list_has_the_current_suppressions_only(alone: Installation) -> None:
    recipients = [f"+4477009{n:05d}" for n in range(40)]
    records = [stored(account, n, 1) for account in ("acme", "acme2") for n in recipients]
    records += [stored("acme", n, 2, suppressed=False) for n in recipients[:10]]
    records += [stored("acme", recipients[0], 3)]
    records += [stored("acme", recipients[20], 0, suppressed=False)]  # a former owner's, late
    alone.publish_raw("suppressions", records)
    acme = [("acme", n) for n in (recipients[0], *recipients[10:])]
    assert listed(alone, "--json", "--account", "acme") == sorted(acme)
    assert listed(alone, "--json") == sorted(acme + [("acme2", n) for n in recipients])


def test_the_list_for_people_has_a_head_and_a_count(alone: Installation) -> None:
    settings = alone.settings
    kept = {"brokers": settings.brokers, "topic_prefix": settings.topic_prefix}
    assert receipts("list", **kept).stdout == "no recipient is suppressed\n"
    alone.publish_raw("suppressions", [stored("acme", "+447700900105", 1)])
    head, line, count = receipts("list", **kept).stdout.splitlines()
    assert " ".join(head.split()) == "account recipient channels binds why since until strikes"
    assert "sms, whatsapp  every message" in line
    assert line.split("  ")[0] == "acme"
    assert "+447700900105" in line and "by hand" in line and "2026-03-01T12:00:00Z" in line
    assert count == "1 suppressed"


def test_the_list_of_one_channel_has_those_suppressed_there(alone: Installation) -> None:
    only = of_any([ChannelStatus("sms", True, ("unsubscribed",), 1_772_366_400_000, 0, 0)])
    recipient = "+447700900109"
    value = encode(published("acme", recipient, Facts(), only, 1))
    alone.publish_raw("suppressions", [(recipient_key("acme", recipient), value)])
    assert listed(alone, "--json", "--channel", "sms") == [("acme", recipient)]
    assert listed(alone, "--json", "--channel", "whatsapp") == []


@pytest.mark.parametrize("stored_as", ["+5582999448232", "+558299448232"])
@pytest.mark.parametrize("written", ["+55 82 99944-8232", "+55 82 9944-8232"])
def test_a_number_is_found_under_each_of_its_spellings(
    alone: Installation, stored_as: str, written: str
) -> None:
    value = stored("acme", stored_as, 1)[1]
    alone.publish_raw("suppressions", [(f"acme/{stored_as}".encode(), value)])
    settings = alone.settings
    kept = {"brokers": settings.brokers, "topic_prefix": settings.topic_prefix}
    assert receipts("check", "acme", written, **kept).returncode == 3


def test_a_record_that_cannot_be_read_is_named(alone: Installation) -> None:
    key = recipient_key("acme", "+447700900106")
    alone.publish_raw("suppressions", [(key, b"{}")])
    settings = alone.settings
    kept = {"brokers": settings.brokers, "topic_prefix": settings.topic_prefix}
    for arguments in (["list"], ["check", "acme", "+447700900106"]):
        done = receipts(*arguments, **kept)
        assert done.returncode == 1
        assert "offset 0 is not a suppression" in done.stderr
