"""The commands about suppressed numbers: `receipts suppressions …`."""

import asyncio
import getpass
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from deploy.cli.exit_codes import OK, SUPPRESSED
from deploy.cli.help import command, group
from deploy.processes.process import read_settings, silence_libraries

if TYPE_CHECKING:
    from models.settings import Settings
    from models.suppression import Suppression
    from models.suppression_requests import Action

WORDS = {
    "hard_bounces": "hard bounces",
    "unsubscribed": "unsubscribed",
    "manual": "by hand",
}
NO_END = "further notice"
LINE = "{:<16} {:<17} {:<26} {:<20} {:<20} {:>7}"

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON; times in epoch ms.")


@group(
    "receipts suppressions check acme +447700900123",
    "receipts suppressions list",
)
def suppressions() -> None:
    """Ask and decide which numbers must not be sent to.

    Works on Kafka alone (RECEIPTS_BROKERS); needs neither a worker's page nor ClickHouse.
    """


@command(
    "receipts suppressions check acme +447700900123",
    "receipts suppressions check acme +447700900123 --json",
    "receipts suppressions check acme +447700900123 > /dev/null && echo may be sent to",
)
@click.argument("account")
@click.argument("number")
@_json
def check(account: str, number: str, as_json: bool) -> None:
    """Tell whether a number is suppressed, why, and by which messages.

    Exit code 0 when it is not suppressed, 3 when it is, 1 when that could not be found out. Only
    what the workers have published counts: a request of a moment ago may not be decided yet.
    """
    from deploy.kafka.suppression_client import find

    found = asyncio.run(find(_settings(account, number), account, number))
    click.echo(json.dumps(_with_messages(found)) if as_json else _explained(found))
    sys.exit(SUPPRESSED if found.suppressed else OK)


@command(
    "receipts suppressions list",
    "receipts suppressions list --account acme",
    "receipts suppressions list --json | wc -l",
)
@click.option("--account", help="Only numbers of this account.")
@_json
def list_(account: str | None, as_json: bool) -> None:
    """List the numbers that are suppressed.

    Reads the whole topic and prints partition by partition; with --json one object a line.
    """
    settings = _settings(account) if account else _settings()
    asyncio.run(_list(settings, account, as_json))


async def _list(settings: "Settings", account: str | None, as_json: bool) -> None:
    from deploy.kafka.suppression_client import suppressed_numbers

    count = 0
    async for number in suppressed_numbers(settings, account):
        if not as_json and not count:
            click.echo(LINE.format("account", "number", "why", "since", "until", "strikes"))
        click.echo(json.dumps(_fields(number)) if as_json else _line(number))
        count += 1
    if not as_json:
        click.echo(f"{count} suppressed" if count else "no number is suppressed")


def _line(number: "Suppression") -> str:
    until = _time(number.until) if number.until else NO_END
    why, since = _why(number), _time(number.since)
    return LINE.format(number.account, number.recipient, why, since, until, number.strikes)


# --- decisions --------------------------------------------------------------------------------


def _user() -> str:
    """Who is logged in; empty where the system cannot tell, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _decision(run: Callable[..., None]) -> Callable[..., None]:
    """Arguments and options of a request."""
    for part in (
        _json,
        click.option("--at", help="When, as 2026-03-01T12:00:00Z; now when left out."),
        click.option("--who", default=_user, show_default="user logged in", help="Who decided it."),
        click.option("--why", required=True, help="The reason, for those who ask later."),
        click.argument("number"),
        click.argument("account"),
    ):
        run = part(run)
    return run


@command(
    'receipts suppressions add acme +447700900123 --why "asked by phone"',
    'receipts suppressions add acme +447700900123 --why "ticket 4711" --who ann',
)
@_decision
def add(account: str, number: str, why: str, who: str, at: str | None, as_json: bool) -> None:
    """Suppress a number by hand.

    It stays suppressed until it is released later than that. Publishes a request; the worker
    decides, usually within a second or two.
    """
    _decide("suppress", account, number, why, who, at, as_json)


@command(
    'receipts suppressions release acme +447700900123 --why "number has a new owner"',
    "receipts suppressions release acme +447700900123 --why mended --at 2026-03-01T12:00:00Z",
)
@_decision
def release(account: str, number: str, why: str, who: str, at: str | None, as_json: bool) -> None:
    """Release a number and start its count of strikes anew.

    Ends suppressions by strikes and by hand. Messages sent before it strike no more. It does not
    end an unsubscribe: that is for resubscribe.
    """
    _decide("release", account, number, why, who, at, as_json)


@command(
    'receipts suppressions resubscribe acme +447700900123 --why "signed up again, form 12"',
)
@_decision
def resubscribe(
    account: str, number: str, why: str, who: str, at: str | None, as_json: bool
) -> None:
    """Note that a recipient wants messages again after an unsubscribe.

    The later of unsubscribe and resubscribe counts. Suppressions by strikes and by hand stay.
    """
    _decide("resubscribe", account, number, why, who, at, as_json)


def _decide(
    action: "Action",
    account: str,
    number: str,
    why: str,
    who: str,
    at: str | None,
    as_json: bool,
) -> None:
    from deploy.kafka.suppression_client import BadRequest, now_ms, publish, request_value

    settings = _settings(account, number)
    if not why.strip() or not who.strip():
        missing = "--why" if not why.strip() else "--who"
        raise click.UsageError(f"{missing}: empty; others will want to know")
    try:
        value = request_value(account, number, action, at or now_ms(), who, why)
    except BadRequest as error:
        raise click.UsageError(f"{error}") from error
    placed = asyncio.run(publish(settings, value))
    if as_json:
        click.echo(json.dumps(placed._asdict()))
        return
    where = f"{placed.topic}, partition {placed.partition}, offset {placed.offset}"
    when = _time(placed.request["at"])
    click.echo(f"{action} {account}/{number} at {when}: published to {where}")


# --- what is said -----------------------------------------------------------------------------


def _settings(account: str | None = None, number: str | None = None) -> "Settings":
    """The settings, after a look at what was typed: no broker is asked about a bad number."""
    from deploy.kafka.suppression_client import BadNumber, key_of_number

    if account is not None:
        try:
            key_of_number(account, number or "+447700900123")
        except BadNumber as error:
            raise click.UsageError(f"{error}") from error
    settings = read_settings()
    silence_libraries()
    return settings


def _fields(number: "Suppression") -> dict[str, object]:
    """The fields of the topic that senders rely on."""
    return {
        "account": number.account,
        "recipient": number.recipient,
        "suppressed": number.suppressed,
        "reasons": number.reasons,
        "since": number.since,
        "until": number.until,
        "strikes": number.strikes,
        "version": number.version,
    }


def _with_messages(number: "Suppression") -> dict[str, object]:
    from deploy.kafka.suppression_client import strikes_behind

    messages = [
        {
            "message_id": strike.message_id,
            "sent_at": strike.sent_at,
            "struck_at": strike.occurred_at,
            "code": strike.code,
            "counts": counts,
        }
        for counts, strikes in zip((True, False), strikes_behind(number), strict=True)
        for strike in strikes
    ]
    return {**_fields(number), "messages": messages, "decisions": _decisions(number)}


def _explained(number: "Suppression") -> str:
    from deploy.kafka.suppression_client import strikes_behind

    verdict = "suppressed" if number.suppressed else "not suppressed"
    lines = [f"{number.account}/{number.recipient}: {verdict}"]
    if number.suppressed:
        until = _time(number.until) if number.until else NO_END
        lines += [f"why      {_why(number)}", f"since    {_time(number.since)}"]
        lines += [f"until    {until}"]
    lines += [f"strikes  {number.strikes}"]
    counted, others = strikes_behind(number)
    for strikes, note in ((counted, ""), (others, "; does not count (any more)")):
        for strike in strikes:
            code = f", code {strike.code}" if strike.code else ""
            sent, struck = _time(strike.sent_at), _time(strike.occurred_at)
            lines.append(f"  {strike.message_id}: sent {sent}, struck {struck}{code}{note}")
    for decided in _decisions(number):
        said = " by {who}: {why}".format(**decided) if decided["who"] else ""
        lines.append(f"{decided['what']} {_time(int(decided['at']))}{said}")
    return "\n".join(lines)


def _decisions(number: "Suppression") -> list[dict[str, int | str]]:
    """What people and the recipient decided, by time: of each kind the latest is kept."""
    from models.suppression import ManualDecision

    facts = number.facts
    told = (
        ("suppressed", facts.suppressed_by_hand),
        ("released", facts.released),
        ("unsubscribed", ManualDecision(facts.unsubscribed_at)),
        ("resubscribed", ManualDecision(facts.resubscribed_at)),
    )
    return [
        {"what": what, "at": word.at, "who": word.who, "why": word.why}
        for what, word in sorted(told, key=lambda each: each[1])
        if word.at
    ]


def _why(number: "Suppression") -> str:
    return ", ".join(WORDS.get(reason, reason) for reason in number.reasons)


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
