"""The worked example of document 000, as examples/shared has it, by a real agent: two of eight cards are
competed for, three queues, six tasks; the rules that the document lists."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from gpu_queue.experiments.commandfiles.loading import Load, load_files
from gpu_queue.experiments.commandfiles.reading import read_command_files
from gpu_queue.processes import get_all_processes, get_running_processes
from gpu_queue.spool.snapshot.reader import SnapshotReader
from tests.agent.harness import ROOT, Cluster, wait_until

QUEUES = {"1": "ab", "2": "cde", "3": "f"}
EXPERIMENTS = {"car 8": "a", "car 5": "b", "flower 15": "c", "flower 5": "d", "flower 3": "e", "bird 50": "f"}
CARDS = {4, 7}
SCRIPT = """#!/usr/bin/env bash
# run_pipeline.sh DATASET EXPERIMENT SECONDS --uni_id ID: in the place of the example's, until it is told its status
here=$(cd -- "$(dirname -- "$0")/.." && pwd)
echo "begin $1 $2 $5 $CUDA_VISIBLE_DEVICES" >>"$here/told"
until [ -e "$here/$1-$2" ]; do sleep 0.02; done
read -r status <"$here/$1-$2"
rm -- "$here/$1-$2"
[ "$status" = 0 ] || echo "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB"
echo "end $1 $2 $5 $CUDA_VISIBLE_DEVICES" >>"$here/told"
exit "$status"
"""


class Example:
    """The server of the example; its tasks run until they are told to end."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._work = cluster.base / "work"
        (self._work / "scripts").mkdir(parents=True)
        (self._work / "scripts/run_pipeline.sh").write_text(SCRIPT)
        shutil.copy(ROOT / "examples/shared/config.yaml", cluster.paths.config)
        cluster.start(simulate="8x24G", keepalive=True)
        files = read_command_files([str(ROOT / "examples/shared/command/command_gpu.txt")])
        tasks = load_files(cluster.paths, Load(tuple(files), work_dir=str(self._work))).tasks
        self.tasks = dict(zip("abcdef", tasks, strict=True))
        self._reader = SnapshotReader(cluster.paths)
        self._uni_ids = str(Path(cluster.paths.root, "uni_id.json"))

    def told(self) -> list[tuple[str, str, str, int]]:
        """What the scripts have told: whether one begins or ends, which, its uni_id, its card."""
        path = self._work / "told"
        lines = path.read_text().splitlines() if path.exists() else []
        words = [line.split() for line in lines]
        return [(word, EXPERIMENTS[f"{data} {number}"], uni, int(card)) for word, data, number, uni, card in words]

    def running(self) -> dict[str, tuple[str, int]]:
        """Which tasks run by their own word: uni_id and card of each."""
        found: dict[str, tuple[str, int]] = {}
        for word, name, uni_id, card in self.told():
            if word == "begin":
                assert name not in found, f"{name} runs twice"
                found[name] = (uni_id, card)
            else:
                del found[name]
        return found

    def runs(self, count: int) -> dict[str, tuple[str, int]]:
        """Those that run, when they are so many."""
        wait_until(lambda: len(self.running()) == count, f"{count} running", 20.0, self.cluster.dump)
        return self.running()

    def end(self, name: str, status: int = 0) -> None:
        ended = len(self.told()) + 1
        data, number = next(key for key, value in EXPERIMENTS.items() if value == name).split()
        hidden = self._work / ".status"
        hidden.write_text(f"{status}\n")
        hidden.rename(self._work / f"{data}-{number}")
        wait_until(lambda: len(self.told()) >= ended, f"the end of {name}", 20.0, self.cluster.dump)

    def uni_ids(self) -> dict[str, dict[str, Any]]:
        return get_all_processes(self._uni_ids)

    def alive(self, uni_ids: set[str]) -> None:
        """Wait until these, and no others, are told as processes that run."""
        wait_until(lambda: set(get_running_processes(self._uni_ids)) == uni_ids, "pids", 20.0, self.cluster.dump)

    def shows(self, queues: dict[str, tuple[bool, int, int, int]]) -> None:
        """Wait until each queue is told so: whether it is busy; pending, running, completed."""

        def told() -> dict[str, tuple[bool, int | None, int | None, int | None]]:
            seen = self._reader.refresh(time.monotonic()).queues
            return {one.queue[-1]: (one.is_busy, one.pending, one.running, one.done) for one in seen}

        wait_until(lambda: told() == queues, f"{queues}", 20.0, lambda: f"{told()}\n{self.cluster.dump()}")

    def waits(self, name: str, *codes: str) -> None:
        """Wait until it is told that a task waits for such a reason."""

        def told() -> set[str]:
            waiting = [one for node in self.cluster.nodes() for one in node["waiting"]["why"]]
            return {one["code"] for one in waiting if str(self.tasks[name].id) in one["name"]}

        wait_until(lambda: told() and told() <= set(codes), f"why {name} waits", 20.0, self.cluster.dump)


def queue_of(name: str) -> str:
    return next(queue for queue, names in QUEUES.items() if name in names)


def rules_hold(example: Example, done: list[str], failed: list[str]) -> list[str]:
    """Look at a round, when all has started that may; what runs in it."""
    heads = [next(name for name in names if name not in done) for names in QUEUES.values() if {*names} - {*done}]
    running = example.runs(min(len(CARDS), len(heads)))
    # 1, 2: inside a queue serial, so that one that failed is its first still; across queues in parallel.
    assert set(running) <= set(heads)
    # 3, 5: none is given what another has got a moment ago, or has.
    cards = [card for _, card in running.values()]
    assert len(set(cards)) == len(cards)
    assert set(cards) <= CARDS
    # 4: a start is confirmed by a process that is there, under its uni_id.
    example.alive({uni_id for uni_id, _ in running.values()})
    records = example.uni_ids()
    assert {name: records[uni_id]["state"] for name, (uni_id, _) in running.items()} == dict.fromkeys(
        running, "running"
    )
    assert {name: records[uni_id]["retry_count"] for name, (uni_id, _) in running.items()} == {
        name: failed.count(name) for name in running
    }
    queues = {}
    for queue, names in QUEUES.items():
        runs, ended = len({*names} & {*running}), len({*names} & {*done})
        is_kept = any(name in failed and name not in done for name in names)  # 9: busy until that one succeeded
        queues[queue] = (bool(runs) or is_kept, len(names) - runs - ended, runs, ended)
    example.shows(queues)
    # 6: what waits has no card yet: for one of those waits the head of a queue, the rest for its queue.
    for name in sorted({*"abcdef"} - {*done} - {*running}):
        example.waits(name, *(("gpus", "behind") if name in heads else ("queue",)))
    return sorted(running)


def test_each_rule_of_the_document_holds_from_the_first_round_to_the_last(cluster: Cluster) -> None:
    example = Example(cluster)
    done: list[str] = []
    failed: list[str] = []
    while len(done) < len(example.tasks):
        name = rules_hold(example, done, failed)[0]
        if not failed and name != "f":  # something is to come after it
            failed.append(name)
            example.end(name, 1)
        else:
            done.append(name)
            example.end(name)
    for task in example.tasks.values():
        cluster.wait_for(str(task.id), "done")
    began = [name for word, name, _, _ in example.told() if word == "begin"]
    assert sorted(began) == sorted([*"abcdef", *failed]), "each once, but for the one that failed"
    for names in QUEUES.values():
        assert [name for name in dict.fromkeys(began) if name in names] == list(names)
    example.alive(set())

    def ends() -> list[str]:
        told = example.uni_ids().values()
        return sorted(f"{one['state']} {one.get('error_type', '')}".strip() for one in told)

    expected = ["abnormal_exit oom", *["normal_exit"] * 6]
    wait_until(lambda: ends() == expected, f"{expected}", 20.0, cluster.dump)
