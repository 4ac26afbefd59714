"""Checks of worker and sink before they start: the Kafka client and the topics."""

import asyncio

import click

from models.access_rights import Program
from models.settings import Settings


def preflight(settings: Settings, program: Program) -> None:
    """Print harmless differences. Raises TopicsError with every fatal one and its fix.

    Raises UnusableClient when the installed Kafka client cannot read all records.
    """
    from deploy.kafka.topics import check_topics
    from streams.kafka.reading import guard_reading
    from streams.kafka.security import certificate_warnings, kafka_access

    guard_reading()
    for line in certificate_warnings(kafka_access(settings)):
        click.echo(f"receipts: warning: {line}", err=True)
    for warning in asyncio.run(check_topics(settings, program)):
        click.echo(f"receipts: warning: {warning}", err=True)
