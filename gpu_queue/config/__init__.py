"""Settings: one table, from which flags, environment variables, config.yaml, its schema and the README are made.

- A flag beats its environment variable, which beats ``gpu-queue.conf``, which beats ``config.yaml`` in the spool,
  which beats the constants of ``perpetual_motion.py``, which beat the default.
- Units are in the names.  What cannot be obeyed is refused, all of it at once and each with its place.
- Everything here is pure; ``read_config`` of the spool's side reads the file.
- What is marked ``live`` is policy: it is taken over when config.yaml changes under a running agent.
"""

from gpu_queue.config.given import Config
from gpu_queue.config.pages import ELSEWHERE, SERVES, UNASKED, add_flags, json_schema, parser, settings_table
from gpu_queue.config.resolving import Elsewhere, examine, live_changes, queue_root, resolve, unknown_in_conf
from gpu_queue.config.table import SETTINGS, TABLE, Keepalive, Setting, Settings

GUARDED = tuple(row.key for row in SETTINGS if row.guarded)
"""Keys of config.yaml that do not count in a file that somebody else may have written."""


def parse_config(path: str, content: bytes) -> Config:
    """What a config.yaml says; what of it cannot be obeyed is among the result's problems.

    Args:
        path: where it stands, for messages.
        content: what stands in it, of a size that is bounded.
    """
    # Most spools have no config.yaml, and an idle agent is small without the reader of YAML.
    from gpu_queue.config.file import read  # noqa: PLC0415

    return read(path, content, TABLE)


__all__ = [
    "ELSEWHERE",
    "GUARDED",
    "SERVES",
    "SETTINGS",
    "TABLE",
    "UNASKED",
    "Config",
    "Elsewhere",
    "Keepalive",
    "Setting",
    "Settings",
    "add_flags",
    "examine",
    "json_schema",
    "live_changes",
    "parse_config",
    "parser",
    "queue_root",
    "resolve",
    "settings_table",
    "unknown_in_conf",
]
