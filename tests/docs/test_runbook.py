"""docs/runbook.md has a section for every alert, with its four headings, and for no other."""

import re

import pytest

from tests.support.rules import RUNBOOK, alerts

HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
PAGE = RUNBOOK.read_text(encoding="utf-8")
NAMES = sorted({alert["alert"] for alert in alerts()})


def part(area: str) -> str:
    """The part of the page with the alerts of an area."""
    found = re.search(rf"^## Alerts of the {area}\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def sections() -> dict[str, str]:
    """Text by heading of the third level, in the parts of alerts."""
    text = part("machine") + part("business")
    _, *rest = re.split(r"^### (.*)\n", text, flags=re.MULTILINE)
    assert len(set(rest[::2])) == len(rest[::2])
    return dict(zip(rest[::2], rest[1::2], strict=True))


def test_every_alert_has_a_section_and_every_section_an_alert() -> None:
    assert sorted(sections()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_section_has_four_headings_with_text(name: str) -> None:
    _, *rest = re.split(r"^#### (.*)\n", sections()[name], flags=re.MULTILINE)
    assert rest[::2] == HEADINGS
    assert all(text.strip() for text in rest[1::2])
    assert "Over " in rest[-1], "how to know that it is over"


@pytest.mark.parametrize("area", ["machine", "business"])
def test_an_alert_is_in_the_part_and_the_table_of_its_area(area: str) -> None:
    severities: dict[str, list[str]] = {}
    for alert in alerts():
        if alert["labels"]["area"] == area:
            severities.setdefault(alert["alert"], []).append(alert["labels"]["severity"])
    rows = re.findall(r"^\| \[(\w+)\]\(#(\w+)\) \| (.*) \|$", PAGE, re.MULTILINE)
    listed = {name: severity.split(", ") for name, _, severity in rows if name in severities}
    assert listed == severities
    assert all(anchor == name.lower() for name, anchor, _ in rows)
    assert set(re.findall(r"^### (\w+)", part(area), re.MULTILINE)) == set(severities)


def test_every_link_within_the_page_leads_to_a_heading() -> None:
    headings = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors
