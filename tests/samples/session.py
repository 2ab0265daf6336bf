"""A session: a script is typed into bash on a terminal of its own, and what the terminal got is kept."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import secrets
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.agent.harness import ROOT

SESSIONS = Path(__file__).resolve().parent / "sessions"
COLUMNS, ROWS = 100, 400
TIMEOUT_S = 100.0
Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
_LOCALES = {"en": "C.UTF-8", "zh": "zh_CN.UTF-8"}
_MARK = re.compile(rb"\x1b\]777;(\w+)\x07")

HELPERS = r"""
give_up() { printf 'the session waited in vain for %s\n' "$*"; exit 99; }
become_true() { # TENTHS COMMAND…: whether it succeeds within so long
  local turn tenths=$1
  shift
  for ((turn = 0; turn < tenths; turn++)); do if "$@" >/dev/null 2>&1; then return; fi; sleep 0.1; done
  return 1
}
until_true() { become_true 300 "$@" || give_up "$@"; } # COMMAND…: until it succeeds
pages() { cat "$QUEUE_ROOT/$JOB_ID"/nodes/*.tsv; }
lines_of_pages() { [ "$(pages | grep -cP -e "$1")" -ge "$2" ]; }
until_page() { until_true lines_of_pages "$1" "${2:-1}"; } # PATTERN [COUNT]: until so many lines fit
until_no_page() { until_true no_line_of_pages "$1"; } # PATTERN: until no line fits
no_line_of_pages() { ! lines_of_pages "$1" 1; }
until_held() { # COUNT: until so many GPUs are held, and look it unless the machine is too busy for that
  until_page '^keepalive\t\d\tholding' "$1"
  become_true 50 lines_of_pages '^gpu\t\d\t[^\t]*\tidle\t[78]\d' "$1" || :
}
AGENTS=()
agent() { # FLAG…: an agent that serves $JOB_ID, and has said so
  local output=$HOME/.agent${#AGENTS[@]}
  "$PYTHON" "$CODE/perpetual_motion.py" --job-id "$JOB_ID" --queue-root "$QUEUE_ROOT" "$@" >"$output" 2>&1 &
  AGENTS+=($!)
  until_true grep -q '^\[INFO\] Keep-alive' "$output"
  until_true compgen -G "$QUEUE_ROOT/$JOB_ID/nodes/*.tsv"
}
script() { # NAME: a script from standard input, in the home directory
  cat >"$HOME/$1"
}
"""


@dataclass
class Step:
    """One line that was typed, and what came back."""

    sample: str
    command: str
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    """Output, each with the second of the session in which it came."""
    answer: bytes = b""
    """What is typed when the command has asked: when it has left the cursor in a line."""

    @property
    def output(self) -> bytes:
        return b"".join(piece for _, piece in self.pieces)


@dataclass
class Recording:
    """All steps of a session, and what the world was called in which they were made."""

    session: str
    language: Language
    steps: list[Step]
    home: str
    nonces: list[str]
    """The six digits of the tasks, in the order in which they were submitted."""


def names() -> list[str]:
    return sorted(path.stem for path in SESSIONS.glob("*.sh"))


def needs_torch(name: str) -> bool:
    """Whether a session says so in its first line."""
    return "needs torch" in (SESSIONS / f"{name}.sh").read_text(encoding="utf-8").splitlines()[0]


def record(name: str, language: Language) -> Recording:
    """Run a session.

    Raises:
        RuntimeError: it did not come to its end; with all that it said.
    """
    with _home() as home:
        text, steps = _compile((SESSIONS / f"{name}.sh").read_text(encoding="utf-8"))
        script = f"{home}/.session"
        Path(script).write_text(f"{HELPERS}\ncd ~\n{text}", encoding="utf-8")
        said = _run(script, home, language, steps)
        if said is not None:
            raise RuntimeError(f"session {name} ({language}): {said}")
        nonces = [path.split("-")[1] for path in sorted(_ids(home))]
        return Recording(name, language, steps, home, list(dict.fromkeys(nonces)))


def _compile(text: str) -> tuple[str, list[Step]]:
    """The script with marks around each line that is shown."""
    lines: list[str] = []
    steps: list[Step] = []
    sample = ""
    for line in text.splitlines():
        if line.startswith("#="):
            sample = line[2:].strip()
        elif line.startswith("#-"):
            sample = ""
        elif line.startswith("#<"):
            steps[-1].answer = line[2:].strip().encode() + b"\n"
        elif sample and line:
            lines += [rf"printf '\e]777;{len(steps)}\a'", line, r"printf '\e]777;end\a'"]
            steps.append(Step(sample, line))
        else:
            lines.append(line)
    return "\n".join([*lines, "exit 0", ""]), steps


@contextlib.contextmanager
def _home() -> Iterator[str]:
    """A home directory whose path is as long as the one that is shown, so that nothing is laid out otherwise."""
    home = f"/tmp/{secrets.token_hex(3)}"
    os.mkdir(home, 0o700)
    try:
        os.symlink(ROOT, f"{home}/gpu-queue")
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _ids(home: str) -> Iterator[str]:
    for base, _, files in os.walk(home):
        if os.path.basename(base) == "records":
            yield from (name for name in files if re.match(r"\d{8}T\d{9}-[0-9a-f]{6}-", name))


def _environment(home: str, language: Language) -> dict[str, str]:
    taken = ("GPU_QUEUE_", "GPU_UTIL", "LC_", "SUBMIT_", "CONDA", "XDG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(taken)}
    for name in ("JOB_ID", "QUEUE_ROOT", "CUDA_VISIBLE_DEVICES", "NO_COLOR", "COLUMNS", "LINES", "CODE_DIR"):
        kept.pop(name, None)
    return {
        **kept,
        "HOME": home,
        "USER": "alice",
        "LOGNAME": "alice",
        "HOSTNAME": "login1",
        "TERM": "xterm-256color",
        "LANG": _LOCALES[language],
        "LC_CTYPE": "C.UTF-8",
        "PYTHON": sys.executable,
        "SUBMIT_WAY": "local",
        "CODE": str(ROOT),
        "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
        "TZ": "UTC",
        "GPU_QUEUE_LOCAL_DIR": f"{home}/.node",
        "GPU_QUEUE_NODE_NAME": "node7",
        "GPU_QUEUE_BEAT": "1s",
        "GPU_QUEUE_KEEPALIVE_QUIET_BEFORE": "1s",
    }


def _run(script: str, home: str, language: Language, steps: list[Step]) -> str | None:
    """Fill the steps; returns what went wrong."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    shell = subprocess.Popen(
        ["setsid", "--ctty", "--wait", "bash", "--norc", script],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=_environment(home, language),
        cwd=home,
    )
    os.close(theirs)
    began = time.monotonic()
    everything, step, rest, wrong = b"", -1, b"", None
    try:
        while True:
            left_s = TIMEOUT_S - (time.monotonic() - began)
            if left_s <= 0:
                wrong = f"it took longer than {TIMEOUT_S:.0f} s"
                break
            if not select.select([ours], [], [], left_s)[0]:
                continue
            try:
                chunk = os.read(ours, 1 << 16)
            except OSError:  # Linux says EIO where a terminal's other end is closed
                break
            everything += chunk
            rest += chunk
            now_s = time.monotonic() - began
            while mark := _MARK.search(rest):
                _keep(steps, step, now_s, rest[: mark.start()])
                step = -1 if mark[1] == b"end" else int(mark[1])
                rest = rest[mark.end() :]
            whole, half, tail = rest.rpartition(b"\x1b]777")
            ready, rest = (whole, half + tail) if half else (rest, b"")
            _keep(steps, step, now_s, ready)
            if step >= 0 and steps[step].answer and steps[step].output[-1:] not in (b"", b"\n"):
                os.write(ours, steps[step].answer)
                steps[step].answer = b""
    finally:
        os.close(ours)
        _end(shell, home)
    if wrong is None and shell.returncode != 0:
        wrong = f"it ended with status {shell.returncode}"
    return wrong and f"{wrong}; it said:\n{everything.decode(errors='replace')}"


def _keep(steps: list[Step], step: int, now_s: float, output: bytes) -> None:
    if step >= 0 and output:
        steps[step].pieces.append((now_s, output))


def _end(shell: subprocess.Popen[bytes], home: str) -> None:
    """End the shell, and every process that the session has left: they carry its home directory."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        shell.wait(timeout=1)
    mine = b"\0HOME=" + os.fsencode(home) + b"\0"
    for _ in range(20):
        found = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if mine in _environ(pid)]
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not found:
            break
        time.sleep(0.02)  # until the killed ones are gone
    shell.wait()


def _environ(pid: int) -> bytes:
    try:
        return b"\0" + Path(f"/proc/{pid}/environ").read_bytes() + b"\0"
    except OSError:
        return b""
