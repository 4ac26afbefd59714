"""A message while a batch works on it, and the records that its change leads to."""

from collections.abc import Mapping
from typing import Final

from models.accounts import AccountSettings
from models.counters import Contribution, contribution
from models.keys import split_key
from models.numbers import is_person, person_of
from models.retries import next_timer_at
from models.state import (
    MessageState,
    delivered_at_of,
    has_final_receipt,
    has_unknown_status,
    last_delivered_at_of,
    provider_of,
    unsubscribes_of,
)
from models.strikes import ActiveStrike, Kind, Strike, active_strike, channel_of, encode_strike
from models.suppression_requests import RECIPIENT, Action, by_message, encoded_request
from streams.common.plan import Count, Incoming, KeyValue, Plan

#: Retention day of a message that is not known yet.
UNKNOWN: Final = -1


class PendingMessage:
    """A message in work: its state, what followed from the state before, and its side effects.

    The side effects reach the plan only together with the encoded state (`emit`): when a rule
    raises, nothing of the message is left in the plan.

    before, strike, next_timer_at, day, known_sends, first_send, delivered_at, last_delivered_at,
        opted_out: contribution, strike, timer, retention day, number of sends, first send, times
        of delivery and of an opt-out of the state before this batch; day is UNKNOWN when nothing
        was known
    was_final: an earlier attempt than the latest had a final receipt
    records: the records joined into it
    counted, strikes, requests: as in `Plan`
    links: records of `provider-links`
    """

    __slots__ = (
        "account",
        "before",
        "changed",
        "counted",
        "day",
        "delivered_at",
        "first_send",
        "known_sends",
        "last_delivered_at",
        "links",
        "next_timer_at",
        "opted_out",
        "records",
        "requests",
        "saw_hard_bounce",
        "settings",
        "state",
        "strike",
        "strikes",
        "was_final",
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
        self.strike: ActiveStrike | None = active_strike(state) if state.had_hard_bounce else None
        self.next_timer_at = next_timer_at(state, settings) if known else 0
        self.day = day
        self.known_sends = len(state.sends)
        self.first_send = state.sends[0] if state.sends else None
        self.was_final = self.known_sends > 1 and has_final_receipt(state)
        parts = state.part_receipts
        self.delivered_at = delivered_at_of(state) if parts else state.delivered_at
        resets = settings.strikes_reset_on_delivery
        self.last_delivered_at = last_delivered_at_of(state) if resets else 0
        self.opted_out = (state.opted_out_at, state.opted_out_attempt)
        self.saw_hard_bounce = False
        self.counted: list[Count] = []
        self.strikes: tuple[KeyValue, ...] = ()
        self.requests: tuple[KeyValue, ...] = ()
        self.links: list[KeyValue] = []

    def emit(self, plan: Plan, key: bytes) -> None:
        """Put the side effects into the plan."""
        plan.counted += self.counted
        if self.strikes or self.requests:
            plan.strikes += self.strikes
            plan.requests += self.requests
            plan.deferred_keys.add(key)
        if self.links:
            plan.outputs["provider-links"] += self.links
            plan.deferred_keys.add(key)


def emit_recipient_events(key: bytes, message: PendingMessage) -> None:
    """Add to the side effects what a changed message means for its recipient."""
    state = message.state
    after = active_strike(state) if state.had_hard_bounce else None
    if after is not None or message.strike is not None:
        _emit_strike_changes(key, message, after)
    if not state.sends:
        return
    if state.last_unsubscribed_at or state.resubscribes or state.opted_out_at:
        _emit_requests(key, message)
    if state.sends[0].direction == "inbound":
        return
    is_new = not message.known_sends
    moved = state.had_hard_bounce and len(state.sends) != message.known_sends
    if (message.saw_hard_bounce or moved) and not has_unknown_status(state):
        # A worker may have produced a strike and died before it logged the state.
        person = person_of(state.sends[0].recipient)
        channels = {channel_of(state, send.attempt): None for send in state.sends}
        if after is not None:
            channels.pop(after.channel, None)
        for sent_at in state.sort_keys or [state.sends[0].first_sent_at]:
            for channel in channels:
                withdrawn = ActiveStrike(person, sent_at, 0, "", channel)
                _emit(key, message, "withdrawn", withdrawn)
    if message.settings.strikes_reset_on_delivery:
        delivered_at = last_delivered_at_of(state)
        if delivered_at and (is_new or delivered_at != message.last_delivered_at):
            _emit(key, message, "delivered", _delivery(state, delivered_at))


def _delivery(state: MessageState, delivered_at: int) -> ActiveStrike:
    """The latest delivery of a message, in the form of a strike that it ends."""
    first, outcome = state.sends[0], state.outcome
    channel = channel_of(state, outcome.attempt if outcome is not None else first.attempt)
    person = person_of(first.recipient)
    return ActiveStrike(person, first.first_sent_at, delivered_at, "", channel)


def _emit_requests(key: bytes, message: PendingMessage) -> None:
    """Bind the number of a message for what came before its send, and for an opt-out by code."""
    state, before = message.state, message.first_send
    first = state.sends[0]
    if not is_person(first.recipient):
        return
    moved = before is None or (before.recipient, before.channel) != (first.recipient, first.channel)
    if moved:
        _request(key, message, "unsubscribe", unsubscribes_of(state))
        _request(key, message, "resubscribe", state.resubscribes or {})
    opted_out = (state.opted_out_at, state.opted_out_attempt)
    if (moved or opted_out != message.opted_out) and first.direction != "inbound":
        who = state.opted_out_by or provider_of(state)
        channel = channel_of(state, state.opted_out_attempt)
        _request(key, message, "unsubscribe", {channel: state.opted_out_at}, who)


def _request(
    key: bytes,
    message: PendingMessage,
    action: Action,
    times: Mapping[str, int],
    who: str = RECIPIENT,
) -> None:
    """Request it for the message's own number. times: by channel, "": that of the message."""
    account, message_id = split_key(key)
    first, why = message.state.sends[0], by_message(message_id)
    message.requests += tuple(
        encoded_request(account, first.recipient, action, at, channel or first.channel, who, why)
        for channel, at in times.items()
        if at
    )


def _emit_strike_changes(key: bytes, message: PendingMessage, after: ActiveStrike | None) -> None:
    """Withdraw a strike that moved to another recipient or time, and strike where it is now."""
    before = message.strike
    if before == after:
        return
    if before is not None and (after is None or before.place != after.place):
        _emit(key, message, "withdrawn", before)
    if after is not None:
        _emit(key, message, "struck", after)


def _emit(key: bytes, message: PendingMessage, kind: Kind, active: ActiveStrike) -> None:
    account, message_id = split_key(key)
    recipient, sent_at, occurred_at, code, channel = active
    version = message.state.version
    strike = Strike(
        kind, account, recipient, message_id, sent_at, version, occurred_at, code, channel
    )
    message.strikes += ((strike.key, encode_strike(strike)),)
