"""The commands about saved segments of people: `receipts segments …`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from deploy.answering import (
    FILES,
    answering,
    format_of,
    opened,
    output_options,
    require_account,
    rows_told,
    until_nobody_reads,
)
from deploy.cli_help import command, group
from deploy.process import read_settings

if TYPE_CHECKING:
    from reports.query.database import Database
    from reports.segments.model import Node
    from reports.segments.saved import Segment
    from reports.segments.store import SegmentStore

DEFAULT_ROWS: Final = 25
ACCOUNT: Final = click.option("--account", required=True, help="The tenant.")
NAME: Final = click.argument("name")


@group("receipts segments --help")
def segments() -> None:
    """Save groups of people, list who belongs to them, export them.

    A segment is people who did, or did not, something in campaigns. Its definition is stored; who
    belongs to it is asked anew every time. Saving and deleting need a user of ClickHouse that may
    insert into `segments`.
    """


@command("receipts segments list --account acme")
@ACCOUNT
def list_(account: str) -> None:
    """List the saved segments."""
    from deploy.report_tables import show_rows
    from reports.definition.columns import moment, text
    from reports.query.lookups import zone_of
    from reports.segments.model import write
    from reports.segments.saved import segments as saved

    columns = (
        text("name", "Name", "its name"),
        moment("updated_at", "Saved at", "when it was saved last"),
        text("definition", "Definition", "who belongs to it"),
    )
    with until_nobody_reads(), answering() as database:
        require_account(database, account)
        found = saved(database, account)
        if not found:
            click.echo("no segment is saved. Save one: receipts segments save --help")
            return
        rows = [(one.name, one.updated_at, write(one.definition)) for one in found]
        show_rows(columns, rows, zone_of(database, account))


@command("receipts segments show --account acme Buyers")
@ACCOUNT
@NAME
def show(account: str, name: str) -> None:
    """Print the definition of a segment as JSON."""
    from reports.segments.model import write

    with answering() as database:
        click.echo(write(_saved(database, account, name).definition))


@command(
    "receipts segments save --account acme Clickers --campaign spring-sale --did clicked",
    "receipts segments save --account acme Quiet --campaign spring-sale --did clicked --not",
    "receipts segments save --account acme Both --definition @both.json",
)
@ACCOUNT
@NAME
@click.option("--campaign", multiple=True, help="Id of a campaign; may be given several times.")
@click.option("--did", help="What people did there, a tab of the report recipients; else sent.")
@click.option("--not", "not_", is_flag=True, help="Those who did it in none of them.")
@click.option(
    "--link", multiple=True, help="Only who clicked this link; may be given several times."
)
@click.option("--channel", help="Only messages of this channel, sms or whatsapp; else both.")
@click.option("--definition", help="All that as JSON, or @FILE that holds it; @- for stdin.")
def save(account: str, name: str, definition: str | None, **people: Any) -> None:
    """Save a segment, or replace the one of that name.

    With --definition segments can be combined: "and", "or", "except".
    """
    if (definition is None) == (not people["campaign"]):
        raise click.UsageError("give either --campaign or --definition")
    from reports.segments.members import count

    with answering() as database:
        require_account(database, account)
        node = _people(**people) if definition is None else _parsed(definition)
        with _store() as store:
            store.save(account, name, node, datetime.now(UTC))
        click.echo(f"{name}: {count(database, account, node):,} people")


def _people(
    campaign: Sequence[str],
    did: str | None,
    not_: bool,
    link: Sequence[str],
    channel: str | None,
) -> Node:
    import msgspec

    from reports.segments.model import parse

    raw_params = {"type": "people", "campaigns": campaign, "did": did or "sent", "not": not_}
    return parse(msgspec.json.encode({**raw_params, "links": link, "channel": channel}))


def _parsed(definition: str) -> Node:
    from reports.segments.model import parse

    if not definition.startswith("@"):
        return parse(definition)
    with click.open_file(definition[1:], encoding="utf-8") as file:
        return parse(file.read())


@command("receipts segments delete --account acme Buyers")
@ACCOUNT
@NAME
def delete(account: str, name: str) -> None:
    """Delete a segment. Segments that name it can no longer be asked."""
    with answering() as database, _store() as store:
        _saved(database, account, name)
        store.delete(account, name, datetime.now(UTC))
        click.echo(f"{name}: deleted")


@command(
    "receipts segments members --account acme Buyers",
    "receipts segments members --account acme Buyers --limit 0",
)
@ACCOUNT
@NAME
@click.option(
    "--limit", type=click.IntRange(0), default=DEFAULT_ROWS, help="Rows at most, 0 for all."
)
def members(account: str, name: str, limit: int) -> None:
    """List who belongs to a segment now, and count them."""
    from deploy.report_tables import show_rows
    from reports.query.lookups import zone_of
    from reports.segments.members import COLUMNS, count, members

    with until_nobody_reads(), answering() as database:
        node = _saved(database, account, name).definition
        rows = members(database, account, node, limit).rows
        show_rows(COLUMNS, rows, zone_of(database, account))
        click.echo(f"{len(rows):,} of {count(database, account, node):,} people")


@command(
    "receipts segments export --account acme Buyers -o buyers.xlsx",
    "receipts segments export --account acme Buyers --format csv | head",
)
@ACCOUNT
@NAME
def export(account: str, name: str, form: str | None, output: Path | None, force: bool) -> None:
    """Write everybody who belongs to a segment now to a file."""
    from reports.exports import FORMATS, start_export
    from reports.segments.document import document_of_segment
    from reports.segments.members import count

    form = format_of(form, output, FILES[0])
    with until_nobody_reads(), answering() as database:
        segment = _saved(database, account, name)

        book = document_of_segment(database, account, segment)

        def total() -> int:
            return count(database, account, segment.definition)

        with opened(output, force=force) as write, rows_told(total) as tell:
            for piece in start_export(FORMATS[form], book, tell):
                write(piece)


export.params += output_options(FILES)


def _saved(database: Database, account: str, name: str) -> Segment:
    """A saved segment. Raises InvalidQuery that names those there are."""
    from models.issues import Issue
    from reports.query.query import InvalidQuery
    from reports.segments.saved import segments as saved

    require_account(database, account)
    found = {one.name: one for one in saved(database, account)}
    if name not in found:
        fix = f"there are {', '.join(found)}" if found else "save one with receipts segments save"
        raise InvalidQuery([Issue("name", f"no segment is saved as {name!r}", fix)])
    return found[name]


@contextmanager
def _store() -> Iterator[SegmentStore]:
    from reports.segments.store import SegmentStore

    store = SegmentStore(read_settings().reports_url)
    try:
        yield store
    finally:
        store.close()


for _name, _command in (
    ("list", list_),
    ("show", show),
    ("save", save),
    ("delete", delete),
    ("members", members),
    ("export", export),
):
    segments.add_command(_command, _name)
