"""gpu_submit --snapshot: the same snapshots as from Python, and which code a task is without one."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from gpu_queue.code.tree import look
from gpu_queue.spool.desk.collecting import UNUSED_S
from tests.code.builders import git, repository, write
from tests.shell.helpers import Shell, Spool, without_venv

KEY = "0123456789abcdef" * 4


def code_of(spool: Spool, full: str) -> dict[str, Any]:
    value = json.loads((spool.path / "records" / f"{full[4:]}.json").read_bytes().decode("utf-8", "surrogateescape"))
    code = value.get("code", {})
    assert isinstance(code, dict)
    return code


def test_a_shell_takes_the_snapshots_that_python_takes(shell: Shell) -> None:
    here = repository(shell.home / "p q", train_dot_sh="#GPUQ --snapshot\ntrue\n", pkg__a_dot_sh="true\n")
    (here / "-odd\nname \xff").write_text("1\n")
    (here / "link").symlink_to("../elsewhere")
    head = git(here, "rev-parse", "HEAD")
    said = shell.ok(
        "\\cd 'p q/pkg' >/dev/null; gpu_submit a.sh ../train.sh; gpu_submit --snapshot a.sh;"
        " gpu_run --snapshot 'true x';"
        " gpu_submit --no-snapshot ../train.sh; \\cd >/dev/null; gpu_submit 'p q/pkg/a.sh';"
        " gpu_explain true; gpu_explain a.sh"
    )
    plain, line, option, run, against, outside = said.lines[:6]
    spool = shell.spool
    key = look(str(here), {}).key
    assert [path.name for path in (spool.path / "snapshots").glob("*.tgz")] == [f"{key}.tgz"]
    assert code_of(spool, plain) == code_of(spool, against) == {"commit": head, "dirty": False}
    assert code_of(spool, outside) == {}
    taken = {"commit": head, "dirty": True, "snapshot": key, "root": str(here), "cwd": "pkg"}
    assert code_of(spool, line) == {**taken, "script": "train.sh"}
    assert code_of(spool, option) == {**taken, "script": "pkg/a.sh"}
    assert code_of(spool, run) == taken
    assert said.out.endswith(f"  code: commit {head[:12]}, changed since; snapshot {key[:12]} of {here}\n") or (
        f"  code: commit {head[:12]}, changed since; snapshot {key[:12]} of {here}\n" in said.out
    )
    assert f"; in a copy of snapshot {key[:12]}\n" in said.err
    assert f"note: a.sh: snapshot: what its links lead to is not in it: link -> {shell.home}/elsewhere\n" in said.err
    write(here, train_dot_sh="#GPUQ --snapshot\nfalse\n")
    (later,) = shell.ok("\\cd 'p q' >/dev/null; gpu_submit --no-snapshot train.sh").lines
    assert code_of(spool, later) == {"commit": head, "dirty": True}


def test_what_cannot_be_taken_is_refused_before_anything_is_queued(shell: Shell, spool: Spool) -> None:
    here = repository(shell.home / "p", train_dot_sh="true\n", big="x" * 2000)
    shell.file("p/away.sh", "#SBATCH --chdir=/tmp\n#GPUQ --snapshot\n")
    large = shell.run("\\cd p >/dev/null; export GPU_QUEUE_SNAPSHOT_FILE_SIZE=1K; gpu_submit --snapshot train.sh")
    assert large.status == 2
    assert "would hold files of more than 1K, 1 of them; the largest: big 2K" in large.err
    assert large.err.endswith("; nothing was submitted\n")
    chinese = shell.run(
        "\\cd p >/dev/null; export GPU_QUEUE_SNAPSHOT_FILE_SIZE=1K; gpu_submit --snapshot train.sh",
        LC_ALL="zh_CN.UTF-8",
    )
    assert "的快照将含有 1 个超过 1K 的文件" in chinese.err
    away = shell.run("\\cd p >/dev/null; gpu_submit away.sh")
    assert away.status == 2
    assert f"it runs in /tmp, which lies outside of {here}" in away.err
    value = shell.run("\\cd p >/dev/null; gpu_submit --snapshot=yes train.sh")
    assert value.status == 2
    (spool.path / "snapshots").write_text("no directory\n")
    full = shell.run("\\cd p >/dev/null; gpu_submit --snapshot train.sh")
    assert full.status == 1
    assert "snapshots should be a directory, and is a regular file" in full.err
    (shell.home / "p" / "away.sh").unlink()
    assert spool.names("pending") == []
    assert os.listdir(spool.path / "records") == []


def test_without_a_python_it_is_refused_and_the_rest_works(shell: Shell) -> None:
    repository(shell.home / "p", train_dot_sh="#GPUQ --snapshot --gpus 0\n", plain_dot_sh="true\n")
    source = without_venv(shell)
    bare = shell.home / "bin"
    bare.mkdir()
    for place in os.environ["PATH"].split(":"):
        for program in Path(place).glob("*") if os.path.isdir(place) else ():
            if not program.name.startswith(("python", "pypy")) and not (bare / program.name).is_symlink():
                (bare / program.name).symlink_to(program)
    said = shell.run(f"{source}; \\cd p >/dev/null; gpu_submit train.sh || :; gpu_submit plain.sh", PATH=str(bare))
    assert "it takes a Python 3.10 or newer: none among" in said.err
    assert "only options and #GPUQ lines were read" in said.err
    (full,) = said.lines
    assert code_of(shell.spool, full).keys() == {"commit", "dirty"}


def test_a_git_that_hangs_is_left_out(shell: Shell, spool: Spool) -> None:
    repository(shell.home / "p", train_dot_sh="true\n")
    (shell.home / "bin").mkdir()
    (shell.home / "bin/git").write_text("#!/bin/sh\nexec sleep 30\n")
    (shell.home / "bin/git").chmod(0o755)
    began_s = time.monotonic()
    (full,) = shell.ok("\\cd p >/dev/null; gpu_submit train.sh", PATH=f"{shell.home}/bin:{os.environ['PATH']}").lines
    assert time.monotonic() - began_s < 20
    assert code_of(spool, full) == {}


def test_gpu_clean_removes_what_no_record_names_and_nobody_used_for_a_week(shell: Shell, spool: Spool) -> None:
    snapshots = spool.path / "snapshots"
    snapshots.mkdir()
    other, named, taken, lately = (f"{digit}{KEY[1:]}" for digit in "abcd")
    for key in (KEY, other, named, lately):
        (snapshots / f"{key}.tgz").write_text("packed")
        (snapshots / f"{key}.json").write_text("{}")
    (snapshots / f".removing-{KEY[:12]}-{taken}.tgz").write_text("of somebody at work")
    (snapshots / ".0123456789abcdef.0123456789ab").write_text("half")
    (snapshots / "notes.txt").write_text("somebody's")
    spool.add("failed", code={"snapshot": named})
    spool.add("pending", name=f"in any spelling: {other}")
    long_ago = time.time() - UNUSED_S - 3600
    for path in snapshots.iterdir():
        if lately not in path.name:
            os.utime(path, (long_ago, long_ago))
    said = shell.ok("gpu_clean --older-than 7d")
    assert "1 snapshots forgotten" in said.err
    assert sorted(path.name for path in snapshots.glob("*.tgz")) == sorted(
        [f"{other}.tgz", f"{named}.tgz", f"{lately}.tgz", f".removing-{KEY[:12]}-{taken}.tgz"]
    )
    assert not (snapshots / f"{KEY}.json").exists()
    assert not (snapshots / ".0123456789abcdef.0123456789ab").exists()
    assert (snapshots / "notes.txt").exists()
    for full in spool.names("failed"):
        spool.move(full, "failed", "done")
    shell.ok("gpu_clean --older-than 0s")
    assert not (snapshots / f"{named}.tgz").exists()
    assert (snapshots / f"{other}.tgz").exists()
