"""ClickHouse to people: report queries, exports, pages."""
