"""File events: what is whole when the event comes, what is nobody's news, and what holds nothing back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_queue.node.hints import Hints
from tests.unit.test_docs import ROOT

PATIENCE_S = 20.0


class Listener:
    """Hints of one directory, and whoever is woken by them."""

    def __init__(self, directory: Path) -> None:
        self.woken = threading.Event()
        self.hints = Hints(self.woken.set)
        directory.mkdir()
        self.directory = directory
        assert self.hints.add([str(directory)]) == ""

    def heard(self, count: int) -> list[tuple[str, bool]]:
        """The next names, and whether their writers have finished with them."""
        found: list[tuple[str, str, bool]] = []
        while len(found) < count:
            assert self.woken.wait(PATIENCE_S), f"nobody was woken; so far: {found}"
            self.woken.clear()
            found += self.hints.read()
        assert {directory for directory, _, _ in found} == {str(self.directory)}
        return [(name, is_whole) for _, name, is_whole in found]


@pytest.fixture
def listener(tmp_path: Path) -> Listener:
    return Listener(tmp_path / "watched")


def test_a_file_is_whole_when_its_writer_closes_it_and_not_when_it_begins(listener: Listener) -> None:
    with (listener.directory / "x.sh").open("w") as file:
        assert listener.heard(1) == [("x.sh", False)]
        file.write("true\n")
    assert listener.heard(1) == [("x.sh", True)]


def test_a_file_that_is_renamed_into_place_is_whole(listener: Listener, tmp_path: Path) -> None:
    (tmp_path / "x.sh").write_text("true\n")
    (tmp_path / "x.sh").rename(listener.directory / "x.sh")
    (listener.directory / "x.sh").rename(listener.directory / "y.sh")
    assert listener.heard(2) == [("x.sh", True), ("y.sh", True)]


def test_what_is_on_its_way_and_the_answers_of_agents_are_no_news(listener: Listener) -> None:
    for name in (".x.sh", "20260101T000000000-abcdef.n1.ack"):
        (listener.directory / name).write_text("x")
    (listener.directory / "control").mkdir()
    assert listener.heard(1) == [("control", False)]


def test_a_file_that_leaves_is_no_news_and_holds_nothing_back(listener: Listener, tmp_path: Path) -> None:
    def told_after_s(number: int) -> float:
        (listener.directory / "claimed").touch()
        listener.heard(2)
        (listener.directory / "claimed").rename(tmp_path / "running")
        begun = time.monotonic()
        (listener.directory / f"next{number}").mkdir()
        assert listener.heard(1) == [(f"next{number}", False)]
        return time.monotonic() - begun

    # Pairing the halves of a rename would take half a second each time; a busy machine is not slow five times.
    assert min(told_after_s(number) for number in range(5)) < 0.25


def test_a_file_that_is_removed_is_news_where_that_was_asked_for(listener: Listener, tmp_path: Path) -> None:
    """Who resumes a paused spool removes a file."""
    (tmp_path / "root").mkdir()
    assert listener.hints.add([str(tmp_path / "root")], removals=True) == ""
    for directory in (listener.directory, tmp_path / "root"):
        (directory / "paused").mkdir()
        (directory / "paused").rmdir()
        (directory / "draining").mkdir()
    found: list[tuple[str, str]] = []
    while len(found) < 5:
        assert listener.woken.wait(PATIENCE_S), found
        listener.woken.clear()
        found += [(os.path.basename(directory), name) for directory, name, _ in listener.hints.read()]
    assert [name for directory, name in found if directory == "root"] == ["paused", "paused", "draining"]
    assert [name for directory, name in found if directory != "root"] == ["paused", "draining"]


def test_names_of_any_bytes_and_many_events_at_once_are_told_in_order(listener: Listener) -> None:
    names = [os.fsdecode(b"\xff\xfe"), "two\nlines", "x" * 255, *map(str, range(50))]
    for name in names:
        os.mkdir(listener.directory / name)
    assert listener.heard(len(names)) == [(name, False) for name in names]
    assert listener.hints.read() == []


def test_what_lies_below_a_watched_directory_is_not_looked_at(listener: Listener) -> None:
    (listener.directory / "below").mkdir()
    assert listener.heard(1) == [("below", False)]
    (listener.directory / "below" / "deep").mkdir()
    (listener.directory / "beside").mkdir()
    assert listener.heard(1) == [("beside", False)]


def test_of_moves_only_those_that_are_awaited_wake_anyone_and_nothing_else_is_heard(
    listener: Listener, tmp_path: Path
) -> None:
    asked: list[tuple[str, str]] = []
    ends = tmp_path / "ends"
    ends.mkdir()

    def is_awaited(directory: str, name: str) -> bool:
        asked.append((directory, name))
        return name.endswith("awaited")

    assert listener.hints.add_moves([str(ends)], is_awaited) == ""
    listener.directory = ends
    for name in ("other", "also awaited", "awaited"):
        (ends / f"{name} and written").write_text("x")
        (tmp_path / name).write_text("x")
        (tmp_path / name).rename(ends / name)
    assert listener.heard(2) == [("also awaited", True), ("awaited", True)]
    assert asked == [(str(ends), name) for name in ("other", "also awaited", "awaited")]


def test_a_directory_that_cannot_be_watched_is_named_with_the_reason(listener: Listener, tmp_path: Path) -> None:
    (tmp_path / "later").mkdir()
    assert listener.hints.add([str(tmp_path / "nowhere"), str(tmp_path / "later")]) == (
        f"file events are off for {tmp_path / 'nowhere'}: No such file or directory"
    )


def test_a_directory_that_is_removed_leaves_no_thread_and_may_be_added_again(listener: Listener) -> None:
    threads = threading.active_count()
    listener.directory.rmdir()
    deadline = time.monotonic() + PATIENCE_S
    while threading.active_count() >= threads:
        assert time.monotonic() < deadline, "the thread of a removed directory has not ended"
        time.sleep(0.005)
    listener.directory.mkdir()
    assert listener.hints.add([str(listener.directory)]) == ""
    (listener.directory / "x.sh").mkdir()
    assert listener.heard(1) == [("x.sh", False)]


def test_no_task_inherits_the_descriptors_of_file_events(listener: Listener) -> None:
    there = subprocess.run(
        ["sh", "-c", "ls -l /proc/self/fd"], close_fds=False, capture_output=True, text=True, check=True
    )
    assert "pipe:" in there.stdout
    assert "inotify" not in there.stdout


Stranger = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def stranger(tmp_path: Path) -> Stranger:
    """Another process: the limits of file events are the process's, and a flood is one while nobody reads."""

    def start(code: str) -> subprocess.Popen[str]:
        preamble = "import os, resource, sys, threading\nfrom gpu_queue.node.hints import Hints\n"
        return subprocess.Popen(
            [sys.executable, "-c", preamble + code],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


def test_without_descriptors_left_file_events_are_off_and_the_reason_is_said(stranger: Stranger) -> None:
    code = """
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
print(Hints(lambda: None).add(["."]))
"""
    with stranger(code) as process:
        assert process.communicate(timeout=PATIENCE_S)[0] == (
            "file events are off for .: inotify instance limit reached\n"
        )


def test_a_flood_of_which_events_are_lost_ends_nothing_and_is_not_talked_about(
    stranger: Stranger, tmp_path: Path
) -> None:
    code = """
os.mkdir("watched")
woken = threading.Event()
hints = Hints(woken.set)
assert not hints.add(["watched"])
print("ready", flush=True)
heard = 0
while woken.wait(60):
    woken.clear()
    for _, name, _ in hints.read():
        heard += 1
        if name.startswith("after"):
            print(heard, flush=True)
            sys.exit()
"""
    with stranger(code) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        for number in range(20_000):  # the kernel keeps some 16,000
            os.mkdir(tmp_path / "watched" / str(number))
        process.send_signal(signal.SIGCONT)
        number = 0
        while process.poll() is None:
            os.mkdir(tmp_path / "watched" / f"after{number}")  # one of them comes when there is room again
            number += 1
            time.sleep(0.02)
        assert 0 < int(process.stdout.read()) < 20_000
