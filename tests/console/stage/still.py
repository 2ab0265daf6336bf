"""A still life: the queue of the reference pictures, the same each time, without agents.

What runs and waits stands there as agents would have left it, and the node files are written anew every few seconds,
so that the nodes count as alive.
"""

from __future__ import annotations

import os
import random
import threading
import time
from dataclasses import dataclass, replace

from gpu_queue.reasons import Code, Reason, reason
from gpu_queue.spool.filesystem import make_spool
from gpu_queue.spool.pages import GpuPage, KeepPage, NodePage, TryPage, WaitPage, write_page
from gpu_queue.spool.paths import SpoolPaths, claim_name, full_name, make_id
from gpu_queue.spool.records import TryRecord, encode_submission, encode_try
from gpu_queue.states import AgentState, GpuState
from gpu_queue.task import Claim, Submission
from gpu_queue.units import format_utc
from tests.console.stage import batches, roles
from tests.console.stage.jobfiles import write_job_files
from tests.console.stage.past import Machine, Span, make_past, uuid_of
from tests.console.stage.roles import Role

GIB = 1 << 30
BEAT_S = 5.0
MACHINES = (
    Machine("gpu1-0f3a21c4", 8, 80, 700, "NVIDIA H100 80GB HBM3"),
    Machine("gpu2-7b19e052", 8, 80, 400, "NVIDIA A100-SXM4-80GB"),
    Machine("gpu3-c4405d1e", 4, 24, 450, "NVIDIA GeForce RTX 4090"),
)
LOG_STEPS = 4000


@dataclass(frozen=True)
class Runs:
    """A task that runs."""

    role: Role
    node: int
    gpus: tuple[int, ...]
    since_s: float
    limit_s: float | None
    queue: str = ""


RUNNING = (
    Runs(roles.PRETRAIN, 0, (0, 1, 2, 3), 41220, 86400),
    Runs(roles.SFT_CAR, 0, (4, 5), 8100, 14400, "car"),
    Runs(roles.EVAL, 0, (6,), 420, 3600),
    Runs(roles.DPO, 1, (0, 1), 15840, 28800),
    Runs(roles.GRPO, 1, (2, 3, 4, 5), 2959, 43200, "rl"),
    Runs(roles.LORA, 2, (0,), 5160, 7200),
    Runs(roles.VIDEO, 2, (1,), 141, 28800),
)
FOREIGN, LOST = (1, 7), (2, 3)


class Still:
    """One queue that stands still."""

    def __init__(self, paths: SpoolPaths, now_s: float, tasks: int = 1300, seed: int = 17) -> None:
        """Write all of it.

        Args:
            paths: of a spool that does not exist.
            now_s: epoch seconds.
            tasks: that have settled.
            seed: of chance.
        """
        self.paths, self.now_s = paths, now_s
        self._chance = random.Random(seed)
        previous = os.umask(0o077)
        make_spool(paths)
        os.umask(previous)
        write_job_files(paths, now_s)
        self._nonce = 0x53E942
        self.claims = [self._run(one) for one in RUNNING]
        present = [
            Span(MACHINES[one.node], gpu, now_s - one.since_s, now_s, "task", one.role, claim_name(claim))
            for one, claim in zip(RUNNING, self.claims, strict=True)
            for gpu in one.gpus
        ]
        present.append(Span(MACHINES[FOREIGN[0]], FOREIGN[1], now_s - 2900, now_s, "foreign"))
        present.append(Span(MACHINES[LOST[0]], LOST[1], now_s - 1020, now_s, "lost"))
        self.spans: list[Span] = [*make_past(paths, MACHINES, now_s, tasks, seed, present), *present]
        self.waiting = self._wait()
        self.ids = {one.role.name: claim.task_id for one, claim in zip(RUNNING, self.claims, strict=True)}
        self._over = threading.Event()
        self.beat(now_s)

    def _new_id(self, at_s: float, name: str) -> str:
        self._nonce = (self._nonce * 7 + 0x3F1) & 0xFFFFFF
        return make_id(at_s, f"{self._nonce:06x}", name.encode())

    def _submit(self, role: Role, at_s: float) -> str:
        task_id = self._new_id(at_s, role.name)
        cwd = f"/home/{role.user}/work"
        submission = Submission(
            task_id,
            role.name,
            f"{cwd}/{role.name}",
            cwd,
            user=role.user,
            host="login1",
            submitted_at=format_utc(at_s),
            needs={"gpus": str(role.gpus)} if batches.run_of(role) else {},
            experiment=batches.run_of(role),
        )
        record = self.paths.record(task_id)
        _write(record, encode_submission(submission))
        os.utime(record, (at_s, at_s))
        return task_id

    def _run(self, one: Runs) -> Claim:
        begin_s = self.now_s - one.since_s
        task_id = self._submit(one.role, begin_s - 240)
        claim = Claim(500, task_id, 1, f"{self._chance.randrange(1 << 24):06x}")
        machine = MACHINES[one.node]
        os.makedirs(self.paths.running(machine.node), mode=0o700, exist_ok=True)
        _write(self.paths.running_keeper(machine.node), b"")
        _write(self.paths.claim(machine.node, claim), one.role.script().encode())
        record = TryRecord(
            claim,
            machine.node,
            tuple(map(uuid_of, one.gpus)),
            one.gpus,
            one.role.name,
            started_at=format_utc(begin_s),
        )
        _write(self.paths.try_record(claim), encode_try(record))
        _write(self.paths.log(claim), self._log(one))
        return claim

    def _log(self, one: Runs) -> bytes:
        lines = [f"==== begin {format_utc(self.now_s - one.since_s)}"]
        for step in range(1, LOG_STEPS):
            loss = 1.2 + 2.5 / (1 + step / 300) + self._chance.uniform(-0.2, 0.2)
            lines.append(
                f"step \x1b[1m{step}\x1b[0m  loss \x1b[36m{loss:.4f}\x1b[0m  lr 3.0e-05  11{step % 900:03} tok/s"
            )
            if step % 300 == 0:
                bars = (f"\reval: {100 * part // 64:3}%|{'█' * (part // 4):16}| {part * 8}/512" for part in range(65))
                lines.append("".join(bars))
            if step % 450 == 0:
                lines.append(f"\x1b[33mwarning\x1b[0m 第 {step} 步：显存 61.2G / 80G，梯度被裁剪")
        return ("\n".join(lines) + "\n").encode()

    def _wait(self) -> list[WaitPage]:
        chance = self._chance
        found: list[WaitPage] = []
        tasks = [roles.MOE, roles.LORA, *roles.SWEEP[:3], roles.DISTILL, roles.MERGE, roles.GRPO, *roles.SWEEP[3:9]]
        for place, role in enumerate(tasks):
            at_s = self.now_s - 9000 + 300 * place
            task_id = self._submit(role, at_s)
            _write(f"{self.paths.root}/pending/{full_name(500, task_id)}", role.script(place).encode())
            why = self._why(role, place, found[0].name if found else "", chance)
            found.append(WaitPage(full_name(500, task_id), why, str(role.gpus), 3 if place == 6 else 0, role.name))
        return found

    def _why(self, role: Role, place: int, first: str, chance: random.Random) -> Reason:
        car = self.claims[1].task_id
        if place == 0:
            return reason(Code.GPUS, needed=8, idle=3, busy=15, foreign=1, lost=1)
        if place == 5:
            return reason(Code.AFTER, tasks=(self.claims[0].task_id,))
        if place == 6:
            return reason(Code.BACKOFF, failures=3, left_s=372, until_s=self.now_s + 372, error_type="oom")
        if role is roles.GRPO:
            return reason(Code.QUEUE, queue="rl", holder=self.claims[4].task_id)
        return reason(Code.QUEUE, queue="car", holder=car) if place % 4 == 3 else reason(Code.BEHIND, first=first)

    # -- the nodes

    def beat(self, now_s: float) -> None:
        """Write the node files."""
        for number in range(len(MACHINES)):
            write_page(self.paths, self._page(number, now_s))

    def keep_beating(self) -> None:
        """Write them every few seconds, until it is closed."""

        def work() -> None:
            while not self._over.wait(BEAT_S):
                self.beat(time.time())

        threading.Thread(target=work, daemon=True).start()

    def close(self) -> None:
        """Write no more."""
        self._over.set()

    def _page(self, number: int, now_s: float) -> NodePage:
        machine = MACHINES[number]
        mine = [(one, claim) for one, claim in zip(RUNNING, self.claims, strict=True) if one.node == number]
        held = {gpu: one.role for one, _ in mine for gpu in one.gpus}
        drains = number == 2
        return NodePage(
            machine.node,
            incarnation=f"{number + 1:012x}",
            state=AgentState.DRAINING if drains else AgentState.SERVING,
            reason=reason(Code.DRAINING, cause="spool", by="bo@login1: new driver tonight") if drains else None,
            version="0.2.0",
            host=machine.node.split("-")[0],
            pid=4711 + number,
            started_s=now_s - 15000,
            ends_s=now_s + (70860, 60060, 2491)[number],
            at_end="wait",
            beat_s=now_s,
            devices=f"{machine.gpus} GPUs ({machine.model}), driver 550.54.15, NVML",
            gpus=tuple(self._gpu(number, gpu, held.get(gpu)) for gpu in range(machine.gpus)),
            running=tuple(
                TryPage(
                    claim_name(claim), one.role.name, "running", one.gpus, one.since_s, one.limit_s, "", one.queue
                )
                for one, claim in mine
            ),
            waiting_count=len(self.waiting),
            waiting=tuple(self.waiting),
            is_watched=True,
        )

    def _gpu(self, number: int, gpu: int, role: Role | None) -> GpuPage:
        machine = MACHINES[number]
        page = GpuPage(uuid_of(gpu), gpu, machine.model, GpuState.IDLE, machine.memory_gib * GIB)
        if (number, gpu) == LOST:
            return replace(page, state=GpuState.LOST, problem="the driver reports: GPU is lost (Xid 79)")
        chance = random.Random(100 * number + gpu)
        percent = (role.percent if role else 77) - chance.randrange(6)
        watts = round(machine.watts * (0.11 + 0.0074 * percent), 1)
        held_gib = min(role.held_gib if role else 0.6 * machine.memory_gib, machine.memory_gib - 2)
        page = replace(
            page,
            utilization_percent=percent,
            memory_used_bytes=int(held_gib * GIB),
            power_w=watts,
            power_limit_w=float(machine.watts),
            temperature_c=round(32 + 0.39 * percent),
        )
        if (number, gpu) == FOREIGN:
            return replace(page, state=GpuState.FOREIGN)
        if role is None:
            keep = KeepPage("holding", "", 0.97, int(held_gib * GIB), today_j=3_600_000.0)
            return replace(page, keepalive=keep)
        return replace(page, state=GpuState.BUSY)


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
