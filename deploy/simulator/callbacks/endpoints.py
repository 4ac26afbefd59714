"""Endpoints of simulated providers: a file for `RECEIPTS_ENDPOINTS`, and their secrets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

#: What providers see; their signatures are over it.
PUBLIC_URL: Final = "https://receipts.example.com"
#: By provider: the keys of its endpoint, as docs/endpoints.md has them.
OPTIONS: Final[Mapping[str, Mapping[str, object]]] = {
    "twilio": {"zone": "UTC"},
    "vonage": {"verify": "vonage-sig", "algorithm": "sha256"},
    "infobip": {"verify": "basic"},
    "whatsapp": {},
    "smpp": {"verify": "bearer", "codes": "gsm-map", "ids": ["hex-sent"], "zone": "UTC"},
}


def endpoint_name(provider: str, account: str) -> str:
    """The name of the endpoint of a provider of an account."""
    return f"{provider}-{account}".replace("_", "-").replace(".", "-")


def secret_of(name: str) -> str:
    """The secret of a simulated endpoint: the same one in every run. It protects nothing."""
    digest = sha256(f"simulated {name}".encode()).hexdigest()[:32]
    return f"receipts:{digest}" if name.startswith("infobip") else digest


def write_endpoints(folder: Path, accounts: Iterable[str]) -> Path:
    """Write the file of endpoints and the secrets that it names; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f'public_url = "{PUBLIC_URL}"']
    for account in accounts:
        for provider, options in OPTIONS.items():
            name = endpoint_name(provider, account)
            secret = folder / f"{name}.secret"
            secret.write_text(secret_of(name))
            lines += ["", f"[endpoints.{name}]"]
            lines += _lines({"provider": provider, "account": account, **options})
            lines += [f'secrets = ["file:{secret.resolve()}"]']
    file = folder / "endpoints.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


def _lines(table: dict[str, object]) -> Iterator[str]:
    for key, value in table.items():
        written = str(value).replace("'", '"') if isinstance(value, list) else f'"{value}"'
        yield f"{key} = {written}"
