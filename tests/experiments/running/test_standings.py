"""What is told of a run's tries is what is written down of them."""

from __future__ import annotations

import json
from pathlib import Path

from gpu_queue.experiments.queueing import load_experiment
from gpu_queue.experiments.running.standings import Moment, Standings
from gpu_queue.experiments.specs.reading import read_experiment
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.snapshot.reader import SnapshotReader


def test_of_a_run_that_could_not_be_started_it_is_told_why(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text("jobs: {a: {run: x, cwd: nowhere}}\n")
    experiment = read_experiment(str(tmp_path / "jobs.yaml"))
    paths = SpoolPaths(str(tmp_path / "exp"))
    ((_, task),) = load_experiment(paths, experiment).queued
    spool = Path(paths.root)
    (spool / "pending" / str(task)).rename(spool / "failed" / str(task))
    end = {"try": 3, "token": "abcdef", "status": 255, "why": "nostart", "node": "n1"}
    told = {"outcome": "not started", "reason": "it could not be started 3 times", "problem": "cannot enter /x"}
    index = {"protocol": 1, "id": task.id, "tries": [{**end, "final": True, "ended_at": "2026-11-23T00:00:00Z"}]}
    (spool / "records" / f"{task.id}.tries.json").write_text(json.dumps(index))
    (spool / "records" / f"{task.id}.try3.abcdef.json").write_text(
        json.dumps({"protocol": 1, "id": task.id, **end, **told})
    )
    reader = SnapshotReader(paths)
    standings = Standings(paths, reader, {"a": experiment.runs[0]})
    found = standings.look(Moment(reader.refresh(0.0, everything=True), 0.0, 0.0), {"a": task.id or ""})
    assert found["a"].problem == "it could not be started 3 times: cannot enter /x"
