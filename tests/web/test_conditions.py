"""Ranges and dates of requests for files, without a server."""
from __future__ import absolute_import, division, print_function

import datetime
import unittest

from friendserve.protocol.headers import HTTPHeaders
from friendserve.web.conditions import (
    is_modified_since, is_unmodified_since, select_part)

DATE = "Thu, 10 Sep 2009 12:00:00 GMT"


class SelectPartTest(unittest.TestCase):
    RESPONSE = HTTPHeaders({"Etag": '"a"', "Last-Modified": DATE})

    def select(self, range_header, size=10, if_range=None):
        headers = HTTPHeaders({"Range": range_header})
        if if_range is not None:
            headers["If-Range"] = if_range
        return select_part(headers, self.RESPONSE, size)

    def test_a_part(self):
        for header, start, end in [
                ("bytes=2-5", 2, 6), ("BYTES=2-5", 2, 6), ("bytes= 2-5 ", 2, 6),
                ("bytes=9-", 9, 10), ("bytes=0-0", 0, 1), ("bytes=5-99", 5, 10),
                ("bytes=-3", 7, 10), ("bytes=1-" + 18 * "9", 1, 10)]:
            self.assertEqual((206, start, end), self.select(header), header)

    def test_a_range_that_covers_everything_is_the_whole(self):
        for header in ("bytes=0-", "bytes=0-9", "bytes=0-99", "bytes=-10", "bytes=-99"):
            self.assertEqual((200, 0, 10), self.select(header), header)
        for header in ("bytes=0-", "bytes=0-5", "bytes=-5"):
            self.assertEqual((200, 0, 0), self.select(header, size=0), header)

    def test_a_malformed_range_is_ignored(self):
        for header in ("", "bytes", "bytes=", "bytes=-", "items=0-1", "bytes=a-b", "bytes=0-1,3-4",
                       "bytes=+1-2", "bytes=1--2", "bytes=1-2x", "bytes=" + 19 * "1" + "-"):
            self.assertEqual((200, 0, 10), self.select(header), header)

    def test_a_range_outside_cannot_be_satisfied(self):
        for header in ("bytes=5-2", "bytes=10-", "bytes=10-11", "bytes=-0", "bytes=99-"):
            self.assertEqual((416, 0, 0), self.select(header), header)
        self.assertEqual((416, 0, 0), self.select("bytes=1-", size=0))

    def test_if_range_must_name_this_version(self):
        for condition, status in [('"a"', 206), (DATE, 206), ('"b"', 200), ('W/"a"', 200),
                                  ("", 200), ("Thu, 10 Sep 2009 12:00:01 GMT", 200)]:
            self.assertEqual(status, self.select("bytes=2-5", if_range=condition)[0], condition)
        weak = HTTPHeaders({"Etag": 'W/"a"'})
        asked = HTTPHeaders({"Range": "bytes=2-5", "If-Range": 'W/"a"'})
        self.assertEqual((200, 0, 10), select_part(asked, weak, 10), "only a strong match counts")


class UnmodifiedSinceTest(unittest.TestCase):
    MODIFIED = datetime.datetime(2009, 9, 10, 12, 0, 0)

    def test_dates(self):
        for header, expected in [
                (DATE, True), ("Thu, 10 Sep 2009 12:00:01 GMT", True),
                ("Thu, 10 Sep 2009 11:59:59 GMT", False),
                ("Thursday, 10-Sep-09 12:00:00 GMT", True), ("Thu Sep 10 12:00:00 2009", True)]:
            self.assertIs(expected, is_unmodified_since(header, self.MODIFIED), header)

    def test_a_malformed_date_is_ignored(self):
        for header in ("", "junk", "Thu, 10 Xxx 2009 12:00:00 GMT", 10000 * "9"):
            self.assertIs(False, is_unmodified_since(header, self.MODIFIED), header)

    def test_a654_a_list_of_dates_and_a_part_of_the_value_are_no_date(self):
        later = "Fri, 11 Sep 2009 12:00:00 GMT"
        earlier = "Wed, 09 Sep 2009 12:00:00 GMT"
        self.assertIs(True, is_unmodified_since(later, self.MODIFIED))
        self.assertIs(True, is_modified_since(earlier, self.MODIFIED))
        for form in ("%s, %s", "%s,%s", "%s junk", "%s\t", "x %s", "%s +0200"):
            for header, function in ((later, is_unmodified_since), (earlier, is_modified_since)):
                value = form % ((header,) * form.count("%s"))
                self.assertIs(False, function(value, self.MODIFIED), value)

    def test_content_without_a_time_counts_as_modified(self):
        self.assertIs(False, is_unmodified_since(DATE, None))
