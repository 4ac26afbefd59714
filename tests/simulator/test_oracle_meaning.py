"""The oracle on what receipts mean and whom they bind: small cases written by hand."""

import json
from itertools import permutations
from typing import Any

import pytest

from deploy.simulator.event import Published
from deploy.simulator.oracle.expect import Expected, expect
from deploy.simulator.oracle.messages import Message
from deploy.simulator.oracle.numbers import is_person, number_of, person_of
from deploy.simulator.oracle.suppression import NOT_SUPPRESSED, Decision, RecipientStatus
from tests.simulator.cases import AS_OF, NUMBER, T0, Fact, published, send, settings

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000


def receipt(status: str, at: int, message_id: str = "m1", **fields: Any) -> Fact:
    return "receipts", {"message_id": message_id, "status": status, "occurred_at": T0 + at} | fields


def engaged(kind: str, at: int, **fields: Any) -> Fact:
    given = {"type": kind, "occurred_at": T0 + at, "event_id": f"{kind}{at}"}
    return "engagements", given | fields


def requested(action: str, at: int, **fields: Any) -> Fact:
    return "suppression-requests", {"recipient": NUMBER, "action": action, "at": T0 + at} | fields


def expected_of(facts: list[Fact], as_of: int = AS_OF) -> Expected:
    """What follows from the facts; the same in every order and with a fact twice."""
    first = expect(published(facts), as_of)
    orders = list(permutations(facts)) if len(facts) < 5 else [facts[::-1], facts[2:] + facts[:2]]
    for order in orders:
        again = expect(published([*order, order[0]]), as_of)
        for name in ("messages", "orphans", "cells", "strikes", "may_strike", "channels",
                     "decisions", "choices", "allowed_retries", "required_retries",
                     "undetermined", "engagements"):  # fmt: skip
            assert getattr(again, name) == getattr(first, name), (name, order)
    return first


def row(*facts: Fact) -> Message:
    return expected_of(list(facts)).messages["acme", "m1"]


def part(number: int, status: str, at: int, **fields: Any) -> Fact:
    return receipt(status, at, part=number, parts=3, **fields)


RETRIED = [send(), receipt("undelivered", 5, attempt=1, bounce="soft"), send(at=HOUR, attempt=2)]
BILLED = {"price": "-0.5", "currency": "USD"}

# rule, facts, what the row must say
ROWS: list[tuple[str, list[Fact], dict[str, Any]]] = [
    ("the table decides what the receipt leaves open",
     [send(), receipt("undelivered", 5, error_code="30005")],
     {"bounce": "hard", "scope": "recipient", "fail_reason": "unknown subscriber"}),
    ("the publisher's bounce and scope are believed",
     [send(), receipt("undelivered", 5, error_code="30005", bounce="soft", scope="network")],
     {"bounce": "soft", "scope": "network", "no_retry_reason": ""}),
    ("the table's scope is that of a hard bounce, also when it has none",
     [send(provider="vonage"), receipt("undelivered", 5, error_code="14")],
     {"bounce": "hard", "scope": "", "fail_reason": "blocked"}),
    ("a provider without a table is read by the common codes, zeroes or not",
     [send(provider="north"), receipt("undelivered", 5, error_code="001")],
     {"bounce": "hard", "scope": "recipient"}),
    ("another name of a provider", [send(provider="360dialog", channel="whatsapp"),
     receipt("undelivered", 5, error_code="131026")], {"fail_reason": "not on WhatsApp"}),
    ("a code that only Meta has, passed on by somebody else", [send(provider="north"),
     receipt("rejected", 5, error_code="131047", reason="Outside the 24 hour window")],
     {"scope": "time", "fail_reason": "outside the allowed time"}),
    ("rejected for a while", [send(channel="whatsapp", provider="whatsapp"),
     receipt("rejected", 5, error_code="130429")], {"status": "undelivered", "bounce": "soft"}),
    ("the receipt's own provider comes first",
     [send(), receipt("undelivered", 5, error_code="8", provider="vonage")],
     {"scope": "network", "fail_reason": "network error"}),
    ("the account's meaning of a code",
     [settings(codes={"30005": {"bounce": "soft", "scope": "network", "reason": "mine"}}), send(),
      receipt("undelivered", 5, error_code="30005")],
     {"bounce": "soft", "scope": "network", "fail_reason": "mine"}),
    ("what it says of the provider comes first, and its words before that",
     [settings(codes={"7x": {"bounce": "hard"}, "Twilio:7X": {"scope": "sender"}},
               fail_reasons={"7x": "seven"}), send(), receipt("undelivered", 5, error_code="7x")],
     {"bounce": "soft", "scope": "sender", "fail_reason": "seven"}),
    ("words of the provider are brought to ours",
     [send(), receipt("undelivered", 5, reason="VALIDITY period expired!")],
     {"fail_reason": "expired", "error_text": "VALIDITY period expired!"}),
    ("the table comes before words",
     [send(provider="north"), receipt("undelivered", 5, bounce="soft", error_code="6",
      reason="Message 0a1b could not be delivered at 05:00")],
     {"fail_reason": "absent or switched off"}),
    ("unknown words are other", [send(), receipt("undelivered", 5, reason="Sunspots")],
     {"fail_reason": "other", "error_text": "Sunspots"}),
    ("a code that forbids another attempt, whatever its bounce",
     [send(), receipt("undelivered", 5, error_code="30004", bounce="soft")],
     {"bounce": "soft", "no_retry_reason": "final", "next_attempt_at": 0}),
    ("status words of providers", [send(), receipt("ACCEPTD", 5)], {"status": "queued"}),
    ("in any letters", [send(), receipt("Un-Deliv", 5)], {"status": "undelivered"}),
    ("an unknown status decides nothing", [send(), receipt("sent", 5), receipt("UNKNOWN", 9)],
     {"status": "queued", "attempts": 1}),
    # attempts
    ("a receipt without attempt is about the latest one sent before it",
     [*RETRIED, receipt("undelivered", HOUR + 9, bounce="hard")],
     {"bounce": "hard", "failed_attempt": 2}),
    ("at the very moment of the send too",
     [*RETRIED, receipt("undelivered", HOUR, bounce="hard")], {"failed_attempt": 2}),
    ("or about the one before",
     [*RETRIED, receipt("undelivered", HOUR - 1, bounce="hard")], {"status": "submitted"}),
    ("before every send it is about the first",
     [send(), receipt("undelivered", -5, bounce="hard")], {"failed_attempt": 1}),
    ("the table of the attempt's provider is asked",
     [send(), send(at=HOUR, attempt=2, provider="vonage"),
      receipt("undelivered", HOUR + 9, error_code="3")],
     {"failed_attempt": 2, "bounce": "hard", "fail_reason": "unknown subscriber"}),
    # parts
    ("delivered when all parts are, at the time of the last",
     [send(), part(1, "delivered", 5), part(2, "delivered", 9), part(3, "delivered", 7)],
     {"status": "delivered", "delivered_at": T0 + 9, "finalized_at": T0 + 9}),
    ("a missing part keeps it waiting", [send(), part(1, "delivered", 5), part(2, "delivered", 9)],
     {"status": "queued", "delivered_at": 0}),
    ("one part failed for good",
     [send(), part(1, "undelivered", 4, bounce="hard"), part(2, "delivered", 9),
      part(3, "delivered", 7)],
     {"status": "undelivered", "bounce": "hard", "finalized_at": T0 + 4, "delivered_at": 0}),
    ("for good comes before for now",
     [send(), part(1, "undelivered", 9, bounce="soft"), part(2, "rejected", 4)],
     {"status": "rejected"}),
    ("for now", [send(), part(1, "delivered", 4), part(2, "undelivered", 9, bounce="soft")],
     {"status": "undelivered", "bounce": "soft", "next_attempt_at": T0 + HOUR}),
    ("a part that was delivered after all",
     [send(), part(1, "undelivered", 4), part(1, "delivered", 8), part(2, "delivered", 5),
      part(3, "delivered", 6)], {"status": "delivered", "delivered_at": T0 + 8}),
    ("parts of one attempt do not complete another's",
     [*RETRIED, part(1, "delivered", 9, attempt=1), part(2, "delivered", HOUR + 5, attempt=2),
      part(3, "delivered", HOUR + 5, attempt=2)], {"status": "queued", "delivered_at": 0}),
    ("a receipt about the whole competes with them",
     [send(), part(1, "undelivered", 4, bounce="hard"), receipt("delivered", 9)],
     {"status": "delivered", "delivered_at": T0 + 9}),
    ("one part is the whole", [send(), receipt("delivered", 5, part=1, parts=1)],
     {"status": "delivered", "repaired": ()}),
    # prices, networks, ids
    ("the latest price of each attempt, without its sign, summed",
     [*RETRIED, receipt("undelivered", 5, attempt=1, **BILLED),
      receipt("undelivered", 9, attempt=1, price="0.25", currency="USD"),
      receipt("delivered", HOUR + 9, **BILLED)], {"price": 750_000, "currency": "USD"}),
    ("of two currencies the latest",
     [*RETRIED, receipt("undelivered", 5, attempt=1, **BILLED),
      receipt("delivered", HOUR + 9, price=2, currency="EUR")],
     {"price": 2_000_000, "currency": "EUR"}),
    ("each part has a price", [send(), part(1, "delivered", 5, **BILLED),
     part(2, "delivered", 5, **BILLED), part(1, "delivered", 5, **BILLED)], {"price": 1_000_000}),
    ("the latest network", [send(), receipt("sent", 5, mccmnc="310260"),
     receipt("delivered", 9, mccmnc="310410"), receipt("read", 11)], {"mccmnc": "310410"}),
    ("the id that the provider gave the latest send",
     [send(provider_message_id="p1"), send(at=9, attempt=2, provider_message_id="p2"),
      receipt("delivered", 5, provider_message_id="p3", attempt=1)], {"provider_message_id": "p2"}),
    ("else that of the receipt that decides",
     [send(), receipt("delivered", 5, provider_message_id="p3")], {"provider_message_id": "p3"}),
    ("what the first send says of itself",
     [send(template="t", category="c", reference="r"), send(at=9, attempt=2, template="u")],
     {"template": "t", "category": "c", "reference": "r"}),
    # clicks and conversions
    ("the first click of a person, the first of a program, the first conversion",
     [send(), engaged("click", 30_000, message_id="m1", link_id="a"),
      engaged("click", 20_000, message_id="m1", link_id="a", automated=True),
      engaged("conversion", 90_000, message_id="m1"),
      engaged("conversion", 80_000, message_id="m1")],
     {"clicked_at": T0 + 30_000, "automated_clicked_at": T0 + 20_000, "converted_at": T0 + 80_000}),
    ("a click with the delivery is a program's",
     [send(), receipt("delivered", 10_000), engaged("click", 8_000, message_id="m1"),
      engaged("click", 12_001, message_id="m1")],
     {"clicked_at": T0 + 12_001, "automated_clicked_at": T0 + 8_000}),
    ("so are two links at once, and one link twice is not",
     [send(), engaged("click", 50_000, message_id="m1", link_id="a"),
      engaged("click", 51_000, message_id="m1", url="b"),
      engaged("click", 60_000, message_id="m1", link_id="a"),
      engaged("click", 60_001, message_id="m1", link_id="a")],
     {"clicked_at": T0 + 60_000, "automated_clicked_at": T0 + 50_000}),
    # recipients
    ("one spelling stands for all", [send(recipient="+558288887777", channel="whatsapp")],
     {"recipient": "+558288887777", "person": "+5582988887777", "country": "BR"}),
    ("a user id", [send(recipient="US.13491208655302741918", channel="whatsapp")],
     {"person": "US.13491208655302741918", "country": "US"}),
    ("a short code", [send(recipient="68849", direction="inbound")],
     {"status": "received", "person": "68849", "country": ""}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "wanted"), [rule[1:] for rule in ROWS], ids=[rule[0] for rule in ROWS]
)
def test_a_rule(facts: list[Fact], wanted: dict[str, Any]) -> None:
    found = row(*facts)._asdict()
    assert {name: found[name] for name in wanted} == wanted


# flaw, fields of the send or of the receipt, names of what was mended, what the row must say
FLAWED: list[tuple[str, dict[str, Any], dict[str, Any], tuple[str, ...], dict[str, Any]]] = [
    ("long words are cut", {}, {"reason": "r" * 1_100}, ("reason",), {"error_text": "r" * 1_024}),
    ("a code as a number", {}, {"error_code": 30005}, ("error_code",), {"error_code": "30005"}),
    ("no word of bounces", {}, {"bounce": "medium", "error_code": "30005"}, ("bounce",),
     {"bounce": "hard"}),
    ("no word of scopes", {}, {"scope": "moon"}, ("scope",), {"scope": ""}),
    ("no number", {}, {"recipient": "anonymous"}, ("recipient",), {"recipient": NUMBER}),
    ("a price of no currency", {}, {"price": 1}, ("price",), {"price": 0, "currency": ""}),
    ("no part of anything", {}, {"part": 2}, ("part",), {"status": "undelivered"}),
    ("a network as a number", {}, {"mccmnc": 23410}, ("mccmnc",), {"mccmnc": "23410"}),
    ("a bare number", {"recipient": "447400123456"}, {}, ("recipient",), {"recipient": NUMBER}),
    ("a number as people write it", {"recipient": "+44 (7400) 12-34.56"}, {}, ("recipient",),
     {"recipient": NUMBER}),
    ("half a character", {"text": "a\ud83d"}, {}, ("text",), {}),
    ("no country", {"country": "Germany"}, {}, ("country",), {"country": "GB"}),
    ("segments, credits and validity", {"segments": -1, "credits": "much", "validity_s": 59}, {},
     ("credits", "segments", "validity_s"), {"segments": 1, "credits": 0}),
    ("words of direction and source", {"direction": "sideways", "source": "pigeon"}, {},
     ("direction", "source"), {"direction": "outbound", "source": "direct"}),
    ("nothing", {"text": None, "country": None}, {"error_code": None}, (), {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("of_send", "of_receipt", "names", "wanted"),
    [rule[1:] for rule in FLAWED],
    ids=[rule[0] for rule in FLAWED],
)
def test_a_flaw_costs_its_field_only(
    of_send: dict[str, Any],
    of_receipt: dict[str, Any],
    names: tuple[str, ...],
    wanted: dict[str, Any],
) -> None:
    found = row(send(**of_send), receipt("undelivered", 5, **of_receipt))
    assert found.repaired == names
    assert found.status == "undelivered"
    assert {name: found._asdict()[name] for name in wanted} == wanted


def test_texts_are_cut_and_a_byte_order_mark_is_skipped() -> None:
    text = json.dumps({"account": "acme"} | send(text="x" * 40_000)[1]).encode()
    expected = expect([Published("sends", 0, 0, T0, b"k", b"\xef\xbb\xbf" + text, "sends")], AS_OF)
    assert expected.messages["acme", "m1"].repaired == ("text", "value")
    assert expected.texts == 1


def unsubscribed(at: int, binds: str = "marketing") -> RecipientStatus:
    return RecipientStatus(True, ("unsubscribed",), T0 + at, binds=binds)


BY_HAND = RecipientStatus(True, ("manual",), T0 + 5, binds="all")
STRUCK = [fact for n in range(3) for fact in (
    send(f"w{n}", n, channel="whatsapp", provider="whatsapp"),
    receipt("undelivered", 10 + n, f"w{n}", error_code="131026"))]  # fmt: skip
STRIKES = RecipientStatus(True, ("hard_bounces",), T0 + 12, 0, 3, "all")
BRAZIL, SHORT = "+5582988887777", "+558288887777"
OPT_OUT = {"error_code": "21610"}

# rule, facts, status on SMS, on WhatsApp
BOUND: list[tuple[str, list[Fact], RecipientStatus, RecipientStatus]] = [
    ("strikes count by channel", STRUCK, NOT_SUPPRESSED, STRIKES),
    ("an unsubscribe binds the channel of its message",
     [send(), engaged("unsubscribe", 7, message_id="m1")], unsubscribed(7), NOT_SUPPRESSED),
    ("or the channel that it names",
     [send(), engaged("unsubscribe", 7, message_id="m1", channel="whatsapp")],
     NOT_SUPPRESSED, unsubscribed(7)),
    ("of a number alone it binds all", [engaged("unsubscribe", 7, recipient=NUMBER)],
     unsubscribed(7), unsubscribed(7)),
    ("unless it names one", [engaged("unsubscribe", 7, recipient=NUMBER, channel="sms")],
     unsubscribed(7), NOT_SUPPRESSED),
    ("a STOP binds who sent it",
     [send(direction="inbound"), engaged("unsubscribe", 7, message_id="m1")],
     unsubscribed(7), NOT_SUPPRESSED),
    ("unknown messages bind the number that is named",
     [engaged("unsubscribe", 7, message_id="m9", recipient=NUMBER)],
     unsubscribed(7), unsubscribed(7)),
    ("an account whose unsubscribes bind everything",
     [settings(unsubscribe_binds="all"), send(), engaged("unsubscribe", 7, message_id="m1")],
     unsubscribed(7, "all"), NOT_SUPPRESSED),
    ("by hand on one channel", [requested("suppress", 5, channel="sms")], BY_HAND, NOT_SUPPRESSED),
    ("by hand on all, released on one",
     [requested("suppress", 5), requested("release", 9, channel="sms")], NOT_SUPPRESSED, BY_HAND),
    ("a resubscribe ends an unsubscribe",
     [engaged("unsubscribe", 7, recipient=NUMBER), engaged("resubscribe", 9, recipient=NUMBER)],
     NOT_SUPPRESSED, NOT_SUPPRESSED),
    ("on the channel of its message",
     [engaged("unsubscribe", 7, recipient=NUMBER), send(),
      engaged("resubscribe", 9, message_id="m1")], NOT_SUPPRESSED, unsubscribed(7)),
    ("a code is an unsubscribe and no strike",
     [settings(strike_limit=1), send(), receipt("undelivered", 7, **OPT_OUT)],
     unsubscribed(7), NOT_SUPPRESSED),
    ("rejected too, and if it was delivered in the end",
     [send(), receipt("rejected", 7, **OPT_OUT), receipt("delivered", 9)],
     unsubscribed(7), NOT_SUPPRESSED),
    ("not of an inbound message", [send(direction="inbound"), receipt("undelivered", 7, **OPT_OUT)],
     NOT_SUPPRESSED, NOT_SUPPRESSED),
    ("a block by the recipient is a strike",
     [settings(strike_limit=1), send(), receipt("undelivered", 7, error_code="30004")],
     RecipientStatus(True, ("hard_bounces",), T0 + 7, 0, 1, "all"), NOT_SUPPRESSED),
    ("strikes and an unsubscribe bind all",
     [*STRUCK, engaged("unsubscribe", 5, message_id="w1")], NOT_SUPPRESSED,
     RecipientStatus(True, ("hard_bounces", "unsubscribed"), T0 + 5, 0, 3, "all")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "sms", "whatsapp"), [rule[1:] for rule in BOUND], ids=[rule[0] for rule in BOUND]
)
def test_whom_and_what_it_binds(
    facts: list[Fact], sms: RecipientStatus, whatsapp: RecipientStatus
) -> None:
    expected = expected_of(facts)
    found = expected.channels
    assert found.get(("acme", NUMBER, "sms"), NOT_SUPPRESSED) == sms
    assert found.get(("acme", NUMBER, "whatsapp"), NOT_SUPPRESSED) == whatsapp
    top = expected.recipients.get(("acme", NUMBER), NOT_SUPPRESSED)
    assert top.suppressed == (sms.suppressed or whatsapp.suppressed)
    assert not expected.undetermined_channels


def test_both_spellings_are_one_person() -> None:
    stop = engaged("unsubscribe", 7, message_id="m1", recipient=SHORT, channel="whatsapp")
    expected = expected_of([send(recipient=BRAZIL, channel="whatsapp"), stop])
    assert expected.recipients.keys() == {("acme", BRAZIL)}
    assert expected.channels["acme", BRAZIL, "whatsapp"] == unsubscribed(7)
    assert expected.decisions == {
        Decision("acme", BRAZIL, T0 + 7, "unsubscribe", "recipient", "", "whatsapp")
    }
    assert not expected.possible_decisions


def test_a_number_that_is_named_with_a_message_may_be_bound_on_all_channels() -> None:
    """It is, if the message is not known yet."""
    other = "+447400123457"
    stop = engaged("unsubscribe", 7, message_id="m1", recipient=other)
    expected = expected_of([send(), stop])
    own = Decision("acme", NUMBER, T0 + 7, "unsubscribe", "recipient", "", "sms")
    named = own._replace(person=other)
    assert expected.decisions == {own}
    assert expected.choices == {(named, named._replace(channel=""))}
    assert expected.channels["acme", NUMBER, "whatsapp"] == NOT_SUPPRESSED
    assert expected.channels["acme", other, "sms"] == unsubscribed(7)
    assert expected.undetermined_channels == {("acme", other, "whatsapp")}


def test_short_codes_and_names_are_never_suppressed() -> None:
    facts = [send(recipient="SUPPORT", direction="inbound"),
             engaged("unsubscribe", 7, message_id="m1")]  # fmt: skip
    expected = expected_of(facts)
    assert not expected.recipients
    assert not expected.decisions
    assert expected.messages["acme", "m1"].unsubscribed_at == T0 + 7


def test_an_opt_out_is_a_decision_of_the_provider() -> None:
    opt_outs = [receipt("undelivered", at, provider="twilio", **OPT_OUT) for at in (7, 9)]
    expected = expected_of([send(), *opt_outs])
    latest = Decision("acme", NUMBER, T0 + 9, "unsubscribe", "twilio", "", "sms")
    assert expected.decisions == {latest}
    assert latest._replace(at=T0 + 7) in expected.possible_decisions
    assert not expected.strikes
    assert not expected.may_strike


def test_a_failure_of_an_unknown_provider_may_be_withdrawn_to_be_sure() -> None:
    for given, may in (({}, True), ({"provider": "twilio"}, False), ({"bounce": "soft"}, False)):
        expected = expected_of([send(), receipt("undelivered", 5, error_code="3", **given)])
        assert bool(expected.may_strike) == may
        assert not expected.strikes


SOFT = receipt("undelivered", 5, bounce="soft")
NEWS = [send("news", -HOUR), engaged("unsubscribe", -HOUR + 5, message_id="news")]

# rule, facts, attempts of m1 that must be asked for, that may be
RETRIES: list[tuple[str, list[Fact], set[int], set[int]]] = [
    ("no retry after an opt-out", [send(), receipt("undelivered", 5, bounce="soft", **OPT_OUT)],
     set(), set()),
    ("nor after a block", [send(), receipt("undelivered", 5, error_code="30004", bounce="soft")],
     set(), set()),
    ("nor where the table knows a hard bounce",
     [send(), receipt("undelivered", 5, error_code="30005")], set(), set()),
    ("a code is asked for again who left a newsletter",
     [*NEWS, send(source="verification"), SOFT], {2}, {2}),
    ("news are not, but may have been before", [*NEWS, send(), SOFT], set(), {2}),
    ("neither is a code where an unsubscribe binds all",
     [settings(unsubscribe_binds="all"), *NEWS, send(source="verification"), SOFT], set(), {2}),
    ("nor after a suppression by hand",
     [requested("suppress", 5), send(source="verification"), SOFT], set(), {2}),
    ("on the other channel it is", [*NEWS, send(channel="whatsapp"), SOFT], {2}, {2}),
    ("a receipt without attempt may be read before the second send",
     [*RETRIED, receipt("undelivered", HOUR + 9, bounce="soft")], {3}, {2, 3}),
    ("or before its provider is known",
     [send(provider="vonage"), send(at=9, attempt=2),
      receipt("undelivered", 10, attempt=2, error_code="30005")], set(), {3}),
    ("a part that failed for now", [send(), part(1, "undelivered", 5, bounce="soft")], {2}, {2}),
    ("and then was delivered", [send(), part(1, "undelivered", 5, bounce="soft"),
     *(part(n, "delivered", 9) for n in (1, 2, 3))], set(), {2}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "must", "may"), [rule[1:] for rule in RETRIES], ids=[rule[0] for rule in RETRIES]
)
def test_retries(facts: list[Fact], must: set[int], may: set[int]) -> None:
    expected = expected_of(facts)
    assert {key[2] for key in expected.required_retries if key[1] == "m1"} == must
    assert {key[2] for key in expected.allowed_retries if key[1] == "m1"} == may


@pytest.mark.parametrize(
    ("facts", "fields"),
    [
        ([*NEWS, send()], {"sent_to_suppressed"}),
        ([*NEWS, send(source="verification")], set()),
        ([*NEWS, send(channel="whatsapp")], set()),
        ([*NEWS, send(direction="inbound")], set()),
        ([requested("suppress", -5), send(source="verification")], {"sent_to_suppressed"}),
    ],
)
def test_who_may_be_marked_as_sent_to_though_suppressed(
    facts: list[Fact], fields: set[str]
) -> None:
    expected = expected_of(facts)
    assert expected.undetermined.get(("acme", "m1"), set()) == fields
    assert expected.messages["acme", "m1"].sent_to_suppressed is False


def test_every_receipt_is_counted_and_unknown_ones_alone_are_no_message() -> None:
    expected = expected_of([receipt("unknown", 5), receipt("UNCONFIRMED", 6, "m2"),
                            receipt("delivered", 7, "m3")])  # fmt: skip
    assert expected.receipts == 3
    assert expected.orphans.keys() == {("acme", "m3")}
    assert (expected.in_nothing, expected.in_orphans) == (2, 1)


def test_parts_of_an_unknown_message_are_one_orphan() -> None:
    parts = [part(n, "delivered", n, provider="p1") for n in (1, 2, 3)]
    orphan = expected_of(parts).orphans["acme", "m1"]
    assert (orphan.status, orphan.delivered_at, orphan.occurred_at) == (
        "delivered", T0 + 3, T0 + 3)  # fmt: skip
    assert expected_of(parts[:2]).orphans["acme", "m1"].status == "queued"


@pytest.mark.parametrize(
    ("spelling", "person"),
    [("+558288887777", "+5582988887777"), ("+5582988887777", "+5582988887777"),
     ("+558233334444", "+558233334444"), ("+5215512345678", "+525512345678"),
     ("+525512345678", "+525512345678"), ("+541151234567", "+5491151234567"),
     ("+5491151234567", "+5491151234567"), ("+447400123456", "+447400123456"),
     ("US.1349", "US.1349"), ("68849", "68849")],
)  # fmt: skip
def test_spellings(spelling: str, person: str) -> None:
    assert person_of(spelling) == person


@pytest.mark.parametrize(
    ("written", "number"),
    [("447400123456", NUMBER), ("0044 7400 123456", NUMBER), ("+44 (7400) 12-34.56", NUMBER),
     ("07911 123456", ""), ("1234567", ""), ("anonymous", ""), ("", "")],
)  # fmt: skip
def test_numbers_as_people_write_them(written: str, number: str) -> None:
    assert number_of(written) == number


def test_persons_are_numbers_and_ids_of_users() -> None:
    assert all(is_person(text) for text in (NUMBER, "US.13491208655302741918", "BR.1393"))
    assert not any(is_person(text) for text in ("", "68849", "SUPPORT", "us.1", "US.", "U.1", "+0"))
