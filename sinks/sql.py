"""Splitting a migration file into statements."""

import re
from typing import Final

#: In this order: what may hold a semicolon without ending a statement, then the semicolon.
_TOKEN: Final = re.compile(
    r"""
      '(?:[^'\\]|\\.|'')*'              # string
    | "(?:[^"\\]|\\.|"")*"              # quoted name
    | `(?:[^`\\]|\\.|``)*`              # quoted name
    | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$   # here document
    | (?P<comment>--[^\n]*|\#[!\ ][^\n]*|/\*.*?\*/)
    | (?P<end>;)
    """,
    re.VERBOSE | re.DOTALL,
)


def statements(script: str) -> list[str]:
    """The statements of a script, comments removed, without their semicolons.

    Semicolons in strings, quoted names, here documents and comments do not end a statement.
    """
    found: list[str] = []
    kept: list[str] = []
    place = 0
    for token in _TOKEN.finditer(script):
        kept.append(script[place : token.start()])
        place = token.end()
        if token["end"]:
            found.append("".join(kept).strip())
            kept = []
        elif not token["comment"]:
            kept.append(token[0])
    found.append("".join([*kept, script[place:]]).strip())
    return [statement for statement in found if statement]
