"""Expected strikes and suppressions of recipients, by channel.

Part of the oracle: written from the rules as text, shares no code with the worker.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from deploy.simulator.oracle.numbers import person_of
from deploy.simulator.oracle.rules import Rules

DAY_MS = 86_400_000
KEPT_STRIKES = 40  # per recipient and channel, of the newest messages
BEFORE_MS, AFTER_MS = 600_000, 7_200_000  # the comparison is never earlier or later than this
NO_REASONS: tuple[str, ...] = ()
CHANNELS = ("sms", "whatsapp")
ALL_CHANNELS = ""
#: Messages that an unsubscribe does not bind, unless the account wants it.
EXEMPT_SOURCES = ("verification", "open_api_verification")
# Reason of a suppression, the action that begins it, the action that ends it.
_BY_REQUEST = (("unsubscribed", "unsubscribe", "resubscribe"), ("manual", "suppress", "release"))


class Decision(NamedTuple):
    """A row of suppression_requests. person: the number in its one spelling. channel "": all."""

    account: str
    person: str
    at: int
    action: str
    who: str
    why: str
    channel: str


class Strike(NamedTuple):
    """One message that struck its recipient. Times in epoch ms."""

    recipient: str
    sent_at: int
    occurred_at: int
    code: str
    channel: str


class RecipientStatus(NamedTuple):
    """A row of `suppressions` without keys and version. Times epoch ms, 0: none.

    binds: "all" messages, "marketing" ones, or "" for none.
    """

    suppressed: bool = False
    reasons: tuple[str, ...] = NO_REASONS
    since: int = 0
    until: int = 0
    strikes: int = 0
    binds: str = ""


NOT_SUPPRESSED = RecipientStatus()


class Request(NamedTuple):
    """What somebody decided about a recipient. channel "": all channels."""

    action: str
    at: int
    channel: str


class RecipientHistory:
    """All published facts about one recipient of one account, by channel. Times in epoch ms."""

    __slots__ = ("delivered_at", "hard_bounces", "possible", "requests", "strikes")

    def __init__(self) -> None:
        self.strikes: dict[str, list[Strike]] = {}
        self.hard_bounces: dict[str, list[int]] = {}  # the first of each message that may strike
        self.requests: tuple[Request, ...] = ()
        self.possible: tuple[Request, ...] = ()  # those that depend on the order of reading
        self.delivered_at: dict[str, int] = {}  # the latest delivery

    def request(self, request: Request) -> None:
        """One more request; the same one again changes nothing."""
        self.requests += () if request in self.requests else (request,)

    def latest(self, channel: str, more: Iterable[Request]) -> dict[str, int]:
        """The latest time of each action that binds a channel."""
        found: dict[str, int] = {}
        for request in (*self.requests, *more):
            if request.channel in (channel, ALL_CHANNELS):
                found[request.action] = max(found.get(request.action, 0), request.at)
        return found


def status_at(
    history: RecipientHistory,
    channel: str,
    rules: Rules,
    now_ms: int,
    more: Iterable[Request] = (),
) -> RecipientStatus:
    """The status of a recipient on one channel at `now_ms`.

    more: requests that may have been made, too.
    """
    latest = history.latest(channel, more)
    since, until, strikes = _by_strikes(history, channel, latest, rules, now_ms)
    begins = {"hard_bounces": since}
    for reason, begin, end in _BY_REQUEST:
        at = latest.get(begin, 0)
        begins[reason] = at if at >= latest.get(end, 0) else 0
    begins = {reason: at for reason, at in begins.items() if at}
    if not begins:
        return RecipientStatus(strikes=strikes)
    ends = until if tuple(begins) == ("hard_bounces",) else 0
    marketing_only = tuple(begins) == ("unsubscribed",) and rules.unsubscribe_binds == "marketing"
    binds = "marketing" if marketing_only else "all"
    return RecipientStatus(True, tuple(begins), min(begins.values()), ends, strikes, binds)


def _by_strikes(
    history: RecipientHistory, channel: str, latest: dict[str, int], rules: Rules, now_ms: int
) -> tuple[int, int, int]:
    """(suppressed since, until, strikes that count) by strikes only."""
    released_at = latest.get("release", 0)
    reset_at = history.delivered_at.get(channel, 0) if rules.strikes_reset_on_delivery else -1
    times = sorted(
        strike.occurred_at for strike in history.strikes.get(channel, ())
        if strike.sent_at >= released_at and strike.occurred_at > reset_at
    )  # fmt: skip
    duration_ms = rules.suppression_days * DAY_MS
    while len(times) >= rules.strike_limit:
        since = times[rules.strike_limit - 1]
        if not duration_ms:
            return (since if rules.suppress_hard_bounces else 0), 0, len(times)
        if now_ms < since + duration_ms:
            until = since + duration_ms if rules.suppress_hard_bounces else 0
            return (since if until else 0), until, len(times)
        times = [at for at in times if at >= since + duration_ms]  # ended: the count restarts
    return 0, 0, len(times)


def possible_statuses(
    history: RecipientHistory, channel: str, rules: Rules, as_of_ms: int
) -> set[RecipientStatus]:
    """Every status that the recipient may have on a channel around `as_of_ms`.

    Empty when it has more strikes than are kept.
    """
    if len(history.hard_bounces.get(channel, ())) > KEPT_STRIKES:
        return set()
    moments = (as_of_ms - BEFORE_MS, as_of_ms, as_of_ms + AFTER_MS)
    return {
        status_at(history, channel, rules, now_ms, more)
        for now_ms in moments
        for more in ((), history.possible, *((request,) for request in history.possible))
    }


def on_any_channel(statuses: list[RecipientStatus]) -> RecipientStatus:
    """The status without regard to the channel: suppressed if it is on one of them."""
    strikes = max(status.strikes for status in statuses)
    held = [status for status in statuses if status.suppressed]
    if not held:
        return RecipientStatus(strikes=strikes)
    every = {reason for status in held for reason in status.reasons}
    reasons = tuple(r for r in ("hard_bounces", "unsubscribed", "manual") if r in every)
    until = 0 if any(not status.until for status in held) else max(s.until for s in held)
    binds = "all" if any(status.binds == "all" for status in held) else "marketing"
    return RecipientStatus(
        True, reasons, min(status.since for status in held), until, strikes, binds
    )


def first_suppressed(
    history: RecipientHistory, channel: str, rules: Rules, source: str
) -> int | None:
    """The earliest time at which messages of a source may have been held back; None: never."""
    binding = {"suppress"}
    if source not in EXEMPT_SOURCES or rules.unsubscribe_binds == "all":
        binding.add("unsubscribe")
    moments = [
        request.at for request in (*history.requests, *history.possible)
        if request.action in binding and request.channel in (channel, ALL_CHANNELS)
    ]  # fmt: skip
    if rules.suppress_hard_bounces:
        moments += sorted(history.hard_bounces.get(channel, ()))[rules.strike_limit - 1 :]
    return min(moments, default=None)


def request_of(fields: dict[str, Any], at: int) -> Decision:
    """The row of a published request."""
    return Decision(
        fields["account"],
        person_of(fields["recipient"]),
        at,
        fields["action"],
        fields.get("who") or "",
        fields.get("why") or "",
        fields.get("channel") or ALL_CHANNELS,
    )
