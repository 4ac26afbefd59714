"""docs/semantics.md lists the words of receipts that are read."""

import re
from pathlib import Path

from models.codes import STATUSES
from models.codes.tables import STATUS_WORDS

PAGE = Path(__file__).parents[2] / "docs/semantics.md"
ROW = re.compile(r"^\| `(\w+)` \| (.*) \|$")


def documented() -> dict[str, str]:
    """Our word by each word of the table, ours among them."""
    section = PAGE.read_text(encoding="utf-8").split("\n## Words of receipts\n")[1]
    words: dict[str, str] = {}
    for line in section.split("\n## ")[0].splitlines():
        if row := ROW.match(line):
            for word in (row[1], *re.findall(r"`([^`]+)`", row[2])):
                assert word not in words, word
                words[word] = row[1]
    return words


def test_the_page_and_the_table_have_the_same_words() -> None:
    assert documented() == dict(STATUSES)
    assert set(documented().values()) == set(STATUS_WORDS)
