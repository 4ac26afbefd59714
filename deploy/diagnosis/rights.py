"""The rights that each process needs, in the words of Kafka and ClickHouse."""

from collections import defaultdict
from typing import Final

from deploy.diagnosis.readings import Process
from models.access_rights import rights_of
from models.settings import Settings

#: Of the sink on the tables it fills, and on the database when it migrates too.
SINK_RIGHTS: Final = ("SELECT", "INSERT")
MIGRATION_RIGHTS: Final = ("CREATE TABLE", "CREATE VIEW", "DROP VIEW", "ALTER TABLE")


def kafka_rights(settings: Settings, process: Process) -> dict[str, set[str]]:
    """Operations that a process needs, by "topic NAME" and "group NAME"."""
    needed: defaultdict[str, set[str]] = defaultdict(set)
    for right in rights_of(process, settings):
        needed[f"{right.kind} {right.name}"].add(right.operation)
    return dict(needed)
