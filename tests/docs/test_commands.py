"""What README and docs tell people to type exists: commands, options, settings, links."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from deploy.cli import cli
from models.issues import file_variable_of
from models.metrics import BY_NAME
from models.parsing import parse_receipt, parse_send
from models.refusal import Refusal
from models.service_links import is_service_link
from models.settings import IGNORED_VARIABLES, SECRETS, Settings, variable_of

ROOT = Path(__file__).parents[2]
#: Templates are parts of other pages.
DOCS = sorted(set(ROOT.glob("docs/**/*.md")) - set(ROOT.glob("docs/templates/*.md")))
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:^|[\s`/])receipts((?: [a-z-]+)(?: [^`\n|]*)?)")
NOW_MS = 1_772_366_404_000 + 1000

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page: Path, language: str) -> list[str]:
    """Fenced blocks of one language."""
    return [body for name, body in BLOCK.findall(page.read_text()) if name == language]


def typed(page: Path) -> Iterator[list[str]]:
    """Every `receipts …` that a page shows in a shell block or in backquotes, split into words."""
    text = page.read_text()
    shown = blocks(page, "sh") + re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))
    for line in "\n".join(shown).splitlines():
        words = shlex.split(line, comments=True)
        for place, word in enumerate(words):
            if word.split("/")[-1] == "receipts" and words[place + 1 : place + 2]:
                yield words[place + 1 :]


@pages
def test_a_block_of_settings_can_be_copied(page: Path) -> None:
    """As the environment of a process: the settings fit together."""
    for block in blocks(page, "sh"):
        words = shlex.split(block, comments=True)
        named = [word.partition("=") for word in words]
        if words and all(name.startswith("RECEIPTS_") and is_set for name, is_set, _ in named):
            Settings.read({name: value for name, _, value in named})


def check_command(words: list[str]) -> None:
    """Commands joined by | are each looked up; otherwise options must parse."""
    if "|" in words:
        for word in words:
            assert word == "|" or word in cli.commands, word
        return
    command: click.Command = cli.commands[words[0]]
    if isinstance(command, click.Group) and words[1:] and not words[1].startswith("-"):
        found = command.get_command(click.Context(command), words[1])
        assert found, f"receipts {' '.join(words)}"
        command = found
    options: dict[str, Any] = {o: p for p in command.params for o in p.opts}
    for word in words[1:]:
        if word.startswith("--"):
            assert word == "--help" or word in options, f"receipts {' '.join(words)}"
    assert isinstance(command, click.Command)


@pages
def test_every_command_and_option_exists(page: Path) -> None:
    for words in typed(page):
        if words[0] != "--help":
            check_command(words)


def test_the_pages_do_show_commands() -> None:
    shown = {words[0] for page in PAGES for words in typed(page)}
    assert shown >= {"worker", "sink", "migrate", "topics", "simulate", "demo"}


@pages
def test_every_setting_exists(page: Path) -> None:
    known = {variable_of(name) for name in Settings.model_fields} | IGNORED_VARIABLES
    known |= {file_variable_of(name) for name in SECRETS}
    named = set(re.findall(r"\bRECEIPTS_[A-Z_]*[A-Z]\b", page.read_text()))
    assert {name for name in named if not is_service_link(name, "10.0.0.1")} <= known


@pages
def test_every_metric_exists(page: Path) -> None:
    named = set(re.findall(r"\breceipts_[a-z_]+[a-z]\b", page.read_text()))
    assert named <= set(BY_NAME)


@pages
def test_every_make_target_exists(page: Path) -> None:
    rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for body in blocks(page, "sh"):
        assert set(re.findall(r"^make ([a-z-]+)", body, re.MULTILINE)) <= rules


@pages
def test_every_link_within_the_repository_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_settings_of_the_quickstart_are_valid() -> None:
    lines = "\n".join(blocks(ROOT / "docs/quickstart.md", "sh"))
    exported = dict(re.findall(r"^export (\w+)=(\S+)$", lines, re.MULTILINE))
    assert exported
    Settings.read(exported)


def test_the_events_of_the_quickstart_are_accepted() -> None:
    send, receipt = blocks(ROOT / "docs/quickstart.md", "json")
    assert json.loads(send)["message_id"] == json.loads(receipt)["message_id"]
    assert not isinstance(parse_send(send.encode(), NOW_MS), Refusal)
    assert not isinstance(parse_receipt(receipt.encode(), NOW_MS), Refusal)


def test_make_alone_shows_every_target_with_its_meaning() -> None:
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("install", "demo", "test", "test-quick", "lint", "bench", "check", "clean"):
        assert re.search(rf"^  make {target} +\S", done.stdout, re.MULTILINE), target


def test_every_dependency_has_its_line() -> None:
    page = (ROOT / "docs/dependencies.md").read_text()
    pins = re.findall(r'"([a-z0-9-]+)==', (ROOT / "pyproject.toml").read_text())
    assert pins
    for name in pins:
        assert name in page, name


def test_ci_runs_the_tests_as_in_the_readme() -> None:
    assert "make test" in "\n".join(blocks(ROOT / "README.md", "sh"))
    script = (ROOT / ".ci/run").read_text()
    assert re.search(r"\bmake .*\btest\b", script)
    assert re.search(r"\bmake .*\blint\b", script)


def test_the_output_in_the_readme_has_the_lines_of_the_demo() -> None:
    """Numbers differ from run to run; the lines do not."""
    (shown,) = [body for body in blocks(ROOT / "README.md", "text") if "ledger balances" in body]
    for line in (
        r"Totals",
        r" channel +messages +pending +delivered +read +soft +hard +rejected +deleted",
        r"Ledger",
        r"    50,000  events: \d+ accounts, .*",
        r" +[\d,]+  messages in messages_current",
        r" +[\d,]+  orphans: receipts whose send is unknown",
        r" +[\d,]+  dead letters: refused input, kept with its reason",
        r" +[\d,]+  unmatched: receipts of callbacks that name no known message",
        r" +0  lost",
        r"The ledger balances after [\d.]+ s\.",
    ):
        assert re.search(rf"^{line} *$", shown, re.MULTILINE), line
