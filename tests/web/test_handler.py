# -*- coding: utf-8 -*-
"""RequestHandler: reading the request, and writing the response."""
from __future__ import absolute_import, division, print_function

import datetime
import hashlib
import json
import logging

from friendserve.escape import native_str
from friendserve.web import HTTPError, RequestHandler, asynchronous
from friendserve.web import etags
from tests.webcase import FORM, HandlerCase, request


class WritingTest(HandlerCase):
    def test_what_can_be_written(self):
        def get(self):
            self.write(b"a")
            self.write(u"\u00e9")
            self.finish("c")

        self.serve_handler(get)
        response = self.ask()
        self.assertEqual(response.body, u"a\u00e9c".encode("utf-8"))
        self.assertEqual(response.headers["Content-Type"], "text/html; charset=UTF-8")
        self.assertEqual(response.headers["Content-Length"], "4")
        self.assertIn("Date", response.headers)

    def test_dict_is_json(self):
        self.serve_handler(lambda self: self.write({"a": "</script>"}))
        response = self.ask()
        self.assertEqual(json.loads(native_str(response.body)), {"a": "</script>"})
        self.assertNotIn(b"</", response.body)
        self.assertEqual(response.headers["Content-Type"], "application/json; charset=UTF-8")

    def test_dicts_one_by_one(self):
        def get(self):
            self.write({"a": 1})
            self.flush()
            self.write({"b": 2})

        self.serve_handler(get)
        self.assertEqual(self.ask().body, b'{"a": 1}{"b": 2}')

    def test_lists_and_others_are_refused(self):
        self.failing(lambda self: self.write([1]), TypeError, "list", "dict")
        self.failing(lambda self: self.write(None), TypeError, "NoneType")
        self.failing(lambda self: self.write(1), TypeError, "int")

    def test_b153_after_finish(self):
        def finish_and(function):
            def get(self):
                self.finish("ok")
                function(self)
            return get

        for function, text in [
                (lambda self: self.finish(), "finish() called twice"),
                (lambda self: self.write("x"), "write() after finish()"),
                (lambda self: self.render("x.html"), "render() after finish()"),
                (lambda self: self.flush(), "flush() after finish()"),
                (lambda self: self.redirect("/"), "the headers have already been sent")]:
            response = self.failing(finish_and(function), RuntimeError, text)
            self.assertEqual(response.body, b"ok")

    def test_b153_after_flush(self):
        def get(self):
            self.write("ok")
            self.flush()
            self.redirect("/")

        response = self.failing(get, RuntimeError, "headers have already been sent")
        self.assertEqual(response.body, b"ok")

    def test_b154_without_asynchronous(self):
        late = []

        def get(self):
            self.application.loop.add_callback(write_late, self)

        def write_late(self):
            try:
                self.write("late")
            except RuntimeError as error:
                late.append(str(error))

        self.serve_handler(get)
        self.app.loop = self.loop
        self.assertEqual(self.ask().body, b"")
        self.run_until(lambda: late)
        self.assertIn("@asynchronous", late[0])

    def test_b155_prepare_answers(self):
        calls = []

        class Page(RequestHandler):
            def prepare(self):
                if self.request.path == "/redirect":
                    self.redirect("/other")
                else:
                    self.finish("prepared")

            def get(self):
                calls.append("get")

            def on_finish(self):
                calls.append("on_finish")

        self.serve_app([("/.*", Page)])
        self.assertEqual(self.ask().body, b"prepared")
        self.assertEqual(self.ask("/redirect").headers["Location"], "/other")
        self.assertEqual(calls, ["on_finish", "on_finish"])

    def test_b156_flush_callbacks(self):
        calls = []

        class Page(RequestHandler):
            @asynchronous
            def get(self):
                self.flush(callback=lambda: self.step(1))

            head = get

            def step(self, number):
                calls.append(number)
                if number < 3:
                    if number == 2:
                        self.write("x")
                    self.flush(callback=lambda: self.step(number + 1))
                else:
                    self.finish()

        self.serve_app([("/", Page)])
        self.assertEqual(self.ask().body, b"x")
        self.assertEqual(self.ask("/", "HEAD").body, b"")
        self.run_until(lambda: len(calls) == 6)
        self.assertEqual(calls, [1, 2, 3] * 2)

    def test_b156_flush_to_a_client_that_has_gone(self):
        events = []

        class Page(RequestHandler):
            @asynchronous
            def get(self):
                events.append(self)

            def on_connection_close(self):
                self.write("x")
                self.flush(callback=lambda: events.append("sent"))
                self.finish()
                events.append("closed")

        self.serve_app([("/", Page)])
        client = self.connect(data=request())
        self.run_until(lambda: events)
        client.close()
        self.run_until(lambda: len(events) > 1)
        self.turn(times=3)
        self.assertEqual(events[1:], ["closed"])

    def test_statuses_without_a_body(self):
        for status in (204, 304):
            self.serve_handler(lambda self: (self.set_status(status), self.write("x")))
            client = self.connect(data=request() + request())
            for _ in range(2):
                response = client.read_response()
                self.assertEqual((response.status, response.body), (status, b""))
                self.assertNotIn("Content-Length", response.headers)
                self.assertNotIn("Transfer-Encoding", response.headers)

    def test_etag(self):
        self.serve_handler(lambda self: self.write("x"))
        etag = self.ask().headers["Etag"]
        self.assertTrue(etag.startswith('"') and etag.endswith('"'))
        for known in (etag, "W/" + etag, '"a", %s , "b"' % etag, "*"):
            response = self.ask(headers=[("If-None-Match", known)])
            self.assertEqual(response.status, 304, known)
            self.assertEqual(response.headers["Etag"], etag)
            self.assertNotIn("Content-Type", response.headers)
        for known in ('"a"', "", etag[1:-1], "x" * 8000, '"' * 8000):
            self.assertEqual(self.ask(headers=[("If-None-Match", known)]).status, 200, known)

    def test_etags_are_of_the_body_and_no_large_one_is_remembered(self):
        for body in (b"x", b"x", b"", b"y" * 5000, b"x", b"z"):
            self.assertEqual('"%s"' % hashlib.sha1(body).hexdigest(), etags.etag_of(body))
            self.assertLess(len(etags._last[0]), 5000)

    def test_own_etag(self):
        self.serve_handler(lambda self: self.set_header("Etag", '"own"'))
        self.assertEqual(self.ask(headers=[("If-None-Match", '"own"')]).status, 304)
        for wanted, computed in (('"own"', '"own"'), ('"own"', b'"own"'), ('"own"', u'"own"'),
                                 (None, None)):
            self.serve_handler(lambda self: None, compute_etag=lambda self: computed)
            self.assertEqual(self.ask().headers.get("Etag"), wanted)
        self.serve_handler(post=lambda self: None)
        self.assertNotIn("Etag", self.ask("/", "POST").headers)

    def test_own_content_length(self):
        self.serve_handler(lambda self: (self.set_header("Content-Length", 5),
                                         self.write("abcde")))
        self.assertEqual(self.ask().body, b"abcde")

    def test_a143_wrong_content_length(self):
        for length in (4, 6):
            self.serve_handler(lambda self: (self.set_header("Content-Length", length),
                                             self.write("abcde")))
            self.assertEqual(self.ask().status, 500)
            self.assertEqual(len(self.logged(logging.ERROR)), 1)

    def test_what_cannot_be_sent_is_an_error_page(self):
        def get(self):
            self._headers["X"] = "a\r\nY: b"

        def flush(self):
            self._headers["X"] = "a\r\nY: b"
            self.flush()

        for method in (get, flush):
            self.serve_handler(method)
            response = self.ask()
            self.assertEqual(response.status, 500)
            self.assertNotIn("Y", response.headers)
            self.assertEqual(len(self.logged(logging.ERROR)), 1)


class HeaderTest(HandlerCase):
    def test_a010_a306_bad_values(self):
        for value, reason in (
                [(value, "control character, in X: ") for value in (
                    "a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\x00b", "a\x7fb", "a\x1bb", b"a\nb")]
                + [(value, "header X contains a character above U+00FF") for value in (
                    u"\u0100", u"\u2028")]):
            for method in ("set_header", "add_header"):
                response = self.failing(lambda self: getattr(self, method)("X", value),
                                        ValueError, reason)
                self.assertNotIn("X", response.headers)
                self.assertNotIn("Set-Cookie", response.headers)

    def test_a010_bad_names(self):
        for name in ("X\r\nY", "X:", "X Y", "", "X\n", u"\u00e9"):
            self.failing(lambda self: self.set_header(name, "x"), ValueError, "header name")

    def test_a306_values(self):
        moment = datetime.datetime(2009, 9, 10, 12, 30, 1)
        for value, wanted in [
                (u"text", b"text"), ("a\tb", b"a\tb"),
                (u"caf\u00e9", b"caf\xe9"), (b"caf\xe9", b"caf\xe9"),
                (7, b"7"), (moment, b"Thu, 10 Sep 2009 12:30:01 GMT")]:
            self.serve_handler(lambda self: self.set_header("X", value))
            data = self.connect(data=request(headers=[("Connection", "close")])).read_rest()
            self.assertIn(b"\r\nX: " + wanted + b"\r\n", data)
        self.failing(lambda self: self.set_header("X", None), TypeError, "NoneType")

    def test_add_and_clear(self):
        def get(self):
            self.add_header("X", "1")
            self.add_header("x", "2")
            self.set_header("Y", "1")
            self.clear_header("y")
            self.clear_header("Z")

        self.serve_handler(get)
        response = self.ask()
        self.assertEqual(response.headers.get_list("X"), ["1", "2"])
        self.assertNotIn("Y", response.headers)

    def test_default_headers(self):
        def set_default_headers(self):
            self.set_header("X-Frame-Options", "DENY")

        def get(self):
            self.set_header("X", "y")
            if self.get_argument("fail", None):
                raise HTTPError(400)

        self.serve_handler(get, set_default_headers=set_default_headers)
        self.assertEqual(self.ask().headers["X-Frame-Options"], "DENY")
        response = self.ask("/?fail=1")
        self.assertEqual(response.headers["X-Frame-Options"], "DENY")
        self.assertNotIn("X", response.headers)

    def test_a038_reasons(self):
        for reason, wanted in [("x\r\nH: v", "Unknown"), ("Fine", "Fine"),
                               (u"caf\u00e9", "Unknown"), ("a\x00", "Unknown"),
                               ("a\n", "Unknown"), (b"Fine", "Fine")]:
            self.serve_handler(lambda self: self.set_status(400, reason))
            response = self.ask()
            self.assertEqual(response.reason, wanted)
            self.assertNotIn("H", response.headers)
        self.serve_handler(lambda self: self.set_status(799))
        self.assertEqual(self.ask().reason, "Unknown")


class RedirectTest(HandlerCase):
    def test_a011_line_breaks_and_tabs(self):
        for url in ("/x\r\nY: z", "/x\n", "/x\ty", "\t//evil.com", "/\x00"):
            response = self.failing(lambda self: self.redirect(url), ValueError)
            self.assertNotIn("Location", response.headers)
            self.assertNotIn("Y", response.headers)

    def test_a304_locations(self):
        for url, wanted in [(u"/\u00e9", "/%C3%A9"), ('/a"b<c', '/a"b<c'),
                            ("/a%20b?c#d", "/a%20b?c#d"),
                            ("http://example.com/", "http://example.com/"), (b"/b", "/b")]:
            self.serve_handler(lambda self: self.redirect(url))
            response = self.ask()
            self.assertEqual((response.status, response.body), (302, b""))
            self.assertEqual(response.headers["Location"], wanted)

    def test_statuses(self):
        for kwargs, wanted in [({}, 302), ({"permanent": True}, 301), ({"status": 303}, 303)]:
            self.serve_handler(lambda self: self.redirect("/", **kwargs))
            self.assertEqual(self.ask().status, wanted)
        self.failing(lambda self: self.redirect("/", status=200), ValueError, "300 to 399")

    def test_b153_after_write(self):
        # Nothing has been sent yet: the data written so far becomes the body, as in Tornado.
        self.serve_handler(lambda self: (self.write("x"), self.redirect("/")))
        response = self.ask()
        self.assertEqual((response.status, response.body), (302, b"x"))


class StatusTest(HandlerCase):
    def test_what_is_no_status_of_an_answer(self):
        def answer(self):
            status = int(self.get_argument("status"))
            if self.get_argument("how") == "raise":
                raise HTTPError(status)
            self.set_status(status)
            self.write("x")

        self.serve_handler(answer)
        for status in (-1, 0, 99, 100, 101, 199, 1000):
            for how in ("set", "raise"):
                response = self.ask("/?status=%d&how=%s" % (status, how))
                self.assertEqual(response.status, 500, (status, how))
                self.assertEqual(len(self.logged(logging.ERROR)), 1)
        for status in (299, 600, 999):
            self.assertEqual(self.ask("/?how=set&status=%d" % status).status, status)


class MethodTest(HandlerCase):
    def test_b160_unsupported(self):
        self.serve_handler(lambda self: self.write("x"))
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "BREW", "get",
                       "__INIT__", "PREPARE"):
            response = self.ask("/", method)
            self.assertEqual((response.status, response.headers["Allow"]), (405, "GET"), method)

    def test_b160_own_methods(self):
        def answer(self):
            self.write(self.request.method)

        self.serve_handler(
            SUPPORTED_METHODS=RequestHandler.SUPPORTED_METHODS + ("PROPFIND", "MOVE"),
            propfind=answer, options=answer, patch=answer)
        for method in ("PROPFIND", "OPTIONS", "PATCH"):
            self.assertEqual(self.ask("/", method).body, method.encode("ascii"))
        response = self.ask("/", "MOVE")
        self.assertEqual((response.status, response.headers["Allow"]),
                         (405, "PATCH, OPTIONS, PROPFIND"))


class ArgumentTest(HandlerCase):
    def setUp(self):
        super(ArgumentTest, self).setUp()

        def get(self):
            self.write(dict((name, getattr(self, name)("a")) for name in (
                "get_arguments", "get_query_arguments", "get_body_arguments")))

        self.serve_handler(get, post=get)

    def test_sources(self):
        body = json.loads(native_str(self.ask("/?a=1&a=%20x%01&b=", "POST", body={"a": "2"}).body))
        self.assertEqual(body, {"get_arguments": ["1", "x", "2"],
                                "get_query_arguments": ["1", "x"], "get_body_arguments": ["2"]})

    def test_b144_blank_values(self):
        body = json.loads(native_str(self.ask("/?a=&b").body))
        self.assertEqual(body["get_arguments"], [""])

    def test_one_value(self):
        def get(self):
            self.write(repr([self.get_argument("a") == u"2", self.get_argument("b", "x"),
                             self.get_argument("c", strip=False) == u" ",
                             self.get_query_argument("a") == u"2",
                             self.get_body_argument("a", None)]))

        self.serve_handler(get)
        self.assertEqual(self.ask("/?a=1&a=2&c=+").body, b"[True, 'x', True, True, None]")
        response = self.ask()
        self.assertEqual(response.status, 400)
        self.assertIn("Missing argument a", self.logged()[0])

    def test_a213_not_utf8(self):
        self.assertEqual(self.ask("/?a=%ff").status, 400)
        self.assertEqual(self.ask("/?a=%zz&%&=&&&").status, 200)

    def test_names_that_are_not_ascii(self):
        self.serve_handler(lambda self: self.write(self.get_argument(u"\u00e9")))
        self.assertEqual(self.ask("/?%C3%A9=1").body, b"1")

    def test_a035_bad_forms_are_400_once(self):
        multipart = "multipart/form-data; boundary=x"
        for content_type, headers, body in [
                (multipart, [], b"--x\r\nbad\r\n" * 1000), ("multipart/form-dataxyz", [], b"x"),
                ("multipart/form-data", [], b"--x"), (FORM, [], b"a&" * 2000),
                (FORM, [("Content-Encoding", "gzip")], b"x")]:
            response = self.ask("/", "POST", [("Content-Type", content_type)] + headers, body)
            self.assertEqual(response.status, 400, content_type)
            self.assertEqual(len(self.logged()), 1, self.logged())
        self.assertEqual(self.ask("/?" + "a&" * 3000).status, 400)
        self.assertEqual(len(self.logged()), 1)
