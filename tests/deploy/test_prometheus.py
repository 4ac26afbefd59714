"""The rules of deploy/monitoring/prometheus: valid, in step with the metrics, each tested."""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from deploy.monitoring.grafana.operations import limits
from models.metrics import BY_NAME
from streams.batching.assignment import NEAR
from tests.support.monitoring import write_yaml
from tests.support.rules import FOLDER, alerts, load, rule_files, rules

TOKEN_FILE = "/etc/prometheus/monitoring-token"

CASES = sorted(FOLDER.glob("tests/*.yml"))
THRESHOLD = re.compile(r'receipts:threshold\{name="(\w+)"\}')
METRIC = re.compile(r"\breceipts_\w+")
MISSING = "ReceiptsThresholdsMissing"
#: Where increase() may leave out the value with which a series begins, and why.
BEGINS_UNCOUNTED = {
    "receipts_rebalances_total[1h]": "a process begins with one assignment, and more than 10 count",
    "receipts_commit_failures_total[15m]": "compared with commits, which also lack the beginning",
    "receipts_commits_total[15m]": "compared with failures, which also lack the beginning",
    "receipts_kafka_errors_total[2m]": "fires on refusals that go on for three minutes",
    "receipts_kafka_errors_total[5m]": "fires on errors that go on for ten minutes",
    "receipts_sink_insert_failures_total[10m]": "fires on retries that go on for five minutes",
    "receipts_clickhouse_rejected_inserts_total[10m]": "the sink shows 0 from its start",
    "receipts_events_total[6h]": "leaves out one scrape of six hours; counted from zero, a "
    "process that restarted within them would lose all before its restart",
}
RECORDED = re.compile(r"\breceipts:[\w:]+")


def run(program: Path, *arguments: str) -> str:
    """Its output. AssertionError with it when it fails."""
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, timeout=250
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-6000:]
    return output


def expressions() -> str:
    """All expressions and texts of all rules: texts query too."""
    texts = [rule["expr"] for rule in rules()]
    texts += [text for rule in alerts() for text in rule["annotations"].values()]
    return "\n".join(texts)


def test_prometheus_accepts_the_configuration(prometheus_programs: Path, tmp_path: Path) -> None:
    """promtool reads the file of the token too, so here it has one."""
    for path in rule_files():
        shutil.copy(path, tmp_path)
    token = tmp_path / "token"
    token.write_text("a-token-of-twenty-six-chars")
    text = (FOLDER / "prometheus.yml").read_text()
    assert text.count(TOKEN_FILE) == len(load(FOLDER / "prometheus.yml")["scrape_configs"])
    (tmp_path / "prometheus.yml").write_text(text.replace(TOKEN_FILE, str(token)))
    output = run(prometheus_programs / "promtool", "check", "config", f"{tmp_path}/prometheus.yml")
    for path in rule_files():
        assert path.name in output


def test_alertmanager_accepts_the_configuration(prometheus_programs: Path) -> None:
    run(prometheus_programs / "amtool", "check-config", f"{FOLDER}/alertmanager.yml")


def test_alertmanager_accepts_the_examples_of_its_receivers(
    prometheus_programs: Path, tmp_path: Path
) -> None:
    text = (FOLDER / "alertmanager.yml").read_text()
    examples = re.findall(r"^#   (\w+_configs: .*)$", text, re.MULTILINE)
    assert len(examples) == 3
    given = "  - name: page\n" + "".join(f"    {example}\n" for example in examples)
    changed = tmp_path / "alertmanager.yml"
    changed.write_text(text.replace("  - name: page\n", given, 1))
    assert "4 receivers" in run(prometheus_programs / "amtool", "check-config", str(changed))


@pytest.mark.parametrize(
    ("area", "severity", "receiver"),
    [
        ("machine", "page", "page"),
        ("machine", "ticket", "ticket"),
        ("business", "page", "business-page"),
        ("business", "ticket", "business-ticket"),
    ],
)
def test_an_alert_goes_to_the_receiver_of_its_area_and_severity(
    area: str, severity: str, receiver: str, prometheus_programs: Path
) -> None:
    command = ["config", "routes", "test", f"--config.file={FOLDER}/alertmanager.yml"]
    labels = ["alertname=ReceiptsAny", f"area={area}", f"severity={severity}"]
    output = run(prometheus_programs / "amtool", *command, *labels)
    assert output.splitlines()[0] == receiver  # a warning about an address that it lacks follows


def test_alerts_of_the_business_notify_once_an_hour_for_each_kind() -> None:
    (business,) = [
        route
        for route in load(FOLDER / "alertmanager.yml")["route"]["routes"]
        if route["matchers"] == ['area="business"']
    ]
    for route in (business, *business["routes"]):
        assert route.get("group_by", business["group_by"]) == ["alertname", "severity"]
        assert route.get("group_interval", business["group_interval"]) == "1h"


@pytest.mark.slow
@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_only_then(cases: Path, prometheus_programs: Path) -> None:
    run(prometheus_programs / "promtool", "test", "rules", str(cases))


def test_a_wrong_expectation_fails(prometheus_programs: Path, tmp_path: Path) -> None:
    text = (FOLDER / "tests/no_thresholds.yml").read_text().replace("../", f"{FOLDER}/")
    changed = tmp_path / "cases.yml"
    changed.write_text(text.replace("severity: 'page'", "severity: 'ticket'"))
    assert changed.read_text() != text
    with pytest.raises(AssertionError, match="FAILED"):
        run(prometheus_programs / "promtool", "test", "rules", str(changed))


def test_every_alert_and_severity_is_tested_firing_and_not_firing() -> None:
    fires, silent = defaultdict[str, set[str]](set), set[str]()
    for path in CASES:
        for test in load(path)["tests"]:
            for case in test["alert_rule_test"]:
                expected: list[dict[str, Any]] = case["exp_alerts"]
                fires[case["alertname"]] |= {e["exp_labels"]["severity"] for e in expected}
                if not expected:
                    silent.add(case["alertname"])
    wanted = defaultdict[str, set[str]](set)
    for alert in alerts():
        wanted[alert["alert"]].add(alert["labels"]["severity"])
    assert fires == wanted
    assert silent == set(wanted)


def test_every_case_evaluates_the_groups_in_the_order_of_the_files() -> None:
    """promtool's own order is random, and a recorded figure of the last step is too old."""
    for path in CASES:
        cases = load(path)
        loaded = [load((path.parent / name).resolve()) for name in cases["rule_files"]]
        assert cases["group_eval_order"] == [g["name"] for f in loaded for g in f["groups"]], path


def thresholds() -> set[str]:
    """Names of all that a rule compares with."""
    others = [rule["expr"] for rule in rules() if rule.get("alert") != MISSING]
    return set(THRESHOLD.findall("\n".join(others)))


def test_every_threshold_is_used_and_every_used_one_exists() -> None:
    made = [r["labels"]["name"] for r in rules() if r.get("record") == "receipts:threshold"]
    assert len(made) == len(set(made))
    assert thresholds() == set(made)


def test_a_standby_is_behind_where_it_would_not_take_over() -> None:
    assert limits()["standby_lag_records"] == NEAR


@pytest.mark.slow
def test_each_threshold_that_is_missing_fires_an_alert_with_its_name(
    prometheus_programs: Path, tmp_path: Path
) -> None:
    """One run of promtool: a case for each, with the series of all others."""
    names = sorted(thresholds())
    assert len(names) > 40
    cases: list[dict[str, Any]] = [
        {
            "name": f"without {missing}",
            "interval": "1m",
            "input_series": [
                {"series": f'receipts:threshold{{name="{name}"}}', "values": "1+0x10"}
                for name in names
                if name != missing
            ],
            "promql_expr_test": [
                {
                    "expr": f'ALERTS{{alertname="{MISSING}",alertstate="firing"}}',
                    "eval_time": "9m",
                    "exp_samples": [
                        {
                            "labels": f'ALERTS{{alertname="{MISSING}",alertstate="firing",'
                            f'area="machine",name="{missing}",severity="page"}}',
                            "value": 1,
                        }
                    ],
                }
            ],
        }
        for missing in names
    ]
    path = tmp_path / "cases.yml"
    write_yaml(path, {"rule_files": [f"{FOLDER}/alerts_machine.yml"], "tests": cases})
    run(prometheus_programs / "promtool", "test", "rules", str(path))


def test_increase_counts_a_new_series_from_zero() -> None:
    """Or it is in BEGINS_UNCOUNTED, with the reason."""
    text = " ".join(expressions().split())
    plain = set[str]()
    for series, window in re.findall(r"increase\(([^()]*)\[(\w+)\]\)", text):
        new = f"({series} unless {series} offset {window} and on (job, instance) " \
            f"receipts:counted_from_zero:{window}) or increase({series}[{window}])"  # fmt: skip
        if new not in text:
            plain.add(f"{series.partition('{')[0]}[{window}]")
    assert plain == set(BEGINS_UNCOUNTED)


def test_every_recorded_figure_is_used_and_every_used_one_exists() -> None:
    made = {rule["record"] for rule in rules() if "record" in rule}
    assert set(RECORDED.findall(expressions())) == made


def test_every_metric_exists() -> None:
    histograms = {f"{n}_{part}" for n in BY_NAME for part in ("bucket", "sum", "count")}
    named = set(METRIC.findall(expressions()))
    assert named
    assert named <= set(BY_NAME) | histograms


def test_every_label_of_a_metric_exists() -> None:
    """Within braces; labels of aggregations show in the cases."""
    for name, selector in re.findall(r"\b(receipts_\w+)\{([^}]*)\}", expressions()):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        known = {*BY_NAME[base].labels, "job", "instance"}
        assert {re.split("[=!]", part)[0] for part in selector.split(",")} <= known, name


@pytest.mark.parametrize("alert", alerts(), ids=lambda a: f"{a['alert']}-{a['labels']['severity']}")
def test_an_alert_explains_itself(alert: dict[str, Any]) -> None:
    assert re.fullmatch(r"Receipts[A-Z][A-Za-z]+", alert["alert"])
    assert alert["labels"].keys() == {"severity", "area"}
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert alert["labels"]["area"] in ("machine", "business")
    notes = alert["annotations"]
    assert notes.keys() == {"summary", "description", "runbook_url"}
    anchor = alert["alert"].lower()
    base = "{{ $externalLabels.runbook_base }}"
    assert notes["runbook_url"] == f"{base}docs/runbook.md#{anchor}"
    assert notes["description"].removesuffix("{{ end }}").endswith(".")
    assert not notes["summary"].endswith(".")


def test_inhibitions_and_routes_name_alerts_that_exist() -> None:
    text = (FOLDER / "alertmanager.yml").read_text()
    named = set(re.findall(r"\bReceipts[A-Z]\w+", text))
    assert named
    assert named <= {alert["alert"] for alert in alerts()}
