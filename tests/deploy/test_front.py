"""The HTTP front answers as a server does, as far as the real driver asks."""

import gzip
import random
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import clickhouse_connect
import lz4.frame  # type: ignore[import-untyped]
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from tests.support.front import Front


@pytest.fixture
def client(front: Front) -> Client:
    return clickhouse_connect.get_client(host="127.0.0.1", port=front.port, compress="lz4")


def test_it_answers_pings_and_queries(client: Client) -> None:
    assert client.ping()
    found = client.query("SELECT number, toString(number) FROM numbers(100000)")
    assert found.result_rows[-1] == (99_999, "99999")
    bound = client.query("SELECT {a:String} || {b:String}", {"a": "x'y", "b": "\\ü"})
    assert bound.result_rows == [("x'y\\ü",)]


def test_long_parameters_come_as_a_form(client: Client) -> None:
    long = ["'x'", "\\ü\n" * 5_000]
    found = client.query("SELECT {words:Array(String)}", {"words": long})
    assert found.result_rows == [(long,)]


def test_settings_of_one_request_do_not_leak(client: Client) -> None:
    ask = "SELECT getSetting('max_threads')"
    before = client.query(ask).result_rows
    assert client.query(ask, settings={"max_threads": 3}).result_rows == [(3,)]
    assert client.query(ask).result_rows == before


@pytest.mark.parametrize(
    ("sql", "code"), [("SELECT * FROM nothing", 60), ("SELEC 1", 62), ("SELECT throwIf(1)", 395)]
)
def test_errors_carry_their_code(client: Client, sql: str, code: int) -> None:
    with pytest.raises(DatabaseError) as refused:
        client.query(sql)
    assert refused.value.code == code


def test_inserts_in_every_way(client: Client) -> None:
    client.command("CREATE DATABASE IF NOT EXISTS f ENGINE = Atomic")
    client.command("CREATE OR REPLACE TABLE f.t (x UInt32, s String) ENGINE = MergeTree ORDER BY x")
    client.insert("f.t", [[1, "a"], [2, "b;\n FORMAT Native\n"]], column_names=["x", "s"])
    client.command("INSERT INTO f.t VALUES (3, 'c')")
    client.raw_insert("f.t", ["x", "s"], b'{"x":4,"s":"d"}\n', fmt="JSONEachRow")
    client.raw_insert(
        "f.t", ["x", "s"], gzip.compress(b"5\te\n"), fmt="TabSeparated", compression="gzip"
    )
    found = client.query("SELECT x, s FROM f.t ORDER BY x").result_rows
    assert found == [(1, "a"), (2, "b;\n FORMAT Native\n"), (3, "c"), (4, "d"), (5, "e")]


@pytest.mark.parametrize(("rows", "size"), [(40, 100_000), (300_000, 20), (3, 1_500_000)])
def test_every_row_of_a_large_insert_is_there(client: Client, rows: int, size: int) -> None:
    """The driver sends blocks of about 1 MB, each as an LZ4 frame of its own."""
    client.command("CREATE DATABASE IF NOT EXISTS f ENGINE = Atomic")
    client.command("CREATE OR REPLACE TABLE f.l (x UInt32, s String) ENGINE = MergeTree ORDER BY x")
    words = [random.Random(n).randbytes(size // 2).hex() for n in range(rows)]
    client.insert("f.l", [range(rows), words], column_names=["x", "s"], column_oriented=True)
    found = client.query("SELECT count(), uniqExact(x), sum(length(s)) FROM f.l").result_rows
    assert found == [(rows, rows, sum(map(len, words)))]


def test_a_frame_that_was_cut_off_stores_nothing(client: Client, front: Front) -> None:
    client.command("CREATE DATABASE IF NOT EXISTS f ENGINE = Atomic")
    client.command("CREATE OR REPLACE TABLE f.c (x UInt32) ENGINE = MergeTree ORDER BY x")
    body = lz4.frame.compress(b"1\n") + lz4.frame.compress(b"2\n")[:-6]
    url = f"http://127.0.0.1:{front.port}/?query=INSERT+INTO+f.c+FORMAT+TabSeparated"
    found = urllib.request.Request(url, body, {"Content-Encoding": "lz4"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(found, timeout=10)
    assert refused.value.headers["X-ClickHouse-Exception-Code"] == "3"
    refused.value.close()
    assert client.query("SELECT count() FROM f.c").result_rows == [(0,)]


def test_requests_run_side_by_side(front: Front) -> None:
    def ask(n: int) -> int:
        client = clickhouse_connect.get_client(host="127.0.0.1", port=front.port)
        return int(client.query(f"SELECT sleep(0.05) + {n}").result_rows[0][0])

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(6))) == list(range(6))


def test_what_it_does_not_offer_it_says(front: Front) -> None:
    url = f"http://127.0.0.1:{front.port}/"
    found = urllib.request.Request(url, b"SELECT 1", {"Content-Encoding": "snappy"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(found, timeout=10)
    assert refused.value.headers["X-ClickHouse-Exception-Code"] == "48"
    refused.value.close()
