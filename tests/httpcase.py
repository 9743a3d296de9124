"""Shared by the tests of the HTTP server: a loop, servers on loopback, clients that send bytes."""
from __future__ import absolute_import, division, print_function

import errno
import logging
import socket
import ssl
import struct
import unittest

from friendserve.httpserver import HTTPServer
from friendserve.httputil import (
    HTTPHeaders, HTTPMessageDelegate, HTTPServerConnectionDelegate, ResponseStartLine)
from friendserve.ioloop import IOLoop
from friendserve.netutil import bind_sockets, ssl_wrap_socket
from tests import CA, CERT, KEY, PATIENCE
from tests.loopcase import LogCatcher, LoopCase

SERVER_OPTIONS = {"certfile": CERT, "keyfile": KEY}

_LATER = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR)
_TLS_LATER = (ssl.SSL_ERROR_WANT_READ, ssl.SSL_ERROR_WANT_WRITE)


def answer(request, body=b"ok", status=200, reason="OK", **headers):
    """Answer a request in one piece."""
    headers = HTTPHeaders(dict((name.replace("_", "-"), value)
                               for name, value in headers.items()))
    request.connection.respond(status, reason, headers, body)


def echo(request):
    """Answer with the body of the request."""
    answer(request, request.body)


class Waiting(object):
    """A callback for servers that keeps the requests and does not answer them."""
    def __init__(self):
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)

    def paths(self):
        return [request.path for request in self.requests]


def get(path="/", headers="", version="1.1"):
    """The bytes of a GET; `headers` are whole lines."""
    return ("GET %s HTTP/%s\r\nHost: example.com\r\n%s\r\n" % (path, version, headers)).encode(
        "latin-1")


def post(body, path="/", headers="", version="1.1"):
    """The bytes of a POST with a Content-Length."""
    return ("POST %s HTTP/%s\r\nHost: example.com\r\nContent-Length: %d\r\n%s\r\n" % (
        path, version, len(body), headers)).encode("latin-1") + body


def post_chunked(*chunks, **options):
    """The bytes of a chunked POST; the option `headers` are whole lines."""
    return ("POST %s HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n%s\r\n" % (
        options.get("path", "/"), options.get("headers", ""))).encode("latin-1") + b"".join(
            [("%x\r\n" % len(chunk)).encode("ascii") + chunk + b"\r\n" for chunk in chunks]
            + [b"0\r\n\r\n"])


def head_of(data):
    """The head of a request, and the rest."""
    head, end, body = data.partition(b"\r\n\r\n")
    return head + end, body


def respond(connection, status=200, reason="OK", body=b"ok"):
    connection.write_headers(ResponseStartLine("HTTP/1.1", status, reason),
                             HTTPHeaders({"Content-Length": str(len(body))}), body)
    connection.finish()


class Recorder(HTTPMessageDelegate):
    """Records the calls of a message delegate, and answers after the last one.

    `events` has the pieces of the body as native strings, `pieces` as bytes.
    """
    def __init__(self, connection):
        self.connection = connection
        self.events = []
        self.pieces = []
        self.headers = None
        self.start_line = None

    def headers_received(self, start_line, headers):
        self.start_line = start_line
        self.headers = headers
        self.events.append("headers")

    def data_received(self, chunk):
        self.pieces.append(chunk)
        self.events.append(str(chunk.decode("ascii")))

    def finish(self):
        self.events.append("finish")
        respond(self.connection, body=self.body())

    def on_connection_close(self):
        self.events.append("close")

    def body(self):
        return b"".join(self.pieces)


class Delegate(HTTPServerConnectionDelegate):
    def __init__(self, message_type=Recorder):
        self.message_type = message_type
        self.messages = []
        self.closed = []

    def start_request(self, server_conn, request_conn):
        self.messages.append(self.message_type(request_conn))
        return self.messages[-1]

    def on_close(self, server_conn):
        self.closed.append(server_conn)


class Response(object):
    """A response as a client sees it; `chunks` are those of a chunked body."""
    def __init__(self, version, status, reason, headers, body, chunks=None):
        self.version = version
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body
        self.chunks = chunks


class Client(object):
    """A non-blocking socket, and the bytes that it received."""
    def __init__(self, case, sock):
        self.case = case
        self.sock = sock
        self.data = b""
        self.ended = False          # the server has closed its side
        self.reset = False

    def send(self, data):
        """Send all of `data` while the server runs. Data that the peer refuses is dropped."""
        data = memoryview(data)
        while len(data):
            try:
                data = data[self.sock.send(data):]
            except socket.error as error:
                if not _is_for_later(error):
                    if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                        raise
                    return
                self.case.turn(0.01)

    def end(self):
        """Shut down the sending side, like ``nc -N`` after its input."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def abort(self):
        """Close with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def receive(self, size=65536):
        """Receive once; return whether anything arrived: data or the end."""
        if self.ended:
            return False
        try:
            data = self.sock.recv(size)
        except socket.error as error:
            if _is_for_later(error):
                return False
            if error.errno != errno.ECONNRESET and not isinstance(error, ssl.SSLError):
                raise
            self.reset = error.errno == errno.ECONNRESET
            data = b""
        self.data += data
        self.ended = not data
        return True

    def wait_for(self, condition):
        """Receive until `condition()` holds."""
        self.case.run_until(lambda: condition() or self.receive() and condition())

    def read(self, size):
        """The next `size` bytes."""
        self.wait_for(lambda: len(self.data) >= size or self.ended)
        data, self.data = self.data[:size], self.data[size:]
        return data

    def read_line(self):
        """The next line, without its CRLF."""
        self.wait_for(lambda: b"\r\n" in self.data or self.ended)
        line, end, self.data = self.data.partition(b"\r\n")
        self.case.assertTrue(end, "no line end after %r" % line[:100])
        return line

    def read_rest(self):
        """All data until the server closes, which it must not do by a reset."""
        self.wait_for(lambda: self.ended)
        self.case.assertFalse(self.reset, "the connection was reset")
        data, self.data = self.data, b""
        return data

    def read_response(self, method="GET"):
        """The next Response, to a request of this method."""
        version, status, reason = self.read_line().decode("latin-1").split(" ", 2)
        headers = HTTPHeaders()
        while True:
            line = self.read_line()
            if not line:
                break
            name, value = line.decode("latin-1").split(": ", 1)
            headers.add(str(name), str(value))
        body, chunks = b"", None
        if method == "HEAD" or status[0] == "1" or status in ("204", "304"):
            pass
        elif headers.get("Transfer-Encoding") == "chunked":
            chunks = self._read_chunks()
            body = b"".join(chunks)
        elif "Content-Length" in headers:
            body = self.read(int(headers["Content-Length"]))
            self.case.assertEqual(len(body), int(headers["Content-Length"]))
        else:
            body = self.read_rest()
        return Response(version, int(status), reason, headers, body, chunks)

    def _read_chunks(self):
        chunks = []
        while True:
            size = int(self.read_line(), 16)
            if not size:
                self.case.assertEqual(self.read_line(), b"")
                return chunks
            chunks.append(self.read(size))
            self.case.assertEqual(self.read_line(), b"")


def _is_for_later(error):
    if isinstance(error, ssl.SSLError):
        return error.args[0] in _TLS_LATER
    return error.errno in _LATER


class HTTPCase(LoopCase, unittest.TestCase):
    """One loop, servers and clients on it; all of them are closed at the end."""
    longMessage = True

    def setUp(self):
        self.use_loop(IOLoop())

    def use_loop(self, loop):
        self.loop = loop
        loop.make_current()
        self.addCleanup(self.close_loop, loop)

    def close_loop(self, loop):
        # Run the callbacks that the servers scheduled while closing, rather than drop them.
        for _ in range(3):
            loop.run_once(0)
        IOLoop.clear_current()
        loop.close()

    def serve(self, callback=answer, sock=None, **options):
        """Serve `callback` on a free port, or on `sock`; return the HTTPServer."""
        server = HTTPServer(callback, **options)
        if sock is None:
            sock, = bind_sockets(0, "127.0.0.1")
        server.add_socket(sock)
        server.address = sock.getsockname()
        self.addCleanup(self.close_server, server)
        self.server = server
        return server

    def close_server(self, server):
        server.stop()
        server.close_all_connections()

    def connect(self, server=None, data=b"", receive_buffer=None):
        """A connected Client that has sent `data`."""
        address = (server or self.server).address
        sock = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX)
        self.addCleanup(sock.close)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(PATIENCE)
        sock.connect(address)
        sock.setblocking(False)
        client = Client(self, sock)
        client.send(data)
        return client

    def check_pipelining_is_bounded(self, client, waiting, answered):
        """Send 10,000 requests without reading a response: only the first request of the
        connection gets to the Waiting, and the server holds no more than one buffer. Then
        `answered` requests are answered, each when the response before it is finished."""
        data, sent = get() * 10000, 0
        try:
            while sent < len(data):
                sent += client.sock.send(data[sent:sent + 65536])
                self.turn(times=2)
        except socket.error:
            # The rest does not fit into the kernel.
            pass
        self.turn(0.01, times=5)
        self.assertEqual(1, len(waiting.requests))
        stream = waiting.requests[0].connection.stream
        self.assertLessEqual(len(stream._buffer), stream.read_chunk_size)
        for number in range(1, answered):
            answer(waiting.requests[-1])
            self.run_until(lambda: len(waiting.requests) > number)
            self.assertEqual(number + 1, len(waiting.requests))

    def connect_tls(self, server=None, data=b"", **options):
        """Like `connect`, with TLS."""
        client = self.connect(server)
        options.setdefault("ca_certs", CA)
        plain = client.sock
        client.sock = ssl_wrap_socket(plain, options, server_hostname="localhost",
                                      do_handshake_on_connect=False)
        # On Python 2 the fd is closed only with the last socket object that shares it.
        plain.close()
        self.addCleanup(client.sock.close)

        def shaken():
            try:
                client.sock.do_handshake()
            except ssl.SSLError as error:
                if error.args[0] not in _TLS_LATER:
                    raise
                return False
            return True

        self.run_until(shaken)
        client.send(data)
        return client

    def fetch(self, data, method="GET", server=None):
        """The Response to the bytes of one request, on a new connection."""
        client = self.connect(server, data)
        response = client.read_response(method)
        client.close()
        return response

    def turn(self, seconds=0, times=1):
        """Run turns of the loop, each of which waits up to `seconds`."""
        for _ in range(times):
            self.loop.run_once(seconds)

    def assert_refused(self, data, status, **kwargs):
        """Check that `data` is answered with `status`, a closed connection, and one log line."""
        with LogCatcher() as records:
            client = self.connect(data=data, **kwargs)
            response = client.read_response()
            self.assertEqual(response.status, status, data[:200])
            self.assertEqual(response.headers["Connection"], "close")
            self.assertEqual(client.read_rest(), b"", data[:200])
            self.assertEqual(len(records), 1, [record.message for record in records])
            self.assertEqual(records[0].levelno, logging.INFO)
            self.assertIsNone(records[0].exc_info)
        return response
