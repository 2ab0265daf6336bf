"""The shim in each shell: real processes, real files, waits on conditions."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gpu_queue.execution.launcher import with_death_signal
from gpu_queue.execution.processes import find_try, pids, read_process, send
from gpu_queue.execution.terminal import helps, terminal_for
from gpu_queue.task import Why
from tests.execution.helpers import Bench, bench, is_gone, wait_until

STAY = "echo $$ >script; while :; do sleep 60; done\n"
STUBBORN = "trap '' TERM; echo $$ >script; while :; do sleep 0.2; done\n"


def session_of(leader: int) -> list[int]:
    """Living processes that the shim's session still has."""
    rows = [read_process(pid) for pid in pids()]
    return [row.pid for row in rows if row and row.session == leader and row.state != "Z"]


# How it runs a script


def test_a_script_that_succeeds_leaves_status_0_and_its_output_behind_the_header(each_shell: Bench) -> None:
    assert each_shell.run("echo out; echo err >&2\n", header="==== try 1 on node\n") == 0
    assert each_shell.directory.status() == 0
    assert each_shell.directory.why() is None
    assert each_shell.log == "==== try 1 on node\nout\nerr\n"
    assert each_shell.names() == [each_shell.name], "its agent is there: the claim is left to it"
    assert not each_shell.directory.is_alive()


@pytest.mark.parametrize(("script", "status"), [("exit 7\n", 7), ("kill -KILL $$\n", 137), ("exit 127\n", 127)])
def test_a_script_that_fails_leaves_its_status(each_shell: Bench, script: str, status: int) -> None:
    assert each_shell.run(script) == status
    assert each_shell.directory.status() == status
    assert each_shell.directory.why() is None


def test_a_program_that_does_not_exist_is_the_tasks_own_failure(each_shell: Bench) -> None:
    assert each_shell.run("", program=("/no/such/python", "x")) == 127
    assert each_shell.directory.why() is None


def test_an_agent_that_is_gone_finds_status_and_log_and_the_result_in_the_name(each_shell: Bench) -> None:
    each_shell.start_orphan("echo bye; exit 3\n")
    wait_until(lambda: each_shell.names() == [f"{each_shell.name}=3"])
    assert each_shell.directory.status() == 3
    assert "bye" in each_shell.log
    wait_until(lambda: not each_shell.directory.is_alive())


@pytest.mark.parametrize(
    ("script", "spec", "name"),
    [
        ('echo once more >"$R"; exit 3\n', {}, "=3-again"),
        ('ln -s nowhere "$R"\n', {}, "=255-again"),
        ('mkfifo "$R"; kill $PPID; sleep 9\n', {}, "=143-requeue"),
        ('trap "exit 0" TERM; mkdir "$R"; kill $PPID; sleep 9 & wait\n', {}, "=255-again"),
        (': >"$W"\n', {"signal": 10}, "=255-saved"),
        ('trap "exit 0" TERM; kill $PPID; sleep 9 & wait\n', {"signal": 10}, "=255-saved"),
        (":\n", {"signal": 10}, "=0"),
        (': >"$W"; exit 3\n', {"signal": 10}, "=3"),
        (': >"$W"; exit 138\n', {"signal": 10}, "=138-saved"),
        ("exit 138\n", {"signal": 10}, "=138"),
    ],
)
def test_an_agent_that_is_gone_finds_in_the_name_that_the_task_is_run_again(
    each_shell: Bench, script: str, spec: dict[str, object], name: str
) -> None:
    request, warned = f"{each_shell.directory.path}/requeue", f"{each_shell.directory.path}/warned"
    each_shell.start_orphan(f"R={request} W={warned}\n{script}", **spec)
    wait_until(lambda: each_shell.names() == [f"{each_shell.name}{name}"])
    wait_until(lambda: not each_shell.directory.is_alive())


def test_a_person_who_stops_a_task_wins_over_what_it_asks_also_without_an_agent(each_shell: Bench) -> None:
    each_shell.start_orphan(f": >{each_shell.directory.path}/requeue; {STAY}")
    each_shell.wait_for("script")
    each_shell.directory.write_why(Why.STOPPED)
    shim = each_shell.directory.pid()
    assert shim is not None
    os.kill(shim[0], signal.SIGTERM)
    wait_until(lambda: each_shell.names() == [f"{each_shell.name}=143-stopped"])


def test_the_script_sees_its_claim_and_no_lock_and_the_shim_and_its_timer_see_no_claim(each_shell: Bench) -> None:
    shim = each_shell.start("ls /proc/$$/fd | tr '\\n' ' ' >fds; echo $GPU_QUEUE_CLAIM >claim; " + STAY)
    script = int(each_shell.wait_for("script"))
    assert each_shell.wait_for("claim") == str(each_shell.claim)
    assert "9" not in (each_shell.base / "fds").read_text().split()
    marker = b"GPU_QUEUE_CLAIM="
    assert marker in Path(f"/proc/{script}/environ").read_bytes()
    wait_until(lambda: any(p != script for p in session_of(shim) if p != shim))
    for pid in [shim, *(p for p in session_of(shim) if (row := read_process(p)) and row.parent == shim)]:
        if pid != script:
            assert marker not in Path(f"/proc/{pid}/environ").read_bytes()


def test_the_environment_reaches_the_script_unchanged(each_shell: Bench) -> None:
    # Names that a careless shim would use for itself, one that a shell would drop, and values that are no plain text.
    given = {name: f"mine {name}" for name in ("status", "log", "claim", "dir", "cwd", "child", "why", "pid", "beat")}
    given |= {
        "BASH_FUNC_module%%": "() { echo loaded; }",
        "LINES_OF": "a\nb 'c' \"d\" $(e) \\",
        "PATH": os.environ["PATH"],
        "HOME": "/of mine",
    }
    assert each_shell.run("module; env -0 >env\n", environment=given) == 0
    seen = dict(one.split("=", 1) for one in (each_shell.base / "env").read_text().split("\0")[:-1])
    assert {name: seen.get(name) for name in given if "%" not in name} == {
        n: v for n, v in given.items() if "%" not in n
    }
    assert "loaded" in each_shell.log
    added = set(seen) - set(given) - {"PWD", "OLDPWD", "SHLVL", "_"}
    assert added == {"GPU_QUEUE_CLAIM"}


def test_strange_paths_are_only_paths(each_shell: Bench, tmp_path: Path) -> None:
    strange = tmp_path / "a b'c\"d$(touch oops)\n`touch oops`;*?[x] \\ é"
    with bench(strange) as one:
        one.shell = each_shell.shell
        assert one.run("pwd >where; echo in\n", header="%s %d \\n\n") == 0
        assert (one.base / "where").read_text() == f"{strange}\n"
        assert one.log.startswith("%s %d \\n\nin\n")
        one.directory.remove()
        one.start_orphan(STAY)
        one.wait_for("script")
        shim = one.directory.pid()
        assert shim is not None
        os.kill(shim[0], signal.SIGTERM)
        wait_until(lambda: one.names() == [f"{one.name}=143-requeue"])
    assert not list(tmp_path.rglob("oops"))


def test_the_scripts_umask_is_the_one_that_was_asked_for(each_shell: Bench) -> None:
    assert each_shell.run("umask >mask\n", umask=0o027) == 0
    assert each_shell.wait_for("mask") == "0027"


# What keeps it from starting


def test_a_claim_that_is_not_listed_is_not_started(all_shells: list[Bench]) -> None:
    other = [str(one.running / one.name.replace("try1", "try2")) for one in all_shells]
    shims = [one.start("echo ran >ran\n", claim_path=path) for one, path in zip(all_shells, other, strict=True)]
    for one, shim in zip(all_shells, shims, strict=True):
        assert one.status(shim) == 255
        assert one.directory.why() is Why.LOST
        assert not (one.base / "ran").exists()


def test_a_directory_that_cannot_be_listed_says_nothing_about_the_claim(each_shell: Bench) -> None:
    elsewhere = each_shell.base / "elsewhere"
    elsewhere.mkdir()
    assert each_shell.run("echo ran >ran\n", claim_path=str(elsewhere / each_shell.name)) == 255
    assert each_shell.directory.why() is Why.NOSTART
    assert "cannot list" in (each_shell.directory.reason() or "")


def test_where_peers_have_put_the_whole_directory_away_the_claim_is_lost(each_shell: Bench) -> None:
    """Theirs are listed beside it: the storage answers, and what is not there is not there."""
    assert each_shell.run("echo ran >ran\n", claim_path=str(each_shell.base / "gone" / each_shell.name)) == 255
    assert each_shell.directory.why() is Why.LOST
    assert not (each_shell.base / "ran").exists()


def test_a_try_that_is_to_end_before_it_began_is_not_started(each_shell: Bench) -> None:
    shim = each_shell.wait_shim()
    each_shell.directory.write_why(Why.STOPPED)
    assert each_shell.status(each_shell.begin(shim, "echo ran >ran\n")) == 143
    assert each_shell.directory.why() is Why.STOPPED
    assert not (each_shell.base / "ran").exists()


def test_a_log_that_cannot_be_opened_or_a_missing_directory_is_this_nodes_fault(each_shell: Bench) -> None:
    assert each_shell.run("echo ran >ran\n", log_path=str(each_shell.base / "no" / "log")) == 255
    assert each_shell.directory.why() is Why.NOSTART
    assert "cannot open the log" in (each_shell.directory.reason() or "")
    each_shell.directory.remove()
    assert each_shell.run("echo ran >ran\n", cwd=str(each_shell.base / "not there")) == 255
    assert "cannot enter" in (each_shell.directory.reason() or "")
    assert not (each_shell.base / "ran").exists()


def test_nobody_finds_the_log_by_its_name(each_shell: Bench) -> None:
    """What stands there when the shim begins is a link, or a FIFO that no one reads."""
    for kind in ("link", "FIFO"):
        each_shell.name = each_shell.name[:-6] + os.urandom(3).hex()
        shim = each_shell.wait_shim()
        log = each_shell.open_log()
        (each_shell.base / "log").rename(each_shell.base / "renamed")
        if kind == "link":
            (each_shell.base / "log").symlink_to("bashrc")
        else:
            os.mkfifo(each_shell.base / "log")
        assert each_shell.status(each_shell.begin(shim, "echo out\n", log_path=log, header="head\n")) == 0
        assert not (each_shell.base / "bashrc").exists()
        assert (each_shell.base / "renamed").read_text() == "head\nout\n"
        (each_shell.base / "log").unlink()


def test_a_shim_whose_agent_died_before_it_had_the_log_gives_the_try_back(each_shell: Bench) -> None:
    """The agent's descriptor has gone with it, or is another's by now; nothing has run, and it is no failure."""
    child = os.fork()
    if child == 0:
        try:
            shim = each_shell.wait_shim()
            os.kill(shim.pid, signal.SIGSTOP)
            each_shell.begin(shim, "echo ran >ran\n")
            (each_shell.base / "shim").write_text(f"{shim.pid}\n")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.kill(int(each_shell.wait_for("shim")), signal.SIGCONT)
    wait_until(lambda: each_shell.names() == [f"{each_shell.name}=255-requeue"])
    assert not (each_shell.base / "ran").exists()


def test_a_full_disk_under_the_log_costs_neither_the_shim_nor_the_status(each_shell: Bench) -> None:
    assert each_shell.run("echo x >/dev/null; exit 5\n", log_path="/dev/full", header="header\n") == 5
    assert each_shell.directory.status() == 5
    assert each_shell.directory.why() is None


# How it is ended


def test_term_without_a_why_means_requeue_and_is_passed_on_once(each_shell: Bench) -> None:
    script = "trap 'echo term >>terms' TERM; echo $$ >script; while [ ! -e stop ]; do sleep 0.05; done; exit 9\n"
    shim = each_shell.start(script)
    each_shell.wait_for("script")
    os.kill(shim, signal.SIGTERM)
    each_shell.wait_for("terms")
    (each_shell.base / "stop").touch()
    assert each_shell.status(shim) == 9
    assert each_shell.directory.why() is Why.REQUEUE
    assert (each_shell.base / "terms").read_text() == "term\n"


def test_a_task_that_ends_its_shim_is_ended_as_if_the_node_were_taken_back(each_shell: Bench) -> None:
    assert each_shell.run("kill $PPID; sleep 60\n") == 143
    assert each_shell.directory.why() is Why.REQUEUE, "for an agent that is told the same, or is gone by then"


def test_what_its_agent_said_and_what_a_shim_alone_decides_stands_as_the_why(each_shell: Bench) -> None:
    shim = each_shell.start(STAY)
    each_shell.wait_for("script")
    each_shell.directory.write_why(Why.STOPPED)
    os.kill(shim, signal.SIGTERM)
    assert each_shell.status(shim) == 143
    assert each_shell.directory.why() is Why.STOPPED
    each_shell.directory.remove()
    (each_shell.base / "script").unlink()
    each_shell.start_orphan(STAY)
    each_shell.wait_for("script")
    orphan = each_shell.directory.pid()
    assert orphan is not None
    os.kill(orphan[0], signal.SIGTERM)
    wait_until(lambda: each_shell.names() == [f"{each_shell.name}=143-requeue"])


def test_the_why_that_its_agent_wrote_goes_into_the_name(each_shell: Bench) -> None:
    each_shell.start_orphan(STAY)
    each_shell.wait_for("script")
    each_shell.directory.write_why(Why.STOPPED)
    shim = each_shell.directory.pid()
    assert shim is not None
    os.kill(shim[0], signal.SIGTERM)
    wait_until(lambda: each_shell.names() == [f"{each_shell.name}=143-stopped"])


def test_a_script_that_does_not_hear_term_is_killed_after_the_grace(all_shells: list[Bench]) -> None:
    shims = [one.start(STUBBORN, grace_s=60, leave_grace_s=1) for one in all_shells]
    for one, shim in zip(all_shells, shims, strict=True):
        one.wait_for("script")
        os.kill(shim, signal.SIGTERM)
    for one, shim in zip(all_shells, shims, strict=True):
        assert one.status(shim) == 137
        assert one.directory.why() is Why.REQUEUE


# Those by which a program says that it is broken, and KILL, end any process.
MAY_END = {signal.SIGILL, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV, signal.SIGKILL}


def test_no_signal_that_somebody_sends_to_a_shim_leaves_its_script_alone(each_shell: Bench) -> None:
    shim = each_shell.start("echo $$ >script; while [ ! -e stop ]; do sleep 0.05; done; exit 3\n")
    each_shell.wait_for("script")
    for number in sorted(signal.valid_signals() - MAY_END - {signal.SIGTERM, signal.SIGSTOP}):
        os.kill(shim, number)
        wait_until(lambda: int(field(shim, "ShdPnd"), 16) == 0)
    os.kill(shim, signal.SIGSTOP)
    wait_until(lambda: (row := read_process(shim)) is not None and row.state == "T")
    os.kill(shim, signal.SIGCONT)
    wait_until(lambda: (row := read_process(shim)) is not None and row.state != "T")
    (each_shell.base / "stop").touch()
    assert each_shell.status(shim) == 3
    assert each_shell.directory.why() is None


def test_a_shim_that_waits_outlives_signals_that_are_not_meant_for_it(each_shell: Bench) -> None:
    shim = each_shell.wait_shim()
    wait_until(lambda: int(field(shim.pid, "SigCgt"), 16) & 1 << signal.SIGRTMAX - 1)
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGALRM, signal.SIGRTMIN):
        os.kill(shim.pid, number)
    assert each_shell.status(each_shell.begin(shim, "exit 4\n")) == 4


def test_a_script_ends_by_the_signals_that_its_shim_outlives(each_shell: Bench) -> None:
    """What a shell ignores its children must ignore: a script could not even catch it."""
    assert each_shell.run("", program=("grep", "-E", "SigIgn|SigBlk", "/proc/self/status")) == 0
    masks = [int(mask, 16) for mask in re.findall(r"Sig...:\t(\w+)", each_shell.log)]
    of_libc = 1 << 31 | 1 << 32  # no program can set these
    assert [mask & ~of_libc for mask in masks] == [0, 0]
    each_shell.directory.remove()
    assert each_shell.run("kill -USR2 $$; sleep 60\n") == 128 + signal.SIGUSR2


def field(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith(name))


# What people write at the end of scripts that start others: all of it means the script's own group.
OWN_GROUP = {
    "kill 0": 143,
    "kill -TERM 0": 143,
    "kill -9 0": 137,
    "kill -- -$$": 143,
    "kill -KILL -$$": 137,
    "kill -TERM -- -$(ps -o pgid= $$ | tr -d ' ')": 143,
    "trap 'kill 0' EXIT; exit 5": 143,
    "trap 'trap - TERM; kill -- -$$' INT TERM EXIT; exit 5": 143,
    "trap 'trap \"\" TERM; kill 0; wait' EXIT; exit 5": 5,
}


@pytest.mark.parametrize("line", OWN_GROUP)
def test_a_script_that_ends_its_group_ends_what_it_has_started_and_not_its_shim(each_shell: Bench, line: str) -> None:
    other = "sleep 1000 & echo $! >other\n"
    shim = each_shell.start(f"{other}{line}\nsleep 60\n", beat_s=1)
    assert each_shell.status(shim) == OWN_GROUP[line]
    assert each_shell.directory.status() == OWN_GROUP[line]
    assert each_shell.directory.why() is None, "nobody has taken the node back"
    other_pid = int(each_shell.wait_for("other"))
    wait_until(lambda: is_gone(other_pid))


def test_a_script_that_stops_its_group_can_still_be_ended(all_shells: list[Bench]) -> None:
    shims = [one.start("echo $$ >script; kill -STOP 0; sleep 60\n", leave_grace_s=1) for one in all_shells]
    for one, shim in zip(all_shells, shims, strict=True):
        script = int(one.wait_for("script"))
        wait_until(lambda pid=script: (row := read_process(pid)) and row.state == "T")  # type: ignore[misc]
        os.utime(one.claim, (0, 0))
        wait_until(lambda claim=one.claim: claim.stat().st_mtime > 0)  # type: ignore[misc]
        os.kill(shim, signal.SIGTERM)
    for one, shim in zip(all_shells, shims, strict=True):
        assert one.status(shim) == 137


def test_a_script_has_its_shims_session_a_group_of_its_own_and_no_terminal(each_shell: Bench) -> None:
    shim = each_shell.start("(: </dev/tty) 2>/dev/null && echo there >terminal; sleep 1000 & " + STAY)
    script = int(each_shell.wait_for("script"))
    assert os.getsid(script) == shim
    assert os.getpgid(script) == script
    assert os.getpgid(shim) == shim
    assert not (each_shell.base / "terminal").exists()
    for pid in (shim, script):
        assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[4] == "0", "its terminal"
        wait_until(lambda pid=pid: not any("pts" in one for one in open_files(pid)))  # type: ignore[misc]
    assert not any("ptmx" in one for one in open_files(script))


def open_files(pid: int) -> list[str]:
    return [os.readlink(one) for one in Path(f"/proc/{pid}/fd").iterdir() if os.path.lexists(one)]


def test_where_no_terminal_is_to_be_had_a_script_runs_all_the_same(
    each_shell: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    helps.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(os, "openpty", refuse)
        assert each_shell.run("exit 7\n") == 7
        each_shell.directory.remove()
        assert each_shell.run("", program=("/no/such/python", "x")) == 127
    dash = ("/bin/dash",)
    with terminal_for(dash) as terminal:
        assert (terminal is not None) == helps(dash), "a moment without terminals is not for ever"


def refuse() -> tuple[int, int]:
    raise OSError(28, "No space left on device")


INTERRUPTED = """
import signal, subprocess
child = subprocess.Popen(["sleep", "60"])
for pid in ("self", child.pid):
    print(*(line for line in open(f"/proc/{pid}/status") if line.startswith("SigIgn")), end="")
child.send_signal(signal.SIGINT)
raise SystemExit(-child.wait())
"""


@pytest.mark.parametrize("has_terminal", [True, False])
def test_a_script_and_what_it_starts_end_by_an_interrupt(
    each_shell: Bench, monkeypatch: pytest.MonkeyPatch, has_terminal: bool
) -> None:
    helps.cache_clear()
    ours = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as for a shell's background: nohup ./submit.sh &
    try:
        with monkeypatch.context() as patch:
            if not has_terminal:
                patch.setattr(os, "openpty", refuse)
            given = {"PATH": os.environ["PATH"], "HOME": "/"}
            program = (sys.executable, "-c", INTERRUPTED)
            assert each_shell.run("", program=program, environment=given) == signal.SIGINT
    finally:
        signal.signal(signal.SIGINT, ours)
        helps.cache_clear()
    masks = [int(mask, 16) for mask in re.findall(r"SigIgn:\t(\w+)", each_shell.log)]
    asked = 1 << signal.SIGINT - 1 | 1 << signal.SIGQUIT - 1
    assert [mask & asked for mask in masks] == [0, 0]


def test_without_a_terminal_a_script_gets_its_environment_as_it_is(
    each_shell: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    helps.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(os, "openpty", refuse)
        assert each_shell.run("", program=("env",)) == 0
    names = {line.split("=")[0] for line in each_shell.log.splitlines()} - {"PWD", "OLDPWD", "SHLVL", "_"}
    assert names == {"PATH", "HOME", "GPU_QUEUE_CLAIM"}


def test_a_storm_of_signals_changes_neither_status_nor_why(each_shell: Bench) -> None:
    # Several at once and up to the very end: what matters is a signal that comes together with the script's death, or
    # within what the shim does about another one.
    script = "echo $$ >script; while [ ! -e stop ]; do sleep 0.02; done; exit 6\n"
    benches = [
        Bench(each_shell.base / str(number), each_shell.shell, started=each_shell.started) for number in range(8)
    ]
    shims = {one.start(script): one for one in benches}
    for one in benches:
        one.wait_for("script")
    ended: dict[int, int] = {}
    for count in itertools.count():
        for shim in shims.keys() - ended.keys():
            os.kill(shim, signal.SIGUSR1 if count % 2 else signal.SIGCHLD)
            done, status = os.waitpid(shim, os.WNOHANG)
            if done:
                ended[shim] = os.waitstatus_to_exitcode(status)
        if len(ended) == len(shims):
            break
        if count == 300:
            for one in benches:
                (one.base / "stop").touch()
        assert count < 30_000, "they do not end"
        time.sleep(0.001)  # signals that are pending already are merged
    each_shell.started.clear()
    assert [(status, shims[shim].directory.why()) for shim, status in ended.items()] == [(6, None)] * len(shims)


def test_a_claim_that_is_taken_away_ends_the_whole_tree(all_shells: list[Bench]) -> None:
    script = "setsid sleep 1000 & echo $! >daemon; env -i sleep 1000 & echo $! >bare; " + STAY
    shims = [one.start(script) for one in all_shells]
    for one in all_shells:
        one.wait_for("script")
        one.claim.unlink()
    for one, shim in zip(all_shells, shims, strict=True):
        assert one.status(shim) == 143
        assert one.directory.why() is Why.LOST
        assert one.names() == []
        for name in ("script", "daemon", "bare"):
            assert is_gone(int(one.wait_for(name))), name


def test_a_server_that_hangs_fences_the_task_although_touch_never_returns(all_shells: list[Bench]) -> None:
    shims = []
    for one in all_shells:
        hanging = one.base / "bin"
        hanging.mkdir()
        (hanging / "touch").write_text("#!/bin/sh\nexec sleep 1000\n")
        (hanging / "touch").chmod(0o755)
        shims.append(one.start(STAY, fence_s=2, environment={"PATH": f"{hanging}:{os.environ['PATH']}"}))
    for one, shim in zip(all_shells, shims, strict=True):
        assert one.status(shim) == 143
        assert one.directory.why() is Why.FENCED
        wait_until(lambda gone=shim: not session_of(gone))  # type: ignore[misc]  # the touch that hung, too


def test_beats_that_come_through_keep_the_fence_away(all_shells: list[Bench]) -> None:
    shims = [one.start(STAY, fence_s=2) for one in all_shells]
    for _ in range(3):
        for one in all_shells:
            os.utime(one.claim, (0, 0))
        for one in all_shells:
            wait_until(lambda claim=one.claim: claim.stat().st_mtime > 0)  # type: ignore[misc]
    for one, shim in zip(all_shells, shims, strict=True):
        assert one.directory.why() is None
        assert (one.directory.pid() or (0, 0))[0] == shim, "it lives"


def test_a_script_that_another_user_dropped_is_not_fenced_because_it_cannot_be_touched(
    all_shells: list[Bench],
) -> None:
    shims = []
    for one in all_shells:
        refusing = one.base / "bin"
        refusing.mkdir()
        (refusing / "touch").write_text('#!/bin/sh\ncase $* in */node) exec /usr/bin/touch "$@" ;; esac\nexit 1\n')
        (refusing / "touch").chmod(0o755)
        shims.append(one.start(STAY, fence_s=2, environment={"PATH": f"{refusing}:{os.environ['PATH']}"}))
    nodes = [one.claim.with_name("node") for one in all_shells]
    for _ in range(3):
        for node in nodes:
            os.utime(node, (0, 0))
        for node in nodes:
            wait_until(lambda node=node: node.stat().st_mtime > 0)  # type: ignore[misc]
    for one, shim in zip(all_shells, shims, strict=True):
        assert one.directory.why() is None
        assert (one.directory.pid() or (0, 0))[0] == shim, "it lives"


def test_a_timer_that_somebody_killed_is_started_again(surroundings: Bench) -> None:
    shim = surroundings.start(STAY)
    script = int(surroundings.wait_for("script"))
    for _ in range(2):
        wait_until(lambda: timers(shim, script))
        (timer,) = timers(shim, script)
        os.kill(timer, signal.SIGKILL)
        wait_until(lambda gone=timer: timers(shim, script) not in ([], [gone]))  # type: ignore[misc]


def timers(shim: int, script: int) -> list[int]:
    rows = [read_process(pid) for pid in session_of(shim)]
    return [row.pid for row in rows if row and row.parent == shim and row.pid != script and row.name == "sleep"]


# What is left


@pytest.mark.skipif(len(with_death_signal([])) == 0, reason="no setpriv with --pdeathsig here")
def test_the_kernel_ends_the_script_when_the_shim_is_killed(surroundings: Bench) -> None:
    program = tuple(with_death_signal(["bash", str(surroundings.base / "script.sh")]))
    shim = surroundings.start(STAY, program=program)
    script = int(surroundings.wait_for("script"))
    os.kill(shim, signal.SIGKILL)
    assert surroundings.status(shim) == -9
    wait_until(lambda: is_gone(script))
    assert not surroundings.directory.is_alive()
    assert surroundings.directory.status() is None


def test_a_daemon_that_outlives_the_script_is_ended_before_an_orphan_publishes(each_shell: Bench) -> None:
    each_shell.start_orphan("setsid sleep 1000 & echo $! >daemon\n")
    daemon = int(each_shell.wait_for("daemon"))
    wait_until(lambda: each_shell.names() == [f"{each_shell.name}=0"])
    assert is_gone(daemon)


def test_nothing_is_left_of_70_short_tries(each_shell: Bench) -> None:
    shims = []
    for number in range(70):
        each_shell.directory.remove()
        script = ":\n" if number % 2 else "sleep 0.002\n"
        shims.append(each_shell.start(script, program=("/bin/sh", "-c", script)))
        assert each_shell.status(shims[-1]) == 0
    left = {pid: row.session for pid in pids() if (row := read_process(pid))}
    assert not [pid for pid, session in left.items() if session in shims]


@pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("setpriv", "perl"))), reason="needs root to become somebody else"
)
def test_a_shim_that_cannot_fork_takes_its_script_along(all_shells: list[Bench]) -> None:
    # A user of its own with room for 12 processes, and a script that takes all of them, again and again.
    forks = "while (1) { my $p = fork; defined $p ? $p || (sleep 9, exit) : select undef, undef, undef, .001 }"
    script = "echo $$ >script; exec perl -e '" + forks + "'"
    # bash itself tries again after 1, 2, 4 and 8 s: too long for a test.
    shims = {}
    for uid, one in enumerate(all_shells, 60000 + os.getpid()):
        if "bash" in one.shell[0]:
            continue
        become = ("setpriv", "--reuid", str(uid), "--clear-groups", "bash", "-c", 'ulimit -u 12; exec "$@"', "-")
        one.claim.touch()
        one.node.install_shim()
        hand_over = ["chown", "-R", str(uid), str(one.base)]
        subprocess.run(hand_over, check=True)
        for parent in one.base.parents[:4]:
            parent.chmod(0o755 | parent.stat().st_mode)
        waiting = one.wait_shim(shell=(shutil.which(become[0]) or "", *become[1:], *one.shell))
        subprocess.run(hand_over, check=True)
        program = tuple(with_death_signal(["bash", "-c", script]))
        # What its agent has open, another user may not open.
        shims[one.begin(waiting, "", program=program, log_path=str(one.base / "log"))] = one
    for shim, one in shims.items():
        pid = int(one.wait_for("script"))
        assert one.status(shim) != 0
        wait_until(lambda gone=pid: is_gone(gone))  # type: ignore[misc]
        assert one.directory.status() is None
        # A child that was forked just before still has the lock until it has closed it.
        wait_until(lambda gone=one: not gone.directory.is_alive())  # type: ignore[misc]
        # A shell in such straits says so as a rule, and not always; a free lock without a status means the same.
        assert one.directory.why() in (Why.LOST, None)
        for left in find_try(str(one.claim), shim):
            send(left, signal.SIGKILL)
