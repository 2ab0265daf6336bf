"""Addresses are secrets: who may hold them, and what is taken out of what people are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_queue.notify.addresses import read_book

FILE = """
# mine
ops = slack://AAAAAAAAA/BBBBBBBBB/CCCCCCCCCCCC
ops   mailto://me:hunter22@example.org
Night-Shift = ntfy://topic
nonsense
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / ".config" / "gpu-queue" / "notify"
    path.parent.mkdir(parents=True)
    path.write_text(FILE)
    path.chmod(0o600)
    return tmp_path


def test_a_file_of_ones_own_is_read_and_a_wrong_line_named(home: Path) -> None:
    book = read_book({"HOME": str(home)})
    assert book.of("ops") == ("slack://AAAAAAAAA/BBBBBBBBB/CCCCCCCCCCCC", "mailto://me:hunter22@example.org")
    assert book.of("night-shift") == ("ntfy://topic",)
    assert book.of("other") == ()
    assert book.problems == (f"{home}/.config/gpu-queue/notify:6: expected LABEL = URL",)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_can_read_is_refused_as_a_whole(home: Path, mode: int) -> None:
    path = home / ".config" / "gpu-queue" / "notify"
    path.chmod(mode)
    book = read_book({"HOME": str(home)})
    assert book.labels == ()
    assert f"mode {mode:04o} lets others read" in book.problems[0]
    assert f"chmod 600 {path}" in book.problems[0]


def test_what_is_no_file_is_not_waited_for(home: Path) -> None:
    import os

    path = home / ".config" / "gpu-queue" / "notify"
    path.unlink()
    os.mkfifo(path, 0o600)
    assert "FIFO" in read_book({"HOME": str(home)}).problems[0]


def test_a_variable_goes_before_the_file(home: Path) -> None:
    said = {"HOME": str(home), "GPU_QUEUE_NOTIFY_OPS": "json://a/ json://b/", "GPU_QUEUE_NOTIFY_": "json://c/"}
    book = read_book(said)
    assert book.of("ops") == ("json://a/", "json://b/")
    assert book.labels == ("NIGHT_SHIFT", "OPS")


def test_addresses_and_what_stands_in_them_are_taken_out_of_texts(home: Path) -> None:
    book = read_book({"HOME": str(home)})
    log = "GET https://hub/x?token=1 CCCCCCCCCCCC hunter22 slack://AAAAAAAAA/B ok"
    assert book.scrubbed(log) == "GET [address] […] […] [address] ok"
    assert "hunter22" not in repr(book)


def test_the_language_is_the_locales_or_the_files(home: Path) -> None:
    assert read_book({"HOME": str(home), "LANG": "zh_CN.UTF-8"}).language == "zh"
    assert read_book({"HOME": str(home), "LC_ALL": "C", "LANG": "zh_CN.UTF-8"}).language == "en"
    (home / ".config" / "gpu-queue" / "notify").write_text("language = zh\n")
    assert read_book({"HOME": str(home)}).language == "zh"
