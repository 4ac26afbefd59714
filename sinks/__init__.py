"""Kafka to ClickHouse: migrations, row mapping, and a consumer that writes, then commits."""
