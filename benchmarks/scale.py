"""A look ahead: a spool with very many tasks."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from machine import summary
from rigs import Shell, environment
from rigs import Spool as Filled

from gpu_queue.agent.agent import Agent
from gpu_queue.agent.surroundings import Surroundings
from gpu_queue.config import Config, Elsewhere, Keepalive, Settings
from gpu_queue.execution.local import NodeDirectory
from gpu_queue.gpus.leases import Leases
from gpu_queue.gpus.simulated import SimulatedDevices
from gpu_queue.keepalive.supervisor import Host
from gpu_queue.node.side import NodeSide, node_name
from gpu_queue.node.storage import StorageInline
from gpu_queue.spool.filesystem import mount_of
from gpu_queue.spool.paths import make_id
from gpu_queue.task import State

_LINKS_PER_FILE = 10_000
_BUSY_SCRIPT = "#!/bin/sh\nexec sleep 3600\n"


def measure_scale(base: Path, waiting: int, settled: int, steps: int) -> dict[str, Any]:
    """Steps of an agent in this process whose GPUs are busy, and ``gpu_status``."""
    filled = Filled(base, "scale")
    for _ in range(waiting):
        os.rename(*filled.prepare(_BUSY_SCRIPT))
    _fill_done(filled, settled)
    agent, storage = _agent(base, filled)
    first, first_steps = time.monotonic(), 0
    while not _has_read_all(agent, waiting):
        _look(agent, filled)
        first_steps += 1
    first_s = time.monotonic() - first
    try:
        looks = [_look(agent, filled) for _ in range(steps)]
        plain = [_step(agent) for _ in range(steps)]
        with closing(Shell({**environment(base), "JOB_ID": "scale"})) as shell:
            status = [shell.call("gpu_status").took_s for _ in range(max(3, steps // 10))]
    finally:
        _end(agent, storage)
    return {
        "waiting": waiting,
        "settled": settled,
        "read_all_s": round(first_s, 2),
        "look_and_plan": summary(looks),
        "step_without_look": summary(plain),
        "gpu_status": summary(status),
    }


def _fill_done(filled: Filled, count: int) -> None:
    """Finished tasks, with their records; links, for it is names that cost."""
    done = filled.paths.directory(State.DONE)
    for number in range(count):
        task_id = make_id(1.7e9 + number, f"{number:06x}", b"task.sh")
        name, record = f"{done}/500-{task_id}", filled.paths.record(task_id)
        if number % _LINKS_PER_FILE == 0:
            source, source_record = name, record
            Path(name).write_text(_BUSY_SCRIPT, encoding="utf-8")
            Path(record).write_text("{}\n", encoding="utf-8")
        else:
            os.link(source, name)
            os.link(source_record, record)


def _agent(base: Path, filled: Filled) -> tuple[Agent, StorageInline]:
    settings = Settings(job_id="scale", queue_root=str(filled.queue_root), keepalive=Keepalive(enabled=False))
    node_directory = NodeDirectory.open(str(base / "local"))
    node = node_name("", node_directory.identity)
    home = node_directory.agent(filled.paths.root, node)
    home.lock()
    spool = NodeSide(filled.paths, node, "bench", settings, mount_of(filled.paths.root))
    spool.enter()
    storage, devices = StorageInline(), SimulatedDevices.parse("2")
    around = Surroundings(
        spool=spool,
        storage=storage,
        home=home,
        node_directory=node_directory,
        leases=Leases(node_directory.root),
        keepalive=Host(lambda _: 0, Leases(node_directory.root), lambda _: None, lambda engine: engine),
        devices=devices,
        gpu_uuids=frozenset(gpu.uuid for gpu in devices.snapshot()),
        job_id="scale",
        queue_root=str(filled.queue_root),
        incarnation="bench",
        environment=environment(base),
        umask=0o077,
        flags={},
        config=Config(),
        elsewhere=Elsewhere(),
        say=lambda _: None,
    )
    return Agent(around, settings, time.monotonic()), storage


def _step(agent: Agent) -> float:
    begun = time.monotonic()
    agent.step(begun)
    return time.monotonic() - begun


def _look(agent: Agent, filled: Filled) -> float:
    """Two steps: the first one lists, the second one takes the listing in and plans."""
    agent.hint(filled.paths.directory(State.PENDING), ".", False)
    return _step(agent) + _step(agent)


def _has_read_all(agent: Agent, waiting: int) -> bool:
    view = agent.looking.view.waiting  # nobody else wants to know
    return len(agent.tries.live) == 2 and len(view) == waiting - 2 and all(task.is_read for task in view)


def _end(agent: Agent, storage: StorageInline) -> None:
    agent.was_terminated = True
    while not agent.finished or storage.outstanding():
        _step(agent)
        time.sleep(0.01)
