"""A reading as people are shown it before anything is queued.  Pure."""

from __future__ import annotations

from gpu_queue.scripts.reading import Conclusion, Reading
from gpu_queue.texts import printable

_WHAT = {
    "gpus": ("GPUs", "GPU 数"),
    "nodes": ("nodes", "节点数"),
    "devices": ("which GPUs", "哪些 GPU"),
    "memory": ("memory", "显存"),
    "time": ("time", "时间"),
    "name": ("name", "名称"),
    "queue": ("queue", "队列"),
    "retries": ("retries", "重试"),
    "notify": ("tells", "通知"),
    "after": ("after", "依赖"),
    "array": ("array", "数组"),
    "chdir": ("directory", "目录"),
    "output": ("output", "输出"),
    "error": ("errors", "错误输出"),
    "mail": ("mail", "邮件"),
    "signal": ("signal", "信号"),
    "requeue": ("requeue", "重新排队"),
    "tasks": ("srun tasks", "srun 任务数"),
    "snapshot": ("snapshot", "代码快照"),
}


def _columns(text: str) -> int:
    """How wide a terminal shows it: a Chinese character takes two."""
    return sum(2 if "\u2e80" <= one <= "\uffef" else 1 for one in text)


def _why(one: Conclusion, is_chinese: bool) -> str:
    why = one.chinese if is_chinese else one.english
    return why + _at(one.line_number, is_chinese)


def lines_for_people(title: str, reading: Reading, language: str) -> list[str]:
    """A line for each conclusion with where it came from, then warnings and refusals."""
    is_chinese = language == "zh"
    colon = "：" if is_chinese else ":"
    lines = [f"{title}{colon}"]
    for one in reading.conclusions:
        label = _WHAT.get(one.what, (one.what, one.what))[is_chinese]
        value = printable(one.value)
        if one.what == "time" and reading.time_is_limit:
            value += "（上限）" if is_chinese else " at most"
        pad = " " * max(1, 11 - _columns(label))
        lines.append(f"  {label}{pad}{value}{' ' * max(2, 14 - _columns(value))}{_why(one, is_chinese)}")
    for words, notes in ((("note: ", "注意："), reading.warnings), (("refused: ", "拒绝："), reading.refusals)):
        for note in notes:
            said = note.chinese if is_chinese else note.english
            lines.append(f"  {words[is_chinese]}{said}{_at(note.line_number, is_chinese)}")
    return lines


def _at(number: int, is_chinese: bool) -> str:
    if not number:
        return ""
    return f"（第 {number} 行）" if is_chinese else f" (line {number})"
