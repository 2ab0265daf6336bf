"""Two doors to one spool: client.sh in a shell, and Python.  A test says what is wished, and looks at the disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from gpu_queue import Spool as Face
from gpu_queue.errors import GpuQueueError
from gpu_queue.spool import files
from gpu_queue.spool.desk.find import Task
from tests.shell.helpers import Shell


@dataclass(frozen=True)
class Told:
    """What came of a wish: whether it was done, and what was said."""

    ok: bool
    words: str = ""
    names: tuple[str, ...] = ()
    """Full names, of what was published."""


class Door(Protocol):
    """What a person may do."""

    def publish(self, *files: str, after: tuple[str, ...] = (), **options: str) -> Told:
        """Queue scripts by their paths; options as on a command line."""

    def cancel(self, task: str) -> Told: ...
    def retry(self, task: str) -> Told: ...
    def priority(self, task: str, priority: int) -> Told: ...
    def stop(self, task: str) -> Told: ...
    def explain(self, task: str) -> Told: ...
    def pause(self, why: str = "") -> Told: ...
    def drain(self, why: str = "") -> Told: ...
    def resume(self) -> Told: ...
    def keepalive(self, on: bool, why: str = "") -> Told: ...
    def shutdown(self, *, wait: bool = False) -> Told: ...
    def forget(self, node: str, *, force: bool = False) -> Told: ...
    def clean(self, older_than: str, *, dry_run: bool = False) -> Told: ...

    def renaming(self, source: str, before: Callable[[], str], *, fails: bool = True) -> Any:
        """A context in which the first rename of a file meets what is done in a shell before it, and may fail."""

    def later(self, seconds: int) -> None:
        """From now on the server's clock is ahead."""


class ShellDoor:
    """The commands of client.sh, each in a shell of its own."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._path = os.environ["PATH"]
        self._first = ""

    def _say(self, command: str, *arguments: str) -> Told:
        words = {f"A{number}": word for number, word in enumerate(arguments)}
        script = self._first + " ".join([command, *(f'"${name}"' for name in words)])
        # zsh and bash read the environment byte for byte; the words themselves never pass through a parser.
        patience = {"GPU_QUEUE_PATIENCE": os.environ["GPU_QUEUE_PATIENCE"]}
        said = self._shell.run(script, PATH=self._path, **patience, **words)
        return Told(said.status == 0, said.out + said.err, tuple(said.lines) if said.status == 0 else ())

    def publish(self, *files: str, after: tuple[str, ...] = (), **options: str) -> Told:
        given = [word for one in after for word in ("--after", one)]
        given += [word for name, value in options.items() for word in (f"--{name}", value)]
        return self._say("gpu_submit", *given, "--", *files)

    def cancel(self, task: str) -> Told:
        return self._say("gpu_cancel", task)

    def retry(self, task: str) -> Told:
        return self._say("gpu_retry", task)

    def priority(self, task: str, priority: int) -> Told:
        return self._say("gpu_priority", task, f"{priority:03d}")

    def stop(self, task: str) -> Told:
        return self._say("gpu_stop", task)

    def explain(self, task: str) -> Told:
        return self._say("gpu_explain", task)

    def pause(self, why: str = "") -> Told:
        return self._say("gpu_pause", *([why] if why else []))

    def drain(self, why: str = "") -> Told:
        return self._say("gpu_drain", *([why] if why else []))

    def resume(self) -> Told:
        return self._say("gpu_resume")

    def keepalive(self, on: bool, why: str = "") -> Told:
        return self._say("gpu_keepalive", "on" if on else "off", *([why] if why else []))

    def shutdown(self, *, wait: bool = False) -> Told:
        return self._say("gpu_shutdown", *(["--wait"] if wait else []))

    def forget(self, node: str, *, force: bool = False) -> Told:
        return self._say("gpu_forget", node, *(["--force"] if force else []))

    def clean(self, older_than: str, *, dry_run: bool = False) -> Told:
        return self._say("gpu_clean", "--older-than", older_than, *(["--dry-run"] if dry_run else []))

    def later(self, seconds: int) -> None:
        self._first = f"__gpu_clock() {{ REPLY=$(($(command date +%s) + {seconds}))${{2:+.000000000}}; }}\n"

    @contextmanager
    def renaming(self, source: str, before: Callable[[], str], *, fails: bool = True) -> Iterator[None]:
        tools = self._shell.home / "tools"
        tools.mkdir(exist_ok=True)
        mark = tools / "done"
        then = "exit 1" if fails else ":"
        script = (
            "#!/bin/sh\n"
            f'case "$*" in *{source}*) [ -e "{mark}" ] || {{ touch "{mark}"; {before()}; {then}; }} ;; esac\n'
            'exec /bin/mv "$@"\n'
        )
        (tools / "mv").write_text(script)
        (tools / "mv").chmod(0o755)
        self._path = f"{tools}:{os.environ['PATH']}"
        try:
            yield
        finally:
            self._path = os.environ["PATH"]


class PythonDoor:
    """``gpu_queue.Spool`` in this process."""

    def __init__(self, face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
        self.face = face
        self._monkeypatch = monkeypatch

    @staticmethod
    def _told(wish: Callable[[], object]) -> Told:
        try:
            came_of_it = wish()
        except (GpuQueueError, ValueError) as error:
            return Told(False, str(error))
        outcomes = came_of_it if isinstance(came_of_it, tuple) else (came_of_it,)
        ok = all(outcome is None or bool(outcome) for outcome in outcomes)
        words = " ".join(str(getattr(one, "reason", one)) for one in outcomes)
        return Told(ok, words)

    def publish(self, *files: str, after: tuple[str, ...] = (), **options: str) -> Told:
        given: dict[str, Any] = {**options, "after": after}
        if "priority" in given:
            given["priority"] = int(given["priority"])
        try:
            if "name" in given:
                tasks: tuple[Task, ...] = (self.face.submit(files[0], **given),)
            else:
                tasks = self.face.publish(files, **given)
        except GpuQueueError as error:
            return Told(False, str(error))
        return Told(True, names=tuple(map(str, tasks)))

    def cancel(self, task: str) -> Told:
        return self._told(lambda: self.face.cancel(task))

    def retry(self, task: str) -> Told:
        return self._told(lambda: self.face.retry(task))

    def priority(self, task: str, priority: int) -> Told:
        return self._told(lambda: self.face.priority(task, priority))

    def stop(self, task: str) -> Told:
        stopped = self.face.stop(task)
        lines = [f"{answer.node}: {line}" for answer in stopped.answers for line in answer.lines]
        lines += [outcome.reason for outcome in stopped.tasks]
        return Told(all(stopped.tasks), "\n".join(lines))

    def explain(self, task: str) -> Told:
        try:
            return Told(True, "\n".join(self.face.explain(task).lines))
        except GpuQueueError as error:
            return Told(False, str(error))

    def pause(self, why: str = "") -> Told:
        return self._told(lambda: self.face.pause(why))

    def drain(self, why: str = "") -> Told:
        return self._told(lambda: self.face.drain(why))

    def resume(self) -> Told:
        return self._told(self.face.resume)

    def keepalive(self, on: bool, why: str = "") -> Told:
        return self._told(lambda: self.face.keepalive(on, why))

    def shutdown(self, *, wait: bool = False) -> Told:
        try:
            answers = self.face.shutdown(wait=wait)
        except GpuQueueError as error:
            return Told(False, str(error))
        lines = [f"{answer.node}: {line}" for answer in answers for line in answer.lines]
        return Told(any(answer.reply.value != "gone" for answer in answers), "\n".join(lines))

    def forget(self, node: str, *, force: bool = False) -> Told:
        return self._told(lambda: self.face.forget(node, force=force))

    def clean(self, older_than: str, *, dry_run: bool = False) -> Told:
        return self._told(lambda: self.face.clean(older_than, dry_run=dry_run))

    def later(self, seconds: int) -> None:
        real = files.server_now_ns
        self._monkeypatch.setattr(files, "server_now_ns", lambda directory: real(directory) + seconds * 10**9)

    @contextmanager
    def renaming(self, source: str, before: Callable[[], str], *, fails: bool = True) -> Iterator[None]:
        real = os.rename
        met: list[str] = []

        def rename(old: str, new: str) -> None:
            if source in f"{old} {new}" and not met:
                met.append(old)
                assert os.system(before()) == 0
                if fails:
                    raise FileNotFoundError(2, "No such file or directory", old)
            real(old, new)

        with self._monkeypatch.context() as patch:
            patch.setattr(os, "rename", rename)
            yield


def a_script(home: Path, name: str, text: str | bytes = "true\n") -> str:
    """A file of the user's; its path."""
    path = os.fsencode(home) + b"/" + os.fsencode(name)
    with open(path, "wb") as file:
        file.write(text.encode() if isinstance(text, str) else text)
    return os.fsdecode(path)
