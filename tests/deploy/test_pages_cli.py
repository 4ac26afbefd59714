"""`receipts pages` as a process: prints its address, ends on signals, refuses empty settings."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import httpx2
import pytest

from tests.support.certificates import Authority

ROOT = Path(__file__).parents[2]
NOWHERE = "http://default:@127.0.0.1:9/receipts"
TOKEN = "a-token-of-sixteen-letters"


def start(**settings: str) -> "subprocess.Popen[str]":
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RECEIPTS_")}
    named = {f"RECEIPTS_{name.upper()}": value for name, value in settings.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", "pages"],
        cwd=ROOT,
        env={**clean, **named},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)], ids=["ctrl-c", "sigterm"]
)
def test_it_serves_until_a_signal(signum: signal.Signals, code: int) -> None:
    pages = start(pages_port="0", pages_tokens=f"acme={TOKEN}", clickhouse_url=NOWHERE)
    watchdog = threading.Timer(60, pages.kill)
    watchdog.start()
    assert pages.stdout is not None
    line = pages.stdout.readline()
    address = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert address, line
    assert httpx2.get(f"{address[0]}/healthz").text == "ok\n"
    away = httpx2.get(f"{address[0]}/overview", headers={"authorization": f"Bearer {TOKEN}"})
    assert (away.status_code, "No database" in away.text) == (503, True)
    pages.send_signal(signum)
    _, err = pages.communicate(timeout=10)
    watchdog.cancel()
    assert (pages.returncode, "Traceback" in err) == (code, False), err
    assert TOKEN not in line + err


@pytest.mark.parametrize(("believed", "secure"), [("127.0.0.1", True), ("10.0.0.7", False)])
def test_only_the_proxy_that_is_named_is_believed(
    believed: str, secure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", believed)
    pages = start(pages_port="0", pages_tokens=f"acme={TOKEN}", clickhouse_url=NOWHERE)
    watchdog = threading.Timer(60, pages.kill)
    watchdog.start()
    assert pages.stdout is not None
    address = re.search(r"http://(127\.0\.0\.1:\d+)", pages.stdout.readline())
    assert address
    headers = {"origin": f"https://{address[1]}", "x-forwarded-proto": "https"}
    answer = httpx2.post(f"{address[0]}/sign-in", data={"token": TOKEN}, headers=headers)
    assert (answer.status_code, "Secure" in answer.headers["set-cookie"]) == (303, secure)
    pages.terminate()
    pages.communicate(timeout=10)
    watchdog.cancel()


def test_by_tls_the_cookie_is_secure(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pem = authority.issue("pages", "127.0.0.1")
    files = {"pages_certfile": str(pem.cert), "pages_keyfile": str(pem.key)}
    tokens = tmp_path / "tokens"
    tokens.write_text(f"acme={TOKEN}\n")
    given = {"pages_tokens_file": str(tokens), "clickhouse_url": NOWHERE, **files}
    pages = start(pages_port="0", **given)
    watchdog = threading.Timer(60, pages.kill)
    watchdog.start()
    assert pages.stdout is not None
    address = re.search(r"https://(127\.0\.0\.1:\d+)", pages.stdout.readline())
    assert address
    trusting = ssl.create_default_context(cafile=str(authority.cafile))
    headers = {"origin": address[0]}
    form = {"token": TOKEN}
    answer = httpx2.post(f"{address[0]}/sign-in", data=form, headers=headers, verify=trusting)
    assert (answer.status_code, "Secure" in answer.headers["set-cookie"]) == (303, True)
    with pytest.raises(httpx2.HTTPError):
        httpx2.get(f"http://{address[1]}/healthz")
    pages.terminate()
    _, err = pages.communicate(timeout=10)
    watchdog.cancel()
    assert (pages.returncode, TOKEN in err) == (0, False), err


def test_a_certificate_that_cannot_be_used_is_a_wrong_setting(tmp_path: Path) -> None:
    files = {"pages_certfile": str(tmp_path / "none.pem"), "pages_keyfile": "/none.key"}
    pages = start(pages_tokens=f"acme={TOKEN}", clickhouse_url=NOWHERE, **files)
    _, err = pages.communicate(timeout=60)
    assert pages.returncode == 2
    assert "RECEIPTS_PAGES_CERTFILE: " in err and "cannot be read" in err


def test_without_tokens_it_says_what_to_set() -> None:
    pages = start(clickhouse_url=NOWHERE)
    _, err = pages.communicate(timeout=60)
    assert pages.returncode == 2
    assert err.startswith(
        "receipts: RECEIPTS_PAGES_TOKENS: is empty, so nobody could sign in. Fix:"
    )


def test_a_port_that_is_taken_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        pages = start(pages_port=port, pages_tokens=f"acme={TOKEN}", clickhouse_url=NOWHERE)
        _, err = pages.communicate(timeout=60)
    assert (pages.returncode, "Traceback" in err) == (1, False)
    assert "receipts: error:" in err
    assert "in use" in err
