"""The real `receipts worker` or `receipts sink` with troubles that Kafka cannot be made to cause.

`python -m tests.support.observed COMMAND CERTIFICATE`: it reports the certificate; a message with
the external id "raise" makes its rule raise; the connection to the coordinator of its group breaks
under its first commit. Nothing else is changed.
"""

import asyncio
import sys
from typing import Any

from aiokafka.client import ConnectionGroup
from aiokafka.consumer.group_coordinator import GroupCoordinator

from deploy.cli import main
from deploy.processes import process
from models.state import MessageState
from streams.lifecycle import shard
from streams.tls.certificates import Authorities, Certificates, NamedFile

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
    file = NamedFile("RECEIPTS_KAFKA_SSL_CAFILE", path)
    used: dict[str, Certificates] = {"kafka-ca": Authorities(file)}
    process.certificates_of = lambda settings, process: used  # type: ignore[attr-defined]


if __name__ == "__main__":
    _fail_on_request()
    _break_the_first_commit()
    _report_certificate(sys.argv[2])
    sys.argv = ["receipts", sys.argv[1]]
    main()
