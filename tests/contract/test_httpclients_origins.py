"""The contract of the HTTP clients: what a redirect keeps, and what is for one origin."""
from __future__ import absolute_import, division, print_function

import ssl
import unittest

from friendserve.httputil import HTTPHeaders, basic_credentials
from friendserve.netutil import ssl_options_to_context
from tests.clientcase import answer, for_each_client
from tests.httpcase import CA, SERVER_OPTIONS

ME = basic_credentials("me", "secret")

CHALLENGE = 'Digest realm="r", nonce="%s", qop="auth", algorithm=MD5'


def produce(write):
    write(b"data")


class OriginContract(object):
    def serve_redirects(self, status=302):
        """Serve redirects from "/" to the `location` of the server, which may be set later, and
        keep other requests in its `seen`."""
        seen = []

        def on_request(request):
            location = server.locations.get(request.path)
            if location is not None:
                answer(request, b"", status, "Moved", Location=location)
            else:
                seen.append(request)
                answer(request, request.body)

        server = self.serve(on_request)
        server.seen = seen
        server.locations = {}
        return server

    def test_b243_the_user_of_a_url_is_kept_within_its_origin(self):
        server = self.serve_redirects()
        place = "127.0.0.1:%d" % server.address[1]
        for location in ("/a", "a", "//%s/a" % place, "http://%s/a" % place,
                         "HTTP://%s/a" % place, "http://%s/a?b#c" % place):
            server.locations["/"] = location
            self.fetch_ok(self.url(server=server, host="me:secret@127.0.0.1"))
            self.assertEqual(ME, server.seen.pop().headers.get("Authorization"), location)

    def test_b243_over_several_redirects(self):
        server = self.serve_redirects()
        server.locations = {"/": self.url("/1"), "/1": "/2", "/2": self.url("/3")}
        self.fetch_ok(self.url(host="me:secret@127.0.0.1"))
        self.assertEqual(ME, server.seen.pop().headers.get("Authorization"))
        # A user that the Location names precedes.
        server.locations["/1"] = self.url("/2", host="other:word@127.0.0.1")
        self.fetch_ok(self.url(host="me:secret@127.0.0.1"))
        self.assertEqual(basic_credentials("other", "word"),
                         server.seen.pop().headers.get("Authorization"))

    def test_b243_and_not_beyond_it(self):
        other, server = self.serve_redirects(), self.serve_redirects()
        for location in (self.url("/a", other), self.url("/a", other)[5:],
                         self.url("/a", server, host="localhost")):
            server.locations["/"] = location
            self.fetch_ok(self.url(server=server, host="me:secret@127.0.0.1"))
            request = (other.seen or server.seen).pop()
            self.assertNotIn("Authorization", request.headers)
        # Not even on the way back.
        server.locations["/"] = self.url("/b", other)
        other.locations["/b"] = self.url("/a", server)
        self.fetch_ok(self.url(server=server, host="me:secret@127.0.0.1"))
        self.assertNotIn("Authorization", server.seen.pop().headers)

    def test_a603_the_host_is_for_one_origin(self):
        other, server = self.serve_redirects(), self.serve_redirects()
        server.locations["/"] = self.url("/a", server)
        self.fetch_ok(self.url(server=server), headers={"Host": "inner.test"})
        self.assertEqual("inner.test", server.seen.pop().headers["Host"])
        server.locations["/"] = self.url("/a", other)
        self.fetch_ok(self.url(server=server), headers={"Host": "inner.test"})
        self.assertEqual("127.0.0.1:%d" % other.address[1], other.seen.pop().headers["Host"])

    def test_a604_a_redirect_that_drops_the_body_drops_its_framing(self):
        for status, method in ((301, "POST"), (302, "POST"), (303, "POST"), (303, "PUT")):
            for headers in ({"Content-Length": "4"}, {"Transfer-Encoding": "chunked"},
                            {"Content-Length": "4", "Transfer-Encoding": "chunked",
                             "Content-Type": "a/b", "Content-Encoding": "gzip"}):
                for options in (dict(body=b"data"), dict(body_producer=produce)):
                    server = self.serve_redirects(status)
                    server.locations["/"] = "/a"
                    response = self.fetch(method=method, headers=HTTPHeaders(headers),
                                          request_timeout=5, **options)
                    self.assertEqual((200, b""), (response.code, response.body),
                                     (status, headers, options))
                    request, = server.seen
                    self.assertEqual("GET", request.method)
                    self.assertEqual([], [name for name in (
                        "Content-Length", "Transfer-Encoding", "Content-Type", "Content-Encoding")
                        if name in request.headers])

    def test_a605_a_digest_challenge_is_answered_to_its_origin_only(self):
        seen = []

        def on_request(request):
            header = request.headers.get("Authorization")
            seen.append((request.host, header))
            if header is None and request.path == "/secret":
                answer(request, b"", 401, "Unauthorized", WWW_Authenticate=CHALLENGE % "n1")
            else:
                answer(request)

        options = dict(auth_username="me", auth_password="secret", auth_mode="digest")
        first = self.serve(on_request)
        second = self.serve(on_request)
        self.fetch_ok(self.url("/secret", first), **options)
        self.assertIn('username="me"', seen[-1][1])
        del seen[:]
        self.fetch_ok(self.url("/open", second), **options)
        self.fetch_ok(self.url("/open", first, host="localhost"), **options)
        self.assertEqual([None, None], [header for _, header in seen])


class RootDotContract(object):
    """The name of a host may end in a dot, for the root of the DNS."""

    def test_b244_names_in_tls_are_without_the_final_dot(self):
        names, hosts = [], []
        context = ssl_options_to_context(SERVER_OPTIONS, True)

        def note(sock, name, context):
            names.append(name)

        if hasattr(context, "sni_callback"):
            context.sni_callback = note
        elif getattr(ssl, "HAS_SNI", False):
            context.set_servername_callback(note)
        self.serve(lambda request: (hosts.append(request.headers["Host"]), answer(request)),
                   ssl_options=context)
        # Only the name with the dot is known.
        client = self.make_client(hostname_mapping={"localhost.": "127.0.0.1"})
        url = self.url(scheme="https", host="localhost.")
        self.assertEqual(b"ok", self.fetch(url, ca_certs=CA, client=client).body)
        self.assertEqual(["localhost"], names)
        self.assertEqual(["localhost.:%d" % self.server.address[1]], hosts)


for_each_client(globals(), OriginContract)
for_each_client(globals(), RootDotContract)

if __name__ == "__main__":
    unittest.main()
