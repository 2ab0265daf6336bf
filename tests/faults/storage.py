"""Real agents on storage that fails when it is told to, and a look behind it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gpu_queue.spool.paths import SpoolPaths
from tests.agent.harness import ROOT, Cluster, a_cluster, wait_until


def why_no_fuse() -> str:
    """Why a filesystem of our own cannot be mounted here; empty if it can."""
    if os.geteuid() != 0:
        return "only root can mount here"
    if not os.path.exists("/dev/fuse"):
        return "there is no /dev/fuse here"
    try:
        import mfusepy  # noqa: F401
    except (ImportError, OSError) as error:
        return f"no FUSE for Python here ({error}); make venv, apt-get install fuse3"
    return ""


class BadStorage:
    """A cluster whose agents see its spool through ``badfs``; the test looks at it from behind."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.point = cluster.base / "mount"
        self.rules = cluster.base / "rules"
        self.seen = SpoolPaths(str(self.point / cluster.job_id))
        """The spool as the agents see it."""

    def start(self, *flags: str, **more: Any) -> subprocess.Popen[bytes]:
        """Start an agent on it."""
        return self.cluster.start(*flags, "--queue-root", str(self.point), **more)

    def fail(self, *rules: dict[str, Any]) -> None:
        """From now on operations fail so, and no others."""
        hidden = self.rules.with_suffix(".new")
        hidden.write_text(json.dumps(rules))
        hidden.rename(self.rules)

    def mend(self) -> None:
        """Nothing fails any more."""
        with contextlib.suppress(FileNotFoundError):
            self.rules.unlink()

    def hits(self) -> list[str]:
        """Which operations were made to fail, and on what."""
        path = Path(f"{self.rules}.hits")
        return path.read_text(errors="replace").splitlines() if path.exists() else []

    def said(self) -> str:
        return self.cluster.output.read_text(errors="replace")

    def client(self, command: str) -> subprocess.CompletedProcess[str]:
        """A command of the client, given on it."""
        return subprocess.run(
            ["bash", "-c", f". '{ROOT}/client.sh'; {command}"],
            env={**os.environ, "QUEUE_ROOT": str(self.point), "JOB_ID": self.cluster.job_id},
            cwd=self.cluster.base,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )


@contextmanager
def bad_storage(base: Path, kept_s: float = 0.0) -> Iterator[BadStorage]:
    """Mount it; afterwards nothing of it is left.

    Args:
        base: a directory to work in.
        kept_s: how long the kernel keeps names, missing ones too, as NFS does.
    """
    if reason := why_no_fuse():
        pytest.skip(reason)
    with a_cluster(base) as cluster:
        bad = BadStorage(cluster)
        bad.point.mkdir()
        command = [
            sys.executable,
            "-m",
            "tests.faults.badfs",
            str(cluster.queue_root),
            str(bad.point),
            str(bad.rules),
        ]
        with (base / "badfs.out").open("wb") as out:
            server = subprocess.Popen([*command, str(kept_s)], cwd=ROOT, stdout=out, stderr=out)
        try:
            wait_until(lambda: os.path.ismount(bad.point) or server.poll() is not None, "the mount")
            if server.poll() is not None:
                pytest.skip(f"a FUSE filesystem cannot be mounted here: {(base / 'badfs.out').read_text()[-300:]}")
            yield bad
        finally:
            bad.mend()
            cluster.close()
            subprocess.run(["umount", "-l", str(bad.point)], check=False, capture_output=True)
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
