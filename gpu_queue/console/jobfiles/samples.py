"""What a new job file says: a commented example that can be loaded as it stands, and does no harm.  Pure."""

from __future__ import annotations

from gpu_queue.spool.jobfiles import JobMode

SINGLE = """\
# Tasks with one GPU each.  A block: the number of its queue, commands, memory in GB.
# Blocks of one queue run one after the other, queues side by side.

# queue
1
# commands: one a line, one after the other; a command that fails ends the block
echo "first task of queue 1 on GPU $CUDA_VISIBLE_DEVICES"
# free memory that its GPU must have, in GB
1

2
echo "first task of queue 2"
1
"""
MULTI = """\
# Tasks with several GPUs each.  A block: the number of its queue, commands, number of GPUs, memory of each in GB.
# Blocks of one queue run one after the other, queues side by side.

# queue
1
# commands: one a line, one after the other; a command that fails ends the block
echo "first task of queue 1 on GPUs $CUDA_VISIBLE_DEVICES"
# GPUs: 2, or 1-4 for as many of them as are free
1-2
# free memory that each of them must have, in GB
1
"""
YAML = """\
# An experiment file: docs/experiments.md tells of all keys.
group: example
defaults:
  gpus: 1
  cwd: "~"
jobs:
  try:
    matrix:
      seed: [1, 2, 3]
    run: echo "seed {seed} on GPU $CUDA_VISIBLE_DEVICES"
"""


def sample_of(mode: JobMode) -> str:
    """The example of a mode."""
    return {"single": SINGLE, "multi": MULTI, "yaml": YAML}[mode]
