"""What a script asks for: flags of gpu_submit, ``#GPUQ`` lines, ``#SBATCH`` lines, the script's own words.  Pure.

The order of precedence is docs/spool.md, "The record"; ``client.sh`` says the same to the user before anything is
queued, and both are held to ``tests/corpus/needs``.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from gpu_queue.errors import BadScript
from gpu_queue.spool.paths import is_id
from gpu_queue.task import Needs
from gpu_queue.units import parse_duration_s, parse_size_bytes, parse_slurm_time_s

HEAD_BYTES = 64 << 10
"""How much of a script is looked at."""
_OPTIONS = ("gpus", "memory", "queue", "time", "retries")
_MAX_GPUS = 1024

_SBATCH_GPUS = re.compile(r"(?:--gpus(?:-per-node)?|-G)[=\s]*(?:[A-Za-z][\w.-]*:)?(\d+)", re.ASCII)
_SBATCH_GRES = re.compile(r"--gres[=\s]+(?:\S*,)?gpu(?::[A-Za-z][\w.-]*)?(?::(\d+))?(?=[,\s]|$)", re.ASCII)
_SBATCH_TIME = re.compile(r"(?:--time[=\s]\s*|-t\s*)([\d:-]+)", re.ASCII)
_VISIBLE = re.compile(r"""(?:^|[\s;&|(])CUDA_VISIBLE_DEVICES=(?:"([^"]*)"|'([^']*)'|([^\s;&|)]*))""", re.ASCII)
_INDEX_LIST = re.compile(r"\d{1,4}(?:,\d{1,4})*,?", re.ASCII)
_LAUNCHERS = (
    (
        "nproc_per_node",
        re.compile(r"(?:^|\s)--nproc[_-]per[_-]node(?:=|\s+)[\"']?(\d{1,4})[\"']?(?=[\s;&|)\\]|$)", re.ASCII),
    ),
    (
        "num_processes",
        re.compile(r"(?:^|\s)--num[_-]processes(?:=|\s+)[\"']?(\d{1,4})[\"']?(?=[\s;&|)\\]|$)", re.ASCII),
    ),
    ("num_gpus", re.compile(r"(?:^|\s)--num[_-]gpus(?:=|\s+)[\"']?(\d{1,4})[\"']?(?=[\s;&|)\\]|$)", re.ASCII)),
)


def _lines(text: str) -> list[str]:
    """Lines as a shell sees them: only a newline ends one, and a CR before it does not matter."""
    return [line.rstrip("\r") for line in text.split("\n")]


def _quoted(text: str) -> str:
    """What is wrong, for a message: a line of a script may have any length."""
    text = text.strip()
    return repr(text if len(text) <= 120 else f"{text[:120]}…")


def _head_lines(lines: list[str]) -> list[str]:
    """The leading lines that are empty or begin with ``#``."""
    head = []
    for line in lines:
        if line.strip() and not line.startswith("#"):
            break
        head.append(line)
    return head


def _gpuq_options(head: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in head:
        if not re.match(r"#GPUQ(\s|$)", line, re.ASCII):
            continue
        try:
            words = shlex.split(line[len("#GPUQ") :], comments=True)
        except ValueError as error:
            raise BadScript(f"{_quoted(line)}: {error}") from None
        while words:
            word = words.pop(0)
            name, equals, value = word.partition("=")
            if not name.startswith("--") or name[2:] not in _OPTIONS:
                expected = ", ".join(f"--{one}" for one in _OPTIONS)
                raise BadScript(f"{_quoted(line)}: unknown option {_quoted(name)}; expected {expected}")
            if not equals:
                if not words:
                    raise BadScript(f"{_quoted(line)}: {name} has no value")
                value = words.pop(0)
            found[name[2:]] = value
    return found


def parse_gpu_count(text: str) -> tuple[int, int]:
    """``2`` or ``1-4`` as the least and the most GPUs.

    Raises:
        ValueError: it is neither, or the range runs backwards.
    """
    match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", text.strip(), re.ASCII)
    if match is None:
        raise ValueError(f"{_quoted(text)} is no number of GPUs; expected N or N-M, for example 2 or 1-4")
    least, most = int(match[1]), int(match[2] or match[1])
    if least > most or most > _MAX_GPUS or (least == 0 and most > 0):
        raise ValueError(f"{text!r} is no number of GPUs; expected 0, N or N-M with 1 <= N <= M <= {_MAX_GPUS}")
    return least, most


def _sbatch_gpus(head: list[str]) -> int | None:
    for line in head:
        if line.startswith("#SBATCH"):
            match = _SBATCH_GPUS.search(line)
            if match:
                return int(match[1])
            match = _SBATCH_GRES.search(line)
            if match:
                return int(match[1] or "1")
    return None


def _sbatch_time_s(head: list[str]) -> float | None:
    for line in head:
        if line.startswith("#SBATCH"):
            match = _SBATCH_TIME.search(line)
            if match:
                try:
                    return parse_slurm_time_s(match[1])
                except ValueError as error:
                    raise BadScript(f"{_quoted(line)}: {error}") from None
    return None


def _own_devices(body: list[str]) -> tuple[int, ...] | None:
    """All GPUs that the script itself names by literal lists; () where it only hides them; else None."""
    named: dict[int, None] = {}
    hides = False
    for line in body:
        for match in _VISIBLE.finditer(line):
            value = next(group for group in match.groups() if group is not None).strip()
            hides |= value in ("", "-1")
            if _INDEX_LIST.fullmatch(value):
                named.update(dict.fromkeys(int(one) for one in value.rstrip(",").split(",")))
    return tuple(named) if named or hides else None


def _gpus(
    said: Mapping[str, str], where: Mapping[str, str], head: list[str], body: list[str], default_gpus: int
) -> tuple[int, int, tuple[int, ...], str]:
    if "gpus" in said:
        return *parse_gpu_count(said["gpus"]), (), where["gpus"]
    from_sbatch = _sbatch_gpus(head)
    if from_sbatch is not None:
        return from_sbatch, from_sbatch, (), "sbatch"
    devices = _own_devices(body)
    if devices is not None:
        return len(devices), len(devices), devices, "cuda_visible_devices"
    for name, pattern in _LAUNCHERS:
        counts = [int(match[1]) for line in body for match in pattern.finditer(line)]
        if counts:
            return max(counts), max(counts), (), name
    return default_gpus, default_gpus, (), "default"


def read_needs(script: bytes, submitted: Mapping[str, Any], default_gpus: int) -> Needs:
    """What a task asks for.

    Args:
        script: the first 64 KiB of the script.
        submitted: what was given to gpu_submit: the ``needs`` of the record.
        default_gpus: for a script that says nothing.

    Raises:
        BadScript: a directive or a flag that nobody can obey; the message quotes it.
    """
    lines = _lines(script[:HEAD_BYTES].decode("utf-8", "replace"))
    head = _head_lines(lines)
    body = [line for line in lines if not line.lstrip().startswith("#")]
    said = _gpuq_options(head)
    where = dict.fromkeys(said, "gpuq")
    for option in _OPTIONS:
        value = submitted.get(option)
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            said[option] = str(value)
            where[option] = "gpu_submit"
        elif value is not None:
            raise BadScript(f"record: needs.{option} is {_quoted(repr(value))}; expected a string")
    try:
        least, most, devices, reason = _gpus(said, where, head, body, default_gpus)
        return Needs(
            gpus_min=least,
            gpus_max=most,
            devices=devices,
            memory_bytes=parse_size_bytes(said["memory"]) if "memory" in said else None,
            queue=_queue_name(said["queue"]) if "queue" in said else None,
            time_s=parse_duration_s(said["time"]) if "time" in said else _sbatch_time_s(head),
            retries=_retries(said["retries"]) if "retries" in said else None,
            after=_after(submitted.get("after")),
            reason=reason,
        )
    except ValueError as error:
        raise BadScript(str(error)) from None


def _queue_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,63}", text, re.ASCII):
        raise ValueError(f"--queue {_quoted(text)} is no queue's name; expected up to 64 of A-Z a-z 0-9 . _ + -")
    return text


def _retries(text: str) -> int:
    if not re.fullmatch(r"\d{1,4}", text.strip(), re.ASCII):
        raise ValueError(f"--retries {_quoted(text)}: expected a whole number")
    return int(text)


def _after(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    ids = value if isinstance(value, list) else [value]
    for one in ids:
        if not isinstance(one, str) or not is_id(one):
            raise ValueError(f"record: needs.after holds {_quoted(repr(one))}; expected task ids")
    return tuple(ids)
