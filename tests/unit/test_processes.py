"""``gpu_queue.processes``: which processes run, by a file that anybody writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpu_queue import processes
from gpu_queue.pids import Process, process_of
from gpu_queue.processes import (
    get_all_processes,
    get_running_processes,
    is_process_running,
    wait_for_completion,
)
from gpu_queue.spool.uni_ids import Entry, RunState
from tests.node.outsiders import READ


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("JOB_ID", raising=False)
    monkeypatch.delenv("GPU_QUEUE_PROCESS_JSON", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script_process").mkdir()
    return tmp_path / "script_process/uni_id.json"


@contextmanager
def a_process() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


def put(file: Path, value: dict[str, Any]) -> None:
    file.write_text(json.dumps({name: one.told() if isinstance(one, Entry) else one for name, one in value.items()}))


def a_try(pid: int, process: Process | None = None) -> Entry:
    return Entry(pid, node="n1-12345678", spool="/spool", process=process or process_of(pid))


def test_without_a_queue_it_is_the_file_of_the_documents(file: Path) -> None:
    assert get_all_processes() == {}
    put(
        file,
        {"exp001": {"pid": os.getpid(), "state": "running", "retry_count": 1, "own": "x"}, "exp002": os.getpid()},
    )
    assert get_all_processes() == {
        "exp001": {"pid": os.getpid(), "state": "running", "retry_count": 1, "own": "x"},
        "exp002": {"pid": os.getpid(), "state": "running", "retry_count": 0},
    }
    assert get_running_processes() == {"exp001": os.getpid(), "exp002": os.getpid()}
    assert is_process_running("exp001")
    assert not is_process_running("exp003")


def test_in_a_queue_it_is_the_queues_or_the_one_that_its_config_names(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = tmp_path / "root/exp"
    spool.mkdir(parents=True)
    put(spool / "uni_id.json", {"own": 1})
    monkeypatch.setenv("JOB_ID", "exp")
    monkeypatch.setenv("QUEUE_ROOT", str(tmp_path / "root"))
    assert set(get_all_processes()) == {"own"}
    put(file, {"exp001": 1})
    (spool / "config.yaml").write_text(f"mode: shared\nprocess_json: {file}\n")
    assert set(get_all_processes()) == {"exp001"}
    (spool / "config.yaml").write_text("mode: shared\nprocess_json: null\n")
    assert set(get_all_processes()) == {"own"}
    monkeypatch.setenv("GPU_QUEUE_PROCESS_JSON", "logs/uni_id.json")
    (spool / "logs").mkdir()
    put(spool / "logs/uni_id.json", {"exp003": 1})
    assert set(get_all_processes()) == {"exp003"}, "as for the agent, a relative path begins at the queue"
    put(tmp_path / "given.json", {"exp002": 1})
    assert set(get_all_processes(tmp_path / "given.json")) == {"exp002"}


@pytest.mark.parametrize("state", [RunState.NORMAL, RunState.ABNORMAL])
def test_one_that_has_ended_does_not_run_though_its_pid_does(file: Path, state: RunState) -> None:
    put(file, {"exp001": replace(a_try(os.getpid()), state=state)})
    assert not is_process_running("exp001")
    assert get_running_processes() == {}


def test_a_later_process_of_the_same_pid_is_not_taken_for_a_try(file: Path) -> None:
    own = process_of(os.getpid())
    assert own is not None
    put(file, {"now": a_try(own.pid), "before": a_try(own.pid, replace(own, start_ticks=own.start_ticks - 1))})
    assert get_running_processes() == {"now": own.pid}


def test_one_that_began_after_the_file_was_written_is_not_the_one_in_it(file: Path) -> None:
    put(file, {"exp001": os.getpid()})
    assert is_process_running("exp001")
    os.utime(file, (1000, 1000))
    assert not is_process_running("exp001")


def test_a_program_of_the_script_counts_by_its_own_pid_as_long_as_it_is_there(file: Path) -> None:
    own = process_of(os.getpid())
    with a_process() as program:
        put(file, {"exp001": replace(a_try(os.getpid()), pid=program.pid)})
        assert is_process_running("exp001")
        assert own is not None
        put(file, {"exp001": replace(a_try(os.getppid()), pid=1, process=own)})
        assert not is_process_running("exp001"), "process 1 is older than the try"
        put(file, {"exp001": replace(a_try(os.getpid()), pid=program.pid)})
        program.kill()
        program.wait()
        assert not is_process_running("exp001")


def test_what_runs_on_another_machine_runs_as_its_record_says(file: Path) -> None:
    elsewhere = Process(4_000_000, 1, "another boot pid:[1]")
    put(file, {"exp001": a_try(4_000_000, elsewhere), "exp002": 4_000_000})
    assert get_running_processes() == {"exp001": 4_000_000}
    put(file, {"exp001": replace(a_try(4_000_000, elsewhere), state=RunState.NORMAL)})
    assert get_running_processes() == {}


def test_nonsense_is_left_out_and_a_damaged_file_holds_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(file, {"a": None, "b": {"pid": 1}, "c": {"pid": "x", "state": "running"}, "d": -1, "e": True, "f": 10**30})
    assert set(get_all_processes()) == {"c"}
    assert not is_process_running("c")
    monkeypatch.setattr(processes, "HALF_WRITTEN_S", 0.0)
    file.write_text("{")
    assert get_all_processes() == {}
    file.unlink()
    os.mkfifo(file)
    assert get_all_processes() == {}


def test_half_a_file_is_read_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("{")

    def somebody_ends_writing(_: float) -> None:
        put(file, {"exp001": os.getpid()})

    monkeypatch.setattr(time, "sleep", somebody_ends_writing)
    assert set(get_all_processes()) == {"exp001"}


def returns(call: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def test_waiting_ends_with_the_process(file: Path) -> None:
    wait_for_completion("exp001")
    with a_process() as program:
        put(file, {"exp001": program.pid, "exp002": program.pid})
        one, two = (
            returns(lambda name=name: wait_for_completion(name, 0.01))  # type: ignore[misc]
            for name in ("exp001", "exp002")
        )
        put(file, {"exp001": {"pid": program.pid, "state": "normal_exit"}, "exp002": program.pid})
        one.join(10)
        assert not one.is_alive()
        assert two.is_alive()
        program.kill()
        program.wait()
        two.join(10)
        assert not two.is_alive()


def test_waiting_goes_on_where_somebody_has_overwritten_the_record_for_a_moment(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    contents: list[dict[str, Any]] = [
        {"exp001": os.getpid()},
        {},
        {"exp001": os.getpid()},
        {"exp001": {"pid": 1, "state": "normal_exit"}},
    ]

    def sleep(_: float) -> None:
        looks.append(time.monotonic())
        put(file, contents[len(looks)])

    put(file, contents[0])
    monkeypatch.setattr(time, "sleep", sleep)
    wait_for_completion("exp001", 0.01)
    assert len(looks) == 3


def test_waiting_ends_where_the_record_was_removed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "GONE_S", 0.05)
    put(file, {"exp001": os.getpid()})
    waiting = returns(lambda: wait_for_completion("exp001", 0.01))
    put(file, {})
    waiting.join(10)
    assert not waiting.is_alive()


def documents_code(file: Path) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(READ, str(file), "exec"), names)
    return names


def test_the_documents_own_readers_see_all_and_take_no_record_for_a_pid(file: Path) -> None:
    # They take each value for a pid, and so can say of bare pids alone what runs; of records, which the same document
    # has as well, they say nothing: os.kill raises TypeError.
    theirs = documents_code(file)
    assert theirs["get_all_processes"]() == {}
    put(file, {"exp001": os.getpid()})
    assert theirs["get_running_processes"]() == {"exp001": os.getpid()}
    assert theirs["is_process_running"]("exp001")
    put(file, {"exp001": a_try(os.getpid())})
    found = theirs["get_all_processes"]()
    assert (found["exp001"]["pid"], found["exp001"]["state"]) == (os.getpid(), "running")
    with pytest.raises(TypeError):
        theirs["is_process_running"]("exp001")
    assert is_process_running("exp001")
