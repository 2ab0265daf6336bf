"""What becomes of a job: names, defaults, directories, scripts that bash runs, and what a run is known by."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from gpu_queue.errors import BadExperimentFile
from gpu_queue.experiments.specs.expanding import Surroundings
from gpu_queue.experiments.specs.nouns import Place, Run, has_same_result
from gpu_queue.experiments.specs.parsing import parse_experiment
from gpu_queue.scripts.reader import read

HERE = Surroundings("/home/ann/p", "jobs.yaml", "/home/ann")


def runs_of(text: str, where: Surroundings = HERE) -> dict[str, Run]:
    return {run.name: run for run in parse_experiment(text.encode(), where, "jobs.yaml")}


def run_of(text: str, where: Surroundings = HERE) -> Run:
    (run,) = runs_of(f"jobs: {{a: {{{text}}}}}", where).values()
    return run


def done(script: str, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    file = directory / "script"
    file.write_text(script)
    return subprocess.run(
        ["bash", str(file)],
        cwd=directory,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


# -- names ----------------------------------------------------------------------------------------------------------


def test_a_run_is_called_after_its_job_and_its_values() -> None:
    runs = runs_of("jobs: {a: {matrix: {m: [x/y, z], s: [0]}, run: x}, b: {run: x}}")
    assert [*runs] == ["a-x_y-0", "a-z-0", "b"]
    assert [run.job for run in runs.values()] == ["a", "a", "b"]
    assert runs["a-x_y-0"].params == (("m", "x/y"), ("s", "0"))


def test_a_group_is_that_of_the_job_of_the_defaults_of_the_file_or_its_name() -> None:
    assert run_of("run: x").group == "jobs"
    runs = runs_of(
        "group: f\ndefaults: {group: '{job}s'}\njobs: {a: {run: x}, b: {run: x, group: 'g{n}', matrix: {n: [1]}}}"
    )
    assert [run.group for run in runs.values()] == ["as", "g1"]
    assert run_of("run: x", Surroundings("/", "..x y.yaml", "/")).group == "x_y"
    assert run_of("run: x", Surroundings("/", "...yaml", "/")).group == "yaml"


def test_a_name_knows_the_group_and_the_rest_knows_the_name() -> None:
    run = run_of("name: '{group}.{job}', run: 'echo {name} {group} {job}', env: {N: '{name}'}")
    assert run.name == "jobs.a"
    assert "export N=jobs.a\n" in run.script
    assert run.script.endswith("\necho jobs.a jobs a\n")


def test_the_order_is_that_of_the_file_and_each_run_knows_its_place() -> None:
    runs = runs_of("jobs:\n  z: {run: x}\n  a:\n    matrix: {s: [2, 1]}\n    run: x\n")
    assert [(run.name, run.place) for run in runs.values()] == [
        ("z", Place(2, 3)),
        ("a-2", Place(3, 3)),
        ("a-1", Place(3, 3)),
    ]


# -- what is said ---------------------------------------------------------------------------------------------------


def test_a_job_replaces_what_the_defaults_say_and_adds_to_their_environment() -> None:
    runs = runs_of(
        """\
defaults: {gpus: 2, memory: 8G, env: {A: 1, B: 2}, run: "echo {name}", after: [first], queue: q, priority: 3}
jobs:
  first: {after: null, run: x, env: null}
  second: {gpus: 1-4, memory: null, env: {B: 3, C: 4}, queue: null, retries: 0}
"""
    )
    first, second = runs.values()
    assert (first.gpus, first.memory, first.after, first.queue, first.priority) == ("2", "8G", (), "q", 3)
    assert (second.gpus, second.memory, second.after, second.queue) == ("1-4", None, ("first",), None)
    assert second.retries == 0
    assert first.retries is None
    assert "export A" not in first.script
    assert "export A=1\nexport B=3\nexport C=4\n" in second.script


def test_needs_may_come_from_the_matrix() -> None:
    runs = runs_of(
        "jobs: {a: {matrix: {gpus: [1, 2-4], include: [{gpus: 1, memory: 40G}]}, gpus: '{gpus}', "
        "memory: '{memory|8G}', run: x}}"
    )
    assert [(run.gpus, run.memory) for run in runs.values()] == [("1", "40G"), ("2-4", "8G")]


def test_values_stay_as_they_are_written() -> None:
    listed = "1e-5, 3.10, no, 012, 1:30, 0x1F, 1_000, ~, .5, +1, 2024-01-01"
    runs = runs_of(f"jobs: {{a: {{matrix: {{x: [{listed}]}}, run: 'echo {{x}}'}}}}")
    said = [run.params[0][1] for run in runs.values()]
    assert said == listed.split(", ")


@pytest.mark.parametrize(
    ("said", "cwd", "log"),
    [
        ("", "/home/ann/p", "/home/ann/p/logs/jobs/a.log"),
        (", cwd: ../q, log_dir: out/{job}", "/home/ann/q", "/home/ann/p/out/a/a.log"),
        (", cwd: /data//x/, log_dir: /logs", "/data/x", "/logs/a.log"),
        (", cwd: ~, log_dir: ~/l", "/home/ann/p", "/home/ann/l/a.log"),
        (", cwd: '~', log_dir: null", "/home/ann", ""),
        (", cwd: ., log_dir: none", "/home/ann/p", ""),
        (", group: g", "/home/ann/p", "/home/ann/p/logs/g/a.log"),
    ],
)
def test_paths_begin_at_the_directory_of_the_file(said: str, cwd: str, log: str) -> None:
    run = run_of(f"run: x{said}".replace("out/{job}", "'out/{job}'"))
    assert (run.cwd, run.log) == (cwd, log)


def test_after_a_job_means_all_its_runs_and_a_name_means_one() -> None:
    runs = runs_of(
        """\
jobs:
  train: {matrix: {s: [0, 1]}, run: x}
  test: {matrix: {s: [0, 1]}, after: "train-{s}", run: x}
  table: {after: [train, test-1, train-0], run: x}
"""
    )
    assert runs["test-1"].after == ("train-1",)
    assert runs["table"].after == ("train-0", "train-1", "test-1")


def test_what_was_skipped_may_be_said() -> None:
    assert run_of("run: x").skip_done
    assert not run_of("run: x, skip_done: no").skip_done


# -- what a run is known by -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said", ["name: b", "log_dir: null", "priority: 3", "group: g", "skip_done: false", "after: []"]
)
def test_it_is_known_by_what_makes_its_result(said: str) -> None:
    assert run_of(f"run: x, gpus: 1, {said}").content == run_of("run: x, gpus: 1").content


@pytest.mark.parametrize("said", ["gpus: 2", "cwd: q", "env: {A: 1}", "run: y", "matrix: {a: [1]}"])
def test_it_is_another_where_something_else_runs(said: str) -> None:
    other = said if "run" in said else f"run: x, {said}"
    assert not has_same_result(run_of(other).content, run_of("run: x").content)


@pytest.mark.parametrize("said", ["memory: 8G", "time: 4h", "retries: 1", "queue: q"])
def test_what_it_asks_for_besides_makes_no_other_result(said: str) -> None:
    other, one = run_of(f"run: x, {said}").content, run_of("run: x").content
    assert other != one
    assert has_same_result(other, one)


def test_its_place_in_the_file_says_nothing() -> None:
    text = "jobs: {a: {matrix: {s: [0, 1]}, run: 'x {s}'}}"
    moved = "# more\n\njobs:\n  b: {run: y}\n  a:\n    run: x {s}\n    matrix:\n      s: [1, 0]\n"
    first, second = runs_of(text), runs_of(moved)
    assert {name: first[name].content for name in first} == {name: second[name].content for name in first}


# -- scripts --------------------------------------------------------------------------------------------------------


def test_a_text_runs_in_bash_and_ends_with_its_first_failure(tmp_path: Path) -> None:
    run = run_of("run: 'echo {job} $A; false; echo never', env: {A: 'a  {job}'}")
    ended = done(run.script, tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "a a a\n")


def test_a_list_runs_without_a_shell(tmp_path: Path) -> None:
    run = run_of("matrix: {v: ['$HOME *; x']}, run: [printf, '%s|', '{v}', a b, '', $HOME]")
    assert done(run.script, tmp_path).stdout == "$HOME *; x|a b||$HOME|"


def test_the_values_come_as_json_too(tmp_path: Path) -> None:
    run = run_of("matrix: {lr: [1e-5], q: ['it''s \"é\"']}, run: printenv GPU_QUEUE_PARAMS")
    assert json.loads(done(run.script, tmp_path).stdout) == {"lr": "1e-5", "q": 'it\'s "é"'}


@pytest.mark.parametrize("value", ["", " ", "it's", '"$(false)`', "a\\nb", "-n", "é 中"])
def test_variables_have_their_values_whatever_is_in_them(value: str, tmp_path: Path) -> None:
    quoted = value.replace("'", "''")
    run = run_of(f"env: {{A: '{quoted}'}}, run: printenv A")
    assert done(run.script, tmp_path).stdout == f"{value}\n"


def test_the_link_leads_to_the_log_of_the_last_try_and_nothing_else_is_touched(tmp_path: Path) -> None:
    where = Surroundings(str(tmp_path), "it's $x.yaml", "/")
    run = run_of("run: echo fine", where)
    log = Path(run.log)
    assert log.parent == tmp_path / "logs" / "it's_$x"
    tries = [f"/spool/logs/20261123T014415123-4f0c2a-t{end}.log" for end in ("", ".try2.5f7dd3", ".try3.8d7e01")]
    assert done(run.script, tmp_path, GPU_QUEUE_TRY_LOG=tries[0]).stdout == "fine\n"  # no directory
    log.parent.mkdir(parents=True)
    for path in tries[:2]:
        ended = done(run.script, tmp_path, GPU_QUEUE_TRY_LOG=path)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "fine\n", "")
        assert os.readlink(log) == path
    assert done(run.script, tmp_path).stdout == "fine\n"
    assert os.readlink(log) == tries[1]
    for mine in ("/home/me/results.log", "nowhere", log.name):
        log.unlink()
        log.symlink_to(mine)
        assert done(run.script, tmp_path, GPU_QUEUE_TRY_LOG=tries[2]).stdout == "fine\n"
        assert os.readlink(log) == mine
    log.unlink()
    log.write_text("mine")
    assert done(run.script, tmp_path, GPU_QUEUE_TRY_LOG=tries[2]).stdout == "fine\n"
    assert log.read_text() == "mine"
    log.unlink()
    log.mkdir()
    assert done(run.script, tmp_path, GPU_QUEUE_TRY_LOG=tries[2]).stdout == "fine\n"
    assert [*log.iterdir()] == []


@pytest.mark.parametrize(
    "said", ["run: 'torchrun --nproc_per_node {n} a.py'", "run: [torchrun, '--nproc_per_node={n}', a.py]"]
)
def test_what_a_script_needs_is_read_out_of_it_as_of_any_script(said: str) -> None:
    run = run_of(f"matrix: {{n: [4]}}, {said}")
    assert read(run.script.encode()).gpus_max == 4


def test_a_thousand_runs_are_read_at_once() -> None:
    text = """\
defaults: {gpus: 1, memory: 8G, time: 4h, env: {A: 1}}
jobs:
  train:
    name: "{d}_{a}_s{s}"
    matrix: {d: &ten [a, b, c, d, e, f, g, h, i, j], a: *ten, s: *ten}
    run: python test.py --dataset {d} --algo {a} --seed {s}
  table: {after: train, run: x}
"""
    begun_s = time.process_time()
    runs = runs_of(text)
    took_s = time.process_time() - begun_s
    assert len(runs) == 1001
    assert len(runs["table"].after) == 1000
    assert took_s < 1  # 0.1 s on a machine that does nothing else


def test_problems_are_counted_where_there_are_too_many_to_tell() -> None:
    text = "jobs:\n" + "".join(f"  a{n}: {{gpus: x, run: y}}\n" for n in range(150))
    with pytest.raises(BadExperimentFile) as caught:
        runs_of(text)
    assert len(caught.value.problems) == 101
    assert caught.value.problems[-1] == "jobs.yaml:102:16: and 50 more from here on"
