#!/usr/bin/env python3
"""Stands in for qsub, qselect, qstat and qdel of OpenPBS 23, with the words and statuses that it was seen to use.

Jobs lie as JSON in $PBS_STAND_IN; the file ``mode`` there says what goes wrong: away, lost, hang, forbidden.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from typing import NoReturn

HERE = os.environ["PBS_STAND_IN"]
PROGRAM = os.path.basename(sys.argv[0])
FORMS = {
    "qsub": r"[^-]\S*",
    "qselect": r"-u [a-z0-9_-]+",
    "qstat": r"-B|--version|-f( \S+)+",
    "qdel": r"[^-]\S*( [^-]\S*)*",
}


def read(name: str) -> str:
    try:
        with open(f"{HERE}/{name}") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def fail(status: int, *lines: str) -> NoReturn:
    print(*lines, sep="\n", file=sys.stderr)
    sys.exit(status)


def fold(key: str, value: str) -> str:
    """As qstat does: a new line and a tab after some 78 characters."""
    line, text = f"    {key} = ", ""
    while value:
        room = 78 - len(line) if not text else 71
        text, value = text + ("\n\t" if text else "") + value[:room], value[room:]
    return line + text


def submit(path: str) -> str:
    with open(path) as file:
        words = [line.split(maxsplit=2) for line in file if line.startswith("#PBS -")]
    given = {word: rest.strip() for _, word, rest in words}
    if "=x" in given["-l"] or "-q nope" in " ".join(" ".join(one) for one in words):
        fail(170, "qsub: Unknown queue")
    number = len(jobs) + 1
    jobs[f"{number}.head"] = {
        "Job_Name": given["-N"],
        "job_state": "Q",
        "queue": "workq",
        "Variable_List": f"PBS_O_HOME=/home/alice,PBS_O_PATH={'/opt/a:' * 12}/bin,PBS_O_WORKDIR=/home/alice,"
        + given["-v"]
        + ",PBS_O_QUEUE=workq",
        "Submit_arguments": path,
    }
    save()
    return f"{number}.head"


def save() -> None:
    with open(f"{HERE}/jobs.new", "w") as file:
        json.dump(jobs, file)
    os.replace(f"{HERE}/jobs.new", f"{HERE}/jobs")


jobs: dict[str, dict[str, str]] = json.loads(read("jobs") or "{}")
mode = read("mode")
assert re.fullmatch(FORMS[PROGRAM], " ".join(sys.argv[1:])), sys.argv
if sys.argv[1:] == ["--version"]:
    print("pbs_version = 23.06.06")
    sys.exit()
if mode == "away":
    fail(2, "Connection refused", f"{PROGRAM}: cannot connect to server head (errno=15010)")
if mode == "hang":
    time.sleep(60)
ids = sys.argv[2 if PROGRAM == "qstat" else 1 :]
status = 0
if PROGRAM == "qsub":
    made = submit(*ids)
    if mode == "lost":
        fail(1, "qsub: End of File")
    if mode == "limit":
        jobs.clear()
        save()
        fail(1, "qsub: Maximum number of jobs for user alice already in queue workq")
    print(made)
elif PROGRAM == "qselect":
    print(*(one for one, job in jobs.items() if job["job_state"] != "F"), sep="\n")
elif PROGRAM == "qdel":
    for one in ids:
        if one not in jobs:
            print(f"qdel: Unknown Job Id {one}", file=sys.stderr)
            status = 153
        elif mode == "forbidden":
            fail(159, f"qdel: Unauthorized Request  {one}")
        elif jobs[one]["job_state"] == "F":
            print(f"qdel: Job has finished {one}", file=sys.stderr)
            status = 35
        else:
            jobs[one]["job_state"] = "F"
    save()
elif sys.argv[1] == "-f":
    for one in ids:
        if one not in jobs:
            print(f"qstat: Unknown Job Id {one}", file=sys.stderr)
            status = 153
        elif jobs[one]["job_state"] == "F":
            print(
                f"qstat: {one} Job has finished, use -x or -H to obtain historical job information", file=sys.stderr
            )
            status = 35
        else:
            print(f"Job Id: {one}", *(fold(*pair) for pair in jobs[one].items()), "", sep="\n")
sys.exit(status)
