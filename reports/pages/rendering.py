"""The Jinja2 templates of the pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.templating import Jinja2Templates

from reports.pages.navigation import menu

_FOLDER: Final = Path(__file__).with_name("templates")


def page_templates() -> Jinja2Templates:
    """Templates that escape all values and know the account and the menu of the request."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return Jinja2Templates(env=environment, context_processors=[_frame])


def _frame(request: Request) -> dict[str, Any]:
    """account: "" without sign-in."""
    return {"account": request.scope.get("account") or "", "menu": menu(request.url.path)}
