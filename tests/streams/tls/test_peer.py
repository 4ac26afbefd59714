"""Why the certificate of the other side is refused: each reason has its own fix."""

import asyncio
import datetime as dt
import ssl
from pathlib import Path

import pytest
import trustme

from streams.tls.certificates import CertificatePair, NamedFile, server_context
from streams.tls.peer import WrongPeer, wrong_peer
from tests.support.certificates import Authority

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


async def refused(issued: trustme.LeafCert, folder: Path, cafile: Path) -> WrongPeer:
    """What a client that trusts `cafile` finds wrong with a server that has this certificate."""
    cert, key = folder / "server.pem", folder / "server.key"
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    pair = CertificatePair(NamedFile("CERT", str(cert)), NamedFile("KEY", str(key)))
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=server_context(pair)
    )
    trust = ssl.create_default_context(cafile=str(cafile))
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            await asyncio.open_connection("127.0.0.1", port, ssl=trust)
    return wrong_peer(caught.value, names="correct the name", trust="trust it")


@pytest.mark.parametrize(
    ("name", "begins", "ends", "text", "fix"),
    [
        ("other.example", -DAY, DAY, "the certificate of another host: IP", "correct the name"),
        ("127.0.0.1", -2 * DAY, -DAY, "a certificate that has expired", "renew it"),
        ("127.0.0.1", DAY, 2 * DAY, "a certificate that is not valid yet", "correct the clock"),
    ],
)
async def test_a_trusted_authority_does_not_suffice(
    name: str, begins: dt.timedelta, ends: dt.timedelta, text: str, fix: str, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    issued = authority.ca.issue_cert(name, not_before=NOW + begins, not_after=NOW + ends)
    found = await refused(issued, tmp_path, authority.cafile)
    assert found.text.startswith(text) and found.fix.startswith(fix)


async def test_a_strange_authority_is_not_trusted(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path / "other")
    issued = authority.ca.issue_cert("127.0.0.1")
    found = await refused(issued, tmp_path, other.cafile)
    assert found.text.startswith("a certificate that is not trusted: ") and found.fix == "trust it"
