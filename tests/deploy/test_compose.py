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
from models.endpoints import read_endpoints
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
    [
        "kafka",
        "clickhouse",
        "prometheus",
        "alertmanager",
        "grafana",
        "listen",
        "worker",
        "sink",
        "pages",
    ],
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
    script = (ROOT / "deploy/containers/clickhouse/init.sh").read_text()
    assert mounted["./deploy/containers/clickhouse/users.sql"] in script
    assert "$PAGES_CLICKHOUSE_PASSWORD" in script
    assert os.access(ROOT / "deploy/containers/clickhouse/init.sh", os.X_OK)


def test_all_our_services_agree_on_what_they_share() -> None:
    shared = [Settings.read(settings_of(name)) for name in OURS]
    for field in ("brokers", "partitions", "replication", "topic_prefix", "app_id"):
        assert len({getattr(settings, field) for settings in shared}) == 1, field


@pytest.mark.parametrize("name", ["worker", "sink", "pages"])
def test_health_checks_ask_the_port_that_is_served(name: str) -> None:
    settings = Settings.read(settings_of(name))
    port = getattr(settings, f"{name}_port")
    (asked,) = ADDRESS.findall(services()[name]["healthcheck"]["test"][-1])
    assert int(asked) == port
    assert getattr(settings, f"{name}_host") == "0.0.0.0"
    assert services()[name]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_the_listener_is_asked_where_it_is_served() -> None:
    settings, service = Settings.read(settings_of("listen")), services()["listen"]
    pages = settings.listen_monitoring_port
    (asked,) = ADDRESS.findall(service["healthcheck"]["test"][-1])
    assert int(asked) == pages
    assert settings.listen_host == settings.listen_monitoring_host == "0.0.0.0"
    published = [f"127.0.0.1:{port}:{port}" for port in (settings.listen_port, pages)]
    assert service["ports"] == published


@pytest.mark.parametrize("name", ["listen", "worker"])
def test_the_endpoints_are_mounted_and_have_their_secrets(name: str) -> None:
    service = services()[name]
    mounted = {volume.split(":")[1]: volume.split(":")[0] for volume in service["volumes"]}
    file = ROOT / mounted[Settings.read(settings_of(name)).endpoints]
    endpoints = read_endpoints(file.read_text()).endpoints
    needed = {place.partition(":")[2] for each in endpoints.values() for place in each.secrets}
    if name == "listen":
        assert needed == {key for key in service["environment"] if not key.startswith("RECEIPTS_")}


@pytest.mark.parametrize("name", ["worker", "sink"])
def test_what_counts_is_scraped(name: str) -> None:
    port = getattr(Settings.read(settings_of(name)), f"{name}_port")
    scraped = YAML(typ="safe").load(
        (ROOT / "deploy/monitoring/prometheus/prometheus.yml").read_text()
    )
    targets = [t for job in scraped["scrape_configs"] for t in job["static_configs"][0]["targets"]]
    assert f"{name}:{port}" in targets


def test_the_files_of_prometheus_and_alertmanager_are_mounted() -> None:
    for name in ("prometheus", "alertmanager"):
        service = services()[name]
        mounted = dict(volume.split(":")[:2] for volume in service["volumes"])
        folder = mounted["./deploy/monitoring/prometheus"]
        assert f"--config.file={folder}/{name}.yml" in service["command"]
        assert (ROOT / f"deploy/monitoring/prometheus/{name}.yml").exists()
    scraped = YAML(typ="safe").load(
        (ROOT / "deploy/monitoring/prometheus/prometheus.yml").read_text()
    )
    (managers,) = scraped["alerting"]["alertmanagers"]
    assert managers["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    assert services()["alertmanager"]["ports"] == ["127.0.0.1:9093:9093"]


def test_the_order_of_the_start_follows_from_conditions() -> None:
    waits = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in services().items()
    }
    done, healthy = "service_completed_successfully", "service_healthy"
    assert waits["topics"] == {"kafka": healthy}
    assert waits["migrate"] == {"clickhouse": healthy}
    assert waits["worker"] == waits["listen"] == {"topics": done}
    assert waits["sink"] == {"topics": done, "migrate": done}
    assert waits["pages"] == {"migrate": done}


def test_the_image_is_pinned_multi_stage_and_runs_as_nobody_special() -> None:
    lines = (ROOT / "deploy/containers/Dockerfile").read_text().splitlines()
    stages = [line for line in lines if line.startswith("FROM ")]
    assert len(stages) == 2
    assert "ARG PYTHON=python:3.11-slim-bookworm" in lines
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert users[-1] not in ("0", "root")


def test_the_image_copies_only_what_exists() -> None:
    lines = (ROOT / "deploy/containers/Dockerfile").read_text().splitlines()
    copies = [line.split()[1:-1] for line in lines if line.startswith("COPY ")]
    assert copies
    for sources in copies:
        assert all((ROOT / source).exists() for source in sources), sources


@pytest.mark.parametrize(
    "password", ["receipts-pages", "it's", r"a\'b\\c", "'; DROP USER x; --", "é€"]
)
def test_the_script_of_the_first_start_hides_the_passwords_and_quotes_them(
    password: str, tmp_path: Path
) -> None:
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
    for name in ("listen", "worker", "sink"):
        assert Settings.read(settings_of(name)).monitoring_token == token
    (mounted,) = services()["prometheus"]["configs"]
    assert mounted["source"] == "monitoring-token"
    scraped = YAML(typ="safe").load(
        (ROOT / "deploy/monitoring/prometheus/prometheus.yml").read_text()
    )
    for job in scraped["scrape_configs"]:
        assert job["authorization"]["credentials_file"] == mounted["target"]
