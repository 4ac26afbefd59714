"""The monitoring pages by TLS and with a token; pages about people never without one."""

import logging
import shutil
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from deploy import __version__
from deploy.diagnosis.judge import judge_pages
from deploy.diagnosis.pages import own_certificate, read_pages, trust_in
from deploy.diagnosis.readings import Page
from deploy.processes.access import is_loopback
from deploy.processes.monitoring import ProcessHealth, PrometheusMeter, monitoring_server
from deploy.processes.tls import clickhouse_tls_issues, server_pair
from models.settings import Settings
from streams.tls.certificates import CertificatePair, UnusableFiles
from tests.support.certificates import Authority, Pem

TOKEN = "a-token-of-twenty-six-chars"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


async def person(_: web.Request) -> web.Response:
    return web.Response(text="a person")


@contextmanager
def served(
    host: str = "127.0.0.1", token: str = "", certificate: CertificatePair | None = None
) -> Iterator[str]:
    meter = PrometheusMeter(CollectorRegistry())
    health = ProcessHealth(60, meter)
    health.ready("start")
    route = web.get("/suppressions/acme/x", person)
    with monitoring_server(
        meter.registry, health, host, 0, [route], token=token, certificate=certificate
    ) as port:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"


def get(url: str, header: str = "", context: ssl.SSLContext | None = None) -> tuple[int, str]:
    request = urllib.request.Request(url, headers={"Authorization": header} if header else {})
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_token_is_needed_for_all_but_probes() -> None:
    with served(token=TOKEN) as url:
        for page in ("/healthz", "/readyz"):
            assert get(url + page)[0] == 200
        for page in ("/metrics", "/suppressions/acme/x"):
            assert get(url + page, f"Bearer {TOKEN}")[0] == 200
            assert get(url + page, f"bearer  {TOKEN}")[0] == 200
            for wrong in ("", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer", "Bearer é"):
                status, text = get(url + page, wrong)
                assert status == 401, wrong
                assert "RECEIPTS_MONITORING_TOKEN" in text and TOKEN not in text


def test_without_a_token_people_are_shown_on_loopback_only() -> None:
    with served() as url:
        assert get(f"{url}/suppressions/acme/x") == (200, "a person")
    with served(host="0.0.0.0") as url:
        status, text = get(f"{url}/suppressions/acme/x")
        assert status == 403
        assert "Fix: set RECEIPTS_MONITORING_TOKEN" in text
        for page in ("/healthz", "/readyz", "/metrics"):
            assert get(url + page)[0] == 200
    with served(host="0.0.0.0", token=TOKEN) as url:
        assert get(f"{url}/suppressions/acme/x", f"Bearer {TOKEN}") == (200, "a person")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("127.8.8.8", True),
     ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("worker", False)],
)  # fmt: skip
def test_what_loopback_is(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def pair_of(pem: Pem) -> CertificatePair:
    found = server_pair(
        Settings(monitoring_certfile=str(pem.cert), monitoring_keyfile=str(pem.key)), "monitoring"
    )
    assert found is not None
    return found


def serial(url: str, cafile: Path) -> object:
    """The serial number of the certificate that a new connection gets."""
    context = ssl.create_default_context(cafile=str(cafile))
    host, _, port = url.removeprefix("https://").partition(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        certificate = secured.getpeercert()
        assert certificate is not None
        return certificate["serialNumber"]


def test_pages_by_tls(authority: Authority) -> None:
    trusting = ssl.create_default_context(cafile=str(authority.cafile))
    with served(certificate=pair_of(authority.issue("server", "127.0.0.1")), token=TOKEN) as url:
        assert get(f"{url}/healthz", context=trusting)[0] == 200
        assert get(f"{url}/metrics", f"Bearer {TOKEN}", trusting)[0] == 200
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            get(f"{url}/healthz", context=ssl.create_default_context())
        with pytest.raises(OSError):  # noqa: PT011  (how a server drops plain HTTP differs)
            get(url.replace("https", "http") + "/healthz")


def test_a_renewed_certificate_is_noticed(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pem = authority.issue("server", "127.0.0.1")
    with served(certificate=pair_of(pem)) as url:
        before = serial(url, authority.cafile)
        shutil.copy(authority.issue("other", "127.0.0.1").key, pem.key)
        assert serial(url, authority.cafile) == before
        assert serial(url, authority.cafile) == before
        assert caplog.text.count("is not that of the certificate in") == 1
        pem.cert.unlink()
        assert serial(url, authority.cafile) == before
        authority.issue("server", "127.0.0.1")
        assert serial(url, authority.cafile) != before
    levels = [record.levelname for record in caplog.records if "certificates" in record.msg]
    assert levels == ["ERROR", "ERROR", "INFO"]


def refused(cert: Path, key: Path) -> str:
    pem = Pem(cert, key)
    with pytest.raises(UnusableFiles) as caught, served(certificate=pair_of(pem)):
        pass
    return str(caught.value)


def test_certificates_that_cannot_be_used(authority: Authority, tmp_path: Path) -> None:
    one, two = authority.issue("one", "127.0.0.1"), authority.issue("two", "127.0.0.1")
    missing = tmp_path / "missing.pem"
    assert refused(missing, one.key).startswith(
        f"RECEIPTS_MONITORING_CERTFILE: {missing} cannot be read: No such file or directory. Fix: "
    )
    assert refused(one.cert, missing).startswith("RECEIPTS_MONITORING_KEYFILE: ")
    assert refused(one.cert, two.key).startswith(
        f"RECEIPTS_MONITORING_KEYFILE: the key in {two.key} is not that of the certificate in "
        f"{one.cert}. Fix: "
    )
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("hello")
    assert refused(garbage, one.key).startswith(
        f"RECEIPTS_MONITORING_CERTFILE: {garbage} holds no certificate in PEM format. Fix: "
    )
    assert refused(one.cert, garbage).startswith(
        f"RECEIPTS_MONITORING_KEYFILE: {garbage} holds no private key in PEM format. Fix: "
    )


def test_an_encrypted_key_is_refused_and_asks_no_terminal(
    authority: Authority, tmp_path: Path
) -> None:
    one, locked = authority.issue("one", "127.0.0.1"), tmp_path / "locked.key"
    command = ["openssl", "pkey", "-in", str(one.key), "-aes256", "-passout", "pass:hush"]
    subprocess.run([*command, "-out", str(locked)], check=True, timeout=60)
    text = refused(one.cert, locked)
    assert f"RECEIPTS_MONITORING_KEYFILE: {locked} is encrypted with a password. Fix: " in text


def test_certificates_for_clickhouse_are_checked_at_the_start(
    authority: Authority, tmp_path: Path
) -> None:
    one, two = authority.issue("one", "127.0.0.1"), authority.issue("two", "127.0.0.1")
    https = "https://u:p@h:8443/d"

    def issues(cafile: object, certfile: object = "", keyfile: object = "") -> list[str]:
        settings = Settings(
            clickhouse_url=https,
            clickhouse_cafile=str(cafile),
            clickhouse_certfile=str(certfile),
            clickhouse_keyfile=str(keyfile),
        )
        return [str(issue) for issue in clickhouse_tls_issues(settings)]

    assert issues(authority.cafile, one.cert, one.key) == []
    empty, missing = tmp_path / "empty.pem", tmp_path / "missing.pem"
    empty.write_text("")
    assert (
        "RECEIPTS_CLICKHOUSE_CAFILE" in issues(missing)[0]
        and "cannot be read" in issues(missing)[0]
    )
    assert "RECEIPTS_CLICKHOUSE_CAFILE" in issues(empty)[0] and "no certificate" in issues(empty)[0]
    wrong = issues(missing, one.cert, two.key)
    assert len(wrong) == 2 and "RECEIPTS_CLICKHOUSE_KEYFILE" in wrong[1]


# --- receipts status reads them -----------------------------------------------------------------


async def read(
    url: str, trust: ssl.SSLContext, token: str = TOKEN, *, required: bool = True
) -> Page:
    (page,) = await read_pages([url], 0.0, trust, token, required=required)
    return page


def shown(page: Page) -> str:
    """The line that `receipts status` shows about a page."""
    (found,) = judge_pages((page,), __version__)
    return f"{found.problem}. Fix: {found.fix}"


async def test_status_reads_secured_pages(authority: Authority, tmp_path: Path) -> None:
    pem = authority.issue("pages", "127.0.0.1")
    other = Authority(tmp_path / "others").issue("pages", "127.0.0.1")
    with served(token=TOKEN, certificate=pair_of(pem)) as url:
        for trust in (trust_in(str(authority.cafile)), own_certificate(str(pem.cert))):
            assert "receipts_build_info" in (await read(url, trust)).problem  # a bare meter
            assert "RECEIPTS_MONITORING_TOKEN" in shown(await read(url, trust, ""))
        text = shown(await read(url, trust_in("")))
        assert text.startswith("it has a certificate that is not trusted: ")
        assert text.endswith("Fix: give the certificates that sign it with --cafile")
        for trust in (own_certificate(""), own_certificate(str(other.cert))):
            assert "RECEIPTS_MONITORING_CERTFILE" in shown(await read(url, trust, required=False))


async def test_a_page_that_refuses_status_is_not_left_out(authority: Authority) -> None:
    pem = authority.issue("pages", "127.0.0.1")
    trust = own_certificate(str(pem.cert))
    with served(token=TOKEN, certificate=pair_of(pem)) as url:
        assert (await read(url, trust, "")).refused
        assert (await read(url, own_certificate(str(pem.key)))).refused
        plain = await read(url.replace("https:", "http:"), trust)
        assert "https://" in plain.problem and not plain.refused


async def test_status_on_the_same_machine_compares_no_names(authority: Authority) -> None:
    pem = authority.issue("pages", "worker.example")
    with served(certificate=pair_of(pem)) as url:
        text = shown(await read(url, trust_in(str(authority.cafile))))
        assert text == (
            "it has the certificate of another host: IP address mismatch, certificate is not valid "
            "for '127.0.0.1'. Fix: give a name of the certificate in --page, or renew it with the "
            "host of --page"
        )
        assert "receipts_build_info" in (await read(url, own_certificate(str(pem.cert)))).problem
