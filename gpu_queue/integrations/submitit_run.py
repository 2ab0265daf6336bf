"""What the task of a job of submitit runs: as ``submitit.core._submit``, with a word about the exit status."""

from __future__ import annotations

import os
import sys

from submitit.core.submission import process_job

_FAILED = "SUBMITIT_GPUQUEUE_FAILED"


def fail() -> None:
    """Have this job end with status 1 when its result is written: it is one, and says that something failed."""
    os.environ[_FAILED] = "1"  # the module that runs has another name than the one that a job imports


def main(folder: str) -> int:
    """Run the job whose files lie there; returns the exit status."""
    os.environ.pop(_FAILED, None)
    process_job(folder)
    return 1 if _FAILED in os.environ else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
