"""What a script asks for: flags of gpu_submit, ``#GPUQ`` lines, ``#SBATCH`` lines, the script's own words.  Pure.

The order of precedence is docs/spool.md, "The record"; ``client.sh`` says the same to the user before anything is
queued, and both are held to ``tests/corpus/needs``.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from gpu_queue.errors import BadScript
from gpu_queue.spool.paths import is_id
from gpu_queue.task import Needs
from gpu_queue.texts import shown
from gpu_queue.units import parse_duration_s, parse_size_bytes, parse_slurm_time_s

HEAD_BYTES = 64 << 10
"""How much of a script is looked at."""
_OPTIONS = ("gpus", "memory", "queue", "time", "retries")
_MAX_GPUS = 1024

# sbatch's options whose argument may be the next word, of all its versions.  Those with an optional argument take it
# only attached (--nice=5, -koff), as those do that no version knows.
_SBATCH_TAKES_WORD = frozenset(
    """
    account acctg-freq array batch bb bbf begin chdir checkpoint checkpoint-dir cluster cluster-constraint clusters
    comment conn-type constraint container container-id context core-spec cores-per-socket cpu-bind cpu-freq
    cpus-per-gpu cpus-per-task deadline delay-boot dependency distribution error exclude export export-file extra
    extra-node-info geometry gid gpu-bind gpu-freq gpus gpus-per-node gpus-per-socket gpus-per-task gres gres-flags
    hint input job-name jobid kill-on-invalid-dep licenses mail-type mail-user mcs-label mem mem-bind mem-per-cpu
    mem-per-gpu mem-update mincpus network nodefile nodelist nodes ntasks ntasks-per-core ntasks-per-gpu
    ntasks-per-node ntasks-per-socket ntasks-per-tres open-mode output partition power prefer priority profile qos
    reservation resources runtime segment signal sockets-per-node switches tasks tasks-per-node thread-spec
    threads-per-core time time-min tmp tres-bind tres-per-task uid wait-all-nodes wckey workdir wrap
    """.split()  # noqa: SIM905
)
_SBATCH_LETTERS = "ABCDFGJLMNSabcdeimnopqtwx"  # with an argument
_SBATCH_FLAGS = "HOQVWhsv"
_SBATCH_NUMBER = re.compile(r"[0-9]+")
_SBATCH_GRES = re.compile(r"(?:gres[/:])?gpu(?:[:=](.*))?", re.DOTALL)
_SBATCH_TYPE = re.compile(r"[A-Za-z0-9][\w.:-]*", re.ASCII)
_UNLIMITED = ("-1", "infinite", "unlimited")
_VISIBLE = re.compile(r"""(?:^|[\s;&|(])CUDA_VISIBLE_DEVICES=(?:"([^"]*)"|'([^']*)'|([^\s;&|)]*))""", re.ASCII)
_LINE_SHOWN = 120
"""A line of a script may have any length; so much of it is quoted."""
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


def _quoted(line: str) -> str:
    return shown(line.strip(), _LINE_SHOWN)


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
                raise BadScript(f"{_quoted(line)}: unknown option {shown(name)}; expected {expected}")
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
        raise ValueError(f"{shown(text)} is no number of GPUs; expected N or N-M, for example 2 or 1-4")
    least, most = int(match[1]), int(match[2] or match[1])
    if least > most or most > _MAX_GPUS or (least == 0 and most > 0):
        raise ValueError(f"{text!r} is no number of GPUs; expected 0, N or N-M with 1 <= N <= M <= {_MAX_GPUS}")
    return least, most


def _sbatch_words(text: str) -> list[str]:
    """The words of an ``#SBATCH`` line by sbatch's own rules, which are not a shell's.

    A backslash counts also between single quotes, and ``#`` begins a comment also within a word.  A quote that nobody
    closes, for which sbatch refuses the script, ends with the line.
    """
    words: list[str] = []
    word: str | None = None
    quote = ""
    chars = iter(text)
    for char in chars:
        if char == "\\":
            word = (word or "") + next(chars, "")
        elif char == quote:
            quote = ""
        elif quote:
            word = (word or "") + char
        elif char in "\"'":
            quote, word = char, word or ""
        elif char == "#":
            break
        elif char in " \t\r\v\f":
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + char
    return words if word is None else [*words, word]


def _sbatch_options(text: str) -> Iterator[tuple[str, str]]:
    """Each option with its value, as getopt_long tells them apart.

    Names are taken only in full: of those that matter here, getopt would take but ``--gpus-per-n…`` and
    ``--gpus-per-t…`` for short (``--tim`` is ambiguous).  A word that is no option is passed over, and with it the
    argument of an option that is unknown; sbatch refuses it.  An argument does not come from the next line, so that
    an empty ``--account`` loses no GPUs.
    """
    words = iter(_sbatch_words(text))
    for word in words:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            yield name, next(words, "") if not equals and name[2:] in _SBATCH_TAKES_WORD else value
        elif word.startswith("-"):
            letters = word[1:].lstrip(_SBATCH_FLAGS)
            if letters and letters[0] in _SBATCH_LETTERS:
                yield f"-{letters[0]}", letters[1:] or next(words, "")


def _sbatch_number(text: str) -> int:
    """A number of any length; from 9999 on they are alike."""
    text = text.lstrip("0") or "0"
    return int(text) if len(text) < 5 else 9999


def _sbatch_count(value: str, is_gres: bool) -> int | None:
    """The GPUs of ``a100:2,2080ti:1``, where ``is_gres`` of ``gpu:a100:2,shard:1``; None: it tells of none."""
    counts = []
    for item in value.split(","):
        if is_gres:
            match = _SBATCH_GRES.fullmatch(item)
            if match is None:
                continue
            wanted = "1" if match[1] is None else match[1]
        else:
            wanted = item
        number = re.split("[:=]", wanted)[-1]
        if _SBATCH_NUMBER.fullmatch(number):
            counts.append(_sbatch_number(number))
        elif number and _SBATCH_TYPE.fullmatch(wanted):
            counts.append(1)  # a type alone
    return sum(counts) if counts else None


class _Sbatch:
    """What the ``#SBATCH`` lines of a head ask for; of two that say the same, the last counts."""

    def __init__(self, head: list[str]) -> None:
        self._gpus: tuple[str, int, str] | None = None
        self._per_task: tuple[int, str] | None = None
        self._tasks: dict[str, int] = {}
        self._time = ("", "")
        for line in head:
            if re.match(r"#SBATCH[\s-]", line, re.ASCII):  # sbatch asks for no blank before the first option
                for name, value in _sbatch_options(line[len("#SBATCH") :]):
                    self._obey(name, value, line)

    def _obey(self, name: str, value: str, line: str) -> None:
        if name in ("--gpus", "-G", "--gpus-per-node", "--gres"):
            count = _sbatch_count(value, name == "--gres")
            if count is not None:
                self._gpus = (name, count, line)
            elif name == "--gres" and self._gpus and self._gpus[0] == name:
                self._gpus = None  # it stands in the place of an earlier one
        elif name == "--gpus-per-task":
            count = _sbatch_count(value, False)
            if count is not None:
                self._per_task = (count, line)
        elif name in ("--ntasks", "-n", "--tasks", "--ntasks-per-node", "--tasks-per-node"):
            if _SBATCH_NUMBER.fullmatch(value):
                self._tasks["node" if name.endswith("-node") else "all"] = _sbatch_number(value)
        elif name in ("--time", "-t") and value:
            self._time = (value, line)

    def gpus(self) -> int | None:
        """The last of ``--gpus``, ``--gpus-per-node`` and ``--gres``; else those of each task.

        Raises:
            BadScript: more than any task can have.
        """
        if self._gpus is not None:
            _, count, line = self._gpus
        elif self._per_task is not None:
            count, line = self._per_task
            count *= self._tasks.get("all", self._tasks.get("node", 1))
        else:
            return None
        if count > _MAX_GPUS:
            raise BadScript(f"{_quoted(line)}: no number of GPUs that a task can have; expected at most {_MAX_GPUS}")
        return count

    def time_s(self) -> float | None:
        """The limit; None where there is none, for which sbatch also takes 0.

        Raises:
            BadScript: it is no time.
        """
        value, line = self._time
        if not value or value.lower() in _UNLIMITED:
            return None
        try:
            return parse_slurm_time_s(value) or None
        except ValueError as error:
            raise BadScript(f"{_quoted(line)}: {error}") from None


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
    said: Mapping[str, str], where: Mapping[str, str], sbatch: _Sbatch, body: list[str], default_gpus: int
) -> tuple[int, int, tuple[int, ...], str]:
    if "gpus" in said:
        return *parse_gpu_count(said["gpus"]), (), where["gpus"]
    from_sbatch = sbatch.gpus()
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
    sbatch = _Sbatch(head)
    where = dict.fromkeys(said, "gpuq")
    for option in _OPTIONS:
        value = submitted.get(option)
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            said[option] = str(value)
            where[option] = "gpu_submit"
        elif value is not None:
            raise BadScript(f"record: needs.{option} is {shown(value)}; expected a string")
    try:
        least, most, devices, reason = _gpus(said, where, sbatch, body, default_gpus)
        return Needs(
            gpus_min=least,
            gpus_max=most,
            devices=devices,
            memory_bytes=parse_size_bytes(said["memory"]) if "memory" in said else None,
            queue=_queue_name(said["queue"]) if "queue" in said else None,
            time_s=parse_duration_s(said["time"]) if "time" in said else sbatch.time_s(),
            retries=_retries(said["retries"]) if "retries" in said else None,
            after=_after(submitted.get("after")),
            reason=reason,
        )
    except ValueError as error:
        raise BadScript(str(error)) from None


def _queue_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,63}", text, re.ASCII):
        raise ValueError(f"--queue {shown(text)} is no queue's name; expected up to 64 of A-Z a-z 0-9 . _ + -")
    return text


def _retries(text: str) -> int:
    if not re.fullmatch(r"\d{1,4}", text.strip(), re.ASCII):
        raise ValueError(f"--retries {shown(text)}: expected a whole number")
    return int(text)


def _after(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    ids = value if isinstance(value, list) else [value]
    for one in ids:
        if not isinstance(one, str) or not is_id(one):
            raise ValueError(f"record: needs.after holds {shown(one)}; expected task ids")
    return tuple(ids)
