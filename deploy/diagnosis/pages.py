"""Reads the monitoring pages of workers and sinks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, cast

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from deploy.diagnosis.readings import Page
from deploy.diagnosis.steps import reason
from deploy.processes.access import address_url
from models.settings import Settings
from streams.tls.peer import wrong_peer

#: These pages are served by a thread of their own, and answer at once.
_PAGE_S: Final = 3.0
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_READ: Final = frozenset(
    {
        "receipts_build_info",
        "receipts_restore_left_records",
        "receipts_standby_lag_records",
        "receipts_states",
        "process_start_time_seconds",
        "process_resident_memory_bytes",
    }
)

_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_END: Final = "-----END CERTIFICATE-----"
_TOKEN_FIX: Final = "set RECEIPTS_MONITORING_TOKEN to the token of that process"
#: The fix of a certificate that does not name the host, and of one that is not trusted.
_NAMES: Final = "give a name of the certificate in --page, or renew it with the host of --page"
_TRUST: Final = "give the certificates that sign it with --cafile"
_OWN: Final = "set RECEIPTS_MONITORING_CERTFILE as that process has it, or give --page and --cafile"
_HUNG_UP: Final = "it closes the connection (is it served by TLS? then write https://)"

Samples = dict[str, list[tuple[dict[str, str], float]]]


def default_pages(settings: Settings) -> tuple[str, ...]:
    """The pages of worker and sink on this machine, by the settings; none for a port 0."""
    served = (
        (settings.worker_host, settings.worker_port),
        (settings.sink_host, settings.sink_port),
    )
    scheme = "https" if settings.monitoring_certfile else "http"
    return tuple(address_url(scheme, _ANY.get(host, host), port) for host, port in served if port)


def trust_in(cafile: str) -> ssl.SSLContext:
    """Trusts the authority of a PEM file; "": those of the system. Raises OSError."""
    return ssl.create_default_context(cafile=cafile or None)


def own_certificate(certfile: str) -> ssl.SSLContext:
    """Trusts nothing but the first certificate of a file; "" or an unusable file: nothing.

    It is the certificate that processes on this machine serve. It need not name the address at
    which they are read, so names are not compared.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if certfile:
        # The process that serves it names what is wrong with the file; here no page is trusted.
        with contextlib.suppress(OSError, ValueError):
            first, end, _ = Path(certfile).read_text(encoding="ascii").partition(_END)
            context.load_verify_locations(cadata=first[first.index(_BEGIN) :] + end)
    return context


async def read_pages(
    urls: Iterable[str], now_s: float, trust: ssl.SSLContext, token: str, *, required: bool
) -> tuple[Page, ...]:
    """The processes behind these addresses, all read at once. token: "": none is sent"""
    timeout = aiohttp.ClientTimeout(total=_PAGE_S)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connector = aiohttp.TCPConnector(ssl=trust)
    async with aiohttp.ClientSession(
        timeout=timeout, headers=headers, connector=connector
    ) as session:
        reading = (_read(session, url.rstrip("/"), now_s, required) for url in urls)
        return tuple(await asyncio.gather(*reading))


async def _read(session: aiohttp.ClientSession, url: str, now_s: float, required: bool) -> Page:
    try:
        # One after the other: then one connection is enough.
        alive = await _json(session, f"{url}/healthz")
        ready = await _json(session, f"{url}/readyz")
        samples = await _samples(session, f"{url}/metrics")
        return _page(url, required, now_s, alive["silent_s"], ready["reasons"], samples)
    except aiohttp.ClientConnectorCertificateError as error:
        refused = cast(ssl.SSLCertVerificationError, error.certificate_error)
        wrong = wrong_peer(refused, names=_NAMES, trust=_TRUST if required else _OWN)
        return _unread(url, required, f"it has {wrong.text}", wrong.fix)
    except aiohttp.ClientResponseError as error:
        if error.status == 401:
            return _unread(url, required, "it refuses the token", _TOKEN_FIX)
        return _unread(url, required, reason(error))
    except aiohttp.ServerDisconnectedError:
        return _unread(url, required, _HUNG_UP)
    except aiohttp.ClientConnectorError as error:
        return _unread(url, required, reason(error.os_error))
    except (aiohttp.ClientError, OSError) as error:
        return _unread(url, required, reason(error))
    except (ValueError, KeyError, TypeError) as error:
        return _unread(url, required, f"these are not pages of receipts ({reason(error)})")


def _page(
    url: str,
    required: bool,
    now_s: float,
    silent: dict[str, float],
    reasons: dict[str, str],
    samples: Samples,
) -> Page:
    built = samples["receipts_build_info"][0][0]
    started = _total(samples, "process_start_time_seconds")
    memory = _total(samples, "process_resident_memory_bytes")
    states = _total(samples, "receipts_states")
    left = samples.get("receipts_restore_left_records", [])
    standbys = samples.get("receipts_standby_lag_records", [])
    return Page(
        url=url,
        required=required,
        problem="",
        process=built["process"],
        version=built["version"],
        silent=silent,
        reasons=reasons,
        restoring={labels["partition"]: int(count) for labels, count in left if count},
        uptime_s=None if started is None else round(now_s - started, 1),
        memory_bytes=None if memory is None else int(memory),
        states=None if states is None else int(states),
        standbys={labels["partition"]: int(lag) for labels, lag in standbys},
    )


def _unread(url: str, required: bool, problem: str, fix: str = "") -> Page:
    """fix: of a page that answers and refuses us"""
    return Page(url, required, problem, "", "", {}, {}, {}, None, None, None, bool(fix), fix)


def _total(samples: Samples, name: str) -> float | None:
    found = samples.get(name)
    return sum(value for _, value in found) if found else None


async def _json(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    """200 and 503 both have an answer."""
    async with session.get(url) as response:
        if response.status not in (200, 503):
            response.raise_for_status()
        found: dict[str, Any] = json.loads(await response.text())
        return found


async def _samples(session: aiohttp.ClientSession, url: str) -> Samples:
    async with session.get(url) as response:
        response.raise_for_status()
        text = await response.text()
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in _READ:
                samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    return samples
