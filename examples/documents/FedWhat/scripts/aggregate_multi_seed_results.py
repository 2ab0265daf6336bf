#!/usr/bin/env python3
"""Mean and deviation of the accuracy over the seeds, for each data set and algorithm, from logs/multi_seed/*.log.

What is read of a log is the last line that says

    result dataset=cifar10 algorithm=fedavg seed=42 accuracy=0.8312

so that is what a training has to print (`result_line` makes it).  A log without one, of a run that has failed or is
not over, is told, and so is a seed that others have: then the status is 1.
"""

from __future__ import annotations

import argparse
import glob
import os
import re
import statistics
import sys

TAIL_BYTES = 1 << 20
_RESULT = re.compile(r"^result dataset=(\S+) algorithm=(\S+) seed=(\S+) accuracy=([0-9.eE+-]+)\s*$", re.MULTILINE)


def result_line(dataset: str, algorithm: str, seed: int, accuracy: float) -> str:
    """The line with the result of a training."""
    return f"result dataset={dataset} algorithm={algorithm} seed={seed} accuracy={accuracy:.4f}"


def result_in(path: str) -> tuple[str, str, str, float] | None:
    """Data set, algorithm, seed and accuracy of a log; None: it has no result."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            found = _RESULT.findall(file.read().decode("utf-8", "replace"))
        dataset, algorithm, seed, accuracy = found[-1]
        return dataset, algorithm, seed, float(accuracy)
    except (OSError, IndexError, ValueError):
        return None


def main() -> int:
    here = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logs", nargs="?", default=os.path.join(here, "logs/multi_seed"), help="their directory")
    directory = parser.parse_args().logs
    paths = sorted(glob.glob(os.path.join(glob.escape(directory), "*.log")))
    found: dict[tuple[str, str], dict[str, float]] = {}
    without = []
    for path in paths:
        result = result_in(path)
        if result is None:
            without.append(path)
        else:
            found.setdefault(result[:2], {})[result[2]] = result[3]
    seeds = sorted({seed for by_seed in found.values() for seed in by_seed}, key=lambda seed: (len(seed), seed))
    columns = ("dataset", "algorithm", "seeds", "mean", "deviation", "missing")
    rows = [columns]
    for (dataset, algorithm), by_seed in sorted(found.items()):
        values = list(by_seed.values())
        deviation = f"{statistics.stdev(values):.4f}" if len(values) > 1 else "-"
        missing = " ".join(seed for seed in seeds if seed not in by_seed)
        rows.append((dataset, algorithm, str(len(values)), f"{statistics.mean(values):.4f}", deviation, missing))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows if found else ():
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for path in without:
        print(f"{path}: no result: the run has failed, or is not over", file=sys.stderr)
    if not paths:
        print(f"{directory}: no logs; run_gpu_aware_experiments.sh multi_seed makes them", file=sys.stderr)
    return int(not found or bool(without) or any(row[-1] for row in rows[1:]))


if __name__ == "__main__":
    sys.exit(main())
