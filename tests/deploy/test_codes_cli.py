"""`receipts codes` and the page docs/codes.md."""

import pytest
from click.testing import CliRunner

from deploy.cli.codes import codes
from deploy.docs.codes import codes_page
from models.codes import PROVIDERS, REASONS, STATUSES


def lines(*arguments: str) -> list[str]:
    result = CliRunner().invoke(codes, arguments)
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_every_table_is_listed() -> None:
    assert [line.split()[0] for line in lines()[1:]] == list(PROVIDERS)


def test_a_table_lists_its_codes_in_aligned_columns() -> None:
    head, *rows = lines("Nexmo")
    found = {row.split()[0]: row for row in rows}
    assert len(found) == len(PROVIDERS["vonage"].listed())
    assert found["1240"].split("  ")[0] == "1240" and "opt-out" in found["1240"]
    assert found["2"].index("absent or switched off") == head.index("reason")


@pytest.mark.parametrize(
    ("provider", "code", "expected"),
    [
        ("twilio", "21610", "an unsubscribe of this number on this channel; never retried"),
        ("twilio", "30005", "not retried; a strike against the number"),
        ("twilio", "30007", "not retried; no strike"),
        ("AWS", "text_blocked", "not retried; no strike"),
        ("twilio", "30003", "retried, as the account's settings say"),
    ],
)
def test_a_code_is_explained_with_what_follows(provider: str, code: str, expected: str) -> None:
    explained = dict(line.split("  ", 1) for line in lines(provider, code))
    assert explained["then"].strip() == expected


def test_a_code_without_a_table_is_explained_by_the_common_values() -> None:
    assert "absent or switched off" in "\n".join(lines("north", "006"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["north"], "'north' has no table; those there are: `receipts codes`"),
        (["twilio", "1"], "no table has the code '1' of 'twilio'"),
    ],
)
def test_what_is_in_no_table_is_a_wrong_usage(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(codes, arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_the_page_has_every_reason_status_word_and_code() -> None:
    page = codes_page()
    assert all(f"| {reason} |" in page for reason in REASONS)
    assert all(f"`{word}`" in page for word in STATUSES)
    for table in PROVIDERS.values():
        section = page.split(f"\n## {table.provider}\n")[1].split("\n## ")[0]
        for code in table.listed():
            assert (f"| `{code.code}`" in section) == (code.provider == table.provider)
