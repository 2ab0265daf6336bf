"""Settings that stand in files which clients, scripts and agents share: ``gpu-queue.conf``, and the top of submit.sh.

- Lines are ``KEY=value``; they are read as text and never run.  ``client.sh`` reads the same files the same way.
- docs/settings.md tells which place beats which; docs/security.md whose files are obeyed.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gpu_queue.texts import printable

BESIDE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
"""Where the scripts lie, in a clone."""
NAME = "gpu-queue.conf"
SUBMIT_KEYS = (
    *("QUEUE_ROOT", "CODE_DIR", "CONDA_PATH", "CONDA_ENV", "PYTHON"),
    *("SUBMIT_WAY", "SUBMIT_PREFIX", "SUBMIT_WAIT_S", "GPU_QUEUE_WAYS"),
    *("SLURM_WAY_PARTITION", "SLURM_WAY_ACCOUNT", "SLURM_WAY_QOS"),
    *("SLURM_WAY_GRES", "SLURM_WAY_ARGS", "SLURM_WAY_ONE_JOB"),
    *("SCO_WORKSPACE", "SCO_CLUSTER", "SCO_SPEC", "SCO_IMAGE", "SCO_MOUNT"),
    *("SCO_FRAMEWORK", "SCO_PRIORITY", "SCO_QUOTA", "SCO_ARGS"),
    *("RAY_API_SERVER_ADDRESS", "RAY_WAY_ARGS"),
    *("K8S_PVC", "K8S_MOUNT", "K8S_IMAGE", "K8S_NAMESPACE", "K8S_QUEUE"),
)
"""Settings of submit.sh and of the ways."""
OWN_WAY_PREFIX = "WAY_"
"""Keys that begin so are settings of people's own ways."""
_GPUS = re.compile(r"\$(?:GPUS|\{GPUS\})")
_FILLED = re.compile(r"(SLURM_WAY|SCO|RAY|K8S|WAY)_")
LINE = "a line"
"""In place of a key: a line that sets nothing."""
LIMIT_BYTES = 64 << 10
SCRIPT_BYTES = 8 << 10
"""So far the settings of submit.sh are looked for."""
_ASSIGNMENT = re.compile(r"(?:export +)?([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_HOME = re.compile(r"(?:~|\$HOME|\$\{HOME\})(?=/|$)")
_CONTROL = re.compile("[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Said:
    """A value as text, and where it stands."""

    text: str
    place: str


@dataclass(frozen=True)
class Problem:
    """What cannot be obeyed."""

    key: str
    """Empty: the whole file."""
    text: str
    """With its place, for people."""


@dataclass(frozen=True)
class Conf:
    """What the files say."""

    said: Mapping[str, Said] = field(default_factory=dict)
    """By key; of several files that say the same the strongest."""
    problems: tuple[Problem, ...] = ()

    def problems_of(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Those that concern these keys, or a whole file."""
        wanted = {"", *keys}
        return tuple(one.text for one in self.problems if one.key in wanted)


def home_of(environment: Mapping[str, str]) -> str:
    """The home directory."""
    return environment.get("HOME") or os.path.expanduser("~")


def at_home(path: str, home: str) -> str:
    """A path whose ``~`` no shell has worked out (``export QUEUE_ROOT='~/queues'``), as client.sh understands it."""
    return f"{home}{path[1:]}" if path == "~" or path.startswith("~/") else path


def read_conf(environment: Mapping[str, str], beside: str = BESIDE) -> Conf:
    """What the files say, the strongest first: beside the scripts, in submit.sh, at home.

    Args:
        environment: tells where home is (``HOME``, ``XDG_CONFIG_HOME``).
        beside: the directory of the scripts.
    """
    home = home_of(environment)
    own = environment.get("XDG_CONFIG_HOME", "")
    own = own if own.startswith("/") else f"{home}/.config"
    found = [
        _read_file(f"{beside}/{NAME}", home),
        _read_script(f"{beside}/submit.sh", home),
        _read_file(f"{own}/gpu-queue/{NAME}", home),
    ]
    said: dict[str, Said] = {}
    for one in reversed(found):
        said.update(one.said)
    return Conf(said, tuple(problem for one in found for problem in one.problems))


def parse_conf(path: str, text: str, home: str) -> Conf:
    """What a ``gpu-queue.conf`` says.  Pure.

    Args:
        path: where it stands, for messages.
        text: what stands in it.
        home: what ``~/`` and ``$HOME`` at the start of a value mean.
    """
    said: dict[str, Said] = {}
    problems = []
    for number, whole in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        place = f"{path}:{number}"
        line = _bare(whole)
        if not line or line.startswith("#"):
            continue
        match = _ASSIGNMENT.fullmatch(line)
        if match is None:
            problems.append(Problem(LINE, f"{place}: '{printable(line, 80)}'; expected KEY=value"))
            continue
        key, rest = match.groups()
        try:
            value = _value(key, rest, home)
        except ValueError as error:
            problems.append(Problem(key, f"{place}: {printable(key, 80)}: {error}"))
            continue
        said[key] = Said(value, place)
    return Conf({key: one for key, one in said.items() if one.text}, tuple(problems))


def parse_script(path: str, text: str, home: str) -> Conf:
    """The ``QUEUE_ROOT`` that was written into submit.sh; what a shell would have to work out is not said.  Pure.

    Args:
        path: where it stands, for messages.
        text: its beginning.
        home: what ``~/`` and ``$HOME`` at the start of a value mean.
    """
    said: dict[str, Said] = {}
    text = text.partition("() {")[0]  # its settings come before its functions
    if "perpetual_motion.py" not in text:
        return Conf()  # somebody else's submit.sh
    for number, line in enumerate(text.split("\n"), 1):
        match = _ASSIGNMENT.fullmatch(_bare(line))
        if match is None or match[1] != "QUEUE_ROOT":
            continue
        try:
            said["QUEUE_ROOT"] = Said(_value("QUEUE_ROOT", match[2], home), f"{path}:{number}")
        except ValueError:
            said.pop("QUEUE_ROOT", None)
    return Conf({key: one for key, one in said.items() if one.text})


def _bare(line: str) -> str:
    return line.removesuffix("\r").replace("\t", " ").strip(" ")


def _value(key: str, rest: str, home: str) -> str:
    """What stands behind ``KEY=``; raises ValueError."""
    text = rest.strip(" ")
    if text[:1] in ("'", '"'):
        text, closing, more = text[1:].partition(text[0])
        if not closing:
            raise ValueError("its quote is not closed")
        if more.strip(" ") and not more.strip(" ").startswith("#"):
            raise ValueError("more text stands behind its closing quote")
    else:
        text = "" if text.startswith("#") else text.partition(" #")[0].strip(" ")
    if text.startswith(f"${{{key}:-") and text.endswith("}"):
        text = text[len(key) + 4 : -1]
    text = _HOME.sub(lambda _: home, text, count=1) if _HOME.match(text) else text
    unfilled = _GPUS.sub(" ", text) if _FILLED.match(key) else text  # the way does that
    if "$" in unfilled or "`" in unfilled:
        raise ValueError(f"'{printable(text, 80)}'; it is not run: only ~/ and $HOME/ at the start are understood")
    if _CONTROL.search(text):
        raise ValueError("control characters stand in it")
    if key == "QUEUE_ROOT" and text and not text.startswith("/"):
        raise ValueError(f"'{printable(text, 80)}'; expected a path that begins with /, ~/ or $HOME/")
    return text


def _read_file(path: str, home: str) -> Conf:
    try:
        content = _read(path, LIMIT_BYTES + 1, is_guarded=True)
    except FileNotFoundError:
        return Conf()
    except NotADirectoryError:
        return Conf()
    except OSError as error:
        return Conf(problems=(Problem("", f"{path}: {error.strerror}"),))
    except ValueError as error:
        return Conf(problems=(Problem("", f"{path}: {error}"),))
    if len(content) > LIMIT_BYTES:
        return Conf(problems=(Problem("", f"{path}: it is larger than {LIMIT_BYTES} bytes"),))
    return parse_conf(path, content.decode("utf-8", "surrogateescape"), home)


def _read_script(path: str, home: str) -> Conf:
    try:
        content = _read(path, SCRIPT_BYTES, is_guarded=False)
    except (OSError, ValueError):
        return Conf()  # there need be none
    return parse_script(path, content.decode("utf-8", "surrogateescape"), home)


def _read(path: str, limit_bytes: int, *, is_guarded: bool) -> bytes:
    """The first bytes of a regular file, also behind a link: people keep their settings in one place and link them.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no file, or one that others may have written.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError("it is no regular file")
        why = _strangeness(path, facts) if is_guarded else ""
        if why:
            raise ValueError(why)
        return os.read(descriptor, limit_bytes)
    finally:
        os.close(descriptor)


def _strangeness(path: str, facts: os.stat_result) -> str:
    """Why a file may say what somebody else wants; empty: only its user, root, or whose program this is wrote it."""
    if facts.st_uid not in (os.geteuid(), 0, os.stat(__file__).st_uid):
        return (
            f"it belongs to uid {facts.st_uid}; expected a file of yours, of root, or of whoever owns these programs"
        )
    if facts.st_mode & 0o022:
        quoted = shlex.quote(path)
        return (
            f"mode {facts.st_mode & 0o7777:o} lets others write it, and it says where scripts go; chmod go-w {quoted}"
        )
    return ""
