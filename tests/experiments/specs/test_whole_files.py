"""Whole experiment files, from the disk to their runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_queue.errors import BadExperimentFile
from gpu_queue.experiments.specs.reading import read_experiment

MULTI_SEED = """\
# yaml-language-server: $schema=./experiment.schema.json
version: 1
group: multi_seed
defaults: {gpus: 1, memory: 8G, time: 4h, retries: 1, skip_done: true}
jobs:
  train:
    name: "{dataset}_{algo}_s{seed}"
    matrix:
      dataset: [mnist, cifar10]
      algo: [fedavg, fedprox, scaffold, ours]
      seed: [0, 1, 2]
    run: python test.py --dataset {dataset} --algo {algo} --seed {seed}
    env: {OMP_NUM_THREADS: 4}
  table:
    after: [train]
    gpus: 0
    run: [python, scripts/aggregate.py, logs/multi_seed]
"""


def test_ten_lines_become_twenty_four_runs_and_a_table(tmp_path: Path) -> None:
    file = tmp_path / "jobs.yaml"
    file.write_text(MULTI_SEED)
    experiment = read_experiment(str(file))
    runs, table = experiment.runs[:-1], experiment.runs[-1]
    assert experiment.groups == ("multi_seed",)
    assert [run.name for run in runs][:4] == [
        "mnist_fedavg_s0",
        "mnist_fedavg_s1",
        "mnist_fedavg_s2",
        "mnist_fedprox_s0",
    ]
    assert len({run.name for run in runs}) == len({run.content for run in runs}) == 24
    first = runs[0]
    assert (first.gpus, first.memory, first.time, first.retries) == ("1", "8G", "4h", 1)
    assert first.params == (("dataset", "mnist"), ("algo", "fedavg"), ("seed", "0"))
    assert first.log == f"{tmp_path}/logs/multi_seed/mnist_fedavg_s0.log"
    assert first.cwd == str(tmp_path)
    assert "export OMP_NUM_THREADS=4\n" in first.script
    assert first.script.endswith("\npython test.py --dataset mnist --algo fedavg --seed 0\n")
    assert table.after == tuple(run.name for run in runs)
    assert (table.name, table.gpus) == ("table", "0")
    assert table.script.endswith("\nexec python scripts/aggregate.py logs/multi_seed\n")


def test_what_is_wrong_is_told_all_at_once_with_its_places(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("jobs:\n  train:\n    gpus: two\n    nme: x\n    run: python a.py --lr {lr}\n")
    with pytest.raises(BadExperimentFile) as caught:
        read_experiment(str(file))
    assert [one.removeprefix(str(file)) for one in caught.value.problems] == [
        ":3:11: gpus: expected N or N-M, for example 2 or 1-4, with M <= 1024, got 'two'",
        ":4:5: jobs.train: unknown key 'nme'; did you mean name?",
        ":5:10: run: {lr} is not known here; known: {group}, {job}, {name}",
    ]
