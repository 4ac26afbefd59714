"""`receipts codes`: what providers' codes mean here."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from deploy.cli.help import command

if TYPE_CHECKING:
    from models.codes import Code, CodeTable


@command(
    "receipts codes",
    "receipts codes twilio",
    "receipts codes twilio 30005",
    "receipts codes aws TEXT_BLOCKED",
)
@click.argument("provider", required=False)
@click.argument("code", required=False)
def codes(provider: str | None, code: str | None) -> None:
    """List the tables of provider codes and the reasons, list one table, or explain one code.

    PROVIDER may be any of its names; letters may be in any case. A bounce or scope that a receipt
    gives itself precedes that of its code. Decimal codes of a provider without a table are read as
    the common GSM MAP values. All tables: docs/codes.md.
    """
    from deploy.cli.output import until_pipe_closes

    with until_pipe_closes():
        if provider is None:
            _list_tables()
        elif code is None:
            _list_codes(_table(provider))
        else:
            _explain(provider, _code(provider, code))


def _table(provider: str) -> CodeTable:
    from models.codes import PROVIDERS, table_of

    table = table_of(provider)
    if table is None:
        having = [one.provider for one in PROVIDERS.values() if one.find(provider) is not None]
        known = f"; as a code it is in {', '.join(having)}" if having else ""
        raise click.UsageError(f"{provider!r} has no table{known}. {_near_tables(provider)}")
    return table


def _near_tables(provider: str) -> str:
    from models.codes import PROVIDERS
    from models.codes.tables import provider_key

    tables = PROVIDERS.values()
    names = {name: one.provider for one in tables for name in (one.provider, *one.aliases)}
    near = difflib.get_close_matches(provider_key(provider), names, n=3)
    found = dict.fromkeys(names[name] for name in near)
    return f"Did you mean {' or '.join(found)}?" if near else "All tables: receipts codes"


def _code(provider: str, code: str) -> Code:
    from models.codes import code_of, table_of

    meaning = code_of(provider, code)
    if meaning is not None:
        return meaning
    table = table_of(provider)
    if table is None:
        wrong = f"{provider!r} has no table, and {code!r} is not a GSM MAP value"
        raise click.UsageError(f"{wrong}. {_near_tables(provider)}")
    near = _near_codes(table, code)
    fix = f"Near it: {', '.join(near)}" if near else f"All codes: receipts codes {table.provider}"
    raise click.UsageError(f"the table of {table.provider} has no code {code!r}. {fix}")


def _near_codes(table: CodeTable, code: str) -> list[str]:
    """Numbers by their distance, words by their letters."""
    listed = table.listed()
    if code.isdecimal():
        numbers = [one.code for one in listed if one.code.isdecimal()]
        return sorted(numbers, key=lambda number: abs(int(number) - int(code)))[:3]
    words = {word.casefold(): word for one in listed for word in (one.code, one.name) if word}
    return [words[near] for near in difflib.get_close_matches(code.casefold(), words, n=3)]


def _list_tables() -> None:
    from models.codes import PROVIDERS, REASONS

    rows = [
        (one.provider, str(len(one.listed())), ", ".join(one.extends), ", ".join(one.aliases))
        for one in PROVIDERS.values()
    ]
    _print(("provider", "codes", "reads also", "also called"), rows)
    click.echo()
    _print(("reason", "cause"), list(REASONS.items()))


def _list_codes(table: CodeTable) -> None:
    heading = [("provider", table.provider), ("also called", ", ".join(table.aliases) or "-")]
    _print(
        (), [*heading, ("reads also", ", ".join(table.extends) or "-"), ("source", table.source)]
    )
    click.echo()
    rows = [
        (one.provider, one.code, one.name or "-", one.bounce, one.scope or "-", one.reason,
         one.note or "-", one.words)
        for one in table.listed()
    ]  # fmt: skip
    _print(("table", "code", "name", "bounce", "scope", "reason", "note", "words"), rows)


def _explain(provider: str, code: Code) -> None:
    from models.codes import REASONS, table_of

    table = code.provider
    if table_of(provider) is None:
        table = f"{table}, since {provider!r} has no table. {_near_tables(provider)}"
    _print(
        (),
        [
            ("table", table),
            ("code", " ".join(filter(None, (code.code, code.name)))),
            ("words", code.words),
            ("reason", f"{code.reason}: {REASONS[code.reason]}"),
            ("bounce", code.bounce),
            ("scope", code.scope or "not known"),
            ("then", _consequence(code)),
            ("source", code.source),
        ],
    )


def _consequence(code: Code) -> str:
    if code.opt_out:
        return "an unsubscribe of this number on this channel; never retried"
    strike = code.bounce == "hard" and code.scope == "recipient"
    counted = "a strike against the number" if strike else "no strike"
    if code.blocked:
        return f"never retried, even if the receipt gives soft; {counted}"
    if code.bounce == "hard":
        return f"not retried; {counted}"
    return "retried, as the account's settings define"


def _print(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns, whole lines: they go through pipes."""
    lines = [head, *rows] if head else rows
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
