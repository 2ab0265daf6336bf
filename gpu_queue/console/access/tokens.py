"""The tokens: two files in ``$XDG_CONFIG_HOME/gpu-queue``, each 256 bits of chance, that only their owner can read.

``console.token`` may do all that the console's user may; ``console.read-token`` reads.  A cookie holds none of them,
but what can be computed from one and leads back to none.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass

from gpu_queue.console.access.deciding import Level
from gpu_queue.errors import SettingsError
from gpu_queue.texts import printable

FULL, READ = "console.token", "console.read-token"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,200}")
_LIMIT_BYTES = 1024
_COOKIE = b"gpu-queue console cookie 1 "


@dataclass(frozen=True)
class Tokens:
    """Both."""

    full: str
    read: str

    def level_of(self, token: str) -> Level:
        """What a token is for; OPEN: it is wrong."""
        return _matching(token, self.full, self.read)

    def level_of_cookie(self, value: str) -> Level:
        """The same of a cookie's value."""
        return _matching(value, self.cookie(Level.CHANGE), self.cookie(Level.TEXTS))

    def cookie(self, level: Level) -> str:
        """The value of the cookie for what a token is for."""
        token = self.full if level is Level.CHANGE else self.read
        return hmac.new(token.encode(), _COOKIE + level.name.encode(), hashlib.sha256).hexdigest()


def _matching(given: str, full: str, read: str) -> Level:
    found = given.encode("utf-8", "surrogateescape")
    is_full = hmac.compare_digest(found, full.encode())
    is_read = hmac.compare_digest(found, read.encode())
    return Level.CHANGE if is_full else Level.TEXTS if is_read else Level.OPEN


def directory_of(environment: Mapping[str, str], home: str) -> str:
    """Where the tokens lie."""
    own = environment.get("XDG_CONFIG_HOME", "")
    return f"{own if own.startswith('/') else f'{home}/.config'}/gpu-queue"


def read_tokens(directory: str) -> Tokens:
    """The tokens, made where there are none yet.

    Raises:
        SettingsError: others could read or replace them, or they cannot be made.
    """
    try:
        os.makedirs(directory, 0o700, exist_ok=True)
        _check_directory(directory)
        return Tokens(_read(f"{directory}/{FULL}"), _read(f"{directory}/{READ}"))
    except OSError as error:
        raise SettingsError(f"{printable(str(error.filename or directory))}: {error.strerror}") from error


def _check_directory(directory: str) -> None:
    facts = os.stat(directory)
    if facts.st_uid not in (0, os.geteuid()):
        raise SettingsError(f"{printable(directory)}: {_owner(facts.st_uid)}; {_ELSEWHERE}")
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise SettingsError(
            f"{printable(directory)}: others can write it, and so replace the console's token; chmod go-w it"
        )


_ELSEWHERE = "set XDG_CONFIG_HOME to a directory on storage that lets this user own files"


def _owner(uid: int) -> str:
    return f"it belongs to the user {uid}, not to {os.geteuid()} who starts the console"


def _read(path: str) -> str:
    for _ in range(2):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            _make(path)
            continue
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise SettingsError(f"{printable(path)}: expected a file, and no link; remove it") from None
            raise
        try:
            return _checked(path, descriptor)
        finally:
            os.close(descriptor)
    raise SettingsError(f"{printable(path)}: it goes away as it is made; try again")


def _checked(path: str, descriptor: int) -> str:
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        raise SettingsError(f"{printable(path)}: expected a file; remove it, and a new one is made")
    if facts.st_uid != os.geteuid():
        raise SettingsError(f"{printable(path)}: {_owner(facts.st_uid)}; {_ELSEWHERE}")
    if facts.st_mode & 0o077:
        raise SettingsError(
            f"{printable(path)}: others may have read this token (mode {facts.st_mode & 0o777:04o}, expected 0600); "
            "remove it, and a new one is made"
        )
    text = os.read(descriptor, _LIMIT_BYTES).decode("ascii", "replace").strip()
    if not _TOKEN.fullmatch(text):
        raise SettingsError(
            f"{printable(path)}: expected 32 to 200 letters, digits, - and _; remove it, and a new one is made"
        )
    return text


def _make(path: str) -> None:
    """Make it, whole or not at all; where another console was quicker, its one stays."""
    hidden = f"{os.path.dirname(path)}/.{secrets.token_hex(8)}"
    descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{secrets.token_urlsafe(32)}\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(hidden, path)
        except FileExistsError:
            pass
        except OSError:  # no hard links here; who starts two at once may have to start one of them anew
            if not os.path.lexists(path):
                os.rename(hidden, path)
    finally:
        try:
            os.unlink(hidden)
        except FileNotFoundError:
            pass
