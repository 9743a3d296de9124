"""Files that are sent: how they are looked at and opened, and a memory of those asked for often.

    cache = FileCache(max_bytes=1000000)
    cache.put("logo", file, [(path, file_key(path))])
    cache.get("logo")        # file, as long as nothing has changed at the path
"""
from __future__ import absolute_import, division, print_function

import errno
import io
import os
import re
import stat
import time

from friendserve.web.errors import HTTPError

__all__ = ["FileCache", "HeldFile", "file_key", "http_error", "is_inside", "is_plain_windows_path",
           "open_file", "status_key"]

_NOT_FOUND = frozenset([errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP,
                        errno.EINVAL])
_FORBIDDEN = frozenset([errno.EACCES, errno.EPERM, errno.EISDIR])

#: What Windows takes for a device or another name of a file, in one segment of a path.
_WINDOWS_SPECIAL = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9]|lpt[0-9]) *(?:\.|\Z)|.*:|.*[. ]\Z",
    re.IGNORECASE | re.DOTALL)

_stat = os.stat


class _Entry(object):
    """A value, the pairs of path and `file_key` it depends on, its size, and the turn in which
    they were looked at last."""
    __slots__ = ("value", "watched", "size", "turn")

    def __init__(self, value, watched, size):
        self.value = value
        self.watched = watched
        self.size = size
        self.turn = None


class FileCache(object):
    """Values made from files, remembered as long as the files are what they were.

    What was not asked for lately is forgotten when more than `max_bytes` would be remembered.
    """

    #: Seconds for which a file must have been left alone before anything of it is remembered:
    #: two changes within one tick of a file system's clock, of two seconds at most, look the same.
    SETTLED = 2

    # Counted for each value beside its own size.
    _OVERHEAD = 2048

    def __init__(self, max_bytes):
        self._max_bytes = max_bytes
        self.clear()

    def clear(self):
        """Forget everything."""
        # Two generations: what is asked for moves into the young one, and when that is half of
        # all, the old one is dropped. The one value that overruns the bound is the newest.
        self._young = {}
        self._old = {}
        self._bytes = 0

    def get(self, key, turn=None):
        """The value that was put in under `key`; None when there is none, or when one of its
        files has changed.

        With `turn`, the attribute of a loop, they are looked at once in it: who asks then on
        behalf of what had come before the turn, cannot have seen a change that came in it.
        """
        entry = self._young.get(key)
        if entry is None:
            entry = self._old.get(key)
            if entry is None:
                return None
            self._put(key, entry)
        if entry.turn is turn is not None or self._is_same(entry):
            entry.turn = turn
            return entry.value
        self._young.pop(key, None)
        return None

    @staticmethod
    def _is_same(entry):
        try:
            for path, before in entry.watched:
                # As `status_key`, without a call: this is the way of most files.
                now = _stat(path)
                if (now.st_mtime, now.st_size, now.st_ino, now.st_ctime) != before:
                    return False
            return True
        except (OSError, ValueError):
            return False

    def put(self, key, value, watched, size=0):
        """Remember `value`, which takes `size` bytes, as long as each of `watched`, pairs of a
        path and its `file_key` before it was read, stays as it is."""
        now = time.time()
        for path, before in watched:
            if before is None or 0 <= now - before[0] < self.SETTLED or file_key(path) != before:
                return
        self._put(key, _Entry(value, watched, size + self._OVERHEAD))

    def _put(self, key, entry):
        if self._bytes + entry.size > self._max_bytes // 2:
            self._old = self._young
            self._young = {}
            self._bytes = 0
        self._bytes += entry.size
        self._young[key] = entry


class HeldFile(object):
    """An open file that any number of responses send: it closes when the last has let go of it."""
    __slots__ = ("_file", "name", "fileno", "seek", "read")

    def __init__(self, file):
        self._file = file
        self.name = file.name
        self.fileno, self.seek, self.read = file.fileno, file.seek, file.read

    def close(self):
        """For one of them: others may go on."""

    def __del__(self):
        self._file.close()


def http_error(error, path):
    """The HTTPError for what the system said about a file; other than that, `error` itself."""
    if error.errno in _NOT_FOUND:
        return HTTPError(404)
    if error.errno in _FORBIDDEN:
        return HTTPError(403, "%s: %s", path, error.strerror)
    return error


def is_inside(root, path):
    """Whether an absolute path is that of a folder or of something in it, letter by letter."""
    root, path = os.path.normcase(root), os.path.normcase(path)
    return path == root or path.startswith(root if root.endswith(os.sep) else root + os.sep)


def is_plain_windows_path(path):
    """Whether a path means there what it says: no drive, device, stream or other name."""
    return "\\" not in path and not any(
        _WINDOWS_SPECIAL.match(segment) for segment in path.split("/"))


def open_file(path):
    # Not blocking, should somebody have put a pipe in the place of the file meanwhile.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)
                         | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IOError(errno.EACCES, "not a regular file", path)
    source = io.FileIO(descriptor, "rb")
    # For messages about it.
    source.name = path
    return source


def file_key(path):
    """What changes when a file does, or what is in a folder: (modification time, size, inode,
    time of change); None for what is not there."""
    try:
        return status_key(_stat(path))
    except (EnvironmentError, ValueError, TypeError):
        return None


def status_key(status):
    """The `file_key` of what `os.stat` returned, or None."""
    return status and (status.st_mtime, status.st_size, status.st_ino, status.st_ctime)
