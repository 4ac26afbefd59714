"""Where pages are, and who may read those of monitoring: probes everything they need, others with
the token."""

import hmac
import ipaddress
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from models.issues import variable_of

#: Pages without a secret: probes read them and have no token.
OPEN_PAGES = frozenset({"/healthz", "/readyz"})
#: A page that needs the token only when one is set: it has numbers, and no person.
METRICS_PAGE = "/metrics"

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def access(host: str, token: str) -> Middleware:
    """A middleware that answers 401 without the token of the settings.

    host: the address of the pages. token: empty: none is set; pages about people then answer 403
    unless the address is of the loopback interface
    """
    refused = None if token or is_loopback(host) else _no_token(host)

    @web.middleware
    async def check(request: web.Request, handler: _Handler) -> web.StreamResponse:
        if request.path in OPEN_PAGES:
            return await handler(request)
        if token and not _has_token(request, token):
            return _unauthorized()
        if refused is not None and request.path != METRICS_PAGE:
            return web.Response(status=403, text=refused)
        return await handler(request)

    return check


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def address_url(scheme: str, host: str, port: int) -> str:
    """The URL of an address; one of IPv6 has brackets there."""
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _has_token(request: web.Request, token: str) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # In constant time: otherwise its duration would give the token away, character by character.
    same = hmac.compare_digest(given.strip().encode(errors="replace"), token.encode())
    return same and scheme.lower() == "bearer"


def _unauthorized() -> web.Response:
    text = f"Send the header Authorization: Bearer TOKEN ({variable_of('monitoring_token')}).\n"
    return web.Response(status=401, text=text, headers={"WWW-Authenticate": "Bearer"})


def _no_token(host: str) -> str:
    return (
        f"This page is about people, and everyone who reaches {host} could read it. "
        f"Fix: set {variable_of('monitoring_token')} and send it as Authorization: Bearer TOKEN, "
        "or serve it on 127.0.0.1.\n"
    )
