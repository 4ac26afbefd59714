"""Schemes with a signed token (JWT), and those with a plain secret."""

import base64
import binascii
import hashlib
import warnings
from typing import Any, Final

import jwt
from jwt.warnings import InsecureKeyLengthWarning
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError

from models.signatures.request import Details, Fault, SignedRequest, is_same

# Providers decide how long their secrets are.
warnings.simplefilter("ignore", InsecureKeyLengthWarning)

_HMACS: Final = ["HS256", "HS384", "HS512"]


def _claims(
    token: str, secret: str, required: list[str], issuer: str | None = None
) -> dict[str, Any] | Fault:
    """The claims of a token, or its fault. Its times are for the caller to judge."""
    if not token:
        return Fault.MISSING
    unjudged = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    options: Any = {**unjudged, "require": required}
    try:
        return dict(jwt.decode(token, secret, algorithms=_HMACS, issuer=issuer, options=options))
    except (jwt.PyJWTError, RecursionError):  # its JSON may be as deep as its header is long
        return Fault.WRONG


def _is_between(earliest: object, latest: object, now: int, leeway: int) -> bool:
    """Whether now is between two times of a token, epoch seconds, which may be anything."""
    if not (isinstance(earliest, int | float) and isinstance(latest, int | float)):
        return False
    return earliest - leeway <= now <= latest + leeway


def _bearer(request: SignedRequest) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def vonage_jwt(request: SignedRequest, secret: str, details: Details) -> Fault | None:
    """A JWT as bearer: issued within the window, with the hash of the body.

    Source: https://developer.vonage.com/en/getting-started/concepts/webhooks#validate-signed-webhooks
    """
    claims = _claims(_bearer(request), secret, ["iat"])
    if isinstance(claims, Fault):
        return claims
    issued = claims["iat"]
    if not _is_between(issued, issued, request.now, details.window):
        return Fault.STALE
    hashed = hashlib.sha256(request.body).hexdigest()
    if request.body and not is_same(str(claims.get("payload_hash", "")), hashed):
        return Fault.WRONG
    return None


def messagebird(request: SignedRequest, secret: str, _: Details) -> Fault | None:
    """MessageBird-Signature-JWT: with the hashes of the URL and of the body.

    Source: https://developers.messagebird.com/api/#verifying-http-requests
    """
    token = request.headers.get("messagebird-signature-jwt", "")
    claims = _claims(token, secret, ["iss", "nbf", "exp", "url_hash"], "MessageBird")
    if isinstance(claims, Fault):
        return claims
    if not _is_between(claims["nbf"], claims["exp"], request.now, 1):
        return Fault.STALE
    url_hash = hashlib.sha256(request.url.encode()).hexdigest()
    given = claims.get("payload_hash")
    body_hash = hashlib.sha256(request.body).hexdigest() if request.body else ""
    same_url = is_same(str(claims["url_hash"]), url_hash)
    return None if same_url and is_same(str(given or ""), body_hash) else Fault.WRONG


def basic(request: SignedRequest, secret: str, _: Details) -> Fault | None:
    """HTTP basic authentication. secret: user:password"""
    kind, encoded = request.headers.get("authorization", "").partition(" ")[::2]
    if kind.lower() != "basic":
        return Fault.MISSING
    try:
        given = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return Fault.WRONG
    return None if is_same(given.decode("utf-8", "replace"), secret) else Fault.WRONG


def bearer(request: SignedRequest, secret: str, _: Details) -> Fault | None:
    """A token in the header Authorization."""
    given = _bearer(request)
    if not given:
        return Fault.MISSING
    return None if is_same(given, secret) else Fault.WRONG


def standard_webhooks(request: SignedRequest, secret: str, _: Details) -> Fault | None:
    """webhook-signature: over id, timestamp and body. Its window is five minutes.

    Source: https://www.standardwebhooks.com/
    """
    if not request.headers.get("webhook-signature"):
        return Fault.MISSING
    try:
        Webhook(secret).verify(request.body, dict(request.headers), json_parse=False)
    except WebhookVerificationError as error:
        return Fault.STALE if "timestamp" in str(error).lower() else Fault.WRONG
    except (ValueError, EmptyWebhookSecretError):  # not base64, not UTF-8, or without a version
        return Fault.WRONG
    return None
