"""Numbers that JSON does not have (B306)."""
from __future__ import absolute_import, division, print_function

import json
import logging
import unittest

from friendserve.escape import json_encode
from friendserve.log import JSONFormatter
from friendserve.protocol.eventstream import encode_event
from friendserve.web import RequestHandler
from tests.loopcase import LogCatcher
from tests.webcase import WebCase

NUMBERS = [float("nan"), float("inf"), float("-inf")]


def refuse(name):
    raise ValueError("%s is not JSON" % name)


class JSONNumbersTest(unittest.TestCase):
    def test_b306_they_are_refused(self):
        for number in NUMBERS:
            for value in (number, {"x": number}, [1, [number]]):
                with self.assertRaises(ValueError):
                    json_encode(value)
        self.assertEqual('{"x": [1.5, 1e+308, -2]}', json_encode({"x": [1.5, 1e308, -2]}))

    def test_b306_in_events(self):
        with self.assertRaises(ValueError):
            encode_event({"x": NUMBERS[0]})

    def test_b306_a_line_of_the_log_says_them_as_text(self):
        record = logging.LogRecord("name", logging.INFO, "/module.py", 1, "message", (), None)
        record.fields = {"nan": NUMBERS[0], "inf": NUMBERS[1], "fine": 2.5, "none": None}
        text = JSONFormatter().format(record)
        try:
            fields = json.loads(text, parse_constant=refuse)
        except ValueError as error:
            self.fail(error)
        self.assertEqual(("nan", "inf", 2.5, None), tuple(
            fields[name] for name in ("nan", "inf", "fine", "none")))


class WriteTest(WebCase):
    def test_b306_write_fails_instead(self):
        class Page(RequestHandler):
            def get(self):
                self.write({"x": NUMBERS[0]})

        self.serve_app([("/", Page)])
        with LogCatcher():
            response = self.ask("/")
        self.assertEqual(500, response.status)
        self.assertNotIn(b"NaN", response.body)

    def test_b306_it_leaves_the_content_type(self):
        class Page(RequestHandler):
            def get(self):
                try:
                    self.write({"x": NUMBERS[0]})
                except ValueError:
                    self.write("unknown")

        self.serve_app([("/", Page)])
        response = self.ask("/")
        self.assertEqual((b"unknown", "text/html; charset=UTF-8"),
                         (response.body, response.headers["Content-Type"]))
