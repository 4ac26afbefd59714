"""Which end of a message is a strike against its number, one row a rule."""

import json
from typing import Any, get_args

import pytest

from models.contract import Receipt, Send
from models.refusal import Reason, Refusal
from models.strikes import ActiveStrike, Strike, active_strike, encode_strike, parse_strike
from models.vocabulary import Scope
from tests.models.test_message_row import HOUR, MINUTE, T0, make_receipt, sent, state_of

NUMBER = "+46701234567"


def hard(minutes: int = 1, attempt: int = 1, **fields: Any) -> Receipt:
    return make_receipt("undelivered", minutes, attempt, bounce="hard", **fields)


# rule, events, whether it is a strike
RULES: list[tuple[str, list[Send | Receipt], bool]] = [
    ("hard without a scope is the recipient's: a strike", [sent(), hard()], True),
    ("hard and the recipient's: a strike", [sent(), hard(scope="recipient")], True),
    *(
        (f"hard for {scope}: none", [sent(), hard(scope=scope)], False)
        for scope in get_args(Scope)
        if scope != "recipient"
    ),
    ("three receipts for one message: still this one", [sent(), hard(), hard(2), hard(3)], True),
    ("soft: none", [sent(), make_receipt("undelivered", bounce="soft", scope="recipient")], False),
    ("a failure without a bounce is soft: none", [sent(), make_receipt("undelivered")], False),
    ("rejected is hard without a scope: none", [sent(), make_receipt("rejected")], False),
    (
        "rejected for its recipient: a strike",
        [sent(), make_receipt("rejected", scope="recipient", bounce="hard")],
        True,
    ),
    (
        "rejected and soft: none",
        [sent(), make_receipt("rejected", scope="recipient", bounce="soft")],
        False,
    ),
    ("deleted has no bounce: none", [sent(), make_receipt("deleted", scope="recipient")], False),
    ("pending: none", [sent(), make_receipt("queued")], False),
    ("delivered: none", [sent(), make_receipt("delivered")], False),
    ("delivered after all: none any more", [sent(), hard(), make_receipt("delivered", 9)], False),
    ("delivered before: none", [sent(), make_receipt("delivered"), hard(9)], False),
    (
        "delivered on an earlier attempt: none",
        [sent(), make_receipt("delivered"), sent(2, 60), hard(61, 2)],
        False,
    ),
    ("hard after soft: a strike", [sent(), make_receipt("undelivered", 9), hard(1)], True),
    (
        "a better receipt for another scope: none any more",
        [sent(), hard(1), hard(2, scope="network")],
        False,
    ),
    ("a retry was sent: none any more", [sent(), hard(), sent(2, 60)], False),
    (
        "the retry ended softly: none",
        [sent(), hard(), sent(2, 60), make_receipt("undelivered", 61, 2)],
        False,
    ),
    ("the retry ended hard as well: one", [sent(), hard(), sent(2, 60), hard(61, 2)], True),
    ("a late receipt for the first attempt: none", [sent(), sent(2, 60), hard(90, 1)], False),
    ("whose send is unknown: none yet", [hard(recipient=NUMBER)], False),
    ("a received message: none", [sent(direction="inbound"), hard()], False),
]


@pytest.mark.parametrize("rule", RULES, ids=[row[0] for row in RULES])
@pytest.mark.parametrize("backwards", [False, True])
def test_only_hard_and_recipient_is_a_strike(rule, backwards):
    _, events, strikes = rule
    found = active_strike(state_of(*(events[::-1] if backwards else events)))
    assert (found is not None) == strikes


def test_our_own_expiry_is_no_strike():
    assert (
        active_strike(state_of(sent(), make_receipt("queued"), expired_at=T0 + 72 * HOUR)) is None
    )


def test_a_strike_names_number_time_and_code():
    state = state_of(sent(), sent(2, 60), hard(61, 2, error_code="1"))
    assert active_strike(state) == ActiveStrike(NUMBER, T0, T0 + 61 * MINUTE, "1", "sms")


def test_the_number_is_that_of_the_send_not_of_the_receipt():
    found = active_strike(state_of(sent(), hard(recipient="+46700000000")))
    assert found is not None and found.recipient == NUMBER


STRIKE = Strike("struck", "acme", NUMBER, "m", T0, 7, T0 + MINUTE, "1")


def test_a_strike_survives_being_sent_and_is_keyed_by_its_number():
    assert parse_strike(encode_strike(STRIKE)) == STRIKE
    assert STRIKE.key == b"acme/+46701234567"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "hit"}, Reason.BAD_VALUE),
        ({"version": "7"}, Reason.BAD_VALUE),
        ({"sent_at": None}, Reason.BAD_VALUE),
    ],
)
def test_a_wrong_strike_is_refused(changes, reason):
    value = json.dumps({**json.loads(encode_strike(STRIKE)), **changes}).encode()
    refused = parse_strike(value)
    assert isinstance(refused, Refusal)
    assert refused.reason is reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [(None, Reason.EMPTY), (b"", Reason.EMPTY), (b"{", Reason.NOT_JSON), (b"[]", Reason.BAD_VALUE)],
)
def test_what_is_no_strike_is_refused(value, reason):
    refused = parse_strike(value)
    assert isinstance(refused, Refusal)
    assert refused.reason is reason
