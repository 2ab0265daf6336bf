#!/usr/bin/env python3
"""main_gpu.py --command-file FILE: the blocks of a command file, each on one GPU that nobody else uses.

    python app/main_gpu.py --command-file command/command_gpu.txt

It is `gpu-queue load FILE` and an agent for a queue of the file's own, which lies beside it in .gpu-queue/, and ends
when that is empty.  Where one serves the queue already, the file is loaded, and that one runs what is new.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from types import FrameType

HERE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
CONFIG = f"{HERE}/config/gpu_manage.yaml"
SERVED = 75
"""The exit status of an agent that finds the queue served."""
PROGRAM = os.path.basename(sys.argv[0])


def gpu_queue() -> list[str]:
    """How the command is called: that of the checkout in which this file lies, else the installed one."""
    start = "import sys; sys.path[0] = {!r}; from gpu_queue.cli import main; sys.exit(main())"
    for root in (HERE, *(HERE[:at] for at in range(len(HERE) - 1, 0, -1) if HERE[at] == "/")):
        if os.path.isfile(f"{root}/gpu_queue/cli.py"):
            own = f"{root}/.venv/bin/python"
            return [own if os.access(own, os.X_OK) else sys.executable, "-c", start.format(root)]
    found = importlib.util.find_spec("gpu_queue")
    if found and found.origin:
        return [sys.executable, "-c", start.format(os.path.dirname(os.path.dirname(found.origin)))]
    installed = shutil.which("gpu-queue")
    if not installed:
        sys.exit(f"{PROGRAM}: gpu-queue is not installed: pip install it, or put it into PATH")
    return [installed]


def schedule(file: str, config: str, log: str, flags: list[str]) -> int:
    """Load a command file and serve its queue until that is empty; the exit status.

    Args:
        file: the command file.
        config: the scheduler's settings.
        log: what it says is added to this file.
        flags: of `gpu-queue load`.
    """
    directory, name = os.path.split(os.path.abspath(file))
    root, job_id = f"{directory}/.gpu-queue", os.path.splitext(name)[0]
    environment = {**os.environ, "QUEUE_ROOT": root, "JOB_ID": job_id}
    environment.setdefault("GPU_QUEUE_PROCESS_JSON", f"{HERE}/logs/uni_id.json")
    if not os.path.isfile(file):
        sys.exit(f"{PROGRAM}: {file}: there is no such file")
    os.makedirs(f"{root}/{job_id}", mode=0o700, exist_ok=True)
    os.makedirs(f"{HERE}/logs", exist_ok=True)
    with open(f"{root}/.gitignore", "w") as ignored:
        ignored.write("*\n")
    shutil.copyfile(config, f"{root}/{job_id}/.config.yaml.new")
    os.replace(f"{root}/{job_id}/.config.yaml.new", f"{root}/{job_id}/config.yaml")
    words = [*gpu_queue(), "load", *flags, file]
    loaded = subprocess.run(words, env=environment, stdout=subprocess.DEVNULL, check=False)
    if loaded.returncode:
        return loaded.returncode
    print(f"{PROGRAM}: to look at it: export QUEUE_ROOT={root} JOB_ID={job_id}; gpu_status", flush=True)
    with open(log, "ab") as output:
        said = output.tell()
        agent = subprocess.Popen(
            [*gpu_queue(), "agent", "--mode", "shared", "--no-keepalive", "--until-empty", "--lifetime", "never"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def hand_on(number: int, _frame: FrameType | None) -> None:
        agent.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, hand_on)
    shown = subprocess.Popen(
        ["tail", "-q", "-c", f"+{said + 1}", "-s", "0.2", "-F", f"--pid={agent.pid}", log],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    status = agent.wait()
    shown.wait()
    if status == SERVED:
        print(f"{PROGRAM}: an agent serves this queue already, and runs what was loaded")
        return 0
    return status


def main(kind: str, mode: str) -> int:
    """The program, for blocks of a kind."""
    parser = argparse.ArgumentParser(
        description=f"Run the blocks of a command file; {CONFIG} holds the settings.",
        epilog="More flags: gpu-queue load --help; --again runs also what was done.",
        allow_abbrev=False,
    )
    default = f"{HERE}/command/command_{kind}.txt"
    parser.add_argument("--command-file", default=default, metavar="FILE", help=f"default: {default}")
    chosen, more = parser.parse_known_args()
    return schedule(chosen.command_file, CONFIG, f"{HERE}/logs/compete_{kind}.log", [mode, *more])


if __name__ == "__main__":
    sys.exit(main("gpu", "--single"))
