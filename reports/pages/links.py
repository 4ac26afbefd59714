"""Addresses of pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from reports.query.query import RawParams


def link(path: str, params: RawParams, **changes: str | int | Sequence[str] | None) -> str:
    """A path with query parameters, some of them changed; None or empty removes one."""
    changed: dict[str, Any] = {**params, **changes}
    kept = {name: value for name, value in changed.items() if value not in (None, "", [], ())}
    return f"{path}?{urlencode(kept, doseq=True)}" if kept else path
