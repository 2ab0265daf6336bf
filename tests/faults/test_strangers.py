"""Users of one machine, in the group of one spool: who may have what run there, with real uids.

The agent is root's here and stands for any user's: what a stranger gets run runs with its uid.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpu_queue.spool.paths import OTHER_DIRECTORIES, STATE_DIRECTORIES
from tests.agent.harness import Cluster, wait_until

GROUP, ALLOWED, STRANGER = 54321, 54322, 54323

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as several users"),
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv here"),
]


class Shared(Cluster):
    """A spool that a group may write, and its people."""

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        for path in (base, self.queue_root):
            path.chmod(0o755)
        for name in ("", *STATE_DIRECTORIES, *OTHER_DIRECTORIES):
            path = Path(self.paths.root, name)
            os.chown(path, -1, GROUP)
            path.chmod(0o770)
        (base / "ran").touch()
        (base / "ran").chmod(0o666)

    def configure(self, text: str) -> None:
        config = Path(self.paths.config)
        config.write_text(text)
        config.chmod(0o640)

    def acts(self, uid: int, script: str) -> int:
        """What a user does in the spool's directory; returns the status."""
        words = ["setpriv", "--reuid", str(uid), "--regid", str(GROUP), "--clear-groups", "sh", "-c", script]
        return subprocess.run(words, cwd=self.paths.root, check=False, capture_output=True, timeout=20).returncode

    def drops(self, uid: int, who: str, name: str) -> int:
        """A user puts a script there, as whole as ``mv`` does it."""
        hidden = f"pending/.{who}"
        return self.acts(
            uid,
            f"printf '%s\\n' '{self.writes(who)}' >{hidden} && chmod 644 {hidden} && mv {hidden} pending/{name}",
        )

    def writes(self, who: str) -> str:
        """A script that says in whose name it ran."""
        return f'echo "{who} $(id -u)" >>"{self.base}/ran"'

    @property
    def ran(self) -> list[str]:
        return (self.base / "ran").read_text().splitlines()

    def reasons(self) -> str:
        return "\n".join(line for line in self.node_text().splitlines() if line.startswith("wait"))


@contextmanager
def shared(config: str) -> Iterator[Shared]:
    base = Path(tempfile.mkdtemp(prefix="gpu-queue-test."))  # pytest's own places are closed to others
    cluster = Shared(base)
    try:
        cluster.configure(config)
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def spool() -> Iterator[Shared]:
    with shared(f"allow_users: [{ALLOWED}]\nsettle: 0s\nsettle_unfinished: 0s\n") as one:
        yield one


def test_what_an_allowed_user_drops_runs_and_what_a_stranger_drops_does_not(spool: Shared) -> None:
    spool.start("--allow-group")
    assert spool.drops(STRANGER, "stranger", "100_his.sh") == 0
    wait_until(lambda: "100_his.sh" in spool.reasons(), "the reason why it waits", dump=spool.dump)
    assert spool.drops(ALLOWED, "allowed", "mine.sh") == 0
    wait_until(lambda: spool.ran, "the run of what is allowed", dump=spool.dump)
    assert spool.ran == ["allowed 0"]


@pytest.mark.parametrize(
    "config",
    [
        f"allow_users: [{STRANGER}]",
        "keepalive: {{python: {base}/evil}}",
        "sweep: true",
    ],
)
def test_a_strangers_config_does_not_say_who_runs_or_what_is_run(config: str) -> None:
    with shared("") as spool:
        Path(spool.paths.config).unlink()
        (spool.base / "evil").write_text(f"#!/bin/sh\n{spool.writes('evil')}\n")
        (spool.base / "evil").chmod(0o755)
        assert (
            spool.acts(STRANGER, f"echo '{config.format(base=spool.base)}' >config.yaml; chmod 644 config.yaml") == 0
        )
        agent = spool.start("--allow-group", keepalive=True, wait=False)
        assert agent.wait(20) == 1
        said = spool.output.read_text()
        assert f"this one belongs to uid {STRANGER}" in said
        assert spool.ran == []


def test_a_config_of_ours_that_the_group_may_write_does_not_either() -> None:
    with shared(f"allow_users: [{ALLOWED}]\n") as spool:
        os.chown(spool.paths.config, -1, GROUP)
        Path(spool.paths.config).chmod(0o664)
        assert spool.start("--allow-group", wait=False).wait(20) == 1
        assert "config.yaml:1: allow_users: " in spool.output.read_text()
        assert "chmod go-w it" in spool.output.read_text()


def test_what_the_agent_writes_about_a_strangers_file_never_becomes_a_script(spool: Shared) -> None:
    spool.start("--allow-group")
    name = "x;id>$HOME$(printf '\\57')WHO;#"
    assert spool.acts(STRANGER, f'touch "pending/{name}" "pending/{name}".sh'.replace("$", "\\$")) == 0
    wait_until(lambda: "WHO" in spool.reasons(), "the page that quotes its name", dump=spool.dump)
    for page in ("nodes/*.tsv", "nodes/*.json", "events/*.jsonl", "control/*.ack"):
        spool.acts(STRANGER, f"for one in {page}; do mv $one pending/evil.sh || ln $one pending/evil2.sh; done")
    assert [one for one in spool.names("pending") if one.startswith("evil")] == [], (
        "the sticky bit keeps it where it is"
    )
    # And where a filesystem knows no such bit: what we write is known as ours, whatever it is called.
    (own,) = Path(spool.paths.root, "nodes").glob("*.tsv")
    shutil.copy2(own, f"{spool.paths.root}/pending/.evil")  # its mode comes after its content
    os.rename(f"{spool.paths.root}/pending/.evil", f"{spool.paths.root}/pending/evil.sh")
    assert stat.S_IMODE(own.stat().st_mode) & stat.S_ISVTX
    wait_until(lambda: "ours" in spool.reasons() or "sticky" in spool.reasons(), "why it waits", dump=spool.dump)
    assert not (spool.base / "WHO").exists()
    assert "evil.sh" in spool.names("pending")


def test_nobody_has_another_ones_script_run_again(spool: Shared) -> None:
    spool.start("--allow-group")
    spool.drops(ALLOWED, "allowed", "mine.sh")
    wait_until(lambda: spool.names("done"), "its end", dump=spool.dump)
    assert spool.acts(STRANGER, "mv done/* pending/") != 0
    assert spool.acts(STRANGER, "mv done other && mkdir done") != 0
    assert spool.acts(STRANGER, "mv running/*/* pending/") != 0
    assert spool.acts(ALLOWED, "mv done/* pending/") == 0, "it is his"
    wait_until(lambda: len(spool.ran) == 2, "its second run", dump=spool.dump)


def test_root_does_not_serve_what_somebody_else_has_made_unless_it_was_told_to() -> None:
    with shared("") as spool:
        for path in [Path(spool.paths.root), *Path(spool.paths.root).rglob("*")]:
            os.chown(path, STRANGER, -1)
            if path.is_dir():
                path.chmod(0o700)
        assert spool.start(wait=False).wait(20) == 1
        assert f"pass --allow-root-for {STRANGER}" in spool.output.read_text()
        spool.start("--allow-root-for", str(STRANGER))
        spool.drops(STRANGER, "his", "his.sh")
        wait_until(lambda: spool.ran, "the run of what he dropped", dump=spool.dump)
        assert spool.ran == ["his 0"]
