"""websocket_connect and its connections, against our own server and servers that misbehave."""
from __future__ import absolute_import, division, print_function

import gc
import logging
import socket
import struct
import weakref

from friendserve.httpclient import (
    HTTPClientError, HTTPConnectError, HTTPProtocolError, HTTPRequest, HTTPStreamClosedError,
    HTTPTimeoutError, HTTPTLSError, HTTPTransferError)
from friendserve.netutil import bind_sockets
from friendserve.protocol.deflate import Deflater, Side
from friendserve.protocol.headers import HTTPHeaders
from friendserve.protocol.websocket import (
    CLOSE, FIN, PING, RSV1, TEXT, FrameReader, encode_close, encode_frame)
from friendserve.protocol.wshandshake import accept_value
from friendserve.websocket import (
    WebSocketClientConnection, WebSocketClosedError, WebSocketError, websocket_connect)
from tests.clientcase import ScriptedServer
from tests.httpcase import CA, SERVER_OPTIONS, LogCatcher
from tests.wscase import Echo, Noting, WebSocketCase


class ClientCase(WebSocketCase):
    def url(self, path="/", scheme="ws", host="127.0.0.1"):
        return "%s://%s:%d%s" % (scheme, host, self.server.address[1], path)

    def open_client(self, url=None, **options):
        """The WebSocketClientConnection of an open WebSocket; `messages` are those received."""
        self.messages = []
        opened = []
        websocket_connect(url or self.url(), opened.append,
                          on_message_callback=self.messages.append, on_error=self.fail_with,
                          **options)
        self.run_until(lambda: opened)
        self.addCleanup(opened[0].close)
        return opened[0]

    def fail_with(self, error):
        raise error

    def failure(self, kind, url=None, **options):
        """The error, of this class, with which the attempt fails, once."""
        errors, opened = [], []
        websocket_connect(url or self.url(), opened.append, on_error=errors.append, **options)
        self.assertEqual(errors, [], "called back inside of websocket_connect")
        self.run_until(lambda: errors)
        self.turn(0, 3)
        self.assertEqual((len(errors), opened), (1, []))
        self.assertIs(type(errors[0]), kind)
        return errors[0]

    def script(self, *answers, **options):
        """A ScriptedServer on a free port."""
        server = self.server = ScriptedServer(answers, **options)
        sock, = bind_sockets(0, "127.0.0.1")
        server.add_socket(sock)
        server.address = sock.getsockname()
        self.addCleanup(self.close_script, server)
        return server

    def close_script(self, server):
        server.stop()
        for stream in server.streams:
            stream.close()


def accepting(headers="", rest=b"", accept=None, status="101 Switching Protocols"):
    """A step of a ScriptedServer that accepts, with these header lines, and then sends `rest`."""
    def step(stream, head):
        fields = HTTPHeaders.parse(head.decode("latin-1").partition("\r\n")[2])
        stream.write(("HTTP/1.1 %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Accept: %s\r\n%s\r\n" % (
                          status, accept or accept_value(str(fields["Sec-WebSocket-Key"])),
                          headers)).encode("latin-1") + rest)
    return step


class ConnectTest(ClientCase):
    def test_echo(self):
        self.serve_sockets()
        client = self.open_client()
        for message in (u"\xe9", b"\xff", u"", u"x" * 200000):
            client.write_message(message, binary=isinstance(message, bytes))
        self.run_until(lambda: len(self.messages) == 4)
        self.assertEqual(self.messages, [u"\xe9", b"\xff", u"", u"x" * 200000])
        self.assertIsInstance(client, WebSocketClientConnection)
        self.assertIsNone(client.selected_subprotocol)

    def test_tls(self):
        self.serve_sockets(options={"ssl_options": SERVER_OPTIONS})
        url = self.url(scheme="wss", host="localhost")
        client = self.open_client(HTTPRequest(url, ca_certs=CA))
        client.write_message(u"secret")
        self.run_until(lambda: self.messages)
        error = self.failure(HTTPTLSError, url)
        self.assertEqual(error.code, 599)
        client = self.open_client(HTTPRequest(url, validate_cert=False))

    def test_request_may_say_more(self):
        class Handler(Echo):
            def open(self, **kwargs):
                super(Handler, self).open()
                self.note(self.request.headers["Authorization"], self.request.headers["X-A"],
                          self.request.headers["User-Agent"], self.request.uri)

        self.serve_sockets(Handler)
        url = "ws://me:secret@127.0.0.1:%d/room?a=b" % self.server.address[1]
        request = HTTPRequest(url, headers={"X-A": "b"}, user_agent="test")
        client = self.open_client(request)
        self.run_until(lambda: len(self.notes) == 2)
        self.assertEqual(self.notes[1], ("Basic bWU6c2VjcmV0", "b", "test", "/room?a=b"))
        self.assertNotIn("secret", str(client))
        self.assertEqual(request.url, url)

    def test_b343_the_headers_of_a_relayed_handshake(self):
        """Those of another client's request, as in a gateway for WebSockets."""
        class Handler(Echo):
            def get_compression_options(self):
                return {}

            def open(self, **kwargs):
                super(Handler, self).open()
                self.note(self.request.headers.get("X-A"), [
                    name for name in ("Content-Length", "Transfer-Encoding", "Expect", "Te", "X-B")
                    if name in self.request.headers])

        self.serve_sockets(Handler)
        client = self.open_client(HTTPRequest(self.url(), headers=[
            ("Connection", "Upgrade, X-B"), ("Upgrade", "websocket"), ("Host", "a"), ("Host", "b"),
            ("Sec-WebSocket-Version", "8"), ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
            ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
            ("Content-Length", "5"), ("Transfer-Encoding", "chunked"), ("Expect", "100-continue"),
            ("TE", "trailers"), ("X-A", "a"), ("X-B", "b")]))
        self.assertNotIn("Sec-WebSocket-Extensions", client.headers)
        client.write_message(u"Hello" * 100)
        self.run_until(lambda: self.messages)
        self.assertEqual(([u"Hello" * 100], ("a", [])), (self.messages, self.notes[1]))

    def test_subprotocols(self):
        class Handler(Echo):
            def select_subprotocol(self, subprotocols):
                return subprotocols[-1]

        self.serve_sockets(Handler)
        self.assertEqual(self.open_client(subprotocols=["a", "b"]).selected_subprotocol, "b")
        with self.assertRaises(ValueError):
            websocket_connect(self.url(), subprotocols=["a b"])

    def test_compression(self):
        class Handler(Echo):
            def get_compression_options(self):
                return {}

        self.serve_sockets(Handler)
        client = self.open_client(compression_options={"compression_level": 1})
        self.assertIn("permessage-deflate", client.headers["Sec-WebSocket-Extensions"])
        for _ in range(2):
            client.write_message(u"Hello" * 100)
        self.run_until(lambda: len(self.messages) == 2)
        self.assertEqual(self.messages, [u"Hello" * 100] * 2)
        client = self.open_client()
        self.assertNotIn("Sec-WebSocket-Extensions", client.headers)
        with self.assertRaises(ValueError):
            websocket_connect(self.url(), compression_options={"level": 1})

    def test_messages_right_behind_the_response(self):
        self.script(accepting(rest=encode_frame(FIN | TEXT, b"early")))
        self.open_client()
        self.run_until(lambda: self.messages)
        self.assertEqual(self.messages, [u"early"])

    def test_messages_and_the_end_right_behind_the_response(self):
        def step(stream, head):
            accepting(rest=encode_frame(FIN | TEXT, b"early"))(stream, head)
            stream.close()

        self.script(step)
        self.open_client()
        self.run_until(lambda: len(self.messages) == 2)
        self.assertEqual(self.messages, [u"early", None])

    def test_what_cannot_be_asked(self):
        for url in ("ftp://host/", "host", "ws://", "ws://host:0/", "ws://a b/"):
            with self.assertRaises(ValueError):
                websocket_connect(url)
        for options in (dict(proxy_host="proxy", proxy_port=1), dict(auth_username="a:b"),
                        dict(headers={"A": "b\r\nC: d"}), dict(method="POST", body=b"")):
            with self.assertRaises(ValueError):
                websocket_connect(HTTPRequest("ws://host/", **options))


class FailureTest(ClientCase):
    def test_a509_other_statuses(self):
        for status in ("200 OK", "302 Found", "403 Forbidden", "500 Oops"):
            self.script(("HTTP/1.1 %s\r\nContent-Length: 2\r\nLocation: /x\r\n\r\nno" % status)
                        .encode("ascii"))
            error = self.failure(HTTPClientError)
            self.assertEqual(error.code, int(status[:3]))
            self.assertEqual((error.response.code, error.response.body), (error.code, b"no"))
            # A redirect is not followed.
            self.assertEqual(len(self.server.heads), 1)

    def test_a509_refused_by_our_server(self):
        self.serve_sockets()
        error = self.failure(HTTPClientError, HTTPRequest(
            self.url(), headers={"Origin": "http://evil"}))
        self.assertEqual(error.code, 403)
        self.assertIn(b"another site", error.response.body)

    def test_a509_responses_of_no_websocket(self):
        for step, text in [
                (accepting(accept="x" * 28), "Sec-WebSocket-Accept"),
                (accepting("Sec-WebSocket-Protocol: c\r\n"), "subprotocol 'c'"),
                (accepting("Sec-WebSocket-Extensions: permessage-deflate\r\n"), "extension"),
                (accepting("Sec-WebSocket-Extensions: x-other\r\n"), "extension"),
                (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "Upgrade")]:
            self.script(step)
            self.assertIn(text, str(self.failure(WebSocketError, subprotocols=["a"])))
            self.run_until(self.server.streams[0].closed)

    def test_a509_extensions_that_were_not_offered(self):
        for extensions in ("x-other", "permessage-deflate; client_max_window_bits=8",
                           "permessage-deflate; what"):
            self.script(accepting("Sec-WebSocket-Extensions: %s\r\n" % extensions))
            self.failure(WebSocketError, compression_options={})

    def test_a509_no_http(self):
        self.script(b"SSH-2.0-OpenSSH\r\n\r\n")
        self.failure(HTTPProtocolError)
        self.script([ScriptedServer.CLOSE])
        self.failure(HTTPStreamClosedError)

    def test_no_server_listens(self):
        sock, = bind_sockets(0, "127.0.0.1")
        port = sock.getsockname()[1]
        sock.close()
        self.assertEqual(self.failure(HTTPConnectError, "ws://127.0.0.1:%d/" % port).phase,
                         "connect")

    def test_timeout(self):
        self.use_skipping_clock()
        self.script()
        errors = []
        websocket_connect(self.url(), on_error=errors.append, connect_timeout=3)
        self.run_until(lambda: self.server.heads)
        self.skip(2)
        self.assertEqual(errors, [])
        self.skip(1)
        self.assertEqual([type(error) for error in errors], [HTTPTimeoutError])
        self.run_until(self.server.streams[0].closed)

    def test_timeout_ends_with_the_handshake(self):
        self.use_skipping_clock()
        self.serve_sockets()
        client = self.open_client(connect_timeout=3)
        self.skip(100)
        client.write_message(u"open")
        self.run_until(lambda: self.messages)

    def test_without_on_error_the_loop_has_it(self):
        self.script(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        with LogCatcher() as records:
            websocket_connect(self.url())
            self.run_until(lambda: records)
        self.assertEqual([record.exc_info[0] for record in records], [HTTPClientError])

    def test_a_connection_reset_before_the_handshake(self):
        listener, = bind_sockets(0, "127.0.0.1")
        self.addCleanup(listener.close)
        errors, accepted = [], []

        def accept(fd, events):
            sock = listener.accept()[0]
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
            accepted.append(sock)

        self.loop.add_handler(listener.fileno(), accept, self.loop.READ)
        self.addCleanup(self.loop.remove_handler, listener.fileno())
        with LogCatcher() as records:
            websocket_connect("ws://127.0.0.1:%d/" % listener.getsockname()[1],
                              errors.append, on_error=errors.append)
            self.run_until(lambda: errors)
            self.turn(0, 3)
        self.assertEqual((1, 1), (len(accepted), len(errors)))
        self.assertIsInstance(errors[0], HTTPTransferError)
        self.assertEqual([], records)

    def test_close_before_it_connects(self):
        client = WebSocketClientConnection(HTTPRequest("http://127.0.0.1/", headers={}))
        messages = []
        client.read_message(messages.append)
        client.close()
        self.run_until(lambda: messages)
        self.assertEqual([None], messages)

    def test_close_ends_the_attempt(self):
        self.script()
        called = []
        client = websocket_connect(self.url(), called.append, on_error=called.append)
        self.run_until(lambda: self.server.heads)
        with self.assertRaises(WebSocketClosedError):
            client.write_message(u"too early")
        client.close()
        client.close()
        self.run_until(self.server.streams[0].closed)
        self.assertEqual(called, [])
        client = websocket_connect(self.url(), called.append, on_error=called.append)
        client.close()
        self.turn(0.01, 3)
        self.assertEqual(called, [])


class MemoryTest(ClientCase):
    """Nothing of a WebSocket that has ended waits for the garbage collector."""
    def setUp(self):
        super(MemoryTest, self).setUp()
        gc.disable()
        self.addCleanup(gc.enable)

    def test_a_closed_websocket_leaves_no_cycle(self):
        self.serve_sockets()
        opened, messages = [], []
        websocket_connect(self.url(), opened.append, on_message_callback=messages.append)
        self.run_until(lambda: opened)
        opened[0].close()
        self.run_until(lambda: messages)
        reference = weakref.ref(opened.pop())
        self.run_until(lambda: reference() is None)

    def test_a_refused_websocket_leaves_no_cycle(self):
        for answer in (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
                       accepting(accept="wrong")):
            self.script(answer)
            errors = []
            reference = weakref.ref(websocket_connect(self.url(), on_error=errors.append))
            self.run_until(lambda: errors)
            del errors[:]
            self.run_until(lambda: reference() is None)

    def test_a_cancelled_attempt_leaves_no_cycle(self):
        self.script()
        client = websocket_connect(self.url(), self.fail)
        self.run_until(lambda: self.server.heads)
        client.close()
        reference = weakref.ref(client)
        del client
        self.run_until(lambda: reference() is None)


class OpenTest(ClientCase):
    def test_server_closes(self):
        self.serve_sockets()
        client = self.open_client()
        self.handlers[0].close(4000, u"enough")
        self.run_until(lambda: self.messages)
        self.assertEqual(self.messages, [None])
        self.assertEqual((client.close_code, client.close_reason), (4000, u"enough"))
        with self.assertRaises(WebSocketClosedError):
            client.write_message(u"x")
        with self.assertRaises(WebSocketClosedError):
            client.ping()
        client.close()
        self.wait_for_note(("close", 4000, u""))

    def test_client_closes(self):
        self.serve_sockets()
        client = self.open_client()
        client.close(1000, u"bye")
        self.wait_for_note(("close", 1000, u"bye"))
        self.run_until(lambda: self.messages)
        self.assertEqual((self.messages, client.close_code), ([None], 1000))

    def test_connection_is_lost(self):
        self.serve_sockets()
        client = self.open_client()
        self.handlers[0].stream.close()
        self.run_until(lambda: self.messages)
        self.assertEqual((self.messages, client.close_code), ([None], None))

    def test_server_that_never_closes(self):
        self.use_skipping_clock()
        self.script(accepting(rest=encode_frame(FIN | CLOSE, encode_close(1001))))
        client = self.open_client()
        self.turn(0.01, 5)
        self.assertEqual(self.messages, [])
        self.skip(5)
        self.run_until(lambda: self.messages)
        self.assertEqual(client.close_code, 1001)

    def test_a506_masked_frames_of_a_server(self):
        self.script(accepting(rest=encode_frame(FIN | TEXT, b"x", b"mask")))
        with LogCatcher() as records:
            client = self.open_client()
            self.run_until(lambda: records)
            self.server.streams[0].close()
            self.run_until(lambda: self.messages)
        self.assertEqual((self.messages, client.close_code), ([None], 1002))
        self.assertEqual([record.levelno for record in records], [logging.INFO])

    def test_frames_are_masked(self):
        frames = []
        self.script(accepting())
        client = self.open_client()
        stream = self.server.streams[0]
        stream.end_read()
        stream.read_bytes(11 + 11, frames.append)
        client.write_message(u"Hello")
        client.write_message(u"Hello")
        self.run_until(lambda: frames)
        self.assertEqual(FrameReader(True).receive(frames[0]), [u"Hello", u"Hello"])
        self.assertNotEqual(frames[0][:11], frames[0][11:])

    def test_ping_and_pong(self):
        class Handler(Noting):
            def open(self, **kwargs):
                super(Handler, self).open()
                self.ping(b"from server")

        self.serve_sockets(Handler)
        client = self.open_client()
        client.ping(b"from client")
        self.wait_for_note(("pong", b"from server"))
        self.wait_for_note(("ping", b"from client"))

    def test_ping_interval(self):
        self.use_skipping_clock()
        self.script(accepting())
        client = self.open_client(ping_interval=10)
        with LogCatcher():
            for _ in range(5):
                self.skip(10)
            self.run_until(lambda: self.messages)
        self.assertEqual((self.messages, client.close_code), ([None], None))

    def test_limits(self):
        self.script(accepting(rest=encode_frame(FIN | TEXT, b"x" * 1001)))
        with LogCatcher():
            client = self.open_client(max_message_size=1000)
            self.run_until(lambda: client.protocol is None or client.protocol._code == 1009)
        bomb = encode_frame(FIN | RSV1 | TEXT, Deflater(Side()).compress(b"x" * 1001))
        self.script(accepting("Sec-WebSocket-Extensions: permessage-deflate\r\n", bomb))
        with LogCatcher():
            client = self.open_client(max_message_size=1000, compression_options={})
            self.run_until(lambda: client.protocol is None or client.protocol._code == 1009)

    def test_queue_is_bounded(self):
        self.script(accepting())
        client = self.open_client(max_queue_size=10000)
        stream = client.protocol.stream
        while stream.unsent() <= 10000:
            client.write_message(u"x" * 100000)
        with LogCatcher() as records:
            client.write_message(u"one too many")
            self.run_until(lambda: self.messages)
        self.assertEqual((self.messages, len(records)), ([None], 1))

    def test_error_in_a_callback(self):
        self.serve_sockets()
        errors = []

        def fail(message):
            if message is not None:
                errors.append(message)
                raise ZeroDivisionError()

        with LogCatcher() as records:
            websocket_connect(self.url(), lambda client: [
                client.write_message(u"a"), client.write_message(u"b")], on_message_callback=fail)
            self.run_until(self.closings)
        self.assertEqual(errors, [u"a"])
        self.assertEqual(self.closings(), [("close", 1011, u"")])
        self.assertEqual([record.exc_info[0] for record in records if record.exc_info],
                         [ZeroDivisionError])


class ReadMessageTest(ClientCase):
    def open_reader(self):
        opened = []
        websocket_connect(self.url(), opened.append, on_error=self.fail_with)
        self.run_until(lambda: opened)
        self.addCleanup(opened[0].close)
        return opened[0]

    def read(self, client):
        messages = []
        client.read_message(messages.append)
        self.assertEqual(messages, [], "called back inside of read_message")
        self.run_until(lambda: messages)
        return messages[0]

    def test_messages_then_none(self):
        self.serve_sockets()
        client = self.open_reader()
        client.write_message(u"a")
        client.write_message(u"b")
        self.assertEqual([self.read(client), self.read(client)], [u"a", u"b"])
        client.write_message(u"c")
        client.close()
        self.run_until(self.closings)
        self.run_until(lambda: client.protocol is None)
        self.assertEqual([self.read(client) for _ in range(3)], [u"c", None, None])

    def test_waiting_when_it_closes(self):
        self.serve_sockets()
        client = self.open_reader()
        messages = []
        client.read_message(messages.append)
        with self.assertRaises(RuntimeError):
            client.read_message(messages.append)
        client.close()
        self.run_until(lambda: messages)
        self.assertEqual(messages, [None])

    def test_callback_and_read_message_exclude_each_other(self):
        self.serve_sockets()
        with self.assertRaises(RuntimeError):
            self.open_client().read_message(self.messages.append)

    def test_a_client_that_does_not_read_holds_the_server_back(self):
        self.serve_sockets(Noting)
        client = self.open_reader()
        stream = self.handlers[0].stream
        for _ in range(200):
            self.handlers[0].write_message(u"x" * 100000)
        for _ in range(100):
            self.turn(0)
        self.assertGreater(stream.unsent(), 1000000)
        self.assertLess(len(client._unread), 40)
        self.assertEqual([len(self.read(client)) for _ in range(200)], [100000] * 200)

    def test_ping_behind_what_was_not_read(self):
        self.script(accepting(rest=encode_frame(FIN | TEXT, b"x") * 100
                              + encode_frame(FIN | PING, b"")))
        client = self.open_reader()
        self.assertEqual([self.read(client) for _ in range(100)], [u"x"] * 100)
