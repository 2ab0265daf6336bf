"""``{work_dir}``, ``{uni_id}`` and ``{available_gpu}`` of a command, as variables that its shell fills in.  Pure.

A value never becomes text of the command: with a blank in a directory's name ``rm -rf {work_dir}/x`` would remove
something else.  So each stands for a variable in double quotes, whatever quotes it is in.
"""

from __future__ import annotations

import re

WORK_DIR, UNI_ID, AVAILABLE_GPU = "GPU_QUEUE_WORK_DIR", "GPU_QUEUE_UNI_ID", "GPU_QUEUE_AVAILABLE_GPU"
_FILLED = {
    "{work_dir}": f"${{{WORK_DIR}:?}}",  # never empty: rm -rf {work_dir}/x
    "{uni_id}": f"${{{UNI_ID}:?}}",
    "{available_gpu}": f"${{{AVAILABLE_GPU}-}}",
}
_TOKEN = re.compile(r"\{(?:work_dir|uni_id|available_gpu)\}|\\.|\$'|\$\(|['\"()`]", re.DOTALL)
_PLAIN, _DOUBLE, _SINGLE, _ANSI, _INNER = "plain", "double", "single", "ANSI", "inner"
_AROUND = {_PLAIN: ('"', '"'), _INNER: ('"', '"'), _DOUBLE: ("", ""), _SINGLE: ("'\"", "\"'"), _ANSI: ("'\"", "\"$'")}


def filled(command: str) -> str:
    """The command with variables in place of its placeholders."""
    within = [_PLAIN]
    made: list[str] = []
    at = 0
    while (found := _TOKEN.search(command, at)) is not None:
        mark, state = found[0], within[-1]
        made.append(command[at : found.start()])
        at = found.end()
        if mark in _FILLED:
            before, after = _AROUND[state]
            made.append(f"{before}{_FILLED[mark]}{after}")
            continue
        if mark[0] == "\\" and state == _SINGLE:
            mark, at = "\\", found.start() + 1
        made.append(mark)
        _step(within, mark)
    return "".join(made) + command[at:]


def _step(within: list[str], mark: str) -> None:
    """What one mark does to the quotes that are open."""
    state = within[-1]
    if state in (_SINGLE, _ANSI):
        if mark.endswith("'") and mark[0] != "\\":
            within.pop()
    elif mark == '"':
        if state == _DOUBLE:
            within.pop()
        else:
            within.append(_DOUBLE)
    elif mark == "$(" or (mark == "(" and state == _INNER):
        within.append(_INNER)
    elif mark == ")" and state == _INNER:
        within.pop()
    elif state != _DOUBLE and mark in ("'", "$'"):
        within.append(_SINGLE if mark == "'" else _ANSI)
