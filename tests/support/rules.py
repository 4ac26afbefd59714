"""The files of deploy/monitoring/prometheus as programs read them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

FOLDER: Final = Path(__file__).parents[2] / "deploy/monitoring/prometheus"
RUNBOOK: Final = FOLDER.parents[2] / "docs/runbook.md"


def load(path: Path) -> Any:
    """A YAML file."""
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def rule_files() -> list[Path]:
    """The files that Prometheus loads, in its order."""
    return [FOLDER / name for name in load(FOLDER / "prometheus.yml")["rule_files"]]


def rules() -> Iterator[dict[str, Any]]:
    """Every rule of every file."""
    for path in rule_files():
        for group in load(path)["groups"]:
            yield from group["rules"]


def alerts() -> list[dict[str, Any]]:
    """Every rule that is an alert; one name may have several severities."""
    return [rule for rule in rules() if "alert" in rule]
