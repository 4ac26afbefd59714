"""The facts of a record that 0.1.0 kept under another spelling of its number, published again."""

from collections.abc import Iterator

from models.numbers import person_of
from models.strikes import Strike, encode_strike
from models.suppression import Suppression
from models.suppression_requests import RECIPIENT, Action, encoded_request
from streams.common.plan import KeyValue


def strikes_again(record: Suppression) -> Iterator[KeyValue]:
    """Records of `strikes`, keyed by the person, that lead to the same facts."""
    account, recipient = record.account, person_of(record.recipient)
    strikes = [
        Strike(
            "struck" if fact.struck else "withdrawn",
            account,
            recipient,
            fact.message_id,
            fact.sent_at,
            fact.version,
            fact.occurred_at,
            fact.code,
        )
        for fact in record.facts.strikes
    ]
    if at := record.facts.delivered_at:  # of which message is not recorded
        strikes.append(Strike("delivered", account, recipient, "unknown", 0, 0, at))
    for strike in strikes:
        yield strike.key, encode_strike(strike)


def requests_again(record: Suppression) -> Iterator[KeyValue]:
    """Records of `suppression-requests`, keyed by the person, that lead to the same facts."""
    facts, why = record.facts, f"recorded for {record.recipient}"
    by_hand, released = facts.suppressed_by_hand, facts.released
    requests: tuple[tuple[Action, int, str, str], ...] = (
        ("unsubscribe", facts.unsubscribed_at, RECIPIENT, why),
        ("resubscribe", facts.resubscribed_at, RECIPIENT, why),
        ("suppress", by_hand.at, by_hand.who, by_hand.why),
        ("release", released.at, released.who, released.why),
    )
    for action, at, who, why in requests:
        if at:
            yield encoded_request(record.account, record.recipient, action, at, who=who, why=why)
