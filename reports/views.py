"""The views of the reports: `CREATE OR REPLACE`, repeated whenever the schema is migrated.

A view of a report takes parameters: SELECT * FROM report_overview_totals(account = 'acme', ...).
They hold no data, so they are no migrations.
"""

from collections.abc import Iterable

from reports.catalogue import REPORTS
from reports.definition.report import SQL, Column, Section, expand_includes


def statements() -> list[str]:
    """Every statement in order: the views that reports read, then one view a section."""
    return base() + [view(section) for report in REPORTS for section in report.sections]


def base() -> list[str]:
    """The statements of the views that reports read."""
    return [
        expand_includes(path.read_text(encoding="utf-8"))
        for path in sorted((SQL / "base").glob("*.sql"))
    ]


def view(section: Section) -> str:
    """The statement that creates the view of a section, every column with its meaning."""
    columns = ",\n".join(map(_column, section.columns))
    return (
        f"CREATE OR REPLACE VIEW {section.view}\n(\n{columns}\n)\nAS\n{section.sql}\n"
        f"COMMENT {_quoted(section.meaning)}"
    )


def call(section: Section, names: Iterable[str] = ("*",)) -> str:
    """The SELECT that asks the view, for a page of documentation."""
    arguments = ", ".join(
        f"{name} = {{{name}:{kind}}}" for name, kind in section.parameters.items()
    )
    return f"SELECT {', '.join(names)} FROM {section.view}({arguments})"


def _column(column: Column) -> str:
    return f"    {column.name} {column.type} COMMENT {_quoted(column.meaning)}"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
