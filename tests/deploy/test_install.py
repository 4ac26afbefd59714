"""What is installed: every package by its hash, as pyproject.toml pins it; and the audit of it."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from deploy.install import audit

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/install"
ENTRY = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^\s;]+)(.*)$", re.MULTILINE | re.IGNORECASE)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(name: str) -> dict[str, tuple[str, list[str]]]:
    """Version and hashes by package."""
    text = (FOLDER / f"{name}.txt").read_text().replace("\\\n", "")
    return {
        normal(found[1]): (found[2], re.findall(r"--hash=(\S+)", found[3]))
        for found in ENTRY.finditer(text)
    }


def pins(*requirements: str) -> dict[str, str]:
    return {normal(name): version for name, version in (r.split("==") for r in requirements)}


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements", PROJECT["project"]["dependencies"]),
        (
            "requirements-dev",
            [
                *PROJECT["project"]["dependencies"],
                *PROJECT["project"]["optional-dependencies"]["embedded"],
                *PROJECT["project"]["optional-dependencies"]["dev"],
            ],
        ),
        ("requirements-build", PROJECT["dependency-groups"]["build"]),
        ("requirements-tools", PROJECT["dependency-groups"]["tools"]),
    ],
)
def test_a_lock_has_every_pin_and_a_hash_for_every_package(lock: str, wanted: list[str]) -> None:
    found = locked(lock)
    versions = {name: version for name, (version, _) in found.items()}
    assert pins(*wanted).items() <= versions.items(), "run: make lock"
    for name, (_, hashes) in found.items():
        assert hashes and all(re.fullmatch(r"sha256:[0-9a-f]{64}", h) for h in hashes), name


def test_development_has_the_packages_of_the_image() -> None:
    image, development = locked("requirements"), locked("requirements-dev")
    assert {name: development.get(name) for name in image} == image


def test_no_lock_names_a_registry() -> None:
    for path in FOLDER.glob("requirements*.txt"):
        assert not re.search(r"://|^-", path.read_text(), re.M), path.name


def test_another_file_than_the_locked_one_is_refused(tmp_path: Path) -> None:
    text = (FOLDER / "requirements-build.txt").read_text()
    changed = tmp_path / "changed.txt"
    changed.write_text(re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", text))
    version = locked("requirements-build")["setuptools"][0]
    (tmp_path / f"setuptools-{version}-py3-none-any.whl").write_bytes(b"not what was locked")
    command = [sys.executable, "-m", "pip", "download", "--no-index", "--find-links"]
    for lock in (changed, FOLDER / "requirements-build.txt"):
        done = subprocess.run(
            [*command, tmp_path, "--require-hashes", "-r", lock, "-d", tmp_path / "out"],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 1
        assert "DO NOT MATCH THE HASHES" in done.stderr


def package(**fields: Any) -> dict[str, Any]:
    return {"name": "p", "version": "1", "vulns": [], **fields}


UNKNOWN = package(skip_reason="not found")
FLAWED = package(vulns=[{"id": "PYSEC-1", "fix_versions": ["2"]}])


@pytest.mark.parametrize(
    ("answers", "code", "words"),
    [
        ([[package(), package()]], audit.NOTHING, "no advisory"),
        ([[package(), FLAWED]], audit.FOUND, "p 1: PYSEC-1, fixed in: 2"),
        ([[UNKNOWN, FLAWED]], audit.FOUND, "PYSEC-1"),
        ([[UNKNOWN], [package()]], audit.NOTHING, "1 of 1 packages are not in it"),
        ([[UNKNOWN], [UNKNOWN]], audit.NOT_COMPARED, "NOT COMPARED"),
        ([None, None], audit.NOT_COMPARED, "NOT COMPARED"),
        ([None, [FLAWED]], audit.FOUND, "PYSEC-1"),
    ],
)
def test_the_audit_is_only_good_when_every_package_was_compared(
    answers: list[Any],
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = iter(answers)
    monkeypatch.setattr(audit, "packages_of", lambda *_: next(given))
    assert audit.audit("lock.txt") == code
    assert words in capsys.readouterr().out


@pytest.mark.parametrize("output", ["", "{", json.dumps({"fixes": []})])
def test_a_database_that_does_not_answer_is_named(
    output: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = subprocess.CompletedProcess([], 1, output, "Traceback\nConnectionError: nobody\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert audit.packages_of("lock.txt", "osv") is None
    assert "audit: osv: ConnectionError: nobody" in capsys.readouterr().err
