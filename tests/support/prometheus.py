"""Prometheus's and Alertmanager's programs, from Debian's packages, unpacked into a cache.

Nothing is installed and no daemon is started: `apt-get download` and `dpkg -x` need no root.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

PACKAGES: Final = ("prometheus", "prometheus-alertmanager")
PROGRAMS: Final = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")
HOME: Final = Path.home() / ".cache" / "receipts" / "prometheus"
DOWNLOAD_S: Final = 300.0
#: Where Debian's Alertmanager looks for its templates, and the same place relative to the folder
#: that it runs in. Both have the same length: the one is replaced by the other in the program.
INSTALLED: Final = b"/usr/share/prometheus/alertmanager"
RELATIVE: Final = b"usr//share/prometheus/alertmanager"


class PrometheusMissing(RuntimeError):
    """Prometheus could not be fetched; the text names the fix."""


def missing_for_prometheus() -> str:
    """What lacks on this machine, as a sentence; empty when nothing does."""
    if _complete(HOME):
        return ""
    lacking = [name for name in ("apt-get", "dpkg") if shutil.which(name) is None]
    if lacking:
        return f"{' and '.join(lacking)} not found: Prometheus comes from Debian's packages"
    return ""


def fetch_prometheus() -> Path:
    """Folder of PROGRAMS, from the cache or from Debian into it (30 MB, once per machine).

    Start Alertmanager in the folder HOME. Raises PrometheusMissing.
    """
    if lack := missing_for_prometheus():
        raise PrometheusMissing(lack)
    if not _complete(HOME):
        HOME.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="prometheus-", dir=HOME.parent) as folder:
            _unpack(Path(folder))
            # Moved into place whole: a second process never sees half a directory.
            if not _complete(HOME):
                shutil.rmtree(HOME, ignore_errors=True)
                (Path(folder) / "root").rename(HOME)
    return HOME / "usr/bin"


def _complete(home: Path) -> bool:
    return all((home / "usr/bin" / name).exists() for name in PROGRAMS)


def _unpack(folder: Path) -> None:
    _run(["apt-get", "download", *PACKAGES], folder)
    for package in sorted(folder.glob("*.deb")):
        _run(["dpkg", "-x", str(package), "root"], folder)
    alertmanager = folder / "root/usr/bin/prometheus-alertmanager"
    alertmanager.write_bytes(alertmanager.read_bytes().replace(INSTALLED, RELATIVE))
    if not _complete(folder / "root"):
        raise PrometheusMissing(f"Debian's packages lack some of {', '.join(PROGRAMS)}")


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=DOWNLOAD_S
    )
    if done.returncode != 0:
        raise PrometheusMissing(
            f"{' '.join(command)} failed (apt-get update?): {(done.stdout + done.stderr)[-1000:]}"
        )
