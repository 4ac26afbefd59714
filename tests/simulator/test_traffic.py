"""Traffic: the same for the same seed, in order of arrival, with the shares of research §6."""

import json
from collections import Counter, defaultdict
from hashlib import sha256
from itertools import pairwise
from typing import Any

import phonenumbers
import pytest

from deploy.simulator.event import ACCOUNTS, CAMPAIGNS, ENGAGEMENTS, RECEIPTS, SENDS, Event
from deploy.simulator.oracle.expect import Expected, expect
from deploy.simulator.oracle.numbers import is_person, person_of
from deploy.simulator.traffic.corruption import CORRUPTIONS, MAX_EVENT_BYTES
from deploy.simulator.traffic.flaws import FLAWS
from deploy.simulator.traffic.generate import generate
from deploy.simulator.traffic.load_profiles import DAY_MS, SHAPES, Shape
from deploy.simulator.traffic.phones import PREFIXES, other_spelling, phone_number
from tests.simulator.runs import AS_OF, EVENTS, MINUTE_MS, as_published


def fingerprint(seed: int, shape: str = "days", as_of_ms: int = AS_OF) -> str:
    seen = sha256()
    for event in generate(seed, 5_000, as_of_ms, SHAPES[shape]):
        seen.update(repr(event).encode())
    return seen.hexdigest()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    assert fingerprint(1) == fingerprint(1)
    others = {fingerprint(2), fingerprint(1, "hour"), fingerprint(1, "days", AS_OF + 1)}
    assert len(others | {fingerprint(1)}) == 4


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("wanted", [0, 1, 7, 500, 20_000])
def test_exactly_the_requested_number_of_events_in_order_of_arrival(
    shape: str, wanted: int
) -> None:
    events = list(generate(3, wanted, AS_OF, SHAPES[shape]))
    assert len(events) == wanted
    assert all(a.arrival_ms <= b.arrival_ms for a, b in pairwise(events))
    assert len({e.seq for e in events}) == wanted
    earliest = AS_OF - SHAPES[shape].span_ms - MINUTE_MS  # a campaign is drafted before it starts
    assert all(earliest <= e.arrival_ms <= AS_OF for e in events)


@pytest.mark.parametrize("shape", SHAPES)
def test_traffic_reaches_the_present(shape: str) -> None:
    events = list(generate(3, 20_000, AS_OF, SHAPES[shape]))
    assert AS_OF - events[-1].arrival_ms < 0.1 * SHAPES[shape].span_ms


def test_negative_counts_and_spans_beyond_retention_are_refused() -> None:
    with pytest.raises(ValueError, match="events: -1 is negative"):
        next(generate(1, -1, AS_OF))
    with pytest.raises(ValueError, match="span_ms"):
        Shape("long", 9 * DAY_MS, 0.4, (1000, 2000))


def test_kinds_of_events_are_mixed_as_in_real_traffic(events: list[Event]) -> None:
    kinds = Counter(e.kind for e in events)
    assert 1.7 < kinds[RECEIPTS] / kinds[SENDS] < 2.4  # research §6: 1-3 receipts a message
    assert 0.005 < kinds[ENGAGEMENTS] / EVENTS < 0.04
    assert kinds[CAMPAIGNS] > 15


def test_outcomes_are_shared_as_in_the_research(expected: Expected) -> None:
    outbound = [m for m in expected.messages.values() if m.direction == "outbound"]
    ended = Counter(
        "expired" if m.no_retry_reason == "expired" else f"{m.status} {m.bounce}" for m in outbound
    )
    share = {name: count / len(outbound) for name, count in ended.items()}
    read = share["read "]
    assert 0.88 < share["delivered "] + read < 0.96
    assert 0.10 < read < 0.30
    assert 0.015 < share["undelivered soft"] < 0.06
    assert 0.01 < share["undelivered hard"] < 0.04
    assert 0.005 < share["rejected hard"] < 0.04
    assert 0.001 < share["deleted "] < 0.01
    assert 0.01 < share["expired"] + share["submitted "] + share["queued "] < 0.05
    assert 0.001 < len(expected.orphans) / len(expected.messages) < 0.01


def test_accidents_happen_as_often_as_wanted(events: list[Event]) -> None:
    notes = Counter(e.note.split(":")[0] for e in events)
    per_event = {note: count / EVENTS for note, count in notes.items()}
    assert 0.004 < per_event["broken"] < 0.006
    assert 0.0003 < per_event["misrouted"] < 0.001
    assert 0.001 < per_event["duplicate"] < 0.02
    assert 0.0005 < per_event["held_back"] < 0.02
    assert 0.005 < per_event["long_tail"] < 0.03
    for rare in ("late_send", "conflict", "validity_spike", "after_expiry", "skewed", "inbound",
                 "delivered_after_failed", "read_after_failed", "hard_after_soft",
                 "by_recipient"):  # fmt: skip
        assert 0 < per_event[rare] < 0.02, rare


def test_receipts_come_out_of_order_before_their_send_and_after_retries(
    valid: list[tuple[Event, dict[str, Any]]], expected: Expected
) -> None:
    sent: set[tuple[str, str]] = set()
    early, attempts = 0, Counter[int]()
    for event, fields in valid:
        key = (fields["account"], fields.get("message_id", ""))
        if event.kind == SENDS:
            sent.add(key)
            attempts[fields.get("attempt", 1)] += 1
            assert ("first_sent_at" in fields) == ("attempt" in fields)
        elif event.kind == RECEIPTS and key not in sent and key in expected.messages:
            early += 1
    assert early > 50
    assert attempts[2] > 50
    assert attempts[3] > 0


def test_every_dimension_of_the_contract_is_used(
    valid: list[tuple[Event, dict[str, Any]]],
) -> None:
    sends = [f for e, f in valid if e.kind == SENDS and f.get("source") != "carrier_pigeon"]
    words = {name: {s[name] for s in sends if name in s} for name in ("channel", "source")}
    assert words["channel"] == {"sms", "whatsapp"}
    assert words["source"] == {"direct", "verification", "open_api_direct", "campaign",
                               "open_api_verification", "program"}  # fmt: skip
    assert len({s["account"] for s in sends}) == 6
    assert len({s["provider"] for s in sends}) == 7
    assert all(any(name in s for s in sends) for name in (
        "validity_s", "external_id", "email", "campaign_id", "sent_by", "country", "template",
        "category", "reference", "provider_message_id"))  # fmt: skip
    assert any(name in s for s in sends for name in ("trace_id", "meta", "schema_version"))
    receipts = [fields for event, fields in valid if event.kind == RECEIPTS]
    ours = {"submitted", "queued", "sent", "delivered", "read", "undelivered", "rejected",
            "deleted"}  # fmt: skip
    statuses = {fields["status"] for fields in receipts}
    assert ours < statuses
    assert {"DELIVRD", "UNDELIV", "ENROUTE", "accepted", "failed", "seen", "UNKNOWN"} < statuses
    assert all(any(fields.get(name) for fields in receipts) for name in (
        "attempt", "part", "parts", "mccmnc", "price", "currency", "bounce", "scope"))  # fmt: skip
    assert {fields.get("currency") for fields in receipts} >= {"EUR", "USD", None}


def test_times_come_in_several_zones_and_as_numbers(
    valid: list[tuple[Event, dict[str, Any]]],
) -> None:
    written = {
        "ms" if isinstance(at, int) else at[-1] if at.endswith("Z") else at[-6:]
        for _, fields in valid
        if (at := fields.get("occurred_at") or fields.get("sent_at"))
    }
    assert {"ms", "Z", "+05:30", "-03:00", "+00:00", "-07:00"} <= written


def test_countries_follow_the_numbers_also_under_shared_calling_codes(expected: Expected) -> None:
    countries = Counter(m.country for m in expected.messages.values())
    assert {"US", "CA", "DO", "PR", "GB", "JE", "GG", "RU", "KZ", "FI", "IN"} <= countries.keys()
    assert len(countries) >= 12


@pytest.mark.parametrize("country", PREFIXES)
def test_numbers_are_valid_and_of_their_country(country: str) -> None:
    for person in range(0, 400_000, 1_999):
        number = phonenumbers.parse(phone_number(country, person))
        assert phonenumbers.is_valid_number(number), phone_number(country, person)
        assert phonenumbers.region_code_for_number(number) == country


def test_recipients_come_back(expected: Expected) -> None:
    recipients = Counter(m.recipient for m in expected.messages.values())
    assert sum(1 for count in recipients.values() if count >= 3) > 50


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_pending_does_not_depend_on_when_one_looks(shape: str) -> None:
    records = as_published(list(generate(9, 8_000, AS_OF, SHAPES[shape])))
    early, now, late = (
        expect(records, AS_OF + minutes * MINUTE_MS).messages for minutes in (-10, 0, 120)
    )
    assert early == now == late
    long_after = expect(records, AS_OF + 8 * DAY_MS).messages
    assert long_after != now  # what is pending now expires in the end


def test_every_kind_of_broken_input_is_there_under_its_reason() -> None:
    wanted = {(topic, kind.name, kind.reason) for kind in CORRUPTIONS for topic in kind.topics}
    found = {
        (e.kind, e.note.split(":")[1], e.expect)
        for seed in (1, 2)
        for e in generate(seed, 60_000, AS_OF)
        if e.note.startswith(("broken:", "odd:")) and e.note != "odd:bom"
    }
    assert found == wanted
    assert {reason for _, _, reason in found} == {
        "", "empty", "oversized", "not_json", "not_object", "missing_field", "wrong_type",
        "bad_value", "bad_time", "bad_number", "too_late"}  # fmt: skip


def test_only_broken_events_expect_a_refusal(events: list[Event]) -> None:
    assert all(bool(e.expect) == e.note.startswith("broken:") for e in events)


def test_every_flaw_is_there_and_costs_its_field_only() -> None:
    records = as_published(list(generate(1, 60_000, AS_OF)))
    noted = [*records, *generate(2, 60_000, AS_OF)]
    found = {(e.kind, e.note.split(":")[1]) for e in noted if e.note.startswith("flawed:")}
    assert found == {(flaw.topic, flaw.name) for flaw in FLAWS}
    names = {name for m in expect(records, AS_OF).messages.values() for name in m.repaired}
    assert {"text", "recipient", "country", "bounce", "scope", "error_code", "reason", "price",
            "mccmnc", "part", "url", "link_id", "user_agent", "automated"} < names  # fmt: skip
    flawless = [
        r for r in records if not r.note.startswith(("flawed:", "odd:", "misrouted", "duplicate"))
    ]
    assert not any(m.repaired for m in expect(flawless, AS_OF).messages.values())


def test_some_events_begin_with_a_byte_order_mark(events: list[Event]) -> None:
    marked = [e for e in events if (e.value or b"").startswith(b"\xef\xbb\xbf")]
    assert {e.kind for e in marked} >= {SENDS, RECEIPTS}
    assert not any(e.expect for e in marked)


def test_parts_are_complete_or_one_of_them_failed_or_is_lost(
    valid: list[tuple[Event, dict[str, Any]]], expected: Expected
) -> None:
    parts: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    total: dict[tuple[str, str], int] = {}
    for _, fields in valid:
        if fields.get("parts"):
            key = (fields["account"], fields["message_id"])
            parts[key].add(fields["part"])
            total[key] = fields["parts"]
    statuses = Counter(
        (expected.messages[key].status, len(parts[key]) == total[key])
        for key in parts
        if key in expected.messages
    )
    assert statuses["delivered", True] > 30
    assert statuses["undelivered", True] > 1
    assert statuses["delivered", False] == 0
    assert max(total.values()) >= 3


def test_people_have_several_spellings_and_some_have_ids(expected: Expected) -> None:
    spelled = defaultdict(set)
    for message in expected.messages.values():
        spelled[message.person].add(message.recipient)
    assert max(map(len, spelled.values())) == 2
    countries = {m.country for m in expected.messages.values() if m.person != m.recipient}
    assert countries == {"BR", "MX", "AR"}
    assert sum(1 for person in spelled if person[2] == ".") > 50
    assert {"68849", "SUPPORT"} < spelled.keys()


def test_every_spelling_is_one_person() -> None:
    for country in PREFIXES:
        for person in range(0, 100_000, 999):
            number = phone_number(country, person)
            other = other_spelling(number)
            assert person_of(other) == person_of(number) == number
            assert other_spelling(other) == other
            assert (other != number) <= (country in ("BR", "MX", "AR"))


def test_recipients_stop_by_code_by_reply_and_by_number(
    events: list[Event], valid: list[tuple[Event, dict[str, Any]]], expected: Expected
) -> None:
    by_code = [d for d in expected.decisions if d.who in ("twilio", "vonage", "whatsapp")]
    assert {d.channel for d in by_code} == {"sms", "whatsapp"}
    arrived = {e.key: n for n, e in enumerate(events) if e.note == "inbound"}
    orders = Counter(n < arrived[e.key] for n, e in enumerate(events) if e.note == "stop")
    assert min(orders[True], orders[False]) > 5
    stopped = {f["recipient"] for e, f in valid if e.note == "inbound" and f["text"] == "STOP"}
    assert any(not is_person(recipient) for recipient in stopped)
    assert {d.channel for d in expected.decisions} == {"sms", "whatsapp", ""}
    assert all(is_person(d.person) for d in expected.decisions)
    engaged = Counter(e.type for e in expected.engagements.values())
    assert min(engaged[kind] for kind in ("click", "unsubscribe", "resubscribe", "conversion")) > 5


def test_programs_click_too(expected: Expected) -> None:
    clicked = [m for m in expected.messages.values() if m.clicked_at or m.automated_clicked_at]
    programs = [m for m in clicked if m.automated_clicked_at]
    assert 5 < len(programs) < len(clicked) / 4
    known = [e for e in expected.engagements.values() if e.automated]
    assert 0 < len(known) < len(programs) * 2


def test_sizes_lie_on_both_sides_of_the_limit(events: list[Event]) -> None:
    sizes = {e.note: len(e.value or b"") for e in events}
    assert sizes["odd:at_limit"] == MAX_EVENT_BYTES
    assert sizes["broken:oversized"] == MAX_EVENT_BYTES + 1
    assert max(len(e.value or b"") for e in events if not e.expect) <= MAX_EVENT_BYTES


def test_valid_events_carry_the_key_of_their_content_but_for_strays(events: list[Event]) -> None:
    rerouted = Counter(e.note for e in events if e.note.startswith("misrouted:"))
    assert rerouted.keys() == {"misrouted:no_key", "misrouted:wrong_key", "misrouted:binary_key",
                             "misrouted:wrong_partition"}  # fmt: skip
    for event in events:
        if event.expect or event.note in (
            "misrouted:no_key",
            "misrouted:wrong_key",
            "misrouted:binary_key",
        ):
            continue
        fields = json.loads(event.value or b"")
        part = "campaign_id" if event.kind == CAMPAIGNS else "message_id"
        name = fields.get(part) or fields.get("recipient")
        key = fields["account"] if event.kind == ACCOUNTS else f"{fields['account']}/{name}"
        assert event.key == key.encode()
        assert (event.shift != 0) == (event.note == "misrouted:wrong_partition")
