"""Amazon SNS: its certificates are fetched from Amazon, and a subscription is confirmed there."""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import aiohttp

from models.endpoints import Endpoint
from models.signatures.keys import is_amazons, is_certificate_url, sns_fault
from models.signatures.request import Fault
from streams.listen.app import Unavailable

MAX_CERTIFICATES: Final = 32
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

    async def fault(self, message: bytes, endpoint: Endpoint) -> Fault | None:
        """Only topics of the endpoint may send: anyone has topics at Amazon."""
        found = _object(message)
        url = str(found.get("SigningCertURL", ""))
        if not found.get("Signature"):
            return Fault.MISSING
        if str(found.get("TopicArn", "")) not in endpoint.topic_arns or not is_certificate_url(url):
            return Fault.WRONG
        return sns_fault(found, await self._certificate(url))

    async def confirm(self, message: bytes, endpoint: Endpoint) -> bool:
        """Confirm a subscription, if the endpoint allows it; its message was verified."""
        found = _object(message)
        kind, url = str(found.get("Type", "")), str(found.get("SubscribeURL", ""))
        if kind not in _CONFIRMATIONS:
            return False
        topic = found.get("TopicArn")
        if kind == "SubscriptionConfirmation" and endpoint.confirm_subscriptions:
            if is_amazons(url):
                await self._fetch(url)
                log.info("the subscription to %s is confirmed", topic)
        elif kind == "SubscriptionConfirmation":
            log.warning(
                "%s asks to confirm its subscription. Fix: confirm_subscriptions = true", topic
            )
        else:
            log.warning("%s does not send to this endpoint any more", topic)
        return True

    async def _certificate(self, url: str) -> bytes:
        if url not in self._certificates:
            certificate = await self._fetch(url)
            if len(self._certificates) >= MAX_CERTIFICATES:
                self._certificates.clear()
            self._certificates[url] = certificate
        return self._certificates[url]


def _object(message: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(message)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


async def fetch(url: str) -> bytes:
    """See Fetch; redirects are not followed, they could lead anywhere."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise Unavailable(f"{url} answers {response.status}")
            return await response.content.read(MAX_ANSWER_BYTES)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(f"{url}: {error!r}") from error
