"""Behaviour of servers and streams that programs written for Tornado rely on, by the numbers of a
list of differences."""
from __future__ import absolute_import, division, print_function

import ssl
import unittest

from friendserve import httpserver, simple_httpclient
from friendserve.httpserver import HTTPServer
from friendserve.iostream import IOStream, PipeIOStream
from friendserve.tcpserver import TCPServer
from friendserve.web import Application, RequestHandler
from friendserve.websocket import WebSocketHandler, websocket_connect
from tests.httpcase import HTTPCase, Waiting, answer, get
from tests.streamcase import SERVER as CONTEXT
from tests.streamcase import SocketCase


class ConnectionTest(HTTPCase):
    def count_finishes(self):
        """Patch `HTTPConnection.finish` as daemons do that restart after so many responses."""
        original = httpserver.HTTPConnection.finish
        finished = []

        def finish(connection):
            original(connection)
            finished.append(connection.stream)

        had = "finish" in vars(httpserver.HTTPConnection)
        httpserver.HTTPConnection.finish = finish
        self.addCleanup(lambda: setattr(httpserver.HTTPConnection, "finish", original) if had
                        else delattr(httpserver.HTTPConnection, "finish"))
        return finished

    def test_p09_finish_is_called_once_a_response(self):
        class Page(RequestHandler):
            def get(self, how):
                self.write("one ")
                if how == "flush":
                    self.flush()
                self.finish("two")

        finished = self.count_finishes()
        self.serve(Application([("/(.*)", Page)]))
        client = self.connect()
        for count, path in enumerate(["/", "/flush", "/"]):
            client.send(get(path))
            self.assertEqual(b"one two", client.read_response().body)
            self.assertEqual(count + 1, len(finished))

    def test_p09_also_of_a_raw_answer(self):
        finished = self.count_finishes()

        def raw(request):
            request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            request.finish()

        self.serve(raw)
        self.assertEqual(b"ok", self.fetch(get()).body)
        self.assertEqual(1, len(finished))

    def test_p10_any_attribute_can_be_set(self):
        seen = []

        def on_request(request):
            seen.append(getattr(request.connection, "session", None))
            request.connection.session = request.connection.stream.session = len(seen)
            answer(request)

        self.serve(on_request)
        client = self.connect()
        for _ in range(2):
            client.send(get())
            self.assertEqual(200, client.read_response().status)
        self.assertEqual([None, 1], seen)

    def test_p31_the_attributes_of_a_connection(self):
        seen = []

        def on_request(request):
            connection = request.connection
            seen.append((connection.address, connection.xheaders, connection.no_keep_alive))
            connection.no_keep_alive = True
            answer(request)

        self.serve(on_request, xheaders=True)
        client = self.connect()
        client.send(get())
        self.assertEqual("close", client.read_response().headers["Connection"])
        self.assertEqual([(client.sock.getsockname(), True, False)], seen)

    def test_p31_the_address_of_a_lost_connection(self):
        waiting = Waiting()
        self.serve(waiting)
        client = self.connect(data=get())
        self.run_until(lambda: waiting.requests)
        connection = waiting.requests[0].connection
        connection.close()
        self.assertEqual(("127.0.0.1", 0), connection.address)
        client.close()

    def test_p31_no_keep_alive_of_a_server(self):
        self.serve(answer)
        self.assertFalse(self.server.no_keep_alive)
        self.server.no_keep_alive = True
        self.assertEqual("close", self.fetch(get()).headers["Connection"])
        self.assertTrue(HTTPServer(answer, no_keep_alive=True).no_keep_alive)


class PositionalLoopTest(HTTPCase):
    def test_p20_a_tcp_server(self):
        for args, options in [((), {}), ((CONTEXT, 1000), {}), ((), {"ssl_options": CONTEXT})]:
            server = TCPServer(self.loop, *args, **options)
            self.assertIs(self.loop, server.io_loop)
            self.assertIs(CONTEXT if args or options else None, server.ssl_options)
            self.assertEqual(1000 if args else None, server.max_buffer_size)
            server = TCPServer(None, *args, **options)
            self.assertIs(None, server.io_loop)
            self.assertIs(CONTEXT if args or options else None, server.ssl_options)
            self.assertEqual(1000 if args else None, server.max_buffer_size)
        self.assertEqual(1000, TCPServer(None, 1000).max_buffer_size)

    def test_p20_a_websocket(self):
        class Echo(WebSocketHandler):
            def on_message(self, message):
                self.write_message(message)

        self.serve(Application([("/", Echo)]))
        url = "ws://127.0.0.1:%d/" % self.server.address[1]
        for args in ((self.loop,), (None,)):
            for positional in (True, False):
                opened, heard = [], []
                if positional:
                    websocket_connect(url, *(args + (opened.append,)))
                else:
                    websocket_connect(url, *args, callback=opened.append)
                self.run_until(lambda: opened)
                self.assertIs(self.loop, opened[0].io_loop)
                opened[0].read_message(heard.append)
                opened[0].write_message("x")
                self.run_until(lambda: heard)
                self.assertEqual(["x"], heard)
                opened[0].close()


class StreamTest(SocketCase):
    def test_p10_any_attribute_can_be_set(self):
        for stream in self.unix_pair():
            stream.user = "me"
            self.assertEqual("me", stream.user)
        self.assertTrue(issubclass(PipeIOStream, IOStream.__mro__[1]))

    def test_p11_the_close_callback_can_be_taken_back(self):
        a, b = self.unix_pair()
        b.set_close_callback(self.fail)
        self.assertIsNotNone(b._close_callback)
        b._close_callback = None
        b.close()
        a._close_callback = self.noting("closed")
        self.expect("closed")

    def test_p12_another_socket_is_read_at_once(self):
        a, b = self.unix_pair()
        a.write(b"one\ntwo")
        b.read_until(b"\n", self.note)
        self.expect(b"one\n")
        self.assertEqual(3, b._read_buffer_size)
        self.assertEqual(b"two", b._consume(b._read_buffer_size))
        self.assertEqual(0, b._read_buffer_size)

        class Ready(object):
            """A socket that holds data which no poller reports, as one with TLS may."""
            def __init__(self, sock):
                self.sock = sock
                self.data = [b"held\n"]

            def __getattr__(self, name):
                return getattr(self.sock, name)

            def recv(self, size):
                return self.data.pop() if self.data else self.sock.recv(size)

        b.socket = Ready(b.socket)
        b.read_until(b"\n", self.note)
        self.expect(b"held\n")

    def test_p12_default_ca_certs(self):
        path = simple_httpclient._DEFAULT_CA_CERTS
        self.assertIn(path, (ssl.get_default_verify_paths().cafile,
                             ssl.get_default_verify_paths().openssl_cafile))


if __name__ == "__main__":
    unittest.main()
