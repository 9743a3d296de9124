"""StaticFileHandler: the files below one folder.

    Application([
        (r"/static/(.*)", StaticFileHandler, {"path": "/srv/app/static"}),
    ])

A small file that is asked for often is kept in memory, and looked at on disk each time to see
whether it is still the same. A large one is sent by the system, or goes out in pieces, each read
when the client has taken the one before it, so that a slow client costs no memory. Where
``app.js.br`` or ``app.js.gz`` lies beside ``app.js``, that is what goes to clients that accept it.

Methods with names like `get_content` are there to be overridden, for files that lie elsewhere than
in a folder.
"""
from __future__ import absolute_import, division, print_function

import calendar
import datetime
import email.utils
import hashlib
import mimetypes
import os
import re
import stat
import time

from friendserve.escape import native_str
from friendserve.httputil import format_timestamp
from friendserve.iostream.buffers import FilePiece
from friendserve.log import gen_log
from friendserve.web.decorators import asynchronous
from friendserve.web.errors import HTTPError
from friendserve.web.files import (
    FileCache, HeldFile, file_key, http_error, is_inside, is_plain_windows_path, open_file,
    status_key)
from friendserve.web.handler import RequestHandler
from friendserve.web.transforms import accepts_coding, add_vary

#: Bytes read, and held for one client, at a time.
PIECE_SIZE = 64 * 1024
#: Files above this size get a version from their time and size: reading them would keep the
#: loop from its other work.
MAX_HASHED_SIZE = 1024 * 1024
#: Files up to this size are kept in memory.
MAX_KEPT_SIZE = 128 * 1024
#: Bytes of memory for all of them, and for the versions of others.
MAX_MEMORY = 32 * 1024 * 1024
#: Files of more bytes are sent by the system, which copies none of them, and up to so many they are
#: held open for the next time: a deleted one takes room on the disk for as long.
SENT_BY_SYSTEM, MAX_HELD_SIZE = 32 * 1024, 1024 * 1024
#: What a file that is held open counts as, of MAX_MEMORY: that makes 64 of them.
_HELD_COST = 512 * 1024

#: Codings that are looked for beside a file (RFC 9110 8.4.1, RFC 7932), the smallest first: the
#: name in headers, the ending of the file.
PRECOMPRESSED = (("br", ".br"), ("gzip", ".gz"))

_EPOCH = datetime.datetime(1970, 1, 1)
_LAST_SECOND = 253402300799  # of the year 9999, where datetime ends

#: A class that overrides one of these knows what we do not, so its files are not kept in memory.
_HOOKS = ("get_content", "get_content_size", "parse_url_path", "get_absolute_path",
          "validate_absolute_path", "get_content_version", "get_modified_time",
          "get_content_type", "set_headers", "compute_etag")


#: The headers that tell of the file alone.
_FIELDS = ("Accept-Ranges", "Etag", "Content-Type", "Last-Modified", "Content-Encoding")


class _File(object):
    """What is known of a file that was found fit to be sent: all of an answer that is not due to
    the request. `content` is None for a large one, `source` for one that is not held open."""
    __slots__ = ("path", "absolute_path", "content_path", "status", "modified", "fields",
                 "varies", "content", "source")


class StaticFileHandler(RequestHandler):
    """Answers GET and HEAD with the files below the folder `path`.

    The group of the URL's pattern is the path of the file in it. `default_filename` is what
    is sent for a folder; without it, a folder is refused with 403. So is everything that is not a
    readable regular file, and what lies outside of the folder, also by way of a symbolic
    link; the folder itself may be one.

    Answers conditional requests (RFC 9110 13) and requests for one range (RFC 9110 14). A file
    beside it that holds the same compressed (`PRECOMPRESSED`) must not be older than it.

    A subclass that overrides no more than `get_cache_time`, `set_extra_headers` and what every
    handler has is as fast as this one.
    """

    #: How long a URL with a version may be kept by clients, in seconds: ten years.
    CACHE_MAX_AGE = 10 * 365 * 24 * 3600

    # Files by what answers depend on, and versions by class and path.
    _memory = FileCache(MAX_MEMORY)

    absolute_path = None
    _file = None
    _status = None
    _pieces = None
    _left = 0

    def initialize(self, path, default_filename=None):
        self.root = native_str(path)
        self.default_filename = default_filename

    @classmethod
    def reset(cls):
        """Forget all files and their versions."""
        cls._memory.clear()

    def head(self, path):
        """Answer with the headers alone; the content is not read."""
        return self.get(path, include_body=False)

    def get(self, path, include_body=True):
        """Answer with the file at `path`, a path as it stands in the URL."""
        key = self._memory_key(path)
        self._file = key and self._memory.get(key, self.request.connection.stream.io_loop.turn)
        try:
            if self._file is not None:
                self._recall()
            elif not self._look(path, key):
                return
            file = self._file
            size = self.get_content_size() if file is None else file.status.st_size
        except EnvironmentError as error:
            raise http_error(error, self.absolute_path or path)
        if self.should_return_304():
            self.set_status(304)
            self.finish()
            return
        start, end = 0, size
        if "Range" in self.request.headers._values and self._range_applies():
            wanted = _parse_range(self.request.headers["Range"], size)
            if wanted is None:
                self._refuse_range(size)
                return
            start, end = wanted
            if wanted != (0, size):
                self.set_status(206)
                self.set_header("Content-Range", "bytes %d-%d/%d" % (start, end - 1, size))
        if include_body and file is not None and file.content is not None and (
                file.source is None or self._transforms or start == end):
            self.finish(file.content if end - start == size else file.content[start:end])
            return
        self._headers._values["Content-Length"] = str(end - start)
        if not include_body:
            self.finish()
        elif self._transforms or end == start or not self._has_plain(_HOOKS[:1]):
            self._send_pieces(start, end)
        else:
            self._send_file(start, end)

    def _send_file(self, start, end):
        """Have the system send it: the content is nobody's business."""
        source = self._file and self._file.source
        try:
            if source is None:
                source = open_file(self.content_path)
        except EnvironmentError as error:
            raise http_error(error, self.content_path)
        try:
            # It goes by `write`, which is for bytes.
            self._write_buffer = [FilePiece(source, start, end - start)]
            self.finish()
        except Exception:
            if not self._headers_written:
                # Else the stream has it, and closes it.
                source.close()
            raise

    @asynchronous
    def _send_pieces(self, start, end):
        self._pieces = self._read_pieces(start, end)
        self._left = end - start
        self._send_next()

    def _send_next(self):
        """Send one more piece, never more bytes in all than the head announced."""
        piece = self._next_piece()[:self._left]
        self._left -= len(piece)
        if not self._left:
            # Dropping it closes the file.
            self._pieces = None
            self.finish(piece)
        elif piece:
            self.write(piece)
            self.flush(callback=self._send_next)
        else:
            # Too late for a word about it: only closing tells the client that bytes are missing.
            gen_log.warning("%s became shorter while it was sent", self.content_path)
            self.send_error(500)

    def _read_pieces(self, start, end):
        content = self.get_content(self.content_path, start, end)
        for piece in [content] if isinstance(content, bytes) else content:
            yield piece

    def _next_piece(self):
        """The next piece that is not empty; b"" when there is none."""
        try:
            while self._left:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                if piece:
                    return piece
        except EnvironmentError as error:
            raise http_error(error, self.content_path)
        return b""

    # Finding the file

    def _memory_key(self, path):
        """What the answer depends on, as the key of `_memory`; None for what is not kept."""
        root = self.root
        if not self._has_plain(_HOOKS) or not os.path.isabs(root) \
                or not self.application.settings.get("static_hash_cache", True):
            return None
        values = self.request.headers._values
        return (root, self.default_filename, path, self.request.path[-1:] == "/",
                _accepted_codings(values["Accept-Encoding"]) if "Accept-Encoding" in values else ())

    @classmethod
    def _has_plain(cls, names):
        """Whether methods are those of StaticFileHandler, and not overridden; `names` is a
        tuple."""
        try:
            return cls.__dict__["_known_plain"][names]
        except KeyError:
            known = dict(cls.__dict__.get("_known_plain", ()))
            known[names] = all(
                _definition(cls, name) is vars(StaticFileHandler)[name] for name in names)
            cls._known_plain = known
            return known[names]

    def _recall(self):
        """Take up what is remembered of the file."""
        file = self._file
        self.path = file.path
        self.absolute_path = file.absolute_path
        self.content_path = file.content_path
        self._status = file.status
        self.modified = file.modified
        self.set_headers()

    def _look(self, path, key):
        """Find out about the file, and remember it under `key` unless that is None. False when
        the response was finished meanwhile."""
        self.path = self.parse_url_path(path)
        absolute_path = self.get_absolute_path(self.root, self.path)
        self.absolute_path = self.validate_absolute_path(self.root, absolute_path)
        if self._finished or self.absolute_path is None:
            return False
        self.content_path = self.absolute_path
        folder = os.path.dirname(self.absolute_path)
        watched = [(folder, file_key(folder)), (self.absolute_path, status_key(self._status))]
        self._coding = self._varies = None
        if self._status is not None and self._has_plain(_HOOKS[:2]):
            self._find_compressed()
        self.modified = self.get_modified_time()
        self.set_headers()
        if key is not None:
            if self._coding is not None:
                watched.append((self.content_path, status_key(self._status)))
            self._keep(key, watched)
        return True

    def _find_compressed(self):
        """Take what lies beside the file in a coding that the client accepts."""
        accepted = _accepted_codings(self.request.headers.get("Accept-Encoding", ""))
        for coding, ending in PRECOMPRESSED:
            path = self.absolute_path + ending
            try:
                status = self._look_at(self.root, path)
            except (EnvironmentError, HTTPError):
                continue
            if not stat.S_ISREG(status.st_mode) or status.st_mtime < self._status.st_mtime \
                    or not os.access(path, os.R_OK):
                continue
            self._varies = True
            if coding in accepted:
                self._coding = coding
                self.content_path = path
                self._status = status
                return

    def _keep(self, key, watched):
        file = self._file = _File()
        file.path = self.path
        file.absolute_path = self.absolute_path
        file.content_path = self.content_path
        file.status = self._status
        file.modified = self.modified
        file.fields = self._fields
        file.varies = self._varies
        file.content = file.source = None
        size = self._status.st_size
        if size <= MAX_KEPT_SIZE:
            content = b"".join(self.get_content(self.content_path))
            if len(content) != size:
                # It changes just now.
                return
            file.content = content
        cost = len(file.content or b"") + len(self.path)
        if SENT_BY_SYSTEM < size <= MAX_HELD_SIZE and hasattr(os, "sendfile"):
            file.source = HeldFile(open_file(self.content_path))
            cost += _HELD_COST
        self._memory.put(key, file, watched, cost)

    # From the URL to the file

    def parse_url_path(self, url_path):
        """The path from the root, in the system's form, for the path in a URL.

        Raises HTTPError for one that is absolute or holds what has no place in a path.
        """
        path = native_str(url_path)
        segments = path.split("/")
        if path.startswith("/") or ".." in segments or "." in segments:
            raise HTTPError(403, "%r does not lead down from the static files", path)
        if "\0" in path or os.sep == "\\" and not is_plain_windows_path(path):
            raise HTTPError(404, "%r is no file name", path)
        return path.replace("/", os.sep)

    @classmethod
    def get_absolute_path(cls, root, path):
        """The absolute path of the file `path` below `root`; it need not exist."""
        return os.path.abspath(os.path.join(root, path))

    def validate_absolute_path(self, root, absolute_path):
        """The path of the file to send for `absolute_path`; None when the response was finished.

        Raises HTTPError 403 for what may not be sent and 404 for what is not there.
        Nothing outside of `root` is looked at.
        """
        path = absolute_path
        if not is_inside(os.path.abspath(root), path):
            raise HTTPError(403, "%s is outside of the static files", path)
        try:
            status = self._look_at(root, path)
            if stat.S_ISREG(status.st_mode) and self.path.endswith(os.sep):
                raise HTTPError(404)
            if stat.S_ISDIR(status.st_mode) and self.default_filename is not None:
                request = self.request
                if not request.path.endswith("/"):
                    # More than one slash in front would make the name of a host of it.
                    self.redirect("/" + request.path.lstrip("/\\") + "/"
                                  + ("?" + request.query if request.query else ""),
                                  permanent=True)
                    return None
                path = os.path.join(path, self.default_filename)
                status = self._look_at(root, path)
        except EnvironmentError as error:
            raise http_error(error, path)
        except ValueError:
            # A character that no file name of this system can have.
            raise HTTPError(404, "%r is no file name", path)
        if not stat.S_ISREG(status.st_mode) or not os.access(path, os.R_OK):
            raise HTTPError(403, "%s is not a readable file", path)
        self._status = status
        return path

    @staticmethod
    def _look_at(root, path):
        real = os.path.realpath(path)
        if real != path and not is_inside(os.path.realpath(root), real):
            raise HTTPError(403, "%s is a link that leads outside of the static files", path)
        return os.stat(real)

    # The content

    @classmethod
    def get_content(cls, abspath, start=None, end=None):
        """The bytes from `start` up to, not including, `end`, as an iterator of pieces.

        May return bytes instead. Without `end`, all that there is.
        """
        with open_file(abspath) as source:
            position = start or 0
            source.seek(position)
            while end is None or position < end:
                wanted = PIECE_SIZE if end is None else min(PIECE_SIZE, end - position)
                piece = source.read(wanted)
                if not piece:
                    return
                position += len(piece)
                yield piece

    @classmethod
    def get_content_version(cls, abspath):
        """A native string that changes when the content does: a hash of it.

        For a file above MAX_HASHED_SIZE it is made of the modification time and size.
        """
        digest = hashlib.sha256()
        key = file_key(abspath)
        if key is not None and key[1] > MAX_HASHED_SIZE:
            digest.update(repr(key[:2]).encode("ascii"))
        else:
            content = cls.get_content(abspath)
            for piece in [content] if isinstance(content, bytes) else content:
                digest.update(piece)
        return digest.hexdigest()[:32]

    @classmethod
    def _find_version(cls, abspath, use_memory=True):
        """`get_content_version`, remembered as long as the file stays as it is."""
        version = cls._memory.get((cls, abspath)) if use_memory else None
        if version is None:
            watched = [(abspath, file_key(abspath))]
            version = cls.get_content_version(abspath)
            if use_memory:
                cls._memory.put((cls, abspath), version, watched)
        return version

    def _get_status(self):
        if self._status is None:
            self._status = os.stat(self.content_path)
        return self._status

    def get_content_size(self):
        """The size of the whole content in bytes."""
        return self._get_status().st_size

    def get_modified_time(self):
        """When the content was last changed, a datetime (UTC) of whole seconds; or None."""
        seconds = min(int(self._get_status().st_mtime), _LAST_SECOND)
        return _EPOCH + datetime.timedelta(seconds=seconds)

    def get_content_type(self):
        """The media type, by the name of the file."""
        media_type, encoding = mimetypes.guess_type(self.absolute_path)
        if encoding == "gzip":
            # It is sent as the archive it is, not to be unpacked on the way (RFC 6713).
            return "application/gzip"
        if encoding is not None or media_type is None:
            return "application/octet-stream"
        return media_type

    # Headers

    def set_headers(self):
        """Set the headers that do not depend on the range, `set_extra_headers` last."""
        values = self._headers._values
        if self._file is not None:
            values.update(self._file.fields)
            self._varies = self._file.varies
        else:
            self._fields = self._make_fields()
        if self._varies:
            add_vary(self._headers)
        seconds = self.get_cache_time(self.path, self.modified, values.get("Content-Type"))
        if seconds > 0:
            self.set_header("Cache-Control", "max-age=%d" % seconds)
            self.set_header("Expires", format_timestamp(int(time.time()) + seconds))
        self.set_extra_headers(self.path)

    def _make_fields(self):
        """Set the headers that tell of the file alone; returns them, name and value."""
        self.set_header("Accept-Ranges", "bytes")
        self.set_etag_header()
        content_type = self.get_content_type()
        if content_type:
            self.set_header("Content-Type", content_type)
        if self.modified is not None:
            self.set_header("Last-Modified", self.modified)
        if self._coding is not None:
            self.set_header("Content-Encoding", self._coding)
        values = self._headers._values
        return dict((name, values[name]) for name in _FIELDS if name in values)

    def set_extra_headers(self, path):
        """Override this to set further headers."""

    def get_cache_time(self, path, modified, mime_type):
        """For how many seconds a client may keep the response without asking; 0: not said.

        Only a URL with a version (``?v=``) never changes what it means.
        """
        request = self.request
        return self.CACHE_MAX_AGE if request.query and "v" in request.arguments else 0

    def compute_etag(self):
        """The version of the content as an ETag; None when it has none."""
        version = self._find_version(
            self.content_path, self.settings.get("static_hash_cache", True))
        return '"%s"' % version if version else None

    # Conditions and ranges

    def should_return_304(self):
        """Whether the client has what would be sent (RFC 9110 13.2.2: an ETag counts first)."""
        headers = self.request.headers
        if "If-None-Match" in headers._values:
            return self.check_etag_header()
        if "If-Modified-Since" not in headers._values:
            return False
        since = _parse_date(headers["If-Modified-Since"])
        return (since is not None and self.modified is not None
                and calendar.timegm(self.modified.utctimetuple()) <= since)

    def _range_applies(self):
        """Whether what the client has a part of is still the same (RFC 9110 13.1.5)."""
        condition = self.request.headers.get("If-Range")
        return condition is None or condition in (
            self._headers.get("Etag"), self._headers.get("Last-Modified")) \
            and not condition.startswith("W/")

    def _refuse_range(self, size):
        for name in ("Cache-Control", "Expires", "Content-Encoding"):
            self.clear_header(name)
        self.set_status(416)
        self.set_header("Content-Type", "text/plain")
        self.set_header("Content-Range", "bytes */%d" % size)
        self.finish()

    # URLs

    @classmethod
    def make_static_url(cls, settings, path, include_version=True):
        """The URL of a file, with its version in it: what `RequestHandler.static_url` returns.

        `path` counts from the setting static_path and is put in as it is.
        """
        url = settings.get("static_url_prefix", "/static/") + path
        version = cls.get_version(settings, path) if include_version else None
        return "%s?v=%s" % (url, version) if version else url

    @classmethod
    def get_version(cls, settings, path):
        """The version of a file for its URL; None when it cannot be read."""
        absolute_path = cls.get_absolute_path(settings["static_path"], path)
        try:
            return cls._find_version(absolute_path, settings.get("static_hash_cache", True))
        except (EnvironmentError, TypeError, ValueError):
            gen_log.error("Cannot read the static file %r", absolute_path)
            return None


def _definition(cls, name):
    """What stands for `name` in the class that defines it."""
    for one in cls.__mro__:
        if name in vars(one):
            return vars(one)[name]


_accepted = {}


def _accepted_codings(header):
    """Which of PRECOMPRESSED a client with this Accept-Encoding takes."""
    if isinstance(header, list):
        header = ",".join(header)
    codings = _accepted.get(header)
    if codings is None:
        codings = tuple(coding for coding, _ in PRECOMPRESSED if accepts_coding(header, coding))
        if len(header) < 200:
            if len(_accepted) >= 1000:
                _accepted.clear()
            _accepted[header] = codings
    return codings


def _parse_date(text):
    """The POSIX time of an HTTP date; None for what is none."""
    try:
        return email.utils.mktime_tz(email.utils.parsedate_tz(text))
    except (AttributeError, IndexError, OverflowError, TypeError, ValueError):
        return None


# Nineteen digits and more are no number that a file could have.
_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*\Z", re.IGNORECASE)


def _parse_range(header, size):
    """(start, end) of a Range header for a content of `size` bytes, `end` not included.

    All of it, (0, size), for what is no single range of bytes: such a header is ignored
    (RFC 9110 14.2). None for a range that cannot be satisfied.
    """
    match = _RANGE.match(header)
    first, last = match.groups() if match is not None else ("", "")
    if not first and not last:
        return 0, size
    if not first:
        # So many of the last bytes.
        return (max(0, size - int(last)), size) if int(last) else None
    start = int(first)
    end = min(int(last) + 1, size) if last else size
    return (start, end) if start < end or start == 0 == size else None
