"""Schemes with a signed token (JWT), and those with a plain secret."""

import base64
import binascii
import hashlib
import warnings
from typing import Any, Final

import jwt
from jwt.warnings import InsecureKeyLengthWarning
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from models.signatures.request import Details, Fault, SignedRequest, is_same

# Providers decide how long their secrets are.
warnings.simplefilter("ignore", InsecureKeyLengthWarning)

_HMACS: Final = ["HS256", "HS384", "HS512"]


def _claims(token: str, secret: str, details: Details, **checks: Any) -> dict[str, Any] | Fault:
    """The claims of a token, or its fault. Times are compared with our own clock."""
    if not token:
        return Fault.MISSING
    try:
        return dict(jwt.decode(token, secret, algorithms=_HMACS, leeway=details.window, **checks))
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
        return Fault.STALE
    except jwt.PyJWTError:
        return Fault.WRONG


def _bearer(request: SignedRequest) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def vonage_jwt(request: SignedRequest, secret: str, details: Details) -> Fault | None:
    """A JWT as bearer: issued within the window, with the hash of the body.

    Source: https://developer.vonage.com/en/getting-started/concepts/webhooks#validate-signed-webhooks
    """
    claims = _claims(_bearer(request), secret, details, options={"require": ["iat"]})
    if isinstance(claims, Fault):
        return claims
    if abs(request.now - int(claims["iat"])) > details.window:
        return Fault.STALE
    hashed = hashlib.sha256(request.body).hexdigest()
    if request.body and not is_same(str(claims.get("payload_hash", "")), hashed):
        return Fault.WRONG
    return None


def messagebird(request: SignedRequest, secret: str, details: Details) -> Fault | None:
    """MessageBird-Signature-JWT: with the hashes of the URL and of the body.

    Source: https://developers.messagebird.com/api/#verifying-http-requests
    """
    claims = _claims(
        request.headers.get("messagebird-signature-jwt", ""),
        secret,
        details._replace(window=1),
        issuer="MessageBird",
        options={"require": ["iss", "nbf", "exp", "url_hash"], "verify_iat": False},
    )
    if isinstance(claims, Fault):
        return claims
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
    except ValueError:  # what is not base64, not UTF-8, or has no version
        return Fault.WRONG
    return None
