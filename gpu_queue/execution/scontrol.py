"""``scontrol`` for the one node of a task: answers ``show hostnames``, and nothing else.

::

    python scontrol.py DIRECTORY show hostnames [LIST]

Run as a file by the agent's Python with ``-I -S``.  Where a real one is in PATH behind DIRECTORY, it is asked all
that does not concern a job of ours: that Slurm does not know.
"""

from __future__ import annotations

import os
import re
import shutil
import sys

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


def main(directory: str, words: list[str]) -> int:
    """Be scontrol; returns its status."""
    asked = [word for word in words if not word.startswith("-")]
    is_hosts = len(asked) > 1 and "show".startswith(asked[0].lower()) and asked[1].lower().startswith("hostname")
    if is_hosts:
        given = asked[2:] or [os.environ.get("SLURM_JOB_NODELIST", os.environ.get("SLURM_NODELIST", ""))]
        sys.stdout.write("".join(f"{name}\n" for text in given for name in expanded(text)))
        return 0
    is_ours = any(int(one) > SLURM_HIGHEST for word in words for one in re.findall(r"[0-9]{8,10}", word))
    places = [one for one in os.environ.get("PATH", os.defpath).split(":") if one and one != directory]
    real = shutil.which("scontrol", path=":".join(places))
    if real is not None and not is_ours:
        os.execv(real, ["scontrol", *words])
    sys.stderr.write(
        f"scontrol: error: {' '.join(words)}: a task of gpu-queue is no job of Slurm's; here it answers only "
        "scontrol show hostnames (gpu_status and gpu_explain tell of tasks)\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
