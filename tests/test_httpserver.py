"""The HTTP server: constructing it, facts about the client, TLS, sockets, and failures."""
from __future__ import absolute_import, division, print_function

import email.utils
import functools
import logging
import os
import shutil
import socket
import ssl
import tempfile
import time
import unittest

from friendserve import httputil
from friendserve.httpserver import HTTPConnection, HTTPRequest, HTTPServer
from friendserve.httputil import HTTPServerRequest, format_timestamp, http_date
from friendserve.ioloop import IOLoop
from friendserve.iostream import IOStream
from friendserve.netutil import bind_sockets, bind_unix_socket, ssl_options_to_context
from friendserve.platform.pollers.auto import make_poller
from friendserve.stack_context import ExceptionStackContext
from friendserve.web import Application, HTTPError, RequestHandler, asynchronous
from tests.httpcase import (
    CA, CERT, KEY, SERVER_OPTIONS, HTTPCase, LogCatcher, answer, get, post)
from tests.loopcase import CountingPoller


class Hello(RequestHandler):
    def get(self):
        self.write("hello")

    post = get


class FormsTest(HTTPCase):
    """The ways in which programs make a server."""
    def test_names_of_2009(self):
        self.assertTrue(issubclass(HTTPRequest, HTTPServerRequest))
        self.assertTrue(callable(HTTPConnection))

    def test_function_that_writes(self):
        def serve(request):
            request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            request.write(b"hello")
            request.finish()
            self.assertGreaterEqual(request.request_time(), 0)

        self.serve(serve)
        client = self.connect(data=get() + get())
        for _ in range(2):
            self.assertEqual(client.read_response().body, b"hello")
        client = self.connect(data=get(version="1.0"))
        self.assertTrue(client.read_rest().endswith(b"\r\n\r\nhello"))

    def test_function_that_writes_later(self):
        def serve(request):
            self.loop.add_callback(finish, request)

        def finish(request):
            request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                          lambda: called.append(1))
            request.finish()

        called = []
        self.serve(serve)
        self.assertEqual(self.fetch(get()).body, b"hello")
        self.run_until(lambda: called)

    def test_function_that_finishes_without_writing(self):
        self.serve(lambda request: request.finish())
        with LogCatcher():
            self.assertEqual(self.fetch(get()).status, 500)

    def test_b494_whatever_can_be_called(self):
        class Object(object):
            def __call__(self, request):
                calls.append(request)

            def refuse(self, request):
                raise AssertionError("Python does not look for __call__ in the object")

        class Made(object):
            def __init__(self, request):
                calls.append(request)

            @classmethod
            def __call__(cls, request):
                raise AssertionError("the class is called, not one of its objects")

        class Derived(Made):
            pass

        class Static(object):
            __call__ = staticmethod(Object())

        calls = []
        changed = Object()
        changed.__call__ = changed.refuse
        for number, callback in enumerate((
                Object(), Object().__call__, functools.partial(Object()), calls.append, Static(),
                changed, Made, Derived)):
            HTTPServer(callback).handle_request(number)
            self.assertEqual(list(range(number + 1)), calls)
        # A subclass of Application has its method from there.
        application = type("Derived", (Application,), {})([])
        self.assertEqual(application.__call__, HTTPServer(application).handle_request)

    def test_positional_arguments(self):
        loop = IOLoop()
        self.addCleanup(loop.close)
        server = HTTPServer(answer, True, loop, True, SERVER_OPTIONS)
        self.assertTrue(server.params.no_keep_alive)
        self.assertIs(server.io_loop, loop)
        self.assertTrue(server.xheaders)
        self.assertIsNotNone(server.ssl_options)

    def test_keywords(self):
        server = HTTPServer(
            answer, no_keep_alive=True, io_loop=self.loop, xheaders=True, ssl_options=None,
            protocol="https", decompress_request=True, chunk_size=1000, max_header_size=2000,
            idle_connection_timeout=3, body_timeout=4, max_body_size=5, max_buffer_size=6000,
            trusted_downstream=["10.0.0.1"], header_timeout=7, write_timeout=8,
            response_timeout=9, linger_timeout=10, handshake_timeout=11, max_request_line=12,
            max_headers=13, max_write_buffer_size=14)
        params = server.params
        self.assertEqual(
            (params.chunk_size, params.max_header_size, params.idle_timeout, params.body_timeout,
             params.max_body_size, server.max_buffer_size, params.header_timeout,
             params.write_timeout, params.response_timeout, params.linger_timeout,
             server.handshake_timeout, params.max_request_line, params.max_headers,
             server.max_write_buffer_size),
            (1000, 2000, 3, 4, 5, 6000, 7, 8, 9, 10, 11, 12, 13, 14))
        self.assertRaises(TypeError, HTTPServer, answer, no_such_argument=1)

    def test_application(self):
        application = Application([("/", Hello)])
        self.serve(application)
        self.assertEqual(self.fetch(get()).body, b"hello")
        self.assertEqual(self.fetch(get("/other")).status, 404)

    def test_a130_methods_in_other_letters(self):
        self.serve(Application([("/", Hello)]))
        for method in (b"gEt", b"GE#T", b"BREW"):
            self.assertEqual(self.fetch(get().replace(b"GET", method)).status, 405)

    def test_a131_one_host_for_everybody(self):
        class Host(RequestHandler):
            def get(self):
                self.write(self.request.host + " " + self.request.full_url())

        application = Application()
        application.add_handlers("good.example", [("/p", Host)])
        self.serve(application)
        client = self.connect(
            data=b"GET http://good.example/p?q HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        self.assertEqual(client.read_response().body,
                         b"good.example http://good.example/p?q")

    def test_other_loop_than_the_current_one(self):
        loop = IOLoop()
        self.addCleanup(loop.close)
        self.serve(io_loop=loop)
        IOLoop.clear_current()
        self.loop = loop
        self.assertEqual(self.fetch(get()).status, 200)

    def test_listen(self):
        sock, = bind_sockets(0, "127.0.0.1")
        port = sock.getsockname()[1]
        sock.close()
        server = HTTPServer(answer)
        self.addCleanup(self.close_server, server)
        server.listen(port, "127.0.0.1")
        server.address = ("127.0.0.1", port)
        self.assertEqual(self.fetch(get(), server=server).status, 200)


class ClientTest(HTTPCase):
    """The facts about the client that the application gets."""
    def serve_facts(self, **options):
        self.serve(lambda request: answer(
            request, ("%s %s %s" % (request.remote_ip, request.protocol, request.full_url()))
            .encode("ascii")), **options)

    def facts(self, headers=""):
        return tuple(self.fetch(get("/p", headers)).body.decode("ascii").split(" "))

    def test_without_xheaders(self):
        self.serve_facts()
        self.assertEqual(self.facts("X-Real-Ip: 1.2.3.4\r\nX-Scheme: https\r\n"),
                         ("127.0.0.1", "http", "http://example.com/p"))

    def test_protocol(self):
        self.serve_facts(protocol="https")
        self.assertEqual(self.facts()[1:], ("https", "https://example.com/p"))

    def test_xheaders(self):
        self.serve_facts(xheaders=True)
        for headers, wanted in [
                ("", ("127.0.0.1", "http")), ("X-Real-Ip: 4.4.4.4\r\n", ("4.4.4.4", "http")),
                ("X-Real-Ip: ::1\r\n", ("::1", "http")),
                ("X-Forwarded-For: 5.5.5.5\r\n", ("5.5.5.5", "http")),
                ("X-Scheme: https\r\n", ("127.0.0.1", "https")),
                ("X-Forwarded-Proto: https\r\n", ("127.0.0.1", "https")),
                ("X-Forwarded-Proto: https, http\r\n", ("127.0.0.1", "http")),
                ("X-Scheme: ftp\r\n", ("127.0.0.1", "http")),
                ("X-Scheme:\r\n", ("127.0.0.1", "http"))]:
            self.assertEqual(self.facts(headers)[:2], wanted)

    def test_a009_what_is_no_address(self):
        self.serve_facts(xheaders=True)
        for value in ("<script>", "", "localhost", "1.2.3", "1.2.3.4.5", "4" * 5000, "1.2.3.4, 5",
                      "1.2.3.4:", "[::1", "0x7f.1", "unknown"):
            for name in ("X-Real-Ip", "X-Forwarded-For"):
                self.assertEqual(self.facts("%s: %s\r\n" % (name, value))[0], "127.0.0.1")
        self.assert_refused(get(headers="X-Real-Ip: 1.2.3.4\x00\r\n"), 400)

    def test_a027_the_last_one_counts(self):
        self.serve_facts(xheaders=True, trusted_downstream=["10.0.0.1", "10.0.0.2"])
        for value, wanted in [("9.9.9.9, 4.4.4.4", "4.4.4.4"), ("9.9.9.9,4.4.4.4", "4.4.4.4"),
                              ("9.9.9.9, 4.4.4.4, 10.0.0.1", "4.4.4.4"),
                              ("9.9.9.9, 4.4.4.4, 10.0.0.1, 10.0.0.2", "4.4.4.4"),
                              ("9.9.9.9, 10.0.0.1, 4.4.4.4", "4.4.4.4"),
                              ("4.4.4.4, junk", "127.0.0.1"), ("4.4.4.4,", "127.0.0.1")]:
            self.assertEqual(self.facts("X-Forwarded-For: %s\r\n" % value)[0], wanted)
        # Several lines form one list.
        self.assertEqual(self.facts(
            "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 4.4.4.4\r\n")[0], "4.4.4.4")

    def test_b130_forgotten_with_the_request(self):
        self.serve_facts(xheaders=True)
        client = self.connect()
        for headers, wanted in [("X-Real-Ip: 4.4.4.4\r\nX-Scheme: https\r\n", b"4.4.4.4 https"),
                                ("", b"127.0.0.1 http"), ("X-Real-Ip: ::1\r\n", b"::1 http")]:
            client.send(get("/p", headers))
            self.assertTrue(client.read_response().body.startswith(wanted + b" "))

    def test_a013_a_request_shows_no_secrets(self):
        shown = []
        self.serve(lambda request: (shown.append(repr(request) + str(request)), answer(request)))
        self.fetch(post(b"password=secret", headers="Cookie: secret\r\nAuthorization: secret\r\n"))
        self.assertIn("example.com", shown[0])
        self.assertNotIn("secret", shown[0])


@unittest.skipUnless(hasattr(socket, "AF_UNIX"), "this system has no Unix sockets")
class UnixTest(HTTPCase):
    def test_b116_unix_socket(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.serve(lambda request: answer(request, request.remote_ip.encode("ascii")),
                   bind_unix_socket(os.path.join(folder, "socket")), xheaders=True)
        client = self.connect(data=get() + get(headers="X-Real-Ip: 4.4.4.4\r\n") + b"bad\r\n\r\n")
        # A valid address that no host has.
        self.assertEqual(client.read_response().body, b"0.0.0.0")
        self.assertEqual(client.read_response().body, b"4.4.4.4")
        with LogCatcher() as records:
            self.assertEqual(client.read_response().status, 400)
        self.assertIn("0.0.0.0", "".join(record.message for record in records))


class TLSTest(HTTPCase):
    def test_server(self):
        for options in (SERVER_OPTIONS, ssl_options_to_context(SERVER_OPTIONS)):
            self.serve(lambda request: answer(request, request.protocol.encode("ascii")),
                       ssl_options=options)
            client = self.connect_tls(data=get() + get())
            for _ in range(2):
                self.assertEqual(client.read_response().body, b"https")

    def test_large_messages(self):
        self.serve(lambda request: answer(request, request.body * 2), ssl_options=SERVER_OPTIONS)
        body = os.urandom(1000000)
        client = self.connect_tls(data=post(body))
        self.assertTrue(client.read_response().body == body * 2)

    def test_refusal(self):
        self.serve(ssl_options=SERVER_OPTIONS)
        with LogCatcher() as records:
            client = self.connect_tls(data=b"bad\r\n\r\n")
            self.assertEqual(client.read_response().status, 400)
            self.assertEqual(client.read_rest(), b"")
        self.assertEqual(len(records), 1)

    def test_b092_plain_text(self):
        self.serve(ssl_options=SERVER_OPTIONS)
        with LogCatcher() as records:
            client = self.connect(data=get())
            client.wait_for(lambda: client.ended)
            self.run_until(lambda: not self.server.connection_count())
        self.assertEqual([record.levelno for record in records], [logging.INFO])
        self.assertIn("127.0.0.1", records[0].message)
        self.assertIsNone(records[0].exc_info)

    def test_client_certificate(self):
        seen = []
        options = dict(SERVER_OPTIONS, cert_reqs=ssl.CERT_OPTIONAL, ca_certs=CA)
        self.serve(lambda request: (seen.append(request.get_ssl_certificate()), answer(request)),
                   ssl_options=options)
        self.connect_tls(data=get()).read_response()
        self.connect_tls(data=get(), certfile=CERT, keyfile=KEY).read_response()
        self.assertFalse(seen[0])
        self.assertIn("subject", seen[1])

    def test_b117_gone_before_the_handshake(self):
        self.serve(ssl_options=SERVER_OPTIONS)
        with LogCatcher() as records:
            for leave in ("close", "abort"):
                client = self.connect()
                getattr(client, leave)()
                self.turn(0.01, times=5)
            self.run_until(lambda: not self.server.connection_count())
        self.assertFalse([record for record in records if record.levelno > logging.INFO])

    def test_b117_stream_that_is_closed_already(self):
        server = HTTPServer(answer)
        for error in (None, (ValueError, ValueError("lost"), None)):
            ours, theirs = socket.socketpair()
            self.addCleanup(theirs.close)
            stream = IOStream(ours)
            stream.close(error)
            server.handle_stream(stream, "")
            self.turn(times=3)
            self.assertEqual(0, server.connection_count())


class PortsTest(HTTPCase):
    @unittest.skipUnless(hasattr(socket, "SO_REUSEPORT"), "this system has no SO_REUSEPORT")
    def test_b133_another_process_takes_over(self):
        first_socket, = bind_sockets(0, "127.0.0.1", reuse_port=True)
        port = first_socket.getsockname()[1]
        old = self.serve(lambda request: answer(request, b"old"), first_socket)
        pending = self.connect(old)
        new = self.serve(lambda request: answer(request, b"new"),
                         bind_sockets(port, "127.0.0.1", reuse_port=True)[0])
        # No connection waits in the queue of the old one when it stops.
        self.turn(0.01, times=3)
        stopped = []
        pending.send(get())
        self.run_until(lambda: pending.receive())
        old.graceful_stop(10, lambda: stopped.append(1))
        for _ in range(20):
            self.assertEqual(self.fetch(get(), server=new).body, b"new")
        self.run_until(lambda: stopped)
        self.assertIn(b"old", pending.data)

    def test_b133_inherited_socket(self):
        listener, = bind_sockets(0, "127.0.0.1")
        copy = socket.fromfd(listener.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        copy.setblocking(False)
        old = self.serve(lambda request: answer(request, b"old"), listener)
        self.assertEqual(self.fetch(get(), server=old).body, b"old")
        old.stop()
        # Between the two, connections wait in the kernel.
        waiting = self.connect(old, get())
        new = self.serve(lambda request: answer(request, b"new"), copy)
        self.assertEqual(waiting.read_response().body, b"new")
        self.assertEqual(self.fetch(get(), server=new).body, b"new")


def fail(*args, **kwargs):
    raise ValueError("from the application")


class FailureTest(HTTPCase):
    """B131: whatever raises, there is one log line and the connection does not hang."""

    def check(self, application, status, path="/", log_level=logging.ERROR, goes_on=True):
        self.serve(application)
        with LogCatcher() as records:
            client = self.connect(data=get(path))
            self.assertEqual(client.read_response().status, status)
            if goes_on:
                client.send(get(path))
                self.assertEqual(client.read_response().status, status)
            client.close()
            self.run_until(lambda: not self.server.connection_count())
        errors = [record for record in records if record.levelno >= logging.ERROR
                  and record.exc_info]
        self.assertEqual(len(errors), 2 if goes_on else 1, [r.message for r in records])
        for record in errors:
            self.assertEqual(record.exc_info[0], ValueError)

    def test_b131_function(self):
        def serve(request):
            raise ValueError("from the callback")
        self.check(serve, 500, goes_on=False)

    def test_b131_function_after_its_answer(self):
        def serve(request):
            answer(request)
            raise ValueError("after the answer")
        self.check(serve, 200)

    def test_b131_function_after_a_long_answer(self):
        def serve(request):
            answer(request, b"x" * 4000000)
            raise ValueError("after the answer")

        self.serve(serve)
        with LogCatcher():
            self.assertEqual(len(self.fetch(get()).body), 4000000)

    def test_b131_function_in_the_middle_of_its_answer(self):
        def serve(request):
            request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")
            raise ValueError("in the middle")

        self.serve(serve)
        with LogCatcher() as records:
            client = self.connect(data=get() + get())
            client.wait_for(lambda: client.ended)
        self.assertEqual(client.data.count(b"HTTP/1.1"), 1)
        self.assertEqual(len(records), 1)

    def handler(self, **methods):
        return Application([("/", type(str("Failing"), (RequestHandler,), methods))])

    def test_b131_method(self):
        self.check(self.handler(get=fail), 500)

    def test_b131_prepare(self):
        self.check(self.handler(prepare=fail, get=lambda self: None), 500)

    def test_b131_on_finish(self):
        self.check(self.handler(get=lambda self: self.write("x"),
                                on_finish=fail), 200)

    def test_b131_log_function(self):
        application = Application([("/", Hello)], log_function=fail)
        self.check(application, 200)

    def test_b131_write_error(self):
        def get_404(self):
            raise HTTPError(404)

        self.check(self.handler(get=get_404, write_error=fail), 404)

    def test_b150_context_of_the_request(self):
        caught = []

        def on_error(kind, value, trace):
            caught.append(kind)
            return True

        def serve(request):
            with ExceptionStackContext(on_error):
                self.loop.add_callback(later, request)

        def later(request):
            answer(request)
            raise ValueError("later")

        self.serve(serve)
        self.assertEqual(self.fetch(get()).status, 200)
        self.assertEqual(caught, [ValueError])

    def test_one_log_line_for_each_good_request(self):
        self.serve(Application([("/", Hello)]))
        with LogCatcher() as records:
            self.fetch(get())
        self.assertEqual([record.name for record in records], ["friendserve.access"])


class DateTest(HTTPCase):
    """B134"""
    def date_of(self, response):
        moment = email.utils.parsedate_tz(response.headers["Date"])
        self.assertTrue(response.headers["Date"].endswith(" GMT"))
        return email.utils.mktime_tz(moment)

    def test_b134_date(self):
        self.serve(Application([("/", Hello)]))
        for data in (get(), get("/missing"), b"bad\r\n\r\n"):
            with LogCatcher():
                self.assertLess(abs(self.date_of(self.fetch(data)) - time.time()), 5)

    def test_b134_formatted_once_a_second(self):
        for _ in range(5):
            before, first, second, after = (
                int(time.time()), http_date(), http_date(), int(time.time()))
            if before == after:
                self.assertIs(first, second)
                return
        self.fail("the clock runs too fast")  # pragma: no cover

    def test_b134_a_new_one_for_the_next_second(self):
        first = http_date()
        self.run_until(lambda: http_date() != first)

    def test_b492_never_an_old_one_in_another_thread(self):
        def interrupted(timestamp):
            httputil.format_timestamp = format_timestamp
            dates.append(http_date())
            return format_timestamp(timestamp)

        self.addCleanup(setattr, httputil, "_now", httputil._now)
        self.addCleanup(setattr, httputil, "format_timestamp", format_timestamp)
        dates = []
        for second in (1000, 5000):
            httputil._now = functools.partial(float, second)
            httputil.format_timestamp = interrupted
            dates.append(http_date())
        self.assertEqual([format_timestamp(second) for second in (1000, 1000, 5000, 5000)], dates)


class FairnessTest(HTTPCase):
    def test_b135_slow_reader_beside_fast_ones(self):
        size = 32 << 20
        body = b"x" * size
        self.serve(lambda request: answer(request, body if request.path == "/big" else b"ok"))
        slow = self.connect(data=get("/big"), receive_buffer=4096)
        slow.wait_for(lambda: slow.data)
        fast = [self.connect() for _ in range(50)]
        for _ in range(4):
            for client in fast:
                client.send(get())
            for client in fast:
                self.assertEqual(client.read_response().body, b"ok")
        # The slow client has received a little, and gets the rest when it reads.
        self.assertEqual(51, self.server.connection_count())
        self.assertFalse(slow.ended)
        slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        slow.wait_for(lambda: len(slow.data) > 1 << 20)

    def test_slow_readers_do_not_spin_the_loop(self):
        self.poller = CountingPoller(make_poller())
        self.use_loop(IOLoop(self.poller))
        self.serve(lambda request: answer(request, b"x" * (32 << 20)))
        client = self.connect(data=get(), receive_buffer=4096)
        client.wait_for(lambda: client.data)
        self.turn(0.01, times=20)
        self.assert_quiet()


class LongPollTest(HTTPCase):
    def test_many_waiting_and_one_message(self):
        waiting = []

        class Poll(RequestHandler):
            @asynchronous
            def get(self):
                waiting.append(self)

        self.serve(Application([("/", Poll)]))
        clients = [self.connect(data=get()) for _ in range(50)]
        self.run_until(lambda: len(waiting) == 50)
        for handler in waiting:
            handler.finish("message")
        for client in clients:
            self.assertEqual(client.read_response().body, b"message")
