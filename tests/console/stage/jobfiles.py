"""Job files of a stage: command files of both modes, one of them with a mistake, and an experiment file."""

from __future__ import annotations

import os
from pathlib import Path

from gpu_queue.spool.paths import SpoolPaths

LORA = """\
# LoRA sweep: rank by rank, one GPU each
python lora.py --rank 8 --out ckpt/r8
1,20

python lora.py --rank 16 --out ckpt/r16
1,20

python lora.py --rank 32 --out ckpt/r32
python eval.py --ckpt ckpt/r32
2,24
"""
ABLATIONS = """\
# Ablations.  Queues run side by side, the tasks of one queue one after the other.

# queue
1
python train.py --model 160m --lr 3e-4 --seed 1 --out "runs/$USER/a"
# GPUs, memory of each
2
20

1
export NCCL_DEBUG=WARN
python train.py --model 160m --lr 3e-4 --seed 2 --out runs/b
2
20

2
python eval.py --tasks mmlu,gsm8k --ckpt runs/a/last
1-4
40

2
python eval.py --tasks humaneval --ckpt runs/b/last
2x
40

3
bash sweep.sh
1
16
"""
SWEEP = """\
# Learning rates, three seeds each
group: lr-sweep
defaults:
  gpus: 1
  memory: 16G
  cwd: "~"
jobs:
  train:
    matrix:
      lr: [1e-4, 3e-4, 1e-3]
      seed: [1, 2, 3]
    run: python train.py --lr {lr} --seed {seed}
"""
FILES = {
    "command_gpu.txt": (LORA, 5400.0),
    "command_gpus.txt": (ABLATIONS.replace("2x", "2"), 86_400.0),
    "command_gpus_1.txt": (ABLATIONS, 180.0),
    "lr-sweep.yaml": (SWEEP, 14_400.0),
}
"""By name, the text and its age in seconds."""


def write_job_files(paths: SpoolPaths, now_s: float) -> None:
    """Put them into a queue."""
    directory = Path(paths.root) / "jobfiles"
    directory.mkdir(mode=0o700, exist_ok=True)
    for name, (text, age_s) in FILES.items():
        path = directory / name
        path.write_text(text)
        path.chmod(0o600)
        os.utime(path, (now_s - age_s, now_s - age_s))
