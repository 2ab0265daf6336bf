"""A config.yaml of a spool, as far as whoever wrote it may say so; ``gpu_queue.config`` knows what may be in it."""

from __future__ import annotations

import os

from gpu_queue.config import GUARDED, Config, Settings, parse_config
from gpu_queue.errors import SettingsError
from gpu_queue.spool import files


def believed(settings: Settings) -> frozenset[int]:
    """Whose config.yaml says who runs and what is run: our user's, root's, and whom we were started for."""
    return frozenset({os.geteuid(), 0, *settings.allow_root_for})


def read_config(path: str, uids: frozenset[int], *, is_shared: bool) -> Config:
    """What a config.yaml says, and what of it cannot be obeyed; a missing file says nothing.

    Args:
        path: the file.
        uids: :func:`believed`.
        is_shared: others may write into its directory.

    Raises:
        SettingsError: it cannot be read, or is too large.
    """
    try:
        content, facts = files.read_regular(path, files.RECORD_MAX_BYTES + 1)
    except files.Vanished:
        return Config()
    except (files.FileProblem, OSError) as problem:
        raise SettingsError(f"{path}: {problem}") from None
    if len(content) > files.RECORD_MAX_BYTES:
        raise SettingsError(f"{path}: it is larger than {files.RECORD_MAX_BYTES} bytes")
    config = parse_config(path, content)
    why = strangeness(facts, uids, is_shared=is_shared)
    return config.without(GUARDED, why) if why else config


def strangeness(facts: os.stat_result, uids: frozenset[int], *, is_shared: bool) -> str:
    """Why a file may say what somebody else wants; empty if it does not.

    Args:
        facts: of the file.
        uids: :func:`believed`.
        is_shared: others may write into its directory.
    """
    so = "who runs and what is run is said on the agent's command line, or in a file of its user that nobody else can"
    if facts.st_uid not in uids:
        return f"{so} write; this one belongs to uid {facts.st_uid}"
    if is_shared and facts.st_mode & 0o022:
        return f"{so} write; chmod go-w it"
    if files.is_ours(facts):
        return f"{so} rename; {files.OURS}"
    return ""
