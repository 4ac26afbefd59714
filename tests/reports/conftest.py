"""Worlds behind one HTTP front for the whole session; making one takes some seconds."""

from collections.abc import Iterator

import pytest

from tests.reports.world import WORLDS, World
from tests.support.front import Front


@pytest.fixture(scope="session")
def reports_front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """One front over the embedded engine, in a process of its own."""
    server = Front(tmp_path_factory.mktemp("reports")).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def worlds(reports_front: Front) -> Iterator[list[World]]:
    """All worlds, each in its own database."""
    made = [World(setting, reports_front.url(f"world_{setting.seed}")) for setting in WORLDS]
    yield made
    for world in made:
        world.database.close()


@pytest.fixture(params=range(len(WORLDS)), ids=[f"seed-{one.seed}" for one in WORLDS])
def world(request: pytest.FixtureRequest, worlds: list[World]) -> World:
    """Each world in turn."""
    place: int = request.param
    return worlds[place]
