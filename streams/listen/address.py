"""Addresses of callbacks, and whom a request comes from."""

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from models.endpoints import PATH, Endpoint, Network

PREFIX: Final = "/callbacks/"
MAX_REFERENCE: Final = 256


class Address(NamedTuple):
    """What is in the path and query of a callback.

    secret: of the path, where the endpoint is verified by it
    reference: `account/message_id[/attempt]` that the sender put there; "": none
    """

    name: str
    secret: str = ""
    reference: str = ""


def endpoint_name(path: str) -> str:
    """The name of the endpoint in a path as it came; "": it is not the path of a callback."""
    return path[len(PREFIX) :].partition("/")[0] if path.startswith(PREFIX) else ""


def address_of(path: str, query: str, endpoint: Endpoint) -> Address | None:
    """Of /callbacks/NAME[/SECRET][/ACCOUNT/MESSAGE_ID[/ATTEMPT]], with the reference in the path
    or in ?ref=. None: it has another form.
    """
    name, *rest = path[len(PREFIX) :].split("/")
    secret = ""
    if endpoint.way == PATH:
        if not rest:
            return None
        secret, *rest = rest
    if rest and len(rest) not in (2, 3):
        return None
    reference = "/".join(map(unquote, rest))
    if not reference and "ref=" in query:
        reference = dict(parse_qsl(query)).get("ref", "")
    # Cut, it could name another message; no send has a longer one.
    return Address(name, unquote(secret), reference if len(reference) <= MAX_REFERENCE else "")


def client_of(peer: str, forwarded: str, trusted: Iterable[Network]) -> str:
    """The address of the client: that of the connection, or, from a proxy that is trusted, the last
    one in X-Forwarded-For that is not a trusted proxy."""
    trusted = tuple(trusted)
    client = peer
    for hop in reversed([each.strip() for each in forwarded.split(",") if each.strip()]):
        if not is_in(client, trusted):
            break
        client = hop
    return client


def is_in(written: str, networks: Iterable[Network]) -> bool:
    """Whether an address is in one of the networks; what is not an address is in none.

    An address of IPv4 on a socket of IPv6 (::ffff:192.0.2.1) is that of IPv4.
    """
    try:
        address = ip_address(written)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)
