"""Loading: blocks become tasks, in order and all at once; loaded again, what changed replaces what still waits."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue import Spool
from gpu_queue.errors import BadScript, SpoolError
from gpu_queue.experiments.command import main
from gpu_queue.experiments.commandfiles import loading
from gpu_queue.experiments.commandfiles.batches import Piece, pieces_of
from gpu_queue.experiments.commandfiles.blocks import Block, Mode
from gpu_queue.experiments.commandfiles.comparing import Known, News, compare
from gpu_queue.experiments.commandfiles.loading import Load, load_files, plan
from gpu_queue.experiments.commandfiles.missing import missing_paths
from gpu_queue.experiments.commandfiles.reading import CommandFile, read_command_files
from gpu_queue.sayings import Say, say
from gpu_queue.spool.desk import steering
from gpu_queue.spool.desk.find import Task
from gpu_queue.spool.paths import SpoolPaths, make_id
from gpu_queue.task import State

DOCUMENTS = Path(__file__).parent / "documents"


@pytest.fixture
def paths(tmp_path: Path) -> SpoolPaths:
    return SpoolPaths(str(tmp_path / "queues" / "exp"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "project" / "command").mkdir(parents=True)
    return tmp_path / "project" / "command" / "command_gpu_1.txt"


def blocks(*named: tuple[str, int]) -> str:
    return "\n\n".join(f"bash {name}.sh\n{queue},20" for name, queue in named)


def load(paths: SpoolPaths, *files: Path, **more: Any) -> loading.Loaded:
    return load_files(paths, Load(tuple(read_command_files(map(str, files))), **more))


def news(loaded: loading.Loaded) -> list[str]:
    return [told.value for compared in loaded.comparisons for _, told in compared.news]


def waiting(paths: SpoolPaths) -> list[str]:
    """The commands that wait, in run order."""
    pending = Path(paths.directory(State.PENDING))
    return [
        line.split()[3].removesuffix(".sh'")
        for name in sorted(os.listdir(pending))
        for line in (pending / name).read_text().splitlines()
        if line.startswith("bash -c")
    ]


def settle(paths: SpoolPaths, position: int, state: State, *, tried: bool = True) -> None:
    """What an agent does with the first one that waits."""
    name = sorted(os.listdir(paths.directory(State.PENDING)))[position]
    if tried:
        index = {"tries": [{"try": 1, "token": "abcdef", "status": 1, "why": None, "final": True}]}
        Path(paths.tries_index(name[4:])).write_text(json.dumps(index))
    os.rename(f"{paths.directory(State.PENDING)}/{name}", f"{paths.directory(state)}/{name}")


def test_the_record_says_which_block_of_which_file_it_is(paths: SpoolPaths, file: Path) -> None:
    file.write_text("a\n1,20\n\nb\n2,15.5\n")
    tasks = load(paths, file).tasks
    records = [json.loads(Path(paths.record(task.id or "")).read_text()) for task in tasks]
    batches = [record["batch"] for record in records]
    assert [{key: one[key] for key in ("file", "mode", "index", "position")} for one in batches] == [
        {"file": str(file), "mode": "single", "index": 1, "position": 0},
        {"file": str(file), "mode": "single", "index": 1, "position": 1},
    ]
    assert [record["needs"]["memory"] for record in records] == ["20G", "15.5G"]
    assert {record["cwd"] for record in records} == {str(file.parents[1])}
    assert [task.title for task in tasks] == ["command_gpu_1-1", "command_gpu_1-2"]
    assert Spool("exp", str(Path(paths.root).parent)).record(tasks[1]).batch is not None


def test_a_range_of_gpus_is_what_the_task_asks_for(paths: SpoolPaths, file: Path) -> None:
    several = file.with_name("command_gpus.txt")
    several.write_text("1\na\n2-4\n20\n")
    (task,) = load(paths, several).tasks
    assert task.needs is not None
    assert (task.needs.gpus_min, task.needs.gpus_max, task.needs.memory_bytes) == (2, 4, 20 << 30)


def test_queues_belong_to_their_file_unless_they_are_shared(paths: SpoolPaths, file: Path) -> None:
    other = file.parents[1] / file.name
    for one in (file, other):
        one.write_text(blocks(("a", 1), ("b", 2)))
    queues = [piece.queue for piece in load(paths, file, other).published]
    assert len(set(queues)) == 4
    assert [queue.rpartition(".")[2] for queue in queues] == ["1", "2", "1", "2"]
    assert [piece.queue for piece in load(paths, file, other, shares_queues=True).published] == ["1", "2", "1", "2"]


@pytest.mark.parametrize(
    "name", [".command.txt", "-command.txt", "训练 1.txt", "a" * 200 + ".txt", "x.try1.abcdef.txt"]
)
def test_whatever_a_file_is_called_its_tasks_are_found_again(paths: SpoolPaths, file: Path, name: str) -> None:
    odd = file.with_name(name)
    odd.write_text(blocks(("a", 1), ("b", 1)))
    assert news(load(paths, odd)) == ["new", "new"]
    assert news(load(paths, odd)) == ["waits", "waits"]


def test_nothing_is_queued_where_one_block_can_never_run(paths: SpoolPaths, file: Path) -> None:
    file.write_text("a\n1,20\n\nexport CUDA_VISIBLE_DEVICES=0,1; python train.py\n1,20\n")
    with pytest.raises(BadScript, match="command_gpu_1-2: asks for what cannot be"):
        load(paths, file)
    assert not os.path.exists(paths.root)


def test_nothing_is_taken_out_where_a_changed_block_can_never_run(paths: SpoolPaths, file: Path) -> None:
    file.write_text(blocks(("a", 1), ("b", 1)))
    load(paths, file)
    file.write_text("c\n1,20\n\nexport CUDA_VISIBLE_DEVICES=0,1; python train.py\n1,20\n")
    with pytest.raises(BadScript):
        load(paths, file)
    assert waiting(paths) == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "as_name", "count"),
    [
        ("000-example", "command.txt", 1),
        ("000-triples", "compete_gpu.py", 5),
        ("001-optimized", "command_bk.txt", 2),
        ("001-usage", "command_bk.txt", 2),
        ("002-command_gpu", "command_gpu.txt", 2),
        ("002-command_gpus", "command_gpus.txt", 1),
    ],
)
def test_the_examples_of_the_documents_are_queued_as_they_are(
    paths: SpoolPaths, file: Path, name: str, as_name: str, count: int
) -> None:
    example = file.with_name(as_name)
    example.write_bytes((DOCUMENTS / f"{name}.txt").read_bytes())
    tasks = load(paths, example).tasks
    assert len(tasks) == count
    assert [task.notes for task in tasks] == [()] * count
    script = Path(tasks[0].path(paths)).read_text()
    assert script.count("|| exit\n") == len(read_command_files([str(example)])[0].blocks[0].commands)


def test_a_dry_run_makes_nothing(paths: SpoolPaths, file: Path) -> None:
    file.write_text(blocks(("a", 1)))
    assert news(plan(paths, Load(tuple(read_command_files([str(file)]))))) == ["new"]
    assert not os.path.exists(paths.root)


# -- again


def test_what_is_done_runs_or_failed_stays_and_what_changed_takes_its_place(paths: SpoolPaths, file: Path) -> None:
    file.write_text(blocks(("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 2), ("f", 2)))
    load(paths, file)
    settle(paths, 0, State.DONE)
    settle(paths, 0, State.FAILED)
    file.write_text("# a comment\n\n" + blocks(("a", 1), ("b", 1), ("C", 1), ("d", 1), ("e", 2), ("f", 2), ("g", 2)))
    loaded = load(paths, file)
    assert news(loaded) == ["done", "failed", "changed", "moved", "waits", "waits", "new"]
    assert waiting(paths) == ["e", "f", "C", "d", "g"]
    assert news(load(paths, file)) == ["done", "failed", "waits", "waits", "waits", "waits", "waits"]


def test_what_is_gone_from_the_file_waits_no_longer(paths: SpoolPaths, file: Path) -> None:
    file.write_text(blocks(("a", 1), ("b", 1), ("c", 1)))
    load(paths, file)
    settle(paths, 0, State.DONE)
    file.write_text(blocks(("c", 1)))
    loaded = load(paths, file)
    assert news(loaded) == ["moved"]
    assert sorted(one.batch.position for one in loaded.comparisons[0].gone) == [0, 1]
    assert waiting(paths) == ["c"]
    file.write_text(blocks(("c", 1), ("b", 1)))
    assert news(load(paths, file)) == ["waits", "new"]


def test_again_queues_all_of_it_once_more(paths: SpoolPaths, file: Path) -> None:
    file.write_text(blocks(("a", 1), ("b", 2)))
    load(paths, file)
    settle(paths, 0, State.DONE)
    assert news(load(paths, file, again=True)) == ["again", "waits"]
    assert waiting(paths) == ["b", "a"]


def test_two_blocks_that_are_alike_are_two(paths: SpoolPaths, file: Path) -> None:
    file.write_text(blocks(("a", 1), ("a", 1)))
    load(paths, file)
    settle(paths, 0, State.DONE)
    file.write_text(blocks(("a", 1), ("a", 1), ("a", 1)))
    assert news(load(paths, file)) == ["done", "waits", "new"]


def test_what_was_retried_and_moved_is_no_failure_beside_itself(paths: SpoolPaths, file: Path) -> None:
    file.write_text(blocks(("a", 1), ("b", 1)))
    load(paths, file)
    settle(paths, 1, State.FAILED)
    spool = Spool("exp", str(Path(paths.root).parent))
    assert all(spool.retry("command_gpu_1-2"))
    file.write_text(blocks(("x", 1), ("a", 1), ("b", 1)))
    assert news(load(paths, file)) == ["new", "moved", "moved"]
    assert news(load(paths, file)) == ["waits", "waits", "waits"]


def test_another_priority_is_kept(paths: SpoolPaths, file: Path) -> None:
    file.write_text(blocks(("a", 1), ("b", 1)))
    load(paths, file)
    spool = Spool("exp", str(Path(paths.root).parent))
    assert all(spool.priority("command_gpu_1-2", 100))
    assert news(load(paths, file)) == ["waits", "waits"]


def test_what_starts_at_that_moment_is_not_queued_beside_itself(
    paths: SpoolPaths, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(blocks(("a", 1), ("b", 1)))
    load(paths, file)
    file.write_text(blocks(("x", 1), ("b", 1)))
    started: list[str] = []

    def cancel(where: SpoolPaths, task: Task) -> object:
        if not started:
            started.append(task.name)
            os.makedirs(where.running("n1"), exist_ok=True)
            os.rename(task.path(where), f"{where.running('n1')}/{task.name}.try1.abcdef")
        return steering.cancel(where, task)

    monkeypatch.setattr(loading, "cancel", cancel)
    loaded = load(paths, file)
    assert news(loaded) == ["changed", "moved"]
    assert [one.batch.position for one in loaded.comparisons[0].cancelled] == [1]
    assert waiting(paths) == ["x", "b"]


def test_a_task_that_cannot_be_taken_out_is_told_of(
    paths: SpoolPaths, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(blocks(("a", 1)))
    load(paths, file)
    file.write_text(blocks(("b", 1)))
    monkeypatch.setattr(loading, "cancel", lambda _, task: steering.refused(task, say(Say.NOT_MOVED, place="a")))
    with pytest.raises(SpoolError, match="load it again"):
        load(paths, file)
    assert waiting(paths) == ["a"]


# -- any two files

NAMES = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 2)), min_size=1, max_size=6)
ENDS = st.lists(st.sampled_from([State.PENDING, State.PENDING, State.RUNNING, State.DONE, State.FAILED]), min_size=6)


def pieces(named: list[tuple[str, int]]) -> list[Piece]:
    made = tuple(Block((name,), queue, 1) for name, queue in named)
    return pieces_of(CommandFile("/p/c/command.txt", "/p/c/command.txt", Mode.SINGLE, made), "/p", shares_queues=True)


@given(NAMES, NAMES, ENDS, st.booleans())
def test_after_any_change_each_queue_holds_what_the_file_says_in_its_order(
    before: list[tuple[str, int]], after: list[tuple[str, int]], ends: list[State], again: bool
) -> None:
    known = [
        Known(Task(state, f"500-{make_id(1e9 + at, 'abcdef', b'command-1')}"), piece.batch, piece.queue)
        for at, (piece, state) in enumerate(zip(pieces(before), ends, strict=False))
    ]
    wanted = pieces(after)
    compared = compare(wanted, known, again=again)
    assert [piece for piece, _ in compared.news] == wanted
    stays = [one for one in known if one.task.state is State.PENDING and one not in compared.cancelled]
    settled = [one.batch.content for one in known if one.task.state is not State.PENDING]
    for queue in {piece.queue for piece in wanted} | {one.queue for one in known}:
        held = [one.batch.content for one in stays if one.queue == queue]
        held += [piece.content for piece in compared.published if piece.queue == queue]
        expected = [piece.content for piece, _ in compared.news if piece.queue == queue]
        if not again:
            expected = [
                piece.content
                for piece, told in compared.news
                if piece.queue == queue and told not in (News.DONE, News.RUNS, News.FAILED)
            ]
        assert held == expected
    taken = [piece.content for piece, told in compared.news if told in (News.DONE, News.RUNS, News.FAILED)]
    for content in set(taken):
        assert taken.count(content) <= settled.count(content)


# -- the command


def test_paths_that_are_not_there_are_told_with_the_ancestor_that_has_them(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "run.sh").touch()
    (file.parents[1] / "here.py").touch()
    file.write_text(
        "rm -rf {work_dir}/experiments/x\npython {work_dir}/here.py > {work_dir}/logs/$NAME.log\n"
        "bash {work_dir}/scripts/run.sh {work_dir}/nowhere.yaml\nbash {work_dir}/scripts/run.sh\n1,20\n"
    )
    monkeypatch.setenv("JOB_ID", "exp")
    monkeypatch.setenv("QUEUE_ROOT", str(tmp_path / "queues"))
    assert main([str(file), "--dry-run"], "gpu_load") == 0
    project, at = file.parents[1], "note: command_gpu_1.txt:3: {work_dir}"
    assert capfd.readouterr().err.splitlines() == [
        f"{at}/scripts/run.sh: {project} does not have it, {tmp_path} has: --work-dir {tmp_path}",
        f"{at}/nowhere.yaml: {project} does not have it",
    ]
    assert main([str(file), "--dry-run", "--work-dir", str(tmp_path)], "gpu_load") == 0
    told = capfd.readouterr()
    assert "nowhere.yaml" in told.err
    assert "run.sh" not in told.err
    assert f"commands run in {tmp_path}\n" in told.out


def test_of_very_many_missing_paths_the_first_are_told(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file.write_text("".join(f"bash {{work_dir}}/a{number}.sh\n1,20\n" for number in range(200)))
    monkeypatch.setenv("JOB_ID", "exp")
    monkeypatch.setenv("QUEUE_ROOT", str(tmp_path / "queues"))
    assert main([str(file)], "gpu_load") == 0
    told = capfd.readouterr()
    assert told.out.count("\n") == 200
    notes = f"note: command_gpu_1.txt: {file.parents[1]} lacks 180 more\n"
    assert told.err.endswith(f"{notes}command_gpu_1.txt: 200 blocks in 1 queue: 200 new\n")
    assert told.err.count("\n") == 22


def test_links_and_pipes_under_the_work_dir_are_only_looked_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    block = Block(("cat {work_dir}/pipe {work_dir}/loop {work_dir}/loop/x",), 1, 1, command_lines=(1,))
    assert [below for _, below, _ in missing_paths([block], str(tmp_path))] == ["loop/x"]


def test_loading_executes_nothing_of_a_file(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file.write_text(f"touch {tmp_path}/made $(touch {tmp_path}/made) `touch {tmp_path}/made`\n1,20\n")
    monkeypatch.setenv("JOB_ID", "exp")
    monkeypatch.setenv("QUEUE_ROOT", str(tmp_path / "queues"))
    assert main([str(file)], "gpu_load") == 0
    assert capfd.readouterr().out.count("\n") == 1
    assert not (tmp_path / "made").exists()
    (script,) = (tmp_path / "queues" / "exp" / "pending").iterdir()
    assert stat.S_IMODE(script.stat().st_mode) & 0o077 == 0
