"""``#GPUQ`` lines, and the notation of gpu_submit's flags.  Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gpu_queue.errors import BadValue
from gpu_queue.scripts.asked import Line, Said
from gpu_queue.texts import shown

OPTIONS = ("gpus", "nodes", "memory", "queue", "time", "retries", "signal", "notify")
FLAGS = ("snapshot",)
"""Options without a value."""
MAX_GPUS = 1024
MAX_NODES = 1024
# Formatters of Python put a blank behind the sign; what else stands behind a blank is a comment.
_GPUQ = re.compile(r"#(?:GPUQ(?=\s|$)| GPUQ(?= --))", re.ASCII)


class BadLine(BadValue):
    """A ``#GPUQ`` line that nobody can obey."""

    def __init__(self, english: str, chinese: str, line: Line) -> None:
        super().__init__(english, chinese)
        self.line = line


def _words(line: Line) -> list[str]:
    """The words as a shell splits them."""
    import shlex  # noqa: PLC0415 - few scripts have such a line

    try:
        return shlex.split(_GPUQ.sub("", line.text, count=1), comments=True)
    except ValueError as error:
        raise BadLine(str(error), f"无法按 shell 的规则拆分：{error}", line) from None


def gpuq_options(head: Sequence[Line]) -> dict[str, Said]:
    """What the lines say; of two that say the same the last counts.

    Raises:
        BadLine: an option that there is not, or one without a value.
    """
    found: dict[str, Said] = {}
    for line in head:
        if _GPUQ.match(line.text) is None:
            continue
        words = _words(line)
        while words:
            word = words.pop(0)
            name, equals, value = word.partition("=")
            if not name.startswith("--") or name[2:] not in (*OPTIONS, *FLAGS):
                expected = ", ".join(f"--{one}" for one in (*OPTIONS, *FLAGS))
                raise BadLine(
                    f"unknown option {shown(name)}; expected {expected}",
                    f"没有选项 {shown(name)}；可用的有 {expected}",
                    line,
                )
            if name[2:] in FLAGS:
                if equals:
                    raise BadLine(f"{name} takes no value", f"{name} 不带值", line)
                found[name[2:]] = Said("yes", line)
                continue
            if not equals:
                if not words:
                    raise BadLine(f"{name} has no value", f"{name} 没有值", line)
                value = words.pop(0)
            found[name[2:]] = Said(value, line)
    return found


def parse_gpu_count(text: str) -> tuple[int, int]:
    """``2`` or ``1-4`` as the least and the most GPUs.

    Raises:
        ValueError: it is neither, or the range runs backwards.
    """
    match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", text.strip(), re.ASCII)
    if match is None:
        raise BadValue(
            f"{shown(text)} is no number of GPUs; expected N or N-M, for example 2 or 1-4",
            f"{shown(text)} 不是 GPU 数量；应为 N 或 N-M，如 2 或 1-4",
        )
    least, most = int(match[1]), int(match[2] or match[1])
    if least > most or most > MAX_GPUS or (least == 0 and most > 0):
        raise BadValue(
            f"{text!r} is no number of GPUs; expected 0, N or N-M with 1 <= N <= M <= {MAX_GPUS}",
            f"{text!r} 不是 GPU 数量；应为 0、N 或 N-M，且 1 <= N <= M <= {MAX_GPUS}",
        )
    return least, most


def nodes_of(text: str) -> int:
    """On how many nodes a task runs.

    Raises:
        ValueError: it is no such number.
    """
    text = text.strip()
    if not re.fullmatch(r"\d{1,4}", text, re.ASCII) or not 1 <= int(text) <= MAX_NODES:
        raise BadValue(
            f"--nodes {shown(text)}: expected a number from 1 to {MAX_NODES}",
            f"--nodes {shown(text)}：应为 1 到 {MAX_NODES} 之间的整数",
        )
    return int(text)


def queue_name(text: str) -> str:
    """A serial queue's name.

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,63}", text, re.ASCII):
        raise BadValue(
            f"--queue {shown(text)} is no queue's name; expected up to 64 of A-Z a-z 0-9 . _ + -",
            f"--queue {shown(text)} 不能作队列名；应为最多 64 个 A-Z a-z 0-9 . _ + - 字符",
        )
    return text


def retries_of(text: str) -> int:
    """How often a task is tried again.

    Raises:
        ValueError: it is no such number.
    """
    if not re.fullmatch(r"\d{1,4}", text.strip(), re.ASCII):
        raise BadValue(f"--retries {shown(text)}: expected a whole number", f"--retries {shown(text)}：应为整数")
    return int(text)
