"""What `--snapshot` takes: 5,000 files, from Python and from a shell, the first time and when they are there already.

::

    python benchmarks/snapshots.py [--files 5000] [--rounds 7]

Beside it what a submission takes without one, which only asks git for the commit; and to make the copy on the node.
The tree is source code of a kind: words of a small vocabulary, 27 MB of 5,000 files in a git repository.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import ROOT, facts

sys.path.insert(0, str(ROOT))

from gpu_queue.execution.unpacking import unpack
from gpu_queue.spool.spool import Spool

FILE_BYTES = 5400


def make_tree(where: Path, files: int) -> None:
    """A repository with so many files, all of them committed."""
    chance = random.Random(1)
    words = [f"word{number}" for number in range(4000)]
    for number in range(files):
        directory = where / f"src/package{number % 50:02d}/part{number % 7}"
        directory.mkdir(parents=True, exist_ok=True)
        text = " ".join(chance.choices(words, k=FILE_BYTES // 8))
        directory.joinpath(f"module{number}.py").write_text(text[:FILE_BYTES] + "\n", encoding="utf-8")
    (where / "train.sh").write_text("#GPUQ --gpus 0\ntrue\n", encoding="utf-8")
    who = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")
    for command in (("init", "-q"), ("add", "."), (*who, "commit", "-q", "-m", "all")):
        subprocess.run(["git", *command], cwd=where, check=True)


def measured(rounds: int, before: Callable[[], object], call: Callable[[], object]) -> dict[str, float]:
    """Seconds of a call: the median of several, the least, and what it takes of a processor, children and all.

    On a machine that does other work the last alone says what the call takes.
    """
    taken, used = [], []
    for _ in range(rounds):
        before()
        began_s, began_cpu_s = time.perf_counter(), sum(os.times()[:4])
        call()
        taken.append(time.perf_counter() - began_s)
        used.append(sum(os.times()[:4]) - began_cpu_s)
    told = {"median_s": statistics.median(taken), "least_s": min(taken), "least_cpu_s": min(used)}
    return {name: round(seconds, 3) for name, seconds in told.items()}


def measure(base: Path, files: int, rounds: int) -> dict[str, Any]:
    """All of it, in a directory of its own."""
    tree, queues = base / "tree", base / "queues"
    tree.mkdir()
    make_tree(tree, files)
    os.chdir(tree)
    os.environ["PWD"] = str(tree)
    spool = Spool("bench", queues)
    packed = Path(spool.path, "snapshots")

    def anew() -> None:
        shutil.rmtree(packed, ignore_errors=True)

    def in_shell(options: str) -> None:
        environment = {**os.environ, "QUEUE_ROOT": str(queues), "JOB_ID": "bench"}
        script = f". {ROOT}/client.sh; gpu_submit {options} train.sh"
        subprocess.run(["bash", "-c", script], env=environment, check=True, capture_output=True)

    def there() -> None:
        return None

    def in_python(snapshot: bool) -> None:
        spool.submit("train.sh", snapshot=snapshot)

    found: dict[str, Any] = {
        "python, none": measured(rounds, there, lambda: in_python(False)),
        "python, first": measured(rounds, anew, lambda: in_python(True)),
        "python, again": measured(rounds, there, lambda: in_python(True)),
        "shell, none": measured(rounds, there, lambda: in_shell("")),
        "shell, first": measured(rounds, anew, lambda: in_shell("--snapshot")),
        "shell, again": measured(rounds, there, lambda: in_shell("--snapshot")),
    }
    (archive,) = packed.glob("*.tgz")
    copy = base / "copy"
    found["unpack"] = measured(
        rounds, lambda: shutil.rmtree(copy, ignore_errors=True), lambda: unpack(str(archive), archive.stem, str(copy))
    )
    size = sum(path.stat().st_size for path in tree.rglob("*.py"))
    return {"files": files, "size_bytes": size, "packed_bytes": archive.stat().st_size, **found}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as base:
        found = {"machine": facts(Path(base)), **measure(Path(base), chosen.files, chosen.rounds)}
        os.chdir("/")
    found["load after"] = f"{os.getloadavg()[0]:.2f}"
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
