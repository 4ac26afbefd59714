"""The commands about suppressed recipients: `receipts suppressions …`."""

import asyncio
import getpass
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from deploy.cli.help import command, group
from deploy.exit_codes import OK, SUPPRESSED
from deploy.processes.process import read_settings, silence_libraries

if TYPE_CHECKING:
    from models.settings import Settings
    from models.suppression import Suppression
    from models.suppression_requests import Action

REASONS = {
    "hard_bounces": "hard bounces",
    "unsubscribed": "unsubscribed",
    "manual": "by hand",
}
NO_END = "further notice"
# A line for each recipient as soon as it is read: a table would hold all of them first.
LINE = "{:<16} {:<17} {:<26} {:<20} {:<20} {:>7}"

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON; times in epoch ms.")


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
    "receipts suppressions check acme +447700900123 --json",
    "receipts suppressions check acme +447700900123 > /dev/null && echo not suppressed",
)
@click.argument("account")
@click.argument("recipient")
@_json
def check(account: str, recipient: str, as_json: bool) -> None:
    """Check whether a recipient is suppressed.

    Prints the reasons and the messages behind them. Exit code 0 when it is not suppressed, 3 when
    it is, 1 when the check failed. Reads what the workers have published: a request of a moment ago
    may still be undecided.
    """
    from deploy.kafka.suppression_client import find

    found = asyncio.run(find(_settings(account, recipient), account, recipient))
    click.echo(json.dumps(_with_messages(found)) if as_json else _details(found))
    sys.exit(SUPPRESSED if found.suppressed else OK)


@command(
    "receipts suppressions list",
    "receipts suppressions list --account acme",
    "receipts suppressions list --json | wc -l",
)
@click.option("--account", help="Only recipients of this account.")
@_json
def list_(account: str | None, as_json: bool) -> None:
    """List suppressed recipients.

    Reads the whole topic and prints partition by partition; with --json one object a line.
    """
    settings = _settings(account) if account else _settings()
    asyncio.run(_list(settings, account, as_json))


async def _list(settings: "Settings", account: str | None, as_json: bool) -> None:
    from deploy.kafka.suppression_client import suppressed_recipients

    count = 0
    async for found in suppressed_recipients(settings, account):
        if not as_json and not count:
            click.echo(LINE.format("account", "recipient", "why", "since", "until", "strikes"))
        click.echo(json.dumps(_fields(found)) if as_json else _line(found))
        count += 1
    if not as_json:
        click.echo(f"{count} suppressed" if count else "no recipient is suppressed")


def _line(found: "Suppression") -> str:
    why, since, until = _why(found), _time(found.since), _until(found)
    return LINE.format(found.account, found.recipient, why, since, until, found.strikes)


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
def add(account: str, recipient: str, why: str, who: str, at: str | None, as_json: bool) -> None:
    """Suppress a recipient by hand.

    The suppression lasts until a later release. Publishes a request; a worker decides it, usually
    within two seconds.
    """
    _decide("suppress", account, recipient, why, who, at, as_json)


@command(
    'receipts suppressions release acme +447700900123 --why "number has a new owner"',
    "receipts suppressions release acme +447700900123 --why mended --at 2026-03-01T12:00:00Z",
)
@_decision
def release(
    account: str, recipient: str, why: str, who: str, at: str | None, as_json: bool
) -> None:
    """Release a recipient and restart its count of strikes.

    Ends suppressions by strikes and by hand. Messages sent before the release do not count as
    strikes any more. Does not end an unsubscribe; use resubscribe for that.
    """
    _decide("release", account, recipient, why, who, at, as_json)


@command(
    'receipts suppressions resubscribe acme +447700900123 --why "signed up again, form 12"',
)
@_decision
def resubscribe(
    account: str, recipient: str, why: str, who: str, at: str | None, as_json: bool
) -> None:
    """Record that a recipient wants messages again.

    Ends an earlier unsubscribe: the later of unsubscribe and resubscribe counts. Suppressions by
    strikes and by hand stay.
    """
    _decide("resubscribe", account, recipient, why, who, at, as_json)


def _decide(
    action: "Action",
    account: str,
    recipient: str,
    why: str,
    who: str,
    at: str | None,
    as_json: bool,
) -> None:
    from deploy.kafka.suppression_client import InvalidRequest, now_ms, publish, request_value

    settings = _settings(account, recipient)
    if not why.strip() or not who.strip():
        missing = "--why" if not why.strip() else "--who"
        raise click.UsageError(f"{missing}: is empty. Fix: give a text for later readers")
    try:
        value = request_value(account, recipient, action, at or now_ms(), who, why)
    except InvalidRequest as error:
        raise click.UsageError(f"{error}") from error
    published = asyncio.run(publish(settings, value))
    if as_json:
        click.echo(json.dumps(published._asdict()))
        return
    where = f"{published.topic}, partition {published.partition}, offset {published.offset}"
    when = _time(published.request["at"])
    click.echo(f"{action} {account}/{recipient} at {when}: published to {where}")


# --- output -----------------------------------------------------------------------------------


def _settings(account: str | None = None, recipient: str | None = None) -> "Settings":
    """The settings. Checks the arguments first: an invalid one fails without a broker."""
    from deploy.kafka.suppression_client import InvalidRecipient, checked_key

    if account is not None:
        try:
            checked_key(account, recipient or "+447700900123")
        except InvalidRecipient as error:
            raise click.UsageError(f"{error}") from error
    settings = read_settings()
    silence_libraries()
    return settings


def _fields(found: "Suppression") -> dict[str, object]:
    """The fields of the topic that senders rely on."""
    return {
        "account": found.account,
        "recipient": found.recipient,
        "suppressed": found.suppressed,
        "reasons": found.reasons,
        "since": found.since,
        "until": found.until,
        "strikes": found.strikes,
        "version": found.version,
    }


def _with_messages(found: "Suppression") -> dict[str, object]:
    from models.suppression import split_strikes

    messages = [
        {
            "message_id": strike.message_id,
            "sent_at": strike.sent_at,
            "struck_at": strike.occurred_at,
            "code": strike.code,
            "counts": counts,
        }
        for counts, strikes in zip((True, False), split_strikes(found), strict=True)
        for strike in strikes
    ]
    return {**_fields(found), "messages": messages, "decisions": _decisions(found)}


def _details(found: "Suppression") -> str:
    status = "suppressed" if found.suppressed else "not suppressed"
    lines = [f"{found.account}/{found.recipient}: {status}"]
    if found.suppressed:
        lines += [f"why      {_why(found)}", f"since    {_time(found.since)}"]
        lines += [f"until    {_until(found)}"]
    lines += [f"strikes  {found.strikes}", *_strike_lines(found)]
    for decision in _decisions(found):
        by_whom = " by {who}: {why}".format(**decision) if decision["who"] else ""
        lines.append(f"{decision['what']} {_time(int(decision['at']))}{by_whom}")
    return "\n".join(lines)


def _strike_lines(found: "Suppression") -> list[str]:
    from models.suppression import split_strikes

    counted, others = split_strikes(found)
    lines = []
    for strikes, note in ((counted, ""), (others, "; does not count (any more)")):
        for strike in strikes:
            code = f", code {strike.code}" if strike.code else ""
            sent, struck = _time(strike.sent_at), _time(strike.occurred_at)
            lines.append(f"  {strike.message_id}: sent {sent}, struck {struck}{code}{note}")
    return lines


def _decisions(found: "Suppression") -> list[dict[str, int | str]]:
    """Decisions of people and of the recipient, by time; the latest of each kind is kept."""
    from models.suppression import ManualDecision

    facts = found.facts
    decisions = (
        ("suppressed", facts.suppressed_by_hand),
        ("released", facts.released),
        ("unsubscribed", ManualDecision(facts.unsubscribed_at)),
        ("resubscribed", ManualDecision(facts.resubscribed_at)),
    )
    return [
        {"what": what, "at": decision.at, "who": decision.who, "why": decision.why}
        for what, decision in sorted(decisions, key=lambda each: each[1])
        if decision.at
    ]


def _why(found: "Suppression") -> str:
    return ", ".join(REASONS.get(reason, reason) for reason in found.reasons)


def _until(found: "Suppression") -> str:
    return _time(found.until) if found.until else NO_END


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
