"""The dashboard *runbook*: docs/runbook.md in Grafana, a row for each of its sections.

Alerts and dashboards link to it; it needs no address of the repository and no Internet.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import dashboard, text
from grafana_foundation_sdk.models.dashboard import GridPos
from grafana_foundation_sdk.models.text import TextMode

from deploy.monitoring.grafana.panels import WIDTH, new

PAGE: Final = Path(__file__).parents[3] / "docs/runbook.md"
_HEADING: Final = re.compile(r"^#{2,3} (.+)\n", re.MULTILINE)
#: Links between pages lead nowhere in Grafana.
_PAGE_LINK: Final = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]+\)")
#: Lines of text that a unit of the grid shows, and characters of a line.
_LINES: Final = 1.6
_LINE: Final = 160


def sections(page: str) -> list[tuple[str, str]]:
    """Title and text of each section; the first is what comes before all headings."""
    title = page.splitlines()[0].removeprefix("# ")
    parts = _HEADING.split(_PAGE_LINK.sub(r"\1", page))
    texts = [parts[0].split("\n", 1)[1], *parts[2::2]]
    return list(zip([title, *parts[1::2]], map(str.strip, texts), strict=True))


def _panel(body: str) -> text.Panel:
    wrapped = sum(1 + len(line) // _LINE for line in body.splitlines())
    return (
        text.Panel()
        .title("")
        .mode(TextMode.MARKDOWN)
        .content(body)
        .span(WIDTH)
        .height(2 + int(wrapped / _LINES))
        .transparent(True)
    )


def runbook() -> dashboard.Dashboard:
    """The dashboard: rows are collapsed, the on-call engineer opens the one of the alert.

    The row of a section that only has sections of its own is empty: a heading.
    """
    made = new("receipts-runbook", "Runbook", "What each alert means, and what to do.")
    made.time("now-1h", "now")
    for place, (name, body) in enumerate(sections(PAGE.read_text(encoding="utf-8"))):
        row = dashboard.Row(name).collapsed(True).grid_pos(GridPos(h=1, w=WIDTH, x=0, y=place))
        made.with_row(row.with_panel(_panel(body)) if body else row)
    return made
