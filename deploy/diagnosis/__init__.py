"""Whether an installation is well: `receipts status` and `receipts doctor`.

readings.py has what was read, judge.py and checks.py decide what of it is wrong (findings.py names
all of that); neither does any I/O. kafka.py, clickhouse.py, pages.py and machine.py read, status.py
and doctor.py ask all of them at once, screen.py shows the result.
"""
