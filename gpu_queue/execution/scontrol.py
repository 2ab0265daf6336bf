"""``scontrol`` for the one node of a task: answers ``show hostnames``, and takes ``requeue``.

::

    python scontrol.py DIRECTORY show hostnames [LIST]
    python scontrol.py DIRECTORY requeue JOB[,JOB...]

``requeue`` of the task itself asks for it to be run again, and has it ended as Slurm would: TERM, and KILL after a
while, by its shim.  PyTorch Lightning and many a script do that when they are warned, and do not end themselves.

Run as a file by the agent's Python with ``-I -S``.  Where a real one is in PATH behind DIRECTORY, it is asked all
that does not concern a job of ours: that Slurm does not know.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys

REQUEST = "GPU_QUEUE_REQUEUE"
"""Names the file by which a task asks to be run again."""
SLURM_HIGHEST = 67_108_863
HOSTS_MAX = 10_000


def expanded(text: str) -> list[str]:
    """The names in a list like ``a[01-03,7],b``."""
    names: list[str] = []
    for one in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", text):
        made = [""]
        for plain, inside in re.findall(r"([^\[]+)|\[([^\]]*)\]", one):
            made = [f"{name}{end}" for name in made for end in ([plain] if plain else _numbers(inside))][:HOSTS_MAX]
        names += made
    return names[:HOSTS_MAX]


def _numbers(text: str) -> list[str]:
    found: list[str] = []
    for part in text.split(","):
        match = re.fullmatch(r"([0-9]{1,9})-([0-9]{1,9})", part)
        if match is None:
            found.append(part)
            continue
        last = min(int(match[2]), int(match[1]) + HOSTS_MAX)
        found += [str(number).zfill(len(match[1])) for number in range(int(match[1]), last + 1)]
    return found


def _own_names() -> set[str]:
    """By which numbers a script may know the task that it runs in."""
    job, array = os.environ.get("SLURM_JOB_ID", ""), os.environ.get("SLURM_ARRAY_JOB_ID", "")
    index = os.environ.get("SLURM_ARRAY_TASK_ID", "")
    return {one for one in (job, f"{array}_{index}" if array and index else "") if one}


def _requeue(jobs: list[str]) -> int:
    """Ask for the task to be run again."""
    request = os.environ.get(REQUEST, "")
    if not request or not set(jobs) <= _own_names():
        return _refuse(f"requeue {','.join(jobs)}", "a task can have itself run again (SLURM_JOB_ID), and no other")
    try:
        os.close(os.open(request, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC, 0o600))
    except OSError as error:
        if not os.path.lexists(request):  # that something stands there is the request
            return _refuse("requeue", f"{request}: {error.strerror}")
    shim = os.getsid(0)
    if _is_shim(shim):
        os.kill(shim, signal.SIGTERM)
    return 0


def _is_shim(pid: int) -> bool:
    """Whether the leader of our session started the script: it does not carry the claim, as the script does."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            is_marked = b"GPU_QUEUE_CLAIM=" in file.read()
    except OSError:
        return False
    return not is_marked and "GPU_QUEUE_CLAIM" in os.environ


def _refuse(what: str, why: str) -> int:
    sys.stderr.write(f"scontrol: error: {what}: {why}\n")
    return 1


def main(directory: str, words: list[str]) -> int:
    """Be scontrol; returns its status."""
    asked = [word for word in words if not word.startswith("-")]
    is_hosts = len(asked) > 1 and "show".startswith(asked[0].lower()) and asked[1].lower().startswith("hostname")
    if is_hosts:
        given = asked[2:] or [os.environ.get("SLURM_JOB_NODELIST", os.environ.get("SLURM_NODELIST", ""))]
        sys.stdout.write("".join(f"{name}\n" for text in given for name in expanded(text)))
        return 0
    if len(asked) > 1 and asked[0].lower() == "requeue":
        jobs = [one for text in asked[1:] for one in text.split(",") if one]
        if jobs and set(jobs) & _own_names():
            return _requeue(jobs)
    is_ours = any(int(one) > SLURM_HIGHEST for word in words for one in re.findall(r"[0-9]{8,10}", word))
    places = [one for one in os.environ.get("PATH", os.defpath).split(":") if one and one != directory]
    real = shutil.which("scontrol", path=":".join(places))
    if real is not None and not is_ours:
        os.execv(real, ["scontrol", *words])
    return _refuse(
        " ".join(words),
        "a task of gpu-queue is no job of Slurm's; here it answers only scontrol show hostnames, and requeues the "
        "task itself (gpu_status and gpu_explain tell of tasks)",
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
