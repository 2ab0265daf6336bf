"""config.yaml files that are wrong; ``python -m tests.unit.broken_configs`` writes what is said of them."""

from __future__ import annotations

from pathlib import Path

from gpu_queue.config import TABLE, examine, parse_config

GOLDEN = Path(__file__).parent / "broken_configs.txt"

FILES = {
    "a mode that there is not": "mode: share\n",
    "a mode that is a list": "mode: [shared]\n",
    "a mode that is nothing": "mode:\n",
    "a key with a typo": "compete_gpu: [0, 1]\n",
    "a key of another program": "model: resnet\ngpu_left: 1\n",
    "a retry key at the top": "max_retry_before_backoff: 3\n",
    "a retry key with a typo": "retry_config:\n  max_retry_before_backof: 3\n",
    "retry_config without keys": "retry_config:\n",
    "retry_config that is a number": "retry_config: 3\n",
    "a retry after no failure": "retry_config:\n  max_retry_before_backoff: 0\n",
    "a retry after half a failure": "retry_config: {max_retry_before_backoff: 2.5}\n",
    "a backoff that is a word": "retry_config: {backoff_duration: ten minutes}\n",
    "a backoff below zero": "retry_config: {backoff_duration: -600}\n",
    "retries without end": "retry_config: {max_retries: forever}\n",
    "retries below zero": "retry_config: {max_retries: -1}\n",
    "no time between two looks": "check_time: 0\n",
    "a time that is nothing": "check_time: null\n",
    "a thousand looks a second": "check_time: 0.001\n",
    "a list of GPUs with a word": "compete_gpus: [0, one, 2]\n",
    "a list of GPUs with a gap": "compete_gpus: 0,,2\n",
    "a list in a list": "compete_gpus: [[0, 1], [2, 3]]\n",
    "a GPU below zero": "compete_gpus: [0, -1]\n",
    "all in the place of a list": "compete_gpus: all\n",
    "half a GPU": "compete_gpus: [0.5]\n",
    "a mapping of GPUs": "compete_gpus: {0: a}\n",
    "a list without GPUs": "compete_gpus: []\nuse_all_gpus: false\n",
    "maybe all": "use_all_gpus: maybe\n",
    "more left than there are": "compete_gpus: [0, 1]\ngpu_left: 3\n",
    "all that is free is left": "compete_gpus: [0, 1]\ngpu_left: {free: 2}\n",
    "left of those that are served": "gpus: [0, 1]\ngpu_left: 2\n",
    "left below zero": "gpu_left: -1\n",
    "left without a number": "gpu_left: {}\n",
    "left of another kind": "gpu_left: {busy: 1}\n",
    "left in a list": "gpu_left: [8, 9]\n",
    "left, half of it": "gpu_left: {free: 0.5}\n",
    "left, some": "gpu_left: some\n",
    "memory in a unit that there is not": "min_memory: 8 gigs\n",
    "memory without end": "min_memory: 99999999999999\n",
    "memory below zero": "min_memory: -1\n",
    "too much utilisation": "max_util: 130\n",
    "utilisation as a part": "max_util: 0.3\n",
    "no task at once": "max_concurrent: 0\n",
    "tasks without end": "max_concurrent: many\n",
    "no wait at all": "max_wait_time: 0\n",
    "a wait that is a list": "max_wait_time: [1h]\n",
    "a selection that there is not": "select: random\n",
    "a state file somewhere": "process_json: ./logs/uni_id\n",
    "a work directory that is true": "work_dir: yes\n",
    "shared and swept": "mode: shared\nsweep: on\n",
    "implied and swept": "sweep: gpus\ngpu_left: 1\n",
    "a tab": "retry_config:\n\tbackoff_duration: 600\n",
    "a colon too many": "gpu_left: free: 1\n",
    "a list that does not end": "compete_gpus: [0, 1\ngpu_left: 1\n",
    "a key twice": "gpu_left: 1\ncompete_gpus: [0, 1, 2]\ngpu_left: 2\n",
    "full-width punctuation": "compete_gpus\uff1a [0, 1]\ngpu_left\uff1a 1\n",
    "a full-width colon in the middle": "gpu_left: 1\nmax_util\uff1a20\n",
    "five at once": "mode: dedicate\ncheck_time: soon\ngpu_left: few\nretry_config: {retries: 3}\nselect: best\n",
}


def told() -> str:
    """All of them, with what is said."""
    parts = []
    for name, text in FILES.items():
        problems = examine(TABLE, {}, {}, parse_config("config.yaml", text.encode())).problems
        parts.append(f"# {name}\n" + "".join(f"{one}\n" for one in problems))
    return "\n".join(parts)


if __name__ == "__main__":
    GOLDEN.write_text(told(), encoding="utf-8")
