"""``make test-sharedfs``: bring up real network filesystems, break them, and say what came out.

python -m tests.sharedfs [--fast] [--all] [--table] [--only WORD] [--jobs N]

--fast: the part that runs with every change; --all: MooseFS and sshfs too; --table: rewrite the table in
docs/reliability.md from the newest results (build/sharedfs.json);
--only: machines and cases whose names contain this; --jobs: so many machines at once.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

from tests.sharedfs import table
from tests.sharedfs.cases import CASES
from tests.sharedfs.inside import Result
from tests.sharedfs.machines import ALL, FAST, FULL, Machine


def install(machines: tuple[Machine, ...]) -> None:
    """As root on Debian: the packages of what cannot be brought up yet."""
    wanted = sorted({package for machine in machines if machine.missing() for package in machine.packages})
    if not wanted or os.geteuid() != 0:
        return
    print(f"installing {' '.join(wanted)} …", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # Services are not to start by themselves; where there is an init, this keeps them from it.
    quiet = ["-qq", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0"]
    for words in (["update", "-qq"], ["install", "-y", *quiet, *wanted]):
        try:
            subprocess.run(["apt-get", *words], env=environment, check=True, stdout=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"apt-get {words[0]}: {error}", flush=True)
            return


def chosen(machines: tuple[Machine, ...], word: str) -> tuple[Machine, ...]:
    """Machines whose name, or of whose cases' names some, contain a word."""
    if not word:
        return machines
    found = []
    for machine in machines:
        cases = machine.cases if word in machine.name else tuple(case for case in machine.cases if word in case)
        if cases:
            found.append(replace(machine, cases=cases))
    return tuple(found)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="make test-sharedfs")
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    machines = chosen(FAST if given.fast else ALL if given.all else FULL, given.only)
    install(machines)
    results: dict[tuple[str, str], Result] = {}
    problems: list[str] = []

    def try_(machine: Machine) -> None:
        reason = machine.missing()
        if reason:
            print(f"######## SKIPPED: {machine.name} was not tried: {reason}", flush=True)
            return
        told = []

        def tell(result: Result) -> None:
            told.append(result)
            results[machine.column, result.case] = result
            case = CASES[result.case].name
            print(f"{machine.name}: {result.verdict}: {case}: {result.text}  [{result.seconds:.0f} s]", flush=True)
            if result.verdict == "FAILED":
                problems.append(f"{machine.name}, {case}")

        incomplete = machine.run(tell)
        if incomplete:
            # The tools are there and yet it does not come up: no reason to hold anybody up, and none to be silent.
            print(f"######## {'FAILED' if told else 'SKIPPED'}: {machine.name}: {incomplete}", flush=True)
            if told:
                problems.append(f"{machine.name} {incomplete.splitlines()[0]}")

    with ThreadPoolExecutor(given.jobs) as pool:
        list(pool.map(try_, machines))
    kept = table.keep({} if given.fast else results)
    if given.table:
        columns = list(dict.fromkeys(machine.column for machine in ALL))
        made_on = f"{date.today().isoformat()}, Linux {platform.release().split('-')[0]}, {os.cpu_count()} cores"
        table.write(table.as_markdown(columns, kept, made_on))
    for problem in problems:
        print(f"failed: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
