"""docker-compose.yml: valid by the Compose schema, pinned, and in step with the code it starts."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import chdb
import pytest
from ruamel.yaml import YAML

from deploy.cli import cli
from models.settings import Settings
from tests.deploy.compose import FILE, OURS, ROOT, services, settings_of, text

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/(?:readyz|healthz)")


def check_schema(path: str) -> subprocess.CompletedProcess[str]:
    command = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", path]
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_file_is_valid_by_the_compose_schema() -> None:
    done = check_schema(str(FILE))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_check_can_fail(tmp_path: object) -> None:
    broken = FILE.read_text().replace("healthcheck:", "healthchek:")
    path = f"{tmp_path}/docker-compose.yml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(broken)
    assert check_schema(path).returncode == 1


def test_everything_of_the_issue_is_there() -> None:
    assert set(services()) == {
        "kafka",
        "clickhouse",
        "prometheus",
        "alertmanager",
        "grafana",
        *OURS,
    }


@pytest.mark.parametrize(
    "name",
    ["kafka", "clickhouse", "prometheus", "alertmanager", "grafana", "worker", "sink", "pages"],
)
def test_whatever_stays_up_has_a_health_check_and_comes_back(name: str) -> None:
    assert services()[name]["healthcheck"]["test"]
    assert services()[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", ["kafka", "clickhouse", "prometheus", "alertmanager", "grafana"])
def test_foreign_images_are_pinned_and_keep_their_data(name: str) -> None:
    service = services()[name]
    assert re.search(r":v?\d+\.\d+\.\d+(\.\d+)?$", service["image"])
    volumes = YAML(typ="safe").load(FILE.read_text())["volumes"]
    assert any(volume.split(":")[0] in volumes for volume in service["volumes"])


def test_ports_are_published_on_loopback_only() -> None:
    ports = [str(port) for service in services().values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("name", OURS)
def test_our_services_start_a_command_that_exists(name: str) -> None:
    program, command = services()[name]["command"]
    assert (program, command) == ("receipts", name)
    assert command in cli.commands


@pytest.mark.parametrize("name", OURS)
def test_our_settings_are_valid(name: str) -> None:
    settings = Settings.read(settings_of(name))
    assert settings.brokers == "kafka:19092"
    if name in ("migrate", "sink"):
        clickhouse = services()["clickhouse"]["environment"]
        user, password = clickhouse["CLICKHOUSE_USER"], clickhouse["CLICKHOUSE_PASSWORD"]
        database = clickhouse["CLICKHOUSE_DB"]
        assert settings.clickhouse_url == f"http://{user}:{password}@clickhouse:8123/{database}"


def test_the_pages_read_as_a_user_made_at_the_first_start() -> None:
    clickhouse = services()["clickhouse"]
    password = clickhouse["environment"]["PAGES_CLICKHOUSE_PASSWORD"]
    settings = Settings.read(settings_of("pages"))
    assert settings.reports_url == f"http://reports_pages:{password}@clickhouse:8123/receipts"
    assert "acme" in settings.token_accounts.values()
    mounted = dict(volume.split(":")[:2] for volume in clickhouse["volumes"])
    assert mounted["./deploy/containers/clickhouse/init.sh"].startswith(
        "/docker-entrypoint-initdb.d/"
    )
    folder = ROOT / "deploy/containers/clickhouse"
    script = (folder / "init.sh").read_text()
    files = [folder / "users.sql", folder / "grafana.sql"]
    for file in files:
        script = script.replace(f"/etc/receipts/{file.name}", str(file))
    client = tmp_path / "clickhouse-client"
    client.write_text(
        f"#!/bin/sh\nn=$(ls {tmp_path} | grep -c input)\n"
        f'printf "%s\\n" "$@" >> {tmp_path}/arguments\ncat > {tmp_path}/input$n\n'
    )
    client.chmod(0o755)
    environ = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "CLICKHOUSE_USER": "receipts",
        "CLICKHOUSE_PASSWORD": "hush",
        "PAGES_CLICKHOUSE_PASSWORD": "another",
        "GRAFANA_CLICKHOUSE_PASSWORD": password,
    }
    subprocess.run(["sh", "-c", script], env=environ, check=True, timeout=60)
    assert (tmp_path / "arguments").read_text().strip() == ""
    inputs = [(tmp_path / f"input{number}").read_text() for number in range(len(files))]
    (_, _, first), (setting, _, second) = (given.partition(";\n") for given in inputs)
    assert [first, second] == [file.read_text() for file in files]
    connection = chdb.connect(":memory:")
    connection.query(setting)
    assert json.loads(connection.query("SELECT {password:String} AS p", "JSONEachRow").bytes()) == {
        "p": password
    }
    connection.close()


def test_prometheus_sends_the_token_that_worker_and_sink_want() -> None:
    whole = YAML(typ="safe").load(text())
    token = whole["configs"]["monitoring-token"]["content"]
    for name in ("worker", "sink"):
        assert Settings.read(settings_of(name)).monitoring_token == token
    (mounted,) = services()["prometheus"]["configs"]
    assert mounted["source"] == "monitoring-token"
    scraped = YAML(typ="safe").load(
        (ROOT / "deploy/monitoring/prometheus/prometheus.yml").read_text()
    )
    for job in scraped["scrape_configs"]:
        assert job["authorization"]["credentials_file"] == mounted["target"]
