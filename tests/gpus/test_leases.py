"""Who holds which GPU on this node."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gpu_queue import locks as locks_module
from gpu_queue.gpus import leases as module
from gpu_queue.gpus.leases import UNTOLD, Footprint, Lease, Leases, Room
from gpu_queue.locks import is_alive
from tests.gpus.gpu_builders import GIB, Try, end

FILLER = Footprint(before_bytes=20 * GIB, most_bytes=49 * GIB)


def test_a_try_holds_the_gpus_that_it_took(leases: Leases, live_try: Try) -> None:
    mine = live_try("a")
    assert leases.take(["GPU-1", "MIG-2"], mine)
    assert leases.holders() == {"GPU-1": (mine,), "MIG-2": (mine,)}


def test_a_gpu_has_one_holder_and_a_try_gets_all_or_none(leases: Leases, live_try: Try, tmp_path: Path) -> None:
    mine, other = live_try("a"), live_try("b")
    assert leases.take(["GPU-1"], mine)
    assert not Leases(str(tmp_path)).take(["GPU-0", "GPU-1"], other)
    assert leases.holders() == {"GPU-1": (mine,)}


def test_a_try_may_take_again_what_it_has(leases: Leases, live_try: Try) -> None:
    mine = live_try("a")
    assert leases.take(["GPU-1"], mine)
    assert leases.take(["GPU-1", "GPU-2"], mine)
    assert set(leases.holders()) == {"GPU-1", "GPU-2"}


def test_a_try_that_could_not_be_given_all_holds_none(leases: Leases, live_try: Try, tmp_path: Path) -> None:
    mine, other = live_try("a"), live_try("b")
    (tmp_path / "gpus" / "GPU-2").symlink_to("nowhere")
    with pytest.raises(OSError, match="GPU-2"):
        leases.take(["GPU-1", "GPU-2"], mine)
    assert leases.holders() == {}
    assert leases.take(["GPU-1"], other)


def test_a_lease_says_how_much_of_a_card_it_reserves(leases: Leases, live_try: Try, tmp_path: Path) -> None:
    whole, part = live_try("a"), live_try("b")
    assert leases.take(["GPU-0"], whole)
    assert leases.take(["GPU-1", "GPU-2"], part, 8 << 30, dict.fromkeys(["GPU-1", "GPU-2"], Room(80 * GIB)))
    held, _ = leases.look()
    assert held == {
        "GPU-0": (Lease(whole, None),),
        "GPU-1": (Lease(part, 8 << 30),),
        "GPU-2": (Lease(part, 8 << 30),),
    }
    assert (tmp_path / "gpus" / "GPU-0").read_text() == "tries/a\nall\n"


def test_a_lease_holds_also_where_the_directory_has_another_path(
    leases: Leases, live_try: Try, tmp_path: Path
) -> None:
    assert leases.take(["GPU-0"], live_try("a"))
    # As in another container, where what is mounted here has another path, and this path is nothing.
    moved = tmp_path.with_name(f"{tmp_path.name}-moved")
    tmp_path.rename(moved)
    elsewhere = Leases(str(moved))
    assert elsewhere.holders() == {"GPU-0": (f"{moved}/tries/a",)}
    moved.rename(tmp_path)


def test_a_lease_of_an_earlier_version_names_the_whole_path(leases: Leases, live_try: Try, tmp_path: Path) -> None:
    mine = live_try("a")
    (tmp_path / "gpus" / "GPU-0").write_text(f"{mine}\nall\n")
    assert leases.holders() == {"GPU-0": (mine,)}


@pytest.mark.parametrize("rest", ["", "\n", "\n?\n", "\n-5\n", "\n\u0665\n", f"\n{'9' * 5000}\n"])
def test_a_lease_that_does_not_say_how_much_is_of_the_whole_card(
    leases: Leases, live_try: Try, tmp_path: Path, rest: str
) -> None:
    holder = live_try("a")
    (tmp_path / "gpus" / "GPU-0").write_text(f"{holder}{rest}")
    assert leases.look()[0] == {"GPU-0": (Lease(holder, None),)}


def test_a_dead_try_holds_nothing_and_its_gpu_can_be_taken(leases: Leases, live_try: Try) -> None:
    dead, next_one = live_try("a"), live_try("b")
    assert leases.take(["GPU-1"], dead)
    end(dead)
    assert leases.holders() == {}
    assert leases.take(["GPU-1"], next_one)
    assert leases.holders() == {"GPU-1": (next_one,)}


def test_a_try_whose_directory_is_gone_holds_nothing(leases: Leases, live_try: Try) -> None:
    mine = live_try("a")
    assert leases.take(["GPU-1"], mine)
    Path(mine, "lock").unlink()
    Path(mine).rmdir()
    assert leases.holders() == {}


def test_a_gpu_stays_with_a_process_that_inherited_the_lock(leases: Leases, tmp_path: Path) -> None:
    try_dir = tmp_path / "a"
    try_dir.mkdir()
    descriptor = os.open(try_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, pass_fds=[descriptor]) as shim:
        assert leases.take(["GPU-1"], str(try_dir))
        os.close(descriptor)  # the agent dies
        assert leases.holders() == {"GPU-1": (str(try_dir),)}
        shim.communicate()
    assert leases.holders() == {}


def test_a_try_must_hold_its_own_lock_before_it_takes(leases: Leases, live_try: Try) -> None:
    dead = live_try("a")
    end(dead)
    with pytest.raises(ValueError, match="lock is not held"):
        leases.take(["GPU-1"], dead)


def test_a_filler_holds_its_place_as_long_as_it_keeps_the_descriptor(leases: Leases) -> None:
    place = leases.lock_filler("GPU-1", FILLER)
    assert place is not None
    assert leases.fillers() == {"GPU-1": FILLER}
    assert leases.holders() == {}, "a filler is no lease"
    assert leases.lock_filler("GPU-1", FILLER) is None, "one filler on a GPU, whichever agent's"
    os.close(place)
    assert leases.fillers() == {}


def test_a_filler_tells_whose_memory_is_whose(leases: Leases, tmp_path: Path) -> None:
    place = leases.lock_filler("GPU-1", FILLER)
    assert place is not None
    others = Leases(str(tmp_path))
    told = others.fillers()["GPU-1"]
    assert told.others_bytes(20 * GIB) == 20 * GIB, "it has taken nothing yet"
    assert told.others_bytes(60 * GIB) == 20 * GIB, "its own comes on top of what was there"
    assert told.others_bytes(75 * GIB) == 26 * GIB, "more than it takes: somebody has come"
    leases.note_footprint("GPU-1", Footprint(before_bytes=0, most_bytes=48 * GIB))
    assert others.fillers()["GPU-1"].others_bytes(50 * GIB) == 2 * GIB, "measured by now"
    os.close(place)


def test_the_filler_of_an_agent_that_tells_nothing_may_have_it_all(leases: Leases, tmp_path: Path) -> None:
    place = locks_module.try_lock(str(tmp_path / "gpus" / "GPU-1.filler"))
    assert place is not None
    assert leases.fillers() == {"GPU-1": UNTOLD}
    assert UNTOLD.others_bytes(80 * GIB) == 0
    os.close(place)


def test_no_filler_begins_where_a_task_has_the_gpu(leases: Leases, live_try: Try) -> None:
    mine, other = live_try("a"), live_try("b")
    assert leases.take(["GPU-1"], mine)
    assert leases.lock_filler("GPU-1", FILLER) is None
    assert leases.lock_filler("GPU-1", FILLER, beside=other) is None
    end(mine)
    place = leases.lock_filler("GPU-1", FILLER)
    assert place is not None
    os.close(place)


def test_a_filler_may_sit_beside_the_task_that_it_was_let_in_for(leases: Leases, live_try: Try) -> None:
    mine = live_try("a")
    assert leases.take(["GPU-1"], mine)
    place = leases.lock_filler("GPU-1", FILLER, beside=mine)
    assert place is not None
    os.close(place)


def test_who_takes_a_gpu_sees_its_filler(leases: Leases, live_try: Try, tmp_path: Path) -> None:
    place = leases.lock_filler("GPU-1", FILLER)
    assert place is not None
    others = Leases(str(tmp_path))
    assert others.take(["GPU-1"], live_try("a")), "a filler keeps no task away"
    assert others.fillers() == {"GPU-1": FILLER}, "but it has to be waited for"
    os.close(place)


def test_two_who_look_at_once_do_not_take_each_other_for_the_holder(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    with lock.open() as other_probe:
        fcntl.flock(other_probe, fcntl.LOCK_SH)
        assert not is_alive(str(tmp_path))


def test_a_lock_that_cannot_be_asked_counts_as_held(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to("lock")
    assert is_alive(str(tmp_path))
    (tmp_path / "lock").unlink()
    assert not is_alive(str(tmp_path))


def test_nothing_changes_while_the_mutex_stays_busy(
    leases: Leases, live_try: Try, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BUSY_AFTER_S", 0.05)
    mine = live_try("a")
    with (tmp_path / "grant.lock").open("w") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        assert not leases.take(["GPU-1"], mine)
        assert leases.lock_filler("GPU-1", FILLER) is None
        assert leases.holders() == {}
    assert leases.take(["GPU-1"], mine)


def test_a_mutex_that_a_cleaner_removed_is_made_anew(leases: Leases, live_try: Try, tmp_path: Path) -> None:
    mine = live_try("a")
    mutex = tmp_path / "grant.lock"
    with mutex.open("w") as stale:
        fcntl.flock(stale, fcntl.LOCK_EX)
        cleaner = threading.Timer(0.1, mutex.unlink)
        cleaner.start()
        assert leases.take(["GPU-1"], mine)
        cleaner.join()


def test_a_mutex_that_was_replaced_while_it_was_locked_does_not_count(
    leases: Leases, live_try: Try, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = live_try("a")
    locked: list[int] = []
    flock = fcntl.flock

    def after_a_cleaner(descriptor: int, kind: int) -> None:
        if kind & fcntl.LOCK_EX:
            locked.append(os.fstat(descriptor).st_ino)
            if len(locked) == 1:
                (tmp_path / "grant.lock").unlink()
                (tmp_path / "grant.lock").touch()
        flock(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", after_a_cleaner)
    assert leases.take(["GPU-1"], mine)
    assert len(locked) == 2
    assert locked[1] == (tmp_path / "grant.lock").stat().st_ino != locked[0]


def test_a_mutex_whose_holder_was_killed_is_free(leases: Leases, live_try: Try, tmp_path: Path) -> None:
    mine = live_try("a")
    holder = """
import sys, time
from gpu_queue.gpus.leases import Leases
with Leases(sys.argv[1])._granting() as mine:
    print(mine, flush=True)
    time.sleep(60)
"""
    command = [sys.executable, "-c", holder, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        process.kill()
    assert leases.take(["GPU-1"], mine)


def test_a_lease_that_cannot_be_written_leaves_none_behind(leases: Leases, live_try: Try, tmp_path: Path) -> None:
    mine = live_try("a")
    (tmp_path / "gpus" / "GPU-2").mkdir()
    with pytest.raises(OSError, match="GPU-2"):
        leases.take(["GPU-1", "GPU-2"], mine)
    (tmp_path / "gpus" / "GPU-2").rmdir()
    assert leases.holders() == {}


def test_one_of_many_gets_a_gpu(tmp_path: Path) -> None:
    racer = """
import fcntl, os, sys
from gpu_queue.gpus.leases import Leases
root, name = sys.argv[1:]
try_dir = f"{root}/{name}"
os.mkdir(try_dir)
fcntl.flock(os.open(f"{try_dir}/lock", os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)
leases = Leases(root)
print("ready", flush=True)
sys.stdin.readline()
print(int(leases.take(["GPU-1", "GPU-2"], try_dir)), flush=True)
sys.stdin.readline()
"""
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", racer, str(tmp_path), f"try{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for number in range(4)
    ]
    assert [hear(one) for one in racers] == ["ready"] * 4
    for one in racers:
        say_go(one)
    assert sorted(hear(one) for one in racers) == ["0", "0", "0", "1"]
    assert len(Leases(str(tmp_path)).holders()) == 2
    for one in racers:
        one.communicate("\n")


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def say_go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
