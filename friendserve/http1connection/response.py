"""The writing half of a server's HTTP/1.x connection: the responses.

Whoever answers a request calls `write_headers`, then `write` any number of times, then `finish`; or
`respond` for all three. The head announces how the body is framed, and the body must conform.

The end of a response: RESPONDING becomes DONE as soon as the application has finished, and DONE
becomes IDLE when the stream has sent everything. Only then is the next request read.
"""
from __future__ import absolute_import, division, print_function

from friendserve.iostream import StreamClosedError
from friendserve.iostream.buffers import FilePiece, Read
from friendserve.protocol.errors import HTTPOutputError
from friendserve.protocol.grammar import is_content_length
from friendserve.protocol.http1 import (
    BODY, CHUNKED, CLOSING, DONE, IDLE, LAST_CHUNK, MOVES, REASONS, RESPONDING, UNTIL_CLOSE,
    encode_chunk, encode_head, encode_response_head, wants_keep_alive)

#: The value of `_sending` for a response written without `write_headers`.
RAW = "raw"

# Looked up once, for the moves that each request makes.
_RESPONDING_TO_DONE = MOVES[RESPONDING, DONE]
_DONE_TO_IDLE = MOVES[DONE, IDLE]

_START_LINES = dict((_status, "HTTP/1.1 %d %s" % (_status, _reason))
                    for _status, _reason in REASONS.items())

#: The same by status and reason, for responses that may have a body.
_WITH_BODY = dict(((_status, _reason), _START_LINES[_status])
                  for _status, _reason in REASONS.items()
                  if _status >= 200 and _status not in (204, 304))


class HTTP1ResponseWriter(Read):
    """Writes the responses of one connection, one request at a time.

    A base class: `HTTP1ServerConnection` reads the requests. It sets `request`, moves the state
    from IDLE to RESPONDING (or to BODY, in which a response may begin too), and decides from the
    request whether the connection is kept alive. From there to IDLE or CLOSING, this class makes
    the moves. It uses only `now` of `server`.
    """
    __slots__ = ("stream", "server", "request", "since", "_state", "_body", "_sending",
                 "_keep_alive", "_close_callback", "_stop_callback")

    def __init__(self, stream, server):
        self.stream = stream
        self.server = server
        self.request = None         # the request in progress; None once it is answered
        self.since = server.now     # when the time limit of the current state started
        self._state = IDLE          # one of the states of `MOVES`
        self._body = None           # the MessageBody of the request while it is being read
        # How the response in progress is framed: None before its head, then the number of
        # missing bytes, CHUNKED, UNTIL_CLOSE or RAW.
        self._sending = None
        # Whether another request may follow this one; None before the first request.
        self._keep_alive = None
        self._close_callback = None     # from `set_close_callback`, for this request
        self._stop_callback = None      # from `set_stop_callback`, for this request

    def _move(self, state):
        self._state = MOVES[self._state, state]
        self.since = self.server.now

    # A whole response

    def respond(self, status, reason, headers, body):
        """Send a whole response and finish the request. `body` is bytes, or a
        `friendserve.iostream.buffers.FilePiece`, which the stream closes. Returns an awaitable, as
        `BaseIOStream.write` does."""
        request, values = self.request, headers._values
        start_line = _WITH_BODY.get((status, reason))
        if start_line is None or request is None or request.method == "HEAD" \
                or self._sending is not None or self._state is not RESPONDING \
                or not self._keep_alive or request.version == "HTTP/1.0" \
                or type(body) is not bytes or "Content-Length" in values \
                or "Connection" in values or "Transfer-Encoding" in values:
            sent = self._start_response(status, reason, headers, body, True, None)
            self._end_response()
            return sent
        # As _start_response and _end_response do, without their questions and calls: most responses
        # take this path.
        head = encode_response_head(start_line, headers, len(body))
        stream = self.stream
        sent = stream.write(head + body)
        self.request = self._close_callback = self._stop_callback = None
        self._state = _RESPONDING_TO_DONE
        is_quiet = stream.is_quiet()
        if is_quiet or not stream.writing():
            self._state = _DONE_TO_IDLE
            self.since = self.server.now
            if not is_quiet:
                stream.resume_read()
        else:
            self._continue_when_sent()
        return sent

    def respond_and_finish(self, status, reason, headers, body):
        """As `respond`, by way of `finish`."""
        sent = self._start_response(status, reason, headers, body, True, None)
        self.finish()
        return sent

    # A response in pieces

    def write_headers(self, start_line, headers, chunk=None, callback=None):
        """Send the head of the response, together with `chunk`, the beginning of its body.

        `start_line` is a ResponseStartLine; its version is ignored. `headers` (HTTPHeaders)
        gets the fields that frame the body: without a Content-Length it is chunked, or, for
        HTTP/1.0, ends with the connection. `callback()` is called when all of this has been sent.
        Returns an awaitable for the same moment, as `write` does.
        """
        return self._start_response(start_line.code, start_line.reason, headers, chunk or b"",
                                    False, callback)

    def write(self, chunk, callback=None):
        """Send more of the body; `callback()` is called when all of it has been sent.

        Before `write_headers`, `chunk` is the response itself, including its head, and is sent
        unchanged.
        """
        sending = self._sending
        if self.request is None:
            raise StreamClosedError(self.stream.error)
        if sending is None:
            self._sending = RAW
        elif sending is CHUNKED:
            if not chunk:
                # An empty chunk would end the body.
                return self.stream.write(b"", callback)
            chunk = encode_chunk(chunk)
        elif sending is not UNTIL_CLOSE and sending is not RAW:
            if self.request.method == "HEAD":
                chunk = b""
            elif len(chunk) > sending:
                raise HTTPOutputError("the body is longer than its Content-Length, by %d "
                                      "bytes" % (len(chunk) - sending))
            self._sending = sending - len(chunk)
        if self._state is RESPONDING:
            self.since = self.server.now
        return self.stream.write(chunk, callback)

    def finish(self):
        """End the response. If its body is shorter than announced, the connection closes, so that
        the client notices. Does nothing if the request is already finished."""
        if self.request is None:
            return self.stream
        stream = self.stream
        if stream.closed():
            self._forget_request()
            return stream
        sending = self._sending
        if sending is CHUNKED:
            stream.write(LAST_CHUNK)
        elif sending is UNTIL_CLOSE or sending is RAW:
            pass
        elif sending is None:
            raise HTTPOutputError("no response was written")
        elif sending:
            self.close()
            raise HTTPOutputError("the body is shorter than its Content-Length, by %d bytes"
                                  % sending)
        self._end_response()
        return stream

    # The head, and the framing that it announces

    def _start_response(self, status, reason, headers, chunk, last, callback):
        if self._sending is not None:
            raise HTTPOutputError("the head of this response was already sent")
        request = self.request
        if request is None:
            raise StreamClosedError(self.stream.error)
        values = headers._values
        if status < 200 or status == 204 or status == 304:
            if status < 200 and (last or status != 101):
                # The client would mistake the next response for the final one of this request. A
                # 101 may be written alone: the connection can be detached after it.
                raise HTTPOutputError("%d is not the status of a final response" % status)
            # RFC 9110 8.6, RFC 9112 6.1: no body, and no field that announces one.
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
        if reason == REASONS.get(status):
            start_line = _START_LINES[status]
        elif status > 999:
            raise HTTPOutputError("a status must have three digits, unlike %d" % status)
        else:
            start_line = "HTTP/1.1 %d %s" % (status, reason)
        if not self._keep_alive or "Connection" in values or request.version == "HTTP/1.0" \
                or self._state is BODY:
            start_line = self._frame_connection(request, headers, start_line)
        data = encode_head(start_line, headers)
        if chunk:
            if sending is CHUNKED:
                chunk = encode_chunk(chunk)
            elif sending is not UNTIL_CLOSE:
                sending -= len(chunk)
            if type(chunk) is FilePiece:
                self.stream.write_file(chunk.file, chunk.start, chunk.size, callback, data)
                self._sending = sending
                return self.stream
            data += chunk
        sent = self.stream.write(data, callback)
        self._sending = sending
        return sent

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

    def _frame_connection(self, request, headers, start_line):
        """Decide whether the connection is kept alive, and announce it in the head. Returns the
        start line."""
        if self._state is BODY:
            # Answered before the body was read: the rest of it cannot be distinguished from a
            # request that follows.
            self._keep_alive = False
        if self._keep_alive and not wants_keep_alive(headers, "HTTP/1.1"):
            self._keep_alive = False
        if not self._keep_alive:
            headers["Connection"] = "close"
        elif request.version == "HTTP/1.0":
            headers["Connection"] = "keep-alive"
        return start_line

    # The end of a response

    def _end_response(self):
        if self.stream.closed():
            self._forget_request()
        elif self._keep_alive and self._state is RESPONDING:
            self._forget_request()
            self._state = _RESPONDING_TO_DONE
            self._continue_when_sent()
        else:
            self._close_gently(unread=self._state is BODY)

    def _continue_when_sent(self):
        """Go from DONE to IDLE once everything has been sent, and read the next request."""
        stream = self.stream
        if stream.writing():
            # A client that does not read its responses must not be able to trigger more.
            stream.write(b"", self._continue_when_sent)
        elif self._keep_alive:
            self._state = _DONE_TO_IDLE
            self.since = self.server.now
            stream.resume_read()
        elif not stream.closed():
            # The server was told to stop in the meantime.
            self._close_gently(unread=False)

    def _forget_request(self):
        # The request refers to this connection, so keeping it would make a cycle.
        self.request = None
        self._sending = None
        self._close_callback = None
        self._stop_callback = None

    # Closing

    def close(self):
        """Close the connection now, whatever it is doing. If a response has begun, it is not
        announced as complete (over TLS, by close_notify)."""
        if self._sending is None:
            self.stream.close()
        else:
            error = IOError("the connection was closed in the middle of a response")
            self.stream.close(exc_info=(IOError, error, None))

    def _close_gently(self, unread):
        """Close when everything has been sent. If the client may still be sending (`unread`), read
        and discard its data for a while: closing with bytes unread resets the connection, and the
        client would lose the response (RFC 9112 9.6)."""
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
