"""The views of the reports: `CREATE OR REPLACE`, repeated whenever the schema is migrated.

A view of a report takes parameters: SELECT * FROM report_overview_totals(account = 'acme', ...).
They hold no data, so they are not migrations.
"""

from clickhouse_connect.driver.binding import format_str

from reports.catalogue import REPORTS
from reports.definition.figures import column_definitions
from reports.definition.report import SQL, Section, expand_includes


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
    columns = column_definitions((one.name, one.type, one.meaning) for one in section.view_columns)
    return (
        f"CREATE OR REPLACE VIEW {section.view}\n(\n    {columns}\n)\nAS\n{section.sql}\n"
        f"COMMENT {format_str(section.meaning)}"
    )
