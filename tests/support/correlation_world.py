"""Callbacks, ids and sends of one partition: whatever is produced to our own topics comes back."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from models.callbacks import RawCallback, headers_of_copy, raw_callback
from models.correlation import Link
from models.endpoints import Endpoint, read_endpoints
from models.keys import message_key
from models.routes import Routes
from models.time import DAY_MS
from streams.batching import StateStore
from streams.common.plan import Plan
from streams.correlation.shard import CorrelationRules, CorrelationShard
from tests.support.records import Record, record

START_MS = 1_790_000_000_000
RETENTION_DAYS, UNMATCHED_DAYS = 10, 3

ENDPOINTS = """
public_url = "https://receipts.example.com"

[endpoints.twilio]
provider = "twilio"
account = "acme"
secrets = ["env:TWILIO"]

[endpoints.twilio-other]
provider = "twilio"
account = "other"
secrets = ["env:TWILIO"]

[endpoints.smsc]
provider = "smpp"
account = "acme"
unverified = true
ids = ["hex-sent"]
zone = "Europe/London"

[endpoints.sinch]
provider = "sinch"
account = "acme"
secrets = ["env:SINCH"]

[endpoints.meta]
provider = "whatsapp"
account = "acme"
secrets = ["env:META"]
"""


def endpoints() -> dict[str, Endpoint]:
    """Of the world."""
    return dict(read_endpoints(ENDPOINTS).endpoints)


class CorrelationWorld:
    """A shard and its topics. now: epoch ms, of everything that is put"""

    def __init__(self, store: StateStore) -> None:
        self.now = START_MS
        self.routes = Routes(endpoints())
        self.store = store
        self.produced: defaultdict[str, list[tuple[bytes, bytes]]] = defaultdict(list)
        self.refused: list[str] = []
        self.start()

    def start(self) -> None:
        """A new owner restores the partition."""
        rules = CorrelationRules(1, RETENTION_DAYS, UNMATCHED_DAYS)
        self.shard = CorrelationShard(0, self.store, rules, self.routes)
        for _ in self.shard.fold():
            pass
        self.shard.finish_restore(1)

    # --- what comes -------------------------------------------------------------------------------

    def callback(self, endpoint: str, body: bytes, reference: str = "", query: str = "") -> Record:
        """A callback as `receipts listen` keeps it."""
        raw = RawCallback(body, endpoint, "", query, reference, self.now, "twilio")
        return record("callbacks", None, body, self.now, headers=tuple(raw.headers()))

    def replay(self, *callbacks: Record) -> None:
        """Take copies of callbacks, as `receipts replay-callbacks` produces them."""
        copies = []
        for each in callbacks:
            raw = raw_callback(each.value, each.headers, each.timestamp)
            headers = headers_of_copy(raw, each.headers, "0:0", self.now)
            copies.append(each._replace(headers=tuple(headers)))
        self.take(*copies)

    def change_endpoint(self, name: str, **keys: Any) -> None:
        """The workers have another file of endpoints from now on."""
        known = dict(self.routes.endpoints)
        known[name] = Endpoint(**{**known[name].model_dump(exclude_unset=True), **keys})
        self.routes = Routes(known)
        self.start()

    def provider_id(self, **fields: Any) -> Record:
        """What a sender publishes."""
        event = {"account": "acme", "provider": "twilio", **fields}
        key = message_key(event["account"], event["message_id"])
        return record("provider-ids", key, json.dumps(event).encode(), self.now)

    def send_link(
        self, account: str, provider: str, provider_id: str, message_id: str, reference: str = ""
    ) -> list[Record]:
        """What the lifecycle agent produces for a send."""
        link = Link(self.now, message_id, 1)
        found = self.routes.links_of(account, provider, provider_id, "", reference, link)
        return [record("provider-links", key, value, self.now) for key, value in found]

    # --- what follows -----------------------------------------------------------------------------

    def take(self, *records: Record) -> None:
        """Process a batch of one topic, then all that it leads to."""
        plan = self.shard.plan(records[0].topic, records, self.now)
        self._deliver(plan)

    def tick(self, later_ms: int = 0) -> None:
        """The clock moves, and what is due happens."""
        self.now += later_ms
        for plan in self.shard.tick(self.now):
            self._deliver(plan)

    def _deliver(self, plan: Plan) -> None:
        assert not plan.failures
        self.refused += [letter.refusal.detail for letter in plan.dead_letters]
        for key, value in plan.changes.items():
            if value is None:
                self.store.discard(key)
            else:
                self.store[key] = value
        for topic, records in plan.outputs.items():
            if topic in ("provider-receipts", "provider-links"):
                self.take(*(record(topic, key, value, self.now) for key, value in records))
            else:
                self.produced[topic] += records

    # --- what can be seen -------------------------------------------------------------------------

    def receipts(self) -> list[dict[str, Any]]:
        """What was produced to `receipts`."""
        return [msgspec.json.decode(value) for _, value in self.produced["receipts"]]

    def messages(self) -> Counter[tuple[str, str, str]]:
        """Account, message id and status of the receipts, each once."""
        found = {(each["account"], each["message_id"], each["status"]) for each in self.receipts()}
        return Counter(found)

    def unmatched(self) -> dict[str, dict[str, Any]]:
        """What people see: the latest row of each receipt, those that were matched left out."""
        rows: dict[str, dict[str, Any]] = {}
        for _, value in self.produced["unmatched-receipts"]:
            row = msgspec.json.decode(value)
            known = rows.get(row["id"])
            if known is None or row["message_id"] or not known["message_id"]:
                rows[row["id"]] = row
        return {name: row for name, row in rows.items() if not row["message_id"]}


def twilio(sid: str, status: str = "delivered", **more: str) -> bytes:
    """The body of a callback of Twilio."""
    fields = {"MessageSid": sid, "MessageStatus": status, **more}
    return "&".join(f"{name}={value}" for name, value in fields.items()).encode()


def whatsapp(wamid: str, status: str = "read", reference: str = "") -> bytes:
    """The body of a callback of Meta."""
    fields = {"id": wamid, "status": status, "biz_opaque_callback_data": reference}
    return json.dumps({"entry": [{"changes": [{"value": {"statuses": [fields]}}]}]}).encode()


def days(count: float) -> int:
    """In ms."""
    return round(count * DAY_MS)


def in_order(world: CorrelationWorld, batches: Iterable[list[Record]]) -> None:
    """Take batches one by one."""
    for batch in batches:
        world.take(*batch)
