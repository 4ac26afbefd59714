"""Pages of docs/ generated from code: `python -m deploy.docs` writes them, a test compares them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from deploy.docs.codes import codes_page
from deploy.docs.kafka_rights import kafka_rights_page
from deploy.docs.metrics import metrics_page
from deploy.docs.providers import providers_page
from deploy.docs.reports import reports_page
from deploy.docs.status import status_page
from deploy.monitoring.grafana.delivery import delivery
from deploy.monitoring.grafana.operations import operations
from deploy.monitoring.grafana.panels import text_of
from deploy.monitoring.grafana.runbook import runbook
from models.issues import file_variable_of, variable_of
from models.schemas import EVENTS, schema_text
from models.settings import SECRETS, Settings

DOCS = Path(__file__).parents[2] / "docs"
DASHBOARDS = "../deploy/monitoring/grafana/dashboards"


def settings_page() -> str:
    """The page docs/settings.md."""
    head = (
        "# Settings\n\n"
        "Generated from `models/settings.py` by `python -m deploy.docs`; a test keeps it current.\n"
        "Every process reads its settings from environment variables and reports all invalid ones "
        "at once, with\nexit code 2. A variable that starts with `RECEIPTS_` and is not listed is "
        "invalid too, unless Kubernetes set it\nfor a service (`RECEIPTS_WORKER_SERVICE_HOST`, "
        "`RECEIPTS_WORKER_PORT=tcp://10.0.0.1:6066` and the like):\nthose are ignored.\n\n"
        "A secret may also be in a file: the variable with `_FILE` has its path. One line of UTF-8;"
        " the line break at\nits end is not part of the secret. A secret is in no log, error or "
        "metric ([security.md](security.md)).\n"
        "\n| variable | default | meaning | allowed |\n|---|---|---|---|\n"
    )
    rows = []
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra
        assert isinstance(extra, dict), name
        default = _text(field.default) or "(empty)"
        variable = f"`{variable_of(name)}`"
        if name in SECRETS:
            variable += f" or `{file_variable_of(name)}`"
        cells = (variable, f"`{default}`", field.description or "", extra["fix"])
        rows.append("| " + " | ".join(map(str, cells)) + " |\n")
    return head + "".join(rows)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


PAGES: dict[str, Callable[[], str]] = {
    "codes.md": codes_page,
    "kafka-rights.md": kafka_rights_page,
    "metrics.md": metrics_page,
    "providers.md": providers_page,
    "reports.md": reports_page,
    "settings.md": settings_page,
    "status.md": status_page,
    f"{DASHBOARDS}/operations.json": lambda: text_of(operations()),
    f"{DASHBOARDS}/delivery.json": lambda: text_of(delivery()),
    f"{DASHBOARDS}/runbook.json": lambda: text_of(runbook()),
    **{f"contract/{topic}.schema.json": partial(schema_text, topic) for topic in EVENTS},
}


def main() -> None:
    """Write every generated page."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
