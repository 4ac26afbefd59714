"""Simulated callbacks: signed as the listener verifies them, and read as the truth has them."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from deploy.processes.endpoints import opened
from deploy.simulator.callbacks.endpoints import PUBLIC_URL, endpoint_name, write_endpoints
from deploy.simulator.event import CALLBACKS, FORGED, PROVIDER_IDS, Event, Published
from deploy.simulator.oracle.callbacks import Callbacks
from deploy.simulator.oracle.expect import Expected, expect
from deploy.simulator.publish.posting import Call, _calls, events_in
from deploy.simulator.traffic.callbacks import ADAPTERS, with_callbacks
from deploy.simulator.traffic.generate import generate
from deploy.simulator.traffic.profiles import ACCOUNTS
from models.callbacks import RawCallback
from models.endpoints import EndpointsFile, read_endpoints
from models.routes import Routes
from models.signatures import SCHEMES, SignedRequest, fault_of
from streams.common.plan import Plan
from streams.correlation.translation import translate
from streams.listen.address import address_of
from tests.simulator.cases import AS_OF, T0, Fact, send
from tests.simulator.harness import AS_OF as NOW
from tests.support.records import Record

EVENTS = 20_000
NAMES = [account.name for account in ACCOUNTS]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> EndpointsFile:
    return read_endpoints(write_endpoints(tmp_path_factory.mktemp("e"), NAMES).read_text())


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return list(islice(with_callbacks(generate(5, EVENTS, NOW), 5), EVENTS))


@pytest.fixture(scope="module")
def calls(events: list[Event]) -> list[Call]:
    posted = [
        Published(CALLBACKS, 0, -1, *event[0:1], event.key, event.value, event.kind, event.note,
                  event.expect)
        for event in events
        if event.kind == CALLBACKS
    ]  # fmt: skip
    return list(_calls(posted))


def test_every_provider_calls_and_every_fault_comes_up(events: list[Event]) -> None:
    calls = [event for event in events if event.kind == CALLBACKS]
    providers = {(event.key or b"").decode().partition("-")[0] for event in calls}
    assert providers == set(ADAPTERS.values())
    assert {event.note for event in calls} == {
        "", "duplicate", FORGED, "broken:cut", "no_receipt"}  # fmt: skip
    assert sum(event.kind == PROVIDER_IDS for event in events) > 300


def test_the_same_seed_gives_the_same_callbacks(events: list[Event]) -> None:
    assert events == list(islice(with_callbacks(generate(5, EVENTS, NOW), 5), EVENTS))


def test_other_events_stay_as_they_are(events: list[Event]) -> None:
    made = {event.seq for event in events if event.kind in (CALLBACKS, PROVIDER_IDS)}
    rest = [event for event in events if event.kind not in (CALLBACKS, PROVIDER_IDS)]
    plain = [event for event in generate(5, EVENTS, NOW) if event.seq not in made]
    assert rest == plain[: len(rest)]


def test_batches_count_each_receipt(events: list[Event], calls: list[Call]) -> None:
    called = sum(event.kind == CALLBACKS for event in events)
    assert sum(events_in(call.record) for call in calls) == called
    assert len(calls) < called


def test_all_are_authentic_but_the_forged_ones(file: EndpointsFile, calls: list[Call]) -> None:
    endpoints, refused = opened(file), 0
    for call in calls:
        endpoint = endpoints[(call.record.key or b"").decode()]
        headers = {name.lower(): value for name, value in call.headers.items()}
        request = SignedRequest(
            "POST", f"{PUBLIC_URL}{call.path}", headers, call.body, int(time.time())
        )
        way = endpoint.endpoint.way
        fault = fault_of(SCHEMES[way], request, endpoint.secrets, endpoint.endpoint.details)
        assert (fault is None) == call.right, (call, fault)
        refused += fault is not None
    assert refused > 5


def _translated(file: EndpointsFile, call: Call) -> Plan:
    """What the worker makes of a callback."""
    name, path = (call.record.key or b"").decode(), urlsplit(call.path)
    address = address_of(path.path, path.query, file.endpoints[name])
    assert address is not None
    kind = call.headers["Content-Type"]
    raw = RawCallback(call.body, name, kind, path.query, address.reference, NOW, "")
    record = Record(CALLBACKS, 0, 0, NOW, None, call.body, tuple(raw.headers()))
    plan = Plan(CALLBACKS)
    translate(plan, record, Routes(file.endpoints), NOW)
    return plan


def test_the_worker_reads_what_the_truth_has(file: EndpointsFile, calls: list[Call]) -> None:
    """Each receipt that names its message, field by field; the others wait under their id."""
    found = Counter[str]()
    for call in calls:
        plan, note = _translated(file, call), call.record.note
        if call.record.expect:
            (letter,) = plan.dead_letters
            assert letter.refusal.reason.value == call.record.expect
            assert call.record.value == call.body
            found["broken"] += 1
        if call.record.expect or not call.right:
            continue
        assert not plan.dead_letters
        reports = json.loads(call.record.value or b"")
        named = [report for report in reports if report["reference"]]
        assert len(plan.outputs["provider-receipts"]) == len(reports) - len(named)
        for (key, value), report in zip(plan.outputs["receipts"], named, strict=True):
            event = json.loads(value)
            assert key.decode() == "/".join(report["reference"].split("/")[:2])
            assert _read(event) == _wanted(report), note
            found["named"] += 1
    assert found["named"] > 500
    assert found["broken"]


FIELDS = ("error_code", "reason", "provider_message_id", "recipient", "mccmnc", "price", "currency")


def _read(event: dict[str, Any]) -> dict[str, Any]:
    event = {name: event.get(name) for name in ("status", "occurred_at", "provider", *FIELDS)}
    return event | {"status": {"sent": "queued"}.get(event["status"], event["status"])}


def _wanted(report: dict[str, Any]) -> dict[str, Any]:
    wanted = {name: report.get(name) or None for name in FIELDS}
    (fields,) = _resolved([report])
    status = {"sent": "queued"}.get(fields["status"], fields["status"])
    return wanted | {"status": status, "occurred_at": report["occurred_at"],
                     "provider": report.get("codes", report["provider"])}  # fmt: skip


def _resolved(reports: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for report in reports:
        fields = Callbacks().resolved(report)
        assert fields is not None
        yield fields


# --- the oracle ---------------------------------------------------------------------------------


def report(provider: str = "twilio", status: str = "delivered", **fields: Any) -> dict[str, Any]:
    given = {"account": "acme", "provider": provider, "reference": "", "status": status,
             "provider_message_id": "id-1", "occurred_at": T0 + 5_000, "error_code": "",
             "reason": ""}  # fmt: skip
    return given | fields


def called(*reports: dict[str, Any], note: str = "", expect: str = "") -> Published:
    value = json.dumps(reports).encode()
    return Published(CALLBACKS, 0, 0, T0, b"twilio-acme", value, CALLBACKS, note, expect)


def expected_of(records: list[Published], *facts: Fact) -> Expected:
    """The same whether the callbacks come before the other events or after."""
    others = [
        Published(kind, 0, n, AS_OF, b"k", json.dumps({"account": "acme"} | fields).encode(), kind)
        for n, (kind, fields) in enumerate(facts)
    ]
    first, last = expect([*records, *others], AS_OF), expect([*others, *records], AS_OF)
    assert first == last
    return first


def linked(provider: str = "twilio", written: str = "id-1", **fields: Any) -> Fact:
    return PROVIDER_IDS, {"message_id": "m1", "attempt": 1, "provider": provider,
                          "provider_message_id": written} | fields  # fmt: skip


@pytest.mark.parametrize(
    ("one", "facts"),
    [
        (report(reference="acme/m1"), []),
        (report(reference="acme/m1/1"), []),
        (report(), [linked()]),
        (report("smpp", provider_message_id="4783", codes="gsm-map"), [linked("smpp", "12AF")]),
    ],
)
def test_a_receipt_finds_its_message(one: dict[str, Any], facts: list[Fact]) -> None:
    found = expected_of([called(one)], send(), *facts)
    assert found.messages["acme", "m1"].status == "delivered"
    assert not found.unmatched
    assert found.events == found.in_messages + found.in_links == 2 + len(facts)


def test_the_id_of_a_send_links() -> None:
    found = expected_of([called(report())], send(provider_message_id="id-1"))
    assert found.messages["acme", "m1"].status == "delivered"


@pytest.mark.parametrize(
    "facts", [[], [linked(written="id-2")], [linked("vonage")], [linked(account="other")]]
)
def test_a_receipt_without_its_message_is_unmatched(facts: list[Fact]) -> None:
    found = expected_of([called(report())], send(), *facts)
    assert found.messages["acme", "m1"].status == "submitted"
    (row,) = found.unmatched
    assert row == ("acme", "id-1", "delivered", T0 + 5_000)


@pytest.mark.parametrize(
    ("provider", "status", "code", "expected"),
    [
        ("twilio", "undelivered", "30005", "undelivered"),
        ("twilio", "undelivered", "30007", "rejected"),
        ("twilio", "undelivered", "21610", "rejected"),
        ("twilio", "undelivered", "30003", "undelivered"),
        ("whatsapp", "undelivered", "131026", "undelivered"),
        ("whatsapp", "rejected", "131047", "rejected"),
    ],
)
def test_a_hard_failure_for_another_cause_than_the_number_is_a_rejection(
    provider: str, status: str, code: str, expected: str
) -> None:
    one = report(provider, status, error_code=code, reference="acme/m1")
    found = expected_of([called(one)], send(provider=provider))
    assert found.messages["acme", "m1"].status == expected


def test_forged_and_empty_callbacks_change_nothing_and_broken_ones_are_refused() -> None:
    lie = report(reference="acme/m1")
    found = expected_of(
        [called(lie, note=FORGED), called(), called(note="broken:cut", expect="bad_value")], send()
    )
    assert found.messages["acme", "m1"].status == "submitted"
    assert found.in_nothing == 2
    assert found.refused_callbacks.total() == 1
    assert found.events == 4


def test_a_code_that_only_the_provider_knows_is_no_truth() -> None:
    with pytest.raises(ValueError, match="error_code: '99999' is not known"):
        expect([called(report(status="undelivered", error_code="99999", reference="a/m"))], AS_OF)


def test_the_file_of_endpoints_has_each_provider_of_each_account(
    file: EndpointsFile, tmp_path: Path
) -> None:
    names = {endpoint_name(provider, name) for provider in ADAPTERS.values() for name in NAMES}
    assert file.endpoints.keys() == names
    assert write_endpoints(tmp_path, NAMES).read_text().count("secrets") == len(names)
