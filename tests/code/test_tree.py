"""What belongs to a working tree, and by which key it is known."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpu_queue.code.entries import FILE, LINK, PROGRAM, Entry, key_of
from gpu_queue.code.tree import Tree, look
from gpu_queue.errors import BadScript
from tests.code.builders import git, repository, write


@pytest.fixture(autouse=True)
def _no_other_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", "/nonexistent")  # as a hook would have it


def names(tree: Tree) -> set[str]:
    return {os.fsdecode(one.name) for one in tree.entries}


def seen(directory: Path, **environment: str) -> Tree:
    return look(str(directory), {"HOME": "/nonexistent", **environment})


def test_a_tree_is_what_lies_there_now_and_git_does_not_ignore(tmp_path: Path) -> None:
    here = repository(
        tmp_path / "p", a_dot_py="1\n", gone_dot_py="2\n", pkg__b_dot_py="3\n", _dot_gitignore="data/\n*.pt\n"
    )
    before = seen(here)
    assert names(before) == {"a.py", "gone.py", "pkg/b.py", ".gitignore"}
    assert before.commit is not None
    assert before.commit.commit == git(here, "rev-parse", "HEAD")
    assert not before.is_dirty
    objects = sorted((here / ".git").rglob("*"))
    write(here, a_dot_py="changed\n", new_dot_py="5\n", data__big="6\n", w_dot_pt="7\n", staged_dot_py="8\n")
    (here / "gone.py").unlink()
    (here / "pkg/b.py").chmod(0o755)
    git(here, "add", "staged.py")
    index, objects = (here / ".git/index").read_bytes(), sorted((here / ".git").rglob("*"))
    after = seen(here / "pkg")  # from anywhere within
    assert names(after) == {"a.py", "new.py", "pkg/b.py", ".gitignore", "staged.py"}
    assert after.is_dirty
    assert after.untracked == 1
    assert after.root == str(here)
    assert {one.kind for one in after.entries if one.name == b"pkg/b.py"} == {PROGRAM}
    assert after.key != before.key
    # Nothing was written to the repository.
    assert ((here / ".git/index").read_bytes(), sorted((here / ".git").rglob("*"))) == (index, objects)


def test_equal_trees_have_one_key_wherever_they_lie(tmp_path: Path) -> None:
    one = repository(tmp_path / "one", a_dot_py="1\n", pkg__b_dot_py="2\n")
    git(tmp_path, "clone", "-q", str(one), str(tmp_path / "two"))
    bare = tmp_path / "three"
    write(bare, pkg__b_dot_py="2\n", a_dot_py="1\n")
    assert seen(one).key == seen(tmp_path / "two").key == seen(bare).key
    assert seen(bare).commit is None
    (bare / "a.py").chmod(0o700)
    assert seen(bare).key != seen(one).key


def test_the_key_is_of_kinds_names_and_hashes_as_the_documentation_says() -> None:
    # printf 'f a\0H\nl b\0H\nx c\0H\n' | sha256sum, with H = 64 times 0
    entries = [Entry(PROGRAM, b"c", "0" * 64, 3), Entry(FILE, b"a", "0" * 64, 1), Entry(LINK, b"b", "0" * 64, 0)]
    assert key_of(entries) == key_of(reversed(entries))
    assert key_of(entries) == "4cf9bdc5ed62c3de19eb1d48b8294984b3f900b61a74b853c1e53b50f5e1039c"


def test_names_are_bytes(tmp_path: Path) -> None:
    odd = [
        b"-rf",
        b"a b",
        b"new\nline.py",
        "训练.py".encode(),
        b"\xff\xfe.py",
        b"'\"$(touch pwned)`;*?[",
        b"\\",
        b"x" * 200,
    ]
    here = repository(tmp_path / "p", a_dot_py="1\n")
    for number, name in enumerate(odd):
        with open(os.path.join(os.fsencode(here), name), "w") as file:
            file.write(str(number))
    untracked = seen(here)
    assert {one.name for one in untracked.entries} == {*odd, b"a.py"}
    git(here, "add", ".")
    assert seen(here).key == untracked.key


def test_submodules_are_asked_each_and_repositories_within_it_as_well(tmp_path: Path) -> None:
    inner = repository(tmp_path / "inner", m_dot_py="1\n", _dot_gitignore="*.log\n")
    lib = repository(tmp_path / "lib", l_dot_py="1\n")
    git(lib, "submodule", "--quiet", "add", str(inner), "third")
    git(lib, "commit", "-q", "-m", "inner")
    here = repository(tmp_path / "p", a_dot_py="1\n")
    git(here, "submodule", "--quiet", "add", str(lib), "libs/lib")
    git(here, "commit", "-q", "-m", "lib")
    half = seen(here)
    assert names(half) == {"a.py", ".gitmodules", "libs/lib/l.py", "libs/lib/.gitmodules"}
    assert half.notes == ("submodule libs/lib/third is not checked out: git submodule update --init",)
    git(here, "submodule", "--quiet", "update", "--init", "--recursive")
    write(here, libs__lib__third__new_dot_py="2\n", libs__lib__third__x_dot_log="3\n")
    repository(here / "nested", n_dot_py="1\n")
    whole = seen(here)
    assert names(whole) - names(half) == {
        *("libs/lib/third/m.py", "libs/lib/third/.gitignore", "libs/lib/third/new.py", "nested/n.py"),
    }
    assert whole.notes == ()
    assert whole.is_dirty


def test_links_stay_links_and_lead_where_they_led(tmp_path: Path) -> None:
    here = repository(tmp_path / "p", a_dot_py="1\n", pkg__b_dot_py="2\n")
    (tmp_path / "scratch").mkdir()
    for name, target in (
        ("in", "a.py"),
        ("pkg/up", "../a.py"),
        ("out", "../scratch"),
        ("far", "/scratch/data"),
        ("lost", "x"),
    ):
        (here / name).symlink_to(target)
    tree = seen(here)
    assert {os.fsdecode(name): os.fsdecode(target) for name, target in tree.targets.items()} == {
        "in": "a.py",
        "pkg/up": "../a.py",
        "out": str(tmp_path / "scratch"),  # from a copy ../scratch would lead elsewhere
        "far": "/scratch/data",
        "lost": "x",
    }
    (note,) = tree.notes
    assert note == f"what its links lead to is not in it: far -> /scratch/data, out -> {tmp_path}/scratch"


def test_what_is_no_file_and_pointers_of_lfs_are_named(tmp_path: Path) -> None:
    here = repository(tmp_path / "p", a_dot_py="1\n")
    os.mkfifo(here / "pipe")
    write(here, model_dot_bin="version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n")
    tree = seen(here)
    assert names(tree) == {"a.py", "model.bin"}
    assert "1 of its files are pointers of git LFS, and not what they stand for: git lfs pull" in tree.notes
    bare = tmp_path / "bare"
    write(bare, a_dot_py="1\n", _dot_git__HEAD="no repository\n", __pycache____a_dot_pyc="2\n", pkg__c_dot_py="3\n")
    os.mkfifo(bare / "pipe")
    assert names(seen(bare)) >= {"a.py", "pkg/c.py"}
    assert not {name for name in names(seen(bare)) if name.startswith(".git/")}


def test_what_is_too_much_is_refused_with_what_takes_the_room(tmp_path: Path) -> None:
    here = repository(tmp_path / "p", a_dot_py="1\n")
    for number in range(12):
        write(here, **{f"data__d{number}": "x" * (100 + number)})
    with pytest.raises(BadScript) as large:
        seen(here, GPU_QUEUE_SNAPSHOT_SIZE="1K")
    told = str(large.value)
    assert "would hold 1.2K, and may hold 1K; the largest: data/d11 111B, data/d10 110B" in told
    assert "data/d1 " not in told  # ten
    assert ".gitignore" in told
    assert "快照" in large.value.chinese
    with pytest.raises(BadScript, match=r"more than 5 files \(13 were found, most of them in data/ 12, \./ 1\)"):
        seen(here, GPU_QUEUE_SNAPSHOT_FILES="5")
    with pytest.raises(BadScript, match=r"more than 110B, 1 of them; the largest: data/d11 111B"):
        seen(here, GPU_QUEUE_SNAPSHOT_FILE_SIZE="110")
    assert names(seen(here, GPU_QUEUE_SNAPSHOT_FILES="5", GPU_QUEUE_SNAPSHOT_EXCLUDE="data")) == {"a.py"}
    assert "data/d3" not in names(seen(here, GPU_QUEUE_SNAPSHOT_EXCLUDE="*3:*.pt"))
    with pytest.raises(BadScript, match="GPU_QUEUE_SNAPSHOT_SIZE=lots cannot be obeyed; expected for example 200M"):
        seen(here, GPU_QUEUE_SNAPSHOT_SIZE="lots")


def test_nobody_packs_his_home_directory_or_the_queue(tmp_path: Path) -> None:
    write(tmp_path / "home", a_dot_py="1\n")
    with pytest.raises(BadScript, match="is no directory of which a snapshot is taken"):
        seen(tmp_path / "home", HOME=str(tmp_path / "home"))
    here = repository(tmp_path / "p", a_dot_py="1\n")
    write(here, queues__exp__pending__x="1\n")
    assert names(look(str(here), {}, str(here / "queues"))) == {"a.py"}


def test_without_git_the_directory_is_taken_and_a_git_that_refuses_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = repository(tmp_path / "p", a_dot_py="1\n", _dot_gitignore="data/\n")
    write(here, data__x="1\n")
    binaries = tmp_path / "bin"
    binaries.mkdir()
    monkeypatch.setenv("PATH", str(binaries))
    none = seen(here)
    assert names(none) == {"a.py", ".gitignore", "data/x"}
    assert none.notes == (
        "git was not asked (git cannot be started (No such file or directory)): all of the directory is taken",
    )
    (binaries / "git").write_text("#!/bin/sh\necho 'fatal: detected dubious ownership' >&2; exit 128\n")
    (binaries / "git").chmod(0o755)
    assert seen(here).notes == ("git was not asked (detected dubious ownership): all of the directory is taken",)
