"""How a script is run: its interpreter, its environment, and what a spawned shim inherits."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from gpu_queue.execution import launcher
from gpu_queue.execution.launcher import (
    LaunchSpec,
    common_environment,
    interpreter,
    task_environment,
    with_death_signal,
)
from tests.execution.helpers import Bench

COPY = "/local/script"


@pytest.mark.parametrize(
    ("name", "head", "words"),
    [
        ("train.sh", b"echo hello\n", ["bash"]),
        ("train.py", b"import torch\n", ["python3"]),
        ("train", b"", ["bash"]),
        ("train.py", b"#!/bin/bash\n", ["/bin/bash"]),
        ("train.sh", b"#!/usr/bin/env python3\nprint(1)", ["/usr/bin/env", "python3"]),
        ("train", b"#! /usr/bin/env -S python3 -u  \n", ["/usr/bin/env", "-S python3 -u"]),
        ("train", b"#!/bin/zsh -f\r\n", ["/bin/zsh", "-f"]),
        ("train", b"#!/bin/sh", ["/bin/sh"]),
        ("train.py", b"#!\nx", ["python3"]),
        ("train.py", b"#! \r\nx", ["python3"]),
        ("train", b"\xef\xbb\xbf#!/bin/zsh\n", ["/bin/zsh"]),
        ("train", b"#!/opt/\xff\0/sh\n", ["/opt/\udcff/sh"]),
        ("\udcff.py", b"", ["python3"]),
    ],
)
def test_the_first_line_decides_and_then_the_name(name: str, head: bytes, words: list[str]) -> None:
    assert interpreter(name, head, COPY) == [*words, COPY]


def environment(program: list[str], script: str = "/home/a/train.py", **base: str) -> dict[str, str]:
    return task_environment(
        common_environment(base, node="n1", job_id="job", queue_root="/q"),
        task_id="the-id",
        number=2,
        uni_id="500-the-id.try2.4f0c2a",
        log_path="/q/job/logs/the-id.try2.4f0c2a.log",
        script_path=script,
        gpus={"CUDA_VISIBLE_DEVICES": "0,1"},
        program=program,
    )


def test_a_script_is_told_what_it_is_and_nothing_of_the_agents_own() -> None:
    seen = environment(["bash", COPY], HOME="/home/a", GPU_QUEUE_POLL="3", GPU_QUEUE_CLAIM="x", JOB_ID="other")
    assert seen == {
        "HOME": "/home/a",
        "GPU_QUEUE_TASK": "the-id",
        "GPU_QUEUE_TRY": "2",
        "GPU_QUEUE_TRY_LOG": "/q/job/logs/the-id.try2.4f0c2a.log",
        "GPU_QUEUE_UNI_ID": "500-the-id.try2.4f0c2a",
        "GPU_QUEUE_NODE": "n1",
        "GPU_QUEUE_SCRIPT": "/home/a/train.py",
        "JOB_ID": "job",
        "QUEUE_ROOT": "/q",
        "CUDA_VISIBLE_DEVICES": "0,1",
    }


@pytest.mark.parametrize(
    ("program", "script", "given", "path"),
    [
        (["python3", COPY], "/home/a/t.py", "", "/home/a"),
        (["/usr/bin/env", "-S python3.11 -u", COPY], "/home/a/t.py", "/lib/x", "/lib/x:/home/a"),
        (["bash", COPY], "/home/a/t.sh", "/lib/x", "/lib/x"),
        (["python3", COPY], "/odd:name/t.py", "/lib/x", "/lib/x"),
    ],
)
def test_a_python_program_finds_the_modules_beside_the_original(
    program: list[str], script: str, given: str, path: str
) -> None:
    assert environment(program, script, PYTHONPATH=given)["PYTHONPATH"] == path


def test_a_module_beside_the_script_is_imported_although_a_copy_runs(surroundings: Bench) -> None:
    home = surroundings.base / "home"
    home.mkdir()
    (home / "model.py").write_text("NAME = 'the right one'\n")
    copy = surroundings.base / "copy.py"
    copy.write_text("import model; print(model.NAME)\n")
    program = ["python3", str(copy)]
    variables = environment(program, str(home / "train.py"), PATH=os.environ["PATH"])
    assert surroundings.run("", program=tuple(program), environment=variables) == 0
    assert "the right one" in surroundings.log


def test_the_shim_inherits_no_blocked_or_ignored_signals(surroundings: Bench) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1])
    ignored = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        shim = surroundings.start("grep -E 'Sig(Blk|Ign)' /proc/self/status\n")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGUSR2, ignored)
    assert surroundings.status(shim) == 0
    masks = {
        line.split(":")[0]: int(line.split(":")[1], 16) for line in surroundings.log.splitlines() if "Sig" in line
    }
    assert masks["SigBlk"] == 0
    ours = {
        signal.SIGTERM,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGPIPE,
        signal.SIGXFSZ,
        signal.SIGCHLD,
        signal.SIGHUP,
    }
    # (INT and QUIT are: a shell ignores them for what it starts in the background.)
    assert not [number for number in ours if masks["SigIgn"] & 1 << number - 1]


def test_a_lock_that_happens_to_be_descriptor_9_is_inherited_all_the_same(surroundings: Bench) -> None:
    surroundings.claim.touch()
    surroundings.directory.create()
    try:
        saved = os.dup(9)
    except OSError:
        saved = -1
    lock, orders = surroundings.directory.lock(), surroundings.directory.make_orders()
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        os.dup2(lock, 9, inheritable=False)
        if lock != 9:
            os.close(lock)
        spec = surroundings.spec("echo $$ >script; exec sleep 60\n")
        shim = launcher.spawn_shim(surroundings.node.install_shim(), spec.environment, 9, reading, orders)
        launcher.tell(writing, orders, launcher.orders(spec, spec.environment, timed=False))
    finally:
        for descriptor in {9, reading, writing, orders}:
            os.close(descriptor)
        if saved >= 0:
            os.dup2(saved, 9)
            os.close(saved)
    surroundings.started.append((shim, str(surroundings.claim)))
    surroundings.wait_for("script")
    assert surroundings.directory.is_alive()
    os.kill(shim, signal.SIGTERM)
    assert surroundings.status(shim) == 143
    assert not surroundings.directory.is_alive()


def test_a_shim_has_a_session_of_its_own_and_stands_in_the_root(surroundings: Bench) -> None:
    here = Path.cwd()
    os.chdir("/")  # as the agent does at its start
    try:
        shim = surroundings.start("echo $$ >script; exec sleep 60\n", cwd=str(surroundings.base))
    finally:
        os.chdir(here)
    surroundings.wait_for("script")
    assert os.getsid(shim) == shim


@pytest.mark.parametrize("change", [{"claim_path": "/run/a b"}, {"claim_path": "/run/x[1]"}, {"cwd": "-"}])
def test_what_no_spool_would_say_is_refused(change: dict[str, str]) -> None:
    values = {"claim_path": "/run/c", "try_dir": "/t", "log_path": "/l", "cwd": "/", **change}
    spec = LaunchSpec(program=("true",), environment={}, **values)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="is no"):
        launcher.orders(spec, {}, timed=False)


def test_the_death_signal_is_put_before_the_program_where_it_works() -> None:
    words = with_death_signal(["bash", "x"])
    assert words[-2:] == ["bash", "x"]
    assert (len(words) > 2) == (shutil.which("setpriv") is not None)
