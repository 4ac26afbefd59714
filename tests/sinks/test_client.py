"""Errors by what to do about them, and addresses that cannot be used."""

import subprocess
import sys
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, DataError, OperationalError

from deploy.embedded.brokers import free_port
from sinks.client import ClickHouse, classify, connect
from sinks.errors import BadRows, Broken, SinkError, Unavailable
from tests.support.front import ROOT


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DatabaseError("too many parts", code=252), Unavailable),
        (DatabaseError("memory", code=241), Unavailable),
        (DatabaseError("read only", code=242), Unavailable),
        (DatabaseError("no table", code=60), Broken),
        (DatabaseError("password", code=516), Broken),
        (DatabaseError("cannot parse", code=27), BadRows),
        (DatabaseError("constraint", code=469), BadRows),
        (DatabaseError("nobody listed it", code=9999), BadRows),
        (OperationalError("Error Connection refused executing HTTP request"), Unavailable),
        (DatabaseError("HTTP driver received HTTP status 502"), Unavailable),
        (DatabaseError("HTTP driver received HTTP status 429"), Unavailable),
        (DatabaseError("HTTP driver received HTTP status 403"), Broken),
        (DatabaseError("HTTP driver received HTTP status 404"), Unavailable),
        (DatabaseError("HTTP driver received HTTP status 413"), Broken),
        (DataError("Unable to create native array"), BadRows),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), BadRows),
        (ConnectionResetError("gone"), Unavailable),
        (TimeoutError("slow"), Unavailable),
    ],
)
def test_an_error_has_the_type_that_fits_its_remedy(
    error: Exception, expected: type[SinkError]
) -> None:
    assert type(classify(error)) is expected


def test_a_refused_connection_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="refused"):
        connect(f"http://default:@127.0.0.1:{free_port()}/receipts")


def test_a_value_that_cannot_be_written_is_a_bad_row(empty: ClickHouse) -> None:
    empty.create_database()
    empty.command("CREATE TABLE t (x String) ENGINE = MergeTree ORDER BY x")
    with pytest.raises(BadRows, match="surrogates not allowed"):
        empty.insert("t", ["x"], ["String"], [["\ud800"]])
    with pytest.raises(BadRows):
        empty.insert("t", ["x"], ["String"], [[None]])
    assert empty.rows("SELECT count() FROM t") == [(0,)]


def test_a_folder_in_use_is_named(tmp_path: Path) -> None:
    clickhouse = connect(f"chdb://{tmp_path}/engine")
    other = f"from sinks.client import connect; connect('chdb://{tmp_path}/engine')"
    done = subprocess.run(
        [sys.executable, "-c", other], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert "another process may have this folder open" in done.stderr
    assert done.returncode != 0
    clickhouse.close()


def test_one_process_may_have_two_clients_of_one_folder(tmp_path: Path) -> None:
    one, two = (connect(f"chdb://{tmp_path}/engine?database=d") for _ in range(2))
    one.create_database()
    one.command("CREATE TABLE t (x UInt8) ENGINE = MergeTree ORDER BY x")
    two.insert("t", ["x"], ["UInt8"], [[1, 2]])
    assert one.rows("SELECT sum(x) FROM t") == [(3,)]
    one.close()
    assert two.rows("SELECT count() FROM t") == [(2,)]
    two.close()


def test_names_that_need_quotes_and_passwords_that_need_escapes(tmp_path: Path) -> None:
    clickhouse = connect(f"chdb://{tmp_path}/a%20b?database=we-ird")
    clickhouse.create_database()
    clickhouse.create_database()
    assert clickhouse.has_database()
    assert (tmp_path / "a b").is_dir()
    clickhouse.close()


@pytest.mark.parametrize("address", ["http://host:8123/db?no_such_argument=1", "chdb:///proc/1/x"])
def test_an_address_that_cannot_be_used_stops(address: str) -> None:
    with pytest.raises(Broken):
        connect(address)
