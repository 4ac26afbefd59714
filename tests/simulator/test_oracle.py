"""The oracle on small cases written by hand: one row for each rule of docs/design.md."""

import json
from itertools import permutations
from typing import Any

import pytest

from deploy.simulator.event import Published
from deploy.simulator.oracle.expect import Engagement, digest, expect
from deploy.simulator.oracle.messages import Cell, Message

T0 = 1_795_176_000_000  # 2026-11-20T12:00:00Z
HOUR, DAY = 3_600_000, 86_400_000
AS_OF = T0 + HOUR

Fact = tuple[str, dict[str, Any]]


def send(attempt: int = 1, at: int = 0, **fields: Any) -> Fact:
    given = {"channel": "sms", "recipient": "+447400123456", "sent_at": T0 + at, "provider": "p1"}
    if attempt > 1:
        given |= {"attempt": attempt, "first_sent_at": T0}
    return "sends", given | fields


def receipt(status: str, at: int, attempt: int = 1, **fields: Any) -> Fact:
    return "receipts", {"status": status, "occurred_at": T0 + at, "attempt": attempt} | fields


def engagement(kind: str, at: int, event_id: str = "e1", **fields: Any) -> Fact:
    return "engagements", {"type": kind, "occurred_at": T0 + at, "event_id": event_id} | fields


def published(*facts: Fact) -> list[Published]:
    return [
        Published(kind, 0, n, AS_OF, b"k",
                  json.dumps({"account": "acme", "message_id": "m1"} | fields).encode(), kind)
        for n, (kind, fields) in enumerate(facts)
    ]  # fmt: skip


def message(*facts: Fact, as_of: int = AS_OF) -> Message:
    """The expected row; the same for every order of the facts, and for duplicate facts."""
    rows = {
        expect(published(*order, order[0]), as_of).messages["acme", "m1"]
        for order in permutations(facts)
    }
    assert len(rows) == 1
    return rows.pop()


# rule, facts, what the row must say
STATUS_RULES: list[tuple[str, list[Fact], dict[str, Any]]] = [
    ("a send alone is submitted", [send()],
     {"status": "submitted", "platform_status": "submitted", "carrier_status": "queued",
      "bounce": "", "finalized_at": 0, "queued_at": 0}),
    ("a submitted receipt decides, even one that is older than its send",
     [send(), receipt("submitted", -4, provider_message_id="x")],
     {"status": "submitted", "provider_message_id": "x"}),
    ("sent counts as queued", [send(), receipt("sent", 5)],
     {"status": "queued", "carrier_status": "queued", "queued_at": T0 + 5, "finalized_at": 0}),
    ("delivered", [send(), receipt("queued", 3), receipt("delivered", 9, error_code="000")],
     {"status": "delivered", "carrier_status": "delivered", "delivered_at": T0 + 9,
      "queued_at": T0 + 3, "finalized_at": T0 + 9, "error_code": ""}),
    ("read without delivered", [send(), receipt("read", 20)],
     {"status": "read", "delivered_at": T0 + 20, "read_at": T0 + 20, "finalized_at": T0 + 20}),
    ("read beats a later delivered", [send(), receipt("read", 20), receipt("delivered", 30)],
     {"status": "read", "delivered_at": T0 + 20, "read_at": T0 + 20}),
    ("delivered beats every failure, however late",
     [send(), receipt("delivered", 5), receipt("undelivered", 50, bounce="hard", reason="gone")],
     {"status": "delivered", "bounce": "", "error_text": "", "fail_reason": "",
      "failed_attempt": 0, "finalized_at": T0 + 5}),
    ("delivered on an earlier attempt beats a failure of a later one",
     [send(), receipt("delivered", 5), send(2, 100), receipt("undelivered", 200, 2)],
     {"status": "delivered", "attempts": 2}),
    ("a failure without bounce and with an unknown code is soft",
     [send(), receipt("undelivered", 5, error_code="77")],
     {"status": "undelivered", "bounce": "soft", "scope": "", "error_code": "77",
      "carrier_status": "undelivered", "finalized_at": T0 + 5}),
    ("hard without scope is the recipient's", [send(), receipt("undelivered", 5, bounce="hard")],
     {"status": "undelivered", "bounce": "hard", "scope": "recipient"}),
    ("a given scope stays",
     [send(), receipt("undelivered", 5, bounce="hard", scope="content")], {"scope": "content"}),
    ("hard outranks soft", [send(), receipt("undelivered", 5, bounce="hard"),
                            receipt("undelivered", 50, bounce="soft")], {"bounce": "hard"}),
    ("rejected without bounce is hard without a scope", [send(), receipt("rejected", 5)],
     {"status": "rejected", "bounce": "hard", "scope": "", "platform_status": "rejected",
      "carrier_status": ""}),
    ("rejected and soft is undelivered soft", [send(), receipt("rejected", 5, bounce="soft")],
     {"status": "undelivered", "bounce": "soft", "platform_status": "submitted"}),
    ("deleted has no bounce", [send(), receipt("deleted", 5, bounce="hard")],
     {"status": "deleted", "bounce": "", "carrier_status": "undelivered",
      "platform_status": "submitted"}),
    ("of equals the later in time decides",
     [send(), receipt("undelivered", 5, reason="a"), receipt("undelivered", 6, reason="b")],
     {"error_text": "b", "fail_reason": "other", "finalized_at": T0 + 6}),
    ("the latest attempt decides among failures",
     [send(), receipt("undelivered", 5, bounce="hard"), send(2, 100),
      receipt("undelivered", 200, 2, bounce="soft")], {"bounce": "soft", "attempts": 2}),
    ("a later send counts as submitted",
     [send(), receipt("undelivered", 5), send(2, 100)],
     {"status": "submitted", "bounce": "", "attempts": 2}),
    ("first-seen times are the smallest",
     [send(), receipt("sent", 9), receipt("queued", 4), receipt("delivered", 30, 1),
      receipt("delivered", 20, 1)], {"queued_at": T0 + 4, "delivered_at": T0 + 20}),
    ("an inbound message is received", [send(direction="inbound")],
     {"status": "received", "platform_status": "", "carrier_status": "", "finalized_at": 0}),
    ("engagement is merged in",
     [send(), engagement("click", 90), engagement("click", 60, "e2"),
      engagement("unsubscribe", 95, "e3")],
     {"clicked_at": T0 + 60, "unsubscribed_at": T0 + 95, "status": "submitted"}),
]  # fmt: skip

DESCRIPTION_RULES: list[tuple[str, list[Fact], dict[str, Any]]] = [
    ("defaults", [send()],
     {"direction": "outbound", "source": "direct", "segments": 1, "credits": 0, "attempts": 1,
      "country": "GB", "campaign_id": ""}),
    ("who and what come from the lowest attempt",
     [send(2, 100, sender_id="second", recipient="+12125550100"), send(sender_id="first")],
     {"sender_id": "first", "recipient": "+447400123456", "sent_at": T0}),
    ("segments and credits add over attempts",
     [send(segments=2, credits=0.05), send(2, 100, segments=3, credits="0.075")],
     {"segments": 5, "credits": 125_000}),
    ("the provider is the latest attempt's", [send(), send(2, 100, provider="p2")],
     {"provider": "p2"}),
    ("or else the winning receipt's", [send(provider=None), receipt("sent", 5, provider="p9")],
     {"provider": "p9"}),
    ("a retry knows when the first was sent", [send(2, 100)], {"sent_at": T0, "attempts": 2}),
    ("of two sends of an attempt the earlier wins, and only it counts",
     [send(at=-5000, credits=1, sender_id="early"), send(credits=3, sender_id="late")],
     {"sent_at": T0 - 5000, "credits": 1_000_000, "sender_id": "early"}),
    ("a given country stays", [send(country="FR")], {"country": "FR"}),
    ("shared calling code 1", [send(recipient="+14165551234")], {"country": "CA"}),
    ("shared calling code 7", [send(recipient="+77011234567")], {"country": "KZ"}),
    ("shared calling code 44", [send(recipient="+447797123456")], {"country": "JE"}),
    ("a number outside every range has its calling code's country",
     [send(recipient="+447700900123")], {"country": "GB"}),
    ("times in any zone", [send(sent_at="2026-11-20T17:30:00.250+05:30")], {"sent_at": T0 + 250}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [rule[1:] for rule in STATUS_RULES + DESCRIPTION_RULES],
    ids=[rule[0] for rule in STATUS_RULES + DESCRIPTION_RULES],
)
def test_a_rule(facts: list[Fact], wanted: dict[str, Any]) -> None:
    row = message(*facts)._asdict()
    assert {name: row[name] for name in wanted} == wanted


EXPIRY: list[tuple[str, list[Fact], int, str]] = [
    ("not before the deadline", [send(validity_s=60)], T0 + 59_999, ""),
    ("at the deadline", [send(validity_s=60)], T0 + 60_000, "expired"),
    ("after three days without a receipt", [send()], T0 + 3 * DAY, "expired"),
    ("queued expires too", [send(validity_s=60), receipt("sent", 5)], T0 + DAY, "expired"),
    ("a retry does not move the deadline", [send(validity_s=60), receipt("undelivered", 5),
     send(2, 30_000, validity_s=60)], T0 + 60_000, "expired"),
    ("a final receipt beats it, however late",
     [send(validity_s=60), receipt("undelivered", 70_000, reason="late")], T0 + DAY, "other"),
    ("inbound never expires", [send(validity_s=60, direction="inbound")], T0 + DAY, ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "as_of", "reason"), [rule[1:] for rule in EXPIRY], ids=[rule[0] for rule in EXPIRY]
)
def test_expiry(facts: list[Fact], as_of: int, reason: str) -> None:
    row = message(*facts, as_of=as_of)
    assert row.fail_reason == reason
    if reason == "expired":
        assert (row.status, row.bounce, row.scope) == ("undelivered", "soft", "time")
        assert row.finalized_at == T0 + (60_000 if as_of < T0 + 2 * DAY else 3 * DAY)


def test_a_receipt_without_its_send_is_an_orphan() -> None:
    facts = [receipt("sent", 3, provider="p1"),
             receipt("delivered", 9, provider="p1", provider_message_id="x9")]  # fmt: skip
    expected = expect(published(*facts), AS_OF)
    row = expected.orphans["acme", "m1"]
    assert (row.status, row.provider, row.provider_message_id) == ("delivered", "p1", "x9")
    assert (row.occurred_at, row.queued_at, row.delivered_at) == (T0 + 9, T0 + 3, T0 + 9)
    assert not expected.messages
    assert not expected.cells
    assert expected.in_orphans == 2


def test_engagements_alone_have_no_row() -> None:
    by_number = engagement("unsubscribe", 5, "e2", message_id=None, recipient="+447400123456")
    expected = expect(published(engagement("click", 5), by_number), AS_OF)
    assert not expected.messages
    assert not expected.orphans
    assert expected.in_nothing == 2
    assert expected.engagements == {
        ("acme", "e1"): Engagement(T0 + 5, "click", "m1", "", "", "", "", False),
        ("acme", "e2"): Engagement(T0 + 5, "unsubscribe", "", "+447400123456", "", "", "", False),
    }


# rule, facts, the count that is 1 in every cell
COUNTED_AS: list[tuple[str, list[Fact], str]] = [
    ("submitted", [send()], "submitted"),
    ("queued", [send(), receipt("sent", 1)], "queued"),
    ("delivered", [send(), receipt("delivered", 1)], "delivered"),
    ("read is not delivered", [send(), receipt("delivered", 1), receipt("read", 2)], "read"),
    ("soft", [send(), receipt("undelivered", 1)], "undelivered_soft"),
    ("hard", [send(), receipt("undelivered", 1, bounce="hard")], "undelivered_hard"),
    ("a temporary refusal", [send(), receipt("rejected", 1, bounce="soft")], "undelivered_soft"),
    ("expired is not soft", [send(validity_s=60)], "expired"),
    ("rejected", [send(), receipt("rejected", 1)], "rejected"),
    ("deleted", [send(), receipt("deleted", 1)], "deleted"),
]


@pytest.mark.parametrize(
    ("facts", "counted"), [rule[1:] for rule in COUNTED_AS], ids=[rule[0] for rule in COUNTED_AS]
)
def test_a_message_counts_once_in_its_hour_day_and_campaign(
    facts: list[Fact], counted: str
) -> None:
    facts = [(kind, fields | {"campaign_id": "c1", "segments": 2, "credits": 0.5})
             if kind == "sends" else (kind, fields) for kind, fields in facts]  # fmt: skip
    cells = expect(published(*facts), AS_OF).cells
    who = ("acme", "sms", "direct", "GB", "p1")
    one = Cell(segments=2, credits=500_000)._replace(**{counted: 1})
    assert cells == {
        ("hour", T0, *who): one,
        ("day", T0 - 12 * HOUR, *who): one,
        ("campaign", "acme", "c1"): one,
    }


def test_inbound_messages_are_in_no_cell() -> None:
    assert not expect(published(send(direction="inbound", campaign_id="c1")), AS_OF).cells


def test_a_refused_record_is_a_dead_letter_and_nothing_else() -> None:
    broken = published(send())[0]._replace(offset=7, expect="not_json", value=b"\xff", key=None)
    expected = expect([broken], AS_OF)
    letter = expected.dead_letters["sends", 0, 7]
    assert letter == ("not_json", "", digest(b"\xff"))
    assert not expected.messages
    assert expected.events == 1


def test_keys_and_partitions_do_not_matter_to_a_valid_record() -> None:
    stray = published(send())[0]._replace(key=None, partition=9)
    assert expect([stray], AS_OF).messages == expect(published(send()), AS_OF).messages


def test_the_newest_record_of_a_campaign_wins() -> None:
    given = {"message_id": None, "campaign_id": "c1", "name": "Sale"}
    facts: list[Fact] = [("campaigns", given | {"updated_at": T0 + n, "status": word})
                         for n, word in ((5, "finished"), (1, "draft"))]  # fmt: skip
    expected = expect(published(*facts), AS_OF)
    assert expected.campaigns == {("acme", "c1"): (T0 + 5, "Sale", "finished")}


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"{}", b'{"account":"a","message_id":"m"}'])
def test_a_record_that_is_wrong_without_saying_so_is_named(value: bytes) -> None:
    with pytest.raises(ValueError, match="sends/0/3: no `expect`, and not valid"):
        expect([Published("sends", 0, 3, T0, b"k", value, "sends")], AS_OF)
