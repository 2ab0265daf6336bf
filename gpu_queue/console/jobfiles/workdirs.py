"""Where the commands of a job file run.

A command file of ``gpu-queue load`` runs in the parent of the directory that holds it: its project.  A job file lies
in the queue, whose parent is no project of anybody.  So here counts, in this order: what the request says; what was
kept beside the file; ``work_dir`` of the queue's config.yaml, if it is absolute or begins with ``~``; the home
directory, in which scripts run that are pasted into the console.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from gpu_queue.console.jobfiles.folders import CannotUse
from gpu_queue.console.keys import text_of
from gpu_queue.console.models.common import Words
from gpu_queue.console.models.jobfiles import WorkDir
from gpu_queue.errors import SettingsError
from gpu_queue.policy import read_config
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.texts import printable

KEY = "work_dir"


@dataclass(frozen=True)
class Configured:
    """What a queue's config.yaml says."""

    path: str = ""
    """Empty: nothing that counts here."""
    place: str = ""
    ignored: str = ""
    """A relative one: it is about files of a project."""


def absolute(text: str, home: str) -> str:
    """A directory as somebody gave it.

    Raises:
        CannotUse: it is relative, or no path.
    """
    inside = f"{home}{text[1:]}" if text == "~" or text.startswith("~/") else text
    if not inside.startswith("/") or "\0" in inside:
        raise CannotUse(
            "work_dir", f"work_dir: {printable(text)!r}; expected an absolute path, or one that begins with ~/"
        )
    return os.path.normpath(inside)


def configured(paths: SpoolPaths, home: str) -> Configured:
    """What config.yaml says.

    Raises:
        CannotUse: it says something that cannot be obeyed: commands would run elsewhere than was meant.
    """
    try:
        config = read_config(paths.config, frozenset({os.geteuid(), 0}), is_shared=False)
    except SettingsError as error:
        raise CannotUse("config", f"{error}; mend it, or say where commands run") from None
    if KEY in config.broken:
        about = [one for one in config.problems if f": {KEY}: " in one] or config.problems
        raise CannotUse("config", f"{'; '.join(about)}; mend it, or say where commands run")
    given = config.values.get(KEY)
    if given is None or not given.value:
        return Configured()
    said = str(given.value)
    if not said.startswith(("/", "~")):
        return Configured(ignored=f"{given.place}: {said}")
    return Configured(absolute(said, home), given.place)


def work_dir(asked: str | None, kept: str, paths: SpoolPaths, home: str) -> tuple[WorkDir, str]:
    """Where commands run: for people, and as the storage spells it.

    Args:
        asked: by this request; None or empty: it says nothing.
        kept: beside the file; empty: nothing.
        paths: of the queue.
        home: of the console's user.

    Raises:
        CannotUse: what is said cannot be obeyed.
    """
    if asked:
        path = absolute(asked, home)
        return _made("asked", path, "as this request says", "由本次请求指定")
    if kept:
        return _made("file", absolute(kept, home), "as it was kept for this file", "由此文件的设置指定")
    found = configured(paths, home)
    if found.path:
        place = text_of(found.place)
        return _made("config", found.path, f"as {place} says", f"由 {place} 指定")
    more = more_zh = ""
    if found.ignored:
        said = text_of(found.ignored)
        more = f"; {said} is relative to the files of a project, and does not count for files that lie in the queue"
        more_zh = f"；{said} 是相对于项目文件的路径，对放在队列目录中的文件无效"
    return _made("home", home, f"the home directory: nothing says otherwise{more}", f"主目录，没有其他设置{more_zh}")


def _made(source: str, path: str, why: str, why_zh: str) -> tuple[WorkDir, str]:
    shown, is_there = text_of(path), os.path.isdir(path)
    lacks, lacks_zh = ("", "") if is_there else ("; it is no directory here", "；本机上没有这个目录")
    words = Words(en=f"commands run in {shown} ({why}){lacks}", zh=f"命令在 {shown} 中运行（{why_zh}）{lacks_zh}")
    view = WorkDir.model_validate({"path": shown, "source": source, "text": words, "is_there": is_there})
    return view, path
