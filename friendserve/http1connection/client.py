"""The client's side of one HTTP/1.x connection.

The life of an exchange: `request` sends a head (and the body, if it is at hand); the stream reads
the response and passes it to the exchange as it arrives; then the connection is idle, and ready for
the next exchange. A response that arrives in one piece, as most do, takes one call.
"""
from __future__ import absolute_import, division, print_function

import errno
import ssl

from friendserve.iostream.buffers import Read
from friendserve.protocol.errors import ConnectionLostError, HTTPInputError
from friendserve.protocol.http1 import (
    BODY, CLOSING, HEAD, IDLE, MAX_INTERIM_RESPONSES, UPGRADED, find_response_end,
    read_response_head)
from friendserve.protocol.http1body import (
    ENDED, MessageBody, ResponseChunkedDecoder, take_response_coding)

#: (from, to) -> to, for every legal move; any other is a KeyError, and a bug. IDLE: no exchange
#: uses the connection. HEAD: a request was sent, the head of its response is not complete. BODY:
#: the head is complete. CLOSING: the connection cannot be used again. UPGRADED: its stream was
#: handed over.
MOVES = dict(((old, new), new) for old, news in {
    IDLE: (HEAD, CLOSING),
    HEAD: (BODY, CLOSING, UPGRADED),
    BODY: (IDLE, CLOSING, UPGRADED),
    CLOSING: (CLOSING,),
    UPGRADED: (),
}.items() for new in news)

# A shortage of memory is not among them: then it is unknown whether something is there.
_NOTHING_THERE = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR)

_HEAD_TO_BODY = MOVES[HEAD, BODY]
_BODY_TO_IDLE = MOVES[BODY, IDLE]


class HTTP1ClientConnection(Read):
    """One connection to a server or proxy; it is the pending read of its `stream`.

    The `owner` of the connection has two methods:

    connection_idle(connection)
        Called after each response that leaves the connection open: it can be used again.
    connection_closed(connection)
        Called once, when the connection has closed or its stream was detached. Nothing else is
        called after it, except for the end of the exchange in progress.

    An exchange, which `request` begins, has these attributes:

    `method`, `max_header_size`, `max_body_size`
        The method of its request, and limits for the response in bytes.
    `decompress`
        Whether the body is to be decompressed.
    `is_sent`
        Whether its request was sent as a whole; if not, the connection closes after the response.
    `require_close_notify`
        Whether a body that ends with the connection must end with close_notify (TLS).
    `upgrades`
        Whether 101 is a final response to it; its `on_head` calls `detach` then.

    and these methods. Each is called while the stream is being read, so an exchange does not call
    an application from them, but schedules that. None is called after `abandon` or `detach`.

    on_continue()
        Called for each 100 (Continue), before `on_head`.
    on_head(status, reason, headers, raw)
        Called at most once. Returns whether to deliver the body in pieces.
    on_data(chunk)
        Called for each piece of the body, if pieces were requested, except for the last.
    on_end(body)
        Called once, with the part of the body that was not passed to `on_data`.
    on_failure(phase, error, again)
        Called once, at any time, instead of `on_end`. `phase` is "headers" or "body"; `error` an
        HTTPInputError, or a ConnectionLostError. `again` means that the connection had been used
        before and closed without a byte of a response: the request is worth retrying on another
        connection.
    """
    __slots__ = ("stream", "owner", "key", "since", "exchanges", "_state", "_exchange", "_body",
                 "_searched", "_interim", "_keep_alive")

    def __init__(self, stream, owner, key=None):
        # A callback that is never called: the stream sets it to None when an error closes it.
        super(HTTP1ClientConnection, self).__init__(HTTP1ClientConnection)
        self.stream = stream
        self.owner = owner
        self.key = key              # for the owner: where the connection leads
        self.since = 0              # for the owner: when it became idle
        self.exchanges = 0          # the number of exchanges begun
        self._state = IDLE          # one of the states of `MOVES`
        self._exchange = None       # the one in progress
        self._body = None           # the MessageBody of a response while it is being read
        self._searched = 0          # bytes of the head that were searched for its end
        self._interim = 0           # responses 1xx to this request so far
        self._keep_alive = False    # whether this response leaves the connection open
        stream.set_nodelay(True)
        stream.start_read(self)

    def request(self, exchange, data):
        """Send `data`, the bytes of a request or the beginning of them, and read the response on
        behalf of `exchange`. The connection must be idle."""
        self._state = MOVES[self._state, HEAD]
        self._exchange = exchange
        self._searched = self._interim = 0
        self.exchanges += 1
        self.stream.write(data)

    def write(self, data, callback=None):
        """Send more of the request."""
        self.stream.write(data, callback)

    def is_reusable(self):
        """Whether this idle connection is open and has received nothing, as far as the system knows
        now. Otherwise it must be abandoned (RFC 9112 9.2): what arrived before a request is not the
        response to it, and has been taken from the stream."""
        try:
            # With TLS this handles records without data, such as session tickets.
            self.stream.socket.recv(1)
        except ssl.SSLError as error:
            return error.args[0] == ssl.SSL_ERROR_WANT_READ
        except EnvironmentError as error:
            return error.errno in _NOTHING_THERE
        return False

    def closed(self):
        """Whether the connection is closed."""
        return self.stream.closed()

    def abandon(self):
        """Close the connection; none of the exchange's methods is called after this."""
        self._exchange = None
        self.stream.close()

    def detach(self):
        """Hand over the stream, with its unread bytes; this connection no longer uses it. An
        exchange may call this from `on_head`. None of its methods is called after this."""
        self._state = MOVES[self._state, UPGRADED]
        self._exchange = None
        self.stream.end_read()
        self.owner.connection_closed(self)
        return self.stream

    # Called by the stream, as for every Read

    def take(self, schedule, data):
        if self._state is HEAD:
            end = find_response_end(data)
            if end < 0:
                return False
            self._on_head(data[:end], data[end:])
            return True
        if self._state is BODY:
            self._feed(data)
            return True
        return False

    def find(self, buffer):
        if self._state is not HEAD:
            return len(buffer) or None
        size = len(buffer)
        end = find_response_end(buffer, self._searched)
        self._searched = size
        # With what follows it: the end of the response decides whether there may be more.
        return size if end >= 0 or size > self._exchange.max_header_size else None

    def deliver(self, schedule, data):
        if self._state is HEAD:
            end = find_response_end(data)
            if end < 0:
                # It is too long.
                end = len(data)
            self._on_head(data[:end], data[end:])
        elif self._state is BODY:
            self._feed(data)
        else:
            # The server sent data without a request.
            self.stream.close()
        return None if self.stream.closed() or self._state is UPGRADED else self

    def deliver_rest(self, schedule, buffer):
        schedule(self._on_close, self.callback is not None, len(buffer) > 0)
        return True

    def _on_close(self, is_clean, has_rest):
        """End the exchange for a stream that has closed, without an error (`is_clean`) or for one.
        `has_rest` is whether it held bytes that were not delivered."""
        state = self._state
        self._state = MOVES[state, CLOSING]
        self.owner.connection_closed(self)
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        body, self._body = self._body, None
        error = self.stream.error
        is_broken_off = isinstance(error, ssl.SSLEOFError)
        if state is BODY and (is_clean or is_broken_off and not exchange.require_close_notify):
            try:
                if body.closed():
                    exchange.on_end(body.whole())
                    return
            except HTTPInputError as error:
                exchange.on_failure("body", error, False)
                return
        unanswered = state is HEAD and not has_rest and not self._interim
        exchange.on_failure(
            "body" if state is BODY else "headers",
            ConnectionLostError("the server closed the connection %s" % (
                "before it answered" if unanswered else
                "without close_notify, so its response may be incomplete" if is_broken_off else
                "in the middle of its response"), error),
            unanswered and self.exchanges > 1)

    # The response

    def _on_head(self, head, rest):
        exchange = self._exchange
        if len(head) > exchange.max_header_size:
            self._fail(HTTPInputError("the head of the response is longer than %d bytes"
                                      % exchange.max_header_size))
            return
        try:
            version, status, reason, headers, length, self._keep_alive = read_response_head(
                head, exchange.method)
        except HTTPInputError as error:
            self._fail(error)
            return
        if status < 200 and not (status == 101 and exchange.upgrades):
            self._on_interim(status, rest)
            return
        self._state = _HEAD_TO_BODY
        inflater = None
        if exchange.decompress and length != 0 and "Content-Encoding" in headers._values:
            inflater = take_response_coding(headers)
        pieces = exchange.on_head(status, reason, headers, head)
        if self._exchange is not exchange:
            if rest:
                self.stream.push_back(rest)
        elif length == len(rest) and inflater is None and length <= exchange.max_body_size:
            # The whole body, as for nearly every response.
            self._finish(rest)
        elif length == 0:
            # More bytes than the response has.
            self._keep_alive = False
            self._finish(b"")
        else:
            self._body = MessageBody(length, exchange.max_body_size, None, inflater,
                                     ResponseChunkedDecoder)
            self._begin_body(exchange if pieces else None, rest)

    def _begin_body(self, receiver, rest):
        try:
            self._body.begin(receiver)
        except HTTPInputError as error:
            self._fail(error)
        else:
            if rest:
                self._feed(rest)

    def _on_interim(self, status, rest):
        self._interim += 1
        self._searched = 0
        if self._interim > MAX_INTERIM_RESPONSES:
            self._fail(HTTPInputError("more than %d responses 1xx" % MAX_INTERIM_RESPONSES))
        elif status == 101:
            self._fail(HTTPInputError("the server switched protocols without a request to"))
        else:
            if status == 100:
                self._exchange.on_continue()
            if rest:
                self.stream.push_back(rest)
                self.stream.resume_read()

    def _feed(self, data):
        body = self._body
        wanted = body.wanted(len(data))
        try:
            if body.receiver is not None and body.is_chunked():
                pieces = body.feed_chunks(data)
                piece = pieces.pop() if pieces else b""
                for one in pieces:
                    body.receiver.on_data(one)
            else:
                piece = body.feed(data if wanted == len(data) else data[:wanted])
        except HTTPInputError as error:
            self._fail(error)
            return
        if body.state is not ENDED:
            if piece and body.receiver is not None:
                body.receiver.on_data(piece)
            return
        if body.unused or wanted != len(data):
            # More bytes than the response has: it is unknown where they belong.
            self._keep_alive = False
        self._finish(body.whole() if body.receiver is None else piece)

    def _finish(self, rest):
        """End the exchange with a complete response; `rest` is the part of the body that it has not
        received yet."""
        exchange, self._exchange = self._exchange, None
        self._body = None
        stream = self.stream
        if self._keep_alive and exchange.is_sent and not stream.writing():
            self._state = _BODY_TO_IDLE
            self.owner.connection_idle(self)
        else:
            self._state = MOVES[BODY, CLOSING]
            stream.close()
        exchange.on_end(rest)

    def _fail(self, error):
        """End the exchange for a response that is malformed or larger than allowed: `error` is an
        HTTPInputError."""
        exchange, self._exchange = self._exchange, None
        phase = "body" if self._state is BODY else "headers"
        self._state = MOVES[self._state, CLOSING]
        self._body = None
        self.stream.close()
        exchange.on_failure(phase, error, False)
