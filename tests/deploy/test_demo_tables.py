"""The demo's table of a suppressed recipient: the messages behind it and no others."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from deploy.demo.run import _reader
from deploy.demo.tables import suppression_example
from models.settings import Settings
from sinks.client import connect
from sinks.migrate import migrate

RECIPIENT = "+447700900123"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Any]:
    url = f"chdb://{tmp_path}/engine"
    clickhouse = connect(url)
    migrate(clickhouse, 90)
    reader = _reader(Settings(clickhouse_url=url))
    yield reader
    reader.close()
    clickhouse.close()


def suppress(client: Any, account: str, since: str, strikes: int, reasons: str) -> None:
    client.command(
        "INSERT INTO suppression_records"
        " (account, recipient, suppressed, reasons, since, strikes, version) VALUES"
        f" ('{account}', '{RECIPIENT}', true, {reasons}, '{since}', {strikes}, 1)"
    )


def strike(client: Any, account: str, id_: str, sent: str, at: str, struck: bool = True) -> None:
    client.command(
        "INSERT INTO strikes"
        " (account, recipient, sent_at, message_id, struck, occurred_at, code, version) VALUES"
        f" ('{account}', '{RECIPIENT}', '{sent}', '{id_}', {struck}, '{at}', '5', 1)"
    )


def shown(client: Any, capsys: pytest.CaptureFixture[str]) -> str:
    Console(width=80).print(*suppression_example(client))
    return capsys.readouterr().out


def ids(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines() if line.startswith(" m-")]


def test_nothing_is_shown_when_no_recipient_is_suppressed(client: Any) -> None:
    suppress(client, "acme", "2026-03-01 12:00:30", 0, "['unsubscribed']")
    assert suppression_example(client) == []


def test_the_messages_behind_the_suppression_are_shown(
    client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    suppress(client, "acme", "2026-03-01 12:00:30", 3, "['hard_bounces']")
    client.command(
        "INSERT INTO suppression_requests (account, recipient, at, action)"
        f" VALUES ('acme', '{RECIPIENT}', '2026-02-28 00:00:00', 'release')"
    )
    strike(client, "acme", "m-released", "2026-02-27 12:00:00", "2026-03-01 12:00:25")
    strike(client, "acme", "m-1", "2026-03-01 12:00:00", "2026-03-01 12:00:10")
    strike(client, "acme", "m-3", "2026-03-01 12:00:01", "2026-03-01 12:00:30")
    strike(client, "acme", "m-2", "2026-03-01 12:00:02", "2026-03-01 12:00:20")
    strike(client, "acme", "m-gone", "2026-03-01 12:00:03", "2026-03-01 12:00:21", struck=False)
    strike(client, "acme", "m-later", "2026-03-01 12:00:04", "2026-03-01 12:00:31")
    strike(client, "other", "m-other", "2026-03-01 12:00:04", "2026-03-01 12:00:22")
    text = shown(client, capsys)
    assert ids(text) == ["m-1", "m-2", "m-3"]
    assert f"A suppressed recipient, acme/{RECIPIENT}: 3 strikes" in text
    assert "Suppressed since 03-01 12:00:30 UTC" in text


def test_the_limit_is_the_accounts(client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    suppress(client, "acme", "2026-03-01 12:00:30", 2, "['hard_bounces']")
    client.command("INSERT INTO accounts (account, strike_limit, version) VALUES ('acme', 2, 1)")
    for number in (1, 2, 3):
        strike(client, "acme", f"m-{number}", "2026-03-01 12:00:00", f"2026-03-01 12:00:{number}0")
    assert ids(shown(client, capsys)) == ["m-2", "m-3"]


def test_a_recipient_of_exactly_three_strikes_goes_before_others(
    client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    suppress(client, "busy", "2026-03-01 12:00:30", 9, "['hard_bounces']")
    suppress(client, "both", "2026-03-01 12:00:30", 3, "['hard_bounces', 'manual']")
    suppress(client, "acme", "2026-03-01 12:00:30", 3, "['hard_bounces']")
    assert "acme/" in shown(client, capsys)
