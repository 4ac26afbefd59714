"""Benchmarks on real Kafka: `python -m tests.bench` (issue 3 §11)."""
