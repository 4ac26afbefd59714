"""The connection to Kafka from settings: files, certificates that rotate, tokens."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from models.settings import Settings
from streams.kafka.security import certificate_warnings, kafka_access, watch_certificates
from streams.kafka.tokens import CommandTokens, FileTokens, TokenUnavailable, expiry
from streams.tls import certificates
from streams.tls.certificates import UnusableFiles
from streams.tls.reloading import ReloadingContext
from tests.support.secured_broker import Certificates, token_of
from tests.support.waiting import eventually


@pytest.fixture
def made(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path / "tls")


def _settings(protocol: str, **fields: Any) -> Settings:
    return Settings(**{"kafka_security_protocol": protocol, **fields})


def _user(mechanism: str) -> dict[str, str]:
    return {
        "kafka_sasl_mechanism": mechanism,
        "kafka_sasl_username": "me",
        "kafka_sasl_password": "secret",
    }


# --- aiokafka and Faust get the same ------------------------------------------------------------


def test_plain_text_has_no_credentials() -> None:
    access = kafka_access(Settings(brokers="a:1"))
    assert access.for_faust is None
    assert access.for_aiokafka["bootstrap_servers"] == "a:1"
    assert access.for_aiokafka["security_protocol"] == "PLAINTEXT"


@pytest.mark.parametrize(
    ("protocol", "fields"),
    [
        ("SSL", {}),
        ("SASL_SSL", _user("PLAIN")),
        ("SASL_SSL", _user("SCRAM-SHA-256")),
        ("SASL_SSL", _user("SCRAM-SHA-512")),
        ("SASL_PLAINTEXT", _user("SCRAM-SHA-512")),
        (
            "SASL_SSL",
            {"kafka_sasl_mechanism": "OAUTHBEARER", "kafka_oauth_token_command": "true"},
        ),
    ],
)
def test_faust_connects_as_aiokafka_does(protocol: str, fields: dict[str, str]) -> None:
    access = kafka_access(_settings(protocol, **fields))
    by_faust = credentials_to_aiokafka_auth(access.for_faust)
    ours = access.for_aiokafka
    assert by_faust["security_protocol"] == protocol
    assert by_faust == {name: ours[name] for name in by_faust}
    assert ("ssl_context" in by_faust and by_faust["ssl_context"] is not None) == (
        protocol != "SASL_PLAINTEXT"
    )
    assert "secret" not in repr(access)


# --- files that cannot be used ------------------------------------------------------------------


def _missing(made: Certificates) -> dict[str, str]:
    return {"kafka_ssl_cafile": "/nowhere/ca.pem"}


def _directory(made: Certificates) -> dict[str, str]:
    return {"kafka_ssl_cafile": str(made.cafile.parent)}


def _not_pem(made: Certificates) -> dict[str, str]:
    made.cafile.write_text("not PEM")
    return {"kafka_ssl_cafile": str(made.cafile)}


def _pair(made: Certificates, cert: Path, key: Path, password: str = "") -> dict[str, str]:
    return {
        "kafka_ssl_cafile": str(made.cafile),
        "kafka_ssl_certfile": str(cert),
        "kafka_ssl_keyfile": str(key),
        "kafka_ssl_key_password": password,
    }


def _other_key(made: Certificates) -> dict[str, str]:
    return _pair(made, made.issue("a")[0], made.issue("b")[1])


def _encrypted(made: Certificates) -> dict[str, str]:
    return _pair(made, *made.issue("a", password="right-pass"))


def _wrong_password(made: Certificates) -> dict[str, str]:
    return _pair(made, *made.issue("a", password="right-pass"), password="wrong-pass")


def _key_is_no_key(made: Certificates) -> dict[str, str]:
    cert, _ = made.issue("a")
    return _pair(made, cert, cert)


def _cert_is_no_cert(made: Certificates) -> dict[str, str]:
    _, key = made.issue("a")
    return _pair(made, key, key)


def _half_of_a_key(made: Certificates) -> dict[str, str]:
    cert, key = made.issue("a")
    text = key.read_text()
    key.write_text(text[: len(text) // 2])
    return _pair(made, cert, key)


def _revocations_alone(made: Certificates) -> dict[str, str]:
    """What OpenSSL loads without an error, and trusts nobody with."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateRevocationListBuilder(name, now, now + dt.timedelta(days=1))
    made.cafile.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    return {"kafka_ssl_cafile": str(made.cafile)}


def _key_not_in_cert(made: Certificates) -> dict[str, str]:
    cert, _ = made.issue("a")
    return {"kafka_ssl_cafile": str(made.cafile), "kafka_ssl_certfile": str(cert)}


@pytest.mark.parametrize(
    ("files", "variable", "text"),
    [
        (_missing, "CAFILE", "/nowhere/ca.pem cannot be read: No such file or directory"),
        (_directory, "CAFILE", "cannot be read: Is a directory"),
        (_not_pem, "CAFILE", "holds no certificate in PEM format"),
        (_other_key, "KEYFILE", "is not that of the certificate in"),
        (_encrypted, "KEY_PASSWORD", "is empty, "),
        (_wrong_password, "KEY_PASSWORD", "does not open "),
        (_key_is_no_key, "KEYFILE", "holds no private key in PEM format"),
        (_cert_is_no_cert, "CERTFILE", "holds no certificate in PEM format"),
        (_half_of_a_key, "CERTFILE", "cannot be used with the key in"),
        (_revocations_alone, "CAFILE", "holds no certificate in PEM format"),
        (_key_not_in_cert, "CERTFILE", "holds no private key in PEM format"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_fix(
    files: Callable[[Certificates], dict[str, str]], variable: str, text: str, made: Certificates
) -> None:
    with pytest.raises(UnusableFiles) as raised:
        kafka_access(_settings("SSL", **files(made)))
    (problem,) = raised.value.problems
    assert problem.variable == f"RECEIPTS_KAFKA_SSL_{variable}"
    assert text in problem.text and problem.fix
    assert "-pass" not in str(raised.value)


def test_all_files_that_cannot_be_read_are_named_at_once() -> None:
    with pytest.raises(UnusableFiles) as raised:
        kafka_access(
            _settings("SSL", kafka_ssl_cafile="/a", kafka_ssl_certfile="/b", kafka_ssl_keyfile="/c")
        )
    assert len(raised.value.problems) == 3


def test_a_token_file_that_cannot_be_read_is_named() -> None:
    fields = {"kafka_sasl_mechanism": "OAUTHBEARER", "kafka_oauth_token_file": "/nowhere/t"}
    with pytest.raises(UnusableFiles, match="RECEIPTS_KAFKA_OAUTH_TOKEN_FILE: /nowhere/t"):
        kafka_access(_settings("SASL_SSL", **fields))


@pytest.mark.parametrize("password", ["", "right-pass"])
def test_a_key_may_be_encrypted_or_not(password: str, made: Certificates) -> None:
    kafka_access(_settings("SSL", **_pair(made, *made.issue("a", password=password), password)))


def test_a_key_may_be_in_the_file_of_its_certificate(made: Certificates) -> None:
    cert, key = made.issue("a")
    cert.write_bytes(key.read_bytes() + cert.read_bytes())
    fields = {"kafka_ssl_cafile": str(made.cafile), "kafka_ssl_certfile": str(cert)}
    kafka_access(_settings("SSL", **fields))


@pytest.mark.parametrize(
    ("days", "warning"), [(-1, "a certificate expired at"), (3, "a certificate expires at")]
)
def test_a_certificate_near_its_end_is_a_warning(
    days: int, warning: str, made: Certificates
) -> None:
    end = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    pair = made.issue("old", not_before=end - dt.timedelta(days=60), not_after=end)
    (line,) = certificate_warnings(kafka_access(_settings("SSL", **_pair(made, *pair))))
    assert line.startswith(f"RECEIPTS_KAFKA_SSL_CERTFILE: {warning}") and "Fix: renew it" in line
    fresh = kafka_access(_settings("SSL", **_pair(made, *made.issue("new"))))
    assert certificate_warnings(fresh) == []


def test_an_authority_that_ended_is_a_warning_only_when_no_other_is_in_force(
    made: Certificates,
) -> None:
    end = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    ended, _ = made.issue("old", not_before=end - dt.timedelta(days=60), not_after=end)
    both = made.cafile.with_name("both.pem")
    both.write_bytes(made.cafile.read_bytes() + ended.read_bytes())
    assert certificate_warnings(kafka_access(_settings("SSL", kafka_ssl_cafile=str(both)))) == []
    (line,) = certificate_warnings(kafka_access(_settings("SSL", kafka_ssl_cafile=str(ended))))
    assert line.startswith("RECEIPTS_KAFKA_SSL_CAFILE: a certificate expired at")


# --- certificates that rotate -------------------------------------------------------------------


async def test_an_end_that_cannot_be_read_is_a_warning_and_the_watch_goes_on(
    made: Certificates, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As when a file is replaced between two looks, or OpenSSL takes what a stricter reader does
    not."""

    def unreadable(*_: object, **__: object) -> dt.datetime:
        raise ValueError("invalid serial number")

    monkeypatch.setattr(certificates, "expiry_of", unreadable)
    access = kafka_access(_settings("SSL", kafka_ssl_cafile=str(made.cafile)))
    watching = asyncio.create_task(watch_certificates(access, 0.01))
    await asyncio.sleep(0.1)
    assert not watching.done()
    watching.cancel()
    lines = [line for line in caplog.messages if "invalid serial number" in line]
    assert len(lines) == 1 and lines[0].startswith("RECEIPTS_KAFKA_SSL_CAFILE: ")


@asynccontextmanager
async def _server(made: Certificates, seen: list[str]) -> AsyncIterator[int]:
    """A TLS server that requires client certificates and notes their names."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(made.cafile))
    context.load_cert_chain(*made.issue("server", "127.0.0.1"))
    context.verify_mode = ssl.CERT_REQUIRED

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        subject = x509.load_der_x509_certificate(der).subject
        name = subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
        seen.append(str(name))
        writer.write(b"x")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _connect(port: int, context: ssl.SSLContext) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    assert await reader.read() == b"x"
    writer.close()


def _replace(target: tuple[Path, Path], source: tuple[Path, Path]) -> None:
    for old, new in zip(target, source, strict=True):
        os.replace(new, old)


def _context(made: Certificates, mine: tuple[Path, Path]) -> ReloadingContext:
    context = kafka_access(_settings("SSL", **_pair(made, *mine))).context
    assert context is not None
    return context


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_rotated_certificate_is_used_by_new_connections(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
    made: Certificates,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "streams.tls.reloading")
    mine = made.issue("first")
    context = _context(made, mine)
    seen: list[str] = []

    async def work() -> None:
        async with _server(made, seen) as port:
            await _connect(port, context)
            _replace(mine, made.issue("second"))
            await _connect(port, context)
            mine[1].write_text("half written")
            await _connect(port, context)
            await _connect(port, context)
            _replace(mine, made.issue("third"))
            await _connect(port, context)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(work())
    assert seen == ["first", "second", "second", "second", "third"]
    levels = [record.levelname for record in caplog.records]
    assert levels == ["INFO", "ERROR", "INFO"]
    assert "RECEIPTS_KAFKA_SSL_KEYFILE" in caplog.records[1].getMessage()


async def test_a_process_notices_new_certificates_and_their_end_without_a_connection(
    made: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "streams.tls.reloading")
    mine = made.issue("me")
    access = kafka_access(_settings("SSL", **_pair(made, *mine)))
    watching = asyncio.create_task(watch_certificates(access, every_s=0.01))
    try:
        end = dt.datetime.now(dt.UTC) + dt.timedelta(days=2)
        _replace(mine, made.issue("next", not_before=end - dt.timedelta(9), not_after=end))
        await eventually(lambda: "expires at" in caplog.text)
        assert "new connections use the new ones" in caplog.text
        await asyncio.sleep(0.1)
        assert caplog.text.count("expires at") == 1
    finally:
        watching.cancel()


async def test_an_authority_that_is_taken_out_is_trusted_no_longer(
    made: Certificates, tmp_path: Path
) -> None:
    mine = made.issue("me")
    context = _context(made, mine)
    async with _server(made, []) as port:
        await _connect(port, context)
        made.cafile.write_bytes(Certificates(tmp_path / "other").cafile.read_bytes())
        with pytest.raises(ssl.SSLCertVerificationError):
            await _connect(port, context)


# --- tokens -------------------------------------------------------------------------------------


async def test_a_token_file_is_read_each_time(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one\n")
    tokens = FileTokens(path)
    assert await tokens.token() == "one"
    path.write_text("two")
    assert await tokens.token() == "two"
    path.write_text("no token\nbut two lines")
    with pytest.raises(TokenUnavailable) as raised:
        await tokens.token()
    assert raised.value.retriable and "two lines" not in str(raised.value)


async def test_a_command_is_run_again_before_its_token_expires(tmp_path: Path) -> None:
    now = [1_000_000.0]
    runs = tmp_path / "runs"
    script = tmp_path / "script.py"
    script.write_text(
        f"import pathlib\nruns = pathlib.Path({str(runs)!r})\n"
        "with runs.open('a') as out: out.write('x')\n"
        f"print(({str(tmp_path)!r} and pathlib.Path({str(tmp_path / 'next')!r})).read_text())\n"
    )

    def expires(at: float) -> None:
        import base64
        import json

        claims = base64.urlsafe_b64encode(json.dumps({"exp": at}).encode()).decode().rstrip("=")
        (tmp_path / "next").write_text(f"e30.{claims}.")

    tokens = CommandTokens(f"{sys.executable} '{script}'", clock=lambda: now[0])
    expires(now[0] + 100)
    first = await tokens.token()
    assert await tokens.token() == first and runs.read_text() == "x"
    now[0] += 71
    expires(now[0] + 100)
    assert await tokens.token() != first
    assert runs.read_text() == "xx"


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("/nowhere/at-all", "cannot be run: No such file or directory"),
        (f"{sys.executable} -c 'import sys; print(\"s3cret\"); sys.exit(4)'", "exit code 4"),
        (f"{sys.executable} -c 'print(\"s3cret and more\")'", "something that is not a token"),
        (f"{sys.executable} -c pass", "gives nothing"),
    ],
)
async def test_a_command_that_gives_no_token_is_named(command: str, text: str) -> None:
    with pytest.raises(TokenUnavailable) as raised:
        await CommandTokens(command).token()
    assert text in str(raised.value) and "RECEIPTS_KAFKA_OAUTH_TOKEN_COMMAND" in str(raised.value)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "token", ["opaque", "a.b.c", "e30.e30.", "..", "a.W10.", "e30.eyJleHAiOiAieCJ9.", "é.é.é"]
)
def test_a_token_without_a_readable_end_has_none(token: str) -> None:
    assert expiry(token) is None


def test_the_end_of_a_token_is_read() -> None:
    end = expiry(token_of("me", 60))
    assert end is not None and abs(end - dt.datetime.now(dt.UTC).timestamp() - 60) < 30
