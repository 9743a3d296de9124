"""One transfer of libcurl at a time, on one handle that is used again and again.

`CurlTransfer` is to libcurl what `HTTP1ClientConnection` is to a stream: it tells the same
exchange the same things in the same order. libcurl does the framing, and we all that has to be the
same for both clients: limits, decompression, and what counts as a head.
"""
from __future__ import absolute_import, division, print_function

import collections

import pycurl
import six

from friendserve.curl_httpclient.errors import CurlProtocolError, make_error
from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.http1 import (
    CHUNKED, MAX_INTERIM_RESPONSES, UNTIL_CLOSE, read_response_head)
from friendserve.protocol.http1body import MessageBody, take_response_coding
from friendserve.stack_context import wrap

SIZE_UPLOAD = getattr(pycurl, "SIZE_UPLOAD_T", pycurl.SIZE_UPLOAD)


class CurlTransfer(object):
    """`owner` is the client: it adds `curl` to its CurlMulti when `request` is called, calls
    `finished` when libcurl says so, and takes it away in `release(transfer)`.

    What libcurl calls (`on_line`, `on_data`, `on_read`) calls neither libcurl nor an application.
    """
    __slots__ = ("owner", "curl", "is_added", "_callbacks", "_plain", "_exchange", "_lines",
                 "_room", "_head", "_interim", "_is_refused", "_body", "_error",
                 "_outgoing", "_is_paused", "_is_ended")

    def __init__(self, owner):
        self.owner = owner
        self.curl = pycurl.Curl()
        self.curl.transfer = self
        self.is_added = False                   # to the CurlMulti, for the owner
        # Made once: a bound method is an object each time it is asked for.
        self._callbacks = self.on_line, self.on_data
        self._plain = None                      # what is set; None: nothing is
        self._outgoing = collections.deque()    # (piece, callback) of the body to be sent
        self._clear()

    def _clear(self):
        self._exchange = None
        self._lines = []            # of the head, and later of trailers
        self._head = None           # what it says, the last one that is whole
        self._interim = 0
        self._is_refused = False    # by 417
        self._body = None           # a MessageBody once it has begun, or bytes that are all of it
        self._error = None          # why we told libcurl to stop
        self._is_paused = None      # whether libcurl waits for more to send; None: not begun
        self._is_ended = False

    def request(self, exchange):
        """Begin; `exchange.configure(curl)` sets all options but the callbacks.

        Where `exchange.plain` is not None, it and the URL are all there is to set: then, as
        nearly always, the last exchange has left what the next one needs.
        """
        self._exchange = exchange
        self._room = exchange.max_header_size       # bytes that lines may still have
        curl, plain = self.curl, exchange.plain
        if plain is not None and plain == self._plain:
            curl.setopt(pycurl.URL, exchange.url.text)
        else:
            if self._plain is not None:
                self._plain = None
                curl.reset()
            on_line, on_data = self._callbacks
            curl.setopt(pycurl.HEADERFUNCTION, on_line)
            curl.setopt(pycurl.WRITEFUNCTION, on_data)
            exchange.configure(curl)
            if not exchange.is_sent:
                curl.setopt(pycurl.READFUNCTION, self.on_read)
            self._plain = plain
        self.owner.add(self)

    def closed(self):
        """Whether it is over."""
        return self._exchange is None

    def abandon(self):
        """End it and forget the exchange, which is told nothing any more."""
        if self._exchange is not None:
            self._release()

    def _release(self):
        self._clear()
        self.owner.release(self)
        if self._plain is None:
            # Neither secrets nor bodies are kept.
            self._outgoing.clear()
            self.curl.reset()

    def close(self):
        """Give back the handle, of a transfer that is over."""
        self.curl.transfer = self._callbacks = None
        self.curl.close()

    # The body of the request

    def write(self, data, callback=None):
        """Send bytes of the body; `callback()` when libcurl has taken them."""
        self._outgoing.append((bytes(data), wrap(callback)))
        self._go_on()

    def end_body(self):
        self._is_ended = True
        self._go_on()

    def _go_on(self):
        if self._is_paused:
            self._is_paused = False
            self.curl.pause(pycurl.PAUSE_CONT)
            if six.PY2:  # version: py2
                # There pycurl does not pass on which events libcurl asks for in that call.
                self.owner.watch_all()

    def on_read(self, size):
        if self._is_paused is None:
            self.owner.io_loop.spawn_callback(self._exchange.on_continue)
        while self._outgoing:
            piece, callback = self._outgoing.popleft()
            if len(piece) > size:
                self._outgoing.appendleft((piece[size:], callback))
                return piece[:size]
            if callback is not None:
                self.owner.io_loop.spawn_callback(callback)
            if piece:
                # Nothing would mean the end.
                return piece
        self._is_paused = not self._is_ended
        return b"" if self._is_ended else pycurl.READFUNC_PAUSE

    # The response

    def on_line(self, line):
        # Of all that is called here, this is called most.
        size = len(line)
        self._room -= size
        self._lines.append(line)
        if size < 3:
            return self._on_empty_line()
        if self._room < 0:
            return self._stop("the head of the response is longer than %d bytes"
                              % self._exchange.max_header_size, "headers")
        return None

    def _on_empty_line(self):
        head = b"".join(self._lines)
        if not head.startswith(b"HTTP/") or self._body is not None:
            # Trailers (RFC 9110 6.5). A second head, though, means that the first was an interim
            # response, or one of a proxy, or a question who we are.
            return None
        exchange = self._exchange
        self._lines = []
        self._room = exchange.max_header_size
        # The status lines of HTTP/2 and 3 are those of libcurl.
        text = head if head[6:7] != b" " else b"HTTP/1.1" + head[6:]
        if text[9:10] == b"1":
            self._interim += 1
            if self._interim > MAX_INTERIM_RESPONSES:
                return self._stop("more than %d responses 1xx" % MAX_INTERIM_RESPONSES, "headers")
            if text[9:12] == b"101":
                return self._stop("the server switched to another protocol, unasked", "headers")
            return None
        try:
            _, status, reason, headers, length, _ = read_response_head(text, exchange.method)
            if length is not CHUNKED and length is not UNTIL_CLOSE \
                    and length > exchange.max_body_size:
                raise HTTPInputError("a body of %d bytes is more than %d"
                                     % (length, exchange.max_body_size))
        except HTTPInputError as error:
            return self._stop(error, "headers")
        self._head = status, reason, headers, head, length
        if status == 417 and exchange.request.expect_100_continue:
            # libcurl would ask again, with the same expectation.
            self._is_refused = True
            return -1
        return None

    def on_data(self, data):
        try:
            body = self._body
            if body is None:
                if self._begin_body(len(data)):
                    self._body = data
                    return None
                body = self._body
            piece = body.feed(data)
        except HTTPInputError as error:
            return self._stop(error, "headers" if self._body is None else "body")
        if piece and body.receiver is not None:
            body.receiver.on_data(piece)
        return None

    def _stop(self, reason, phase):
        self._error = CurlProtocolError(pycurl.E_WRITE_ERROR, str(reason), phase)
        return -1

    def _begin_body(self, size):
        """The head was the last one: tell the exchange. Returns whether the first `size` bytes are
        all of the body, as they are. Raises HTTPInputError without a head."""
        exchange = self._exchange
        if self._head is None:
            raise HTTPInputError("the response has no head")
        status, reason, headers, head, length = self._head
        inflater = None
        if exchange.decompress and length != 0 and "Content-Encoding" in headers._values:
            inflater = take_response_coding(headers)
        pieces = exchange.on_head(status, reason, headers, head)
        if length == size and inflater is None and not pieces:
            return True
        # Where it ends is for libcurl to find.
        self._body = MessageBody(UNTIL_CLOSE, exchange.max_body_size, None, inflater)
        self._body.receiver = exchange if pieces else None
        return False

    def finished(self, errno, message):
        """libcurl is done with it, `errno` 0 when it was a success."""
        exchange, error = self._exchange, self._error
        if self.curl.getinfo(pycurl.NUM_CONNECTS):
            exchange.note_times(self)
        rest = b""
        if error is None and (errno == 0 or self._is_refused):
            try:
                rest = self._end_body()
            except HTTPInputError as reason:
                self._stop(reason, "body")
                error = self._error
        elif error is None:
            error = make_error(errno, message, self.phase())
        elif self.phase() == "proxy":
            error = make_error(pycurl.E_COULDNT_CONNECT, error.message, "proxy")
        self._release()
        if error is not None:
            exchange.on_failure(error.phase, error, False)
        else:
            exchange.on_end(rest)

    def _end_body(self):
        """What the exchange has not had of the body."""
        if self._body is None and self._begin_body(0):
            return b""
        body = self._body
        if type(body) is bytes:
            return body
        body.closed()
        return body.whole() if body.receiver is None else b""

    # How far it is

    def phase(self):
        """In the sense of HTTPTransferError."""
        exchange, getinfo = self._exchange, self.curl.getinfo
        if self._body is not None:
            return "body"
        is_secure = exchange.url.scheme == "https"
        is_new = getinfo(pycurl.NUM_CONNECTS)
        if is_secure and is_new and not getinfo(pycurl.APPCONNECT_TIME):
            # When it sets its other times depends on the version of libcurl.
            is_tunnelled = exchange.request.proxy_host is None or \
                getinfo(pycurl.HTTP_CONNECTCODE) // 100 == 2
            return "tls" if is_tunnelled else "proxy"
        if getinfo(pycurl.PRETRANSFER_TIME):
            return self._phase_of_exchange()
        if not getinfo(pycurl.NAMELOOKUP_TIME):
            return "resolve"
        return "request" if is_new else "connect"

    def _phase_of_exchange(self):
        exchange = self._exchange
        if self._head is not None:
            return "body"
        body = exchange.request.body
        is_sent = exchange.is_sent and not (
            body and self.curl.getinfo(SIZE_UPLOAD) < len(body))
        return "headers" if is_sent else "request"

    def times(self):
        """(connections that were made, seconds until the name was found, until there was a
        connection, until its TLS was ready)."""
        getinfo = self.curl.getinfo
        connected = getinfo(pycurl.CONNECT_TIME)
        return (getinfo(pycurl.NUM_CONNECTS), getinfo(pycurl.NAMELOOKUP_TIME), connected,
                getinfo(pycurl.APPCONNECT_TIME) or connected)
