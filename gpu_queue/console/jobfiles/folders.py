"""A directory of a queue that others may write in: opened once, and all in it reached from there, through no link."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator

from gpu_queue.spool import files
from gpu_queue.texts import printable

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class CannotUse(Exception):
    """What lies there is nothing that is used, and why, for people; ``code`` is for programs."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


class Folder:
    """An open directory.  What is read of it is bounded, and is regular files alone."""

    def __init__(self, descriptor: int, path: str) -> None:
        self.descriptor = descriptor
        self.path = path

    def names(self, at_most: int) -> list[str]:
        """Names in it, in no order.

        Raises:
            OSError: the storage failed.
        """
        with os.scandir(self.descriptor) as found:
            return [one.name for _, one in zip(range(at_most), found, strict=False)]

    def read(self, name: str, limit_bytes: int) -> tuple[bytes, os.stat_result]:
        """A regular file, whole.

        Raises:
            FileNotFoundError: it is not there.
            CannotUse: it is no regular file, is too large, or may not be read.
            OSError: the storage failed.
        """
        with self._opened(name) as (descriptor, facts):
            if facts.st_size > limit_bytes:
                raise CannotUse("too_large", f"{facts.st_size} bytes; expected at most {limit_bytes}")
            content = files.read_all(descriptor, limit_bytes + 1, 0)
        if len(content) > limit_bytes:  # it has grown meanwhile, or says nothing of its size
            raise CannotUse("too_large", f"more than {limit_bytes} bytes; expected at most so many")
        return content, facts

    def facts(self, name: str) -> os.stat_result:
        """What a name stands for, as the server has it now.

        Raises:
            FileNotFoundError, CannotUse, OSError: as in :meth:`read`.
        """
        with self._opened(name) as (_, facts):
            return facts

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[tuple[int, os.stat_result]]:
        try:
            descriptor = os.open(name, _FILE, dir_fd=self.descriptor)
        except OSError as error:
            raise _told(error) from None
        try:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise CannotUse("not_a_file", f"it is a {files.kind_of(facts.st_mode)}; expected a regular file")
            yield descriptor, facts
        finally:
            os.close(descriptor)

    def write(self, name: str, content: bytes, *, is_new: bool = False) -> os.stat_result:
        """Put a file in place, so that nobody sees half of it.

        Args:
            name: of the file.
            content: all of it.
            is_new: there must be none.

        Raises:
            FileExistsError: there is one, whatever it is.
            OSError: it could not be written; nothing is left behind.
        """
        temporary = f".{secrets.token_hex(6)}.tmp"
        try:
            descriptor = files.create(temporary, os.O_EXCL | os.O_NOFOLLOW, self.descriptor)
            try:
                files.write_all(descriptor, content)
                files.hand_over(descriptor, self.path)
                shared = stat.S_IMODE(os.fstat(self.descriptor).st_mode) & 0o066
                if shared:
                    os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) | shared)
                facts = os.fstat(descriptor)
            finally:
                os.close(descriptor)
            self._put(temporary, name, is_new=is_new)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=self.descriptor)
            raise
        return facts

    def _put(self, temporary: str, name: str, *, is_new: bool) -> None:
        if not is_new:
            os.rename(temporary, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
            return
        try:
            os.link(temporary, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError:  # a filesystem without links: who makes the name first has it
            os.close(
                os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=self.descriptor)
            )
            os.rename(temporary, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        else:
            os.unlink(temporary, dir_fd=self.descriptor)

    def move(self, name: str, to: Folder, new_name: str) -> None:
        """Move a file to another directory of the queue; one of that name must not be there.

        Raises:
            FileNotFoundError: it is not there.
            FileExistsError: there is one of the new name.
            OSError: it cannot be moved.
        """
        try:
            os.lstat(new_name, dir_fd=to.descriptor)
        except FileNotFoundError:
            os.rename(name, new_name, src_dir_fd=self.descriptor, dst_dir_fd=to.descriptor)
        else:
            raise FileExistsError(errno.EEXIST, "there is one of that name", new_name)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with contextlib.suppress(FileNotFoundError, IsADirectoryError, PermissionError):
            os.unlink(name, dir_fd=self.descriptor)


def _told(error: OSError) -> Exception:
    if error.errno == errno.ELOOP:
        return CannotUse("not_a_file", "it is a symbolic link; expected a regular file")
    if error.errno in (errno.ENXIO, errno.ENODEV):
        return CannotUse("not_a_file", "it is a socket or device; expected a regular file")
    if error.errno in (errno.EACCES, errno.EPERM):
        return CannotUse("unreadable", f"{error.strerror}; expected a file that this user may read")
    if error.errno in (errno.ENAMETOOLONG, errno.EINVAL):
        return FileNotFoundError(errno.ENOENT, "there is no such file")
    return error


@contextlib.contextmanager
def folder(root: str, *below: str, make: bool = False) -> Iterator[Folder]:
    """A directory below another one.

    Args:
        root: of the queue.
        below: names of directories, each in the one before.
        make: those that are missing, as open to others as the one above.

    Raises:
        FileNotFoundError: one is not there.
        CannotUse: one is a link, or no directory.
        OSError: the storage failed.
    """
    descriptor, path = os.open(os.path.realpath(root), _DIRECTORY), root
    try:
        for name in below:
            above, path = path, f"{path}/{name}"
            if make:
                mode = stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o777 | 0o700
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, mode, dir_fd=descriptor)
                    files.hand_over(path, above)
            try:
                inner = os.open(name, _DIRECTORY, dir_fd=descriptor)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    why = f"{printable(path)}: it is a link, or no directory; move it away, and it is made anew"
                    raise CannotUse("not_a_directory", why) from None
                raise
            os.close(descriptor)
            descriptor = inner
        yield Folder(descriptor, path)
    finally:
        os.close(descriptor)
