"""docs/codes.md from the tables of provider codes: reasons, codes, status words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from models.codes import PHRASES, PROVIDERS, REASONS, STATUSES, Code, CodeTable
from models.codes.reasons import OTHER
from models.codes.tables import STATUS_WORDS

_HEAD: Final = """\
# Provider codes

Made from `models/codes/` by `python -m deploy.docs`; a test keeps it current. A new code is one
line in `models/codes/data/<provider>.toml`; `receipts codes PROVIDER CODE` explains one.

- A code decides bounce, scope and reason. A bounce or scope that the receipt gives itself precedes
  that of its code. Codes and providers are compared in any case; where a provider's codes are
  numbers, leading zeroes do not count.
- Bounce `soft`: the same message may arrive later. `hard`: the same message would fail again, which
  need not be the number's fault: only `hard` with scope `recipient` counts as a strike.
- Scope is whose fault it is; empty: not known.
- Note `opt-out`: the recipient unsubscribed. `never retried`: the recipient, or a list for the
  recipient, blocks the sender. Neither is retried, even if the receipt gives `soft`.
- Decimal codes of a provider without a table are read as GSM MAP values ([gsm-map](#gsm-map)). SMPP
  `err` values differ by route.
- An account may give any code another meaning (setting `codes`: bounce, scope and reason by
  `provider:code`, or by the code for all providers) or other words (setting `fail_reasons`).
- A code that no table has decides nothing: without a bounce, `undelivered` is soft and `rejected`
  hard.
- Where sources disagree, the reading is the one that suppresses no number which might live.

"""


def codes_page() -> str:
    """The page docs/codes.md."""
    parts = [_HEAD, _reasons(), _statuses(), "## Tables\n\n", _index()]
    return "".join([*parts, *map(_table, PROVIDERS.values())])


def _reasons() -> str:
    rows = ((reason, cause, str(_phrases(reason))) for reason, cause in REASONS.items())
    return (
        "## Reasons\n\nThe list is closed: one reason a cause. A code of a table decides; else the "
        f"provider's words are\nbrought to a reason; else it is `{OTHER}`.\n\n"
        + _rows(("reason", "cause", "phrases read as it"), rows)
    )


def _phrases(reason: str) -> int:
    return sum(found == reason for found in PHRASES.values())


def _statuses() -> str:
    rows = (
        (status, ", ".join(f"`{word}`" for word, found in STATUSES.items() if found == status))
        for status in STATUS_WORDS
    )
    return (
        "\n## Status words\n\nIn any case; spaces, dashes, dots and underscores do not count. "
        "`unknown` is kept and decides\nnothing.\n\n"
        + _rows(("status", "words of providers"), rows)
        + "\n"
    )


def _index() -> str:
    rows = (
        (f"[{one.provider}](#{one.provider})", ", ".join(one.aliases), str(len(_own(one))))
        for one in PROVIDERS.values()
    )
    return _rows(("provider", "also called", "codes"), rows)


def _table(table: CodeTable) -> str:
    extends = " and ".join(f"[{name}](#{name})" for name in table.extends)
    head = f"\n## {table.provider}\n\nSource: {table.source}\n"
    also = f"\nReads also the codes of {extends}.\n" if extends else ""
    codes = _rows(("code", "bounce", "scope", "reason", "note", "words"), map(_cells, _own(table)))
    return head + also + (f"\n{codes}" if _own(table) else "")


def _own(table: CodeTable) -> list[Code]:
    return [code for code in table.listed() if code.provider == table.provider]


def _cells(code: Code) -> Sequence[str]:
    name = f" `{code.name}`" if code.name else ""
    return f"`{code.code}`{name}", code.bounce, code.scope, code.reason, code.note, code.words


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(line).replace("|  |", "| |") + " |\n" for line in (head, *rows)]
    return "".join([lines[0], "|" + "---|" * len(head) + "\n", *lines[1:]])
