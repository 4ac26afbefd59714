"""docs/providers.md from the adapters."""

from __future__ import annotations

from typing import Final

from models.codes import table_of
from models.endpoints import DEFAULT_WAYS, NOBODY
from models.providers import ADAPTERS
from models.providers.callback import Provider

_HEAD: Final = """\
# Providers

Made from `models/providers/` by `python -m deploy.docs`; a test keeps it current. A provider is one
module there, its table of codes, and samples in `tests/models/data/receipts/`
([contributing.md](contributing.md)). `receipts callbacks read PROVIDER FILE` shows what a callback
is read as.

- A status word that nobody knows is kept as `unknown`, with the provider's word. Unknown fields are
  ignored. What cannot be read costs itself alone: the whole callback is one dead letter with the
  first reason and how many more there are. Of a callback 2,000 items are read.
- `undelivered` or `rejected`: the code decides by its table ([codes.md](codes.md)). A soft bounce
  is always `undelivered`. A hard one is `undelivered` where the number is dead or unfit, and
  `rejected` where it is refused.
- Times without a zone need the `zone` of the endpoint; without it the receipt counts at the time at
  which it came.
- *By recipient*: the provider's id is that of a batch, so an id that you publish needs the
  recipient too.
- The way to verify is the default of `verify` ([endpoints.md](endpoints.md)).

"""


def providers_page() -> str:
    """The page docs/providers.md."""
    return _HEAD + "\n".join(map(_section, ADAPTERS.values()))


def _section(provider: Provider) -> str:
    table = table_of(provider.codes or provider.name)
    way = DEFAULT_WAYS.get(provider.name, NOBODY)
    names = ", ".join(f"`{name}`" for name in (provider.name, *provider.aliases))
    codes = f"[{table.provider}](codes.md#{table.provider})" if table is not None else "none"
    rows = (
        ("names", names),
        ("set at the provider", provider.setup),
        ("verified by", "nothing of its own; see `verify`" if way == NOBODY else f"`{way}`"),
        ("repeats of yours", provider.reference),
        ("by recipient", "yes" if provider.by_recipient else "no"),
        ("codes", codes),
        ("missing", provider.missing),
        ("source", provider.source),
    )
    lines = "\n".join(f"| {name} | {text} |" for name, text in rows)
    return f"## {provider.title}\n\n| | |\n|---|---|\n{lines}\n"
