"""Where the commands of a file run, as a ``config.yaml`` says it: one beside the file, else the queue's.

- One beside the file may be of another program, which calls something else ``work_dir``: it counts only if nothing is
  wrong with it as a config.yaml of ours.
- In a queue's one, a ``work_dir`` that cannot be obeyed is refused: commands would delete in another directory.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from gpu_queue.config import Config, parse_config
from gpu_queue.errors import SettingsError
from gpu_queue.experiments.commandfiles.reading import CommandFile
from gpu_queue.policy import read_config
from gpu_queue.spool import files as spool_files
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.texts import printable

KEY = "work_dir"
NAME = "config.yaml"
_SAYS_IT = re.compile(rb"^[\"']?work_dir[\"']?[ \t]*:(?![ \t]*(?:null|~)?[ \t]*(?:#.*)?$)", re.MULTILINE)
"""A line that says something other than null."""


@dataclass(frozen=True)
class Workplace:
    """What a config.yaml says of one command file."""

    work_dir: str | None = None
    """None: nothing."""
    said_at: str = ""
    """Where, for people."""
    note: str = ""
    """Of a file that does not count, though it says something."""


def workplaces(paths: SpoolPaths, files: Sequence[CommandFile]) -> dict[str, Workplace]:
    """What is said of each file, by its path.

    Args:
        paths: of the queue.
        files: which are to be loaded.

    Raises:
        SettingsError: what the queue's config.yaml says of the work directory cannot be obeyed.
    """
    of_queue = _of_queue(paths)
    return {file.path: _workplace(file, of_queue) for file in files}


def _workplace(file: CommandFile, of_queue: Config) -> Workplace:
    directory = os.path.dirname(file.place)
    beside, note = _beside(f"{directory}/{NAME}")
    given = beside.values.get(KEY) or of_queue.values.get(KEY)
    if given is None:
        return Workplace(note=note)
    said = os.path.expanduser(given.value or "..")
    return Workplace(os.path.normpath(os.path.join(directory, said)), given.place, note)


def _of_queue(paths: SpoolPaths) -> Config:
    try:
        is_shared = bool(stat.S_IMODE(os.stat(paths.root).st_mode) & 0o022)
    except OSError:
        return Config()  # there is no queue yet
    try:
        config = read_config(paths.config, frozenset({os.geteuid(), 0}), is_shared=is_shared)
    except ModuleNotFoundError:
        content, _ = spool_files.read_regular(paths.config, spool_files.RECORD_MAX_BYTES)
        config = _unread(paths.config, content)
    if KEY in config.broken:
        about = [one for one in config.problems if f": {KEY}: " in one] or config.problems
        raise SettingsError(*about, f"mend it, or say by --work-dir where commands run ({paths.config})")
    return config


def _parsed(path: str, content: bytes) -> Config:
    try:
        return parse_config(path, content)
    except ModuleNotFoundError:
        return _unread(path, content)


def _unread(path: str, content: bytes) -> Config:
    """What a Python without PyYAML, as it may be where people submit, can tell of a file: that it says nothing of us.

    Raises:
        SettingsError: it says something.
    """
    found = _SAYS_IT.search(content)
    if found is None:
        return Config()
    line = content.count(b"\n", 0, found.start()) + 1
    lacks = f"{sys.executable} has no PyYAML to read it"
    raise SettingsError(f"{path}:{line}: {KEY}: {lacks}; say by --work-dir where commands run, or pip install PyYAML")


def _beside(path: str) -> tuple[Config, str]:
    """What the file says, if it is one of ours; else why it does not count, if it says something."""
    try:
        content, _ = spool_files.read_regular(os.path.realpath(path), spool_files.RECORD_MAX_BYTES + 1)
    except (spool_files.FileProblem, OSError):
        return Config(), ""
    if len(content) > spool_files.RECORD_MAX_BYTES:
        return Config(), ""
    config = _parsed(path, content)
    if not config.problems:
        return config, ""
    says_it = KEY in config.values or KEY in config.broken
    why = f"{printable(path)} is none of a queue, so that its {KEY} does not count: {config.problems[0]}"
    return Config(), why if says_it else ""
