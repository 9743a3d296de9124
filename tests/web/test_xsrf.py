# -*- coding: utf-8 -*-
"""Protection against requests that other sites make a browser send (XSRF)."""
from __future__ import absolute_import, division, print_function

import logging
import re
import zlib

from friendserve.web import RequestHandler
from friendserve.web.xsrf import decode_token, encode_plain_token, encode_token
from tests.webcase import WebCase, request

TOKEN = bytes(bytearray(range(16)))
PLAIN = encode_plain_token(TOKEN)
MASKED = encode_token(TOKEN, b"\x01\x02\x03\x04", 1400000000)


class Form(RequestHandler):
    def get(self):
        self.write(self.xsrf_token)

    def post(self):
        self.write("taken")

    put = delete = patch = options = post


class User(Form):
    def get_current_user(self):
        return "somebody"


class Html(RequestHandler):
    def get(self):
        self.write(self.xsrf_form_html() + " " * 2000)


class TokenTest(WebCase):
    def test_round_trip(self):
        self.assertEqual(decode_token(PLAIN), (1, TOKEN, None))
        self.assertEqual(decode_token(MASKED), (2, TOKEN, 1400000000))
        self.assertNotIn(PLAIN, MASKED)

    def test_a021_malformed_tokens(self):
        masked = MASKED.split("|")
        for text in (None, "", "x", "00", PLAIN[:-1], PLAIN[:-2], PLAIN + "00", PLAIN + "\n", "|",
                     u"\u20ac" * 32, b"\xff" * 32, "2|", "2|01020304", "|".join(masked[:3]),
                     "|".join(masked[:3]) + "|", "|".join(masked[:3]) + "|x", "3|" + MASKED[2:],
                     "2|010203|" + masked[2] + "|1", "2||" + masked[2] + "|1",
                     "2|01020304||1", "2|01020304|00|1", MASKED + "|", "2|zz020304|00|1"):
            self.assertIsNone(decode_token(text), repr(text))


class XsrfTest(WebCase):
    def setUp(self):
        super(XsrfTest, self).setUp()
        self.serve_app([("/", Form)], xsrf_cookies=True)

    def post(self, cookie=None, method="POST", body=None, headers=(), path="/"):
        headers = list(headers)
        if cookie is not None:
            headers.append(("Cookie", "_xsrf=" + cookie))
        return self.ask(path, method, headers, body if body is not None else {"a": "1"}).status

    def test_a003_no_header_exempts(self):
        self.assertEqual(self.post(headers=[("X-Requested-With", "XMLHttpRequest")]), 403)
        self.assertEqual(self.post(PLAIN, headers=[("X-Requested-With", "XMLHttpRequest")]), 403)
        self.assertEqual(self.logged(logging.WARNING),
                         ["403 POST / (127.0.0.1): HTTP 403: Forbidden "
                          "('_xsrf' argument missing from POST)"])

    def test_a004_every_method_but_the_safe_ones(self):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            self.assertEqual(self.post(method=method), 403, method)
            self.assertEqual(self.post(PLAIN, method, {"_xsrf": PLAIN}), 200, method)
        for method in ("GET", "OPTIONS"):
            self.assertEqual(self.ask("/", method).status, 200, method)
        self.assertEqual(self.ask("/", "HEAD").status, 405)

    def test_a312_where_a_token_may_stand(self):
        for token in (PLAIN, MASKED):
            for cookie in (PLAIN, MASKED):
                self.assertEqual(self.post(cookie, body={"_xsrf": token}), 200)
                self.assertEqual(self.post(cookie, path="/?_xsrf=" + token.replace("|", "%7C")),
                                 200)
                for name in ("X-Xsrftoken", "X-XSRFToken", "X-CSRFToken"):
                    self.assertEqual(self.post(cookie, headers=[(name, token)]), 200)

    def test_a312_wrong_or_missing(self):
        other = encode_plain_token(b"x" * 16)
        self.assertEqual(self.post(other, body={"_xsrf": PLAIN}), 403)
        self.assertEqual(self.post(None, body={"_xsrf": PLAIN}), 403)
        self.assertEqual(self.post(PLAIN, body={"_xsrf": ""}), 403)
        self.assertEqual(self.post(PLAIN, headers=[("X-Xsrftoken", other)]), 403)

    def test_a692_every_byte_of_a_token_is_compared(self):
        for place in range(len(TOKEN)):
            other = bytearray(TOKEN)
            other[place] ^= 1
            for token in (encode_plain_token(other), encode_token(other, b"mask", 1400000000)):
                self.assertEqual(403, self.post(PLAIN, headers=[("X-Xsrftoken", token)]), place)

    def test_a021_malformed_is_absent(self):
        for bad in ("zz", "2|", "2|01020304|00|x", "a" * 31, "2|1|2|3|4"):
            self.assertEqual(self.post(PLAIN, body={"_xsrf": bad}), 403, bad)
            self.assertEqual(self.post(bad, body={"_xsrf": bad}), 403, bad)
            self.assertEqual(self.post(bad, body={"_xsrf": PLAIN}), 403, bad)
        self.assertEqual(self.post(PLAIN, body=b"_xsrf=%ff", headers=[
            ("Content-Type", "application/x-www-form-urlencoded")]), 403)
        self.assertEqual(self.post(PLAIN, path="/?_xsrf=%ff%fe"), 403)

    def test_a019_another_mask_in_each_response(self):
        first, second = [self.ask(headers=[("Cookie", "_xsrf=" + MASKED)]) for _ in range(2)]
        self.assertNotEqual(first.body, second.body)
        self.assertEqual(decode_token(first.body)[1], TOKEN)
        self.assertEqual(decode_token(second.body)[1], TOKEN)
        self.assertEqual(self.cookies_of(first), {})

    def test_a019_a319_compressed(self):
        self.serve_app([("/", Html)], compress_response=True)
        texts = []
        for _ in range(2):
            response = self.ask(headers=[("Accept-Encoding", "gzip"),
                                         ("Cookie", "_xsrf=" + PLAIN)])
            self.assertEqual(response.headers["Content-Encoding"], "gzip")
            texts.append(zlib.decompress(response.body, 16 + zlib.MAX_WBITS))
        tokens = [re.search(b'value="([^"]*)"', text).group(1) for text in texts]
        self.assertNotEqual(tokens[0], tokens[1])
        self.assertEqual([decode_token(token)[1] for token in tokens], [TOKEN, TOKEN])
        self.assertNotIn(PLAIN.encode("ascii"), texts[0])

    def test_a_new_token_is_set_and_accepted(self):
        response = self.ask()
        cookie = self.cookies_of(response)["_xsrf"]
        self.assertIn("; Path=/", cookie)
        self.assertNotIn("expires", cookie.lower())
        value = cookie.partition(";")[0].partition("=")[2]
        self.assertEqual(decode_token(value), decode_token(response.body))
        self.assertEqual(self.post(value, body={"_xsrf": response.body}), 200)
        self.assertNotEqual(decode_token(self.ask().body)[1], decode_token(value)[1])

    def test_version_1(self):
        self.serve_app([("/", Form)], xsrf_cookies=True, xsrf_cookie_version=1)
        response = self.ask(headers=[("Cookie", "_xsrf=" + MASKED)])
        self.assertEqual(response.body, PLAIN.encode("ascii"))
        self.serve_app([("/", Form)], xsrf_cookies=True, xsrf_cookie_version=3)
        self.assertEqual(self.ask().status, 500)

    def test_users_keep_it_for_long(self):
        self.serve_app([("/", User)], xsrf_cookies=True)
        self.assertIn("expires", self.cookies_of(self.ask())["_xsrf"].lower())

    def test_a312_cookie_attributes_and_name(self):
        self.serve_app([("/", Form)], xsrf_cookies=True, xsrf_cookie_name="__Host-xsrf",
                       xsrf_cookie_kwargs={"secure": True, "httponly": True,
                                           "samesite": "Strict", "expires_days": 2})
        cookie = self.cookies_of(self.ask())["__Host-xsrf"].lower()
        for attribute in ("secure", "httponly", "samesite=strict", "expires="):
            self.assertIn("; " + attribute, cookie)
        self.assertEqual(self.post(PLAIN, body={"_xsrf": PLAIN}), 403)
        self.assertEqual(self.ask("/", "POST", [("Cookie", "__Host-xsrf=" + PLAIN)],
                                  {"_xsrf": PLAIN}).status, 200)

    def test_a313_errors_need_no_token(self):
        self.assertEqual(self.post(path="/missing"), 404)
        self.assertEqual(self.ask("/", "BREW").status, 405)

    def test_a035_a_malformed_body_is_400_once(self):
        body = b"--x\r\nmalformed\r\n" * 50
        response = self.ask("/", "POST", [("Content-Type", "multipart/form-data; boundary=x")],
                            body)
        self.assertEqual(response.status, 400)
        self.assertEqual(len(self.logged()), 1)

    def test_form_field(self):
        self.serve_app([("/", Html)])
        body = self.ask().body
        self.assertTrue(body.startswith(b'<input type="hidden" name="_xsrf" value="2|'), body)

    def test_the_connection_goes_on(self):
        client = self.connect(data=request("/", "POST", body={}) + request())
        self.assertEqual(client.read_response().status, 403)
        self.assertEqual(client.read_response().status, 200)


class OriginTest(WebCase):
    def post(self, method="POST", path="/", **headers):
        headers = [(name.replace("_", "-"), value) for name, value in headers.items()]
        return self.ask(path, method, headers, b"").status

    def test_a318_off_by_default(self):
        self.serve_app([("/", Form)])
        self.assertEqual(self.post(Sec_Fetch_Site="cross-site"), 200)

    def test_a318_cross_origin(self):
        self.serve_app([("/", Form)], cross_origin_protection=True)
        for site in ("cross-site", "same-site", "junk"):
            self.assertEqual(self.post(Sec_Fetch_Site=site), 403, site)
        for site in ("same-origin", "none"):
            self.assertEqual(self.post(Sec_Fetch_Site=site), 200, site)
        for origin in ("http://evil.com", "http://example.com.evil.com", "null", "example.com",
                       "http://example.com:81", "http://[::1", "http://evil.com/example.com"):
            self.assertEqual(self.post(Origin=origin), 403, origin)
            self.assertEqual(self.post("DELETE", Origin=origin), 403, origin)
        self.assertEqual(self.post(Origin="http://example.com"), 200)
        self.assertEqual(self.post(Origin="http://EXAMPLE.com"), 200)
        self.assertEqual(self.post(), 200)
        self.assertEqual(self.post("GET", Sec_Fetch_Site="cross-site"), 200)
        self.assertEqual(self.post(path="/missing", Sec_Fetch_Site="cross-site"), 404)

    def test_a318_trusted_origins(self):
        self.serve_app([("/", Form)], cross_origin_protection=["https://a.example"])
        self.assertEqual(self.post(Sec_Fetch_Site="cross-site", Origin="https://a.example"), 200)
        self.assertEqual(self.post(Sec_Fetch_Site="cross-site", Origin="https://b.example"), 403)
        self.serve_app([("/", Form)], cross_origin_protection="https://a.example")
        self.assertEqual(self.post(Sec_Fetch_Site="cross-site", Origin="https://a.example"), 200)
        for origin in ("https://a", "", "https://a.example.evil"):
            self.assertEqual(self.post(Sec_Fetch_Site="cross-site", Origin=origin), 403, origin)
        self.assertEqual(self.post(Sec_Fetch_Site="cross-site"), 403)
