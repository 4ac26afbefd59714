"""The commands of README and quickstart that need no server are run as they stand there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.test_commands import blocks

ROOT = Path(__file__).parents[2]
QUICKSTART = "\n".join(blocks(ROOT / "docs/quickstart.md", "sh"))
DEMOS = re.findall(r"^\.venv/bin/receipts (demo .*)$", QUICKSTART, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("line", DEMOS)
def test_a_demo_of_the_quickstart_runs(line: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.cli", *line.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_quickstart_shows_demos() -> None:
    assert len(DEMOS) == 2


def test_the_output_in_the_readme_has_the_form_of_todays() -> None:
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
        r" +0  lost",
        r"The ledger balances after [\d.]+ s\.",
    ):
        assert re.search(rf"^{line} *$", shown, re.MULTILINE), line
