"""``make attack``: the rounds of an adversary, some ten minutes; what came of them, as a table.

The table goes into docs/reliability.md with ``--table``.  The exit status says whether all went well.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from tests.agent.harness import ROOT
from tests.attack.arena import Verdict
from tests.attack.rounds import ROUNDS
from tests.sharedfs.table import write

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- attack -->", "<!-- /attack -->"


def main() -> int:
    """Run what is asked for; returns the exit status."""
    options = _options()
    seed = random.randrange(1 << 30) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    rows, is_good = [], True
    for one in ROUNDS:
        if options.only and options.only not in one.what:
            continue
        print(f"{one.what} …", flush=True)
        verdict = one.run(seed, options.seconds)
        if verdict is None:
            print("  cannot be tried here", flush=True)
            continue
        _tell(verdict)
        is_good &= verdict.is_good
        rows.append(_row(one.what, verdict))
    if options.table and not options.only:
        made_on = time.strftime("%Y-%m-%d", time.gmtime())
        lines = [
            f"Written by `make attack TABLE=1` on {made_on}, seed {seed}: {options.seconds:.0f} s of striking each;",
            "all nodes are one machine.",
            "",
            "| what was done to it | how often | tasks | tries | lost | doubled | wrong |",
            "|---|---|---|---|---|---|---|",
            *rows,
        ]
        write("\n".join(lines) + "\n", PAGE, (BEGIN, END), "What an adversary did to it")
    return 0 if is_good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.attack")
    parser.add_argument("--seconds", type=float, default=40.0, help="of striking, for each round")
    parser.add_argument("--only", help="rounds with this word")
    parser.add_argument("--seed", type=int, help="what is random begins here; the moments differ all the same")
    parser.add_argument("--table", action="store_true", help="write docs/reliability.md")
    return parser.parse_args()


def _tell(verdict: Verdict) -> None:
    struck = ", ".join(f"{what} {count}" for what, count in sorted(verdict.struck.items()))
    print(f"  {struck}", flush=True)
    print(f"  {verdict.tasks} tasks, {verdict.tries} tries", flush=True)
    for name in ("lost", "doubled", "wrong"):
        for text in getattr(verdict, name):
            print(f"  {name}: {text}", flush=True)
    if verdict.said:
        print(verdict.said, flush=True)


def _row(what: str, verdict: Verdict) -> str:
    amiss = " | ".join(str(len(found)) for found in (verdict.lost, verdict.doubled, verdict.wrong))
    return f"| {what} | {sum(verdict.struck.values())} | {verdict.tasks} | {verdict.tries} | {amiss} |"


if __name__ == "__main__":
    sys.exit(main())
