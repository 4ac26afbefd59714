"""Small cases for the oracle, written by hand: facts of one account, and their records."""

import json
from typing import Any

from deploy.simulator.event import Published

T0 = 1_795_176_000_000  # 2026-11-20T12:00:00Z
AS_OF = T0 + 3 * 3_600_000
NUMBER = "+447400123456"

Fact = tuple[str, dict[str, Any]]


def send(message_id: str = "m1", at: int = 0, attempt: int = 1, **fields: Any) -> Fact:
    given = {"message_id": message_id, "channel": "sms", "recipient": NUMBER, "sent_at": T0 + at,
            "provider": "twilio"}  # fmt: skip
    if attempt > 1:
        given |= {"attempt": attempt, "first_sent_at": T0}
    return "sends", given | fields


def settings(**fields: Any) -> Fact:
    return "accounts", fields


def published(facts: list[Fact]) -> list[Published]:
    return [
        Published(kind, 0, n, AS_OF, b"k", json.dumps({"account": "acme"} | fields).encode(), kind)
        for n, (kind, fields) in enumerate(facts)
    ]
