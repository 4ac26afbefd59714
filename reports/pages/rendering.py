"""Jinja2, escaping everything, with what every page needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

FOLDER: Final = Path(__file__).with_name("templates")


class Templates:
    """The templates of the pages. Rendering never reads anything but what it is given."""

    def __init__(self) -> None:
        self._jinja = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def page(self, request: Request, name: str, status: int = 200, **shown: Any) -> HTMLResponse:
        """A page; `account` is that of the request, empty when nobody is signed in."""
        account = request.scope.get("account") or ""
        path = request.url.path
        text = self._jinja.get_template(name).render(account=account, path=path, **shown)
        return HTMLResponse(text, status)
