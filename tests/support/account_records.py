"""Records of what decides about bounces, as their publishers write them."""

import json
from typing import Any

import msgspec

from models.retries import RetryRequest
from models.strikes import Kind, Strike, encode_strike
from models.suppression import SuppressionStatus, published
from models.suppression import encode as encode_suppression
from models.suppression_facts import Facts
from tests.support.fakes import T0
from tests.support.records import Record

NUMBER = "+4915112345678"


def account(offset: int = 0, key: bytes | None = b"acme", **settings: Any) -> Record:
    """Settings of account acme."""
    value = json.dumps({"account": "acme", **settings}).encode()
    return Record("accounts", 0, offset, T0, key, value)


def strike(kind: Kind = "struck", version: int = 1, message_id: str = "m1") -> Record:
    """What a message of acme says of its number."""
    return record_of(Strike(kind, "acme", NUMBER, message_id, T0, version, T0 + 5000, "30005"))


def record_of(strike: Strike) -> Record:
    """The record of a strike."""
    return Record("strikes", 0, strike.version, T0 + 6000, strike.key, encode_strike(strike))


def suppression(version: int, status: SuppressionStatus, at: int = T0) -> Record:
    """How acme's number stands, published at `at`."""
    record = published("acme", NUMBER, Facts(), status, version)
    key = f"acme/{NUMBER}".encode()
    return Record("suppressions", 0, version, at, key, encode_suppression(record))


def request(action: str, at: int = T0, **fields: str) -> Record:
    """What somebody decided about acme's number."""
    value = {"account": "acme", "recipient": NUMBER, "action": action, "at": at, **fields}
    key = f"acme/{NUMBER}".encode()
    return Record("suppression-requests", 0, 0, at, key, json.dumps(value).encode())


def retry(at: int = T0 + 3_600_000, due_at: int = T0 + 3_600_000, attempt: int = 2) -> Record:
    """A request for an attempt of acme's message, published at `at`."""
    record_ = RetryRequest(f"acme/m1/{attempt}", "acme", "m1", attempt, T0, due_at, NUMBER, "sms")
    return Record("retry-requests", 0, 0, at, b"acme/m1", msgspec.json.encode(record_))
