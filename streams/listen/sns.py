"""Amazon SNS: its certificates are fetched from Amazon, and a subscription is confirmed there."""

import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal

import aiohttp

from models.endpoints import Endpoint
from models.signatures.keys import is_amazons, is_certificate, is_certificate_url, sns_fault
from models.signatures.request import Fault
from streams.listen.app import Unavailable

MAX_CERTIFICATES: Final = 32
#: Requests to Amazon at a time.
MAX_FETCHES: Final = 8
MAX_ANSWER_BYTES: Final = 64 * 1024
TIMEOUT_S: Final = 3.0
_CONFIRMATIONS: Final = frozenset({"SubscriptionConfirmation", "UnsubscribeConfirmation"})

log = logging.getLogger(__name__)

#: The answer of Amazon to a GET of a URL. Raises Unavailable.
Fetch = Callable[[str], Awaitable[bytes]]


class SnsMessages:
    """See `Subscriptions`. Certificates are kept: one signs for months."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._certificates: dict[str, bytes] = {}
        self._fetching = 0

    async def fault(self, message: Mapping[str, Any], endpoint: Endpoint) -> Fault | None:
        """Only topics of the endpoint may send: anyone has topics at Amazon."""
        topic, url = str(message.get("TopicArn", "")), str(message.get("SigningCertURL", ""))
        if not message.get("Signature"):
            return Fault.MISSING
        if topic not in endpoint.topic_arns or not is_certificate_url(url):
            return Fault.WRONG
        return sns_fault(message, await self._certificate(url))

    async def confirm(self, message: Mapping[str, Any], endpoint: Endpoint) -> bool:
        """Confirm a subscription, if the endpoint allows it; its message was verified."""
        kind, url = str(message.get("Type", "")), str(message.get("SubscribeURL", ""))
        if kind not in _CONFIRMATIONS:
            return False
        topic = message.get("TopicArn")
        if kind == "SubscriptionConfirmation" and endpoint.confirm_subscriptions:
            if is_amazons(url):
                await self._fetched(url)
                log.info("the subscription to %s is confirmed", topic)
            else:
                log.warning("%s names no address of Amazon to confirm its subscription", topic)
        elif kind == "SubscriptionConfirmation":
            log.warning(
                "%s asks to confirm its subscription. Fix: confirm_subscriptions = true", topic
            )
        else:
            log.warning("%s does not send to this endpoint any more", topic)
        return True

    async def _certificate(self, url: str) -> bytes:
        known = self._certificates.get(url)
        if known is not None:
            return known
        certificate = await self._fetched(url)
        if not is_certificate(certificate):
            raise Unavailable(f"{url} is not a certificate")
        if len(self._certificates) >= MAX_CERTIFICATES:
            self._certificates.clear()
        self._certificates[url] = certificate
        return certificate

    async def _fetched(self, url: str) -> bytes:
        """Anyone can make us ask Amazon, before anything is verified: but few at a time."""
        if self._fetching >= MAX_FETCHES:
            raise Unavailable("too many requests to Amazon are under way")
        self._fetching += 1
        try:
            return await self._fetch(url)
        finally:
            self._fetching -= 1


async def fetch(url: str, tls: ssl.SSLContext | Literal[True] = True) -> bytes:
    """See Fetch; redirects are not followed, they could lead anywhere. tls: True: the system's
    authorities are trusted"""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False, ssl=tls) as response,
        ):
            if response.status != 200:
                raise Unavailable(f"{url} answers {response.status}")
            parts, size = list[bytes](), 0
            async for part in response.content.iter_any():
                parts.append(part)
                size += len(part)
                if size > MAX_ANSWER_BYTES:
                    raise Unavailable(f"{url} answers more than {MAX_ANSWER_BYTES} bytes")
            return b"".join(parts)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(f"{url}: {error!r}") from error
