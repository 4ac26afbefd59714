"""`receipts endpoints`: the addresses that providers call."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from deploy.cli.help import command, group
from deploy.exit_codes import FAILED, OK
from deploy.processes.process import read_settings

if TYPE_CHECKING:
    from models.endpoints import Endpoint


@group("receipts endpoints check --help")
def endpoints() -> None:
    """Look into the file of endpoints."""


@command(
    "receipts endpoints check",
    "RECEIPTS_ENDPOINTS=endpoints.toml receipts endpoints check --no-secrets",
)
@click.option("--no-secrets", is_flag=True, help="Do not look for the secrets themselves.")
def check(no_secrets: bool) -> None:
    """Find every mistake of the file, and print the URLs to give to providers.

    Exit code 0 when it can be used, 1 when a secret is missing, 2 when it has a mistake.
    """
    from deploy.processes.endpoints import missing_secrets, required_endpoints

    file = required_endpoints(read_settings())
    for name, endpoint in file.endpoints.items():
        click.echo(f"{name}  {endpoint.adapter.title}, account {endpoint.account}")
        click.echo(f"  {url_of(name, endpoint)}")
        click.echo(f"  verified by {endpoint.way}" if not endpoint.unverified else "  NOT VERIFIED")
        click.echo(f"  set at the provider: {endpoint.adapter.setup}")
    missing = [] if no_secrets else missing_secrets(file)
    for issue in missing:
        click.echo(f"receipts: {issue}", err=True)
    sys.exit(FAILED if missing else OK)


def url_of(name: str, endpoint: Endpoint) -> str:
    """The URL for the provider; a secret in its path is not shown."""
    from models.endpoints import PATH

    secret = "/SECRET" if endpoint.way == PATH else ""
    return f"{endpoint.public_url}/callbacks/{name}{secret}"


endpoints.add_command(check)
