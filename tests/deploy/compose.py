"""docker-compose.yml as a program reads it, with its ${VARIABLE:-default} replaced by defaults."""

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
OURS = ("topics", "migrate", "listen", "worker", "sink", "pages")


def text() -> str:
    """The file with defaults put in."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", FILE.read_text(encoding="utf-8"))


def services() -> dict[str, dict[str, Any]]:
    """Services by name, merge keys resolved."""
    found: dict[str, dict[str, Any]] = YAML(typ="safe").load(text())["services"]
    return found


def settings_of(service: str) -> dict[str, str]:
    """The RECEIPTS_ settings of one of our services."""
    environment: dict[str, str] = services()[service]["environment"]
    return environment
