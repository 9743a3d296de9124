"""The client's side of one HTTP/1.x connection.

The life of an exchange: `request` sends a head (and a body, if it is at hand); the stream brings
the response, which is read as it comes and told to the exchange; then the connection is idle, and
good for the next one. A response that comes in one piece, as most do, is one call.
"""
from __future__ import absolute_import, division, print_function

import socket

import six

from friendserve.iostream.base import RETRY
from friendserve.iostream.buffers import Read
from friendserve.protocol.errors import ConnectionLostError, HTTPInputError
from friendserve.protocol.http1 import (
    BODY, CLOSING, HEAD, IDLE, MAX_INTERIM_RESPONSES, UPGRADED, find_response_end,
    read_response_head)
from friendserve.protocol.http1body import MessageBody, take_response_coding
from friendserve.util import errno_from_exception


#: (from, to) -> to, for every legal move. IDLE: nobody uses the connection. HEAD: a request is on
#: its way, the head of the response is not there. BODY: it is. CLOSING: it is of no use any more.
MOVES = dict(((old, new), new) for old, news in {
    IDLE: (HEAD, CLOSING),
    HEAD: (BODY, CLOSING, UPGRADED),
    BODY: (IDLE, CLOSING, UPGRADED),
    CLOSING: (CLOSING,),
    UPGRADED: (),
}.items() for new in news)


class HTTP1ClientConnection(Read):
    """One connection to a server or proxy; it is the one pending read of its `stream`.

    `owner` is told what becomes of it: `connection_idle(connection)` when it can be used
    again, `connection_closed(connection)` once, in the end. `key` is for the owner.

    An exchange gives `method`, `max_header_size`, `max_body_size`, `decompress`, `is_sent`
    (whether its request is whole) and `upgrades` (whether 101 is a response to it, for which it
    calls `detach` then). It is told, in this order: `on_continue()` for each 100;
    `on_head(status, reason, headers, raw)`, which returns whether it wants the body in pieces;
    `on_data(chunk)` for each of them; then, once, `on_end(body)`, with what it has not had yet
    of the body, or at any time `on_failure(phase, error, again)`: `phase` is "headers" or "body",
    `error` an HTTPInputError or a ConnectionLostError, and `again` says that the connection had
    been used before and closed without a byte of an answer, so that another one is worth a try.
    An exchange does not call an application from these, but
    schedules that.
    """
    __slots__ = ("stream", "owner", "key", "since", "exchanges", "_state", "_exchange", "_body",
                 "_searched", "_interim", "_keep_alive")

    def __init__(self, stream, owner, key=None):
        # Not called; the stream sets it to None when an error closes it.
        super(HTTP1ClientConnection, self).__init__(HTTP1ClientConnection)
        self.stream = stream
        self.owner = owner
        self.key = key
        self.since = 0              # when it became idle, for the owner
        self.exchanges = 0          # how many it has begun
        self._state = IDLE
        self._exchange = None
        self._body = None           # a MessageBody while one is being read
        self._searched = 0          # how much of the head was searched for its end
        self._interim = 0
        self._keep_alive = False
        stream.set_nodelay(True)
        stream.start_read(self)

    def request(self, exchange, data):
        """Send the bytes of a request, or the beginning of them, and read the response."""
        self._state = MOVES[self._state, HEAD]
        self._exchange = exchange
        self._searched = self._interim = 0
        self.exchanges += 1
        self.stream.write(data)

    def write(self, data, callback=None):
        """Send more of the request."""
        self.stream.write(data, callback)

    def seems_open(self):
        """Whether an idle connection has not been closed by the other side: asked of the
        system, for requests that must not be sent twice."""
        if self.stream.closed():
            return False
        # Not the method of a TLS socket, which cannot look without taking.
        sock = self.stream.socket
        try:
            if six.PY2:  # version: py2
                return sock._sock.recv(1, socket.MSG_PEEK) != b""
            return socket.socket.recv(sock, 1, socket.MSG_PEEK) != b""
        except EnvironmentError as error:
            return errno_from_exception(error) in RETRY

    def closed(self):
        """Whether it is of no use any more."""
        return self.stream.closed()

    def abandon(self):
        """Close the connection and forget the exchange, which is told nothing any more."""
        self._exchange = None
        self.stream.close()

    def detach(self):
        """Give the stream away, with its unread bytes: the connection is for others now. An
        exchange may call it from `on_head`."""
        self._state = MOVES[self._state, UPGRADED]
        self._exchange = None
        self.stream.end_read()
        self.owner.connection_closed(self)
        return self.stream

    # The read: what the stream asks

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
        if end < 0 and size > self._exchange.max_header_size:
            return size
        return end if end >= 0 else None

    def deliver(self, schedule, data):
        if self._state is HEAD:
            self._on_head(data, b"")
        elif self._state is BODY:
            self._feed(data)
        else:
            # Nobody has asked for this.
            self.stream.close()
        return None if self.stream.closed() or self._state is UPGRADED else self

    def deliver_rest(self, schedule, buffer):
        schedule(self._on_close, self.callback is not None, len(buffer) > 0)
        return True

    def _on_close(self, is_clean, has_rest):
        """The connection has closed, by itself (`is_clean`) or for an error."""
        state, self._state = self._state, CLOSING
        self.owner.connection_closed(self)
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        body, self._body = self._body, None
        if state is BODY and is_clean:
            try:
                if body.closed():
                    exchange.on_end(body.whole())
                    return
            except HTTPInputError as error:
                exchange.on_failure("body", error, False)
                return
        nothing_came = state is HEAD and not has_rest and not self._interim
        exchange.on_failure(
            "body" if state is BODY else "headers",
            ConnectionLostError("the server closed the connection %s" % (
                "before it answered" if nothing_came else "in the middle of its response"),
                self.stream.error),
            nothing_came and self.exchanges > 1)

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
        self._state = MOVES[HEAD, BODY]
        inflater = None
        if exchange.decompress and length != 0 and "Content-Encoding" in headers._values:
            inflater = take_response_coding(headers)
        pieces = exchange.on_head(status, reason, headers, head)
        if self._exchange is not exchange:
            if rest:
                self.stream.push_back(rest)
        elif length == len(rest) and inflater is None and length <= exchange.max_body_size:
            # All of it: nearly every response.
            self._finish(rest)
        else:
            self._body = MessageBody(length, exchange.max_body_size, None, inflater)
            self._body.receiver = exchange if pieces else None
            if length == 0:
                self._keep_alive = False
                self._finish(b"")
            else:
                self._begin_body(rest)

    def _begin_body(self, rest):
        try:
            self._body.check_size()
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
            self._fail(HTTPInputError("the server switched to another protocol, unasked"))
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
            piece = body.feed(data if wanted == len(data) else data[:wanted])
        except HTTPInputError as error:
            self._fail(error)
            return
        if body.unused is None:
            if piece and body.receiver is not None:
                body.receiver.on_data(piece)
            return
        if body.unused or wanted != len(data):
            # More than was asked for: who knows what it belongs to.
            self._keep_alive = False
        self._finish(body.whole() if body.receiver is None else piece)

    def _finish(self, rest):
        """The response is whole; `rest` is what the exchange has not had of its body."""
        exchange, self._exchange = self._exchange, None
        self._body = None
        stream = self.stream
        if self._keep_alive and exchange.is_sent and not stream.writing():
            self._state = MOVES[BODY, IDLE]
            self.owner.connection_idle(self)
        else:
            self._state = CLOSING
            stream.close()
        exchange.on_end(rest)

    def _fail(self, error):
        """The response is malformed, or larger than allowed: `error` is an HTTPInputError."""
        exchange, self._exchange = self._exchange, None
        phase = "body" if self._state is BODY else "headers"
        self._state = CLOSING
        self._body = None
        self.stream.close()
        exchange.on_failure(phase, error, False)
