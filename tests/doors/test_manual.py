"""The manual of the Python door is true, and opening the door costs nothing."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

import gpu_queue.spool.spool as face

HEAVY = ("agent", "node", "keepalive", "gpus", "execution", "scheduling", "config")
FOREIGN = ("torch", "pynvml", "yaml", "numpy")


def test_the_examples_of_the_manual_do_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.sh").write_text("python train.py\n")
    finder = doctest.DocTestFinder()
    (manual,) = (test for test in finder.find(face.Spool, globs={"queue_root": tmp_path / "q"}) if test.examples)
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(manual, out=said.append)
    assert (result.failed, result.attempted > 20) == (0, True), "".join(said)


@pytest.mark.parametrize(("line", "at_most"), [("import gpu_queue", 1), ("from gpu_queue import Spool", 200)])
def test_an_import_loads_nothing_that_serves_gpus(line: str, at_most: int) -> None:
    code = f"{line}\nimport sys; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {f"gpu_queue.{name}" for name in HEAVY}
    assert not loaded & set(FOREIGN)
    assert len([name for name in loaded if name.startswith("gpu_queue")]) <= at_most


def test_the_package_gives_out_nothing_else() -> None:
    import gpu_queue

    assert gpu_queue.Spool is face.Spool
    assert not hasattr(gpu_queue, "Pool")
