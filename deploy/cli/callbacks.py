"""`receipts callbacks`: what providers call back with."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from deploy.cli import moments
from deploy.cli.callback_files import read
from deploy.cli.help import command, group
from deploy.processes.process import read_settings, silence_libraries
from deploy.progress import progress_bar, progress_of_steps

if TYPE_CHECKING:
    from deploy.kafka.callbacks_client import KeptCallback, Position
    from models.endpoints import Endpoint, EndpointsFile
    from models.settings import Settings

DEFAULT_ROWS: Final = 20
LINE: Final = "{:<12} {:<24}  {:<20} {:<12} {:>7}  {}"
#: Later than every callback.
NO_END: Final = 2**62

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@group(
    "receipts callbacks list",
    "receipts callbacks explain 3:1042",
    "receipts callbacks read twilio delivered.form",
)
def callbacks() -> None:
    """Look into what providers call back with, and what became of it.

    Needs Kafka only (RECEIPTS_BROKERS), and the file of endpoints (RECEIPTS_ENDPOINTS). Callbacks
    are kept for RECEIPTS_CALLBACK_DAYS.
    """


def settings_and_endpoints() -> tuple[Settings, EndpointsFile]:
    """Raises SettingsError with every mistake of both."""
    from deploy.processes.endpoints import required_endpoints

    settings = read_settings()
    silence_libraries()
    return settings, required_endpoints(settings)


def endpoint_named(file: EndpointsFile, name: str) -> Endpoint:
    """Raises click.UsageError with the names that are known."""
    found = file.endpoints.get(name)
    if found is None:
        known = ", ".join(file.endpoints) or "none"
        raise click.UsageError(f"--endpoint: {name!r} is not in the file of endpoints: {known}")
    return found


# --- list -----------------------------------------------------------------------------------------


@command(
    "receipts callbacks list",
    "receipts callbacks list --endpoint twilio-eu --since 2h --limit 100",
    "receipts callbacks list --refused --since 2026-11-01 --until 2026-11-02",
    "receipts callbacks list --account acme --json | jq '.[].position'",
)
@click.option("--endpoint", metavar="NAME", help="Only callbacks of this endpoint.")
@click.option("--account", help="Only callbacks of this account's endpoints.")
@moments.since()
@moments.until()
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=DEFAULT_ROWS, show_default=True,
    help="The newest so many.",
)  # fmt: skip
@click.option("--refused", is_flag=True, help="Only those of which something cannot be read.")
@_json
def list_(
    endpoint: str | None,
    account: str | None,
    since: int | None,
    until: int | None,
    limit: int,
    refused: bool,
    as_json: bool,
) -> None:
    """List the newest callbacks, and what each is read as today.

    Reads the topic from its end backwards. POSITION is what show and explain take. Copies that a
    replay has produced are left out.
    """
    from deploy.kafka.callbacks_client import Span, newest_callbacks

    settings, file = settings_and_endpoints()
    if endpoint is not None:
        endpoint_named(file, endpoint)
    of_account = [name for name, each in file.endpoints.items() if account in (None, each.account)]

    def is_wanted(kept: KeptCallback) -> bool:
        name = kept.raw.endpoint
        return (
            not kept.raw.replayed_at
            and endpoint in (None, name)
            and (account is None or name in of_account)
            and (not refused or _is_refused(kept, file))
        )

    span = Span(since or 0, NO_END if until is None else until)
    with progress_bar("callbacks read", None) as on_read:
        found = asyncio.run(newest_callbacks(settings, span, limit, is_wanted, on_read))
    rows = [_row(kept, file) for kept in found]
    if as_json:
        _print_json(rows)
    else:
        _print_rows(rows)


def _print_rows(rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        click.echo(LINE.format("position", "received", "endpoint", "verified by", "bytes", "is"))
    for row in rows:
        shown = (row[name] or "-" for name in ("position", "received_at", "endpoint", "verified"))
        click.echo(_printable(LINE.format(*shown, row["size"], row["reading"])))
    click.echo(f"{len(rows)} callbacks" if rows else "no callback is kept that fits")


def _row(kept: KeptCallback, file: EndpointsFile) -> dict[str, Any]:
    return {**_head(kept), "size": len(kept.raw.body), "reading": reading_in_short(kept, file)}


def _head(kept: KeptCallback) -> dict[str, Any]:
    from models.time import rfc3339

    raw = kept.raw
    return {
        "position": str(kept.position),
        "received_at": rfc3339(raw.received_at),
        "endpoint": raw.endpoint,
        "verified": raw.verified,
    }


def _faults(kept: KeptCallback, file: EndpointsFile) -> list[str]:
    """Why nothing of a callback can be read; none: its endpoint's adapter reads it."""
    if kept.fault:
        return [kept.fault]
    if kept.raw.endpoint not in file.endpoints:
        return [f"header endpoint: {kept.raw.endpoint!r} is not in the file of endpoints"]
    return []


def _is_refused(kept: KeptCallback, file: EndpointsFile) -> bool:
    from models.reading import read_callback

    if _faults(kept, file):
        return True
    items = read_callback(kept.raw, file.endpoints[kept.raw.endpoint])
    return any(each.fault for each in items)


def reading_in_short(kept: KeptCallback, file: EndpointsFile) -> str:
    """What a callback is read as, in a few words."""
    from models.providers.callback import Inbound
    from models.reading import read_callback

    if faults := _faults(kept, file):
        return f"refused: {faults[0]}"
    items = read_callback(kept.raw, file.endpoints[kept.raw.endpoint])
    statuses = [each.receipt.status for each in items if each.receipt is not None]
    inbound = sum(isinstance(each.item, Inbound) for each in items)
    parts = []
    if statuses:
        noun = "receipt" if len(statuses) == 1 else "receipts"
        parts.append(f"{len(statuses)} {noun}: {', '.join(statuses)}")
    if inbound:
        parts.append("inbound" if inbound == 1 else f"{inbound} inbound")
    parts += [f"refused: {each.fault}" for each in items if each.fault]
    return "; ".join(parts) or "no receipts"


# --- one callback ---------------------------------------------------------------------------------


def _position(_: click.Context, __: click.Parameter, written: str) -> Position:
    from deploy.kafka.callbacks_client import parse_position

    try:
        return parse_position(written)
    except ValueError as error:
        raise click.UsageError(
            f"POSITION: {error}. Fix: one of `receipts callbacks list`"
        ) from None


_position_argument = click.argument("position", callback=_position)


@command(
    "receipts callbacks show 3:1042",
    "receipts callbacks show 3:1042 --raw > body.form",
    "receipts callbacks show 3:1042 --json | jq .headers",
)
@_position_argument
@click.option("--raw", "as_bytes", is_flag=True, help="Write the body alone, byte for byte.")
@_json
def show(position: Position, as_bytes: bool, as_json: bool) -> None:
    """Print a callback as it was kept: its headers and its body.

    Signatures and secrets of the request are not kept. Numbers and texts are shown. Exit code 1
    when Kafka has no callback there.
    """
    from deploy.kafka.callbacks_client import callback_at

    if as_bytes and as_json:
        raise click.UsageError("--raw and --json exclude each other")
    settings, _ = settings_and_endpoints()
    kept = asyncio.run(callback_at(settings, position))
    body = kept.record.value or b""
    if as_bytes:
        click.get_binary_stream("stdout").write(body)
        return
    headers = {name: (text or b"").decode("utf-8", "replace") for name, text in kept.record.headers}
    text = _text_of(body)
    if as_json:
        encoded = None if text is not None else b64encode(body).decode()
        shown = {**_head(kept), "headers": headers, "body": text, "body_base64": encoded}
        _print_json(shown)
        return
    for name, words in {"position": str(position), **headers}.items():
        click.echo(_printable(f"{name:16}{words}"))
    click.echo(f"{'size':16}{len(body)}\n")
    unreadable = "not text: --raw writes its bytes"
    click.echo(unreadable if text is None else "\n".join(map(_printable, text.splitlines())))


def _text_of(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


@command(
    "receipts callbacks explain 3:1042",
    "receipts callbacks explain 3:1042 --json | jq '.items[].message'",
)
@_position_argument
@_json
def explain(position: Position, as_json: bool) -> None:
    """Explain what became of a callback, receipt by receipt.

    What it is read as today, by what each receipt finds its message, whether the workers know a
    link under that key, how long it has waited, and its dead letters. Reads the partition of each
    key from the changelog of the workers, which may take a while. Exit code 1 when Kafka has no
    callback there.
    """
    from deploy.cli.callback_explanation import explanation, lines

    settings, file = settings_and_endpoints()
    with progress_of_steps() as on_progress:
        found = asyncio.run(explanation(settings, file, position, on_progress))
    if as_json:
        _print_json(found)
        return
    for line in lines(found):
        click.echo(_printable(line))


# --- output ---------------------------------------------------------------------------------------


def _printable(text: str) -> str:
    """A line that neither moves the cursor nor sets colours."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _print_json(shown: Sequence[Any] | dict[str, Any]) -> None:
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())


for _name, _command in (("list", list_), ("show", show), ("explain", explain), ("read", read)):
    callbacks.add_command(_command, _name)
