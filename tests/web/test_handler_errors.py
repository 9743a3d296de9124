# -*- coding: utf-8 -*-
"""RequestHandler: error pages for its own exceptions and those of its hooks."""
from __future__ import absolute_import, division, print_function

import copy
import logging
import pickle

import six

from friendserve.web import Finish, HTTPError, MissingArgumentError
from tests.httpcase import LogCatcher
from tests.webcase import HandlerCase, request


class ErrorTest(HandlerCase):
    def raising(self, error, **kwargs):
        def get(self):
            raise error

        self.serve_handler(get, **kwargs)
        return self.ask()

    def test_exception(self):
        response = self.raising(KeyError("secret"))
        self.assertEqual((response.status, response.reason), (500, "Internal Server Error"))
        self.assertNotIn(b"secret", response.body)
        self.assertEqual(len(self.logged()), 1)
        self.assertIn("GET / (127.0.0.1)", self.logged()[0])
        self.assertIsNotNone(self.records[0].exc_info)
        self.assertEqual(len(self.logged(access=True)), 1)

    def test_a006_traceback_only_when_wanted(self):
        for settings, shown in [
                ({}, False), ({"debug": True}, True), ({"serve_traceback": True}, True),
                ({"debug": True, "serve_traceback": False}, False)]:
            if settings.get("debug"):
                settings["autoreload"] = False
            response = self.raising(KeyError("<secret>"), settings=settings)
            self.assertEqual(b"<secret>" in response.body, shown)
            self.assertEqual(b"Traceback" in response.body, shown)
            if shown:
                self.assertTrue(response.headers["Content-Type"].startswith("text/plain"))

    def test_a013_no_body_and_no_headers_in_the_log(self):
        def post(self):
            raise KeyError("x")

        self.serve_handler(post=post)
        self.ask("/", "POST", [("Authorization", "hush1")], {"password": "hush2"})
        text = "\n".join(self.logged() + self.logged(access=True))
        self.assertIn("POST", text)
        self.assertNotIn("hush", text)

    def test_http_error(self):
        response = self.raising(HTTPError(404))
        self.assertEqual(response.status, 404)
        self.assertIn(b"404: Not Found", response.body)
        self.assertEqual(self.logged(), [])
        self.raising(HTTPError(403, "because %s", "why"))
        self.assertEqual(self.logged(),
                         ["403 GET / (127.0.0.1): HTTP 403: Forbidden (because why)"])

    def test_a038_a305_reason_in_the_page(self):
        response = self.raising(HTTPError(400, reason="<script>"))
        self.assertEqual(response.reason, "<script>")
        self.assertNotIn(b"<script>", response.body)
        self.assertIn(b"&lt;script&gt;", response.body)
        response = self.raising(HTTPError(400, reason="a\r\nX: y"))
        self.assertEqual(response.reason, "Unknown")
        self.assertNotIn("X", response.headers)

    def test_a305_path_and_host_are_not_echoed(self):
        self.serve_app([])
        response = self.ask("/<script>")
        self.assertEqual(response.status, 404)
        self.assertNotIn(b"script", response.body)

    def test_a055_error_without_a_body(self):
        for status in (204, 304):
            self.serve_handler(prepare=lambda self: self.send_error(status))
            client = self.connect(data=request() + request())
            for _ in range(2):
                response = client.read_response()
                self.assertEqual(response.status, status)
                self.assertNotIn("Content-Length", response.headers)

    def test_b159_messages_with_percent_signs(self):
        for error in (HTTPError(400, "100% sure"), HTTPError(400, "100% s"), HTTPError(799, "%"),
                      HTTPError(400, "%d", "x"), HTTPError(400, "%s %s", 1),
                      HTTPError(400, u"caf\u00e9 %s", u"\u20ac"), HTTPError(400, b"%", b"\xff")):
            response = self.raising(error)
            self.assertEqual(response.status, error.status_code)
            self.assertEqual(len(self.logged()), 1)
            self.assertIsInstance(str(error), str)

    def test_b159_texts(self):
        for args, text in [
                (("100% sure",), "(100% sure)"), (("100%% %s", "sure"), "(100% sure)"),
                (("%d", "x"), "('%d' % ('x',))"), ((), "HTTP 500: Internal Server Error")]:
            self.assertTrue(str(HTTPError(500, *args)).endswith(text), str(HTTPError(500, *args)))

    def test_b159_copy_and_pickle(self):
        for error in (HTTPError(400, "100% %s", "x", reason="Bad"), HTTPError(),
                      MissingArgumentError("name")):
            for twin in [copy.copy(error)] + [
                    pickle.loads(pickle.dumps(error, protocol))
                    for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]:
                self.assertIs(type(twin), type(error))
                self.assertEqual(twin.__dict__, error.__dict__)
                self.assertEqual((twin.args, str(twin)), (error.args, str(error)))

    def test_finish(self):
        def get(self):
            self.write("so far")
            raise Finish()

        def late(self):
            self.finish("all")
            raise Finish()

        for method, body in [(get, b"so far"), (late, b"all")]:
            self.serve_handler(method)
            self.assertEqual(self.ask().body, body)
            self.assertEqual(self.logged(), [])

    def test_b157_after_the_headers(self):
        def get(self):
            self.write("part")
            self.flush()
            raise KeyError("x")

        self.serve_handler(get)
        with LogCatcher() as self.records:
            data = self.connect(data=request()).read_rest()
        self.assertEqual(data.count(b"HTTP/1.1"), 1)
        self.assertNotIn(b"\r\n0\r\n", data)
        self.assertIn("Cannot send status 500", self.logged(logging.ERROR)[-1])
        self.assertEqual(len(self.logged(access=True)), 1)

    def test_cookies_stay(self):
        def get(self):
            self.set_cookie("a", "b")
            raise HTTPError(403)

        self.serve_handler(get)
        self.assertEqual(list(self.cookies_of(self.ask())), ["a"])

    def test_write_error(self):
        def write_error(self, status_code, **kwargs):
            self.write("%d %s" % (status_code, kwargs["exc_info"][1]))

        response = self.raising(HTTPError(404), write_error=write_error)
        self.assertEqual((response.status, response.body), (404, b"404 HTTP 404: Not Found"))

    def test_get_error_html(self):
        def get_error_html(self, status_code, exception=None):
            return "<b>%d %s</b>" % (status_code, type(exception).__name__)

        response = self.raising(KeyError(), get_error_html=get_error_html)
        self.assertEqual((response.status, response.body), (500, b"<b>500 KeyError</b>"))
        self.serve_handler(lambda self: self.send_error(403), get_error_html=get_error_html)
        self.assertEqual(self.ask().body, b"<b>403 NoneType</b>")

    def test_a308_log_lines(self):
        self.serve_app([], {"xheaders": True})
        self.ask("/%1b[31m%0ax\xc2\x9b")
        line, = self.logged(access=True)
        self.assertTrue(line.startswith("404 GET /%1b[31m%0ax"), line)
        self.assertNotIn(u"\x9b", line if isinstance(line, six.text_type) else u"")

        def prepare(self):
            self.request.remote_ip = "a\x1b\nb"

        self.serve_handler(lambda self: None, prepare=prepare)
        self.ask()
        line, = self.logged(access=True)
        self.assertIn(r"(a\x1b\x0ab)", line)


class FailingHooksTest(HandlerCase):
    def check(self, status, logs, body=None, **methods):
        """Two requests on one connection, and their log records."""
        settings = methods.pop("settings", None)
        methods.setdefault("get", lambda self: self.write("x"))
        self.serve_handler(settings=settings, **methods)
        with LogCatcher() as self.records:
            client = self.connect(data=request())
            response = client.read_response()
        self.assertEqual(response.status, status)
        self.assertEqual(len(self.logged(logging.ERROR)), logs, self.logged())
        if body is not None:
            self.assertEqual(response.body, body)
        if response.headers.get("Connection") == "close":
            self.assertEqual(client.read_rest(), b"")
        else:
            with LogCatcher():
                client.send(request())
                self.assertEqual(client.read_response().status, status)

    def fail(self, *args, **kwargs):
        raise KeyError("x")

    def test_b131_constructor(self):
        self.check(500, 1, __init__=self.fail)
        self.check(500, 1, initialize=self.fail)
        self.check(500, 1, set_default_headers=self.fail)

    def test_b131_prepare(self):
        self.check(500, 1, prepare=self.fail)

    def test_b131_write_error(self):
        self.check(500, 2, get=self.fail, write_error=self.fail)

    def test_b131_log_exception(self):
        self.check(500, 1, get=self.fail, log_exception=self.fail)

    def test_b131_on_finish(self):
        self.check(200, 1, b"x", on_finish=self.fail)

        def get(self):
            raise Finish()

        self.check(200, 1, b"", get=get, on_finish=self.fail)
        self.assertIn("GET / (127.0.0.1)", self.logged(logging.ERROR)[0])

    def test_b131_log_function(self):
        finished = []
        self.check(200, 1, b"x", settings={"log_function": self.fail},
                   on_finish=lambda self: finished.append(self))
        self.assertEqual(len(finished), 2)
        self.check(404, 1, settings={"log_function": self.fail},
                   prepare=lambda self: self.send_error(404))

    def test_b131_etag_and_transforms(self):
        self.check(500, 1, compute_etag=self.fail)
