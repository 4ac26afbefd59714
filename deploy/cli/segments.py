"""The commands about saved segments of people: `receipts segments …`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from deploy.cli.database import open_database, require_account
from deploy.cli.help import command, group
from deploy.cli.output import (
    FILES,
    format_of,
    opened,
    output_options,
    row_progress,
    until_pipe_closes,
)
from deploy.processes.process import read_settings

if TYPE_CHECKING:
    from reports.query.database import Database
    from reports.segments.model import Node
    from reports.segments.saved import Segment
    from reports.segments.store import SegmentStore

DEFAULT_ROWS: Final = 25
ACCOUNT: Final = click.option("--account", required=True, help="The tenant.")
NAME: Final = click.argument("name")
WITH_SUPPRESSED: Final = click.option(
    "--with-suppressed", is_flag=True, help="Also people who are suppressed; default: without them."
)


@group("receipts segments --help")
def segments() -> None:
    """Save, list and export groups of people.

    A segment is the people who did, or did not do, something in campaigns. Only its definition is
    stored; every command computes the members again. Saving and deleting need a ClickHouse user
    that may insert into `segments`.
    """


@command("receipts segments list --account acme")
@ACCOUNT
def list_(account: str) -> None:
    """List the saved segments."""
    from deploy.cli.tables import show_rows
    from reports.definition.columns import moment, text
    from reports.query.lookups import zone_of
    from reports.segments.model import write
    from reports.segments.saved import segments as saved

    columns = (
        text("name", "Name", "name of the segment"),
        moment("updated_at", "Saved at", "when it was last saved"),
        text("definition", "Definition", "rule for its members, as JSON"),
    )
    with until_pipe_closes(), open_database() as database:
        require_account(database, account)
        found = saved(database, account)
        if not found:
            click.echo("there are no segments. Save one: receipts segments save --help")
            return
        rows = [(one.name, one.updated_at, write(one.definition)) for one in found]
        show_rows(columns, rows, zone_of(database, account))


@command("receipts segments show --account acme Buyers")
@ACCOUNT
@NAME
def show(account: str, name: str) -> None:
    """Print the definition of a segment as JSON."""
    from reports.segments.model import write

    with open_database() as database:
        click.echo(write(_saved(database, account, name).definition))


@command(
    "receipts segments save --account acme Clickers --campaign spring-sale --did clicked",
    "receipts segments save --account acme Quiet --campaign spring-sale --did not_clicked",
    "receipts segments save --account acme Both --definition @both.json",
)
@ACCOUNT
@NAME
@click.option("--campaign", multiple=True, help="Id of a campaign. Repeatable.")
@click.option("--did", help="What they did there: a tab of the report recipients; default: sent.")
@click.option("--not", "not_", is_flag=True, help="Only those who did it in none of the campaigns.")
@click.option("--link", multiple=True, help="Only those who clicked this link. Repeatable.")
@click.option("--channel", help="Only messages of this channel, sms or whatsapp; default: both.")
@click.option("--definition", help="The definition as JSON, or @FILE with it; @- for stdin.")
def save(account: str, name: str, definition: str | None, **people: Any) -> None:
    """Save a segment, or replace the one of that name.

    A --definition can combine segments: "and", "or", "except".
    """
    if (definition is None) == (not people["campaign"]):
        raise click.UsageError("give either --campaign or --definition, not both")
    from reports.segments.members import count

    with open_database() as database:
        require_account(database, account)
        node = _campaign_members(**people) if definition is None else _parsed(definition)
        with _store() as store:
            store.save(account, name, node, datetime.now(UTC))
        click.echo(f"{name}: {count(database, account, node)}")


def _campaign_members(
    campaign: Sequence[str],
    did: str | None,
    not_: bool,
    link: Sequence[str],
    channel: str | None,
) -> Node:
    import msgspec

    from reports.segments.model import parse

    fields = {"type": "people", "campaigns": campaign, "did": did or "sent", "not": not_}
    return parse(msgspec.json.encode({**fields, "links": link, "channel": channel}))


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
    """Delete a segment. Segments that refer to it stop working."""
    with open_database() as database, _store() as store:
        _saved(database, account, name)
        store.delete(account, name, datetime.now(UTC))
        click.echo(f"{name}: deleted")


@command(
    "receipts segments members --account acme Buyers",
    "receipts segments members --account acme Buyers --limit 0",
)
@ACCOUNT
@NAME
@WITH_SUPPRESSED
@click.option("--limit", type=click.IntRange(0), default=DEFAULT_ROWS, help="Most rows; 0: all.")
def members(account: str, name: str, with_suppressed: bool, limit: int) -> None:
    """List and count the current members of a segment."""
    from deploy.cli.tables import show_rows
    from reports.query.lookups import zone_of
    from reports.segments.members import COLUMNS, count, members

    with until_pipe_closes(), open_database() as database:
        node = _saved(database, account, name).definition
        rows = members(database, account, node, limit, with_suppressed=with_suppressed).rows
        show_rows(COLUMNS, rows, zone_of(database, account))
        size = count(database, account, node, with_suppressed=with_suppressed)
        click.echo(f"{len(rows):,} of {size}")


@command(
    "receipts segments export --account acme Buyers -o buyers.xlsx",
    "receipts segments export --account acme Buyers --format csv | head",
)
@ACCOUNT
@NAME
@WITH_SUPPRESSED
def export(
    account: str,
    name: str,
    with_suppressed: bool,
    form: str | None,
    output: Path | None,
    force: bool,
) -> None:
    """Write the current members of a segment to a file."""
    from reports.exports import FORMATS, start_export
    from reports.segments.document import document_of_segment
    from reports.segments.members import count

    form = format_of(form, output, FILES[0])
    with until_pipe_closes(), open_database() as database:
        segment = _saved(database, account, name)
        document = document_of_segment(database, account, segment, with_suppressed=with_suppressed)
        size = count(database, account, segment.definition, with_suppressed=with_suppressed)
        with opened(output, force=force) as write, row_progress(lambda: size.people) as on_rows:
            for chunk in start_export(FORMATS[form], document, on_rows):
                write(chunk)
        if size.left_out:
            click.echo(f"{size}. With them: --with-suppressed", err=True)


export.params += output_options(FILES)


def _saved(database: Database, account: str, name: str) -> Segment:
    """A saved segment. Raises InvalidQuery with the names of the saved ones."""
    from models.issues import Issue
    from reports.query.query import InvalidQuery
    from reports.segments.saved import segments as saved

    require_account(database, account)
    found = {one.name: one for one in saved(database, account)}
    if name not in found:
        fix = f"use one of {', '.join(found)}" if found else "save one with receipts segments save"
        raise InvalidQuery([Issue("name", f"no segment is saved as {name!r}", fix)])
    return found[name]


@contextmanager
def _store() -> Iterator[SegmentStore]:
    from reports.segments.store import SegmentStore

    store = SegmentStore(read_settings(clickhouse=True).reports_url)
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
