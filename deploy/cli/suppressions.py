"""The commands about suppressed recipients: `receipts suppressions …`."""

import asyncio
import getpass
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from deploy.cli.help import command, group
from deploy.exit_codes import OK, SUPPRESSED
from deploy.processes.process import read_settings, silence_libraries
from models.vocabulary import CHANNELS

if TYPE_CHECKING:
    from models.settings import Settings
    from models.suppression import ChannelStatus, Suppression
    from models.suppression_facts import ChannelFacts
    from models.suppression_requests import Action
    from models.vocabulary import Channel

REASONS = {
    "hard_bounces": "hard bounces",
    "unsubscribed": "unsubscribed",
    "manual": "by hand",
}
BINDS = {"all": "every message", "marketing": "all but verification", "": "nothing"}
NO_END = "further notice"
# A line for each recipient as soon as it is read: a table would hold all of them first.
LINE = "{:<16} {:<17} {:<14} {:<21} {:<26} {:<20} {:<20} {:>7}"

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON; times in epoch ms.")


def _channel(meaning: str) -> Callable[..., Callable[..., None]]:
    return click.option("--channel", type=click.Choice(CHANNELS), help=f"{meaning} Default: all.")


@group(
    "receipts suppressions check acme +447700900123",
    "receipts suppressions list",
)
def suppressions() -> None:
    """Check and manage suppressed recipients.

    Needs Kafka only (RECEIPTS_BROKERS), neither a worker's page nor ClickHouse.
    """


@command(
    "receipts suppressions check acme +447700900123",
    'receipts suppressions check acme "+44 7700 900123" --channel sms --json',
    "receipts suppressions check acme +447700900123 > /dev/null && echo not suppressed",
)
@click.argument("account")
@click.argument("recipient")
@_channel("Only this channel.")
@_json
def check(account: str, recipient: str, channel: "Channel | None", as_json: bool) -> None:
    """Check whether a recipient is suppressed.

    Prints for each channel the reasons, the messages behind them and what is bound. Exit code 0
    when it is not suppressed, 3 when it is, 1 when the check failed. Reads what the workers have
    published: a request of a moment ago may still be undecided.
    """
    from deploy.kafka.suppression_client import find
    from models.suppression import channels_of

    found = asyncio.run(find(_settings(account, recipient), account, recipient))
    channels = [each for each in channels_of(found) if channel in (None, each.channel)]
    if as_json:
        click.echo(json.dumps(_with_messages(found, channels, channel)))
    else:
        click.echo(_details(found, channels))
    sys.exit(SUPPRESSED if any(each.suppressed for each in channels) else OK)


@command(
    "receipts suppressions list",
    "receipts suppressions list --account acme --channel sms",
    "receipts suppressions list --json | wc -l",
)
@click.option("--account", help="Only recipients of this account.")
@_channel("Only recipients suppressed on this channel.")
@_json
def list_(account: str | None, channel: "Channel | None", as_json: bool) -> None:
    """List suppressed recipients.

    Reads the whole topic and prints partition by partition: a line for each recipient and reason,
    with the channels; with --json one object a recipient.
    """
    settings = _settings(account) if account else _settings()
    asyncio.run(_list(settings, account, channel, as_json))


async def _list(
    settings: "Settings", account: str | None, channel: "Channel | None", as_json: bool
) -> None:
    from deploy.kafka.suppression_client import suppressed_recipients
    from models.suppression import channels_of

    count = 0
    async for found in suppressed_recipients(settings, account):
        bound = [each for each in channels_of(found) if each.suppressed]
        if channel is not None and channel not in [each.channel for each in bound]:
            continue
        if not as_json and not count:
            head = ("account", "recipient", "channels", "binds", "why", "since", "until", "strikes")
            click.echo(LINE.format(*head))
        click.echo(json.dumps(_fields(found)) if as_json else _lines(found, bound))
        count += 1
    if not as_json:
        click.echo(f"{count} suppressed" if count else "no recipient is suppressed")


def _lines(found: "Suppression", bound: "Sequence[ChannelStatus]") -> str:
    """A line for the channels that have the same status."""
    channels: dict[tuple[str, ...], list[str]] = {}
    for each in bound:
        times = _time(each.since), _until(each), str(each.strikes)
        status = BINDS[each.binds], _why(each.reasons), *times
        channels.setdefault(status, []).append(each.channel)
    return "\n".join(
        LINE.format(found.account, found.recipient, ", ".join(names), *status)
        for status, names in channels.items()
    )


# --- decisions --------------------------------------------------------------------------------


def _user() -> str:
    """The logged-in user; empty where the system does not know it, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _decision(run: Callable[..., None]) -> Callable[..., None]:
    """Arguments and options of a request."""
    for part in (
        _json,
        _channel("The channel that it is about."),
        click.option("--at", help="Time of the decision, as 2026-03-01T12:00:00Z; default: now."),
        click.option("--who", default=_user, show_default="user logged in", help="Who decided."),
        click.option("--why", required=True, help="The reason, for later readers."),
        click.argument("recipient"),
        click.argument("account"),
    ):
        run = part(run)
    return run


@command(
    'receipts suppressions add acme +447700900123 --why "asked by phone"',
    'receipts suppressions add acme +447700900123 --why "ticket 4711" --who ann',
)
@_decision
def add(account: str, recipient: str, **options: Any) -> None:
    """Suppress a recipient by hand.

    The suppression lasts until a later release. Publishes a request; a worker decides it, usually
    within two seconds.
    """
    _decide("suppress", account, recipient, **options)


@command(
    'receipts suppressions release acme +447700900123 --why "number has a new owner"',
    "receipts suppressions release acme +447700900123 --why mended --at 2026-03-01T12:00:00Z",
)
@_decision
def release(account: str, recipient: str, **options: Any) -> None:
    """Release a recipient and restart its count of strikes.

    Ends suppressions by strikes and by hand. Messages sent before the release do not count as
    strikes any more. Does not end an unsubscribe; use resubscribe for that.
    """
    _decide("release", account, recipient, **options)


@command(
    'receipts suppressions resubscribe acme +447700900123 --why "signed up again, form 12"',
)
@_decision
def resubscribe(account: str, recipient: str, **options: Any) -> None:
    """Record that a recipient wants messages again.

    Ends an earlier unsubscribe: the later of unsubscribe and resubscribe counts. Suppressions by
    strikes and by hand stay.
    """
    _decide("resubscribe", account, recipient, **options)


def _decide(
    action: "Action",
    account: str,
    recipient: str,
    why: str,
    who: str,
    at: str | None,
    channel: "Channel | None",
    as_json: bool,
) -> None:
    from deploy.kafka.suppression_client import InvalidRequest, now_ms, publish, request_value

    settings = _settings(account, recipient)
    if not why.strip() or not who.strip():
        missing = "--why" if not why.strip() else "--who"
        raise click.UsageError(f"{missing}: is empty. Fix: give a text for later readers")
    try:
        value = request_value(account, recipient, action, at or now_ms(), who, why, channel)
    except InvalidRequest as error:
        raise click.UsageError(f"{error}") from error
    published = asyncio.run(publish(settings, value))
    if as_json:
        click.echo(json.dumps(published._asdict()))
        return
    where = f"{published.topic}, partition {published.partition}, offset {published.offset}"
    when = _time(published.request["at"])
    name = f"{account}/{published.request['recipient']}"
    click.echo(f"{action} {name}{_on(channel)} at {when}: published to {where}")


# --- output -----------------------------------------------------------------------------------


def _settings(account: str | None = None, recipient: str | None = None) -> "Settings":
    """The settings. Checks the arguments first: an invalid one fails without a broker."""
    from deploy.kafka.suppression_client import (
        InvalidRecipient,
        checked_account,
        checked_recipient,
    )

    if account is not None:
        try:
            checked_account(account)
            if recipient is not None:
                checked_recipient(recipient)
        except InvalidRecipient as error:
            raise click.UsageError(f"{error}") from error
    settings = read_settings()
    silence_libraries()
    return settings


def _fields(found: "Suppression", channel: "Channel | None" = None) -> dict[str, object]:
    """The fields of the topic that senders rely on, of a channel or of all, and what they bind."""
    from deploy.kafka.suppression_client import channel_fields
    from models.suppression import channels_of, of_any

    who = {"account": found.account, "recipient": found.recipient}
    channels = {each.channel: channel_fields(each) for each in channels_of(found)}
    if channel is not None:
        return {**who, **channels[channel], "version": found.version}
    return {
        **who,
        "suppressed": found.suppressed,
        "reasons": found.reasons,
        "since": found.since,
        "until": found.until,
        "strikes": found.strikes,
        "version": found.version,
        "channels": list(channels.values()),
        "binds": of_any(channels_of(found)).binds,
    }


def _with_messages(
    found: "Suppression", channels: "Sequence[ChannelStatus]", channel: "Channel | None"
) -> dict[str, object]:
    from models.suppression import split_strikes

    messages = [
        {
            "message_id": strike.message_id,
            "channel": each.channel,
            "sent_at": strike.sent_at,
            "struck_at": strike.occurred_at,
            "code": strike.code,
            "counts": counts,
        }
        for each in channels
        for counts, strikes in zip((True, False), split_strikes(found, each), strict=True)
        for strike in strikes
    ]
    decisions = _decisions(found, channel)
    return {**_fields(found, channel), "messages": messages, "decisions": decisions}


def _details(found: "Suppression", channels: "Sequence[ChannelStatus]") -> str:
    suppressed = any(each.suppressed for each in channels)
    name = f"{found.account}/{found.recipient}"
    lines = [f"{name}: {'suppressed' if suppressed else 'not suppressed'}"]
    for each in channels:
        lines += _channel_lines(found, each)
    only = channels[0].channel if len(channels) == 1 else None
    for decision in _decisions(found, only):
        by_whom = " by {who}: {why}".format(**decision) if decision["who"] else ""
        at, on = _time(int(decision["at"])), _on(decision["channel"])
        lines.append(f"{decision['what']}{on} {at}{by_whom}")
    return "\n".join(lines)


def _channel_lines(found: "Suppression", status: "ChannelStatus") -> list[str]:
    if not status.suppressed:
        free = f"{status.channel}: not suppressed, strikes {status.strikes}"
        return [free, *_strike_lines(found, status)]
    return [
        f"{status.channel}: suppressed, binds {BINDS[status.binds]}",
        f"  why      {_why(status.reasons)}",
        f"  since    {_time(status.since)}",
        f"  until    {_until(status)}",
        f"  strikes  {status.strikes}",
        *_strike_lines(found, status),
    ]


def _strike_lines(found: "Suppression", status: "ChannelStatus") -> list[str]:
    from models.suppression import split_strikes

    counted, others = split_strikes(found, status)
    lines = []
    for strikes, note in ((counted, ""), (others, "; does not count (any more)")):
        for strike in strikes:
            code = f", code {strike.code}" if strike.code else ""
            sent, struck = _time(strike.sent_at), _time(strike.occurred_at)
            lines.append(f"    {strike.message_id}: sent {sent}, struck {struck}{code}{note}")
    return lines


def _decisions(found: "Suppression", channel: str | None) -> list[dict[str, int | str]]:
    """Decisions of people and of the recipient, by time; the latest of each kind is kept."""
    facts: dict[str, ChannelFacts] = {"": found.facts, **found.facts.channels}
    decisions: list[dict[str, int | str]] = [
        {"what": what, "channel": name, "at": at, "who": who, "why": why}
        for name, of_channel in facts.items()
        if channel is None or name in ("", channel)
        for what, at, who, why in _of_channel(of_channel)
        if at
    ]
    return sorted(decisions, key=lambda each: int(each["at"]))


def _of_channel(facts: "ChannelFacts") -> list[tuple[str, int, str, str]]:
    by_hand, released = facts.suppressed_by_hand, facts.released
    return [
        ("suppressed", by_hand.at, by_hand.who, by_hand.why),
        ("released", released.at, released.who, released.why),
        ("unsubscribed", facts.unsubscribed_at, "", ""),
        ("resubscribed", facts.resubscribed_at, "", ""),
    ]


def _on(channel: object) -> str:
    """ " on sms"; "" for all channels."""
    return f" on {channel}" if channel else ""


def _why(reasons: "Sequence[str]") -> str:
    return ", ".join(REASONS.get(reason, reason) for reason in reasons)


def _until(status: "ChannelStatus") -> str:
    return _time(status.until) if status.until else NO_END


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


for _name, _command in (
    ("check", check),
    ("list", list_),
    ("add", add),
    ("release", release),
    ("resubscribe", resubscribe),
):
    suppressions.add_command(_command, _name)
