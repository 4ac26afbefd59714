"""Exit codes of every command and process."""

from signal import SIGINT, SIGTERM
from typing import Final

OK: Final = 0
FAILED: Final = 1
#: Wrong usage, settings, or a query that a report cannot run.
USAGE: Final = 2
#: `receipts suppressions check`: the recipient is suppressed.
SUPPRESSED: Final = 3
#: Ended by Ctrl-C: 128 + the signal, as shells have it.
INTERRUPTED: Final = 128 + SIGINT
#: Ended by SIGTERM; for workers and sinks SIGTERM is a normal end: OK.
TERMINATED: Final = 128 + SIGTERM
