"""A real Slurm on this machine: its own munge, its own ports, two nodes, GPUs that are pretended.

Several may run at once.  All that belongs to one lies in its directory and descends from its warden, which ends it
when the test does, or dies.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
PACKAGES = "apt-get install -y slurm-wlm munge"
UP_S = 30.0
"""How long the cluster may take to come up; on two idle cores it takes 2 s."""
TRIES = 3
"""Ports are free when they are chosen, not when they are bound."""
IN_USE = "ddress already in use"
CGROUPS = Path("/sys/fs/cgroup")
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


class NotUp(Exception):
    """It could not be brought up; the message says why, and what to do."""


def missing() -> str:
    """What is not installed here, and how to install it; empty: nothing."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    return f"{', '.join(absent)} not installed ({PACKAGES})" if absent else ""


SETTINGS: Mapping[str, str] = {
    "AuthType": "auth/munge",
    "ProctrackType": "proctrack/linuxproc",
    "TaskPlugin": "task/none",
    "MpiDefault": "none",
    "SelectType": "select/cons_tres",
    "SelectTypeParameters": "CR_Core",
    "GresTypes": "gpu",
    "ReturnToService": "2",
    # The machine has fewer cores than its pretended nodes: GPUs are to be what is scarce.
    "SlurmdParameters": "config_overrides",
    "SchedulerParameters": "sched_min_interval=0,batch_sched_delay=0,bf_interval=1",
    "PreemptType": "preempt/partition_prio",
    "PreemptMode": "REQUEUE",
    "KillWait": "30",
    # A site that ends all tasks of a step soon after one of them: our steps must want it otherwise.
    "KillOnBadExit": "1",
    "WaitTime": "2",
    "SlurmdTimeout": "300",
    "MinJobAge": "300",
}


class Slurm:
    """One cluster that is up: nodes ``n1`` and ``n2`` of four GPUs each.

    Partitions: ``p`` (the default), and three that share its nodes: ``urgent`` preempts jobs of ``cheap``, which are
    cancelled, and of ``again``, which are requeued.  ``whole`` gives each job nodes of its own.
    """

    def __init__(self, base: Path, settings: Mapping[str, str], nodes: int, gpus: int) -> None:
        self.base = base
        self.nodes = tuple(f"n{index + 1}" for index in range(nodes))
        self.gpus = gpus
        self.settings = settings
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("SLURM", "SBATCH", "SQUEUE"))
            },
            "SLURM_CONF": str(base / "slurm.conf"),
            "PATH": PATH,
        }
        self._warden: subprocess.Popen[str] | None = None

    # -- up and down

    def start(self) -> None:
        """Bring it up.

        Raises:
            NotUp: one of its daemons did not come up; what they said stands in the message.
        """
        self._configure(_free_ports(1 + len(self.nodes)))
        self._warden = subprocess.Popen(
            [sys.executable, "-m", "tests.slurm.warden", str(self.base)],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        munge = self.base / "munge"
        (munge / "key").touch(0o600)
        (munge / "key").write_bytes(secrets.token_bytes(64))
        self.run_daemon(
            *("munged", "--foreground", "--force", "--num-threads=2", f"--key-file={munge}/key"),
            *(f"--socket={munge}/socket", f"--pid-file={munge}/pid", f"--log-file={munge}/log"),
            f"--seed-file={munge}/seed",
        )
        self._until((munge / "socket").exists, "munged made no socket")
        self.start_controller()
        for node in self.nodes:
            self.start_node(node)
        self._until(lambda: set(self.node_states()) == set(self.nodes), "the controller knows no nodes")
        self._until(lambda: set(self.node_states().values()) == {"IDLE"}, "not all nodes came up")

    def close(self) -> None:
        """End all that belongs to it, jobs and what they left too; its directory goes with them."""
        if self._warden is not None and self._warden.stdin is not None:
            self._warden.stdin.close()
            self._warden.wait()
        if self.settings.get("ProctrackType") == "proctrack/cgroup":
            for node in self.nodes:
                place = CGROUPS / "freezer" / f"slurm_{node}"
                for path in (*place.glob("uid_*"), place):
                    with contextlib.suppress(OSError):  # another Slurm's
                        path.rmdir()

    def run_daemon(self, *words: str) -> None:
        """Start a program that ends with the cluster; what it says is in ``daemons.out``."""
        assert self._warden is not None
        assert self._warden.stdin is not None
        try:
            self._warden.stdin.write(json.dumps([str(self.base / "daemons.out"), *words]) + "\n")
            self._warden.stdin.flush()
        except OSError as error:
            raise NotUp(f"the warden of the Slurm in {self.base} has gone: {error}") from error

    def start_controller(self) -> None:
        """Start slurmctld; returns when it answers."""
        self.run_daemon("slurmctld", "-D")
        self._until(lambda: self.run("scontrol", "ping").returncode == 0, "slurmctld does not answer")

    def stop_controller(self) -> None:
        """End slurmctld, which saves what it knows of jobs; running ones go on."""
        self._end("ctld.pid", signal.SIGTERM)

    def start_node(self, node: str) -> None:
        """Start the slurmd of a node."""
        self.run_daemon("slurmd", "-D", "-N", node)

    def kill_node(self, node: str) -> None:
        """End the slurmd of a node at once; what runs there goes on."""
        self._end(f"slurmd-{node}.pid", signal.SIGKILL)

    def _end(self, pid_file: str, number: signal.Signals) -> None:
        pid = int((self.base / pid_file).read_text())
        os.kill(pid, number)
        while True:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                break
            time.sleep(0.01)
        (self.base / pid_file).unlink(missing_ok=True)

    def _configure(self, ports: list[int]) -> None:
        user = pwd.getpwuid(os.getuid()).pw_name
        host = socket.gethostname()
        every = ",".join(self.nodes)
        lines = [
            "ClusterName=gq",
            f"SlurmctldHost={host}(127.0.0.1)",
            f"SlurmctldPort={ports[0]}",
            f"SlurmUser={user}",
            f"SlurmdUser={user}",
            f"AuthInfo=socket={self.base}/munge/socket",
            f"StateSaveLocation={self.base}/state",
            f"SlurmdSpoolDir={self.base}/spool-%n",
            f"SlurmctldPidFile={self.base}/ctld.pid",
            f"SlurmdPidFile={self.base}/slurmd-%n.pid",
            f"SlurmctldLogFile={self.base}/ctld.log",
            f"SlurmdLogFile={self.base}/slurmd-%n.log",
            *(f"{name}={value}" for name, value in {**SETTINGS, **self.settings}.items()),
            *(
                f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=16 RealMemory=8000 "
                f"Gres=gpu:{self.gpus} State=UNKNOWN"
                for node, port in zip(self.nodes, ports[1:], strict=True)
            ),
            f"PartitionName=p Nodes={every} Default=YES MaxTime=INFINITE PriorityTier=50 PreemptMode=OFF",
            f"PartitionName=cheap Nodes={every} PriorityTier=1 PreemptMode=CANCEL GraceTime=10",
            f"PartitionName=again Nodes={every} PriorityTier=1 PreemptMode=REQUEUE",
            f"PartitionName=urgent Nodes={every} PriorityTier=100 PreemptMode=OFF",
            f"PartitionName=whole Nodes={every} PriorityTier=50 PreemptMode=OFF OverSubscribe=EXCLUSIVE",
        ]
        (self.base / "slurm.conf").write_text("".join(f"{line}\n" for line in lines))
        if self.settings.get("ProctrackType") == "proctrack/cgroup":
            place = f"CgroupPlugin=cgroup/v1\nCgroupMountpoint={CGROUPS}\nCgroupAutomount=no\n"
            (self.base / "cgroup.conf").write_text(place)
        files = self.base / "gpus"
        files.mkdir(exist_ok=True)
        for index in range(self.gpus):
            (files / f"gpu{index}").symlink_to("/dev/null")
        last = f"[0-{self.gpus - 1}]" if self.gpus > 1 else "0"
        (self.base / "gres.conf").write_text(f"NodeName={every} Name=gpu File={files}/gpu{last}\n")
        for name in ("state", "munge", *(f"spool-{node}" for node in self.nodes)):
            (self.base / name).mkdir(exist_ok=True)
        (self.base / "munge").chmod(0o711)

    def _until(self, condition: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + UP_S
        while not condition():
            if time.monotonic() > deadline or IN_USE in self.last_words():
                raise NotUp(f"{otherwise} after {UP_S:.0f} s; {self.base} says:\n{self.last_words()}")
            time.sleep(0.05)

    def last_words(self) -> str:
        """The ends of all logs."""
        logs = [self.base / "daemons.out", *sorted(self.base.glob("*.log")), self.base / "munge/log"]
        texts = [(log.name, log.read_text(errors="replace")) for log in logs if log.exists()]
        return "\n".join(f"== {name}\n{text[-1500:]}" for name, text in texts if text)

    # -- asked

    def run(self, *words: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """A command of Slurm's, or of somebody who uses it."""
        return subprocess.run(
            words,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )

    def ask(self, *words: str) -> str:
        """What a command says that must succeed."""
        done = self.run(*words)
        assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def node_states(self) -> dict[str, str]:
        """The state of each node, as Slurm calls it, without marks."""
        done = self.run("sinfo", "-h", "-N", "-p", "p", "-O", "NodeList:20,StateComplete:40")
        found = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if line.split()[1:])
        return {node: state.strip().upper() for node, state in found.items()}

    def state(self, job: str) -> str:
        """The state of a job, as Slurm calls it; empty where Slurm has forgotten it."""
        return self.run("squeue", "-h", "-t", "all", "-j", job, "-O", "State:20").stdout.strip()

    def wait_for_state(self, job: str, *states: str, timeout_s: float = 60.0) -> str:
        """Until a job is in one of some states; returns it."""
        deadline = time.monotonic() + timeout_s
        while (found := self.state(job)) not in states:
            assert time.monotonic() < deadline, (
                f"job {job} is {found or 'forgotten'} after {timeout_s:.0f} s, expected {' or '.join(states)}\n"
                + self.run("scontrol", "show", "job", job).stdout
            )
            time.sleep(0.05)
        return found


def _free_ports(count: int) -> list[int]:
    """Below those that the kernel hands out itself, which some client may hold when a daemon wants it."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            port = 20000 + secrets.randbelow(12000)
            one = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                one.bind(("0.0.0.0", port))
                found.append(port)
    return found


@contextlib.contextmanager
def a_slurm(*, nodes: int = 2, gpus: int = 4, **settings: str) -> Iterator[Slurm]:
    """A cluster of one's own; ``settings`` are lines of its slurm.conf.

    Raises:
        NotUp: it could not be brought up.
    """
    if reason := missing():
        raise NotUp(reason)
    for attempt in range(TRIES):
        # Sockets' names must be short, and all must be able to enter munge's: not below pytest's directories.
        base = Path(tempfile.mkdtemp(prefix="gq-slurm-", dir="/tmp"))
        base.chmod(0o711)
        made = Slurm(base, settings, nodes, gpus)
        try:
            try:
                made.start()
            except NotUp as error:
                if IN_USE not in str(error) or attempt == TRIES - 1:
                    raise
                continue
            yield made
            return
        finally:
            made.close()
