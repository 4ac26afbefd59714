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
from typing import Any, get_args

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from deploy.embedded.brokers import EmbeddedBroker
from deploy.kafka.topics import create_topics
from deploy.processes.monitoring import ProcessHealth, PrometheusMeter, monitoring_server
from deploy.processes.suppressions_page import suppressions_page
from models.keys import recipient_key
from models.settings import Settings
from models.suppression import (
    ChannelStatus,
    SuppressionStatus,
    check_record,
    encode,
    of_any,
    published,
)
from models.suppression_facts import Facts
from models.vocabulary import Source
from streams.followers.suppression_index import SuppressionIndex
from streams.followers.topic_follower import TopicFollower
from streams.kafka.reading import Place
from streams.kafka.security import Access

RECIPIENT = "+447700900123"
KEY = recipient_key("acme", RECIPIENT)
MAX_AGE_S = 30.0
SINCE = 1_772_366_404_000


def on(channel: str, *reasons: str, since: int = SINCE, for_all: int = 0) -> ChannelStatus:
    """The status on one channel; without reasons it is not suppressed there."""
    return ChannelStatus(channel, bool(reasons), reasons, since if reasons else 0, 0, 3, for_all)


def on_each(*reasons: str) -> SuppressionStatus:
    """Suppressed for the same reasons on each channel, for every message."""
    return of_any([on(channel, *reasons, for_all=SINCE) for channel in ("sms", "whatsapp")])


STATUS = on_each("hard_bounces", "manual")


def record(version: int, status: SuppressionStatus = STATUS) -> bytes:
    return encode(published("acme", RECIPIENT, Facts(), status, version))


def clear(version: int) -> bytes:
    return record(version, of_any([on("sms"), on("whatsapp")]))


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


def get(port: int, page: str) -> tuple[int, dict[str, Any], str | None]:
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
    wanted["channels"] = [each | {"binds": "all"} for each in wanted["channels"]]
    wanted["binds"] = "all"
    assert fields == wanted
    assert list(fields) == list(wanted)


def test_each_channel_has_its_own_answer_and_without_one_any_counts(
    port: int, suppressed: SuppressionIndex
) -> None:
    left = on("sms", "unsubscribed")
    suppressed.take(KEY, record(7, of_any([left, on("whatsapp")])))
    suppressed.mark_caught_up(now_ms())
    page = f"suppressions/acme/{RECIPIENT}"
    _, sms, _ = get(port, f"{page}?channel=sms")
    assert sms == {
        "account": "acme",
        "recipient": RECIPIENT,
        "channel": "sms",
        "suppressed": True,
        "reasons": ["unsubscribed"],
        "since": SINCE,
        "until": 0,
        "strikes": 3,
        "since_for_all": 0,
        "binds": "marketing",
        "version": 7,
    }
    _, whatsapp, _ = get(port, f"{page}?channel=whatsapp")
    assert (whatsapp["suppressed"], whatsapp["binds"], whatsapp["strikes"]) == (False, "", None)
    _, whole, _ = get(port, page)
    assert (whole["suppressed"], whole["reasons"], whole["binds"]) == (
        True,
        ["unsubscribed"],
        "marketing",
    )
    assert [(each["channel"], each["suppressed"]) for each in whole["channels"]] == [
        ("sms", True),
        ("whatsapp", False),
    ]


@pytest.mark.parametrize(
    "written",
    ["+44%207700%20900123", "0044-7700-900123", "447700900123", "+44%20(0)%207700%20900123"],
)
def test_the_number_may_be_written_as_people_write_it(
    port: int, suppressed: SuppressionIndex, written: str
) -> None:
    suppressed.take(KEY, record(7))
    suppressed.mark_caught_up(now_ms())
    _, fields, _ = get(port, f"suppressions/acme/{written}")
    assert (fields["suppressed"], fields["recipient"]) == (True, RECIPIENT)


@pytest.mark.parametrize("spelling", ["+5582999448232", "+558299448232"])
@pytest.mark.parametrize("stored", ["+5582999448232", "+558299448232"])
def test_every_spelling_of_a_number_has_the_same_answer(
    port: int, suppressed: SuppressionIndex, spelling: str, stored: str
) -> None:
    """Also while a record is still under the key that 0.1.0 gave it."""
    suppressed.take(f"acme/{stored}".encode(), record(7))
    suppressed.mark_caught_up(now_ms())
    assert get(port, f"suppressions/acme/{spelling}")[1]["suppressed"] is True


def test_a_user_id_of_whatsapp_is_a_recipient(port: int, suppressed: SuppressionIndex) -> None:
    suppressed.take(b"acme/US.13491208655302741918", record(7))
    suppressed.mark_caught_up(now_ms())
    _, fields, _ = get(port, "suppressions/acme/US.13491208655302741918")
    assert fields["suppressed"] is True


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
        ("acme/07700900123", "recipient: "),
        ("acme/+44-7", "recipient: "),
        (f"acme/{RECIPIENT}%0A1", "recipient: "),
        (f"acme/{RECIPIENT}?channel=email", "channel: "),
        (f"acme/{RECIPIENT}?channel=", "channel: "),
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


def binds(suppressed: SuppressionIndex, channel: str = "sms", source: str = "campaign") -> int:
    return suppressed.binds("acme", RECIPIENT, channel, source)


# --- what every worker keeps ---------------------------------------------------------------------


@pytest.mark.parametrize("value", [clear(8), None])
def test_released_and_deleted_recipients_take_no_memory(value: bytes | None) -> None:
    suppressed = SuppressionIndex()
    suppressed.take(KEY, record(7))
    assert binds(suppressed) == SINCE
    suppressed.take(KEY, value)
    assert (len(suppressed), binds(suppressed)) == (0, 0)
    assert suppressed.known("acme", RECIPIENT) is None


def test_a_former_owner_changes_nothing() -> None:
    suppressed = SuppressionIndex()
    suppressed.take(KEY, record(2 << 32))
    suppressed.take(KEY, clear((1 << 32) + 99))
    assert binds(suppressed) == SINCE


@pytest.mark.parametrize(
    "status",
    [
        of_any([on("sms", "unsubscribed", since=1)]),
        of_any([on("sms", "hard_bounces"), on("whatsapp", "hard_bounces")]),
        of_any([on("sms", "manual", for_all=SINCE), on("whatsapp", "unsubscribed", since=5)]),
        of_any(
            [
                ChannelStatus("sms", True, ("hard_bounces",), 9, 1_774_958_404_000, 40, 9),
                ChannelStatus(
                    "whatsapp",
                    True,
                    ("hard_bounces", "unsubscribed", "manual"),
                    253_402_300_799_999,
                    0,
                    20,
                    253_402_300_799_999,
                ),
            ]
        ),
    ],
)
def test_all_that_is_kept_comes_back(status: SuppressionStatus) -> None:
    suppressed = SuppressionIndex()
    suppressed.take(KEY, record((1 << 62) - 1, status))
    assert suppressed.known("acme", RECIPIENT) == (status.channels, (1 << 62) - 1)


def test_verification_messages_are_bound_by_what_binds_every_message() -> None:
    suppressed = SuppressionIndex()
    both = of_any([on("sms", "unsubscribed"), on("whatsapp", "unsubscribed", for_all=SINCE + 5)])
    suppressed.take(KEY, record(7, both))
    assert {source: binds(suppressed, "sms", source) for source in get_args(Source)} == {
        "direct": SINCE,
        "verification": 0,
        "open_api_direct": SINCE,
        "open_api_verification": 0,
        "campaign": SINCE,
        "program": SINCE,
    }
    assert binds(suppressed, "whatsapp", "verification") == SINCE + 5
    assert binds(suppressed, "whatsapp", "campaign") == SINCE


@pytest.mark.parametrize(
    ("reasons", "for_all"), [(("unsubscribed",), 0), (("hard_bounces", "unsubscribed"), SINCE)]
)
def test_a_record_from_before_channels_were_known_binds_on_each(
    reasons: tuple[str, ...], for_all: int
) -> None:
    suppressed = SuppressionIndex()
    suppressed.take(KEY, record(7, SuppressionStatus(True, reasons, SINCE, 0, 3)))
    for channel in ("sms", "whatsapp"):
        assert binds(suppressed, channel) == SINCE
        assert binds(suppressed, channel, "verification") == for_all


def test_a_record_of_another_spelling_binds_until_it_is_moved() -> None:
    suppressed = SuppressionIndex()
    person, old = "+5582999448232", b"acme/+558299448232"
    suppressed.take(old, record(7))
    suppressed.take(old, record(8))
    assert suppressed.binds("acme", person, "sms", "campaign") == SINCE
    suppressed.take(b"acme/" + person.encode(), record(3, on_each("unsubscribed")))
    suppressed.take(old, clear(9))
    suppressed.take(old, None)
    known = suppressed.known("acme", person)
    assert known is not None
    assert known.channels[0].reasons == ("unsubscribed",)
    assert suppressed._other_spellings == 0


@pytest.mark.parametrize(
    "garbage",
    [
        record(1 << 63),
        record(-1),
        record(5 << 32, SuppressionStatus(True, ("manual",), 1 << 63, 0, 0)),
        record(5 << 32, SuppressionStatus(True, ("manual",), 1, -1 << 64, 0)),
        record(5 << 32, SuppressionStatus(True, ("manual",), 1, 0, 1 << 16)),
        record(5 << 32, of_any([on("sms", "manual", for_all=1 << 63)])),
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
    assert not binds(suppressed)


@pytest.mark.parametrize(
    ("status", "limit"),
    [
        (STATUS, 190),
        (of_any([on("sms", "unsubscribed"), on("whatsapp")]), 190),
        (of_any([on("sms", "unsubscribed"), on("whatsapp", "manual", for_all=SINCE)]), 215),
    ],
)
def test_a_recipient_takes_about_two_hundred_bytes(status: SuppressionStatus, limit: int) -> None:
    import tracemalloc

    count = 20_000
    value = record(7, status)
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
    assert taken / count < limit


async def test_the_age_grows_while_the_broker_is_silent_and_falls_when_it_speaks_again() -> None:
    suppressed = SuppressionIndex()
    with EmbeddedBroker() as broker:
        settings = Settings(brokers=broker.bootstrap)
        await create_topics(settings)
        topic = settings.topic("suppressions")
        faults: list[tuple[Place, str]] = []
        follower = TopicFollower(
            Access(settings.brokers),
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
