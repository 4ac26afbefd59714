"""Reading what providers call back with: one module a provider, each with its PROVIDER.

A callback is read into receipts, or the reasons why it cannot be used. One bad receipt costs itself
alone; a status word that nobody knows is "unknown"; fields that nobody knows are ignored. Sources
are in `Provider.source`, and docs/providers.md is made of them.
"""

from collections.abc import Mapping
from importlib import import_module
from itertools import islice
from pkgutil import iter_modules
from typing import Final

from models.providers.callback import Callback, Item, Options, Provider, Unread
from models.providers.fields import Malformed

__all__ = ["ADAPTERS", "adapter_of", "read"]

_MODULES: Final = (import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))
#: Adapters by the provider's name: of each module here that has one.
ADAPTERS: Final[Mapping[str, Provider]] = {
    module.PROVIDER.name: module.PROVIDER for module in _MODULES if hasattr(module, "PROVIDER")
}
#: The largest batches of providers have a thousand; what has more keeps a worker busy.
MAX_ITEMS: Final = 2_000
_BY_ALIAS: Final = {
    name: adapter for adapter in ADAPTERS.values() for name in (adapter.name, *adapter.aliases)
}


def adapter_of(name: str) -> Provider | None:
    """The adapter of a provider, by its name or another one."""
    return _BY_ALIAS.get(name.strip().casefold())


def read(provider: Provider, callback: Callback, options: Options) -> list[Item]:
    """All that is in a callback, in its order, up to MAX_ITEMS. Never raises for what a provider
    sends."""
    found: list[Item] = []
    try:
        items = provider.read(callback, options)
        found.extend(islice(items, MAX_ITEMS))
        if len(found) == MAX_ITEMS and next(items, None) is not None:
            found.append(Unread(f"only the first {MAX_ITEMS} of its items are read"))
    except Malformed as error:
        found.append(Unread(str(error)))
    except Exception as error:  # noqa: BLE001  (an adapter that raises refuses the rest)
        found.append(Unread(f"internal: {type(error).__name__}: {error}"))
    return found
