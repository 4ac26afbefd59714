"""A message while a batch works on it, and what its change leads to beyond its own row."""

from typing import Final

import msgspec

from models.accounts import AccountSettings
from models.counters import Contribution, contribution
from models.facts import Outcome
from models.keys import split_key
from models.message_row import provider_of
from models.reasons import EXPIRED, reason_of
from models.retries import outlook, wake_at
from models.state import MessageState, has_unknown_status, is_pending
from models.strikes import Blow, Kind, Strike, blow_of, encode_strike
from models.suppression_requests import RECIPIENT, number_key
from models.vocabulary import SUCCESSES
from streams.common.plan import Incoming, KeyValue, Plan

#: Anchor day of a message nothing is known of yet.
UNKNOWN: Final = -1


class Touched:
    """A message in work: its state, what it counted as and stood for before, and its side effects.

    The side effects reach the plan only together with the encoded state (`emit`): when a rule
    raises, nothing of the message is left in the plan.

    day: its anchor day before, UNKNOWN when nothing was known
    words, strikes, requests, conflicts, to_suppressed: as in `Plan`
    """

    __slots__ = (
        "account",
        "alive_at",
        "before",
        "blow",
        "changed",
        "conflicts",
        "day",
        "delivered_at",
        "heard_hard",
        "known_sends",
        "records",
        "requests",
        "settings",
        "state",
        "strikes",
        "to_suppressed",
        "wake_at",
        "words",
    )

    def __init__(
        self, account: str, state: MessageState, settings: AccountSettings, day: int
    ) -> None:
        known = day != UNKNOWN
        self.account = account
        self.state = state
        self.settings = settings
        self.changed = False
        self.records: list[Incoming] = []
        self.before: Contribution | None = contribution(account, state) if known else None
        self.blow: Blow | None = blow_of(state) if known else None
        self.wake_at = wake_at(state, settings) if known else 0
        self.day = day
        self.known_sends = len(state.sends)
        self.delivered_at = state.delivered_at
        self.alive_at = state.alive_at
        self.heard_hard = False
        self.words: list[str] = []
        self.strikes: tuple[KeyValue, ...] = ()
        self.requests: tuple[KeyValue, ...] = ()
        self.conflicts = 0
        self.to_suppressed = 0

    def emit(self, plan: Plan, key: bytes) -> None:
        """Put the side effects into the plan."""
        plan.words += self.words
        plan.conflicts += self.conflicts
        plan.to_suppressed += self.to_suppressed
        if self.strikes or self.requests:
            plan.strikes += self.strikes
            plan.requests += self.requests
            plan.told.add(key)


def annotate(state: MessageState, settings: AccountSettings) -> None:
    """Set what people read of a failure: its reason, and why no further attempt was made."""
    outcome = state.outcome
    if is_pending(state):
        expired = bool(state.expired_at) and bool(state.sends)
        state.fail_reason = EXPIRED if expired else ""
        state.no_retry, state.next_attempt_at = ("expired", 0) if expired else ("", 0)
    elif outcome is None or outcome.status in SUCCESSES:
        state.fail_reason, state.no_retry, state.next_attempt_at = "", "", 0
    else:
        _annotate_failure(state, outcome, settings)


def _annotate_failure(state: MessageState, outcome: Outcome, settings: AccountSettings) -> None:
    state.fail_reason = reason_of(outcome, provider_of(state), settings)
    if state.sends:
        state.no_retry, state.next_attempt_at = outlook(state, settings)


def tell_number(key: bytes, message: Touched) -> None:
    """Put into the side effects what a changed message says about its recipient's number."""
    state = message.state
    after = blow_of(state)
    if after is not None or message.blow is not None:
        _tell_blows(key, message, after)
    if not state.sends or state.sends[0].direction == "inbound":
        return
    news = not message.known_sends
    moved = state.hard_seen and len(state.sends) != message.known_sends
    if after is None and (message.heard_hard or moved) and not has_unknown_status(state):
        # A strike may have been told by a worker that died before it wrote the state.
        for sent_at in state.sort_keys or [state.sends[0].first_sent_at]:
            withdrawn = Blow(state.sends[0].recipient, sent_at, 0, "")
            _tell(key, message, "withdrawn", withdrawn)
    resets = state.alive_at and message.settings.strikes_reset_on_delivery
    if resets and (news or state.alive_at != message.alive_at):
        first = state.sends[0]
        alive = Blow(first.recipient, first.first_sent_at, state.alive_at, "")
        _tell(key, message, "delivered", alive)
    if news and state.last_unsubscribed_at:
        account, message_id = split_key(key)
        recipient, at = state.sends[0].recipient, state.last_unsubscribed_at
        message.requests += (unsubscribe(account, recipient, at, message_id),)


def _tell_blows(key: bytes, message: Touched, after: Blow | None) -> None:
    """A strike that moved to another number or time is withdrawn there and struck here."""
    before = message.blow
    if before == after:
        return
    if before is not None and (after is None or before[:2] != after[:2]):
        _tell(key, message, "withdrawn", before)
    if after is not None:
        _tell(key, message, "struck", after)


def _tell(key: bytes, message: Touched, kind: Kind, blow: Blow) -> None:
    account, message_id = split_key(key)
    recipient, sent_at, occurred_at, code = blow
    version = message.state.version
    strike = Strike(kind, account, recipient, message_id, sent_at, version, occurred_at, code)
    message.strikes += ((strike.key, encode_strike(strike)),)


_encode_json: Final = msgspec.json.Encoder().encode


def unsubscribe(account: str, recipient: str, at_ms: int, message_id: str) -> KeyValue:
    """The suppression request of a recipient's unsubscribe; message_id "": of no message."""
    request = {
        "account": account,
        "recipient": recipient,
        "action": "unsubscribe",
        "at": at_ms,
        "who": RECIPIENT,
        "why": f"message {message_id}" if message_id else "",
    }
    return number_key(account, recipient), _encode_json(request)
