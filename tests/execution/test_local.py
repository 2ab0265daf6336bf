"""The node's own directory: what is refused, what is held, what is read from garbage."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpu_queue.errors import SpoolError
from gpu_queue.execution.local import SHIM, NodeDirectory, TryDirectory
from gpu_queue.execution.processes import start_of
from gpu_queue.task import Why

GARBAGE = [b"", b"\0\xff\n", b"7", b"-1\n", b"99999999999999999999\n", "٣\n".encode(), b"x" * 3_000_000]


@pytest.fixture
def node(tmp_path: Path) -> NodeDirectory:
    return NodeDirectory.open(str(tmp_path / "node"))


@pytest.fixture
def one_try(node: NodeDirectory) -> TryDirectory:
    directory = node.agent("/spool", "node").try_directory("claim")
    directory.create()
    return directory


def test_it_is_made_for_us_alone_and_opened_again(tmp_path: Path) -> None:
    first = NodeDirectory.open(str(tmp_path / "node"))
    assert os.stat(first.root).st_mode & 0o777 == 0o700
    assert NodeDirectory.open(first.root).identity == first.identity


def test_without_a_path_it_lies_in_tmp_under_our_uid() -> None:
    assert NodeDirectory.open().root == f"/tmp/gpu-queue-{os.geteuid()}"


def test_a_directory_that_others_may_meddle_with_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o770)
    (tmp_path / "file").touch()
    (tmp_path / "mine").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    for name, reason in [
        ("open", "mode 770"),
        ("file", "a directory"),
        ("link", "no symlink"),
        ("no/where", "cannot"),
    ]:
        with pytest.raises(SpoolError, match=reason):
            NodeDirectory.open(str(tmp_path / name))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a directory away")
def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "his").mkdir(mode=0o700)
    os.chown(tmp_path / "his", 12345, -1)
    with pytest.raises(SpoolError, match="uid 12345"):
        NodeDirectory.open(str(tmp_path / "his"))


def test_one_agent_serves_a_spool_on_a_node_and_another_spool_is_another_agent(node: NodeDirectory) -> None:
    first, second, other = node.agent("/a", "n"), node.agent("/a", "n"), node.agent("/b", "n")
    assert first.lock("/path/of/a")
    assert first.lock("/path/of/a"), "it is ours already"
    assert not second.lock("/other/path/of/a")
    assert second.holder() == (os.getpid(), "/path/of/a")
    assert other.lock()
    first.close()
    assert second.lock()


def test_a_node_remembers_the_words_of_the_spools_that_it_has_served(node: NodeDirectory) -> None:
    agent = node.agent(f"{'a' * 32}.4711", "n")
    assert agent.lock()
    agent.close()
    device = node.agent("device-66304.4712", "n")
    assert device.lock()
    assert node.remembered(4711) == "a" * 32
    assert node.remembered(4712) is None, "it never had one"
    assert node.remembered(471) is None


def test_a_lock_whose_file_was_cleaned_away_is_not_mistaken_for_the_new_one(node: NodeDirectory) -> None:
    first = node.agent("/a", "n")
    assert first.lock()
    os.unlink(f"{first.path}/lock")
    second = node.agent("/a", "n")
    assert second.lock(), "the old file locks nothing out: this is why it is touched hourly"
    assert not node.agent("/a", "n").lock()


def test_an_agents_lock_is_not_inherited_by_what_it_starts(node: NodeDirectory) -> None:
    first = node.agent("/a", "n")
    assert first.lock()
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        held = {os.readlink(f"/proc/{child.pid}/fd/{name}") for name in os.listdir(f"/proc/{child.pid}/fd")}
        assert f"{first.path}/lock" not in held
        first.close()
        assert node.agent("/a", "n").lock()
    finally:
        child.kill()
        child.wait()


def test_a_try_is_alive_while_any_copy_of_its_descriptor_is_open(one_try: TryDirectory) -> None:
    assert not one_try.is_alive()
    lock = one_try.lock()
    child = subprocess.Popen(["sleep", "60"], pass_fds=[lock])
    os.close(lock)
    assert one_try.is_alive()
    with pytest.raises(BlockingIOError):
        one_try.lock()
    child.kill()
    child.wait()
    assert not one_try.is_alive()


def test_the_pid_counts_only_while_the_lock_is_held(one_try: TryDirectory) -> None:
    (Path(one_try.path) / "pid").write_text(f"{os.getpid()}\n")
    assert one_try.pid() is None
    lock = one_try.lock()
    assert one_try.pid() == (os.getpid(), start_of(os.getpid()))
    (Path(one_try.path) / "pid").write_text(str(os.getpid()))
    assert one_try.pid() is None, "not complete"
    os.close(lock)


def test_what_was_written_is_read_back(one_try: TryDirectory) -> None:
    one_try.write_why(Why.STOPPED)
    one_try.write_why(Why.TIMEOUT)
    one_try.write_facts({"gpus": ["GPU-1"], "started": 1.5})
    (Path(one_try.path) / "status").write_text("143\n")
    assert (one_try.why(), one_try.status(), one_try.facts()) == (
        Why.TIMEOUT,
        143,
        {"gpus": ["GPU-1"], "started": 1.5},
    )
    (Path(one_try.path) / "why").write_text("preempted\n")
    assert one_try.why() is Why.REQUEUE, "a word of a later version: it was ended on purpose"


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_is_read_as_nothing(one_try: TryDirectory, garbage: bytes) -> None:
    for name in ("status", "pid", "facts", "reason"):
        (Path(one_try.path) / name).write_bytes(garbage)
    assert one_try.status() is None
    assert one_try.pid() is None
    assert one_try.facts() is None
    one_try.reason()


def test_facts_that_are_deeply_nested_or_no_object_are_nothing(one_try: TryDirectory) -> None:
    for text in ("[" * 100_000, "[1]", "3", '{"a": '):
        (Path(one_try.path) / "facts").write_text(text)
        assert one_try.facts() is None


def test_pipes_links_and_directories_in_place_of_files_neither_hang_nor_raise(one_try: TryDirectory) -> None:
    os.mkfifo(f"{one_try.path}/status")
    os.mkdir(f"{one_try.path}/facts")
    os.symlink("/etc/passwd", f"{one_try.path}/reason")
    assert (one_try.status(), one_try.facts(), one_try.reason(), one_try.why()) == (None, None, None, None)
    one_try.remove()
    assert not os.path.exists(one_try.path)
    one_try.remove()


def test_tries_are_listed_and_removed(node: NodeDirectory) -> None:
    agent = node.agent("/spool", "node")
    for name in ("a", "b"):
        agent.try_directory(name).create()
    assert {one.name for one in agent.tries()} == {"a", "b"}
    agent.try_directory("a").remove()
    assert [one.name for one in agent.tries()] == ["b"]
    lock = agent.try_directory("b").lock()
    assert node.is_try_alive("/far/away/running/n/b")
    os.close(lock)
    assert not node.is_try_alive("/far/away/running/n/b")


def test_the_shims_copy_is_complete_named_by_its_content_and_mended(node: NodeDirectory) -> None:
    path = node.install_shim()
    assert Path(path).read_bytes() == SHIM.read_bytes()
    inode = os.stat(path).st_ino
    assert node.install_shim() == path
    assert os.stat(path).st_ino == inode, "a running shim reads it: it stays as it is"
    Path(path).write_text("#!/bin/sh\n")
    assert node.install_shim() == path
    assert Path(path).read_bytes() == SHIM.read_bytes()


def test_a_refresh_touches_every_file(node: NodeDirectory, one_try: TryDirectory) -> None:
    path = Path(one_try.path) / "status"
    path.touch()
    for old in (path, Path(one_try.path)):
        os.utime(old, (0, 0))
    os.symlink("/no/where", f"{one_try.path}/dangling")
    node.refresh()
    assert path.stat().st_mtime > 0
    assert Path(one_try.path).stat().st_mtime > 0


def test_an_agent_that_was_killed_leaves_its_lock_free(node: NodeDirectory) -> None:
    code = f"""
import time
from gpu_queue.execution.local import NodeDirectory
mine = NodeDirectory({node.root!r}).agent("/a", "n")
assert mine.lock()
print("locked", flush=True)
time.sleep(60)
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "locked\n"
    assert not node.agent("/a", "n").lock()
    child.kill()
    child.wait()
    child.stdout.close()
    assert node.agent("/a", "n").lock()


def test_a_try_began_when_its_shim_may_have_been_told_of_it(one_try: TryDirectory) -> None:
    os.close(one_try.lock())
    assert one_try.never_began()
    one_try.write_facts({})
    assert not one_try.never_began()
    one_try.remove()
    assert not one_try.never_began(), "of what is not there nobody knows"
