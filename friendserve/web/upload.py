"""UploadHandler: forms with files of any size, which go to disk as they come.

    class PhotoHandler(UploadHandler):
        upload_folder = "/srv/photos"

        def post(self):
            for photo in self.uploads.get("photo", ()):
                photo.move_to("/srv/photos/%d.jpg" % next_number())
            self.redirect("/photos")

Memory holds one piece of one file, however large it is. A file that nobody moved away is deleted
when the response is finished, or when the client goes away before all has come; after that the
handler may be at work with them, and has to call `finish` at some time.
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

#: What a file system says when it has no room.
_FULL = frozenset([errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG])


class Upload(object):
    """A file that came with a form, and lies at `path` until it is moved or discarded.

    `filename` (text) and `content_type` are what the sender says: never open a file by that name.
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
        """No more will come. Raises IOError when something could not be written."""
        self._file.close()

    def move_to(self, path):
        """Give the file this name, in place of one that has it; it is kept then.

        It must be on the same file system, for a move is not a copy (OSError EXDEV: set
        `UploadHandler.upload_folder` to a folder there, or copy what is at `path`). Only the user
        of this process may read the file: use os.chmod for others. Raises RuntimeError when it was
        moved or discarded before.
        """
        if self.path is None:
            raise RuntimeError("this upload was moved or discarded already")
        self.close()
        if os.name == "nt" and os.path.exists(path):
            os.remove(path)
        os.rename(self.path, path)
        self.path = None

    def discard(self):
        """Delete the file, unless it was moved; harmless when it is done already."""
        path, self.path = self.path, None
        try:
            self._file.close()
        except (OSError, IOError):
            # What cannot be written is not wanted any more.
            pass
        if path is not None:
            try:
                os.remove(path)
            except OSError as error:
                # Somebody may have moved it in another way.
                if error.errno != errno.ENOENT:
                    gen_log.warning("an upload could not be deleted: %s", error)

    def __del__(self):
        # For a handler that was left without a word, such as by a subclass that forgets to call
        # the method it overrides.
        if self.__dict__.get("path") is not None:
            self.discard()


@stream_request_body
class UploadHandler(RequestHandler):
    """Takes a form (multipart/form-data, or urlencoded) while it comes, and then calls `post`,
    `put` or `patch`.

    Then `uploads` is {name of the field: [Upload, ...]}, and the other fields are arguments, as
    always. An XSRF token has to stand in the header ``X-XSRFToken`` or in the query, for it is
    looked for before the body is there. A subclass that overrides `prepare` or `finish` calls the
    one here, too. Who may send at all is a matter for `prepare`, before that call: at `post`
    everything is on the disk already, and `authenticated` there would come too late.

    Answers 415 to another type of body, 413 to one beyond `max_upload_size`, 400 to more than
    `max_parts` parts or `max_field_bytes`, 507 when the disk is full.
    """

    #: Bytes of the whole body that are taken.
    max_upload_size = 1024 * 1024 * 1024
    #: Files and fields, and bytes of all fields together.
    max_parts = MAX_PARTS
    max_field_bytes = MAX_FIELD_BYTES
    #: Seconds that it may take.
    upload_timeout = 3600
    #: Where files lie before they are moved; None for where the system keeps temporary files.
    upload_folder = None

    uploads = {}
    _parser = None      # of a multipart form
    _plain = None       # the body of another form, a bytearray
    _upload = None

    def prepare(self):
        self.uploads = {}
        if self.request.method not in _METHODS:
            return
        headers = self.request.headers
        coding = headers.get("Content-Encoding", "")
        if coding.lower() not in ("", "identity"):
            raise HTTPError(415, "a form in the Content-Encoding %r", coding)
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
            raise HTTPError(415, "%r is no form: use multipart/form-data", main)

    def data_received(self, chunk):
        if self._parser is None:
            if self._plain is not None:
                self._plain += chunk
            # Else it is that of a GET or DELETE, which means nothing (RFC 9110 9.3.1).
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
                # A piece can be one byte, and its object takes far more.
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
            raise RuntimeError("prepare() of %s has to call prepare() of UploadHandler"
                               % type(self).__name__)
        super(UploadHandler, self)._run_method()

    def _set_arguments(self, fields):
        request = self.request
        request.body_arguments = fields
        # The XSRF check has asked already, when there was no body.
        request.__dict__.pop("arguments", None)

    def finish(self, chunk=None):
        super(UploadHandler, self).finish(chunk)
        self._discard()

    def _lose_stream(self):
        self._discard()
        super(UploadHandler, self)._lose_stream()

    def _discard(self):
        self._upload = None
        for uploads in self.uploads.values():
            for upload in uploads:
                upload.discard()
