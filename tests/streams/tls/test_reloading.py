"""A server whose certificate is renewed, on both loops that serve our pages."""

import asyncio
import os
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from streams.tls.certificates import CertificatePair, NamedFile
from streams.tls.reloading import for_server
from tests.support.certificates import Authority, Pem


def replace(old: Pem, new: Pem) -> None:
    for target, source in zip(old, new, strict=True):
        os.replace(source, target)


async def serial(port: int, trust: ssl.SSLContext) -> str:
    """The serial number of the certificate that a new connection gets."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
    found: str = writer.get_extra_info("peercert")["serialNumber"]
    writer.close()
    return found


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_new_connections_get_the_renewed_certificate(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    mine = authority.issue("server", "127.0.0.1")
    pair = CertificatePair(NamedFile("CERT", str(mine.cert)), NamedFile("KEY", str(mine.key)))
    trust = ssl.create_default_context(cafile=str(authority.cafile))

    async def work() -> list[str]:
        server = await asyncio.start_server(
            lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=for_server(pair)
        )
        port, seen = server.sockets[0].getsockname()[1], []
        async with server:
            seen.append(await serial(port, trust))
            mine.key.write_text("half written")
            seen.append(await serial(port, trust))
            replace(mine, authority.issue("next", "127.0.0.1"))
            seen.append(await serial(port, trust))
        return seen

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        first, second, third = runner.run(work())
    assert first == second != third


def test_a_server_speaks_tls_1_2_or_newer(tmp_path: Path) -> None:
    pem = Authority(tmp_path).issue("server", "127.0.0.1")
    pair = CertificatePair(NamedFile("CERT", str(pem.cert)), NamedFile("KEY", str(pem.key)))
    assert for_server(pair).refresh().minimum_version == ssl.TLSVersion.TLSv1_2
