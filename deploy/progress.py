"""Progress of long work: bars on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

OnProgress = Callable[[int, int], None]
"""Called with the count done so far and the total (0: not known)."""


def progress_bars(title_width: int = 0) -> Progress:
    """Bars on stderr, only on a terminal; they vanish at the end."""
    console = Console(stderr=True)
    columns = (
        TextColumn(f"{{task.description:<{title_width}}}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def progress_bar(title: str, total: int | None) -> Iterator[OnProgress]:
    """One bar. total: None when it is not known."""
    with progress_bars() as bars:
        task = bars.add_task(title, total=total)

        def update(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total or None)

        yield update


@contextmanager
def progress_of_steps() -> Iterator[Callable[[str, int, int], None]]:
    """One bar, of the step in work: called with its title, the count done so far and the total (0:
    not known)."""
    with progress_bars() as bars:
        title, task = "", bars.add_task("begins", total=None)

        def update(step: str, done: int, total: int) -> None:
            nonlocal title, task
            if step != title:
                bars.remove_task(task)
                title, task = step, bars.add_task(step, total=total or None)
            bars.update(task, completed=done)

        yield update
