"""Several tries on one card: each has a part of its memory, and together they have no more than there is."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_queue.gpus.leases import Footprint, Lease, Leases, Room
from tests.gpus.gpu_builders import GIB, Try, end

CARD = "GPU-1"


def take(leases: Leases, holder: str, part: int | None, free: int = 80, shown: dict[str, int] | None = None) -> bool:
    """A part of the card in GiB, where so many are free and tries have shown so much."""
    shown_bytes = {name: size * GIB for name, size in (shown or {}).items()}
    return leases.take([CARD], holder, part and part * GIB, {CARD: Room(free * GIB, shown_bytes)})


def parts(leases: Leases) -> list[tuple[str, int | None]]:
    """Who has how many GiB of the card."""
    held = leases.look()[0].get(CARD, ())
    return [(one.claim, one.reserve_bytes and one.reserve_bytes // GIB) for one in held]


def test_tries_share_a_card_as_long_as_its_memory_suffices(leases: Leases, live_try: Try) -> None:
    assert take(leases, live_try("a"), 40)
    assert take(leases, live_try("b"), 30)
    assert not take(leases, live_try("c"), 11), "10 are left of the 80"
    assert take(leases, live_try("d"), 10)
    assert parts(leases) == [("a", 40), ("b", 30), ("d", 10)]


def test_what_a_try_has_shown_of_its_part_is_not_promised_twice(leases: Leases, live_try: Try) -> None:
    assert take(leases, live_try("a"), 40)
    assert not take(leases, live_try("b"), 40, free=45), "of the 35 that are used nobody knows whose they are"
    assert not take(leases, live_try("c"), 41, free=45, shown={"a": 35})
    assert take(leases, live_try("d"), 40, free=45, shown={"a": 35, "gone": 80}), "5 are still to come"


def test_a_try_that_has_outgrown_its_part_gives_nothing_back(leases: Leases, live_try: Try) -> None:
    assert take(leases, live_try("a"), 10)
    assert not take(leases, live_try("b"), 41, free=40, shown={"a": 40})
    assert take(leases, live_try("c"), 40, free=40, shown={"a": 40})


def test_a_whole_card_is_shared_with_nobody(leases: Leases, live_try: Try) -> None:
    whole, part = live_try("a"), live_try("b")
    assert take(leases, whole, None)
    assert not take(leases, part, 1)
    end(whole)
    assert take(leases, part, 1)
    assert not take(leases, live_try("c"), None)


def test_nobody_gets_a_part_of_a_card_of_which_he_knows_nothing(leases: Leases, live_try: Try) -> None:
    mine = live_try("a")
    assert not leases.take([CARD], mine, GIB)
    assert not leases.take([CARD, "GPU-2"], mine, GIB, {CARD: Room(GIB)})
    assert leases.holders() == {}


def test_a_try_that_takes_again_has_what_it_took_last_and_leaves_the_others(leases: Leases, live_try: Try) -> None:
    mine = live_try("a")
    assert take(leases, mine, 40)
    assert take(leases, live_try("b"), 30)
    assert take(leases, mine, 50)
    assert parts(leases) == [("b", 30), ("a", 50)]


def test_parts_of_tries_that_have_ended_are_free(leases: Leases, live_try: Try, tmp_path: Path) -> None:
    first, second = live_try("a"), live_try("b")
    assert take(leases, first, 40)
    assert take(leases, second, 40)
    end(second)
    assert parts(leases) == [("a", 40)]
    assert take(leases, live_try("c"), 40)
    end(first)
    assert parts(leases) == [("c", 40)]
    assert take(leases, live_try("d"), 40)
    names = [line for line in (tmp_path / "gpus" / CARD).read_text().split() if line.startswith("tries/")]
    assert names == ["tries/c", "tries/d"], "no file grows by what was once"


def held_for_an_earlier_version(root: Path) -> bool:
    """What those read that know of one try alone."""
    path = (root / "gpus" / CARD).read_text().split("\n")[0]
    with (root / path / "lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_agents_of_earlier_versions_take_a_shared_card_for_a_leased_one(
    leases: Leases, live_try: Try, tmp_path: Path
) -> None:
    first, second = live_try("a"), live_try("b")
    assert take(leases, first, 40)
    assert take(leases, second, 40)
    assert held_for_an_earlier_version(tmp_path)
    end(first)
    leases.tidy([CARD, "GPU-without-a-file"])
    assert held_for_an_earlier_version(tmp_path)
    assert parts(leases) == [("b", 40)]


def test_a_file_without_anybody_who_lives_is_left_as_it_is(leases: Leases, live_try: Try, tmp_path: Path) -> None:
    mine = live_try("a")
    assert take(leases, mine, 40)
    end(mine)
    before = (tmp_path / "gpus" / CARD).stat().st_mtime_ns
    leases.tidy([CARD])
    assert (tmp_path / "gpus" / CARD).stat().st_mtime_ns == before


def test_a_part_that_cannot_be_written_takes_none_from_the_others(
    leases: Leases, live_try: Try, tmp_path: Path
) -> None:
    assert take(leases, live_try("a"), 40)
    mine, rooms = live_try("b"), {CARD: Room(80 * GIB), "GPU-2": Room(80 * GIB)}
    (tmp_path / "gpus" / "GPU-2").mkdir()
    with pytest.raises(OSError, match="GPU-2"):
        leases.take([CARD, "GPU-2"], mine, GIB, rooms)
    (tmp_path / "gpus" / "GPU-2").rmdir()
    assert parts(leases) == [("a", 40)]


def test_a_crash_in_the_midst_of_a_change_loses_no_part(leases: Leases, live_try: Try, tmp_path: Path) -> None:
    """What is written anew is not there until it is whole."""
    assert take(leases, live_try("a"), 40)
    mine = live_try("b")
    killed = """
import os, signal, sys
from gpu_queue.gpus.leases import Leases, Room
os.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
Leases(sys.argv[1]).take(["GPU-1"], sys.argv[2], 1 << 30, {"GPU-1": Room(80 << 30)})
"""
    assert subprocess.run([sys.executable, "-c", killed, str(tmp_path), mine], check=False).returncode == -9
    assert parts(leases) == [("a", 40)]
    assert take(leases, mine, 1)
    assert parts(leases) == [("a", 40), ("b", 1)]
    assert set(leases.look()[0]) == {CARD}


def test_what_is_restored_is_there_whatever_else_is(leases: Leases, live_try: Try) -> None:
    first, second = live_try("a"), live_try("b")
    assert take(leases, first, 70)
    assert leases.restore([CARD], second, 70 * GIB), "it uses the card, whoever has promised too much of it"
    assert parts(leases) == [("a", 70), ("b", 70)]
    assert not take(leases, live_try("c"), 1)
    end(second)
    with pytest.raises(ValueError, match="lock is not held"):
        leases.restore([CARD], second)


def test_no_filler_sits_beside_parts_but_the_one_that_it_was_let_in_for(leases: Leases, live_try: Try) -> None:
    first, second = live_try("a"), live_try("b")
    assert take(leases, first, 10)
    assert take(leases, second, 10)
    assert leases.lock_filler(CARD, Footprint(0, 0), beside=first) is None
    end(second)
    place = leases.lock_filler(CARD, Footprint(0, 0), beside=first)
    assert place is not None
    os.close(place)


def test_a_card_has_no_more_tries_than_its_file_can_name(leases: Leases, live_try: Try, tmp_path: Path) -> None:
    first = live_try("a")
    assert take(leases, first, 1)
    entry = (tmp_path / "gpus" / CARD).read_text()
    (tmp_path / "gpus" / CARD).write_text(entry * ((1 << 16) // len(entry)))
    assert not take(leases, live_try("b"), 1, free=1 << 20)
    assert (tmp_path / "gpus" / CARD).stat().st_size <= 1 << 16


def test_tries_are_known_by_their_claims_under_any_path() -> None:
    assert Lease("/tmp/here/agents/x/tries/500-a.try1.ab", None).claim == "500-a.try1.ab"


RACER = """
import fcntl, os, sys
from gpu_queue.gpus.leases import Leases, Room
root, name, part = sys.argv[1:]
try_dir = f"{root}/{name}"
os.mkdir(try_dir)
fcntl.flock(os.open(f"{try_dir}/lock", os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)
leases = Leases(root)
print("ready", flush=True)
sys.stdin.readline()
rooms = {uuid: Room(80 << 30) for uuid in ("GPU-1", "GPU-2")}
print(int(leases.take(["GPU-1", "GPU-2"], try_dir, int(part) << 30, rooms)), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def racers(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes with a try each, of which each wants 30 GiB of two cards of 80."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path), f"try{number}", "30"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for number in range(5)
    ]
    yield started
    for one in started:
        one.kill()
        one.communicate()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def say_go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_many_that_want_parts_at_once_get_no_more_than_there_is(
    tmp_path: Path, racers: list[subprocess.Popen[str]]
) -> None:
    assert [hear(one) for one in racers] == ["ready"] * 5
    for one in racers:
        say_go(one)
    answers = [hear(one) for one in racers]
    assert sorted(answers) == ["0", "0", "0", "1", "1"]
    leases = Leases(str(tmp_path))
    held, _ = leases.look()
    assert {uuid: sum(one.reserve_bytes or 0 for one in some) for uuid, some in held.items()} == {
        "GPU-1": 60 * GIB,
        "GPU-2": 60 * GIB,
    }
    loser = racers[answers.index("1")]
    loser.kill()
    loser.wait()
    assert [len(some) for some in leases.look()[0].values()] == [1, 1], "the other one keeps its part"
