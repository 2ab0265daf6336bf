"""Command files with which something is wrong; ``python -m tests.experiments.broken`` writes what is said of them."""

from __future__ import annotations

from pathlib import Path

from gpu_queue.experiments.commandfiles.blocks import Mode
from gpu_queue.experiments.commandfiles.commands import parse_commands

GOLDEN = Path(__file__).parent / "broken.txt"

SINGLE = {
    "empty": "",
    "comments alone": "# nothing\n\n# here\n",
    "a block without an end": "rm -rf x\nbash run.sh\n",
    "an end without commands": "bash a.sh\n1,20\n\n1,20\n",
    "an empty line before the end": "bash run.sh\n\n1,20\n",
    "no memory behind the comma": "bash run.sh\n1,\n",
    "no queue before the comma": "bash run.sh\n,20\n",
    "a queue that is a word": "bash run.sh\ncar,20\n",
    "a queue below zero": "bash run.sh\n-1,20\n",
    "a queue that is no whole number": "1.5\nbash run.sh\n20\n",
    "a queue without end": "99999999999\nbash run.sh\n20\n",
    "memory in MB": "bash run.sh\n1,8000MB\n",
    "memory that is a word": "bash run.sh\n1,much\n",
    "memory below zero": "1\nbash run.sh\n-20\n",
    "memory without end": "1\nbash run.sh\n99999999\n",
    "the queue at both ends": "1\nbash run.sh\n1,20\n",
    "no queue in front": "bash run.sh\n20\n",
    "no memory at the end": "1\nbash run.sh\n",
    "a number alone": "1\n",
    "two numbers and nothing between": "1\n20\n",
    "no empty line between blocks": "1\nbash a.sh\n20\n2\nbash b.sh\n25\n",
    "a block for several GPUs": "1\nbash a.sh\n2\n20\n",
    "an end for several GPUs": "bash a.sh\n1,2,20\n",
    "four numbers at the end": "bash a.sh\n1,2,3,20\n",
    "a quote without its end": '1\n"rm -rf x\n20\n',
    "quotes within quotes": '1\n"python a.py --name "my run""\n20\n',
    "nothing between the quotes": '1\n""\n20\n',
    "a command in two lines": "1\npython a.py \\\n  --epochs 3\n20\n",
    "a NUL": "bash a.sh\nbash b\0.sh\n1,20\n",
    "a colour of the terminal": "bash a.sh\n\x1b[31mbash b.sh\x1b[0m\n",
    "Python that is none": "command_tasks = [\n    (['bash a.sh'], 1, 20),\n    (['bash b.sh', 1, 20),\n]\n",
    "Python that works something out": "command_tasks = [\n    ([f'bash {name}'], 1, 2 * 10),\n]\n",
    "Python with two numbers too few": "[\n    (['bash a.sh'],),\n    'bash b.sh',\n    ([], 1, 20),\n]\n",
    "Python with a number of GPUs": "[(['bash a.sh'], 1, 2, 20)]\n",
    "an empty list": "command_tasks = []\n",
    "three at once": "bash a.sh\n1;20\n\n2\nbash b.sh\nmuch\n\nbash c.sh\n3,lots\n",
}
MULTI = {
    "no number of GPUs": "1\nbash a.sh\n20\n",
    "a range upside down": "1\nbash a.sh\n4-2\n20\n",
    "no GPU": "1\nbash a.sh\n0\n20\n",
    "more GPUs than there are": "1\nbash a.sh\n2-5000\n20\n",
    "an end for one GPU": "bash a.sh\n1,20\n",
    "GPUs that are a word": "bash a.sh\n1,all,20\n",
    "three numbers at the end": "1\nbash a.sh\n8\n2\n20\n",
    "Python without a number of GPUs": "[(['bash a.sh'], 1, 20)]\n",
}


def told() -> str:
    """All of them, with what is said."""
    parts = []
    for mode, files in ((Mode.SINGLE, SINGLE), (Mode.MULTI, MULTI)):
        for name, text in files.items():
            problems = parse_commands(text, mode).problems
            lines = "".join(f"{one.line}: {one.text}\n" for one in problems)
            parts.append(f"# {name}{' (multi)' if mode is Mode.MULTI else ''}\n{lines}")
    return "\n".join(parts)


if __name__ == "__main__":
    GOLDEN.write_text(told(), encoding="utf-8")
