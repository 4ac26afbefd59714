"""How providers sign what they call back with: one function a scheme. docs/providers.md lists them.

A signature is over the exact bytes of the body and the exact URL that the provider sees. All
comparisons take a time that does not depend on where texts differ.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from models.signatures.hmacs import bird, meta, plain_hmac, plivo, sinch, twilio, vonage_sig
from models.signatures.keys import telnyx
from models.signatures.request import Details, Fault, Scheme, SignedRequest, from_base64
from models.signatures.tokens import basic, bearer, messagebird, standard_webhooks, vonage_jwt

__all__ = ["SCHEMES", "Details", "Fault", "SignedRequest", "expected_of_secret", "fault_of"]

#: Schemes with secrets, by their names in the file of endpoints.
SCHEMES: Final[Mapping[str, Scheme]] = {
    "twilio": twilio,
    "vonage-sig": vonage_sig,
    "vonage-jwt": vonage_jwt,
    "meta": meta,
    "telnyx": telnyx,
    "plivo": plivo,
    "messagebird": messagebird,
    "bird": bird,
    "sinch": sinch,
    "hmac": plain_hmac,
    "standard-webhooks": standard_webhooks,
    "basic": basic,
    "bearer": bearer,
}


def expected_of_secret(way: str, secret: str) -> str:
    """What a secret should be, where it can never verify anything; "": it can."""
    if way == "telnyx" and len(from_base64(secret)) != 32:
        return "the account's public key, base64 of 32 bytes"
    if way == "basic" and ":" not in secret:
        return "user:password"
    if way == "standard-webhooks":
        key = secret.removeprefix("whsec_")
        if not from_base64(key + "=" * (-len(key) % 4)):
            return "whsec_ and base64"
    return ""


def fault_of(
    scheme: Scheme, request: SignedRequest, secrets: Iterable[str], details: Details
) -> Fault | None:
    """None when the request is authentic by one of the secrets: two are in force during a rotation.

    Of several faults the one that comes nearest: stale by one secret, wrong by another.
    """
    faults = set[Fault]()
    for secret in secrets:
        fault = scheme(request, secret, details)
        if fault is None:
            return None
        faults.add(fault)
    return next((f for f in (Fault.STALE, Fault.WRONG) if f in faults), Fault.MISSING)
