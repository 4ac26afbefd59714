"""Facts about one recipient, and their join.

Strikes, unsubscribes, manual decisions and releases are merged like message states: any order,
duplicates and replays end in the same facts. A fact is about one channel or about all.

Memory is bounded: for each recipient and channel the MAX_STRIKES messages with the latest `sent_at`
that ever struck are kept; this eviction obeys the join. An account's limit is lower, so a recipient
with more strikes than are kept stays suppressed. Updates about an evicted message are ignored. A
recipient is released once MAX_STRIKES newer messages bounced hard and were delivered later: it is
reachable.
"""

from typing import Final

import msgspec

from models.accounts import MAX_STRIKE_LIMIT

MAX_STRIKES: Final = 2 * MAX_STRIKE_LIMIT


class StrikeFact(msgspec.Struct, frozen=True, gc=False):
    """The latest version of one message: a strike, or its withdrawal. Times in epoch ms."""

    sent_at: int
    message_id: str
    version: int
    struck: bool
    occurred_at: int
    code: str = ""

    @property
    def place(self) -> tuple[int, str]:
        """What identifies and orders the strikes of one recipient: their message."""
        return self.sent_at, self.message_id


class ManualDecision(msgspec.Struct, frozen=True, gc=False, order=True):
    """Decision of a person: when (epoch ms), who and why."""

    at: int = 0
    who: str = ""
    why: str = ""


class ChannelFacts(msgspec.Struct, gc=False, omit_defaults=True):
    """All facts about one recipient and channel. Times in epoch ms, 0 = never."""

    strikes: list[StrikeFact] = []
    unsubscribed_at: int = 0
    resubscribed_at: int = 0
    suppressed_by_hand: ManualDecision = ManualDecision()
    released: ManualDecision = ManualDecision()
    delivered_at: int = 0


class Facts(ChannelFacts, gc=False, omit_defaults=True):
    """All facts about one recipient: its own fields concern all channels.

    channels: facts that concern one channel, by its name
    """

    channels: dict[str, ChannelFacts] = {}

    def of(self, channel: str) -> ChannelFacts:
        """The facts of one channel alone, to join into; "": those of all channels."""
        return self.channels.setdefault(channel, ChannelFacts()) if channel else self


# --- joining: each returns whether the facts changed -------------------------------------------


def add_strike(facts: ChannelFacts, strike: StrikeFact) -> bool:
    """Join a strike of one message; its highest version wins."""
    by_place = {known.place: known for known in facts.strikes}
    known = by_place.get(strike.place)
    if known is not None and known.version >= strike.version:
        return False
    by_place[strike.place] = strike
    kept = sorted(by_place.values(), key=lambda each: each.place)[-MAX_STRIKES:]
    changed = kept != facts.strikes
    facts.strikes = kept
    return changed


def add_unsubscribe(facts: ChannelFacts, at: int) -> bool:
    """Join an unsubscribe; the latest counts."""
    changed = at > facts.unsubscribed_at
    facts.unsubscribed_at = max(facts.unsubscribed_at, at)
    return changed


def add_resubscribe(facts: ChannelFacts, at: int) -> bool:
    """Join a re-subscribe; the latest counts."""
    changed = at > facts.resubscribed_at
    facts.resubscribed_at = max(facts.resubscribed_at, at)
    return changed


def add_suppress(facts: ChannelFacts, decision: ManualDecision) -> bool:
    """Join a manual suppression; the latest counts; ties go to the greater text."""
    changed = decision > facts.suppressed_by_hand
    facts.suppressed_by_hand = max(facts.suppressed_by_hand, decision)
    return changed


def add_release(facts: ChannelFacts, decision: ManualDecision) -> bool:
    """Join a release; it restarts the count of strikes and ends a manual suppression."""
    changed = decision > facts.released
    facts.released = max(facts.released, decision)
    return changed


def add_delivery(facts: ChannelFacts, at: int) -> bool:
    """Join a delivery to the recipient, for accounts that reset strikes on delivery."""
    changed = at > facts.delivered_at
    facts.delivered_at = max(facts.delivered_at, at)
    return changed


def joined(one: Facts, other: Facts) -> Facts:
    """The join of two sets of facts."""
    whole = Facts()
    for facts in (one, other):
        _join(whole, facts)
        for channel, of_channel in facts.channels.items():
            _join(whole.of(channel), of_channel)
    return whole


def _join(whole: ChannelFacts, facts: ChannelFacts) -> None:
    for strike in facts.strikes:
        add_strike(whole, strike)
    _join_times(whole, facts)


def _join_times(whole: ChannelFacts, facts: ChannelFacts) -> None:
    """Join all but the strikes."""
    add_unsubscribe(whole, facts.unsubscribed_at)
    add_resubscribe(whole, facts.resubscribed_at)
    add_suppress(whole, facts.suppressed_by_hand)
    add_release(whole, facts.released)
    add_delivery(whole, facts.delivered_at)


# --- reading ----------------------------------------------------------------------------------


def facts_in_force(facts: Facts, channel: str) -> ChannelFacts:
    """What one channel is decided by: its own facts and those of all channels.

    Strikes of all channels are from before strikes had a channel. Once a later version of such a
    message has one, it counts there alone: so its withdrawal withdraws it everywhere.
    """
    if not facts.channels:
        return facts
    own = facts.channels.get(channel) or ChannelFacts()
    by_place = {strike.place: strike for strike in own.strikes}
    by_place |= {strike.place: strike for strike in _without_channel(facts)}
    whole = ChannelFacts(list(by_place.values()))
    _join_times(whole, own)
    _join_times(whole, facts)
    return whole


def _without_channel(facts: Facts) -> list[StrikeFact]:
    """Strikes of which no later version with a channel is known."""
    newest: dict[tuple[int, str], int] = {}
    for of_channel in facts.channels.values() if facts.strikes else ():
        for strike in of_channel.strikes:
            newest[strike.place] = max(strike.version, newest.get(strike.place, -1))
    return [strike for strike in facts.strikes if strike.version > newest.get(strike.place, -1)]
