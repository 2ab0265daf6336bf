"""Lines of ``#PBS``, ``#BSUB``, ``#$`` (Grid Engine) and ``#OAR``: what is plain in them.  Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gpu_queue.scripts.asked import Asked, Line, Said
from gpu_queue.scripts.slurm import split_words

_GPUS = re.compile(r"(?:^|[:+,/])(?:ngpus|gpus|gpu)=(?:[A-Za-z][\w-]*:)?(\d{1,4})(?=$|[:+,/\s])", re.ASCII)
_SELECT = re.compile(r"(?:^|,)(?:select|nodes)=(\d{1,4})", re.ASCII)
_WALLTIME = re.compile(r"(?:^|,)walltime=([\d:]{1,20})(?=$|,)", re.ASCII)

_PBS = {"-N": "name", "-J": "array", "-t": "array", "-o": "output", "-e": "error", "-d": "chdir", "-M": "mail"}
_BSUB = {"-o": "output", "-oo": "output", "-e": "error", "-eo": "error", "-cwd": "chdir", "-u": "mail"}
_SGE = {"-N": "name", "-t": "array", "-o": "output", "-e": "error", "-wd": "chdir", "-M": "mail"}
_BSUB_NAMES = ("gpu", "cwd", "oo", "eo", "outdir", "app", "sla", "sp")
_SGE_NAMES = ("pe", "wd", "tc", "hold_jid", "binding", "ckpt", "ac", "dl", "now", "masterq")
_SGE_GPUS = ("gpu", "gpus", "ngpus", "gpu_count", "cuda", "num_gpu")
_OAR_NAMES = ("-name", "-resource", "-array", "-stdout", "-stderr", "-project")
_OAR = {"-n": "name", "--name": "name", "-O": "output", "-E": "error", "-d": "chdir"}


def clock_s(text: str, words: str) -> float:
    """Seconds of ``HH:MM:SS``; two numbers are ``HH:MM`` where ``words`` is hm, ``MM:SS`` where it is ms.

    One number is a count of seconds (s), minutes (m) or hours (h), as the first letter of ``words`` says.

    Raises:
        ValueError: it is none of these.
    """
    parts = text.split(":")
    if not 1 <= len(parts) <= 3 or not all(re.fullmatch(r"\d{1,9}", part, re.ASCII) for part in parts):
        raise ValueError(f"{text!r} is no time")
    numbers = [int(part) for part in parts]
    if len(numbers) == 1:
        return float(numbers[0] * {"s": 1, "m": 60, "h": 3600}[words[0]])
    if len(numbers) == 2:
        return float(numbers[0] * (3600 if words[1] == "h" else 60) + numbers[1] * (60 if words[1] == "h" else 1))
    return float(numbers[0] * 3600 + numbers[1] * 60 + numbers[2])


def _pairs(words: Sequence[str], letters: str, names: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Options with their arguments; a flag has an empty one.

    Args:
        words: of the line.
        letters: of one letter, with an argument, which may be attached.
        names: longer ones with an argument, without the first dash.
    """
    found = []
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if word.startswith("--"):
            found.append((name, value if equals or name[1:] not in names else next(rest, "")))
        elif word.startswith("-") and word[1:] in names:
            found.append((word, next(rest, "")))
        elif word.startswith("-") and len(word) == 2:
            found.append((word, next(rest, "") if word[1] in letters else ""))
        elif word.startswith("-") and word[1:2] in letters:
            found.append((word[:2], word[2:]))
    return found


def _time(asked: Asked, text: str, words: str, line: Line) -> None:
    try:
        seconds = clock_s(text, words)
    except ValueError:
        return
    if seconds:
        asked.values["time"] = Said(f"{seconds:.0f}", line)


def _pbs(asked: Asked, words: Sequence[str], line: Line) -> None:
    for option, value in _pairs(words, "AaCcDdeJjklMmNoPpqrStTuvWw"):
        if option == "-l":
            counts = [int(one) for one in _GPUS.findall(value)]
            chunks = _SELECT.search(value)
            if counts:
                asked.values["gpus"] = Said(str(max(counts)), line)
            if chunks and int(chunks[1]) > 1:
                asked.values["nodes"] = Said(chunks[1], line)
            time = _WALLTIME.search(value)
            if time:
                _time(asked, time[1], "sm", line)
        elif option in _PBS and value:
            asked.values[_PBS[option]] = Said(value, line)


def _bsub(asked: Asked, words: Sequence[str], line: Line) -> None:
    for option, value in _pairs(
        words, "abcCDeEfFgGiJkLmMnoPqRStTuUvwW", ("gpu", "cwd", "oo", "eo", "outdir", "app", "sla", "sp")
    ):
        if option == "-gpu":
            match = re.search(r"(?:^|:)num=(\d{1,4})", value)
            asked.values["gpus"] = Said(match[1] if match else "1", line)
        elif option == "-W" and value:
            _time(asked, value.partition("/")[0], "mh", line)
        elif option == "-J" and value:
            name, bracket, indices = value.partition("[")
            if name:
                asked.values["name"] = Said(name, line)
            if bracket:
                asked.values["array"] = Said(indices.replace("]", ""), line)
        elif option in _BSUB and value:
            asked.values[_BSUB[option]] = Said(value, line)
        elif option == "-R" and "gpus" not in asked.values:
            match = re.search(r"(?:rusage|select)\[[^\]]{0,200}?ngpus(?:_\w+)?=(\d{1,4})", value)
            if match:
                asked.values["gpus"] = Said(match[1], line)


def _sge(asked: Asked, words: Sequence[str], line: Line) -> None:
    for option, value in _pairs(
        words,
        "AabCcDeijlmMNoPpqrStvw",
        ("pe", "wd", "tc", "hold_jid", "binding", "ckpt", "ac", "dl", "now", "masterq"),
    ):
        if option == "-l":
            for item in value.split(","):
                name, _, amount = item.partition("=")
                if name in ("gpu", "gpus", "ngpus", "gpu_count", "cuda", "num_gpu") and re.fullmatch(
                    r"\d{1,4}", amount
                ):
                    asked.values["gpus"] = Said(amount, line)
                elif name in ("h_rt", "s_rt"):
                    _time(asked, amount, "sm", line)
        elif option in _SGE and value:
            asked.values[_SGE[option]] = Said(value, line)
        elif option == "-tc" and "array" in asked.values and value.isdigit():
            earlier = asked.values["array"]
            asked.values["array"] = Said(f"{earlier.value}%{value}", earlier.line)


def _oar(asked: Asked, words: Sequence[str], line: Line) -> None:
    for option, value in _pairs(
        words, "lnOEpqtda", ("-name", "-resource", "-array", "-stdout", "-stderr", "-project")
    ):
        if option in ("-l", "--resource"):
            match = re.search(r"(?:^|/)gpu=(\d{1,4})", value)
            if match:
                asked.values["gpus"] = Said(match[1], line)
            nodes = re.search(r"(?:^|/)(?:nodes|host)=(\d{1,4})", value)
            if nodes and int(nodes[1]) > 1:
                asked.values["nodes"] = Said(nodes[1], line)
            time = _WALLTIME.search(value)
            if time:
                _time(asked, time[1], "hh", line)
        elif option in _OAR and value:
            asked.values[_OAR[option]] = Said(value, line)


_KINDS = (
    ("pbs", re.compile(r"#PBS\s+(?=-)", re.ASCII), _pbs),
    ("bsub", re.compile(r"#BSUB\s*(?=-)", re.ASCII), _bsub),
    ("sge", re.compile(r"#\$\s+(?=-)|#\$(?=-)", re.ASCII), _sge),
    ("oar", re.compile(r"#OAR\s+(?=-)", re.ASCII), _oar),
)


def read_batch(head: Sequence[Line]) -> list[Asked]:
    """What the lines of each of these schedulers ask for."""
    result = []
    for source, pattern, obey in _KINDS:
        asked = Asked(source)
        for line in head:
            match = pattern.match(line.text)
            if match is not None:
                asked.is_there = True
                obey(asked, split_words(line.text[match.end() :][:2000]), line)
        result.append(asked)
    return result
