"""docs/kafka-rights.md from the table of rights."""

from deploy.kafka.access_rights import PRINCIPALS
from models.access_rights import NEEDS, Needs, Right, rights_of
from models.settings import Settings

_HEAD = """\
# Rights in Kafka

Generated from `models/access_rights.py` by `python -m deploy.docs`; a test keeps it current.
The least rights of each program, with the default settings and a file of endpoints: without
RECEIPTS_ENDPOINTS the topics of callbacks do not exist. `RECEIPTS_TOPIC_PREFIX` comes before the
name of each topic, and groups are named after `RECEIPTS_APP_ID`. `receipts topics --acls` prints
the commands that grant them. READ and WRITE include DESCRIBE. The report pages and
`receipts migrate` do not use Kafka.
"""


def kafka_rights_page() -> str:
    """The page docs/kafka-rights.md."""
    settings = Settings(endpoints="endpoints.toml")
    sections = (
        _section(needs, PRINCIPALS[program], rights_of(program, settings))
        for program, needs in NEEDS.items()
    )
    return _HEAD + "".join(sections)


def _section(needs: Needs, principal: str, rights: list[Right]) -> str:
    by_name: dict[tuple[str, str], list[str]] = {}
    for right in rights:
        by_name.setdefault((right.kind, right.name), []).append(right.operation)
    rows = (
        f"| {kind} | `{name}` | {', '.join(operations)} |\n"
        for (kind, name), operations in by_name.items()
    )
    head = f"\n## {needs.meaning}\n\nDefault principal: `{principal}`.\n\n"
    return head + "| resource | name | operations |\n|---|---|---|\n" + "".join(rows)
