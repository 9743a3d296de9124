"""Header fields: the mapping, the strict reader of lines, and its table of names."""
from __future__ import absolute_import, division, print_function

import copy
import pickle
import sys
import unittest

from friendserve.httputil import HTTPHeaders as PublicHeaders
from friendserve.protocol import headers as module
from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.grammar import (
    find_control, is_content_length, is_field_value, is_host, is_token, split_list)
from friendserve.protocol.headers import (
    HTTPHeaders, check_field, normalize_name, parse_field_line, parse_fields)
from tests import cpu_time

try:
    from hypothesis import given, strategies as st
except ImportError:  # version: py2
    given = None


class HTTPHeadersTest(unittest.TestCase):
    def test_public_name(self):
        self.assertIs(PublicHeaders, HTTPHeaders)

    def test_any_case(self):
        headers = HTTPHeaders({"content-TYPE": "text/html"})
        self.assertEqual(headers["Content-Type"], "text/html")
        self.assertEqual(headers.get("CONTENT-type"), "text/html")
        self.assertIn("content-type", headers)
        self.assertNotIn("content-length", headers)
        self.assertEqual(list(headers), ["Content-Type"])
        del headers["cONTENT-tYPE"]
        self.assertEqual(len(headers), 0)
        self.assertRaises(KeyError, headers.__getitem__, "Content-Type")
        self.assertRaises(KeyError, headers.__delitem__, "Content-Type")
        self.assertIsNone(headers.get("Content-Type"))
        self.assertEqual(headers.get("Content-Type", "x"), "x")

    def test_ways_to_make_one(self):
        wanted = [("A", "1"), ("B", "2")]
        for headers in (HTTPHeaders({"a": "1", "b": "2"}), HTTPHeaders([("a", "1"), ("b", "2")]),
                        HTTPHeaders(a="1", b="2"), HTTPHeaders(HTTPHeaders(a="1", b="2"))):
            self.assertEqual(sorted(headers.items()), wanted)

    def test_several_values(self):
        headers = HTTPHeaders()
        headers.add("Set-Cookie", "a=b")
        headers.add("set-cookie", "c=d")
        self.assertEqual(headers["Set-Cookie"], "a=b, c=d")
        self.assertEqual(headers.get("Set-Cookie"), "a=b, c=d")
        self.assertEqual(headers.get_list("SET-COOKIE"), ["a=b", "c=d"])
        self.assertEqual(list(headers.get_all()), [("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")])
        self.assertEqual(headers.get_list("Other"), [])
        self.assertEqual(len(headers), 1)
        headers["Set-Cookie"] = "e"
        self.assertEqual(headers.get_list("Set-Cookie"), ["e"])

    def test_a144_one_name_whatever_its_case(self):
        headers = HTTPHeaders()
        headers["Content-Length"] = "1"
        headers["Content-length"] = "2"
        headers["CONTENT-LENGTH"] = "3"
        self.assertEqual(list(headers.get_all()), [("Content-Length", "3")])

    def test_get_list_is_a_copy(self):
        headers = HTTPHeaders()
        headers.add("A", "1")
        headers.add("A", "2")
        headers.get_list("A").append("3")
        self.assertEqual(headers.get_list("A"), ["1", "2"])

    def test_copies_share_nothing(self):
        headers = HTTPHeaders()
        headers.add("A", "1")
        headers.add("A", "2")
        for other in (headers.copy(), copy.copy(headers), copy.deepcopy(headers),
                      HTTPHeaders(headers), pickle.loads(pickle.dumps(headers, 2))):
            self.assertEqual(other, headers)
            other.add("A", "3")
            other["B"] = "4"
            self.assertEqual(headers.get_list("A"), ["1", "2"])
            self.assertNotIn("B", headers)

    def test_subclasses_copy_to_their_own(self):
        class Mine(HTTPHeaders):
            pass

        self.assertIs(type(Mine(a="b").copy()), Mine)

    def test_text(self):
        headers = HTTPHeaders.parse("A: b\r\nC: d\r\n")
        headers.add("A", "e")
        self.assertEqual(str(headers), "A: b\nA: e\nC: d\n")
        self.assertEqual(HTTPHeaders.parse(str(headers)), headers)
        self.assertEqual(repr(HTTPHeaders(a="b")), "HTTPHeaders([('A', 'b')])")

    def test_parse(self):
        for text in ("A: b\r\nC:d \t\r\n\r\n", "A: b\nC: d", "A:\tb\r\nc: d\r\n"):
            self.assertEqual(sorted(HTTPHeaders.parse(text).items()), [("A", "b"), ("C", "d")])
        self.assertEqual(len(HTTPHeaders.parse("")), 0)

    def test_parse_line(self):
        headers = HTTPHeaders()
        for line in ("A: 1", "A: 2\n", "A: 3\r\n", "A:"):
            headers.parse_line(line)
        self.assertEqual(headers.get_list("A"), ["1", "2", "3", ""])

    def test_a124_no_continuation_lines(self):
        headers = HTTPHeaders(a="1")
        for line in (" b", "\tb", " b: c"):
            self.assertRaises(HTTPInputError, headers.parse_line, line)
        self.assertRaises(HTTPInputError, HTTPHeaders.parse, " c\r\nA: b\r\n")

    def test_a039_many_lines_of_one_name(self):
        def spend(count):
            headers = HTTPHeaders()
            start = cpu_time()
            for _ in range(count):
                headers.add("X", "y")
                "x" in headers
            self.assertEqual(len(headers["x"]), 3 * count - 2)
            return cpu_time() - start

        # Ten times the lines take ten times as long, not a hundred times.
        self.assertLess(min(spend(100000) for _ in range(3)),
                        40 * min(spend(10000) for _ in range(3)))

    def test_a014_memory_of_names_is_bounded(self):
        for number in range(3 * module._NAME_ENTRIES):
            normalize_name("x-name-%d" % number)
        self.assertLessEqual(len(module.NAMES), module._NAME_ENTRIES)
        # Later lines are still remembered.
        normalize_name("x-another-name")
        self.assertTrue("x-another-name" in module.NAMES)
        normalize_name("x" * 1000)
        self.assertFalse("x" * 1000 in module.NAMES)

    def test_b421_new_names_do_not_drive_out_the_common_ones(self):
        lines = ["Host: a", "user-agent: b", "Accept: *", "X-Forwarded-For: 10.0.0.1"]

        def steps():
            """The Python functions called for a head with common names."""
            called = []
            sys.setprofile(lambda frame, event, argument: called.append(frame.f_code.co_name)
                           if event == "call" else None)
            try:
                parse_fields(lines, 100, are_clean=True)
            finally:
                sys.setprofile(None)
            return called

        before = steps()
        for number in range(3 * module._NAME_ENTRIES):
            parse_fields(["x-stranger-%d: y" % number], 100, are_clean=True)
        self.assertEqual(before, steps())
        self.assertLess(len(before), len(lines))


class LineTest(unittest.TestCase):
    def refuse(self, line):
        self.assertRaises(HTTPInputError, parse_field_line, line)

    def test_lines(self):
        for line, pair in [("A: b", ("A", "b")), ("a-b:c", ("A-B", "c")),
                           ("A:  b c \t", ("A", "b c")), ("A:", ("A", "")),
                           ("A: b:c", ("A", "b:c")), ("A: \xe9\xff", ("A", "\xe9\xff")),
                           ("A: b\tc", ("A", "b\tc")), ("0!#$%&'*+-.^_`|~: x",
                                                        ("0!#$%&'*+-.^_`|~", "x"))]:
            self.assertEqual(parse_field_line(line), pair)

    def test_a036_a127_malformed_lines(self):
        for line in ("", "no colon", ": v", "A : b", "A\t: b", " A: b", "A B: c", "A\x00: b",
                     "A@: b", "A[]: b", "\xe9: b", "A: \x00", "A: b\x00c", "A: b\rc", "A: b\nc",
                     "A: b\x0b", "A: \x0cb", "A: b\x7f", "A: b\x1f", "\x0bA: b", "\x0cA: b",
                     "A\r: b", "A: b\r", "\x00"):
            self.refuse(line)

    def test_a125_name_that_ends_in_a_line_feed(self):
        self.refuse("A\n: b")
        self.refuse("A: b\n")
        self.assertFalse(is_token("A\n"))
        self.assertFalse(is_field_value("a\n"))
        self.assertFalse(is_content_length("5\n"))
        self.assertFalse(is_host("a\n"))

    def test_a126_long_values_take_linear_time(self):
        def spend(size):
            line = "A: " + "a " * size + "\x10"
            start = cpu_time()
            self.refuse(line)
            return cpu_time() - start

        self.assertLess(min(spend(400000) for _ in range(3)),
                        60 * max(min(spend(40000) for _ in range(3)), 1e-5))

    def test_the_error_does_not_repeat_a_long_line(self):
        with self.assertRaises(HTTPInputError) as caught:
            parse_field_line("x" * 10000)
        self.assertLess(len(str(caught.exception)), 300)


class FieldsTest(unittest.TestCase):
    def parse(self, lines, max_fields=100):
        """The headers in these lines, which are the same in one pass as line by line."""
        headers = parse_fields(lines, max_fields)
        if not any(map(find_control, lines)):
            self.assertEqual(headers, parse_fields(lines, max_fields, are_clean=True))
        return headers

    def refuse(self, status, *lines, **options):
        max_fields = options.get("max_fields", 100)
        # Twice: the second time something may be remembered.
        for are_clean in [False, not any(map(find_control, lines))] * 2:
            with self.assertRaises(HTTPInputError) as caught:
                parse_fields(list(lines), max_fields, are_clean=are_clean)
            self.assertEqual(caught.exception.status, status)

    def test_fields(self):
        lines = ["Host: a", "X: 1", "x: 2", "Cookie: c"]
        for _ in range(2):
            headers = self.parse(lines, 100)
            self.assertEqual(headers["Host"], "a")
            self.assertEqual(headers.get_list("X"), ["1", "2"])
        self.assertEqual(len(self.parse([], 100)), 0)

    def test_remembered_headers_are_shared_with_nothing(self):
        lines = ["Host: a", "X: 1"]
        for _ in range(3):
            headers = self.parse(lines, 100)
            self.assertEqual(sorted(headers.items()), [("Host", "a"), ("X", "1")])
            headers["Host"] = "b"
            headers.add("X", "2")

    def test_a039_a217_too_many(self):
        lines = ["X: y"] * 101
        self.refuse(431, *lines)
        self.assertEqual(len(self.parse(lines[1:], 100).get_list("X")), 100)
        self.refuse(431, "A: b", "C: d", max_fields=1)

    def test_a101_a102_a128_framing_fields_stand_once(self):
        for line in ("Host: a", "Content-Length: 5", "Transfer-Encoding: chunked"):
            name = line.split(":")[0]
            self.refuse(400, line, line)
            self.refuse(400, line, "X: y", line.upper())
            self.refuse(400, line, name + ": other")

    def test_a128_others_are_a_list(self):
        headers = self.parse(["Content-Type: a", "Content-Type: b"], 100)
        self.assertEqual(headers["Content-Type"], "a, b")

    def test_a031_a121_a122_a214_content_length(self):
        for value in ("+10", "1_0", "-1", "1 0", "10 ,10", "0x10", "", "5, 5", "5;", "5.0",
                      "\xd9\xa5", "\xef\xbc\x95", "\xb2", "9" * 20, "9" * 5000, "\x0b5", "5\xa0"):
            self.refuse(400, "Content-Length: " + value)
        for value in ("0", "00010", "9" * 19, " 5\t"):
            headers = self.parse(["Content-Length: " + value], 100)
            self.assertEqual(headers["Content-Length"], value.strip())

    def test_a032_a105_a123_transfer_encoding(self):
        for value in ("gzip, chunked", "identity", "chunked, chunked", "xchunked", "chunked;q=1",
                      " \x0bchunked", "\xa0chunked", "\x85chunked", "chunked, gzip", ", chunked",
                      '"chunked"', "chunked,", "", "chun\xe2\x84\xaaed"):
            self.refuse(400, "Transfer-Encoding: " + value)
        for value in ("chunked", "CHUNKED", "Chunked\t", "\t chunked "):
            self.parse(["Transfer-Encoding:" + value], 100)

    def test_a037_a134_host(self):
        for value in ("a,b", "a b", "a/b", "[::1", "h:+80", "h:80:80", "u@h", "h\xe9", "::1"):
            self.refuse(400, "Host: " + value)
        for value in ("", "h", "h:", "h:80", "h:99999", "[::1]", "[::1]:80", "a_b.c"):
            self.assertEqual(self.parse(["Host: " + value], 100)["Host"], value)

    def test_b420_one_pass_finds_what_line_by_line_is_found(self):
        good = ["Host: a", "Accept:b", "accept-language: \t c \t", "X-New-Name: d", "Cookie:"]
        self.assertEqual(5, len(self.parse(good)))
        for bad in ("", "Host", "Accept", ":", ": a", " Host: a", "Host : a", "\tAccept: a",
                    "Accept\xa0: a", "Accept\xad: a", "X Y: a", "Host: a b", "Host: a"):
            for number in range(len(good) + 1):
                self.refuse(400, *good[:number] + [bad] + good[number:])

    def test_b420_a_name_for_the_application_is_not_valid_in_a_request(self):
        # The table of names is used for both.
        headers = HTTPHeaders({"Not A Token": "x", "": "y", "A:B": "z"})
        self.assertEqual("x", headers["not a token"])
        for name in ("Not A Token", "not a token", "", "A:B"):
            self.assertNotIn(name, module.NAMES)
        self.refuse(400, "Not A Token: x")


class CheckFieldTest(unittest.TestCase):
    def test_values(self):
        for value, wanted in [("a", "a"), (u"a", "a"), (b"a", "a"), (5, "5"), ("", ""),
                              (2 ** 70, str(2 ** 70)), ("a\tb", "a\tb")]:
            result = check_field("X", value)
            self.assertEqual(result, wanted)
            self.assertIs(type(result), str)

    def test_latin_1(self):
        result = check_field("X", u"\xe9")
        self.assertIs(type(result), str)
        self.assertEqual(result, "\xe9")

    def test_values_that_end_a_line(self):
        for value in ("a\r\nb", "a\nb", "a\rb", "a\x00b", u"a\x0bb", b"a\n", "\x7f"):
            self.assertRaises(ValueError, check_field, "X", value)

    def test_values_that_are_no_text(self):
        for value in (None, 1.5, [], object()):
            self.assertRaises(TypeError, check_field, "X", value)
        self.assertRaises(ValueError, check_field, "X", u"\u20ac")

    def test_names(self):
        for name in ("", "a b", "a:", "a\n", "a\r\nb", "\xe9"):
            self.assertRaises(ValueError, check_field, name, "x")


class GrammarTest(unittest.TestCase):
    def test_split_list(self):
        self.assertEqual(split_list(" Close,keep-alive ,, \tX\t,"), ["close", "keep-alive", "x"])
        self.assertEqual(split_list(""), [])


if given is not None:
    text = st.text(st.characters(max_codepoint=255), max_size=60)

    class PropertyTest(unittest.TestCase):
        @given(text)
        def test_a_line_is_parsed_or_refused(self, line):
            try:
                name, value = parse_field_line(line)
            except HTTPInputError:
                return
            self.assertTrue(is_token(name))
            self.assertNotRegex(value, "[\x00-\x08\x0a-\x1f\x7f]")

        @given(st.dictionaries(
            st.text("abcDEF-09_", min_size=1, max_size=8),
            st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=9), max_size=9))
        def test_round_trip(self, fields):
            headers = HTTPHeaders(fields)
            self.assertEqual(HTTPHeaders.parse(str(headers)), headers)
