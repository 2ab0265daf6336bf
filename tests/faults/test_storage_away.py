"""Storage that takes nothing for a while: tasks stay, the reason is said, and everything goes on when it is over."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.harness import Cluster, a_cluster, wait_until
from tests.faults.storage import BadStorage, bad_storage

IS_ROOT = os.geteuid() == 0
WRITING = ("rename", "create", "write", "mkdir", "unlink", "utimens", "truncate")
COUNTED = (
    '#!/bin/sh\n#GPUQ --gpus 0\necho "$GPU_QUEUE_TASK" >>{ran}\nuntil [ -e {go} ]; do sleep 0.05; done\nexit 0\n'
)


@pytest.fixture
def bad(tmp_path: Path) -> Iterator[BadStorage]:
    with bad_storage(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("name", "operations", "words"),
    [
        ("ESTALE", ("*",), "Stale file handle"),
        ("EACCES", ("*",), "Permission denied"),
        ("EROFS", WRITING, "Read-only file system"),
    ],
)
def test_what_runs_and_what_waits_survives_storage_that_refuses(
    bad: BadStorage, name: str, operations: tuple[str, ...], words: str
) -> None:
    cluster = bad.cluster
    ran, go = cluster.base / "ran", cluster.base / "go"
    script = COUNTED.format(ran=ran, go=go)
    bad.start()
    runs = cluster.submit(script)
    wait_until(lambda: ran.exists() and runs in ran.read_text(), "its start", dump=cluster.dump)
    bad.fail(*({"op": op, "errno": name} for op in operations))
    waits = cluster.submit(script)
    wait_until(lambda: words in bad.said(), f"{words!r} from the agent", dump=cluster.dump)
    go.touch()  # it ends while nothing can be moved
    wait_until(lambda: len(bad.hits()) > 8, "some more tries", dump=cluster.dump)
    assert (cluster.where(runs), cluster.where(waits)) == (["running"], ["pending"])
    bad.mend()
    for task in (runs, waits):
        cluster.wait_for(task, "done")
        assert ran.read_text().split().count(task) == 1


@pytest.fixture
def few_inodes(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster whose spool lies on a disk that holds few files."""
    base = tmp_path / "disk"
    (base / "queue root").mkdir(parents=True)
    options = ["-o", "size=4m,nr_inodes=100", "tmpfs", str(base / "queue root")]
    mounted = IS_ROOT and subprocess.run(["mount", "-t", "tmpfs", *options], check=False, capture_output=True)
    if not mounted or mounted.returncode != 0:
        pytest.skip("a small tmpfs cannot be mounted here")
    try:
        with a_cluster(base) as cluster:
            yield cluster
    finally:
        subprocess.run(["umount", "-l", str(base / "queue root")], check=True)


def fill(directory: Path) -> None:
    for number in range(1000):
        (directory / str(number)).touch()


def test_a_disk_without_inodes_costs_no_task_a_try(few_inodes: Cluster) -> None:
    cluster = few_inodes
    ran, go = cluster.base / "ran", cluster.base / "go"
    script = COUNTED.format(ran=ran, go=go)
    cluster.start()
    runs = cluster.submit(script)
    wait_until(lambda: ran.exists() and runs in ran.read_text(), "its start", dump=cluster.dump)
    paused = Path(cluster.paths.flag("paused"))
    paused.touch()
    wait_until(lambda: "paused" in cluster.node_text(), "the pause", dump=cluster.dump)
    waits = cluster.submit(script)
    ballast = cluster.queue_root / "ballast"
    ballast.mkdir()
    paused.rename(ballast / "paused")
    with pytest.raises(OSError, match="No space left"):
        fill(ballast)
    go.touch()
    cluster.wait_for(runs, "done")  # a rename needs no inode
    wait_until(lambda: f"{waits}.log'); it goes back" in cluster.output.read_text(), "the reason", dump=cluster.dump)
    wait_until(lambda: cluster.where(waits) == ["pending"], "its way back", dump=cluster.dump)
    for file in ballast.iterdir():
        file.unlink()
    cluster.wait_for(waits, "done")
    assert ran.read_text().split().count(waits) == 1


def test_a_disk_that_its_log_fills_ends_no_training_where_the_log_is_pumped(few_inodes: Cluster) -> None:
    cluster = few_inodes
    ballast, printed, go = cluster.queue_root / "ballast", cluster.base / "printed", cluster.base / "go"
    ballast.write_bytes(bytes(1 << 20))
    cluster.start("--log", "pump")
    task = cluster.submit(
        f"set -e\nhead -c 8000000 /dev/zero | tr '\\0' x\ntouch {str(printed)!r}\n"
        f"until [ -e {str(go)!r} ]; do echo still here; sleep 0.05; done\n"
    )
    wait_until(printed.exists, "its going on", dump=cluster.dump)
    ballast.unlink()
    cluster.wait_for_line(task, "bytes of output were lost: No space left on device")
    cluster.wait_for_line(task, "still here")
    go.touch()
    cluster.wait_for(task, "done")


def test_names_that_are_missed_for_a_minute_hide_nothing_from_agents_and_people(tmp_path: Path) -> None:
    with bad_storage(tmp_path, kept_s=60.0) as bad:
        cluster = bad.cluster
        bad.start()
        for path in (bad.seen.flag("paused"), bad.seen.flag("draining"), bad.seen.hand_command):
            assert not os.path.exists(path)  # from here on the kernel says so for a minute
        ran = cluster.base / "ran"
        script = COUNTED.format(ran=ran, go="/")
        task = cluster.submit(script)
        missed = Path(bad.seen.root, "done", f"500-{task}")
        assert not missed.exists()
        cluster.wait_for(task, "done")
        assert bad.client(f"gpu_wait {task} --timeout 20").returncode == 0
        Path(cluster.paths.flag("paused")).write_text("maintenance\n")
        wait_until(lambda: "the spool is paused" in cluster.node_text(), "the pause", dump=cluster.dump)
        said = bad.client("gpu_resume")
        assert said.returncode == 0, said
        wait_until(lambda: "is paused" not in cluster.node_text(), "the end of the pause", dump=cluster.dump)


def test_a_listing_that_stays_behind_delays_a_task_and_loses_none(bad: BadStorage) -> None:
    cluster = bad.cluster
    ran = cluster.base / "ran"
    bad.start()
    bad.fail({"op": "readdir", "match": "/pending", "freeze": True})
    before = cluster.submit(COUNTED.format(ran=ran, go="/"))
    hits = len(bad.hits())
    wait_until(lambda: len(bad.hits()) > hits + 5, "some looks", dump=cluster.dump)
    bad.mend()
    cluster.wait_for(before, "done")
    bad.fail({"op": "readdir", "match": "/running/", "freeze": True})
    hits = len(bad.hits())
    wait_until(lambda: len(bad.hits()) > hits, "a look", dump=cluster.dump)
    after = cluster.submit(COUNTED.format(ran=ran, go="/"))
    cluster.wait_for(after, "done")
    bad.mend()
    assert sorted(ran.read_text().split()) == sorted([before, after])


SKEW_C = """#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
/* Shifts the clock of the wall by SKEW_S; monotonic time, sleeps and the times of files stay as they are. */
static long shift(void) { const char *text = getenv("SKEW_S"); return text ? atol(text) : 0; }
int clock_gettime(clockid_t clock, struct timespec *now) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(clock, now);
  if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += shift();
  return result;
}
int gettimeofday(struct timeval *now, void *zone) {
  struct timespec precise;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &precise);
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}
time_t time(time_t *into) {
  struct timespec precise;
  clock_gettime(CLOCK_REALTIME, &precise);
  if (into) *into = precise.tv_sec;
  return precise.tv_sec;
}
"""


@pytest.fixture(scope="module")
def skew(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A library that shifts the clock of whoever loads it."""
    base = tmp_path_factory.mktemp("skew")
    (base / "skew.c").write_text(SKEW_C)
    command = ["cc", "-O1", "-shared", "-fPIC", "-o", str(base / "skew.so"), str(base / "skew.c"), "-ldl"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no C compiler here: {error}")
    return str(base / "skew.so")


def test_hours_between_the_clocks_of_nodes_and_clients_change_nothing(cluster: Cluster, skew: str) -> None:
    late, early = ({"LD_PRELOAD": skew, "SKEW_S": shift} for shift in ("-18000", "18000"))
    shown = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time())"],
        env={**os.environ, **early},
        capture_output=True,
        check=True,
    )
    assert float(shown.stdout) > os.stat(skew).st_mtime + 17000, "the shift works"
    for name, clock in (("late", late), ("early", early)):
        local = str(cluster.base / f"local-{name}")
        cluster.start("--node-name", name, "--local-dir", local, env={**clock, "GPU_QUEUE_RETRY_DELAY": "1s"})
    ran = cluster.base / "ran"
    mark = f">>{shlex.quote(str(ran))}"
    script = f'#!/bin/sh\n#GPUQ --gpus 0 --retries 1\necho "$GPU_QUEUE_TASK" {mark}\n'
    tasks = [cluster.submit(script) for _ in range(20)]
    retried = cluster.submit(f'{script}[ "$(grep -c "$GPU_QUEUE_TASK" {shlex.quote(str(ran))})" != 1 ]\n')
    dropped = Path(cluster.paths.root, "pending", "by hand.sh")
    dropped.write_text(f"#!/bin/sh\n#GPUQ --gpus 0\necho by-hand {mark}\n")
    for task in tasks:
        cluster.wait_for(task, "done")
        assert ran.read_text().split().count(task) == 1
    cluster.wait_for(retried, "done")
    assert ran.read_text().split().count(retried) == 2
    wait_until(lambda: "by-hand" in ran.read_text(), "the task that was dropped by hand", dump=cluster.dump)
    stem = cluster.command_all("explain", tasks=[])
    wait_until(lambda: len(list(Path(cluster.paths.control).glob(f"{stem}.*.ack"))) == 2, "both answers")
