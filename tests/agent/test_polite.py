"""A real agent on a server that others use: nothing of ours goes where a stranger is, and free cards are used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from tests.agent.harness import ROOT, Cluster, a_cluster, wait_until
from tests.agent.politeness import HIS, SHARED, Manners, Server, Stay, judge, run_among_others
from tests.fake_nvml import build

OTHERS_S = 9.0
ACT_AS_HIM = ["setpriv", "--reuid", str(HIS), "--regid", str(HIS), "--clear-groups"]

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can act as several users"
)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gpu-queue-nvml.") as directory:  # others load it too
        Path(directory).chmod(0o755)
        yield build(Path(directory))


@pytest.fixture
def base() -> Iterator[Path]:
    base = Path(tempfile.mkdtemp(prefix="gpu-queue-test."))  # pytest's own places are closed to others
    base.chmod(0o755)
    yield base
    shutil.rmtree(base, ignore_errors=True)


def among_others(
    base: Path, library: Path, seconds: float, people: Mapping[str, float]
) -> Generator[Manners, None, None]:
    """Tasks of ours as long as others come and go, again and again."""
    server = Server(base, library, cards=4)
    with a_cluster(base) as cluster:
        server.serve(cluster)
        while True:
            manners = run_among_others(cluster, server, seconds, 0.7, people, seed=time.time_ns() % 1000)
            print(f"\n{manners.text()}")
            assert not manners.impolite, "\n".join([*manners.impolite, cluster.dump()])
            yield manners


def test_nothing_is_placed_on_a_card_that_a_stranger_used_within_the_last_samples(base: Path, library: Path) -> None:
    rounds = among_others(base, library, OTHERS_S, {"there_s": 2.0, "away_s": 3.0, "rude": 0.7})
    with closing(rounds):
        seen = [next(rounds)]
        # Whether somebody leaves a card early enough is his lot.
        while not any(one.after_stranger_s for one in seen) and len(seen) < 5:
            seen.append(next(rounds))
    assert sum(one.tasks for one in seen) >= 5
    assert any(one.after_stranger_s for one in seen), "a card that became free is used"


@pytest.mark.soak
@pytest.mark.parametrize("people", [{"there_s": 3.0, "away_s": 6.0}, {"there_s": 30.0, "away_s": 60.0, "rude": 0.5}])
def test_nor_for_minutes(base: Path, library: Path, people: dict[str, float]) -> None:
    with closing(among_others(base, library, 180.0, people)) as rounds:
        assert next(rounds).tasks >= 60


def test_what_came_of_it_is_judged_by_who_was_there_when() -> None:
    him, ours = Stay(0, 10.0, 20.0), Stay(0, 21.0, 30.0)
    assert len(judge([him], [ours], 1, 40.0).impolite) == 1, "a second after he had gone"
    assert judge([him], [Stay(0, 25.0, 30.0)], 1, 40.0).impolite == ()
    assert judge([him], [Stay(1, 15.0, 16.0)], 2, 40.0).impolite == ()
    assert len(judge([him], [Stay(0, 11.0, 30.0)], 1, 40.0).impolite) == 1
    raced = judge([him], [Stay(0, 10.1, 30.0)], 1, 40.0)
    assert (raced.impolite, [round(one, 2) for one in raced.races_s]) == ((), [0.1])
    hidden, first, second = Stay(0, 9.99, 10.7), Stay(0, 10.0, 10.7), Stay(0, 10.76, 11.5)
    assert judge([hidden], [first, second], 1, 40.0).unseen == 1, "who had gone when the first was over"
    longer = replace(hidden, ends=10.76)
    assert len(judge([longer], [first, second], 1, 40.0).impolite) == 1, "who stayed longer than that"
    brief = Stay(0, 19.0, 19.1)
    assert judge([brief], [Stay(0, 20.0, 30.0)], 1, 40.0).unseen == 1, "who was there between two readings"
    gaps = judge([him], [Stay(0, 25.0, 30.0), Stay(0, 31.0, 40.0)], 1, 40.0)
    assert (gaps.after_stranger_s, gaps.after_own_s, gaps.free_s, gaps.used_s) == ((5.0,), (1.0,), 15.0, 14.0)


# -- two users, each with an agent ----------------------------------------------------------------------------------


def python_of_others() -> dict[str, str] | None:
    """A Python that other users may start, with what the agent needs, and the variables that it wants."""
    paths = os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])
    for program in (sys.executable, "/usr/bin/python3"):
        found = {"program": program, "PYTHONPATH": paths}
        needs = "import yaml, filelock, psutil, pynvml, watchdog, gpu_queue"
        words = [*ACT_AS_HIM, program, "-c", needs]
        if (
            subprocess.run(words, env={"PYTHONPATH": paths}, capture_output=True, cwd="/", check=False).returncode
            == 0
        ):
            return found
    return None


@contextmanager
def as_him() -> Iterator[None]:
    """What is made meanwhile is the other user's."""
    os.setegid(HIS)
    os.seteuid(HIS)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


class His(Cluster):
    """The spool and the agents of another user."""

    def __init__(self, base: Path, python: dict[str, str]) -> None:
        base.mkdir()
        os.chown(base, HIS, HIS)
        self._python = python
        with as_him():
            super().__init__(base)

    def command(self, *flags: str, simulate: str | None = "2") -> list[str]:
        _, *words = super().command(*flags, simulate=simulate)
        return [*ACT_AS_HIM, self._python["program"], *words]

    def environment(self, **more: str) -> dict[str, str]:
        return super().environment(PYTHONPATH=self._python["PYTHONPATH"], **more)


def test_two_agents_of_two_users_use_one_list_of_cards_and_neither_places_on_what_the_other_uses(
    base: Path, library: Path
) -> None:
    python = python_of_others()
    if python is None:
        pytest.skip("no Python here that other users may start")
    server = Server(base, library, cards=2)
    with a_cluster(base) as ours:
        his = His(base / "his", python)
        try:
            server.serve(ours)
            with as_him():
                Path(his.paths.config).write_text(SHARED)
            his.start(simulate=None, env=server.environment())
            for number, (first, second) in enumerate([(his, ours), (ours, his)]):
                for _ in range(2):
                    submit(first, server.task(2.0))
                wait_until(lambda: len(server.stays(0.0)) == 3 * number + 2, "tasks on both cards", dump=first.dump)  # noqa: B023
                submit(second, server.task(0.5))
                wait_until(lambda: len(server.stays(0.0)) == 3 * number + 3, "the third", 30)  # noqa: B023
            stays = server.stays(time.monotonic())
        finally:
            his.close()
    assert len(stays) == 6
    both = [(one, other) for one in stays for other in stays if one.card == other.card and _are_together(one, other)]
    assert not both, f"{both}\n{stays}"


def submit(cluster: Cluster, script: str) -> None:
    with as_him() if isinstance(cluster, His) else nullcontext():
        cluster.submit(script, gpus="1")


def _are_together(one: Stay, other: Stay) -> bool:
    return one.begins < other.begins < one.ends
