"""Schemes with a public key: nobody who can verify can sign."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509 import load_pem_x509_certificate

from models.signatures.request import Details, Fault, SignedRequest, from_base64, stale


def telnyx(request: SignedRequest, secret: str, details: Details) -> Fault | None:
    """telnyx-signature-ed25519: over timestamp, "|" and the bytes of the body.

    secret: the account's public key, base64.
    Source: https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks#webhook-signing
    """
    given = request.headers.get("telnyx-signature-ed25519", "")
    timestamp = request.headers.get("telnyx-timestamp", "")
    if not given or not timestamp:
        return Fault.MISSING
    try:
        key = Ed25519PublicKey.from_public_bytes(from_base64(secret))
        key.verify(from_base64(given), timestamp.encode() + b"|" + request.body)
    except (InvalidSignature, ValueError):
        return Fault.WRONG
    return Fault.STALE if stale(timestamp, request.now, details.window) else None


# --- Amazon SNS -----------------------------------------------------------------------------------

#: Fields that are signed, by the type of the message, in this order, as name and value lines.
_SIGNED: Final = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"
    ),
    "UnsubscribeConfirmation": (
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"
    ),
}  # fmt: skip
_HASHES: Final = {"1": SHA1, "2": SHA256}
_AMAZON: Final = re.compile(r"sns\.[a-z0-9-]{1,30}\.amazonaws\.com(?:\.cn)?")
_CERTIFICATE: Final = re.compile(r"/SimpleNotificationService-[A-Za-z0-9]{1,64}\.pem")


def is_amazons(url: str) -> bool:
    """Whether a URL is of SNS itself, over HTTPS."""
    try:
        parts = urlsplit(url)
        plain = parts.username is None and parts.port is None
    except ValueError:
        return False
    return parts.scheme == "https" and plain and bool(_AMAZON.fullmatch(parts.netloc))


def is_certificate_url(url: str) -> bool:
    """Whether a URL is one of a certificate of SNS."""
    if not is_amazons(url):
        return False
    parts = urlsplit(url)
    return bool(_CERTIFICATE.fullmatch(parts.path)) and not parts.query and not parts.fragment


def is_certificate(pem: bytes) -> bool:
    """Whether it can be one that signs."""
    try:
        return isinstance(load_pem_x509_certificate(pem).public_key(), RSAPublicKey)
    except ValueError:
        return False


def sns_fault(message: Mapping[str, Any], certificate: bytes) -> Fault | None:
    """Verify a message of SNS.

    certificate: PEM, from the URL that the message names, which must be a certificate URL
    Source: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
    """
    names = _SIGNED.get(str(message.get("Type")))
    hashed = _HASHES.get(str(message.get("SignatureVersion")))
    if not message.get("Signature"):
        return Fault.MISSING
    if names is None or hashed is None:
        return Fault.WRONG
    lines = "".join(f"{name}\n{message[name]}\n" for name in names if message.get(name) is not None)
    try:
        key = load_pem_x509_certificate(certificate).public_key()
        if not isinstance(key, RSAPublicKey):
            return Fault.WRONG
        key.verify(from_base64(str(message["Signature"])), lines.encode(), PKCS1v15(), hashed())
    except (InvalidSignature, ValueError):
        return Fault.WRONG
    return None
