"""What the endpoints of an installation mean for correlation: rules of ids by account."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from models.codes.tables import provider_key
from models.correlation import Link, encode, link_key, reference_key
from models.endpoints import Endpoint
from models.providers.callback import Provider
from models.providers.ids import IdRule


class Route(NamedTuple):
    """How the ids of one provider of one account are compared."""

    provider: Provider
    ids: list[IdRule]


class Routes:
    """Endpoints by name, and the routes of each account."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self.endpoints = endpoints
        self._of_account: defaultdict[str, dict[str, Route]] = defaultdict(dict)
        self._named: dict[tuple[str, str], Route] = {}
        for name, endpoint in endpoints.items():
            route = Route(endpoint.adapter, endpoint.ids)
            self._of_account[endpoint.account][endpoint.provider] = route
            for known in (name, endpoint.provider, *endpoint.adapter.aliases):
                self._named[endpoint.account, provider_key(known)] = route

    def link_keys(
        self, account: str, provider: str, provider_message_id: str, recipient: str
    ) -> Iterator[bytes]:
        """The keys under which a receipt may wait for an id; none where no endpoint has it.

        provider: "": any that the account has. recipient: "": not known
        """
        if provider:
            found = self._named.get((account, provider_key(provider)))
            routes = [found] if found is not None else []
        else:
            routes = list(self._of_account.get(account, {}).values())
        for route in routes:
            if recipient or not route.provider.by_recipient:
                yield link_key(account, route.provider, provider_message_id, recipient, route.ids)

    def reference_keys(self, account: str, reference: str) -> Iterator[bytes]:
        """The key under which a receipt may wait for a sender's own reference."""
        if account in self._of_account:
            yield reference_key(account, reference)

    def links_of(
        self,
        account: str,
        provider: str,
        provider_message_id: str,
        recipient: str,
        reference: str,
        link: Link,
    ) -> list[tuple[bytes, bytes]]:
        """Records of `provider-links` for a send, or a receipt that names an id; "": not given."""
        keys: list[bytes] = []
        if provider_message_id:
            keys += self.link_keys(account, provider, provider_message_id, recipient)
        if reference:
            keys += self.reference_keys(account, reference)
        encoded = encode(link)
        return [(key, encoded) for key in keys]
