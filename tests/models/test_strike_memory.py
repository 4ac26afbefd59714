"""Strikes across deaths, and the bound of a number's memory."""

from models.suppression_facts import MAX_STRIKES, Facts, StrikeFact, add_strike
from tests.support.recipient_world import MINUTE, NUMBER, T0, World, hard, make_receipt, send

NOW = T0 + 10 * MINUTE


def test_a_death_between_strike_and_state_of_a_second_attempt_leaves_no_strike():
    world = World()
    world.take(send(), hard("m", NOW), at=NOW)
    world.take(send(at=NOW, attempt=2), at=NOW)  # the strike of the first attempt is withdrawn
    world.batch([hard("m", NOW + 1, attempt=2)], NOW, "produced")  # its state is lost
    world.batch([hard("m", NOW + 1, attempt=2), make_receipt("delivered", NOW + 2, attempt=2)], NOW)
    world.commit(NOW)
    assert world.row("m").status == "delivered"
    known = world.number(NUMBER)
    assert known is not None
    assert known.strikes == 0


def strike(n: int, version: int = 1) -> StrikeFact:
    return StrikeFact(T0 + n, f"m{n}", version, version == 1, T0 + n)


def known(*strikes: StrikeFact) -> Facts:
    facts = Facts()
    for each in strikes:
        add_strike(facts, each)
    return facts


def test_forgetting_strikes_obeys_the_join():
    struck = [strike(n) for n in range(MAX_STRIKES + 1)]
    withdrawal = strike(MAX_STRIKES, version=2)
    assert known(*struck, withdrawal) == known(withdrawal, *struck)


def test_a_replay_brings_no_withdrawn_strike_back():
    pairs = [strike(n, version) for n in range(MAX_STRIKES + 1) for version in (1, 2)]
    facts = known(*pairs)
    assert add_strike(facts, strike(0)) is False
    assert not any(each.struck for each in facts.strikes)


def test_withdrawing_a_strike_that_was_forgotten_changes_nothing_and_reports_no_change():
    facts = known(*(strike(n) for n in range(MAX_STRIKES + 1)))
    assert add_strike(facts, strike(0, version=2)) is False
