"""Shims that wait for their try, and the timer that they share: real processes in each shell."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_queue.execution import launcher, shims
from gpu_queue.execution.processes import pids, read_process
from gpu_queue.execution.shims import SPARES, SharedTimer, Shim, Shims
from gpu_queue.task import Why
from tests.execution.helpers import Bench, is_gone, wait_until

STAY = "echo $$ >script; while :; do sleep 60; done\n"


@pytest.fixture
def timer(monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedTimer]:
    """A timer that lasts for a second, so that tests need not wait for the real one."""
    monkeypatch.setattr(shims, "TIMER_S", 1)
    monkeypatch.setattr(shims, "_TIMER_USED_S", 0.5)
    monkeypatch.setattr(shims, "_TIMER_MARGIN_S", 0.1)
    one = SharedTimer()
    yield one
    for pid in one.pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.fixture
def waiting(surroundings: Bench) -> Iterator[Shims]:
    one = Shims(surroundings.agent, surroundings.node.install_shim, {"PATH": os.environ["PATH"]})
    yield one
    one.drop_spares()
    for pid in one.pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def naps(shim: int) -> list[int]:
    """The timers of its own that a shim has."""
    rows = [read_process(pid) for pid in pids()]
    return [row.pid for row in rows if row and row.parent == shim and row.name in ("sleep", "busybox")]


def living(waiting: Shims) -> set[int]:
    """What waits or has not been reaped."""
    waiting.reap()
    return waiting.pids


# What it is told


def test_words_of_any_bytes_arrive_as_they_are(each_shell: Bench) -> None:
    every = "".join(map(chr, range(1, 128))) + os.fsdecode(bytes(range(128, 256)))
    lines = "\n\n+a\n=b\n!C=d\n.\n \t\n"
    home = each_shell.base / os.fsdecode(bytes(set(range(1, 256)) - {ord("/")}))
    home.mkdir()
    program = ("env", "printf", r"%s\0", every, lines, "")
    environment = {"PATH": os.environ["PATH"], "EVERY": every, "LINES_OF": lines, "LAST": ""}
    assert each_shell.run("", program=program, environment=environment, cwd=str(home), header=lines) == 0
    log = (each_shell.base / "log").read_bytes()
    assert log.startswith(os.fsencode(f"{lines}{every}\0{lines}\0\0")), log
    code = 'env -0 >env; printf "%s\\0" "$PWD" >>env'
    each_shell.directory.remove()
    assert each_shell.run("", program=("bash", "-c", code), environment=environment, cwd=str(home)) == 0
    seen = (home / "env").read_bytes().split(b"\0")
    for name, value in environment.items():
        assert os.fsencode(f"{name}={value}") in seen
    assert os.fsencode(str(home)) in seen


def test_the_longest_variable_that_the_kernel_takes_arrives_and_a_longer_one_is_refused_by_name(
    each_shell: Bench,
) -> None:
    longest = 32 * os.sysconf("SC_PAGE_SIZE") - len("LONG=") - 1
    given = {"PATH": os.environ["PATH"], "LONG": "é'\\\n$(touch oops)" + "x" * (longest - 18)}
    assert len(os.fsencode(given["LONG"])) == longest
    assert each_shell.run('printf %s "$LONG" >long\n', environment=given) == 0
    assert (each_shell.base / "long").read_text() == given["LONG"]
    assert not (each_shell.base / "oops").exists()
    each_shell.directory.remove()
    shim = each_shell.wait_shim()
    for value in (given["LONG"] + "x", "x" * (1 << 20)):
        with pytest.raises(ValueError, match=rf"the variable LONG has {len(os.fsencode(value)) + 5} bytes"):
            shim.begin(each_shell.spec("", environment={**given, "LONG": value}))
    many = {f"V{number}": "x" * 100_000 for number in range(100)}
    with pytest.raises(ValueError, match=r"environment and arguments have .* most of them the variable LONG"):
        shim.begin(each_shell.spec("", environment={**given, **many}))
    shim.dismiss()
    assert each_shell.status(shim.pid) == -signal.SIGKILL, "nothing was started"


def test_a_script_finds_nothing_on_its_input(each_shell: Bench) -> None:
    assert each_shell.run("readlink /proc/$$/fd/0; cat\n") == 0
    assert each_shell.log == "/dev/null\n"


@pytest.mark.parametrize("what", ["no orders", "half of its orders", "orders, and was not told to begin"])
def test_a_shim_that_was_not_told_all_starts_nothing(each_shell: Bench, what: str) -> None:
    spec = each_shell.spec("echo ran >ran\n")
    each_shell.claim.touch()
    shim = each_shell.wait_shim()
    orders = launcher.orders(spec, {}, timed=False)
    if what == "half of its orders":  # a disk that lost what it had taken
        orders = b"".join(orders.splitlines(keepends=True)[:-1])
    if what == "orders, and was not told to begin":
        os.write(shim._orders, orders)
    else:
        launcher.tell(shim._pipe, shim._orders, b"" if what == "no orders" else orders)
    shim.close()
    assert each_shell.status(shim.pid) == -signal.SIGKILL, "a status would be taken for the script's"
    assert each_shell.directory.status() is None
    assert not each_shell.directory.is_alive()
    assert not (each_shell.base / "ran").exists()


def test_a_shim_whose_agent_dies_before_it_has_a_try_is_gone_with_its_lock(each_shell: Bench) -> None:
    agent = os.fork()
    if agent == 0:
        shim = each_shell.wait_shim()
        (each_shell.base / "pid").write_text(f"{shim.pid}\n")
        while True:
            signal.pause()
    shim_pid = int(each_shell.wait_for("pid"))
    assert each_shell.directory.is_alive()
    os.kill(agent, signal.SIGKILL)
    os.waitpid(agent, 0)
    wait_until(lambda: is_gone(shim_pid))
    assert not each_shell.directory.is_alive()
    assert each_shell.directory.status() is None


def test_there_is_no_limit_to_paths_arguments_and_variables_but_that_of_the_kernel(each_shell: Bench) -> None:
    long = {f"LONG_{number}": f"{number}\n" * 50_000 for number in range(4)}  # the kernel takes 128 KiB of each
    environment = {
        "PATH": os.environ["PATH"],
        "BASH_FUNC_long%%": f"() {{ : {'x' * 100_000}; echo called; }}",
        **long,
    }
    assert each_shell.run("long; echo ${#LONG_3}\n", environment=environment, header="x" * 300_000 + "\n") == 0
    assert "x" * 300_000 + "\ncalled\n100000\n" in each_shell.log


def test_only_its_owner_reads_what_a_shim_is_to_do_and_it_goes_with_the_try(surroundings: Bench) -> None:
    before = os.umask(0)
    try:
        assert surroundings.run("exit 0\n") == 0
    finally:
        os.umask(before)
    orders = Path(surroundings.directory.path, "orders")
    assert orders.stat().st_mode & 0o777 == 0o600
    surroundings.directory.remove()
    assert not Path(surroundings.directory.path).exists()


ANY_BYTES = st.binary(max_size=60).map(lambda value: os.fsdecode(value.replace(b"\0", b"")))
AWKWARD = st.lists(
    st.sampled_from(["'", "'\\''", "\\", "\n", "$x", "`", "\x01", "\x7f", "\udc81", "\udcff", "a"])
).map("".join)
VALUES = st.one_of(ANY_BYTES, AWKWARD)


@pytest.fixture(params=["C.UTF-8", "C"])
def locale(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_any_bytes_in_arguments_and_variables_arrive_unchanged(each_shell: Bench, locale: str) -> None:
    base = {"PATH": os.environ["PATH"], "LC_ALL": locale}

    @settings(max_examples=40, deadline=None)
    @given(arguments=st.lists(VALUES, max_size=4), values=st.lists(VALUES, max_size=4), header=VALUES)
    def check(arguments: list[str], values: list[str], header: str) -> None:
        # Read as the shim reads it, without the shim around it: a try for each takes too long.
        environment = {**base, **{f"V{number}": value for number, value in enumerate(values)}}
        spec = each_shell.spec("", program=("/usr/bin/env", "-0", *arguments), environment=environment, header=header)
        (each_shell.base / "orders").write_bytes(launcher.orders(spec, base, timed=True))
        names = " ".join(f'"$V{number}"' for number in range(len(values)))
        reads = f'f() {{ . ./orders; printf "%s\\0" "$@" "$q_header" {names}; }}; f; exec env -0'
        done = subprocess.run(
            [*each_shell.shell, "-c", reads], cwd=each_shell.base, env=base, capture_output=True, check=True
        )
        seen = done.stdout.split(b"\0")
        wanted = [os.fsencode(one) for one in (*spec.program, header, *values)]
        assert seen[: len(wanted)] == wanted
        assert {os.fsencode(f"V{number}={value}") for number, value in enumerate(values)} <= set(seen)

    check()


# Spares


def begin(bench: Bench, shim: Shim) -> None:
    assert shim.directory == bench.directory
    assert bench.status(bench.begin(shim, "echo ran >ran\n")) == 0
    assert (bench.base / "ran").exists()


def test_a_spare_takes_its_trys_name_and_keeps_its_lock(surroundings: Bench, waiting: Shims) -> None:
    waiting.refill()
    spares = waiting.pids
    assert len(surroundings.agent.spares()) == SPARES
    assert surroundings.agent.tries() == []
    shim = waiting.take(surroundings.name)
    assert shim.pid in spares
    assert [one.name for one in surroundings.agent.tries()] == [surroundings.name]
    assert surroundings.directory.is_alive()
    begin(surroundings, shim)
    assert not surroundings.directory.is_alive()


def test_without_a_spare_a_shim_is_started(surroundings: Bench, waiting: Shims) -> None:
    begin(surroundings, waiting.take(surroundings.name))


@pytest.mark.parametrize("what", ["killed", "its directory tidied away", "its lock tidied away", "told to end"])
def test_a_spare_that_is_no_longer_sound_is_not_used(surroundings: Bench, waiting: Shims, what: str) -> None:
    waiting.refill()
    spoiled = waiting.pids
    for one in surroundings.agent.spares():
        if what == "its directory tidied away":
            one.remove()
        elif what == "its lock tidied away":
            Path(one.path, "lock").unlink()
    for pid in spoiled:
        if what in ("killed", "told to end"):
            os.kill(pid, signal.SIGKILL if what == "killed" else signal.SIGTERM)
            wait_until(lambda gone=pid: is_gone(gone))  # type: ignore[misc]
    shim = waiting.take(surroundings.name)
    assert shim.pid not in spoiled
    begin(surroundings, shim)
    wait_until(lambda: not living(waiting) & spoiled)


def test_a_shim_whose_try_did_not_come_about_waits_for_another(surroundings: Bench, waiting: Shims) -> None:
    shim = waiting.take("500-20260101T000000000-abcdef-other.sh.try1.abcdef")
    waiting.give_back(shim)
    assert surroundings.agent.tries() == []
    again = waiting.take(surroundings.name)
    assert again is shim
    begin(surroundings, again)


def test_spares_that_are_no_longer_wanted_leave_nothing(surroundings: Bench, waiting: Shims) -> None:
    waiting.refill()
    spares = waiting.pids
    waiting.drop_spares()
    wait_until(lambda: not living(waiting) & spares)
    assert surroundings.agent.spares() == []


# The timer that they share


def test_a_short_try_starts_no_timer_and_a_longer_one_beats_when_the_shared_one_ends(
    each_shell: Bench, timer: SharedTimer
) -> None:
    shim = each_shell.start(STAY, timer=timer)
    script = int(each_shell.wait_for("script"))
    os.utime(each_shell.claim, (0, 0))
    wait_until(lambda: naps(shim))
    wait_until(lambda: each_shell.claim.stat().st_mtime > 0)
    assert not is_gone(script)
    os.kill(shim, signal.SIGTERM)
    assert each_shell.status(shim) == 143


def test_a_try_whose_agent_died_in_its_first_moment_notices_that_its_claim_was_taken_away(
    each_shell: Bench, timer: SharedTimer
) -> None:
    each_shell.start_orphan(STAY, timer=timer)
    script = int(each_shell.wait_for("script"))
    each_shell.claim.rename(each_shell.base / "taken over")
    wait_until(lambda: is_gone(script))
    assert each_shell.directory.why() is Why.LOST


def test_a_shared_timer_that_is_killed_wakes_its_shims_at_once(
    each_shell: Bench, timer: SharedTimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shims, "TIMER_S", 600)
    shim = each_shell.start(STAY, timer=timer, beat_s=600)
    each_shell.wait_for("script")
    assert naps(shim) == []
    (sleeper,) = timer.pids
    os.kill(sleeper, signal.SIGKILL)
    wait_until(lambda: naps(shim))


@pytest.mark.parametrize("what", ["over", "about to end", "slower than its beat", "not to be had"])
def test_where_the_shared_timer_is_no_help_a_shim_has_its_own(
    surroundings: Bench, timer: SharedTimer, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(shims, "TIMER_S", 600)
    if what == "not to be had":
        monkeypatch.setattr(shims, "async_pipes_work", lambda: False)
    waits = surroundings.wait_shim(timer)
    for sleeper in timer.pids if what == "over" else ():
        os.kill(sleeper, signal.SIGKILL)
        wait_until(lambda gone=sleeper: is_gone(gone))  # type: ignore[misc]
    if what == "about to end":
        monkeypatch.setattr(shims, "_TIMER_MARGIN_S", 1000)
    shim = surroundings.begin(waits, STAY, beat_s=30 if what == "slower than its beat" else 600)
    surroundings.wait_for("script")
    wait_until(lambda: naps(shim))


def test_many_shims_share_one_timer_until_it_is_too_old(timer: SharedTimer) -> None:
    now = time.monotonic()
    for _ in range(3):
        one = timer.subscribe(now)
        assert one is not None
        os.close(one.descriptor)
    assert len(timer.pids) == 1
    later = timer.subscribe(now + 0.6)
    assert later is not None
    os.close(later.descriptor)
    assert len(timer.pids) == 2


def test_timers_that_do_not_end_are_not_heaped_up(timer: SharedTimer) -> None:
    now = time.monotonic()
    found = []
    for number in range(10):
        found.append(timer.subscribe(now + number))
        for pid in timer.pids:
            os.kill(pid, signal.SIGSTOP)
    assert found[-1] is None
    assert len(timer.pids) < 5
    for one in found:
        if one is not None:
            os.close(one.descriptor)


def test_this_kernel_tells_the_end_of_a_pipe() -> None:
    assert shims.async_pipes_work()
