"""``srun`` of a task: starts the ranks of a step on this node, and ends with the worst of them.

::

    python srun/__main__.py DIRECTORY [OPTION...] PROGRAM [ARGUMENT...]

- A program of its own, run as a file by the agent's Python with ``-I -S``; of the package it imports nothing but
  these modules.
  DIRECTORY is where the program lies under the name by which scripts call it: a real one is looked for behind it.
- A number in SLURM_JOB_ID that Slurm can have given is a real allocation: there the real srun is meant, and takes our
  place.
- A task over several nodes calls it on each: each node starts its own ranks (:mod:`.layout`), and passes a step that
  runs on others.  What asks for more nodes than the task has is refused, and so is what would be run otherwise than
  it says (``--multi-prog``, containers); what only tells Slurm where to run is passed over in silence, what nobody
  knows with a line.
- All ranks see all GPUs, as under Slurm, unless it is said which see which.  A step that asks for a part of them gets
  one that no other step has, and waits for it: the locks lie in the task's own directory, and go with us.
- A signal is passed on, but for one from the agent or its shim, who end the task: they have told each process
  already, and many programs take a second TERM for "at once".
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.abspath(f"{__file__}/../../../.."))  # isolated, Python has no path of ours

from gpu_queue.execution.srun.gpus import Locks, gpus_of_ranks, part_wanted
from gpu_queue.execution.srun.layout import answer_of, gang_of, layout_of
from gpu_queue.execution.srun.output import Labels, Outputs, path_of, say
from gpu_queue.execution.srun.ranks import FORWARDED, Ranks, wait_for
from gpu_queue.execution.srun.step import Refused, Step, number_of, parse
from gpu_queue.execution.srun.surroundings import environment_of, exported, step_number

SLURM_HIGHEST = 67_108_863
DIRECTORY_VARIABLE = "GPU_QUEUE_TRY_DIR"


def find_real(name: str, directory: str) -> str | None:
    """The program of that name that PATH has beside ours."""
    places = [one for one in os.environ.get("PATH", os.defpath).split(":") if one and one != directory]
    return shutil.which(name, path=":".join(places))


def is_real_job(text: str) -> bool:
    """Whether Slurm can have given this number to a job."""
    number = re.split(r"[._]", text)[0]
    return number.isdigit() and 0 < int(number) <= SLURM_HIGHEST


def run(step: Step, environment: dict[str, str]) -> int:
    """Start the step and wait for it."""
    if "help" in step.given or "version" in step.given:
        sys.stdout.write("srun for the nodes of a task; see docs/scripts.md of gpu-queue\n")
        return 0
    if not step.program:
        raise Refused("no program is given; srun [OPTIONS] PROGRAM [ARGUMENTS]")
    if step.unknown:
        say(f"passes over {', '.join(step.unknown)}, which it does not know")
    host = environment.get("SLURMD_NODENAME") or socket.gethostname()
    layout = layout_of(step, environment, host)
    answer = answer_of(step.program, layout) if gang_of(environment) is not None else None
    if answer is not None:
        sys.stdout.write(answer)
        return 0
    if not layout.ids:
        say(f"this step runs on {', '.join(layout.hosts)}, which starts it itself")
        return 0
    ranks_count = len(layout.ids)
    shown = environment.get("CUDA_VISIBLE_DEVICES")
    gpus = [one for one in (shown or "").split(",") if one]
    directory = environment.get(DIRECTORY_VARIABLE, "")
    if "chdir" in step.given:
        try:
            os.chdir(step.given["chdir"])
        except OSError as error:
            raise Refused(f"cannot enter {step.given['chdir']}: {error.strerror}") from None
    number = step_number(directory)
    outputs = Outputs(step, environment, number)
    locks = Locks(directory)
    wanted = part_wanted(step)
    if wanted is not None and "gpus" in step.given:
        wanted = -(-wanted // len(layout.hosts))
    per_task = number_of(step, "gpus-per-task")
    if wanted is None and per_task is not None:
        wanted = per_task * ranks_count
    if wanted is not None and shown is not None:
        if wanted > len(gpus):
            raise Refused(f"asks for {wanted} GPUs, and this task has {len(gpus)}: gpu_submit --gpus {wanted}")
        if wanted < len(gpus):
            gpus = locks.take(gpus, wanted) if wanted and directory else gpus[:wanted]
            shown = ",".join(gpus)
    seen_by = gpus_of_ranks(step, environment, gpus, ranks_count)
    base = exported(environment, step.given.get("export"))
    if shown is not None:
        base["CUDA_VISIBLE_DEVICES"] = shown
    labels = Labels(layout.total) if "label" in step.given else None
    signal.pthread_sigmask(signal.SIG_BLOCK, {*FORWARDED, signal.SIGCHLD})
    ranks = Ranks()
    nothing = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    for place, rank in enumerate(layout.ids):
        mine = environment_of(base, step, number, layout, place)
        if seen_by is not None:
            mine["CUDA_VISIBLE_DEVICES"] = ",".join(seen_by[place])
        out = outputs.descriptor(step.given.get("output"), rank, 1)
        err = outputs.descriptor(step.given.get("error"), rank, 2 if out == 1 else out)
        if labels is not None:
            both = [labels.pipe(rank, one) if one in (1, 2) else one for one in (out, err)]
        else:
            both = [out, err]
        given = _input_of(step, environment, number, rank, 0 if place == 0 else nothing, nothing)
        ranks.start(rank, step.program, mine, (given, both[0], both[1]))
        if labels is not None:
            for one in both:
                if one not in (out, err):
                    os.close(one)
    if labels is not None:
        labels.begin()
    status = wait_for(ranks, step, host)
    if labels is not None:
        labels.finish()
    return status


def _input_of(step: Step, environment: dict[str, str], number: int, rank: int, otherwise: int, nothing: int) -> int:
    """What a rank reads: ours is the first one's (``otherwise``), for nobody can read it twice."""
    wanted = step.given.get("input", "all")
    if wanted == "all":
        return otherwise
    if wanted.isdigit() and int(wanted) == rank:
        return 0
    if wanted == "none" or wanted.isdigit():
        return nothing
    path = path_of(wanted, environment, number, rank)
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror}") from None


def main(directory: str, words: list[str]) -> int:
    """Be srun; returns its status."""
    environment = dict(os.environ)
    try:
        step = parse(words)
        if is_real_job(step.given.get("jobid", environment.get("SLURM_JOB_ID", ""))):
            real = find_real("srun", directory)
            if real is not None:
                os.execv(real, ["srun", *words])
        return run(step, environment)
    except Refused as why:
        say(f"error: {why}")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
