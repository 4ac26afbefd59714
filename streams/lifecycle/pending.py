"""A message while a batch works on it, and what its change leads to beyond its own row."""

from typing import Final

import msgspec

from models.accounts import AccountSettings
from models.counters import Contribution, contribution
from models.facts import Outcome
from models.keys import split_key
from models.reasons import EXPIRED, reason_of
from models.retries import next_timer_at, retry_decision
from models.state import MessageState, has_unknown_status, is_pending, provider_of
from models.strikes import ActiveStrike, Kind, Strike, active_strike, encode_strike
from models.suppression_requests import RECIPIENT, number_key
from models.vocabulary import SUCCESSES
from streams.common.plan import Incoming, KeyValue, Plan

#: Anchor day of a message nothing is known of yet.
UNKNOWN: Final = -1


class PendingMessage:
    """A message in work: its state, what it counted as and stood for before, and its side effects.

    The side effects reach the plan only together with the encoded state (`emit`): when a rule
    raises, nothing of the message is left in the plan.

    day: its anchor day before, UNKNOWN when nothing was known
    words, strikes, requests, conflicts, to_suppressed: as in `Plan`
    """

    __slots__ = (
        "accepted_kinds",
        "account",
        "before",
        "changed",
        "conflicts",
        "day",
        "delivered_at",
        "known_sends",
        "last_delivered_at",
        "next_timer_at",
        "records",
        "requests",
        "saw_hard_bounce",
        "settings",
        "state",
        "strike",
        "strikes",
        "to_suppressed",
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
        self.strike: ActiveStrike | None = active_strike(state) if known else None
        self.next_timer_at = next_timer_at(state, settings) if known else 0
        self.day = day
        self.known_sends = len(state.sends)
        self.delivered_at = state.delivered_at
        self.last_delivered_at = state.last_delivered_at
        self.saw_hard_bounce = False
        self.accepted_kinds: list[str] = []
        self.strikes: tuple[KeyValue, ...] = ()
        self.requests: tuple[KeyValue, ...] = ()
        self.conflicts = 0
        self.to_suppressed = 0

    def emit(self, plan: Plan, key: bytes) -> None:
        """Put the side effects into the plan."""
        plan.accepted_kinds += self.accepted_kinds
        plan.conflicts += self.conflicts
        plan.to_suppressed += self.to_suppressed
        if self.strikes or self.requests:
            plan.strikes += self.strikes
            plan.requests += self.requests
            plan.deferred_keys.add(key)


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
        state.no_retry, state.next_attempt_at = retry_decision(state, settings)


def emit_recipient_events(key: bytes, message: PendingMessage) -> None:
    """Put into the side effects what a changed message says about its recipient's number."""
    state = message.state
    after = active_strike(state)
    if after is not None or message.strike is not None:
        _emit_strike_changes(key, message, after)
    if not state.sends or state.sends[0].direction == "inbound":
        return
    news = not message.known_sends
    moved = state.had_hard_bounce and len(state.sends) != message.known_sends
    if after is None and (message.saw_hard_bounce or moved) and not has_unknown_status(state):
        # A strike may have been told by a worker that died before it wrote the state.
        for sent_at in state.sort_keys or [state.sends[0].first_sent_at]:
            withdrawn = ActiveStrike(state.sends[0].recipient, sent_at, 0, "")
            _emit(key, message, "withdrawn", withdrawn)
    resets = state.last_delivered_at and message.settings.strikes_reset_on_delivery
    if resets and (news or state.last_delivered_at != message.last_delivered_at):
        first = state.sends[0]
        alive = ActiveStrike(first.recipient, first.first_sent_at, state.last_delivered_at, "")
        _emit(key, message, "delivered", alive)
    if news and state.last_unsubscribed_at:
        account, message_id = split_key(key)
        recipient, at = state.sends[0].recipient, state.last_unsubscribed_at
        message.requests += (unsubscribe(account, recipient, at, message_id),)


def _emit_strike_changes(key: bytes, message: PendingMessage, after: ActiveStrike | None) -> None:
    """A strike that moved to another number or time is withdrawn there and struck here."""
    before = message.strike
    if before == after:
        return
    if before is not None and (after is None or before[:2] != after[:2]):
        _emit(key, message, "withdrawn", before)
    if after is not None:
        _emit(key, message, "struck", after)


def _emit(key: bytes, message: PendingMessage, kind: Kind, active: ActiveStrike) -> None:
    account, message_id = split_key(key)
    recipient, sent_at, occurred_at, code = active
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
