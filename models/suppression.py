"""Whether a recipient is suppressed, on which channel, and what for.

The facts (`models/suppression_facts.py`), the account's settings and the clock decide it for each
channel. Strikes and decisions of people bind every message. An unsubscribe binds all but
verification messages, or every message if the account wants it so: who leaves a newsletter still
wants to log in.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, get_args

import msgspec

from models.accounts import AccountSettings
from models.suppression_facts import ChannelFacts, Facts, StrikeFact, facts_in_force, joined
from models.time import DAY_MS
from models.versions import check_version
from models.vocabulary import CHANNELS

#: Epoch ms that fit into 64 bits.
MAX_TIME: Final = (1 << 63) - 1

SuppressionReason = Literal["hard_bounces", "unsubscribed", "manual"]
REASONS: Final[tuple[SuppressionReason, ...]] = get_args(SuppressionReason)

#: Messages that their recipient has just requested: they are bound by `since_for_all` only.
VERIFICATION_SOURCES: Final = frozenset({"verification", "open_api_verification"})

#: What a suppression binds: every message, all but verification messages, or (not suppressed) none.
Binds = Literal["all", "marketing", ""]


class ChannelStatus(msgspec.Struct, frozen=True, gc=False):
    """Whether a recipient is suppressed on one channel, and why. Times in epoch ms.

    reasons: those of `SuppressionReason`, and any that a newer version has stored
    since: the earliest start of a reason; 0: not suppressed
    until: when the suppression ends by itself; 0: never
    strikes: strikes that count now
    since_for_all: since when it binds every message; 0: verification messages may be sent
    """

    channel: str
    suppressed: bool
    reasons: tuple[str, ...]
    since: int
    until: int
    strikes: int
    since_for_all: int = 0

    @property
    def binds(self) -> Binds:
        if not self.suppressed:
            return ""
        return "all" if self.since_for_all else "marketing"


class SuppressionStatus(msgspec.Struct, frozen=True):
    """Whether a recipient is suppressed on any channel, and the status on each. Times in epoch ms.

    reasons: of all channels
    since: the earliest of a channel; 0: not suppressed
    until: when the last channel is free by itself; 0: never
    strikes: the most that count on a channel
    lapses_at: when the first suppression by strikes ends, even if another reason lasts longer; 0:
        never
    """

    suppressed: bool
    reasons: tuple[str, ...]
    since: int
    until: int
    strikes: int
    channels: tuple[ChannelStatus, ...] = ()
    lapses_at: int = 0

    @property
    def binds(self) -> Binds:
        """The most that is bound on a channel."""
        if not self.suppressed:
            return ""
        return "all" if any(each.since_for_all for each in self.channels) else "marketing"


# --- deciding ---------------------------------------------------------------------------------


def status_of(facts: Facts, settings: AccountSettings, clock_ms: int) -> SuppressionStatus:
    """The status of a recipient by the settings in force and the partition's clock."""
    decided = [
        _channel_status(name, facts_in_force(facts, name), settings, clock_ms)
        for name in (*CHANNELS, *sorted(facts.channels.keys() - set(CHANNELS)))
    ]
    lapses = [lapses_at for _, lapses_at in decided if lapses_at]
    return of_any([status for status, _ in decided], min(lapses, default=0))


def of_any(channels: Sequence[ChannelStatus], lapses_at: int = 0) -> SuppressionStatus:
    """The status on any channel from the status on each."""
    bound = [each for each in channels if each.suppressed]
    reasons = dict.fromkeys(reason for each in bound for reason in each.reasons)
    known = tuple(reason for reason in REASONS if reason in reasons)
    endless = any(not each.until for each in bound)
    return SuppressionStatus(
        bool(bound),
        known + _unknown(reasons),
        min((each.since for each in bound), default=0),
        0 if endless else max((each.until for each in bound), default=0),
        max((each.strikes for each in channels), default=0),
        tuple(channels),
        lapses_at,
    )


def _channel_status(
    channel: str, facts: ChannelFacts, settings: AccountSettings, clock_ms: int
) -> tuple[ChannelStatus, int]:
    """The status on one channel, and when its suppression by strikes ends (0: never).

    At equal times the cautious kind wins: an unsubscribe over a re-subscribe, a suppression over a
    release.
    """
    begins: dict[SuppressionReason, int] = {}
    counted, since, until = _struck_out(facts, settings, clock_ms)
    if since:
        begins["hard_bounces"] = since
    if facts.unsubscribed_at and facts.unsubscribed_at >= facts.resubscribed_at:
        begins["unsubscribed"] = facts.unsubscribed_at
    if facts.suppressed_by_hand.at and facts.suppressed_by_hand.at >= facts.released.at:
        begins["manual"] = facts.suppressed_by_hand.at
    binds_all = settings.unsubscribe_binds == "all"
    for_all = [at for reason, at in begins.items() if binds_all or reason != "unsubscribed"]
    status = ChannelStatus(
        channel,
        bool(begins),
        tuple(begins),
        min(begins.values(), default=0),
        until if begins.keys() == {"hard_bounces"} else 0,
        counted,
        min(for_all, default=0),
    )
    return status, until


def counted_strikes(facts: ChannelFacts, settings: AccountSettings) -> list[StrikeFact]:
    """Strikes that count, by time: those of messages sent since the last release and, where a
    delivery resets strikes, those after the last delivery."""
    reset_at = facts.delivered_at if settings.strikes_reset_on_delivery else 0
    counted = [
        strike
        for strike in facts.strikes
        if strike.struck and strike.sent_at >= facts.released.at and strike.occurred_at > reset_at
    ]
    return sorted(counted, key=lambda strike: (strike.occurred_at, strike.place))


def _struck_out(
    facts: ChannelFacts, settings: AccountSettings, clock_ms: int
) -> tuple[int, int, int]:
    """(strikes counted, suppressed since, until) by strikes alone; since 0: not suppressed.

    When a suppression ends after `suppression_days`, the count of strikes starts again.
    """
    strikes, since = 0, 0
    lasts = (settings.suppression_days or 0) * DAY_MS
    for strike in counted_strikes(facts, settings):
        if since and lasts and strike.occurred_at >= since + lasts:
            strikes, since = 0, 0
        strikes += 1
        if strikes == settings.strike_limit:
            since = strike.occurred_at
    if since and lasts and clock_ms >= since + lasts:
        return 0, 0, 0
    if not settings.suppress_hard_bounces:
        return strikes, 0, 0
    return strikes, since, since + lasts if since and lasts else 0


class Suppression(msgspec.Struct):
    """One record of `suppressions`: a recipient's current status, for senders, and its facts.

    The fields of the status are those of any channel; `channels` has the status on each. Times in
    epoch ms, 0 = none. `facts` is internal; its format may change.
    channels: (): written before suppressions had a channel, see `channels_of`
    """

    account: str
    recipient: str
    suppressed: bool
    reasons: tuple[str, ...]
    since: int
    until: int
    strikes: int
    version: int
    facts: Facts
    channels: tuple[ChannelStatus, ...] = ()

    def matches(self, status: SuppressionStatus) -> bool:
        """Whether this record has exactly this status."""
        own = (self.suppressed, self.reasons, self.since, self.until, self.strikes, self.channels)
        return own == msgspec.structs.astuple(status)[: len(own)]


def channels_of(record: Suppression) -> tuple[ChannelStatus, ...]:
    """The status on each channel. A record from before channels were known is about all of them."""
    if record.channels:
        return record.channels
    for_all = record.since if set(record.reasons) - {"unsubscribed"} else 0
    own = (record.suppressed, record.reasons, record.since, record.until, record.strikes)
    return tuple(ChannelStatus(channel, *own, for_all) for channel in CHANNELS)


def split_strikes(
    record: Suppression, channel: ChannelStatus
) -> tuple[list[StrikeFact], list[StrikeFact]]:
    """The strikes of a channel of a published record that count, and those that do not (any more),
    by time.

    As many as the record counts, the newest, without those from before the last release. So it
    needs no account settings: the worker applied them when it published the count.
    """
    facts = facts_in_force(record.facts, channel.channel)
    struck = sorted(
        (strike for strike in facts.strikes if strike.struck),
        key=lambda strike: (strike.occurred_at, strike.place),
    )
    eligible = [strike for strike in struck if strike.sent_at >= facts.released.at]
    counted = eligible[len(eligible) - channel.strikes :] if channel.strikes else []
    return counted, [strike for strike in struck if strike not in counted]


def _unknown(reasons: Iterable[str]) -> tuple[str, ...]:
    return tuple(reason for reason in reasons if reason not in REASONS)


def unknown_reasons(known: Suppression) -> tuple[str, ...]:
    """The reasons of a record that only a newer version knows; usually ()."""
    return _unknown(known.reasons)


def keep_unknown(status: SuppressionStatus, known: Suppression) -> SuppressionStatus:
    """The status, with what only a newer version knows of a record added: reasons and channels.

    Such a recipient stays suppressed there, to be cautious, until a newer version decides.
    """
    before = {each.channel: each for each in channels_of(known)}
    names = [each.channel for each in status.channels]
    newer = [each for each in before.values() if each.suppressed and each.channel not in names]
    if not newer and not unknown_reasons(known):
        return status
    kept = [_with_unknown(each, before.get(each.channel)) for each in status.channels]
    return of_any([*kept, *newer], status.lapses_at)


def _with_unknown(status: ChannelStatus, known: ChannelStatus | None) -> ChannelStatus:
    unknown = _unknown(known.reasons) if known is not None else ()
    if known is None or not unknown:
        return status
    return msgspec.structs.replace(
        status,
        suppressed=True,
        reasons=status.reasons + unknown,
        since=min(status.since or known.since, known.since),
        until=0,
        since_for_all=min(status.since_for_all or known.since, known.since_for_all or known.since),
    )


encode: Final = msgspec.json.Encoder().encode
decode: Final = msgspec.json.Decoder(Suppression).decode


def published(
    account: str, recipient: str, facts: Facts, status: SuppressionStatus, version: int
) -> Suppression:
    """The record of a recipient with this status."""
    return Suppression(
        account,
        recipient,
        status.suppressed,
        status.reasons,
        status.since,
        status.until,
        status.strikes,
        version,
        facts,
        status.channels,
    )


def check_record(key: bytes, value: bytes) -> None:
    """Raises DecodeError or ValueError unless it is a valid record of `suppressions`."""
    decode_checked(value)


def decode_checked(value: bytes) -> Suppression:
    """Decode a record of `suppressions`. Raises DecodeError or ValueError when it is not valid."""
    record = decode(value)
    check_version(record.version)
    _check_status(record.since, record.until, record.strikes)
    for each in record.channels:
        _check_status(each.since, each.until, each.strikes)
        _check_status(each.since_for_all, 0, 0)
    return record


def _check_status(since: int, until: int, strikes: int) -> None:
    if max(abs(since), abs(until)) > MAX_TIME or not 0 <= strikes < 1 << 16:
        raise ValueError(f"since {since}, until {until}, strikes {strikes} cannot be ours")


def join_encoded(held: bytes, read: bytes) -> bytes:
    """Join two stored records of one recipient; of one epoch the later includes the earlier."""
    one, other = decode(held), decode(read)
    later = read if other.version >= one.version else held
    if one.version >> 32 == other.version >> 32:
        return later
    whole = decode(later)
    whole.facts = joined(one.facts, other.facts)
    return encode(whole)
