"""When certificates end."""

from datetime import UTC, datetime

from cryptography import x509


def expiry_of(pem: bytes, *, authorities: bool, now: datetime | None = None) -> datetime:
    """When the first of several certificates ends.

    authorities: they are alternatives, so those that ended already do not count unless all did
    now: None: the time of this machine

    Raises ValueError when there is no certificate.
    """
    ends = [each.not_valid_after_utc for each in x509.load_pem_x509_certificates(pem)]
    if not authorities:
        return min(ends)
    now = now or datetime.now(UTC)
    return min((end for end in ends if end > now), default=max(ends))
