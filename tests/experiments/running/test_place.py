"""The queue beside an experiment file: whose it may be."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from gpu_queue.errors import SpoolError
from gpu_queue.experiments.queueing import load_experiment
from gpu_queue.experiments.running.place import check_origin, check_owner, make_place, own_spool
from gpu_queue.experiments.specs.reading import read_experiment
from gpu_queue.task import State

STRANGER = 48_001


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "f.yaml"
    made.write_text("")
    return made


def test_a_queue_of_our_own_or_none_is_fine(file: Path) -> None:
    paths = own_spool(str(file))
    check_owner(paths, str(file))
    make_place(paths)
    os.mkdir(paths.root)
    check_owner(paths, str(file))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("is_whole", [False, True])
def test_a_queue_that_somebody_else_has_put_there_is_refused(is_whole: bool, file: Path) -> None:
    paths = own_spool(str(file))
    make_place(paths)
    os.mkdir(paths.root)
    os.chown(os.path.dirname(paths.root) if is_whole else paths.root, STRANGER, -1)
    with pytest.raises(SpoolError, match=f"is the user {STRANGER}'s; run a copy of the file.* or give --job-id"):
        check_owner(paths, str(file))
    os.chown(file, STRANGER, -1)
    check_owner(paths, str(file))  # whoever owns the file says anyhow what is run


def test_a_queue_that_was_copied_with_what_waits_in_it_is_not_run_a_second_time(tmp_path: Path) -> None:
    file, copied = tmp_path / "one" / "f.yaml", tmp_path / "two" / "f.yaml"
    file.parent.mkdir()
    file.write_text("jobs: {a: {run: a}, b: {run: b}}")
    paths = own_spool(str(file))
    check_origin(paths, str(file))
    load_experiment(paths, read_experiment(str(file)))
    check_origin(paths, str(file))
    shutil.copytree(file.parent, copied.parent, symlinks=True)
    with pytest.raises(SpoolError, match=f"copied or moved here with 2 tasks of {file}.* remove this directory"):
        check_origin(own_spool(str(copied)), str(copied))
    there = own_spool(str(copied))
    for name in os.listdir(there.directory(State.PENDING)):
        os.rename(f"{there.directory(State.PENDING)}/{name}", f"{there.directory(State.DONE)}/{name}")
    check_origin(there, str(copied))


def test_a_full_disk_is_told_of_and_leaves_nothing_half_made(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    paths = own_spool(str(file))
    monkeypatch.setattr(os, "write", is_full)
    with pytest.raises(SpoolError, match=r"\.gitignore: cannot be written: No space left"):
        make_place(paths)
    monkeypatch.undo()
    make_place(paths)
    assert (file.parent / ".gpu-queue" / ".gitignore").read_text() == "*\n"
