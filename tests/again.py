"""``make test-again``: what failed in the last run of the suite, once more and alone.

A test that fails again fails.  One that passes now depends on what ran beside it, which is a fault of its own: it is
named, so that somebody finds it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAST_FAILED = ROOT / ".pytest_cache/v/cache/lastfailed"
AT_MOST = 8  # one cause may be behind four
"""More of them are no accident."""


def main() -> int:
    """Run them; 0 where all pass."""
    try:
        failed = sorted(json.loads(LAST_FAILED.read_text()))
    except FileNotFoundError:
        failed = []
    if not 0 < len(failed) <= AT_MOST or not all("::" in test for test in failed):
        print(f"{len(failed)} tests failed, or some could not be collected; none is run again", file=sys.stderr)
        return 1
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:randomly", *failed], cwd=ROOT, check=False
    )
    if ended.returncode == 0:
        for test in failed:
            print(f"FLAKY: {test} failed beside other tests and passes alone: find out why", file=sys.stderr)
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
