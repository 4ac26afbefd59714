"""Both agents against a simple oracle: sends, receipts, retries, unsubscribes, releases, settings,
deaths and time, in any order. Time is an argument: days pass in milliseconds."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from models.contract import Event, Receipt, Send
from models.state import decode
from models.suppression import decode as judged
from tests.properties.recipient_oracle import Message, Number, Oracle, Received, Status
from tests.support.recipient_world import HOUR, MINUTE, T0, Death, World, batches, unsubscribe
from tests.support.stores import stores_on_disk

#: A number and a channel: each pair has strikes and reasons of its own.
BAD, BAD_TOO, GOOD = "+447911123456 sms", "+447911123456 whatsapp", "+46701234567 sms"
ALL = (BAD, BAD_TOO, GOOD, "+46701234567 whatsapp")
NUMBERS = st.sampled_from([BAD, BAD, BAD_TOO, GOOD])
FATAL = st.integers(0, 3)
DEATHS = st.sampled_from(["", "", "waiting", "produced", "written"])
TOPIC_NAMES = ["sends", "receipts", "engagements"]
TOPICS = st.permutations(TOPIC_NAMES)
RECEIPTS: dict[str, dict[str, str]] = {
    "queued": {"status": "sent"},
    "soft": {"status": "undelivered"},
    "hard": {"status": "undelivered", "bounce": "hard", "error_code": "1"},
    "content": {"status": "undelivered", "bounce": "hard", "scope": "content"},
    "rejected": {"status": "rejected"},
    "deleted": {"status": "deleted"},
    "delivered": {"status": "delivered"},
    "read": {"status": "read"},
}
WORDS = ["send"] * 3 + ["unsubscribe", "hard", "hard", "soft", "soft", *RECEIPTS]
MINDS = ["hard", "hard", "delivered", "soft", "content", "unsubscribe"]
CHOICES: dict[str, list[Any]] = {
    "suppress_hard_bounces": [True, False],
    "strike_limit": [1, 2, 3],
    "strikes_reset_on_delivery": [False, True],
    "suppression_days": [None, 1, 3],
    "retry_soft_bounces": [True, False],
    "retry_every_s": [3_600, 1_800, 7_200],
    "retry_for_s": [172_800, 7_200],
    "validity_s": [259_200, 10_800],
}
CHANGES = st.sampled_from([(name, value) for name in CHOICES for value in CHOICES[name]])


def _channels(number: str) -> list[str]:
    return [each for each in ALL if each.split()[0] == number.split()[0]]


class Bounces(RuleBasedStateMachine):
    messages = Bundle("messages")

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.oracle = Oracle()
        self.oracle.numbers = {number: Number() for number in ALL}
        self.versions: dict[bytes, int] = {}
        self.now = T0
        self.ticks = 0
        self.sent: dict[tuple[str, int], Send] = {}
        self.arrived_at: dict[str, int] = {}

    def moment(self) -> int:
        """A moment nothing else happened at: ties between receipts have tests of their own."""
        self.ticks += 1
        return self.now + self.ticks

    # --- messages --------------------------------------------------------------------------------

    @initialize(target=messages, days=st.sampled_from([None, 1, 3]), reset=st.booleans())
    def three_messages_to_a_number(self, days: int | None, reset: bool) -> Any:
        self._set({"suppression_days": days, "strikes_reset_on_delivery": reset})
        return multiple(*(self._message(BAD, 0, None) for _ in range(3)))

    @rule(
        target=messages,
        number=NUMBERS,
        minutes_ago=st.sampled_from([0, 10, 50]),
        validity_s=st.sampled_from([None, None, 7_200]),
    )
    def message(self, number: str, minutes_ago: int, validity_s: int | None) -> str:
        return self._message(number, minutes_ago, validity_s)

    def _message(self, number: str, minutes_ago: int, validity_s: int | None) -> str:
        name = f"m{len(self.oracle.messages) + 1}"
        sent_at = self.now - minutes_ago * MINUTE
        self.oracle.messages[name] = Message(number, sent_at, validity_s)
        return name

    @rule(
        drawn=st.lists(
            st.tuples(messages, st.sampled_from(WORDS), st.sampled_from([1, 1, 1, 2, 3])),
            min_size=1,
            max_size=6,
        ),
        topics=TOPICS,
        size=st.integers(1, 4),
        fatal=FATAL,
        dies=DEATHS,
    )
    def say(
        self,
        drawn: list[tuple[str, str, int]],
        topics: list[str],
        size: int,
        fatal: int,
        dies: Death,
    ) -> None:
        self._read([self._event(*each) for each in drawn], topics, size, dies, fatal)

    @rule(drawn=st.lists(messages, min_size=1, max_size=3), dies=DEATHS)
    def bounce_hard(self, drawn: list[str], dies: Death) -> None:
        events = [self._event(name, word, 1) for name in drawn for word in ("send", "hard")]
        self._read(events, None, 3, dies)

    @rule(
        target=messages,
        number=NUMBERS,
        first=st.sampled_from(["", "", "hard"]),
        words=st.lists(st.sampled_from(MINDS), min_size=2, max_size=3),
        topics=TOPICS,
        size=st.sampled_from([1, 1, 2]),
        fatal=st.sampled_from([1, 1, 2]),
        dies=st.sampled_from(["waiting", "produced", "produced", "written", ""]),
    )
    def change_its_mind(
        self,
        number: str,
        first: str,
        words: list[str],
        topics: list[str],
        size: int,
        fatal: int,
        dies: Death,
    ) -> str:
        name = self._message(number, 0, None)
        if first:
            self._read([self._event(name, word, 1) for word in ("send", first)])
        attempt = 2 if first else 1
        drawn = [self._event(name, word, attempt) for word in ["send", *words]]
        self._read(drawn, topics, size, dies, fatal)
        return name

    @rule(target=messages, number=NUMBERS, hours=st.sampled_from([0, 1, 1, 2]))
    def bounce_softly_and_wait(self, number: str, hours: int) -> str:
        name = self._message(number, 10, None)
        self._read([self._event(name, "send", 1), self._event(name, "soft", 1)])
        self.wait(hours, "")
        return name

    @precondition(lambda self: self.world.requested)
    @rule(data=st.data(), then=st.sampled_from(["", "soft", "hard", "delivered"]))
    def obey_a_retry_request(self, data: st.DataObject, then: str) -> None:
        requested = data.draw(st.sampled_from(self.world.requested)).request
        assert requested.id == f"acme/{requested.message_id}/{requested.attempt}"
        events = [self._event(requested.message_id, "send", requested.attempt)]
        if then:
            events.append(self._event(requested.message_id, then, requested.attempt))
        self._read(events)

    def _event(self, name: str, word: str, attempt: int) -> Event:
        message, at = self.oracle.messages[name], self.moment()
        if word == "send":
            return self._send(name, message, attempt)
        if word == "unsubscribe":
            message.unsubscribed_at = message.unsubscribed_at or at
            return unsubscribe(message.unsubscribed_at, name)
        if word in ("delivered", "read"):
            at = self.arrived_at.setdefault(name, at)
        message.received.add(Received(attempt, word, at))
        drawn: dict[str, Any] = RECEIPTS[word]
        return Receipt(account="acme", message_id=name, occurred_at=at, attempt=attempt, **drawn)

    def _send(self, name: str, message: Message, attempt: int) -> Send:
        recipient, channel = message.number.split()
        since = self.world.binds(recipient, channel)
        sent_at = self.now if attempt > 1 else message.first_sent_at
        send = self.sent.setdefault(
            (name, attempt),
            Send(
                account="acme",
                message_id=name,
                channel=channel,
                recipient=recipient,
                sent_at=sent_at,
                attempt=attempt,
                first_sent_at=message.first_sent_at if attempt > 1 else None,
                validity_s=message.validity_s,
            ),
        )
        self.oracle.send(name, attempt, to_suppressed=0 < since < send.sent_at)
        return send

    def _read(
        self,
        events: Sequence[Event],
        topics: list[str] | None = None,
        size: int = 9,
        dies: Death = "",
        fatal: int = 0,
    ) -> None:
        """Batches as Kafka may hand them out. A worker that dies (at the batch `fatal`) has
        committed none of them, and the next one gets them all again, in other batches."""
        topics = topics or TOPIC_NAMES
        for place, batch in enumerate(batches(events, topics, size)):
            self.world.batch(batch, self.now, dies if place == fatal else "")
            if dies and place == fatal:
                break
        if dies:
            for batch in batches(events, topics[::-1], 99):
                self.world.batch(batch, self.now)
        self._commit()

    # --- numbers ---------------------------------------------------------------------------------

    @rule(
        number=NUMBERS,
        action=st.sampled_from(["suppress", "release", "release", "resubscribe", "unsubscribe"]),
        on_all=st.booleans(),
        minutes_ago=st.sampled_from([0, 0, 30]),
        dies=DEATHS,
    )
    def decide(self, number: str, action: str, on_all: bool, minutes_ago: int, dies: Death) -> None:
        at = self.now - minutes_ago * MINUTE
        recipient, channel = number.split()
        self.world.request(action, recipient, at, channel=None if on_all else channel)
        for bound in _channels(number) if on_all else [number]:
            self.oracle.request(bound, action, at)
        if dies:
            self.world.deliver_strikes(self.now, dies)
        self._commit()

    @rule(number=NUMBERS)
    def unsubscribe_without_a_message(self, number: str) -> None:
        for bound in _channels(number):
            self.oracle.request(bound, "unsubscribe", self.now)
        self._read([unsubscribe(self.now, recipient=number.split()[0])])

    # --- settings, deaths, time ------------------------------------------------------------------

    @rule(change=CHANGES)
    def change_a_setting(self, change: tuple[str, Any]) -> None:
        self._set(dict([change]))

    def _set(self, changes: dict[str, Any]) -> None:
        self.oracle.own = replace(self.oracle.own, **changes)
        self.world.set(**vars(self.oracle.own))
        self._commit()

    @rule()
    def restart(self) -> None:
        self.world.restart()
        self._commit()

    @rule(hours=st.sampled_from([1, 1, 1, 3, 24]), dies=DEATHS)
    def wait_a_while(self, hours: int, dies: Death) -> None:
        self.wait(hours, dies)

    @rule(hours=st.sampled_from([49, 73]))
    def wait_long(self, hours: int) -> None:
        self.wait(hours, "")

    def wait(self, hours: int, dies: Death) -> None:
        for _ in range(hours):
            self.now += HOUR
            self._commit(dies)

    def _commit(self, dies: Death = "") -> None:
        if dies:
            self.world.commit(self.now, dies)
        self.world.commit(self.now)
        self.oracle.flush(self.now)
        requested = {requested.request.id for requested in self.world.requested}
        self.oracle.commit(self.now, self._suppressed(), requested)

    def _suppressed(self) -> set[str]:
        return {number for number in ALL if self.world.binds(*number.split())}

    # --- what must hold --------------------------------------------------------------------------

    @invariant()
    def versions_only_grow(self) -> None:
        now = {key: decode(stored).version for key, stored in self.world.states.items()}
        now |= {key: judged(stored).version for key, stored in self.world.numbers.items()}
        assert all(version >= self.versions.get(key, 1) for key, version in now.items())
        self.versions = now

    @invariant()
    def numbers_stand_as_they_should(self) -> None:
        for number in self.oracle.numbers:
            recipient, channel = number.split()
            record = self.world.number(recipient)
            if record is None:
                assert self.oracle.status(number, self.oracle.own, self.now) == ((), 0, 0, 0)
                continue
            (known,) = [each for each in record.channels if each.channel == channel]
            found = Status(known.reasons, known.since, known.until, known.strikes)
            assert found in self.oracle.possible(number, self.now)
            assert known.suppressed == bool(known.reasons) == (number in self._suppressed())
            assert not known.until or known.until > self.now

    @invariant()
    def messages_read_as_they_should(self) -> None:
        for name, message in self.oracle.messages.items():
            if not message.sends:
                continue
            row = self.world.row(name)
            assert f"{row.status} {row.bounce}".strip() == message.status()
            assert max(message.sends) <= row.attempts <= message.latest()
            assert row.sent_to_suppressed == message.to_suppressed
            assert bool(row.fail_reason) == bool(row.failed_attempt)
            expired = bool(message.expired_at) and message.pending()
            assert (row.fail_reason == "expired") == expired
            if expired:
                assert row.finalized_at == message.expired_at

    @invariant()
    def retries_are_asked_for_as_they_should(self) -> None:
        found: dict[str, int] = {}
        for request, at in self.world.requested:
            assert at >= request.due_at  # never early
            assert found.setdefault(request.id, request.due_at) == request.due_at
            message = self.oracle.messages[request.message_id]
            number = f"{request.recipient} {request.channel}"
            assert (number, request.first_sent_at) == (message.number, message.first_sent_at)
        assert found == self.oracle.requested


TestBounces = pytest.mark.slow(Bounces.TestCase)
TestBounces.settings = settings(
    max_examples=250,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class BouncesOnDisk(Bounces):
    """The same with states on disk; a worker that dies goes back to its last write."""

    def __init__(self) -> None:
        self.disk = stores_on_disk()
        self.disk.__enter__()
        super().__init__()

    def teardown(self) -> None:
        super().teardown()
        self.disk.__exit__(None, None, None)


TestBouncesOnDisk = BouncesOnDisk.TestCase
TestBouncesOnDisk.settings = settings(TestBounces.settings, max_examples=80)
