"""Why we refuse the certificate of the other side of a connection."""

from __future__ import annotations

import ssl
from typing import Final, NamedTuple

#: OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH
_OTHER_HOST: Final = (62, 64)
#: X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED
_NOT_YET, _EXPIRED = 9, 10


class WrongPeer(NamedTuple):
    """What the other side "has", and the fix."""

    text: str
    fix: str

    def __str__(self) -> str:
        return f"has {self.text}. Fix: {self.fix}"


def wrong_peer(error: ssl.SSLCertVerificationError, *, names: str, trust: str) -> WrongPeer:
    """What is wrong with its certificate.

    names: the fix of one that does not name the host of the connection. trust: the fix of one that
    no authority signs that we trust
    """
    reason = error.verify_message.rstrip(".")
    if error.verify_code in _OTHER_HOST:
        return WrongPeer(f"the certificate of another host: {reason}", names)
    if error.verify_code == _EXPIRED:
        fix = f"renew it on that side; if only its authority has expired, {trust}"
        return WrongPeer("a certificate that has expired", fix)
    if error.verify_code == _NOT_YET:
        return WrongPeer("a certificate that is not valid yet", "correct the clock that is wrong")
    return WrongPeer(f"a certificate that is not trusted: {reason}", trust)
