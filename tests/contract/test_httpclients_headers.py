"""The contract of the HTTP clients: which of the caller's headers are sent (B307, B308)."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.httpclient import HTTPRequest
from friendserve.httputil import HTTPHeaders
from tests.clientcase import answer, for_each_client

PAIRS = [("X-One", "1"), ("x-many", "a"), ("X-Many", "b"), ("X-MANY", "c")]


class PairsTest(unittest.TestCase):
    def test_b307_headers_of_pairs_keep_all(self):
        for pairs in (PAIRS, tuple(PAIRS), iter(PAIRS)):
            headers = HTTPHeaders(pairs)
            self.assertEqual(["a", "b", "c"], headers.get_list("X-Many"))
            self.assertEqual(["1"], headers.get_list("X-One"))

    def test_b307_the_representation_can_be_read_back(self):
        headers = HTTPHeaders()
        for pair in PAIRS:
            headers.add(*pair)
        self.assertEqual(["a", "b", "c"], eval(repr(headers)).get_list("X-Many"))


class HeadersContract(object):
    def serve_and_keep(self, on_request):
        self.seen = []

        def keep(request):
            self.seen.append(request)
            on_request(request)

        self.serve(keep)

    def test_b307_pairs_are_all_sent(self):
        self.serve_and_keep(lambda request: answer(request, b"ok"))
        self.fetch_ok(headers=PAIRS)
        self.fetch_ok(headers=PAIRS, if_modified_since=1000000000)
        for request in self.seen:
            self.assertEqual(["a", "b", "c"], request.headers.get_list("X-Many"))
            self.assertEqual("1", request.headers["X-One"])

    def test_b307_the_caller_s_pairs_are_not_changed(self):
        pairs = list(PAIRS)
        request = HTTPRequest("http://localhost/", headers=pairs, if_modified_since=1000000000)
        self.assertEqual(["a", "b", "c"], request.headers.get_list("X-Many"))
        self.assertEqual(PAIRS, pairs)

    def test_b308_headers_of_a_dropped_body_are_dropped(self):
        dropped = ("Content-Language", "Content-MD5", "Content-Location", "Content-Disposition",
                   "Content-Digest", "Content-Encoding", "Content-Type", "Digest", "Repr-Digest",
                   "Last-Modified")
        for status, method in ((303, "POST"), (303, "PUT"), (302, "POST"), (301, "POST")):
            self.serve_and_keep(lambda request: answer(
                request, b"", status, "Moved", Location="/there")
                if request.path == "/" else answer(request, b"ok"))
            headers = dict.fromkeys(dropped, "x")
            headers.update({"X-Kept": "yes", "Accept-Language": "en"})
            self.fetch_ok(method=method, body=b"data", headers=headers)
            first, second = self.seen
            self.assertEqual([], [name for name in dropped if name not in first.headers])
            self.assertEqual([], [name for name in dropped if name in second.headers], status)
            self.assertEqual(("yes", "en"), (second.headers.get("X-Kept"),
                                             second.headers.get("Accept-Language")))

    def test_b308_they_are_kept_with_the_body(self):
        self.serve_and_keep(lambda request: answer(
            request, b"", 307, "Moved", Location="/there")
            if request.path == "/" else answer(request, b"ok"))
        self.fetch_ok(method="POST", body=b"data", headers={"Content-Language": "en"})
        self.assertEqual("en", self.seen[1].headers.get("Content-Language"))


for_each_client(globals(), HeadersContract)
