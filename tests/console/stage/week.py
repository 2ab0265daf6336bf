"""A week's use: eight nodes, three people, five thousand tasks in all states, and names that nobody should give.

    python -m tests.console.stage --week [--port 29214]

Two nodes have real agents on simulated GPUs; of the others only the files are there, written anew every few seconds,
so that they count as alive. One has been silent for a while.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gpu_queue import Script, Spool
from gpu_queue.reasons import Code, reason
from gpu_queue.spool.desk.publishing import Options
from gpu_queue.spool.pages import GpuPage, KeepPage, NodePage, TryPage, write_page
from gpu_queue.spool.paths import claim_name, make_id
from gpu_queue.spool.records import TryRecord, encode_submission, encode_try
from gpu_queue.states import AgentState, GpuState
from gpu_queue.task import Claim, Submission
from gpu_queue.units import format_utc
from tests.console.stage import roles
from tests.console.stage.demo import Stage
from tests.console.stage.past import Machine, Span, make_past, uuid_of
from tests.console.stage.people import part_of
from tests.console.stage.roles import Role
from tests.console.stage.worker import Part

GIB = 1 << 30
BEAT_S = 4.0
DAY_S = 86400.0
SILENT_S = 250.0
USERS = {"alice": "alice", "bo": "bo", "chen": "alice", "dana": "bo", "李雷": "李雷"}
"""Who is who, of the people of the roles: there are three."""
LONG = "ablation_" + "_".join(f"layer{number}" for number in range(20)) + ".sh"
HOSTILE = (
    "<img src=x onerror=alert(1)>.sh",
    "a b 'c' \"d\" $(e) `f` ; g.sh",
    "gnp\u202egnp.exe.sh",
    LONG,
    "实验_" + "很长的名字" * 12 + ".sh",
    "-rf.sh",
    "new\nline.sh",
)
ODD = tuple(roles.role(name, 1, (0.1, 0.6), "李雷", share=0.3, fails=0.3, held_gib=9, percent=71) for name in HOSTILE)
ROLES = tuple(replace(one, user=USERS[one.user]) for one in (*roles.ROLES, *ODD))
SWEEP = tuple(replace(one, user=USERS[one.user]) for one in roles.SWEEP)
ERROR_TYPES = ("oom", "runtime_error", "timeout", "signal", "node_lost", "unknown")
RIGS = (
    ("gpu1", 8, 80, 700, "NVIDIA H100 80GB HBM3"),
    ("gpu2", 4, 80, 400, "NVIDIA A100-SXM4-80GB"),
)
STILL = (
    Machine("gpu3-c4405d1e", 4, 24, 450, "NVIDIA GeForce RTX 4090"),
    Machine("gpu4-9a1170b2", 8, 80, 700, "NVIDIA H100 80GB HBM3"),
    Machine("gpu5-1d20ee41", 8, 80, 400, "NVIDIA A100-SXM4-80GB"),
    Machine("dgx-a100-rack17-node042.cluster.example.org-77ab0c19", 8, 40, 400, "NVIDIA A100-SXM4-40GB"),
    Machine("gpu7-30b1f00d", 4, 48, 300, "NVIDIA L40S"),
    Machine("gpu8-5e5e0001", 2, 24, 350, "NVIDIA GeForce RTX 3090"),
)
DRAINING, BUSY, SILENT, LONG_NAMED, IDLE, BROKEN = range(6)


class Week(Stage):
    """The whole of it."""

    settled = 4600

    def __init__(self, base: Path) -> None:
        super().__init__(base, RIGS)
        self._chance = random.Random(8)
        self._held: dict[tuple[int, int], tuple[Claim, Role, float]] = {}
        self._nonce = 0x11

    # -- the past

    def remember(self, now_s: float, tasks: int) -> list[Span]:
        """Of all eight nodes; what runs on the six that stand still began in it."""
        by_name = {one.name: one for one in ROLES}
        lora, video, sft, odd = (
            by_name[name] for name in (roles.LORA.name, roles.VIDEO.name, roles.SFT_CAR.name, LONG)
        )
        Path(self.paths.config).write_bytes(Path(__file__).with_name("policy.yaml").read_bytes())
        self._run(DRAINING, lora, (0,), now_s - 5160)
        self._run(DRAINING, video, (1,), now_s - 141)
        for gpu in range(0, 8, 2):
            self._run(BUSY, sft, (gpu, gpu + 1), now_s - 4000 - 900 * gpu)
        self._run(SILENT, lora, (2,), now_s - 9000)
        self._run(LONG_NAMED, odd, (0,), now_s - 64)
        self._run(LONG_NAMED, video, (5,), now_s - 20000)
        present = [
            Span(STILL[node], gpu, since_s, now_s, "task", role, claim_name(claim))
            for (node, gpu), (claim, role, since_s) in self._held.items()
        ]
        present.append(Span(STILL[BROKEN], 1, now_s - 3000, now_s, "lost"))
        present.append(Span(STILL[LONG_NAMED], 7, now_s - 2000, now_s, "foreign"))
        machines = [*(one.machine for one in self.rigs), *STILL]
        spans = make_past(
            self.paths, machines, now_s, tasks, 8, present, roles=(*ROLES, *SWEEP), error_types=ERROR_TYPES
        )
        self.beat(now_s)
        return [*spans, *present]

    def _new_id(self, at_s: float, name: str) -> str:
        self._nonce = (self._nonce * 7 + 0x3F1) & 0xFFFFFF
        return make_id(at_s, f"{self._nonce:06x}", name.encode())

    def _run(self, node: int, role: Role, gpus: tuple[int, ...], since_s: float) -> None:
        machine, task_id = STILL[node], self._new_id(since_s - 200, role.name)
        cwd = f"/home/{role.user}/work"
        submission = Submission(
            task_id,
            role.name,
            f"{cwd}/{role.name}",
            cwd,
            user=role.user,
            host="login1",
            submitted_at=format_utc(since_s - 200),
        )
        Path(self.paths.record(task_id)).write_bytes(encode_submission(submission))
        claim = Claim(500, task_id, 1, f"{self._chance.randrange(1 << 24):06x}")
        os.makedirs(self.paths.running(machine.node), mode=0o700, exist_ok=True)
        Path(self.paths.running_keeper(machine.node)).write_bytes(b"")
        Path(self.paths.claim(machine.node, claim)).write_text(role.script())
        uuids = tuple(map(uuid_of, gpus))
        record = TryRecord(claim, machine.node, uuids, gpus, role.name, started_at=format_utc(since_s))
        Path(self.paths.try_record(claim)).write_bytes(encode_try(record))
        lines = (f"step {step}  loss {1.2 + 2.5 / (1 + step / 300):.4f}\n" for step in range(1500))
        Path(self.paths.log(claim)).write_text("".join(lines))
        self._held.update({(node, gpu): (claim, role, since_s) for gpu in gpus})

    # -- what waits

    def arrive(self) -> None:
        """Have three people submit what runs on the real nodes, and then what waits, for all sorts of reasons."""
        spool = Spool(self.paths.root.rsplit("/", 1)[1], self.queue_root)
        for role, priority in (
            (roles.PRETRAIN, 50),
            (roles.SFT_CAR, 60),
            (roles.DPO, 60),
            (roles.GRPO, 70),
        ):
            one = replace(role, user=USERS[role.user])
            part_of(one, 3 * DAY_S).write(str(self.parts), f"ckpt/{one.name.rsplit('.', 1)[0]}/0")
            self._submit(spool, one, priority=priority)
        for number in range(30):
            name = f"smoke_{number:02}.sh"
            role = replace(roles.EVAL, name=name, user=("alice", "bo", "李雷")[number % 3], gpus=0, memory="")
            ends = Part(20 + 2 * number, 0, 10, ("ok", "ok", "oom", "error")[number % 4])
            ends.write(str(self.parts), f"ckpt/smoke_{number:02}/0")
            self._submit(spool, replace(role, command="python eval.py"), priority=300, retries=0)
        self._submit(spool, replace(roles.MOE, user="alice"), priority=200)
        self._submit(spool, replace(roles.MOE, name="moe_64x.sh", gpus=64, user="alice"))
        self._submit(spool, replace(roles.LORA, name="lora_200g.sh", user="bo"), memory="200G")
        self._submit(spool, replace(roles.SFT_CAR, name="sft_long.sh", time="9d", user="bo"))
        first = self._submit(spool, replace(roles.SFT_CAR, name="sft_next.sh"))
        self._submit(spool, replace(roles.EVAL, name="eval_after.sh"), after=(first,))
        self._submit(spool, replace(roles.EVAL, name="eval_after_that.sh"), after=(first,), priority=900)
        for number in range(40):
            self._submit(spool, replace(roles.SFT_CAR, name=f"car_{number:03}.sh", user="bo"), memory="79G")
        self._submit(spool, replace(roles.LORA, name="lr_array.sh", user="bo"), array="0-119%4", memory="79G")
        self._submit(spool, replace(roles.LORA, name="seeds.sh", user="李雷"), array="1-60", memory="79G")
        for role in (*SWEEP, *ODD, *ODD):
            self._submit(spool, role, memory="79G", priority=600)
        self._put_aside(spool)
        self.keep_beating()

    def step(self) -> None:
        """Nobody does anything more: who looks does."""

    def _submit(self, spool: Spool, role: Role, **options: object) -> str:
        with _as_user(role.user):
            asked = Options(cwd=str(self.base / "home"), **options)  # type: ignore[arg-type]
            return str(spool.publish([Script(role.name, role.script(), options=asked)])[0].id)

    def _put_aside(self, spool: Spool) -> None:
        """Some were cancelled while they waited."""
        ids = [self._submit(spool, replace(roles.EVAL, name=f"old_idea_{number}.sh")) for number in range(12)]
        spool.cancel(*ids)

    # -- nodes that stand still

    def beat(self, now_s: float) -> None:
        """Write their files; of the silent one only once."""
        for number in range(len(STILL)):
            at_s = now_s - SILENT_S if number == SILENT else now_s
            if number != SILENT or not os.path.exists(self.paths.node_json(STILL[number].node)):
                write_page(self.paths, self._page(number, at_s))
                if number == SILENT:
                    os.utime(self.paths.node_json(STILL[number].node), (at_s, at_s))

    def keep_beating(self) -> None:
        """As long as the stage stands."""

        def work() -> None:
            while not self.over.wait(BEAT_S):
                self.beat(time.time())

        threading.Thread(target=work, daemon=True).start()

    def _page(self, number: int, now_s: float) -> NodePage:
        machine = STILL[number]
        running: dict[str, TryPage] = {}
        for (node, gpu), (claim, role, since_s) in self._held.items():
            if node == number:
                name = claim_name(claim)
                before = running[name].gpus if name in running else ()
                running[name] = TryPage(name, role.name, "running", (*before, gpu), now_s - since_s, None)
        drains = number == DRAINING
        return NodePage(
            machine.node,
            incarnation=f"{number + 1:012x}",
            state=AgentState.DRAINING if drains else AgentState.SERVING,
            reason=reason(Code.DRAINING, cause="shutdown") if drains else None,
            version="0.2.0",
            host=machine.node.rsplit("-", 1)[0],
            pid=4711 + number,
            started_s=now_s - 15000,
            ends_s=now_s + (2491, 60060, 9000, 86400, 300, 400000)[number],
            at_end="wait",
            beat_s=now_s,
            devices=f"{machine.gpus} GPUs ({machine.model}), driver 550.54.15, NVML",
            gpus=tuple(self._gpu(number, gpu) for gpu in range(machine.gpus)),
            running=tuple(running.values()),
            problems=("GPU 1: the driver reports an error: GPU is lost (Xid 79)",) if number == BROKEN else (),
            is_watched=True,
        )

    def _gpu(self, number: int, gpu: int) -> GpuPage:
        machine, held = STILL[number], self._held.get((number, gpu))
        page = GpuPage(uuid_of(gpu), gpu, machine.model, GpuState.IDLE, machine.memory_gib * GIB)
        if (number, gpu) == (BROKEN, 1):
            return replace(page, state=GpuState.LOST, problem="the driver reports: GPU is lost (Xid 79)")
        role = held[1] if held else None
        kept = role is None and number != IDLE
        percent = role.percent - gpu if role else 77 - gpu if kept else 0
        if (number, gpu) == (BUSY, 4):
            percent = 1
        gib = min(role.held_gib if role else 0.6 * machine.memory_gib if kept else 0.5, machine.memory_gib - 2)
        page = replace(
            page,
            utilization_percent=percent,
            memory_used_bytes=int(gib * GIB),
            power_w=round(machine.watts * (0.11 + 0.0074 * percent), 1),
            power_limit_w=float(machine.watts),
            temperature_c=round(32 + 0.39 * percent),
        )
        if (number, gpu) == (LONG_NAMED, 7):
            return replace(page, state=GpuState.FOREIGN)
        if role is None:
            return (
                replace(page, keepalive=KeepPage("holding", "", 0.97, int(gib * GIB), today_j=3.6e6))
                if kept
                else page
            )
        return replace(page, state=GpuState.BUSY)


@contextlib.contextmanager
def _as_user(user: str) -> Iterator[None]:
    """Records name who submits by the environment."""
    before = os.environ.get("USER")
    os.environ["USER"] = user
    yield
    if before is None:
        del os.environ["USER"]
    else:
        os.environ["USER"] = before
