"""Truth files and recordings: what is written can be read and replayed; mistakes are named."""

from pathlib import Path

import pytest

from deploy.simulator.event import Published
from deploy.simulator.publish.recording import (
    BadRecording,
    kind_of,
    read_recording,
    read_truth,
    to_line,
    write_lines,
)

RECORDS = [
    Published("x-sends", 1, 5, 1000, b"a/m", b'{"text":"\xc3\xa9"}', "sends", "late", ""),
    Published("x-sends", 0, 0, 1001, None, b"\xff\x00", "sends", "broken:bad", "not_json"),
    Published("x-receipts", 3, 9, 1002, b"\xff", None, "receipts", "", "empty"),
    Published("x-receipts", 3, 10, 1003, b"", b"", "receipts", "", "empty"),
]


def test_a_truth_file_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    write_lines(path, RECORDS)
    assert list(read_truth(path)) == RECORDS
    assert len(path.read_text().splitlines()) == 4


def test_text_stays_readable_and_other_bytes_become_base64() -> None:
    assert '"value":"{\\"text\\":\\"é\\"}"' in to_line(RECORDS[0])
    assert '"value_base64":"/wA="' in to_line(RECORDS[1])


def test_a_recording_made_by_hand_needs_topic_and_value_only(tmp_path: Path) -> None:
    path = tmp_path / "hand.jsonl"
    path.write_text(
        '{"topic": "sends", "value": {"account": "acme"}}\n\n'
        '{"topic": "my-receipts", "key": "k", "value": "v", "headers": {"h": "1"}, '
        '"partition": 2}\n'
        '{"topic": "other", "value": null, "headers": [["a", "b"], ["a", "c"]], "timestamp": 5}\n'
    )
    first, second, third = read_recording(path)
    assert (first.key, first.value, first.partition) == (None, b'{"account":"acme"}', None)
    assert (second.kind, second.headers, second.partition) == ("receipts", (("h", b"1"),), 2)
    assert (third.kind, third.value, third.timestamp_ms) == ("", None, 5)
    assert third.headers == (("a", b"b"), ("a", b"c"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nonsense", "Expecting value"),
        ('{"value": "x"}', "topic: is missing"),
        ('{"topic": "sends", "partition": -1}', "partition: -1"),
        ('{"topic": "sends", "partition": "1"}', "partition: '1'"),
        ('{"topic": "sends", "timestamp": true}', "timestamp: True"),
        ('{"topic": "sends", "headers": 5}', "headers: is neither"),
        ('{"topic": "sends", "value_base64": "?"}', "base64"),
        ("[]", "not a JSON object"),
    ],
)
def test_a_bad_line_is_named_with_file_and_number(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"topic": "sends", "value": "x"}\n' + line + "\n")
    with pytest.raises(BadRecording, match=f"bad.jsonl:2: .*({said})"):
        list(read_recording(path))


def test_a_recording_without_offsets_is_no_truth(tmp_path: Path) -> None:
    path = tmp_path / "hand.jsonl"
    path.write_text('{"topic": "sends", "value": "x"}\n')
    with pytest.raises(BadRecording, match="needs partition, offset and timestamp"):
        list(read_truth(path))


@pytest.mark.parametrize(
    ("topic", "kind"), [("sends", "sends"), ("eu-campaigns", "campaigns"), ("orders", "")]
)
def test_the_kind_follows_the_end_of_the_topic(topic: str, kind: str) -> None:
    assert kind_of(topic) == kind
