"""Which program a command is about, behind those that only start others.  Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

DECLARING = ("export", "declare", "typeset", "readonly", "local")
SHELLS = ("bash", "sh", "zsh", "dash", "ksh")
HANDING = ("parallel", "xargs", "tmux", "screen")
"""Programs that are handed commands."""
WRAPPERS = frozenset(
    """
    srun nohup timeout env exec time nice numactl taskset singularity apptainer docker podman conda mamba micromamba
    uv poetry pixi pipenv xvfb-run stdbuf setsid sudo nsys ncu mpirun mpiexec mpiexec.hydra horovodrun command ionice
    chronic coverage kernprof ibrun jsrun shifter enroot unbuffer catchsegv proxychains proxychains4 ts systemd-run
    flock orterun aprun torch_run_wrapper wandb dotenv hatch rye pdm builtin
    """.split()  # noqa: SIM905
)
SILENT = frozenset(
    """
    echo printf cat grep egrep sed awk ls mkdir cp rm mv cd pwd date hostname sleep ln touch chmod tar unzip zip du df
    head tail sort uniq wc cut tr tee find which module ml nvidia-smi scontrol squeue sinfo git pip pip3 apt-get curl
    wget pushd popd dirname basename set shopt hash type test basename whoami uname free lscpu ulimit kill
    pkill killall rsync scp ssh diff expr seq let exit logger
    """.split()  # noqa: SIM905
)
"""Programs that use no GPU, and whose words are about nothing."""
_LAUNCHES = re.compile(
    r"(?:python[0-9.]*|torchrun|accelerate|accelerate-launch|deepspeed|bash|sh|zsh|dash|vllm|swift|megatron|sglang|lmdeploy"
    r"|llamafactory-cli|xtuner|colossalai|composer|lightning|fabric|ray|fairseq-[a-z-]+|tune|axolotl|paddle|torchpack"
    r"|ipython|jupyter|deepspeed\.pt|pypy3?|[\w.-]+\.(?:py|sh|pt))",
    re.ASCII,
)


def base(word: str) -> str:
    """A program's name without its directory."""
    return word.rpartition("/")[2]


def program_at(argv: Sequence[str]) -> int:
    """Where in a command the program stands that it is about: behind srun, timeout, env and their options."""
    if base(argv[0]) not in WRAPPERS:
        return 0
    for place, word in enumerate(argv[1:], 1):
        if base(word) in WRAPPERS and not word.startswith("-") and argv[place - 1] not in ("-n", "--name"):
            continue
        if _LAUNCHES.fullmatch(base(word)):
            return place
    for place, word in enumerate(argv[1:], 1):
        if not word.startswith("-") and "=" not in word and base(word) not in WRAPPERS:
            return place
    return 0
