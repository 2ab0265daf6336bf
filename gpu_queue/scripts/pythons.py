"""What a Python program says of GPUs, line by line.  Pure."""

from __future__ import annotations

import re

from gpu_queue.scripts.events import Setting
from gpu_queue.scripts.launchers import Count, Findings
from gpu_queue.scripts.lexing import UNKNOWN

_SET = re.compile(
    r"""\s*(?:os\.)?(?:environ\[\s*["']CUDA_VISIBLE_DEVICES["']\s*\]\s*=(?!=)
    |putenv\(\s*["']CUDA_VISIBLE_DEVICES["']\s*,)\s*(.{0,200})""",
    re.VERBOSE,
)
_LITERAL = re.compile(r"""[rbu]?(["'])([^"'\\]*)\1\s*\)?\s*;?\s*(?:\#.*)?""")
_NAMED = re.compile(r"(?:str\(\s*)?((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*)\s*\)?\s*\)?\s*(?:#.*)?")
_ASSIGNED = re.compile(r"""\s*([A-Za-z_]\w*)\s*=\s*["']?([\d, -]{1,100})["']?\s*(?:#.*)?""")
_FLAG = re.compile(r"--([\w-]{1,60})", re.ASCII)
_DEFAULT = re.compile(r"""default\s?=\s?["']?([\d,-]{1,60})["']?\s?[,)]""")
_COUNT = re.compile(r"[^#]{0,200}?\b(tensor_parallel_size|n_gpus_per_node|num_gpus)\s*=\s*(\d{1,4})\s*[,)]")
_TRAINER = re.compile(r"[^#]{0,200}?\bTrainer\([^#]{0,300}?\b(devices|gpus)\s*=\s*(\d{1,4})\s*[,)]")


def read_python(text: str, found: Findings, line: int) -> None:
    """Add what the lines of a program tell."""
    known: dict[str, str] = {}
    for number, one in enumerate(text.split("\n"), line):
        stripped = one.lstrip()
        if not stripped or stripped[0] == "#" or len(one) > 1000:
            continue
        assigned = _ASSIGNED.fullmatch(one)
        if assigned is not None:
            known[assigned[1]] = assigned[2].strip()
        if "add_argument" in one:
            flag, default = _FLAG.search(one), _DEFAULT.search(one)
            if flag is not None and default is not None:
                known[flag[1].replace("-", "_")] = default[1]
        if "CUDA_VISIBLE_DEVICES" in one:
            setting = _SET.match(one)
            if setting is not None:
                found.visible(_setting(setting[1], known, number))
        if "=" in one:
            count = _COUNT.match(one) or _TRAINER.match(one)
            if count is not None and int(count[2]):
                rule = count[1] if count[1] == "tensor_parallel_size" else "devices"
                found.counts.append(Count(int(count[2]), rule, number, f"{count[1]}={count[2]}"))


def _setting(expression: str, known: dict[str, str], line: int) -> Setting:
    literal = _LITERAL.fullmatch(expression)
    if literal is not None:
        return Setting((literal[2],), line, False)
    named = _NAMED.fullmatch(expression)
    value = known.get(named[1].rpartition(".")[2]) if named else None
    return Setting((UNKNOWN if value is None else value,), line, True)
