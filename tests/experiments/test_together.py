"""Two loads of one file at once: whatever the order of their steps, each run is queued once."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_queue.experiments import courtesy, known, queueing
from gpu_queue.experiments.known import Member, members
from gpu_queue.experiments.queueing import Loaded, load_experiment
from gpu_queue.experiments.specs.nouns import Experiment, Run
from gpu_queue.experiments.telling import notes
from gpu_queue.locks import try_lock
from gpu_queue.spool.desk import committing, entrance, find, steering
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.task import State

WITHIN_S = 60.0


class Loader(threading.Thread):
    """A load that stands still before each of its steps, until it is let go on."""

    def __init__(self, name: str, load: Callable[[], Loaded]) -> None:
        super().__init__(name=name, daemon=True)
        self.at = ""
        """The step before which it stands; ``end``: it has ended."""
        self.loaded: Loaded | None = None
        self.problem: BaseException | None = None
        self._load = load
        self._go, self._stands = threading.Semaphore(0), threading.Semaphore(0)

    def run(self) -> None:
        try:
            self.loaded = self._load()
        except BaseException as error:  # it is raised where it is waited for
            self.problem = error
        self.stand("end")

    def stand(self, step: str) -> None:
        self.at = step
        self._stands.release()
        if step != "end":
            self._go.acquire()

    def step(self) -> str:
        """Do the step that it stands before; returns the next one."""
        if self.is_alive() and self.at != "end":
            self._go.release()
        elif not self.at:
            self.start()
        else:
            return self.at
        assert self._stands.acquire(timeout=WITHIN_S)
        if self.problem is not None:
            raise self.problem
        return self.at

    def until(self, step: str, times: int = 1) -> None:
        """Go on until it stands before this step, for so many times."""
        for _ in range(times):
            while self.step() != step:
                assert self.at != "end"

    def end(self) -> Loaded:
        while self.step() != "end":
            pass
        assert self.loaded is not None
        return self.loaded


@contextmanager
def step_by_step() -> Iterator[None]:
    """Loads stand still before they list (``look``), take out (``cancel``), give ids (``publish``) and commit."""

    def stopping(step: str, does: Callable[..., Any]) -> Callable[..., Any]:
        def stands(*arguments: Any, **more: Any) -> Any:
            thread = threading.current_thread()
            if isinstance(thread, Loader):
                thread.stand(step)
            return does(*arguments, **more)

        return stands

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queueing, "alone", lambda _: nullcontext())  # they are on two machines
        patch.setattr(known, "look", stopping("look", find.look))
        patch.setattr(queueing, "cancel", stopping("cancel", steering.cancel))
        patch.setattr(entrance, "put_in", stopping("publish", entrance.put_in))
        patch.setattr(committing, "_linked", stopping("commit", committing._linked))
        yield


def a_run(base: Path, name: str, content: str = "1", **more: Any) -> Run:
    made = Run(name, "job", "g", f"#!/bin/sh\necho {content}\n", content, cwd="/", gpus="0")
    return replace(made, log=f"{base}/logs/{name}.log", **more)


def two(base: Path, runs: Sequence[Run], **wish: bool) -> tuple[SpoolPaths, Loader, Loader]:
    paths = SpoolPaths(str(base / "queue"))
    entrance.make(paths)
    experiment = Experiment(str(base / "f.yaml"), str(base / "f.yaml"), tuple(runs))
    first, second = (Loader(name, lambda: load_experiment(paths, experiment, **wish)) for name in ("one", "other"))
    return paths, first, second


def alive(paths: SpoolPaths) -> list[Member]:
    return [one for one in members(paths) if not one.was_cancelled]


def names(found: Sequence[Member]) -> list[str]:
    return sorted(one.part.name for one in found)


class Agent:
    """What an agent does, a rename at a time."""

    def __init__(self, paths: SpoolPaths) -> None:
        self._paths = paths
        self.started: set[str] = set()
        """Ids of what has run, if only for a moment."""
        os.makedirs(paths.running("n1"), exist_ok=True)

    def act(self, drawn: Random) -> None:
        found = {one.id: one for one in members(self._paths)}
        movable = [one for one in found.values() if one.state in (State.PENDING, State.RUNNING)]
        if not movable:
            return
        one = drawn.choice(movable)
        states = [found[upstream].state for upstream in one.after if upstream in found]
        if one.state is State.RUNNING:
            becomes = drawn.choice([State.DONE, State.DONE, State.FAILED, State.PENDING])
            self.move(one, becomes)
        elif State.FAILED in states:
            self.move(one, State.FAILED)
        elif all(state is State.DONE for state in states):
            self.move(one, State.RUNNING)

    def move(self, one: Member, to: State) -> None:
        if to is State.RUNNING:
            self.started.add(one.id)
        if to is State.FAILED:
            index = {"tries": [{"try": 1, "token": "abcdef", "status": 1, "why": None, "final": True}]}
            Path(self._paths.tries_index(one.id)).write_text(json.dumps(index))
        name = f"{one.task}.try1.abcdef" if to is State.RUNNING else str(one.task)
        directory = self._paths.running("n1") if to is State.RUNNING else self._paths.directory(to)
        os.rename(one.task.path(self._paths), f"{directory}/{name}")


# -- at a named step


def test_two_that_compare_before_either_publishes_leave_each_run_once(tmp_path: Path) -> None:
    with step_by_step():
        paths, one, other = two(tmp_path, [a_run(tmp_path, f"s{seed}") for seed in range(24)])
        one.until("publish")
        other.until("publish")
        assert len(one.end().queued) == 24
        loaded, first = other.end(), one.end()
    assert names(alive(paths)) == sorted(f"s{seed}" for seed in range(24))
    assert (len(loaded.queued), len(loaded.others)) == (0, 24)
    assert list(notes(loaded)) == ["another load queued 24 of the runs at the same time; its tasks stay"]
    assert loaded.ids == first.ids == {member.part.name: member.id for member in alive(paths)}
    for member in alive(paths):
        assert os.readlink(member.part.log) == paths.first_log(member.id), "the link leads to the log that will be"


def test_ids_that_were_given_first_count_though_they_are_published_last(tmp_path: Path) -> None:
    with step_by_step():
        paths, one, other = two(tmp_path, [a_run(tmp_path, "a"), a_run(tmp_path, "t", after=("a",))])
        one.until("commit")  # it has its ids
        other.until("publish")
        other.end()
        loaded = one.end()
    found = alive(paths)
    assert names(found) == ["a", "t"]
    assert {member.id for member in found} == {task.id for _, task in loaded.queued}


def test_what_has_started_is_kept_and_what_comes_after_it_comes_after_that_one(tmp_path: Path) -> None:
    with step_by_step():
        paths, one, other = two(
            tmp_path, [a_run(tmp_path, name) for name in "ab"] + [a_run(tmp_path, "t", after=("a", "b"))]
        )
        one.until("publish")
        other.until("commit")
        one.until("commit", 3)
        other.until("look")  # published all, with the earlier ids
        one.until("look")
        agent = Agent(paths)
        late = [member for member in members(paths) if member.part.name == "a"][-1]
        agent.move(late, State.RUNNING)
        one.end()
        other.end()
    found = {member.part.name: member for member in alive(paths)}
    assert Counter(names(alive(paths))) == {"a": 1, "b": 1, "t": 1}
    assert found["a"].id == late.id
    assert set(found["t"].after) == {found["a"].id, found["b"].id}


def test_where_both_have_started_both_go_on(tmp_path: Path) -> None:
    with step_by_step():
        paths, one, other = two(tmp_path, [a_run(tmp_path, "a")])
        for loader in (one, other):
            loader.until("publish")
        for loader in (one, other):
            loader.until("look")
        agent = Agent(paths)
        for member in members(paths):
            agent.move(member, State.RUNNING)
        one.end()
        other.end()
    assert [member.state for member in alive(paths)] == [State.RUNNING, State.RUNNING]


def test_what_was_done_before_the_double_of_it_was_published_is_not_run_again(tmp_path: Path) -> None:
    with step_by_step():
        paths, one, other = two(tmp_path, [a_run(tmp_path, "a")])
        other.until("publish")
        one.end()
        agent = Agent(paths)
        for state in (State.RUNNING, State.DONE):
            agent.move(members(paths)[0], state)
        assert [member.state for member in other.end().others] == [State.DONE]
    assert [member.state for member in alive(paths)] == [State.DONE]


def test_two_that_queue_once_more_what_was_done_queue_it_once(tmp_path: Path) -> None:
    with step_by_step():
        paths, first, _ = two(tmp_path, [a_run(tmp_path, "a")])
        first.end()
        agent = Agent(paths)
        for state in (State.RUNNING, State.DONE):
            agent.move(members(paths)[0], state)
        _, one, other = two(tmp_path, [a_run(tmp_path, "a")], again=True)
        one.until("publish")
        other.until("publish")
        one.end()
        other.end()
    assert [member.state for member in alive(paths)] == [State.DONE, State.PENDING]


def test_what_a_person_cancels_meanwhile_is_not_queued_again(tmp_path: Path) -> None:
    with step_by_step():
        paths, one, _ = two(tmp_path, [a_run(tmp_path, "a"), a_run(tmp_path, "t", after=("a",))])
        one.until("publish")
        one.until("look")
        task = members(paths)[0].task
        os.rename(task.path(paths), f"{paths.directory(State.FAILED)}/{task}")
        one.end()
    assert names(alive(paths)) == ["t"]


# -- any order


@given(st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_any_order_of_the_steps_of_two_loads_and_an_agent_leaves_each_run_once(seed: int) -> None:
    drawn = Random(seed)
    with TemporaryDirectory() as base, step_by_step():
        place = Path(base)
        runs = [a_run(place, "a"), a_run(place, "b", queue=drawn.choice([None, "q"])), a_run(place, "c", queue="q")]
        runs.append(a_run(place, "t", after=tuple(drawn.sample("abc", drawn.randint(1, 3)))))
        paths, *loaders = two(place, runs)
        agent, acts = Agent(paths), drawn.choice([0.0, 0.1, 0.4])
        while any(loader.at != "end" for loader in loaders):
            drawn.choice(loaders).step()
            if drawn.random() < acts:
                agent.act(drawn)
        found = alive(paths)
        assert set(names(found)) == {"a", "b", "c", "t"}
        going = Counter(one.part.name for one in found if one.state is not State.FAILED)
        waiting = [one for one in found if one.state is State.PENDING and one.id not in agent.started]
        assert all(going[one.part.name] == 1 for one in waiting), "what waits is the only one"
        ids = {one.id for one in found}
        for one in waiting:
            assert ids.issuperset(one.after), "it comes after what was not taken out"


# -- the courtesy


def test_on_one_machine_the_second_waits_for_the_first_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courtesy, "WAIT_S", 0.2)
    spool = str(tmp_path / "queue")
    path = courtesy.lock_of(spool)
    with courtesy.alone(spool):
        assert try_lock(path) is None, "it is held"
        with courtesy.alone(spool):
            pass  # it goes on without
        assert try_lock(path) is None, "whoever had none has freed none"
    assert not os.path.exists(path)


def test_without_a_place_for_the_lock_loading_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courtesy, "DIRECTORY", str(tmp_path / "missing"))
    with courtesy.alone(str(tmp_path)):
        pass
    assert os.listdir(tmp_path) == []
