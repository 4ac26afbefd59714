"""`receipts pages`: serves the reports to browsers."""

import sys

import click

from deploy.cli.help import command
from deploy.exit_codes import INTERRUPTED, OK
from deploy.processes.logs import log_to_stderr
from deploy.processes.process import read_settings
from deploy.processes.tls import server_pair
from models.issues import Issue, SettingsError, variable_of
from models.settings import Settings


@command(
    "RECEIPTS_PAGES_TOKENS=acme=$(openssl rand -hex 24) receipts pages",
    "RECEIPTS_PAGES_HOST=0.0.0.0 RECEIPTS_PAGES_PORT=8080 receipts pages",
    "RECEIPTS_PAGES_CLICKHOUSE_URL=http://reader:password@clickhouse:8123/receipts receipts pages",
)
def pages() -> None:
    """Serve every report as a page, until Ctrl-C or SIGTERM.

    People sign in with a token of RECEIPTS_PAGES_TOKENS and see the account of that token only;
    programs send it as `Authorization: Bearer TOKEN`. Needs ClickHouse with the views of the
    reports (`receipts migrate`) and a user that may read them; waits while ClickHouse is
    unavailable. Before you open it to other machines, set RECEIPTS_PAGES_CERTFILE or put a proxy
    with TLS in front of it.
    """
    from deploy.processes.pages_server import serve_pages

    settings = read_settings(clickhouse=True)
    accounts = _accounts(settings)
    log_to_stderr(settings.log_level, settings.secret_words)
    at = (settings.pages_host, settings.pages_port)
    terminated = serve_pages(
        settings.reports_url,
        accounts,
        *at,
        _print_address,
        all_texts=settings.show_verification_text,
        certificate=server_pair(settings, "pages"),
    )
    sys.exit(OK if terminated else INTERRUPTED)


def _accounts(settings: Settings) -> dict[str, str]:
    if settings.token_accounts:
        return settings.token_accounts
    fix = Settings.model_fields["pages_tokens"].json_schema_extra
    assert isinstance(fix, dict)
    problem = "is empty, so nobody could sign in"
    raise SettingsError([Issue(variable_of("pages_tokens"), problem, str(fix["fix"]))])


def _print_address(address: str) -> None:
    click.echo(f"The reports are at {address} until Ctrl-C. Sign in with a token.")
