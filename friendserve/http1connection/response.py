"""The writing half of a server's HTTP/1.x connection: the responses.

Whoever answers a request calls `write_headers`, then `write` any number of times, then `finish`; or
`respond` for all three. The head says how the body is framed, and what follows is held to it.
"""
from __future__ import absolute_import, division, print_function

from friendserve.iostream import StreamClosedError
from friendserve.iostream.buffers import FilePiece, Read
from friendserve.protocol.errors import HTTPOutputError
from friendserve.protocol.grammar import is_content_length
from friendserve.protocol.http1 import (
    BODY, CHUNKED, CLOSING, IDLE, LAST_CHUNK, MOVES, REASONS, RESPONDING, UNTIL_CLOSE, encode_chunk,
    encode_head, wants_keep_alive)

#: What `_sending` holds for a response written without `write_headers`.
RAW = "raw"

_RESPONDING_TO_IDLE = MOVES[RESPONDING, IDLE]
_START_LINES = dict((_status, "HTTP/1.1 %d %s" % (_status, _reason))
                    for _status, _reason in REASONS.items())


class HTTP1ResponseWriter(Read):
    """What `HTTP1ServerConnection`, whose attributes these methods use, does to answer."""
    __slots__ = ()

    def respond(self, status, reason, headers, body):
        """Send a whole response, and be done with the request. `body` is bytes, or a
        `friendserve.buffers.FilePiece`, which the stream closes."""
        self._start_response(status, reason, headers, body, True, None)
        if self._state is RESPONDING and self._keep_alive:
            # As _end_response does, without its calls.
            self.request = self._close_callback = self._stop_callback = self._sending = None
            self._state = _RESPONDING_TO_IDLE
            self.since = self.server.now
            if self.stream.resume_if_sent():
                return
            self._state = RESPONDING
        self._end_response()

    def write_headers(self, start_line, headers, chunk=None, callback=None):
        """Send the head of the response, and `chunk`, the beginning of its body, with it.

        `start_line` is a ResponseStartLine; its version is ignored. `headers` (HTTPHeaders)
        is completed with what frames the body: without a Content-Length it is chunked, or
        ends with the connection for HTTP/1.0. `callback()` is called when all was sent.
        """
        self._start_response(start_line.code, start_line.reason, headers, chunk or b"", False,
                             callback)

    def _start_response(self, status, reason, headers, chunk, last, callback):
        if self._sending is not None:
            raise HTTPOutputError("the head of this response was sent already")
        request = self.request
        if request is None:
            raise StreamClosedError(self.stream.error)
        values = headers._values
        if status < 200 or status == 204 or status == 304:
            if status < 200 and (last or status != 101):
                # The client would take the next response for the one that is to follow; after a
                # 101 that is written alone, the connection can be detached.
                raise HTTPOutputError("%d is no status of a final response" % status)
            # RFC 9110 8.6, RFC 9112 6.1: no body, and nothing that promises one.
            chunk, sending = b"", 0
            values.pop("Transfer-Encoding", None)
            if status != 304:
                values.pop("Content-Length", None)
        else:
            if last and "Content-Length" not in values:
                sending = len(chunk)
                values["Content-Length"] = str(sending)
                if "Transfer-Encoding" in values:
                    del values["Transfer-Encoding"]
            else:
                sending = self._frame(request, values, chunk, last)
            if request.method == "HEAD":
                chunk, sending = b"", 0
        if not self._keep_alive or "Connection" in values or request.version == "HTTP/1.0" \
                or self._state is BODY:
            self._frame_connection(request, headers)
        if reason == REASONS.get(status):
            start_line = _START_LINES[status]
        elif status > 999:
            raise HTTPOutputError("a status has three digits, unlike %d" % status)
        else:
            start_line = "HTTP/1.1 %d %s" % (status, reason)
        data = encode_head(start_line, headers)
        if chunk:
            if sending is CHUNKED:
                chunk = encode_chunk(chunk)
            elif sending is not UNTIL_CLOSE:
                sending -= len(chunk)
            if type(chunk) is FilePiece:
                self.stream.write_file(chunk.file, chunk.start, chunk.size, callback, data)
                self._sending = sending
                return
            data += chunk
        self.stream.write(data, callback)
        self._sending = sending

    def _frame(self, request, values, chunk, last):
        """How the body ends: its number of bytes, CHUNKED or UNTIL_CLOSE."""
        length = values.get("Content-Length")
        if length is not None:
            if isinstance(length, list) or not is_content_length(length):
                raise HTTPOutputError("malformed Content-Length %r" % (length,))
            length = int(length)
            if request.method != "HEAD" and (
                    len(chunk) > length or last and len(chunk) != length):
                raise HTTPOutputError("Content-Length is %d, but the body has %d bytes%s" % (
                    length, len(chunk), "" if last else " already"))
            values.pop("Transfer-Encoding", None)
            return length
        if request.version == "HTTP/1.0":
            values.pop("Transfer-Encoding", None)
            self._keep_alive = False
            return UNTIL_CLOSE
        values["Transfer-Encoding"] = "chunked"
        return CHUNKED

    def _frame_connection(self, request, headers):
        if self._state is BODY and self._body is not None:
            # Answered before the body was read: what follows cannot be told apart from it.
            self._keep_alive = False
        if self._keep_alive and not wants_keep_alive(headers, "HTTP/1.1"):
            self._keep_alive = False
        if not self._keep_alive:
            headers["Connection"] = "close"
        elif request.version == "HTTP/1.0":
            headers["Connection"] = "keep-alive"

    def write(self, chunk, callback=None):
        """Send more of the body; `callback()` is called when all of it was sent.

        Before `write_headers` it is the response itself, head and all, and goes out as it is.
        """
        sending = self._sending
        if self.request is None:
            raise StreamClosedError(self.stream.error)
        if sending is None:
            self._sending = RAW
        elif sending is CHUNKED:
            if not chunk:
                # An empty chunk would end the body.
                self.stream.write(b"", callback)
                return
            chunk = encode_chunk(chunk)
        elif sending is not UNTIL_CLOSE and sending is not RAW:
            if self.request.method == "HEAD":
                chunk = b""
            elif len(chunk) > sending:
                raise HTTPOutputError("the body is longer than its Content-Length says, by %d "
                                      "bytes" % (len(chunk) - sending))
            self._sending = sending - len(chunk)
        if self._state is RESPONDING:
            self.since = self.server.now
        self.stream.write(chunk, callback)

    def finish(self):
        """The response is whole. When its body is shorter than announced, the connection
        closes, so that the client notices."""
        if self.request is None:
            return
        if self.stream.closed():
            self._forget_request()
            return
        sending = self._sending
        if sending is CHUNKED:
            self.stream.write(LAST_CHUNK)
        elif sending is UNTIL_CLOSE or sending is RAW:
            pass
        elif sending is None:
            raise HTTPOutputError("no response was written")
        elif sending:
            self.close()
            raise HTTPOutputError("the body is shorter than its Content-Length says, by %d bytes"
                                  % sending)
        self._end_response()

    def _end_response(self):
        stream = self.stream
        if stream.closed():
            self._forget_request()
            return
        if self._keep_alive and self._state is RESPONDING:
            self._forget_request()
            if stream.writing():
                # Who does not read its responses shall not cause more of them.
                stream.write(b"", self._end_response)
                return
            self._move(IDLE)
            stream.resume_read()
        else:
            self._close_gently(unread=self._state is BODY)

    def _forget_request(self):
        # The request knows this connection, so keeping it would be a cycle.
        self.request = None
        self._sending = None
        self._close_callback = None
        self._stop_callback = None

    # The end

    def _close_gently(self, unread):
        """Close when all was sent. If the client may still be sending, read that for a while:
        closing with bytes unread resets the connection, and the client would lose
        the response (RFC 9112 9.6)."""
        stream = self.stream
        self._forget_request()
        self._body = None
        self._move(CLOSING)
        if unread or stream.has_unread():
            stream.write(b"", stream.shutdown_write)
            stream.resume_read()
        elif stream.writing():
            stream.write(b"", stream.close)
        else:
            stream.close()
