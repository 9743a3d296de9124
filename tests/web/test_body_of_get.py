"""The body of a GET, HEAD or DELETE has no meaning (row A650)."""
from __future__ import absolute_import, division, print_function

import json
import unittest

from friendserve.httputil import HTTPHeaders, HTTPInputError, HTTPServerRequest
from tests.staticcase import StaticCase
from tests.webcase import FORM, HandlerCase

VARIANTS = {"name": "poison"}


class BodyOfGetTest(HandlerCase):
    def serve_arguments(self):
        def answer(handler):
            handler.write({
                "argument": handler.get_argument("name", "none"),
                "arguments": handler.get_arguments("name"),
                "request": sorted(handler.request.arguments),
                "query": handler.get_query_argument("name", "none"),
                "body": handler.get_body_argument("name", "none")})

        self.serve_handler(answer, delete=answer, post=answer, put=answer, patch=answer)

    def expect(self, method, path, **wanted):
        self.assertEqual(wanted, json.loads(
            self.ask(path, method, body=VARIANTS).body.decode("ascii")))

    def test_a650_only_get_body_argument_sees_it(self):
        self.serve_arguments()
        for method in ("GET", "DELETE"):
            self.expect(method, "/", argument="none", arguments=[], request=[], query="none",
                        body="poison")
            self.expect(method, "/?name=mine", argument="mine", arguments=["mine"],
                        request=["name"], query="mine", body="poison")

    def test_a650_head(self):
        seen = []
        self.serve_handler(head=lambda handler: seen.append(
            (handler.get_argument("name", "none"), handler.get_body_argument("name", "none"))))
        self.ask("/", "HEAD", body=VARIANTS)
        self.assertEqual([("none", "poison")], seen)

    def test_a650_other_methods_have_both(self):
        self.serve_arguments()
        for method in ("POST", "PUT", "PATCH"):
            self.expect(method, "/?name=mine", argument="poison", arguments=["mine", "poison"],
                        request=["name"], query="mine", body="poison")

    def test_a650_a_malformed_form_is_not_read(self):
        request = HTTPServerRequest(
            "GET", "/?a=b", headers=HTTPHeaders({"Content-Type": "multipart/form-data"}),
            body=b"junk")
        try:
            arguments = request.arguments
        except HTTPInputError as error:
            arguments = error
        self.assertEqual({"a": [b"b"]}, arguments)

    def test_a650_the_token_of_a_delete_may_be_in_its_body(self):
        token = "a" * 32
        self.serve_handler(delete=lambda handler: handler.write("done"),
                           settings={"xsrf_cookies": True})
        for body, status in (({"_xsrf": token}, 200), ({"_xsrf": "b" * 32}, 403), ({}, 403)):
            self.assertEqual(status, self.ask("/", "DELETE", [("Cookie", "_xsrf=" + token)],
                                              body=body).status)


class StaticVersionTest(StaticCase):
    def test_a650_a_version_in_the_body_is_none(self):
        self.serve_files()
        response = self.fetch((
            "GET /static/hello.txt?x=1 HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\n"
            "Content-Length: 3\r\n\r\nv=1" % FORM).encode("ascii"))
        self.assertEqual(200, response.status)
        self.assertNotIn("Cache-Control", response.headers)


if __name__ == "__main__":
    unittest.main()
