"""The contract of the HTTP clients: responses over TLS that end without close_notify (row A656)."""
from __future__ import absolute_import, division, print_function

try:
    import pycurl
except ImportError:
    pycurl = None

from friendserve.httpclient import HTTPStreamClosedError
from tests.clientcase import CurlAsyncHTTPClient, for_each_client
from tests.httpcase import CA, SERVER_OPTIONS, LogCatcher


def close_without_close_notify(stream):
    stream.close(exc_info=(IOError, IOError("on purpose"), None))


class CloseNotifyContract(object):
    @property
    def notices(self):
        """Whether this client notices that close_notify is missing."""
        return self.client_class is not CurlAsyncHTTPClient or pycurl.version_info()[2] >= 0x80000

    def assert_broken_off(self, response):
        if self.notices:
            self.assertIsInstance(response.error, HTTPStreamClosedError)
            self.assertEqual((599, "body"), (response.code, response.error.phase))

    def serve_and_close(self, data, close=close_without_close_notify):
        def step(stream, head):
            stream.write(data, lambda: close(stream))
        self.script(step, ssl_options=SERVER_OPTIONS)

    def get(self, **options):
        return self.fetch(self.url(scheme="https", host="localhost"), ca_certs=CA, **options)

    def test_a656_a_body_that_ends_with_the_connection(self):
        for head in (b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n",
                     b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"):
            for body in (b"part", b"x" * 100000, b""):
                self.serve_and_close(head + body)
                with LogCatcher() as records:
                    response = self.get()
                self.assert_broken_off(response)
                self.assertEqual([], records)

    def test_a656_close_notify_proves_that_it_is_complete(self):
        for body in (b"all", b"x" * 1000000):
            self.serve_and_close(b"HTTP/1.1 200 OK\r\n\r\n" + body, lambda stream: stream.close())
            response = self.get()
            self.assertIsNone(response.error)
            self.assertEqual(body, response.body)

    def test_a656_pieces_of_a_body(self):
        self.serve_and_close(b"HTTP/1.1 200 OK\r\n\r\npart")
        self.assert_broken_off(self.get(streaming_callback=lambda data: None))

    def test_a656_a_framed_body_that_is_complete_needs_none(self):
        for data in (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nall",
                     b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nall",
                     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n0\r\n\r\n"):
            self.serve_and_close(data)
            with LogCatcher() as records:
                response = self.get()
                self.turn(0, 3)
            self.assertIsNone(response.error)
            self.assertEqual((b"all", []), (response.body, records))

    def test_a656_servers_that_never_send_it(self):
        for body in (b"all", b"x" * 100000, b""):
            self.serve_and_close(b"HTTP/1.1 200 OK\r\n\r\n" + body)
            response = self.get(require_close_notify=False)
            self.assertIsNone(response.error)
            self.assertEqual(body, response.body)
        # Framed bodies that are incomplete still fail.
        for data in (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\npart",
                     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n"):
            self.serve_and_close(data)
            self.assertEqual(599, self.get(require_close_notify=False).code)


for_each_client(globals(), CloseNotifyContract)
