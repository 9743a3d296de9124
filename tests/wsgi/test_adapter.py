"""Our applications under WSGI servers."""
from __future__ import absolute_import, division, print_function

import gc
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import unittest
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from friendserve import gen
from friendserve.concurrent import Future
from friendserve.web import (
    Application, HTTPError, RequestHandler, StaticFileHandler, asynchronous)
from friendserve.wsgi import HTTPRequest, WSGIAdapter, WSGIApplication, from_wsgi_str, to_wsgi_str
from tests import PATIENCE, ROOT
from tests.loopcase import LogCatcher

try:
    import gunicorn
except ImportError:  # version: py2
    gunicorn = None


class EchoHandler(RequestHandler):
    def get(self, name):
        self.set_cookie("a", "1")
        self.set_cookie("b", "2")
        self.write({"name": name, "q": self.get_argument("q", None), "host": self.request.host,
                    "uri": self.request.uri, "ip": self.request.remote_ip,
                    "url": self.request.full_url(), "test": self.request.headers.get("X-Test"),
                    "cookie": self.get_cookie("c")})

    def post(self, name):
        self.write(self.request.body or b"none")
        self.write(self.get_body_argument("f", u""))


class PiecesHandler(RequestHandler):
    def get(self):
        for number in range(3):
            self.write(str(number))
            self.flush()


class FailingHandler(RequestHandler):
    def get(self):
        raise HTTPError(418)

    @asynchronous
    def post(self):
        pass

    @gen.coroutine
    def put(self):
        yield Future()

    @gen.coroutine
    def delete(self):
        self.finish(b"at once")


class AdapterContract(object):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        with open(os.path.join(self.folder, "large.txt"), "wb") as target:
            target.write(b"x" * 200000)
        self.application = self.make_application([
            ("/echo/(.*)", EchoHandler), ("/pieces", PiecesHandler), ("/fail", FailingHandler),
            ("/static/(.*)", StaticFileHandler, {"path": self.folder})])

    def call(self, path="/echo/", method="GET", body=None, query="", application=None, **environ):
        """(status, headers, body) of a request."""
        environ.update(REQUEST_METHOD=method, PATH_INFO=path, QUERY_STRING=query)
        environ.setdefault("SCRIPT_NAME", "")
        if body is not None:
            environ.update({"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)})
        setup_testing_defaults(environ)
        seen = []
        chunks = validator(application or self.application)(
            environ, lambda status, headers, exc_info=None: seen.extend([status, headers]))
        try:
            body = b"".join(chunks)
        finally:
            chunks.close()
        return seen[0], seen[1], body

    def test_a_request_and_its_response(self):
        status, headers, body = self.call(
            "/echo/caf\xc3\xa9 x", query="q=1", HTTP_X_TEST="t", HTTP_COOKIE="c=3",
            HTTP_HOST="example.com:8080", REMOTE_ADDR="192.0.2.1")
        self.assertEqual("200 OK", status)
        self.assertEqual(["a=1; Path=/", "b=2; Path=/"],
                         [value for name, value in headers if name == "Set-Cookie"])
        self.assertEqual(str(len(body)), dict(headers)["Content-Length"])
        for text in (b'"q": "1"', b'"uri": "/echo/caf%C3%A9%20x?q=1"', b'"ip": "192.0.2.1"',
                     b'"url": "http://example.com:8080/echo/', b'"test": "t"', b'"cookie": "3"'):
            self.assertIn(text, body)

    def test_the_script_name_belongs_to_the_uri(self):
        body = self.call("/x", SCRIPT_NAME="/echo")[2]
        self.assertIn(b'"uri": "/echo/x"', body)

    def test_bodies(self):
        self.assertEqual(b"hello", self.call(method="POST", body=b"hello")[2])
        self.assertEqual(b"none", self.call(method="POST")[2])
        self.assertEqual(b"f=xx", self.call(
            method="POST", body=b"f=x", CONTENT_TYPE="application/x-www-form-urlencoded")[2])
        endless = {"wsgi.input": io.BytesIO(b"chunked"), "wsgi.input_terminated": True}
        self.assertEqual(b"chunked", self.call(method="POST", **endless)[2])

    def test_a_body_that_is_incomplete(self):
        status = self.call(method="POST", CONTENT_LENGTH="6", **{
            "wsgi.input": io.BytesIO(b"hello")})[0]
        self.assertEqual("400", status[:3])

    def test_a_body_that_is_too_long(self):
        adapter = WSGIAdapter(self.application, max_body_size=4)
        self.assertEqual("413", self.call(method="POST", body=b"hello",
                                          application=adapter)[0][:3])
        endless = {"wsgi.input": io.BytesIO(b"chunked"), "wsgi.input_terminated": True}
        self.assertEqual("413", self.call(method="POST", application=adapter, **endless)[0][:3])

    def test_pieces_head_and_304(self):
        self.assertEqual(b"012", self.call("/pieces")[2])
        status, headers, body = self.call("/echo/x", method="HEAD")
        self.assertEqual(("405", b""), (status[:3], body))
        headers = dict(self.call("/echo/x")[1])
        status, headers, body = self.call("/echo/x", HTTP_IF_NONE_MATCH=headers["Etag"])
        self.assertEqual(("304", b"", False), (status[:3], body, "Content-Length" in
                                               dict(headers)))

    def test_static_files(self):
        status, headers, body = self.call("/static/large.txt")
        self.assertEqual(("200 OK", 200000), (status, len(body)))
        self.assertEqual("200000", dict(headers)["Content-Length"])
        self.assertEqual(b"", self.call("/static/large.txt", method="HEAD")[2])
        status, headers, body = self.call("/static/large.txt", HTTP_RANGE="bytes=10-19")
        self.assertEqual(("206", 10), (status[:3], len(body)))
        self.assertEqual("403", self.call("/static/../x")[0][:3])

    def test_errors(self):
        self.assertEqual("418", self.call("/fail")[0][:3])
        self.assertEqual("404", self.call("/none")[0][:3])
        self.assertEqual(b"at once", self.call("/fail", method="DELETE")[2])
        for method in ("POST", "PUT"):
            with LogCatcher() as records:
                self.assertEqual("500", self.call("/fail", method=method)[0][:3])
            self.assertEqual(1, sum("did not finish" in record.message for record in records))

    def test_ten_thousand_requests_leave_nothing(self):
        def ask(times):
            for _ in range(times):
                environ = {"PATH_INFO": "/pieces"}
                setup_testing_defaults(environ)
                list(self.application(environ, lambda status, headers: None))

        ask(100)
        gc.collect()
        before = len(gc.get_objects())
        ask(10000)
        gc.collect()
        self.assertLess(len(gc.get_objects()) - before, 200)


class WSGIAdapterTest(AdapterContract, unittest.TestCase):
    def make_application(self, handlers):
        return WSGIAdapter(Application(handlers))


class WSGIApplicationTest(AdapterContract, unittest.TestCase):
    def make_application(self, handlers):
        return WSGIApplication(handlers)


class HelpersTest(unittest.TestCase):
    def test_strings(self):
        self.assertEqual(b"\xe9", from_wsgi_str(to_wsgi_str(b"\xe9")))
        self.assertIsInstance(to_wsgi_str(b"x"), str)

    def test_a_request_from_an_environ(self):
        environ = {"HTTP_X_TEST": "t", "QUERY_STRING": "a=1"}
        setup_testing_defaults(environ)
        request = HTTPRequest(environ)
        self.assertEqual(("GET", "/?a=1", "t", {"a": [b"1"]}), (
            request.method, request.uri, request.headers["X-Test"], request.arguments))
        self.assertEqual("http://127.0.0.1/?a=1", request.full_url())


if gunicorn is not None:
    class GunicornTest(unittest.TestCase):
        """The adapter under the server that most WSGI applications run on."""

        def test_gunicorn(self):
            folder = tempfile.mkdtemp()
            self.addCleanup(shutil.rmtree, folder)
            with open(os.path.join(folder, "hello.py"), "w") as target:
                target.write(textwrap.dedent("""
                    from friendserve.web import Application, RequestHandler
                    from friendserve.wsgi import WSGIAdapter

                    class Hello(RequestHandler):
                        def post(self):
                            self.write(self.get_argument("q") + str(len(self.request.body)))

                    application = WSGIAdapter(Application([("/", Hello)]))
                """))
            listener = socket.socket()
            self.addCleanup(listener.close)
            listener.bind(("127.0.0.1", 0))
            listener.listen(5)
            if hasattr(listener, "set_inheritable"):
                listener.set_inheritable(True)
            server = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "--bind", "fd://%d" % listener.fileno(),
                 "--log-level", "warning", "hello:application"], cwd=folder, close_fds=False,
                env=dict(os.environ, PYTHONPATH=ROOT))
            try:
                client = socket.create_connection(listener.getsockname(), PATIENCE)
                self.addCleanup(client.close)
                client.sendall(b"POST /?q=size: HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                               b"Content-Length: 100000\r\n\r\n" + b"x" * 100000)
                data = b""
                while True:
                    more = client.recv(65536)
                    if not more:
                        break
                    data += more
            finally:
                server.terminate()
                server.wait()
            self.assertTrue(data.startswith(b"HTTP/1.1 200 OK\r\n"), data)
            self.assertTrue(data.endswith(b"size:100000"), data)
