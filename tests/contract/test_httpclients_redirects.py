"""The contract of the HTTP clients: redirects, and which servers receive credentials."""
from __future__ import absolute_import, division, print_function

import base64
import hashlib
import unittest

from six.moves import http_cookiejar

from friendserve.httpclient import HTTPRequest, HTTPTransferError
from friendserve.protocol.httpauth import parse_challenges
from tests.clientcase import answer, for_each_client

BASIC = "Basic " + base64.b64encode(b"me:secret").decode("ascii")


def redirect(request, location, status=302, **headers):
    answer(request, b"moved", status, "Moved", Location=location, **headers)


class RedirectContract(object):
    """Rows A501 to A503, and A044."""

    def serve_redirect(self, location="/there", status=302, **headers):
        """Serve a redirect at "/", and keep other requests in `seen`."""
        seen = self.seen = []

        def on_request(request):
            if request.path == "/":
                redirect(request, location, status, **headers)
            else:
                seen.append(request)
                answer(request, request.body)

        return self.serve(on_request)

    def test_a501_methods(self):
        for status, method, after in (
                (301, "GET", "GET"), (302, "GET", "GET"), (303, "GET", "GET"), (307, "GET", "GET"),
                (308, "GET", "GET"), (301, "POST", "GET"), (302, "POST", "GET"),
                (303, "POST", "GET"), (307, "POST", "POST"), (308, "POST", "POST"),
                (301, "PUT", "PUT"), (303, "PUT", "GET"), (307, "PUT", "PUT"),
                (301, "HEAD", "HEAD"), (303, "HEAD", "HEAD"), (308, "HEAD", "HEAD")):
            self.serve_redirect(status=status)
            body = b"data" if method in ("POST", "PUT") else None
            response = self.fetch_ok(method=method, body=body)
            request, = self.seen
            self.assertEqual(request.method, after, (status, method))
            self.assertEqual(request.body, b"data" if after == method and body else b"")
            self.assertEqual("Content-Type" in request.headers, after == "POST")
            self.assertEqual(response.effective_url, self.url("/there"))

    def test_a501_without_a_location_it_is_the_answer(self):
        self.serve(lambda request: answer(request, b"what?", 302, "Found"))
        response = self.fetch()
        self.assertEqual((response.code, response.body), (302, b"what?"))
        self.assertEqual(response.error.code, 302)

    def test_a501_not_followed(self):
        self.serve_redirect()
        self.assertEqual(self.fetch(follow_redirects=False).code, 302)
        self.assertEqual(self.fetch(max_redirects=0).code, 302)
        self.assertEqual(self.seen, [])

    def test_a501_kinds_of_location(self):
        port = self.serve_redirect().address[1]
        first = self.seen
        for location, path in (("there?x=1", "/there?x=1"), ("//127.0.0.1:%d/x" % port, "/x"),
                               ("/x#fragment", "/x"), ("/a b", "/a%20b"),
                               ("/caf\xc3\xa9", "/caf%C3%A9"),
                               ("HTTP://127.0.0.1:%d/x" % port, "/x")):
            del first[:]
            self.serve_redirect(location)
            self.fetch_ok()
            self.assertEqual([request.uri for request in first + self.seen], [path],
                             location)

    def test_a501_other_schemes_are_refused(self):
        for location in ("file:///etc/passwd", "gopher://127.0.0.1/", "javascript:x",
                         "http://127.0.0.1:99999/", "http:///"):
            self.serve_redirect(location)
            self.assertEqual(self.fetch().error.code, 599, location)

    def test_a501_a_loop_ends(self):
        count = [0]

        def on_request(request):
            count[0] += 1
            redirect(request, "/")

        self.serve(on_request)
        response = self.fetch(max_redirects=3)
        self.assertEqual((response.code, response.error.code, count), (302, 302, [4]))

    def test_a044_a502_secrets_are_for_one_origin(self):
        secrets = {"Authorization": BASIC, "Cookie": "a=b", "Proxy-Authorization": BASIC,
                   "X-Mine": "1"}
        for options in (dict(headers=secrets),
                        dict(auth_username="me", auth_password="secret"), {}):
            self.serve_redirect("/same")
            first = self.server
            url = self.url() if options else self.url(host="me:secret@127.0.0.1")
            self.fetch_ok(url, **options)
            request, = self.seen
            self.assertEqual(request.headers["Authorization"], BASIC)
            self.assertEqual(request.headers.get("Cookie"), "a=b" if "headers" in options else None)
            # Another port is another origin.
            self.serve_redirect()
            other = self.url("/other")
            seen = self.seen
            self.serve_redirect(other)
            self.assertNotEqual(self.server.address, first.address)
            url = self.url() if options else self.url(host="me:secret@127.0.0.1")
            self.fetch_ok(url, **options)
            request, = seen
            for name in ("Authorization", "Cookie", "Proxy-Authorization"):
                self.assertNotIn(name, request.headers)
            self.assertEqual(request.headers["Host"], other.split("/")[2])
            self.assertEqual("X-Mine" in request.headers, "headers" in options)

    def test_a503_a_body_producer_runs_once(self):
        self.serve_redirect(status=307)
        response = self.fetch(method="POST", body_producer=lambda write: write(b"data"))
        self.assertEqual(response.code, 599)
        self.assertIn("body", str(response.error))
        self.assertEqual(self.seen, [])

    def test_a504_userinfo_is_decoded_and_not_shown(self):
        seen = []

        def on_request(request):
            seen.append(request.headers)
            answer(request)

        self.serve(on_request)
        request = HTTPRequest(self.url(host="m%40e:se%3Acret@127.0.0.1"))
        response = self.fetch_ok(request)
        self.assertEqual(seen[0]["Authorization"],
                         "Basic " + base64.b64encode(b"m@e:se:cret").decode("ascii"))
        self.assertEqual(seen[0]["Host"], "127.0.0.1:%d" % self.server.address[1])
        for shown in (repr(request), repr(response), response.effective_url):
            self.assertNotIn("cret", shown)

    def test_b187_callbacks_are_told_of_the_last_response_only(self):
        self.serve_redirect(X_First="1")
        lines, pieces = [], []
        response = self.fetch_ok(method="POST", body=b"", header_callback=lines.append,
                                 streaming_callback=pieces.append)
        self.assertEqual(lines[0], "HTTP/1.1 200 OK\r\n")
        self.assertEqual(lines[-1], "\r\n")
        self.assertEqual([line for line in lines if line.startswith("X-First")], [])
        self.assertEqual((response.body, b"".join(pieces)), (b"", b""))

    def test_a_redirect_to_something_that_is_no_http(self):
        self.script(b"garbage\r\n\r\n")
        self.serve_redirect(self.url("/x"))
        self.fetch_error(HTTPTransferError)


class AuthContract(object):
    """Basic and digest."""

    def test_basic(self):
        seen = []

        def on_request(request):
            seen.append(request.headers.get("Authorization"))
            answer(request)

        self.serve(on_request)
        self.fetch_ok(auth_username="me", auth_password="secret")
        self.fetch_ok(auth_username="me", auth_password="secret", auth_mode="basic")
        self.fetch_ok(auth_username=u"caf\u00e9", auth_password=u"\u20ac")
        self.fetch_ok()
        self.assertEqual(seen, [BASIC, BASIC, "Basic " + base64.b64encode(
            u"caf\u00e9:\u20ac".encode("utf-8")).decode("ascii"), None])

    def test_an_unknown_mode_is_refused(self):
        self.assertRaises(ValueError, self.client.fetch, "http://127.0.0.1:9/", None,
                          auth_username="a", auth_mode="handshake")

    def serve_digest(self, algorithm="MD5", qop='qop="auth", '):
        self.seen = []
        self.nonces = ["nonce%d" % number for number in range(9)]
        hasher = hashlib.md5 if algorithm == "MD5" else hashlib.sha256

        def digest(*parts):
            return hasher(":".join(parts).encode("utf-8")).hexdigest()

        def on_request(request):
            header = request.headers.get("Authorization", "")
            self.seen.append(header)
            (scheme, given), = parse_challenges([header]) or [("", {})]
            if scheme == "digest" and given["nonce"] == self.nonces[0]:
                self.assertEqual(given["uri"], request.uri)
                secret = digest("me", "the realm", "secret")
                action = digest(request.method, request.uri)
                middle = [given["nonce"], given["nc"], given["cnonce"], "auth"] if qop else [
                    given["nonce"]]
                if given["response"] == digest(*[secret] + middle + [action]):
                    answer(request, b"welcome")
                    return
            answer(request, b"who?", 401, "Unauthorized", WWW_Authenticate=(
                'Digest realm="the realm", nonce="%s", %salgorithm=%s, opaque="x\\"y"'
                % (self.nonces[0], qop, algorithm)))

        self.serve(on_request)

    def test_digest(self):
        for algorithm in ("MD5", "SHA-256"):
            self.serve_digest(algorithm)
            options = dict(auth_username="me", auth_password="secret", auth_mode="digest")
            self.assertEqual(self.fetch_ok("/a?b=c", **options).body, b"welcome")
            self.assertEqual(self.fetch_ok("/", method="POST", body=b"x", **options).body,
                             b"welcome")
            # The nonce has expired.
            del self.nonces[0]
            self.assertEqual(self.fetch_ok("/a", **options).body, b"welcome")

    def test_digest_of_old(self):
        self.serve_digest(qop="")
        self.assertEqual(self.fetch_ok(auth_username="me", auth_password="secret",
                                       auth_mode="digest").body, b"welcome")

    def test_digest_with_the_wrong_password(self):
        self.serve_digest()
        response = self.fetch(auth_username="me", auth_password="wrong", auth_mode="digest")
        self.assertEqual((response.code, response.body), (401, b"who?"))
        self.assertLess(len(self.seen), 4)


class CookieContract(object):
    def test_a_jar_keeps_and_gives_cookies(self):
        seen = []

        def on_request(request):
            seen.append(request.headers.get("Cookie"))
            if request.path == "/":
                redirect(request, "/there", Set_Cookie="a=b; Path=/")
            else:
                answer(request, Set_Cookie="c=d; Path=/")

        self.serve(on_request)
        jar = http_cookiejar.CookieJar()
        self.fetch_ok(cookie_jar=jar)
        self.fetch_ok("/there", cookie_jar=jar)
        self.fetch_ok("/there")
        self.fetch_ok("/there", cookie_jar=jar, headers={"Cookie": "mine=1"})
        self.assertEqual(seen[:2], [None, "a=b"])
        self.assertEqual(sorted(seen[2].split("; ")), ["a=b", "c=d"])
        self.assertEqual(seen[3:], [None, "mine=1"])
        self.assertEqual(sorted(cookie.name for cookie in jar), ["a", "c"])


class Contract(RedirectContract, AuthContract, CookieContract):
    """The whole contract of this module."""


for_each_client(globals(), Contract)

if __name__ == "__main__":
    unittest.main()
