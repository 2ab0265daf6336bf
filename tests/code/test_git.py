"""A git that does not answer."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import psutil
import pytest

from gpu_queue.code.git import GitProblem, ask
from tests.agent.harness import wait_until


def test_a_git_that_takes_too_long_is_killed_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    before = set(psutil.Process().children())
    with pytest.raises(GitProblem, match=r"git status took longer than 0\.1 s"):
        ask(str(tmp_path), ["status"], 0.1)
    gc.collect()  # a process that nobody waits for warns here
    wait_until(lambda: set(psutil.Process().children()) <= before, "it to be gone, not left as a zombie")
