"""A try that runs in a copy of a snapshot: where, with which environment, and what its log begins with.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_queue.code.noun import Code
from gpu_queue.execution import launcher
from gpu_queue.scripts.reader import HEAD_BYTES, read
from gpu_queue.texts import printable


@dataclass(frozen=True)
class Copy:
    """The copy of one try, which its own process makes."""

    code: Code
    try_directory: str
    snapshot: str
    """The packed tree."""
    where: str
    """The top of the copy."""
    submitted_in: str
    """Where the task would run without a snapshot."""

    @property
    def cwd(self) -> str:
        """Where its script runs."""
        return f"{self.where}/{self.code.cwd}".rstrip("/")

    @property
    def script(self) -> str:
        """Where its script lies in the copy; empty: it was elsewhere."""
        return f"{self.where}/{self.code.script}" if self.code.script else ""

    @property
    def environment(self) -> dict[str, str]:
        """What the script finds beside what every script does."""
        return {
            "GPU_QUEUE_SNAPSHOT": self.code.snapshot,
            "GPU_QUEUE_COPY": self.where,
            "GPU_QUEUE_SUBMIT_DIR": self.submitted_in,
        }

    def runs(self, program: list[str]) -> list[str]:
        """A program that makes the copy, and then becomes this one, in it."""
        links = {one: f"{self.code.root}/{one}" for one in self.code.ignored if self.code.root.startswith("/")}
        key, cwd = self.code.snapshot, self.code.cwd
        return launcher.in_copy(program, self.try_directory, self.snapshot, key, self.where, cwd, links)


def told_of(its_copy: Copy | None) -> list[str]:
    """What the log of a try says of the copy that it runs in."""
    if its_copy is None:
        return []
    kept = "what is to be kept is written to $GPU_QUEUE_SUBMIT_DIR"
    return [
        f"code: {printable(its_copy.code.told)}",
        f"it runs in a copy, which is removed with the try: {kept} ({printable(its_copy.submitted_in)})",
    ]


def asks_for_snapshot(script: bytes) -> bool:
    """Whether a script's own lines ask for a snapshot."""
    head = script[:HEAD_BYTES]
    return b"--snapshot" in head and read(head).get("snapshot") is not None
