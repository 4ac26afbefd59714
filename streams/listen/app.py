"""The ASGI application that providers call: it verifies, keeps the bytes, and answers.

It understands nothing of what is in a callback: whatever is authentic is accepted once Kafka has
it. Another answer would make providers send it again for days, with all of the same batch.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import parse_qsl

from models.callbacks import RawCallback
from models.endpoints import NOBODY, PATH, SNS, Endpoint, EndpointsFile, Network
from models.metrics import Meter
from models.providers.fields import object_in
from models.signatures import SCHEMES, Details, Fault, SignedRequest, fault_of
from models.signatures.request import is_same
from streams.listen.address import address_of, client_of, endpoint_name, is_in
from streams.listen.inbox import Inbox

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

RETRY_AFTER_S: Final = 5
#: Of all bodies whose sender is not known yet.
MAX_UNVERIFIED_BYTES: Final = 64 * 1024**2
#: Characters that are kept of a content type.
MAX_CONTENT_TYPE: Final = 256
#: A body must have come after so long.
BODY_S: Final = 10.0
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")


class ClientGone(Exception):
    """The client has closed the connection before its body had come."""


class Unavailable(Exception):
    """What is needed to verify a request cannot be had now."""


class OpenEndpoint(NamedTuple):
    """An endpoint, its secrets, and what each of its requests needs.

    handshake: the token of Meta's GET; "": it has none. networks: that may call; (): all
    """

    endpoint: Endpoint
    secrets: Sequence[str]
    handshake: str
    networks: tuple[Network, ...]
    details: Details

    @classmethod
    def of(cls, endpoint: Endpoint, secrets: Sequence[str], handshake: str) -> "OpenEndpoint":
        """Made once, when the listener starts."""
        return cls(endpoint, secrets, handshake, endpoint.networks, endpoint.details)


class Answer(NamedTuple):
    """What the provider gets. result: a label of metrics"""

    status: int
    result: str
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Subscriptions(Protocol):
    """What Amazon SNS needs besides an answer."""

    async def fault(self, message: Mapping[str, Any], endpoint: Endpoint) -> Fault | None:
        """Verify a message of SNS. Raises Unavailable."""

    async def confirm(self, message: Mapping[str, Any], endpoint: Endpoint) -> bool:
        """Whether it was the confirmation of a subscription, and nothing else is to be done.
        Raises Unavailable."""


_NOT_FOUND: Final = Answer(404, "unknown_endpoint", b"no such endpoint\n")
_BUSY: Final = Answer(
    503, "unavailable", b"try again\n", ((b"retry-after", str(RETRY_AFTER_S).encode()),)
)
#: What a provider wants to read besides a status of 2xx.
_ACCEPTED: Final = {
    "twilio": Answer(204, "accepted"),
    "jasmin": Answer(200, "accepted", b"ACK/Jasmin"),
}
_OTHERS_ACCEPTED: Final = Answer(200, "accepted")


class Listener:
    """ASGI 3. endpoints: by name; clock: epoch seconds; max_body: bytes"""

    def __init__(
        self,
        file: EndpointsFile,
        endpoints: Mapping[str, OpenEndpoint],
        inbox: Inbox,
        meter: Meter,
        subscriptions: Subscriptions,
        *,
        max_body: int = 1_000_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._endpoints = endpoints
        self._trusted = file.trusted_proxies
        self._inbox = inbox
        self._meter = meter
        self._subscriptions = subscriptions
        self._max_body = max_body
        self._clock = clock
        self._unverified_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        name = endpoint_name(path)
        opened = self._endpoints.get(name)
        if opened is None:
            answer = _NOT_FOUND
        else:
            answer = await self._answer(scope, receive, path, name, opened)
        await _respond(send, answer)
        label = name if opened is not None else ""
        self._meter.add("receipts_callbacks_total", endpoint=label, result=answer.result)
        self._meter.observe(
            "receipts_callback_seconds", time.perf_counter() - began, endpoint=label
        )

    async def _answer(
        self, scope: Scope, receive: Receive, path: str, name: str, opened: OpenEndpoint
    ) -> Answer:
        endpoint, method = opened.endpoint, scope["method"]
        if method not in ("GET", "POST", "HEAD"):
            return Answer(405, "method", b"", ((b"allow", b"GET, POST"),))
        query = scope["query_string"].decode("latin-1")
        address = address_of(path, query, endpoint)
        if address is None:
            return _NOT_FOUND
        headers = _headers(scope)
        if not self._may_call(scope, headers, opened.networks):
            return Answer(403, "address", b"this address may not call\n")
        if method == "HEAD":
            return Answer(200, "probe")
        if opened.handshake and method == "GET" and "hub.mode" in query:
            return _handshake(query, opened.handshake)
        if self._inbox.is_full:
            return _BUSY
        body = await self._body(receive, headers)
        if isinstance(body, Answer):
            return body
        if method == "GET":
            body = b""  # it means nothing there, and signatures of a GET are over its URL alone
        url = endpoint.public_url + path + (f"?{query}" if query else "")
        request = SignedRequest(method, url, headers, body, int(self._clock()))
        try:
            if endpoint.way == SNS:
                message = object_in(body)
                fault = await self._subscriptions.fault(message, endpoint)
                if fault is None and await self._subscriptions.confirm(message, endpoint):
                    return Answer(200, "confirmed")
            else:
                fault = _fault(request, opened, address.secret)
        except Unavailable:
            return _BUSY
        if fault is not None:
            return Answer(403, f"signature_{fault.value}", b"not authentic\n")
        callback = RawCallback(
            body=body,
            endpoint=name,
            content_type=headers.get("content-type", "")[:MAX_CONTENT_TYPE],
            query=query,
            reference=address.reference,
            received_at=int(self._clock() * 1000),
            verified=endpoint.way,
        )
        if not await self._inbox.put(callback):
            return _BUSY
        return _ACCEPTED.get(endpoint.provider, _OTHERS_ACCEPTED)

    async def _body(self, receive: Receive, headers: Mapping[str, str]) -> bytes | Answer:
        """The body, or the answer where it does not come as it should. What all requests have sent
        so far is bounded too: nobody has proved who they are yet."""
        too_large = Answer(413, "too_large", f"at most {self._max_body} bytes\n".encode())
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length[:12]) > self._max_body:
            return too_large
        parts, size = list[bytes](), 0
        try:
            async with asyncio.timeout(BODY_S):
                async for part in _parts(receive):
                    parts.append(part)
                    size += len(part)
                    self._unverified_bytes += len(part)
                    if size > self._max_body:
                        return too_large
                    if self._unverified_bytes > MAX_UNVERIFIED_BYTES:
                        return _BUSY
        except TimeoutError:
            return Answer(408, "slow", b"the body did not come\n")
        except ClientGone:
            return Answer(400, "gone")
        finally:
            self._unverified_bytes -= size
        return b"".join(parts)

    def _may_call(
        self, scope: Scope, headers: Mapping[str, str], networks: tuple[Network, ...]
    ) -> bool:
        if not networks:
            return True
        peer = (scope.get("client") or ("", 0))[0]
        return is_in(client_of(peer, headers.get("x-forwarded-for", ""), self._trusted), networks)


def _fault(request: SignedRequest, opened: OpenEndpoint, secret: str) -> Fault | None:
    way = opened.endpoint.way
    if way == NOBODY:
        return None
    if way == PATH:
        found = [is_same(secret, each) for each in opened.secrets]
        return None if any(found) else Fault.WRONG
    return fault_of(SCHEMES[way], request, opened.secrets, opened.details)


def _handshake(query: str, token: str) -> Answer:
    """Meta verifies an address by a GET, and wants its challenge back."""
    given = dict(parse_qsl(query))
    if given.get("hub.mode") == "subscribe" and is_same(given.get("hub.verify_token", ""), token):
        return Answer(200, "handshake", given.get("hub.challenge", "").encode()[:1_000], (_TEXT,))
    return Answer(403, "signature_wrong", b"not authentic\n")


async def _parts(receive: Receive) -> AsyncIterator[bytes]:
    """Of a body. Raises ClientGone."""
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        yield message.get("body", b"")
        more = message.get("more_body", False)


def _headers(scope: Scope) -> dict[str, str]:
    """By name; of several with one name the last, of those of proxies all in their order."""
    found: dict[str, str] = {}
    for key, value in scope["headers"]:
        name, text = key.decode("latin-1"), value.decode("latin-1")
        if name == "x-forwarded-for" and name in found:
            text = f"{found[name]},{text}"
        found[name] = text
    return found


async def _respond(send: Send, answer: Answer) -> None:
    headers = list(answer.headers)
    if answer.status != 204:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
