"""TLS of all connections: PEM files, checked at the start and read again when they change."""
