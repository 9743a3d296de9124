"""The public values of HTTP: dates, URLs, start lines, form bodies and requests."""
from __future__ import absolute_import, division, print_function

import datetime
import locale
import time
import unittest

import friendserve.httputil
from friendserve.httputil import (
    HTTPConnection, HTTPFile, HTTPHeaders, HTTPInputError, HTTPMessageDelegate,
    HTTPServerConnectionDelegate, HTTPServerRequest, RequestStartLine, ResponseStartLine,
    encode_username_password, format_timestamp, parse_body_arguments, parse_cookie,
    parse_multipart_form_data, parse_request_start_line, parse_response_start_line, qs_to_qsl,
    split_host_and_port, url_concat)
from friendserve.protocol import errors, headers, multipart

try:
    from hypothesis import given, settings, strategies as st
except ImportError:  # version: py2
    given = None

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=1234"
BODY = (b'--1234\r\nContent-Disposition: form-data; name="a"\r\n\r\nFoo\r\n'
        b'--1234\r\nContent-Disposition: form-data; name="f"; filename="b"\r\n\r\nBar\r\n'
        b'--1234--\r\n')


class NamesTest(unittest.TestCase):
    def test_everything_public_is_there(self):
        for name in friendserve.httputil.__all__:
            self.assertTrue(hasattr(friendserve.httputil, name), name)

    def test_names_of_the_engines(self):
        self.assertIs(HTTPHeaders, headers.HTTPHeaders)
        self.assertIs(HTTPInputError, errors.HTTPInputError)
        self.assertIs(friendserve.httputil.HTTPOutputError, errors.HTTPOutputError)
        self.assertIs(HTTPFile, multipart.HTTPFile)
        self.assertEqual({"a": "b"}, parse_cookie("a=b"))


class Zone(datetime.tzinfo):
    def utcoffset(self, when):
        return datetime.timedelta(hours=-4)

    def dst(self, when):
        return datetime.timedelta(0)


class TimestampTest(unittest.TestCase):
    SECONDS = 1359312200

    def test_all_types(self):
        moment = datetime.datetime(2013, 1, 27, 18, 43, 20, 503611)
        for ts in (self.SECONDS, self.SECONDS + 0.503611, time.gmtime(self.SECONDS),
                   tuple(time.gmtime(self.SECONDS)), moment,
                   datetime.datetime(2013, 1, 27, 14, 43, 20, tzinfo=Zone())):
            self.assertEqual("Sun, 27 Jan 2013 18:43:20 GMT", format_timestamp(ts), ts)
            self.assertIs(str, type(format_timestamp(ts)))
        self.assertEqual("Thu, 01 Jan 1970 00:00:00 GMT", format_timestamp(0))

    def test_other_types(self):
        for ts in (None, "2013", b"0", datetime.timedelta(1), []):
            self.assertRaises(TypeError, format_timestamp, ts)

    def test_b134_every_month_and_weekday(self):
        months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
        days = "Mon Tue Wed Thu Fri Sat Sun".split()
        for day in range(366):
            when = datetime.datetime(2024, 1, 1) + datetime.timedelta(day)
            self.assertEqual(
                "%s, %02d %s 2024 00:00:00 GMT" % (days[day % 7], when.day, months[when.month - 1]),
                format_timestamp(when))

    def test_b134_other_locale(self):
        before = locale.setlocale(locale.LC_ALL)
        self.addCleanup(locale.setlocale, locale.LC_ALL, before)
        for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "ja_JP.UTF-8", "de_DE", "C"):
            try:
                locale.setlocale(locale.LC_ALL, name)
            except locale.Error:
                continue
            self.assertEqual("Wed, 15 May 2024 00:00:00 GMT",
                             format_timestamp(datetime.datetime(2024, 5, 15)))


class UrlConcatTest(unittest.TestCase):
    def test_query(self):
        pairs = [("y", "/y"), ("z", "a b")]
        for url, expected in (
                ("http://h/p", "http://h/p?y=%2Fy&z=a+b"),
                ("http://h/p?", "http://h/p?y=%2Fy&z=a+b"),
                ("http://h/p?x", "http://h/p?x=&y=%2Fy&z=a+b"),
                ("http://h/p?x&", "http://h/p?x=&y=%2Fy&z=a+b"),
                ("http://h/p?a=1&a=%7e;b", "http://h/p?a=1&a=%7e;b&y=%2Fy&z=a+b"),
                ("http://h/p?a=?#f?g#h", "http://h/p?a=?&y=%2Fy&z=a+b#f?g#h"),
                ("/p#f", "/p?y=%2Fy&z=a+b#f"), ("", "?y=%2Fy&z=a+b"),
                ("http://[::1", "http://[::1?y=%2Fy&z=a+b")):
            self.assertEqual(expected, url_concat(url, pairs))
            self.assertEqual(expected, url_concat(url, tuple(pairs)))

    def test_nothing_to_add(self):
        for args in (None, [], {}, ()):
            self.assertEqual("http://h/p?r=1&t=2#f", url_concat("http://h/p?r=1&t=2#f", args))

    def test_values_of_all_kinds(self):
        self.assertEqual("/?a=%C3%A9", url_concat("/", {u"a": u"\xe9"}))
        self.assertEqual("/?%C3%A9=%FF", url_concat("/", {u"\xe9": b"\xff"}))
        self.assertEqual("/?a=1&a=None", url_concat("/", [("a", 1), ("a", None)]))

    def test_other_types(self):
        for args in ("a=b", 1, set(["a"]), object()):
            self.assertRaises(TypeError, url_concat, "/", args)

    def test_qs_to_qsl(self):
        self.assertEqual([("a", b"1"), ("a", b"2"), ("b", b"3")],
                         sorted(qs_to_qsl({"a": [b"1", b"2"], "b": [b"3"], "c": []})))


class HostTest(unittest.TestCase):
    def test_split_host_and_port(self):
        for netloc, expected in (
                ("h", ("h", None)), ("h:80", ("h", 80)), ("h:0", ("h", 0)),
                ("h:65535", ("h", 65535)), ("h:", ("h", None)), ("", ("", None)),
                ("[::1]", ("[::1]", None)), ("[::1]:8000", ("[::1]", 8000)),
                ("[::1]:", ("[::1]", None)), ("::1", ("::1", None)),
                ("fe80::1:2", ("fe80::1:2", None)), ("127.0.0.1:1", ("127.0.0.1", 1))):
            self.assertEqual(expected, split_host_and_port(netloc))

    def test_a134_no_port_and_no_error(self):
        for netloc in ("[::1", "[::1:80", "h:99999", "h:65536", "h:+80", "h:-1", "h:8 0", "h: 80",
                       "h:80\n", "h:8x", u"h:\u0661", "h:" + "1" * 5000, ":", "::", "h:80:", "]:",
                       "h:1_0", "h:0x50"):
            self.assertIsNone(split_host_and_port(netloc)[1], netloc)

    def test_encode_username_password(self):
        self.assertEqual(b"a:b", encode_username_password("a", "b"))
        self.assertEqual(b"\xc3\xa9:b:c", encode_username_password(u"\xe9", u"b:c"))
        self.assertEqual(b"\xc3\xa9:", encode_username_password(u"e\u0301", ""))
        self.assertEqual(b"e\xcc\x81:\xff", encode_username_password(b"e\xcc\x81", b"\xff"))
        self.assertRaises(ValueError, encode_username_password, "a:b", "c")
        self.assertRaises(TypeError, encode_username_password, 1, "c")


class StartLineTest(unittest.TestCase):
    def test_request(self):
        line = parse_request_start_line("GET /a?b HTTP/1.1")
        self.assertEqual(RequestStartLine("GET", "/a?b", "HTTP/1.1"), line)
        self.assertEqual(("GET", "/a?b", "HTTP/1.1"), (line.method, line.path, line.version))
        self.assertEqual("HTTP/1.0", parse_request_start_line("X * HTTP/1.0").version)

    def test_malformed_request(self):
        for line in ("", "GET", "GET /", "GET / HTTP/1.1\n", "GET / HTTP/1.1\r", "GET  / HTTP/1.1",
                     " GET / HTTP/1.1", "GET / a HTTP/1.1", "GET / HTTP/2.0", "GET / HTTP/1.",
                     "GET / HTTP/1.10", "GET / http/1.1", "G(T / HTTP/1.1", "GET /\0 HTTP/1.1"):
            self.assertRaises(HTTPInputError, parse_request_start_line, line)

    def test_response(self):
        line = parse_response_start_line("HTTP/1.1 404 Not Found")
        self.assertEqual(ResponseStartLine("HTTP/1.1", 404, "Not Found"), line)
        self.assertEqual(("HTTP/1.1", 404, "Not Found"), (line.version, line.code, line.reason))
        self.assertEqual("", parse_response_start_line("HTTP/1.0 200").reason)
        self.assertEqual("", parse_response_start_line("HTTP/1.0 200 ").reason)

    def test_malformed_response(self):
        for line in ("", "HTTP/1.1", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 abc OK",
                     "HTTP/2.0 200 OK", "HTTP/1.1 200 OK\n", "HTTP/1.1  200 OK", "HTTP/1.1 200OK",
                     "HTTP/1.1 099 OK", "HTTP/1.1 +20 OK"):
            self.assertRaises(HTTPInputError, parse_response_start_line, line)


class BodyTest(unittest.TestCase):
    def parse(self, content_type, body, headers=None):
        arguments, files = {}, {}
        parse_body_arguments(content_type, body, arguments, files, headers)
        return arguments, files

    def test_both_types(self):
        for content_type in (URLENCODED, "Application/X-WWW-form-urlencoded ; charset=UTF-8"):
            self.assertEqual(({"a": [b"1", b"2"], "b": [b""]}, {}),
                             self.parse(content_type, b"a=1&a=2&b"))
        for content_type in (MULTIPART, 'Multipart/form-data;charset=x; Boundary="1234"'):
            arguments, files = self.parse(content_type, BODY)
            self.assertEqual({"a": [b"Foo"]}, arguments)
            self.assertEqual([b"Bar"], [one.body for one in files["f"]])

    def test_other_types_are_left_alone(self):
        for content_type in ("", "text/plain", "application/json",
                             "multipart/mixed; boundary=1234"):
            self.assertEqual(({}, {}), self.parse(content_type, BODY))

    def test_what_is_there_is_added_to(self):
        arguments, files = {"a": [b"0"], "b": [b"1"]}, {"f": ["x"]}
        parse_body_arguments(MULTIPART, BODY, arguments, files)
        parse_body_arguments(URLENCODED, b"b=2", arguments, files)
        self.assertEqual({"a": [b"0", b"Foo"], "b": [b"1", b"2"]}, arguments)
        self.assertEqual(2, len(files["f"]))
        parse_multipart_form_data(b"1234", BODY, arguments, files)
        parse_multipart_form_data(b'"1234"', BODY, arguments, files)
        self.assertEqual((4, 4), (len(arguments["a"]), len(files["f"])))

    def test_a035_one_error_and_nothing_added(self):
        bad = BODY.replace(b"--1234--", b"--1234\r\nbad\r\n\r\n\r\n--1234--")
        for content_type, body, words in (
                (MULTIPART, bad, "malformed header"), (URLENCODED, b"a&" * 2000, "1000"),
                ("multipart/form-data", BODY, "boundary"),
                ("multipart/form-data; boundary", BODY, "malformed"),
                ("multipart/form-dataxyz; boundary=1234", BODY, "multipart/form-data")):
            arguments, files = {}, {}
            with self.assertRaises(HTTPInputError) as caught:
                parse_body_arguments(content_type, body, arguments, files)
            self.assertEqual(400, caught.exception.status)
            self.assertIn(words, str(caught.exception))
            self.assertEqual(({}, {}), (arguments, files))
        self.assertRaises(HTTPInputError, parse_multipart_form_data, b"x", BODY, {}, {})

    def test_a035_content_encoding_of_a_form(self):
        for content_type, body in ((URLENCODED, b"a=b"), (MULTIPART, BODY)):
            for encoding in ("gzip", "br", "x, identity"):
                with self.assertRaises(HTTPInputError) as caught:
                    self.parse(content_type, body, HTTPHeaders({"Content-Encoding": encoding}))
                self.assertEqual(400, caught.exception.status)
            for sent in (None, HTTPHeaders(), HTTPHeaders({"Content-Encoding": "Identity"})):
                self.assertIn("a", self.parse(content_type, body, sent)[0])
        self.parse("text/plain", b"x", HTTPHeaders({"Content-Encoding": "gzip"}))


class ContractsTest(unittest.TestCase):
    def test_what_must_be_written_says_so(self):
        connection = HTTPConnection()
        self.assertRaises(NotImplementedError, connection.write_headers, None, None)
        self.assertRaises(NotImplementedError, connection.write, b"")
        self.assertRaises(NotImplementedError, connection.finish)
        delegate = HTTPServerConnectionDelegate()
        self.assertRaises(NotImplementedError, delegate.start_request, None, None)

    def test_what_may_be_left_out_does_nothing(self):
        HTTPServerConnectionDelegate().on_close(None)
        delegate = HTTPMessageDelegate()
        delegate.headers_received(None, None)
        delegate.data_received(b"x")
        delegate.finish()
        delegate.on_connection_close()


class FakeConnection(object):
    remote_ip = "192.0.2.1"
    protocol = "https"

    def __init__(self):
        self.calls = []

    def write(self, chunk, callback=None):
        self.calls.append((chunk, callback))

    def finish(self):
        self.calls.append("finish")


class RequestTest(unittest.TestCase):
    def make(self, uri="/", body=b"", **headers):
        return HTTPServerRequest("POST", uri, "HTTP/1.1", HTTPHeaders(
            (name.replace("_", "-"), value) for name, value in headers.items()), body)

    def test_defaults(self):
        for request in (HTTPServerRequest(), HTTPServerRequest(uri="/")):
            self.assertEqual((None, "HTTP/1.0", b"", "", "127.0.0.1", "127.0.0.1"), (
                request.method, request.version, request.body, request.query, request.host,
                request.host_name))
            self.assertEqual(({}, {}, {}, {}, {}), (
                request.arguments, request.query_arguments, request.body_arguments, request.files,
                request.cookies))
            self.assertFalse(request.supports_http_1_1())
            self.assertIsInstance(request.headers, HTTPHeaders)

    def test_start_line(self):
        request = HTTPServerRequest(start_line=RequestStartLine("GET", "/a?b", "HTTP/1.1"))
        self.assertEqual(("GET", "/a?b", "/a", "b", "HTTP/1.1"), (
            request.method, request.uri, request.path, request.query, request.version))
        self.assertTrue(request.supports_http_1_1())

    def test_host(self):
        for host, name in (("X.org:80", "x.org"), ("[::1]:80", "[::1]"), ("x.org", "x.org")):
            request = self.make("/a?b", Host=host)
            self.assertEqual((host, name), (request.host, request.host_name))
            request.protocol = "http"
            self.assertEqual("http://" + host + "/a?b", request.full_url())
        self.assertEqual("given", HTTPServerRequest("GET", "/", host="given").host)

    def test_a134_host_that_is_none(self):
        for host in ("[::1", "h:99999", "h:+80", "h:"):
            self.assertIs(str, type(self.make(Host=host).host_name))

    def test_arguments(self):
        request = self.make("/?a=1&b=%FF&a=2", b"a=3&c=", Content_Type=URLENCODED)
        self.assertEqual({"a": [b"1", b"2"], "b": [b"\xff"]}, request.query_arguments)
        self.assertEqual({"a": [b"3"], "c": [b""]}, request.body_arguments)
        self.assertEqual({"a": [b"1", b"2", b"3"], "b": [b"\xff"], "c": [b""]}, request.arguments)
        # Merging does not change the parts, and each is computed once.
        self.assertEqual([b"1", b"2"], request.query_arguments["a"])
        self.assertIs(request.arguments, request.arguments)
        for values in request.arguments.values():
            values.append(b"of all")
        self.assertEqual({"a": [b"1", b"2"], "b": [b"\xff"]}, request.query_arguments)
        self.assertEqual({"a": [b"3"], "c": [b""]}, request.body_arguments)
        self.assertEqual({}, request.files)

    def test_raw_octets_in_the_query(self):
        request = self.make(b"/?a=\xc3\xa9".decode("latin-1") if str is not bytes
                            else b"/?a=\xc3\xa9")
        self.assertEqual({"a": [b"\xc3\xa9"]}, request.arguments)

    def test_files(self):
        request = self.make("/", BODY, Content_Type=MULTIPART)
        self.assertEqual(b"Bar", request.files["f"][0].body)
        self.assertEqual({"a": [b"Foo"]}, request.arguments)
        self.assertEqual({"x": []}, HTTPServerRequest("GET", "/", files={"x": []}).files)

    def test_attributes_can_be_set(self):
        request = self.make("/?a=1")
        request.arguments = {"b": [b"2"]}
        request.host = "x"
        self.assertEqual(({"b": [b"2"]}, "x"), (request.arguments, request.host))

    def test_a050_too_many_arguments_in_the_query(self):
        for uri in ("/?" + "a&" * 30000, "/?" + "a&" * 1000):
            request = self.make(uri)
            for _ in range(2):
                with self.assertRaises(HTTPInputError) as caught:
                    request.arguments
                self.assertEqual(400, caught.exception.status)
        self.assertEqual(1000, len(self.make("/?" + "a&" * 999 + "a").arguments["a"]))

    def test_a035_body_that_cannot_be_parsed(self):
        request = self.make("/?a=1", b"x", Content_Type=MULTIPART)
        for name in ("arguments", "body_arguments", "files"):
            self.assertRaises(HTTPInputError, getattr, request, name)
        self.assertEqual({"a": [b"1"]}, request.query_arguments)

    def test_cookies(self):
        request = self.make(Cookie='a=b; c="d e"; =f')
        self.assertEqual({"a": "b", "c": "d e", "": "f"}, dict(
            (name, cookie.value) for name, cookie in request.cookies.items()))
        self.assertEqual("a", request.cookies["a"].key)

    def test_cookies_in_several_lines(self):
        request = self.make()
        request.headers.add("Cookie", "a=1")
        request.headers.add("Cookie", "b=2")
        self.assertEqual(["1", "2"], [request.cookies[name].value for name in ("a", "b")])

    def test_connection(self):
        connection = FakeConnection()
        request = HTTPServerRequest("GET", "/", connection=connection)
        self.assertEqual(("192.0.2.1", "https"), (request.remote_ip, request.protocol))
        request.write(b"x", callback=len)
        request.finish()
        self.assertEqual([(b"x", len), "finish"], connection.calls)

    def test_request_time(self):
        request = HTTPServerRequest("GET", "/", connection=FakeConnection())
        first = request.request_time()
        self.assertGreaterEqual(first, 0)
        request.finish()
        spent = request.request_time()
        self.assertGreaterEqual(spent, first)
        self.assertEqual(spent, request.request_time())

    def test_repr_shows_no_secrets(self):
        request = self.make("/a", b"password", Cookie="password", Authorization="password")
        self.assertNotIn("password", repr(request))
        self.assertIn("uri='/a'", repr(request))


if given is not None:
    class PropertyTest(unittest.TestCase):
        texts = st.text(st.characters(blacklist_categories=["Cs"]))

        @settings(max_examples=100, deadline=None)
        @given(st.lists(st.tuples(texts, texts.filter(bool)), max_size=5))
        def test_url_concat_round_trip(self, pairs):
            expected = {}
            for name, value in pairs:
                expected.setdefault(name, []).append(value.encode("utf-8"))
            url = url_concat("http://h/p#f", pairs)
            self.assertTrue(url.endswith("#f"))
            request = HTTPServerRequest("GET", url[len("http://h"):-len("#f")])
            self.assertEqual(expected, request.arguments)

        @settings(max_examples=200, deadline=None)
        @given(st.text() | st.text("[]:0189.a"))
        def test_split_host_and_port_takes_anything(self, netloc):
            host, port = split_host_and_port(netloc)
            self.assertTrue(netloc.startswith(host))
            self.assertTrue(port is None or 0 <= port <= 65535)

        @settings(max_examples=200, deadline=None)
        @given(st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(9999, 1, 1)))
        def test_timestamp_round_trip(self, moment):
            text = format_timestamp(moment)
            self.assertEqual(moment.replace(microsecond=0),
                             datetime.datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT"))
            self.assertEqual(29, len(text))
