"""Compares the locks with a database of advisories: `python deploy/install/audit.py LOCK...`.

Run by `make audit` with the Python that has pip-audit. Exit codes: 0 nothing known, 1 advisories
found, 2 not compared: no database answered, or it knows a package not at all. pip-audit itself ends
with 0 when its database knows no package.
"""

import json
import subprocess
import sys
from typing import Any, Final

#: In this order: the first one that answers for all packages decides.
DATABASES: Final = ("pypi", "osv")
TIMEOUT_S: Final = 300
NOTHING, FOUND, NOT_COMPARED = 0, 1, 2


def packages_of(lock: str, database: str) -> list[dict[str, Any]] | None:
    """Every package of a lock with its advisories; None: the database does not answer."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", lock, "--require-hashes"]
    options = ["--disable-pip", "--progress-spinner=off", "--format=json", "--timeout=30"]
    try:
        done = subprocess.run(
            [*command, *options, f"--vulnerability-service={database}"],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        print(f"audit: {database}: nothing within {TIMEOUT_S} s", file=sys.stderr)
        return None
    except (ValueError, KeyError):
        last = (done.stderr.strip() or "no output").splitlines()[-1]
        print(f"audit: {database}: {last}", file=sys.stderr)
        return None
    return found


def audit(lock: str) -> int:
    """Compare one lock with the databases; prints what is found."""
    for database in DATABASES:
        packages = packages_of(lock, database)
        if packages is None:
            continue
        advisories = [(each, one) for each in packages for one in each.get("vulns", [])]
        for package, advisory in advisories:
            fixed = ", ".join(advisory["fix_versions"]) or "none yet"
            name = f"{package['name']} {package['version']}"
            print(f"{lock}: {name}: {advisory['id']}, fixed in: {fixed}")
        unknown = sum("skip_reason" in each for each in packages)
        if unknown:
            print(f"audit: {database}: {unknown} of {len(packages)} packages are not in it")
        elif not advisories:
            print(f"{lock}: {len(packages)} packages, no advisory in the database {database}")
        if advisories or not unknown:
            return FOUND if advisories else NOTHING
    print(f"{lock}: NOT COMPARED. Fix: run it where a database of advisories can be reached")
    return NOT_COMPARED


if __name__ == "__main__":
    sys.exit(max(map(audit, sys.argv[1:])))
