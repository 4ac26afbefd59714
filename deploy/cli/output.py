"""Output of commands that write rows: formats, files, progress."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from deploy.progress import progress_bar

#: Formats of files; a table is only for a terminal.
FILES: Final = ("csv", "xlsx", "json")


def output_options(formats: tuple[str, ...]) -> list[click.Parameter]:
    """--format, --output and --force."""
    return [
        click.Option(
            ["--format", "form"],
            type=click.Choice(formats),
            help=f"Default: the extension of the --output file, else {formats[0]}.",
        ),
        click.Option(
            ["-o", "--output"],
            type=click.Path(path_type=Path, dir_okay=False),
            help="Write to a file instead of the standard output.",
        ),
        click.Option(["--force"], is_flag=True, help="Replace the file if it exists."),
    ]


def format_of(form: str | None, output: Path | None, default: str) -> str:
    """The requested format. Raises click.UsageError when it does not fit the output."""
    if form is None and output is not None:
        form = output.suffix.removeprefix(".").lower()
        if form not in FILES:
            fix = f"end the name with .csv, .xlsx or .json, or add --format {'|'.join(FILES)}"
            raise click.UsageError(f"--output: {output} has no known extension. Fix: {fix}")
    form = form or default
    if form not in FILES and output is not None:
        raise click.UsageError(f"--output: a {form} cannot be a file. Fix: add --format csv")
    if form == "xlsx" and output is None and sys.stdout.isatty():
        raise click.UsageError(
            "--format: xlsx cannot be shown in a terminal. Fix: add --output FILE"
        )
    return form


@contextmanager
def opened(output: Path | None, *, force: bool) -> Iterator[Callable[[bytes], Any]]:
    """A function that writes bytes. The file appears when it is complete.

    Raises click.UsageError when the file exists, unless `force` replaces it.
    """
    if output is None:
        yield click.get_binary_stream("stdout").write
        return
    if output.exists() and not force:
        raise click.UsageError(f"--output: {output} exists. Fix: add --force to replace it")
    part = output.with_name(output.name + ".part")
    try:
        with part.open("wb") as file:
            yield file.write
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def until_pipe_closes() -> Iterator[None]:
    """Ends without an error when the reader of stdout, such as `head`, closes the pipe."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def row_progress(total: Callable[[], int | None]) -> Iterator[Callable[[int], None]]:
    """Progress bar on stderr, only on a terminal; `total` is evaluated only then."""
    with progress_bar("rows", total() if sys.stderr.isatty() else None) as update:
        yield lambda done: update(done, 0)
