"""Reads a spool's config.yaml; what may stand in it is the business of ``gpu_queue.config``."""

from __future__ import annotations

from gpu_queue.config import parse_config
from gpu_queue.errors import SettingsError
from gpu_queue.spool import files


def read_config(path: str) -> dict[str, str]:
    """The values of a config.yaml as strings; a missing file is empty.

    Raises:
        SettingsError: it cannot be read, is too large, or cannot be obeyed.
    """
    try:
        content, _ = files.read_regular(path, files.RECORD_MAX_BYTES + 1)
    except files.Vanished:
        return {}
    except (files.FileProblem, OSError) as problem:
        raise SettingsError(f"{path}: {problem}") from None
    if len(content) > files.RECORD_MAX_BYTES:
        raise SettingsError(f"{path}: it is larger than {files.RECORD_MAX_BYTES} bytes")
    return parse_config(path, content)
