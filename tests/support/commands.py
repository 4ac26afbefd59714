"""Commands of `receipts`, as a user types them."""

import os
import subprocess
import sys
from pathlib import Path

from models.settings import Settings

ROOT = Path(__file__).parents[2]


def receipts(
    settings: Settings, *arguments: str, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run a command with these settings and no others; its output and exit code."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RECEIPTS_")}
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", *arguments],
        cwd=ROOT,
        env={**clean, **settings.environ()},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
