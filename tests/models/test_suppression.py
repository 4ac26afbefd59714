"""Whether a number may still be sent to, one readable row a rule."""

from collections.abc import Callable
from typing import Any

import pytest

from models.accounts import MAX_STRIKE_LIMIT, AccountSettings
from models.suppression import (
    ChannelStatus,
    SuppressionStatus,
    decode,
    encode,
    published,
    status_of,
)
from models.suppression_facts import (
    MAX_STRIKES,
    Facts,
    ManualDecision,
    StrikeFact,
    add_delivery,
    add_release,
    add_resubscribe,
    add_strike,
    add_suppress,
    add_unsubscribe,
)
from models.time import DAY_MS
from models.vocabulary import CHANNELS

T0 = 1_795_132_800_000  # 2026-11-20T00:00:00Z
Step = Callable[[Facts], object]


def day(days: float) -> int:
    return T0 + round(days * DAY_MS)


def strike(
    message: str, sent: float, occurred: float | None = None, version: int = 1, struck: bool = True
) -> StrikeFact:
    """Of a message sent on a day; it bounced hard within the hour unless steps otherwise."""
    at = day(sent + 1 / 24 if occurred is None else occurred)
    return StrikeFact(day(sent), message, version, struck, at, "1")


def hard(message: str, sent: float, occurred: float | None = None, version: int = 1) -> Step:
    return lambda facts: add_strike(facts, strike(message, sent, occurred, version))


def withdrawn(message: str, sent: float, version: int = 2) -> Step:
    return lambda facts: add_strike(facts, strike(message, sent, None, version, struck=False))


def unsubscribed(at: float) -> Step:
    return lambda facts: add_unsubscribe(facts, day(at))


def resubscribed(at: float) -> Step:
    return lambda facts: add_resubscribe(facts, day(at))


def suppressed(at: float, who: str = "eva") -> Step:
    return lambda facts: add_suppress(facts, ManualDecision(day(at), who))


def released(at: float, who: str = "eva") -> Step:
    return lambda facts: add_release(facts, ManualDecision(day(at), who))


def delivered(at: float) -> Step:
    return lambda facts: add_delivery(facts, day(at))


def known(*steps: Step) -> Facts:
    facts = Facts()
    for each in steps:
        each(facts)
    return facts


def settings(**fields: Any) -> AccountSettings:
    return AccountSettings(account="acme", **fields)


def status(*steps: Step, now: float = 30, **own: Any) -> SuppressionStatus:
    return status_of(known(*steps), settings(**own), day(now))


def on_all(
    reasons: tuple[str, ...] = (), since: int = 0, until: int = 0, strikes: int = 0
) -> tuple[ChannelStatus, ...]:
    """The same status on each channel, binding every message."""
    return tuple(
        ChannelStatus(channel, bool(reasons), reasons, since, until, strikes, since)
        for channel in CHANNELS
    )


THREE = [hard("m1", 0), hard("m2", 1), hard("m3", 2)]
BOUNCED, LEFT, BY_HAND = ("hard_bounces",), ("unsubscribed",), ("manual",)

# rule, what was steps, own settings, why it is suppressed (nothing: it is not), strikes counted
RULES: list[tuple[str, list[Step], dict[str, Any], tuple[str, ...], int]] = [
    ("nothing is known: not suppressed", [], {}, (), 0),
    ("two messages hard: not yet", THREE[:2], {}, (), 2),
    ("three messages hard: suppressed", THREE, {}, BOUNCED, 3),
    ("a fourth changes nothing", [*THREE, hard("m4", 3)], {}, BOUNCED, 4),
    (
        "three receipts for one message: one strike",
        [hard("m1", 0, 0.1, 1), hard("m1", 0, 0.2, 2), hard("m1", 0, 0.3, 3)],
        {},
        (),
        1,
    ),
    (
        "switch off: not suppressed, yet strikes counted",
        THREE,
        {"suppress_hard_bounces": False},
        (),
        3,
    ),
    (
        "switch off: an unsubscribe counts all the same",
        [*THREE, unsubscribed(3)],
        {"suppress_hard_bounces": False},
        LEFT,
        3,
    ),
    ("a limit of one", THREE[:1], {"strike_limit": 1}, BOUNCED, 1),
    ("a limit of five", [*THREE, hard("m4", 3)], {"strike_limit": 5}, (), 4),
    (
        "strike, strike, delivered late for the first, strike: two strikes",
        [hard("m1", 0), hard("m2", 1), withdrawn("m1", 0), hard("m3", 2)],
        {},
        (),
        2,
    ),
    ("one of three delivered late: free again", [*THREE, withdrawn("m2", 1)], {}, (), 2),
    (
        "withdrawn and struck again by a better receipt",
        [*THREE, withdrawn("m2", 1, version=2), hard("m2", 1, version=3)],
        {},
        BOUNCED,
        3,
    ),
    ("a release frees the number", [*THREE, released(3)], {}, (), 0),
    ("and starts the count anew", [*THREE, released(3), hard("m4", 4), hard("m5", 5)], {}, (), 2),
    (
        "three more suppress it again",
        [*THREE, released(3), hard("m4", 4), hard("m5", 5), hard("m6", 6)],
        {},
        BOUNCED,
        3,
    ),
    (
        "a strike of a message sent before the release does not count after it",
        [released(3), hard("m1", 2.9, occurred=4), hard("m4", 4), hard("m5", 5)],
        {},
        (),
        2,
    ),
    ("a message sent at the moment of the release counts", [released(3), hard("m1", 3)], {}, (), 1),
    ("the latest release counts", [released(3), hard("m1", 4), released(5)], {}, (), 0),
    ("unsubscribed", [unsubscribed(1)], {}, LEFT, 0),
    ("unsubscribed, resubscribed later: free", [unsubscribed(1), resubscribed(2)], {}, (), 0),
    ("resubscribed before: unsubscribed", [resubscribed(1), unsubscribed(2)], {}, LEFT, 0),
    ("at one time the unsubscribe wins", [unsubscribed(1), resubscribed(1)], {}, LEFT, 0),
    ("a resubscribe alone suppresses nobody", [resubscribed(1)], {}, (), 0),
    ("a release is no resubscribe", [unsubscribed(1), released(2)], {}, LEFT, 0),
    ("a resubscribe is no release", [*THREE, resubscribed(9)], {}, BOUNCED, 3),
    ("added by hand", [suppressed(1)], {}, BY_HAND, 0),
    ("added by hand and released later: free", [suppressed(1), released(2)], {}, (), 0),
    ("released before it was added: suppressed", [released(1), suppressed(2)], {}, BY_HAND, 0),
    ("at one time the suppression wins", [suppressed(1), released(1)], {}, BY_HAND, 0),
    (
        "all reasons at once",
        [*THREE, unsubscribed(3), suppressed(4)],
        {},
        (*BOUNCED, *LEFT, *BY_HAND),
        3,
    ),
    ("suppression_days: over after so many", THREE, {"suppression_days": 7}, (), 0),
    ("suppression_days: an unsubscribe lasts", [unsubscribed(1)], {"suppression_days": 7}, LEFT, 0),
    ("suppression_days: by hand lasts", [suppressed(1)], {"suppression_days": 7}, BY_HAND, 0),
    (
        "after the lapse the count starts anew",
        [*THREE, hard("m4", 20), hard("m5", 21)],
        {"suppression_days": 7},
        (),
        2,
    ),
    (
        "strikes that came while it was suppressed do not count again after the lapse",
        [*THREE, hard("m4", 5), hard("m5", 20), hard("m6", 21)],
        {"suppression_days": 7},
        (),
        2,
    ),
    (
        "three after the lapse suppress it again",
        [*THREE, hard("m4", 24), hard("m5", 25), hard("m6", 26)],
        {"suppression_days": 7},
        BOUNCED,
        3,
    ),
    (
        "strikes_reset_on_delivery: a delivery starts the count anew",
        [*THREE[:2], delivered(1.5), hard("m3", 2), hard("m4", 3)],
        {"strikes_reset_on_delivery": True},
        (),
        2,
    ),
    (
        "strikes_reset_on_delivery: a delivery frees the number",
        [*THREE, delivered(4)],
        {"strikes_reset_on_delivery": True},
        (),
        0,
    ),
    (
        "strikes_reset_on_delivery: strikes after the delivery count",
        [delivered(0.5), *(hard(f"n{n}", n) for n in (1, 2, 3))],
        {"strikes_reset_on_delivery": True},
        BOUNCED,
        3,
    ),
    (
        "strikes_reset_on_delivery off: a delivery changes nothing",
        [*THREE, delivered(4)],
        {},
        BOUNCED,
        3,
    ),
]


@pytest.mark.parametrize("rule", RULES, ids=[row[0] for row in RULES])
@pytest.mark.parametrize("backwards", [False, True])
def test_the_rules_of_suppression(rule, backwards):
    _, steps, own, reasons, strikes = rule
    found = status(*(steps[::-1] if backwards else steps), **own)
    assert found.reasons == reasons
    assert found.suppressed == bool(reasons)
    assert found.strikes == strikes
    assert bool(found.since) == found.suppressed


@pytest.mark.parametrize(
    ("rule", "steps", "since"),
    [
        ("since the third strike came, not since its message was sent", THREE, 2 + 1 / 24),
        ("not since the fourth", [*THREE, hard("m4", 3)], 2 + 1 / 24),
        ("by the time of the bounces", [hard("a", 0, 9), hard("b", 1, 4), hard("c", 2, 5)], 9),
        ("since the unsubscribe", [unsubscribed(5)], 5),
        ("since the latest unsubscribe", [unsubscribed(5), unsubscribed(7)], 7),
        ("since it was added by hand", [suppressed(6)], 6),
        ("since the first reason in force", [*THREE, unsubscribed(1), suppressed(4)], 1),
        ("without what no longer holds", [unsubscribed(1), resubscribed(2), suppressed(4)], 4),
        (
            "since the next in line when one is withdrawn",
            [*THREE, hard("m4", 5, 5), withdrawn("m1", 0)],
            5,
        ),
    ],
)
def test_since_when_a_number_is_suppressed(rule, steps, since):
    assert status(*steps).since == day(since)


def test_a_suppression_by_strikes_lasts_its_days_to_the_millisecond():
    facts, own = known(*THREE), settings(suppression_days=7)
    since = status_of(facts, own, T0).since
    until = since + 7 * DAY_MS
    lasting = SuppressionStatus(
        True, BOUNCED, since, until, 3, on_all(BOUNCED, since, until, 3), until
    )
    assert status_of(facts, own, until - 1) == lasting
    assert status_of(facts, own, until) == SuppressionStatus(False, (), 0, 0, 0, on_all())


def test_a_strike_at_the_very_end_of_a_suppression_starts_a_new_count():
    facts, own = known(*THREE), settings(suppression_days=7)
    end = status_of(facts, own, T0).until
    add_strike(facts, StrikeFact(day(8), "late", 1, True, end))
    assert status_of(facts, own, end).strikes == 1
    before = known(*THREE)
    add_strike(before, StrikeFact(day(8), "late", 1, True, end - 1))
    assert status_of(before, own, end - 1).strikes == 4


def test_without_suppression_days_it_lasts_until_a_release():
    assert status(*THREE, now=36_500).suppressed
    assert status(*THREE).until == 0


def test_a_number_suppressed_for_other_reasons_too_has_no_end():
    both = status(*THREE, unsubscribed(3), now=4, suppression_days=7)
    assert (both.until, both.lapses_at) == (0, day(2 + 1 / 24 + 7))
    assert status(*THREE, unsubscribed(3), now=40, suppression_days=7).reasons == LEFT


def test_at_one_moment_words_are_ordered_so_that_all_workers_agree():
    facts, other = known(released(3, "adam"), released(3, "eva")), Facts()
    for each in (released(3, "eva"), released(3, "adam")):
        each(other)
    assert facts == other
    assert facts.released.who == "eva"


# --- bounded memory --------------------------------------------------------------------------


def many(number: int) -> list[Step]:
    return [hard(f"m{n:03}", n) for n in range(number)]


def test_of_more_than_max_strikes_the_newest_messages_are_kept_in_any_order():
    kept = known(*many(MAX_STRIKES + 5))
    assert [each.message_id for each in kept.strikes] == [
        f"m{n:03}" for n in range(5, MAX_STRIKES + 5)
    ]
    assert known(*many(MAX_STRIKES + 5)[::-1]) == kept


def test_a_number_with_more_than_max_strikes_stays_suppressed_even_at_the_highest_limit():
    found = status(*many(3 * MAX_STRIKES), now=365, strike_limit=MAX_STRIKE_LIMIT)
    assert (found.suppressed, found.strikes) == (True, MAX_STRIKES)


def test_withdrawing_one_that_is_remembered_counts():
    facts = known(*many(MAX_STRIKES + 5))
    assert add_strike(facts, strike("m010", 10, version=2, struck=False)) is True
    assert status_of(facts, settings(), day(90)).strikes == MAX_STRIKES - 1


# --- as stored -------------------------------------------------------------------------------


def stored(facts: Facts, version: int) -> bytes:
    status = status_of(facts, settings(), day(30))
    return encode(published("acme", "+46701234567", facts, status, version))


def test_the_published_record_has_all_a_sender_needs():
    record = decode(stored(known(*THREE, unsubscribed(9)), 7))
    assert (record.account, record.recipient, record.version) == ("acme", "+46701234567", 7)
    assert (record.suppressed, record.reasons) == (True, (*BOUNCED, *LEFT))
    assert (record.since, record.until, record.strikes) == (day(2 + 1 / 24), 0, 3)
    assert record.matches(status(*THREE, unsubscribed(9)))
    assert not record.matches(status(*THREE))
