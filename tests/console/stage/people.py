"""The people of a stage: they submit, see things fail, try again, and cancel."""

from __future__ import annotations

import random
from dataclasses import replace

from gpu_queue import Script, Spool
from gpu_queue.errors import SpoolError
from gpu_queue.spool.desk.find import Task
from gpu_queue.spool.desk.publishing import Options
from gpu_queue.task import State
from tests.console.stage import batches, roles
from tests.console.stage.roles import Role
from tests.console.stage.worker import Part

DAY_S = 86400.0
EVAL_EVERY_S = 25.0
FAILS_EVERY_S = 70.0
SWEEP_EVERY_S = 90.0
WAITING_MAX = 60


class People:
    """They act through the same desk as everybody."""

    def __init__(self, spool: Spool, parts: str, cwd: str, seed: int) -> None:
        self._spool = spool
        self._parts = parts
        self._cwd = cwd
        self._chance = random.Random(seed)
        self._count = 0
        self._due = {"eval": 0.0, "fails": 0.0, "sweep": 0.0}

    def submit(self, role: Role, part: Part, **options: object) -> Task:
        """Queue one script, and tell what its run is to do."""
        self._count += 1
        stem = role.name.rsplit(".", 1)[0]
        part.write(self._parts, f"ckpt/{stem}/{self._count}")
        run = batches.run_of(role)
        if run is not None:
            options = {"gpus": str(role.gpus), "experiment": run, **options}
        asked = Options(cwd=self._cwd, **options)  # type: ignore[arg-type]
        (task,) = self._spool.publish([Script(role.name, role.script(self._count), options=asked)])
        return task

    def arrive(self) -> None:
        """What runs and waits when the curtain rises: fifteen GPUs are taken."""
        for role in (roles.PRETRAIN, roles.SFT_CAR, roles.DPO, roles.GRPO, roles.LORA, roles.VIDEO):
            self.submit(role, part_of(role, DAY_S), priority=100, memory=None if role.held_gib < 24 else "40G")
        flower = self.submit(roles.SFT_FLOWER, part_of(roles.SFT_FLOWER, DAY_S), priority=100)
        self.submit(roles.MOE, part_of(roles.MOE, 600.0))
        self.submit(roles.LORA, part_of(roles.LORA, 300.0), memory="60G")
        self.submit(replace(roles.SFT_CAR, name="sft_qwen7b_car2.sh"), part_of(roles.SFT_CAR, 900.0))
        self.submit(roles.DISTILL, part_of(roles.DISTILL, 300.0), after=(flower,))
        self.submit(
            replace(roles.PRETRAIN, name="pretrain_7b_next.sh", gpus=4, time="3d"), part_of(roles.PRETRAIN, 60.0)
        )
        self.submit(replace(roles.GRPO, name="grpo_math_r3.sh", gpus=2), part_of(roles.GRPO, 900.0))
        self.submit(replace(roles.MOE, name="moe_16x.sh", gpus=16), part_of(roles.MOE, 60.0))
        for one in roles.SWEEP[:8]:
            self.submit(one, part_of(one, 60.0), memory="40G")

    def step(self, now: float) -> None:
        """Do what is due.

        Args:
            now: monotonic seconds.
        """
        chance = self._chance
        try:
            if self._is_due("eval", now, EVAL_EVERY_S):
                role = chance.choice((roles.EVAL, roles.MERGE, roles.DATA))
                self.submit(role, part_of(role, chance.uniform(15, 70)), priority=300)
            if self._is_due("fails", now, FAILS_EVERY_S):
                end = chance.choice(("oom", "error"))
                part = replace(part_of(roles.LORA, chance.uniform(4, 20)), end=end)
                self.submit(replace(roles.LORA, name="lora_bird400.sh"), part, priority=300, retries=1)
                failed = self._spool.find("lora_bird400", State.FAILED)
                if len(failed) > 3:
                    self._spool.retry(failed[0])
            if self._is_due("sweep", now, SWEEP_EVERY_S) and len(self._spool.find("", State.PENDING)) < WAITING_MAX:
                one = chance.choice(roles.SWEEP)
                self.submit(one, part_of(one, 60.0), memory="40G")
        except SpoolError as error:
            print(f"people: {error}", flush=True)

    def _is_due(self, what: str, now: float, every_s: float) -> bool:
        if now < self._due[what]:
            return False
        self._due[what] = now + every_s * self._chance.uniform(0.7, 1.3)
        return True


def part_of(role: Role, seconds: float) -> Part:
    """What a run of it does."""
    return Part(seconds, role.held_gib, role.percent)
