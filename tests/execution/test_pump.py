"""Between a script and its log: nothing that the log does ends the script."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gpu_queue.execution.launcher import with_pump

LOUD = "i=0; while [ $i -lt 300 ]; do printf '%01000d\\n' $i; i=$((i + 1)); done; "


def run(script: str, log: int) -> int:
    return subprocess.run(
        with_pump(["bash", "-c", script]), stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=60, check=False
    ).returncode


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_what_a_script_prints_stands_in_its_log_whole_and_in_order(log: Path) -> None:
    with log.open("ab") as file:
        assert run(LOUD + "echo end >&2; exit 7", file.fileno()) == 7
    lines = log.read_text().splitlines()
    assert [int(line) for line in lines[:-1]] == list(range(300))
    assert lines[-1] == "end"


def test_a_full_disk_ends_no_script() -> None:
    with open("/dev/full", "wb") as full:
        assert run(f"set -e; {LOUD} exit 3", full.fileno()) == 3
        alone = subprocess.run(["bash", "-c", f"set -e; {LOUD} exit 3"], stdout=full, stderr=full, check=False)
        assert alone.returncode != 3, "without the pump it ends by its log"


def test_what_was_lost_is_noted_when_there_is_room_again(log: Path) -> None:
    """The log is a pipe that nobody reads, then somebody: so a writer sees storage that hangs for a while."""
    reading, writing = os.pipe()
    heard = Path(f"{log}.heard")
    script = (
        f"head -c 20000000 /dev/zero | tr '\\0' x; touch {log}; until [ -e {heard} ]; do echo on; sleep 0.02; done"
    )
    process = subprocess.Popen(with_pump(["bash", "-c", script]), stdout=writing, stderr=writing)
    os.close(writing)
    while not log.exists():
        assert process.poll() is None, "it was held or ended by its log"
    text = b""
    while piece := os.read(reading, 1 << 20):
        text += piece
        if text.endswith(b"on\n"):
            heard.touch()
    os.close(reading)
    assert process.wait(20) == 0
    assert b"bytes of output were lost: the storage did not answer" in text
    assert len(text) < 20000000


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_script_that_ends_by_a_signal_is_seen_to(log: Path, number: signal.Signals) -> None:
    with log.open("ab") as file:
        assert run(f"kill -{number.value} $$", file.fileno()) == -number


def test_term_usr1_and_usr2_are_the_scripts_to_answer(log: Path) -> None:
    traps = "trap 'echo term' TERM; trap 'echo usr1' USR1; trap 'echo usr2; exit 5' USR2"
    script = f"{traps}; echo ready; while :; do sleep 0.02; done"
    with log.open("ab") as file:
        process = subprocess.Popen(
            with_pump(["bash", "-c", script]), stdout=file, stderr=file, start_new_session=True
        )
        while "ready" not in log.read_text():
            assert process.poll() is None
        for number, word in ((signal.SIGTERM, "term"), (signal.SIGUSR1, "usr1")):
            os.killpg(process.pid, number)
            while word not in log.read_text():
                assert process.poll() is None, "the pump ended before its script"
        os.killpg(process.pid, signal.SIGUSR2)
        assert process.wait(20) == 5
    assert log.read_text().splitlines()[-1] == "usr2"


def test_a_program_that_is_not_there_is_told_in_the_log(log: Path) -> None:
    with log.open("ab") as file:
        done = subprocess.run(with_pump(["/no/such/program"]), stdout=file, stderr=file, timeout=20, check=False)
    assert done.returncode == 127
    assert "/no/such/program: No such file" in log.read_text()


def test_it_imports_nothing_of_ours() -> None:
    pump = with_pump([])[-1]
    ours = "[name for name in sys.modules if name.startswith('gpu_queue.')]"
    code = f"import sys, runpy; sys.argv = ['x']; runpy.run_path({pump!r}); print({ours})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
