"""The contract of the HTTP clients: defaults fill what is absent in a request, nothing else."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.httpclient import HTTPRequest
from friendserve.httputil import basic_credentials
from tests.clientcase import answer, for_each_client
from tests.httpcase import CA, SERVER_OPTIONS, LogCatcher


class DefaultsContract(object):
    def ask(self, defaults, url=None, **options):
        """The request that the server gets from a client with these defaults."""
        seen = []
        self.serve(lambda request: (seen.append(request), answer(request)))
        if isinstance(url, dict):
            url = self.url(**url)
        self.fetch_ok(url or self.url(), client=self.make_client(defaults=defaults), **options)
        request, = seen
        return request

    def test_b242_headers_are_added_by_name(self):
        defaults = {"headers": {"X-Default": "1", "Accept": "a/b", "Authorization": "Basic eDp5"}}
        for options in ({}, {"headers": {}}, {"method": "POST", "body": b"x"}):
            headers = self.ask(defaults, **options).headers
            self.assertEqual(("1", "a/b", "Basic eDp5"), (
                headers["X-Default"], headers["Accept"], headers["Authorization"]), options)
        own = {"Authorization": "Basic bWU6c2VjcmV0", "accept": "c/d", "X-Own": "2"}
        for given in (own, sorted(own.items())):
            headers = self.ask(defaults, headers=given).headers
            self.assertEqual(("1", "c/d", "Basic bWU6c2VjcmV0", "2"), (
                headers.get("X-Default"), headers.get("Accept"), headers.get("Authorization"),
                headers.get("X-Own")))
        self.assertEqual(3, len(own))
        self.assertEqual({"X-Default": "1", "Accept": "a/b", "Authorization": "Basic eDp5"},
                         defaults["headers"])

    def test_b242_headers_of_an_httprequest(self):
        seen = []
        self.serve(lambda request: (seen.append(request), answer(request)))
        client = self.make_client(defaults={"headers": {"X-Default": "1", "X-Both": "default"}})
        request = HTTPRequest(self.url(), headers={"X-Both": "own"}, if_modified_since=0)
        for _ in range(2):
            self.fetch_ok(request, client=client)
        for received in seen:
            self.assertEqual(("1", "own"), (received.headers.get("X-Default"),
                                            received.headers.get("X-Both")))
            self.assertIn("If-Modified-Since", received.headers)
        self.assertEqual(["If-Modified-Since", "X-Both"], sorted(request.headers))

    def test_b242_default_headers_do_not_frame(self):
        request = self.ask({"headers": {"Transfer-Encoding": "chunked", "Content-Length": "5",
                                        "Connection": "close"}}, method="POST", body=b"abc")
        self.assertEqual(b"abc", request.body)
        self.assertNotIn("Connection", request.headers)

    def test_b242_both_names_of_decompress_response(self):
        for defaults, options, asked in (
                ({"use_gzip": False}, {}, False),
                ({"use_gzip": False}, {"decompress_response": True}, True),
                ({"use_gzip": False}, {"use_gzip": True}, True),
                ({"use_gzip": True}, {"decompress_response": False}, False),
                ({"use_gzip": True}, {}, True),
                ({"decompress_response": False}, {}, False),
                ({"decompress_response": False}, {"use_gzip": True}, True),
                ({"decompress_response": False, "use_gzip": True}, {}, False),
                ({"decompress_response": True, "use_gzip": False}, {}, True),
                ({}, {}, True)):
            headers = self.ask(defaults, **options).headers
            self.assertEqual(asked, "gzip" in headers.get("Accept-Encoding", ""),
                             (defaults, options))

    def test_b242_a_user_has_one_password(self):
        defaults = {"auth_username": "service", "auth_password": "default"}
        for url, options, expected in (
                ({}, {}, ("service", "default")),
                ({}, {"auth_username": "me", "auth_password": "secret"}, ("me", "secret")),
                ({}, {"auth_username": "me"}, ("me", "")),
                ({"host": "me:secret@127.0.0.1"}, {}, ("me", "secret")),
                ({"host": "me:secret@127.0.0.1"}, {"method": "HEAD"}, ("me", "secret")),
                ({"host": "me@127.0.0.1"}, {"method": "HEAD"}, ("me", ""))):
            headers = self.ask(defaults, url, **options).headers
            self.assertEqual(basic_credentials(*expected), headers.get("Authorization"),
                             (url, options))

    def test_b242_a_body_is_not_added_to_a_body_producer(self):
        defaults = {"body": b"default"}
        self.assertEqual(b"own", self.ask(defaults, method="POST", body=b"own").body)
        self.assertEqual(b"default", self.ask(defaults, method="POST").body)
        self.assertEqual(b"own", self.ask(defaults, method="POST",
                                          body_producer=lambda write: write(b"own")).body)

    def test_b242_ssl_options_do_not_replace_explicit_ones(self):
        self.serve(ssl_options=SERVER_OPTIONS)
        client = self.make_client(defaults={"ssl_options": {}})
        url = self.url(scheme="https", host="localhost")
        self.assertEqual(b"ok", self.fetch(url, client=client, ca_certs=CA).body)
        self.assertEqual(b"ok", self.fetch(url, client=client, validate_cert=False).body)
        with LogCatcher():
            self.assertEqual(599, self.fetch(url, client=client).code)


for_each_client(globals(), DefaultsContract)

if __name__ == "__main__":
    unittest.main()
