"""Checking, opening and caching files that are to be sent.

    cache = FileCache(max_bytes=1000000)
    cache.put("logo", value, [(path, file_key(path))])
    cache.get("logo")        # value, until the file at path changes
"""
from __future__ import absolute_import, division, print_function

import errno
import functools
import hashlib
import io
import os
import re
import stat
import sys
import time

from friendserve.web.errors import HTTPError

__all__ = ["COUNTS_REFERENCES", "FileCache", "SharedFile", "as_http_error", "file_key",
           "hash_of", "is_inside", "is_plain_windows_path", "open_file", "read_pieces",
           "status_key"]

_NOT_FOUND = frozenset([errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP,
                        errno.EINVAL])
_FORBIDDEN = frozenset([errno.EACCES, errno.EPERM, errno.EISDIR])

#: Path segments that Windows interprets as a device, a stream, or another name of a file.
_WINDOWS_SPECIAL = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9]|lpt[0-9]) *(?:\.|\Z)|.*:|.*[. ]\Z",
    re.IGNORECASE | re.DOTALL)

_stat = os.stat

try:
    # A system in FIPS mode allows MD5 only for this.
    _md5 = functools.partial(hashlib.md5, usedforsecurity=False)
    _md5()
except TypeError:
    # Before Python 3.9.
    _md5 = hashlib.md5


class _Entry(object):
    """A value, the pairs of path and `file_key` it depends on, its cost in bytes, and the loop's
    turn in which the files were last checked."""
    __slots__ = ("value", "watched", "cost", "turn")

    def __init__(self, value, watched, cost):
        self.value = value
        self.watched = watched
        self.cost = cost
        self.turn = None


class FileCache(object):
    """Values made from files, each cached until one of its files changes.

    When the total cost would exceed `max_bytes`, values not used recently are dropped.
    """

    #: Seconds since the last change of a file before a value made from it is cached: two changes
    #: within one tick of the file system's clock (two seconds at most) look the same.
    SETTLED = 2

    # Bytes added to the cost of each value.
    _OVERHEAD = 2048

    def __init__(self, max_bytes):
        self._max_bytes = max_bytes
        self.clear()

    def clear(self):
        """Drop everything."""
        # Two generations: a value that is used moves into the young one. When that fills half of
        # max_bytes, it becomes the old one, and the old one is dropped. Only the newest value can
        # exceed the limit.
        self._young = {}
        self._old = {}
        self._bytes = 0

    def get(self, key, turn=None):
        """The value stored under `key`; None if there is none, or if one of its files has changed.

        With `turn` (the loop's attribute) the files are checked at most once per turn: a request
        that arrived before the turn cannot have observed a change made during it. Without it, or
        on a loop whose `turn` is None, they are checked each time.
        """
        entry = self._young.get(key)
        if entry is None:
            entry = self._old.get(key)
            if entry is None:
                return None
            self._put(key, entry)
        checked_this_turn = turn is not None and entry.turn is turn
        if checked_this_turn or self._is_same(entry):
            entry.turn = turn
            return entry.value
        self._young.pop(key, None)
        return None

    @staticmethod
    def _is_same(entry):
        try:
            for path, before in entry.watched:
                # As `status_key`, without the call: most requests for files take this path.
                now = _stat(path)
                if (now.st_mtime, now.st_size, now.st_ino, now.st_ctime) != before:
                    return False
            return True
        except (OSError, ValueError):
            return False

    def put(self, key, value, watched, cost=0):
        """Cache `value`, which counts for `cost` bytes, until one of its files changes.

        `watched` are pairs of a path and its `file_key`, taken before the file was read.
        """
        now = time.time()
        for path, before in watched:
            if before is None or 0 <= now - before[0] < self.SETTLED or file_key(path) != before:
                return
        self._put(key, _Entry(value, watched, cost + self._OVERHEAD))

    def _put(self, key, entry):
        if self._bytes + entry.cost > self._max_bytes // 2:
            self._old = self._young
            self._young = {}
            self._bytes = 0
        self._bytes += entry.cost
        self._young[key] = entry


#: Whether an object goes, and a SharedFile closes, as soon as nothing refers to it.
COUNTS_REFERENCES = hasattr(sys, "getrefcount")


class SharedFile(object):
    """An open file that any number of responses can send; it closes with the last reference. To be
    used only where COUNTS_REFERENCES: elsewhere, open files that are no longer in use would pile up
    until garbage is collected."""
    __slots__ = ("_file", "name", "fileno", "seek", "read")

    def __init__(self, file):
        self._file = file
        self.name = file.name
        self.fileno, self.seek, self.read = file.fileno, file.seek, file.read

    def close(self):
        """Do nothing: other responses may still be sending the file."""

    def __del__(self):
        self._file.close()


def as_http_error(error, path):
    """The exception to raise for an EnvironmentError about a file: an HTTPError 404 or 403, or
    `error` itself if it says neither that the file is missing nor that it is forbidden."""
    if error.errno in _NOT_FOUND:
        return HTTPError(404)
    if error.errno in _FORBIDDEN:
        return HTTPError(403, "%s: %s", path, error.strerror)
    return error


def is_inside(root, path):
    """Whether an absolute path is that of a folder or of something in it, compared as text."""
    root, path = os.path.normcase(root), os.path.normcase(path)
    return path == root or path.startswith(root if root.endswith(os.sep) else root + os.sep)


def is_plain_windows_path(path):
    """Whether a path is safe on Windows: without drives, devices, streams and alternative names."""
    return "\\" not in path and not any(
        _WINDOWS_SPECIAL.match(segment) for segment in path.split("/"))


def open_file(path, checked=None):
    """Open a regular file for reading, unbuffered. Raises IOError EACCES if it is not one, or if it
    is not the file of `checked`, the result of `os.stat` that allowed sending it: a link can be
    replaced between the check and the opening."""
    # Non-blocking, in case the file has been replaced by a pipe.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)
                         | getattr(os, "O_BINARY", 0))
    opened = os.fstat(descriptor)
    if not stat.S_ISREG(opened.st_mode):
        os.close(descriptor)
        raise IOError(errno.EACCES, "not a regular file", path)
    if checked is not None and (opened.st_ino, opened.st_dev) != (checked.st_ino, checked.st_dev):
        os.close(descriptor)
        raise IOError(errno.EACCES, "replaced by another file after it was checked", path)
    source = io.FileIO(descriptor, "rb")
    # For error messages.
    source.name = path
    return source


def read_pieces(source, size, start=None, end=None):
    """The bytes of an open file from `start` up to, not including, `end`, in pieces of at most
    `size` bytes; without `end`, up to the end of the file. Closes it."""
    with source:
        position = start or 0
        source.seek(position)
        while end is None or position < end:
            piece = source.read(size if end is None else min(size, end - position))
            if not piece:
                return
            position += len(piece)
            yield piece


def hash_of(pieces):
    """A native string that identifies the content with these pieces: its MD5, as in Tornado, so
    that what browsers have cached remains valid. It guards against changes, not against attacks.
    """
    digest = _md5()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def file_key(path):
    """A tuple that changes when a file, or the list of files in a folder, changes: (modification
    time, size, inode, time of status change). None if there is nothing at `path`."""
    try:
        return status_key(_stat(path))
    except (EnvironmentError, ValueError, TypeError):
        return None


def status_key(status):
    """The `file_key` for a result of `os.stat`; None for None."""
    return status and (status.st_mtime, status.st_size, status.st_ino, status.st_ctime)
