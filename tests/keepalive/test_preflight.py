"""Whether the keep-alive can work, as far as that is known before it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from gpu_queue.keepalive.preflight import Torch, look_for_torch
from tests.keepalive.nursery import HAS_TORCH, ROOT

VERSION = "__version__ = '2.9.1+{0}'\ncuda: Optional[str] = {1}\nhip: Optional[str] = None\n"


def never(words: Sequence[str]) -> str:
    raise AssertionError(f"{words} was started")


def a_python(base: Path, cuda: str | None) -> str:
    """A virtual environment as it lies on the disk, with torch in it if ``cuda`` says of which build."""
    python = base / "env/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    site = base / "env/lib/python3.11/site-packages"
    site.mkdir(parents=True)
    if cuda is not None:
        (site / "torch").mkdir()
        (site / "torch/__init__.py").touch()
        (site / "torch/version.py").write_text(VERSION.format("cpu" if cuda == "None" else "cu128", cuda))
    return str(python)


@pytest.mark.parametrize(
    ("cuda", "problem"), [("'12.8'", ""), ("None", "torch 2.9.1+cpu of {} was built without CUDA")]
)
def test_torch_beside_a_python_is_found_without_starting_it(tmp_path: Path, cuda: str, problem: str) -> None:
    python = a_python(tmp_path, cuda)
    assert look_for_torch(python, needs_cuda=False, ask=never).problem == ""
    found = look_for_torch(python, needs_cuda=True, ask=never)
    assert found.problem == problem.format(python)
    assert found.version.startswith("2.9.1+")
    assert found.remedy == (f"{python} -m pip install --force-reinstall torch" if problem else "")


def test_a_python_that_has_none_beside_it_is_asked_and_the_command_that_mends_it_is_told(tmp_path: Path) -> None:
    python = a_python(tmp_path / "a b", None)
    found = look_for_torch(python, needs_cuda=True, ask=lambda _: "-")
    assert found == Torch("", f"torch is not installed for {python}", f"'{python}' -m pip install torch")
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/version.py").write_text(VERSION.format("cu128", "'12.8'"))
    origin = str(tmp_path / "torch/__init__.py")  # on its PYTHONPATH, say
    assert look_for_torch(python, needs_cuda=True, ask=lambda _: origin) == Torch("2.9.1+cu128")


def test_a_python_that_is_none_or_does_not_run_is_told(tmp_path: Path) -> None:
    found = look_for_torch("/nowhere/python", needs_cuda=True, ask=never)
    assert found.problem == "/nowhere/python cannot be run"
    assert "keepalive.python" in found.remedy
    python = a_python(tmp_path, None)
    assert "does not run" in look_for_torch(python, needs_cuda=True, ask=lambda _: "").problem
    Path(python).unlink()
    Path(python).touch(0o644)
    assert look_for_torch(python, needs_cuda=True, ask=never).problem == f"{python} cannot be run"


@pytest.mark.parametrize("has_torch", [False, True])
def test_the_agents_own_python_is_looked_at_without_importing_torch(tmp_path: Path, has_torch: bool) -> None:
    if has_torch:
        (tmp_path / "torch").mkdir()
        (tmp_path / "torch/__init__.py").write_text("raise SystemExit('imported')")
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}];"
        "from gpu_queue.keepalive.preflight import look_for_torch;"
        "print(look_for_torch(sys.executable, needs_cuda=True, ask=None).problem)"
    )
    # -S: without what is installed beside this Python.
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert done.stdout == ("\n" if has_torch else f"torch is not installed for {sys.executable}\n")


@pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed: pip install torch")
def test_the_torch_that_is_installed_here_is_found() -> None:
    assert look_for_torch(sys.executable, needs_cuda=False, ask=never).problem == ""
    assert look_for_torch(sys.executable, needs_cuda=False, ask=never).version != ""


def test_where_uv_made_the_environment_uv_mends_it_unless_there_is_a_pip(tmp_path: Path) -> None:
    python = a_python(tmp_path / "a b", None)
    (tmp_path / "a b/env/pyvenv.cfg").write_text("home = /usr/bin\nuv = 0.13.9\n")
    assert look_for_torch(python, needs_cuda=True, ask=lambda _: "-").remedy == (
        f"uv pip install --python '{python}' torch"
    )
    (tmp_path / "a b/env/lib/python3.11/site-packages/pip").mkdir()
    assert look_for_torch(python, needs_cuda=True, ask=lambda _: "-").remedy == f"'{python}' -m pip install torch"
