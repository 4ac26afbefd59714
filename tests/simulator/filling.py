"""Tables that hold exactly what the oracle expects of one run."""

import json
from typing import Any

from deploy.simulator.event import RECEIPTS, Published
from deploy.simulator.oracle.expect import RECIPIENT, Engagement, Expected
from deploy.simulator.oracle.messages import Cell, Message, Orphan
from deploy.simulator.oracle.rules import CodeEntry, Rules
from deploy.simulator.oracle.suppression import Decision, RecipientStatus, Strike
from deploy.simulator.traffic.generate import generate

AS_OF = 1_795_300_000_000
EVENTS = 6_000


def truth() -> list[Published]:
    return [
        Published(e.kind, 0, offset, e.arrival_ms, e.key, e.value, e.kind, e.note, e.expect)
        for offset, e in enumerate(generate(3, EVENTS, AS_OF))
    ]


def _given(entry: CodeEntry) -> dict[str, str]:
    return {name: value for name, value in entry._asdict().items() if value}


def insert(client: Any, table: str, names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Times go in as epoch ms, credits and prices in millionths: the engine converts them."""

    def column(name: str, value: Any) -> str:
        if name.endswith("_at") or name in ("window_start", "time", "at", "since", "until"):
            return f"fromUnixTimestamp64Milli({value}, 'UTC')"
        if name in ("credits", "price"):
            return f"toDecimal64({value}, 6) / 1000000"
        if isinstance(value, bytes):
            return f"unhex('{value.hex()}')"
        if name in ("reasons", "repaired"):
            return str(list(value))
        if name == "fail_reasons":
            return f"map({', '.join(repr(text) for pair in value for text in pair)})"
        if name == "codes":
            texts = ((code, json.dumps(_given(entry))) for code, entry in value)
            return f"map({', '.join(repr(text) for pair in texts for text in pair)})"
        return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"

    for start in range(0, len(rows), 300):
        values = ", ".join(
            f"({', '.join(column(n, v) for n, v in zip(names, row, strict=True))})"
            for row in rows[start : start + 300]
        )
        client.command(f"INSERT INTO {table} ({', '.join(names)}) VALUES {values}")


def fill(client: Any, expected: Expected) -> None:
    insert(client, "messages", ("account", "message_id", *Message._fields, "version"),
           [(*key, *row, 1) for key, row in expected.messages.items()])  # fmt: skip
    insert(client, "orphans", ("account", "message_id", *Orphan._fields, "version"),
           [(*key, *row, 1) for key, row in expected.orphans.items()])  # fmt: skip
    windows = ("kind", "window_start", "account", "channel", "source", "country", "provider")
    cells = [(*key, *cell, 0, 1) for key, cell in expected.cells.items()]
    insert(client, "status_counters", (*windows, *Cell._fields, "shard", "version"),
           [cell for cell in cells if cell[0] != "campaign"])  # fmt: skip
    insert(client, "status_counters",
           ("kind", "account", "campaign_id", *Cell._fields, "shard", "version"),
           [cell for cell in cells if cell[0] == "campaign"])  # fmt: skip
    dead_letters = [r for r in truth() if r.expect]
    names = ("topic", "partition", "offset", "time", "reason", "key", "value", "has_key",
             "has_value", "version")  # fmt: skip
    insert(client, "dead_letter_records", names,
           [(r.topic, r.partition, r.offset, r.timestamp, r.expect, r.key or b"", r.value or b"",
             int(r.key is not None), int(r.value is not None), 1)
            for r in dead_letters])  # fmt: skip
    insert(client, "engagements", ("account", "event_id", *Engagement._fields, "version"),
           [(*key, *row, 1) for key, row in expected.engagements.items()])  # fmt: skip
    insert(client, "receipt_events", ("account", "message_id", "occurred_at", "offset"),
           [("a", "m", AS_OF, r.offset) for r in truth() if r.kind == RECEIPTS and not r.expect]
           )  # fmt: skip
    insert(client, "campaigns",
           ("account", "campaign_id", "updated_at", "name", "status", "version"),
           [(*key, *newest, 1) for key, newest in expected.campaigns.items()])  # fmt: skip
    insert(client, "message_texts", ("account", "message_id", "attempt", "sent_at", "version"),
           [("a", f"m{n}", 1, AS_OF, 1) for n in range(expected.texts)])  # fmt: skip
    fill_bounces(client, expected)


def fill_bounces(client: Any, expected: Expected) -> None:
    insert(client, "accounts", ("account", *Rules._fields, "version"),
           [(account, *rules, 1) for account, rules in expected.accounts.items()])  # fmt: skip
    withdrawn = sorted(expected.may_strike - expected.strikes.keys())
    insert(client, "strikes", ("struck", "account", "message_id", *Strike._fields, "version"),
           [(True, *key, *strike, 1) for key, strike in expected.strikes.items()]
           + [(False, *key, "+447400123456", AS_OF, AS_OF, "", "sms", 1)
              for key in withdrawn])  # fmt: skip
    insert(client, "suppression_records",
           ("account", "recipient", "channel", *RecipientStatus._fields, "version"),
           [(*key, *number, 1) for key, number in expected.channels.items()])  # fmt: skip
    decisions = [
        *expected.decisions,
        *expected.possible_decisions,
        *(named for named, _ in expected.choices),
    ]
    insert(client, "suppression_requests",
           ("account", "recipient", *Decision._fields[2:]),
           [decision._replace(why=decision.why or "message m1") if decision.who == RECIPIENT
            else decision for decision in decisions])  # fmt: skip
    insert(client, "retry_requests",
           ("account", "message_id", "attempt", "due_at", "first_sent_at", "recipient", "channel",
            "version"),
           [(*key, min(ask.due_at), min(ask.first_sent_at), ask.recipient, ask.channel, 1)
            for key, ask in expected.allowed_retries.items()])  # fmt: skip
