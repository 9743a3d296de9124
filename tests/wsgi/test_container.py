"""WSGI applications on our server."""
from __future__ import absolute_import, division, print_function

import gc
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from wsgiref.validate import validator

import django
import flask
from django.conf import settings as django_settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, StreamingHttpResponse

from friendserve.iostream import StreamClosedError
from friendserve.web import FallbackHandler
from friendserve.wsgi import WSGIContainer
from tests import PATIENCE
from tests.httpcase import answer, post, post_chunked
from tests.webcase import WebCase, request

TEXT = [("Content-Type", "text/plain")]


def post_head(framing):
    """The head of a POST with this header."""
    return ("POST / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n" % framing).encode("ascii")


class Closable(object):
    """An iterable of `chunks` that notes its close; a chunk that is an exception is raised."""

    def __init__(self, *chunks):
        self.chunks = iter(chunks)
        self.closed = threading.Event()
        self.taken = 0

    def __iter__(self):
        return self

    def __next__(self):
        chunk = next(self.chunks)
        self.taken += 1
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    next = __next__

    def close(self):
        self.closed.set()


class ContainerContract(object):
    """Every container: on the loop and in threads."""

    def serve_wsgi(self, application, validated=True, **options):
        container = self.make_container(validator(application) if validated else application,
                                        **options)
        self.serve(container)
        return container

    def serve_chunks(self, *chunks, **options):
        iterable = Closable(*chunks)
        headers = TEXT + list(options.pop("headers", ()))

        def application(environ, start_response):
            start_response("200 OK", headers)
            return iterable

        self.serve_wsgi(application, **options)
        return iterable

    def wait_for(self, event):
        self.run_until(event.is_set)

    def test_a_response_with_everything(self):
        def application(environ, start_response):
            self.environ = environ
            start_response("201 Created", TEXT + [("X-A", "1"), ("X-A", "2")])
            return [b"hello"]

        self.serve_wsgi(application)
        response = self.ask("/path?q=1", headers=[("X-Test", "a"), ("X-Test", "b"),
                                                  ("Cookie", "a=1"), ("Cookie", "b=2")])
        self.assertEqual((201, "Created", b"hello"),
                         (response.status, response.reason, response.body))
        self.assertEqual(["1", "2"], response.headers.get_list("X-A"))
        self.assertEqual("text/plain", response.headers["Content-Type"])
        self.assertIn("Date", response.headers)
        expected = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/path",
                    "QUERY_STRING": "q=1", "SERVER_NAME": "example.com", "SERVER_PORT": "80",
                    "REMOTE_ADDR": "127.0.0.1", "SERVER_PROTOCOL": "HTTP/1.1",
                    "HTTP_HOST": "example.com", "HTTP_X_TEST": "a,b", "HTTP_COOKIE": "a=1; b=2"}
        self.assertEqual(expected, dict((name, self.environ[name]) for name in expected))
        self.assertEqual(["201 GET /path?q=1 (127.0.0.1)"],
                         [line.rpartition(" ")[0] for line in self.logged(access=True)])

    def test_a321_headers_cannot_imitate_variables(self):
        def application(environ, start_response):
            start_response("200 OK", TEXT)
            return [repr(sorted(name for name in environ if "PROXY" in name or "REAL" in name
                                or "LENGTH" in name)).encode("ascii")]

        self.serve_wsgi(application)
        response = self.ask(headers=[("Proxy", "evil"), ("X_Real-Ip", "1.2.3.4"),
                                     ("Content_Length", "5")])
        self.assertEqual(b"[]", response.body)

    def test_a322_paths(self):
        def application(environ, start_response):
            start_response("200 OK", TEXT)
            path = environ["PATH_INFO"]
            return [path.encode("latin-1") if str is not bytes else path]

        self.serve_wsgi(application)
        for path, expected in (("/a%2Fb+c", b"/a/b+c"), ("/caf%C3%A9", b"/caf\xc3\xa9"),
                               ("/%E9", b"/\xe9"), ("http://example.com/x?y", b"/x")):
            self.assertEqual(expected, self.ask(path).body)

    def test_a322_close_is_called_after_an_error(self):
        iterable = self.serve_chunks(b"one", KeyError("k"))
        client = self.connect(data=request())
        client.wait_for(lambda: client.ended)
        self.assertIn(b"one", client.data)
        self.assertFalse(client.data.endswith(b"0\r\n\r\n"))
        self.wait_for(iterable.closed)

    def test_b231_errors_before_the_head_are_answered(self):
        def raises(environ, start_response):
            raise KeyError("k")

        def late(environ, start_response):
            start_response("200 OK", TEXT)
            return Closable(KeyError("k"))

        def never(environ, start_response):
            return [b"x"]

        def twice(environ, start_response):
            start_response("200 OK", TEXT)
            start_response("200 OK", TEXT)
            return []

        def no_status(environ, start_response):
            start_response("OK", TEXT)
            return []

        def leaves(environ, start_response):
            raise SystemExit(1) if self.survives_exit else KeyError("k")

        for application in (raises, late, never, twice, no_status, leaves):
            self.serve_wsgi(application, validated=False)
            response = self.ask()
            self.assertEqual((500, b"Internal Server Error"), (response.status, response.body))
            self.assertEqual(1, len(self.logged(40)))

    def test_a_second_head_replaces_the_first_before_it_is_sent(self):
        def application(environ, start_response):
            start_response("200 OK", TEXT)
            try:
                raise KeyError("k")
            except KeyError:
                start_response("418 Teapot", TEXT, sys.exc_info())
            return [b"x"]

        self.serve_wsgi(application)
        self.assertEqual(418, self.ask().status)

    def test_b231_head_204_and_304(self):
        def application(environ, start_response):
            status = environ["QUERY_STRING"] or "200"
            start_response(status + " X", TEXT if status == "200" else [])
            return [b"body"] if status == "200" else [b""]

        self.serve_wsgi(application)
        client = self.connect()
        for path, method, status in (("/", "HEAD", 200), ("/?204", "GET", 204),
                                     ("/?304", "GET", 304), ("/", "GET", 200)):
            client.send(request(path, method))
            response = client.read_response(method)
            self.assertEqual(status, response.status)
        self.assertEqual(b"body", response.body)

    def test_framing(self):
        iterable = self.serve_chunks(b"one", b"", b"two")
        response = self.ask()
        self.assertEqual((b"onetwo", [b"one", b"two"]), (response.body, response.chunks))
        self.wait_for(iterable.closed)
        self.serve_chunks(b"one", b"two", headers=[("Content-Length", "6")])
        response = self.ask()
        self.assertEqual((b"onetwo", None), (response.body, response.chunks))

    def test_headers_of_the_connection_are_ours(self):
        self.serve_chunks(b"one", b"two", validated=False, headers=[
            ("Connection", "upgrade"), ("Transfer-Encoding", "gzip"), ("Keep-Alive", "x")])
        response = self.ask()
        self.assertEqual(b"onetwo", response.body)
        self.assertEqual("chunked", response.headers["Transfer-Encoding"])
        self.assertNotIn("Connection", response.headers)

    def test_too_many_bytes_close_the_connection(self):
        self.serve_chunks(b"one", b"two", headers=[("Content-Length", "3")])
        client = self.connect(data=request() + request())
        client.wait_for(lambda: client.ended)
        self.assertTrue(client.data.endswith(b"one"))

    def test_a321_heads_that_are_not_valid_are_answered_with_500(self):
        def application(environ, start_response):
            status, name, value = self.head
            start_response(status, TEXT + [(name, value)])
            return self.chunks

        self.serve_wsgi(application, validated=False)
        heads = [("200 OK\r\nX-Evil: 1", "X-A", "a"), ("200 OK\nX-Evil: 1", "X-A", "a"),
                 (u"200 \xe9", "X-A", "a"), ("100 Continue", "X-A", "a"),
                 ("101 Switching", "X-A", "a"), ("099 Low", "X-A", "a"), ("OK", "X-A", "a"),
                 ("200 OK", "X-A", "a\r\nX-Evil: 1"), ("200 OK", "X-A\r\nX-Evil", "a"),
                 ("200 OK", "X-A", u"\u20ac"), ("200 OK", "Content-Length", "10"),
                 ("200 OK", "Content-Length", "2"), ("200 OK", "Content-Length", "x")]
        for self.chunks in ([b"abc"], [b"", b"a", b"bc"]):
            for self.head in heads:
                if self.chunks[0] or self.head[1:] not in [("Content-Length", "10"),
                                                           ("Content-Length", "2")]:
                    response = self.ask()
                    self.assertEqual(500, response.status, self.head)
                    self.assertNotIn("X-Evil", response.headers)
                    self.assertEqual(1, len(self.logged(40)), self.head)

    def test_b231_head_does_not_take_the_whole_body(self):
        iterable = self.serve_chunks(*[b"x"] * 1000)
        self.assertEqual(200, self.ask(method="HEAD").status)
        self.wait_for(iterable.closed)
        self.assertGreater(500, iterable.taken)

    def test_b231_the_client_leaves_while_the_application_has_nothing(self):
        def chunks():
            yield b"x"
            while True:
                yield b""

        iterable = self.serve_chunks()
        iterable.chunks = chunks()
        client = self.connect(data=request())
        client.read(1)
        self.assertEqual(b"ok", self.other_request())
        client.abort()
        self.wait_for(iterable.closed)

    def other_request(self):
        """The body of a response that the same loop serves in the meantime."""
        first = self.server
        self.serve(lambda asked: answer(asked, body=b"ok"))
        try:
            return self.ask().body
        finally:
            self.addCleanup(first.stop)

    def test_b231_errors_of_other_streams_are_errors_of_the_application(self):
        def application(environ, start_response):
            raise StreamClosedError()

        self.serve_wsgi(application, validated=False)
        self.assertEqual(500, self.ask().status)
        self.assertEqual(1, len(self.logged(40)))

    def test_the_write_callable(self):
        def application(environ, start_response):
            write = start_response("200 OK", TEXT)
            write(b"one")
            write(b"two")
            return [b"three"]

        self.serve_wsgi(application)
        self.assertEqual(b"onetwothree", self.ask().body)

    def test_b231_the_client_reads_slowly_and_leaves(self):
        chunks = [b"x" * 100000] * 1000
        iterable = self.serve_chunks(*chunks)
        client = self.connect(data=request())
        client.read(1000)
        self.turn(0.001, 20)
        self.assertLess(iterable.taken, 200)
        client.abort()
        self.wait_for(iterable.closed)
        self.assertLess(iterable.taken, 200)

    def test_bodies(self):
        def application(environ, start_response):
            data = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 10 ** 7))
            start_response("200 OK", TEXT)
            return [("%d " % len(data)).encode("ascii"), data[:3], data[-3:]]

        self.serve_wsgi(application)
        for size in (0, 5, 65536, 65537, 1 << 20):
            data = b"abc" + b"." * max(0, size - 6) + b"xyz"
            for sent in (post(data), post_chunked(data[:3], data[3:])):
                self.assertEqual(("%d abcxyz" % len(data)).encode("ascii"),
                                 self.fetch(sent, "POST").body)

    def test_a_body_that_is_not_read(self):
        self.serve_chunks(b"ok")
        self.assertEqual(b"ok", self.fetch(post(b"x" * 10), "POST").body)

    def test_lines_of_a_body(self):
        def application(environ, start_response):
            start_response("200 OK", TEXT)
            return [b"|".join(environ["wsgi.input"])]

        self.serve_wsgi(application)
        self.assertEqual(b"a\n|b\n|c", self.fetch(post(b"a\nb\nc"), "POST").body)

    def test_flask(self):
        app = flask.Flask("test")

        @app.route("/hello/<name>")
        def hello(name):
            return "hello " + name + flask.request.args.get("mark", "")

        @app.route("/form", methods=["POST"])
        def form():
            return flask.jsonify([(sent.filename, len(sent.read()))
                                  for sent in flask.request.files.values()])

        @app.route("/stream")
        def stream():
            return flask.Response(str(number) for number in range(1000))

        app.testing = False
        self.serve_wsgi(app.wsgi_app)
        self.assertEqual(b"hello you!", self.ask("/hello/you?mark=!").body)
        self.assertEqual(404, self.ask("/none").status)
        self.assertEqual("".join(map(str, range(1000))).encode("ascii"), self.ask("/stream").body)
        boundary = b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f.txt\"\r\n\r\n"
        body = boundary + b"x" * 200000 + b"\r\n--b--\r\n"
        response = self.fetch(post(
            body, "/form", "Content-Type: multipart/form-data; boundary=b\r\n"), "POST")
        self.assertIn(b"200000", response.body)

    def test_django(self):
        self.serve_wsgi(DJANGO)
        self.assertEqual(b"hello GET", self.ask("/hello").body)
        self.assertEqual(b"0123456789", self.ask("/stream").body)
        self.assertEqual(404, self.ask("/none").status)
        response = self.fetch(post(b"name=value", "/form",
                                   "Content-Type: application/x-www-form-urlencoded\r\n"), "POST")
        self.assertEqual(b"value", response.body)

    def test_ten_thousand_requests_leave_nothing(self):
        self.serve_wsgi(lambda environ, start_response: (
            start_response("200 OK", TEXT) and [b"x"]), validated=False)
        client = self.connect()

        def ask(times):
            for _ in range(times // 20):
                client.send(request() * 20)
                client.wait_for(lambda: client.data.count(b"\r\n\r\nx") == 20)
                client.data = b""

        ask(200)
        gc.collect()
        before = len(gc.get_objects())
        ask(10000)
        gc.collect()
        self.assertLess(len(gc.get_objects()) - before, 300)


class LoopContainerTest(ContainerContract, WebCase):
    survives_exit = False

    def make_container(self, application, **options):
        return WSGIContainer(application, **options)

    def test_beside_handlers(self):
        container = WSGIContainer(validator(
            lambda environ, start_response: (start_response("200 OK", TEXT) and
                                             [environ["PATH_INFO"].encode("ascii")])))
        self.serve_app([("/wsgi/.*", FallbackHandler, {"fallback": container})])
        self.assertEqual(b"/wsgi/x", self.ask("/wsgi/x").body)
        self.assertEqual(404, self.ask("/other").status)

    def test_a_long_body_is_not_in_memory(self):
        def application(environ, start_response):
            self.assertNotIsInstance(getattr(environ["wsgi.input"], "_file", None), type(None))
            start_response("200 OK", TEXT)
            seen.append(environ["wsgi.input"]._rolled)
            return []

        seen = []
        self.serve_wsgi(application, validated=False)
        self.fetch(post(b"x" * 100000), "POST")
        self.assertEqual([True], seen)


class ThreadedContainerTest(ContainerContract, WebCase):
    survives_exit = True

    def make_container(self, application, threads=4, **options):
        executor = ThreadPoolExecutor(threads)
        self.addCleanup(executor.shutdown)
        return WSGIContainer(application, executor, **options)

    def test_a_blocked_application_does_not_block_the_loop(self):
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def application(environ, start_response):
            start_response("200 OK", TEXT)
            if environ["PATH_INFO"] == "/slow":
                go_on.wait(PATIENCE)
            return [b"done"]

        self.serve_wsgi(application)
        slow = self.connect(data=request("/slow"))
        self.assertEqual(b"done", self.ask("/fast").body)
        self.assertEqual(b"", slow.data)
        go_on.set()
        self.assertEqual(b"done", slow.read_response().body)

    def test_too_many_wait_for_a_thread(self):
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def application(environ, start_response):
            go_on.wait(PATIENCE)
            start_response("200 OK", TEXT)
            return [b"done"]

        container = self.serve_wsgi(application, threads=1, max_waiting=2)
        first = self.connect(data=request())
        self.run_until(lambda: self.server.connection_count() and not container._waiting)
        waiting = [first]
        self.turn(0.01, 3)
        for _ in range(2):
            waiting.append(self.connect(data=request()))
        self.run_until(lambda: container._waiting == 2)
        response = self.ask()
        self.assertEqual((503, "1"), (response.status, response.headers["Retry-After"]))
        go_on.set()
        for client in waiting:
            self.assertEqual(b"done", client.read_response().body)

    def test_a_body_is_read_while_it_arrives(self):
        lines = []

        def application(environ, start_response):
            for line in iter(environ["wsgi.input"].readline, b""):
                lines.append(line)
            start_response("200 OK", TEXT)
            return [str(len(lines)).encode("ascii")]

        self.serve_wsgi(application)
        client = self.connect(data=post_head("Transfer-Encoding: chunked") + b"4\r\none\n\r\n")
        self.run_until(lambda: lines)
        self.assertEqual([b"one\n"], lines)
        client.send(b"4\r\ntwo\n\r\n0\r\n\r\n")
        self.assertEqual(b"2", client.read_response().body)

    def test_b348_a_fallback_handler_passes_the_body_on_while_it_arrives(self):
        lines = []

        def application(environ, start_response):
            for line in iter(environ["wsgi.input"].readline, b""):
                lines.append(line)
            start_response("200 OK", TEXT)
            return [str(len(lines)).encode("ascii")]

        container = self.make_container(validator(application))
        self.serve_app([("/wsgi/.*", FallbackHandler, {"fallback": container})])
        client = self.connect(data=b"POST /wsgi/ HTTP/1.1\r\nHost: a\r\n"
                              b"Transfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n")
        self.run_until(lambda: lines)
        self.assertEqual([b"one\n"], lines)
        client.send(b"4\r\ntwo\n\r\n0\r\n\r\n" + request("/other"))
        self.assertEqual(b"2", client.read_response().body)
        self.assertEqual(404, client.read_response().status)

    def test_b348_a_graceful_stop_waits_for_the_threads(self):
        begun, go_on, stopped = threading.Event(), threading.Event(), []
        self.addCleanup(go_on.set)

        def application(environ, start_response):
            start_response("200 OK", TEXT)
            if environ["PATH_INFO"] == "/stream":
                yield b"first "
            begun.set()
            go_on.wait(PATIENCE)
            yield b"last"

        self.serve_wsgi(application)
        for path, body in (("/", b"last"), ("/stream", b"first last")):
            self.check_graceful_stop(path, body, begun, go_on, stopped)
            self.serve_wsgi(application)

    def check_graceful_stop(self, path, body, begun, go_on, stopped):
        client = self.connect(data=request(path))
        self.wait_for(begun)
        self.server.graceful_stop(PATIENCE, lambda: stopped.append(path))
        self.turn(0.01, 3)
        self.assertNotIn(path, stopped)
        go_on.set()
        response = client.read_response()
        self.assertEqual((body, 200), (response.body, response.status))
        client.close()
        self.run_until(lambda: path in stopped)
        begun.clear()
        go_on.clear()

    def test_b348_the_deadline_of_a_stop_ends_the_threads(self):
        begun, stopped, errors = threading.Event(), [], []

        def application(environ, start_response):
            begun.set()
            try:
                environ["wsgi.input"].read(10)
            except EnvironmentError as error:
                errors.append(str(error))
                raise

        self.serve_wsgi(application, validated=False)
        client = self.connect(data=post_head("Transfer-Encoding: chunked") + b"1\r\na\r\n")
        self.wait_for(begun)
        self.server.graceful_stop(0.05, lambda: stopped.append(1))
        self.run_until(lambda: stopped and errors)
        self.assertIn("disconnected", errors[0])
        self.assertEqual(b"", client.read_rest())

    def test_a_client_that_leaves_during_its_body(self):
        errors = []

        def application(environ, start_response):
            try:
                environ["wsgi.input"].read(10 ** 7)
            except EnvironmentError as error:
                errors.append(str(error))
                raise

        self.serve_wsgi(application)
        client = self.connect(data=post_head("Content-Length: 1000000") + b"x")
        self.turn(0.01, 3)
        client.close()
        self.run_until(lambda: errors)
        self.assertIn("disconnected", errors[0])

    def test_a_client_that_sends_faster_than_the_application_reads(self):
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def application(environ, start_response):
            environ["wsgi.input"].read(1)
            go_on.wait(PATIENCE)
            size = 1 + len(environ["wsgi.input"].read(10 ** 9))
            start_response("200 OK", TEXT)
            return [str(size).encode("ascii")]

        self.serve_wsgi(application)
        size = 32 << 20
        client = self.connect(data=post_head("Content-Length: %d" % size))
        sent, chunk = 0, b"x" * 1000000
        for _ in range(60):
            self.turn(0.001, 2)
            try:
                sent += client.sock.send(chunk)
            except EnvironmentError:
                pass
        self.assertLess(sent, 16 << 20)
        go_on.set()
        client.send(b"x" * (size - sent))
        self.assertEqual(str(size).encode("ascii"), client.read_response().body)


def _hello(request):
    return HttpResponse("hello " + request.method)


def _stream(request):
    return StreamingHttpResponse(str(number) for number in range(10))


def _form(request):
    return HttpResponse(request.POST["name"])


def make_django():
    """A Django application with three views."""
    django_settings.configure(
        DEBUG=False, ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="tests",
        MIDDLEWARE=[], LOGGING_CONFIG=None, DATABASES={})
    django.setup()
    return get_wsgi_application()


try:
    from django.urls import re_path
except ImportError:  # version: py2
    from django.conf.urls import url as re_path

urlpatterns = [re_path(r"^hello$", _hello), re_path(r"^stream$", _stream),
               re_path(r"^form$", _form)]

DJANGO = make_django()
