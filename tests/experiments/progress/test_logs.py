"""The end of a log beside a failure."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpu_queue.experiments.progress.failures import SHOWN_A_MINUTE, Failures
from gpu_queue.experiments.progress.lines import UNICODE
from gpu_queue.experiments.progress.logs import log_end, near
from tests.experiments.progress.samples import NOW, a_run, failed, item_of


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "a.log"


def test_the_last_lines_without_what_the_agent_wrote_below_them(log: Path) -> None:
    log.write_text("".join(f"line {number}\n" for number in range(9)) + "\n\n==== exit 1 after 3s\n==== failed(1)\n")
    assert log_end(str(log)) == ("line 4", "line 5", "line 6", "line 7", "line 8")


def test_a_script_may_write_such_lines_itself(log: Path) -> None:
    log.write_text("==== epoch 1\nloss 3\n==== exit 1\n")
    assert log_end(str(log)) == ("==== epoch 1", "loss 3")


def test_the_head_that_the_agent_wrote_is_left_out(log: Path) -> None:
    head = "==== task a (c0ffee), try 1\n==== node vm, GPUs 2\n==== started 2026-11-30 02:16:18 +0000\n"
    log.write_text(head + "ValueError\n==== exit 3\n")
    assert log_end(str(log)) == ("ValueError",)
    log.write_text(head + "==== exit 3\n")
    assert log_end(str(log)) == ()


def test_a_path_is_told_as_it_is_typed_here() -> None:
    assert near("/data/logs/a.log", "/data") == "logs/a.log"
    assert near("/data/logs/a.log", "/") == "data/logs/a.log"
    assert near("/database/a.log", "/data") == "/database/a.log"
    assert near("/data/a.log", "") == "/data/a.log"


def test_of_a_long_log_only_the_end_is_read_and_no_torn_line_is_shown(log: Path) -> None:
    log.write_text("x" * 50_000 + "\n" + "y" * 16_300 + "\nlast\n")
    assert log_end(str(log)) == ("y" * 16_300, "last")
    log.write_text("x" * 50_000 + "\nlast")
    assert log_end(str(log)) == ("last",)
    log.write_text("x" * 50_000)  # one line, and who knows where it began
    assert set(log_end(str(log))[0]) == {"x"}


def test_bytes_that_are_no_text_and_colours_do_no_harm(log: Path) -> None:
    log.write_bytes(b"\xff\xfe bad\n\x1b[31mred\x1b[0m\n\x00\n10%\r20%\r30%\n")
    assert list(log_end(str(log))) == ["\udcff\udcfe bad", "red", "\x00", "30%"]


def test_what_is_no_regular_file_is_not_read(log: Path, tmp_path: Path) -> None:
    assert log_end(str(log)) == ()
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    log.symlink_to(secret)
    assert log_end(str(log)) == ()
    log.unlink()
    os.mkfifo(log)
    assert log_end(str(log)) == ()
    assert log_end("a\0b") == ()


def test_one_end_is_shown_once(log: Path) -> None:
    log.write_text("Traceback\nValueError: no data\n")
    told = Failures(UNICODE)
    first = list(told.below(item_of(a_run("a"), failed(1, 3, log=str(log))), NOW))
    second = list(told.below(item_of(a_run("b"), failed(2, 3, log=str(log))), NOW))
    assert first == ["    Traceback", "    ValueError: no data", f"  {log} · gpu_logs c0e101 · gpu_retry c0e101"]
    assert second == ["    (its log ends as that of a)", f"  {log} · gpu_logs c0c230 · gpu_retry c0c230"]
    again = list(told.below(item_of(a_run("a"), failed(1, 3, log=str(log))), NOW + 1))
    assert again == first  # it was retried, and failed the same way


def test_of_many_failures_in_a_minute_the_first_ones_have_their_logs_shown(tmp_path: Path) -> None:
    told = Failures(UNICODE)
    shown = []
    for number in range(SHOWN_A_MINUTE + 2):
        (tmp_path / f"{number}.log").write_text(f"error {number}\n")
        item = item_of(a_run(f"r{number}"), failed(number, 3, log=str(tmp_path / f"{number}.log")))
        shown.append(len(list(told.below(item, NOW + (60 if number > SHOWN_A_MINUTE else 0)))))
    assert shown == [2] * SHOWN_A_MINUTE + [1, 2]


def test_what_never_ran_has_no_log_and_nothing_to_copy(log: Path) -> None:
    assert list(Failures(UNICODE).below(item_of(a_run("a"), failed(1, 0, "refused", "")), NOW)) == []
    log.write_text("")
    (empty, _) = Failures(UNICODE).below(item_of(a_run("a"), failed(1, 3, log=str(log))), NOW)
    assert empty == "    (nothing can be read in its log)"


def test_the_line_that_says_why_and_a_path_are_not_cut(log: Path) -> None:
    log.write_text("a" * 100 + "\n" + "b" * 100 + "\n")
    told = list(Failures(UNICODE).below(item_of(a_run("a"), failed(1, 3, log=str(log))), NOW, 30))
    assert [len(line) for line in told[:2]] == [30, 104]
    assert str(log) in told[2]
