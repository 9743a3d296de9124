"""Connections of the simple client that end in the middle of a fetch, and bodies that it drops
(rows B196 and B335)."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.httpclient import HTTPConnectError, HTTPStreamClosedError
from tests.clientcase import ClientCase, ScriptedServer, response


class ConnectionEndsTest(ClientCase):
    def test_b196_a_request_is_not_repeated_after_an_interim_response(self):
        for interim in (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"):
            server = self.script(response(), [interim, ScriptedServer.CLOSE], response())
            self.fetch_ok()
            self.fetch_error(HTTPStreamClosedError)
            self.assertEqual(2, len(server.heads))

    def test_b196_a_body_is_not_produced_for_a_lost_connection(self):
        self.script(response())
        self.fetch_ok()
        kept, = self.client._pool._open
        produced, responses = [], []
        self.client.fetch(self.url(), responses.append, method="POST",
                          body_producer=lambda write: produced.append(write))
        # After the head was sent, and before the body is asked for.
        self.run_until(lambda: kept.exchanges == 2)
        kept.stream.close()
        self.run_until(lambda: responses)
        self.assertEqual([], produced)
        self.assertIs(HTTPStreamClosedError, type(responses[0].error))

    def test_the_error_says_why_a_proxy_made_no_tunnel(self):
        head = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: %d\r\n\r\n"
        for answer, reason in (([head % 9 + b"half", ScriptedServer.CLOSE], "407 Proxy Auth"),
                               (head % (1 << 30), "407 Proxy Auth"),
                               ([ScriptedServer.CLOSE], "closed the connection"),
                               (b"garbage\r\n\r\n", "malformed status line")):
            host, port = self.script(answer).address
            error = self.fetch_error(HTTPConnectError, "https://example.test/", proxy_host=host,
                                     proxy_port=port)
            self.assertIn(reason, str(error))

    def test_b335_the_body_of_a_redirect_is_not_kept(self):
        step = b"x" * 50000
        self.script([b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 1000000\r\n\r\n"]
                    + [step] * 10)
        responses = []
        self.client.fetch(self.url(), responses.append)
        self.run_until(lambda: self.client._pool._open)
        connection, = self.client._pool._open
        self.run_until(lambda: connection._body is not None and connection._body._left == 500000)
        self.assertEqual([], connection._body.pieces)


if __name__ == "__main__":
    unittest.main()
