"""The simulator and its oracle may not borrow a rule from what they check."""

import ast
import sys
from pathlib import Path

import deploy.simulator

ALLOWED = {"aiohttp", "aiokafka", "murmurhash2", "phonenumbers"} | set(sys.stdlib_module_names)


def imported(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or ".")
    return names


def test_nothing_of_the_project_is_imported_but_the_simulator_itself() -> None:
    files = list(Path(deploy.simulator.__path__[0]).rglob("*.py"))
    assert len(files) > 10
    for path in files:
        foreign = {
            name
            for name in imported(path.read_text())
            if name.split(".")[0] not in ALLOWED and not name.startswith("deploy.simulator")
        }
        if path.name == "publish.py":
            # To connect like everybody else: these know no receipts.
            foreign = {name for name in foreign if not f"{name}.".startswith("streams.kafka.")}
        assert not foreign, f"{path.name} imports {foreign}"
