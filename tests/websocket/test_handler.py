"""WebSocketHandler on a real server: handshake, messages, and how it ends."""
from __future__ import absolute_import, division, print_function

import logging
import platform
import socket
import subprocess
import sys
import unittest

import six

from friendserve.protocol.deflate import Deflater, Inflater, accept_offer
from friendserve.protocol.websocket import (
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, RSV1, TEXT, Close, FrameReader, Ping, Pong,
    encode_close, encode_frame)
from friendserve.websocket import WebSocketClosedError
from tests import ROOT
from tests.httpcase import SERVER_OPTIONS, LogCatcher
from tests.loopcase import of_cpython
from tests.webcase import request
from tests.wscase import ASK, Echo, Noting, WebSocketCase


def changed(name, value):
    return tuple((key, value if key == name else old) for key, old in ASK)


class HandshakeTest(WebSocketCase):
    def test_opening(self):
        self.serve_sockets()
        peer = self.open_socket(path="/room")
        headers = peer.response.headers
        self.assertEqual(headers["Sec-WebSocket-Accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        self.assertEqual((headers["Upgrade"], headers["Connection"]), ("websocket", "Upgrade"))
        self.assertNotIn("Content-Type", headers)
        self.assertNotIn("Content-Length", headers)
        self.assertNotIn("Sec-WebSocket-Extensions", headers)
        self.assertEqual(self.notes, ["open"])
        self.assertEqual(self.handlers[0].path_kwargs, {"name": "room"})

    def test_arguments_reach_open(self):
        class Handler(Noting):
            def open(self, name):
                super(Handler, self).open()
                self.note(name)

        self.serve_sockets(Handler)
        self.open_socket(path="/room")
        self.assertEqual(self.notes, ["open", u"room"])

    def test_messages_right_behind_the_handshake(self):
        self.serve_sockets()
        peer = self.open_socket(data=encode_frame(FIN | TEXT, b"early", b"mask"))
        self.assertEqual(peer.read(), u"early")

    def test_cookies_of_prepare_go_out(self):
        class Handler(Echo):
            def prepare(self):
                self.set_cookie("a", "b")

        self.serve_sockets(Handler)
        self.assertIn("a=b", self.open_socket().response.headers["Set-Cookie"])

    def test_prepare_may_refuse(self):
        class Handler(Echo):
            def prepare(self):
                self.send_error(401)

        self.serve_sockets(Handler)
        self.refused(status=401)

    def test_a508_refused(self):
        self.serve_sockets()
        for headers in ((), ASK[1:], changed("Upgrade", "h2c"), changed("Connection", "close"),
                        changed("Sec-WebSocket-Key", "short"), ASK[:3]):
            response = self.refused(headers)
            self.assertTrue(response.headers["Content-Type"].startswith("text/plain"))
        self.refused(version="1.0")

    def test_a508_other_versions(self):
        self.serve_sockets()
        for version in ("12", "8", "7", "x"):
            response = self.refused(changed("Sec-WebSocket-Version", version), 426)
            self.assertEqual(response.headers["Sec-WebSocket-Version"], "13")

    def test_a508_other_methods(self):
        self.serve_sockets()
        self.refused(status=405, method="POST", body=b"")

    def test_a508_connection_stays_usable(self):
        self.serve_sockets()
        client = self.connect(data=request("/"))
        self.assertEqual(client.read_response().status, 400)
        client.send(request("/", headers=ASK))
        self.assertEqual(client.read_response().status, 101)

    def test_b230_proxies_and_browsers(self):
        self.serve_sockets()
        headers = changed("Connection", "keep-alive, Upgrade") + (("Origin", "http://example.com"),)
        client = self.connect(data=request("/", headers=headers))
        self.assertEqual(client.read_response().status, 101)

    def test_b230_tls(self):
        self.serve_sockets(options={"ssl_options": SERVER_OPTIONS})
        peer = self.open_socket(connect=self.connect_tls)
        peer.send(FIN | TEXT, b"x" * 100000)
        self.assertEqual(peer.read(), u"x" * 100000)
        peer.send(FIN | CLOSE, encode_close(1000))
        self.assertEqual(peer.read().code, 1000)
        self.assertEqual(peer.client.read_rest(), b"")


class OriginTest(WebSocketCase):
    def test_a020_other_origins(self):
        self.serve_sockets()
        for origin in ("http://evil", "http://sub.example.com", "http://example.com:8000",
                       "http://example.com.evil", "http://example.co", "example.com",
                       "//example.com", "http://", "null", "", "ftp://example.com",
                       "http://example.com@evil", "http://example.com http://evil"):
            self.refused(ASK + (("Origin", origin),), 403)
            self.refused(ASK + (("Sec-WebSocket-Origin", origin),), 403)
        self.refused(ASK + (("Origin", "http://example.com"), ("Origin", "http://evil")), 403)

    def test_a020_own_origin_and_none(self):
        self.serve_sockets()
        for headers in ((), (("Origin", "http://example.com"),),
                        (("Origin", "https://EXAMPLE.com"),)):
            self.open_socket(headers)

    def test_a020_hook(self):
        class Handler(Echo):
            def check_origin(self, origin):
                return origin == "http://friend"

        self.serve_sockets(Handler)
        self.refused(ASK + (("Origin", "http://example.com"),), 403)
        self.open_socket((("Origin", "http://friend"),))


class SubprotocolTest(WebSocketCase):
    def serve_choice(self, choice):
        class Handler(Echo):
            def select_subprotocol(self, subprotocols):
                self.settings["offered"].append(subprotocols)
                return choice

        self.offered = []
        self.serve_sockets(Handler, offered=self.offered)

    def test_choice(self):
        self.serve_choice("b")
        peer = self.open_socket((("Sec-WebSocket-Protocol", "a, b"),))
        self.assertEqual(peer.response.headers["Sec-WebSocket-Protocol"], "b")
        self.assertEqual(self.handlers[0].selected_subprotocol, "b")
        self.assertEqual(self.offered, [["a", "b"]])

    def test_none(self):
        self.serve_choice(None)
        peer = self.open_socket()
        self.assertNotIn("Sec-WebSocket-Protocol", peer.response.headers)
        self.assertIsNone(self.handlers[0].selected_subprotocol)
        self.assertEqual(self.offered, [[]])

    def test_choice_that_was_not_offered(self):
        self.serve_choice("c")
        self.refused(ASK + (("Sec-WebSocket-Protocol", "a, b"),), 500)


class MessageTest(WebSocketCase):
    def test_echo(self):
        self.serve_sockets()
        peer = self.open_socket()
        for first, payload, message in [
                (FIN | TEXT, u"\xe9".encode("utf-8"), u"\xe9"), (FIN | BINARY, b"\xff", b"\xff"),
                (FIN | TEXT, b"", u""), (FIN | BINARY, b"z" * 200000, b"z" * 200000)]:
            peer.send(first, payload)
            answer = peer.read()
            self.assertEqual((type(answer), answer), (type(message), message))

    def test_many_at_once_are_answered_in_order(self):
        self.serve_sockets()
        peer = self.open_socket()
        peer.client.send(b"".join(encode_frame(FIN | TEXT, b"%d" % n if str is bytes else
                                               str(n).encode("ascii"), b"mask")
                                  for n in range(1000)))
        self.assertEqual([peer.read() for _ in range(1000)], [u"%d" % n for n in range(1000)])

    def test_fragments_with_a_ping_in_between(self):
        self.serve_sockets()
        peer = self.open_socket()
        peer.send(TEXT, b"a")
        peer.send(FIN | PING, b"p")
        peer.send(FIN | CONTINUATION, b"b")
        self.assertEqual(type(peer.read()), Pong)
        self.assertEqual(peer.read(), u"ab")
        self.assertEqual(self.notes, ["open", ("ping", b"p"), u"ab"])

    def test_what_can_be_written(self):
        self.serve_sockets(Noting)
        peer = self.open_socket()
        handler = self.handlers[0]
        handler.write_message({"a": 1})
        handler.write_message(b"bytes")
        handler.write_message(bytearray(b"array"), binary=True)
        handler.write_message(memoryview(b"view"), binary=True)
        handler.write_message(u"text", binary=True)
        self.assertEqual([peer.read() for _ in range(5)],
                         [u'{"a": 1}', u"bytes", b"array", b"view", b"text"])
        for message, error in ((None, TypeError), ([1], TypeError), (1, TypeError),
                               (b"\xff", ValueError)):
            with self.assertRaises(error):
                handler.write_message(message)
        handler.write_message(u"still open")
        self.assertEqual(peer.read(), u"still open")

    def test_ping_and_pong(self):
        self.serve_sockets()
        peer = self.open_socket()
        self.handlers[0].ping(b"x" * 125)
        self.handlers[0].ping(u"\xe9")
        self.assertEqual([peer.read().data, peer.read().data], [b"x" * 125, b"\xc3\xa9"])
        with self.assertRaises(ValueError):
            self.handlers[0].ping(b"x" * 126)
        peer.send(FIN | PONG, b"y")
        self.wait_for_note(("pong", b"y"))

    def test_callback_of_write_message(self):
        self.serve_sockets()
        peer = self.open_socket()
        self.handlers[0].write_message(u"a", callback=lambda: self.notes.append("written"))
        self.assertEqual(self.notes, ["open"])
        self.wait_for_note("written")
        self.assertEqual(peer.read(), u"a")

    def test_callback_of_what_is_written_in_on_message(self):
        class Handler(Noting):
            def on_message(self, message):
                self.write_message(u"a")
                self.write_message(u"b", callback=lambda: self.note("written"))
                self.write_message(u"c")

        self.serve_sockets(Handler)
        peer = self.open_socket()
        peer.send(FIN | TEXT)
        self.assertEqual([peer.read() for _ in range(3)], [u"a", u"b", u"c"])
        self.wait_for_note("written")

    def test_methods_of_a_response_are_refused(self):
        self.serve_sockets()
        self.open_socket()
        handler = self.handlers[0]
        for function, args in ((handler.write, ("x",)), (handler.finish, ()), (handler.flush, ()),
                               (handler.set_header, ("A", "b")), (handler.redirect, ("/",)),
                               (handler.set_cookie, ("a", "b"))):
            with self.assertRaises(RuntimeError):
                function(*args)
        handler.set_nodelay(False)
        self.assertIs(handler.stream, handler.ws_connection.stream)


class EncodingTest(WebSocketCase):
    """How often a text is encoded, and that none is kept."""
    TEXT = u"\xe9" * 3000

    def encodings(self, function, *args):
        """How often `function(*args)` encodes a text."""
        calls = []

        def note(frame, event, arg):
            if event == "c_call" and arg.__name__ == "encode" and \
                    isinstance(arg.__self__, six.text_type):
                calls.append(arg)

        sys.setprofile(note)
        try:
            function(*args)
        finally:
            sys.setprofile(None)
        return len(calls)

    def test_a_text_that_is_relayed_is_not_encoded(self):
        counts = []

        class Relay(Noting):
            def relay(self, message):
                for handler in self.settings["opened"]:
                    handler.write_message(message)

            def on_message(handler, message):
                counts.append(self.encodings(handler.relay, message))

        self.serve_sockets(Relay)
        peers = [self.open_socket() for _ in range(3)]
        self.run_until(lambda: len(self.handlers) == 3)
        for text in (self.TEXT, u"short"):
            peers[0].send(FIN | TEXT, text.encode("utf-8"))
            self.assertEqual([text] * 3, [peer.read() for peer in peers])
        self.assertEqual([0, 0], counts)

    def test_a_long_text_to_many_is_encoded_once(self):
        self.serve_sockets(Noting)
        peers = [self.open_socket() for _ in range(3)]
        self.run_until(lambda: len(self.handlers) == 3)
        for end in (u"a", u"b"):
            text = self.TEXT + end
            counts = [self.encodings(handler.write_message, text)
                      for handler in self.handlers]
            self.assertEqual([1, 0, 0], counts)
            self.assertEqual([text] * 3, [peer.read() for peer in peers])

    @of_cpython
    def test_no_message_is_kept_when_it_was_delivered(self):
        self.serve_sockets(Noting)
        peer = self.open_socket()
        free = [u"".join([u"\xe8"] * 3000)]
        for text in (self.TEXT, u"short"):
            peer.send(FIN | TEXT, text.encode("utf-8"))
            self.wait_for_note(text)
            self.turn(0, 3)
            self.assertEqual(sys.getrefcount(free[0]), sys.getrefcount(self.notes[-1]))
        self.handlers[0].write_message(free[0])
        peer.client.wait_for(lambda: len(peer.client.data) > 6000)
        self.turn(0, 3)
        self.assertEqual(sys.getrefcount(self.notes[-1]), sys.getrefcount(free[0]))


@of_cpython
class MemoryTest(unittest.TestCase):
    PROGRAM = """
import resource, socket
from friendserve.ioloop import IOLoop
from friendserve.iostream import IOStream
from friendserve.protocol.websocket import FrameReader
from friendserve.websocket import WebSocketProtocol13

WebSocketProtocol13(IOStream(socket.socket(), IOLoop()), None, FrameReader(True))
for _ in range(2):
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        blocks = [bytearray(b"x") * 1000000 for _ in range(4)]
        del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)
"""

    @unittest.skipUnless(platform.libc_ver()[0] == "glibc", "the malloc of glibc is needed")
    def test_the_memory_of_large_messages_is_used_again(self):
        faults = int(subprocess.check_output([sys.executable, "-c", self.PROGRAM], cwd=ROOT))
        self.assertLess(faults, 1000)


class LimitTest(WebSocketCase):
    def test_a026_a_message_that_is_too_large(self):
        self.serve_sockets(websocket_max_message_size=1000)
        peer = self.open_socket()
        peer.send(FIN | TEXT, b"x" * 1000)
        self.assertEqual(peer.read(), u"x" * 1000)
        peer.client.send(b"\x81\xff\x80\0\0\0\0\0\0\0mask")
        self.assertEqual(peer.read().code, 1009)
        self.assertEqual(peer.client.read_rest(), b"")
        peer.client.close()
        self.run_until(self.closings)
        self.assertEqual(self.closings()[0][1], 1009)

    def test_a506_plain_frames_of_a_client(self):
        self.serve_sockets()
        peer = self.open_socket()
        with LogCatcher() as records:
            peer.client.send(encode_frame(FIN | TEXT, b"x"))
            close = peer.read()
        self.assertEqual((1002, u"a frame from a client must be masked"),
                         (close.code, close.reason))
        self.assertEqual([record.levelno for record in records], [logging.INFO])
        self.assertEqual(self.notes, ["open"])

    def test_a507_what_came_before_is_delivered(self):
        self.serve_sockets()
        peer = self.open_socket()
        peer.client.send(encode_frame(FIN | TEXT, b"fine", b"mask")
                         + encode_frame(FIN | TEXT, b"\xff", b"mask"))
        self.assertEqual(peer.read(), u"fine")
        self.assertEqual(peer.read().code, 1007)

    def test_a211_pings_of_who_does_not_read(self):
        self.serve_sockets()
        peer = self.open_socket()
        ping = encode_frame(FIN | PING, b"x" * 125, b"mask") * 1000
        stream = self.handlers[0].stream
        peer.client.sock.setblocking(False)
        sent = 0
        for _ in range(1000):
            try:
                sent += peer.client.sock.send(ping)
            except EnvironmentError:
                pass
            self.turn(0)
            self.assertLess(stream.unsent(), 300000)
        # The server did not read further.
        self.assertLess(sent, 1000 * len(ping))
        self.assertGreater(stream.unsent(), 65536)
        # It resumes when the client reads.
        peer.client.wait_for(lambda: len(peer.client.data) > 65536 and not stream.unsent())

    def fill(self, handler):
        """Write to a client that does not read until more than 10,000 bytes wait."""
        while handler.stream.unsent() <= 10000:
            handler.write_message(u"x" * 100000)

    def test_b227_a_client_that_does_not_read_is_closed(self):
        self.serve_sockets(Noting, websocket_max_queue_size=10000)
        slow = self.open_socket()
        self.fill(self.handlers[0])
        stream = self.handlers[0].stream
        with LogCatcher() as records:
            self.handlers[0].write_message(u"one too many")
            self.assertTrue(stream.closed())
        self.assertEqual(len(records), 1)
        self.wait_for_note(("close", None, None))
        self.assertEqual(len(self.closings()), 1)
        slow.client.close()

    def test_b227_policy_hook(self):
        class Handler(Noting):
            def on_queue_full(self, message):
                self.note("dropped", message)

        self.serve_sockets(Handler, websocket_max_queue_size=10000)
        slow = self.open_socket()
        handler = self.handlers[0]
        self.fill(handler)
        before = handler.stream.unsent()
        handler.write_message(u"dropped")
        self.assertEqual(self.notes[-1], ("dropped", u"dropped"))
        self.assertEqual(handler.stream.unsent(), before)
        # Messages are sent again once the client has caught up.
        slow.client.wait_for(lambda: not handler.stream.unsent())
        handler.write_message(u"after")
        slow.client.wait_for(lambda: slow.client.data.endswith(b"after"))

    def test_b227_others_are_served_meanwhile(self):
        self.serve_sockets(Noting, websocket_max_queue_size=10000)
        slow = self.open_socket()
        peers = [self.open_socket() for _ in range(20)]
        self.run_until(lambda: len(self.handlers) == 21)
        self.fill(self.handlers[0])
        with LogCatcher():
            for handler in self.handlers:
                handler.write_message(u"to all")
        self.assertEqual([peer.read() for peer in peers], [u"to all"] * 20)
        slow.client.close()


class CompressionTest(WebSocketCase):
    def serve_compressed(self, **settings):
        class Handler(Echo):
            def get_compression_options(self):
                return {"compression_level": 9, "mem_level": 9}

        self.serve_sockets(Handler, **settings)

    def open_compressed(self, offer):
        peer = self.open_socket((("Sec-WebSocket-Extensions", offer),))
        agreement = accept_offer(peer.response.headers["Sec-WebSocket-Extensions"])
        peer.reader = FrameReader(False, inflater=Inflater(agreement.server))
        return peer, Deflater(agreement.client)

    def test_a510_both_ways(self):
        self.serve_compressed()
        for offer in ("permessage-deflate", "permessage-deflate; server_no_context_takeover; "
                      "client_no_context_takeover; server_max_window_bits=9"):
            peer, deflater = self.open_compressed(offer)
            for message in (u"Hello" * 1000, u"", u"Hello" * 1000):
                peer.send(FIN | RSV1 | TEXT, deflater.compress(message.encode("ascii")))
                self.assertEqual(peer.read(), message)
            peer.send(FIN | TEXT, b"plain")
            self.assertEqual(peer.read(), u"plain")

    def test_frames_are_small(self):
        self.serve_compressed()
        peer, deflater = self.open_compressed("permessage-deflate")
        peer.send(FIN | RSV1 | TEXT, deflater.compress(b"Hello" * 1000))
        peer.client.wait_for(lambda: peer.client.data)
        self.assertLess(len(peer.client.data), 100)

    def test_a510_garbage_is_declined(self):
        self.serve_compressed()
        for offer in ("permessage-deflate; server_max_window_bits=99", "permessage-deflate; what",
                      ";;;", "x-webkit-deflate-frame"):
            peer = self.open_socket((("Sec-WebSocket-Extensions", offer),))
            self.assertNotIn("Sec-WebSocket-Extensions", peer.response.headers)
            peer.send(FIN | TEXT, b"plain")
            self.assertEqual(peer.read(), u"plain")

    def test_without_options_nothing_is_compressed(self):
        self.serve_sockets()
        peer = self.open_socket((("Sec-WebSocket-Extensions", "permessage-deflate"),))
        self.assertNotIn("Sec-WebSocket-Extensions", peer.response.headers)
        peer.send(FIN | RSV1 | TEXT, Deflater(accept_offer("permessage-deflate").client).compress(
            b"x"))
        self.assertEqual(peer.read().code, 1002)

    def test_a028_bomb(self):
        self.serve_compressed(websocket_max_message_size=100000)
        peer, deflater = self.open_compressed("permessage-deflate")
        peer.send(FIN | RSV1 | TEXT, deflater.compress(b"x" * 10000000))
        self.assertEqual(peer.read().code, 1009)
        self.assertEqual(self.notes, ["open"])

    def test_wrong_options_are_told(self):
        class Handler(Echo):
            def get_compression_options(self):
                return {"level": 9}

        self.serve_sockets(Handler)
        self.refused(status=500)


class EndTest(WebSocketCase):
    def test_b225_client_closes(self):
        self.serve_sockets()
        peer = self.open_socket()
        peer.send(FIN | CLOSE, encode_close(4001, u"bye"))
        close = peer.read()
        self.assertEqual((type(close), close.code), (Close, 4001))
        self.assertEqual(peer.client.read_rest(), b"")
        peer.client.close()
        self.wait_for_note(("close", 4001, u"bye"))
        self.assertEqual(len(self.closings()), 1)

    def test_b225_client_closes_without_a_code(self):
        self.serve_sockets()
        peer = self.open_socket()
        peer.send(FIN | CLOSE)
        self.assertEqual(peer.read().code, 1005)
        peer.client.close()
        self.wait_for_note(("close", 1005, u""))

    def test_b225_server_closes(self):
        self.serve_sockets()
        peer = self.open_socket()
        self.handlers[0].close(4002, u"enough")
        self.handlers[0].close(4003, u"again")
        close = peer.read()
        self.assertEqual((close.code, close.reason), (4002, u"enough"))
        peer.send(FIN | CLOSE, encode_close(4002))
        self.assertEqual(peer.client.read_rest(), b"")
        peer.client.close()
        self.run_until(self.closings)
        self.assertEqual(self.closings(), [("close", 4002, u"")])

    def test_b225_connection_is_lost(self):
        self.serve_sockets()
        for end in ("close", "abort", "end"):
            del self.notes[:], self.handlers[:]
            peer = self.open_socket()
            getattr(peer.client, end)()
            self.run_until(self.closings)
            self.assertEqual(self.closings(), [("close", None, None)])
            self.assertIsNone(self.handlers[0].ws_connection)

    def failing(self, name):
        def fail(self, *args, **kwargs):
            getattr(super(Handler, self), name)(*args, **kwargs)
            raise ZeroDivisionError("of the test")

        Handler = type(str("Handler"), (Echo,), {name: fail})
        self.serve_sockets(Handler)

    def test_b225_error_in_a_callback(self):
        for name in ("open", "on_message", "on_ping", "on_pong"):
            self.failing(name)
            with LogCatcher() as records:
                peer = self.open_socket()
                if name != "open":
                    peer.send(FIN | {"on_message": TEXT, "on_ping": PING, "on_pong": PONG}[name])
                    peer.send(FIN | TEXT, b"more")
                event = peer.read()
                while not isinstance(event, Close):
                    event = peer.read()
                self.assertEqual(event.code, 1011)
                peer.client.close()
                self.run_until(self.closings)
            self.assertEqual(self.closings(), [("close", 1011, None)])
            self.assertNotIn(u"more", self.notes)
            self.assertEqual([record.exc_info[0] for record in records if record.exc_info],
                             [ZeroDivisionError])

    def test_b225_error_in_on_close_is_logged(self):
        self.failing("on_close")
        with LogCatcher() as records:
            self.open_socket().client.close()
            self.run_until(self.closings)
            self.assertEqual(len(self.closings()), 1)
        self.assertEqual([record.exc_info[0] for record in records if record.exc_info],
                         [ZeroDivisionError])

    def test_error_in_the_callback_of_write_message(self):
        self.serve_sockets()
        peer = self.open_socket()
        with LogCatcher() as records:
            self.handlers[0].write_message(u"a", callback=lambda: 1 // 0)
            self.assertEqual((peer.read(), peer.read().code), (u"a", 1011))
        self.assertEqual(len([record for record in records if record.exc_info]), 1)

    def assert_closed(self, handler):
        with self.assertRaises(WebSocketClosedError):
            handler.write_message(u"x")
        with self.assertRaises(WebSocketClosedError):
            handler.ping()

    def test_b226_write_message_after_close(self):
        self.serve_sockets()
        peer = self.open_socket()
        handler = self.handlers[0]
        handler.close()
        self.assert_closed(handler)
        self.assertEqual(peer.read().code, 1005)
        peer.client.close()
        self.run_until(self.closings)
        self.assert_closed(handler)
        # This does nothing, and raises no error.
        handler.close()
        handler.set_nodelay(True)
        self.assertIsNone(handler.stream)

    def test_b226_write_message_after_the_connection_was_lost(self):
        self.serve_sockets()
        peer = self.open_socket()
        handler = self.handlers[0]
        peer.client.close()
        # It is closed a turn before on_close is called.
        self.run_until(lambda: handler.stream is None or handler.stream.closed())
        self.assert_closed(handler)
        self.run_until(self.closings)
        self.assert_closed(handler)

    def test_b226_before_it_is_open(self):
        class Handler(Echo):
            def prepare(self):
                self.note("closed" if self.ws_connection is None else "open")
                try:
                    self.write_message(u"x")
                except WebSocketClosedError:
                    self.note("refused")

        self.serve_sockets(Handler)
        self.open_socket()
        self.assertEqual(self.notes, ["closed", "refused", "open"])

    def test_b228_messages_before_the_end_are_delivered(self):
        self.serve_sockets(Noting)
        peer = self.open_socket()
        messages = [u"%d" % n for n in range(500)]
        peer.client.send(b"".join(encode_frame(FIN | TEXT, message.encode("ascii"), b"mask")
                                  for message in messages)
                         + encode_frame(FIN | CLOSE, encode_close(1000), b"mask"))
        peer.client.close()
        self.run_until(self.closings)
        self.assertEqual(self.notes, ["open"] + messages + [("close", 1000, u"")])

    def test_b228_messages_are_delivered_though_the_answers_cannot_be_sent(self):
        self.serve_sockets()
        peer = self.open_socket()
        with LogCatcher() as records:
            peer.client.send(encode_frame(FIN | TEXT, b"x" * 100, b"mask") * 5000)
            peer.client.abort()
            self.run_until(self.closings)
        # The messages that the system had received already; an abort is not an error.
        self.assertEqual(set(self.notes[1:-1]) - set([u"x" * 100]), set())
        self.assertEqual([record for record in records if record.exc_info], [])

    def test_b229_client_never_answers(self):
        self.use_skipping_clock()
        self.serve_sockets()
        peer = self.open_socket()
        self.handlers[0].close(1001)
        self.assertEqual(peer.read().code, 1001)
        self.skip(4)
        self.assertEqual(self.closings(), [])
        self.skip(1)
        self.assertEqual(self.closings(), [("close", None, None)])
        self.assertEqual(peer.client.read_rest(), b"")

    def test_b229_client_stays_after_its_close(self):
        self.use_skipping_clock()
        self.serve_sockets()
        peer = self.open_socket()
        peer.send(FIN | CLOSE, encode_close(1000))
        self.assertEqual(peer.read().code, 1000)
        self.assertEqual(peer.client.read_rest(), b"")
        peer.send(FIN | TEXT, b"too late")
        self.turn(0, 3)
        self.assertEqual(self.closings(), [])
        self.skip(5)
        self.assertEqual(self.notes, ["open", ("close", 1000, u"")])

    def test_many_open_and_close(self):
        self.serve_sockets()
        for _ in range(3):
            peers = [self.open_socket() for _ in range(10)]
            for peer in peers:
                peer.client.close()
        self.run_until(lambda: len(self.closings()) == 30)


class PingTest(WebSocketCase):
    def setUp(self):
        super(PingTest, self).setUp()
        self.use_skipping_clock()

    def open_pinged(self, interval=10, timeout=30, handler_class=Noting):
        self.serve_sockets(handler_class, websocket_ping_interval=interval,
                           websocket_ping_timeout=timeout)
        return self.open_socket()

    def test_b223_a_client_that_answers_no_ping_is_closed(self):
        peer = self.open_pinged()
        with LogCatcher() as records:
            for _ in range(4):
                self.assertEqual(self.closings(), [])
                self.skip(10)
            self.assertEqual(self.closings(), [("close", None, None)])
        self.assertEqual(len(records), 1)
        self.assertEqual([type(peer.read()) for _ in range(4)], [Ping, Ping, Ping, type(None)])

    def test_b223_no_pings_by_default(self):
        self.serve_sockets()
        peer = self.open_socket()
        self.skip(1000000)
        self.assertEqual(self.closings(), [])
        peer.client.receive()
        self.assertEqual(peer.client.data, b"")

    def test_b224_a_client_that_answers_pings_stays(self):
        peer = self.open_pinged(timeout=5)
        for _ in range(10):
            self.skip(10)
            self.assertEqual(type(peer.read()), Ping)
            peer.send(FIN | PONG)
            self.wait_for_note(("pong", b""))
            del self.notes[:]
        self.assertEqual(self.closings(), [])

    def test_b224_timeout_below_the_interval(self):
        self.open_pinged(timeout=5)
        with LogCatcher():
            self.skip(14)
            self.assertEqual(self.closings(), [])
            self.skip(5)
            self.assertEqual(len(self.closings()), 1)

    def test_b224_a_message_is_a_sign_of_life(self):
        peer = self.open_pinged(timeout=15)
        for _ in range(10):
            peer.send(FIN | TEXT, b"alive")
            self.wait_for_note(u"alive")
            del self.notes[:]
            self.skip(10)
        self.assertEqual(self.closings(), [])

    def test_b224_taking_what_was_queued_is_a_sign_of_life(self):
        self.serve_sockets(Noting, websocket_ping_interval=10, websocket_ping_timeout=15)
        peer = self.open_socket()
        handler = self.handlers[0]
        handler.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        handler.write_message(u"x" * 5000000)
        for _ in range(5):
            before = handler.stream.unsent()
            peer.client.wait_for(lambda: handler.stream.unsent() < before)
            self.skip(10)
        self.assertGreater(handler.stream.unsent(), 0)
        self.assertEqual(self.closings(), [])
        with LogCatcher():
            for _ in range(4):
                self.skip(10)
        self.assertEqual(len(self.closings()), 1)

    def test_b224_no_ping_after_the_end(self):
        peer = self.open_pinged()
        peer.client.close()
        with LogCatcher() as records:
            self.run_until(self.closings)
            self.skip(100)
        self.assertEqual(records, [])
        self.assertEqual(len(self.closings()), 1)

    def test_b224_default_timeout(self):
        for interval, timeout in ((1, 30), (20, 60)):
            self.open_pinged(interval, None)
            self.assertEqual(self.handlers[0].ping_timeout, timeout)

    def test_b224_busy_server_reads_before_it_gives_up(self):
        peer = self.open_pinged(interval=10, timeout=15)
        self.skip(10)
        peer.send(FIN | PONG, b"in time")
        # As if whatever came next had kept us from reading for so long.
        self.clock.skip(100)
        self.wait_for_note(("pong", b"in time"))
        self.assertEqual(self.closings(), [])
