"""Progress of long work: a bar on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

OnProgress = Callable[[int, int], None]
"""Called with what is done so far and the total (0: not known)."""


@contextmanager
def progress_bar(title: str, total: int | None) -> Iterator[OnProgress]:
    """A bar on stderr, only on a terminal; it vanishes at the end. `total` None: not known."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    shown = console.is_terminal
    with Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, disable=not shown
    ) as bar:
        task = bar.add_task(title, total=total)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None)

        yield update
