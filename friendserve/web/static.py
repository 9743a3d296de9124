"""StaticFileHandler: the files below one folder.

    Application([
        (r"/static/(.*)", StaticFileHandler, {"path": "/srv/app/static"}),
    ])

A request goes through three steps: find the file, in memory or on disk; answer 304 if the client
has it already; send the part that the client asks for.

A small file that is requested often is kept in memory, and checked on disk for changes each time.
A large one is sent by the system, or in pieces, each read when the one before it has been sent, so
that a slow client costs no memory. If ``app.js.br`` or ``app.js.gz`` is next to ``app.js``, clients
that accept the coding get that.

Methods with names like `get_content` can be overridden to serve files from somewhere other than a
folder.
"""
from __future__ import absolute_import, division, print_function

import datetime
import mimetypes
import os
import re
import stat
import time

from six.moves.urllib.parse import quote

from friendserve.escape import native_str, utf8
from friendserve.httputil import format_timestamp
from friendserve.iostream.buffers import FilePiece
from friendserve.log import gen_log
from friendserve.protocol.urls import quote_octets
from friendserve.web.conditions import is_modified_since, is_unmodified_since, select_part
from friendserve.web.decorators import asynchronous
from friendserve.web.errors import HTTPError
from friendserve.web.etags import is_same_etag
from friendserve.web.files import (
    COUNTS_REFERENCES, FileCache, SharedFile, as_http_error, file_key, hash_of, is_inside,
    is_plain_windows_path, open_file, read_pieces, status_key)
from friendserve.web.handler import RequestHandler
from friendserve.web.transforms import PRECOMPRESSED, accepted_codings, add_vary

#: Bytes read at a time, and held in memory for each client.
PIECE_SIZE = 64 * 1024
#: Files larger than this get a version made from their time and size: reading them to hash them
#: would block the loop.
MAX_HASHED_SIZE = 1024 * 1024
#: Files up to this size are kept in memory.
MAX_KEPT_SIZE = 128 * 1024
#: Bytes of memory for all kept files, and for the versions of others.
MAX_MEMORY = 32 * 1024 * 1024
#: Files larger than this are sent by the system, without copying them through this process.
SENT_BY_SYSTEM = 32 * 1024
#: Those up to this size are held open for the next request. A deleted file that is held open still
#: takes up space on the disk.
MAX_HELD_SIZE = 1024 * 1024
#: How much of MAX_MEMORY a file held open uses up; this limits them to 64.
_HELD_COST = 512 * 1024

_EPOCH = datetime.datetime(1970, 1, 1)
_LAST_SECOND = 253402300799  # of the year 9999, the last of datetime

#: If a subclass overrides any of these, its response may depend on more than the file, so it is
#: not cached.
_HOOKS = ("parse_url_path", "get_absolute_path", "validate_absolute_path", "get_modified_time",
          "set_headers", "compute_etag", "get_content_version", "get_content_type",
          "get_content_size", "get_content")

#: The headers that depend on the file alone.
_FILE_HEADERS = ("Accept-Ranges", "Etag", "Content-Type", "Last-Modified", "Content-Encoding")


class _File(object):
    """A file kept for further requests: the part of a response that depends on the file alone.

    `fields` are its headers, and `varies` is true if there are compressed files next to it.
    `content` is None for a large file, `source` for one that is not held open, and `version` until
    a URL has one.
    """
    __slots__ = ("path", "absolute_path", "content_path", "status", "modified", "fields",
                 "varies", "content", "source", "version")


class _Plan(object):
    """What may be done with the files of one handler class, given the hooks it overrides."""
    __slots__ = ("handler_class", "keeps_files", "finds_compressed", "sends_by_system")

    def __init__(self, handler_class):
        self.handler_class = handler_class
        # The content is that of the file, byte for byte.
        self.sends_by_system = _inherits(handler_class, "get_content")
        self.finds_compressed = self.sends_by_system and _inherits(
            handler_class, "get_content_size")
        self.keeps_files = all(_inherits(handler_class, name) for name in _HOOKS)


def _inherits(cls, name):
    """Whether a class has the method `name` as StaticFileHandler defines it."""
    definition = next(vars(base)[name] for base in cls.__mro__ if name in vars(base))
    return definition is vars(StaticFileHandler)[name]


class StaticFileHandler(RequestHandler):
    """Answers GET and HEAD with the files below the folder `path`.

    The group of the URL's pattern is the path of the file within the folder. For a folder,
    `default_filename` is sent; without it, a folder is refused with 403. So is anything that is
    not a readable regular file, and anything outside the folder, including by way of a symbolic
    link; the folder itself may be one.

    Supports conditional requests (RFC 9110 13) and, for GET, a single range (RFC 9110 14), which is
    ignored if the response is compressed on the way. A compressed file next to the plain one
    (`PRECOMPRESSED`) is sent only if it is not older.

    A subclass that overrides only `get_cache_time`, `set_extra_headers` and the methods that every
    handler has is as fast as this class.
    """

    #: How long clients may cache a URL with a version, in seconds: ten years.
    CACHE_MAX_AGE = 10 * 365 * 24 * 3600

    # Files by everything the response depends on, and versions by class and path.
    _memory = FileCache(MAX_MEMORY)

    absolute_path = None
    content_path = None     # of the file to be sent: this one, or a compressed one next to it
    _made_plan = None
    _pieces = None      # an iterator of the content that is being sent
    _file = None        # set if the file came from memory or is being put there
    _status = None      # os.stat of the file at content_path
    _coding = None
    _varies = None
    _pieces = None
    _left = 0

    def initialize(self, path, default_filename=None):
        self.root = native_str(path)
        self.default_filename = default_filename

    @classmethod
    def reset(cls):
        """Drop all cached files and versions."""
        cls._memory.clear()

    def head(self, path):
        """Answer with the headers alone; the content is not read."""
        return self.get(path, include_body=False)

    def get(self, path, include_body=True):
        """Answer with the file at `path`, as in the URL: relative to the folder, with slashes."""
        try:
            if not self._find(path):
                return
            size = self.get_content_size() if self._file is None else self._status.st_size
        except EnvironmentError as error:
            raise as_http_error(error, self.absolute_path or path)
        headers = self.request.headers._values
        if ("If-Match" in headers or "If-Unmodified-Since" in headers) \
                and self._is_precondition_false():
            raise HTTPError(412)
        if self.should_return_304():
            if self._transforms:
                # So that they can see what the 200 would be; it is not sent.
                self._headers._values["Content-Length"] = str(size)
            self.set_status(304)
            self.finish()
            return
        self._conditions_checked = True
        start, end = 0, size
        # Ranges are defined for GET only (RFC 9110 14.2).
        if "Range" in headers and include_body:
            status, start, end = self._select_part(size)
            if status == 416:
                self._refuse_range(size)
                return
            if status == 206:
                self.set_status(206)
                self.set_header("Content-Range", "bytes %d-%d/%d" % (start, end - 1, size))
        self._send(start, end, size, include_body)

    # Finding the file

    @classmethod
    def _plan(cls):
        """The _Plan of this class, made when it is first served."""
        plan = cls._made_plan
        if plan is None or plan.handler_class is not cls:
            # The class has none yet, or inherits its base's.
            plan = cls._made_plan = _Plan(cls)
        return plan

    def _find(self, path):
        """Get the file from memory, or else from disk, and set the headers that describe it. False
        if the response has been finished instead."""
        key = None
        plan = self._plan()
        request = self.request
        stream = request.connection.stream
        # Under WSGI there is no loop, and perhaps several threads, which must not share the memory.
        if plan.keeps_files and stream is not None \
                and self.application.settings.get("static_hash_cache", True):
            values = request.headers._values
            # A pattern may leave the last slash out of `path`; without it, a folder is redirected.
            key = (self.root, self.default_filename, path, request.path[-1:] == "/",
                   accepted_codings(values["Accept-Encoding"])
                   if "Accept-Encoding" in values else ())
            self._file = file = self._memory.get(key, stream.io_loop.turn)
            if file is not None:
                self.path = file.path
                self.absolute_path = file.absolute_path
                self.content_path = file.content_path
                self.modified = file.modified
                self._status = file.status
                self._varies = file.varies
                self.set_headers()
                return True
        return self._find_on_disk(path, plan, key)

    def _find_on_disk(self, path, plan, key):
        """As `_find`, from disk. Keep the file under `key`, unless that is None."""
        self.path = self.parse_url_path(path)
        absolute_path = self.get_absolute_path(self.root, self.path)
        self.absolute_path = self.validate_absolute_path(self.root, absolute_path)
        if self._finished or self.absolute_path is None:
            return False
        self.content_path = self.absolute_path
        folder = os.path.dirname(self.absolute_path)
        watched = [(folder, file_key(folder)), (self.absolute_path, status_key(self._status))]
        if self._status is not None and plan.finds_compressed:
            self._find_compressed()
        self.modified = self.get_modified_time()
        self.set_headers()
        # A relative root is another folder after os.chdir.
        if key is not None and os.path.isabs(self.root):
            if self._coding is not None:
                watched.append((self.content_path, status_key(self._status)))
            self._keep(key, watched)
        return True

    def _find_compressed(self):
        """Send a compressed file next to this one instead, if the client accepts its coding."""
        accepted = accepted_codings(self.request.headers.get("Accept-Encoding", ""))
        for coding, extension in PRECOMPRESSED:
            path = self.absolute_path + extension
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
        """Keep the file that was found, as long as none of `watched` changes."""
        file = self._file = _File()
        file.path = self.path
        file.absolute_path = self.absolute_path
        file.content_path = self.content_path
        file.status = self._status
        file.modified = self.modified
        file.fields = self._fields
        file.varies = self._varies
        file.content = file.source = file.version = None
        size = self._status.st_size
        if size <= MAX_KEPT_SIZE:
            content = b"".join(self._read(0, size))
            if len(content) != size:
                # The file is being changed right now.
                return
            file.content = content
        cost = len(file.content or b"") + len(self.path)
        if SENT_BY_SYSTEM < size <= MAX_HELD_SIZE and hasattr(os, "sendfile") \
                and COUNTS_REFERENCES:
            file.source = SharedFile(open_file(self.content_path, self._status))
            cost += _HELD_COST
        self._memory.put(key, file, watched, cost)

    # From the URL to the file: to be overridden

    def parse_url_path(self, url_path):
        """The path below the root, in the form of this system, for the path in a URL.

        Raises HTTPError if it is absolute or contains something that no file name may contain.
        """
        path = native_str(url_path)
        segments = path.split("/")
        if path.startswith("/") or ".." in segments or "." in segments:
            raise HTTPError(403, "%r leads out of the folder of static files", path)
        if "\0" in path or os.sep == "\\" and not is_plain_windows_path(path):
            raise HTTPError(404, "%r is not a valid file name", path)
        return path.replace("/", os.sep)

    @classmethod
    def get_absolute_path(cls, root, path):
        """The absolute path of the file `path` below `root`; it need not exist."""
        return os.path.abspath(os.path.join(root, path))

    def validate_absolute_path(self, root, absolute_path):
        """The path of the file to send for `absolute_path`, or None if the response has been
        finished instead.

        Raises HTTPError: 403 for a file that may not be sent, 404 for one that does not exist.
        Nothing outside `root` is accessed.
        """
        path = absolute_path
        if not is_inside(os.path.abspath(root), path):
            raise HTTPError(403, "%s is outside the folder of static files", path)
        try:
            status = self._look_at(root, path)
            if stat.S_ISREG(status.st_mode) and self.path.endswith(os.sep):
                raise HTTPError(404)
            if stat.S_ISDIR(status.st_mode) and self.default_filename is not None:
                request = self.request
                if not request.path.endswith("/"):
                    # With more than one leading slash it would name a host.
                    self.redirect(quote_octets(
                        "/" + request.path.lstrip("/\\") + "/"
                        + ("?" + request.query if request.query else "")), permanent=True)
                    return None
                path = os.path.join(path, self.default_filename)
                status = self._look_at(root, path)
        except EnvironmentError as error:
            raise as_http_error(error, path)
        except ValueError:
            # A character that this system does not allow in file names.
            raise HTTPError(404, "%r is not a valid file name", path)
        if not stat.S_ISREG(status.st_mode) or not os.access(path, os.R_OK):
            raise HTTPError(403, "%s is not a readable file", path)
        self._status = status
        return path

    @staticmethod
    def _look_at(root, path):
        """os.stat of a path, unless a link leads outside `root` (HTTPError 403)."""
        real = os.path.realpath(path)
        if real != path and not is_inside(os.path.realpath(root), real):
            raise HTTPError(403, "%s is a link that leads out of the folder of static files", path)
        # A link may have been put there since. What is opened later is compared with this status.
        status = os.lstat(real)
        if stat.S_ISLNK(status.st_mode) or os.path.realpath(real) != real:
            raise HTTPError(403, "%s became a link while it was being checked", path)
        return status

    # The content: to be overridden

    @classmethod
    def get_content(cls, abspath, start=None, end=None):
        """The bytes from `start` up to, not including, `end`, as an iterator of pieces; without
        `end`, up to the end of the file. For the whole content both are None. An override may
        return bytes instead."""
        return read_pieces(open_file(abspath), PIECE_SIZE, start, end)

    def _read(self, start, end):
        """`get_content` of the file that was checked. Raises IOError EACCES if another file has
        taken its place."""
        if self._plan().sends_by_system:
            return read_pieces(open_file(self.content_path, self._status), PIECE_SIZE, start, end)
        return self.get_content(self.content_path, start, end)

    @classmethod
    def get_content_version(cls, abspath):
        """A native string that changes when the content does: a hash of it, or, for a file
        larger than MAX_HASHED_SIZE, of its modification time and size."""
        key = file_key(abspath)
        if key is not None and key[1] > MAX_HASHED_SIZE:
            return hash_of([repr(key[:2]).encode("ascii")])
        content = cls.get_content(abspath)
        return hash_of([content] if isinstance(content, bytes) else content)

    @classmethod
    def _find_version(cls, abspath, use_memory=True, checked=None):
        """`get_content_version`, cached until the file changes; with `checked`, only of the file
        that has this status."""
        version = cls._memory.get((cls, abspath)) if use_memory else None
        if version is None:
            watched = [(abspath, file_key(abspath) if checked is None else status_key(checked))]
            if checked is not None and checked.st_size <= MAX_HASHED_SIZE \
                    and _inherits(cls, "get_content") and _inherits(cls, "get_content_version"):
                version = hash_of(read_pieces(open_file(abspath, checked), PIECE_SIZE))
            else:
                version = cls.get_content_version(abspath)
            if use_memory:
                cls._memory.put((cls, abspath), version, watched)
        return version

    def _get_status(self):
        if self._status is None:
            self._status = os.stat(self.content_path)
        return self._status

    def get_content_size(self):
        """The size of the whole content in bytes. Without a file, that of the content that an
        override of `get_content` returns."""
        try:
            return self._get_status().st_size
        except EnvironmentError:
            if self._plan().sends_by_system:
                raise
        content = self.get_content(self.content_path)
        return len(content) if isinstance(content, bytes) else sum(map(len, content))

    def get_modified_time(self):
        """When the content was last changed: a datetime (UTC) in whole seconds, or None."""
        seconds = min(int(self._get_status().st_mtime), _LAST_SECOND)
        return _EPOCH + datetime.timedelta(seconds=seconds)

    def get_content_type(self):
        """The media type, guessed from the file name."""
        media_type, encoding = mimetypes.guess_type(self.absolute_path)
        if encoding == "gzip" and media_type == "image/svg+xml" and self._is_svgz():
            return media_type
        if encoding == "gzip":
            # Sent as an archive (RFC 6713), so that clients do not unpack it.
            return "application/gzip"
        if encoding is not None or media_type is None:
            return "application/octet-stream"
        return media_type

    def _is_svgz(self):
        """Whether the file is a compressed SVG, which browsers show only if they are told the
        coding."""
        return self.absolute_path[-5:].lower() == ".svgz"

    # The headers

    def set_headers(self):
        """Set the headers that do not depend on the range; `set_extra_headers` is called last."""
        values = self._headers._values
        if self._file is not None:
            values.update(self._file.fields)
        else:
            self._set_file_headers()
            # Copied before a subclass adds to them: these may be kept for further requests.
            self._fields = dict((name, values[name]) for name in _FILE_HEADERS if name in values)
        if self._varies:
            add_vary(self._headers)
        seconds = self.get_cache_time(self.path, self.modified, values.get("Content-Type"))
        if seconds > 0:
            self.set_header("Cache-Control", "max-age=%d" % seconds)
            self.set_header("Expires", format_timestamp(int(time.time()) + seconds))
        self.set_extra_headers(self.path)

    def _set_file_headers(self):
        """Set the headers that depend on the file alone, `_FILE_HEADERS`."""
        self.set_header("Accept-Ranges", "bytes")
        self.set_etag_header()
        content_type = self.get_content_type()
        if content_type:
            self.set_header("Content-Type", content_type)
        if self.modified is not None:
            self.set_header("Last-Modified", self.modified)
        codings = ["gzip"] if content_type == "image/svg+xml" and self._is_svgz() else []
        if self._coding is not None:
            codings.append(self._coding)
        if codings:
            self.set_header("Content-Encoding", ", ".join(codings))

    def set_extra_headers(self, path):
        """Override this to set further headers."""

    def get_cache_time(self, path, modified, mime_type):
        """How many seconds a client may reuse the response without revalidating it; 0 to leave that
        to the client. The content of a URL with its version (``?v=``) never changes; with any other
        version, the URL is that of content which was, or will be, different."""
        request = self.request
        if not request.query or "v" not in request.query_arguments:
            return 0
        asked = request.query_arguments["v"][-1]
        version = self._file.version if self._file is not None else None
        if version is None:
            version = self._current_version(path)
        return self.CACHE_MAX_AGE if version and version == asked else 0

    def _current_version(self, path):
        """The version that `static_url` puts into the URL of the file at `path`, as bytes, or
        None."""
        use_memory = self.settings.get("static_hash_cache", True)
        try:
            if _inherits(type(self), "get_version"):
                version = utf8(self._find_version(
                    self.absolute_path or self.get_absolute_path(self.root, path), use_memory))
            else:
                settings = dict(self.settings, static_path=self.root)
                return utf8(self.get_version(settings, path))
        except (EnvironmentError, TypeError, ValueError):
            return None
        if self._file is not None:
            # It is dropped with the entry, when the file changes.
            self._file.version = version
        return version

    def compute_etag(self):
        """The version of the content as an ETag, or None if it has no version. If a subclass writes
        something other than a file, the ETag of what it has written."""
        if self.content_path is None:
            return super(StaticFileHandler, self).compute_etag()
        version = self._find_version(
            self.content_path, self.settings.get("static_hash_cache", True), self._status)
        return '"%s"' % version if version else None

    # The response

    def should_return_304(self):
        """Whether the client already has this content. If-None-Match takes precedence over
        If-Modified-Since (RFC 9110 13.2.2)."""
        headers = self.request.headers
        if "If-None-Match" in headers._values:
            return self.check_etag_header()
        if "If-Modified-Since" not in headers._values:
            return False
        return is_unmodified_since(headers["If-Modified-Since"], self.modified)

    def _is_precondition_false(self):
        """Whether the client wants an answer only for another version of the content. If-Match
        takes precedence over If-Unmodified-Since (RFC 9110 13.2.2)."""
        headers = self.request.headers
        if "If-Match" in headers._values:
            return not is_same_etag(self._headers.get("Etag"), headers["If-Match"])
        return is_modified_since(headers["If-Unmodified-Since"], self.modified)

    def _select_part(self, size):
        """`select_part`, by the headers of the 200 that a request without Range would get. If a
        transform would change its content, parts of the file are not parts of that content, and
        the range is ignored."""
        headers = self._headers
        if self._transforms:
            headers = headers.copy()
            headers["Content-Length"] = str(size)
            status = 200
            for transform in self.application.transforms:
                # Not the objects of this response, which see its headers later.
                status, headers, _ = transform(self.request).transform_first_chunk(
                    status, headers, b"", False)
            if headers.get("Content-Length") != str(size):
                return 200, 0, size
        return select_part(self.request.headers, headers, size)

    def _refuse_range(self, size):
        for name in ("Cache-Control", "Expires", "Content-Encoding"):
            self.clear_header(name)
        self.set_status(416)
        self.set_header("Content-Type", "text/plain")
        self.set_header("Content-Range", "bytes */%d" % size)
        self.finish()

    def _send(self, start, end, size, include_body):
        """Send the bytes from `start` up to `end`, of `size` in all, or only the headers."""
        file = self._file
        if include_body and file is not None and file.content is not None and (
                file.source is None or self._transforms or start == end):
            self.finish(file.content if end - start == size else file.content[start:end])
            return
        self._headers._values["Content-Length"] = str(end - start)
        if not include_body:
            self.finish()
        elif self._transforms or start == end or not self._plan().sends_by_system:
            self._send_pieces(start, end, size)
        else:
            self._send_file(start, end)

    def _send_file(self, start, end):
        """Let the system send these bytes of the file: nothing here needs to see them."""
        source = self._file and self._file.source
        try:
            if source is None:
                source = open_file(self.content_path, self._status)
        except EnvironmentError as error:
            raise as_http_error(error, self.content_path)
        try:
            # Not by `write`, which takes only bytes.
            self._write_buffer = [FilePiece(source, start, end - start)]
            self.finish()
        except Exception:
            if not self._headers_written:
                # Otherwise the stream owns it, and closes it.
                source.close()
            raise

    @asynchronous
    def _send_pieces(self, start, end, size):
        content = b""
        try:
            if start < end:
                # An override need not support ranges unless clients ask for them.
                content = self._read(None, None) if end - start == size else \
                    self._read(start, end)
        except EnvironmentError as error:
            raise as_http_error(error, self.content_path)
        self._pieces = iter([content] if isinstance(content, bytes) else content)
        self._left = end - start
        stream = self.request.connection.stream
        if stream is not None:
            # Not `on_connection_close`: with that, a client that only shuts down its sending side
            # would not get the file.
            stream.set_close_callback(self._close_pieces)
        self._send_next()

    def _send_next(self):
        """Send the next piece, but never more bytes in total than the headers announced."""
        piece = self._next_piece()[:self._left]
        self._left -= len(piece)
        if not self._left:
            self._end_content()
            self.finish(piece)
        elif piece:
            self.write(piece)
            self.flush(callback=self._send_next)
        else:
            # Too late for an error page: only closing tells the client that bytes are missing.
            self._end_content()
            gen_log.warning("%s became shorter while it was being sent", self.content_path)
            self.send_error(500)

    def _end_content(self):
        """Close the content, and leave the stream to the next response."""
        stream = self.request.connection.stream
        if stream is not None:
            stream.set_close_callback(None)
        self._close_pieces()

    def _close_pieces(self):
        """Close the content: a generator may hold an open file, which would otherwise have to wait
        for the garbage collector."""
        pieces, self._pieces = self._pieces, None
        if hasattr(pieces, "close"):
            pieces.close()

    def _next_piece(self):
        """The next piece that is not empty; b"" after the last."""
        try:
            while self._left:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                if piece:
                    return piece
        except EnvironmentError as error:
            self._end_content()
            raise as_http_error(error, self.content_path)
        return b""

    # URLs

    @classmethod
    def make_static_url(cls, settings, path, include_version=True):
        """The URL of a file, including its version, as `RequestHandler.static_url` returns it.

        `path` is that of the file, relative to the setting static_path. What has a meaning in URLs
        is percent-encoded, "%" included.
        """
        quoted = path if _is_plain_path(path) else quote(utf8(path), _PATH_MARKS)
        url = settings.get("static_url_prefix", "/static/") + quoted
        version = cls.get_version(settings, path) if include_version else None
        return "%s?v=%s" % (url, version) if version else url

    @classmethod
    def get_version(cls, settings, path):
        """The version of a file for its URL, or None if the file cannot be read."""
        absolute_path = cls.get_absolute_path(settings["static_path"], path)
        try:
            return cls._find_version(absolute_path, settings.get("static_hash_cache", True))
        except (EnvironmentError, TypeError, ValueError):
            gen_log.error("Cannot read the static file %r", absolute_path)
            return None


#: The marks that a path may contain unencoded (RFC 3986 3.3).
_PATH_MARKS = "/:@!$&'()*+,;=~"
_is_plain_path = re.compile(r"[A-Za-z0-9_.\-%s]*\Z" % re.escape(_PATH_MARKS)).match
