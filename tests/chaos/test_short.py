"""The short set of faults on a real Kafka: nothing lost, doubled or wrong, nothing ended."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT_S = 240

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(LIMIT_S + 30)]


def test_the_short_set_of_faults_passes(tmp_path: Path, needs_kafka: None) -> None:
    found = tmp_path / "chaos.json"
    command = [sys.executable, "-m", "tests.chaos", "--short", "--json", str(found)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, f"{done.stderr}\n{done.stdout}"
    outcomes = json.loads(found.read_text())["outcomes"]
    assert {"kill-worker", "kill-sink", "kill-broker"} <= {one["fault"] for one in outcomes}
    assert all(one["ledger"]["events"] > 0 for one in outcomes)
