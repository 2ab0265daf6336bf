"""Reads a spool's config.yaml; what may stand in it is the business of ``gpu_queue.config``."""

from __future__ import annotations

from gpu_queue.config import Config, parse_config
from gpu_queue.errors import SettingsError
from gpu_queue.spool import files


def read_config(path: str) -> Config:
    """What a config.yaml says, and what of it cannot be obeyed; a missing file says nothing.

    Raises:
        SettingsError: it cannot be read, or is too large.
    """
    try:
        content, _ = files.read_regular(path, files.RECORD_MAX_BYTES + 1)
    except files.Vanished:
        return Config()
    except (files.FileProblem, OSError) as problem:
        raise SettingsError(f"{path}: {problem}") from None
    if len(content) > files.RECORD_MAX_BYTES:
        raise SettingsError(f"{path}: it is larger than {files.RECORD_MAX_BYTES} bytes")
    return parse_config(path, content)
