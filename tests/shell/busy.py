"""A queue of a busy week, the same each time: what the golden screens and the timing look at."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpu_queue.reasons import Code, Reason, reason
from gpu_queue.spool.pages import (
    GpuPage,
    KeepPage,
    NodePage,
    QueuePage,
    SharedPage,
    SilentPage,
    TryPage,
    WaitPage,
    encode_json,
    encode_lines,
)
from gpu_queue.states import AgentState, GpuState
from tests.shell.helpers import Spool

NODES = ("h100-a-1f2e3d4c", "h100-b-5a6b7c8d", "l40s-9e8f7a6b")
SILENT = "old-0badcafe"
SPREAD_S = 59
"""So long may the making take without a change in what is shown."""


@dataclass
class Busy:
    """The spool, and the moment at which it is looked at: two hours after the last failure, by the server's clock."""

    spool: Spool
    now_s: int
    made: int = 0

    @property
    def clock(self) -> str:
        """For the shell: it is that moment.  A file's ctime cannot be set, the clock can."""
        return f"__gpu_clock() {{ REPLY={self.now_s}; }}"

    def add(self, state: str, title: str, age_s: float, priority: int = 500, tries: int = 1) -> str:
        """A task that was submitted so long ago; returns the name of its file."""
        self.made += 1
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(self.now_s - age_s)) + f"{self.made % 1000:03d}"
        safe = re.sub("[^A-Za-z0-9._+-]+", "_", title)
        task_id = f"{stamp}-{0xC0FFEE ^ self.made * 7919 & 0xFFFFFF:06x}-{safe}"
        name = f"{priority:03d}-{task_id}"
        if state.startswith("running/"):
            name += f".try{tries}.{self.made + 0xFED000:06x}"
        place = self.spool.path / state
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("true\n")
        record = {"protocol": 1, "id": task_id, "name": title}
        (self.spool.path / "records" / f"{task_id}.json").write_text(json.dumps(record, ensure_ascii=False))
        return name

    def fail(self, title: str, outcome: str, why: str = "") -> None:
        """A task that failed two hours before that moment, which is now."""
        name = self.add("failed", title, 9000)
        said = {"outcome": outcome, "to": "failed", **({"reason": why} if why else {})}
        (self.spool.path / "records" / f"{name[4:]}.try1.abcdef.json").write_text(json.dumps(said))
        index = {"tries": [{"try": 1, "token": "abcdef", "status": 1, "final": True}]}
        (self.spool.path / "records" / f"{name[4:]}.tries.json").write_text(json.dumps(index))
        time.sleep(0.002)  # the later one fails later: a kernel's clock ticks every 1 to 10 ms

    def node(self, page: NodePage, age_s: float) -> None:
        for ending, content in (("tsv", encode_lines(page)), ("json", encode_json(page))):
            path = self.spool.path / "nodes" / f"{page.node}.{ending}"
            path.write_bytes(content)
            os.utime(path, (self.now_s - age_s,) * 2)


def card(index: int, state: GpuState, used: int, utilization: int | None, keep: KeepPage | None = None) -> GpuPage:
    return GpuPage(
        f"GPU-{index}", index, "NVIDIA H100", state, 80 << 30, used << 30, utilization, 350.5 + index, "", keep
    )


def tried(name: str, title: str, gpus: tuple[int, ...], seconds: float, limit_s: float | None = None) -> TryPage:
    return TryPage(name, title, "running", gpus, seconds, limit_s)


def make_busy(path: Path, *, waiting: int = 210) -> Busy:
    """Three nodes with 24 GPUs, a silent one, 30 running, so many waiting, seven failed today, and a paused queue."""
    busy = Busy(Spool(path).make(), int(time.time()) + 7200 + SPREAD_S)
    taken = KeepPage("off", "a task has it")
    first = [busy.add(f"running/{NODES[0]}", "pretrain-7b.sh", 52000)]
    runs = [tried(first[0], "pretrain-7b.sh", (0, 1, 2, 3), 50123.0, 86400.0)]
    for index, title in enumerate(("train.sh", "训练-中文模型-第三版.sh", "eval_checkpoint_0007_of_0064.sh", "x"), 4):
        name = busy.add(f"running/{NODES[0]}", title, 4000 + index, tries=1 + index % 2)
        runs.append(tried(name, title, (index,), 300.0 * index, None if index == 7 else 14400.0))
    waits: list[WaitPage] = []
    holder = first[0][4:].split(".try")[0]
    four = reason(Code.GPUS, needed=4, idle=2, busy=21, foreign=1)
    asked = (
        ("sweep-lr.sh", "4", four),
        ("finetune.sh", "1", reason(Code.QUEUE, queue="finetune", holder=holder)),
        ("评估.sh", "2-4", reason(Code.QUEUE, queue="评估", first=holder)),
        ("export.sh", "0", reason(Code.AFTER, tasks=(holder,), more=2)),
        ("huge-model-parallel-pretraining-run.sh", "16", reason(Code.INFEASIBLE, needed=16, served=8)),
        ("flaky.sh", "1", reason(Code.BACKOFF, failures=2, left_s=95)),
    )
    for number in range(waiting):
        kind = 5 if number == 7 else 4 if number == 9 else number % 4
        title, gpus, why = asked[kind]
        if number == 12:
            title = 'it\'s "odd" but long enough to be cut somewhere.sh'
        name = busy.add("pending", title, 90000 - 60 * number, 100 if number < 3 else 500)
        if number < 100:  # as many as an agent tells of
            waits.append(WaitPage(name, why, gpus, 2 if kind == 5 else 1 if number == 6 else 0, title))
    for name in ("dropped by hand.sh", ".hidden", "notes.tmp"):
        (busy.spool.path / "pending" / name).write_text("true\n")
    (busy.spool.path / "pending" / "folder").mkdir()
    (busy.spool.path / "paused").write_text("alice@login1: new driver on the H100 nodes\n")
    where = ("busy",) * 8
    busy.node(
        NodePage(
            NODES[0],
            "i1",
            AgentState.SERVING,
            ends_s=30 * 3600.0,
            beat_s=0.0,
            gpus=tuple(card(n, GpuState(word), 71 - n, 99 - 3 * n, taken) for n, word in enumerate(where)),
            running=tuple(runs),
            waiting=tuple(waits),
            waiting_count=waiting,
            watching=(SilentPage(SILENT, 4, 0, 240.0, 660.0),),
        ),
        1,
    )
    runs = []
    for number in range(8):
        name = busy.add(f"running/{NODES[1]}", f"seed-{number}.sh", 700 + number)
        runs.append(tried(name, f"seed-{number}.sh", (number,), 61.0 + 600 * number))
    for number in range(5):
        name = busy.add(f"running/{NODES[1]}", f"tokenize-{number}.sh", 90)
        runs.append(tried(name, f"tokenize-{number}.sh", (), 75.0, 600.0))
    busy.node(
        NodePage(
            NODES[1],
            "i2",
            AgentState.SERVING,
            gpus=tuple(card(n, GpuState.BUSY, 40, 100, taken) for n in range(8)),
            running=tuple(runs),
            waiting=(WaitPage(waits[0].name, Reason(Code.PAUSED), "4", 0, waits[0].title),) if waits else (),
            waiting_count=waiting,
        ),
        23,
    )
    runs = []
    for number in range(4):
        name = busy.add(f"running/{NODES[2]}", f"infer-{number}.sh", 700 + number)
        runs.append(tried(name, f"infer-{number}.sh", (number,), 30.0 + number))
    runs[3] = TryPage(runs[3].claim, runs[3].name, "running", (3,), 33.0, 60.0, "stopped")
    name = busy.add(f"running/{NODES[2]}", "index.sh", 20)
    runs.append(TryPage(name, "index.sh", "preparing", (), 0.0))
    states = (*(GpuState.BUSY,) * 4, GpuState.FOREIGN, GpuState.LOST, GpuState.IDLE, GpuState.IDLE)
    holding = KeepPage("holding", duty=0.8, held_bytes=40 << 30)
    off = KeepPage("off", "no torch here: pip install torch")
    keeps = (*(taken,) * 4, None, None, holding, off)
    busy.node(
        NodePage(
            NODES[2],
            "i3",
            AgentState.DRAINING,
            reason(Code.DRAINING, cause="spool", by="bob"),
            gpus=tuple(
                GpuPage(
                    f"GPU-{n}", n, "NVIDIA L40S", state, None if n == 5 else 46 << 30,
                    None if n == 5 else (30 if n < 5 else n - 6) << 30, None if n == 5 else 55, None,
                    "fell off the bus: Xid 79" if n == 5 else "", keeps[n],
                )
                for n, state in enumerate(states)
            ),
            running=tuple(runs),
            waiting_count=waiting,
            problems=("config.yaml, line 3: gpus: expected a number, not 'all'",),
        ),
        2,
    )  # fmt: skip
    runs = []
    for number in range(4):
        name = busy.add(f"running/{SILENT}", f"lost-{number}.sh", 7000)
        runs.append(tried(name, f"lost-{number}.sh", (number,), 3600.0))
    busy.node(
        NodePage(SILENT, "i4", AgentState.SERVING, gpus=(card(0, GpuState.BUSY, 1, 1),), running=tuple(runs)), 240
    )
    for number in range(3):
        busy.add("running/gone-00112233", f"nobody-{number}.sh", 600)
    for number in range(5):
        busy.add("done", f"done-{number}.sh", 5000)
    for title, outcome, cause in (
        ("ablation-1.sh", "failed(1)", ""),
        ("ablation-2.sh", "failed(137)", "out of memory"),
        ("超长的中文任务名称-消融实验-第二组.sh", "timed out", "ran for 4h00m of 4h00m"),
        ("lost.sh", "lost", "the node went silent"),
        ("late.sh", "failed(2)", ""),
        (
            "gpu.sh",
            "failed(1)",
            "a GPU fell off the bus while it ran, and every retry that it had was used up before",
        ),
    ):
        busy.fail(title, outcome, cause)
    busy.add("failed", "cancelled.sh", 9000)
    return busy


SHARED = "gpu07-2b3c4d5e"
NOON_S = 1_800_014_400
"""2027-01-15 12:00 UTC: until when a queue rests is told by the clock."""


def a_queue(name: str, counts: tuple[int, int, int, int], *, is_busy: bool = True, **more: Any) -> QueuePage:
    """With what waits, runs, is done and has failed."""
    return QueuePage(name, is_busy, more.pop("holder", ""), *counts, **more)


def make_shared(path: Path, *, more_queues: int = 0) -> Busy:
    """A server that several people share: two GPUs of four are ours to use, and three queues: busy, resting, idle."""
    shared = Busy(Spool(path).make(), NOON_S)
    runs = []
    for title, gpus, seconds, queue in (
        ("command_gpu_1-1", (4,), 723.0, "command_gpu_1-a1b2c3.1"),
        ("bash run_pipeline.sh flower", (5,), 61.0, ""),
        ("超长的中文任务名称-消融实验-第二组", (5,), 3600.0, "car"),
        ("pair.sh", (4, 5), 10.0, "评估"),
    ):
        name = shared.add(f"running/{SHARED}", title, 4000)
        runs.append(TryPage(name, title, "running", gpus, seconds, 14400.0, "", queue))
    waits = []
    for number in range(5):
        title = f"command_gpu_1-{number + 3}"
        name = shared.add("pending", title, 4000 - number)
        why = reason(Code.BACKOFF, failures=3, left_s=552) if number == 0 else Reason(Code.NEXT)
        waits.append(WaitPage(name, why, "1", 3 if number == 0 else 0, title))
    queues = [
        a_queue("command_gpu_1-a1b2c3.1", (3, 1, 2, 0), holder=runs[0].claim[4:].split(".try")[0]),
        a_queue("car", (0, 1, 0, 1)),
        a_queue("command_gpu_1-a1b2c3.2", (2, 0, 1, 0), failures=3, rests_s=552.0),
        a_queue("command_gpu_1-a1b2c3.10", (0, 0, 4, 2), is_busy=False),
    ]
    queues += [a_queue(f"more-{number}", (0, 0, number, 0), is_busy=False) for number in range(more_queues)]
    cards = []
    for index, state, used, utilization, about in (
        (2, GpuState.FOREIGN, 30, 12, SharedPage(50 << 30, 0, "left")),
        (3, GpuState.FOREIGN, 79, 100, SharedPage(1 << 30, 0, "stranger")),
        (4, GpuState.BUSY, 60, 97, SharedPage(int(15.2 * (1 << 30)), 1)),
        (5, GpuState.BUSY, 40, 71, SharedPage(40 << 30, 2)),
        (6, GpuState.FOREIGN, 5, 0, SharedPage(75 << 30, 1, "python")),
        (7, GpuState.FOREIGN, 79, 99, SharedPage(1 << 30, None, "stranger")),
        (8, GpuState.IDLE, 0, 0, SharedPage(80 << 30, 0)),
    ):
        cards.append(replace(card(index, state, used, utilization), shared=about))
    shared.node(
        NodePage(
            SHARED,
            "i1",
            AgentState.SERVING,
            gpus=tuple(cards),
            running=tuple(runs),
            waiting=tuple(waits),
            waiting_count=5,
            mode="shared",
            queues=tuple(queues),
        ),
        1,
    )
    return shared
