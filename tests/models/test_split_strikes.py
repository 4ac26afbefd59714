"""Which strikes of a published suppression count."""

from models.suppression import ChannelStatus, Suppression, of_any, published, split_strikes
from models.suppression_facts import Facts, ManualDecision, StrikeFact


def strike(message_id: str, sent_at: int, occurred_at: int, struck: bool = True) -> StrikeFact:
    return StrikeFact(sent_at, message_id, 1, struck, occurred_at, "5")


def behind(facts: Facts, strikes: int) -> tuple[list[str], list[str]]:
    sms = ChannelStatus("sms", True, ("hard_bounces",), 1, 0, strikes, 1)
    number: Suppression = published("acme", "+447700900101", facts, of_any([sms]), 1)
    counted, others = split_strikes(number, sms)
    return [s.message_id for s in counted], [s.message_id for s in others]


def test_withdrawn_strikes_are_not_shown_and_those_before_a_release_do_not_count() -> None:
    facts = Facts(
        strikes=[
            strike("old", 100, 900),
            strike("gone", 250, 300, struck=False),
            strike("a", 200, 400),
            strike("b", 300, 350),
        ],
        released=ManualDecision(200, "ann", "x"),
    )
    assert behind(facts, 2) == (["b", "a"], ["old"])


def test_strikes_that_a_delivery_or_an_end_reset_do_not_count() -> None:
    facts = Facts(strikes=[strike("a", 1, 10), strike("b", 2, 20), strike("c", 3, 30)])
    assert behind(facts, 1) == (["c"], ["a", "b"])
    assert behind(facts, 0) == ([], ["a", "b", "c"])
