"""Benchmarks on real Kafka: `python -m tests.bench`."""
