"""Traffic shows every rule about bounces: strikes, decisions, retries, senders that obey."""

import json
from collections import Counter
from typing import Any

import pytest

from deploy.simulator.event import ACCOUNTS, REQUESTS, SENDS, Event
from deploy.simulator.oracle.expect import Expected, expect
from deploy.simulator.oracle.facts import moment
from deploy.simulator.oracle.rules import DEFAULTS, Rules
from deploy.simulator.oracle.suppression import EXEMPT_SOURCES
from deploy.simulator.traffic.generate import generate
from deploy.simulator.traffic.load_profiles import SHAPES
from deploy.simulator.traffic.profiles import ACCOUNTS as ACCOUNTS_OF_WORLD
from tests.simulator.runs import AS_OF, MINUTE_MS, as_published


def of_kind(events: list[Event], kind: str) -> list[dict[str, Any]]:
    return [json.loads(e.value or b"") for e in events if e.kind == kind and not e.expect]


def test_settings_come_before_the_traffic_they_are_for(
    events: list[Event], expected: Expected
) -> None:
    first_other = next(n for n, e in enumerate(events) if e.kind != ACCOUNTS)
    assert all(e.expect for e in events[first_other:] if e.kind == ACCOUNTS)
    settings = {account.name: account.settings for account in ACCOUNTS_OF_WORLD if account.settings}
    assert 2 <= len(settings) < len(ACCOUNTS_OF_WORLD)  # the others have the defaults
    for name, given in settings.items():
        found = expected.accounts[name]._asdict()
        by_code = ("fail_reasons", "codes")
        assert {k: found[k] for k in given if k not in by_code} == {
            k: v for k, v in given.items() if k not in by_code
        }
    changed = {name for given in settings.values() for name in given}
    assert changed == set(Rules._fields)


def test_recipients_bounce_repeatedly(events: list[Event], expected: Expected) -> None:
    struck = Counter((key[0], strike.recipient) for key, strike in expected.strikes.items())
    assert sum(1 for number in struck.values() if number >= 3) >= 10
    assert max(struck.values()) >= 6
    withdrawn = expected.may_strike - expected.strikes.keys()
    assert len(withdrawn) > 10
    notes = Counter(e.note for e in events)
    assert notes["reported_three_times"] > 30
    assert notes["hard_content"] > 10
    by_bounces = [n for n in expected.recipients.values() if n.reasons == ("hard_bounces",)]
    assert len(by_bounces) >= 5
    off = [n for key, n in expected.recipients.items() if key[0] == "tripzilla" and n.strikes >= 3]
    assert off
    assert not any("hard_bounces" in n.reasons for n in off)


def test_people_send_suppression_requests(events: list[Event], expected: Expected) -> None:
    given = of_kind(events, REQUESTS)
    actions = Counter(fields["action"] for fields in given)
    assert actions.keys() == {"suppress", "release", "resubscribe", "unsubscribe"}
    assert min(actions.values()) > 1
    assert any(fields.get("who") and fields["why"] for fields in given)
    reasons = {reason for n in expected.recipients.values() for reason in n.reasons}
    assert reasons == {"hard_bounces", "unsubscribed", "manual"}
    released = {(f["account"], f["recipient"]): moment(f["at"]) for f in given
                if f["action"] == "release"}  # fmt: skip
    before_and_after = {
        strike.sent_at < released[key[0], strike.recipient]
        for key, strike in expected.strikes.items()
        if (key[0], strike.recipient) in released
    }
    assert before_and_after == {True, False}


def test_senders_obey_retry_requests(
    valid: list[tuple[Event, dict[str, Any]]], expected: Expected
) -> None:
    """First sending + a whole number of periods, and half a minute at most; never later than
    the account's longest time."""
    again: Counter[str] = Counter()
    for event, fields in valid:
        if event.kind != SENDS or fields.get("attempt", 1) == 1 or "conflict" in event.note:
            continue
        rules = expected.accounts.get(fields["account"], DEFAULTS)
        after_ms = moment(fields["sent_at"]) - moment(fields["first_sent_at"])
        again[fields["account"]] += 1
        if rules.retry_soft_bounces:
            assert after_ms % (rules.retry_every_s * 1000) < 31_000
            assert after_ms < rules.retry_for_s * 1000 + 31_000
    assert again.keys() == {account.name for account in ACCOUNTS_OF_WORLD}
    attempts = Counter(m.attempts for m in expected.messages.values())
    assert max(attempts) >= 40  # a handset that stays off


def test_some_bounce_softly_in_the_last_minute_of_two_days(expected: Expected) -> None:
    last = 48 * 3600
    bounced = [
        (m.finalized_at - m.sent_at) // 1000 - last
        for m in expected.messages.values()
        if m.status == "undelivered" and m.bounce == "soft" and m.error_code != "EXPIRED"
    ]
    assert any(-60 <= seconds < 0 for seconds in bounced)
    assert any(0 <= seconds <= 600 for seconds in bounced)
    reasons = Counter(m.no_retry_reason for m in expected.messages.values())
    assert min(reasons[word] for word in ("off", "too_late", "expired", "final")) > 5


def test_most_senders_skip_suppressed_recipients_and_some_do_not(expected: Expected) -> None:
    sent: Counter[str] = Counter()
    for (account, _), message in expected.messages.items():
        number = expected.channels.get((account, message.person, message.channel))
        bound = number and (number.binds == "all" or message.source not in EXEMPT_SOURCES)
        if message.direction == "inbound" or not number or not bound:
            continue
        if number.suppressed and message.sent_at > number.since + 2 * MINUTE_MS:
            sent[account] += 1
    assert sent["tiny-shop"] + sent["tripzilla"] > 5
    assert sent["acme-retail"] + sent["nordbank"] <= 3


@pytest.mark.parametrize("shape", ["days", "burst"])
def test_no_retry_is_due_around_the_present(shape: str) -> None:
    records = as_published(list(generate(9, 20_000, AS_OF, SHAPES[shape])))
    due = [m.next_attempt_at - AS_OF for m in expect(records, AS_OF).messages.values()
           if m.next_attempt_at]  # fmt: skip
    assert len(due) > 10
    assert not [at for at in due if -10 * MINUTE_MS <= at <= 120 * MINUTE_MS]


def test_an_hour_of_traffic_bounces_softly_too() -> None:
    records = as_published(list(generate(9, 8_000, AS_OF, SHAPES["hour"])))
    assert any(m.next_attempt_at > AS_OF for m in expect(records, AS_OF).messages.values())
