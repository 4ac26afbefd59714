"""Posts simulated callbacks to `receipts listen`, as their providers would."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple
from urllib.parse import quote

import aiohttp

from deploy.simulator.callbacks.dialects import DIALECTS, JSON
from deploy.simulator.callbacks.endpoints import secret_of
from deploy.simulator.callbacks.signing import signed
from deploy.simulator.event import CALLBACKS, FORGED, Published

IN_FLIGHT: Final = 32
#: To a listener that answers 503 a callback is sent again, as providers do.
ATTEMPTS, WAIT_S = 20, 1.0
TIMEOUT: Final = aiohttp.ClientTimeout(total=30.0)
_NO_RECEIPT: Final = (
    b'{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":'
    b'"message_template_status_update","value":{"event":"APPROVED"}}]}]}'
)


class PostError(RuntimeError):
    """The listener cannot be reached, or answers a callback otherwise than it should."""


class Call(NamedTuple):
    """One request. record: for the truth file. right: whether its answer must be 2xx, else 403"""

    path: str
    body: bytes
    headers: dict[str, str]
    record: Published
    right: bool


class CallbackPoster:
    """A client of one listener. base_url: its address"""

    def __init__(self, http: aiohttp.ClientSession, base_url: str) -> None:
        self._http = http
        self._base = base_url.rstrip("/")

    async def post(self, records: Iterable[Published]) -> list[Published]:
        """Post callbacks, some in batches; returns a record of each that was answered.

        Raises PostError.
        """
        gate = asyncio.Semaphore(IN_FLIGHT)

        async def one(call: Call) -> Published:
            async with gate:
                return await self._post(call)

        return await asyncio.gather(*(one(call) for call in _calls(records)))

    async def _post(self, call: Call) -> Published:
        url = f"{self._base}{call.path}"
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(WAIT_S)
            try:
                async with self._http.post(url, data=call.body, headers=call.headers) as answer:
                    status = answer.status
            except (aiohttp.ClientError, TimeoutError) as error:
                raise PostError(
                    f"the listener at {self._base} does not answer: {error!r}. Fix: start "
                    "`receipts listen`, or give another address"
                ) from error
            if status == 503:
                continue
            if status != 403 if not call.right else status // 100 != 2:
                break
            return call.record
        raise PostError(
            f"the listener answered {status} to {call.path}, not {'2xx' if call.right else 403}. "
            "Fix: it needs the endpoints of `receipts simulate --write-endpoints`"
        )


def events_in(record: Published) -> int:
    """How many events a record counts as: a callback that is read, one for each receipt in it."""
    if record.kind != CALLBACKS or record.note == FORGED or record.expect:
        return 1
    return max(1, len(json.loads(record.value or b"")))


def _calls(records: Iterable[Published]) -> Iterator[Call]:
    waiting: defaultdict[bytes, list[Published]] = defaultdict(list)
    for record in records:
        batch = DIALECTS[_provider(record)].batch
        if batch > 1 and not record.note:
            same = waiting[record.key or b""]
            same.append(record)
            if len(same) == batch:
                yield _call(same)
                same.clear()
        else:
            yield _call([record])
    for same in waiting.values():
        if same:
            yield _call(same)


def _provider(record: Published) -> str:
    return (record.key or b"").decode().partition("-")[0]


def _call(records: list[Published]) -> Call:
    """One callback with the reports of all records."""
    first, provider = records[0], _provider(records[0])
    name = (first.key or b"").decode()
    dialect = DIALECTS[provider]
    reports = [report for record in records for report in json.loads(record.value or b"")]
    path = f"/callbacks/{name}"
    if dialect.in_url and reports[0]["reference"]:
        path += f"/{quote(reports[0]['reference'])}"
    body = dialect.body(reports) if reports else _NO_RECEIPT
    value = json.dumps(reports, separators=(",", ":"), ensure_ascii=False).encode()
    if first.expect:
        value = body = body[: len(body) * 2 // 3]
    secret = "another secret" if first.note == FORGED else secret_of(name)
    body, headers = signed(provider, path, body, secret)
    headers["Content-Type"] = dialect.content_type if reports else JSON
    record = first._replace(partition=0, offset=0, value=value)
    return Call(path, body, headers, record, first.note != FORGED)
