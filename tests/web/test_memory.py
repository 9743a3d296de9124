"""Requests leave no work for the garbage collector, and no context for the next request."""
from __future__ import absolute_import, division, print_function

import gc
import os
import shutil
import socket
import sys
import tempfile
import weakref

from friendserve.stack_context import state
from friendserve.template import DictLoader
from friendserve.web import (
    Finish, HTTPError, RequestHandler, UIModule, asynchronous, stream_request_body)
from tests.httpcase import Client, LogCatcher, post_chunked
from tests.loopcase import free_unreferenced
from tests.webcase import WebCase, request

#: Requests sent. A reference cycle would keep several objects for each of them.
COUNT = 1000
SLACK = 200


class Module(UIModule):
    def render(self, text):
        return self.render_string("part.html", text=text, current=self.handler.request.path)

    def css_files(self):
        return "/a.css"


class Page(RequestHandler):
    """The path says what it does. `refs` has a weak reference to each error raised here."""
    refs = []
    loop = None

    def get(self, what):
        getattr(self, "do_" + what)()

    post = get

    def do_ok(self):
        self.write("x")

    def do_form(self):
        self.write(self.get_argument("a") + self.get_cookie("c"))
        self.set_cookie("d", "e")

    def do_error(self):
        self.fail()

    def fail(self):
        try:
            raise KeyError("first")
        except KeyError:
            # On Python 3 the first is the context of the second.
            raise self.watched(Failure("second"))

    def watched(self, error):
        self.refs.append(weakref.ref(error))
        return error

    def do_forbidden(self):
        raise HTTPError(403, "because")

    def do_finish(self):
        raise Finish()

    def do_missing_argument(self):
        self.get_argument("b")

    def do_redirect(self):
        self.redirect("/")

    def do_template(self):
        self.render("page.html", text="x")

    def do_template_error(self):
        self.render("broken.html")

    def do_flushed_template_error(self):
        self.flush()
        self.render("broken.html")

    def do_flush(self):
        self.write("a")
        self.flush()
        self.write("b")

    def do_long(self):
        self.write("x" * 5000)

    @asynchronous
    def do_async(self):
        self.loop.add_callback(self.finish, "x")

    @asynchronous
    def do_async_flush(self):
        self.write("x")
        self.flush(callback=self.finish)

    @asynchronous
    def do_async_error(self):
        self.loop.add_callback(self.fail)

    @asynchronous
    def do_async_callback(self):
        self.loop.add_callback(self.async_callback(self.fail))

    @asynchronous
    def do_timer(self):
        timer = self.loop.call_later(100, self.fail)
        self.loop.remove_timeout(timer)
        self.finish()

    @asynchronous
    def do_wait(self):
        pass

    def on_connection_close(self):
        pass


class Failure(Exception):
    """An exception that supports weak references on Python 2, too."""


class FailingPage(Page):
    def write_error(self, status_code, **kwargs):
        raise KeyError("x")


class FailingHooks(Page):
    def on_finish(self):
        raise KeyError("x")


class FailingStart(Page):
    def prepare(self):
        raise KeyError("x")


class FailingMaking(Page):
    def initialize(self):
        raise KeyError("x")


@stream_request_body
class Upload(RequestHandler):
    def prepare(self):
        if self.request.path.endswith("refused"):
            self.send_error(401)

    def data_received(self, chunk):
        if self.request.path.endswith("error"):
            raise KeyError("x")

    def post(self):
        self.write("x")


class MemoryCase(WebCase):
    def setUp(self):
        super(MemoryCase, self).setUp()
        self.addCleanup(gc.enable)
        Page.loop = self.loop
        del Page.refs[:]
        self.serve_app([
            (r"/upload/.*", Upload), (r"/page/(.*)", Page), (r"/writing/(.*)", FailingPage),
            (r"/hooks/(.*)", FailingHooks), (r"/start/(.*)", FailingStart),
            (r"/making/(.*)", FailingMaking)],
            static_path=self.make_folder(),
            compress_response=True, ui_modules={"Module": Module},
            ui_methods={"method": lambda handler: handler.request.path},
            template_loader=DictLoader({
                "page.html": "<head></head>{% module Module(text) %}{% module Module(text) %}"
                             "{{ method() }}",
                "part.html": "{{ text }} {{ method() }}", "broken.html": "{{ 1 / 0 }}"}))

    def make_folder(self):
        """A folder with the files "small", and "large", which is larger than any socket buffer."""
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        for name, size in (("small", 1000), ("large", 16 * 1024 * 1024)):
            with open(os.path.join(folder, name), "wb") as target:
                target.truncate(size)
        return folder

    def check(self, once, count=COUNT):
        """Call once() many times, and check that it leaves no objects for the garbage collector."""
        with LogCatcher() as records:
            for _ in range(count // 4):
                once()
            self.turn(times=3)
            del records[:], Page.refs[:]
            gc.collect()
            free_unreferenced()
            gc.disable()
            before = len(gc.get_objects())
            for _ in range(count):
                once()
                del records[:]
            self.turn(times=3)
            if sys.version_info[0] == 2:  # version: py2
                sys.exc_clear()
            free_unreferenced()
            alive = [reference for reference in Page.refs if reference() is not None]
            del Page.refs[:]
            more = len(gc.get_objects()) - before
        gc.enable()
        self.assertLess(more, SLACK)
        self.assertLess(len(alive), 2)

    def check_requests(self, data, status, method="GET"):
        """Send the same request over one connection."""
        client = self.connect()

        def once():
            client.send(data)
            self.assertEqual(status, client.read_response(method).status)

        self.check(once)


def requests(*rows):
    """A class decorator that adds a test for each (name, path, status, *arguments of request)."""
    def decorate(cls):
        for row in rows:
            def test(self, row=row):
                self.check_requests(request(row[1], *row[3:]), row[2])
            setattr(cls, "test_b170_" + row[0], test)
        return cls
    return decorate


GZIP = [("Accept-Encoding", "gzip")]
COOKIE = [("Cookie", "c=d")]


@requests(
    ("ok", "/page/ok", 200),
    ("not_found", "/none", 404),
    ("bad_method", "/page/ok", 405, "PUT"),
    ("form", "/page/form", 200, "POST", COOKIE, {"a": "b"}),
    ("b171_exception", "/page/error", 500),
    ("http_error", "/page/forbidden", 403),
    ("missing_argument", "/page/missing_argument", 400),
    ("finish", "/page/finish", 200),
    ("redirect", "/page/redirect", 302),
    ("template_with_ui_modules", "/page/template", 200),
    ("template_error", "/page/template_error", 500),
    ("flush", "/page/flush", 200),
    ("gzip", "/page/long", 200, "GET", GZIP),
    ("gzip_flush", "/page/flush", 200, "GET", GZIP),
    ("asynchronous", "/page/async", 200),
    ("asynchronous_flush", "/page/async_flush", 200),
    ("b171_asynchronous_exception", "/page/async_error", 500),
    ("b171_async_callback", "/page/async_callback", 500),
    ("removed_timer", "/page/timer", 200),
    ("static", "/static/small", 200),
    ("static_missing", "/static/none", 404),
    ("static_range", "/static/small", 206, "GET", [("Range", "bytes=1-5")]),
    ("failing_write_error", "/writing/error", 500),
    ("failing_on_finish", "/hooks/ok", 200),
    ("failing_on_finish_after_finish", "/hooks/finish", 200),
    ("failing_prepare", "/start/ok", 500),
    ("streamed_body", "/upload/", 200, "POST", (), b"x" * 1000),
)
class KeptConnectionsTest(MemoryCase):
    def test_b170_chunked_body(self):
        self.check_requests(post_chunked(b"abc", b"def", path="/upload/"), 200)
        self.check_requests(post_chunked(b"abc", path="/page/ok"), 200)

    def test_b158_contexts_stay_the_same(self):
        self.check_requests(request("/page/async_error"), 500)
        self.check_requests(request("/page/async"), 200)
        self.assertEqual(state.contexts, ())


class ClosedConnectionsTest(MemoryCase):
    def connect_briefly(self, data):
        """A Client that has sent `data`, to be closed by the caller. `connect` would leave a
        clean-up with the test for each one, which would count."""
        sock = socket.create_connection(self.server.address)
        sock.setblocking(False)
        client = Client(self, sock)
        client.send(data)
        return client

    def check_connections(self, data, status):
        """Send the same request over one connection after the other."""
        def once():
            client = self.connect_briefly(data)
            self.assertEqual(status, client.read_response().status)
            client.close()

        self.check(once, COUNT // 2)

    def test_b170_connection_for_each_request(self):
        self.check_connections(request("/page/ok"), 200)

    def test_b170_failing_constructor(self):
        self.check_connections(request("/making/ok"), 500)

    def test_b170_malformed(self):
        self.check_connections(b"GET / HTTP/1.1\r\n\r\n", 400)

    def test_b170_upload_refused(self):
        self.check_connections(request("/upload/refused", "POST", (), b"x"), 401)
        self.check_connections(request("/upload/error", "POST", (), b"x"), 500)

    def abort(self, data, wait=b"", reset=True):
        def once():
            client = self.connect_briefly(data)
            if wait:
                client.wait_for(lambda: wait in client.data or client.ended)
            else:
                self.turn(times=2)
            client.abort() if reset else client.close()
            self.run_until(lambda: self.server.connection_count() == 0)

        self.check(once, COUNT // 2)

    def test_b170_client_aborts_a_long_poll(self):
        self.abort(request("/page/wait"))
        self.abort(request("/page/wait"), reset=False)

    def test_b170_client_aborts_a_head(self):
        self.abort(request("/page/ok")[:-4])

    def test_b170_client_aborts_an_upload(self):
        self.abort(b"POST /upload/ HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
        self.abort(b"POST /page/ok HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")

    def test_b170_client_goes_after_the_answer(self):
        self.abort(request("/page/ok"), b"x")

    def test_b170_b157_error_after_the_headers(self):
        self.abort(request("/page/flushed_template_error"), b"\r\n\r\n")

    def test_b170_client_aborts_a_large_file(self):
        self.abort(request("/static/large"), b"\r\n\r\n")
