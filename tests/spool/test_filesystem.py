"""What lies under a spool: mounts as mountinfo tells them, trust, and one filesystem."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_queue.errors import SpoolError
from gpu_queue.spool import trust
from gpu_queue.spool.filesystem import check_one_filesystem, check_protocol, make_spool, mount_of
from gpu_queue.spool.paths import OTHER_DIRECTORIES, STATE_DIRECTORIES, SpoolPaths
from gpu_queue.spool.trust import check_trust, identify
from tests.node.harness import Room

ME = frozenset({os.geteuid()})
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away and mount")


def mountinfo(*mounts: tuple[str, str]) -> str:
    return "".join(
        f"{number} 1 0:{number} / {point} rw,relatime shared:{number} - {kind} source{number} rw\n"
        for number, (point, kind) in enumerate(mounts, 20)
    )


@pytest.mark.parametrize(
    ("path", "point"),
    [
        ("/nowhere", "/"),
        ("/nowhere-else/x", "/"),
        ("/net/home/a/gpu_queue", "/net/home"),
        ("/net/home", "/net/home"),
        ("/net/homes/a", "/"),
        ("/net/home/a/scratch/x", "/net/home/a/scratch"),
    ],
)
def test_the_deepest_mount_above_a_path_counts(path: str, point: str) -> None:
    table = mountinfo(("/", "ext4"), ("/net/home/a/scratch", "xfs"), ("/net/home", "nfs4"))
    assert mount_of(path, table).point == point


def test_of_two_mounts_at_one_point_the_later_one_lies_on_top() -> None:
    assert mount_of("/net/x", mountinfo(("/", "ext4"), ("/net", "autofs"), ("/net", "nfs"))).kind == "nfs"
    assert mount_of("/x", mountinfo(("/", "rootfs"), ("/", "overlay"))).kind == "overlay"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"/my\040disk", "/my disk"),
        (r"/a\011b", "/a\tb"),
        (r"/a\134b", "/a\\b"),
        (r"/数据\040盘", "/数据 盘"),
        ("/é", "/é"),
    ],
)
def test_mount_points_with_strange_names_are_understood(written: str, read: str) -> None:
    table = mountinfo(("/", "ext4"), (written, "nfs4"))
    assert mount_of(f"{read}/x", table).point == read
    assert mount_of("/nowhere", table).kind == "ext4", "whatever else is mounted"


@pytest.mark.parametrize(
    ("kind", "is_local"),
    [("ext4", True), ("xfs", True), ("tmpfs", True), ("overlay", True), ("zfs", True)]
    + [
        (kind, False)
        for kind in ("nfs", "nfs4", "cifs", "lustre", "fuse.sshfs", "fuse.glusterfs", "9p", "gpfs", "new")
    ],
)
def test_what_is_not_known_to_be_local_is_taken_for_a_network(kind: str, is_local: bool) -> None:
    assert mount_of("/x", mountinfo(("/", kind))).is_local is is_local


def test_a_table_that_cannot_be_understood_is_no_local_filesystem() -> None:
    assert not mount_of("/x", "").is_local
    assert not mount_of("/x", "no table at all\n").is_local


def test_the_mount_of_this_machine_is_found(tmp_path: Path) -> None:
    assert mount_of(str(tmp_path)).point != "?"


# -- making and checking ------------------------------------------------------------------------------------------


def test_a_spool_is_made_for_its_owner_alone_with_its_protocol_last(tmp_path: Path) -> None:
    paths = SpoolPaths(str(tmp_path / "deep" / "er" / "spool"))
    make_spool(paths)
    assert Path(paths.protocol).read_text() == "1\n"
    for directory in ("", *STATE_DIRECTORIES, *OTHER_DIRECTORIES):
        assert os.stat(f"{paths.root}/{directory}").st_mode & 0o777 == 0o700
    check_trust(paths, allow_group=False)
    check_one_filesystem(paths)
    make_spool(paths)


def test_a_spool_that_was_half_made_is_made_whole(tmp_path: Path) -> None:
    paths = SpoolPaths(str(tmp_path / "spool"))
    (tmp_path / "spool" / "pending").mkdir(parents=True, mode=0o700)
    os.chmod(tmp_path / "spool", 0o700)
    assert not check_protocol(paths)
    make_spool(paths)
    check_trust(paths, allow_group=False)


def test_a_spool_in_which_an_agent_was_only_asked_for_is_made_around_that(tmp_path: Path) -> None:
    paths = SpoolPaths(str(tmp_path / "spool"))
    asked = Path(paths.allocations, "20261129T185458188-3d54690bc4a1")
    asked.mkdir(parents=True, mode=0o700)
    for path in (asked.parent, asked.parent.parent):
        path.chmod(0o700)
    (asked / "id").write_text("1234\n")
    assert not check_protocol(paths)
    make_spool(paths)
    check_trust(paths, allow_group=False)
    assert (asked / "id").read_text() == "1234\n"


def test_a_directory_that_somebody_tidied_away_is_made_again(room: Room) -> None:
    for name in ("done", "failed", "logs", "queues"):
        os.rmdir(room.root / name)
    with pytest.raises(SpoolError, match="done: No such file"):
        check_trust(room.paths, allow_group=False)
    make_spool(room.paths)
    check_trust(room.paths, allow_group=False)


@pytest.mark.parametrize("text", ["2\n", "", "1.0", "one", "11", "\0" * 50, "1\n2\n"])
def test_a_spool_of_another_protocol_is_refused_and_left_as_it_is(room: Room, text: str) -> None:
    Path(room.paths.protocol).write_text(text)
    with pytest.raises(SpoolError, match="expected 1") as refused:
        make_spool(room.paths)
    assert room.paths.protocol in str(refused.value)
    assert Path(room.paths.protocol).read_text() == text


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("nowhere", path)])
def test_a_protocol_that_is_no_file_is_refused(room: Room, make: Callable[[str], None]) -> None:
    os.unlink(room.paths.protocol)
    make(room.paths.protocol)
    with pytest.raises(SpoolError, match="expected a regular file"):
        make_spool(room.paths)


def test_a_file_where_the_spool_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("mine")
    with pytest.raises(SpoolError, match="spool"):
        make_spool(SpoolPaths(str(tmp_path / "spool")))
    with pytest.raises(SpoolError, match="cannot make the spool"):
        make_spool(SpoolPaths(str(tmp_path / "spool" / "below")))


@pytest.mark.parametrize("directory", ["", *STATE_DIRECTORIES, "records", "control", "logs", "nodes", "queues"])
def test_a_directory_that_others_can_write_is_refused_with_the_way_to_close_it(room: Room, directory: str) -> None:
    path = room.root / directory
    path.chmod(0o770)
    with pytest.raises(SpoolError, match=r"mode 0770.*chmod -R go-w"):
        check_trust(room.paths, allow_group=False)
    check_trust(room.paths, allow_group=True)
    path.chmod(0o777)
    with pytest.raises(SpoolError, match="mode 0777"):
        check_trust(room.paths, allow_group=True)


@pytest.mark.parametrize("directory", ["pending", "running", "done", "failed", "control", "logs"])
def test_a_state_directory_that_is_a_link_is_refused(room: Room, directory: str) -> None:
    elsewhere = room.base / "elsewhere"
    os.rename(room.root / directory, elsewhere)
    (room.root / directory).symlink_to(elsewhere)
    with pytest.raises(SpoolError, match=f"{directory}: expected a directory that is no link"):
        check_trust(room.paths, allow_group=False)


@needs_root
def test_a_directory_of_a_stranger_is_refused_and_a_spool_of_its_user_is_not(room: Room) -> None:
    os.chown(room.root / "pending", 12345, 12345)
    with pytest.raises(SpoolError, match="pending: belongs to uid 12345"):
        check_trust(room.paths, allow_group=False)
    subprocess.run(["chown", "-R", "12345", str(room.root)], check=True)
    check_trust(room.paths, allow_group=False, root_for=[12345])
    assert trust.trusted_uids(room.paths, [12345]) == {0, 12345}
    assert trust.trusted_uids(room.paths) == {0}, "root was not told to run his files"


@needs_root
def test_root_serves_a_spool_of_somebody_else_only_where_it_was_told_to(room: Room) -> None:
    trust.check_root(room.paths, [])
    os.chown(room.root, 12345, 12345)
    with pytest.raises(SpoolError, match=r"belongs to uid 12345.*pass --allow-root-for 12345"):
        trust.check_root(room.paths, [54321])
    trust.check_root(room.paths, [12345])


@needs_root
def test_what_root_makes_in_a_directory_of_the_user_that_it_works_for_is_his(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    mine, his = SpoolPaths(str(tmp_path / "mine")), SpoolPaths(str(tmp_path / "queues" / "his"))
    make_spool(mine)
    make_spool(his, [12345])
    assert {os.stat(path).st_uid for path in (mine.root, mine.protocol)} == {0}
    made = [Path(his.root).parent, Path(his.root), *Path(his.root).rglob("*")]
    assert {path.stat().st_uid for path in made} == {12345}


@needs_root
def test_in_a_shared_spool_nobody_moves_what_another_has_put_there_but_the_agent(room: Room) -> None:
    assert trust.guard_shared(room.paths) == ""
    for directory in ("", *STATE_DIRECTORIES, *OTHER_DIRECTORIES):
        assert os.stat(room.root / directory).st_mode & stat.S_ISVTX, directory
    os.chown(room.root / "done", 12345, -1)
    assert trust.guard_shared(room.paths) == f"{room.root}/done belongs to uid 12345"


@needs_root
def test_directories_of_two_filesystems_are_refused(room: Room) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(room.root / "done")], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        with pytest.raises(SpoolError, match="must be writable directories of one filesystem"):
            check_one_filesystem(room.paths)
    finally:
        subprocess.run(["umount", "-l", str(room.root / "done")], check=True)


def test_the_trial_leaves_nothing_behind(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    check_one_filesystem(room.paths)
    real = os.rename

    def fails_at_done(source: str, target: str) -> None:
        if "/done/" in target:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real(source, target)

    monkeypatch.setattr(os, "rename", fails_at_done)
    with pytest.raises(SpoolError, match="cross-device"):
        check_one_filesystem(room.paths)
    assert all(os.listdir(room.root / state) == [] for state in STATE_DIRECTORIES)


# -- what a spool is ------------------------------------------------------------------------------------------------


def a_spool(path: Path) -> SpoolPaths:
    paths = SpoolPaths(str(path))
    make_spool(paths)
    return paths


def forgotten(_: int) -> None:
    return None


def test_a_spool_is_the_same_by_whatever_path(tmp_path: Path) -> None:
    first = identify(a_spool(tmp_path / "a"), ME, forgotten)
    (tmp_path / "a").rename(tmp_path / "moved")
    (tmp_path / "link").symlink_to("moved")
    assert identify(SpoolPaths(str(tmp_path / "moved")), ME, forgotten) == first
    assert identify(SpoolPaths(str(tmp_path / "link")), ME, forgotten) == first


@needs_root
def test_a_spool_is_the_same_by_two_mounts(tmp_path: Path) -> None:
    paths = a_spool(tmp_path / "a")
    (tmp_path / "b").mkdir()
    try:
        subprocess.run(["mount", "--bind", paths.root, str(tmp_path / "b")], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("nothing can be mounted here")
    try:
        assert identify(SpoolPaths(str(tmp_path / "b")), ME, forgotten) == identify(paths, ME, forgotten)
    finally:
        subprocess.run(["umount", str(tmp_path / "b")], check=True)


def test_a_copy_of_a_spool_is_another_and_so_is_one_that_was_made_anew(tmp_path: Path) -> None:
    first = identify(a_spool(tmp_path / "a"), ME, forgotten)
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    assert identify(SpoolPaths(str(tmp_path / "copy")), ME, forgotten) != first
    shutil.rmtree(tmp_path / "a")
    assert identify(a_spool(tmp_path / "a"), ME, forgotten) != first


def test_the_word_that_somebody_removed_is_written_again_by_whoever_remembers_it(tmp_path: Path) -> None:
    paths = a_spool(tmp_path / "a")
    first = identify(paths, ME, forgotten)
    word, _, inode = first.rpartition(".")
    os.unlink(paths.identity)
    assert identify(paths, ME, {int(inode): word}.get) == first
    assert Path(paths.identity).read_text() == f"{word}\n"


@pytest.mark.parametrize("content", [b"", b"../../x\n", b"a" * 500, b"\xff" * 32, b"A" * 32])
def test_a_word_that_is_none_is_not_taken_and_not_written_over(tmp_path: Path, content: bytes) -> None:
    paths = a_spool(tmp_path / "a")
    Path(paths.identity).write_bytes(content)
    facts = os.stat(paths.root)
    assert identify(paths, ME, forgotten) == f"device-{facts.st_dev}.{facts.st_ino}"
    assert Path(paths.identity).read_bytes() == content


@needs_root
def test_a_word_of_a_stranger_does_not_count(tmp_path: Path) -> None:
    paths = a_spool(tmp_path / "a")
    Path(paths.identity).write_text("a" * 32 + "\n")
    os.chown(paths.identity, 12345, -1)
    assert identify(paths, ME, forgotten).startswith("device-")


def test_two_agents_that_begin_at_once_write_one_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = a_spool(tmp_path / "a")
    real = os.link
    others: list[str] = []

    def link(source: str, target: str) -> None:
        if not others:
            others.append("")
            others[0] = identify(paths, ME, forgotten)
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    assert identify(paths, ME, forgotten) == others[0]
    assert not [name for name in os.listdir(paths.root) if name.startswith(".IDENTITY")]
