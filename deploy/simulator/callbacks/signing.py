"""How simulated providers sign their callbacks (docs/endpoints.md)."""

from __future__ import annotations

import base64
import hmac
import time
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from deploy.simulator.callbacks.endpoints import PUBLIC_URL


class Signed(NamedTuple):
    """The body as it is sent, and the headers that make it authentic."""

    body: bytes
    headers: dict[str, str]


def signed(provider: str, path: str, body: bytes, secret: str) -> Signed:
    """path: with the leading slash. KeyError for a provider that is not simulated"""
    return _SIGN[provider](path, body, secret)


def _twilio(path: str, body: bytes, secret: str) -> Signed:
    """HMAC-SHA1 over the URL and the fields of the form, sorted by name."""
    fields = sorted(parse_qsl(body.decode(), keep_blank_values=True))
    text = f"{PUBLIC_URL}{path}" + "".join(name + value for name, value in fields)
    digest = hmac.digest(secret.encode(), text.encode(), "sha1")
    return Signed(body, {"X-Twilio-Signature": base64.b64encode(digest).decode()})


def _vonage(_: str, body: bytes, secret: str) -> Signed:
    """`sig`: HMAC-SHA256 over all other fields, sorted, with & and = in values replaced."""
    fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
    fields["timestamp"] = str(int(time.time()))
    text = "".join(
        f"&{name}={value.replace('&', '_').replace('=', '_')}"
        for name, value in sorted(fields.items())
    )
    fields["sig"] = hmac.new(secret.encode(), text.encode(), "sha256").hexdigest()
    return Signed(urlencode(fields).encode(), {})


def _basic(_: str, body: bytes, secret: str) -> Signed:
    return Signed(body, {"Authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"})


def _meta(_: str, body: bytes, secret: str) -> Signed:
    digest = hmac.new(secret.encode(), body, "sha256").hexdigest()
    return Signed(body, {"X-Hub-Signature-256": f"sha256={digest}"})


def _bearer(_: str, body: bytes, secret: str) -> Signed:
    return Signed(body, {"Authorization": f"Bearer {secret}"})


_SIGN = {"twilio": _twilio, "vonage": _vonage, "infobip": _basic, "whatsapp": _meta,
         "smpp": _bearer}  # fmt: skip
