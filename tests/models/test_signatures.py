"""Signatures: the schemes' own examples, and nothing that differs in a bit."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from models.signatures import SCHEMES, Details, Fault, SignedRequest, expected_of_secret, fault_of
from models.signatures.keys import is_amazons, is_certificate_url, sns_fault

NOW = int(datetime.now(UTC).timestamp())
SECRET = "a secret of the account, which the provider made"
FORM = "application/x-www-form-urlencoded"
URL = "https://receipts.example.com:8443/prefix/callbacks/acme?b=2&a=1"
BODY = urlencode({"MessageSid": "SM1", "To": "+447700900123", "Body": "é & ="}).encode()


class Case(NamedTuple):
    """A request that is authentic."""

    scheme: str
    request: SignedRequest
    secret: str = SECRET
    details: Details = Details()


def _mac(message: bytes, algorithm: str = "sha256", secret: str = SECRET) -> bytes:
    return hmac.new(secret.encode(), message, algorithm).digest()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _request(
    headers: dict[str, str], body: bytes = BODY, method: str = "POST", url: str = URL
) -> SignedRequest:
    return SignedRequest(method, url, {"content-type": FORM, **headers}, body, NOW)


def _twilio(algorithm: str) -> Case:
    fields = "".join(name + value for name, value in sorted(_fields(BODY).items()))
    headers = {"x-twilio-signature": _b64(_mac((URL + fields).encode(), algorithm))}
    if algorithm == "sha256":
        settings = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
        headers["x-twilio-webhooks-signature-settings"] = settings
    return Case("twilio", _request(headers))


def _fields(body: bytes) -> dict[str, str]:
    from urllib.parse import parse_qsl

    return dict(parse_qsl(body.decode()))


def _vonage_sig(algorithm: str) -> Case:
    fields = {"messageId": "1", "status": "delivered", "client-ref": "a&b=c", "timestamp": str(NOW)}
    message = "".join(
        f"&{name}={value.replace('&', '_').replace('=', '_')}"
        for name, value in sorted(fields.items())
    ).encode()
    if algorithm == "md5hash":
        sig = hashlib.md5(message + SECRET.encode()).hexdigest()
    else:
        sig = _mac(message, algorithm).hex().upper()
    query = urlencode({**fields, "sig": sig})
    request = _request({}, b"", "GET", f"https://receipts.example.com/callbacks/v?{query}")
    return Case("vonage-sig", request, details=Details(algorithm=algorithm))


def _vonage_jwt() -> Case:
    claims = {"iat": NOW, "jti": "1", "payload_hash": hashlib.sha256(BODY).hexdigest()}
    token = jwt.encode(claims, SECRET, algorithm="HS256")
    return Case("vonage-jwt", _request({"authorization": f"Bearer {token}"}))


def _messagebird() -> Case:
    claims = {
        "iss": "MessageBird",
        "nbf": NOW - 1,
        "exp": NOW + 30,
        "url_hash": hashlib.sha256(URL.encode()).hexdigest(),
        "payload_hash": hashlib.sha256(BODY).hexdigest(),
    }
    token = jwt.encode(claims, SECRET, algorithm="HS256")
    return Case("messagebird", _request({"messagebird-signature-jwt": token}))


def _telnyx() -> Case:
    key = Ed25519PrivateKey.generate()
    signature = key.sign(f"{NOW}|".encode() + BODY)
    public = _b64(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    headers = {"telnyx-signature-ed25519": _b64(signature), "telnyx-timestamp": str(NOW)}
    return Case("telnyx", _request(headers), public)


def _sinch() -> Case:
    headers = {
        "x-sinch-webhook-signature": _b64(_mac(BODY + f".nonce.{NOW}".encode())),
        "x-sinch-webhook-signature-nonce": "nonce",
        "x-sinch-webhook-signature-timestamp": str(NOW),
        "x-sinch-webhook-signature-algorithm": "HmacSHA256",
    }
    return Case("sinch", _request(headers))


def _bird() -> Case:
    message = f"{NOW}\n{URL}\n".encode() + hashlib.sha256(BODY).digest()
    headers = {
        "messagebird-signature": _b64(_mac(message)),
        "messagebird-request-timestamp": str(NOW),
    }
    return Case("bird", _request(headers))


def _plivo() -> Case:
    fields = "".join(name + value for name, value in sorted(_fields(BODY).items()))
    message = f"https://receipts.example.com:8443/prefix/callbacks/acme?a=1&b=2.{fields}.nonce"
    given = f"{_b64(b'another token')}, {_b64(_mac(message.encode()))}"
    headers = {"x-plivo-signature-v3": given, "x-plivo-signature-v3-nonce": "nonce"}
    return Case("plivo", _request(headers))


def _standard() -> Case:
    secret = "whsec_" + _b64(b"k" * 24)
    signed = Webhook(secret).sign("msg_1", datetime.fromtimestamp(NOW, UTC), BODY.decode())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(NOW),
        "webhook-signature": f"v1,{_b64(b'old')} {signed}",
    }
    return Case("standard-webhooks", _request(headers), secret)


CASES = [
    _twilio("sha1"),
    _twilio("sha256"),
    *map(_vonage_sig, ("md5hash", "md5", "sha1", "sha256", "sha512")),
    _vonage_jwt(),
    Case("meta", _request({"x-hub-signature-256": f"sha256={_mac(BODY).hex()}"})),
    _telnyx(),
    _plivo(),
    _messagebird(),
    _bird(),
    _sinch(),
    _standard(),
    Case(
        "hmac",
        _request({"x-signature": f"v0={_mac(BODY, 'sha512').hex()}"}),
        details=Details(header="X-Signature", algorithm="sha512", prefix="v0="),
    ),
    Case(
        "hmac",
        _request({"x-signature": _b64(_mac(BODY))}),
        details=Details(header="X-Signature", encoding="base64"),
    ),
    Case("basic", _request({"authorization": f"Basic {_b64(b'user:password')}"}), "user:password"),
    Case("bearer", _request({"authorization": f"Bearer {SECRET}"})),
]
IDS = [f"{case.scheme}-{case.details.algorithm}{number}" for number, case in enumerate(CASES)]
#: Neither body nor URL is covered.
UNSIGNED = {"basic", "bearer"}
COVERS_URL = {"twilio", "vonage-sig", "plivo", "messagebird", "bird"}
TIMED = {"vonage-sig", "vonage-jwt", "telnyx", "messagebird", "bird", "sinch", "standard-webhooks"}


_NOT_SIGNED = frozenset(
    {
        "content-type",
        "x-sinch-webhook-signature-algorithm",
        "x-twilio-webhooks-signature-settings",
    }
)


def _fault(case: Case, **changes: Any) -> Fault | None:
    request = case.request._replace(**changes)
    return fault_of(SCHEMES[case.scheme], request, [case.secret], case.details)


def test_every_scheme_has_a_case() -> None:
    assert {case.scheme for case in CASES} == SCHEMES.keys()


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_an_authentic_request(case: Case) -> None:
    assert _fault(case) is None


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_one_flipped_bit(case: Case) -> None:
    request = case.request
    if request.body and case.scheme not in UNSIGNED:
        for at in range(0, len(request.body), 7):
            flipped = bytearray(request.body)
            flipped[at] ^= 1
            assert _fault(case, body=bytes(flipped)) is Fault.WRONG
    for name, value in request.headers.items():
        if name in _NOT_SIGNED:
            continue
        # The last bits of base64 may mean nothing; before them may be another signature.
        for at in range(max(0, len(value) - 40), len(value) - 4, 5):
            changed = value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]
            assert _fault(case, headers={**request.headers, name: changed}) is not None


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.scheme in COVERS_URL], ids=lambda case: case.scheme
)
def test_another_url(case: Case) -> None:
    url = case.request.url
    for other in (url.replace("a=", "c=").replace("status", "Status"), url + "&more=1"):
        assert _fault(case, url=other) is Fault.WRONG


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.scheme in TIMED], ids=lambda case: case.scheme
)
@pytest.mark.parametrize("shift", [-3_600, 3_600])
def test_a_request_is_not_taken_again_later(
    case: Case, shift: int, clock: Callable[[int], None]
) -> None:
    clock(shift)
    assert _fault(case, now=NOW + shift) is Fault.STALE


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """The library of Standard Webhooks has a clock of its own: it shows NOW, and what is added."""

    def shift(seconds: int) -> None:
        class Shown(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return datetime.fromtimestamp(NOW + seconds, tz)

        monkeypatch.setattr("standardwebhooks.webhooks.datetime", Shown)

    shift(0)
    return shift


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_two_secrets_during_a_rotation(case: Case) -> None:
    other = _b64(b"x" * 32)
    scheme = SCHEMES[case.scheme]
    assert fault_of(scheme, case.request, [other, case.secret], case.details) is None
    assert fault_of(scheme, case.request, [other], case.details) is Fault.WRONG
    assert fault_of(scheme, case.request, [], case.details) is not None


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_without_a_signature(case: Case) -> None:
    bare = case.request.url.partition("&sig=")[0]
    assert _fault(case, headers={"content-type": FORM}, url=bare) is Fault.MISSING


# --- examples of others ---------------------------------------------------------------------------


def test_the_example_of_twilio() -> None:
    """https://www.twilio.com/docs/usage/security#validating-requests"""
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    headers = {"content-type": FORM, "x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="}
    request = SignedRequest("POST", url, headers, urlencode(fields).encode(), NOW)
    assert fault_of(SCHEMES["twilio"], request, ["12345"], Details()) is None


@pytest.mark.parametrize(
    ("method", "url", "signature"),
    [
        (
            "POST",
            "https://receipts.example.com:8443/prefix/callbacks/acme?b=2&a=1",
            "B36THSIp4iiwl11jm2VXG5yUv4tFMKGQll1AhVUI4SU=",
        ),
        ("POST", "https://h.example/c", "/xe9jn28kCdl1kTlhvll+n9TNueWhS/uPCJcmSdqziY="),
        (
            "GET",
            "https://receipts.example.com:8443/prefix/callbacks/acme?b=2&a=1",
            "ZC4GUnAppKUoAqt3Sn4WK8PgvyYYyDmmsq50hksP69Y=",
        ),
        ("GET", "https://h.example/c", "AoW/DeQjmpjpTTrx3LJFhRPhlQ48ZjnbINwqIeOiGCQ="),
    ],
)
def test_what_the_library_of_plivo_computes(method: str, url: str, signature: str) -> None:
    """plivo 4.63.0, plivo.utils.signature_v3, token and nonce as here."""
    fields = {
        "MessageUUID": "12345",
        "Status": "delivered",
        "To": "+61491570110",
        "Body": "one & =two",
    }
    headers = {"x-plivo-signature-v3": signature, "x-plivo-signature-v3-nonce": "nonce"}
    body = urlencode(fields).encode() if method == "POST" else b""
    request = SignedRequest(method, url, headers, body, NOW)
    assert fault_of(SCHEMES["plivo"], request, ["token"], Details()) is None


@pytest.mark.parametrize(
    ("signed", "seen"),
    [
        ("https://h.example/c?a=1", "https://h.example:443/c?a=1"),
        ("https://h.example:443/c?a=1", "https://h.example/c?a=1"),
        ("http://h.example:80/c", "http://h.example/c"),
        ("https://h.example/c", "https://h.example:8443/c"),
    ],
)
def test_twilio_with_and_without_the_port(signed: str, seen: str) -> None:
    headers = {"x-twilio-signature": _b64(_mac(signed.encode(), "sha1"))}
    request = SignedRequest("GET", seen, headers, b"", NOW)
    assert fault_of(SCHEMES["twilio"], request, [SECRET], Details()) is None


def test_json_of_twilio_needs_the_hash_in_the_url() -> None:
    body = b'{"MessageSid":"SM1"}'
    url = f"{URL}&bodySHA256={hashlib.sha256(body).hexdigest()}"
    headers = {
        "content-type": "application/json",
        "x-twilio-signature": _b64(_mac(url.encode(), "sha1")),
    }
    request = SignedRequest("POST", url, headers, body, NOW)
    assert fault_of(SCHEMES["twilio"], request, [SECRET], Details()) is None
    other = request._replace(body=b'{"MessageSid":"SM2"}')
    assert fault_of(SCHEMES["twilio"], other, [SECRET], Details()) is Fault.WRONG
    signed = {**headers, "x-twilio-signature": _b64(_mac(URL.encode(), "sha1"))}
    unhashed = SignedRequest("POST", URL, signed, body, NOW)
    assert fault_of(SCHEMES["twilio"], unhashed, [SECRET], Details()) is Fault.WRONG


def test_a_token_that_names_no_algorithm_is_wrong() -> None:
    token = jwt.encode({"iat": NOW}, "", algorithm="none")
    request = _request({"authorization": f"Bearer {token}"})
    assert fault_of(SCHEMES["vonage-jwt"], request, [SECRET], Details()) is Fault.WRONG


@pytest.mark.parametrize("scheme", ["vonage-jwt", "messagebird"])
def test_tokens_of_other_algorithms_are_wrong(scheme: str) -> None:
    """Neither none, nor RS256, whose public key would be our secret."""
    key = generate_private_key(65537, 2048)
    claims = {"iat": NOW, "iss": "MessageBird", "nbf": NOW, "exp": NOW + 9, "url_hash": "x"}
    head = {"typ": "JWT", "alg": "none"}
    unsigned = jwt.encode(claims, "", algorithm="none", headers=head)
    named = b".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"typ": "JWT", "alg": "None"}, claims)
    ).decode()
    for token in (unsigned, jwt.encode(claims, key, algorithm="RS256"), f"{named}."):
        headers = {"authorization": f"Bearer {token}", "messagebird-signature-jwt": token}
        assert fault_of(SCHEMES[scheme], _request(headers), [SECRET], Details()) is Fault.WRONG


@pytest.mark.parametrize("times", [
    {"iat": float("nan")}, {"iat": float("inf")}, {"iat": True}, {"iat": str(NOW)}, {"iat": -NOW},
    {"iat": 10**400}, {"iat": None}, {"iat": [NOW]},
])  # fmt: skip
def test_a_signed_time_that_is_none(times: dict[str, Any]) -> None:
    claims = {"payload_hash": hashlib.sha256(BODY).hexdigest(), **times}
    token = _b64url({"alg": "HS256"}) + "." + _b64url(claims)
    token += "." + base64.urlsafe_b64encode(_mac(token.encode())).decode().rstrip("=")
    request = _request({"authorization": f"Bearer {token}"})
    assert fault_of(SCHEMES["vonage-jwt"], request, [SECRET], Details()) is not None


def _b64url(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize("case", CASES, ids=IDS)
@pytest.mark.parametrize("time", ["nan", "-1", "inf", "1e9", "٣", "9" * 30, " ", "", "0x10"])
def test_a_time_that_is_none(case: Case, time: str) -> None:
    names = [name for name in case.request.headers if "timestamp" in name]
    for name in names:
        assert _fault(case, headers={**case.request.headers, name: time}) is not None
    if case.scheme == "vonage-sig":
        assert _fault(case, url=case.request.url.replace(str(NOW), time)) is not None


DEEP = base64.urlsafe_b64encode(b"[" * 20_000).decode()
HEADERS = (
    st.text(st.characters(max_codepoint=255), max_size=40)
    | st.binary(max_size=30).map(_b64)
    | st.sampled_from([f"{DEEP}.{DEEP}.{DEEP}", f"Bearer {DEEP}.e30.e30", "Basic ==", "v1,", "v1"])
)


@pytest.mark.parametrize("case", CASES, ids=IDS)
@settings(max_examples=40)
@given(data=st.data(), body=st.binary(max_size=60) | st.sampled_from([
    b'{"sig":"\\ud800","a":"\\udfff"}', b"[" * 2_000, b"%ff=%00&sig=%ed%a0%80", b"\xff", b"{}",
]))  # fmt: skip
def test_nothing_raises(case: Case, data: st.DataObject, body: bytes) -> None:
    """An exception is an answer of 500, which providers repeat, and a stack trace in the log."""
    headers = {name: data.draw(HEADERS) for name in case.request.headers}
    kind = data.draw(st.sampled_from([FORM, "application/json", ""]))
    for method in ("GET", "POST"):
        changed = {"headers": {**headers, "content-type": kind}, "body": body, "method": method}
        bare = case.request.url.partition("&sig=")[0]
        assert isinstance(_fault(case, **changed, url=bare), Fault)


@pytest.mark.parametrize("case", CASES, ids=IDS)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("secret", ["", "whsec_", "é", "not base64!"])
def test_a_secret_that_is_none(case: Case, secret: str) -> None:
    assert fault_of(SCHEMES[case.scheme], case.request, [secret], case.details) is Fault.WRONG


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_what_can_be_a_secret(case: Case) -> None:
    assert expected_of_secret(case.scheme, case.secret) == ""


@pytest.mark.parametrize(
    ("way", "secret", "expected"),
    [
        ("telnyx", "KEY0123", "base64 of 32 bytes"),
        ("telnyx", _b64(b"x" * 31), "base64 of 32 bytes"),
        ("basic", "user", "user:password"),
        ("standard-webhooks", "whsec_", "whsec_ and base64"),
        ("standard-webhooks", "not base64!", "whsec_ and base64"),
    ],
)
def test_what_can_never_be_a_secret(way: str, secret: str, expected: str) -> None:
    assert expected in expected_of_secret(way, secret)


# --- Amazon SNS -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def amazon() -> tuple[RSAPrivateKey, bytes]:
    key = generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .sign(key, SHA256())
    )
    return key, certificate.public_bytes(Encoding.PEM)


def _sns(key: RSAPrivateKey, version: str, kind: str = "Notification") -> dict[str, str]:
    message = {
        "Type": kind,
        "MessageId": "1",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:receipts",
        "Message": json.dumps({"eventType": "TEXT_DELIVERED"}),
        "Timestamp": "2026-09-01T12:00:00.000Z",
        "SignatureVersion": version,
    }
    names = ["Message", "MessageId", "Timestamp", "TopicArn", "Type"]
    if kind != "Notification":
        message |= {"SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?x=1", "Token": "t"}
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    lines = "".join(f"{name}\n{message[name]}\n" for name in names).encode()
    hashed = SHA1() if version == "1" else SHA256()
    return {**message, "Signature": _b64(key.sign(lines, PKCS1v15(), hashed))}


@pytest.mark.parametrize("kind", ["Notification", "SubscriptionConfirmation"])
@pytest.mark.parametrize("version", ["1", "2"])
def test_a_message_of_sns(amazon: tuple[RSAPrivateKey, bytes], version: str, kind: str) -> None:
    key, certificate = amazon
    message = _sns(key, version, kind)
    assert sns_fault(message, certificate) is None
    for name in message.keys() - {"Signature", "SignatureVersion"}:
        assert sns_fault({**message, name: message[name] + " "}, certificate) is Fault.WRONG
    assert sns_fault({**message, "Signature": ""}, certificate) is Fault.MISSING
    assert sns_fault({**message, "SignatureVersion": "3"}, certificate) is Fault.WRONG
    assert sns_fault(message, b"not a certificate") is Fault.WRONG


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem",
        "https://sns.eu-west-1.amazonaws.com.example.com/SimpleNotificationService-a.pem",
        "https://example.com/sns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem",
        "https://sns.eu-west-1.amazonaws.com:444/SimpleNotificationService-a.pem",
        "https://user@sns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem",
        "https://sns.eu-west-1.amazonaws.com/other.pem",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem?x=1",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem#x",
        "https://sns.eu-west-1.amazonaws.com/a/../SimpleNotificationService-a.pem",
        "https://sns.eu-west-1.amazonaws.com%2eexample.com/SimpleNotificationService-a.pem",
        "https://sns.eu-west-1.amazonaws.com\\.example.com/SimpleNotificationService-a.pem",
        "https://SNS.eu-west-1.amazonaws.com@example.com/SimpleNotificationService-a.pem",
        "https://sns.evil.example/.amazonaws.com/SimpleNotificationService-a.pem",
        "https://bucket.s3.amazonaws.com/SimpleNotificationService-a.pem",
        "https://[",
        "",
    ],
)
def test_certificates_come_from_amazon_only(url: str) -> None:
    assert not is_certificate_url(url)


def test_urls_of_amazon() -> None:
    assert is_certificate_url(
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-a1.pem"
    )
    assert is_amazons("https://sns.cn-north-1.amazonaws.com.cn/?Action=ConfirmSubscription")
