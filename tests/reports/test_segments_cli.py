"""`receipts segments …`: save, list, count, export and delete, and what is wrong in one line."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deploy.cli import cli
from tests.reports.queries import biggest
from tests.reports.truth import truth_of
from tests.reports.world import World

COMBINED = {
    "type": "combined",
    "op": "except",
    "parts": [{"type": "saved", "name": "Everybody"}, {"type": "saved", "name": "Reached"}],
}


@pytest.fixture
def world(worlds: list[World]) -> World:
    """One is enough: who belongs to segments is the business of other tests."""
    return worlds[0]


def run(world: World, name: str, *words: str) -> Result:
    """A command in this process."""
    account = f"--account={biggest(world)}"
    url = {"RECEIPTS_CLICKHOUSE_URL": world.url}
    return CliRunner().invoke(cli, ["segments", name, account, *words], env=url)


@pytest.fixture
def campaign(world: World) -> Iterator[str]:
    """The busiest campaign, of which three segments are saved; they are deleted again."""
    word = truth_of(world, biggest(world)).campaigns[0]
    saved = [
        run(world, "save", "Everybody", f"--campaign={word}"),
        run(world, "save", "Reached", f"--campaign={word}", "--did=delivered"),
        run(world, "save", "The rest", f"--definition={json.dumps(COMBINED)}"),
    ]
    assert [done.exit_code for done in saved] == [0, 0, 0], saved[-1].output
    yield word
    for name in ("Everybody", "Reached", "The rest"):
        run(world, "delete", name)


def numbers(world: World, name: str, campaign: str) -> set[str]:
    """People of the segments, from the truth."""
    sent = {
        (message.recipient, message.status in ("delivered", "read"))
        for (account, _), message in world.expected.messages.items()
        if account == biggest(world) and message.campaign_id == campaign
        and message.direction == "outbound"
    }  # fmt: skip
    reached = {number for number, delivered in sent if delivered}
    everybody = {number for number, _ in sent}
    return {"Everybody": everybody, "Reached": reached, "The rest": everybody - reached}[name]


@pytest.mark.parametrize("name", ["Everybody", "Reached", "The rest"])
def test_an_export_holds_its_members(
    world: World, campaign: str, name: str, tmp_path: Path
) -> None:
    expected = numbers(world, name, campaign)
    done = run(world, "export", name, "--with-suppressed")
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(io.StringIO(done.stdout, newline="")))
    assert {row["recipient"] for row in rows} == expected
    assert len(rows) == len(expected) > 0
    path = tmp_path / "members.json"
    assert run(world, "export", name, "--with-suppressed", "-o", str(path)).exit_code == 0
    members = json.loads(path.read_bytes())["sections"]["members"]
    assert {member["recipient"] for member in members} == expected


def test_members_are_listed_and_counted(world: World, campaign: str) -> None:
    total = len(numbers(world, "Everybody", campaign))
    done = run(world, "members", "Everybody", "--limit=2", "--with-suppressed")
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == f"2 of {total:,} people"
    words = ("members", "Everybody", "--limit=0")
    everybody = run(world, *words, "--with-suppressed").output.splitlines()
    assert everybody[-1] == f"{total:,} of {total:,} people"
    assert len(everybody) == total + 3
    lines = run(world, *words).output.splitlines()
    left = total - (len(lines) - 3)
    assert left > 1
    size = f"{total - left:,} people; {left} suppressed are left out"
    assert lines[-1] == f"{total - left:,} of {size}"
    exported = run(world, "export", "Everybody")
    assert len(exported.stdout.splitlines()) == total - left + 1
    assert exported.stderr == f"{size}. With them: --with-suppressed\n"


def test_segments_are_listed_shown_and_deleted(world: World, campaign: str) -> None:
    listed = run(world, "list").output.splitlines()[2:]
    assert [line.split("  ")[0] for line in listed] == ["Everybody", "Reached", "The rest"]
    assert json.loads(run(world, "show", "The rest").output) == COMBINED
    assert run(world, "delete", "Reached").output == "Reached: deleted\n"
    left = run(world, "list").output.splitlines()[2:]
    assert [line.split("  ")[0] for line in left] == ["Everybody", "The rest"]
    broken = run(world, "members", "The rest")
    assert broken.exit_code == 2
    assert "no segment is saved as 'Reached'" in broken.stderr


def test_saving_says_how_many_people_belong_to_it(world: World, campaign: str) -> None:
    total = len(numbers(world, "Reached", campaign))
    words = ["Reached", f"--campaign={campaign}", "--did=delivered"]
    saved = run(world, "save", *words).output
    found = re.fullmatch(r"Reached: ([\d,]+) people; (\d+) suppressed (?:is|are) left out\n", saved)
    assert found
    assert int(found[1].replace(",", "")) + int(found[2]) == total


def test_a_definition_can_stand_in_a_file(world: World, campaign: str, tmp_path: Path) -> None:
    path = tmp_path / "rest.json"
    path.write_text(json.dumps(COMBINED))
    assert run(world, "save", "The rest", f"--definition=@{path}").exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x", "--campaign=c", "--did=bought"], "definition.did: Invalid enum value 'bought'"),
        (["x", "--definition={}"], "definition: "),
        (["x", "--definition=no json"], "definition: "),
        (["", "--campaign=c"], "name: '' cannot be a name"),
        (
            ["x", '--definition={"type":"saved","name":"x"}'],
            "segment: it contains itself: x -> x. Fix: take 'x' out of 'x'",
        ),
    ],
)
def test_what_cannot_be_a_segment_is_one_line_and_exit_2(
    world: World, words: list[str], message: str
) -> None:
    done = run(world, "save", *words)
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(("receipts: " + message, "receipts: --" + message))
    assert ". Fix: " in line


@pytest.mark.parametrize("name", ["show", "delete", "members", "export"])
def test_a_name_nobody_saved_is_refused_with_the_fix(world: World, name: str) -> None:
    done = run(world, name, "Nobody")
    assert done.exit_code == 2
    assert done.stderr.startswith("receipts: name: no segment is saved as 'Nobody'. Fix: ")


def test_either_a_campaign_or_a_definition(world: World) -> None:
    for words in ([], ["--campaign=c", "--definition={}"]):
        done = run(world, "save", "x", *words)
        assert done.exit_code == 2
        assert "give either --campaign or --definition" in done.output
