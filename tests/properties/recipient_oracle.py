"""What should follow from sends, receipts and requests: simple on purpose, slow, and from scratch.

Nothing here is taken from `models`: a message is the set of its receipts, a number the set
of its messages and the latest word of each kind.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

HOUR = 3_600_000
DAY = 24 * HOUR

FAILED_FOR_GOOD = ("hard", "content", "rejected", "deleted")


class Received(NamedTuple):
    """A receipt: `word` is queued, soft, hard, content, rejected, deleted, delivered or read."""

    attempt: int
    word: str
    at: int


class Status(NamedTuple):
    reasons: tuple[str, ...]
    since: int
    until: int
    strikes: int


@dataclass
class Settings:
    suppress_hard_bounces: bool = True
    strike_limit: int = 3
    strikes_reset_on_delivery: bool = False
    suppression_days: int | None = None
    retry_soft_bounces: bool = True
    retry_every_s: int = 3_600
    retry_for_s: int = 172_800
    validity_s: int = 259_200


@dataclass
class Message:
    number: str
    first_sent_at: int
    validity_s: int | None
    sends: set[int] = field(default_factory=set)
    received: set[Received] = field(default_factory=set)
    unsubscribed_at: int = 0
    expired_at: int = 0
    to_suppressed: bool = False
    delivery_told: bool = False
    decided: dict[int, bool] = field(default_factory=dict)

    def latest(self) -> int:
        return max([*self.sends, *(receipt.attempt for receipt in self.received)])

    def deciding(self) -> Received | None:
        """The receipt that decides: any arrival, else the worst of the latest attempt."""
        for word in ("read", "delivered"):
            arrived = [receipt for receipt in self.received if receipt.word == word]
            if arrived:
                return arrived[0]
        of_latest = [receipt for receipt in self.received if receipt.attempt == self.latest()]
        for words in (FAILED_FOR_GOOD, ("soft",), ("queued",)):
            found = [each for each in of_latest if each.word in words]
            if found:
                return max(found, key=lambda each: each.at)
        return None

    def status(self) -> str:
        """As people read it; a failure also says soft, hard or nothing."""
        receipt = self.deciding()
        if receipt is None or receipt.word == "queued":
            pending = "queued" if receipt else "submitted"
            return "undelivered soft" if self.expired_at and self.sends else pending
        words = {
            "soft": "undelivered soft",
            "hard": "undelivered hard",
            "content": "undelivered hard",
            "rejected": "rejected hard",
        }
        return words.get(receipt.word, receipt.word)

    def pending(self) -> bool:
        receipt = self.deciding()
        return receipt is None or receipt.word == "queued"

    def struck_at(self) -> int:
        receipt = self.deciding()
        return receipt.at if self.sends and receipt is not None and receipt.word == "hard" else 0

    def retry(self, own: Settings) -> tuple[int, int] | None:
        """(attempt, due) of the retry it is waiting for."""
        receipt = self.deciding()
        if not self.sends or receipt is None or receipt.word != "soft" or self.expired_at:
            return None
        attempt, due = self.latest() + 1, self.first_sent_at
        if attempt in self.decided or not own.retry_soft_bounces:
            return None
        while due <= receipt.at or due == self.first_sent_at:
            due += own.retry_every_s * 1000
        too_late = due > self.first_sent_at + own.retry_for_s * 1000
        return None if too_late or due >= self.deadline(own) else (attempt, due)

    def deadline(self, own: Settings) -> int:
        return self.first_sent_at + (self.validity_s or own.validity_s) * 1000


@dataclass
class Number:
    unsubscribed: int = 0
    resubscribed: int = 0
    suppressed: int = 0
    released: int = 0
    delivered: int = 0


class Oracle:
    """All messages and numbers of one account."""

    def __init__(self) -> None:
        self.own = Settings()
        self.since_change: dict[str, list[tuple[Settings, int]]] = {}
        self.facts: dict[str, Any] = {}
        self.messages: dict[str, Message] = {}
        self.numbers: dict[str, Number] = {}
        self.requested: dict[str, int] = {}

    # --- input ------------------------------------------------------------------------

    def send(self, name: str, attempt: int, *, to_suppressed: bool) -> None:
        message = self.messages[name]
        if attempt not in message.sends:
            message.sends.add(attempt)
            message.to_suppressed |= to_suppressed

    def request(self, number: str, action: str, at: int) -> None:
        known = self.numbers[number]
        word = {
            "unsubscribe": "unsubscribed",
            "resubscribe": "resubscribed",
            "suppress": "suppressed",
            "release": "released",
        }[action]
        setattr(known, word, max(getattr(known, word), at))

    # --- what follows ------------------------------------------------------------------------

    def flush(self, now: int) -> None:
        """Carry over what messages say of their numbers."""
        for message in self.messages.values():
            if message.sends and message.unsubscribed_at:
                self.request(message.number, "unsubscribe", message.unsubscribed_at)
            receipt = message.deciding()
            if message.sends and receipt and receipt.word in ("delivered", "read"):
                if self.own.strikes_reset_on_delivery and not message.delivery_told:
                    number = self.numbers[message.number]
                    number.delivered = max(number.delivered, receipt.at)
                message.delivery_told = True
        for recipient, known in self.numbers.items():
            facts = (self.strikes(recipient), vars(known).copy())
            if facts != self.facts.get(recipient):
                self.facts[recipient], self.since_change[recipient] = facts, []
            self.since_change[recipient].append((self.own, now))

    def strikes(self, number: str) -> list[tuple[int, int]]:
        """(when it bounced, when it was sent) of messages that struck, by time."""
        return sorted(
            (message.struck_at(), message.first_sent_at)
            for message in self.messages.values()
            if message.number == number and message.struck_at()
        )

    def status(self, number: str, own: Settings, now: int) -> Status:
        """How a number stands by these settings at this time."""
        known, reasons, begins = self.numbers[number], [], []
        count, since, until = self._count(number, own, now)
        if since and own.suppress_hard_bounces:
            reasons.append("hard_bounces")
            begins.append(since)
        if known.unsubscribed and known.unsubscribed >= known.resubscribed:
            reasons.append("unsubscribed")
            begins.append(known.unsubscribed)
        if known.suppressed and known.suppressed >= known.released:
            reasons.append("manual")
            begins.append(known.suppressed)
        alone = reasons == ["hard_bounces"]
        return Status(tuple(reasons), min(begins, default=0), until if alone else 0, count)

    def _count(self, number: str, own: Settings, now: int) -> tuple[int, int, int]:
        known, count, since = self.numbers[number], 0, 0
        lasts = (own.suppression_days or 0) * DAY
        for at, sent_at in self.strikes(number):
            if sent_at < known.released:
                continue
            if own.strikes_reset_on_delivery and at <= known.delivered:
                continue
            if since and lasts and at >= since + lasts:
                count, since = 0, 0
            count += 1
            since = since or (at if count >= own.strike_limit else 0)
        if since and lasts and now >= since + lasts:
            return 0, 0, 0
        return count, since, since + lasts if since and lasts else 0

    def possible(self, number: str, now: int) -> set[Status]:
        """How it may status: judged when its facts changed last, or later, for another reason."""
        judged = self.since_change.get(number, [])
        return {self.status(number, own, at) for own, then in judged for at in (then, now)}

    # --- time --------------------------------------------------------------------------------

    def commit(self, now: int, suppressed: set[str], requested: set[str]) -> None:
        """What is due now. `requested`: ids really produced, where either is right."""
        for name, message in self.messages.items():
            if not message.sends:
                continue
            deadline = message.deadline(self.own)
            due = message.retry(self.own)
            if message.pending() and not message.expired_at and deadline <= now:
                message.expired_at = deadline
            elif due is not None and due[1] <= now:
                self._decide(name, message, due, now, suppressed, requested)

    def _decide(
        self,
        name: str,
        message: Message,
        due: tuple[int, int],
        now: int,
        suppressed: set[str],
        requested: set[str],
    ) -> None:
        attempt, due_at = due
        ident = f"acme/{name}/{attempt}"
        wanted = message.number not in suppressed
        if now > message.first_sent_at + self.own.retry_for_s * 1000:
            wanted = wanted and ident in requested  # right either way: the clock comes by too late
        message.decided[attempt] = wanted
        if wanted:
            self.requested[ident] = due_at
