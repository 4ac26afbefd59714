"""The pages of one simulated world, served to a real browser."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright
from starlette.applications import Starlette

from reports.pages.app import app
from sinks.client import connect
from tests.reports.world import WORLDS, World
from tests.support.front import Front

#: Its own words: an account without anything, and the account the tests look at.
NOBODY = "nobody"
ACCOUNT = "acme-retail"


def token_of(account: str) -> str:
    """The token of an account in these tests."""
    return f"token-of-{account.replace('.', '-')}-0123456789"


class Served:
    """A world and its pages at `url`."""

    def __init__(self, world: World) -> None:
        self.world = world
        tokens = {token_of(one): one for one in [*world.accounts, NOBODY]}
        self.app: Starlette = app(world.url, tokens, lambda: world.now + timedelta(seconds=1))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(self.app, log_config=None, lifespan="off")
        self._server = uvicorn.Server(config)
        run = self._server.run
        self._thread = threading.Thread(target=run, kwargs={"sockets": [self._socket]})

    def start(self) -> Served:
        """Serve in a thread."""
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """End the thread."""
        self._server.should_exit = True
        self._thread.join(20)
        self._socket.close()

    def command(self, sql: str) -> None:
        """Change the world behind the pages' back."""
        clickhouse = connect(self.world.url)
        clickhouse.command(sql)
        clickhouse.close()


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The first world, served."""
    front = Front(tmp_path_factory.mktemp("pages")).start()
    world = World(WORLDS[0], front.url("pages"))
    served = Served(world).start()
    yield served
    served.stop()
    world.database.close()
    front.stop()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Headless Chromium; where CI runs it must be there."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is missing; .ci/run installs it")
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visitor:
    """Somebody at a browser; what must never happen is collected while they look around."""

    def __init__(self, browser: Browser, served: Served, *, phone: bool = False) -> None:
        self.served = served
        self.context = browser.new_context(
            viewport={"width": 390 if phone else 1280, "height": 844 if phone else 900},
            user_agent="Mozilla/5.0 (Linux; Android 14) Mobile" if phone else None,
            has_touch=phone,
            is_mobile=phone,
            accept_downloads=True,
        )
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        self.wrong: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", self._see)

    def sign_in(self, account: str = ACCOUNT) -> Visitor:
        """Sign in with the account's token."""
        self.page.goto(f"{self.served.url}/sign-in")
        self.page.get_by_label("Token of your account").fill(token_of(account))
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url("**/overview")
        return self

    def go(self, path: str) -> Page:
        """Open a page that must be there."""
        answer = self.page.goto(self.served.url + path)
        assert answer is not None
        assert answer.status == 200, (path, answer.status)
        return self.page

    def download(self, name: str, folder: Path) -> Path:
        """Follow an export link."""
        with self.page.expect_download() as waiting:
            self.page.get_by_role("link", name=name).click()
        path = folder / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(message.text)

    def _see(self, request: Request) -> None:
        if not request.url.startswith((self.served.url, "data:")):
            self.wrong.append(f"request to another host: {request.url}")


@pytest.fixture
def visitor(browser: Browser, served: Served) -> Iterator[Visitor]:
    """Somebody who is not signed in yet. Nothing may have gone wrong in the end."""
    visitor = Visitor(browser, served)
    yield visitor
    visitor.context.close()
    assert visitor.wrong == []


@pytest.fixture
def phone(browser: Browser, served: Served) -> Iterator[Visitor]:
    """The same with a phone."""
    visitor = Visitor(browser, served, phone=True)
    yield visitor
    visitor.context.close()
    assert visitor.wrong == []
