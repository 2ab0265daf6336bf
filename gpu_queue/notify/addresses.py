"""Where the labels lead: addresses (apprise's URLs), which are secrets.

They come from the environment, ``GPU_QUEUE_NOTIFY_<LABEL>``, or from ``~/.config/gpu-queue/notify``, which nobody
but its owner may be able to read.  They are handed on through pipes: never as an argument of a program, never into a
file, a record or a message.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

from gpu_queue.conf import home_of
from gpu_queue.notices import LABEL, is_label, label_of_variable
from gpu_queue.spool import files
from gpu_queue.words import Language, language_of

PREFIX = "GPU_QUEUE_NOTIFY_"
FILE_MAX_BYTES = 64 << 10
ADDRESSES_MAX = 10
"""Of one label."""
LANGUAGE = "language"
"""In the place of a label in the file: in which one people are told."""
_LINE = re.compile(rf"({LABEL})[ \t]*(?:=[ \t]*|[ \t])(\S.*)", re.ASCII)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,30}://[^\s<>\"']+")
_PIECES = re.compile(r"[/:@?&=,;\s]+")
_PIECE_MIN = 6
"""What is shorter is no secret worth a hole in every text."""


@dataclass(frozen=True)
class Book:
    """Addresses by label."""

    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    """By the label as :func:`label_of_variable` spells it."""
    language: Language = "en"
    problems: tuple[str, ...] = ()
    """What could not be used, for people; no address stands in it."""

    def of(self, label: str) -> tuple[str, ...]:
        """The addresses of a label; none: it is not known here."""
        return self.addresses.get(label_of_variable(label), ())

    @property
    def labels(self) -> tuple[str, ...]:
        """All that are known here, as variables spell them."""
        return tuple(sorted(self.addresses))

    def scrubbed(self, text: str) -> str:
        """A text without addresses, and without what stands in those that are known here."""
        text = _URL.sub("[address]", text)
        for one in self._pieces():
            text = text.replace(one, "[…]")
        return text

    def _pieces(self) -> list[str]:
        pieces = {
            piece
            for several in self.addresses.values()
            for address in several
            for piece in _PIECES.split(address.partition("://")[2])
            if len(piece) >= _PIECE_MIN
        }
        return sorted(pieces, key=len, reverse=True)


def path_of(environment: Mapping[str, str]) -> str:
    """Where a user's own file is."""
    own = environment.get("XDG_CONFIG_HOME", "")
    return f"{own if own.startswith('/') else f'{home_of(environment)}/.config'}/gpu-queue/notify"


def read_book(environment: Mapping[str, str]) -> Book:
    """All addresses that this process may use; what cannot be used is among its problems."""
    path = path_of(environment)
    problems: list[str] = []
    said: dict[str, tuple[str, ...]] = {}
    locale = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    language = language_of(locale)
    try:
        for number, line in _lines(path):
            match = _LINE.fullmatch(line)
            if match is None:
                problems.append(f"{path}:{number}: expected LABEL = URL")
            elif match[1].lower() == LANGUAGE:
                language = language_of(match[2])
            else:
                _add(said, match[1], match[2])
    except files.Vanished:
        pass
    except files.FileProblem as problem:
        problems.append(f"{path}: {problem}")
    except OSError as error:
        problems.append(f"{path}: {error.strerror}")
    for name, value in environment.items():
        label = name.removeprefix(PREFIX)
        if label != name and is_label(label) and value.strip():
            said.pop(label_of_variable(label), None)  # what is nearest counts
            _add(said, label, value)
    return Book(said, language, tuple(problems))


def _add(said: dict[str, tuple[str, ...]], label: str, text: str) -> None:
    key = label_of_variable(label)
    said[key] = (*said.get(key, ()), *text.split())[:ADDRESSES_MAX]


def _lines(path: str) -> list[tuple[int, str]]:
    """The lines of the file that say something; FileProblem where others may read it."""
    content, facts = files.read_regular(path, FILE_MAX_BYTES)
    if facts.st_uid != os.geteuid():
        raise files.FileProblem(f"it belongs to uid {facts.st_uid}; expected a file of your own")
    if stat.S_IMODE(facts.st_mode) & 0o077:
        mode = stat.S_IMODE(facts.st_mode)
        raise files.FileProblem(f"mode {mode:04o} lets others read the addresses in it; chmod 600 {path}")
    lines = content.decode("utf-8", "surrogateescape").splitlines()
    stripped = ((number, line.strip()) for number, line in enumerate(lines, 1))
    return [(number, line) for number, line in stripped if line and not line.startswith("#")]
