"""The files with the tokens: who could have read or written them decides whether they count."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from gpu_queue.console.access.deciding import Level
from gpu_queue.console.access.tokens import FULL, READ, read_tokens
from gpu_queue.errors import SettingsError

STRANGER = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made = tmp_path / "gpu-queue"
    made.mkdir(0o700)
    return made


def test_they_are_made_once_for_their_owner_alone(tmp_path: Path) -> None:
    place = tmp_path / "config" / "gpu-queue"
    made = read_tokens(str(place))
    assert read_tokens(str(place)) == made
    assert len({made.full, made.read}) == 2
    assert min(len(made.full), len(made.read)) >= 43  # 256 bits
    assert sorted(os.listdir(place)) == sorted((FULL, READ))
    assert {os.stat(place / name).st_mode & 0o777 for name in (FULL, READ)} == {0o600}
    assert os.stat(place).st_mode & 0o777 == 0o700


def test_consoles_that_start_at_once_have_the_same(place: Path) -> None:
    found = []
    threads = [threading.Thread(target=lambda: found.append(read_tokens(str(place)))) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert sorted(os.listdir(place)) == sorted((FULL, READ))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o644])
def test_one_that_others_could_read_is_refused(place: Path, mode: int) -> None:
    read_tokens(str(place))
    (place / FULL).chmod(mode)
    with pytest.raises(SettingsError, match=rf"console\.token: others may have read .*mode {mode:04o}.*0600.*remove"):
        read_tokens(str(place))


def test_a_link_is_refused(place: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("a" * 43)
    (tmp_path / "mine").chmod(0o600)
    (place / FULL).symlink_to(tmp_path / "mine")
    with pytest.raises(SettingsError, match="no link"):
        read_tokens(str(place))


def test_a_link_to_nothing_makes_nothing_there(place: Path, tmp_path: Path) -> None:
    (place / FULL).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match="no link"):
        read_tokens(str(place))
    assert not (tmp_path / "elsewhere").exists()


def test_a_pipe_is_not_waited_for(place: Path) -> None:
    os.mkfifo(place / FULL, 0o600)
    with pytest.raises(SettingsError, match="expected a file"):
        read_tokens(str(place))


def test_a_directory_is_refused(place: Path) -> None:
    (place / FULL).mkdir(0o700)
    with pytest.raises(SettingsError, match="expected a file"):
        read_tokens(str(place))


@as_root
def test_one_of_somebody_else_is_refused(place: Path) -> None:
    read_tokens(str(place))
    os.chown(place / FULL, STRANGER, -1)
    with pytest.raises(SettingsError, match=f"belongs to the user {STRANGER}"):
        read_tokens(str(place))


@as_root
def test_a_directory_of_somebody_else_is_refused(place: Path) -> None:
    os.chown(place, STRANGER, -1)
    with pytest.raises(SettingsError, match=f"belongs to the user {STRANGER}"):
        read_tokens(str(place))


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_a_directory_that_others_can_write_is_refused(place: Path, mode: int) -> None:
    place.chmod(mode)
    with pytest.raises(SettingsError, match="chmod go-w"):
        read_tokens(str(place))
    assert os.listdir(place) == []


@pytest.mark.parametrize("text", ["", "\n", "short", "a" * 31, "a" * 201, "a" * 40 + " b", "ä" * 40, "\0" * 64])
def test_what_is_no_token_is_refused(place: Path, text: str) -> None:
    (place / FULL).write_text(text)
    (place / FULL).chmod(0o600)
    with pytest.raises(SettingsError, match="expected 32 to 200"):
        read_tokens(str(place))


def test_a_token_of_ones_own_counts(place: Path) -> None:
    (place / FULL).write_text("my-own-token-of-more-than-32-characters\n")
    (place / FULL).chmod(0o600)
    assert read_tokens(str(place)).full == "my-own-token-of-more-than-32-characters"


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="file/gpu-queue: Not a directory"):
        read_tokens(str(tmp_path / "file" / "gpu-queue"))


def test_each_token_and_cookie_is_known_for_what_it_is(place: Path) -> None:
    tokens = read_tokens(str(place))
    assert tokens.level_of(tokens.full) is Level.CHANGE
    assert tokens.level_of(tokens.read) is Level.TEXTS
    for wrong in ("", tokens.full[:-1], f"{tokens.full} ", tokens.full.swapcase(), "ä", "\udcff"):
        assert tokens.level_of(wrong) is Level.OPEN
        assert tokens.level_of_cookie(wrong) is Level.OPEN
    full, read = tokens.cookie(Level.CHANGE), tokens.cookie(Level.TEXTS)
    assert tokens.level_of_cookie(full) is Level.CHANGE
    assert tokens.level_of_cookie(read) is Level.TEXTS
    assert tokens.level_of(full) is tokens.level_of_cookie(tokens.full) is Level.OPEN
    assert tokens.full not in full
