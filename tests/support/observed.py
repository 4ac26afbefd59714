"""The real `receipts worker` or `receipts sink` with a certificate to report and a rule that fails.

`python -m tests.support.observed COMMAND CERTIFICATE`; a message with the external id "raise" makes
its rule raise. Nothing else is changed.
"""

import sys
from functools import partial
from typing import Any

from deploy.cli import main, sink, worker
from deploy.processes.process import run_process
from models.state import MessageState
from streams.lifecycle import shard

RAISE = "raise"


def _fail_on_request() -> None:
    annotate = shard.annotate  # type: ignore[attr-defined]

    def annotate_or_raise(state: MessageState, settings: Any) -> None:
        if state.sends and state.sends[0].external_id == RAISE:
            raise RuntimeError("requested by the test")
        annotate(state, settings)

    shard.annotate = annotate_or_raise  # type: ignore[attr-defined]


def _report_certificate(path: str) -> None:
    for command in (worker, sink):
        run = partial(run_process, certificates={"kafka-ca": path})
        command.run_process = run  # type: ignore[attr-defined]


if __name__ == "__main__":
    _fail_on_request()
    _report_certificate(sys.argv[2])
    sys.argv = ["receipts", sys.argv[1]]
    main()
