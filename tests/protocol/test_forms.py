"""Forms: accepted and refused inputs, and the bounds of time and memory."""
from __future__ import absolute_import, division, print_function

import io
import json
import os
import random
import re
import unittest

from six.moves.urllib.parse import quote_plus

from friendserve.httputil import parse_body_arguments
from friendserve.protocol import forms, multipart
from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.forms import parse_header_value, parse_urlencoded
from friendserve.protocol.multipart import (
    PART_END, HTTPFile, MultipartParser, Part, parse_multipart)
from friendserve.util import ObjectDict
from tests import CORPUS, cpu_time
from tests.corpuscase import for_each_file

try:
    from hypothesis import given, settings, strategies as st
except ImportError:  # version: py2
    given = None

FORMS_CORPUS = os.path.join(CORPUS, "forms")
END = b"--1234--\r\n"


def as_text(name):
    """A native string, decoded on Python 2, so that both Pythons can compare it."""
    if str is not bytes:
        return name
    try:  # version: py2
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("latin-1")


def part(disposition, body=b"", headers=b""):
    return (b"--1234\r\nContent-Disposition: " + disposition + headers + b"\r\n\r\n" + body
            + b"\r\n")


def parse(data, **limits):
    return parse_multipart(b"1234", data, **limits)


def seconds(function, *args):
    """The least of three runs, so that other load on the machine matters little."""
    spent = []
    for _ in range(3):
        start = cpu_time()
        function(*args)
        spent.append(cpu_time() - start)
    return min(spent)


@for_each_file("forms", at_least=60)
class CorpusTest(unittest.TestCase):
    """Each file contains a body and its result, or words from the error."""
    # A035, A041, A043, A049, A203, A213, B145: each file names its cases.

    longMessage = True

    def check_file(self, path):
        name = os.path.basename(path)
        with io.open(path, encoding="utf-8") as data:
            case = json.load(data)
        body = u"\r\n".join(case["lines"]).encode("latin-1")
        arguments, files = {}, {}
        if "error" in case:
            with self.assertRaises(HTTPInputError, msg=name) as caught:
                parse_body_arguments(str(case["content_type"]), body, arguments, files)
            self.assertEqual(400, caught.exception.status, name)
            self.assertIn(case["error"], str(caught.exception), name)
            self.assertEqual(({}, {}), (arguments, files), name)
            return
        parse_body_arguments(str(case["content_type"]), body, arguments, files)
        self.assertEqual(case["arguments"], dict(
            (as_text(key), [value.decode("latin-1") for value in values])
            for key, values in arguments.items()), name)
        self.assertEqual(case["files"], dict(
            (as_text(key), [self.describe(one) for one in values])
            for key, values in files.items()), name)
        for key in list(arguments) + list(files):
            self.assertIs(str, type(key), name)

    def describe(self, one):
        self.assertIsInstance(one, HTTPFile)
        self.assertIsInstance(one.filename, type(u""))
        self.assertIs(bytes, type(one.body))
        self.assertIs(str, type(one.content_type))
        return {"filename": one["filename"], "body": one["body"].decode("latin-1"),
                "content_type": as_text(one["content_type"])}


def parse_in_pieces(boundary, pieces, **limits):
    """The result of `parse_multipart`, from a body that arrives in pieces."""
    parser = MultipartParser(boundary, **limits)
    parts = []
    for piece in pieces:
        for event in parser.feed(piece):
            if isinstance(event, Part):
                parts.append([event, []])
                ended = False
            elif event is PART_END:
                ended = True
            else:
                assert event and not ended
                parts[-1][1].append(event)
    parser.finish()
    arguments, files = {}, {}
    for (name, filename, content_type), content in parts:
        if filename:
            files.setdefault(name, []).append(HTTPFile(
                filename=filename, body=b"".join(content), content_type=content_type))
        else:
            arguments.setdefault(name, []).append(b"".join(content))
    return arguments, files


def cuts(data):
    """The body whole, byte by byte, by line, and cut at places that are random but the same in each
    run."""
    yield [data]
    yield [data[i:i + 1] for i in range(len(data))]
    yield data.splitlines(True)
    places = random.Random(len(data))
    for _ in range(20):
        at = sorted(places.randrange(len(data) + 1) for _ in range(places.randrange(1, 6)))
        yield [data[i:j] for i, j in zip([0] + at, at + [len(data)])]


class PiecesTest(unittest.TestCase):
    """A body in pieces gives the same result as the whole body."""

    def outcome(self, function, *args):
        try:
            return function(*args)
        except HTTPInputError as error:
            return str(error)

    def test_corpus_in_pieces(self):
        count = 0
        for name in sorted(os.listdir(FORMS_CORPUS)):
            with io.open(os.path.join(FORMS_CORPUS, name), encoding="utf-8") as source:
                case = json.load(source)
            boundary = parse_header_value(str(case["content_type"]))[1].get("boundary") \
                if "multipart" in name and ";" in case["content_type"] else None
            body = u"\r\n".join(case["lines"]).encode("latin-1")
            if not boundary or len(body) > 100000:
                continue
            count += 1
            whole = self.outcome(parse_multipart, boundary, body)
            for pieces in cuts(body):
                self.assertEqual(whole, self.outcome(parse_in_pieces, boundary, pieces), name)
        self.assertGreater(count, 40)

    def test_little_is_held_back(self):
        parser = MultipartParser(b"1234")
        parser.feed(part(b'form-data; name="f"; filename="x"')[:-2])
        for piece in (b"x" * 65536, b"y" * 1000):
            self.assertEqual([piece], parser.feed(piece))
        self.assertEqual([b"z"], parser.feed(b"z\r\n--123"))
        self.assertEqual([b"\r\n--123\r"], parser.feed(b"\r\r"))
        self.assertEqual([b"\rz"], parser.feed(b"z"))
        self.assertEqual([b"\r\r\n--1235"], parser.feed(b"\r\r\n--1235"))

    def test_a041_a_header_that_never_ends(self):
        parser = MultipartParser(b"1234")
        with self.assertRaises(HTTPInputError) as caught:
            parser.feed(b"--1234\r\n")
            for _ in range(20000):
                parser.feed(b"x")
        self.assertIn("within 10240 bytes", str(caught.exception))
        parser = MultipartParser(b"1234")
        with self.assertRaises(HTTPInputError):
            parser.feed(b"--1234")
            for _ in range(20000):
                parser.feed(b" ")

    def test_a202_fields_are_bounded_as_they_come(self):
        parser = MultipartParser(b"1234", max_field_bytes=10)
        parser.feed(part(b"form-data; name=a")[:-2])
        parser.feed(b"x" * 9)
        self.assertRaises(HTTPInputError, parser.feed, b"x")

    def test_a201_preamble_and_epilogue_are_dropped(self):
        parser = MultipartParser(b"1234")
        for _ in range(100):
            self.assertEqual([], parser.feed(b"\r\n--123" * 1000))
        self.assertLess(len(parser._data), 20)
        self.assertEqual([], parser.feed(b"\r\n--1234--"))
        for _ in range(100):
            self.assertEqual([], parser.feed(b"\r\n--1234" * 1000))
        self.assertEqual(b"", parser._data)


class UrlencodedTest(unittest.TestCase):
    def test_values_are_bytes_and_names_native(self):
        fields = parse_urlencoded(b"a=1&a=2&%C3%A9=%C3%A9&b&c=")
        self.assertEqual([u"a", u"b", u"c", u"\xe9"], sorted(as_text(name) for name in fields))
        self.assertEqual([b"1", b"2"], fields["a"])
        self.assertEqual(([b""], [b""]), (fields["b"], fields["c"]))
        self.assertEqual({}, parse_urlencoded(b""))

    def test_a213_what_is_no_escape_stays(self):
        self.assertEqual({"a": [b"%zz"], "%": [b""], "": [b""], "b": [b"%", b"%4", b"\xff"]},
                         parse_urlencoded(b"a=%zz&%&=&&&b=%&b=%4&b=%ff"))

    def test_a049_a050_fields_are_counted_before_they_are_parsed(self):
        parse_urlencoded(b"&".join([b"a"] * 1000))
        for data in (b"a&" * 1000, b"&" * 1000, b"a&" * 1000000, b"a&" * 30000):
            with self.assertRaises(HTTPInputError) as caught:
                parse_urlencoded(data)
            self.assertEqual(400, caught.exception.status)
        self.assertEqual({"a": [b"", b""]}, parse_urlencoded(b"a&a", max_fields=2))
        self.assertRaises(HTTPInputError, parse_urlencoded, b"a&a&a", max_fields=2)
        calls = []
        parser = forms.parse_qs_bytes
        forms.parse_qs_bytes = lambda *args, **kwargs: calls.append(args)
        try:
            self.assertRaises(HTTPInputError, parse_urlencoded, b"a&" * 1000)
        finally:
            forms.parse_qs_bytes = parser
        self.assertEqual([], calls)

    def test_a217_names_with_one_hash_are_few(self):
        # Whatever fields a client sends, there are never more than the limit.
        self.assertEqual(1000, len(parse_urlencoded(
            b"&".join(b"%d" % number if str is not bytes else str(number)
                      for number in range(1000)))))
        self.assertRaises(HTTPInputError, parse_urlencoded, b"&".join([b"x"] * 1001))


class HeaderValueTest(unittest.TestCase):
    def test_parameters(self):
        for value, expected in (
                ("form-data", ("form-data", {})),
                (" Form-Data\t", ("form-data", {})),
                ("", ("", {})),
                ("a;", ("a", {})),
                ("a;;  ; b=c;", ("a", {"b": "c"})),
                ('a; B="c"', ("a", {"b": "c"})),
                ('a; b="c;\\"d\\\\"; e=f', ("a", {"b": 'c;"d\\', "e": "f"})),
                ('a; b="C:\\d\\e\\"; f=g', ("a", {"b": "C:\\d\\e\\", "f": "g"})),
                ('a; b="C:\\"', ("a", {"b": "C:\\"})),
                ('a; b=""; c=', ("a", {"b": "", "c": ""})),
                ("a; b=c d ;e=f", ("a", {"b": "c d", "e": "f"})),
                ("a; b*=utf-8''x", ("a", {"b*": "utf-8''x"}))):
            self.assertEqual(expected, parse_header_value(value), value)

    def test_malformed(self):
        for value in ('a; b="c', 'a; b="c"d', 'a; b=c"d"', "a; b", 'a; "b"', "a; =b", "a; b=c; B=d",
                      u"a; \xe9=b".encode("latin-1").decode("latin-1"), 'a; b="', "a; b c=d",
                      'a; b="c\\"d'):
            self.assertRaises(HTTPInputError, parse_header_value, value)

    def test_a040_linear_time(self):
        def build(count):
            return ['form-data; x="' + ";" * count, 'form-data; x="' + ";" * count + '"',
                    "form-data" + ";" * count, "form-data" + "; " * count,
                    "form-data; x=" + " " * count + '"', 'form-data; x="' + '\\"' * count,
                    'form-data; x="' + "\\" * count, "form-data;" + " " * count + "=",
                    "form-data; " + "x" * count, 'form-data; x="' + 'a\\"' * count + '" y',
                    "form-data" + "".join("; x%d=y" % number for number in range(count)),
                    'form-data; x=""' + " " * count + "y", "form-data;" + " ;" * count + '"']

        def run(value):
            try:
                parse_header_value(value)
            except HTTPInputError:
                pass
        for small, large in zip(build(4000), build(64000)):
            # Sixteen times the input; were it quadratic, 256 times the time.
            self.assertLess(seconds(run, large), 100 * max(seconds(run, small), 0.002),
                            large[:40])


class MultipartTest(unittest.TestCase):
    def test_file_is_a_dict_with_attributes(self):
        _, files = parse(part(b'form-data; name="f"; filename="x"', b"y",
                              b"\r\nContent-Type: text/plain") + END)
        one = files["f"][0]
        self.assertIsInstance(one, ObjectDict)
        self.assertEqual(("x", b"y", "text/plain"), (one.filename, one.body, one.content_type))
        self.assertEqual(set(["filename", "body", "content_type"]), set(one))

    def test_order_of_one_name_is_kept(self):
        data = b"".join(part(b"form-data; name=a", b"%d" % number if str is not bytes
                             else str(number)) for number in range(5))
        self.assertEqual({"a": [b"0", b"1", b"2", b"3", b"4"]}, parse(data + END)[0])

    def test_every_cut_is_refused(self):
        data = part(b'form-data; name="a"', b"x") + part(
            b'form-data; name="f"; filename="y"', b"z\r\n") + END.strip()
        self.assertEqual({"a": [b"x"]}, parse(data)[0])
        for length in range(len(data)):
            self.assertRaises(HTTPInputError, parse, data[:length])

    def test_a035_first_error_ends_it(self):
        seen = []
        parser = multipart.parse_field_line

        def record(line):
            seen.append(line)
            return parser(line)
        multipart.parse_field_line = record
        try:
            for parts in (100, 100000):
                self.assertRaises(HTTPInputError, parse, b"--1234\r\nbad\r\n\r\n\r\n" * parts + END)
        finally:
            multipart.parse_field_line = parser
        self.assertEqual(["bad", "bad"], seen)

    def test_a041_parts_are_counted(self):
        one = part(b"form-data; name=a")
        self.assertEqual(100, len(parse(one * 100 + END)[0]["a"]))
        for count in (101, 20000):
            with self.assertRaises(HTTPInputError) as caught:
                parse(one * count + END)
            self.assertIn("more than 100 parts", str(caught.exception))
        self.assertRaises(HTTPInputError, parse, one * 3 + END, max_parts=2)
        self.assertRaises(HTTPInputError, parse, one + END, max_parts=0)
        self.assertEqual(2, len(parse(one * 2 + END, max_parts=2)[0]["a"]))

    def test_a041_a202_part_header_limit(self):
        for size in (11 * 1024, 1024 * 1024):
            for data in (part(b'form-data; name="a"; filename="' + b"x" * size + b'"'),
                         part(b"form-data; name=a", headers=b"\r\nX: " + b"y" * size),
                         part(b"form-data; name=a", headers=b"\r\nX: y" * (size // 6))):
                with self.assertRaises(HTTPInputError) as caught:
                    parse(data + END)
                self.assertIn("within 10240 bytes", str(caught.exception))
        self.assertIn("a", parse(part(b"form-data; name=a", headers=b"\r\nX: " + b"y" * 10000)
                                 + END)[0])
        self.assertRaises(HTTPInputError, parse, part(b"form-data; name=a") + END,
                          max_part_header=10)

    def test_a202_limit_on_what_is_no_file(self):
        field = part(b"form-data; name=a", b"x" * 1000)
        self.assertIn("a", parse(field * 2 + END, max_field_bytes=2002)[0])
        self.assertRaises(HTTPInputError, parse, field * 2 + END, max_field_bytes=2001)
        self.assertRaises(HTTPInputError, parse, field + END, max_field_bytes=999)
        upload = part(b"form-data; name=a; filename=b", b"x" * 5000)
        self.assertIn("a", parse(upload + END, max_field_bytes=10)[1])
        self.assertRaises(HTTPInputError, parse,
                          part(b"form-data; name=a", b"x" * (10 * 1024 * 1024)) + END)

    def test_a201_linear_time(self):
        def build(size):
            return [b"\r" + b"x" * size, b"\n" + b"x" * size, b"\r\n" * (size // 2),
                    b"\r" * size, b"\r\n-" * (size // 3), b"\r\n--" * (size // 4),
                    b"\r\n--123" * (size // 7),
                    b"--1234" + b" " * size, b"--1234\r\n" + b"\r\n--1234 " * (size // 9),
                    b"--1234\r\n" + b"x" * size, b"--1234\r\n" + b"\r\n" * (size // 2),
                    part(b"form-data; name=a", b"\r" * size)]

        def run(data):
            self.assertRaises(HTTPInputError, parse, data)
        for small, large in zip(build(60000), build(960000)):
            # Sixteen times the input; were it quadratic, 256 times the time.
            self.assertLess(seconds(run, large), 100 * max(seconds(run, small), 0.002),
                            large[:20])

    def test_boundary(self):
        for boundary in (b"", b" ", b"x ", b"x" * 71, b"a\r\nb", b"a\n", b"\xff", b"\0"):
            data = b"--" + boundary + b"\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--" \
                + boundary + b"--\r\n"
            self.assertRaises(HTTPInputError, parse_multipart, boundary, data)
        self.assertEqual(({}, {}), parse_multipart(b"x" * 70, b"--" + b"x" * 70 + b"--"))

    def test_b145_quoting_round_trip(self):
        for name in (u"a;b", u'a"b', u'a";b', u"a\\b", u"\\\\server\\dir\\", u"a\tb c",
                     u"\u0100\xe9", u"'%22", u"=", u"*", u'"', u'\\"', u" x ", u"a\U0001f600"):
            quoted = re.sub(u'([\\\\"])', u"\\\\\\1", name).encode("utf-8")
            _, files = parse(part(b'form-data; name="f"; filename="' + quoted + b'"') + END)
            self.assertEqual(name, files["f"][0].filename)
            escaped = quote_plus(name.encode("utf-8")).replace("+", "%20").encode("ascii")
            _, files = parse(part(b"form-data; name=f; filename*=UTF-8''" + escaped) + END)
            self.assertEqual(name, files["f"][0].filename)

    def test_input_error_is_text_on_both_pythons(self):
        for disposition in (
                u"form-data; n\xe9".encode("utf-8"), b"x\xff", b"form-data; name*=\xff",
                b"form-data; name=a; filename*=\xff", b"form-data; a=\xff; a=\xff"):
            with self.assertRaises(HTTPInputError) as caught:
                parse(part(disposition) + END)
            str(caught.exception).encode("ascii", "backslashreplace")


if given is not None:
    class PropertyTest(unittest.TestCase):
        texts = st.text(st.characters(blacklist_categories=["Cs"]))
        fields = st.lists(st.tuples(texts, st.binary()), max_size=8)

        @settings(max_examples=100, deadline=None)
        @given(st.lists(st.tuples(texts, st.binary().filter(bool)), max_size=8))
        def test_urlencoded_round_trip(self, pairs):
            expected = {}
            for name, value in pairs:
                expected.setdefault(name, []).append(value)
            data = "&".join(quote_plus(name) + "=" + quote_plus(value) for name, value in pairs)
            self.assertEqual(expected, parse_urlencoded(data.encode("ascii")))

        @settings(max_examples=100, deadline=None)
        @given(st.binary() | st.text(u"a%&=+;0z\xe9").map(lambda text: text.encode("utf-8")))
        def test_urlencoded_takes_anything(self, data):
            for name, values in parse_urlencoded(data).items():
                self.assertIs(str, type(name))
                self.assertEqual({bytes}, set(map(type, values)))

        names = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1)
        bodies = st.binary() | st.lists(st.sampled_from(
            [b"\r", b"\n", b"-", b"--", b"123", b"4", b"x"])).map(b"".join)

        @settings(max_examples=150, deadline=None)
        @given(st.lists(st.tuples(names, st.none() | names, bodies), max_size=6))
        def test_multipart_round_trip(self, items):
            boundary = b"1234"
            while any(boundary in body for _, _, body in items):
                boundary += b"5"
            arguments, files, data = {}, {}, b""
            for name, filename, body in items:
                def quote(text):
                    return re.sub(r'([\\"])', r"\\\1", text).encode("utf-8")
                data += b"--" + boundary + b'\r\nContent-Disposition: form-data; name="' \
                    + quote(name) + b'"'
                if filename is None:
                    arguments.setdefault(name, []).append(body)
                else:
                    data += b'; filename="' + quote(filename) + b'"'
                    files.setdefault(name, []).append(HTTPFile(
                        filename=filename, body=body, content_type="application/unknown"))
                data += b"\r\n\r\n" + body + b"\r\n"
            data += b"--" + boundary + b"--\r\n"
            self.assertEqual((arguments, files), parse_multipart(boundary, data))
            for pieces in cuts(data):
                self.assertEqual((arguments, files), parse_in_pieces(boundary, pieces))

        pieces = st.lists(st.sampled_from(
            [b"--1234", b"\r\n", b"--", b"Content-Disposition: form-data; name=a", b"; filename=",
             b'"', b"\\", b";", b"*=utf-8''%", b"ff", b"x", b"\xc3", b"\x00", b"\n", b":"])).map(
                 b"".join)

        @settings(max_examples=300, deadline=None)
        @given(st.binary() | pieces)
        def test_multipart_gives_an_answer_or_400(self, data):
            try:
                parse(b"--1234\r\nContent-Disposition: form-data; name=a" + data + b"\r\n--1234--")
                parse(data)
            except HTTPInputError as error:
                self.assertEqual(400, error.status)

        @settings(max_examples=300, deadline=None)
        @given(st.text(st.characters(max_codepoint=255)) | st.text('a;="\\ *\t'))
        def test_header_value_gives_an_answer_or_400(self, value):
            try:
                parse_header_value("x" + value)
            except HTTPInputError as error:
                self.assertEqual(400, error.status)
