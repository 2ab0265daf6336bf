"""A spool in a temporary directory, agents that are stepped by hand, and storage that fails when it is told to."""

from __future__ import annotations

import errno
import json
import os
import secrets
import select
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import pytest

from gpu_queue.agent.agent import Agent
from gpu_queue.agent.allotted import allocation_of
from gpu_queue.agent.surroundings import Surroundings
from gpu_queue.config import Config, Elsewhere, Keepalive, Settings
from gpu_queue.execution import found
from gpu_queue.execution.local import NodeDirectory, TryDirectory
from gpu_queue.execution.processes import pids, read_process, send
from gpu_queue.gpus.leases import Leases
from gpu_queue.gpus.simulated import SimulatedDevices
from gpu_queue.keepalive.supervisor import Host
from gpu_queue.node import pending
from gpu_queue.node.side import NodeSide
from gpu_queue.node.storage import Failed, StorageInline
from gpu_queue.scheduling.plan import explain
from gpu_queue.spool import filesystem
from gpu_queue.spool.filesystem import Mount
from gpu_queue.spool.pages import NodePage, read_page
from gpu_queue.spool.paths import SpoolPaths, full_name, make_id, parse_full, strip_claim
from gpu_queue.words import in_words

T = TypeVar("T")
LOCAL = Mount("/", "ext4", "/dev/sda1")
NETWORK = Mount("/home", "nfs4", "server:/home")
AT_ONCE = Settings(
    retry_delay_s=0.0,
    settle_s=2.0,
    poll_s=1.0,
    stop_grace_s=2.0,
    leave_grace_s=2.0,
    cpu_slots=8,
    beat_s=30.0,
    keepalive=Keepalive(enabled=False),
)


class Crash(BaseException):
    """The agent was killed here."""


@dataclass
class Fault:
    """What happens to one rename."""

    where: str
    """The directory, below the spool, that it goes to."""
    is_done: bool
    error: int | None
    """None: the agent is killed."""
    skip: int = 0
    """So many such renames go well before."""
    times: int = 1
    happened: int = 0

    def __str__(self) -> str:
        what = "killed" if self.error is None else errno.errorcode[self.error]
        return f"{self.where}-{'done' if self.is_done else 'not-done'}-{what}"


FAULTS = [
    (False, None),
    (True, None),
    (True, errno.ENOENT),
    (True, errno.EEXIST),
    (True, errno.EIO),
    (True, errno.ESTALE),
    (False, errno.EIO),
    (False, errno.ESTALE),
    (False, errno.ENOSPC),
    (False, errno.EACCES),
]
"""(done, error): before and after a kill; done, though an error is reported; not done."""


def faults(where: str) -> list[Fault]:
    return [Fault(where, is_done, error) for is_done, error in FAULTS]


@contextmanager
def failing_renames(room: Room, *planned: Fault) -> Iterator[None]:
    """Renames within the spool that go wrong as planned."""
    real = os.rename
    left = [replace(one) for one in planned]

    def rename(source: str, target: str) -> None:
        directory = os.path.relpath(os.path.dirname(target), room.root)
        is_transition = os.path.isabs(target) and not os.path.basename(source).startswith(".")
        for one in left:
            if not is_transition or directory.split("/")[0] != one.where or one.happened >= one.times:
                continue
            if one.skip > 0:
                one.skip -= 1
                continue
            one.happened += 1
            if one.is_done:
                real(source, target)
            if one.error is None:
                raise Crash
            raise OSError(one.error, os.strerror(one.error))
        real(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", rename)
        yield
    for before, after in zip(planned, left, strict=True):
        before.happened += after.happened


class MortalStorage(StorageInline):
    """Makes each call at once; a crash in it is the agent's."""

    def submit(self, name: str, call: Callable[[], T], done: Callable[[T | Failed], None]) -> None:
        crashes: list[Crash] = []

        def watched() -> T:
            try:
                return call()
            except Crash as crash:
                crashes.append(crash)
                raise

        super().submit(name, watched, done)
        if crashes:
            raise crashes[0]


@dataclass
class Node:
    """One agent."""

    room: Room
    agent: Agent
    around: Surroundings
    said: list[str]
    lived: bool = True

    @property
    def spool(self) -> NodeSide:
        return self.around.spool

    def step(self, seconds: float = 1.0) -> None:
        self.room.now += seconds
        self.agent.step(self.room.now)

    def settle_all(self, steps: int = 60) -> None:
        """Step until nothing runs and nothing could start; children are waited for, never slept for."""
        quiet = 0
        for _ in range(steps):
            self.go_on()
            quiet = 0 if self.agent.tries.live else quiet + 1
            if quiet >= 8:
                return
        raise AssertionError(f"it does not come to rest: {self.agent.tries.live}, {self.said[-5:]}")

    def go_on(self, steps: int = 1) -> None:
        """Step, and wait for the children that run by then."""
        for _ in range(steps):
            self.step()
            for one in self.agent.tries.live.values():
                if one.is_running:
                    _wait_for_end(one.pid, one.directory)

    def reasons(self) -> dict[str, str]:
        """Why tasks wait, as gpu_explain tells it."""
        return {name: in_words(why) for name, why in explain(self.agent.planning.facts(self.room.now), 1000)}

    def page(self) -> NodePage:
        """What the node tells of itself now."""
        self.agent.beat.hurry()
        self.step(2.0)
        return read_page(self.room.paths.node_json(self.spool.node), self.spool.node)

    def text(self) -> str:
        """The same in lines, as shells read it."""
        self.page()
        return Path(self.room.paths.node_lines(self.spool.node)).read_text(errors="surrogateescape")

    def die(self) -> None:
        """What the kernel does when a process is killed: descriptors are closed, children go on."""
        if not self.lived:
            return
        self.lived = False
        tries = self.agent.tries
        for shim in (*tries._shims._spares, *(one.shim for one in tries.live.values() if one.shim is not None)):
            shim.close()
        self.room.orphans += tries._children()
        self.around.home.close()
        self.agent.watching.close()


def kill_session(leader: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Kill a shim and all of its session, or signal them: its script has a process group of its own."""
    rows = [row for row in map(read_process, pids()) if row is not None and row.session == leader]
    for row in rows:
        send(row, number)


def _wait_for_end(pid: int | None, directory: TryDirectory) -> None:
    """Wait until a shim has ended, without reaping it."""
    if pid is None:
        reported = directory.pid()
        if reported is None:
            return
        pid = reported[0]
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        assert poller.poll(20_000), f"{directory.name} does not end"
    finally:
        os.close(descriptor)


@dataclass
class Room:
    """A spool and the machine under it."""

    base: Path
    now: float = 1000.0
    orphans: list[int] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.root = self.base / "spool"
        self.paths = SpoolPaths(str(self.root))
        filesystem.make_spool(self.paths)
        self.ran = self.base / "ran"

    # -- what people do ------------------------------------------------------------------------------------------

    def submit(self, script: str | bytes = "", name: str = "t.sh", *, priority: int = 500, **needs: object) -> str:
        """Submit as a client does; returns the id."""
        # Small stamps that grow: the order of submission is the order of the test's lines.
        self.submitted = getattr(self, "submitted", 0) + 1
        task_id = make_id(float(self.submitted), secrets.token_hex(3), os.fsencode(name))
        record = {"protocol": 1, "id": task_id, "name": name, "cwd": str(self.base), "needs": needs}
        (self.root / "records" / f"{task_id}.json").write_text(json.dumps(record))
        content = script if isinstance(script, bytes) else (script or self.script("exit 0")).encode()
        (self.root / "pending" / full_name(priority, task_id)).write_bytes(content)
        return task_id

    def script(self, end: str = "exit 0", head: str = "#GPUQ --gpus 0") -> str:
        """A script that leaves a line in ``ran`` each time that it runs."""
        return f'#!/bin/sh\n{head}\necho "$GPU_QUEUE_TASK" >>"{self.ran}"\n{end}\n'

    def drop(self, name: str | bytes, content: str | bytes) -> Path:
        path = Path(os.fsdecode(os.fsencode(self.paths.root) + b"/pending/" + os.fsencode(name)))
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    # -- agents --------------------------------------------------------------------------------------------------

    def start(
        self,
        settings: Settings = AT_ONCE,
        *,
        name: str = "n1",
        gpus: str = "2",
        mount: Mount = LOCAL,
        machine: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> Node:
        """Start an agent on this node: the first, or the one after a crash.

        Args:
            settings: its settings.
            name: the node's.
            gpus: simulated ones.
            mount: what the spool lies on, as far as the agent knows.
            machine: whose local directory it uses; empty: one of its own.
            environment: what it has beside PATH and HOME.
        """
        local = self.base / f"local-{machine or name}"
        node_directory = NodeDirectory.open(str(local))
        home = node_directory.agent(self.paths.root, name)
        assert home.lock(), "two agents on one node"
        said: list[str] = []
        incarnation = secrets.token_hex(6)
        spool = NodeSide(self.paths, name, incarnation, settings, mount)
        spool.enter()
        devices = SimulatedDevices.parse(gpus)
        leases = Leases(node_directory.root)
        found.restore(node_directory, leases, devices.snapshot())
        around = Surroundings(
            spool=spool,
            storage=MortalStorage(),
            home=home,
            node_directory=node_directory,
            leases=leases,
            keepalive=Host(lambda _: 0, leases, lambda _: None, lambda engine: engine),
            devices=devices,
            gpu_uuids=frozenset(gpu.uuid for gpu in devices.snapshot()),
            job_id="spool",
            queue_root=str(self.base),
            incarnation=incarnation,
            environment={"PATH": os.environ["PATH"], "HOME": str(self.base), **(environment or {})},
            allocation=allocation_of(environment or {}, self.now),
            umask=0o022,
            flags={},
            config=Config(),
            elsewhere=Elsewhere(),
            say=said.append,
        )
        agent = Agent(around, settings, self.now, spool.kept.seen_before())
        node = Node(self, agent, around, said)
        self.nodes.append(node)
        return node

    def close(self) -> None:
        for node in self.nodes:
            node.die()
        for pid in self.orphans:
            try:
                kill_session(pid)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass

    # -- what is so ----------------------------------------------------------------------------------------------

    def listing(self, directory: str) -> list[str]:
        return sorted(name for name in os.listdir(self.root / directory) if not name.startswith("."))

    def claims(self, node: str = "n1") -> list[str]:
        return [name for name in self.listing(f"running/{node}") if name != "node"]

    def where(self, task_id: str) -> list[str]:
        """Every directory that holds this task: there must be one."""
        places = ["pending", "done", "failed", *(f"running/{node}" for node in self.listing("running"))]
        found = []
        for place in places:
            for name in self.listing(place):
                full = parse_full(strip_claim(name))
                if full is not None and full[1] == task_id:
                    found.append(place)
        return found

    def runs(self, task_id: str) -> int:
        """How often its script was run."""
        return self.ran.read_text().split().count(task_id) if self.ran.exists() else 0

    def log(self, task_id: str) -> str:
        return "".join(path.read_text(errors="replace") for path in (self.root / "logs").glob(f"{task_id}*"))


@contextmanager
def a_spool(base: Path) -> Iterator[Room]:
    umask = os.umask(0o077)
    base.mkdir(exist_ok=True)
    room = Room(base)
    try:
        with pytest.MonkeyPatch.context() as patch:
            # A look that has taken long leaves scripts to the next one: on a busy machine, where none did.
            patch.setattr(pending, "READ_TIME_S", 60.0)
            yield room
    finally:
        room.close()
        os.umask(umask)


def run_through(room: Room, *planned: Fault, settings: Settings = AT_ONCE) -> Node:
    """Run agents until everything has settled, however often they are killed on the way."""
    with failing_renames(room, *planned):
        for _ in range(20):
            node = room.start(settings)
            try:
                node.settle_all()
                return node
            except Crash:
                node.die()
    raise AssertionError("it does not end")
