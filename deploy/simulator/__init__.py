"""Simulated traffic, and the ledger that checks what became of it.

traffic   seeded events in order of arrival
publish   simulates and replays: to Kafka, with a truth file of what was acknowledged
oracle    what the tables must hold, from the truth and the written rules alone
ledger    compares the two, row by row and cell by cell

Nothing here imports models, and the oracle does not import the traffic: a mistake made on both
sides in the same way would go unnoticed. Import contracts in pyproject.toml check it.
"""
