"""The command line as its users meet it: help, one clear line for a failure, exit codes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy import __version__
from deploy.cli import cli
from deploy.embedded.brokers import EmbeddedBroker, free_port
from models.access_rights import NEEDS, Program
from models.settings import Settings

ROOT = Path(__file__).parents[2]
COMMANDS = [
    "worker", "sink", "listen", "endpoints", "callbacks", "migrate", "topics", "status", "doctor",
    "state", "report", "segments", "pages", "suppressions", "codes", "simulate", "demo", "version",
    "replay-callbacks",
]  # fmt: skip


def receipts(
    *arguments: str, run: tuple[str, ...] = ("-m", "deploy.cli"), **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run it as a process with only these settings. run: what Python runs"""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RECEIPTS_")}
    return subprocess.run(
        [sys.executable, *run, *arguments],
        cwd=ROOT,
        env={**clean, **{f"RECEIPTS_{k.upper()}": v for k, v in settings.items()}},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_commands_are_those_of_the_issue() -> None:
    assert sorted(cli.commands) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_examples(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    examples = result.output.split("Examples:\n")[1].splitlines()
    assert any(re.match(rf"  (RECEIPTS_\S+ )*receipts {name}\b", line) for line in examples)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_an_example_exists(name: str) -> None:
    output = CliRunner().invoke(cli, [name, "--help"]).output
    options, examples = output.split("Examples:\n")
    for option in re.findall(r"(?<=\s)--[a-z-]+", examples):
        assert option in options


def test_version_names_what_runs() -> None:
    done = receipts("version")
    assert done.returncode == 0
    assert f"receipts {__version__}" in done.stdout
    assert "aiokafka 0.14.0" in done.stdout


def test_the_version_is_that_of_the_package() -> None:
    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text()
    assert f"receipts:{__version__}" in (ROOT / "docker-compose.yml").read_text()
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("command", ["worker", "sink", "migrate", "topics", "simulate"])
def test_wrong_settings_are_all_named_and_exit_2(command: str) -> None:
    done = receipts(command, partitions="none", log_level="loud", brokes="x")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert [line.split(": ")[1] for line in lines] == [
        "RECEIPTS_BROKES",
        "RECEIPTS_PARTITIONS",
        "RECEIPTS_LOG_LEVEL",
    ]
    assert all("Fix: " in line for line in lines)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["topics", "--chek"],
        ["topics", "--check", "--dry-run"],
        ["demo", "--events", "0"],
    ],
)
def test_wrong_usage_exits_2(arguments: list[str]) -> None:
    done = receipts(*arguments)
    assert done.returncode == 2
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command", [["topics"], ["topics", "--check"], ["worker"], ["sink"], ["simulate"]]
)
def test_a_broker_that_is_away_is_one_clear_line_and_exit_1(command: list[str]) -> None:
    address = f"127.0.0.1:{free_port()}"
    done = receipts(*command, brokers=address, worker_port="0", sink_port="0", log_level="error")
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("receipts: error: ")]
    assert len(errors) == 1
    assert address in errors[0]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["worker", "sink"])
@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ("codec.has_zstd = lambda: False", "batches of zstd cannot be read: install"),
        ("codec.cramjam = None", "batches of snappy, lz4, zstd cannot be read: install"),
        (
            "del fetcher.PartitionRecords._consume_aborted_up_to",
            "aiokafka 0.14.0 lacks PartitionRecords._consume_aborted_up_to: install",
        ),
    ],
)
def test_a_kafka_client_that_cannot_read_is_one_clear_line_and_exit_1(
    command: str, broken: str, named: str
) -> None:
    imports = "from aiokafka import codec; from aiokafka.consumer import fetcher"
    script = f"{imports}; {broken}; from deploy.cli import main; main()"
    away = {"brokers": f"127.0.0.1:{free_port()}", "worker_port": "0", "sink_port": "0"}
    done = receipts(command, **away, run=("-c", script))
    assert done.returncode == 1, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("receipts: error: ")]
    assert named in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["worker", "sink"])
def test_topics_that_differ_are_all_named_with_their_fix_and_exit_1(command: Program) -> None:
    def errors(**settings: str) -> list[str]:
        done = receipts(command, worker_port="0", sink_port="0", **settings)
        assert done.returncode == 1
        return [line for line in done.stderr.splitlines() if line.startswith("receipts: error: ")]

    with EmbeddedBroker() as broker:
        ours = {"brokers": broker.bootstrap, "partitions": "2"}
        assert receipts("topics", **ours).returncode == 0
        (mistyped,) = errors(**ours, topic_prefix="typo.")
        assert "topics are missing: typo.sends, " in mistyped
        assert mistyped.endswith("Fix: run `receipts topics`")
        others = errors(**{**ours, "partitions": "6"})
    assert len(others) == len(set(NEEDS[command].checks) & set(Settings().topics))
    assert all(line.endswith("Fix: set RECEIPTS_PARTITIONS=2") for line in others)


@pytest.mark.parametrize("arguments", [["migrate"], ["migrate", "--status"]])
def test_a_clickhouse_that_is_away_is_one_clear_line_without_its_password(
    arguments: list[str],
) -> None:
    url = f"http://writer:hush@127.0.0.1:{free_port()}/receipts"
    done = receipts(*arguments, clickhouse_url=url)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("receipts: error: ClickHouse at http://writer:***@127.0.0.1:")
    assert line.endswith("Fix: start it, or set RECEIPTS_CLICKHOUSE_URL")


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as held:
        port = str(held.getsockname()[1])
        done = receipts("sink", sink_port=port, log_level="error")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert port in done.stderr.splitlines()[-1]


def test_migrate_applies_once_and_status_says_so(tmp_path: Path) -> None:
    url = f"chdb://{tmp_path}/engine"
    missing = receipts("migrate", "--status", clickhouse_url=url)
    assert missing.returncode == 1
    assert "pending" in missing.stdout
    first = receipts("migrate", clickhouse_url=url)
    assert (first.returncode, first.stderr) == (0, "")
    assert "0001_" in first.stdout
    again = receipts("migrate", clickhouse_url=url)
    assert again.stdout.startswith("0 migrations applied")
    found = receipts("migrate", "--status", clickhouse_url=url)
    assert found.returncode == 0
    assert "pending" not in found.stdout


def test_help_loads_no_kafka_client_and_no_engine() -> None:
    code = (
        "import sys, deploy.cli; "
        "print([m for m in ('faust', 'chdb', 'clickhouse_connect') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
