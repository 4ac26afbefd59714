"""Commands whose help ends with examples."""

from collections.abc import Callable
from typing import Any

import click


class Examples(click.Command):
    """A command whose help ends with examples, each on its own line."""

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are, without wrapping."""
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


class GroupWithExamples(Examples, click.Group):
    """A group of commands whose help ends with examples too."""


def group(*examples: str) -> Callable[[Callable[..., None]], click.Group]:
    """`click.group` with examples in --help."""
    return click.group(cls=GroupWithExamples, examples=examples)


def command(*examples: str) -> Callable[[Callable[..., None]], click.Command]:
    """`click.command` with examples in --help."""
    return click.command(cls=Examples, examples=examples)
