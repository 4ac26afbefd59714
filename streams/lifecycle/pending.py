"""A message while a batch works on it, and the records that its change leads to."""

from typing import Final

from models.accounts import AccountSettings
from models.counters import Contribution, contribution
from models.keys import split_key
from models.retries import next_timer_at
from models.state import MessageState, delivered_at_of, has_unknown_status
from models.strikes import ActiveStrike, Kind, Strike, active_strike, encode_strike
from models.suppression_requests import unsubscribe
from streams.common.plan import Count, Incoming, KeyValue, Plan

#: Retention day of a message that is not known yet.
UNKNOWN: Final = -1


class PendingMessage:
    """A message in work: its state, what followed from the state before, and its side effects.

    The side effects reach the plan only together with the encoded state (`emit`): when a rule
    raises, nothing of the message is left in the plan.

    before, strike, next_timer_at, day, known_sends, delivered_at, last_delivered_at: contribution,
        strike, timer, retention day, number of sends and times of delivery of the state before this
        batch; day is UNKNOWN when nothing was known
    records: the records joined into it
    counted, strikes, requests: as in `Plan`
    """

    __slots__ = (
        "account",
        "before",
        "changed",
        "counted",
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
        self.delivered_at = delivered_at_of(state)
        self.last_delivered_at = state.last_delivered_at
        self.saw_hard_bounce = False
        self.counted: list[Count] = []
        self.strikes: tuple[KeyValue, ...] = ()
        self.requests: tuple[KeyValue, ...] = ()

    def emit(self, plan: Plan, key: bytes) -> None:
        """Put the side effects into the plan."""
        plan.counted += self.counted
        if self.strikes or self.requests:
            plan.strikes += self.strikes
            plan.requests += self.requests
            plan.deferred_keys.add(key)


def emit_recipient_events(key: bytes, message: PendingMessage) -> None:
    """Add to the side effects what a changed message means for its recipient."""
    state = message.state
    after = active_strike(state)
    if after is not None or message.strike is not None:
        _emit_strike_changes(key, message, after)
    if not state.sends or state.sends[0].direction == "inbound":
        return
    is_new = not message.known_sends
    moved = state.had_hard_bounce and len(state.sends) != message.known_sends
    if after is None and (message.saw_hard_bounce or moved) and not has_unknown_status(state):
        # A worker may have produced a strike and died before it logged the state.
        for sent_at in state.sort_keys or [state.sends[0].first_sent_at]:
            withdrawn = ActiveStrike(state.sends[0].recipient, sent_at, 0, "")
            _emit(key, message, "withdrawn", withdrawn)
    resets = state.last_delivered_at and message.settings.strikes_reset_on_delivery
    if resets and (is_new or state.last_delivered_at != message.last_delivered_at):
        first = state.sends[0]
        alive = ActiveStrike(first.recipient, first.first_sent_at, state.last_delivered_at, "")
        _emit(key, message, "delivered", alive)
    if is_new and state.last_unsubscribed_at:
        account, message_id = split_key(key)
        recipient, at = state.sends[0].recipient, state.last_unsubscribed_at
        message.requests += (unsubscribe(account, recipient, at, message_id),)


def _emit_strike_changes(key: bytes, message: PendingMessage, after: ActiveStrike | None) -> None:
    """Withdraw a strike that moved to another recipient or time, and strike where it is now."""
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
