"""Secrets from files: every mistake with its variable and fix, and never the secret."""

from pathlib import Path

import pytest

from deploy.diagnosis.doctor import examine
from deploy.processes import process
from deploy.processes.secret_files import MAX_BYTES, with_secrets_from_files
from models.issues import SettingsError, file_variable_of
from models.settings import SECRETS

TOKEN = "a-token-of-twenty-six-chars"


def mistake(environ: dict[str, str]) -> str:
    (issue,) = with_secrets_from_files(environ)[1]
    return str(issue)


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_secret_is_read_from_its_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "token"
    path.write_bytes(TOKEN.encode() + ending.encode())
    environ, issues = with_secrets_from_files({"RECEIPTS_MONITORING_TOKEN_FILE": str(path)})
    assert (environ, issues) == ({"RECEIPTS_MONITORING_TOKEN": TOKEN}, [])


@pytest.mark.parametrize("field", sorted(SECRETS))
def test_every_secret_may_be_in_a_file(tmp_path: Path, field: str) -> None:
    path = tmp_path / "secret"
    path.write_text("hush\n")
    environ, issues = with_secrets_from_files({file_variable_of(field): str(path)})
    assert list(environ.values()) == ["hush"] and not issues


def test_what_is_no_secret_has_no_file() -> None:
    environ = {"RECEIPTS_BROKERS_FILE": "/etc/brokers"}
    assert with_secrets_from_files(environ) == (environ, [])


def test_both_are_refused(tmp_path: Path) -> None:
    both = {"RECEIPTS_MONITORING_TOKEN": TOKEN, "RECEIPTS_MONITORING_TOKEN_FILE": str(tmp_path)}
    assert mistake(both) == (
        "RECEIPTS_MONITORING_TOKEN_FILE: RECEIPTS_MONITORING_TOKEN is set too. Fix: set one of them"
    )


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_variable_counts_as_not_set(tmp_path: Path, empty: str) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    given = {"RECEIPTS_MONITORING_TOKEN": empty, "RECEIPTS_MONITORING_TOKEN_FILE": str(path)}
    assert with_secrets_from_files(given) == ({"RECEIPTS_MONITORING_TOKEN": TOKEN}, [])
    assert process.read_settings(given).monitoring_token == TOKEN
    given["RECEIPTS_MONITORING_TOKEN_FILE"] = "/nowhere"
    assert mistake(given).startswith("RECEIPTS_MONITORING_TOKEN_FILE: /nowhere cannot be read: ")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"one\ntwo\n", "has more than one line"),
        (b"x" * (MAX_BYTES + 1), f"has more than {MAX_BYTES} bytes"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    text = mistake({"RECEIPTS_CLICKHOUSE_URL_FILE": str(path)})
    assert text.startswith(f"RECEIPTS_CLICKHOUSE_URL_FILE: {path} {words}. Fix: ")


def test_a_path_is_required() -> None:
    assert "is empty" in mistake({"RECEIPTS_PAGES_TOKENS_FILE": " "})


def test_mistakes_of_files_and_values_are_reported_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "url"
    path.write_text("postgres://user:hush@host/database")
    monkeypatch.setenv("RECEIPTS_CLICKHOUSE_URL_FILE", str(path))
    monkeypatch.setenv("RECEIPTS_PAGES_TOKENS_FILE", "/nowhere")
    monkeypatch.setenv("RECEIPTS_PARTITIONS", "0")
    with pytest.raises(SettingsError) as caught:
        process.read_settings()
    found = {issue.where for issue in caught.value.issues}
    assert found == {
        "RECEIPTS_CLICKHOUSE_URL",
        "RECEIPTS_PAGES_TOKENS_FILE",
        "RECEIPTS_PARTITIONS",
    }
    assert "hush" not in str(caught.value)


def test_the_settings_have_what_the_file_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"acme={TOKEN}\n")
    monkeypatch.setenv("RECEIPTS_PAGES_TOKENS_FILE", str(path))
    assert process.read_settings().token_accounts == {TOKEN: "acme"}


@pytest.mark.parametrize("both", [False, True])
def test_a_secret_whose_file_is_wrong_is_one_mistake(both: bool) -> None:
    login = {
        "RECEIPTS_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "RECEIPTS_KAFKA_SASL_MECHANISM": "PLAIN",
        "RECEIPTS_KAFKA_SASL_USERNAME": "worker",
        "RECEIPTS_KAFKA_SASL_PASSWORD_FILE": "/nowhere",
    }
    given = {**login, "RECEIPTS_KAFKA_SASL_PASSWORD": "hush"} if both else login
    with pytest.raises(SettingsError) as caught:
        process.read_settings(given)
    (issue,) = caught.value.issues
    assert issue.where == "RECEIPTS_KAFKA_SASL_PASSWORD_FILE"
    assert ("is set too" if both else "cannot be read") in issue.problem


async def test_doctor_reads_secrets_from_files(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("postgres://user:hush@host/database")
    given = {
        "RECEIPTS_CLICKHOUSE_URL_FILE": str(path),
        "RECEIPTS_MONITORING_TOKEN_FILE": "/nowhere",
    }
    found = await examine(given, ("worker",))
    wrong = {check.where for check in found.checks if check.area == "settings"}
    assert wrong == {"RECEIPTS_CLICKHOUSE_URL", "RECEIPTS_MONITORING_TOKEN_FILE"}
