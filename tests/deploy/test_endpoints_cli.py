"""`receipts endpoints check`, and what a listener needs of the file before it starts."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deploy.cli import cli
from deploy.exit_codes import FAILED, OK
from deploy.processes.endpoints import opened, required_endpoints
from models.issues import SettingsError
from models.settings import Settings

FILE = """
public_url = "https://h.example/in"

[endpoints.twilio]
provider = "twilio"
account = "acme"
secrets = ["env:TWILIO", "file:{folder}/next"]

[endpoints.telnyx]
provider = "telnyx"
account = "acme"
secrets = ["env:TELNYX"]

[endpoints.jasmin]
provider = "jasmin"
account = "acme"
verify = "path"
secrets = ["env:TWILIO"]
"""
KEY = "A" * 43 + "="


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With all its secrets."""
    (tmp_path / "next").write_text("another token\n")
    found = tmp_path / "endpoints.toml"
    found.write_text(FILE.format(folder=tmp_path))
    monkeypatch.setenv("RECEIPTS_ENDPOINTS", str(found))
    monkeypatch.setenv("TWILIO", "a token")
    monkeypatch.setenv("TELNYX", KEY)
    return found


def check(*options: str) -> Result:
    return CliRunner().invoke(cli, ["endpoints", "check", *options])


def test_urls_are_shown_and_no_secret(file: Path) -> None:
    result = check()
    assert result.exit_code == OK, result.output
    assert "https://h.example/in/callbacks/twilio" in result.output
    assert "https://h.example/in/callbacks/jasmin/SECRET" in result.output
    assert "token" not in result.output
    assert KEY not in result.output


@pytest.mark.parametrize(
    ("value", "expected"), [("", "is not set"), ("  ", "is not set"), ("KEY01", "base64 of 32")]
)
def test_a_secret_that_cannot_be_used(
    file: Path, monkeypatch: pytest.MonkeyPatch, value: str, expected: str
) -> None:
    monkeypatch.setenv("TELNYX", value)
    result = check()
    assert result.exit_code == FAILED
    assert "endpoints.telnyx.secrets" in result.output
    assert expected in result.output
    assert not value.strip() or value not in result.output
    assert check("--no-secrets").exit_code == OK
    settings = Settings(endpoints=str(file))
    with pytest.raises(SettingsError, match=expected):
        opened(required_endpoints(settings))


@pytest.mark.parametrize("content", ["", "\n", "one\ntwo\n", "a\x00b"])
def test_a_file_that_has_no_secret(file: Path, content: str) -> None:
    (file.parent / "next").write_text(content)
    result = check()
    assert result.exit_code == FAILED
    assert "endpoints.twilio.secrets" in result.output


def test_secrets_are_opened_in_their_order(file: Path) -> None:
    found = opened(required_endpoints(Settings(endpoints=str(file))))
    assert found["twilio"].secrets == ("a token", "another token")
    assert found["telnyx"].handshake == ""


@pytest.mark.parametrize("path", ["", "/nowhere/endpoints.toml"])
def test_without_a_file(path: str) -> None:
    with pytest.raises(SettingsError, match="RECEIPTS_ENDPOINTS"):
        required_endpoints(Settings(endpoints=path))
