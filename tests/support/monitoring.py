"""A real Prometheus and Alertmanager with our rules, and a receiver of their messages.

Rules and routes are those of deploy/monitoring/prometheus. Only times are shorter, thresholds
lower, and addresses those of the test.
"""

import contextlib
import json
import re
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from ruamel.yaml import YAML

from deploy.embedded.brokers import free_port
from deploy.processes.child import Child
from tests.support.prometheus import HOME
from tests.support.rules import FOLDER, load, rule_files
from tests.support.waiting import until

WINDOW_S: Final = 20
"""Every window of a rule: long enough for some scrapes on a busy machine."""
BASE: Final = "https://git.example.com/receipts/"
START_S: Final = 60.0


def shortened(rules: str, thresholds: Mapping[str, float]) -> str:
    """A rule file that reacts within seconds. thresholds: values by name."""
    text = re.sub(r"\[\d+[mh]\]", f"[{WINDOW_S}s]", rules)
    text = re.sub(r"offset \d+[mh]\b", f"offset {WINDOW_S}s", text)
    text = re.sub(r"< (1800|3600)\b", f"< {WINDOW_S}", text)
    text = re.sub(r"\bfor: \d+[mh]\b", "for: 1s", text)
    text = re.sub(r"\binterval: 1m\b", "interval: 1s", text)
    for name, value in thresholds.items():
        text = re.sub(rf"(name: {name}}}, expr: vector)\(.*\)", rf"\1({value})", text)
    return text


class Receiver:
    """Receives Alertmanager's webhooks; `alerts` are those of all messages, the oldest first."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        received = self.alerts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                route = self.path.removeprefix("/")
                received.extend({**alert, "receiver": route} for alert in message["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing: the messages are in `alerts`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Alertmanager:
    """A real Alertmanager. settings: of its configuration file."""

    def __init__(self, programs: Path, folder: Path, settings: object) -> None:
        self.port = free_port()
        write_yaml(folder / "alertmanager.yml", settings)
        self.child = start_program(
            programs / "prometheus-alertmanager", folder, "alertmanager", self.port,
            "--cluster.listen-address=", f"--storage.path={folder}/silences",
        )  # fmt: skip

    def send(self, *alerts: Mapping[str, str]) -> None:
        """Make alerts fire. alerts: labels of each"""
        body = json.dumps([{"labels": dict(labels)} for labels in alerts]).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v2/alerts", body,
            {"Content-Type": "application/json"},
        )  # fmt: skip
        urllib.request.urlopen(request, timeout=10).close()

    def alerts(self) -> list[tuple[dict[str, str], bool]]:
        """Labels of each alert that fires, and whether another alert silences it now."""
        with open_page(self.port, "/api/v2/alerts") as page:
            return [(a["labels"], bool(a["status"]["inhibitedBy"])) for a in json.load(page)]


def write_yaml(path: Path, settings: object) -> None:
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(settings, file)


def open_page(port: int, path: str) -> Any:
    """An HTTP response of a program on this machine."""
    return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10)


def start_program(program: Path, folder: Path, name: str, port: int, *arguments: str) -> Child:
    """Start one of Prometheus's programs with folder/NAME.yml, and wait until it is ready."""
    command = [
        str(program), f"--config.file={folder}/{name}.yml",
        f"--web.listen-address=127.0.0.1:{port}", *arguments,
    ]  # fmt: skip
    child = Child(name, command, {}, folder / f"{name}.log", HOME)

    def ready() -> bool:
        child.check()
        with contextlib.suppress(OSError):
            open_page(port, "/-/ready").close()
            return True
        return False

    try:
        until(ready, f"{name} is ready", START_S)
    except BaseException:
        child.stop()
        raise
    return child


class Monitoring:
    """Prometheus and Alertmanager as processes, with everything they wrote in `folder`."""

    def __init__(self, folder: Path, targets: Mapping[str, int]) -> None:
        """targets: ports of our processes by job."""
        self.folder = folder
        self.receiver = Receiver()
        self._targets = targets
        self._prometheus = free_port()
        self._children: list[Child] = []

    def start(self, programs: Path, thresholds: Mapping[str, float]) -> None:
        """programs: folder of the programs; thresholds: by name, instead of those of the file."""
        self.folder.mkdir()
        for path in rule_files():
            (self.folder / path.name).write_text(shortened(path.read_text(), thresholds))
        self._alertmanager = Alertmanager(programs, self.folder, self._alertmanager_settings())
        self._children.append(self._alertmanager.child)
        write_yaml(self.folder / "prometheus.yml", self._prometheus_settings())
        self._children.append(
            start_program(
                programs / "prometheus",
                self.folder,
                "prometheus",
                self._prometheus,
                f"--storage.tsdb.path={self.folder}/data",
                "--rules.alert.resend-delay=2s",
            )
        )

    def stop(self) -> None:
        for child in reversed(self._children):
            child.stop()
        self.receiver.close()

    def _prometheus_settings(self) -> Any:
        settings = load(FOLDER / "prometheus.yml")
        settings["global"] = {
            "scrape_interval": "1s",
            "evaluation_interval": "1s",
            "external_labels": {"runbook_base": BASE},
        }
        jobs = {job["job_name"]: job for job in settings["scrape_configs"]}
        assert jobs.keys() == self._targets.keys()
        token = self.folder / "token"  # without the file nothing is scraped
        token.write_text("a token that the processes do not check")
        for name, port in self._targets.items():
            jobs[name]["authorization"]["credentials_file"] = str(token)
            jobs[name]["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
        (manager,) = settings["alerting"]["alertmanagers"]
        manager["static_configs"] = [{"targets": [f"127.0.0.1:{self._alertmanager.port}"]}]
        return settings

    def _alertmanager_settings(self) -> Any:
        settings = load(FOLDER / "alertmanager.yml")
        _hasten(settings["route"])
        for receiver in settings["receivers"]:
            receiver["webhook_configs"] = [{"url": f"{self.receiver.url}/{receiver['name']}"}]
        return settings

    def api(self, path: str) -> Any:
        """The `data` of a page of Prometheus's API."""
        with open_page(self._prometheus, f"/api/v1/{path}") as page:
            return json.load(page)["data"]

    def query(self, expression: str) -> list[Any]:
        """The series of an instant query, now."""
        found: list[Any] = self.api(f"query?{urlencode({'query': expression})}")["result"]
        return found

    def firing(self) -> set[str]:
        """Names of alerts that fire now."""
        alerts = self.api("alerts")["alerts"]
        return {a["labels"]["alertname"] for a in alerts if a["state"] == "firing"}

    def fired(self, seconds: int) -> set[tuple[str, str]]:
        """Name and severity of each alert that fired at any evaluation of the last seconds."""
        series = self.query(f'max_over_time(ALERTS{{alertstate="firing"}}[{seconds}s])')
        labels = [each["metric"] for each in series]
        return {(each["alertname"], each["severity"]) for each in labels}

    def suppressed(self) -> set[str]:
        """Names of alerts that Alertmanager silences now because of another alert."""
        return {labels["alertname"] for labels, silent in self._alertmanager.alerts() if silent}

    def wait_for(self, alert: str, severity: str, status: str, timeout_s: float) -> dict[str, Any]:
        """The alert as it reached the receiver last, once its status is firing or resolved."""

        def last() -> dict[str, Any]:
            wanted = {"alertname": alert, "severity": severity}
            found = [a for a in self.receiver.alerts if wanted.items() <= a["labels"].items()]
            return found[-1] if found else {}

        try:
            until(
                lambda: last().get("status") == status, f"{alert} ({severity}) {status}", timeout_s
            )
        except AssertionError as error:
            seen = [(a["labels"]["alertname"], a["status"]) for a in self.receiver.alerts]
            raise AssertionError(f"{error}; received: {seen}; fire: {self.firing()}") from error
        return last()


def _hasten(route: dict[str, Any]) -> None:
    for name in ("group_wait", "group_interval"):
        if name in route:
            route[name] = "1s"
    for inner in route.get("routes", []):
        _hasten(inner)


@contextlib.contextmanager
def watching(
    programs: Path, folder: Path, targets: Mapping[str, int], thresholds: Mapping[str, float]
) -> Iterator[Monitoring]:
    """Prometheus and Alertmanager that watch processes; stopped at the end."""
    monitoring = Monitoring(folder, targets)
    try:
        monitoring.start(programs, thresholds)
        yield monitoring
    finally:
        monitoring.stop()
