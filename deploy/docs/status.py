"""docs/status.md: its template, the table of findings, and the keys of the JSON."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from deploy.diagnosis.examination import Examination
from deploy.diagnosis.findings import KINDS
from deploy.diagnosis.proofs import StateCheck
from deploy.diagnosis.readings import Status

_DOCUMENTS: Final[dict[str, type[msgspec.Struct]]] = {
    "status": Status,
    "doctor": Examination,
    "state check": StateCheck,
}
_HEAD: Final = Path(__file__).parents[2] / "docs" / "templates" / "status.md"


def status_page() -> str:
    """The page docs/status.md."""
    parts = [_HEAD.read_text(encoding="utf-8"), "\n## Findings\n\n"]
    parts.append("Names are stable.\n\n| kind | meaning | help |\n|---|---|---|\n")
    parts += [
        f"| `{name}` | {kind.meaning} | {_link(kind.section)} |\n" for name, kind in KINDS.items()
    ]
    for command, document in _DOCUMENTS.items():
        parts.append(f"\n## JSON of receipts {command}\n\n")
        parts.append(
            "Times are in epoch ms, durations in seconds. New keys may come; none goes.\n\n"
        )
        parts.append("| key | type | meaning |\n|---|---|---|\n")
        parts += [f"| `{key}` | {kind} | {meaning} |\n" for key, kind, meaning in keys(document)]
    return "".join(parts)


def keys(document: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Key, type and meaning of every field, nested ones after theirs."""
    described = msgspec.inspect.type_info(document)
    assert isinstance(described, msgspec.inspect.StructType)
    for field in described.fields:
        annotated = field.type
        assert isinstance(annotated, msgspec.inspect.Metadata), field.name
        meaning = (annotated.extra_json_schema or {})["description"]
        kind, nested = _kind(annotated.type)
        name = f"{prefix}{field.encode_name}" + ("[]" if kind.startswith("array") else "")
        yield name, kind, meaning
        if nested is not None:
            yield from keys(nested, f"{name}.")


def _kind(described: Any) -> tuple[str, type[msgspec.Struct] | None]:
    """JSON's name of a type, and the struct in it."""
    match described:
        case msgspec.inspect.UnionType(types=types):
            (inner,) = [each for each in types if not isinstance(each, msgspec.inspect.NoneType)]
            kind, nested = _kind(inner)
            return f"{kind} or null", nested
        case msgspec.inspect.VarTupleType(item_type=item):
            kind, nested = _kind(item)
            return f"array of {kind}s", nested
        case msgspec.inspect.StructType(cls=struct):
            return "object", struct
        case msgspec.inspect.DictType():
            return "object", None
        case msgspec.inspect.BoolType():
            return "boolean", None
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            return "number", None
        case msgspec.inspect.StrType() | msgspec.inspect.LiteralType():
            return "string", None
    raise TypeError(f"{described} has no name in JSON")


def _link(section: str) -> str:
    page, _, anchor = section.partition("#")
    target = f"#{anchor}" if page == "status.md" else section
    return f"[{anchor.replace('-', ' ')}]({target})"
