"""Whether a recipient is suppressed: the join of all facts about it.

Strikes, unsubscribes, manual decisions and releases are merged like message states: any order,
duplicates and replays end in the same facts. The account's settings and the clock decide whether
these facts suppress the recipient.

Memory is bounded: for each recipient the MAX_STRIKES messages with the latest `sent_at` that ever
struck are kept; this eviction obeys the join. An account's limit is lower, so a recipient with more
strikes than are kept stays suppressed. Updates about an evicted message are ignored. A recipient is
released once MAX_STRIKES newer messages bounced hard and were delivered later: it is reachable.
"""

from typing import Final, Literal, get_args

import msgspec

from models.accounts import MAX_STRIKE_LIMIT, AccountSettings
from models.time import DAY_MS
from models.versions import check_version

MAX_STRIKES: Final = 2 * MAX_STRIKE_LIMIT

#: Epoch ms that fit into 64 bits.
MAX_TIME: Final = (1 << 63) - 1

SuppressionReason = Literal["hard_bounces", "unsubscribed", "manual"]
REASONS: Final[tuple[SuppressionReason, ...]] = get_args(SuppressionReason)

#: Messages that their recipient has just requested: they are bound by `since_for_all` only.
VERIFICATION_SOURCES: Final = frozenset({"verification", "open_api_verification"})


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


class Facts(msgspec.Struct, gc=False):
    """All facts about one recipient. Times in epoch ms, 0 = never."""

    strikes: list[StrikeFact] = []
    unsubscribed_at: int = 0
    resubscribed_at: int = 0
    suppressed_by_hand: ManualDecision = ManualDecision()
    released: ManualDecision = ManualDecision()
    delivered_at: int = 0


class SuppressionStatus(msgspec.Struct, frozen=True):
    """Whether a recipient is suppressed and why. Times in epoch ms.

    since: the earliest start of a reason; 0: not suppressed
    until: when the suppression ends by itself; 0: never
    strikes: strikes that count now
    lapses_at: when a suppression by strikes ends, even if another reason lasts longer; 0: never
    """

    suppressed: bool
    reasons: tuple[str, ...]
    since: int
    until: int
    strikes: int
    lapses_at: int = 0


# --- joining: each returns whether the facts changed -------------------------------------------


def add_strike(facts: Facts, strike: StrikeFact) -> bool:
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


def add_unsubscribe(facts: Facts, at: int) -> bool:
    """Join an unsubscribe; the latest counts."""
    changed = at > facts.unsubscribed_at
    facts.unsubscribed_at = max(facts.unsubscribed_at, at)
    return changed


def add_resubscribe(facts: Facts, at: int) -> bool:
    """Join a re-subscribe; the latest counts."""
    changed = at > facts.resubscribed_at
    facts.resubscribed_at = max(facts.resubscribed_at, at)
    return changed


def add_suppress(facts: Facts, decision: ManualDecision) -> bool:
    """Join a manual suppression; the latest counts; ties go to the greater text."""
    changed = decision > facts.suppressed_by_hand
    facts.suppressed_by_hand = max(facts.suppressed_by_hand, decision)
    return changed


def add_release(facts: Facts, decision: ManualDecision) -> bool:
    """Join a release; it restarts the count of strikes and ends a manual suppression."""
    changed = decision > facts.released
    facts.released = max(facts.released, decision)
    return changed


def add_delivery(facts: Facts, at: int) -> bool:
    """Join a delivery to the recipient, for accounts that reset strikes on delivery."""
    changed = at > facts.delivered_at
    facts.delivered_at = max(facts.delivered_at, at)
    return changed


def joined(one: Facts, other: Facts) -> Facts:
    """The join of two sets of facts."""
    whole = Facts(
        list(one.strikes),
        max(one.unsubscribed_at, other.unsubscribed_at),
        max(one.resubscribed_at, other.resubscribed_at),
        max(one.suppressed_by_hand, other.suppressed_by_hand),
        max(one.released, other.released),
        max(one.delivered_at, other.delivered_at),
    )
    for strike in other.strikes:
        add_strike(whole, strike)
    return whole


# --- deciding ---------------------------------------------------------------------------------


def status_of(facts: Facts, settings: AccountSettings, clock_ms: int) -> SuppressionStatus:
    """The status of a recipient by the settings in force and the partition's clock.

    At equal times the cautious kind wins: an unsubscribe over a re-subscribe, a suppression over a
    release.
    """
    reasons: list[SuppressionReason] = []
    begins: list[int] = []
    counted, since, until = _struck_out(facts, settings, clock_ms)
    if since:
        reasons.append("hard_bounces")
        begins.append(since)
    if facts.unsubscribed_at and facts.unsubscribed_at >= facts.resubscribed_at:
        reasons.append("unsubscribed")
        begins.append(facts.unsubscribed_at)
    if facts.suppressed_by_hand.at and facts.suppressed_by_hand.at >= facts.released.at:
        reasons.append("manual")
        begins.append(facts.suppressed_by_hand.at)
    lasts_until = until if reasons == ["hard_bounces"] else 0
    begun = min(begins, default=0)
    return SuppressionStatus(bool(reasons), tuple(reasons), begun, lasts_until, counted, until)


def counted_strikes(facts: Facts, settings: AccountSettings) -> list[StrikeFact]:
    """Strikes that count, by time: those of messages sent since the last release and, where a
    delivery resets strikes, those after the last delivery."""
    reset_at = facts.delivered_at if settings.strikes_reset_on_delivery else 0
    counted = [
        strike
        for strike in facts.strikes
        if strike.struck and strike.sent_at >= facts.released.at and strike.occurred_at > reset_at
    ]
    return sorted(counted, key=lambda strike: (strike.occurred_at, strike.place))


def _struck_out(facts: Facts, settings: AccountSettings, clock_ms: int) -> tuple[int, int, int]:
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

    Times in epoch ms, 0 = none. `facts` is internal; its format may change.
    reasons: those of `SuppressionReason`, and any that a newer version has stored
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

    def matches(self, status: SuppressionStatus) -> bool:
        """Whether this record has exactly this status."""
        own = (self.suppressed, self.reasons, self.since, self.until, self.strikes)
        return own == (
            status.suppressed,
            status.reasons,
            status.since,
            status.until,
            status.strikes,
        )


def split_strikes(record: Suppression) -> tuple[list[StrikeFact], list[StrikeFact]]:
    """The strikes of a published record that count, and those that do not (any more), by time.

    As many as the record counts, the newest, without those from before the last release. So it
    needs no account settings: the worker applied them when it published the count.
    """
    struck = sorted(
        (strike for strike in record.facts.strikes if strike.struck),
        key=lambda strike: (strike.occurred_at, strike.place),
    )
    eligible = [strike for strike in struck if strike.sent_at >= record.facts.released.at]
    counted = eligible[len(eligible) - record.strikes :] if record.strikes else []
    return counted, [strike for strike in struck if strike not in counted]


def unknown_reasons(known: Suppression) -> tuple[str, ...]:
    """The reasons of a record that only a newer version knows; usually ()."""
    return tuple(reason for reason in known.reasons if reason not in REASONS)


def keep_unknown(status: SuppressionStatus, known: Suppression) -> SuppressionStatus:
    """The status, with the reasons of a record that only a newer version knows added.

    Such a recipient stays suppressed, to be cautious, until a newer version decides.
    """
    unknown = unknown_reasons(known)
    if not unknown:
        return status
    since = min(status.since or known.since, known.since)
    return msgspec.structs.replace(
        status, suppressed=True, reasons=status.reasons + unknown, since=since, until=0
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
    )


def check_record(key: bytes, value: bytes) -> None:
    """Raises DecodeError or ValueError unless it is a valid record of `suppressions`."""
    decode_checked(value)


def decode_checked(value: bytes) -> Suppression:
    """Decode a record of `suppressions`. Raises DecodeError or ValueError when it is not valid."""
    record = decode(value)
    check_version(record.version)
    if max(abs(record.since), abs(record.until)) > MAX_TIME or not 0 <= record.strikes < 1 << 16:
        raise ValueError(
            f"since {record.since}, until {record.until}, strikes {record.strikes} cannot be ours"
        )
    return record


def join_encoded(held: bytes, read: bytes) -> bytes:
    """Join two stored records of one recipient; of one epoch the later includes the earlier."""
    one, other = decode(held), decode(read)
    later = read if other.version >= one.version else held
    if one.version >> 32 == other.version >> 32:
        return later
    whole = decode(later)
    whole.facts = joined(one.facts, other.facts)
    return encode(whole)
