"""A shell with the client in it, and a spool made and read by hand: what an agent would do, the test does."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpu_queue.spool.pages import NodePage, encode_json, encode_lines
from gpu_queue.states import AgentState, read_word

CLIENT = Path(__file__).resolve().parents[2] / "client.sh"
WEIRD = "a b'c\"d $(touch pwned) [x]*\nline;&"
STAMP = re.compile(r"\d{8}T\d{9}")

HOSTILE = {
    "bash": r"""
set -euo pipefail -o noclobber
shopt -s expand_aliases dotglob nocasematch nocaseglob xpg_echo extglob
ls() { echo "a function of the user's"; }
mv() { echo "a function of the user's"; }
for word in command rm mv cp ls cat grep find stat sync sleep head tail mkdir wc date printf local read cd builtin; do
  alias $word='false aliased'
done
IFS=T-
GLOBIGNORE='*train*'
CDPATH=/tmp
""",
    "zsh": r"""
set -eu -o pipefail
setopt ksh_arrays no_nomatch null_glob extended_glob sh_word_split no_clobber glob_dots
setopt rc_expand_param warn_create_global numeric_glob_sort no_multibyte chase_links auto_cd
ls() { echo "a function of the user's"; }
mv() { echo "a function of the user's"; }
for word in command rm mv cp ls cat grep find stat sync sleep head tail mkdir wc date printf local read cd builtin; do
  alias $word='false aliased'
done
alias -g N='| false' L='| false' id='false' nonce='false'
chpwd() { echo "a hook of the user's"; }
IFS=T-
cdpath=(/tmp)
""",
}


def kind(shell: str) -> str:
    """``bash`` or ``zsh``, also of ``/opt/bash-4.2/bin/bash``."""
    return "zsh" if "zsh" in os.path.basename(shell) else "bash"


@dataclass(frozen=True)
class Said:
    """What a command said, and its status."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


def end(process: subprocess.Popen[str]) -> None:
    """Take a shell that would go on away, with all that it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def read_until(process: subprocess.Popen[str], word: str) -> str:
    """What it says up to and with that word."""
    assert process.stdout is not None
    text = ""
    while word not in text:
        line = process.stdout.readline()
        assert line, f"it ended without {word!r}: {text!r}"
        text += line
    return text


def wait_until(what: Callable[[], object], limit_s: float = 30.0) -> None:
    """Look again and again until it is so."""
    end = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


@dataclass
class Spool:
    """One spool, seen and made without the client."""

    path: Path
    made: int = field(default=0)

    def make(self) -> Spool:
        for name in ("pending", "running", "done", "failed", "records", "logs", "control", "nodes/gone", "queues"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        (self.path / "PROTOCOL").write_text("1\n")
        return self

    def names(self, state: str) -> list[str]:
        return sorted(path.name for path in (self.path / state).iterdir())

    def add(self, state: str, title: str = "train.sh", priority: int = 500, **record: Any) -> str:
        """A task in a state (``running/<node>`` makes a claim); returns its full name."""
        self.made += 1
        task_id = f"20261123T0144{self.made:05d}-{self.made + 0xABC000:06x}-{title}"
        full = f"{priority:03d}-{task_id}"
        name = full + (f".try1.{self.made + 0xFED000:06x}" if state.startswith("running/") else "")
        (self.path / state).mkdir(parents=True, exist_ok=True)
        (self.path / state / name).write_text("true\n")
        value = {"protocol": 1, "id": task_id, "name": title, **record}
        (self.path / "records" / f"{task_id}.json").write_text(json.dumps(value, ensure_ascii=False) + "\n")
        return full

    def move(self, full: str, source: str, target: str) -> None:
        """What an agent does to a task: by its full name or its claim's."""
        found = next(path for path in (self.path / source).iterdir() if path.name.startswith(full))
        (self.path / target).mkdir(parents=True, exist_ok=True)
        name = full if not target.startswith("running/") else f"{full}.try2.0a0b0c"
        os.rename(found, self.path / target / name)

    def node(self, name: str, state: str = "serving", age_s: float = 0.0, **more: Any) -> None:
        """Write a node's page as an agent does; with an age, as if it had been so long ago."""
        page = NodePage(name, **{"incarnation": f"{name}1", "state": read_word(AgentState, state), **more})
        for ending, content in (("tsv", encode_lines(page)), ("json", encode_json(page))):
            hidden = self.path / "nodes" / f".{name}.{ending}"
            hidden.write_bytes(content)
            if age_s:
                then = time.time() - age_s
                os.utime(hidden, (then, then))
            os.rename(hidden, self.path / "nodes" / f"{name}.{ending}")  # nobody sees half a page

    def put_away(self, name: str) -> None:
        """What a peer does with the page of a dead node."""
        for ending in ("tsv", "json"):
            os.rename(self.path / "nodes" / f"{name}.{ending}", self.path / "nodes/gone" / f"{name}.{ending}")

    def commands(self) -> list[tuple[str, dict[str, Any]]]:
        """Commands in control/ and what they say, oldest first."""
        names = sorted(name for name in self.names("control") if name.endswith(".json") and not name.startswith("."))
        return [(name, json.loads((self.path / "control" / name).read_text())) for name in names]

    def answer(self, entry: str, node: str, text: str) -> None:
        """Acknowledge a command as that node's agent would: by rename."""
        ack = self.path / "control" / f"{entry.removesuffix('.json')}.{node}.ack"
        hidden = ack.with_name(f".{ack.name}")
        hidden.write_text(text + "\n")
        os.rename(hidden, ack)

    def log(self, full: str, text: str, suffix: str = "") -> Path:
        path = self.path / "logs" / f"{full[4:]}{suffix}.log"
        path.write_text(text)
        return path


@dataclass
class Shell:
    """A shell in which the client is sourced, among hostile settings."""

    program: str
    home: Path
    root: Path
    job_id: str = "exp 1"
    hostile: bool = True
    sourced: bool = True
    limit_s: float = 40.0
    """For one command line."""

    @property
    def spool(self) -> Spool:
        return Spool(self.root / self.job_id)

    @property
    def kind(self) -> str:
        return kind(self.program)

    def environment(self, **more: str) -> dict[str, str]:
        fixed = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "USER": "alice",
            "TZ": "Asia/Shanghai",
            "LC_ALL": "C.UTF-8",
            "QUEUE_ROOT": str(self.root),
            "JOB_ID": self.job_id,
            "GPU_QUEUE_PATIENCE": "1",
        }
        return fixed | more

    def command(self, script: str) -> list[str]:
        """The command line that runs a script after the client was sourced."""
        body = HOSTILE[self.kind] if self.hostile else ""
        file = self.home / f"script{len(list(self.home.glob('script*')))}"
        source = f". {shlex.quote(str(CLIENT))}" if self.sourced else ""
        file.write_text(f"{body}\n{source}\n{script}\n")
        return [self.program, "-f", str(file)] if self.kind == "zsh" else [self.program, "--norc", str(file)]

    def run(self, script: str, **environment: str) -> Said:
        done = subprocess.run(
            self.command(script),
            cwd=self.home,
            env=self.environment(**environment),
            capture_output=True,
            timeout=self.limit_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        out, err = (text.decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr))
        return Said(done.returncode, out, err)

    def start(self, script: str, **environment: str) -> subprocess.Popen[str]:
        """Begin a script that the test plays the agent for: on a busy machine its answer takes more than a second."""
        return subprocess.Popen(
            self.command(script),
            cwd=self.home,
            env=self.environment(**{"GPU_QUEUE_PATIENCE": "10", **environment}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def ok(self, script: str, **environment: str) -> Said:
        said = self.run(script, **environment)
        assert said.status == 0, said
        return said

    def file(self, name: str, text: str | bytes) -> str:
        """A file of the user's; returns its path quoted for the shell."""
        path = self.home / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return shlex.quote(str(path))


def shells() -> list[str]:
    """The shells to test in; ``GPU_QUEUE_TEST_SHELLS`` may name others, an old bash for example."""
    named = os.environ.get("GPU_QUEUE_TEST_SHELLS", "bash zsh").split()
    return [name for name in named if shutil.which(name)]


def alone(shell: Shell) -> str:
    """The line that sources a client without the package beside it."""
    place = shell.home / "elsewhere"
    place.mkdir()
    shutil.copy(CLIENT, place)
    shell.sourced = False
    return f". {place}/client.sh"


def without_venv(shell: Shell) -> str:
    """The line that sources a client with the package beside it, and no Python of its own."""
    source = alone(shell)
    (shell.home / "elsewhere" / "gpu_queue").symlink_to(CLIENT.parent / "gpu_queue")
    return source
