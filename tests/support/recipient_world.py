"""Both agents' shards of a lone partition, the topics between them, and time as an argument.

Does what the agents do with plans: records for others are produced before the states are written
(docs/design.md, convergence). A worker can be made to die in between.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from models.accounts import Accounts, AccountSettings
from models.contract import Engagement, Event, Receipt, Send
from models.keys import event_key, message_key, recipient_key
from models.message_row import MessageRow, row_of
from models.retries import RetryRequest
from models.state import decode
from models.suppression import Suppression
from models.suppression import decode as decode_suppression
from models.suppression_requests import Action, SuppressionRequest
from models.vocabulary import Channel
from streams.common.plan import Plan
from streams.followers.suppression_index import SuppressionIndex
from streams.lifecycle.shard import Rules, Shard
from streams.suppression.shard import REQUESTS, STRIKES, RecipientShard
from tests.support.records import Record, record
from tests.support.stores import (
    begin_again,
    checkpoint,
    new_store,
    restore,
    restore_recipients,
)

T0 = 1_795_132_800_000  # 2026-11-20T00:00:00Z
SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

NUMBER, OTHER = "+46701234567", "+46707654321"

#: Where a worker dies, nothing committed: while what struck waits for the next commit, and all else
#: is produced; after the records for the others; or after writing its states.
Death = Literal["", "waiting", "produced", "written"]

_RULES = Rules(partitions=1, retention_days=400)


class PublishedRequest(NamedTuple):
    """A retry request and the clock at which it was published."""

    request: RetryRequest
    at: int


class World:
    """A worker's two shards and all they read and write, of one account by default.

    logged: the states that a new worker restores; deferred_records, deferred_requests: records
        that wait for the next commit, as do the states behind them; logs: what was produced
    """

    def __init__(self, **settings: Any) -> None:
        self.accounts = Accounts()
        self.states = new_store()
        self.logged: dict[bytes, bytes] = {}
        self.deferred_records: list[Record] = []
        self.deferred_requests: list[PublishedRequest] = []
        self.numbers = new_store()
        self.suppressed = SuppressionIndex()
        self.logs: dict[str, list[Record]] = {STRIKES: [], REQUESTS: []}
        self.read_to = {STRIKES: 0, REQUESTS: 0}
        self.requested: list[PublishedRequest] = []
        self.to_suppressed = 0
        self.opt_outs: Counter[str] = Counter()
        """By channel."""
        self.generation = 0
        self.accounts.publish(AccountSettings(account="acme", **settings))
        self.restart()

    def restart(self) -> None:
        """A new worker takes over what is stored."""
        self.logged = dict(self.states)
        begin_again(self.states, self.logged)
        begin_again(self.numbers, dict(self.numbers))
        self.deferred_records, self.deferred_requests = [], []
        self.generation += 1
        self.messages = Shard(0, self.states, _RULES, self.accounts, self.suppressed)
        restore(self.messages, {}, self.generation)
        self.judge = RecipientShard(0, self.numbers, 1, self.accounts)
        restore_recipients(self.judge, self.generation)

    def set(self, **settings: Any) -> None:
        """The account publishes its settings anew."""
        self.accounts.publish(AccountSettings(account="acme", **settings))
        list(self.messages.rearm({"acme"}))

    # --- messages --------------------------------------------------------------------------------

    def take(self, *events: Event, at: int = T0, dies: Death = "") -> None:
        """One batch of each topic in turn, then all that follows from it, then a commit."""
        for topic in ("sends", "receipts", "engagements"):
            self.batch([event for event in events if topic_of(event) == topic], at, dies)
        self.commit(at)

    def batch(self, events: Iterable[Event], at: int, dies: Death = "") -> None:
        """One batch of one topic; a worker that dies leaves it to be read again."""
        records = [_record(event, at) for event in events]
        if records:
            plan = self.messages.plan(records[0].topic, records, at)
            assert not plan.rerouted
            assert not plan.dead_letters, plan.dead_letters[0].refusal
            self.to_suppressed += plan.counts["receipts_sends_to_suppressed_total",]
            self._deliver(plan, at, dies)

    def _deliver(self, plan: Plan, at: int, dies: Death = "") -> None:
        late = {key for key, value in self.states.items() if self.logged.get(key) != value}
        _write(self.states, plan)
        for topic, pairs in ((STRIKES, plan.strikes), (REQUESTS, plan.requests)):
            self.deferred_records += [record(topic, key, value, at) for key, value in pairs]
        for _, value in plan.retries:
            self.deferred_requests.append(
                PublishedRequest(msgspec.json.decode(value, type=RetryRequest), at)
            )
        if dies == "produced":
            self._produce()
        else:
            for key in plan.changes.keys() - plan.deferred_keys - late:
                self.logged[key] = self.states[key]
        if dies == "written":
            self._flush()
        if dies:
            begin_again(self.states, self.logged)
            self.restart()

    def _produce(self) -> None:
        for one in self.deferred_records:
            self.logs[one.topic].append(one)
        self.requested += self.deferred_requests
        self.deferred_records, self.deferred_requests = [], []

    def _flush(self) -> None:
        """Produce deferred records, then write their states."""
        self._produce()
        self.logged = dict(self.states)
        checkpoint(self.messages)

    # --- numbers ---------------------------------------------------------------------------------

    def request(
        self,
        action: Action,
        recipient: str,
        at: int,
        who: str = "eva",
        channel: Channel | None = None,
    ) -> None:
        """Someone decides about a number."""
        wish = SuppressionRequest(
            account="acme", recipient=recipient, action=action, at=at, who=who, channel=channel
        )
        key, value = recipient_key("acme", recipient), wish.model_dump_json().encode()
        self.logs[REQUESTS].append(record(REQUESTS, key, value, at))

    def deliver_strikes(self, at: int, dies: Death = "") -> None:
        """The suppression agent reads its input, and the index follows."""
        self._flush()
        for topic in (STRIKES, REQUESTS):
            records = self.logs[topic][self.read_to[topic] :]
            plan = self.judge.plan(topic, records, at)
            assert not plan.rerouted
            assert not plan.dead_letters, plan.dead_letters[0].refusal
            for count, number in plan.counts.items():
                if count[0] == "receipts_opt_outs_total":
                    self.opt_outs[count[1]] += number
            if dies != "produced":
                self._judge(plan)
            if dies:
                self.restart()
            else:
                self.read_to[topic] += len(records)

    def _judge(self, plan: Plan) -> None:
        for topic, pairs in ((STRIKES, plan.strikes), (REQUESTS, plan.requests)):
            at = self.judge.clock_ms
            self.logs[topic] += [record(topic, key, value, at) for key, value in pairs]
        _write(self.numbers, plan)
        for key in plan.changes:
            self.suppressed.take(key, self.numbers[key])

    # --- time ------------------------------------------------------------------------------------

    def commit(self, at: int, dies: Death = "") -> None:
        """The clock moves, as right before every commit."""
        self.deliver_strikes(at)
        for plan in self.judge.tick(at):
            self._judge(plan)
        for plan in self.messages.tick(at):
            self._deliver(plan, at, dies)
            if dies:
                return
        self.deliver_strikes(at)
        checkpoint(self.judge)

    def wait(self, since: int, until: int, every: int = HOUR) -> None:
        """Nothing comes for a while, but time goes by."""
        for at in range(since + every, until + 1, every):
            self.commit(at)

    # --- what people see -------------------------------------------------------------------------

    def row(self, message_id: str) -> MessageRow:
        key = message_key("acme", message_id)
        return row_of(key, decode(self.states[key]))

    def binds(self, recipient: str, channel: str, source: str = "campaign") -> int:
        """Since when such a message must not be sent; 0: it may be."""
        return self.suppressed.binds("acme", recipient, channel, source)

    def bound(self, recipient: str = NUMBER) -> dict[str, tuple[str, ...]]:
        """Why a number is suppressed, by channel."""
        known = self.suppressed.known("acme", recipient)
        channels = known.channels if known is not None else ()
        return {each.channel: each.reasons for each in channels}

    def number(self, recipient: str) -> Suppression | None:
        stored = self.numbers.get(recipient_key("acme", recipient))
        return None if stored is None else decode_suppression(stored)


def topic_of(event: Event) -> str:
    """The topic an event is published on."""
    if isinstance(event, Send):
        return "sends"
    return "receipts" if isinstance(event, Receipt) else "engagements"


def batches(events: Sequence[Event], topics: list[str], size: int) -> Iterator[list[Event]]:
    """Topic by topic, at most `size` events of it at a time."""
    for topic in topics:
        of_topic = [event for event in events if topic_of(event) == topic]
        yield from (of_topic[at : at + size] for at in range(0, len(of_topic), size))


def _record(event: Any, at: int) -> Record:
    value = event.model_dump_json(exclude_none=True).encode()
    return record(topic_of(event), event_key(event), value, at)


def _write(table: dict[bytes, bytes], plan: Plan) -> None:
    for key, value in plan.changes.items():
        assert value is not None
        table[key] = value


# --- events ----------------------------------------------------------------------------------


def clock(hours_minutes: str) -> int:
    """The moment so many hours and minutes after T0."""
    hours, minutes = hours_minutes.split(":")
    return T0 + int(hours) * HOUR + int(minutes) * MINUTE


def send(message: str = "m", at: int = T0, attempt: int = 1, **fields: Any) -> Send:
    """An attempt of a message that was sent first at T0."""
    given: dict[str, Any] = {
        "channel": "sms",
        "recipient": NUMBER,
        "first_sent_at": T0 if attempt > 1 else None,
    }
    return Send(account="acme", message_id=message, sent_at=at, attempt=attempt, **(given | fields))


def make_receipt(
    status: Any, at: int, message: str = "m", attempt: int = 1, **fields: Any
) -> Receipt:
    """What a provider says of an attempt."""
    return Receipt(
        account="acme",
        message_id=message,
        status=status,
        occurred_at=at,
        attempt=attempt,
        **fields,
    )


def hard(message: str, at: int, **fields: Any) -> Receipt:
    """A hard bounce, its recipient's fault."""
    return make_receipt("undelivered", at, message, bounce="hard", **fields)


def soft(at: int, attempt: int = 1) -> Receipt:
    """A soft bounce of the message m."""
    return make_receipt("undelivered", at, attempt=attempt)


def unsubscribe(
    at: int, message: str | None = None, recipient: str | None = None, **fields: Any
) -> Engagement:
    """Of a message or of a number alone."""
    given = {"type": "unsubscribe"} | fields
    return Engagement(
        account="acme",
        event_id="e",
        occurred_at=at,
        message_id=message,
        recipient=recipient,
        **given,
    )
