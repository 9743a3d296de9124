"""Shared by the tests of HTTP clients: a client of each kind, and servers that misbehave."""
from __future__ import absolute_import, division, print_function

import socket
import struct
import threading

try:
    from friendserve.curl_httpclient import CurlAsyncHTTPClient
except ImportError:
    CurlAsyncHTTPClient = None
from friendserve.httpclient import HTTPRequest
from friendserve.netutil import bind_sockets
from friendserve.simple_httpclient import SimpleAsyncHTTPClient
from friendserve.tcpserver import TCPServer
from tests import PATIENCE
from tests.httpcase import HTTPCase, answer
from tests.loopcase import needs_package


class KeepingServer(TCPServer):
    """Reads from its connections, which are `streams`, and sends nothing."""
    def __init__(self, **options):
        super(KeepingServer, self).__init__(**options)
        self.streams = []

    def handle_stream(self, stream, address):
        self.streams.append(stream)
        stream.read_until_close(lambda data: None)


class ScriptedServer(TCPServer):
    """Answers each request head with the next of `answers`: bytes, which need not be HTTP.

    An answer may also be a list of bytes, sent one by one, or a function of (stream, head). After
    an answer the connection stays open, unless `CLOSE` or `RESET` follows it in a list; it also
    stays open when no answers are left. `heads` are the heads received, `streams` all
    connections.
    """
    CLOSE, RESET = "close", "reset"

    def __init__(self, answers, **options):
        super(ScriptedServer, self).__init__(**options)
        self.answers = list(answers)
        self.heads = []
        self.streams = []

    def handle_stream(self, stream, address):
        self.streams.append(stream)
        stream.read_until(b"\r\n\r\n", lambda head: self.on_head(stream, head))

    def on_head(self, stream, head):
        self.heads.append(head)
        if not self.answers:
            return
        steps = self.answers.pop(0)
        if callable(steps):
            steps(stream, head)
        else:
            for step in steps if isinstance(steps, list) else [steps]:
                self.take_step(stream, step)
        if not stream.closed():
            stream.read_until(b"\r\n\r\n", lambda head: self.on_head(stream, head))

    def take_step(self, stream, step):
        if step is self.RESET:
            reset(stream)
        elif step is self.CLOSE:
            # After the data written so far.
            stream.write(b"", stream.close)
        else:
            stream.write(step)


def reset(stream):
    """Close a stream so that the peer sees a reset."""
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()


def response(body=b"ok", status="200 OK", headers=""):
    """The bytes of a response with a Content-Length; `headers` are whole lines."""
    return ("HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n" % (status, len(body), headers)).encode(
        "latin-1") + body


#: The clients installed, by the name of their tests.
CLIENTS = {"Simple": SimpleAsyncHTTPClient, "Curl": CurlAsyncHTTPClient}


def for_each_client(namespace, contract):
    """Define, in the namespace of a module, the tests of a contract for each client."""
    for name, client_class in CLIENTS.items():
        title = str("%s%sTest" % (name, contract.__name__))
        test = type(title, (contract, ClientCase), {
            "client_class": client_class, "__module__": namespace["__name__"]})
        namespace[title] = needs_package(client_class, "pycurl")(test)


class ClientCase(HTTPCase):
    """`client` is of the class `client_class`, made with `options`."""
    client_class = SimpleAsyncHTTPClient
    options = {}

    def setUp(self):
        super(ClientCase, self).setUp()
        self.client = self.make_client(**self.options)

    def make_client(self, **options):
        client = self.client_class(force_instance=True, **options)
        self.addCleanup(client.close)
        return client

    def url(self, path="/", server=None, scheme="http", host="127.0.0.1"):
        """The URL of a path on a server, by default the last one started."""
        return "%s://%s:%d%s" % (scheme, host, (server or self.server).address[1], path)

    def script(self, *answers, **options):
        """A ScriptedServer on a free port."""
        server = self.server = ScriptedServer(answers, **options)
        server.address = self.listen(server)
        self.addCleanup(self.close_script, server)
        return server

    def listen(self, server):
        """Make a TCPServer listen on a free port; return the address."""
        sock, = bind_sockets(0, "127.0.0.1")
        server.add_socket(sock)
        return sock.getsockname()

    def close_script(self, server):
        server.stop()
        for stream in server.streams:
            stream.close()

    def fetch(self, url="/", **options):
        """The HTTPResponse to a path, a URL or an HTTPRequest; its callback must be called exactly
        once."""
        client = options.pop("client", self.client)
        if not isinstance(url, HTTPRequest) and url.startswith("/"):
            url = self.url(url)
        responses = []
        client.fetch(url, responses.append, **options)
        self.assertEqual(responses, [], "called back inside fetch")
        self.run_until(lambda: responses)
        self.turn(0, 3)
        self.assertEqual(len(responses), 1)
        return responses[0]

    def fetch_ok(self, *args, **options):
        """Like `fetch`, for a fetch that must succeed."""
        response = self.fetch(*args, **options)
        self.assertIsNone(response.error)
        return response

    def fetch_error(self, kind, *args, **options):
        """The error of a fetch that must fail without a response, with an error of this class."""
        response = self.fetch(*args, **options)
        self.assertIsInstance(response.error, kind)
        self.assertEqual(response.code, 599)
        self.assertEqual(response.error.code, 599)
        return response.error


__all__ = ["ClientCase", "ScriptedServer", "answer", "reset", "response"]


class InThread(HTTPCase):
    """Runs blocking code in a thread, while the server runs here."""
    def run_blocking(self, function):
        results = []

        def run():
            try:
                results.append(function())
            except Exception as error:
                results.append(error)

        thread = threading.Thread(target=run)
        # After a failure it may never return.
        thread.daemon = True
        thread.start()
        self.run_until(lambda: results)
        thread.join(PATIENCE)
        if isinstance(results[0], Exception):
            raise results[0]
        return results[0]

    def url(self, path="/"):
        return "http://127.0.0.1:%d%s" % (self.server.address[1], path)
