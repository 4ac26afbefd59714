"""Secrets in files: `RECEIPTS_…_FILE` names a file with the value of a secret setting."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from models.issues import Issue, file_variable_of, variable_of
from models.settings import SECRETS

#: A secret is a line; a larger file is another one, named by mistake.
MAX_BYTES: Final = 64 * 1024


class UnusableFile(Exception):
    """args: the problem and its fix."""


def with_secrets_from_files(environ: Mapping[str, str]) -> tuple[dict[str, str], list[Issue]]:
    """The environment with the secrets of files in place of the files' names, and the mistakes.

    A line break at the end of a file is not part of the secret. An empty variable next to the one
    of its file counts as not set: docker compose sets it so for `${VARIABLE:-}`.
    """
    resolved, issues = dict(environ), []
    for field in sorted(SECRETS):
        variable, file_variable = variable_of(field), file_variable_of(field)
        path = resolved.pop(file_variable, "").strip()
        if file_variable not in environ:
            continue
        if resolved.pop(variable, "").strip():
            both = f"{variable} is set too"
            issues.append(Issue(file_variable, both, "set one of them"))
            continue
        try:
            resolved[variable] = secret_in(path)
        except UnusableFile as error:
            issues.append(Issue(file_variable, *error.args))
    return resolved, issues


def secret_in(path: str) -> str:
    """The secret in a file. Raises UnusableFile."""
    if not path:
        raise UnusableFile("is empty", "give the path of a file, or remove the variable")
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        fix = "give the path of a file that this process may read"
        raise UnusableFile(f"{path} cannot be read: {error.strerror}", fix) from None
    if len(content) > MAX_BYTES:
        fix = "give the path of the file that has only the secret"
        raise UnusableFile(f"{path} has more than {MAX_BYTES} bytes", fix)
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise UnusableFile(f"{path} is not UTF-8", "write the secret as UTF-8 text") from None
    if not text.strip():
        raise UnusableFile(f"{path} is empty", "write the secret into it")
    if "\x00" in text or "\n" in text:
        fix = "give the path of the file that has only the secret"
        raise UnusableFile(f"{path} has more than one line", fix)
    return text
