"""Simulated traffic, and the ledger that checks its result.

traffic   seeded events in order of arrival
publish   simulates and replays: to Kafka, with a truth file of what was acknowledged
oracle    the expected tables, from the truth file and the written rules only
ledger    compares the two, row by row and cell by cell

Nothing here imports models, and the oracle does not import the traffic: otherwise one mistake
could hide on both sides. Import contracts in pyproject.toml check it.
"""
