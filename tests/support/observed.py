"""The real `receipts worker` or `receipts sink` with troubles that Kafka cannot be made to cause.

`python -m tests.support.observed COMMAND CERTIFICATE`: it reports the certificate; a message with
the external id "raise" makes its rule raise; the connection to the coordinator of its group breaks
under its first commit. Nothing else is changed.
"""

import asyncio
import sys
from functools import partial
from typing import Any

from aiokafka.client import ConnectionGroup
from aiokafka.consumer.group_coordinator import GroupCoordinator

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


def _break_the_first_commit() -> None:
    commit, broken = GroupCoordinator._do_commit_offsets, list[Any]()

    async def commit_and_break(self: Any, assignment: Any, offsets: Any) -> None:
        conn = self._client._conns.get((self.coordinator_id, ConnectionGroup.COORDINATION))
        if offsets and conn is not None and not broken:
            broken.append(conn)
            asyncio.get_running_loop().call_soon(conn.close)  # the request is written by then
        await commit(self, assignment, offsets)

    GroupCoordinator._do_commit_offsets = commit_and_break


def _report_certificate(path: str) -> None:
    for command in (worker, sink):
        run = partial(run_process, certificates={"kafka-ca": path})
        command.run_process = run  # type: ignore[attr-defined]


if __name__ == "__main__":
    _fail_on_request()
    _break_the_first_commit()
    _report_certificate(sys.argv[2])
    sys.argv = ["receipts", sys.argv[1]]
    main()
