"""The agent, stopped before one rename, so that something can be broken exactly there.

Environment: ``HOOK_DIRECTORY``, the directory in the spool that the rename goes to; ``HOOK_FILES``, the prefix of
three files: ``.reached`` is made before the rename, which waits for ``.go``; ``.errno`` tells how it ended, by name.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def hook(directory: str, files: str) -> None:
    """Patch ``os.rename`` for its first call that goes there."""
    real = os.rename
    left = [1]

    def rename(source: str, target: str) -> None:
        is_it = f"/{directory}/" in target and not os.path.basename(source).startswith(".")
        if not is_it or not left:
            return real(source, target)
        left.clear()
        # What the client's kernel asks before it renames must be in its cache: the one question whose reply is lost
        # is then the rename itself.
        for path in (target, source, os.path.dirname(target), os.path.dirname(source)):
            os.path.exists(path)
        Path(f"{files}.reached").touch()
        while not os.path.exists(f"{files}.go"):
            time.sleep(0.02)
        try:
            real(source, target)
        except OSError as error:
            Path(f"{files}.errno").write_text(errno.errorcode.get(error.errno or 0, "?"))
            raise
        Path(f"{files}.errno").write_text("none")
        return None

    os.rename = rename  # type: ignore[assignment]


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from gpu_queue.agent.main import main

    hook(os.environ["HOOK_DIRECTORY"], os.environ["HOOK_FILES"])
    status = main()
    sys.stdout.flush()
    os._exit(status)
