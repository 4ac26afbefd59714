"""The pages of docs/ that are made from code are those that the code makes now."""

import pytest

from deploy.docs.generate import DOCS, PAGES


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_generated_page_is_current(name: str) -> None:
    written = (DOCS / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), f"docs/{name} is old: run `make docs`"
