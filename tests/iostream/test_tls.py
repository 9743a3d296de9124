"""TLS streams: handshakes, certificates, closing, and start_tls.

Behaviour common to all streams is tested in tests/contract/, and behaviour over scripted sockets in
tests/iostream/test_sockets.py.
"""
from __future__ import absolute_import, division, print_function

import errno
import gc
import socket
import ssl
import unittest
import weakref

import six

from friendserve.iostream import SSLIOStream, StreamClosedError
from friendserve.netutil import ssl_options_to_context, ssl_wrap_socket
from tests import CA, CERT, KEY, PATIENCE
from tests.loopcase import LogCatcher, is_gone, open_fds
from tests.streamcase import CLIENT, RESET, SERVER, ScriptedSocket, SocketCase


class TlsTest(SocketCase):
    def tls_server(self, listener, options=SERVER, **kwargs):
        """Accept one connection and make a stream of it."""
        connection = listener.accept()[0]
        sock = ssl_wrap_socket(connection, options, server_side=True,
                               do_handshake_on_connect=False)
        stream, = self.keep(SSLIOStream(sock, self.loop, **kwargs))
        stream.set_close_callback(self.noting("server closed"))
        return stream

    def raw_client(self, listener):
        sock = socket.create_connection(listener.getsockname(), timeout=PATIENCE)
        self.addCleanup(sock.close)
        return sock

    def messages(self, records):
        return [(record.levelname, record.exc_info) for record in records]

    def test_b090_client_that_says_nothing(self):
        listener = self.listener()
        before = open_fds()
        silent = self.raw_client(listener)
        with LogCatcher() as records:
            server = self.tls_server(listener, handshake_timeout=0.05)
            # Meanwhile other clients are served.
            client = self.client(SSLIOStream, ssl_options=CLIENT)
            client.connect(listener.getsockname(), self.noting("connected"), "localhost")
            other = self.tls_server(listener)
            other.set_close_callback(None)
            self.run_until(lambda: len(self.log) == 2)
        self.assertEqual({"connected", "server closed"}, set(self.log))
        self.assertIn("longer than 0.05", str(server.error))
        self.assertEqual([("INFO", None)], self.messages(records))
        self.assertIn("127.0.0.1", records[0].getMessage())
        for stream in (client, other):
            stream.set_close_callback(None)
            stream.close()
        silent.close()
        self.assertEqual(before, open_fds())
        # No timer is left either.
        self.assertEqual(0, len(self.loop._timers))

    def test_b092_what_is_no_tls(self):
        def close(sock):
            sock.close()

        def reset(sock):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            sock.close()

        def reset_mid_handshake(sock):
            bio = ssl.SSLContext(CLIENT.protocol)
            bio.check_hostname = False
            sock.setblocking(False)
            tls = bio.wrap_socket(sock, do_handshake_on_connect=False)
            try:
                tls.do_handshake()
            except ssl.SSLError:
                pass
            reset(tls)
            sock.close()    # on Python 2 the fd is closed with the last socket over it
        for attack in (close, reset, reset_mid_handshake,
                       lambda sock: sock.send(b"GET / HTTP/1.0\r\n\r\n"),
                       lambda sock: sock.send(b"\x16\x03\x01\xff\xff" + b"x" * 1000),
                       lambda sock: sock.shutdown(socket.SHUT_WR)):
            listener = self.listener()
            before = open_fds()
            client = self.raw_client(listener)
            server = self.tls_server(listener)
            server.write(b"never sent", self.fail)
            server.read_bytes(1, self.fail)
            with LogCatcher() as records:
                attack(client)
                self.expect("server closed")
                self.assert_quiet()
            self.assertEqual([("INFO", None)], self.messages(records))
            self.assertIn("TLS handshake with", records[0].getMessage())
            self.assertIsInstance(server.error, EnvironmentError)
            client.close()
            self.assertEqual(before, open_fds())

    def test_b429_what_one_connection_suffers_is_no_error_of_another(self):
        listener = self.listener()
        client = self.client(SSLIOStream, ssl_options=CLIENT)
        client.connect(listener.getsockname(), self.noting("connected"), "localhost")
        server = self.tls_server(listener)
        self.expect("connected")
        for attack in (lambda sock: sock.send(b"GET / HTTP/1.0\r\n\r\n"),
                       lambda sock: sock.shutdown(socket.SHUT_WR)):
            raw = self.raw_client(listener)
            self.tls_server(listener)
            with LogCatcher():
                attack(raw)
                self.expect("server closed")
            # There is nothing to read.
            with self.assertRaises(ssl.SSLError) as caught:
                client.socket.recv(1)
            self.assertEqual(ssl.SSL_ERROR_WANT_READ, caught.exception.args[0])
            raw.close()
        server.set_close_callback(None)

    def test_b092_tls_client_to_a_plain_port(self):
        for answer in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b""):
            listener = self.listener()
            client = self.client(SSLIOStream, ssl_options=CLIENT)
            client.connect(listener.getsockname(), self.fail, server_hostname="localhost")
            server = listener.accept()[0]
            server.send(answer)
            server.shutdown(socket.SHUT_WR)
            with LogCatcher() as records:
                self.expect("closed")
            server.close()
            self.assertEqual([("INFO", None)], self.messages(records))
            self.assertIsInstance(client.error, EnvironmentError)

    def test_b093_writes_wait_for_the_handshake(self):
        listener = self.listener()
        client = self.client(SSLIOStream, ssl_options=CLIENT)
        client.write(b"before connect|")
        client.read_until(b"!", self.note)
        raw = self.client()
        raw.connect(listener.getsockname(), self.noting("tcp"))
        self.expect("tcp")
        server = self.tls_server(listener)
        server.write(b"early!", self.fail)
        self.assert_quiet()
        self.assertTrue(server.writing())
        server.set_close_callback(None)
        client.connect(listener.getsockname(), self.noting("connected"), "localhost")
        client.write(b"early|")
        server = self.tls_server(listener)
        server.write(b"early!", self.noting("written"))
        server.read_until_regex(br"\|early\|", self.note)
        self.run_until(lambda: len(self.log) == 4)
        self.assertEqual({"connected", "written", b"early!", b"before connect|early|"},
                         set(self.log))

    def test_b094_what_the_library_holds_is_not_forgotten(self):
        a, b = self.tls_pair(read_chunk_size=100)
        b.read_bytes(16000, lambda data: self.note(len(data)))
        a.write(b"x" * 16000)
        self.expect(16000)
        # Even if the reader pauses and resumes.
        count = 3000
        a.write(b"line\n" * count)

        def on_line(line):
            self.note(line)
            if len(self.log) < count:
                self.loop.add_callback(b.read_until, b"\n", on_line)
        b.read_until(b"\n", on_line)
        self.run_until(lambda: len(self.log) == count)

    def test_b099_verification(self):
        hostname = "127.0.0.1" if six.PY3 else "localhost"
        for options, name, good in (
                (CLIENT, "localhost", True), (dict(ca_certs=CA), hostname, True),
                (CLIENT, "example.com", False), ({}, "localhost", False),
                (None, "localhost", False), (dict(cert_reqs=ssl.CERT_NONE), None, True),
                (dict(cert_reqs=ssl.CERT_NONE), "example.com", True)):
            listener = self.listener()
            client = self.client(SSLIOStream, ssl_options=options)
            client.connect(listener.getsockname(), self.noting("connected"), name)
            server = self.tls_server(listener)
            server.set_close_callback(None)
            self.expect("connected" if good else "closed")
            self.assertEqual(good, client.error is None)
            if good and options is CLIENT:
                self.assertEqual(((("commonName", "localhost"),),),
                                 client.socket.getpeercert()["subject"])
            client.set_close_callback(None)
            client.close()

    def test_b099_options_that_do_not_fit(self):
        # Without a name there is nothing to check.
        for options, name in ((CLIENT, None), (dict(ca_certs="/no/such/file"), "localhost")):
            listener = self.listener()
            client = self.client(SSLIOStream, ssl_options=options)
            client.connect(listener.getsockname(), self.fail, name)
            self.expect("closed")
            self.assertIsInstance(client.error, ValueError)

    def test_b099_server_name_and_client_certificate(self):
        names = []
        context = ssl_options_to_context(
            dict(certfile=CERT, keyfile=KEY, ca_certs=CA, cert_reqs=ssl.CERT_REQUIRED))
        context.set_servername_callback(lambda sock, name, context: names.append(name))
        for certificate in (True, False):
            listener = self.listener()
            options = dict(ca_certs=CA)
            if certificate:
                options.update(certfile=CERT, keyfile=KEY)
            client = self.client(SSLIOStream, ssl_options=options)
            client.set_close_callback(None)
            client.connect(listener.getsockname(), None, "localhost")
            server = self.tls_server(listener, context)
            server.wait_for_handshake(lambda stream: self.note(
                stream.socket.getpeercert()["subject"]))
            self.expect(((("commonName", "localhost"),),) if certificate else "server closed")
            server.set_close_callback(None)
        self.assertEqual(["localhost"] * 2, names)

    def test_wait_for_handshake(self):
        client = self.client(SSLIOStream, ssl_options=CLIENT)
        listener = self.listener()
        # At any time: before connect, before the handshake is over, and after.
        client.wait_for_handshake(lambda stream: self.note("first", stream is client))
        client.connect(listener.getsockname(), self.noting("connected"), "localhost")
        client.wait_for_handshake(self.noting("second"))
        client.wait_for_handshake()
        server = self.tls_server(listener)
        self.expect(("first", True), "second", "connected")
        client.wait_for_handshake(self.noting("third"))
        self.assertEqual([], self.log)
        self.expect("third")
        server.close()
        self.run_until(client.closed)
        self.assertRaises(StreamClosedError, client.wait_for_handshake, self.fail)

    def test_b062_handshake_callback_that_raises(self):
        client = self.client(SSLIOStream, ssl_options=CLIENT)
        listener = self.listener()
        client.wait_for_handshake(lambda stream: {}["missing"])
        client.connect(listener.getsockname(), None, "localhost")
        self.tls_server(listener).set_close_callback(None)
        with LogCatcher("friendserve.application") as records:
            self.expect("closed")
        self.assertEqual(1, len(records))

    def break_off(self, stream):
        """Close the connection of a stream without close_notify."""
        stream._forget_events()
        socket.socket.shutdown(stream.socket, socket.SHUT_RDWR)

    def test_a656_an_end_without_close_notify_is_an_error(self):
        for required in (True, False):
            a, b = self.tls_pair()
            if not required:
                b.require_close_notify = False
            b.set_close_callback(self.noting("closed"))
            b.read_until_close(self.note)
            with LogCatcher() as records:
                a.write(b"data")
                self.break_off(a)
                self.expect(b"data", "closed")
            self.assertEqual([], records)
            if required:
                self.assertIsInstance(b.error, ssl.SSLEOFError)
                self.assertRaises(StreamClosedError, b.read_until_close, self.fail)
            else:
                self.assertIsNone(b.error)

    def test_a656_what_was_received_can_be_read(self):
        a, b = self.tls_pair()
        b.set_close_callback(self.noting("closed"))
        a.write(b"one\ntwo\nthree")
        self.break_off(a)
        b.read_until(b"\n", lambda data: (self.note(data), b.read_until(b"\n", self.note)))
        self.run_until(lambda: len(self.log) == 2)
        self.assert_quiet()
        b.read_until(b"\n", self.fail)
        self.expect(b"one\n", b"two\n", "closed")
        self.assertIsInstance(b.error, ssl.SSLEOFError)

    def test_a656_a_local_close_does_not_hide_it(self):
        a, b = self.tls_pair()
        a.write(b"unread")
        self.run_until(b.has_unread)
        self.break_off(a)
        b.read_bytes(3, self.note)
        self.expect(b"unr")
        b.read_bytes(3, lambda data: None)
        self.run_until(lambda: b.error is not None or b.closed())
        b.close()
        self.assertIsInstance(b.error, ssl.SSLEOFError)

    def test_a656_a_socket_of_the_program(self):
        """One that was wrapped with the default of the ssl module, which hides such ends."""
        client, server = self.tcp_sockets()
        client = CLIENT.wrap_socket(client, server_hostname="localhost",
                                    do_handshake_on_connect=False, suppress_ragged_eofs=True)
        server = SERVER.wrap_socket(server, server_side=True, do_handshake_on_connect=False)
        a, b = self.keep(SSLIOStream(client, self.loop), SSLIOStream(server, self.loop))
        b.wait_for_handshake(self.noting("shaken"))
        self.expect("shaken")
        self.break_off(b)
        a.set_close_callback(self.noting("closed"))
        self.expect("closed")
        self.assertIsInstance(a.error, ssl.SSLEOFError)

    def test_goodbye_is_said(self):
        """A peer that checks can distinguish our close from a truncation."""
        listener = self.listener()
        raw = self.raw_client(listener)
        raw.setblocking(False)
        client = ssl_wrap_socket(raw, CLIENT, "localhost", do_handshake_on_connect=False,
                                 suppress_ragged_eofs=False)
        self.addCleanup(client.close)
        server = self.tls_server(listener)
        server.write(b"all", server.close)
        seen = []

        def step():
            try:
                if not seen:
                    client.do_handshake()
                    seen.append(None)
                seen.append(client.recv(99))
            except ssl.SSLError as error:
                self.assertEqual(ssl.SSL_ERROR_WANT_READ, error.args[0])
            return seen[-1:] == [b""]
        self.run_until(step)
        self.assertEqual([None, b"all", b""], seen)

    def test_sockets_that_would_stay_without_tls(self):
        client, server = self.tcp_sockets()
        for sock in (client, server):
            self.addCleanup(sock.close)
        self.assertRaises(ValueError, SSLIOStream, client, self.loop)
        # The peer has disconnected since it was accepted.
        sock = ScriptedSocket(self.socket_pair()[0])

        def getpeername():
            raise socket.error(errno.ENOTCONN, "x")
        sock.getpeername = getpeername
        stream = SSLIOStream(sock, self.loop)
        self.assertTrue(stream.closed())
        self.assertEqual(errno.ENOTCONN, stream.error.errno)

    def test_failed_handshake_leaves_no_garbage(self):
        gc.collect()
        gc.disable()
        try:
            listener = self.listener()
            client = self.raw_client(listener)
            server = self.tls_server(listener)
            client.send(b"no TLS at all\r\n\r\n")
            self.expect("server closed")
            reference = weakref.ref(server)
            self.kept.remove(server)
            del server
            self.assertTrue(is_gone(reference))
        finally:
            gc.enable()


class StartTlsTest(SocketCase):
    def setUp(self):
        SocketCase.setUp(self)
        self.a, self.b = self.tcp_pair()

    def start(self, hostname="localhost"):
        self.keep(
            self.b.start_tls(True, SERVER, callback=lambda stream: self.note("server", stream)),
            self.a.start_tls(False, CLIENT, hostname, lambda stream: self.note("client", stream)))

    def test_conversation(self):
        self.b.set_close_callback(self.noting("closed"))
        self.a.write(b"STARTTLS\n")

        def on_command(line):
            self.b.write(b"go\n")
            self.b.start_tls(True, dict(certfile=CERT, keyfile=KEY),
                             callback=lambda stream: self.note(stream))
        self.b.read_until(b"\n", on_command)
        self.a.read_until(b"\n", lambda line: self.a.start_tls(
            False, dict(ca_certs=CA), "localhost", lambda stream: self.note(stream)))
        self.run_until(lambda: len(self.log) == 2)
        streams = sorted(self.log, key=lambda stream: stream.socket.server_side)
        self.keep(*streams)
        del self.log[:]
        self.assertEqual([SSLIOStream] * 2, [type(stream) for stream in streams])
        client, server = streams
        server.read_until(b"\n", self.note)
        client.write(b"secret\n")
        self.expect(b"secret\n")
        # The old streams are closed, and the socket is no longer theirs.
        for stream in (self.a, self.b):
            self.assertTrue(stream.closed())
            self.assertRaises(StreamClosedError, stream.write, b"x")
            self.assertRaises(StreamClosedError, stream.start_tls, False)
            stream.close()
        self.a = self.b = None
        gc.collect()
        client.write(b"still here\n")
        server.read_until(b"\n", self.note)
        self.expect(b"still here\n")
        self.assertRaises(RuntimeError, client.start_tls, False, CLIENT, "localhost")
        # The close callback has moved too.
        client.close()
        self.expect("closed")

    def test_stream_that_is_not_idle(self):
        self.a.read_until(b"\n", self.note)
        self.assertRaises(ValueError, self.a.start_tls, False, CLIENT, "localhost")
        # Bytes that arrived with the command would be mistaken for encrypted ones.
        self.b.write(b"go\ninjected\n")
        self.expect(b"go\n")
        self.assertRaises(ValueError, self.a.start_tls, False, CLIENT, "localhost")
        self.a.read_until(b"\n", self.note)
        self.expect(b"injected\n")
        self.b.write(b"x" * 10000000)
        self.assertRaises(ValueError, self.b.start_tls, True, SERVER)
        stream = self.client()
        stream.connect(self.listener().getsockname())
        self.assertRaises(ValueError, stream.start_tls, False, CLIENT, "localhost")

    def test_options_that_do_not_fit_change_nothing(self):
        for arguments in ((True,), (True, {}), (False, CLIENT), (False, dict(ca_certs="/none"))):
            self.assertRaises(ValueError, self.a.start_tls, *arguments)
        self.start()
        self.run_until(lambda: len(self.log) == 2)

    def test_b091_handshake_that_fails(self):
        before = open_fds()
        a, b = self.a, self.b
        a.set_close_callback(self.noting("closed"))
        stream = a.start_tls(False, CLIENT, "localhost", self.fail)
        b.write(b"no TLS\r\n" * 10)
        with LogCatcher() as records:
            self.expect("closed")
            self.assert_quiet()
        self.assertEqual(1, len(records))
        self.assertIsInstance(stream.error, ssl.SSLError)
        self.assertTrue(stream.closed())
        del a, stream
        self.a = None
        self.assertEqual(1, len(before - open_fds()))
        self.assertEqual([], self.log)

    def test_b091_handshake_that_is_given_up(self):
        before = open_fds()
        self.a.set_close_callback(self.noting("closed"))
        stream = self.a.start_tls(False, CLIENT, "localhost", self.fail)
        self.loop.run_once(0)
        stream.close()
        self.expect("closed")
        del stream
        self.a = None
        self.assertEqual(1, len(before - open_fds()))
        self.assertEqual(0, len(self.loop._timers))

    def test_b091_wrong_name(self):
        self.a.set_close_callback(self.noting("closed"))
        self.start("example.com")
        self.run_until(lambda: "closed" in self.log)
        self.assertNotIn("client", [entry[0] for entry in self.log])

    def test_peer_that_has_gone(self):
        self.a.set_close_callback(self.noting("closed"))
        self.b.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.b.close()
        try:
            stream = self.a.start_tls(False, CLIENT, "localhost", self.fail)
        except StreamClosedError as error:
            self.assertIsNotNone(error.real_error)
        else:
            self.run_until(stream.closed)
        self.expect("closed")
        self.assertTrue(self.a.closed())


if __name__ == "__main__":
    unittest.main()
