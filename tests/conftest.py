"""How the tests share the processes that run them (`make test`)."""

import pytest

#: Starts first: it takes longest, and waits for Kafka more than it works.
LONGEST = "stream"


@pytest.hookimpl(tryfirst=True)  # before the groups are read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A folder is one process's: its tests share brokers, databases and worlds."""
    folders = {item: item.nodeid.removeprefix("tests/").partition("/")[0] for item in items}
    for item, folder in folders.items():
        item.add_marker(pytest.mark.xdist_group(folder))
    items.sort(key=lambda item: folders[item] != LONGEST)
