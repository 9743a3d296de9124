# coding: utf-8
"""The contract of the HTTP clients: hosts that different programs read differently, and redirects
that leave open where they lead."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.httpclient import HTTPProtocolError, HTTPTransferError
from tests.clientcase import answer, for_each_client, response


class HostContract(object):
    #: Each stands for 127.0.0.1, or for it and the port of the server.
    HOSTS = (u"%31%32%37.0.0.1:{0}", u"127.0.0.%31:{0}", u"%6cocalhost:{0}",
             u"127.0.0.1\uff1a{0}", u"127.0.0.\uff0531:{0}", u"127.0.0.1\ufe55{0}")

    def test_a673_a674_refused_before_anything_is_connected(self):
        server = self.script(response(), response(), response())
        for host in self.HOSTS:
            url = u"http://%s/" % host.format(server.address[1])
            self.assertIsInstance(self.fetch_error(HTTPTransferError, url).real_error, ValueError)
        self.assertEqual([], server.streams)
        self.assertEqual(0, self.client.statistics()["connects"])

    def test_a673_not_decoded_in_the_host_of_a_proxy(self):
        server = self.script(response())
        for host in ("%31%32%37.0.0.1", "127.0.0.%31"):
            try:
                error = self.fetch("http://h.invalid/", proxy_host=host,
                                   proxy_port=server.address[1]).error
            except (ValueError, NotImplementedError) as refused:
                error = refused
            self.assertIsNotNone(error)
            self.assertEqual([], server.streams)

    def test_a673_a674_refused_in_a_redirect(self):
        for host in self.HOSTS:
            target = self.script(response())
            location = (u"http://%s/" % host.format(target.address[1])).encode("utf-8")
            server = self.script(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: "
                                 + location + b"\r\n\r\n")
            error = self.fetch_error(HTTPProtocolError)
            self.assertEqual("redirect", error.phase, location)
            self.assertEqual(1, len(server.heads))
            self.assertEqual([], target.streams, location)

    def test_b257_a_long_name_in_a_redirect_is_refused_at_once(self):
        for host in (u"a." * 200 + u"test", u"\xfc" * 16000):
            location = (u"http://%s/" % host).encode("utf-8")
            self.script(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location
                        + b"\r\n\r\n")
            error = self.fetch_error(HTTPProtocolError)
            self.assertEqual("redirect", error.phase)

    def test_a675_two_locations_are_refused(self):
        for first, second in (("/a", "/b"), ("/a", "/a"), ("", "/b"), ("/a", "http://h.invalid/")):
            server = self.script(
                response(b"", "302 Found", "Location: %s\r\nLocation: %s\r\n" % (first, second)),
                response())
            error = self.fetch_error(HTTPProtocolError)
            # New versions of libcurl refuse the head, if the two differ.
            self.assertIn(error.phase, ("redirect", "headers"))
            if error.phase == "redirect":
                self.assertIn("2 Location headers", str(error))
            self.assertEqual(1, len(server.heads))

    def test_a675_they_are_an_answer_if_none_is_followed(self):
        self.script(response(b"", "302 Found", "Location: /a\r\nLocation: /a\r\n"))
        answered = self.fetch(follow_redirects=False)
        self.assertEqual((302, ["/a", "/a"]),
                         (answered.code, answered.headers.get_list("Location")))

    def test_a675_one_location_is_followed(self):
        self.serve(lambda request: (
            answer(request, b"", 302, "Found", Location="/x") if request.path == "/"
            else answer(request)))
        self.assertEqual(self.url("/x"), self.fetch_ok().effective_url)


for_each_client(globals(), HostContract)

if __name__ == "__main__":
    unittest.main()
