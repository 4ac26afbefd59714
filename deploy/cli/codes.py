"""`receipts codes`: what providers' codes mean here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from deploy.cli.help import command

if TYPE_CHECKING:
    from models.codes import Code


@command(
    "receipts codes",
    "receipts codes twilio",
    "receipts codes twilio 30005",
    "receipts codes aws TEXT_BLOCKED",
)
@click.argument("provider", required=False)
@click.argument("code", required=False)
def codes(provider: str | None, code: str | None) -> None:
    """List the tables of provider codes, list one table, or explain one code.

    PROVIDER and CODE may be in any case. Decimal codes of a provider without a table are read as
    the common GSM MAP values. All tables: docs/codes.md.
    """
    from models.codes import code_of, table_of

    if provider is None:
        _list_tables()
    elif code is not None:
        meaning = code_of(provider, code)
        if meaning is None:
            raise click.UsageError(f"no table has the code {code!r} of {provider!r}")
        _explain(meaning)
    else:
        table = table_of(provider)
        if table is None:
            raise click.UsageError(f"{provider!r} has no table; those there are: `receipts codes`")
        _list_codes(table.listed())


def _list_tables() -> None:
    from models.codes import PROVIDERS

    tables = PROVIDERS.values()
    rows = [
        (table.provider, str(len(table.listed())), " ".join((*table.extends, *table.aliases)))
        for table in tables
    ]
    _print(("provider", "codes", "extends, also called"), rows)


def _list_codes(listed: Sequence[Code]) -> None:
    rows = [
        (code.code, code.bounce, code.scope or "-", code.reason, code.note, code.words)
        for code in listed
    ]
    _print(("code", "bounce", "scope", "reason", "note", "provider's words"), rows)


def _explain(code: Code) -> None:
    from models.codes import REASONS

    rows = [
        ("table", code.provider),
        ("code", " ".join(filter(None, (code.code, code.name)))),
        ("provider's words", code.words),
        ("reason", f"{code.reason}: {REASONS[code.reason]}"),
        ("bounce", code.bounce),
        ("scope", code.scope or "not known"),
        ("then", _consequence(code)),
        ("source", code.source),
    ]
    _print((), rows)


def _consequence(code: Code) -> str:
    if code.opt_out:
        return "an unsubscribe of this number on this channel; never retried"
    if code.blocked or code.bounce == "hard":
        strike = code.bounce == "hard" and code.scope == "recipient"
        return "not retried; " + ("a strike against the number" if strike else "no strike")
    return "retried, as the account's settings say"


def _print(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns, whole lines: they go through pipes."""
    lines = [head, *rows] if head else rows
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
