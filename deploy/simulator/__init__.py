"""Simulated traffic, and the ledger that checks what became of it.

traffic.generate   seeded events in order of arrival
publish            simulate and replay: to Kafka, with a truth file of what was acknowledged
oracle.expect      what the tables must say, from the truth and the written rules alone
ledger             compares the two, row by row and cell by cell

Nothing here imports models: a mistake made on both sides in the same way would go unnoticed.
"""
