"""Machines to break, made out of this one: a user-mode Linux, or a share of this one in namespaces of its own.

Either is one process with children: when it is gone, so are its mounts, its processes and its network.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.agent.harness import ROOT
from tests.sharedfs.cases import CASES
from tests.sharedfs.inside import Result

BOOT_S = 60.0
NFS_PACKAGES = ("user-mode-linux", "nfs-kernel-server", "nfs-common", "rpcbind", "kmod", "iproute2")


@dataclass(frozen=True)
class Machine:
    """One machine, and the cases that are tried on it."""

    column: str
    """Of the table."""
    kind: str
    cases: tuple[str, ...]
    packages: tuple[str, ...]
    programs: tuple[str, ...]
    """What must be there to bring it up."""
    version: str = "-"
    options: str = "hard"
    same_id: bool = False
    one_second: bool = False
    """The server's filesystem has times of whole seconds."""

    @property
    def name(self) -> str:
        """For people."""
        more = ["one client id"] * self.same_id + ["one-second server"] * self.one_second
        return f"{self.column} ({', '.join(more)})" if more else self.column

    def missing(self) -> str:
        """Why it cannot be brought up; empty if it can."""
        lacking = [one for one in self.programs if shutil.which(one, path=_path()) is None]
        if lacking:
            return f"there is no {', '.join(lacking)} here (apt-get install {' '.join(self.packages)})"
        if self.kind == "nfs":
            return ""
        if os.geteuid() != 0:
            return "only root can mount it"
        return "" if os.path.exists("/dev/fuse") else "there is no /dev/fuse here"

    def limit_s(self) -> float:
        """When something hangs that no case has a limit for."""
        return BOOT_S + sum(CASES[case].limit_s for case in self.cases)

    def run(self, tell: Callable[[Result], None]) -> str:
        """Bring it up and run its cases; returns why not all of them were run, or nothing."""
        with tempfile.TemporaryDirectory(prefix="gpu-queue-sharedfs-") as out:
            command = self._guest(Path(out)) if self.kind == "nfs" else self._namespaced(Path(out))
            with _group(command, Path(out)) as process:
                told = 0
                deadline = time.monotonic() + self.limit_s()
                while True:
                    over = process.poll() is not None or time.monotonic() > deadline
                    results = _results(Path(out))
                    for result in results[told:]:
                        tell(result)
                    told = len(results)
                    if told == len(self.cases) and process.poll() is not None:
                        return ""
                    if over:
                        return f"it ended after {told} of {len(self.cases)} cases\n{_last_words(Path(out))}"
                    time.sleep(0.1)

    def _inside(self, out: str) -> list[str]:
        return [sys.executable, "-m", "tests.sharedfs.inside", self.kind, self.version, out, *self.cases]

    def _guest(self, out: Path) -> list[str]:
        disk = []
        if self.one_second:  # inodes of 128 bytes have no room for parts of a second
            image = out / "disk"
            with image.open("wb") as file:
                file.truncate(64 << 20)
            make = ["/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-I", "128", str(image)]
            subprocess.run(make, check=True, capture_output=True)
            disk = [f"ubd0={image}"]
        words = shlex.join(["env", "PYTHONDONTWRITEBYTECODE=1", *self._inside("/mnt/out")])
        (out / "command").write_text(f"cd {shlex.quote(str(ROOT))} && exec {words}\n")
        return [
            *("linux.uml", "mem=640M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"),
            *(
                f"init={ROOT}/tests/sharedfs/guest.sh",
                f"q_vers={self.version}",
                f"q_opts={self.options}",
                f"q_out={out}",
            ),
            f"q_limit={self.limit_s():.0f}",
            *(["q_same_id=1"] if self.same_id else []),
            *disk,
            *("con=null", "con0=null,fd:2", "ssl=null", "quiet"),
        ]

    def _namespaced(self, out: Path) -> list[str]:
        (out / "machine").mkdir()
        share = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        return [*share, *self._inside(str(out))]


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


@contextmanager
def _group(command: Sequence[str], out: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process and all that it starts, gone at the end."""
    with (out / "console").open("wb") as console:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PATH": _path()},
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _results(out: Path) -> list[Result]:
    path = out / "results"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [Result(**json.loads(line)) for line in lines if line.endswith("\n")]


def _last_words(out: Path) -> str:
    texts = [
        (out / name).read_text(errors="replace")[-3000:] for name in ("console", "said") if (out / name).exists()
    ]
    return "\n".join(texts)


COMMON = ("race", "pick-up", "tail", "hung-server", "partition", "takeover")
LOST = ("lost-claim", "lost-settling", "lost-submission")


def _nfs(
    column: str, version: str, cases: tuple[str, ...], *, same_id: bool = False, one_second: bool = False
) -> Machine:
    programs = ("linux.uml", "rpc.nfsd", "rpcbind", "tc", "nsenter", *(["mke2fs"] if one_second else []))
    return Machine(column, "nfs", cases, NFS_PACKAGES, programs, version, same_id=same_id, one_second=one_second)


GLUSTER = ("glusterfs-server", "glusterfs-client", "iproute2")
FULL = (
    _nfs("NFSv4.2", "4.2", (*COMMON, *LOST)),
    _nfs("NFSv4.2", "4.2", ("one-client-id",), same_id=True),
    _nfs("NFSv3", "3", (*COMMON, *LOST)),
    _nfs("NFSv3", "3", ("trickle",), one_second=True),
    Machine("GlusterFS", "gluster", COMMON, GLUSTER, ("glusterd", "glusterfs", "unshare", "ip")),
)
ALL = (
    *FULL,
    Machine(
        *("MooseFS", "moose", (*COMMON, "trickle")),
        packages=("moosefs-master", "moosefs-chunkserver", "moosefs-client", "iproute2"),
        programs=("mfsmaster", "mfschunkserver", "mfsmount", "unshare", "ip"),
    ),
    Machine(
        *("sshfs", "sshfs", (*COMMON, "trickle")),
        packages=("sshfs", "openssh-server", "openssh-client", "iproute2"),
        programs=("sshfs", "sshd", "ssh-keygen", "unshare", "ip"),
    ),
)
FAST = (
    Machine("GlusterFS", "gluster", ("short-race",), GLUSTER, ("glusterd", "glusterfs", "unshare", "ip")),
    _nfs("NFSv4.2", "4.2", ("short-race", "lost-claim")),
)
