"""`receipts callbacks read`: what a callback in a file is read as."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click

from deploy.cli.help import command
from deploy.exit_codes import FAILED, OK

if TYPE_CHECKING:
    from models.providers.callback import Callback, Item, Options, Provider

#: Content types by the ends of names.
_TYPES: Final = {
    ".form": "application/x-www-form-urlencoded",
    ".json": "application/json",
    ".txt": "text/plain",
}


@command(
    "receipts callbacks read twilio delivered.form",
    "receipts callbacks read vonage receipt.query --json",
    "receipts callbacks read firetext body --content-type application/x-www-form-urlencoded "
    "--zone Europe/London",
    "echo 'id:86 stat:UNDELIV err:001' | receipts callbacks read smpp - --codes gsm-map",
)
@click.argument("provider")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--content-type",
    metavar="TYPE",
    help="Of the body. Default: by the name's end: .form, .json, .txt; .query is a query string.",
)
@click.option("--zone", default="", metavar="ZONE", help="Of times that have none: Europe/London.")
@click.option("--codes", default="", metavar="TABLE", help="Table of codes: receipts codes.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def read(
    provider: str, file: BinaryIO, content_type: str | None, zone: str, codes: str, as_json: bool
) -> None:
    """Print what a callback of PROVIDER is read as. FILE has its body, or its query string.

    Needs no Kafka. Providers are listed in docs/providers.md. Exit code 0 when everything in it can
    be read, 1 when something is refused, 2 when an option is wrong.
    """
    from models import providers

    adapter = _adapter(provider)
    callback = _callback(file.read(), Path(file.name).suffix, content_type)
    items = providers.read(adapter, callback, _options(zone, codes))
    shown = [shown_item(item) for item in items]
    _print(shown, as_json)
    sys.exit(FAILED if any(_is_unread(item) for item in items) else OK)


def _adapter(name: str) -> Provider:
    from models.providers import ADAPTERS, adapter_of

    adapter = adapter_of(name)
    if adapter is None:
        known = ", ".join(ADAPTERS)
        raise click.UsageError(f"PROVIDER: {name!r} is not known. Fix: one of {known}")
    return adapter


def _callback(content: bytes, suffix: str, content_type: str | None) -> Callback:
    from models.providers.callback import Callback

    if suffix == ".query" and content_type is None:
        return Callback(query=content.decode("utf-8", "replace").strip().lstrip("?"))
    return Callback(body=content, content_type=content_type or _TYPES.get(suffix, ""))


def _options(zone: str, codes: str) -> Options:
    from models.codes import table_of
    from models.providers.callback import Options
    from models.time import is_zone

    if zone and not is_zone(zone):
        raise click.UsageError(f"--zone: {zone!r} is not an IANA name of a zone")
    if codes and table_of(codes) is None:
        raise click.UsageError(f"--codes: {codes!r} has no table. All tables: receipts codes")
    return Options(zone=zone, codes=codes)


def _is_unread(item: Item) -> bool:
    from models.providers.callback import Unread

    return isinstance(item, Unread)


def shown_item(item: Item) -> dict[str, Any]:
    """As the JSON has it; `refused` is why there is no receipt."""
    from models.providers.callback import Inbound, Other, ProviderReceipt, Unread, meaning_of
    from models.time import rfc3339

    if isinstance(item, Unread):
        return {"refused": item.reason, "provider_message_id": item.provider_message_id or None}
    if isinstance(item, Inbound):
        return {"refused": "no receipt: a message to us"}
    if isinstance(item, Other):
        return {"refused": f"no receipt: {item.what}"}
    assert isinstance(item, ProviderReceipt)
    status, bounce, scope = meaning_of(item)
    return {
        "provider_message_id": item.provider_message_id or None,
        "reference": item.reference or None,
        "recipient": item.recipient,
        "status": status,
        "word": item.word,
        "bounce": bounce or None,
        "scope": scope or None,
        "error_code": item.error_code,
        "words": item.words or None,
        "occurred_at": None if item.occurred_at is None else rfc3339(item.occurred_at),
        "local_time": item.local_time,
        "mccmnc": item.mccmnc or None,
        "price": item.price or None,
        "currency": item.currency or None,
        "part": item.part or None,
        "parts": item.parts or None,
    }


def _print(shown: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())
        return
    for number, item in enumerate(shown, 1):
        click.echo(f"{number} of {len(shown)}")
        for name, value in item.items():
            if value is not None:
                click.echo(f"  {name:20}{value}")
    if not shown:
        click.echo("nothing")
