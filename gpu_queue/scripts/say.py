"""The reading for shells: files in, lines of fields out.

``python3 -I -S -c 'import sys; sys.path.insert(0, DIR); from gpu_queue.scripts.say import main; main()' -- FILE…``

For each file, fields by tabs, no control characters in them, ``-`` where there is nothing; more may come:

- ``file``    number from 0, path
- ``needs``   GPUs, devices, rule, memory in bytes, queue, seconds, ``limit`` or ``promise``, retries, ids that it
  waits for, array, name, nodes, signal
- ``is``      what, value, rule, line number, the line, why: in English, in Chinese
- ``warn``, ``refuse``   code, line number, the line, in English, in Chinese
- ``error``   why it cannot be read, in English, in Chinese (in the place of the others)
- ``end``
"""

from __future__ import annotations

import os
import stat
import sys

from gpu_queue.scripts.people import lines_for_people
from gpu_queue.scripts.reader import HEAD_BYTES, read
from gpu_queue.scripts.reading import Reading
from gpu_queue.texts import printable

FIELD_MAX = 400
_GIVEN = ("gpus", "memory", "queue", "time", "retries", "signal", "notify", "name", "array", "nodes")


class _Usage(ValueError):
    """An option that there is not."""


def _row(*fields: object) -> str:
    shown = (printable(str(field), FIELD_MAX) if field is not None else "" for field in fields)
    return "\t".join(field or "-" for field in shown)


def _head(path: str) -> bytes:
    """What is looked at of a regular file; no link to a FIFO is waited for."""
    if path == "-":
        return sys.stdin.buffer.read(HEAD_BYTES)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is no regular file")
        return file.read(HEAD_BYTES)


def rows(reading: Reading) -> list[str]:
    """A reading in lines of fields."""
    name = reading.get("name")
    needs = _row(
        "needs",
        reading.gpus,
        ",".join(map(str, reading.devices)),
        reading.source,
        reading.memory_bytes,
        reading.queue,
        None
        if reading.time_s is None
        else f"{reading.time_s:g}"
        if reading.time_s < 1e6
        else f"{reading.time_s:.0f}",
        None if reading.time_s is None else "limit" if reading.time_is_limit else "promise",
        reading.retries,
        None,
        None,
        name.value if name else None,
        reading.nodes,
        reading.signal,
    ).split("\t")
    needs[9] = ",".join(reading.after) or "-"  # never cut: these are obeyed
    needs[10] = str(reading.array) if reading.array else "-"
    found = ["\t".join(needs)]
    for is_ in reading.conclusions:
        found.append(
            _row("is", is_.what, is_.value, is_.source, is_.line_number or None, is_.line, is_.english, is_.chinese)
        )
    for word, notes in (("warn", reading.warnings), ("refuse", reading.refusals)):
        for one in notes:
            found.append(_row(word, one.code, one.line_number or None, one.line, one.english, one.chinese))
    return found


def _options(words: list[str]) -> tuple[dict[str, object], dict[str, str], list[str]]:
    """What was given to gpu_submit, other options, the script's arguments."""
    given: dict[str, object] = {}
    others: dict[str, str] = {}
    arguments: list[str] = []
    after: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.startswith("--"):
            raise _Usage(f"{word}: expected --OPTION=VALUE")
        option = name[2:]
        if option in _GIVEN:
            given[option] = value
        elif option == "after":
            after.append(value)
        elif option == "arg":
            arguments.append(value)
        elif option in ("default-gpus", "people"):
            others[option] = value
        else:
            raise _Usage(f"{word}: unknown option")
    if after:
        given["after"] = after
    return given, others, arguments


def said(arguments: list[str]) -> tuple[int, list[str]]:
    """The exit status, and the lines for these arguments of a command."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    try:
        given, others, script_arguments = _options(arguments[:at])
        default_gpus = int(others.get("default-gpus", "1"))
    except ValueError as problem:
        print(f"say: {printable(str(problem))}", file=sys.stderr)  # noqa: T201 - it is a program
        return 2, []
    language = others.get("people")
    status = 0
    lines: list[str] = []
    for number, path in enumerate(arguments[at + 1 :]):
        shown = printable(path)
        try:
            head = _head(path)
        except OSError as problem:
            status = 1
            why = problem.strerror or str(problem)
            error = _row("error", f"{shown} cannot be read: {why}", f"无法读取 {shown}：{why}")
            lines += (
                [error.split("\t")[2 if language == "zh" else 1]]
                if language
                else [_row("file", number, path), error, "end"]
            )
            continue
        reading = read(head, given, script_arguments, default_gpus, os.path.basename(path))
        if language:
            lines += lines_for_people(shown, reading, "zh" if language == "zh" else "en")
        else:
            lines += [_row("file", number, path), *rows(reading), "end"]
    return status, lines


def main() -> None:
    """Print, and exit."""
    status, lines = said(sys.argv[1:])
    text = "".join(f"{line}\n" for line in lines)
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()
    sys.exit(status)
