"""`receipts topics --acls`: the commands grant what the table lists, and nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from deploy.cli import cli
from deploy.embedded.brokers import Broker
from deploy.kafka.access_rights import PRINCIPALS, acl_commands, lacking_rights
from deploy.simulator.event import KINDS
from models.access_rights import NEEDS, Program, rights_of
from models.settings import Settings
from sinks import rows
from streams.correlation import agent as correlation
from streams.kafka import clients
from streams.kafka.security import Access
from streams.lifecycle import agent as lifecycle
from streams.suppression import agent as suppression
from tests.deploy.test_cli import receipts

SETTINGS = Settings(brokers="k:1", topic_prefix="eu.", app_id="joiner")


def _granted(line: str) -> Iterator[tuple[str, str, str, str]]:
    """principal, kind, name, operation of each ACL that a command adds."""
    words = shlex.split(line)
    assert words[:4] == ["kafka-acls.sh", "--bootstrap-server", "k:1", "--add"]
    pairs = list(zip(words[4::2], words[5::2], strict=True))
    (principal,) = (value for option, value in pairs if option == "--allow-principal")
    operations = [value for option, value in pairs if option == "--operation"]
    for option, name in pairs:
        if option in ("--topic", "--group"):
            for operation in operations:
                yield principal, option[2:], name, operation


def test_the_commands_grant_exactly_the_rights_of_the_table() -> None:
    lines = [li for li in acl_commands(SETTINGS, PRINCIPALS, None) if not li.startswith("#")]
    granted = [acl for line in lines for acl in _granted(line)]
    wanted = {
        (PRINCIPALS[program], right.kind, right.name, right.operation.replace("_", "").lower())
        for program in NEEDS
        for right in rights_of(program, SETTINGS)
    }
    assert len(granted) == len(set(granted))
    assert {(*rest, operation.lower()) for *rest, operation in granted} == wanted
    assert ("User:receipts-sink", "group", "joiner-sink", "Read") in granted
    assert ("User:receipts-upstream", "topic", "eu.sends", "Write") in granted


def test_the_table_follows_what_the_programs_do() -> None:
    worker = NEEDS["worker"].reads
    assert set(lifecycle.SOURCES) | set(suppression.SOURCES) <= set(worker)
    assert set(NEEDS["sink"].reads) == set(rows.TOPICS)
    assert set(correlation.SOURCES) <= set(worker)
    assert set(NEEDS["simulator"].writes) == set(KINDS)
    assert set(NEEDS["upstream"].writes) == {*KINDS, "provider-ids"}


def test_principals_and_the_login_of_the_commands_are_options() -> None:
    options = ["--worker", "User:CN=w,O=acme", "--command-config", "admin.properties"]
    done = CliRunner().invoke(cli, ["topics", "--acls", *options])
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert lines[0] == "# `receipts worker`, as User:CN=w,O=acme"
    words = shlex.split(lines[1])
    assert words[words.index("--allow-principal") + 1] == "User:CN=w,O=acme"
    assert words[words.index("--command-config") + 1] == "admin.properties"
    assert any("User:receipts-sink" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--acls", "--check"], "exclude each other"),
        (["--worker", "User:w"], "--worker needs --acls"),
        (["--command-config", "f"], "--command-config needs --acls"),
    ],
)
def test_options_that_do_not_fit_are_refused(arguments: list[str], text: str) -> None:
    done = CliRunner().invoke(cli, ["topics", *arguments])
    assert done.exit_code == 2 and text in done.output


@pytest.mark.parametrize("command", ["worker", "sink", "topics", "simulate"])
def test_files_that_cannot_be_used_end_a_process_with_all_of_them(command: str) -> None:
    done = receipts(
        command,
        kafka_security_protocol="SSL",
        kafka_ssl_cafile="/nowhere/ca",
        kafka_ssl_certfile="/nowhere/cert",
        worker_port="0",
        sink_port="0",
        log_level="error",
    )
    assert done.returncode == 2, done.stderr
    lines = done.stderr.splitlines()
    assert [line.split(":")[1].strip() for line in lines] == [
        "RECEIPTS_KAFKA_SSL_CAFILE",
        "RECEIPTS_KAFKA_SSL_CERTFILE",
    ]
    assert all("No such file" in line and "Fix: " in line for line in lines)


@pytest.mark.parametrize("program", list(NEEDS))
async def test_without_logins_no_right_is_looked_up(
    program: Program, embedded_broker: Broker, prefix: str
) -> None:
    """A request by name would create the topics on the embedded broker."""
    bootstrap = embedded_broker.bootstrap
    admin = clients.admin(Access(bootstrap))
    await admin.start()
    try:
        settings = Settings(brokers=bootstrap, topic_prefix=prefix)
        assert await lacking_rights(admin, program, settings) == []
        assert not [name for name in await admin.list_topics() if name.startswith(prefix)]
    finally:
        await admin.close()
