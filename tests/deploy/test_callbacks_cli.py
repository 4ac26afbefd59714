"""`receipts callbacks list`, `show` and `explain` as processes, with a real worker."""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.moments import moment_of
from deploy.embedded.brokers import Broker, free_port
from deploy.kafka.topics import create_topics
from deploy.processes.child import Child
from models.callbacks import RawCallback
from models.keys import message_key, partition_of
from models.settings import Settings
from models.time import rfc3339
from streams.kafka import clients
from streams.kafka.security import kafka_access
from tests.support.commands import receipts
from tests.support.waiting import until

ENDPOINTS = """
public_url = "https://receipts.example.com"

[endpoints.twilio]
provider = "twilio"
account = "acme"
secrets = ["env:TWILIO"]

[endpoints.meta]
provider = "whatsapp"
account = "other"
secrets = ["env:META"]
"""
HOUR_MS = 3_600_000
#: Within the retention of the topic, and so long ago that all callbacks came in the past.
T0 = time.time_ns() // 1_000_000_000 * 1000 - 30 * HOUR_MS


def at(hours: int) -> str:
    """The time of a callback, as commands show it."""
    return rfc3339(T0 + hours * HOUR_MS)


def twilio(sid: str, status: str = "delivered", **more: str) -> bytes:
    fields = {"MessageSid": sid, "MessageStatus": status, **more}
    return "&".join(f"{name}={value}" for name, value in fields.items()).encode()


def statuses(*pairs: tuple[str, str]) -> bytes:
    """Of Meta, in one callback."""
    found = [{"id": name, "status": status} for name, status in pairs]
    return json.dumps({"entry": [{"changes": [{"value": {"statuses": found}}]}]}).encode()


class Installation:
    """A broker with topics and a worker, and callbacks in them.

    positions: of the callbacks, by what they are called here
    """

    def __init__(self, brokers: str, prefix: str, folder: Path) -> None:
        self.folder = folder
        file = folder / "endpoints.toml"
        file.write_text(ENDPOINTS)
        self.settings = Settings(
            brokers=brokers,
            topic_prefix=prefix,
            app_id=f"{prefix}receipts",
            partitions=4,
            endpoints=str(file),
            clickhouse_url="http://default:@127.0.0.1:1/receipts",
        )
        self.positions: dict[str, str] = {}

    def worker(self) -> Child:
        settings = self.settings.model_copy(update={"worker_port": free_port()})
        command = [sys.executable, "-m", "deploy.cli", "worker"]
        return Child("worker", command, settings.environ(), self.folder / "worker.log")

    async def publish(self) -> None:
        """Callbacks, an hour from each other, and the id of one message."""
        callbacks = {
            "named": RawCallback(twilio("SM0"), "twilio", reference="acme/m0/2"),
            "linked": RawCallback(twilio("SM1", "sent"), "twilio"),
            "waiting": RawCallback(twilio("SM2", "undelivered", ErrorCode="30005"), "twilio"),
            "batch": RawCallback(statuses(("w1", "sent"), ("w1", "read")), "meta"),
            "refused": RawCallback(b"MessageSid=SM3", "twilio"),
            "foreign": RawCallback(b"\xff\x00", "nobody"),
        }
        producer = clients.producer(kafka_access(self.settings))
        await producer.start()
        try:
            topic = self.settings.topic("callbacks")
            for number, (name, raw) in enumerate(callbacks.items()):
                came = T0 + number * HOUR_MS
                raw = raw._replace(received_at=came, verified="twilio", query="a=1")
                sent = await producer.send_and_wait(
                    topic, raw.body, headers=raw.headers(), timestamp_ms=came
                )
                self.positions[name] = f"{sent.partition}:{sent.offset}"
            link = {"account": "acme", "provider": "twilio", "message_id": "m1"}
            key = message_key("acme", "m1")
            await producer.send_and_wait(
                self.settings.topic("provider-ids"),
                json.dumps({**link, "provider_message_id": "SM1"}).encode(),
                key=key,
                partition=partition_of(key, self.settings.partitions),
            )
        finally:
            await producer.stop()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return receipts(self.settings, "callbacks", *arguments)

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def explained(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.json("explain", self.positions[name])
        return found


@pytest.fixture(scope="module")
def installed(
    strongest_broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    made = Installation(strongest_broker.bootstrap, "cb.", tmp_path_factory.mktemp("installed"))
    asyncio.run(create_topics(made.settings))
    asyncio.run(made.publish())
    worker = made.worker()
    try:

        def is_done() -> bool:
            """The last things that the worker does with each of them."""
            worker.check()
            return (
                made.explained("waiting")["items"][0]["keys"][0]["waits_since"] is not None
                and made.explained("linked")["items"][0]["message"] is not None
                and made.explained("batch")["items"][1]["keys"][0]["waits_since"] is not None
                and all(made.explained(name)["dead_letters"] for name in ("refused", "foreign"))
            )

        until(is_done, "the worker has read all", 90)
        yield made
    finally:
        worker.stop()


# --- list -----------------------------------------------------------------------------------------


def test_the_newest_come_first(installed: Installation) -> None:
    rows = installed.json("list")
    assert [row["position"] for row in rows] == list(installed.positions.values())[::-1]
    assert rows[-1] == {
        "position": installed.positions["named"],
        "received_at": at(0),
        "endpoint": "twilio",
        "verified": "twilio",
        "size": len(twilio("SM0")),
        "reading": "1 receipt: delivered",
    }
    readings = [row["reading"] for row in rows]
    assert readings[0] == "refused: header endpoint: 'nobody' is not in the file of endpoints"
    assert readings[1].startswith("refused: MessageStatus")
    assert readings[2] == "2 receipts: sent, read"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--endpoint", "twilio", "--limit", "2"), ["refused", "waiting"]),
        (("--account", "other"), ["batch"]),
        (("--refused",), ["foreign", "refused"]),
        (("--since", at(1), "--until", at(3)), ["waiting", "linked"]),
        (("--until", at(5), "--limit", "1"), ["refused"]),
        (("--since", "1s"), []),
    ],
)  # fmt: skip
def test_what_is_wanted_is_listed(
    installed: Installation, options: tuple[str, ...], names: list[str]
) -> None:
    rows = installed.json("list", *options)
    assert [row["position"] for row in rows] == [installed.positions[name] for name in names]


def test_the_list_has_a_line_for_each(installed: Installation) -> None:
    lines = installed.run("list").stdout.splitlines()
    assert lines[0].split()[0] == "position" and lines[-1] == "6 callbacks"
    line = next(li for li in lines if li.startswith(installed.positions["batch"]))
    assert line.endswith("2 receipts: sent, read")
    empty = installed.run("list", "--since", "1s")
    assert (empty.returncode, empty.stdout) == (0, "no callback is kept that fits\n")


# --- show -----------------------------------------------------------------------------------------


def test_a_callback_is_shown_as_it_was_kept(installed: Installation) -> None:
    shown = installed.json("show", installed.positions["named"])
    assert shown["headers"] == {
        "endpoint": "twilio",
        "query": "a=1",
        "reference": "acme/m0/2",
        "received-at": str(T0),
        "verified": "twilio",
    }
    assert shown["body"] == twilio("SM0").decode()
    text = installed.run("show", installed.positions["named"]).stdout
    assert text.endswith(f"{len(twilio('SM0'))}\n\n{twilio('SM0').decode()}\n")


def test_bytes_that_are_no_text_are_written_as_they_are(installed: Installation) -> None:
    position = installed.positions["foreign"]
    done = subprocess.run(
        [sys.executable, "-m", "deploy.cli", "callbacks", "show", position, "--raw"],
        env=installed.settings.environ(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == b"\xff\x00"
    assert "--raw writes its bytes" in installed.run("show", position).stdout
    assert installed.json("show", position)["body_base64"] == "/wA="


# --- explain --------------------------------------------------------------------------------------


def test_a_reference_in_the_url_names_the_message(installed: Installation) -> None:
    found = installed.explained("named")
    (item,) = found["items"]
    assert item["found_by"] == "reference in the URL"
    assert item["message"] == {"message_id": "m0", "attempt": 2}
    assert found["read"]["provider-correlations"] == [], "nothing had to be looked up"


def test_an_id_leads_to_its_message(installed: Installation) -> None:
    found = installed.explained("linked")
    (item,) = found["items"]
    assert item["found_by"] == "id of the provider"
    assert item["message"] == {"message_id": "m1", "attempt": None}
    (key,) = item["keys"]
    assert key["key"] == "acme/twilio/SM1"
    (read,) = found["read"]["provider-correlations"]
    assert read["partition"] == key["partition"] == partition_of(b"acme/twilio/SM1", 4)
    assert read["records"] > 0


def test_what_waits_is_explained(installed: Installation) -> None:
    found = installed.explained("waiting")
    (item,) = found["items"]
    assert (item["message"], item["read_as"]["error_code"]) == (None, "30005")
    (key,) = item["keys"]
    assert key["waits_since"] == found["received_at"]
    assert key["waits_as"] == ["undelivered"]
    text = installed.run("explain", installed.positions["waiting"]).stdout
    assert re.search(r"^  message +not known$", text, re.MULTILINE)
    assert re.search(r"acme/twilio/SM2: waits since .*, (reported as )?unmatched", text)
    assert re.search(r"^read: partition \d of provider-correlations, \d+ records$", text, re.M)


def test_each_receipt_of_a_batch_is_explained(installed: Installation) -> None:
    items = installed.explained("batch")["items"]
    assert [item["read_as"]["status"] for item in items] == ["sent", "read"]
    assert [item["keys"][0]["waits_as"] for item in items] == [["sent"], ["read"]]


@pytest.mark.parametrize(
    ("name", "detail"), [("refused", "MessageStatus"), ("foreign", "header endpoint")]
)
def test_a_refusal_has_its_dead_letter(installed: Installation, name: str, detail: str) -> None:
    found = installed.explained(name)
    (letter,) = found["dead_letters"]
    assert letter["reason"] == "bad_value"
    assert letter["detail"].startswith(detail)
    text = installed.run("explain", installed.positions[name]).stdout
    assert f"dead letter {letter['position']}  bad_value: {detail}" in text


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("list", "--endpoint", "twillio"), 2,
         "--endpoint: 'twillio' is not in the file of endpoints: twilio, meta"),
        (("list", "--since", "yesterday"), 2, "'yesterday' is not a time. Fix: 2h"),
        (("list", "--since", "2026-11-01T12:00:00"), 2, "has no zone. Fix: add Z"),
        (("show", "1042"), 2, "POSITION: '1042' is not PARTITION:OFFSET, such as 3:1042"),
        (("show", "0:1", "--raw", "--json"), 2, "--raw and --json exclude each other"),
        (("show", "9:0"), 1, "9:0: cb.callbacks has partitions 0 to 3"),
        (("explain", "0:999999"), 1, "callbacks are kept for 14 days"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_fix(
    installed: Installation, arguments: tuple[str, ...], code: int, text: str
) -> None:
    done = installed.run(*arguments)
    assert done.returncode == code, done.stderr
    assert text in " ".join(done.stderr.split())


@pytest.mark.parametrize("command", [("list",), ("show", "0:0"), ("explain", "0:0")])
def test_without_endpoints_or_topics_the_fix_is_named(
    installed: Installation, command: tuple[str, ...]
) -> None:
    without = installed.settings.model_copy(update={"endpoints": ""})
    done = receipts(without, "callbacks", *command)
    assert done.returncode == 2 and "RECEIPTS_ENDPOINTS: is empty" in done.stderr
    elsewhere = installed.settings.model_copy(update={"topic_prefix": "none."})
    done = receipts(elsewhere, "callbacks", *command)
    assert done.returncode == 1
    assert "topic none.callbacks is missing. Fix: run `receipts topics`" in done.stderr


NOW = 1_790_000_000_000


@pytest.mark.parametrize(
    ("written", "ends", "moment"),
    [
        ("2h", False, NOW - 2 * HOUR_MS),
        ("90 s", False, NOW - 90_000),
        ("1d", True, NOW - 24 * HOUR_MS),
        ("2026-05-28", False, 1_779_926_400_000),
        ("2026-05-28", True, 1_779_926_400_000 + 24 * HOUR_MS),
        ("2026-05-28T22:26:40+02:00", False, 1_780_000_000_000),
        ("2026-05-28T20:26:40.5Z", False, 1_780_000_000_500),
    ],
)
def test_moments_are_read(written: str, ends: bool, moment: int) -> None:
    assert moment_of(written, NOW, ends=ends) == moment
