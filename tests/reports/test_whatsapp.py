"""WhatsApp details against the truth, message by message."""

from collections import Counter

from deploy.simulator.oracle.messages import Message
from reports.catalogue.whatsapp import WHATSAPP
from tests.reports.queries import biggest, query_of, rows_of
from tests.reports.truth import Row, Truth, message_row, only, truth_of
from tests.reports.world import World, every_world_and_zone

COLUMNS = [column.name for column in WHATSAPP.sections[0].columns]
STATES = {
    "submitted": "pending",
    "queued": "pending",
    "delivered": "delivered",
    "read": "read",
    "undelivered": "failed",
    "deleted": "failed",
    "rejected": "failed",
    "received": "received",
}


def wanted(truth: Truth, sent: list[tuple[str, Message]], *, content: bool = True) -> list[Row]:
    return [
        only(
            message_row(name, one, truth.texts.get(name, "") if content else "")
            | {"state": STATES[one.status]},
            COLUMNS,
        )
        for name, one in sent
        if one.channel == "whatsapp"
    ]


@every_world_and_zone
def test_every_message_sent_or_received_is_shown(world: World, zone: str) -> None:
    seen: Counter[str] = Counter()
    for account in world.accounts:
        truth = truth_of(world, account)
        query = query_of(world, WHATSAPP, account, {"content": "yes", "last": "3"}, zone)
        rows = truth.shown(rows_of(world, query))
        sent = truth.sent(zone, query.period.first, query.period.last)
        assert rows == truth.shown(wanted(truth, sent))
        seen.update(row["direction"] for row in rows)
    assert seen["inbound"] and seen["outbound"]


STATUSES = {
    "delivered": {"delivered", "read"},
    "read": {"read"},
    "pending": {"pending"},
    "failed": {"failed"},
    "received": {"received"},
}


def test_filters_leave_exactly_their_messages(world: World) -> None:
    account = biggest(world)
    truth = truth_of(world, account)
    query = query_of(world, WHATSAPP, account, {})
    sent = truth.sent("UTC", query.period.first, query.period.last)
    everything = truth.shown(wanted(truth, sent, content=False))
    by = {"sender": "sender_id", "recipient": "recipient", "source": "source"}
    for name, column in {**by, "direction": "direction"}.items():
        for value in sorted({row[column] for row in everything if row[column]})[:3]:
            rows = truth.shown(rows_of(world, query_of(world, WHATSAPP, account, {name: value})))
            assert rows == [row for row in everything if row[column] == value]
    for status, states in STATUSES.items():
        rows = truth.shown(rows_of(world, query_of(world, WHATSAPP, account, {"status": status})))
        assert rows == [row for row in everything if row["state"] in states]
    params = {"status": ["read", "failed"], "direction": "outbound"}
    rows = truth.shown(rows_of(world, query_of(world, WHATSAPP, account, params)))
    assert rows == [row for row in everything if row["state"] in ("read", "failed")]
    assert {row["state"] for row in everything} == set(STATES.values())
