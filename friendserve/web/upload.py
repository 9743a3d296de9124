"""UploadHandler: forms with files of any size, which are written to disk as they arrive.

    class PhotoHandler(UploadHandler):
        upload_folder = "/srv/photos"

        def post(self):
            for photo in self.uploads.get("photo", ()):
                photo.move_to("/srv/photos/%d.jpg" % next_number())
            self.redirect("/photos")

Only one piece of one file is in memory at a time. A file that has not been moved is deleted when
the response is finished, or when the client disconnects during the upload. If the client
disconnects later, the handler keeps its files until it calls `finish`, as it must.
"""
from __future__ import absolute_import, division, print_function

import errno
import io
import os
import tempfile

from friendserve.httputil import parse_body_arguments
from friendserve.log import gen_log
from friendserve.protocol.forms import parse_header_value
from friendserve.protocol.multipart import (
    MAX_FIELD_BYTES, MAX_PARTS, PART_END, MultipartParser, Part)
from friendserve.web.decorators import stream_request_body
from friendserve.web.errors import HTTPError
from friendserve.web.handler import RequestHandler

#: The methods whose body is a form.
_METHODS = ("POST", "PUT", "PATCH")

#: Errors of a file system that is full.
_FULL = frozenset([errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG])


class Upload(object):
    """An uploaded file, which is at `path` until it is moved or discarded.

    `filename` (text) and `content_type` are chosen by the sender: never open a file by that name.
    `size` is in bytes.
    """

    def __init__(self, filename, content_type, folder=None):
        self.filename = filename
        self.content_type = content_type
        self.size = 0
        descriptor, self.path = tempfile.mkstemp(prefix="upload-", dir=folder)
        self._file = io.open(descriptor, "wb")

    def write(self, data):
        """Add bytes at the end."""
        self._file.write(data)
        self.size += len(data)

    def close(self):
        """Close the file after the last bytes. Raises IOError if they cannot be written."""
        self._file.close()

    def move_to(self, path):
        """Keep the file, under a new path; a file that is already there is replaced.

        The new path must be on the same file system, because the file is renamed, not copied.
        If it is not (OSError EXDEV), set `UploadHandler.upload_folder` to a folder there, or copy
        the file at `path`. Only the user of this process may read the file; use os.chmod to change
        that. Raises RuntimeError if it has already been moved or discarded.
        """
        if self.path is None:
            raise RuntimeError("this upload has already been moved or discarded")
        self.close()
        if os.name == "nt" and os.path.exists(path):
            os.remove(path)
        os.rename(self.path, path)
        self.path = None

    def discard(self):
        """Delete the file, unless it has been moved. May be called more than once."""
        path, self.path = self.path, None
        try:
            self._file.close()
        except (OSError, IOError):
            # Bytes that could not be written are no longer needed.
            pass
        if path is not None:
            try:
                os.remove(path)
            except OSError as error:
                # The application may have moved it without `move_to`.
                if error.errno != errno.ENOENT:
                    gen_log.warning("Cannot delete an upload: %s", error)

    def __del__(self):
        # In case the handler never discards it, for example because a subclass does not call the
        # method that it overrides.
        if self.__dict__.get("path") is not None:
            self.discard()


@stream_request_body
class UploadHandler(RequestHandler):
    """Receives a form (multipart/form-data or urlencoded) piece by piece, and then calls `post`,
    `put` or `patch`.

    By then `uploads` is {field name: [Upload, ...]}, and the other fields are arguments as usual.
    An XSRF token must be in the header ``X-XSRFToken`` or in the query, because it is checked
    before the body arrives. A subclass that overrides `prepare` or `finish` must call the method
    here too. Check in `prepare`, before that call, whether the client may upload: when `post` is
    called, all files are already on disk, so `authenticated` is too late there.

    Answers 415 to other types of body, 413 to a body larger than `max_upload_size`, 400 to more
    than `max_parts` parts or `max_field_bytes` bytes of fields, and 507 if the disk is full.
    """

    #: The size limit of the whole body, in bytes.
    max_upload_size = 1024 * 1024 * 1024
    #: The maximum number of files and fields.
    max_parts = MAX_PARTS
    #: The maximum size of all fields together, in bytes.
    max_field_bytes = MAX_FIELD_BYTES
    #: The timeout of the upload, in seconds.
    upload_timeout = 3600
    #: The folder for files until they are moved; None for the system's temporary folder.
    upload_folder = None

    uploads = {}
    _parser = None      # of a multipart form
    _plain = None       # the body of an urlencoded form, a bytearray
    _upload = None      # the file being received

    def prepare(self):
        self.uploads = {}
        if self.request.method not in _METHODS:
            return
        headers = self.request.headers
        coding = headers.get("Content-Encoding", "")
        if coding.lower() not in ("", "identity"):
            raise HTTPError(415, "a form must not have the Content-Encoding %r", coding)
        content_type = headers.get("Content-Type", "")
        main, parameters = parse_header_value(content_type)
        connection = self.request.connection
        if main == "multipart/form-data":
            self._parser = MultipartParser(parameters.get("boundary", ""), self.max_parts,
                                           max_field_bytes=self.max_field_bytes)
            self._fields = {}
            connection.set_max_body_size(self.max_upload_size)
            connection.set_body_timeout(self.upload_timeout)
        elif main == "application/x-www-form-urlencoded":
            self._plain = bytearray()
            connection.set_max_body_size(min(self.max_upload_size, self.max_field_bytes))
        else:
            raise HTTPError(415, "%r is not a form: use multipart/form-data", main)

    def data_received(self, chunk):
        if self._parser is None:
            if self._plain is not None:
                self._plain += chunk
            # Otherwise it is the body of a GET or DELETE, which has no meaning (RFC 9110 9.3.1).
            return
        try:
            for event in self._parser.feed(chunk):
                self._take(event)
        except EnvironmentError as error:
            if error.errno in _FULL:
                raise HTTPError(507, "%s: %s", self.upload_folder or tempfile.gettempdir(), error)
            raise

    def _take(self, event):
        if type(event) is Part:
            if event.filename:
                self._upload = Upload(event.filename, event.content_type, self.upload_folder)
                self.uploads.setdefault(event.name, []).append(self._upload)
            else:
                # Not a list of pieces: each may be a single byte, in a much larger object.
                self._field = bytearray()
                self._fields.setdefault(event.name, []).append(self._field)
        elif event is PART_END:
            if self._upload is not None:
                self._upload.close()
                self._upload = None
        elif self._upload is not None:
            self._upload.write(event)
        else:
            self._field += event

    def _run_method(self):
        if self._parser is not None:
            self._parser.finish()
            self._set_arguments(dict((name, [bytes(value) for value in values])
                                     for name, values in self._fields.items()))
        elif self._plain is not None:
            arguments = {}
            parse_body_arguments("application/x-www-form-urlencoded", bytes(self._plain),
                                 arguments, {})
            self._set_arguments(arguments)
        elif self.request.method in _METHODS:
            raise RuntimeError("prepare() of %s must call prepare() of UploadHandler"
                               % type(self).__name__)
        super(UploadHandler, self)._run_method()

    def _set_arguments(self, fields):
        request = self.request
        request.body_arguments = fields
        # The XSRF check has already computed this, before there was a body.
        request.__dict__.pop("arguments", None)

    def finish(self, chunk=None):
        try:
            super(UploadHandler, self).finish(chunk)
        finally:
            self._discard()

    def _lose_stream(self):
        self._discard()
        super(UploadHandler, self)._lose_stream()

    def _discard(self):
        self._upload = None
        for uploads in self.uploads.values():
            for upload in uploads:
                upload.discard()
