"""`CurlTransfer`: one transfer of libcurl at a time, on a handle that is reused.

It is to libcurl what `HTTP1ClientConnection` is to a stream: it calls the same methods of an
exchange in the same order. libcurl does the framing; limits, decompression and the parsing of heads
are done here, so that they are the same in both clients.
"""
from __future__ import absolute_import, division, print_function

import collections
import re

import pycurl
import six

from friendserve.curl_httpclient.errors import CurlProtocolError, make_error
from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.http1 import (
    CHUNKED, MAX_INTERIM_RESPONSES, UNTIL_CLOSE, read_response_head)
from friendserve.protocol.http1body import MessageBody, take_response_coding
from friendserve.stack_context import wrap

# What libcurl says, over OpenSSL and over GnuTLS, when close_notify is missing.
_MISSING_CLOSE_NOTIFY = re.compile("unexpected eof|non-properly terminated")

SIZE_UPLOAD = getattr(pycurl, "SIZE_UPLOAD_T", pycurl.SIZE_UPLOAD)


class CurlTransfer(object):
    """A handle, `curl`, and its current transfer.

    `owner` is the client. It adds `curl` to its CurlMulti in `add(transfer)`, removes it in
    `release(transfer)`, and calls `finished` when libcurl has finished the transfer.

    The methods that libcurl calls (`on_line`, `on_data`, `on_read`) call neither libcurl nor the
    application.
    """
    __slots__ = ("owner", "curl", "is_added", "_callbacks", "_plain", "_exchange", "_lines",
                 "_room", "_head", "_interim", "_is_refused", "_body", "_error",
                 "_outgoing", "_is_paused", "_is_ended")

    def __init__(self, owner):
        self.owner = owner
        self.curl = pycurl.Curl()
        self.curl.transfer = self
        self.is_added = False                   # to the CurlMulti, for the owner
        # Made once: each access to a method makes a new bound method.
        self._callbacks = self.on_line, self.on_data
        # The `plain` of the exchange whose options the handle still has; None if it has none.
        self._plain = None
        self._outgoing = collections.deque()    # (piece, callback) of the body still to be sent
        self._clear()

    def _clear(self):
        self._exchange = None
        self._lines = []            # of the current head, later of the trailers
        self._head = None           # (status, reason, headers, raw, length) of the last full head
        self._interim = 0           # number of 1xx responses
        self._is_refused = False    # by a 417
        self._body = None           # a MessageBody once it has begun, or bytes: all of the body
        self._error = None          # the reason why libcurl was told to stop
        self._is_paused = None      # whether libcurl waits for more to send; None before it asks
        self._is_ended = False      # whether `end_body` was called

    def request(self, exchange):
        """Begin the transfer. `exchange.configure(curl)` sets all options but the callbacks.

        If `exchange.plain` equals that of the last exchange, the handle has all options already
        but the URL, and they are not set again. This is the usual case.
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
        """Whether the transfer has ended."""
        return self._exchange is None

    def abandon(self):
        """End the transfer, without calling the exchange."""
        if self._exchange is not None:
            self._release()

    def _release(self):
        self._clear()
        self.owner.release(self)
        if self._plain is None:
            # So as not to keep secrets and bodies.
            self._outgoing.clear()
            self.curl.reset()

    def close(self):
        """Close the handle. The transfer must have ended."""
        self.curl.transfer = self._callbacks = None
        self.curl.close()

    # The body of the request

    def write(self, data, callback=None):
        """Send bytes of the body; `callback()` is called when libcurl has taken them."""
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
                # pycurl does not pass on the events that libcurl asks for within this call.
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
                # An empty piece would mean the end of the body.
                return piece
        self._is_paused = not self._is_ended
        return b"" if self._is_ended else pycurl.READFUNC_PAUSE

    # The response

    def on_line(self, line):
        # The most frequent call: keep it short.
        size = len(line)
        self._room -= size
        self._lines.append(line)
        if size < 3:
            return self._on_empty_line()
        if self._room < 0:
            return self._stop("the head of the response is larger than %d bytes"
                              % self._exchange.max_header_size, "headers")
        return None

    def _on_empty_line(self):
        head = b"".join(self._lines)
        if not head.startswith(b"HTTP/") or self._body is not None:
            # Trailers (RFC 9110 6.5). A second head, however, is possible: the first one was an
            # interim response, a proxy's, or a challenge that libcurl answers.
            return None
        exchange = self._exchange
        self._lines = []
        self._room = exchange.max_header_size
        # libcurl makes up status lines for HTTP/2 and 3.
        text = head if head[6:7] != b" " else b"HTTP/1.1" + head[6:]
        if text[9:10] == b"1":
            self._interim += 1
            if self._interim > MAX_INTERIM_RESPONSES:
                return self._stop("more than %d interim (1xx) responses" % MAX_INTERIM_RESPONSES,
                                  "headers")
            if text[9:12] == b"101":
                return self._stop("the server switched to another protocol unasked", "headers")
            return None
        try:
            _, status, reason, headers, length, _ = read_response_head(text, exchange.method)
            if length is not CHUNKED and length is not UNTIL_CLOSE \
                    and length > exchange.max_body_size:
                raise HTTPInputError("a body of %d bytes is larger than the limit of %d"
                                     % (length, exchange.max_body_size))
        except HTTPInputError as error:
            return self._stop(error, "headers")
        self._head = status, reason, headers, head, length
        if status == 417 and exchange.request.expect_100_continue:
            # libcurl would repeat the request with the same expectation.
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
        """Called when the head is known to be the last one: pass it to the exchange. Return whether
        the first `size` bytes are all of the body and need no decoding. Raises HTTPInputError if
        there was no head."""
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
        # libcurl finds the end of the body.
        self._body = MessageBody(UNTIL_CLOSE, exchange.max_body_size, None, inflater)
        self._body.receiver = exchange if pieces else None
        return False

    def finished(self, errno, message):
        """Called when libcurl has finished the transfer; `errno` is 0 for a success."""
        exchange, error = self._exchange, self._error
        if self.curl.getinfo(pycurl.NUM_CONNECTS):
            exchange.note_times(self)
        rest = b""
        if error is None and (errno == 0 or self._is_refused
                              or self._is_accepted_end(errno, message)):
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

    def _is_accepted_end(self, errno, message):
        """Whether an error of libcurl is only that close_notify is missing at the end of a body
        without a length, and the exchange does not require it."""
        return (errno == pycurl.E_RECV_ERROR and not self._exchange.require_close_notify
                and self._head is not None and self._head[-1] is UNTIL_CLOSE
                and _MISSING_CLOSE_NOTIFY.search(message) is not None)

    def _end_body(self):
        """The part of the body that the exchange has not received yet."""
        if self._body is None and self._begin_body(0):
            return b""
        body = self._body
        if type(body) is bytes:
            return body
        body.closed()
        return body.whole() if body.receiver is None else b""

    # Progress

    def phase(self):
        """How far the transfer has got, as in HTTPTransferError."""
        exchange, getinfo = self._exchange, self.curl.getinfo
        if self._body is not None:
            return "body"
        is_secure = exchange.url.scheme == "https"
        is_new = getinfo(pycurl.NUM_CONNECTS)
        if is_secure and is_new and not getinfo(pycurl.APPCONNECT_TIME):
            # When libcurl sets its other times depends on its version.
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
        """(number of connections made, seconds until the name was resolved, until it was connected,
        until TLS was ready)."""
        getinfo = self.curl.getinfo
        connected = getinfo(pycurl.CONNECT_TIME)
        return (getinfo(pycurl.NUM_CONNECTS), getinfo(pycurl.NAMELOOKUP_TIME), connected,
                getinfo(pycurl.APPCONNECT_TIME) or connected)
