"""GET /suppressions/{account}/{recipient}: its answers, their age, and when there is none."""

import asyncio
import contextlib
import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from deploy.embedded.brokers import EmbeddedBroker
from deploy.kafka.topics import create_topics
from deploy.processes.monitoring import ProcessHealth, PrometheusMeter, monitoring_server
from deploy.processes.suppressions_page import suppressions_page
from models.keys import recipient_key
from models.settings import Settings
from models.suppression import SuppressionStatus, check_record, encode, published
from models.suppression_facts import Facts
from streams.followers.suppression_index import SuppressionIndex
from streams.followers.topic_follower import TopicFollower
from streams.kafka.reading import Place

RECIPIENT = "+447700900123"
KEY = recipient_key("acme", RECIPIENT)
MAX_AGE_S = 30.0
STATUS = SuppressionStatus(True, ("hard_bounces", "manual"), 1_772_366_404_000, 0, 3)


def record(version: int, status: SuppressionStatus = STATUS) -> bytes:
    return encode(published("acme", RECIPIENT, Facts(), status, version))


def clear(version: int) -> bytes:
    return record(version, SuppressionStatus(False, (), 0, 0, 1))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def suppressed() -> SuppressionIndex:
    return SuppressionIndex()


@pytest.fixture
def port(suppressed: SuppressionIndex) -> Iterator[int]:
    meter = PrometheusMeter(CollectorRegistry())
    health = ProcessHealth(60, meter)
    page = suppressions_page(suppressed, MAX_AGE_S)
    with monitoring_server(meter.registry, health, "127.0.0.1", 0, [page]) as taken:
        yield taken


def get(port: int, page: str) -> tuple[int, dict[str, object], str | None]:
    """Status, JSON and the header Age."""
    url = f"http://127.0.0.1:{port}/{page}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, json.load(answer), answer.headers["Age"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), error.headers["Age"]


def test_a_suppressed_recipient_is_shown_as_published(
    port: int, suppressed: SuppressionIndex
) -> None:
    suppressed.take(KEY, record(7))
    suppressed.mark_caught_up(now_ms())
    status, fields, age = get(port, f"suppressions/acme/{RECIPIENT}")
    assert (status, age in ("0", "1")) == (200, True)
    wanted = msgspec.json.decode(record(7))
    del wanted["facts"]
    assert fields == wanted
    assert list(fields) == list(wanted)


def test_a_recipient_without_an_entry_is_not_suppressed(
    port: int, suppressed: SuppressionIndex
) -> None:
    suppressed.mark_caught_up(now_ms())
    status, fields, _ = get(port, f"suppressions/acme/{RECIPIENT}")
    assert (status, fields["suppressed"], fields["reasons"], fields["strikes"]) == (
        200,
        False,
        [],
        None,
    )


def test_the_recipient_of_another_account_is_not_suppressed(
    port: int, suppressed: SuppressionIndex
) -> None:
    suppressed.take(KEY, record(7))
    suppressed.mark_caught_up(now_ms())
    assert get(port, f"suppressions/other/{RECIPIENT}")[1]["suppressed"] is False


def test_the_plus_may_be_encoded(port: int, suppressed: SuppressionIndex) -> None:
    suppressed.take(KEY, record(7))
    suppressed.mark_caught_up(now_ms())
    assert get(port, f"suppressions/acme/%2B{RECIPIENT[1:]}")[1]["suppressed"] is True


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"acme/{RECIPIENT[1:]}", "recipient: "),
        ("acme/+44-7700", "recipient: "),
        ("acme/somebody", "recipient: "),
        (f"ac%20me/{RECIPIENT}", "account: "),
        (f"ac%2Fme/{RECIPIENT}", "account: "),
    ],
)
def test_an_invalid_recipient_is_an_error_with_its_field(
    port: int, suppressed: SuppressionIndex, path: str, field: str
) -> None:
    suppressed.mark_caught_up(now_ms())
    status, fields, _ = get(port, f"suppressions/{path}")
    assert status == 400
    assert str(fields["error"]).startswith(field)


def test_no_answer_before_the_topic_is_read_whole(port: int, suppressed: SuppressionIndex) -> None:
    suppressed.take(KEY, record(7))
    status, fields, age = get(port, f"suppressions/acme/{RECIPIENT}")
    assert (status, age) == (503, None)
    assert "still being read" in str(fields["error"])


def test_the_answer_has_its_age_and_is_refused_when_old(
    port: int, suppressed: SuppressionIndex
) -> None:
    suppressed.take(KEY, record(7))
    suppressed.mark_caught_up(now_ms() - 9_500)
    assert get(port, f"suppressions/acme/{RECIPIENT}")[2] == "10"
    suppressed.mark_caught_up(now_ms() - int(MAX_AGE_S * 1000) - 1)
    status, fields, _ = get(port, f"suppressions/acme/{RECIPIENT}")
    assert status == 503
    assert "nothing was read" in str(fields["error"])


# --- what every worker keeps ---------------------------------------------------------------------


@pytest.mark.parametrize("value", [clear(8), None])
def test_released_and_deleted_recipients_take_no_memory(value: bytes | None) -> None:
    suppressed = SuppressionIndex()
    suppressed.take(KEY, record(7))
    assert dict(suppressed) == {KEY: STATUS.since}
    suppressed.take(KEY, value)
    assert (len(suppressed), KEY in suppressed, suppressed.get(KEY)) == (0, False, None)
    assert suppressed.known(KEY) is None


def test_a_former_owner_changes_nothing() -> None:
    suppressed = SuppressionIndex()
    suppressed.take(KEY, record(2 << 32))
    suppressed.take(KEY, clear((1 << 32) + 99))
    assert KEY in suppressed


@pytest.mark.parametrize(
    "status",
    [
        SuppressionStatus(True, ("unsubscribed",), 1, 0, 0),
        SuppressionStatus(True, ("hard_bounces",), 1_772_366_404_000, 1_774_958_404_000, 40),
        SuppressionStatus(
            True, ("hard_bounces", "unsubscribed", "manual"), 253_402_300_799_999, 0, 20
        ),
    ],
)
def test_all_that_is_kept_comes_back(status: SuppressionStatus) -> None:
    suppressed = SuppressionIndex()
    suppressed.take(KEY, record((1 << 62) - 1, status))
    known = suppressed.known(KEY)
    assert known is not None
    assert known == (status.reasons, status.since, status.until, status.strikes, (1 << 62) - 1)
    assert suppressed[KEY] == status.since


@pytest.mark.parametrize(
    "garbage",
    [
        record(1 << 63),
        record(-1),
        record(5 << 32, SuppressionStatus(True, ("manual",), 1 << 63, 0, 0)),
        record(5 << 32, SuppressionStatus(True, ("manual",), 1, -1 << 64, 0)),
        record(5 << 32, SuppressionStatus(True, ("manual",), 1, 0, 1 << 16)),
        b'{"suppressed":true,"reasons":[],"since":1,"until":0,"strikes":0,"version":4294967296}',
        b"{}",
        b"\xc1",
        b"",
    ],
)
def test_a_follower_refuses_what_a_restore_refuses(garbage: bytes) -> None:
    suppressed = SuppressionIndex()
    suppressed.take(KEY, record(1 << 32))
    with pytest.raises((ValueError, msgspec.DecodeError)):
        check_record(KEY, garbage)
    with pytest.raises((ValueError, msgspec.DecodeError)):
        suppressed.take(KEY, garbage)
    suppressed.take(KEY, clear(2 << 32))
    assert KEY not in suppressed


def test_a_recipient_takes_at_most_two_hundred_bytes() -> None:
    import tracemalloc

    count = 20_000
    value = record(7)
    tracemalloc.start()
    try:
        suppressed = SuppressionIndex()
        before = tracemalloc.get_traced_memory()[0]
        for recipient in range(count):
            suppressed.take(f"acme/+4477{recipient:08d}".encode(), value)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(suppressed) == count
    assert taken / count < 200


async def test_the_age_grows_while_the_broker_is_silent_and_falls_when_it_speaks_again() -> None:
    suppressed = SuppressionIndex()
    with EmbeddedBroker() as broker:
        settings = Settings(brokers=broker.bootstrap)
        await create_topics(settings)
        topic = settings.topic("suppressions")
        faults: list[tuple[Place, str]] = []
        follower = TopicFollower(
            settings.brokers,
            topic,
            suppressed.take,
            lambda place, fault: faults.append((place, fault)),
            suppressed.mark_caught_up,
        )
        following = asyncio.create_task(follower.run())
        try:
            await asyncio.wait_for(follower.caught_up.wait(), 20)
            for _ in range(3):  # an idle topic is heard of all the time
                await asyncio.sleep(0.7)
                assert young(suppressed) < 2
            os.kill(broker.pid, signal.SIGSTOP)
            await asyncio.sleep(4)
            assert young(suppressed) > 2.5
            os.kill(broker.pid, signal.SIGCONT)
            give_up = time.monotonic() + 20
            while young(suppressed) > 2:
                assert time.monotonic() < give_up
                await asyncio.sleep(0.1)
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
    assert faults == []


def young(suppressed: SuppressionIndex) -> float:
    staleness_s = suppressed.staleness_s()
    assert staleness_s is not None
    return staleness_s
