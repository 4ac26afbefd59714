"""Checks the least rights of a program, and prints the commands that grant them."""

import shlex
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import groupby
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient

from models.access_rights import NEEDS, Program, Right, rights_of
from models.settings import Settings
from streams.kafka import clients
from streams.kafka.authorized import Allowed, allowed_on_group, allowed_on_topics

#: Principals that `receipts topics --acls` names by default.
PRINCIPALS: Final[Mapping[str, str]] = {program: f"User:receipts-{program}" for program in NEEDS}


async def lacking_rights(
    admin: AIOKafkaAdminClient, program: Program, settings: Settings
) -> list[Right]:
    """Rights that the user of `admin` lacks to run the program. Raises KafkaError.

    Rights on topics that do not exist yet, and CREATE, cannot be looked up.
    """
    wanted = [right for right in rights_of(program, settings) if right.operation != "CREATE"]
    names = {right.name for right in wanted if right.kind == "topic"}
    request = partial(allowed_on_topics, admin._client, names)
    topics = await clients.retry_for_a_while(request)
    groups: dict[str, Allowed] = {}
    for right in wanted:
        if right.kind == "group":
            look_up = partial(allowed_on_group, admin, right.name)
            groups[right.name] = await clients.retry_for_a_while(look_up)
    return [r for r in wanted if _lacks(r, topics if r.kind == "topic" else groups)]


def _lacks(right: Right, allowed: Mapping[str, Allowed]) -> bool:
    operations = allowed.get(right.name)
    if operations is None:
        return False
    if not operations:  # it cannot be seen, so whether DESCRIBE_CONFIGS is there is not known
        return right.operation != "DESCRIBE_CONFIGS"
    return right.operation not in operations


def acl_commands(
    settings: Settings, principals: Mapping[str, str], command_config: str | None
) -> Iterator[str]:
    """Commands of Kafka's kafka-acls.sh, with a comment before those of each program.

    Topics that need the same operations share a command. principals: by program.
    command_config: a file of Kafka's client properties with which the commands log in
    """
    start = ["kafka-acls.sh", "--bootstrap-server", settings.brokers]
    if command_config:
        start += ["--command-config", command_config]
    for program, needs in NEEDS.items():
        yield f"# {needs.meaning}, as {principals[program]}"
        for words in _grants(rights_of(program, settings)):
            grant = ["--add", "--allow-principal", principals[program], *words]
            yield shlex.join(start + grant)


def _grants(rights: list[Right]) -> Iterator[list[str]]:
    operations: dict[tuple[str, str], tuple[str, ...]] = {}
    for right in rights:
        at = right.kind, right.name
        operations[at] = (*operations.get(at, ()), right.operation)
    for (_, wanted), same in groupby(
        sorted(operations.items(), key=lambda item: (item[0][0], item[1])),
        key=lambda item: (item[0][0], item[1]),
    ):
        words = [word for (kind, name), _ in same for word in (f"--{kind}", name)]
        for operation in wanted:
            words += ["--operation", "".join(p.capitalize() for p in operation.split("_"))]
        yield words
