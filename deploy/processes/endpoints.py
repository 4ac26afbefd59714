"""The file of endpoints: read, and with its secrets from variables and files."""

import os
from collections.abc import Mapping
from pathlib import Path

from deploy.processes.secret_files import UnusableFile, secret_in
from models.endpoints import BadEndpoints, EndpointsFile, read_endpoints
from models.issues import Issue, SettingsError, variable_of
from models.settings import Settings
from models.signatures import expected_of_secret
from streams.listen.app import OpenEndpoint

_WHERE = variable_of("endpoints")


def endpoints_of(settings: Settings) -> EndpointsFile:
    """The content of the file in the settings; without one there are no endpoints.

    Raises SettingsError with every mistake of the file.
    """
    if not settings.endpoints:
        return EndpointsFile({})
    path = Path(settings.endpoints)
    try:
        return read_endpoints(path.read_text("utf-8"))
    except OSError as error:
        fix = "give the path of a TOML file that this process may read"
        raise SettingsError([Issue(_WHERE, f"{path}: {error.strerror}", fix)]) from None
    except UnicodeDecodeError:
        raise SettingsError([Issue(_WHERE, f"{path} is not UTF-8", "write it as UTF-8")]) from None
    except BadEndpoints as error:
        issues = [_issue(path, problem) for problem in error.problems]
        raise SettingsError(issues) from None


def required_endpoints(settings: Settings) -> EndpointsFile:
    """The same for those who need one. Raises SettingsError also without a file."""
    if not settings.endpoints:
        raise SettingsError([Issue(_WHERE, "is empty", "give the path of the file of endpoints")])
    return endpoints_of(settings)


def _issue(path: Path, problem: str) -> Issue:
    text, _, fix = problem.partition(" Fix: ")
    where, _, wrong = text.partition(": ")
    return Issue(f"{path}: {where}", wrong.rstrip("."), fix or "see docs/endpoints.md")


def secret_of(place: str, environ: Mapping[str, str] = os.environ) -> str:
    """The secret at env:VARIABLE or file:/path. Raises UnusableFile: problem and fix."""
    kind, _, name = place.partition(":")
    if kind == "file":
        return secret_in(name)
    found = environ.get(name, "")
    if not found.strip():
        fix = "set it, or remove it from the endpoint"
        raise UnusableFile(f"the variable {name} is not set", fix)
    return found


def opened(file: EndpointsFile) -> dict[str, OpenEndpoint]:
    """The endpoints with their secrets. Raises SettingsError for each that is missing."""
    if missing := missing_secrets(file):
        raise SettingsError(missing)
    return {
        name: OpenEndpoint.of(
            endpoint,
            tuple(map(secret_of, endpoint.secrets)),
            secret_of(endpoint.handshake_token) if endpoint.handshake_token else "",
        )
        for name, endpoint in file.endpoints.items()
    }


def missing_secrets(file: EndpointsFile) -> list[Issue]:
    """Secrets that the file names and that cannot be had, or not be used."""
    issues = []
    for name, endpoint in file.endpoints.items():
        places = [*endpoint.secrets, *filter(None, [endpoint.handshake_token])]
        for place in places:
            try:
                secret = secret_of(place)
            except UnusableFile as error:
                issues.append(Issue(f"endpoints.{name}.secrets", *error.args))
                continue
            way = endpoint.way if place in endpoint.secrets else ""
            if expected := expected_of_secret(way, secret):
                problem = f"what {place} has can verify nothing by {way}"
                issues.append(Issue(f"endpoints.{name}.secrets", problem, f"give {expected}"))
    return issues
