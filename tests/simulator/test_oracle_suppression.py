"""The oracle on bounces: one row a rule of docs/semantics.md, in small cases written by hand."""

from itertools import permutations
from typing import Any

import pytest

from deploy.simulator.oracle.expect import Expected, expect
from deploy.simulator.oracle.messages import Message
from deploy.simulator.oracle.suppression import NOT_SUPPRESSED, RecipientStatus, Strike
from tests.simulator.cases import AS_OF, NUMBER, T0, Fact, published, send, settings

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def receipt(message_id: str, status: str, at: int, attempt: int = 1, **fields: Any) -> Fact:
    given = {"message_id": message_id, "status": status, "occurred_at": T0 + at, "attempt": attempt,
            "provider": "twilio"}  # fmt: skip
    return "receipts", given | fields


def hard(message_id: str, at: int, **fields: Any) -> Fact:
    return receipt(message_id, "undelivered", at, **({"bounce": "hard"} | fields))


def soft(message_id: str, at: int, attempt: int = 1, **fields: Any) -> Fact:
    return receipt(message_id, "undelivered", at, attempt, **fields)


def decision(action: str, at: int, **fields: Any) -> Fact:
    given = {"recipient": NUMBER, "action": action, "at": T0 + at}
    return "suppression-requests", given | fields


def stopped(at: int, **fields: Any) -> Fact:
    return "engagements", {"type": "unsubscribe", "occurred_at": T0 + at, "event_id": "e1"} | fields


def expected_of(facts: list[Fact], as_of: int = AS_OF) -> Expected:
    """What follows from the facts; the same in every order and with every fact twice."""
    first = expect(published(facts), as_of)
    shuffled = list(permutations(facts)) if len(facts) < 5 else [facts[::-1], facts[1:] + facts[:1]]
    for order in shuffled:
        again = expect(published([*order, order[0]]), as_of)
        assert (again.messages, again.strikes, again.channels) == (
            first.messages, first.strikes, first.channels)  # fmt: skip
        assert (again.decisions, again.possible_decisions, again.choices) == (
            first.decisions, first.possible_decisions, first.choices)  # fmt: skip
        assert (again.allowed_retries, again.required_retries) == (
            first.allowed_retries,
            first.required_retries,
        )
    return first


THREE = [send("m1"), hard("m1", 1), send("m2", 10), hard("m2", 11), send("m3", 20), hard("m3", 21)]


def strikes(number: int, **known: Any) -> RecipientStatus:
    """Struck so often, and suppressed by the third at 21 ms."""
    return RecipientStatus(True, ("hard_bounces",), T0 + 21, 0, number, "all")._replace(**known)


def by_hand(at: int) -> RecipientStatus:
    return RecipientStatus(True, ("manual",), T0 + at, binds="all")


def unsubscribed(at: int) -> RecipientStatus:
    return RecipientStatus(True, ("unsubscribed",), T0 + at, binds="marketing")


# rule, facts, where the number stands
STANDING: list[tuple[str, list[Fact], RecipientStatus]] = [
    ("three messages hard: suppressed since the third", THREE, strikes(3)),
    ("two are not enough", THREE[:4], RecipientStatus(strikes=2)),
    ("three receipts for one message are one strike",
     [send(), hard("m1", 1), hard("m1", 2, error_code="30005"), hard("m1", 3)],
     RecipientStatus(strikes=1)),
    ("two attempts of one message are one strike",
     [send(), hard("m1", 1), send(at=50, attempt=2), hard("m1", 60, attempt=2)],
     RecipientStatus(strikes=1)),
    ("hard for content is none", [send(), hard("m1", 1, scope="content")], NOT_SUPPRESSED),
    ("hard for the network is none", [send(), hard("m1", 1, scope="network")], NOT_SUPPRESSED),
    ("soft is none", [send(), soft("m1", 1, scope="recipient")], NOT_SUPPRESSED),
    ("rejected for the recipient's sake is one",
     [send(), receipt("m1", "rejected", 1, scope="recipient")], RecipientStatus(strikes=1)),
    ("rejected without a scope is none", [send(), receipt("m1", "rejected", 1)], NOT_SUPPRESSED),
    ("deleted is none", [send(), receipt("m1", "deleted", 1)], NOT_SUPPRESSED),
    ("a retry takes the strike back while it is pending",
     [send(), hard("m1", 1), send(at=50, attempt=2)], NOT_SUPPRESSED),
    ("delivered late for the first: two strikes",
     [*THREE, receipt("m1", "delivered", HOUR)], RecipientStatus(strikes=2)),
    ("delivered late for the first, and a fourth: suppressed since the fourth",
     [*THREE, receipt("m1", "delivered", HOUR), send("m4", 30), hard("m4", 31)],
     strikes(3, since=T0 + 31)),
    ("receipts without a send strike nobody", [hard("m1", 1, recipient=NUMBER)], NOT_SUPPRESSED),
    ("the switch off: counted and not suppressed",
     [settings(suppress_hard_bounces=False), *THREE], RecipientStatus(strikes=3)),
    ("a limit of two", [settings(strike_limit=2), *THREE], strikes(3, since=T0 + 11)),
    ("a release starts the count anew", [*THREE, decision("release", 22)], NOT_SUPPRESSED),
    ("a strike after the release of a message from before does not count",
     [*THREE, decision("release", 15)], RecipientStatus(strikes=1)),
    ("a message sent at the very moment of the release counts",
     [*THREE, decision("release", 20)], RecipientStatus(strikes=1)),
    ("by hand", [decision("suppress", 5)], by_hand(5)),
    ("released", [decision("suppress", 5), decision("release", 6)], NOT_SUPPRESSED),
    ("suppressed and released at once: the cautious word wins",
     [decision("suppress", 5), decision("release", 5)], by_hand(5)),
    ("unsubscribed through a message", [send(), stopped(7, message_id="m1")],
     unsubscribed(7)),
    ("unsubscribed by the number alone", [stopped(7, recipient=NUMBER)],
     unsubscribed(7)),
    ("an unsubscribe through an unknown message", [stopped(7, message_id="m9")], NOT_SUPPRESSED),
    ("the latest of unsubscribe and resubscribe wins",
     [decision("unsubscribe", 5), decision("resubscribe", 9), decision("unsubscribe", 7)],
     NOT_SUPPRESSED),
    ("at the same time the unsubscribe wins",
     [decision("unsubscribe", 5), decision("resubscribe", 5)],
     unsubscribed(5)),
    ("a release does not end an unsubscribe", [decision("unsubscribe", 5), decision("release", 9)],
     unsubscribed(5)),
    ("all reasons at once, since the first",
     [*THREE, decision("suppress", 9), decision("unsubscribe", 15)],
     RecipientStatus(True, ("hard_bounces", "unsubscribed", "manual"), T0 + 9, 0, 3, "all")),
    ("for days, and still", [settings(suppression_days=1), *THREE],
     strikes(3, until=T0 + 21 + DAY)),
    ("a delivery of another message starts the count anew where the account says so",
     [settings(strikes_reset_on_delivery=True), *THREE, send("m4", 12),
      receipt("m4", "delivered", 15)], RecipientStatus(strikes=1)),
    ("the last report of it counts",
     [settings(strikes_reset_on_delivery=True), *THREE, send("m4", 2),
      receipt("m4", "delivered", 5), receipt("m4", "read", 15)], RecipientStatus(strikes=1)),
    ("a reply unsubscribes who sent it",
     [send(direction="inbound"), stopped(7, message_id="m1")], unsubscribed(7)),
    ("and does not elsewhere", [*THREE, send("m4", 12), receipt("m4", "delivered", 15)],
     strikes(3)),
    ("another account's strikes are its own", [*THREE[:4], send("m3", 20, account="other"),
     hard("m3", 21, account="other")], RecipientStatus(strikes=2)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "wanted"), [rule[1:] for rule in STANDING], ids=[rule[0] for rule in STANDING]
)
def test_the_status_of_a_recipient(facts: list[Fact], wanted: RecipientStatus) -> None:
    expected = expected_of(facts)
    assert expected.channels.get(("acme", NUMBER, "sms"), NOT_SUPPRESSED) == wanted
    assert expected.recipients.get(("acme", NUMBER), NOT_SUPPRESSED) == wanted
    assert not expected.undetermined_channels


def test_a_suppression_of_days_ends_and_the_count_restarts() -> None:
    facts = [settings(suppression_days=1), *THREE]
    assert expected_of(facts, T0 + 2 * DAY).recipients["acme", NUMBER] == NOT_SUPPRESSED
    later = [*facts, send("m4", 2 * DAY), hard("m4", 2 * DAY + 1)]
    assert expected_of(later, T0 + 3 * DAY).recipients["acme", NUMBER] == RecipientStatus(strikes=1)


def test_what_depends_on_the_moment_is_not_settled() -> None:
    ending = expected_of([settings(suppression_days=1), *THREE], T0 + DAY - HOUR)
    assert ending.undetermined_recipients == {("acme", NUMBER)}


def test_more_strikes_than_are_remembered_are_not_settled() -> None:
    many = [fact for n in range(41) for fact in (send(f"m{n}", n), hard(f"m{n}", n + 1))]
    assert expected_of(many).undetermined_recipients == {("acme", NUMBER)}
    assert not expected_of(many[:80]).undetermined_recipients


def test_a_strike_names_the_message_its_first_sending_and_the_receipt_that_decides() -> None:
    expected = expected_of([send(), hard("m1", 5, error_code="a"), hard("m1", 9, error_code="b")])
    assert expected.strikes == {("acme", "m1"): Strike(NUMBER, T0, T0 + 9, "b", "sms")}
    withdrawn = expected_of([send(), hard("m1", 5), receipt("m1", "delivered", 9)])
    assert not withdrawn.strikes
    assert withdrawn.may_strike == {("acme", "m1")}


def test_decisions_are_rows_and_so_are_unsubscribes() -> None:
    facts = [
        send(),
        stopped(7, message_id="m1"),
        decision("suppress", 5, who="eve", why="x"),
        stopped(8, recipient="+447400123457"),
    ]
    expected = expected_of(facts)
    assert expected.decisions == {
        ("acme", NUMBER, T0 + 7, "unsubscribe", "recipient", "", "sms"),
        ("acme", "+447400123457", T0 + 8, "unsubscribe", "recipient", "", ""),
        ("acme", NUMBER, T0 + 5, "suppress", "eve", "x", ""),
    }
    assert (expected.in_requests, expected.in_nothing, expected.in_messages) == (1, 1, 2)


# rule, facts, attempts that must be asked for, attempts that may be: when (after T0)
RETRIES: list[tuple[str, list[Fact], list[int], dict[int, set[int]]]] = [
    ("soft at 00:10: due at 01:00", [send(), soft("m1", 10 * MINUTE)], [2], {2: {HOUR}}),
    ("soft at 00:50: due at 01:00", [send(), soft("m1", 50 * MINUTE)], [2], {2: {HOUR}}),
    ("soft at 01:00: due at 02:00", [send(), soft("m1", HOUR)], [2], {2: {2 * HOUR}}),
    ("due in ten minutes: neither must it be there nor is it wrong",
     [send(), soft("m1", 2 * HOUR + 5)], [], {2: {3 * HOUR}}),
    ("due in four hours: not yet", [settings(retry_every_s=7 * 3600), send(), soft("m1", 5)],
     [], {}),
    ("the second attempt too", [send(), soft("m1", 5), send(at=HOUR, attempt=2),
     soft("m1", HOUR + 5, 2)], [3], {2: {HOUR}, 3: {2 * HOUR}}),
    ("another period", [settings(retry_every_s=600), send(), soft("m1", 11 * MINUTE)],
     [2], {2: {20 * MINUTE}}),
    ("beyond the longest time", [settings(retry_for_s=3599), send(), soft("m1", 5)], [], {}),
    ("just within the longest time, which may be over when it is heard of",
     [settings(retry_for_s=3600), send(), soft("m1", 5)], [], {2: {HOUR}}),
    ("not when the validity is over", [send(validity_s=3600), soft("m1", 5)], [], {}),
    ("just within the validity", [send(validity_s=3601), soft("m1", 5)], [], {2: {HOUR}}),
    ("never attempt 101", [send(), send(at=9, attempt=100), soft("m1", 10, 100)], [], {}),
    ("retries off", [settings(retry_soft_bounces=False), send(), soft("m1", 5)], [], {}),
    ("hard", [send(), hard("m1", 5)], [], {}),
    ("rejected and soft is soft", [send(), receipt("m1", "rejected", 5, bounce="soft")],
     [2], {2: {HOUR}}),
    ("delivered after all: it may have been asked for",
     [send(), soft("m1", 5), receipt("m1", "delivered", 9)], [], {2: {HOUR}}),
    ("the retry was sent", [send(), soft("m1", 5), send(at=HOUR, attempt=2)], [], {2: {HOUR}}),
    ("suppressed: it may have been asked for before",
     [send(), soft("m1", 5), decision("suppress", 9)], [], {2: {HOUR}}),
    ("no send is known", [soft("m1", 5)], [], {}),
    ("inbound", [send(direction="inbound"), soft("m1", 5)], [], {}),
    ("a worker that read it late may have found it expired",
     [send(validity_s=3 * 3600), soft("m1", 5)], [], {2: {HOUR}}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "must", "may"), [rule[1:] for rule in RETRIES], ids=[rule[0] for rule in RETRIES]
)
def test_retries(facts: list[Fact], must: list[int], may: dict[int, set[int]]) -> None:
    expected = expected_of(facts)
    assert expected.required_retries == {("acme", "m1", attempt) for attempt in must}
    assert {key: set(ask.due_at) for key, ask in expected.allowed_retries.items()} == {
        ("acme", "m1", attempt): {T0 + at for at in moments} for attempt, moments in may.items()
    }


def test_a_bounce_at_the_end_of_two_days() -> None:
    """At 47 h 59 min the last attempt is due at 48 h; after that there is none."""
    late = 48 * HOUR - MINUTE
    for at, due in ((late, 48 * HOUR), (48 * HOUR, 0), (48 * HOUR + MINUTE, 0)):
        row = expected_of([send(), soft("m1", at)], T0 + 50 * HOUR).messages["acme", "m1"]
        assert row.next_attempt_at == (T0 + due if due else 0)
        assert row.no_retry_reason == ("" if due else "too_late")


# rule, facts, what the row must say
ROWS: list[tuple[str, list[Fact], dict[str, Any]]] = [
    ("a code we know", [send(), soft("m1", 5, error_code="30003", reason="Unreachable")],
     {"fail_reason": "absent or switched off", "error_text": "Unreachable", "error_code": "30003",
      "failed_attempt": 1, "no_retry_reason": "", "next_attempt_at": T0 + HOUR}),
    ("the account's own words", [settings(fail_reasons={"30003": "off"}), send(),
     soft("m1", 5, error_code="30003")], {"fail_reason": "off"}),
    ("its words for one provider come first",
     [settings(fail_reasons={"30003": "off", "twilio:30003": "out"}), send(),
      soft("m1", 5, error_code="30003")], {"fail_reason": "out"}),
    ("words that nobody knows are kept beside the reason",
     [send(), soft("m1", 5, error_code="9x", reason="Odd")],
     {"fail_reason": "other", "error_text": "Odd"}),
    ("a common code of a provider without words",
     [send(provider="smpp"), soft("m1", 5, error_code="027", provider="smpp")],
     {"fail_reason": "absent or switched off"}),
    ("neither code nor words", [send(), hard("m1", 5)],
     {"fail_reason": "unknown subscriber", "no_retry_reason": "final", "next_attempt_at": 0}),
    ("nothing at all", [send(), soft("m1", 5)], {"fail_reason": "not explained by the provider"}),
    ("retries are off", [settings(retry_soft_bounces=False), send(), soft("m1", 5)],
     {"no_retry_reason": "off", "next_attempt_at": 0}),
    ("no retry when the validity is over by then",
     [send(validity_s=3600), soft("m1", 5)], {"no_retry_reason": "too_late", "next_attempt_at": 0}),
    ("a hundred attempts are enough",
     [send(), send(at=9, attempt=100), soft("m1", 10, 100)], {"no_retry_reason": "too_many"}),
    ("the account's validity", [settings(validity_s=60), send()],
     {"status": "undelivered", "fail_reason": "expired", "no_retry_reason": "expired",
      "finalized_at": T0 + MINUTE, "failed_attempt": 1, "error_code": "", "error_text": ""}),
    ("the send's own validity comes first", [settings(validity_s=60), send(validity_s=86_400)],
     {"status": "submitted", "fail_reason": "", "no_retry_reason": "", "failed_attempt": 0}),
    ("the second attempt expired", [settings(validity_s=7200), send(), soft("m1", 5),
     send(at=HOUR, attempt=2)], {"failed_attempt": 2, "no_retry_reason": "expired"}),
    ("the second attempt failed for good", [send(), soft("m1", 5), send(at=HOUR, attempt=2),
     hard("m1", HOUR + 5, attempt=2)], {"failed_attempt": 2, "no_retry_reason": "final"}),
    ("the last settings published stand, whole",
     [settings(validity_s=60, updated_at=T0 + 5), settings(updated_at=T0), send()],
     {"status": "submitted"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "wanted"), [rule[1:] for rule in ROWS], ids=[rule[0] for rule in ROWS]
)
def test_rows(facts: list[Fact], wanted: dict[str, Any]) -> None:
    message: Message = expect(published(facts), AS_OF).messages["acme", "m1"]
    assert {name: getattr(message, name) for name in wanted} == wanted


# why it depends on when the worker learned what, facts, fields that are not compared
UNSETTLED: list[tuple[str, list[Fact], set[str]]] = [
    ("its deadline is over: it may have been found expired before", [send(validity_s=60),
     soft("m1", 5)], {"no_retry_reason", "next_attempt_at"}),
    ("the time for retries is over: the bounce may have been heard of too late",
     [settings(retry_for_s=4 * 3600), send(), soft("m1", 5)],
     {"no_retry_reason", "next_attempt_at"}),
    ("two bounces of one attempt: the retry may have been decided after the first",
     [send(), soft("m1", 5), soft("m1", 2 * HOUR - 5)], {"next_attempt_at"}),
    ("the number was suppressed before",
     [decision("suppress", -5), send()], {"sent_to_suppressed"}),
    ("its number may have been suppressed when the retry was due",
     [send(), soft("m1", 5), decision("suppress", 9)], {"no_retry_reason"}),
    ("nothing", [send(), soft("m1", 5)], set()),
    ("nothing either: expired is expired", [send(validity_s=60)], set()),
    ("suppressed after it was sent", [send(), decision("suppress", 9)], set()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "fields"), [rule[1:] for rule in UNSETTLED], ids=[rule[0] for rule in UNSETTLED]
)
def test_what_is_left_open(facts: list[Fact], fields: set[str]) -> None:
    assert expected_of(facts).undetermined.get(("acme", "m1"), set()) == fields
