"""Kafka in, Kafka out: the Faust agents."""
