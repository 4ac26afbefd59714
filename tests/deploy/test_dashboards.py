"""Dashboards fit their screen and what is provisioned; they name only metrics that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from deploy.monitoring.grafana.operations import limits
from models.metrics import BY_NAME
from tests.deploy.compose import ROOT, services
from tests.support.grafana import DASHBOARDS, GRAFANA, Panel, board, panels

NAMES = sorted(path.stem for path in DASHBOARDS.glob("*.json"))
#: Rows of the grid that a screen of 1080 lines shows without the menu.
SCREEN = 25
#: Metrics that Prometheus, its rules and the library of the processes make.
FOREIGN = {"up", "ALERTS", "process_cpu_seconds_total", "process_resident_memory_bytes"}

every_dashboard = pytest.mark.parametrize("name", NAMES)
every_panel = pytest.mark.parametrize(
    ("name", "panel"),
    [(name, panel) for name in NAMES for panel in panels(name)],
    ids=[f"{name}-{panel.title}" for name in NAMES for panel in panels(name)],
)


def provisioned(path: str) -> Any:
    return YAML(typ="safe").load((GRAFANA / "provisioning" / path).read_text())


def datasources() -> dict[str, dict[str, Any]]:
    found = provisioned("datasources/datasources.yml")["datasources"]
    return {one["uid"]: one for one in found}


def mounts(service: str) -> dict[str, Path]:
    """Folders and files of the repository by their place in a container."""
    volumes = [volume.split(":") for volume in services()[service]["volumes"]]
    return {place: ROOT / source for source, place, *_ in volumes if source.startswith("./")}


def test_both_dashboards_are_there() -> None:
    assert {"operations", "delivery"} <= set(NAMES)


@every_panel
def test_a_panel_explains_itself_and_has_a_known_source(name: str, panel: Panel) -> None:
    assert re.match(r"[A-Z].*\.$", panel.json["description"]), panel.json["description"]
    for one in (panel.json, *panel.json["targets"]):
        source = one["datasource"]
        assert datasources()[source["uid"]]["type"] == source["type"]
    assert len({one["refId"] for one in panel.json["targets"]}) == len(panel.json["targets"])
    if panel.kind == "timeseries":
        assert panel.unit


@every_dashboard
def test_panels_fill_the_grid_without_a_hole(name: str) -> None:
    cells = [
        (x, y)
        for panel in board(name)["panels"]
        for position in [panel["gridPos"]]
        for x in range(position["x"], position["x"] + position["w"])
        for y in range(position["y"], position["y"] + position["h"])
    ]
    height = max(y for _, y in cells) + 1
    assert sorted(cells) == [(x, y) for x in range(24) for y in range(height)]
    ids = [panel["id"] for panel in board(name)["panels"]]
    assert len(set(ids)) == len(ids)


def test_operations_fits_one_screen() -> None:
    ends = [one["gridPos"]["y"] + one["gridPos"]["h"] for one in board("operations")["panels"]]
    assert max(ends) <= SCREEN


@every_dashboard
def test_links_lead_to_dashboards(name: str) -> None:
    known = {f"/d/{board(one)['uid']}" for one in NAMES}
    links = set(re.findall(r'"url": "([^"]+)"', (DASHBOARDS / f"{name}.json").read_text()))
    assert links <= known


def test_no_text_of_the_runbook_is_lost() -> None:
    rows = [one for one in board("runbook")["panels"] if one["type"] == "row"]
    shown = " ".join(
        " ".join([row["title"], *(one["options"]["content"] for one in row["panels"])])
        for row in rows
    )
    page = (ROOT / "docs/runbook.md").read_text()
    assert re.findall(r"\w+", re.sub(r"\]\([^)]+\)", "", page)) == re.findall(r"\w+", shown)
    assert all(row["collapsed"] for row in rows)


def test_the_engineer_finds_the_runbook() -> None:
    text = (DASHBOARDS / "operations.json").read_text()
    assert text.count('"url": "/d/receipts-runbook"') == 2


def recorded() -> set[str]:
    """Names that the rules of Prometheus record."""
    rules = (ROOT / "deploy/monitoring/prometheus").glob("recording*.yml")
    return {name for file in rules for name in re.findall(r"record: (\S+)", file.read_text())}


def test_colours_change_where_alerts_fire() -> None:
    steps = {
        panel.title: [one["value"] for one in defaults["thresholds"]["steps"]]
        for panel in panels("operations")
        if "thresholds" in (defaults := panel.json["fieldConfig"]["defaults"])
    }
    known = limits()
    assert steps["Oldest waiting"][1:] == [known["lag_seconds_ticket"], known["lag_seconds_page"]]
    page, ticket = known["certificate_days_page"], known["certificate_days_ticket"]
    assert steps["Certificate ends in"][1:] == [page * 86_400, ticket * 86_400]


def test_operations_names_only_metrics_that_exist() -> None:
    for panel in panels("operations"):
        for target in panel.targets:
            outside = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", target.text)
            named = set(re.findall(r"\b(?:receipts|process|up|ALERTS)[\w:]*", outside))
            metrics = {re.sub("_bucket$", "", one) for one in named}
            assert metrics and metrics <= {*BY_NAME, *FOREIGN, *recorded()}, target.text


def test_a_histogram_is_read_by_its_buckets_and_a_counter_by_its_rate() -> None:
    for panel in panels("operations"):
        whole = "since each process started" in panel.json["description"]
        for target in panel.targets:
            for metric in re.findall(r"\breceipts_\w+", target.text):
                kind = BY_NAME[re.sub("_bucket$", "", metric)].kind
                assert (kind == "histogram") == metric.endswith("_bucket"), metric
                read = re.search(rf"(rate|increase)\({metric}\b[^\[]*\[", target.text)
                assert bool(read) == (kind != "gauge" and not whole), target.text


# --- provisioning -----------------------------------------------------------------------------


def test_grafana_finds_its_files_where_they_are_mounted() -> None:
    inside = mounts("grafana")
    assert inside["/etc/grafana/provisioning"] == GRAFANA / "provisioning"
    (provider,) = provisioned("dashboards/dashboards.yml")["providers"]
    assert inside[provider["options"]["path"]] == DASHBOARDS
    assert not provider["allowUiUpdates"]
    home = services()["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    folder, file = home.rsplit("/", 1)
    assert (inside[folder] / file).exists()


def test_the_sources_are_the_services_and_cannot_be_edited() -> None:
    found = datasources()
    assert set(found) == {"prometheus", "clickhouse"}
    assert not any(one["editable"] for one in found.values())
    host, port = re.fullmatch(r"http://(\w+):(\d+)", found["prometheus"]["url"]).groups()
    assert services()[host]["ports"] == [f"127.0.0.1:{port}:{port}"]
    clickhouse = found["clickhouse"]["jsonData"]
    service = services()[clickhouse["host"]]
    assert service["ports"] == [f"127.0.0.1:{clickhouse['port']}:{clickhouse['port']}"]
    assert service["environment"]["CLICKHOUSE_DB"] == clickhouse["defaultDatabase"]


def test_clickhouse_is_read_by_a_user_who_only_reads() -> None:
    source = datasources()["clickhouse"]
    user = source["jsonData"]["username"]
    created = (ROOT / "deploy/containers/clickhouse/grafana.sql").read_text()
    assert f"CREATE USER IF NOT EXISTS {user} " in created
    environment = services()["grafana"]["environment"]
    variable = source["secureJsonData"]["password"].removeprefix("$")
    clickhouse = services()["clickhouse"]
    assert environment[variable] == clickhouse["environment"]["GRAFANA_CLICKHOUSE_PASSWORD"]
    inside = next(place for place in mounts("clickhouse") if place.endswith("grafana.sql"))
    script = (ROOT / "deploy/containers/clickhouse/init.sh").read_text()
    assert f'create {inside} "$GRAFANA_CLICKHOUSE_PASSWORD"' in script


def test_windows_of_rates_follow_from_how_often_prometheus_scrapes() -> None:
    path = ROOT / "deploy/monitoring/prometheus/prometheus.yml"
    scraped = YAML(typ="safe").load(path.read_text())
    interval = datasources()["prometheus"]["jsonData"]["timeInterval"]
    assert interval == scraped["global"]["scrape_interval"]
    jobs = {job["job_name"] for job in scraped["scrape_configs"]}
    patterns = set(re.findall(r'job=~"([^"]+)"', " ".join(_expressions())))
    assert patterns
    for pattern in patterns:
        assert any(re.fullmatch(pattern, job) for job in jobs), pattern


def _expressions() -> list[str]:
    return [target.text for panel in panels("operations") for target in panel.targets]


def test_nobody_enters_without_a_password() -> None:
    environment = services()["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert environment["GF_USERS_ALLOW_SIGN_UP"] == "false"
    text = (ROOT / "docker-compose.yml").read_text()
    assert "GF_SECURITY_ADMIN_PASSWORD: ${GRAFANA_PASSWORD" in text


def test_the_plugin_is_pinned() -> None:
    installed = services()["grafana"]["environment"]["GF_PLUGINS_PREINSTALL_SYNC"]
    plugin, version = installed.split("@")
    assert plugin == datasources()["clickhouse"]["type"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
