"""Who plays: the tasks of a group that trains models, with scripts as people write them."""

from __future__ import annotations

from dataclasses import dataclass

HOUR_S = 3600.0


@dataclass(frozen=True)
class Role:
    """A script that is submitted again and again."""

    name: str
    gpus: int
    least_s: float
    most_s: float
    user: str
    time: str = ""
    queue: str = ""
    memory: str = ""
    share: float = 1.0
    """How often it comes, beside the others."""
    fails: float = 0.04
    """So many of its tries fail."""
    held_gib: int = 48
    percent: int = 92
    command: str = ""

    def script(self, seed: int = 0) -> str:
        """As its author wrote it."""
        asked = [f"--gpus {self.gpus}"]
        asked += [f"--memory {self.memory}"] if self.memory else []
        asked += [f"--queue {self.queue}"] if self.queue else []
        asked += [f"--time {self.time}"] if self.time else []
        stem = self.name.rsplit(".", 1)[0]
        command = self.command or f"torchrun --nproc_per_node {self.gpus} train.py --config configs/{stem}.yaml"
        return (
            f"#!/bin/bash\n#GPUQ {' '.join(asked)}\n# {self.user}, {stem}\nset -euo pipefail\n\n"
            f'export WANDB_MODE=offline\nexport OMP_NUM_THREADS=8\nSEED={seed}\n\necho "{stem}, seed $SEED"\n'
            f'{command} \\\n    --seed "$SEED" \\\n    --output "ckpt/{stem}/$SEED"\n'
        )


def role(name: str, gpus: int, hours: tuple[float, float], user: str, **more: object) -> Role:
    """With its length in hours."""
    return Role(name, gpus, hours[0] * HOUR_S, hours[1] * HOUR_S, user, **more)  # type: ignore[arg-type]


PRETRAIN = role("pretrain_1b_s3.sh", 4, (9, 20), "alice", time="24h", share=0.1, held_gib=61, percent=96)
SFT_CAR = role("sft_qwen7b_car.sh", 2, (1.5, 4), "alice", time="4h", queue="car", share=0.5, held_gib=64)
SFT_FLOWER = role(
    "sft_qwen14b_flower.sh", 2, (2, 11), "alice", time="12h", queue="flower", share=0.3, held_gib=72, fails=0.25
)
EVAL = role(
    "eval_mmlu.sh",
    1,
    (0.05, 0.3),
    "bo",
    time="1h",
    share=6,
    held_gib=31,
    percent=84,
    command="python eval.py --task mmlu",
)
DPO = role("dpo_ultra_beta01.sh", 2, (3, 7), "chen", time="8h", share=0.4, held_gib=57)
GRPO = role(
    "grpo_math_r2.sh", 4, (1, 9), "chen", time="12h", queue="rl", share=0.3, held_gib=66, percent=88, fails=0.15
)
LORA = role("lora_bird200.sh", 1, (0.5, 2), "bo", time="2h", share=2, held_gib=21, percent=89)
VIDEO = role("视频_预训练_v2.sh", 1, (0.3, 6), "李雷", time="8h", share=0.8, held_gib=21, percent=95, fails=0.1)
DISTILL = role("distill_3b.sh", 1, (1, 3), "dana", time="4h", share=0.8, held_gib=44)
MERGE = role("merge_ckpt.sh", 1, (0.02, 0.1), "dana", share=1, held_gib=18, percent=22, command="python merge.py")
MOE = role("big_moe_8x.sh", 8, (2, 5), "alice", time="6h", share=0.05, held_gib=74, percent=97)
DATA = role("tokenise_web.sh", 1, (0.2, 1), "dana", share=0.6, held_gib=2, percent=6, command="python tokenise.py")

ROLES = (PRETRAIN, SFT_CAR, SFT_FLOWER, EVAL, DPO, GRPO, LORA, VIDEO, DISTILL, MERGE, MOE, DATA)


def sweep(lr: str, seed: int) -> Role:
    """One run of a sweep."""
    return role(
        f"sweep_lr{lr}_seed{seed}.sh",
        1,
        (0.3, 1.2),
        "bo",
        time="2h",
        fails=0.12,
        held_gib=26,
        percent=91,
        command=f"python train.py --lr {lr}",
    )


SWEEP = tuple(sweep(lr, seed) for lr in ("1e-5", "3e-5", "1e-4", "3e-4") for seed in range(12))
