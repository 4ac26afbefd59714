"""All tests of the lifecycle agent run with states in memory and with states on disk."""

from collections.abc import Iterator

import pytest

from tests.support.stores import stores_on_disk


@pytest.fixture(params=["memory", "disk"], autouse=True)
def stores(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param == "memory":
        yield
        return
    with stores_on_disk():
        yield
