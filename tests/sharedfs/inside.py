"""The program of a machine that holds two mounts: runs cases on them, and writes each result as it comes.

python -m tests.sharedfs.inside KIND VERSION OUT CASE...

KIND: ``nfs`` (the guest has mounted it; VERSION 3 or 4.2), ``gluster``, ``moose``, ``sshfs`` (brought up here).
OUT: gets ``results``, one JSON object a line.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.sharedfs.cases import CASES, NotHere
from tests.sharedfs.pair import Pair, a_pair
from tests.sharedfs.services import SERVICES, Service, kernel_nfs


@dataclass(frozen=True)
class Result:
    """What came of a case."""

    case: str
    verdict: str
    """``ok``, ``FAILED``, or ``not here``."""
    text: str
    """In a few words what came out; the whole story of a failure."""
    seconds: float


def run_case(case: str, service: Service) -> Result:
    """One case, on a spool of its own."""
    started = time.monotonic()
    pair = Pair(service.mounts, service.truth, service.scratch / case, service.faults, case)
    try:
        with a_pair(pair):
            verdict, text = "ok", CASES[case].call(pair)
    except NotHere as reason:
        verdict, text = "not here", str(reason)
    except Exception as error:
        verdict, text = "FAILED", "".join(traceback.format_exception(error))
    return Result(case, verdict, text, round(time.monotonic() - started, 1))


def main() -> None:
    """The program."""
    kind, version, out, *cases = sys.argv[1:]
    service = kernel_nfs(version) if kind == "nfs" else SERVICES[kind](Path(out, "machine"))
    for case in cases:
        result = run_case(case, service)
        with Path(out, "results").open("a") as file:
            file.write(json.dumps(asdict(result)) + "\n")


if __name__ == "__main__":
    main()
