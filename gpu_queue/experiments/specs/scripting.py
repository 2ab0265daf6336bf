"""The script of a run, and what it is known by.  Pure."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping

from gpu_queue.texts import printable

PARAMS, LOG = "GPU_QUEUE_PARAMS", "GPU_QUEUE_TRY_LOG"


def body_of(environment: Mapping[str, str], params: Iterable[tuple[str, str]], command: str) -> str:
    """What of a script makes the result.

    Args:
        environment: of the run.
        params: values of its matrix, as they are written.
        command: its lines, or :func:`words_of`.
    """
    told = json.dumps(dict(params), ensure_ascii=False)
    lines = [
        *(f"export {name}={shlex.quote(value)}" for name, value in environment.items()),
        f"export {PARAMS}={shlex.quote(told)}",
        "set -e",
        command.rstrip("\n"),
    ]
    return "\n".join(lines) + "\n"


def words_of(words: Iterable[str]) -> str:
    """The line that runs a program without a shell."""
    return f"exec {shlex.join(words)}"


def script_of(body: str, name: str, group: str, file: str, log: str) -> str:
    """The whole script.

    Args:
        body: of :func:`body_of`.
        name: of the run, for people, as the next two.
        group: of it.
        file: the name of the file that it is from.
        log: the path of the link to its log; empty: there is none.
    """
    lines = ["#!/usr/bin/env bash", f"# {printable(name)} of {printable(group)}, from {printable(file)}"]
    if log:
        lines.append(_link(shlex.quote(log)))
    return "\n".join(lines) + "\n" + body


def _link(log: str) -> str:
    """Let the link lead to the log of this try; what leads elsewhere stays, what cannot be done hinders nothing."""
    stays = f'[ -z "${{{LOG}-}}" ] || {{ [ -e {log} ] && [ ! -L {log} ]; }}'
    turned = f'""|*/logs/[0-9]*T[0-9]*-*.log) ln -sfn -- "${LOG}" {log} 2>/dev/null;;'
    return f'{stays} || case "$(readlink -- {log})" in {turned} esac || :'


def content_of(body: str, cwd: str, needs: Mapping[str, str | None]) -> str:
    """What a run is known by: ``Run.content``."""
    names = ("memory", "time", "retries", "queue", "signal", "notify")
    asked = "\0".join(f"{name}={needs[name]}" for name in names if needs[name])
    nodes = needs["nodes"]
    result = "\0".join((body, cwd, needs["gpus"] or "", *((nodes,) if nodes else ())))  # runs of before keep theirs
    return f"{_hash(result, 16)}.{_hash(asked, 8)}"


def _hash(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:digits]
