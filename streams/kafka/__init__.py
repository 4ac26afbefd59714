"""How every process talks to Kafka: the clients it uses and what they are guarded against.

Knows nothing of receipts or Faust. The sink may import it too (pyproject.toml, ADR 0011): it reads
Kafka by the same rules as the worker.

clients        consumers, producers and admin clients with the options all of them share
connections    how they connect: brokers that die, freeze or reset connections
liveness       whether the brokers answer a consumer, found out by asking them
positions      how far a consumer has read, control records of transactions included
private_names  what all of this relies on in aiokafka, looked for before anything is read
reading        what cannot be read becomes an UnreadableRecord in its place; records, unpacking: how
"""
