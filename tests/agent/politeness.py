"""A shared server with other people on it, and what came of it: who was on a card when, ours and others."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from gpu_queue.scheduling.tenancy import EVERY_S, SAMPLES
from tests.agent.harness import Cluster
from tests.fake_nvml import FakeGpu, Scenario, environment

HIS = 54323
SHARED = "use_all_gpus: true\nmin_memory: 30000\n"
LAST_SAMPLES_S = (SAMPLES - 1) * EVERY_S
RACE_S = 0.5
"""Nobody sees who comes while a task is being started: from the last reading to its first line."""
TURN_S = 0.05
"""An agent hears of its task's end, and looks at the card."""


@dataclass(frozen=True)
class Stay:
    """Somebody's process on a card."""

    card: int
    begins: float
    ends: float


@dataclass(frozen=True)
class Manners:
    """How tasks of ours behaved among others."""

    tasks: int
    impolite: tuple[str, ...]
    """Each task that was placed on a card that a stranger used within the last samples."""
    races_s: tuple[float, ...]
    """Of tasks on whose card a stranger came in the moment of their start: how long before their first line."""
    unseen: int
    """Tasks before which a stranger was there only while one of ours had the card, so that no reading shows him."""
    after_stranger_s: tuple[float, ...]
    """From a stranger's leave to our next start on the card, if nobody came in between."""
    after_own_s: tuple[float, ...]
    """The same from the end of a task of ours."""
    free_s: float
    """In which cards were free of others."""
    used_s: float
    """And of that, in which we used them."""

    def text(self) -> str:
        """For people."""
        races = f"{len(self.races_s)} races (at most {max(self.races_s, default=0):.2f} s)"
        share = round(100 * self.used_s / self.free_s)
        return (
            f"{self.tasks} tasks, {len(self.impolite)} impolite, {races}, {self.unseen} unseen; "
            f"to the next start on a card after a stranger: {_told(self.after_stranger_s)}, after a task of ours: "
            f"{_told(self.after_own_s)}; of the {self.free_s:.0f} s without others ours used {share} %"
        )


def _told(seconds: Sequence[float]) -> str:
    return f"median {median(seconds):.2f} s, most {max(seconds):.2f} s ({len(seconds)})" if seconds else "none"


class Server:
    """Cards that a fake driver shows, and a directory in which processes say what they use of them."""

    def __init__(self, base: Path, library: Path, cards: int) -> None:
        self.tenants, self.events, self.ours = base / "tenants", base / "events", base / "ours"
        self.tenants.mkdir()
        self.tenants.chmod(0o777)
        self.events.touch()
        self.events.chmod(0o666)
        self.ours.touch()
        self.ours.chmod(0o666)
        gpus = [FakeGpu(f"GPU-{index}", reserved=0) for index in range(cards)]
        self.scenario = Scenario(base / "scenario", gpus, tenants=str(self.tenants))
        self.scenario.path.chmod(0o644)
        self.cards = cards
        self._library = library
        self._log_calls(base)

    def _log_calls(self, base: Path) -> None:
        calls = base / "scenario.calls"
        calls.touch()
        calls.chmod(0o666)

    def serve(self, cluster: Cluster, config: str = SHARED) -> None:
        """Start an agent."""
        Path(cluster.paths.config).write_text(config)
        cluster.start(simulate=None, env=self.environment())

    def environment(self) -> dict[str, str]:
        return environment(self._library, self.scenario)

    def task(self, seconds: float, used: str = "$((20 << 30))") -> str:
        """A script that uses its card for so long, and says when."""
        return (
            f'card=$CUDA_VISIBLE_DEVICES\necho "$(cut -d" " -f1 /proc/uptime) begins $card $$" >>"{self.ours}"\n'
            f'echo "{used} 90" >"{self.tenants}/.$card.$$"\nmv "{self.tenants}/.$card.$$" "{self.tenants}/$card.$$"\n'
            f'sleep {seconds}\necho "$(cut -d" " -f1 /proc/uptime) ends $card $$" >>"{self.ours}"\n'
            f'rm -f "{self.tenants}/$card.$$"\n'
        )

    @contextmanager
    def others(self, seed: int, manners: Mapping[str, float]) -> Iterator[None]:
        """Other users are on the cards meanwhile; see the options of ``other_users.py`` for what they may do."""
        options = [word for name, value in manners.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        program = Path(__file__).with_name("other_users.py")
        copy = self.tenants.parent / "other_users.py"  # the checkout may be closed to others
        shutil.copyfile(program, copy)
        copy.chmod(0o644)
        words = ["setpriv", "--reuid", str(HIS), "--clear-groups", "/usr/bin/python3", str(copy)]
        process = subprocess.Popen(
            [*words, str(self.tenants), str(self.events), "--cards", str(self.cards), "--seed", str(seed), *options],
            stdin=subprocess.PIPE,
        )
        try:
            yield
        finally:
            assert process.poll() is None, "the others have gone too early"
            process.communicate(b"\n", 20)

    def judge(self, until: float) -> Manners:
        """What came of it."""
        return judge(_stays(self.events, until), self.stays(until), self.cards, until)

    def stays(self, until: float) -> list[Stay]:
        """Those of tasks."""
        return _stays(self.ours, until)


def run_among_others(
    cluster: Cluster, server: Server, seconds: float, task_s: float, manners: Mapping[str, float] | None, seed: int
) -> Manners:
    """Serve as many tasks as there is room for, as long as others come and go.

    Args:
        cluster: with an agent of the policy ``shared`` on that server.
        server: the cards.
        seconds: how long.
        task_s: how long each task takes.
        manners: what the others may do; None: there are none.
        seed: of the others' chance.
    """
    with server.others(seed, manners) if manners is not None else nullcontext():
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until:
            while len(cluster.names("pending")) < 2 * server.cards:
                cluster.submit(server.task(task_s), gpus="1")
            time.sleep(0.1)  # the pace of looking
        return server.judge(now)


def _stays(path: Path, until: float) -> list[Stay]:
    open_: dict[str, tuple[int, float]] = {}
    found = []
    for line in path.read_text().splitlines():
        at, what, card, pid = line.split()
        if what in ("arrives", "begins"):
            open_[pid] = int(card), float(at)
        elif pid in open_:
            found.append(Stay(*open_.pop(pid), float(at)))
    return found + [Stay(card, begins, until) for card, begins in open_.values()]


def judge(others: Sequence[Stay], ours: Sequence[Stay], cards: int, until: float) -> Manners:
    """What came of it.  Pure.

    Args:
        others: the strangers.
        ours: our tasks.
        cards: how many cards there are.
        until: the end of it.
    """
    impolite, races, unseen = [], list[float](), 0
    for one in ours:
        for him in others:
            if him.card != one.card or him.begins > one.begins or him.ends < one.begins - LAST_SAMPLES_S:
                continue
            if one.begins - him.begins < RACE_S:
                races.append(one.begins - him.begins)
            elif _is_hidden(him, ours):
                unseen += 1
            else:
                impolite.append(f"card {one.card}: {one}, {him}; ours there: {_near(ours, one)}")
    after_stranger, after_own = list[float](), list[float]()
    free_s = used_s = 0.0
    for card in range(cards):
        his, mine = [one for one in others if one.card == card], [one for one in ours if one.card == card]
        for one in mine:
            before = [stay.ends for stay in (*his, *mine) if stay.begins < one.begins and stay is not one]
            if before and max(before) <= one.begins:
                gap_s = one.begins - max(before)
                (after_stranger if max(before) in {stay.ends for stay in his} else after_own).append(gap_s)
        begun = min((one.begins for one in mine), default=until)
        free_s += (until - begun) - _covered(his, begun, until)
        used_s += _covered([*his, *mine], begun, until) - _covered(his, begun, until)
    return Manners(
        len(ours),
        tuple(impolite),
        tuple(races),
        unseen,
        tuple(after_stranger),
        tuple(after_own),
        max(free_s, 1e-9),
        used_s,
    )


def _is_hidden(him: Stay, ours: Sequence[Stay]) -> bool:
    """Whether no reading can show him: he was there for less than from one to the next, as at a round's end.

    Or he came when a task of ours was starting or there already, and had gone when it was over.
    """
    return him.ends - him.begins < EVERY_S or any(
        one.card == him.card and one.begins - RACE_S < him.begins and him.ends < one.ends + TURN_S for one in ours
    )


def _near(stays: Sequence[Stay], one: Stay) -> list[Stay]:
    return [stay for stay in stays if stay.card == one.card and abs(stay.begins - one.begins) < 10.0]


def _covered(stays: Sequence[Stay], begin: float, until: float) -> float:
    reached, sum_s = begin, 0.0
    for one in sorted(stays, key=lambda stay: stay.begins):
        begins, ends = max(one.begins, reached), min(one.ends, until)
        if ends > begins:
            sum_s += ends - begins
            reached = ends
    return sum_s
