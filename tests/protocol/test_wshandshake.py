"""The opening handshake of a WebSocket, as values."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.httputil import HTTPHeaders
from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.wshandshake import (
    HandshakeError, accept_value, check_response, check_subprotocol, check_upgrade, make_key,
    parse_subprotocols)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
ASK = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
       "Sec-WebSocket-Key": KEY}
ANSWER = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": ACCEPT}


def changed(headers, **changes):
    headers = HTTPHeaders(headers)
    for name, value in changes.items():
        name = name.replace("_", "-")
        if value is None:
            del headers[name]
        else:
            headers[name] = value
    return headers


class HandshakeTest(unittest.TestCase):
    def test_accept_value_of_the_rfc(self):
        self.assertEqual(accept_value(KEY), ACCEPT)
        self.assertIs(type(accept_value(KEY)), str)
        self.assertEqual(make_key(b"the sample nonce"), KEY)

    def test_requests_that_can_be_met(self):
        for change in ({}, {"Upgrade": "WebSocket"}, {"Upgrade": "h2c, websocket"},
                       # B230: as rewritten by a proxy
                       {"Connection": "keep-alive, Upgrade"}, {"Connection": "UPGRADE"},
                       {"Sec_WebSocket_Key": " %s " % KEY}):
            self.assertEqual(check_upgrade(changed(ASK, **change)), KEY)

    def test_a508_requests_that_are_refused(self):
        for change, status in [
                ({"Upgrade": None}, 400), ({"Upgrade": "websockets"}, 400),
                ({"Connection": None}, 400), ({"Connection": "close"}, 400),
                ({"Connection": "Upgraded"}, 400), ({"Sec_WebSocket_Key": None}, 400),
                ({"Sec_WebSocket_Key": ""}, 400), ({"Sec_WebSocket_Key": "c2hvcnQ="}, 400),
                ({"Sec_WebSocket_Key": KEY[:-2] + "AA"}, 400),
                ({"Sec_WebSocket_Key": "\xe9" + KEY[1:]}, 400),
                ({"Sec_WebSocket_Version": None}, 426), ({"Sec_WebSocket_Version": "12"}, 426),
                ({"Sec_WebSocket_Version": "8"}, 426), ({"Sec_WebSocket_Version": "x"}, 426)]:
            with self.assertRaises(HTTPInputError) as caught:
                check_upgrade(changed(ASK, **change))
            self.assertEqual(caught.exception.status, status, change)

    def test_responses(self):
        self.assertIsNone(check_response(HTTPHeaders(ANSWER), KEY, []))
        self.assertEqual(
            check_response(changed(ANSWER, Sec_WebSocket_Protocol="b"), KEY, ["a", "b"]), "b")

    def test_a509_responses_that_are_refused(self):
        for change in ({"Upgrade": None}, {"Upgrade": "h2c"}, {"Connection": "close"},
                       {"Sec_WebSocket_Accept": None}, {"Sec_WebSocket_Accept": "x" + ACCEPT},
                       {"Sec_WebSocket_Accept": KEY}, {"Sec_WebSocket_Accept": ACCEPT.lower()},
                       {"Sec_WebSocket_Protocol": "c"}, {"Sec_WebSocket_Protocol": "a, b"},
                       {"Sec_WebSocket_Protocol": ""}):
            with self.assertRaises(HandshakeError):
                check_response(changed(ANSWER, **change), KEY, ["a", "b"])

    def test_subprotocols(self):
        self.assertEqual(parse_subprotocols("chat, superchat,,"), ["chat", "superchat"])
        self.assertEqual(parse_subprotocols(""), [])
        self.assertEqual(check_subprotocol(u"v1.chat"), "v1.chat")
        for name in ("", "a b", "a,b", "a\r\nb"):
            with self.assertRaises(ValueError):
                check_subprotocol(name)
