"""The same bytes get the same answer, whatever was remembered before (rows A652 and A655)."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.httputil import HTTPHeaders, HTTPServerRequest
from friendserve.protocol import http1
from friendserve.protocol.cookies import parse_cookie
from friendserve.protocol.errors import HTTPInputError


def read_strictly(head):
    """As `read_request_head`, by the strict parser alone."""
    method, target, version, headers = http1.parse_request_head(head)
    return (method, target, version, headers, http1.body_length(headers, version),
            http1.wants_keep_alive(headers, version))


def outcome(head, read=http1.read_request_head):
    """What `read` makes of a head, or the status of its refusal."""
    try:
        method, target, version, headers, length, keep_alive = read(head)
    except HTTPInputError as error:
        return error.status
    return method, target, version, sorted(headers.get_all()), length, keep_alive


class RememberedHeadTest(unittest.TestCase):
    HEADS = (b"GET / HTTP/1.1\r\nHost: h\r\nAccept: *\r\n\r\n",
             b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
             b"\r\nPOST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n")
    LINES = (b"Cookie: a=b", b"cookie: a=b", b"Cookie: a\r\n b", b"Cookie: a\0b", b"Cookie: ",
             b" Cookie: a=b", b"Cookie:a=b", b"Cookie: a=b\r\nCookie: c=d", b"Cookie: a=b\r\n")

    def test_a652_a_cookie_anywhere(self):
        for head in self.HEADS:
            lines = head.split(b"\r\n")
            for number in range(len(lines) - 1):
                for line in self.LINES:
                    with_cookie = b"\r\n".join(lines[:number] + [line] + lines[number:])
                    http1._heads.clear()
                    fresh = outcome(with_cookie)
                    # Not the same head: a look-up must not make it so.
                    for before in (head, head.lstrip(b"\r\n"), with_cookie):
                        # A head is remembered when it arrives for the second time.
                        outcome(before)
                        outcome(before)
                        self.assertEqual(fresh, outcome(with_cookie), with_cookie)

    def test_a652_a_cookie_before_the_request_line_is_refused(self):
        known = b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"
        http1._heads.clear()
        for _ in range(2):
            self.assertEqual("GET", outcome(known)[0])
        self.assertEqual(400, outcome(b"\r\n\r\nCookie: a=b" + known[2:]))
        self.assertEqual(400, outcome(b"\r\nCookie: a=b" + known[2:]))


class PlainHeadTest(unittest.TestCase):
    HEADS = (b"GET /a?b=c HTTP/1.1\r\nHost: h:8\r\nAccept: *\r\nConnection: close\r\n\r\n",
             b"POST / HTTP/1.1\r\nhost: h\r\nContent-Length: 5\r\nCookie: a=b; c=d\r\n\r\n",
             b"PUT /a HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\n\r\n")
    PIECES = (b"", b" ", b"  ", b"\t", b"\r", b"\n", b"\r\n", b"\0", b"\x0b", b"\x1c", b"\x7f",
              b"\x85", b"\xa0", b"\xff", b":", b"::", b"/", b"?", b"%", b"0", b"HTTP/1.0",
              b"A: b\r\n", b"Host: h\r\n", b"Host: a b\r\n", b"Content-Length: 1\r\n",
              b"accept:\r\n")

    def test_b491_one_pass_agrees_with_the_strict_parser(self):
        for head in self.HEADS:
            self.assertIsInstance(outcome(head, read_strictly), tuple)
            # At each place a piece takes the place of none, one or three bytes.
            for start in range(len(head) - 3):
                for piece in self.PIECES:
                    for end in (start, start + 1, start + 3):
                        changed = head[:start] + piece + head[end:]
                        # A connection passes on what ends with the first empty line.
                        if changed.find(b"\r\n\r\n") == len(changed) - 4:
                            self.assertEqual(
                                outcome(changed, read_strictly), outcome(changed), changed)


class FirstCookieTest(unittest.TestCase):
    def test_a655_the_first_of_one_name_counts(self):
        for header, value in (("a=1; a=2", "1"), ("a=; a=2", ""), ('a="1"; b=3; a=2; a=4', "1"),
                              ("a=\x01; a=2", "2")):
            self.assertEqual(value, parse_cookie(header)["a"], header)
        self.assertEqual("x", parse_cookie("x; y")[""])

    def test_a655_over_several_lines(self):
        headers = HTTPHeaders()
        headers.add("Cookie", "a=1")
        headers.add("Cookie", "b=2; a=3")
        request = HTTPServerRequest("GET", "/", headers=headers)
        self.assertEqual("1", request.cookies["a"].value)


if __name__ == "__main__":
    unittest.main()
