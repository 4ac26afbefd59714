"""The lanes of `make test`: what they run, their closing lines and exit codes."""

from threading import Lock

import pytest

from tests.lanes import NOTHING, ROOT, SYSTEM, WAITING, Lane, has_paths, paths_of, summary, verdict


def test_a_lane_shows_its_progress_and_its_report(capfd: pytest.CaptureFixture[str]) -> None:
    lane = Lane("some", ["-q", "--durations=1", "-vv", "tests/models/test_dead_letters.py"], Lock())
    assert lane.wait() == 0
    lane.show_report()
    shown, report = capfd.readouterr().out.split("##### some lane")
    assert "some      | " in shown
    assert "slowest 1 durations" in report
    assert lane.closing in report
    assert " passed in " in lane.closing


def test_a_failing_lane_shows_the_failure(capfd: pytest.CaptureFixture[str]) -> None:
    lane = Lane("some", ["-q", "tests/there_is_no_such_file.py"], Lock())
    assert lane.wait() == 4
    lane.show_report()
    assert "there_is_no_such_file.py" in capfd.readouterr().out


def test_the_paths_of_the_lanes_exist_and_no_path_is_in_two() -> None:
    waiting, system = paths_of(WAITING), paths_of(SYSTEM)
    assert all((ROOT / path).exists() for path in (*waiting, *system))
    assert not set(waiting) & set(system)


def test_paths_among_the_options_are_found() -> None:
    assert has_paths(["-q", "tests/models/test_strikes.py::test_x"]) is True
    assert has_paths(["-q", "-k", "demo", "--durations=3"]) is False
    assert has_paths([]) is False


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([0, 0], 0),
        ([0, 1], 1),
        ([2, 1], 2),
        ([-9, 1], -9),
        ([0, NOTHING], 0),
        ([1, NOTHING], 1),
        ([NOTHING, NOTHING], NOTHING),
    ],
)
def test_the_worst_exit_code_counts(codes: list[int], expected: int) -> None:
    assert verdict(codes) == expected


def test_the_closing_lines_are_summed() -> None:
    closings = [
        "1200 passed, 1 skipped in 700.1s (0:11:40)",
        "1 failed, 2 passed, 3 errors in 9.0s",
    ]
    assert (
        summary(closings, 701.26) == "3 error, 1 failed, 1202 passed, 1 skipped in 701.3s (2 lanes)"
    )
    assert summary(["", "", "5 deselected in 1s"], 1.0) == "no tests ran in 1.0s (3 lanes)"
