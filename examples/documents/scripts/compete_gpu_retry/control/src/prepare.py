#!/usr/bin/env python3
"""prepare.py PROJECT JOB_ID QUEUE_ROOT: make the queue, and put the project's files into it that it lacks.

- ``command/*.txt`` become job files, which the console edits and loads.
- ``config/gpu_manage.yaml`` becomes the queue's config.yaml; commands run in the project.
"""

from __future__ import annotations

import json
import os
import sys

from gpu_queue.errors import GpuQueueError
from gpu_queue.spool.desk.entrance import make, named

HEAD = "# Made of {} by control/run.sh; the console's page Policy changes it.\nmode: shared\nwork_dir: {}\n\n"


def put(path: str, content: bytes) -> None:
    """Write a file unless there is one."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with open(descriptor, "wb") as file:
        file.write(content)


def main(project: str, job_id: str, queue_root: str) -> None:
    """The program."""
    paths = named(job_id, queue_root or None)
    make(paths)
    os.makedirs(paths.jobfiles, 0o700, exist_ok=True)
    for name in sorted(os.listdir(f"{project}/command")):
        if name.endswith(".txt"):
            with open(f"{project}/command/{name}", "rb") as file:
                put(f"{paths.jobfiles}/{name}", file.read())
    manage = f"{project}/config/gpu_manage.yaml"
    with open(manage, "rb") as file:
        head = HEAD.format(json.dumps(manage), json.dumps(project))
        put(paths.config, head.encode() + file.read())


if __name__ == "__main__":
    try:
        main(*sys.argv[1:4])
    except (GpuQueueError, OSError) as error:
        sys.exit(f"run.sh: {error}")
