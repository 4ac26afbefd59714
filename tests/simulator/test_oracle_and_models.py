"""The oracle and the worker's rules, written apart, must tell the same of the same events.

Events are dealt to the shards out of order and twice; the outcome must not depend on that.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from deploy.simulator.event import ACCOUNTS, COMPACTED, RECEIPTS, REQUESTS, SENDS, Published
from deploy.simulator.oracle.expect import RECIPIENT, Expected, expect
from deploy.simulator.oracle.suppression import NOT_SUPPRESSED
from deploy.simulator.traffic.profiles import OPTED_OUT
from tests.simulator.harness import (
    AS_OF,
    EVENTS,
    Worker,
    in_time,
    published,
    retry_requests,
    shuffled,
)
from tests.support.stores import stores_in_memory, stores_on_disk

#: Who decides what a worker publishes: recipients, and providers whose code is an opt-out.
WORKERS_OWN = (RECIPIENT, *OPTED_OUT)


@pytest.fixture(scope="module")
def records() -> list[Published]:
    return published(11)


@pytest.fixture(scope="module")
def expected(records: list[Published]) -> Expected:
    return expect(records, AS_OF)


@pytest.fixture(scope="module", params=["memory", "disk"])
def worker(request: pytest.FixtureRequest, records: list[Published]) -> Iterator[Worker]:
    """Its states in memory, or on disk with a restart now and then."""
    with stores_on_disk() if request.param == "disk" else nullcontext():
        yield shuffled(records, 12)


def test_messages_and_orphans_are_the_same(worker: Worker, expected: Expected) -> None:
    messages, orphans = worker.rows()
    assert messages.keys() == expected.messages.keys()
    for key, message in messages.items():
        open_fields = expected.undetermined.get(key, set())
        wanted = expected.messages[key]._replace(**{f: getattr(message, f) for f in open_fields})
        assert message == wanted, key
    assert orphans == expected.orphans
    assert len(messages) > EVENTS / 5
    assert len(orphans) > 5
    reasons = {message.no_retry_reason for message in messages.values()}
    assert reasons == {"", "off", "too_late", "expired", "final"}


def test_cells_and_dead_letters_are_the_same(worker: Worker, expected: Expected) -> None:
    """Dead letters of compacted topics are the sink's."""
    letters = {origin: letter.reason for origin, letter in expected.dead_letters.items()
               if origin[0] not in COMPACTED}  # fmt: skip
    assert worker.dead == letters
    assert len(worker.dead) > EVENTS * 0.003
    assert any(topic == REQUESTS for topic, _, _ in worker.dead)
    assert worker.cells() == expected.cells


def test_strikes_and_decisions_are_the_same(worker: Worker, expected: Expected) -> None:
    assert worker.struck() == expected.strikes
    withdrawn = {
        (said["account"], said["message_id"])
        for said in worker.strikes
        if said["kind"] == "withdrawn"
    }
    assert withdrawn
    assert withdrawn <= expected.may_strike
    own = {d for d in expected.decisions if d.who in WORKERS_OWN}
    assert own <= worker.requests <= own | expected.possible_decisions
    assert all(worker.requests & set(choice) for choice in expected.choices)


def test_numbers_stand_the_same(worker: Worker, expected: Expected) -> None:
    found = worker.statuses()
    for key in (found.keys() | expected.channels.keys()) - expected.undetermined_channels:
        assert found.get(key, NOT_SUPPRESSED) == expected.channels.get(key, NOT_SUPPRESSED), key
    reasons = {reason for standing in found.values() for reason in standing.reasons}
    assert reasons == {"hard_bounces", "unsubscribed", "manual"}


def test_retries_are_requested_as_expected(worker: Worker, expected: Expected) -> None:
    found = retry_requests(worker)
    assert expected.required_retries <= found.keys() <= expected.allowed_retries.keys()
    for key, request in found.items():
        ask = expected.allowed_retries[key]
        assert request["due_at"] in ask.due_at
        assert request["first_sent_at"] in ask.first_sent_at
        assert (request["recipient"], request["channel"]) == (ask.recipient, ask.channel)
    assert len(expected.required_retries) > 2


@pytest.fixture(scope="module")
def timely(records: list[Published]) -> Worker:
    with stores_in_memory():  # thousands of moments, each with a write on disk, take a minute
        return in_time(records)


def test_in_time_the_same_follows_as_out_of_order(timely: Worker, expected: Expected) -> None:
    messages, _ = timely.rows()
    for key, message in messages.items():
        open_fields = expected.undetermined.get(key, set())
        wanted = expected.messages[key]._replace(**{f: getattr(message, f) for f in open_fields})
        assert message == wanted, key
    assert timely.struck() == expected.strikes
    found = timely.statuses()
    for key in (found.keys() | expected.channels.keys()) - expected.undetermined_channels:
        assert found.get(key, NOT_SUPPRESSED) == expected.channels.get(key, NOT_SUPPRESSED), key
    assert timely.cells() == expected.cells


def test_senders_that_ignore_the_list_are_noticed(timely: Worker) -> None:
    flagged = [row for row in timely.readings() if row.sent_to_suppressed]
    assert flagged
    assert all(row.direction == "outbound" for row in flagged)


def test_no_retry_is_requested_before_it_is_due_or_after_it_became_pointless(
    timely: Worker, records: list[Published], expected: Expected
) -> None:
    found = retry_requests(timely)
    assert expected.required_retries <= found.keys() <= expected.allowed_retries.keys()
    assert len(found) > 50
    by_message = defaultdict(list)
    for record in records:
        if record.kind in (SENDS, RECEIPTS) and not record.expect:
            fields = json.loads(record.value or b"")
            by_message[fields["account"], fields["message_id"]].append(record)
    settings = [record for record in records if record.kind == ACCOUNTS]
    for (account, message_id, attempt), request in found.items():
        assert request["due_at"] <= request["asked_at"]
        known = [r for r in by_message[account, message_id] if r.timestamp < request["asked_at"]]
        message = expect(settings + known, request["asked_at"]).messages[account, message_id]
        assert (message.status, message.bounce) == ("undelivered", "soft")
        assert (message.next_attempt_at, message.failed_attempt) == (request["due_at"], attempt - 1)
