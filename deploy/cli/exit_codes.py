"""Exit codes of every command and process."""

from typing import Final

OK: Final = 0
FAILED: Final = 1
#: Wrong usage, settings, or a query that a report cannot answer.
USAGE: Final = 2
#: `receipts suppressions check`: the recipient is suppressed.
SUPPRESSED: Final = 3
#: Ended by Ctrl-C: 128 + SIGINT, as shells have it.
INTERRUPTED: Final = 130
