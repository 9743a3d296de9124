"""The contract of the HTTP clients: a kept connection is used again if it is empty and open."""
from __future__ import absolute_import, division, print_function

import select
import ssl
import unittest

try:
    import pycurl
except ImportError:
    pycurl = None
from friendserve.netutil import ssl_options_to_context
from tests import PATIENCE
from tests.clientcase import ClientCase, CurlAsyncHTTPClient, for_each_client, reset, response
from tests.httpcase import CA, SERVER_OPTIONS
from tests.loopcase import needs_package

EVIL = response(b"evil")

#: Requests and their responses, which have no body whatever follows.
WITHOUT_BODY = [
    (dict(method="HEAD"), b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"),
    (dict(), b"HTTP/1.1 204 No Content\r\n\r\n"),
    (dict(headers={"If-None-Match": '"x"'}), b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n'),
    (dict(), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
]


def wait_unnoticed(client):
    """Wait until something has arrived on the last idle connection of a simple client, without
    running the loop: it has not noticed this when the next fetch begins."""
    connection = list(client._pool._idle)[-1]
    if not select.select([connection.stream.fileno()], [], [], PATIENCE)[0]:
        raise AssertionError("nothing has arrived in %d seconds" % PATIENCE)


class PlainPlace(object):
    def place(self):
        """The URL of the server, and the options to reach it."""
        return self.url(), {}

    def ask(self, **options):
        url, more = self.place()
        return self.fetch(url, **dict(more, **options))

    def start(self, *answers):
        return self.script(*answers)


class KeptContract(PlainPlace):
    def test_b240_a_quiet_connection_is_used_again(self):
        server = self.start(*[response(b"%d" % number if str is not bytes else str(number))
                              for number in range(5)])
        for number in range(5):
            self.assertEqual(str(number).encode("ascii"), self.ask().body)
        self.assertEqual(1, len(server.streams))

    def test_b241_surplus_bytes_after_a_response_without_a_body(self):
        for options, head in WITHOUT_BODY:
            for more in (EVIL, b"body", b"\r\n"):
                server = self.start(head + more, response(b"2"))
                self.assertIn(self.ask(**options).code, (200, 204, 304))
                self.assertEqual(b"2", self.ask().body, (head, more))
                self.check_connections(server)

    def test_b241_surplus_bytes_when_the_next_fetch_waits_already(self):
        for options, head in WITHOUT_BODY + [(dict(), response(b"1"))]:
            for cut in (None, 10):
                server = self.start(lambda stream, asked: self.send_in_turns(
                    stream, [head + EVIL] if cut is None else [head[:cut], head[cut:] + EVIL]),
                    response(b"2"))
                client = self.make_client(max_clients=1)
                url, more = self.place()
                responses = []
                client.fetch(url, responses.append, **dict(more, **options))
                client.fetch(url, responses.append, **more)
                self.run_until(lambda: len(responses) == 2)
                self.assertEqual((200, b"2"), (responses[1].code, responses[1].body), (head, cut))
                self.check_connections(server)

    def check_connections(self, server):
        # Old versions of libcurl drop the surplus bytes and keep the connection.
        if self.client_class is not CurlAsyncHTTPClient:
            self.assertEqual(2, len(server.streams))

    def send_in_turns(self, stream, pieces):
        """Send the pieces one by one, so that the client reads each by itself."""
        def send(turns):
            if stream.closed() or not pieces:
                return
            if turns % 5 == 0:
                stream.write(pieces.pop(0))
            self.loop.add_callback(send, turns + 1)

        send(0)


for_each_client(globals(), KeptContract)


class TLSPlace(object):
    def place(self):
        return self.url(scheme="https", host="localhost"), {"ca_certs": CA}

    def start(self, *answers):
        return self.script(*answers, ssl_options=SERVER_OPTIONS)


class KeptTLSContract(TLSPlace, KeptContract):
    """The same over TLS."""


for_each_client(globals(), KeptTLSContract)


class NothingReceivedTest(PlainPlace, ClientCase):
    """The simple client looks at a connection before it uses it again; libcurl does not."""

    def test_b240_a_response_nobody_asked_for(self):
        for method, body in (("GET", None), ("POST", b"x"), ("HEAD", None)):
            for more in (EVIL, b"x", b"\r\n"):
                server = self.start(response(b"1"), response(b"2"))
                self.assertEqual(b"1", self.ask().body)
                server.streams[0].write(more)
                wait_unnoticed(self.client)
                answered = self.ask(method=method, body=body)
                self.assertEqual((200, b"" if method == "HEAD" else b"2"),
                                 (answered.code, answered.body or b""), (method, more))
                self.assertEqual(2, len(server.streams))
                self.assertEqual([1, 1], [head.count(b" HTTP/1.1\r\n") for head in server.heads])

    def test_b240_a_closed_connection(self):
        for end in (reset, lambda stream: stream.close(), lambda stream: stream.shutdown_write()):
            server = self.start(response(b"1"), response(b"2"))
            self.assertEqual(b"1", self.ask().body)
            end(server.streams[0])
            wait_unnoticed(self.client)
            self.assertEqual(b"2", self.ask(method="POST", body=b"x").body)
            self.assertEqual(2, len(server.streams))


class NothingReceivedTLSTest(TLSPlace, NothingReceivedTest):
    """The same over TLS."""


@needs_package(CurlAsyncHTTPClient, "pycurl")
class NothingKeptTest(ClientCase):
    client_class = CurlAsyncHTTPClient

    def test_b240_no_connection_is_kept(self):
        server = self.script(response(b"1"), response(b"2"))
        self.assertEqual(b"1", self.fetch(prepare_curl_callback=keep_none).body)
        self.run_until(server.streams[0].closed)
        self.assertEqual(b"2", self.fetch(prepare_curl_callback=keep_none).body)
        self.assertEqual(2, len(server.streams))


def keep_none(curl):
    """As the docstring of friendserve.curl_httpclient advises."""
    curl.setopt(pycurl.FORBID_REUSE, 1)


if getattr(ssl, "HAS_TLSv1_3", False) and hasattr(ssl.SSLContext, "post_handshake_auth"):
    class RecordsWithoutDataTest(ClientCase):
        def test_b240_a_tls_record_without_data_is_no_response(self):
            server_context = ssl_options_to_context(
                dict(SERVER_OPTIONS, ca_certs=CA, cert_reqs=ssl.CERT_OPTIONAL), True)
            context = ssl_options_to_context({"ca_certs": CA}, False)
            server_context.post_handshake_auth = context.post_handshake_auth = True
            server = self.script(response(b"1"), response(b"2"), response(b"3"),
                                 ssl_options=server_context)
            url = self.url(scheme="https", host="localhost")
            self.assertEqual(b"1", self.fetch(url, ssl_options=context).body)
            # The server asks for a certificate: a record that holds no data, as a session ticket.
            sock = server.streams[0].socket
            sock.verify_client_post_handshake()
            sock.do_handshake()
            wait_unnoticed(self.client)
            self.assertEqual(b"2", self.fetch(url, ssl_options=context).body)
            self.assertEqual(1, len(server.streams))
            # With data behind it, it is abandoned.
            sock.verify_client_post_handshake()
            server.streams[0].write(EVIL)
            wait_unnoticed(self.client)
            self.assertEqual(b"3", self.fetch(url, ssl_options=context).body)
            self.assertEqual(2, len(server.streams))


if __name__ == "__main__":
    unittest.main()
