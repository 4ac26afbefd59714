"""Certificates of an authority of the tests, as PEM files."""

from pathlib import Path
from typing import NamedTuple

import trustme


class Pem(NamedTuple):
    """Paths of a certificate chain and its key."""

    cert: Path
    key: Path


class Authority:
    """An authority that nothing but a test trusts; its files are in `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.ca = trustme.CA()
        self.cafile = folder / "ca.pem"
        self.ca.cert_pem.write_to_path(str(self.cafile))

    def issue(self, name: str, *identities: str, common_name: str | None = None) -> Pem:
        """A new certificate for `identities`, written to NAME.pem and NAME.key (replaced)."""
        issued = self.ca.issue_cert(*identities, common_name=common_name)
        pem = Pem(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        for path, content in ((pem.cert, chain), (pem.key, issued.private_key_pem.bytes())):
            path.write_bytes(content)
        return pem
