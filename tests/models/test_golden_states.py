"""States that version 0.1.0 stored are read, shown as before, and joined with new events."""

from typing import Any

import pytest

from models.joining import decide, joined
from models.message_row import row_of
from models.state import MessageState, decode, encode

#: Name, bytes as 0.1.0 wrote them, what its row showed.
GOLDEN: list[tuple[str, str, dict[str, Any]]] = [
    (
        "delivered, clicked",
        "dc0015cf000000070000000391dc001301cf000001a1f8d3ea00cf000001a1f8d3ea00a3736d73a8"
        "6f7574626f756e64a6646972656374ad2b343437373030393030313233a24742a0a0a163a00200a6"
        "7477696c696fa0a0a0009a010500cf000001a1f8d3fd88a0a0a0a67477696c696fa0a0cf000001a1"
        "f8d3ede8cf000001a1f8d3fd8800cf000001a1f8d4d46000cd512900c2c290c200a0a000c2cf0000"
        "01a1f8d3fd8800",
        {
            "kind": "message",
            "status": "delivered",
            "bounce": "",
            "scope": "",
            "fail_reason": "",
            "delivered_at": 1795176005000,
            "clicked_at": 1795176060000,
            "unsubscribed_at": 0,
            "failed_attempt": 0,
            "attempts": 1,
            "provider": "twilio",
            "recipient": "+447700900123",
        },
    ),
    (
        "failed twice",
        "dc0015cf000000070000000392dc001301cf000001a1f8d3ea00cf000001a1f8d3ea00a3736d73a8"
        "6f7574626f756e64a6646972656374ad2b343437373030393030313233a24742a0a0a0a00100a0a0"
        "a0a000dc001302cf000001a1f90ad880cf000001a1f8d3ea00a3736d73a86f7574626f756e64a664"
        "6972656374ad2b343437373030393030313233a24742a0a0a0a00100a0a0a0a0009a020202cf0000"
        "01a1f90aec08a9726563697069656e74a131b545435f554e4b4e4f574e5f53554253435249424552"
        "a7696e666f626970a0a00000000000cd512900c2c290c200b545435f554e4b4e4f574e5f53554253"
        "435249424552a566696e616c00c30000",
        {
            "kind": "message",
            "status": "undelivered",
            "bounce": "hard",
            "scope": "recipient",
            "fail_reason": "EC_UNKNOWN_SUBSCRIBER",
            "delivered_at": 0,
            "clicked_at": 0,
            "unsubscribed_at": 0,
            "failed_attempt": 2,
            "attempts": 2,
            "provider": "infobip",
            "recipient": "+447700900123",
        },
    ),
    (
        "only a receipt",
        "dc0015cf0000000700000003909a010302cf000001a1f8d3fd88a0a53231363130a0a67477696c69"
        "6fa170ad2b3434373730303930303132330000000000cd512900c2c290c200a96f70746564206f75"
        "74a000c20000",
        {
            "kind": "orphan",
            "status": "rejected",
            "bounce": "hard",
            "scope": "",
            "fail_reason": "opted out",
            "delivered_at": 0,
            "clicked_at": 0,
            "unsubscribed_at": 0,
            "failed_attempt": 1,
            "attempts": 1,
            "provider": "twilio",
            "recipient": "+447700900123",
        },
    ),
    (
        "unsubscribed",
        "dc0015cf000000070000000391dc001301cf000001a1f8d3ea00cf000001a1f8d3ea00a877686174"
        "73617070a86f7574626f756e64a6646972656374ad2b343437373030393030313233a24742a0a0a0"
        "a00100a0a0a0a0009a010600cf000001a1f8d40d28a0a0a0a0a0a000cf000001a1f8d40d28cf0000"
        "01a1f8d40d2800cf000001a1f8d4fb70cd512900c2c290c200a0a000c2cf000001a1f8d40d28cf00"
        "0001a1f8d4fb70",
        {
            "kind": "message",
            "status": "read",
            "bounce": "",
            "scope": "",
            "fail_reason": "",
            "delivered_at": 1795176009000,
            "clicked_at": 0,
            "unsubscribed_at": 1795176070000,
            "failed_attempt": 0,
            "attempts": 1,
            "provider": "",
            "recipient": "+447700900123",
        },
    ),
    (
        "received",
        "dc0015cf000000070000000391dc001301cf000001a1f8d3ea00cf000001a1f8d3ea00a3736d73a7"
        "696e626f756e64a6646972656374ad2b343437373030393030313233a24742a0a0a0a00100a0a0a0"
        "a000c000000000000000c2c290c200a0a000c20000",
        {
            "kind": "message",
            "status": "received",
            "bounce": "",
            "scope": "",
            "fail_reason": "",
            "delivered_at": 0,
            "clicked_at": 0,
            "unsubscribed_at": 0,
            "failed_attempt": 0,
            "attempts": 1,
            "provider": "",
            "recipient": "+447700900123",
        },
    ),
]


@pytest.mark.parametrize(("name", "stored", "shown"), GOLDEN, ids=[row[0] for row in GOLDEN])
def test_a_state_of_an_older_version_is_read(name, stored, shown):
    state = decode(bytes.fromhex(stored))
    before = row_of(b"acme/m", state)._asdict()
    decide(state)
    after = row_of(b"acme/m", decode(encode(state)))._asdict()
    assert {field: before[field] for field in shown} == shown
    assert after == before
    assert (after["person"], after["price"], after["currency"]) == (shown["recipient"], 0, "")


@pytest.mark.parametrize(("name", "stored", "shown"), GOLDEN, ids=[row[0] for row in GOLDEN])
def test_it_is_joined_with_itself_and_with_nothing(name, stored, shown):
    state = decode(bytes.fromhex(stored))
    whole = joined(state, state)
    assert row_of(b"acme/m", whole) == row_of(b"acme/m", state)
    assert joined(whole, state) == joined(state, MessageState()) == joined(whole, whole) == whole
