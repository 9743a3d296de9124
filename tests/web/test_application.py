# -*- coding: utf-8 -*-
"""Application: hosts, routes, settings, and the handlers that come with it."""
from __future__ import absolute_import, division, print_function

import logging
import types

from friendserve.template import DictLoader
from friendserve.web import (
    Application, ErrorHandler, FallbackHandler, OutputTransform, RedirectHandler, RequestHandler,
    StaticFileHandler, UIModule, URLSpec)
from tests.webcase import WebCase, handler, request


#: Bytes that are not ASCII, as sent by a client that does not quote them.
OCTETS = b"\xc3\xa9".decode("latin-1") if str is not bytes else b"\xc3\xa9"


class Tell(RequestHandler):
    """Writes the name it was given, and its arguments."""
    def initialize(self, name="tell"):
        self.name = name

    def get(self, *args, **kwargs):
        self.write(self.name)
        for arg in args:
            self.write(u"|%s" % arg)
        for name in sorted(kwargs):
            self.write(u"|%s=%s" % (name, kwargs[name]))


class RouteTest(WebCase):
    def test_order_and_forms(self):
        self.serve_app([
            ("/a", Tell, {"name": "one"}), ["/a", Tell, {"name": "two"}],
            URLSpec("/b", Tell, {"name": "three"}, name="b"), ("/c/(.*)/(.*)", Tell),
            ("/d/(?P<x>.*)/(?P<y>z)?", Tell), ("/e", "tests.web.test_application.Tell")])
        for path, body in [("/a", u"one"), ("/a?q", u"one"), ("/b", u"three"),
                           ("/c/x%2Fy/%C3%A9", u"tell|x/y|\u00e9"), ("/d/1/", u"tell|x=1|y=None"),
                           ("/d/1/z", u"tell|x=1|y=z"), ("/e", u"tell")]:
            for _ in range(2):
                self.assertEqual(self.ask(path).body.decode("utf-8"), body)
        self.assertEqual(self.ask("/f").status, 404)
        self.assertEqual(self.ask("/c/%ff/").status, 400)

    def test_malformed_specifications(self):
        for handlers in ([("/",)], [("/", Tell, {}, "a", "b")]):
            self.assertRaises(ValueError, Application, handlers)
        self.assertRaises(ValueError, Application, wsgi=True)

    def test_reverse_url(self):
        class Link(RequestHandler):
            def get(self):
                self.write(self.reverse_url("user", 5))

        app = self.serve_app([("/user/([0-9]+)", Tell, {}, "user"), ("/", Link)])
        self.assertEqual(app.reverse_url("user", "a b"), "/user/a%20b")
        self.assertEqual(self.ask().body, b"/user/5")
        self.assertRaises(KeyError, app.reverse_url, "nobody")

    def test_default_handler(self):
        self.serve_app([("/a", Tell)], default_handler_class=Tell,
                       default_handler_args={"name": "default"})
        self.assertEqual(self.ask("/x").body, b"default")

    def test_b174_remembered_paths_are_bounded(self):
        app = self.serve_app([("/.*", Tell)])
        client = self.connect()
        for start in range(0, 1200, 100):
            client.send(b"".join(2 * request("/%d" % number)
                                 for number in range(start, start + 100)))
            for _ in range(200):
                self.assertEqual(client.read_response().body, b"tell")
            self.assertGreater(len(app._targets), 0)
        self.assertLessEqual(len(app._targets), 1000)
        self.assertLessEqual(len(app._seen), 1000)

    def test_handlers_added_later_count(self):
        app = self.serve_app([("/a", Tell)])
        self.assertEqual(self.ask("/a").body, b"tell")
        app.add_handlers("example.com", [("/a", Tell, {"name": "late"})])
        self.assertEqual(self.ask("/a").body, b"late")

    def test_b502_specs_that_are_added_to_the_list_count(self):
        app = self.serve_app([("/a", Tell)])
        app.handlers[0][1].append(URLSpec("/b", Tell, {"name": "late"}))
        self.assertEqual(self.ask("/b").body, b"late")
        app.add_handlers("example.com", [("/c", Tell)])
        self.assertEqual(self.ask("/b").body, b"late")

    def test_old_forms(self):
        class Old(RequestHandler):
            def get(self):
                self.write("%s %s %s" % (self.application.settings["name"],
                                         self.request.arguments["a"][0].decode("ascii"),
                                         self.request.connection.stream.closed()))

        app = self.serve_app([("/", Old)], name="old")
        self.assertEqual(self.ask("/?a=b").body, b"old b False")
        self.assertEqual(app.handlers[-1][0].pattern, ".*$")


class HostTest(WebCase):
    def body(self, host, *args, **kwargs):
        return self.ask("/", "GET", host=host, *args, **kwargs).body

    def test_a316_patterns_are_anchored(self):
        app = self.serve_app([("/", Tell, {"name": "any"})])
        app.add_handlers(r"www\.example\.com", [("/", Tell, {"name": "www"})])
        app.add_handlers(r"a\.example|b\.example", [("/", Tell, {"name": "ab"})])
        app.add_handlers(r"\[::1\]", [("/", Tell, {"name": "ipv6"})])
        for host, name in [
                ("www.example.com", b"www"), ("WWW.example.com:8080", b"www"),
                ("www.example.com.evil.com", b"any"), ("xwww.example.com", b"any"),
                ("wwwxexample.com", b"any"), ("a.example", b"ab"), ("b.example:1", b"ab"),
                ("a.example.evil.com", b"any"), ("[::1]", b"ipv6"), ("[::1]:80", b"ipv6"),
                ("[::2]", b"any"), ("", b"any")]:
            self.assertEqual(self.body(host), name, host)

    def test_known_host_falls_through_to_all(self):
        app = self.serve_app([("/", Tell, {"name": "any"})])
        app.add_handlers("a", [("/other", Tell)])
        self.assertEqual(self.body("a"), b"any")

    def test_default_host(self):
        app = self.serve_app(default_host="main.example")
        app.add_handlers(r"main\.example", [("/", Tell, {"name": "main"})])
        self.assertEqual(self.body("main.example"), b"main")
        self.assertEqual(self.body("other.example"), b"main")
        # A request from a proxy is recognised by its header.
        response = self.ask("/x?y", "GET", [("X-Real-Ip", "1.2.3.4")], host="other.example")
        self.assertEqual((response.status, response.headers["Location"]),
                         (301, "http://main.example/?y"))

    def test_no_default_host(self):
        app = self.serve_app()
        app.add_handlers("(a)?", [("/", Tell)])
        self.assertEqual(self.ask("/", host="b").status, 404)

    def test_a131_host_of_an_absolute_target(self):
        app = self.serve_app()
        app.add_handlers("a", [("/", Tell, {"name": "a"})])
        app.add_handlers("b", [("/", Tell, {"name": "b"})])
        self.assertEqual(self.ask("http://b/", host="a").body, b"b")


class RedirectTest(WebCase):
    def location(self, url, pattern, path, status=301, **kwargs):
        self.serve_app([(pattern, RedirectHandler, dict(kwargs, url=url))])
        response = self.ask(path)
        self.assertEqual(response.status, status, path)
        return response.headers["Location"]

    def test_plain(self):
        self.assertEqual(self.location("/b", "/a", "/a"), "/b")
        self.assertEqual(self.location("/b", "/a", "/a", 302, permanent=False), "/b")
        self.assertEqual(self.location(u"/\u00e9", "/a", "/a"), "/%C3%A9")
        self.assertEqual(self.ask("/a", "HEAD").status, 301)

    def test_query_is_kept(self):
        self.assertEqual(self.location("/b", "/a", "/a?x=1&y=%26"), "/b?x=1&y=%26")
        self.assertEqual(self.location("/b", "/a", "/a?" + OCTETS), "/b?%C3%A9")
        self.assertEqual(self.location("/b?z=0#f", "/a", "/a?x=1"), "/b?z=0&x=1#f")

    def test_groups(self):
        self.assertEqual(self.location("/b/{0}/{1}", "/a/(.*)/(.*)", "/a/x/y/z"), "/b/x/y/z")
        self.assertEqual(self.location("/b/{x}", "/a/(?P<x>.*)", "/a/%C3%A9%20%3f"),
                         "/b/%C3%A9%20%3F")
        self.assertEqual(self.location("/b{0}", "/a(/x)?", "/a"), "/b")
        self.assertEqual(self.location("/b?q={0}", "/a/(.*)", "/a/1%26admin=1"),
                         "/b?q=1%26admin%3D1")

    def test_a055_a302_no_other_host(self):
        for url, path in [("/{0}", "//evil.com"), ("/{0}", "/%2Fevil.com"), ("{0}", "//evil.com"),
                          ("/{0}", "/%5Cevil.com"), ("{0}", "/%5C%5Cevil.com"),
                          ("{0}", "/https:evil.com"), ("{0}", "/https://evil.com"),
                          ("/{0}", "/%09/evil.com"), ("{0}", "/%0d%0aX:%20y"), ("{0}", "////evil")]:
            location = self.location(url, "/(.*)", path)
            self.assertFalse(location.startswith(("//", "/\\", "\\")), location)
            self.assertNotIn(":", location)
            self.assertNotIn("\t", location)
            self.assertNotIn("\\", location)

    def test_another_host_on_purpose(self):
        self.assertEqual(self.location("//other.example{0}", "/a(/.*)", "/a/x"),
                         "//other.example/x")
        self.assertEqual(self.location("https://other.example/{0}", "/(.*)", "/x"),
                         "https://other.example/x")


class OtherHandlersTest(WebCase):
    def test_error_handler(self):
        self.serve_app([("/gone", ErrorHandler, {"status_code": 410})])
        for method in ("GET", "POST", "PUT"):
            self.assertEqual(self.ask("/gone", method).status, 410)

    def test_fallback(self):
        def fallback(request):
            body = request.path.encode("ascii")
            request.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n".replace(
                b"%d", str(len(body)).encode("ascii")) + body)
            request.finish()

        self.serve_app([("/own", Tell), (".*", FallbackHandler, {"fallback": fallback})])
        client = self.connect(data=request("/own") + request("/other") + request("/own"))
        self.assertEqual([client.read_response().body for _ in range(3)],
                         [b"tell", b"/other", b"tell"])

    def test_b131_failing_fallback(self):
        def fallback(request):
            raise KeyError("x")

        self.serve_app([(".*", FallbackHandler, {"fallback": fallback})])
        self.assertEqual(self.ask().status, 500)
        self.assertEqual(len(self.logged(logging.ERROR)), 1)


class Doubling(OutputTransform):
    def transform_first_chunk(self, status_code, headers, chunk, finishing):
        headers["X-Doubled"] = "1"
        return status_code, headers, chunk * 2

    def transform_chunk(self, chunk, finishing):
        return chunk * 2


class SettingsTest(WebCase):
    def test_debug(self):
        settings = Application(debug=True).settings
        self.assertTrue(settings["serve_traceback"] and settings["autoreload"])
        self.assertIs(settings["compiled_template_cache"], False)
        self.assertIs(settings["static_hash_cache"], False)
        self.assertIs(Application(debug=True, autoreload=False).settings["autoreload"], False)

    def test_transforms(self):
        class Flushing(RequestHandler):
            def get(self):
                self.write("a")
                self.flush()
                self.write("b")

        self.serve_app([("/", Tell), ("/flush", Flushing)], transforms=[Doubling])
        response = self.ask()
        self.assertEqual((response.body, response.headers["X-Doubled"]), (b"telltell", "1"))
        self.assertEqual(self.ask("/flush").body, b"aabb")
        self.assertNotIn("Content-Encoding", response.headers)
        app = self.serve_app([("/", Tell)])
        app.add_transform(Doubling)
        self.assertEqual(self.ask().body, b"telltell")

    def test_a319_compress_response(self):
        class Long(RequestHandler):
            def get(self):
                self.write("x" * 2000)

        for name in ("gzip", "compress_response"):
            self.serve_app([("/", Long), ("/short", Tell)], **{name: True})
            response = self.ask(headers=[("Accept-Encoding", "gzip")])
            self.assertEqual(response.headers["Content-Encoding"], "gzip")
            self.assertIn("Accept-Encoding", response.headers["Vary"])
            again = self.ask(headers=[("Accept-Encoding", "gzip"),
                                      ("If-None-Match", response.headers["Etag"])])
            self.assertEqual(again.status, 304)
            self.assertNotIn("Content-Encoding", self.ask().headers)
            self.assertNotIn("Content-Encoding",
                             self.ask("/short", "GET", [("Accept-Encoding", "gzip")]).headers)

    def test_log_function(self):
        lines = []
        self.serve_app([("/", Tell)],
                       log_function=lambda handler: lines.append(handler.get_status()))
        self.ask()
        self.ask("/missing")
        self.assertEqual(lines, [200, 404])
        self.assertEqual(self.logged(access=True), [])

    def test_access_log(self):
        self.serve_app([("/", Tell)])
        self.ask("/?a=b")
        line, = self.logged(access=True)
        self.assertTrue(line.startswith("200 GET /?a=b (127.0.0.1) "), line)
        self.assertTrue(line.endswith("ms"), line)
        self.assertEqual(self.records[0].levelno, logging.INFO)
        self.ask("/missing")
        self.assertEqual(self.records[0].levelno, logging.WARNING)

    def test_b338_the_level_of_the_access_log_follows_the_class_of_the_status(self):
        self.serve_app([("/([0-9]+)", handler(
            get=lambda self, status: self.set_status(int(status), "Any")))])
        for status, level in ((200, "INFO"), (399, "INFO"), (400, "WARNING"), (499, "WARNING"),
                              (500, "ERROR"), (599, "ERROR")):
            self.ask("/%d" % status)
            record = [record for record in self.records if record.name == "friendserve.access"][-1]
            self.assertEqual((status, level), (record.fields["status"], record.levelname))

    def test_access_log_has_fields_for_programs(self):
        self.serve_app([("/", handler(get=lambda self: self.write("12345")))])
        self.ask("/?a=b", headers=[("User-Agent", "Test")])
        record, = [record for record in self.records if record.name == "friendserve.access"]
        self.assertGreater(record.fields.pop("milliseconds"), 0)
        self.assertEqual({"status": 200, "method": "GET", "uri": "/?a=b", "bytes": 5,
                          "remote_ip": "127.0.0.1", "user_agent": "Test"}, record.fields)

    def test_static_path(self):
        app = Application(static_path="/tmp", static_url_prefix="/s/")
        self.assertEqual(app.static_handler_class, StaticFileHandler)
        self.assertEqual([spec.regex.pattern for spec in app.handlers[0][1]][1:],
                         [r"/(favicon\.ico)$", r"/(robots\.txt)$"])

    def test_missing_settings(self):
        class Needy(RequestHandler):
            def get(self):
                try:
                    self.get_secure_cookie("a")
                except RuntimeError as error:
                    self.write(str(error))

        self.serve_app([("/", Needy)])
        self.assertIn(b"cookie_secret", self.ask().body)

    def test_listen(self):
        server = Application([("/", Tell)]).listen(0, "127.0.0.1", io_loop=self.loop)
        self.addCleanup(self.close_server, server)
        self.assertEqual(server.request_callback.settings, {})


class Small(UIModule):
    def render(self, text):
        return "<b>%s</b>" % text


def shout(handler, text):
    return "%s to %s" % (text.upper(), handler.request.path)


def make_module(**members):
    module = types.ModuleType(str("made"))
    module.__dict__.update(members)
    return module


class UITest(WebCase):
    def render(self, text, **settings):
        class Page(RequestHandler):
            def get(self):
                self.finish(self.render_string("page.html", text="<i>"))

        self.serve_app([("/", Page)],
                       template_loader=DictLoader({"page.html": text}), **settings)
        return self.ask().body

    def test_sources_of_modules(self):
        for source in ({"Small": Small}, make_module(Small=Small, UIModule=UIModule, other=1),
                       [make_module(Small=Small)], {"Small": "tests.web.test_application.Small"}):
            self.assertEqual(self.render("{% module Small('x') %}", ui_modules=source),
                             b"<b>x</b>")

    def test_sources_of_methods(self):
        for source in ({"shout": shout}, make_module(shout=shout, Small=Small, _shout=shout),
                       [make_module(shout=shout)]):
            self.assertEqual(self.render("{{ shout('a') }}", ui_methods=source), b"A to /")

    def test_a315_escaped_once(self):
        self.assertEqual(self.render("{{ text }}{% raw text %}"), b"&lt;i&gt;<i>")
        self.assertEqual(self.render("{% module linkify('http://x.com <') %}"),
                         b'<a href="http://x.com">http://x.com</a> &lt;')
        self.assertEqual(self.render("{% module Small('&') %}", ui_modules={"Small": Small}),
                         b"<b>&</b>")
        self.assertEqual(self.render("<script>x = {% raw json_encode({'a': '</script>'}) %}"),
                         b'<script>x = {"a": "<\\/script>"}')

    def test_a005_autoescape(self):
        self.assertEqual(self.render("{{ text }}"), b"&lt;i&gt;")
        self.assertEqual(self.render("{% autoescape None %}{{ text }}"), b"<i>")

    def test_modules_under_both_names(self):
        self.assertEqual(self.render("{% raw _tt_modules.Small('x') %}{% raw modules.Small('y') %}",
                                     ui_modules={"Small": Small}), b"<b>x</b><b>y</b>")

    def test_form_module(self):
        self.assertIn(b'name="_xsrf"', self.render("{% module xsrf_form_html() %}"))

    def test_b161_lazy_user(self):
        calls = []

        class Page(RequestHandler):
            def get(self):
                self.write("%s %s %s" % (len(calls), self.current_user, self.current_user))

            def get_current_user(self):
                calls.append(1)
                return "me"

        self.serve_app([("/", Page)])
        self.assertEqual(self.ask().body, b"0 me me")
        self.assertEqual(len(calls), 1)
