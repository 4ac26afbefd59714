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


def test_every_table_and_every_reason_is_listed() -> None:
    shown = lines()
    tables = shown[1 : shown.index("")]
    assert [line.split()[0] for line in tables] == list(PROVIDERS)
    assert any(line.split() == ["mmg", "27"] for line in tables)
    reasons = [line.split("  ")[0] for line in shown[len(tables) + 3 :]]
    assert reasons == list(REASONS)


def test_a_table_lists_its_codes_in_aligned_columns() -> None:
    shown = lines("Nexmo")
    assert shown[0].split() == ["provider", "vonage"]
    assert "nexmo" in shown[1]
    head, *rows = shown[shown.index("") + 1 :]
    found = {row.split()[1]: row for row in rows}
    assert len(found) == len(PROVIDERS["vonage"].listed())
    assert found["1240"].startswith("vonage  1240") and "opt-out" in found["1240"]
    assert found["2"].index("absent or switched off") == head.index("reason")


def test_a_table_lists_the_codes_it_reads_of_others() -> None:
    rows = [line.split() for line in lines("gupshup")]
    assert ["whatsapp", "131026"] in [row[:2] for row in rows]


@pytest.mark.parametrize(
    ("provider", "code", "expected"),
    [
        ("twilio", "21610", "an unsubscribe of this number on this channel; never retried"),
        ("twilio", "30005", "not retried; a strike against the number"),
        ("twilio", "30007", "not retried; no strike"),
        ("AWS", "text_blocked", "never retried, even if the receipt gives soft; no strike"),
        ("twilio", "30003", "retried, as the account's settings define"),
        ("twilio", "63014", "never retried, even if the receipt gives soft; a strike against"),
    ],
)
def test_a_code_is_explained_with_what_follows(provider: str, code: str, expected: str) -> None:
    explained = dict(line.split("  ", 1) for line in lines(provider, code))
    assert explained["then"].strip().startswith(expected)


def test_an_explanation_names_what_decides() -> None:
    explained = [line.split("  ", 1)[0] for line in lines("infobip", "EC_ABSENT_SUBSCRIBER")]
    assert explained == ["table", "code", "words", "reason", "bounce", "scope", "then", "source"]
    assert any("EC_ABSENT_SUBSCRIBER" in line for line in lines("infobip", "027"))


def test_a_code_without_a_table_is_explained_by_the_common_values() -> None:
    shown = "\n".join(lines("twillio", "006"))
    assert "absent or switched off" in shown
    assert "gsm-map, since 'twillio' has no table. Did you mean twilio or twilio-smpp?" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["north"], "'north' has no table. All tables: receipts codes"),
        (["twillio"], "'twillio' has no table. Did you mean twilio or twilio-smpp?"),
        (["nexmmo"], "'nexmmo' has no table. Did you mean vonage?"),
        (["30005"], "'30005' has no table; as a code it is in twilio."),
        (["north", "EXPIRED"], "'north' has no table, and 'EXPIRED' is not a GSM MAP value."),
        (["Twilio", "30009999"], "the table of twilio has no code '30009999'. Near it: "),
        (["aws", "text_blokked"], "Near it: TEXT_BLOCKED"),
        (["kannel", "qqqqq"], "All codes: receipts codes kannel"),
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
