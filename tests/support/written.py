"""A writer into one database, fed with records: what rows come to, without Kafka."""

from models.settings import Topic
from sinks.client import ClickHouse
from sinks.dead_letters import Record
from sinks.rows import map_records
from sinks.writer import BadRow, Writer
from tests.support.fakes import Health, Meter


class WrittenDatabase:
    """One database and a writer into it."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self.clickhouse = clickhouse
        self.meter = Meter()
        self.writer = Writer(clickhouse, self.meter, Health())

    def write(self, topic: Topic, *records: Record) -> list[BadRow]:
        """Map and insert records that nothing refuses."""
        mapped = map_records({topic: records}, 65_536)
        assert mapped.refused == []
        return [bad for rows in mapped.tables.values() for bad in self.writer.write(rows)]

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """Rows of one query."""
        return self.clickhouse.rows(sql)

    def merge(self, *tables: str) -> None:
        """Merge all parts of some tables."""
        for table in tables:
            self.clickhouse.command(f"OPTIMIZE TABLE {table} FINAL")
