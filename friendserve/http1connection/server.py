"""The server's side of one HTTP/1.x connection.

The life of a request, which is also the order of the methods: the stream offers new bytes to
`take`, which accepts them if they begin with a whole head; otherwise it gathers bytes until `find`
sees the end of a head, and passes that to `deliver`. Either way `_on_head` is queued on the loop.
It parses the head, and hands the request to the server, or first collects (or passes on) a body.
The response is written by the methods of `friendserve.http1connection.response`. Then the
connection is idle again, and if the next request is already in the buffer, it begins at once.

Only one request is in progress at a time: bytes that follow it stay in the buffer of the stream,
and, once one buffer is full, in the kernel, until its response is finished. So responses are in
order, and a client cannot make the server hold more than one buffer.
"""
from __future__ import absolute_import, division, print_function

from friendserve.http1connection.response import HTTP1ResponseWriter
from friendserve.httputil import HTTPServerRequest, http_date
from friendserve.iostream import StreamBufferFullError, StreamClosedError
from friendserve.iostream.buffers import PAUSE
from friendserve.log import access_log, app_log, gen_log
from friendserve.platform.pollers.clock import monotonic_time
from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.http1 import (
    BODY, CHUNKED, CLOSING, DONE, HEAD, IDLE, MAX_EMPTY_LINES, MOVES, RESPONDING, UPGRADED,
    check_partial_head, count_empty_lines, encode_answer, read_request_head)
from friendserve.protocol.http1body import (
    BODY_MOVES, DELIVERING, ENDED, READING, MessageBody, take_request_coding)
from friendserve.stack_context import wrap

# Looked up once, for the moves that many requests make.
_IDLE_TO_HEAD = MOVES[IDLE, HEAD]
_HEAD_TO_RESPONDING = MOVES[HEAD, RESPONDING]
_HEAD_TO_CLOSING = MOVES[HEAD, CLOSING]
_READING_TO_DELIVERING = BODY_MOVES[READING, DELIVERING]
_DELIVERING_TO_READING = BODY_MOVES[DELIVERING, READING]

_FINISH = HTTP1ResponseWriter.finish
_new_request = HTTPServerRequest.__new__

_EMPTY_LINE = b"\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# While a response is pending, the stream listens until this many bytes of the next request have
# arrived.
_EARLY_BYTES = 1024


class HTTP1ServerConnection(HTTP1ResponseWriter):
    """One connection of a server: reads requests from its stream, writes the responses.

    `server` has these attributes and methods:

    `params`
        The limits, an HTTP1ConnectionParameters.
    `now`
        The time in seconds, on the clock of `check_time`.
    `drain_timeout`
        None, or while the server drains, how long an idle connection answers one more request.
    `xheaders`, `apply_xheaders(request)`
        Whether a proxy in front describes the client in headers, and the method that applies them.
    `start_body(request)`
        Called once for a request that has a body, before any of it is read. Returns the receiver
        for a streamed body, or None to have the body collected.
    `handle_request(request)`
        Called once for each request without a receiver, with its whole body.
    `on_detach(connection)`, `on_release(connection)`
        Called when the connection is detached with a stop callback, and by its `release`.
    `on_close(connection)`
        Called once, when the connection has closed or was detached; after the callback of
        `set_close_callback`, and nothing is called after it.

    A receiver has three methods. `data_received(chunk)` is called for each piece of the body, but
    never before the previous call has returned, nor while reading is paused. Then either `finish()`
    is called, once, after the last piece, or `on_connection_close()`, once, when the body cannot be
    completed (unless the request has a close callback, which is called instead). Neither is called
    when the request was answered before its body was read.

    The connection itself is the stream's pending read, for as long as it lives. `request` is the
    request in progress, or None.
    """
    __slots__ = ("remote_ip", "protocol", "stalled", "_head", "_head_begun", "_searched",
                 "__dict__")

    def __init__(self, stream, server, remote_ip, protocol):
        super(HTTP1ServerConnection, self).__init__(stream, server)
        self.remote_ip = remote_ip  # address of the client, or of the proxy in front of us
        self.protocol = protocol    # "http" or "https"
        self.stalled = None         # for the server's sweeps: (write_progress, since when), or None
        self._head = None           # the bytes of a head, until the loop calls `_on_head`
        self._head_begun = False    # whether some of the next head has arrived, but not all
        self._searched = 0          # bytes of the next head already searched for its end
        if type(self).finish != _FINISH:
            # Programs replace it to count responses.
            self.respond = self.respond_and_finish

    def start(self):
        """Begin to serve. Called once."""
        self.stream.set_nodelay(True)
        try:
            self.stream.start_read(self)
        except StreamClosedError:
            # The client has already disconnected.
            self.server.on_close(self)

    # Bytes arrive: called by the stream, as for every Read

    def take(self, schedule, data):
        # A whole head, as nearly every request is, perhaps with its body.
        if self._state is IDLE:
            end = data.find(_EMPTY_LINE) + 4
            if 4 < end <= self.server.params.max_header_size:
                self._state = _IDLE_TO_HEAD
                # Kept here, because an argument costs the loop more.
                if end == len(data):
                    self._head = data
                else:
                    self._head = data[:end]
                    self.stream.push_back(data[end:])
                schedule(self._on_head)
                return True
        return False

    def find(self, buffer):
        state = self._state
        if state is IDLE:
            end = buffer.find(_EMPTY_LINE, self._searched)
            # A match at position 0 is not the end of a head: empty lines may precede one.
            if 0 < end <= self.server.params.max_header_size:
                return end + 4
            return self._find_slowly(buffer, end)
        if state is BODY:
            body = self._body
            if body.state is not READING or body.paused_at is not None:
                return PAUSE
            most = self.server.params.chunk_size
            if body.receiver is not None:
                most = body.bound(most)
            return body.wanted(min(len(buffer), most)) or None
        if state is CLOSING:
            return len(buffer) or None
        # select notices a disconnect only while we are registered for READ, so a few early bytes
        # must not pause us.
        return PAUSE if len(buffer) >= _EARLY_BYTES else None

    def _find_slowly(self, buffer, end):
        """`find` for a head that is incomplete, too long, or preceded by empty lines."""
        params = self.server.params
        size = len(buffer)
        if not size:
            return None
        if not self._head_begun:
            self._head_begun = True
            self.since = self.server.now
        # RFC 9112 2.2: a few empty lines before a request are skipped.
        skipped = 2 * count_empty_lines(buffer.peek(0, 2 * MAX_EMPTY_LINES + 2))
        if end == 0:
            end = buffer.find(_EMPTY_LINE, skipped)
        if 0 < end <= params.max_header_size:
            return end + 4
        if end > 0 or size > params.max_header_size or skipped > 2 * MAX_EMPTY_LINES:
            # `_refuse_head` says which limit was exceeded.
            return size
        try:
            check_partial_head(buffer.peek(0, params.max_request_line + 18),
                               buffer.peek(self._searched), params.max_request_line)
        except HTTPInputError:
            # `_refuse_head` finds the same fault.
            return size
        # The last three bytes may be the beginning of the end. While there may be only empty
        # lines, these could match as an end, so the search starts at the front.
        self._searched = max(skipped, size - 3) if size > skipped + 1 else 0
        return None

    def deliver(self, schedule, data):
        state = self._state
        if state is IDLE:
            self._head_begun = False
            self._searched = 0
            self._state = _IDLE_TO_HEAD
            self._head = data
            is_whole = data.endswith(_EMPTY_LINE) \
                and len(data) <= self.server.params.max_header_size + 4
            schedule(self._on_head if is_whole else self._refuse_head)
        elif state is BODY:
            body = self._body
            try:
                data = body.feed(data)
            except HTTPInputError as error:
                body.end()
                schedule(self._refuse, error)
                return self
            has_ended = body.state is ENDED
            if body.receiver is not None and data:
                # One piece at a time: the next is read when the receiver has processed this one.
                if not has_ended:
                    body.state = _READING_TO_DELIVERING
                schedule(self._on_piece, data)
            if has_ended:
                if body.unused:
                    self.stream.push_back(body.unused)
                schedule(self._on_body)
        return self

    # The head of a request

    def _refuse_head(self):
        """The bytes in `_head` are too many for a head, or cannot become one."""
        data, self._head = self._head, None
        if self._state is not HEAD:
            return
        params = self.server.params
        try:
            if len(data) > params.max_header_size:
                raise HTTPInputError("request head longer than %d bytes"
                                     % params.max_header_size, 431)
            check_partial_head(data, data, params.max_request_line)
            raise HTTPInputError("malformed request head")
        except HTTPInputError as error:
            self._refuse(error)

    def _on_head(self):
        data, self._head = self._head, None
        if self._state is not HEAD:
            # The stream has closed in the meantime.
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
        # As HTTPServerRequest(...), without a call and its questions.
        request = self.request = _new_request(HTTPServerRequest)
        request.connection = self
        request.method = method
        request.uri = target
        request.path, _, request.query = target.partition("?")
        request.version = version
        request.headers = headers
        request.body = b""
        request._start_time = monotonic_time()
        if server.xheaders:
            server.apply_xheaders(request)
        if length or "Expect" in headers._values:
            self._begin_body(request, length)
            return
        self._state = _HEAD_TO_RESPONDING
        self.since = server.now
        # As _run does, without a call: most requests take this path. For an HTTPServer this is the
        # Application or function that it serves, called without a method in between.
        try:
            server.handle_request(request)
        except Exception as error:
            self._handle_exception(error)
        if self._state is RESPONDING:
            # The response takes time, in which a client may send no more than `_EARLY_BYTES`.
            self.stream.resume_read()

    # Its body

    def _begin_body(self, request, length):
        params = self.server.params
        expect = request.headers.get("Expect", "").lower()
        if expect and expect != "100-continue" and request.version == "HTTP/1.1":
            self._refuse(HTTPInputError("Expect can only be 100-continue", 417))
            return
        try:
            inflater = take_request_coding(request.headers) if params.decompress else None
        except HTTPInputError as error:
            self._refuse(error)
            return
        self._move(BODY)
        self._body = body = MessageBody(
            length, params.max_body_size, params.body_timeout, inflater)
        self._run(self._start_receiver, request, body)
        if self._body is not body or self._state is not BODY:
            # It was already answered, from the head alone.
            return
        if not length:
            body.end()
            self._on_body()
            return
        stream = self.stream
        if body.receiver is None and body.paused_at is None and inflater is None \
                and length is not CHUNKED:
            # Most bodies have arrived together with their head.
            data = stream.take_unread(length)
            if data is not None:
                self._body = None
                self._move(RESPONDING)
                request.body = data
                self._run(self.server.handle_request, request)
                if self._state is RESPONDING:
                    stream.resume_read()
                return
        if expect and request.version == "HTTP/1.1" and self._sending is None \
                and not stream.has_unread() and not stream.closed():
            stream.write(_CONTINUE)
        stream.resume_read()

    def _start_receiver(self, request, body):
        receiver = self.server.start_body(request)
        if self._body is body:
            body.begin(receiver)

    def _on_piece(self, data):
        body = self._body
        if body is None or self._state is not BODY or self.stream.closed():
            return
        if body.state is DELIVERING:
            body.state = _DELIVERING_TO_READING
        self._run(body.receiver.data_received, data)
        if self._body is body and body.state is READING and body.paused_at is None:
            self.stream.resume_read()

    def _on_body(self):
        body = self._body
        # If paused, resume_reading calls this again.
        if body is None or self._state is not BODY or self.stream.closed() \
                or body.paused_at is not None:
            return
        self._body = None
        self._move(RESPONDING)
        if body.receiver is not None:
            self._run(body.receiver.finish)
        else:
            request = self.request
            request.body = body.whole()
            self._run(self.server.handle_request, request)

    def set_max_body_size(self, max_body_size):
        """Set another limit for the body of this request, in bytes. Call it before the body is
        read."""
        if self._body is not None:
            self._body.set_limit(max_body_size)

    def set_body_timeout(self, timeout):
        """Set another time limit for the body of this request, in seconds."""
        if self._body is not None:
            self._body.timeout = timeout

    def pause_reading(self):
        """Read no more of the body until `resume_reading`: further bytes stay in the kernel, which
        makes the client wait. The receiver may still get a piece that was read before."""
        body = self._body
        if body is not None and body.paused_at is None:
            body.paused_at = self.server.now

    def resume_reading(self):
        """Continue after `pause_reading`."""
        body = self._body
        if body is not None and body.paused_at is not None:
            # The time that the handler took does not count against the client.
            self.since += self.server.now - body.paused_at
            body.paused_at = None
            if body.state is ENDED:
                self.stream.io_loop.spawn_callback(self._on_body)
            else:
                self.stream.resume_read()

    # The application

    def _run(self, function, *args):
        """Call into the application."""
        try:
            function(*args)
        except Exception as error:
            self._handle_exception(error)

    # Attributes that Tornado's HTTPConnection had

    @property
    def address(self):
        """The address of the peer, in the format of the socket module."""
        try:
            return self.stream.socket.getpeername()
        except EnvironmentError:
            # The connection was lost.
            return self.remote_ip, 0

    @property
    def xheaders(self):
        """As that of the server."""
        return self.server.xheaders

    @property
    def no_keep_alive(self):
        """Whether the connection is to be closed after this response. It can be set to True while a
        request is in progress."""
        return not self._keep_alive and self._keep_alive is not None

    @no_keep_alive.setter
    def no_keep_alive(self, value):
        if value:
            self._keep_alive = False

    def _handle_exception(self, error):
        """Answer after an exception that the application did not catch, unless a response has
        begun."""
        if isinstance(error, HTTPInputError) and self.request is not None:
            self._refuse(error)
            return
        app_log.error("Uncaught exception from %s", self.request or self.remote_ip,
                      exc_info=True)
        if self.request is None:
            # The response has already been sent in full; there is nothing to tell the client.
            return
        if self._sending is None:
            self._answer(500)
        else:
            self.close()

    def set_close_callback(self, callback):
        """Call `callback()` if the client disconnects before the response is finished. It is called
        at most once, and never after `finish`; None removes it."""
        if self.request is not None:
            self._close_callback = wrap(callback)
        if self._state is RESPONDING:
            # The client may have disconnected while no callback was set.
            self.stream.resume_read()

    def set_stop_callback(self, callback):
        """Call `callback()` if the server is told to stop before the response is finished, so that
        a long poll can be answered early. It is called at most once, and never after `finish`; None
        removes it."""
        if self.request is not None:
            self._stop_callback = wrap(callback)

    def describe(self, now):
        """What this connection does, for an operator; see `HTTPServer.describe_connections`."""
        request = self.request
        return {"remote_ip": self.remote_ip if request is None else request.remote_ip,
                "state": "detached" if self._state is UPGRADED else self._state,
                "seconds": max(0.0, now - self.since),
                "request": request and "%s %s %s" % (request.method, request.uri, request.version)}

    # Refusals

    def _refuse(self, error):
        """Answer a request that the RFC or a limit forbids; nothing that follows it is parsed (RFC
        9112 2.2)."""
        if self.stream.closed() or self._state in (CLOSING, UPGRADED):
            return
        access_log.info("%d refused (%s): %s", error.status, self.remote_ip, error)
        if self._sending is not None:
            self.close()
        else:
            self._answer(error.status, str(error))

    def _answer(self, status, text=""):
        """Send a short response that the application did not write, close the connection, and tell
        the receiver of the body that it ends here."""
        self._keep_alive = False
        body = self._body
        if body is not None:
            # Not dropped yet: if the write fails, the stream offers what it can still read.
            body.end()
        try:
            self.stream.write(encode_answer(
                status, text, http_date(),
                self.request is not None and self.request.method == "HEAD"))
        except (StreamClosedError, StreamBufferFullError):
            self.close()
        self._body = None
        if not self.stream.closed():
            self._close_gently(unread=True)
        # A close callback is still set only if the stream is closed, and is called for that.
        if body is not None and body.receiver is not None and self._close_callback is None:
            self._run(body.receiver.on_connection_close)

    # Closing

    def check_time(self, now):
        """Close the connection if the time limit of its state has passed. `now` is in seconds."""
        params = self.server.params
        state, age = self._state, now - self.since
        if state is IDLE:
            if self.stream.has_unread():
                if age > params.header_timeout:
                    self._refuse(HTTPInputError("the head of the request took too long", 408))
            elif age > params.idle_timeout:
                self.close()
            elif self._keep_alive is not None and self.server.drain_timeout is not None \
                    and age > self.server.drain_timeout:
                # In the next turn, when what the kernel has received until now was read.
                self.stream.io_loop.add_callback(self._end_idle)
        elif state is BODY:
            body = self._body
            if body is not None and age > body.timeout and body.paused_at is None:
                self._refuse(HTTPInputError("the body of the request took too long", 408))
        elif state is RESPONDING and age > params.response_timeout:
            gen_log.warning("No response for %d seconds to %s: was finish() forgotten?",
                            age, self.request)
            self.close()
        elif state is CLOSING and age > params.linger_timeout and not self.stream.writing():
            self.close()

    def stop(self):
        """Finish the request in progress, then close: the server is stopping. What uses a detached
        stream is told by its stop callback."""
        self._keep_alive = False
        if self._state is IDLE and not self.stream.has_unread():
            self._close_gently(unread=False)
        else:
            self._tell_stop()

    def drain(self):
        """Answer the request in progress, or one more, with ``Connection: close``, then close. The
        server has set `drain_timeout`: an idle connection waits for a request that long; one that
        has not sent any, until the server closes it."""
        if self._state is IDLE:
            if not self.stream.has_unread():
                self.since = self.server.now
        elif self.request is not None and self._sending is None:
            self._keep_alive = False
        # A response that has begun has promised the client that the connection continues.
        self._tell_stop()

    def _end_idle(self):
        if self._state is IDLE and not self.stream.has_unread():
            # A request that is on its way is read, or the client would see a reset.
            self._close_gently(unread=True)

    def _tell_stop(self):
        if self._stop_callback is not None:
            callback, self._stop_callback = self._stop_callback, None
            self.stream.io_loop.spawn_callback(self._run, callback)

    def detach(self, stop_callback=None):
        """Hand over the stream, with its unread bytes; this connection no longer uses it. Valid
        only while a request is in progress; otherwise raises KeyError.

        With `stop_callback`, a server that stops gracefully waits for the new user of the stream:
        `stop_callback()` is called, at most once, when the server is told to stop, or soon if that
        has happened already. The user calls `release` when the stream has closed; at the deadline,
        the server closes it.
        """
        self._move(UPGRADED)
        self._forget_request()
        self._body = None
        stream = self.stream
        stream.end_read()
        if stop_callback is not None:
            self._stop_callback = wrap(stop_callback)
            self.server.on_detach(self)
        self.server.on_close(self)
        return stream

    def release(self):
        """Tell the server that a stream detached with a stop callback is no longer used."""
        self._stop_callback = None
        self.server.on_release(self)

    def ended(self):
        """Called when the client will send no more. With a request in progress it may still want
        the response, as after ``nc -N`` (RFC 9112 9.6); but if that has a close callback, this
        counts as a disconnect."""
        return (self._state in (HEAD, RESPONDING, DONE) and self._close_callback is None
                or self._state is BODY and self._body.state is ENDED)

    def abandoned(self):
        """Called when the client will send no more, and has sent requests that are still unread. As
        in `ended`, a close callback decides; without one, all of them are answered. (It is not
        called with select, nor before the kernel has received all that the client has sent.)"""
        return self._state is RESPONDING and self._close_callback is not None

    def deliver_rest(self, schedule, buffer):
        if self._state is HEAD:
            # So that the `_on_head` queued on the loop does not start a request.
            self._state = _HEAD_TO_CLOSING
        schedule(self._on_close)
        return True

    def _on_close(self):
        callback = self._close_callback
        body, self._body = self._body, None
        if callback is None and body is not None and body.receiver is not None:
            callback = body.receiver.on_connection_close
        if self.request is not None:
            self._forget_request()
        if callback is not None:
            self._run(callback)
        self.server.on_close(self)
