"""``gpu-queue console``: how it is started and ended, and what it says where it cannot start."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from gpu_queue.cli import main
from gpu_queue.console.flags import SAYS
from gpu_queue.console.instances import Instance, path_of, read_instance, write_instance
from gpu_queue.pids import here, start_ticks
from tests.cli.test_cli import command
from tests.console.served import Served, a_console, environment


def run(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("console", *words),
        env=environment(home, **more),
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass
class Said:
    """What a command printed, and its status."""

    returncode: int
    stdout: str
    stderr: str


Say = Callable[..., Said]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """The command in this process, for what it refuses: a Python's start takes most of the time of a test."""

    def call(*words: str, home: Path = tmp_path) -> Said:
        for name in ("JOB_ID", "QUEUE_ROOT", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", str(home))
        capsys.readouterr()
        status = main(["console", *words])
        return Said(status, *capsys.readouterr())

    return call


def a_free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def test_two_consoles_on_one_port(served: Served, say: Say) -> None:
    done = say("--queue-root", str(served.queue_root), "--port", str(served.port), home=served.home)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"port {served.port} is taken by a console of yours (process {served.process.pid})" in done.stderr
    assert str(served.queue_root) in done.stderr
    assert f"gpu-queue console --stop --port {served.port}" in done.stderr
    assert served.token not in done.stderr


def test_a_port_that_something_else_holds(tmp_path: Path, say: Say) -> None:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        made.listen()
        port = made.getsockname()[1]
        done = say("--queue-root", str(tmp_path), "--port", str(port))
        stopped = say("--stop", "--port", str(port))
    assert done.returncode == 1
    assert re.search(rf"port {port} is taken by process {os.getpid()} of \S+: .*py", done.stderr)
    assert stopped.returncode == 1
    assert f"no console of yours runs on port {port}" in stopped.stderr


def test_it_goes_on_in_the_background_until_it_is_stopped(tmp_path: Path) -> None:
    port = a_free_port()
    words = ("--queue-root", str(tmp_path), "--port", str(port), "exp")
    started = run(tmp_path, *words, "--background", "--base-path", "/a/b")
    assert (started.returncode, started.stderr) == (0, ""), started
    try:
        link, told, log = started.stdout.splitlines()
        assert link.startswith(f"http://127.0.0.1:{port}/a/b/#token=")
        assert f"--stop --port {port}" in told
        assert httpx.get(f"http://127.0.0.1:{port}/a/b/healthz", trust_env=False).status_code == 200
        again = run(tmp_path, *words, "--background")
        assert (again.returncode, again.stdout.splitlines()[1]) == (0, link)
        assert "runs already" in again.stdout
        assert Path(log.partition(": ")[2]).stat().st_mode & 0o777 == 0o600
    finally:
        stopped = run(tmp_path, "--stop", "--port", str(port))
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert f"The console on port {port} has ended" in stopped.stdout
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False)


def test_what_keeps_one_in_the_background_from_starting_is_told(tmp_path: Path) -> None:
    place = tmp_path / ".config" / "gpu-queue"
    place.mkdir(0o700, parents=True)
    (place / "console.token").write_text("x")
    done = run(tmp_path, "--queue-root", str(tmp_path), "--port", str(a_free_port()), "--background")
    assert (done.returncode, done.stdout) == (1, "")
    assert "console.token: others may have read this token" in done.stderr


def test_a_process_that_took_the_pid_of_a_console_is_left_alone(tmp_path: Path, say: Say) -> None:
    """Its file stayed when the machine was switched off; the pid is somebody else's by now."""
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        state, port = str(tmp_path / ".local/state/gpu-queue/console"), a_free_port()
        ticks = start_ticks(sleeper.pid)
        assert ticks is not None
        for late, where in ((1, here()), (0, "another boot")):
            write_instance(state, Instance(sleeper.pid, ticks - late, where, "127.0.0.1", port, "/", "/q"))
            done = say("--stop", "--port", str(port))
            assert (done.returncode, "no console of yours" in done.stderr) == (1, True)
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"pid": 1}', b"\xff", b"[" * 60000, b'{"pid": "1"}'])
def test_a_file_of_a_console_that_is_none_is_none(tmp_path: Path, content: bytes) -> None:
    Path(path_of(str(tmp_path), 29214, "json")).write_bytes(content)
    assert read_instance(str(tmp_path), 29214) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_it_is_not_listed_any_more(served: Served, number: signal.Signals) -> None:
    state = served.home / ".local/state/gpu-queue/console"
    assert len(list(state.glob("*.json"))) == 1
    served.process.send_signal(number)
    assert served.process.wait(20) == 0
    assert list(state.glob("*.json")) == []


def test_an_open_stream_does_not_keep_it_from_ending(served: Served) -> None:
    address = f"{served.address}api/v1/spools/exp/stream"
    bearer = {"Authorization": f"Bearer {served.token}"}
    with httpx.Client(trust_env=False, timeout=20) as client, client.stream("GET", address, headers=bearer) as reply:
        assert next(reply.iter_bytes())
        served.process.terminate()
        assert served.process.wait(20) == 0


def test_read_only_has_no_route_that_changes_something(tmp_path: Path) -> None:
    with a_console(tmp_path, "--read-only") as console:
        assert console.ask("GET", "api/v1/spools").status_code == 200
        reply = console.ask("POST", "api/v1/spools/exp/plans", json={})
        assert (reply.status_code, reply.json()["code"]) == (403, "read_only")
        paths = console.ask("GET", "api/v1/openapi.json").json()["paths"]
        changing = {path for path, methods in paths.items() if {"post", "put", "patch", "delete"} & set(methods)}
        assert changing == {"/access"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--port", "x"), "--port: 'x'; expected a number from 0 to 65535"),
        (("--port", "65536"), "--port: '65536'; expected"),
        (("--base-path", "//evil.example"), "--base-path: '//evil.example'; expected a path"),
        (("--public-host", "a:1"), "--public-host: 'a:1'; expected a name"),
        (("--log-root", "/dev/null/none"), "--log-root: '/dev/null/none'; expected a directory"),
        (("a", "--job-id", "b"), "expected one of them"),
        (("a/b",), "cannot be a directory's name"),
    ],
)
def test_a_command_line_that_cannot_be_obeyed(tmp_path: Path, say: Say, words: tuple[str, ...], said: str) -> None:
    done = say("--queue-root", str(tmp_path), *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("gpu-queue console: ")
    assert said in done.stderr


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_of_this_machine(tmp_path: Path, say: Say, host: str) -> None:
    done = say("--queue-root", str(tmp_path), "--port", "0", "--host", host)
    assert (done.returncode, done.stdout) == (1, "")
    assert host in done.stderr


def test_elsewhere_than_on_loopback_it_warns(tmp_path: Path) -> None:
    with a_console(tmp_path, "--host", "0.0.0.0") as console:
        assert "whoever has the token can run code as you" in console.said()
        assert console.address.startswith("http://localhost:")
        assert console.ask("GET", "healthz", token=None).status_code == 200


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    words = ["-S", "-c", "import sys; from gpu_queue.cli import main; sys.exit(main())", "console"]
    done = subprocess.run(
        [sys.executable, *words], env=environment(tmp_path), cwd="/", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("gpu-queue console: needs fastapi, uvicorn, prometheus_client")
    assert "pip install 'gpu-queue[console]'" in done.stderr


def test_its_help_needs_no_extra(tmp_path: Path) -> None:
    words = ["-S", "-c", "import sys; from gpu_queue.cli import main; sys.exit(main())", "console", "--help"]
    done = subprocess.run(
        [sys.executable, *words], env=environment(tmp_path), cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done
    assert SAYS.split(":")[0] in " ".join(done.stdout.split())
