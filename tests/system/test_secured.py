"""Worker, sink and commands over secured connections, on a real broker with ACLs.

The rights are those that `receipts topics --acls` prints, applied by Kafka's own command.
"""

from __future__ import annotations

import asyncio
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from aiokafka.client import ConnectionGroup

from deploy.diagnosis.doctor import examine
from deploy.diagnosis.kafka import read_kafka
from deploy.diagnosis.status import look
from deploy.kafka import suppression_client
from deploy.kafka.access_rights import PRINCIPALS, acl_commands, lacking_rights
from deploy.kafka.command_clients import CommandError
from deploy.kafka.topics import TopicsError, check_topics, create_topics
from deploy.simulator.event import KINDS
from deploy.simulator.ledger.compare import compare, expectation
from deploy.simulator.publish.publish import PublishError, SimulateOptions, simulate
from models.access_rights import NEEDS, Program, Right, rights_of
from models.settings import Settings, Topic
from streams.batching.runner import EXIT_FAILED
from streams.kafka import clients
from streams.kafka.security import Access, kafka_access
from tests.support import token_script
from tests.support.commands import receipts
from tests.support.secured_broker import (
    SESSION_MS,
    SecuredBroker,
    Way,
    grant,
    password_of,
    revoke,
    run_kafka_acls,
    token_of,
)
from tests.support.system import Process, System, running
from tests.support.waiting import eventually, until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
WAYS: tuple[Way, ...] = ("mtls", "plain", "scram-sha-256", "scram-sha-512", "oauthbearer")
PREFIX = "acme."
LONG_S = 60.0
TOPICS: tuple[Topic, ...] = Settings().topics


@pytest.fixture(scope="module")
def secured(needs_kafka: None) -> Iterator[SecuredBroker]:
    """A broker on which every program may do what the table says, under PREFIX and app id."""
    with SecuredBroker() as broker:
        printing = Settings(
            brokers=broker.bootstrap, topic_prefix=PREFIX, app_id=f"{PREFIX}receipts"
        )
        lines = acl_commands(printing, PRINCIPALS, None)
        run_kafka_acls(line for line in lines if not line.startswith("#"))
        yield broker
        broker.kill()  # its orderly end takes long


def login(broker: SecuredBroker, way: Way, listener: str = "") -> Callable[[Program], Any]:
    """Each program as the principal that has its rights."""
    return lambda program: broker.settings(way, PRINCIPALS[program].removeprefix("User:"), listener)


@pytest.fixture(scope="module")
def system(secured: SecuredBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """SASL_SSL with SCRAM-SHA-512; worker and sink run."""
    folder = tmp_path_factory.mktemp("secured")
    with running("unused:1", PREFIX, folder, login(secured, "scram-sha-512")) as found:
        yield found


@pytest.fixture(scope="module")
def processes(system: System) -> dict[str, Process]:
    """By kind; a test that ends one puts its successor here."""
    started = {kind: system.process(kind) for kind in ("worker", "sink")}
    for process in started.values():
        process.wait_ready()
    return started


def assert_balances(system: System) -> None:
    ledger = system.ledger(LONG_S * 3)
    assert ledger.balances, f"{ledger}"
    assert ledger.events > 0


def assert_nothing_is_lost(system: System) -> None:
    """As the ledger, but without what depends on the order among topics, such as whether a send
    came after a suppression: one topic waited here while others did not."""
    client, expected = system.client(), expectation(system.truths, time.time_ns() // 1_000_000)
    kinds = ("lost", "doubled", "unexpected", "wrong_status", "wrong_cells", "wrong_dead_letters")
    wrong: dict[str, int] = {}

    def complete() -> bool:
        nonlocal wrong
        ledger = compare(client, expected)
        wrong = {kind: found for kind in kinds if (found := getattr(ledger, kind))}
        return not wrong

    until(complete, "everything published is in ClickHouse", LONG_S * 2, lambda: wrong)


# --- everything works with the least rights -----------------------------------------------------


def test_traffic_balances_over_sasl_ssl_with_the_least_rights(
    system: System, processes: dict[str, Process]
) -> None:
    for seed in range(21, 40):  # few records are misrouted: sometimes none of a run
        system.publish(2_000, seed, name=f"truth-{seed}")
        if "misrouted" in system.truths[-1].read_text():
            break
    assert_balances(system)
    assert processes["worker"].value("receipts_strays_total") > 0  # writes to the source topics
    assert processes["worker"].value("receipts_dead_letters_total") > 0


def test_the_commands_work_with_the_least_rights(
    system: System, processes: dict[str, Process]
) -> None:
    mine = system.settings_of("suppressions")
    person = ("acme", "+447700900123")
    added = receipts(mine, "suppressions", "add", *person, "--who", "me", "--why", "test")
    assert added.returncode == 0, added.stderr

    def is_suppressed() -> bool:
        return receipts(mine, "suppressions", "check", *person).returncode == 3

    until(is_suppressed, "the worker suppresses the recipient", LONG_S)
    listed = receipts(mine, "suppressions", "list")
    assert listed.returncode == 0 and "447700900123" in listed.stdout
    checked = receipts(system.settings_of("admin"), "topics", "--check")
    assert checked.returncode == 0, checked.stderr
    truth = system.folder / "command.jsonl"
    command = ("simulate", "--events", "200", "--truth", str(truth))
    simulated = receipts(system.settings_of("simulator"), *command)
    assert simulated.returncode == 0, simulated.stderr
    system.truths.append(truth)


def test_status_and_doctor_work_with_the_least_rights(
    system: System, processes: dict[str, Process]
) -> None:
    found = asyncio.run(look(system.settings_of("status")))
    assert found.kafka is not None and not found.kafka.unread, found.kafka_problem
    assert {group.process for group in found.kafka.groups if group.members} == {"worker", "sink"}
    assert [each.lag_seconds is not None for each in found.kafka.groups] == [True, True]
    worker = system.settings_of("worker")
    for program, lacking in (("worker", False), ("sink", True)):
        examined = asyncio.run(examine(worker.environ(), (program,)))  # type: ignore[arg-type]
        rights = {check.where for check in examined.checks if check.kind == "kafka_rights"}
        assert (f"group {PREFIX}receipts-sink" in rights) is lacking
        assert bool(rights) is lacking
        if not lacking:  # the topics that its user cannot see, and ClickHouse, are not its own
            wrong = [each for each in examined.checks if each.state == "error"]
            assert not {"connections", "topics"} & {each.area for each in wrong}, wrong


def test_status_names_what_it_may_not_read(system: System, processes: dict[str, Process]) -> None:
    found = asyncio.run(look(system.settings_of("worker")))
    unread = {each.problem: each.fix for each in found.findings if each.kind == "kafka_unread"}
    user = "to User:receipts-worker"
    fix = unread[f"not read: Kafka denies DESCRIBE on group {PREFIX}receipts-sink {user}"]
    assert fix == "grant it; `receipts topics --acls` prints the commands"
    assert found.kafka is not None and found.kafka.groups[0].members
    seen = {topic.name for topic in found.kafka.topics}
    hidden = [name for name in map(system.settings.topic, TOPICS) if name not in seen]
    assert hidden
    (of_topics,) = [text for text in unread if "denies READ on topic" in text]
    named = of_topics.removesuffix(f" {user}").rpartition(" on topic ")[2].split(", ")
    assert set(hidden) <= set(named)
    assert not [text for text in unread if "Unable to" in text]
    assert not found.kafka.missing
    # Of traffic with times of days ago, letters look like many at some hours of the day.
    errors = {each.kind for each in found.findings if each.severity == "error"}
    assert errors <= {"dead_letters"}, found.findings


def test_doctor_skips_topics_that_it_may_not_see(
    system: System, processes: dict[str, Process]
) -> None:
    environ = system.settings_of("worker").environ()
    found = asyncio.run(examine(environ, ("worker", "sink"))).checks
    of_topics = [each for each in found if each.area == "topics"]
    assert [each.state for each in of_topics] == ["skipped"]
    assert "Kafka denies DESCRIBE on topic" in of_topics[0].detail
    assert {each.kind for each in found if each.area == "rights"} >= {"kafka_rights"}


def test_doctor_looks_up_the_rights_of_the_processes_it_is_for(
    system: System, processes: dict[str, Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[str] = []

    async def noted(admin: Any, program: Program, settings: Settings) -> list[Right]:
        looked_up.append(program)
        return await lacking_rights(admin, program, settings)

    monkeypatch.setattr("deploy.diagnosis.examine_kafka.lacking_rights", noted)
    asyncio.run(examine(system.settings_of("worker").environ(), ("worker",)))
    assert looked_up == ["worker"]


def test_no_secret_is_in_any_log(system: System, processes: dict[str, Process]) -> None:
    for process in processes.values():
        log = process.child.log.read_text()
        assert "SASL_SSL" in log  # the settings are there
        assert "secret-of-" not in log


# --- rights that are taken away while everything runs -------------------------------------------


def _not_ready(process: Process) -> str:
    """Why it is not ready; empty: it is."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{process.port}/readyz", timeout=5).close()
    except urllib.error.HTTPError as error:
        return error.read().decode()
    return ""


@pytest.mark.parametrize(
    ("program", "operation", "topic", "seed"),
    [
        ("worker", "READ", "sends", 31),
        ("worker", "WRITE", "message-states", 32),
        ("sink", "READ", "message-states", 33),
    ],
)
def test_a_right_that_is_taken_away_is_waited_for(
    program: Any, operation: Any, topic: Any, seed: int, system: System,
    processes: dict[str, Process], secured: SecuredBroker,
) -> None:  # fmt: skip
    process, principal = processes[program], PRINCIPALS[program]
    right = Right("topic", system.settings.topic(topic), operation)
    asyncio.run(revoke(secured, principal, right))
    try:
        system.publish(500, seed=seed, name=f"denied-{seed}")
        until(lambda: f"Kafka denies {right}" in _not_ready(process), f"{right} is missed", LONG_S)
        process.child.check()

        def lines() -> list[str]:
            return [li for li in process.child.log.read_text().splitlines() if str(right) in li]

        until(lambda: bool(lines()), f"the log names {right}", LONG_S)
        assert len(lines()) <= 3, lines()
    finally:
        asyncio.run(grant(secured, principal, right))
    until(lambda: not _not_ready(process), "it is ready again", LONG_S)
    assert_nothing_is_lost(system)


async def _change(
    how: Callable[[SecuredBroker, str, Right], Awaitable[None]],
    broker: SecuredBroker, program: Program, rights: list[Right],
) -> None:  # fmt: skip
    for right in rights:
        await how(broker, PRINCIPALS[program], right)


def _rights_on(system: System, program: Program, kind: str, name: str) -> list[Right]:
    """All rights of a program on a topic or a group; the name is the full one."""
    found = rights_of(program, system.settings)
    return [right for right in found if (right.kind, right.name) == (kind, name)]


@pytest.mark.parametrize(
    ("kind", "name", "line"),
    [
        ("group", f"{PREFIX}receipts", "READ on group acme.receipts"),
        ("topic", f"{PREFIX}sends", "DESCRIBE on topic acme.sends"),
    ],
    ids=["its group", "a topic, at all"],
)
def test_what_ends_a_running_worker(
    kind: str, name: str, line: str, system: System, processes: dict[str, Process],
    secured: SecuredBroker,
) -> None:  # fmt: skip
    """Its last line names the right; with it a worker starts again, and nothing is lost."""
    worker = processes["worker"].child
    rights = _rights_on(system, "worker", kind, name)
    assert rights
    asyncio.run(_change(revoke, secured, "worker", rights))
    try:
        system.publish(300, seed=len(name), name=f"ends-{kind}")
        until(lambda: worker.process.poll() is not None, "it ends", LONG_S, worker.tail)
        assert worker.process.returncode == EXIT_FAILED
        assert (
            worker.log.read_text()
            .splitlines()[-1]
            .endswith(
                f"Ended with exit code {EXIT_FAILED}: Kafka denies {line} to User:receipts-worker. "
                "Fix: grant it; `receipts topics --acls` prints the commands"
            )
        )
    finally:
        asyncio.run(_change(grant, secured, "worker", rights))
        if worker.process.poll() is not None:
            processes["worker"] = system.process("worker", f"worker-after-{kind}").wait_ready()
    assert_nothing_is_lost(system)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("group", f"{PREFIX}receipts-sink"), ("topic", f"{PREFIX}strikes")],
    ids=["its group", "a topic, at all"],
)
def test_what_ends_a_worker_makes_a_sink_wait(
    kind: str, name: str, system: System, processes: dict[str, Process], secured: SecuredBroker
) -> None:
    sink, rights = processes["sink"], _rights_on(system, "sink", kind, name)
    assert rights
    asyncio.run(_change(revoke, secured, "sink", rights))
    line = f"Kafka denies READ on {kind} {name} to User:receipts-sink"
    try:
        system.publish(300, seed=len(name), name=f"waits-{kind}")
        until(lambda: line in _not_ready(sink), f"{line} in /readyz", LONG_S,
              lambda: (_not_ready(sink), sink.child.tail()))  # fmt: skip
        sink.child.check()
    finally:
        asyncio.run(_change(grant, secured, "sink", rights))
    until(lambda: not _not_ready(sink), "it is ready again", LONG_S, sink.child.tail)
    sink.child.check()
    assert_nothing_is_lost(system)


# --- with one right less ------------------------------------------------------------------------


async def _starts(program: Program, settings: Settings) -> None:
    """What the program does first, or what needs the right."""
    if program in ("worker", "sink", "admin"):
        await check_topics(settings, program)
    elif program == "suppressions":
        _ = [one async for one in suppression_client.suppressed_recipients(settings)]
        value = suppression_client.request_value(
            "acme", "+447700900124", "suppress", suppression_client.now_ms(), "me", "test"
        )
        await suppression_client.publish(settings, value)
    else:
        topics: dict[str, str] = {kind: settings.topic(kind) for kind in KINDS}
        await simulate(SimulateOptions(kafka_access(settings), 1, 300, topics=topics))


def _cases() -> list[Any]:
    settings = Settings(topic_prefix=PREFIX, app_id=f"{PREFIX}receipts")
    return [
        pytest.param(program, right, id=f"{program}: {right}")
        for program in NEEDS
        # It goes on with all else: a test of its own. Those of callbacks need endpoints.
        if program not in ("status", "listen", "callbacks", "replay")
        for right in rights_of(program, settings)
        if right.operation != "CREATE"
    ]


def _denial(right: Right | str, principal: str) -> str:
    return (
        f"Kafka denies {right} to {principal}. Fix: grant it; `receipts topics --acls` prints the "
        "commands"
    )


def _denials(rights: list[Right], principal: str) -> Iterator[str]:
    """One line for all topics, and one for all groups, of one operation."""
    for _, of_kind in groupby(rights, key=lambda right: right.kind):
        first, *others = of_kind
        yield _denial(", ".join([str(first), *(right.name for right in others)]), principal)


async def _refused(work: Callable[[], Awaitable[None]]) -> str:
    try:
        await work()
    except (TopicsError, PublishError, CommandError) as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("program", "right"), _cases())
async def test_one_right_less_is_named(
    program: Program, right: Right, system: System, secured: SecuredBroker
) -> None:
    settings, principal = system.settings_of(program), PRINCIPALS[program]
    await revoke(secured, principal, right)
    text = ""
    try:
        # A broker applies a change of ACLs a moment after it acknowledged it.
        async def is_refused() -> bool:
            nonlocal text
            text = await _refused(lambda: _starts(program, settings))
            return bool(text)

        await eventually(is_refused, LONG_S, lambda: f"{right} is not needed")
        assert text == _denial(right, principal)
    finally:
        await grant(secured, principal, right)

    async def works() -> bool:
        return not await _refused(lambda: _starts(program, settings))

    await eventually(works, LONG_S)


@pytest.mark.parametrize("operation", ["READ", "DESCRIBE_CONFIGS", "DESCRIBE"])
async def test_status_names_every_right_that_it_lacks(
    operation: str, system: System, secured: SecuredBroker
) -> None:
    """Those of an operation, each alone and then all at once, and it reads all else."""
    settings, principal = system.settings_of("status"), PRINCIPALS["status"]
    rights = [r for r in rights_of("status", settings) if r.operation == operation]
    assert rights
    admin = clients.admin(kafka_access(settings))
    await admin.start()
    try:
        for right in rights:
            await revoke(secured, principal, right)
            await _until_lacking(admin, settings, [right])
            await grant(secured, principal, right)
        await _until_lacking(admin, settings, [])
        for right in rights:
            await revoke(secured, principal, right)
        await _until_lacking(admin, settings, rights)
        found = await read_kafka(settings, suppression_client.now_ms())
        named = {line for line in found.unread if line.startswith("Kafka denies ")}
        assert named == set(_denials(rights, principal))
        assert found.brokers == 1 and not found.missing  # READ is also what shows a topic
    finally:
        # An ACL that is there already stays as it is.
        await grant(secured, principal, *rights)
        await _until_lacking(admin, settings, [])
        await admin.close()
    assert not (await read_kafka(settings, suppression_client.now_ms())).unread


async def _until_lacking(admin: Any, settings: Settings, rights: list[Right]) -> None:
    """A broker applies a change of ACLs a moment after it acknowledged it."""
    lacking: list[Right] = []

    async def holds() -> bool:
        nonlocal lacking
        lacking = list(await lacking_rights(admin, "status", settings))
        return sorted(map(str, lacking)) == sorted(map(str, rights))

    await eventually(holds, LONG_S, lambda: f"{lacking} instead of {rights}")


async def test_creating_topics_without_the_right_is_named(
    system: System, secured: SecuredBroker
) -> None:
    settings = system.settings_of("admin").model_copy(update={"topic_prefix": "other."})
    with pytest.raises(TopicsError) as raised:
        await create_topics(settings)
    lines = str(raised.value).splitlines()
    wanted = [r for r in rights_of("admin", settings) if r.operation == "DESCRIBE"]
    assert lines == [
        f"Kafka denies {right} to User:receipts-admin. Fix: grant it; `receipts topics --acls` "
        "prints the commands"
        for right in wanted
    ]
    visible = [r for r in rights_of("admin", settings) if r.operation != "CREATE"]
    await grant(secured, PRINCIPALS["admin"], *visible)

    async def creation_is_refused() -> bool:
        text = await _refused(lambda: create_topics(settings))  # type: ignore[arg-type]
        return "Kafka denies CREATE on topic other.sends to User:receipts-admin. Fix: " in text

    await eventually(creation_is_refused, LONG_S)


def test_a_process_without_a_right_ends_with_one_line(
    system: System, secured: SecuredBroker
) -> None:
    settings = system.settings_of("worker").model_copy(update={"app_id": "unknown-group"})
    done = receipts(settings.model_copy(update={"worker_port": 0}), "worker")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "receipts: error: Kafka denies READ on group unknown-group to User:receipts-worker. Fix: "
        "grant it; `receipts topics --acls` prints the commands"
    )
    assert "Traceback" not in done.stderr


# --- ways to connect ----------------------------------------------------------------------------


@pytest.mark.parametrize("listener", ["SASL_SSL", "SASL_PLAINTEXT"])
@pytest.mark.parametrize("way", WAYS)
async def test_every_way_to_log_in(
    way: Way, listener: str, system: System, secured: SecuredBroker
) -> None:
    if way == "mtls" and listener == "SASL_PLAINTEXT":
        listener = "SSL"
    fields = secured.settings(way, "receipts-suppressions", "" if way == "mtls" else listener)
    settings = Settings(**{**system.settings.model_dump(), **fields})
    value = suppression_client.request_value(
        "acme", "+447700900125", "suppress", suppression_client.now_ms(), "me", way
    )
    published = await suppression_client.publish(settings, value)
    assert published.offset >= 0
    _ = [one async for one in suppression_client.suppressed_recipients(settings)]


def test_traffic_balances_over_mtls(secured: SecuredBroker, tmp_path: Path) -> None:
    settings = Settings(topic_prefix="m.", app_id="m.receipts")
    for program in NEEDS:
        asyncio.run(grant(secured, PRINCIPALS[program], *rights_of(program, settings)))
    with running("unused:1", "m.", tmp_path, login(secured, "mtls")) as system:
        worker, sink = system.process("worker"), system.process("sink")
        worker.wait_ready()
        sink.wait_ready()
        system.publish(1_000, seed=51)
        assert_balances(system)


# --- sessions that end --------------------------------------------------------------------------


def test_processes_go_on_when_sessions_and_tokens_end(
    secured: SecuredBroker, tmp_path: Path
) -> None:
    """Sessions of 8 s, and tokens that live for 40 s, made by a command."""
    makes = "import sys; from tests.support.secured_broker import token_of; "
    command = f"{sys.executable} -c '{makes}print(token_of(sys.argv[1], 40))' receipts-worker"
    everything = {
        "brokers": secured.address("SHORT"),
        "kafka_security_protocol": "SASL_SSL",
        "kafka_ssl_cafile": str(secured.certificates.cafile),
        "kafka_sasl_mechanism": "OAUTHBEARER",
        "kafka_oauth_token_command": command,
    }
    settings = Settings(topic_prefix="t.", app_id="t.receipts")
    rights = {right for program in NEEDS for right in rights_of(program, settings)}
    asyncio.run(grant(secured, "User:receipts-worker", *rights))
    with running("unused:1", "t.", tmp_path, lambda program: everything) as system:
        worker, sink = system.process("worker"), system.process("sink")
        worker.wait_ready()
        sink.wait_ready()
        began = time.monotonic()
        system.publish(2_000, seed=41, rate=80)
        assert time.monotonic() - began > 3 * SESSION_MS / 1000
        assert_balances(system)
        for process in (worker, sink):
            assert not _not_ready(process)
            log = process.child.log.read_text()
            assert process.value("receipts_rebalances_total") == 1, log


def test_processes_end_while_the_command_of_their_tokens_hangs(
    secured: SecuredBroker, tmp_path: Path
) -> None:
    """Sessions of 12 s: each is about to log in again when SIGTERM comes."""
    settings = Settings(topic_prefix="h.", app_id="h.receipts")
    rights = {right for program in NEEDS for right in rights_of(program, settings)}
    asyncio.run(grant(secured, PRINCIPALS["worker"], *rights))

    def programs(program: Program) -> dict[str, Any]:
        (tmp_path / program).mkdir(exist_ok=True)
        user = PRINCIPALS["worker"].removeprefix("User:")
        return {
            **secured.settings("oauthbearer", user, "SHORT"),
            "kafka_oauth_token_file": "",
            "kafka_oauth_token_command": token_script.command(tmp_path / program, user),
        }

    with running("unused:1", "h.", tmp_path, programs) as system:
        processes = {kind: system.process(kind).wait_ready() for kind in ("worker", "sink")}
        for kind, process in processes.items():
            folder = tmp_path / kind
            (folder / "hang").touch()
            until(lambda: bool(token_script.hanging(folder)), "a command hangs", LONG_S)  # noqa: B023
            assert process.child.stop() == 0, process.child.log.read_text()
            pids = token_script.hanging(folder)
            until(lambda: not any(map(token_script.alive, pids)), f"{pids} end")  # noqa: B023


async def test_a_connection_is_replaced_before_its_session_ends(secured: SecuredBroker) -> None:
    """Requests go on all the time, and none fails."""
    access = kafka_access(Settings(**secured.settings("plain", "receipts-admin", "SHORT")))
    admin = clients.admin(access)
    await admin.start()
    try:
        client = admin._client
        key = client.get_random_node(), ConnectionGroup.DEFAULT
        await admin.list_topics()
        first = client._conns[key]
        assert first.session_s == pytest.approx(SESSION_MS / 1000, rel=0.1)

        async def is_replaced() -> bool:
            await admin.list_topics()
            return client._conns[key] is not first and not first.connected()

        await eventually(is_replaced, SESSION_MS / 1000)
        assert client._conns[key].connected()
    finally:
        await admin.close()


# --- mistakes -----------------------------------------------------------------------------------


def _mistakes(broker: SecuredBroker) -> dict[str, tuple[dict[str, Any], str]]:
    scram = broker.settings("scram-sha-512", "receipts-admin")
    mtls = broker.settings("mtls", "receipts-admin")
    without = {k: v for k, v in mtls.items() if "cert" not in k and "keyfile" not in k}
    token = broker.settings("oauthbearer", "receipts-admin")
    expired = broker.home / "expired.token"
    expired.write_text(token_of("receipts-admin", -5))
    plain = {"brokers": broker.bootstrap, "kafka_security_protocol": "SASL_PLAINTEXT",
             "kafka_ssl_cafile": ""}  # fmt: skip
    return {
        "wrong password": ({**scram, "kafka_sasl_password": "wrong-7d1"}, "SASL_PASSWORD"),
        "wrong mechanism of the user": (
            {**scram, "kafka_sasl_username": "nobody"}, "RECEIPTS_KAFKA_SASL_USERNAME"),
        "untrusted certificate": ({**scram, "kafka_ssl_cafile": ""}, "RECEIPTS_KAFKA_SSL_CAFILE"),
        "no client certificate": (without, "RECEIPTS_KAFKA_SSL_CERTFILE"),
        "login where none is expected": ({**scram, **plain}, "RECEIPTS_KAFKA_SECURITY_PROTOCOL"),
        "TLS where none is spoken": (
            {**mtls, "brokers": broker.bootstrap}, "RECEIPTS_KAFKA_SECURITY_PROTOCOL"),
        "no TLS where it is needed": (
            {"brokers": broker.address("SSL")}, "RECEIPTS_KAFKA_SECURITY_PROTOCOL"),
        "expired token": ({**token, "kafka_oauth_token_file": str(expired)}, "token"),
    }  # fmt: skip


SECRETS = ("wrong-7d1", "secret-of-", password_of("receipts-admin"), token_of("x")[:20])


@pytest.mark.parametrize(
    "mistake",
    [
        "wrong password", "wrong mechanism of the user", "untrusted certificate",
        "no client certificate", "login where none is expected", "TLS where none is spoken",
        "no TLS where it is needed", "expired token",
    ],
)  # fmt: skip
async def test_a_mistake_is_one_line_that_names_the_setting(
    mistake: str, secured: SecuredBroker
) -> None:
    fields, named = _mistakes(secured)[mistake]
    with pytest.raises(TopicsError) as raised:
        await check_topics(Settings(**fields))
    (line,) = str(raised.value).splitlines()
    assert line.startswith("Kafka at ") and named in line and "Fix: " in line
    for secret in SECRETS:
        assert secret not in line


def test_a_command_shows_a_mistake_alone(secured: SecuredBroker) -> None:
    fields, named = _mistakes(secured)["wrong password"]
    done = receipts(Settings(**fields), "topics", "--check")
    assert done.returncode == 1, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("receipts: error: Kafka at ") and named in line and "Fix: " in line
    for secret in SECRETS:
        assert secret not in done.stdout + done.stderr


async def test_a_refused_login_has_one_fix_in_status_and_doctor(secured: SecuredBroker) -> None:
    fields, named = _mistakes(secured)["wrong password"]
    settings = Settings(**fields)
    found = [each for each in (await look(settings)).findings if each.where == "Kafka"]
    checks = (await examine(settings.environ(), ("worker",))).checks
    checked = [each for each in checks if each.where == "Kafka" and each.state == "error"]
    for (one,) in (found, checked):
        assert one.kind == "kafka_refused" and named in one.fix
        assert one.help == "docs/runbook.md#receiptskafkarefuses"
    assert found[0].problem == checked[0].detail
    assert found[0].problem.endswith("it refuses the login")


async def test_a_login_that_is_refused_later_is_kept_as_a_reason(secured: SecuredBroker) -> None:
    """As when a password was changed: open connections stay, new ones are refused."""
    access: Access = kafka_access(Settings(**secured.settings("scram-sha-512", "receipts-admin")))
    admin = clients.admin(access)
    await admin.start()
    try:
        client = admin._client
        node = client.get_random_node()
        assert await client.ready(node)
        client._sasl_plain_password = "changed"
        assert await client.ready(node) and client.refusal == ""
        assert not await client.ready(node, group="another connection")
        assert "RECEIPTS_KAFKA_SASL_PASSWORD" in client.refusal
        client._sasl_plain_password = password_of("receipts-admin")
        await eventually(lambda: client.ready(node, group="another connection"))
        assert client.refusal == ""
    finally:
        await admin.close()
