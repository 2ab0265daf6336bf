"""``gpu-queue load FILE.yaml``: what it says, what it asks, and what it refuses."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_queue.experiments.command import main
from gpu_queue.experiments.known import current, members
from gpu_queue.spool.desk import committing
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.task import State
from tests.cases import long

FILE = """\
defaults: {gpus: 1, memory: 8G}
jobs:
  train:
    name: "s{seed}"
    matrix: {seed: [0, 1, 2]}
    run: python train.py --seed {seed}
  table:
    after: [train]
    gpus: 0
    queue: tables
    run: [python, table.py]
"""


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SpoolPaths:
    monkeypatch.setenv("JOB_ID", "exp")
    monkeypatch.setenv("QUEUE_ROOT", str(tmp_path / "queues"))
    return SpoolPaths(str(tmp_path / "queues" / "exp"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "sweep.yaml"
    made.write_text(FILE)
    return made


Load = Callable[..., tuple[int, list[str], list[str]]]


@pytest.fixture
def load(paths: SpoolPaths, capfd: pytest.CaptureFixture[str]) -> Load:
    def loaded(*arguments: object) -> tuple[int, list[str], list[str]]:
        status = main([str(one) for one in arguments], "gpu-queue load")
        told = capfd.readouterr()
        return status, told.out.splitlines(), told.err.splitlines()

    return loaded


def titles(lines: list[str]) -> list[str]:
    return [line.split("-", 3)[3] for line in lines]


def waiting(paths: SpoolPaths) -> list[str]:
    return titles(sorted(name for name in os.listdir(paths.directory(State.PENDING)) if name[0] != "."))


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def settle(paths: SpoolPaths, title: str, state: State) -> str:
    (name,) = (one for one in os.listdir(paths.directory(State.PENDING)) if one.endswith(f"-{title}"))
    target = paths.directory(state)
    if state is State.RUNNING:
        target = paths.running("n1")
        os.makedirs(target, exist_ok=True)
    end = ".try1.abcdef" if state is State.RUNNING else ""
    os.rename(f"{paths.directory(State.PENDING)}/{name}", f"{target}/{name}{end}")
    return name.split("-")[2]


def test_the_first_load_names_its_tasks_for_a_pipe_and_says_a_line(paths: SpoolPaths, file: Path, load: Load) -> None:
    status, out, err = load(file)
    assert (status, err) == (0, ["sweep.yaml: 4 runs: 4 new"])
    assert titles(out) == ["s0", "s1", "s2", "table"]
    assert [one.part.group for one in members(paths)] == ["sweep"] * 4
    assert load(file) == (0, [], ["sweep.yaml: 4 runs: 4 waiting"])


def test_a_dry_run_shows_all_runs_and_changes_nothing(paths: SpoolPaths, file: Path, load: Load) -> None:
    assert load(file, "--dry-run") == (
        0,
        [
            "sweep.yaml: 4 runs: 4 new",
            "  s0 (line 3, 1 GPU of 8G): new",
            "  s1 (line 3, 1 GPU of 8G): new",
            "  s2 (line 3, 1 GPU of 8G): new",
            "  table (line 7, 0 GPUs of 8G, queue tables, after 3): new",
            "nothing was queued",
        ],
        [],
    )
    assert os.listdir(file.parent) == ["sweep.yaml"]


def test_without_a_terminal_what_changes_is_shown_and_done(paths: SpoolPaths, file: Path, load: Load) -> None:
    load(file)
    runs = settle(paths, "s0", State.RUNNING)
    settle(paths, "s1", State.DONE)
    edit(file, "[0, 1, 2]", "[0, 1, 3]")
    edit(file, "train.py", "main.py")
    gone, _ = (one.id.split("-")[1] for one in members(paths) if one.state is State.PENDING)
    status, out, err = load(file)
    head = "sweep.yaml: 4 runs: 1 new, 1 changed, 2 to be queued later, 1 gone"
    still = f"runs as it was, in running/n1 (gpu_stop {runs} ends it); load it again when it has ended"
    table = "table (line 7, 0 GPUs of 8G, queue tables, after 3)"
    assert (status, titles(out)) == (0, ["s1", "s3"])
    assert err == [
        head,
        "  s1 (line 3, 1 GPU of 8G): changed",
        f"  s0 (line 3, 1 GPU of 8G): {still}",
        f"  {table}: not queued yet: what it comes after runs as it was; load it again when that has ended",
        f"  s2 ({gone}): taken out, it is gone from the file",
        "sweep.yaml: 2 queued, 2 taken out",
    ]
    assert waiting(paths) == ["s1", "s3"]
    assert load(file)[2][1:] == [
        f"  s0: {still}",
        "  table: not queued yet: what it comes after runs as it was; load it again when that has ended",
    ]


def test_what_failed_is_told_and_again_queues_it(paths: SpoolPaths, file: Path, load: Load) -> None:
    load(file)
    for one in members(paths):
        settle(paths, one.part.name, State.FAILED)
        tried = '{"tries": [{"try": 1, "token": "abcdef", "status": 1, "final": true}]}'
        Path(paths.tries_index(one.id)).write_text(tried)
    status, out, err = load(file)
    assert (status, out) == (0, [])
    assert err[:2] == ["sweep.yaml: 4 runs: 4 failed", "  s0: has failed; gpu_retry, or --again"]
    status, out, err = load(file, "--again")
    assert titles(out) == ["s0", "s1", "s2", "table"]
    assert err[0] == "sweep.yaml: 4 runs: 4 once more"


def test_a_removed_log_is_said_to_be_why_a_run_is_queued_once_more(paths: SpoolPaths, file: Path, load: Load) -> None:
    load(file)
    for title in ("s0", "s1", "s2", "table"):
        settle(paths, title, State.DONE)
    (file.parent / "logs" / "sweep" / "s1.log").unlink()
    _, out, err = load(file)
    assert titles(out) == ["s1", "table"]
    assert err[1:3] == [
        "  s1 (line 3, 1 GPU of 8G): once more: its log was removed",
        "  table (line 7, 0 GPUs of 8G, queue tables, after 3): once more: what it comes after is queued anew",
    ]


def test_a_priority_that_was_changed_in_the_file_is_told_and_not_set(
    paths: SpoolPaths, file: Path, load: Load
) -> None:
    load(file)
    edit(file, "queue: tables", "queue: tables\n    priority: 100")
    _, out, err = load(file)
    nonce = members(paths)[-1].id.split("-")[1]
    assert out == []
    assert err[1:] == [
        f"note: table waits with priority 500, the file says 100: gpu_priority {nonce} 100",
    ]


def test_of_very_many_the_first_are_told(paths: SpoolPaths, file: Path, load: Load) -> None:
    edit(file, "[0, 1, 2]", str(list(range(200))))
    _, out, err = load(file)
    assert (len(out), err) == (201, ["sweep.yaml: 201 runs: 201 new"])
    edit(file, "train.py", "main.py")
    _, out, err = load(file)
    assert len(out) == 201
    assert err.count("  … and 180 more") == 1
    assert len(err) == 24


# -- several files, and what is refused


def test_several_files_are_all_read_before_anything_is_queued(paths: SpoolPaths, file: Path, load: Load) -> None:
    other = file.with_name("other.yml")
    other.write_text("jobs: {a: {run: true, gpus: x}}\n")
    third = file.with_name("third.yaml")
    third.write_text("jobs:\n  b: {run: 'true', wrong: 1}\n")
    status, out, err = load(file, other, third)
    assert (status, out) == (2, [])
    assert [line.split(":")[1].rpartition("/")[2] for line in err] == ["other.yml", "third.yaml"]
    assert not os.path.exists(paths.root)
    other.write_text("jobs: {a: {run: echo a, gpus: 0}}\n")
    status, out, err = load(file, other, file)
    assert (status, titles(out)) == (0, ["s0", "s1", "s2", "table", "a"])
    assert err == ["sweep.yaml: 4 runs: 4 new", "other.yml: 1 run: 1 new"]


def test_a_file_with_a_script_that_can_never_run_keeps_the_others_out_too(
    paths: SpoolPaths, file: Path, load: Load
) -> None:
    other = file.with_name("other.yaml")
    other.write_text("jobs:\n  a:\n    run: CUDA_VISIBLE_DEVICES=0,1 python train.py\n    gpus: 1\n")
    status, out, err = load(file, other)
    assert (status, out) == (2, [])
    assert err[0].startswith(f"gpu-queue load: {other}:2:3: a: asks for what cannot be:")
    assert not os.path.exists(paths.root)


@pytest.mark.parametrize("flag", [["--multi"], ["--single"], ["--shared-queues"], ["--work-dir", "/"]])
def test_flags_of_command_files_are_refused(paths: SpoolPaths, file: Path, load: Load, flag: list[str]) -> None:
    status, out, err = load(file, *flag)
    assert (status, out) == (2, [])
    (line,) = err
    assert line.startswith(f"gpu-queue load: {flag[0]} is for command files: an experiment file says itself")


def test_command_files_are_loaded_by_a_call_of_their_own(paths: SpoolPaths, file: Path, load: Load) -> None:
    status, _, err = load(file, "command.txt")
    assert status == 2
    assert "command.txt is a command file" in err[0]


def test_hostile_names_reach_no_terminal(paths: SpoolPaths, file: Path, load: Load) -> None:
    load(file)
    record = Path(paths.record(members(paths)[0].id))
    text = record.read_text().replace('"name": "s0", "content"', '"name": "\\u001b[2J", "content"')
    record.write_text(text)
    _, _, err = load(file)
    assert any("?[2J" in line for line in err)
    assert all("\x1b" not in line for line in err)


# -- a terminal

PROGRAM = "import sys; from gpu_queue.experiments.command import main; sys.exit(main(sys.argv[1:], 'gpu-queue load'))"


def at_a_terminal(file: Path, answer: bytes, *flags: str) -> tuple[int, str]:
    """What it says on a terminal, and its status; the answer is typed when it asks."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(file), *flags],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # it has ended
            break
        said += piece
        if said.endswith(b"[Y/n] "):
            if answer != b"\x03":
                os.write(ours, answer)
            while answer == b"\x03" and not select.select([ours], [], [], 0.2)[0]:
                program.send_signal(signal.SIGINT)  # one that comes right before it reads is not seen
    os.close(ours)
    return program.wait(30), said.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("answer", "goes_on"), [(b"\n", True), (b"n\n", False), *long((b"Y\n", True), (b"yes\n", True))]
)
def test_at_a_terminal_a_change_is_asked_for(paths: SpoolPaths, file: Path, answer: bytes, goes_on: bool) -> None:
    status, said = at_a_terminal(file, b"")
    assert status == 0
    assert "go on?" not in said
    assert "  s0: queued as " in said
    edit(file, "[0, 1, 2]", "[0, 1]")
    status, said = at_a_terminal(file, answer)
    assert said.count("taken out, it is gone from the file") == 1
    assert "go on? [Y/n] " in said
    assert status == (0 if goes_on else 1)
    assert ("nothing was changed" in said) is not goes_on
    assert waiting(paths) == (["s0", "s1", "table"] if goes_on else ["s0", "s1", "s2", "table"])


@pytest.mark.parametrize(("answer", "status"), [(b"\x04", 1), (b"\x03", 130)])
def test_whoever_leaves_at_the_question_has_changed_nothing(
    paths: SpoolPaths, file: Path, answer: bytes, status: int
) -> None:
    at_a_terminal(file, b"")
    edit(file, "train.py", "main.py")
    ended, said = at_a_terminal(file, answer)
    assert ended == status
    assert said.endswith("nothing was changed\n")
    assert {one.was_cancelled for one in members(paths)} == {False}


def test_who_says_yes_beforehand_is_not_asked(paths: SpoolPaths, file: Path) -> None:
    at_a_terminal(file, b"")
    edit(file, "train.py", "main.py")
    status, said = at_a_terminal(file, b"", "--yes")
    assert status == 0
    assert "go on?" not in said
    assert len([one for one in current(members(paths)) if not one.was_cancelled]) == 4


def test_the_queue_may_be_named(load: Load, paths: SpoolPaths, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOB_ID")
    status, _, err = load(file)
    assert status == 1
    assert "--job-id" in err[0]
    status, out, _ = load("--job-id", "exp", file)
    assert status == 0
    assert len(members(paths)) == len(out) == 4


def loads_without(file: Path, *closed: int, stdout: int) -> tuple[int, bytes]:
    """Its status and what it says on stderr, where its caller has closed some of its first three."""

    def close() -> None:
        for descriptor in closed:
            os.close(descriptor)

    ended = subprocess.run(
        [sys.executable, "-c", "import sys; from gpu_queue.cli import main; sys.exit(main())", "load", str(file)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=stdout,
        stderr=subprocess.PIPE,
        preexec_fn=close,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stderr


def test_where_nobody_reads_the_names_all_is_queued(paths: SpoolPaths, file: Path) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    status, said = loads_without(file, stdout=writes)
    os.close(writes)
    assert status == 128 + signal.SIGPIPE
    assert said.splitlines() == [b"sweep.yaml: 4 runs: 4 new"]
    assert waiting(paths) == ["s0", "s1", "s2", "table"]


@pytest.mark.parametrize("closed", [(0,), (1,), (0, 1, 2)])
def test_closed_streams_hinder_nothing(closed: tuple[int, ...], paths: SpoolPaths, file: Path) -> None:
    assert loads_without(file, *closed, stdout=subprocess.DEVNULL)[0] == 0
    assert waiting(paths) == ["s0", "s1", "s2", "table"]


def test_ctrl_c_while_it_loads_says_what_to_do(
    paths: SpoolPaths, load: Load, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(committing, "_sync", pressed)
    status, names, said = load(file)
    assert (status, names) == (130, [])
    assert "load it again" in said[-1]
