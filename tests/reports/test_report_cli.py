"""`receipts report …`: every report in every format, its help, and what is wrong in one line."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import openpyxl
import pytest
from click.testing import CliRunner, Result

from deploy.cli import cli
from deploy.embedded.brokers import free_port
from reports.catalogue import BY_NAME, REPORTS
from reports.definition.report import Report
from reports.exports import FORMATS, export
from tests.deploy.test_cli import receipts
from tests.reports.queries import biggest, required_params
from tests.reports.truth import truth_of
from tests.reports.world import World

every_report = pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)


@pytest.fixture
def world(worlds: list[World]) -> World:
    """One is enough: what reports say is the business of other tests."""
    return worlds[0]


def arguments(world: World, report: Report) -> list[str]:
    """The required options, and the days of the world."""
    required = required_params(truth_of(world, biggest(world)), report)
    params = [f"--{name.replace('_', '-')}={value}" for name, value in required.items()]
    days = [f"--until={world.now.date()}"] if report.has_period else []
    return ["report", report.name, f"--account={biggest(world)}", *params, *days]


def run(world: World, *words: str) -> Result:
    """A command in this process."""
    return CliRunner().invoke(cli, words, env={"RECEIPTS_CLICKHOUSE_URL": world.url})


# --- every report -----------------------------------------------------------------------------


@every_report
def test_a_table_shows_every_section(world: World, report: Report) -> None:
    done = run(world, *arguments(world, report))
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"{report.title} · {biggest(world)} · ")
    for section in report.sections:
        assert not section.name or f"\n{section.title}\n" in done.output


@every_report
def test_csv_of_every_section(world: World, report: Report) -> None:
    for section in report.sections:
        chosen = [f"--section={section.option}"] if len(report.sections) > 1 else []
        words = ["--format=csv", "--columns=all"]
        done = run(world, *arguments(world, report), *chosen, *words)
        assert done.exit_code == 0, done.output
        head, *rows = csv.reader(io.StringIO(done.stdout, newline=""))
        assert head == [column.name for column in section.columns]
        assert all(len(row) == len(head) for row in rows)


@every_report
def test_json_has_every_section(world: World, report: Report) -> None:
    done = run(world, *arguments(world, report), "--format=json", "--limit=5")
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert list(content["sections"]) == [one.option for one in report.sections]
    for section, rows in zip(report.sections, content["sections"].values(), strict=True):
        assert section.shape != "rows" or len(rows) <= 5


@every_report
def test_xlsx_has_a_sheet_for_every_section(world: World, report: Report, tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    done = run(world, *arguments(world, report), f"--output={path}")
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert not done.stderr or "With them: --with-suppressed yes" in done.stderr
    assert len(openpyxl.load_workbook(path).sheetnames) == len(report.sections) + 1


@every_report
def test_the_help_has_every_filter_column_and_meaning(report: Report) -> None:
    done = CliRunner().invoke(cli, ["report", report.name, "--help"], terminal_width=400)
    assert done.exit_code == 0
    assert report.about in done.output
    for one in report.own_filters:
        assert f"--{one.name.replace('_', '-')}" in done.output
        assert one.meaning in done.output
        assert all(choice in done.output for choice in one.choices)
    for section in report.sections:
        assert section.meaning in done.output
        for column in section.columns:
            assert column.meaning in done.output


@every_report
def test_the_examples_of_the_help_can_be_typed(report: Report) -> None:
    group = cli.commands["report"]
    assert isinstance(group, click.Group)
    command = group.get_command(click.Context(group), report.name)
    examples = command.examples  # type: ignore[union-attr]
    assert examples
    for example in examples:
        program, group_name, name, *words = example.partition(" | ")[0].split()
        assert (program, group_name, name) == ("receipts", "report", report.name)
        command.make_context(name, words)  # type: ignore[union-attr]


@every_report
def test_the_sql_that_is_printed_can_be_run(world: World, report: Report) -> None:
    done = run(world, *arguments(world, report), "--sql", "--limit=3")
    assert done.exit_code == 0
    statements = done.stdout.split(";\n\n")[:-1]
    assert len(statements) == len(report.sections)
    for section, statement in zip(report.sections, statements, strict=True):
        rows = world.database.rows(statement, {}).rows
        assert section.shape != "rows" or len(rows) <= 3


# --- what is shown ----------------------------------------------------------------------------


def test_the_file_is_the_export(world: World, tmp_path: Path) -> None:
    from reports.query.lookups import zone_of
    from reports.query.query import parse_query

    report, path = BY_NAME["messages"], tmp_path / "messages.csv"
    words = ["--source=direct", "--source=program", "--columns=recipient, sent_at", "-o", str(path)]
    assert run(world, *arguments(world, report), *words).exit_code == 0
    account = biggest(world)
    params = {"source": ["direct", "program"], "until": [world.now.date().isoformat()]}
    query = parse_query(report, account, zone_of(world.database, account), params, world.now)
    columns = ["recipient", "sent_at"]
    pieces = export(FORMATS["csv"], world.database, report.sections, query, columns)
    assert path.read_bytes() == b"".join(pieces)
    assert list(tmp_path.iterdir()) == [path]


def test_a_long_table_says_how_many_more_there_are(world: World) -> None:
    words = arguments(world, BY_NAME["messages"])
    lines = run(world, *words).output.splitlines()
    assert len(lines) == 1 + 2 + 25 + 1
    total = int(lines[-1].split()[2].replace(",", ""))
    assert lines[-1] == f"25 of {total:,} rows. All of them: --limit 0, or -o FILE"
    everything = run(world, *words, "--limit=0").output.splitlines()
    assert len(everything) == 1 + 2 + total


def test_numbers_and_shares_are_written_for_people(world: World) -> None:
    words = arguments(world, BY_NAME["overview"])
    output = run(world, *words, "--section=totals").output
    (row,) = json.loads(run(world, *words, "--section=totals", "--format=json").stdout)["sections"][
        "totals"
    ]
    lines = dict(line.rsplit(None, 1) for line in output.splitlines()[3:])
    assert lines["Sent"] == f"{row['sent']:,}"
    assert lines["Delivery rate"] == f"{row['delivery_rate']:.1%}"


def test_nothing_to_show_says_what_to_do(world: World) -> None:
    words = ["report", "messages", f"--account={biggest(world)}", "--until=2001-01-01"]
    done = run(world, *words)
    assert done.exit_code == 0
    assert done.output.endswith("Nothing matches these filters.\n")


# --- what is wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--source=carrier pigeon"], "--source: carrier pigeon is not known. Fix: use "),
        (
            ["--since=2026-13-01"],
            "--since: '2026-13-01' is not a date. Fix: write it as 2026-11-22",
        ),
        (["--last=0"], "--last: '0' is not a number of days. Fix: give 1 to 400"),
        (["--channel=sms", "--channel=whatsapp"], "--channel: is given more than once. Fix: "),
        (["--columns=nonsense"], "--columns: 'nonsense' is not a column of 'Messages'. Fix: use "),
        (["--account=acme"], "--account: 'acme' has no messages and no settings. Fix: use one of "),
    ],
)
def test_an_invalid_query_is_one_line_and_exit_2(
    world: World, words: list[str], message: str
) -> None:
    done = run(world, *arguments(world, BY_NAME["messages"]), *words)
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"receipts: {message}")


def test_all_issues_are_reported_at_once(world: World) -> None:
    words = ["--status=lost", "--until=today", "--carrier-status=asleep"]
    done = run(world, *arguments(world, BY_NAME["messages"]), *words)
    assert done.exit_code == 2
    named = [line.split(": ")[1] for line in done.stderr.splitlines()]
    assert sorted(named) == ["--carrier-status", "--status", "--until"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format=csv"], "--section: csv holds one section"),
        (["--output=report.txt"], "--output: report.txt has no known extension. Fix: "),
        (["--output=report.csv", "--format=table"], "--output: a table cannot be a file. Fix: "),
    ],
)
def test_formats_that_do_not_fit_are_refused(world: World, words: list[str], message: str) -> None:
    done = run(world, *arguments(world, BY_NAME["overview"]), *words)
    assert done.exit_code == 2
    assert message in f"{done.stderr}{done.exception}"


def test_a_file_that_exists_stays_unless_forced(world: World, tmp_path: Path) -> None:
    path = tmp_path / "kept.csv"
    path.write_text("mine")
    words = [*arguments(world, BY_NAME["messages"]), f"--output={path}"]
    refused = run(world, *words)
    assert isinstance(refused.exception, SystemExit)
    assert "kept.csv exists. Fix: add --force to replace it" in refused.output
    assert path.read_text() == "mine"
    assert run(world, *words, "--force").exit_code == 0
    assert path.read_text().startswith('"sent_at"')


def test_an_export_that_fails_leaves_no_file(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> Iterator[bytes]:
        yield b"half of it"
        raise KeyboardInterrupt

    monkeypatch.setattr("reports.exports.export", interrupted)
    done = run(world, *arguments(world, BY_NAME["messages"]), f"--output={tmp_path}/half.csv")
    assert done.exit_code != 0
    assert list(tmp_path.iterdir()) == []


def test_a_clickhouse_that_is_away_is_one_line_without_its_password() -> None:
    url = f"http://reader:hush@127.0.0.1:{free_port()}/receipts"
    done = receipts("report", "overview", "--account=acme", clickhouse_url=url)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("receipts: error: http://reader:***@127.0.0.1:")
    assert "Fix: start it, or set RECEIPTS_CLICKHOUSE_URL" in line


def test_a_database_without_tables_says_to_migrate(world: World) -> None:
    url = world.url.rpartition("/")[0] + "/nothing_here"
    done = receipts("report", "overview", "--account=acme", clickhouse_url=url)
    assert done.returncode == 1
    assert done.stderr.startswith("receipts: error: ")
    assert "Fix: run `receipts migrate`" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_message_is_refused_with_the_form_wanted(world: World) -> None:
    for more in ([], ["--format=json"], ["--sql"]):
        done = run(
            world, "report", "message", f"--account={biggest(world)}", "--message-id=x", *more
        )
        assert (done.exit_code, done.stdout) == (2, "")
        line = "receipts: --message-id: 'x' is not known. Fix: give the id as the sending service"
        assert done.stderr.startswith(line)


def test_our_reading_is_a_column_like_others_and_not_in_the_sql(world: World) -> None:
    words = [*arguments(world, BY_NAME["message"]), "--section=timeline"]
    listed = run(world, *words, "--columns=event,reading", "--format=csv")
    assert listed.stdout.splitlines()[:2] == ['"event","reading"', '"sent",""']
    sql = run(world, *words, "--columns=event,reading", "--sql")
    assert "SELECT event\nFROM report_message_timeline(" in sql.stdout


def test_an_unknown_report_is_refused() -> None:
    done = receipts("report", "overviw")
    assert done.returncode == 2
    assert "No such command 'overviw'" in done.stderr


def test_a_reader_that_goes_away_is_no_error(world: World) -> None:
    words = [*arguments(world, BY_NAME["messages"]), "--format=csv"]
    with subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", *words],
        env={**os.environ, "RECEIPTS_CLICKHOUSE_URL": world.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0
