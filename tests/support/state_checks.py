"""`receipts state check` of the folders that stopped workers left."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def run_state_check(environ: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """The command, as it ended. environ: the settings of the worker"""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("RECEIPTS_")}
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", "state", "check", *options],
        cwd=ROOT,
        env={**inherited, **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def state_check(environ: Mapping[str, str], *options: str) -> dict[str, Any]:
    """The document of the command; fails the test unless all is exact."""
    found = run_state_check(environ, "--json", *options)
    assert found.returncode == 0, found.stdout + found.stderr
    document: dict[str, Any] = json.loads(found.stdout)
    assert document["exact"]
    return document


def states_of(document: Mapping[str, Any]) -> int:
    """How many states were compared."""
    return sum(partition["states"] for partition in document["partitions"])
