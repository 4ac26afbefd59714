"""What a partition of a table holds: in memory, or on local disk (ADR 0015).

base      StateStore: values by key, the timers and days that follow from them, and notes
memory    MemoryStore
disk      DiskStore: what changed since the last write, then a cache, then the database
unwritten  changes that wait for a write
index     the order of timers and days in a database
database  one RocksDB: options, atomic writes, identity
written   the rows of a database, as they are
stopped   the databases of a stopped worker, read only
scratch   a store for as long as a command runs
folder    the databases of a worker's partitions
"""
