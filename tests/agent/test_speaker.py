"""What an agent says, where its output is a file that grows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.agent.harness import ROOT

SAYING = """
import sys
from gpu_queue.agent import speaker
speaker.OWN_LOG_BYTES = 1000
one = speaker.Speaker()
for line in sys.stdin:
    one.plain(line.rstrip())
    one.close()
    print("said", file=sys.stderr, flush=True)
    one = speaker.Speaker()
"""


class Agent:
    """A process that says what it is told to, into a file."""

    def __init__(self, log: Path) -> None:
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-c", SAYING],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
            )

    def says(self, text: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self._process.stdin.write(f"{text}\n")
        self._process.stdin.flush()
        assert self._process.stderr.readline() == "said\n"

    def close(self) -> None:
        self._process.communicate()


def test_a_log_that_grew_large_is_put_aside_by_each_of_those_who_write_to_it(tmp_path: Path) -> None:
    log, old = tmp_path / "exp.log", tmp_path / "exp.log.1"
    first, second = Agent(log), Agent(log)
    first.says("x" * 1200)
    first.says("the first goes on")
    assert old.read_text() == f"[INFO] {'x' * 1200}\n"
    assert log.read_text() == "[INFO] the first goes on\n"
    second.says("the second still has the old one")
    second.says("and comes after")
    assert old.read_text().endswith("[INFO] the second still has the old one\n")
    assert log.read_text() == "[INFO] the first goes on\n[INFO] and comes after\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exp.log", "exp.log.1"]
    first.close()
    second.close()
