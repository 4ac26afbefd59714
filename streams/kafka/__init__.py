"""The Kafka clients of all processes, and what protects them from bad brokers and bad records.

It knows neither receipts nor Faust. The sink may import it too (pyproject.toml, ADR 0011): it reads
Kafka by the same rules as the worker.

clients        consumers, producers and admin clients with the options all of them share
connections    how they connect: brokers that die, freeze or reset connections
liveness       whether the brokers answer a consumer, found by probing them
positions      how far a consumer has read, control records of transactions included
private_names  the private names of aiokafka it relies on, checked before anything is read
reading        what cannot be read becomes an UnreadableRecord in its place
records        parses single records of a damaged batch; unpacking: bounded decompression
"""
