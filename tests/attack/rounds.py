"""The rounds of an adversary: each strikes in its own way for a while, and is judged like all others."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.attack.arena import Arena, Verdict, an_arena, can_mount

HOSTILE_NAMES = (
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned #",
    "-rf",
    "--help",
    "a\nb",
    "\x1b[31mred",
    "\u202egnp.sh",
    "500-20260101T000000000-abcdef-x",
    "500-20260101T000000000-abcdef-x.try1.abcdef",
    "500-20260101T000000000-abcdef-x.try1.abcdef=0",
    "000-99999999T999999999-ffffff-x",
    "x" * 255,
    b"\xff\xfe".decode("utf-8", "surrogateescape"),
    "#GPUQ --gpus 9",
    "node",
    "*",
)
HOSTILE_CONTENTS = (
    b"",
    b"\0" * 5000,
    b"{" * 100_000,
    b'{"protocol": 1, "nonce": "' + b'\\"' * 100_000,
    b"[" * 50_000 + b"]" * 50_000,
    b"\xff\xfe\x00",
    b"a: &a [*a, *a]\n",
    b"!!python/object/apply:os.system ['touch pwned']\n",
    b'{"protocol": 1e999, "id": null, "needs": 7}',
    b"x" * (1 << 20),
)


@dataclass(frozen=True)
class Round:
    """One way to strike."""

    what: str
    run: Callable[[int, float], Verdict | None]
    """From a seed and how many seconds; None where it cannot be tried here."""


def _kills(kind: str) -> Callable[[int, float], Verdict]:
    def run(seed: int, seconds: float) -> Verdict:
        with an_arena(seed) as arena:
            arena.last(seconds, lambda: _kill(arena, kind))
            return arena.judge()

    return run


def _kill(arena: Arena, kind: str) -> str:
    machine = arena.chance.choice(arena.machines)
    if kind == "agent":
        arena.restart(machine)
    elif kind == "node":
        machine.power_off()
        arena.machines.remove(machine)
        arena.add_machine()
    elif pids := arena.processes(kind):
        with contextlib.suppress(ProcessLookupError):
            os.kill(arena.chance.choice(pids), signal.SIGKILL)
    else:
        return "nothing there"
    return kind


def _all_kinds(seed: int, seconds: float) -> Verdict:
    with an_arena(seed, machines=8, queues=3) as arena:
        kinds = ["agent", "shim", "shim", "script", "script", "node"]
        arena.last(seconds, lambda: _kill(arena, arena.chance.choice(kinds)))
        return arena.judge()


def _queues(seed: int, seconds: float) -> Verdict:
    with an_arena(seed, machines=3, queues=3) as arena:
        arena.seconds = 0.05
        arena.last(seconds, lambda: "look", pause_s=0.1)
        return arena.judge()


def _stopped(seed: int, seconds: float) -> Verdict:
    """Agents and scripts that stand still for a while; shims that their own scripts stop."""
    with an_arena(seed) as arena:
        held: list[int] = []

        def strike() -> str:
            if held and arena.chance.random() < 0.5:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(held.pop(), signal.SIGCONT)
                return "continued"
            kind = arena.chance.choice(["agent", "script", "shim"])
            pids = [one.agent.pid for one in arena.machines] if kind == "agent" else arena.processes(kind)
            if not pids:
                return "nothing there"
            pid = arena.chance.choice(pids)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
            if kind != "shim":
                held.append(pid)
            return f"{kind} stopped"

        arena.last(seconds, strike)
        for pid in held:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        return arena.judge()


def _moves(seed: int, seconds: float) -> Verdict:
    """Files of tasks moved about by hand, and whole directories removed."""
    with an_arena(seed) as arena:
        root = Path(arena.paths.root)

        moved: set[str] = set()

        def strike() -> str:
            what = arena.chance.choice(["done back", "waiting renamed", "running back", "directory removed"])
            with contextlib.suppress(OSError, IndexError):
                if what == "done back":
                    name = arena.chance.choice(os.listdir(root / "done"))
                    (root / "done" / name).rename(root / "pending" / name)
                elif what == "waiting renamed":
                    name = arena.chance.choice([one for one in os.listdir(root / "pending") if one[0] != "."])
                    (root / "pending" / name).rename(
                        root / "pending" / f"{arena.chance.randrange(1000):03d}{name[3:]}"
                    )
                elif what == "running back":
                    node = arena.chance.choice(os.listdir(root / "running"))
                    claims = [one for one in os.listdir(root / "running" / node) if ".try" in one and "=" not in one]
                    claim = arena.chance.choice(claims)
                    (root / "running" / node / claim).rename(root / "pending" / claim.rpartition(".try")[0])
                    moved.add(claim.rpartition(".try")[0][4:])
                else:
                    name = arena.chance.choice(["logs", "nodes", "records", "queues", "events", "control", "ledger"])
                    subprocess.run(["rm", "-rf", str(root / name)], check=False, capture_output=True)
                    return f"{what}: {name}"
                return what
            return "nothing there"

        arena.last(seconds, strike, pause_s=1.0)
        verdict = arena.judge()
        # A running file that is moved by hand is run anew while its old try is being ended, as it is documented.
        verdict.doubled = [line for line in verdict.doubled if line.split(",")[0] not in moved]
        return verdict


def _hostile(seed: int, seconds: float) -> Verdict:
    with an_arena(seed) as arena:
        root = Path(arena.paths.root)
        places = (
            "pending",
            "records",
            "control",
            "nodes",
            "queues",
            "logs",
            "events",
            "done",
            "failed",
            "running",
            ".",
        )

        def strike() -> str:
            place = root / arena.chance.choice(places)
            name = arena.chance.choice(
                [*HOSTILE_NAMES, f"{secrets.token_hex(4)}.json", "control.json", "config.yaml"]
            )
            kind = arena.chance.choice(["file", "file", "file", "link", "fifo", "directory"])
            with contextlib.suppress(OSError, ValueError):
                path = place / name
                if kind == "file":
                    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_NOFOLLOW
                    with open(os.open(path, flags, 0o600), "wb") as out:
                        out.write(arena.chance.choice(HOSTILE_CONTENTS))
                elif kind == "link":
                    path.symlink_to(arena.chance.choice(["/etc/passwd", "/dev/zero", "/proc/self/mem", str(root)]))
                elif kind == "fifo":
                    os.mkfifo(path)
                else:
                    path.mkdir()
            return kind

        arena.last(seconds, strike, pause_s=0.1)
        verdict = arena.judge()
        verdict.wrong += [f"{path}: it was run" for path in arena.base.rglob("pwned")]
        return verdict


def _two_paths(seed: int, seconds: float) -> Verdict:
    with an_arena(seed, machines=2) as arena:
        there = arena.base / "elsewhere"
        if can_mount():
            there.mkdir()
            subprocess.run(["mount", "--bind", str(arena.queue_root), str(there)], check=True)
        else:
            there.symlink_to(arena.queue_root)

        def strike() -> str:
            machine = arena.chance.choice(arena.machines)
            by = arena.chance.choice([there, arena.queue_root])
            if arena.chance.random() < 0.3:
                beside = arena.start(*machine.flags, "--queue-root", str(by), simulate="2", wait=False)
                if beside.wait(30) != 1:
                    arena.struck["a second agent was let in"] += 1
                return "second agent"
            arena.restart(machine, "--queue-root", str(by))
            return f"restarted by {by.name}"

        try:
            arena.last(seconds, strike, pause_s=1.0)
            verdict = arena.judge()
        finally:
            arena.close()
            subprocess.run(["umount", "--lazy", str(there)], check=False, capture_output=True)
        verdict.wrong += ["a second agent was let in"] * verdict.struck["a second agent was let in"]
        return verdict


@contextmanager
def _small_disk(megabytes: int) -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="gpu-queue-attack."))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


def _full(seed: int, seconds: float) -> Verdict | None:
    if not can_mount():
        return None
    with _small_disk(16) as place, an_arena(seed, machines=2, base=place / "arena") as arena:
        filling = place / "filling"

        def strike() -> str:
            if filling.exists():
                filling.unlink()
                return "room again"
            with contextlib.suppress(OSError), filling.open("wb") as out:
                while True:
                    out.write(b"x" * 65536)
            return "full"

        arena.last(seconds, strike, pause_s=3.0)
        filling.unlink(missing_ok=True)
        # What was torn while it was written is not submitted: only a script in pending/ is.
        arena.submitted = [one for one in arena.submitted if (Path(arena.paths.record(one))).exists()]
        verdict = arena.judge()
        verdict.wrong.clear()  # whose output finds no room may fail
        return verdict


def _few_descriptors(seed: int, seconds: float) -> Verdict:
    with an_arena(seed, machines=2) as arena:

        def strike() -> str:
            machine = arena.chance.choice(arena.machines)
            used = len(os.listdir(f"/proc/{machine.agent.pid}/fd"))
            limit = used + arena.chance.randrange(0, 12)
            done = subprocess.run(
                ["prlimit", f"--pid={machine.agent.pid}", f"--nofile={limit}:4096"], check=False, capture_output=True
            )
            return "limit" if done.returncode == 0 else "nothing there"

        arena.last(seconds, strike)
        for machine in arena.machines:
            subprocess.run(["prlimit", f"--pid={machine.agent.pid}", "--nofile=1024:4096"], check=False)
        return arena.judge()


ROUNDS = (
    Round("agents killed", _kills("agent")),
    Round("shims killed", _kills("shim")),
    Round("scripts killed", _kills("script")),
    Round("nodes switched off", _kills("node")),
    Round("all of it, 8 agents, 3 serial queues", _all_kinds),
    Round("3 agents on 3 serial queues", _queues),
    Round("agents, shims and scripts stopped and continued", _stopped),
    Round("files moved and directories removed by hand", _moves),
    Round("hostile names and contents everywhere", _hostile),
    Round("one spool under two paths", _two_paths),
    Round("a disk that fills up", _full),
    Round("no file descriptors left", _few_descriptors),
)
