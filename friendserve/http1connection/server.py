"""The server's side of one HTTP/1.x connection.

The life of a request: the stream collects bytes until `find` sees the end of a head, and
`deliver` puts `_on_head` into the queue of the loop. That parses the head, and either hands
the request to the server at once or collects (or passes on) a body first. The answer goes the way
of `friendserve.http1connection.response`. Then the connection is idle again, and if the next
request waits in the buffer it begins anew.

Only one request is in progress at a time: bytes that follow it stay in the buffer of the
stream, and after one buffer with the kernel, until its response is finished. So responses are
in order, and nobody can make the server hold more than that.
"""
from __future__ import absolute_import, division, print_function

from functools import partial

from friendserve.http1connection.response import HTTP1ResponseWriter
from friendserve.httputil import HTTPServerRequest, http_date
from friendserve.iostream import StreamBufferFullError, StreamClosedError
from friendserve.iostream.buffers import PAUSE
from friendserve.log import access_log, app_log, gen_log
from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.http1 import (
    BODY, CLOSING, HEAD, IDLE, MAX_EMPTY_LINES, MOVES, RESPONDING, UPGRADED, check_partial_head,
    count_empty_lines, encode_answer, read_request_head)
from friendserve.protocol.http1body import MessageBody, take_request_coding
from friendserve.stack_context import wrap


_HEAD_TO_RESPONDING = MOVES[HEAD, RESPONDING]
_EMPTY_LINE = b"\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class HTTP1ServerConnection(HTTP1ResponseWriter):
    """One connection of a server: reads requests from its stream, writes the responses.

    `server` gives `params` (HTTP1ConnectionParameters), `xheaders` and `apply_xheaders(request)`,
    for what a proxy in front knows of the client, `start_body(request)`, which returns
    who wants the body as it comes (an object with `data_received(chunk)`, `finish()` and
    `on_connection_close()`) or None, `handle_request(request)` for a whole request, and
    `on_close(connection)`.

    It is the one pending read of its stream, to the end. `request` is what is in progress, or None.
    """
    __slots__ = ("stream", "server", "remote_ip", "protocol", "_state", "since", "_searched",
                 "request", "_body", "_sending", "_keep_alive", "_close_callback",
                 "_stop_callback")

    def __init__(self, stream, server, remote_ip, protocol):
        self.stream = stream
        self.server = server
        self.remote_ip = remote_ip
        self.protocol = protocol
        self._state = IDLE
        self.since = server.now
        self._searched = 0          # how much of the next head was searched for its end
        self.request = None
        self._body = None           # a MessageBody while one is being read
        # How the response under way is framed: None before its head, then the bytes that are
        # missing, CHUNKED, UNTIL_CLOSE or RAW.
        self._sending = None
        self._keep_alive = True
        self._close_callback = None
        self._stop_callback = None

    def start(self):
        """Begin to serve."""
        self.stream.set_nodelay(True)
        try:
            self.stream.start_read(self)
        except StreamClosedError:
            # The client was gone before we came.
            self.server.on_close(self)

    def _move(self, state):
        self._state = MOVES[self._state, state]
        self.since = self.server.now

    # The read: what the stream asks

    def find(self, buffer):
        state = self._state
        if state is IDLE:
            end = buffer.find(_EMPTY_LINE, self._searched)
            if 4 <= end <= self.server.params.max_header_size:
                return end + 4
            return self._find_slowly(buffer, end)
        if state is BODY:
            body = self._body
            if body.busy or body.paused or body.unused is not None:
                return PAUSE
            most = self.server.params.chunk_size
            if body.receiver is not None:
                most = body.bound(most)
            return body.wanted(min(len(buffer), most)) or None
        if state is CLOSING:
            return len(buffer) or None
        # The client's going away is noticed only while we listen: a few bytes must not end that.
        return PAUSE if len(buffer) >= 1024 else None

    def take(self, schedule, data):
        # A head and nothing more, in one piece: nearly every request.
        if self._state is IDLE and \
                4 < data.find(_EMPTY_LINE) + 4 == len(data) <= self.server.params.max_header_size:
            self._state = HEAD
            # Made here: packing the arguments twice takes longer.
            schedule(partial(self._on_whole_head, data))
            return True
        return False

    def _find_slowly(self, buffer, end):
        params = self.server.params
        size = len(buffer)
        # Empty lines before a request are to be skipped (RFC 9112 2.2), a few of them.
        skipped = 2 * count_empty_lines(buffer.peek(0, 2 * MAX_EMPTY_LINES + 2))
        if skipped > 2 * MAX_EMPTY_LINES:
            return size
        if 0 <= end < skipped:
            end = buffer.find(_EMPTY_LINE, skipped)
        if end >= 0:
            return end + 4 if end <= params.max_header_size else size
        if not size:
            return None
        if not self._searched:
            self.since = self.server.now
        if size > params.max_header_size:
            return size
        try:
            check_partial_head(buffer.peek(0, params.max_request_line + 18),
                               buffer.peek(self._searched), params.max_request_line)
        except HTTPInputError:
            # `_on_head` will find the same, and say it.
            return size
        # Not from among the empty lines, and not 0, which says that nothing has come.
        self._searched = max(skipped, size - 3, 1) if skipped < size else 1
        return None

    def deliver(self, schedule, data):
        state = self._state
        if state is IDLE:
            self._searched = 0
            self._state = HEAD
            schedule(self._on_head, data)
        elif state is BODY:
            body = self._body
            try:
                data = body.feed(data)
            except HTTPInputError as error:
                body.unused = b""
                schedule(self._refuse, error)
                return self
            if body.receiver is not None and data:
                # One piece at a time: the next is read when this one was taken.
                body.busy = True
                schedule(self._on_piece, data)
            if body.unused is not None:
                if body.unused:
                    self.stream.push_back(body.unused)
                schedule(self._on_body)
        return self

    def ended(self):
        """The client sends no more. If somebody waits to hear of its going away it has gone;
        otherwise it may still want its response, as after ``nc -N`` (RFC 9112 9.6)."""
        return (self._state in (HEAD, RESPONDING) and self._close_callback is None
                or self._state is BODY and self._body.unused is not None)

    def deliver_rest(self, schedule, buffer):
        if self._state is HEAD:
            # What waits in the queue of the loop is not to be run.
            self._state = CLOSING
        schedule(self._on_close)
        return True

    def _on_close(self):
        callback = self._close_callback
        body, self._body = self._body, None
        if callback is None and body is not None and body.receiver is not None:
            callback = body.receiver.on_connection_close
        self._forget_request()
        if callback is not None:
            self._run(callback)
        self.server.on_close(self)

    # Requests

    def _on_head(self, data):
        params = self.server.params
        if data.endswith(_EMPTY_LINE) and len(data) <= params.max_header_size + 4:
            self._on_whole_head(data)
        elif self._state is HEAD:
            try:
                if len(data) > params.max_header_size:
                    raise HTTPInputError("request head longer than %d bytes"
                                         % params.max_header_size, 431)
                check_partial_head(data, data, params.max_request_line)
                raise HTTPInputError("malformed head of a request")
            except HTTPInputError as error:
                self._refuse(error)

    def _on_whole_head(self, data):
        if self._state is not HEAD:
            # The stream has closed meanwhile.
            return
        server = self.server
        params = server.params
        try:
            method, target, version, headers, length, keep_alive = read_request_head(
                data, params.max_request_line, params.max_headers)
        except HTTPInputError as error:
            self._refuse(error)
            return
        self._keep_alive = keep_alive and not params.no_keep_alive
        request = self.request = HTTPServerRequest(
            method, target, version, headers, None, None, None, None, None, self)
        if server.xheaders:
            server.apply_xheaders(request)
        if length or "Expect" in headers._values:
            self._begin_body(request, length)
            return
        self._state = _HEAD_TO_RESPONDING
        self.since = server.now
        # As _run does, without a call: this is the way of most requests.
        try:
            server.handle_request(request)
        except Exception as error:
            self._handle_exception(error)

    def _begin_body(self, request, length):
        params = self.server.params
        expect = request.headers.get("Expect", "").lower()
        if expect and expect != "100-continue" and request.version == "HTTP/1.1":
            self._refuse(HTTPInputError("Expect can only be 100-continue", 417))
            return
        self._move(BODY)
        try:
            inflater = take_request_coding(request.headers) if params.decompress else None
        except HTTPInputError as error:
            self._refuse(error)
            return
        self._body = body = MessageBody(
            length, params.max_body_size, params.body_timeout, inflater)
        self._run(self._start_receiver, request, body)
        if self._body is not body or self._state is not BODY:
            # It was answered already, from the head alone.
            return
        if not length:
            body.unused = b""
            self._on_body()
            return
        stream = self.stream
        if expect and request.version == "HTTP/1.1" and self._sending is None \
                and not stream.has_unread() and not stream.closed():
            stream.write(_CONTINUE)
        stream.resume_read()

    def _start_receiver(self, request, body):
        # Nothing is read before it is known for whom.
        body.busy = True
        try:
            body.receiver = self.server.start_body(request)
        finally:
            body.busy = False
        if self._body is body:
            body.check_size()

    def _on_piece(self, data):
        body = self._body
        if body is None or self._state is not BODY or self.stream.closed():
            return
        body.busy = False
        self._run(body.receiver.data_received, data)
        if self._body is body and not body.paused and body.unused is None:
            self.stream.resume_read()

    def _on_body(self):
        body = self._body
        # When it is paused, resume_reading comes back to this.
        if body is None or self._state is not BODY or self.stream.closed() or body.paused:
            return
        self._body = None
        self._move(RESPONDING)
        if body.receiver is not None:
            self._run(body.receiver.finish)
        else:
            request = self.request
            request.body = body.whole()
            self._run(self.server.handle_request, request)

    def _run(self, function, *args):
        """Call into the application."""
        try:
            function(*args)
        except Exception as error:
            self._handle_exception(error)

    def _handle_exception(self, error):
        """The application let an exception out: answer it here if nobody did yet."""
        if isinstance(error, HTTPInputError) and self.request is not None:
            self._refuse(error)
            return
        app_log.error("Uncaught exception from %s", self.request or self.remote_ip,
                      exc_info=True)
        if self.request is None:
            # The response was whole before: the client has no part in this.
            return
        if self._sending is None:
            receiver = self._body and self._body.receiver
            self._answer(500)
            if receiver is not None:
                self._run(receiver.on_connection_close)
        else:
            self.close()

    def _refuse(self, error):
        """Answer what RFC or limit forbids; nothing after it is ever parsed (RFC 9112 2.2)."""
        if self.stream.closed() or self._state in (CLOSING, UPGRADED):
            return
        access_log.info("%d refused (%s): %s", error.status, self.remote_ip, error)
        body = self._body
        if self._sending is not None:
            self.close()
            return
        self._answer(error.status, str(error))
        if body is not None and body.receiver is not None:
            self._run(body.receiver.on_connection_close)

    def _answer(self, status, text=""):
        """A short response of the server's own, after which the connection closes."""
        self._keep_alive = False
        self._body = None
        try:
            self.stream.write(encode_answer(
                status, text, http_date(),
                self.request is not None and self.request.method == "HEAD"))
        except (StreamClosedError, StreamBufferFullError):
            self.close()
        else:
            self._close_gently(unread=True)

    # The end

    def close(self):
        """Close the connection now, whatever it is doing."""
        self.stream.close()

    def set_close_callback(self, callback):
        """Call `callback()` when the client goes away before the response is finished."""
        self._close_callback = wrap(callback)
        if self._state is RESPONDING:
            # It may have gone while nobody waited to hear of it.
            self.stream.resume_read()

    def set_stop_callback(self, callback):
        """Call `callback()` when the server is asked to stop before the response is
        finished, so that a long poll can be answered early."""
        self._stop_callback = wrap(callback)

    def set_max_body_size(self, max_body_size):
        """Another limit for the body of this request; call it before the body is read."""
        if self._body is not None:
            self._body.set_limit(max_body_size)

    def set_body_timeout(self, timeout):
        """Another time limit for the body of this request."""
        if self._body is not None:
            self._body.timeout = timeout

    def pause_reading(self):
        """Read no more of the body until `resume_reading`: what comes stays with the kernel,
        which holds the client back."""
        if self._body is not None and not self._body.paused:
            self._body.paused = True
            self._body.paused_at = self.server.now

    def resume_reading(self):
        """Go on after `pause_reading`."""
        body = self._body
        if body is not None and body.paused:
            body.paused = False
            # The time of the handler is not the client's.
            self.since += self.server.now - body.paused_at
            if body.unused is not None:
                self.stream.io_loop.add_callback(self._on_body)
            else:
                self.stream.resume_read()

    def detach(self):
        """Take the stream over, with its unread bytes; this connection is out of it."""
        self._move(UPGRADED)
        self._forget_request()
        self._body = None
        stream = self.stream
        stream.end_read()
        self.server.on_close(self)
        return stream

    def stop(self):
        """Finish what is in progress, then close: the server is stopping."""
        self._keep_alive = False
        if self._state is IDLE and not self.stream.has_unread():
            self._close_gently(unread=False)
        elif self._stop_callback is not None:
            callback, self._stop_callback = self._stop_callback, None
            self.stream.io_loop.add_callback(self._run, callback)

    def check_time(self, now):
        """Close when the time for what the connection is doing is over."""
        params = self.server.params
        state, age = self._state, now - self.since
        if state is IDLE:
            if self.stream.has_unread():
                if age > params.header_timeout:
                    self._refuse(HTTPInputError("the head of the request took too long", 408))
            elif age > params.idle_timeout:
                self.close()
        elif state is BODY:
            if self._body is not None and age > self._body.timeout and not self._body.paused:
                self._refuse(HTTPInputError("the body of the request took too long", 408))
        elif state is RESPONDING and age > params.response_timeout:
            gen_log.warning("No response for %d seconds to %s: was finish() forgotten?",
                            age, self.request)
            self.close()
        elif state is CLOSING and age > params.linger_timeout and not self.stream.writing():
            self.close()
