"""Breaks a whole installation on real Kafka, one seeded fault after another, judged by the ledger.

`python -m tests.chaos --help` says how to run it, docs/reliability.md what it is for.

proxy         a TCP relay that can refuse, reset, slow down and stall
cluster       one or three real Kafka brokers, each behind such a relay
processes     worker, sink and ClickHouse's front as processes; what ends is started again
traffic       simulated events at a steady rate, and a truth file of what was acknowledged
installation  all of the above for one topic prefix
faults        what a fault is; `process_faults` and `record_faults` hold them, `catalogue` chooses
hostile       the records that no producer should write
watch         how long each partition had no new state and no commit of the sink
verdict       the ledger, the dead letters of hostile records, the lag
driver        runs a plan of faults; `report` shows what came out
"""
