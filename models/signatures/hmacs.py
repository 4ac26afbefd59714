"""Schemes with a shared secret and an HMAC over parts of the request."""

import hashlib
import hmac
import re
from collections import defaultdict
from typing import Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from models.providers.callback import Callback
from models.providers.fields import (
    MAX_FORM,
    MAX_PARAMETERS,
    Malformed,
    form_of,
    is_json,
    json_of,
    pairs,
)
from models.signatures.request import (
    Details,
    Fault,
    SignedRequest,
    base64_of,
    is_same,
    judged,
    stale,
)


def _digest(secret: str, message: bytes, algorithm: str) -> bytes:
    return hmac.new(secret.encode(), message, algorithm).digest()


def _values(encoded: str) -> dict[str, list[str]]:
    """All values by name. Raises ValueError for too many, or too large a form."""
    if len(encoded) > MAX_FORM:
        raise ValueError("too large a form")
    found = defaultdict(list)
    for name, value in parse_qsl(encoded, keep_blank_values=True, max_num_fields=MAX_PARAMETERS):
        found[name].append(value)
    return found


def _is_form(request: SignedRequest) -> bool:
    return "form-urlencoded" in request.headers.get("content-type", "").lower()


# --- Twilio ---------------------------------------------------------------------------------------

#: By the name in X-Twilio-Webhooks-Signature-Settings, which requests signed with a SharedKey have.
_TWILIO: Final = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}


def twilio(request: SignedRequest, secret: str, _: Details) -> Fault | None:
    """X-Twilio-Signature: over the URL and each field of the form, sorted by names.

    Of JSON the query has the hash. Twilio is inconsistent about the port in the URL, so both ways
    are tried. Source: https://www.twilio.com/docs/usage/security#validating-requests
    """
    given = request.headers.get("x-twilio-signature", "")
    if not given:
        return Fault.MISSING
    algorithm = _twilio_algorithm(request.headers.get("x-twilio-webhooks-signature-settings", ""))
    if algorithm is None:
        return Fault.WRONG
    fields = ""
    if _is_form(request):
        try:
            values = _values(request.body.decode())
        except (ValueError, UnicodeDecodeError):
            return Fault.WRONG
        fields = "".join(
            name + value for name in sorted(values) for value in sorted(set(values[name]))
        )
    elif request.body and not _has_body_hash(request):
        return Fault.WRONG
    found = [
        is_same(given, base64_of(_digest(secret, (url + fields).encode(), algorithm)))
        for url in _with_and_without_port(request.url)
    ]
    return None if any(found) else Fault.WRONG


def _twilio_algorithm(settings: str) -> str | None:
    """None: one that is not known."""
    for part in settings.split(","):
        name, _, value = part.partition("=")
        if name.strip() == "algorithm" and value.strip():
            return _TWILIO.get(value.strip().upper())
    return "sha1"


def _has_body_hash(request: SignedRequest) -> bool:
    given = dict(parse_qsl(urlsplit(request.url).query)).get("bodySHA256", "")
    return is_same(given, hashlib.sha256(request.body).hexdigest())


def _with_and_without_port(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    bare = re.sub(r":\d+$", "", parts.netloc)
    port = parts.netloc.removeprefix(bare) or (":443" if parts.scheme == "https" else ":80")
    rest = url.partition("://")[2][len(parts.netloc) :]
    return f"{parts.scheme}://{bare}{rest}", f"{parts.scheme}://{bare}{port}{rest}"


# --- Vonage, SMS API ------------------------------------------------------------------------------

_VONAGE: Final = {"md5": "md5", "sha1": "sha1", "sha256": "sha256", "sha512": "sha512"}


def vonage_sig(request: SignedRequest, secret: str, details: Details) -> Fault | None:
    """`sig`: over all other parameters, sorted, with & and = in values replaced by _.

    algorithm: that of the account: md5hash (without HMAC), md5, sha1, sha256 or sha512.
    Source: https://developer.vonage.com/en/getting-started/concepts/signing-messages
    """
    try:
        fields = _vonage_fields(request)
    except Malformed:
        return Fault.WRONG
    given = fields.pop("sig", "")
    message = "".join(
        f"&{name}={re.sub('[&=]', '_', value)}" for name, value in sorted(fields.items())
    ).encode(errors="surrogatepass")
    if details.algorithm in ("", "md5hash"):
        computed = hashlib.md5(message + secret.encode()).hexdigest()
    else:
        computed = _digest(secret, message, _VONAGE[details.algorithm]).hex()
    if fault := judged(given.lower(), computed):
        return fault
    return Fault.STALE if stale(fields.get("timestamp", ""), request.now, details.window) else None


def _vonage_fields(request: SignedRequest) -> dict[str, str]:
    query = urlsplit(request.url).query
    callback = Callback(request.body, request.headers.get("content-type", ""))
    if request.method == "GET" or not request.body:
        return pairs(query)
    if not is_json(callback):
        return pairs(form_of(request.body))
    value = json_of(callback)
    if not isinstance(value, dict):
        raise Malformed("body: an object is expected")
    return {
        name: each if isinstance(each, str) else str(each)
        for name, each in value.items()
        if isinstance(each, str | int | float)
    }


# --- Plivo ----------------------------------------------------------------------------------------


def plivo(request: SignedRequest, secret: str, _: Details) -> Fault | None:
    """X-Plivo-Signature-V3: over the URL with its query sorted, the fields sorted, and a nonce.

    Several signatures may be given, separated by commas: one for each token of the account.
    Source: https://www.plivo.com/docs/messaging/concepts/signature-validation
    """
    given = [
        each.strip()
        for name in ("x-plivo-signature-v3", "x-plivo-signature-ma-v3")
        for each in request.headers.get(name, "").split(",")
        if each.strip()
    ]
    nonces = ("x-plivo-signature-v3-nonce", "x-plivo-signature-ma-v3-nonce")
    nonce = next(filter(None, (request.headers.get(name, "") for name in nonces)), "")
    if not given or not nonce:
        return Fault.MISSING
    try:
        url = _plivo_url(request)
    except (ValueError, UnicodeDecodeError):
        return Fault.WRONG
    computed = base64_of(_digest(secret, f"{url}.{nonce}".encode(), "sha256"))
    found = [is_same(each, computed) for each in given]
    return None if any(found) else Fault.WRONG


def _plivo_url(request: SignedRequest) -> str:
    parts = urlsplit(request.url)
    base = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    query = "&".join(
        f"{name}={value}"
        for name, values in sorted(_values(parts.query).items())
        for value in sorted(values)
    )
    fields = _values(request.body.decode()) if request.method == "POST" else {}
    if not fields:
        return f"{base}?{query}" if query else base
    written = "".join(
        f"{name}{value}" for name, values in sorted(fields.items()) for value in sorted(values)
    )
    return f"{base}?{query}.{written}" if query else f"{base}?{written}"


# --- Meta, Sinch, Bird, and any other -------------------------------------------------------------


def meta(request: SignedRequest, secret: str, _: Details) -> Fault | None:
    """X-Hub-Signature-256: over the bytes of the body.

    Source: https://developers.facebook.com/docs/graph-api/webhooks/getting-started#validate-payloads
    """
    given = request.headers.get("x-hub-signature-256", "")
    return judged(given, "sha256=" + _digest(secret, request.body, "sha256").hex())


def sinch(request: SignedRequest, secret: str, details: Details) -> Fault | None:
    """x-sinch-webhook-signature: over body, nonce and timestamp, with dots between them.

    Source: https://developers.sinch.com/docs/conversation/callbacks#validating-callbacks
    """
    headers = request.headers
    nonce = headers.get("x-sinch-webhook-signature-nonce", "")
    timestamp = headers.get("x-sinch-webhook-signature-timestamp", "")
    message = b".".join((request.body, nonce.encode(), timestamp.encode()))
    given = headers.get("x-sinch-webhook-signature", "")
    if fault := judged(given, base64_of(_digest(secret, message, "sha256"))):
        return fault
    return Fault.STALE if stale(timestamp, request.now, details.window) else None


def bird(request: SignedRequest, secret: str, details: Details) -> Fault | None:
    """messagebird-signature: over timestamp, URL and the hash of the body, line by line.

    Source: https://docs.bird.com/api/notifications-api/api-reference/webhook-subscriptions
    """
    timestamp = request.headers.get("messagebird-request-timestamp", "")
    lines = (timestamp.encode(), request.url.encode(), hashlib.sha256(request.body).digest())
    computed = base64_of(_digest(secret, b"\n".join(lines), "sha256"))
    if fault := judged(request.headers.get("messagebird-signature", ""), computed):
        return fault
    return Fault.STALE if stale(timestamp, request.now, details.window) else None


def plain_hmac(request: SignedRequest, secret: str, details: Details) -> Fault | None:
    """An HMAC over the bytes of the body in a header of any name, as Infobip can be set to send."""
    given = request.headers.get(details.header.lower(), "")
    digest = _digest(secret, request.body, details.algorithm or "sha256")
    if details.encoding == "base64":
        return judged(given, details.prefix + base64_of(digest))
    return judged(given.lower(), (details.prefix + digest.hex()).lower())
