"""HTTP/1.1 as functions: heads, framing and chunks, without any connection."""
from __future__ import absolute_import, division, print_function

import itertools
import random
import unittest

from friendserve.httputil import HTTPHeaders
from friendserve.protocol import http1
from friendserve.protocol.errors import HTTPInputError, HTTPOutputError, ProtocolError
from friendserve.protocol.http1 import (
    BODY, CHUNKED, CLOSING, DONE, HEAD, IDLE, LAST_CHUNK, MAX_EMPTY_LINES, MOVES, REASONS,
    RESPONDING, UNTIL_CLOSE, UPGRADED, body_length, check_partial_head, encode_answer,
    encode_chunk, encode_head, encode_response_head, parse_request_head, parse_response_head,
    read_request_head, read_response_head, wants_keep_alive)
from friendserve.protocol.http1body import ChunkedDecoder
from tests import cpu_time

try:
    from hypothesis import given, strategies as st
except ImportError:  # version: py2
    given = None

SEED = 20090910


class EngineTest(unittest.TestCase):
    longMessage = True

    def refuse(self, status, function, *args):
        with self.assertRaises(HTTPInputError) as caught:
            function(*args)
        self.assertEqual(caught.exception.status, status, args)
        # The text goes to a log and to the peer.
        self.assertLess(len(str(caught.exception)), 400)


class RequestHeadTest(EngineTest):
    def test_head(self):
        method, target, version, headers = parse_request_head(
            b"GET /a?b HTTP/1.1\r\nHost: h\r\nX:  y \r\nx: z\r\n\r\n")
        self.assertEqual((method, target, version), ("GET", "/a?b", "HTTP/1.1"))
        for text in (method, target, version):
            self.assertIs(type(text), str)
        self.assertEqual(sorted(headers.get_all()), [("Host", "h"), ("X", "y"), ("X", "z")])

    def test_octets_stay_octets(self):
        _, target, _, headers = parse_request_head(
            b"GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\nX: \xe9\r\n\r\n")
        self.assertEqual(target, "/\xc3\xa9")
        self.assertEqual(headers["X"], "\xe9")

    def test_a129_versions(self):
        for written, version in ((b"1.0", "HTTP/1.0"), (b"1.1", "HTTP/1.1"), (b"1.9", "HTTP/1.1")):
            head = b"GET / HTTP/" + written + b"\r\nHost: h\r\n\r\n"
            self.assertEqual(parse_request_head(head)[2], version)
        for status, written in ((505, b"2.0"), (505, b"0.9"), (400, b"1.10"), (400, b"1"),
                                (400, b"1.1x"), (400, b"1.1 "), (400, b"\xb2.0")):
            self.refuse(status, parse_request_head,
                        b"GET / HTTP/" + written + b"\r\nHost: h\r\n\r\n")

    def test_a131_a134_targets(self):
        for target, path, host in [
                (b"/p", "/p", "other"), (b"//a/b", "//a/b", "other"), (b"/a#b", "/a#b", "other"),
                (b"http://h/p", "/p", "h"), (b"HTTPS://h:1", "/", "h:1"),
                (b"http://h?q", "/?q", "h"), (b"http://[::1]:80/", "/", "[::1]:80")]:
            _, uri, _, headers = parse_request_head(
                b"GET " + target + b" HTTP/1.1\r\nHost: other\r\n\r\n")
            self.assertEqual((uri, headers.get_list("Host")), (path, [host]))
        for target in (b"*", b"foo", b"h:1", b"http://", b"http://[::1/", b"http://u:p@h/",
                       b"http:/h/", b"ftp://h/", b"://h/", b"http://h\x80/"):
            self.refuse(400, parse_request_head, b"GET " + target + b" HTTP/1.1\r\nHost: o\r\n\r\n")
        self.refuse(405, parse_request_head, b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertEqual(parse_request_head(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")[1], "*")

    def test_a135_empty_lines_before_it(self):
        head = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
        for count in range(MAX_EMPTY_LINES + 1):
            self.assertEqual(parse_request_head(b"\r\n" * count + head)[1], "/")
            check_partial_head(b"\r\n" * count + head[:-4], b"")
        for count in (MAX_EMPTY_LINES + 1, 10000):
            self.refuse(400, parse_request_head, b"\r\n" * count + head)
            self.refuse(400, check_partial_head, b"\r\n" * count + head[:-4], b"")
        for count in (2, 3, 10000):
            self.refuse(400, parse_request_head, b"\r\n" * count)

    def test_limits(self):
        head = b"GET /" + b"a" * 86 + b" HTTP/1.1\r\nHost: h\r\nX: y\r\nX: y\r\n\r\n"
        parse_request_head(head, 100, 3)
        self.refuse(414, parse_request_head, head, 99, 3)
        self.refuse(431, parse_request_head, head, 100, 2)

    def test_a126_time_is_linear(self):
        def spend(size):
            head = (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X:" + b" \t" * size + b"\x10\r\n\r\n")
            start = cpu_time()
            self.refuse(400, parse_request_head, head)
            return cpu_time() - start

        self.assertLess(min(spend(200000) for _ in range(3)),
                        60 * max(min(spend(20000) for _ in range(3)), 1e-5))

    def test_a135_time_for_empty_lines_is_linear(self):
        data = b"\r\n" * 1000000
        start = cpu_time()
        self.refuse(400, parse_request_head, data)
        self.refuse(400, check_partial_head, data, b"")
        self.assertLess(cpu_time() - start, 10)


class ReadRequestHeadTest(EngineTest):
    """The memo of heads does not change results."""
    def setUp(self):
        http1._heads.clear()
        http1._seen.clear()

    def read_again(self, head):
        first = read_request_head(head)
        before = first[3].copy()
        # The second time it may be remembered, the third time known.
        for _ in range(3):
            # A caller may change the headers it received.
            first[3]["Host"] = "changed"
            first[3].add("X", "added")
            again = read_request_head(head)
            self.assertEqual(again[:3] + again[4:], first[:3] + first[4:])
            self.assertEqual(sorted(again[3].get_all()), sorted(before.get_all()))
            first = again
        return again

    def test_same_as_the_first_time(self):
        for head in (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
                     b"GET /?q HTTP/1.0\r\nX: y\r\nConnection: keep-alive\r\n\r\n",
                     b"GET http://a/ HTTP/1.1\r\nHost: h\r\nX: y\r\nX: z\r\n\r\n",
                     b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n",
                     b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"):
            method, target, version, headers, length, keep_alive = self.read_again(head)
            self.assertEqual((method, target, version), parse_request_head(head)[:3])
            self.assertEqual(headers, parse_request_head(head)[3])
            self.assertEqual(length, body_length(headers, version))
            self.assertEqual(keep_alive, wants_keep_alive(headers, version))

    def test_refused_again(self):
        for head in (b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/2.0\r\n\r\n",
                     b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n"):
            for _ in range(3):
                self.assertRaises(HTTPInputError, read_request_head, head)

    def test_secrets_are_not_remembered(self):
        for head in (b"GET / HTTP/1.1\r\nHost: h\r\nCookie: secret\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: h\r\nAUTHORIZATION: secret\r\n\r\n",
                     b"GET /?secret HTTP/1.1\r\nHost: h\r\n\r\n"):
            for _ in range(3):
                read_request_head(head)
        self.assertNotIn("secret", repr(http1._heads))

    def test_a014_memory_is_bounded(self):
        for number in range(2 * http1._HEADS):
            for _ in range(3):
                read_request_head(("GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number).encode("ascii"))
            self.assertLessEqual(len(http1._heads), http1._HEADS)
            self.assertLessEqual(len(http1._seen), http1._HEADS)
        self.assertIn(("GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number).encode("ascii"),
                      http1._heads)
        for _ in range(3):
            read_request_head(b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"y" * 5000 + b"\r\n\r\n")
        self.assertTrue(all(len(head) <= http1._HEAD_LENGTH for head in http1._heads))

    def test_a014_memory_for_hosts_is_bounded(self):
        for number in range(2 * http1._HEADS):
            host = "host%d" % number
            read_request_head(("GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % host).encode("ascii"))
            self.assertIn(host, http1._hosts)
            self.assertLessEqual(len(http1._hosts), http1._HEADS)
        host = "h" * 5000
        head = ("GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % host).encode("ascii")
        self.assertEqual(host, read_request_head(head)[3]["Host"])
        self.assertNotIn(host, http1._hosts)

    def test_b422_a_head_that_never_comes_back_is_not_remembered(self):
        known = b"GET /known HTTP/1.1\r\nHost: h\r\n\r\n"
        for _ in range(2):
            read_request_head(known)
        for number in range(3 * http1._HEADS):
            read_request_head(("GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number).encode("ascii"))
        self.assertEqual([known], list(http1._heads))

    def test_limits_of_another_server(self):
        head = b"GET /" + b"a" * 86 + b" HTTP/1.1\r\nHost: h\r\nX: y\r\nY: z\r\n\r\n"
        for _ in range(3):
            read_request_head(head)
        self.refuse(414, read_request_head, head, 99)
        self.refuse(431, read_request_head, head, 100, 2)
        # A cookie is one more field, and is read apart from those of a remembered head.
        for number in range(39, 42):
            lines = ["GET / HTTP/1.1", "Host: h"] + ["A%d: b" % line for line in range(1, number)]
            for line in ([], [], [], ["Cookie: c"]):
                head = "\r\n".join(lines + line + ["", ""]).encode("ascii")
                self.assertEqual(number + len(line), len(read_request_head(head)[3]))
            self.refuse(431, read_request_head, head, 8192, number)


class PartialHeadTest(EngineTest):
    HEAD = b"\r\nGET /a?b HTTP/1.1\r\nHost: example.com\r\nX: y\r\n\r\n"

    def test_no_beginning_of_a_good_head_is_refused(self):
        for end in range(len(self.HEAD)):
            for looked_at in range(end + 1):
                check_partial_head(self.HEAD[:end], self.HEAD[looked_at:end])

    def test_longest_request_line(self):
        head = b"GET /" + b"a" * 86 + b" HTTP/1.1\r\nHost: h\r\n"
        for end in range(len(head)):
            check_partial_head(head[:end], head[:end], 100)
        self.refuse(414, check_partial_head, head[:100], b"", 99)
        self.refuse(414, check_partial_head, head[:101], b"", 99)
        self.refuse(414, check_partial_head, b"a" * 101, b"", 100)

    def test_a108_bare_line_feeds(self):
        for data in (b"GET / HTTP/1.1\n", b"GET / HTTP/1.1\r\nHost: h\nX", b"\nGET /"):
            self.refuse(400, check_partial_head, data, data)

    def test_a136_other_protocols(self):
        for data in (b"\x16\x03\x01\x02\x00", b"GET /\r\n", b"SSH-2.0-x\r\n", b"\x00", b"*1\r\n",
                     b"{\"a\": 1", b"\x80\x2e", b" GET"):
            self.refuse(400, check_partial_head, data, data)
        self.refuse(505, check_partial_head, b"PRI * HTTP/2.0\r\n", b"")


class ResponseHeadTest(EngineTest):
    def test_heads(self):
        version, status, reason, headers = parse_response_head(
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n")
        self.assertEqual((version, status, reason), ("HTTP/1.1", 404, "Not Found"))
        self.assertEqual(headers["Content-Length"], "5")
        self.assertEqual(parse_response_head(b"HTTP/1.0 200 \r\n\r\n")[:3], ("HTTP/1.0", 200, ""))

    def test_b337_few_short_heads_are_remembered(self):
        known = http1._response_heads
        head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n%s\r\n"
        known.clear()
        for extra, arguments in (("X: %s\r\n" % ("y" * http1._HEAD_LENGTH), ()),
                                 ("X: %s\r\n" % ("y" * http1._HEAD_LENGTH), ("GET", 50)),
                                 ("".join("X-%d: y\r\n" % number for number in range(60)), ()),
                                 ("", ("HEAD",)), ("", ("GET", 10)), ("X: a\r\nX: b\r\n", ())):
            read_response_head((head % extra).encode("ascii"), *arguments)
            self.assertEqual({}, known, (extra[:20], arguments))
        for number in range(2 * http1._HEADS):
            read_response_head((head % ("X: %d\r\n" % number)).encode("ascii"))
            self.assertLessEqual(len(known), http1._HEADS)
        self.assertIn((head % ("X: %d\r\n" % number)).encode("ascii"), known)

    def test_b337_a_remembered_head_is_that_of_a_get(self):
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        for _ in range(2):
            self.assertEqual(5, read_response_head(head)[4])
            self.assertEqual(0, read_response_head(head, "HEAD")[4])
            self.assertEqual(0, read_response_head(head, "CONNECT")[4])
            self.refuse(431, read_response_head, head, "GET", 0)

    def test_a140_status_lines(self):
        self.assertEqual(parse_response_head(b"HTTP/1.1 200\r\n\r\n")[1:3], (200, ""))
        for line in (b"HTTP/1.1 200OK", b"HTTP/1.1 2000", b"HTTP/1.1 099 X", b"HTTP/1.1 20 X",
                     b"HTTP/1.1  200 OK", b"HTTP/2.0 200 OK", b"http/1.1 200 OK", b"", b"200 OK",
                     b"HTTP/1.1 200 O\x00K", b"HTTP/1.1 2\xb20 OK", b"HTTP/1.1"):
            self.refuse(400, parse_response_head, line + b"\r\n\r\n")
        self.refuse(400, parse_response_head, b"HTTP/1.1 200 OK\r\nX y\r\n\r\n")
        self.refuse(431, parse_response_head,
                    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5001 + b"\r\n")


class FramingTest(EngineTest):
    def test_requests(self):
        for fields, wanted in [({}, 0), ({"Content-Length": "0"}, 0), ({"Content-Length": "5"}, 5),
                               ({"Transfer-Encoding": "chunked"}, CHUNKED)]:
            self.assertEqual(body_length(HTTPHeaders(fields), "HTTP/1.1"), wanted)

    def test_a103_a104_contradictions(self):
        both = HTTPHeaders({"Content-Length": "5", "Transfer-Encoding": "chunked"})
        chunked = HTTPHeaders({"Transfer-Encoding": "chunked"})
        self.refuse(400, body_length, both, "HTTP/1.1")
        self.refuse(400, body_length, chunked, "HTTP/1.0")
        # A023: for a client too.
        self.refuse(400, body_length, both, "HTTP/1.1", 200, "GET")
        self.refuse(400, body_length, chunked, "HTTP/1.0", 200, "GET")

    def test_a141_responses_without_a_body(self):
        length = HTTPHeaders({"Content-Length": "100"})
        for status, method in ((304, "GET"), (200, "HEAD"), (404, "HEAD"), (200, "CONNECT")):
            self.assertEqual(body_length(length, "HTTP/1.1", status, method), 0)
            self.assertEqual(body_length(HTTPHeaders(), "HTTP/1.1", status, method), 0)

    def test_a694_statuses_beside_those_without_a_body(self):
        length = HTTPHeaders({"Content-Length": "100"})
        for status, method in ((200, "GET"), (203, "GET"), (205, "GET"), (303, "GET"), (305, "GET"),
                               (300, "CONNECT"), (407, "CONNECT"), (200, "OPTIONS")):
            self.assertEqual(100, body_length(length, "HTTP/1.1", status, method))
            self.assertEqual(UNTIL_CLOSE, body_length(HTTPHeaders(), "HTTP/1.1", status, method))
        for status in (199, 299):
            self.assertEqual(0, body_length(HTTPHeaders(), "HTTP/1.1", status, "CONNECT"))

    def test_a140_responses_that_must_not_promise_a_body(self):
        for status in (100, 101, 204):
            self.assertEqual(body_length(HTTPHeaders(), "HTTP/1.1", status, "GET"), 0)
            self.assertEqual(body_length(HTTPHeaders({"Content-Length": "0"}), "HTTP/1.1",
                                         status, "GET"), 0)
            for headers in ({"Content-Length": "100"}, {"Transfer-Encoding": "chunked"}):
                self.assertRaises(HTTPInputError, body_length, HTTPHeaders(headers), "HTTP/1.1",
                                  status, "GET")

    def test_responses(self):
        self.assertEqual(
            body_length(HTTPHeaders({"Content-Length": "5"}), "HTTP/1.1", 200, "GET"), 5)
        self.assertEqual(body_length(HTTPHeaders(), "HTTP/1.1", 200, "GET"), UNTIL_CLOSE)
        self.assertEqual(body_length(
            HTTPHeaders({"Transfer-Encoding": "chunked"}), "HTTP/1.1", 404, "POST"), CHUNKED)

    def test_a137_keep_alive(self):
        for value, in_1_1, in_1_0 in [
                (None, True, False), ("close", False, False), ("CLOSE", False, False),
                ("keep-alive", True, True), ("Keep-Alive", True, True),
                ("close, keep-alive", False, False), ("keep-alive,close", False, False),
                ("Upgrade, Keep-Alive", True, True), ("Upgrade", True, False),
                ("closed", True, False), (" , close ,", False, False)]:
            headers = HTTPHeaders({"Connection": value} if value is not None else {})
            self.assertIs(wants_keep_alive(headers, "HTTP/1.1"), in_1_1, value)
            self.assertIs(wants_keep_alive(headers, "HTTP/1.0"), in_1_0, value)
        headers = HTTPHeaders()
        headers.add("Connection", "keep-alive")
        headers.add("Connection", "close")
        self.assertIs(wants_keep_alive(headers, "HTTP/1.1"), False)

    def test_moves(self):
        states = (IDLE, HEAD, BODY, RESPONDING, DONE, CLOSING, UPGRADED)
        for old, new in itertools.product(states, states):
            self.assertEqual(MOVES.get((old, new), new), new)
        # A connection can be closed in each state, except after the stream was handed over.
        for old in states:
            self.assertEqual((old, CLOSING) in MOVES, old is not UPGRADED)
        # Nothing more is parsed after these.
        for new in states[:-2]:
            self.assertNotIn((CLOSING, new), MOVES)
            self.assertNotIn((UPGRADED, new), MOVES)


class EncodeAnswerTest(EngineTest):
    def test_b336_an_answer_of_the_server_itself(self):
        for status, text, line in (
                (404, "", b"404 Not Found\n"), (400, "so", b"400 Bad Request: so\n"),
                (799, "", b"799 Error\n"), (400, u"\xe9", b"400 Bad Request: \\xe9\n")):
            for head_only in (False, True):
                data = encode_answer(status, text, "now", head_only)
                head, _, body = data.partition(b"\r\n\r\n")
                version, code, reason, headers = parse_response_head(head + b"\r\n\r\n")
                self.assertEqual(("HTTP/1.1", status), (version, code))
                self.assertEqual("%d %s" % (status, reason),
                                 line.decode("ascii").strip().partition(":")[0])
                self.assertEqual(b"" if head_only else line, body)
                self.assertEqual(str(len(line)), headers["Content-Length"])
                self.assertEqual(("close", "now"), (headers["Connection"], headers["Date"]))


class EncodeHeadTest(EngineTest):
    def test_head(self):
        headers = HTTPHeaders({"A": "b"})
        self.assertEqual(encode_head("HTTP/1.1 200 OK", headers),
                         b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n")
        headers.add("A", "c")
        self.assertEqual(encode_head("HTTP/1.1 200 OK", headers),
                         b"HTTP/1.1 200 OK\r\nA: b\r\nA: c\r\n\r\n")
        self.assertEqual(encode_head("HTTP/1.1 204 No Content", HTTPHeaders()),
                         b"HTTP/1.1 204 No Content\r\n\r\n")
        self.assertEqual(encode_head("X", HTTPHeaders({"A": "\xe9"})), b"X\r\nA: \xe9\r\n\r\n")

    def test_line_breaks(self):
        for value in ("a\r\nb: c", "a\n", "\r", "a\x00"):
            for headers in (HTTPHeaders({"A": value}), HTTPHeaders({"A" + value: "b"})):
                self.assertRaises(HTTPOutputError, encode_head, "HTTP/1.1 200 OK", headers)
            self.assertRaises(HTTPOutputError, encode_head, "HTTP/1.1 200 " + value, HTTPHeaders())

    def test_only_a_whole_line_is_a_value(self):
        for _ in range(2):
            self.assertRaises(HTTPOutputError, encode_head, "X", HTTPHeaders({"A": "b\n"}))

    def test_b490_heads_of_responses_that_differ_little(self):
        one = [("Server", "s"), ("Date", "d")]
        for start_line, pairs, etag, size in [
                ("A", one, '"e1"', 5), ("A", one, '"e1"', 5), ("A", one, '"e2"', 5),
                ("A", one, '"e2"', 6), ("B", one, '"e2"', 6), ("B", one[:1], '"e2"', 6),
                ("B", [("Server", "t"), ("Date", "d")], '"e2"', 6), ("B", one, None, 6),
                ("B", one, 'W/"e3"', 6), ("B", one, '"\xe9"', 6), ("B", one, '"e2"', 6),
                ("B", one + [("Vary", "x"), ("Vary", "y")], '"e2"', 6),
                ("B", one + [("Vary", "x"), ("Vary", "z")], '"e2"', 6),
                ("B", one + [("Set-Cookie", "secret")], '"e2"', 6)]:
            headers = HTTPHeaders(pairs + ([("Etag", etag)] if etag else []))
            expected = encode_head(start_line, HTTPHeaders(
                list(headers.get_all()) + [("Content-Length", str(size))]))
            for _ in range(2):
                again = headers.copy()
                # Before Python 3.6, dicts have no order.
                self.assertEqual(sorted(expected.split(b"\r\n")), sorted(
                    encode_response_head(start_line, again, size).split(b"\r\n")))
                self.assertEqual(str(size), again["Content-Length"])
        for _ in range(2):
            for etag in ('"a\r\nb"', '\n"a"', '"a"\r', u"\u20ac", u"\u65e5"):
                self.assertRaises(HTTPOutputError, encode_response_head, "A", HTTPHeaders(
                    one + [("Etag", etag)]), 5)

    def test_b492_a_head_of_another_thread_in_between(self):
        start_line = "HTTP/1.1 200 OK"

        class Interrupted(str):
            """While this is first compared, another thread encodes a head."""
            __hash__ = str.__hash__
            is_new = True

            def __eq__(self, other):
                if self.is_new:
                    self.is_new = False
                    encode_response_head(start_line, HTTPHeaders({"A": "c", "Etag": '"e2"'}), 9)
                return str(self) == str(other)

        for etag in ('"e1"', '"e2"', 'W/"e1"'):
            for size in (5, 9):
                encode_response_head(start_line, HTTPHeaders({"A": "b", "Etag": '"e1"'}), 5)
                value = Interrupted("b")
                head = encode_response_head(
                    start_line, HTTPHeaders({"A": value, "Etag": etag}), size)
                self.assertFalse(value.is_new)
                self.assertEqual(
                    [("A", "b"), ("Content-Length", str(size)), ("Etag", etag)],
                    sorted(parse_response_head(head)[3].get_all()))

    def test_b493_an_etag_that_is_not_one_text(self):
        def outcome(encode, etag, *args):
            values = {"A": "b", "Etag": etag}
            if not args:
                values["Content-Length"] = "5"
            try:
                head = encode("C", HTTPHeaders.from_values(values), *args)
            except Exception as error:
                return type(error)
            return sorted(head.split(b"\r\n"))

        for etag in (['"e1"', '"e2"'], ["e1"], 5, None, u'"e1"', u"\xe9"):
            for before in ('"e1"', 'W/"e1"', None):
                # The last head is another one, of the same size, then one that differs little.
                encode_response_head("D", HTTPHeaders({"A": "b", "Etag": '"e1"'}), 5)
                outcome(encode_response_head, before, 5)
                self.assertEqual(outcome(encode_head, etag),
                                 outcome(encode_response_head, etag, 5), (etag, before))

    def test_not_latin_1(self):
        self.assertRaises(HTTPOutputError, encode_head, "X", HTTPHeaders({"A": u"\u20ac"}))

    def test_round_trip(self):
        headers = HTTPHeaders({"Host": "h", "X": "\xe9 y", "Set": "1"})
        headers.add("Set", "2")
        parsed = parse_request_head(encode_head("GET /a HTTP/1.1", headers))
        self.assertEqual(parsed[3], headers)

    def test_errors_are_one_family(self):
        self.assertTrue(issubclass(HTTPInputError, ProtocolError))
        self.assertTrue(issubclass(HTTPOutputError, ProtocolError))

    def test_reasons(self):
        for status in (100, 200, 304, 404, 408, 413, 414, 417, 431, 500, 501, 505):
            self.assertTrue(REASONS[status])


class ChunksTest(EngineTest):
    def decode(self, *pieces, **options):
        decoder = ChunkedDecoder(options.get("limit", 1000000))
        body = b"".join([decoder.feed(piece) for piece in pieces])
        return body, decoder.unused

    def decode_each_way(self, data):
        """The result of decoding `data` whole, byte by byte, and cut in two at each place; it must
        be the same."""
        whole = self.decode(data)
        for pieces in [[data[i:i + 1] for i in range(len(data))]] + [
                [data[:i], data[i:]] for i in range(len(data))]:
            decoder = ChunkedDecoder(1000000)
            body, unused = [], b""
            for piece in pieces:
                if decoder.unused is None:
                    body.append(decoder.feed(piece))
                    unused = decoder.unused
                else:
                    unused += piece
            self.assertEqual((b"".join(body), unused), whole)
        return whole

    def test_bodies(self):
        for data, wanted in [
                (b"0\r\n\r\n", (b"", b"")), (b"5\r\nhello\r\n0\r\n\r\n", (b"hello", b"")),
                (b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\nrest", (b"abc", b"rest")),
                (b"A;x=y\r\n0123456789\r\n00\r\nX: y\r\n\r\nGET", (b"0123456789", b"GET")),
                (b"2\r\n\r\n\r\n0\r\n\r\n", (b"\r\n", b"")), (b"5\r\nhel", (b"hel", None)),
                (b"0\r\n", (b"", None)), (b"0\r\nX: y\r\n", (b"", None))]:
            self.assertEqual(self.decode_each_way(data), wanted)

    def test_refused_each_way(self):
        # A031 A109 A110 A112 A113 A214
        for data in (b"+1\r\na", b"1_a\r\n", b"0x1\r\n", b"-0\r\n\r\n", b"\r\n", b";x\r\n",
                     b"5 \r\n", b" 5\r\n", b"5\t;x\r\n", b"5\nhello", b"g\r\n",
                     b"5;\x00\r\n", b"5;a\rb\r\n",
                     b"f" * 16 + b"\r\n", b"1" * 70, b"1\r\nab\r\n", b"1\r\na\n0\r\n\r\n",
                     b"1\r\na\rb", b"0\r\nX\r\n\r\n", b"0\r\n : y\r\n\r\n", b"0\r\nX: \x00\r\n\r\n",
                     b"0\r\nX: y\n\n"):
            self.refuse(400, self.decode, data)
            self.refuse(400, self.decode, *[data[i:i + 1] for i in range(len(data))])

    def test_a116_limit_as_soon_as_it_is_passed(self):
        decoder = ChunkedDecoder(10)
        self.assertEqual(decoder.feed(b"8\r\n01234567\r\n"), b"01234567")
        self.refuse(413, decoder.feed, b"3\r\n")
        self.assertEqual(self.decode(b"a\r\n0123456789\r\n0\r\n\r\n", limit=10)[1], b"")
        self.refuse(413, ChunkedDecoder(10).feed, b"b\r\n")
        self.refuse(413, ChunkedDecoder(2 ** 40).feed, b"f" * 15 + b"\r\n")

    def test_a115_trailers(self):
        line = b"X: " + b"y" * 50 + b"\r\n"
        self.assertEqual(self.decode(b"0\r\n" + line * 100 + b"\r\nGET"), (b"", b"GET"))
        self.refuse(431, self.decode, b"0\r\n" + line * 101)
        self.refuse(400, self.decode, b"0\r\nX: " + b"y" * 10000)
        self.refuse(400, self.decode, *[b"0\r\nX: "] + [b"y" * 100] * 100)

    def test_nothing_after_the_end(self):
        decoder = ChunkedDecoder(10)
        decoder.feed(LAST_CHUNK)
        self.assertRaises(HTTPOutputError, decoder.feed, b"x")

    def test_encode_chunk(self):
        self.assertEqual(encode_chunk(b"0123456789abcdef"), b"10\r\n0123456789abcdef\r\n")

    def test_a053_many_small_chunks_make_one_piece(self):
        decoder = ChunkedDecoder(10 ** 7)
        data = b"1\r\na\r\n" * 100000
        start = cpu_time()
        piece = decoder.feed(data)
        self.assertLess(cpu_time() - start, 10)
        self.assertEqual(piece, b"a" * 100000)

    def test_cut_anywhere(self):
        generator = random.Random(SEED)
        for _ in range(100):
            chunks = [b"x" * generator.randint(1, 300) for _ in range(generator.randint(0, 9))]
            data = b"".join(map(encode_chunk, chunks)) + LAST_CHUNK + b"next"
            places = sorted(generator.randint(0, len(data) - 8) for _ in range(5))
            pieces = [data[start:end] for start, end in zip([0] + places, places + [len(data)])]
            self.assertEqual(self.decode(*pieces), (b"".join(chunks), b"next"))


if given is not None:
    class PropertyTest(unittest.TestCase):
        @given(st.binary(max_size=200))
        def test_any_bytes_are_a_head_or_refused(self, data):
            for function in (parse_request_head, parse_response_head, read_request_head):
                try:
                    function(data + b"\r\n\r\n")
                except HTTPInputError:
                    pass
            try:
                check_partial_head(data, data)
            except HTTPInputError:
                self.assertRaises(HTTPInputError, parse_request_head, data + b"\r\n\r\n")

        @given(st.binary(max_size=200))
        def test_any_bytes_are_chunks_or_refused(self, data):
            results = []
            for pieces in ([data], [data[i:i + 1] for i in range(len(data))]):
                decoder, body = ChunkedDecoder(1000), b""
                try:
                    for piece in pieces:
                        if decoder.unused is None:
                            body += decoder.feed(piece)
                    results.append((body, decoder.unused is None))
                except HTTPInputError as error:
                    results.append(error.status)
            self.assertEqual(results[0], results[1])

        @given(st.lists(st.binary(min_size=1, max_size=40)), st.integers(1, 9))
        def test_round_trip(self, chunks, step):
            data = b"".join(map(encode_chunk, chunks)) + LAST_CHUNK
            decoder = ChunkedDecoder(10000)
            body = b"".join([decoder.feed(data[i:i + step]) for i in range(0, len(data), step)])
            self.assertEqual((body, decoder.unused), (b"".join(chunks), b""))


class RememberedHeadTest(unittest.TestCase):
    """A remembered head never changes the result of the next one."""

    PARTS = [b"Host: a", b"X: 1", b"Cookie: a=b", b"Cookie: c=d", b"cookie: e", b"Cookie:f",
             b" fold", b"Cookie: \x01", b"Content-Length: 3", b"Connection: close",
             b"Authorization: x", b"Transfer-Encoding: chunked", b"Cookie: ", b"Cook"]

    @staticmethod
    def outcome(read, head):
        try:
            said = read(head)
        except HTTPInputError as error:
            return str(error)
        method, target, version, headers = said[:4]
        length, keep_alive = said[4:] or (http1.body_length(headers, version),
                                          http1.wants_keep_alive(headers, version))
        return method, target, version, sorted(headers.get_all()), length, keep_alive

    @staticmethod
    def parse(head):
        said = http1.parse_request_head(head)
        http1.body_length(said[3], said[2])
        return said

    def test_same_as_parsed_afresh(self):
        choose = random.Random(5)
        for _ in range(20000):
            lines = [choose.choice([
                b"GET / HTTP/1.1", b"POST /a HTTP/1.0", b"GET http://z/ HTTP/1.1"])]
            lines += [choose.choice(self.PARTS) for _ in range(choose.randint(0, 6))]
            head = b"\r\n".join(lines) + b"\r\n\r\n"
            self.assertEqual(self.outcome(self.parse, head),
                             self.outcome(http1.read_request_head, head), head)


if str is not bytes:
    class ScannedHeadTest(unittest.TestCase):
        """What PyPy does with a head, on every Python 3."""

        def scan(self, head):
            values = {}
            line, count = http1._scan_plain_head(head, values)
            return line, count, values

        def test_b496_a_plain_head(self):
            head = b"GET /a?b HTTP/1.1\r\nHost: h\r\nAccept: a: b, c\r\nDate: x\r\n\r\n"
            self.assertEqual(("GET /a?b HTTP/1.1", 3,
                              {"Host": "h", "Accept": "a: b, c", "Date": "x"}), self.scan(head))

        def test_b496_what_the_strict_parser_has_to_look_at(self):
            for head in (b"G\rHost: h", b"G\nHost: h", b"G\r\nHost:h", b"G\r\nHost:  h",
                         b"G\r\nHost: h ", b"G\r\nHost: ", b"G\r\nHost:", b"G\r\nHost",
                         b"G\r\nHost: a\nb", b"G\r\nHost: a\rb", b"G\r\nHost: a\tb",
                         b"G\r\nHost: a\0b", b"G\r\nHost: \xe9", b"G\r\nhost : h", b"\r\nG",
                         b"G\r\n Host: h", b"G\r\n: h", b"G\r\nHost: h\r\n b", b"G\x7f",
                         b"G\r\nHost: h\r\n\r\nDate: x", b"G\r\nHost: h\n\nDate: x\r\r"):
                with self.assertRaises((KeyError, ValueError), msg=head):
                    self.scan(head + b"\r\n\r\n")
            with self.assertRaises((KeyError, ValueError)):
                self.scan(b"G\r\nHost: h\r\n")

        def test_b496_the_same_as_the_strict_parser_wherever_a_byte_changes(self):
            head = b"GET / HTTP/1.1\r\nHost: h\r\nAccept: a b\r\nDate: x\r\n\r\n"
            for position in range(len(head) - 4):
                for octet in (0, 9, 10, 13, 32, 33, 48, 58, 65, 97, 127, 128, 233):
                    changed = bytearray(head)
                    changed[position] = octet
                    changed = bytes(changed)
                    try:
                        line, count, values = self.scan(changed)
                    except (KeyError, ValueError):
                        continue
                    if len(values) == count and len(line.split(" ")) == 3:
                        try:
                            parsed = http1.parse_request_head(changed)
                        except HTTPInputError:
                            # For its first line or its Host, which are checked afterwards.
                            self.assertTrue(position < 14 or position == 22,
                                            changed)
                            continue
                        self.assertEqual(dict(parsed[3].get_all()), values, changed)
