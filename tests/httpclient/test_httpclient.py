"""Common to all HTTP clients: requests, responses, errors, the blocking client."""
from __future__ import absolute_import, division, print_function

import datetime
import io
import pickle
import ssl
import unittest

from friendserve import httpclient
from friendserve.httpclient import (
    AsyncHTTPClient, HTTPClient, HTTPClientError, HTTPError, HTTPRequest, HTTPResponse,
    HTTPConnectError, HTTPStreamClosedError, HTTPTLSError, HTTPTimeoutError, HTTPTransferError,
    encode_multipart_formdata)
from friendserve.httpclient.errors import connect_error
from friendserve.httputil import HTTPFile, HTTPHeaders, parse_body_arguments
from friendserve.ioloop import IOLoop
from friendserve.protocol.multipart import encode_multipart
from friendserve.simple_httpclient import SimpleAsyncHTTPClient
from tests import services
from tests.clientcase import ClientCase, InThread, answer


class ErrorTest(unittest.TestCase):
    def test_names(self):
        self.assertIs(HTTPError, HTTPClientError)
        error = HTTPError(404)
        self.assertEqual((error.code, error.message, error.response), (404, "Not Found", None))
        self.assertEqual(str(error), "HTTP 404: Not Found")
        self.assertEqual(repr(HTTPError(799)), "HTTP 799: Unknown")
        self.assertEqual(str(HTTPError(500, "Broken")), "HTTP 500: Broken")

    def test_errors_of_the_way(self):
        error = HTTPTimeoutError("Timeout while connecting", "connect", IOError("x"))
        self.assertIsInstance(error, HTTPTransferError)
        self.assertEqual((error.code, error.phase), (599, "connect"))
        self.assertEqual(str(error), "HTTP 599: Timeout while connecting")
        self.assertEqual(str(HTTPTimeoutError("")), "HTTP 599: Timeout")
        self.assertEqual(str(HTTPStreamClosedError()), "HTTP 599: Stream closed")

    def test_an_attempt_to_connect_that_failed(self):
        for phase, kind, message in ((None, HTTPConnectError, "Connection failed: x"),
                                     ("resolve", HTTPConnectError, "Connection failed: x"),
                                     ("tls", HTTPTLSError, "TLS handshake failed: x")):
            reason = IOError("x")
            error = connect_error(phase, reason)
            self.assertIs(kind, type(error))
            self.assertEqual((message, phase or "connect"), (error.message, error.phase))
            self.assertIs(reason, error.real_error)


class PickleTest(unittest.TestCase):
    """Errors and responses pass between processes: they pickle, under their public paths."""

    def copies(self, value, first=0):
        for protocol in range(first, pickle.HIGHEST_PROTOCOL + 1):
            data = pickle.dumps(value, protocol)
            yield data, pickle.loads(data)

    def test_every_public_error(self):
        reason = ValueError("reason")
        names = [name for name in httpclient.__all__ if name.endswith("Error")]
        self.assertEqual(10, len(names))
        for name in names:
            kind = getattr(httpclient, name)
            transfer = issubclass(kind, HTTPTransferError)
            for arguments in ([("m", "body", reason), (), ("m",)] if transfer
                              else [(404, "m"), (404,)]):
                error = kind(*arguments)
                for _, copy in self.copies(error):
                    self.assertIs(kind, type(copy))
                    self.assertEqual((str(error), error.code, error.message),
                                     (str(copy), copy.code, copy.message))
                    if transfer:
                        self.assertEqual((error.phase, str(error.real_error)),
                                         (copy.phase, str(copy.real_error)))

    def test_request_and_response(self):
        # HTTPHeaders and BytesIO need protocol 2.
        request = HTTPRequest("http://h/", "POST", {"A": "b"}, u"body", request_timeout=3)
        response = HTTPResponse(request, 404, HTTPHeaders({"C": "d"}), io.BytesIO(b"data"),
                                request_time=2, time_info={"total": 2})
        for _, copy in self.copies(request, 2):
            self.assertEqual(("http://h/", "POST", {"A": "b"}, b"body", 3), (
                copy.url, copy.method, copy.headers, copy.body, copy.request_timeout))
        for _, copy in self.copies(response, 2):
            self.assertEqual((404, "Not Found", "d", b"data", {"total": 2}, "http://h/"), (
                copy.code, copy.reason, copy.headers["C"], copy.body, copy.time_info,
                copy.request.url))
        for _, copy in self.copies(response.error, 2):
            self.assertEqual((404, b"data"), (copy.code, copy.response.body))

    def test_the_path_in_a_pickle_is_the_public_one(self):
        for name in httpclient.__all__:
            value = getattr(httpclient, name)
            for data, copy in self.copies(value):
                self.assertIs(value, copy)
                for room in (b"errors", b"messages", b"interface", b"blocking", b"command"):
                    self.assertNotIn(b"httpclient." + room, data)

    def test_pickles_of_the_first_release_load(self):
        error = pickle.loads(
            b"\x80\x02cfriendserve.httpclient\nHTTPTimeoutError\nq\x00X\x01\x00\x00\x00yq\x01"
            b"X\x04\x00\x00\x00bodyq\x02N\x87q\x03Rq\x04}q\x05(X\x04\x00\x00\x00codeq\x06"
            b"MW\x02X\x07\x00\x00\x00messageq\x07h\x01X\x08\x00\x00\x00responseq\x08N"
            b"X\x05\x00\x00\x00phaseq\th\x02X\n\x00\x00\x00real_errorq\nNub.")
        self.assertIs(HTTPTimeoutError, type(error))
        self.assertEqual(("HTTP 599: y", "body"), (str(error), error.phase))
        for name in httpclient.__all__:
            path = b"cfriendserve.httpclient\n" + name.encode("ascii") + b"\n."
            self.assertIs(getattr(httpclient, name), pickle.loads(path))


class RequestTest(unittest.TestCase):
    def test_defaults_come_later(self):
        request = HTTPRequest("http://h/")
        for name in ("connect_timeout", "request_timeout", "follow_redirects", "validate_cert",
                     "decompress_response", "max_redirects", "use_gzip"):
            self.assertIsNone(getattr(request, name), name)
        self.assertEqual((request.method, request.body), ("GET", None))

    def test_body_and_headers(self):
        request = HTTPRequest("http://h/", body=u"\u20ac")
        self.assertEqual(request.body, u"\u20ac".encode("utf-8"))
        request.body = u"x"
        self.assertEqual(request.body, b"x")
        request.headers["a"] = "b"
        self.assertIsInstance(request.headers, HTTPHeaders)
        request.headers = {"c": "d"}
        self.assertEqual(request.headers, {"c": "d"})

    def test_use_gzip(self):
        self.assertIs(HTTPRequest("http://h/", use_gzip=False).decompress_response, False)
        request = HTTPRequest("http://h/", decompress_response=True, use_gzip=False)
        self.assertIs(request.use_gzip, True)
        request.use_gzip = False
        self.assertIs(request.decompress_response, False)

    def test_if_modified_since(self):
        when = datetime.datetime(1994, 11, 6, 8, 49, 37)
        self.assertEqual(HTTPRequest("http://h/", if_modified_since=when).headers,
                         HTTPHeaders({"If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}))

    def test_tls_options(self):
        request = HTTPRequest("https://h/", validate_cert=True)
        self.assertEqual({}, request.tls_options())
        request = HTTPRequest("https://h/", validate_cert=False, ca_certs="ca", client_cert="cert",
                              client_key="key")
        self.assertEqual({"cert_reqs": ssl.CERT_NONE, "ca_certs": "ca", "certfile": "cert",
                          "keyfile": "key"}, request.tls_options())
        for options in ({"ca_certs": "other"}, {}, ssl.create_default_context()):
            request.ssl_options = options
            self.assertIs(options, request.tls_options())

    def test_a504_no_secret_in_its_repr(self):
        request = HTTPRequest("http://me:secret@h/x", auth_password="secret",
                              headers={"Cookie": "secret"})
        self.assertEqual(repr(request), "HTTPRequest(GET http://h/x)")
        self.assertNotIn("secret", repr(HTTPRequest("nonsense secret")))


class ResponseTest(unittest.TestCase):
    def test_body_and_buffer(self):
        request = HTTPRequest("http://h/")
        response = HTTPResponse(request, 200, buffer=io.BytesIO(b"abc"))
        self.assertEqual(response.body, b"abc")
        response = HTTPResponse(request, 200, body=b"abc")
        self.assertEqual((response.buffer.read(), response.body), (b"abc", b"abc"))
        response = HTTPResponse(request, 200)
        self.assertEqual((response.body, response.buffer), (None, None))
        self.assertEqual((response.reason, response.effective_url, response.time_info,
                          response.headers), ("OK", "http://h/", {}, HTTPHeaders()))
        self.assertIsNone(response.error)
        self.assertIn("code=200", repr(response))

    def test_error(self):
        response = HTTPResponse(HTTPRequest("http://h/"), 503)
        self.assertEqual(response.error.code, 503)
        self.assertRaises(HTTPError, response.rethrow)
        error = KeyError()
        response = HTTPResponse(HTTPRequest("http://h/"), 599, error=error)
        self.assertIs(response.error, error)
        self.assertRaises(KeyError, response.rethrow)


class MultipartTest(unittest.TestCase):
    def test_round_trip(self):
        content_type, body = encode_multipart_formdata(
            {u"na\u00efve": u"\u20ac", "many": ["1", b"2"], "empty": ""},
            [("photo", HTTPFile(filename=u"caf\u00e9 1.png", body=b"\x00\r\n--\xff",
                                content_type="image/png")),
             ("photo", {"filename": "plain", "body": u"x"})])
        arguments, files = {}, {}
        parse_body_arguments(content_type, body, arguments, files)
        self.assertEqual(arguments["many"], [b"1", b"2"])
        self.assertEqual(arguments["empty"], [b""])
        self.assertIn([u"\u20ac".encode("utf-8")], list(arguments.values()))
        first, second = files["photo"]
        self.assertEqual((first.filename, first.body, first.content_type),
                         (u"caf\u00e9 1.png", b"\x00\r\n--\xff", "image/png"))
        self.assertEqual((second.body, second.content_type), (b"x", "application/octet-stream"))
        self.assertEqual(encode_multipart(b"x"), b"--x--\r\n")

    def test_round_trip_of_backslashes(self):
        for name in (u"a\\b", u"\\\\server\\share", u"\\", u"a\\", u";", u"=\\;"):
            content_type, body = encode_multipart_formdata(
                {name: "1"}, [(name, HTTPFile(filename=name, body=b"x"))])
            arguments, files = {}, {}
            parse_body_arguments(content_type, body, arguments, files)
            self.assertEqual(arguments, {str(name): [b"1"]})
            self.assertEqual(files[str(name)][0].filename, name)

    def test_a307_nothing_breaks_out(self):
        for bad in ('a"b', "a\r\nX: y", "a\nb", "a\rb", "a\0b", u"a\nb", b"a\nb"):
            file = HTTPFile(filename="f", body=b"")
            self.assertRaises(ValueError, encode_multipart, b"x", {bad: "1"})
            self.assertRaises(ValueError, encode_multipart, b"x", {}, {bad: file})
            self.assertRaises(ValueError, encode_multipart, b"x", {},
                              {"a": HTTPFile(filename=bad, body=b"")})
        for bad in ("a\r\nX: y", "a\nb", "a\0b", b"a\rb"):
            self.assertRaises(ValueError, encode_multipart, b"x", {},
                              {"a": HTTPFile(filename="f", body=b"", content_type=bad)})
        self.assertRaises(ValueError, encode_multipart, b"x", {"a": "y\r\n--x\r\n"})


class HTTPClientTest(InThread):
    def test_b194_fetch(self):
        self.serve(lambda request: answer(request, request.body, int(request.path[1:]), "So"))

        def fetch():
            with HTTPClient() as client:
                first = client.fetch(self.url("/200"), method="POST", body=b"x")
                second = client.fetch(HTTPRequest(self.url("/404")), raise_error=False)
                for url, error in ((self.url("/404"), HTTPError),
                                   ("http://127.0.0.1:%d/" % services.free_port(),
                                    HTTPTransferError)):
                    with self.assertRaises(error):
                        client.fetch(url)
                with self.assertRaises(HTTPTransferError):
                    client.fetch("http://127.0.0.1:%d/" % services.free_port(),
                                 raise_error=False)
                with self.assertRaises(HTTPTransferError):
                    client.fetch("ftp://x/")
            with self.assertRaises(RuntimeError):
                client.fetch(self.url("/200"))
            return first.body, second.code

        self.assertEqual(self.run_blocking(fetch), (b"x", 404))

    def test_b194_while_another_loop_runs_in_this_thread(self):
        seen = []

        def fetch():
            client = HTTPClient(SimpleAsyncHTTPClient, max_clients=3)
            try:
                client.fetch("http://127.0.0.1:%d/" % services.free_port())
            except HTTPError as error:
                seen.append((error.code, IOLoop.current()))
            client.close()
            self.loop.stop()

        self.loop.add_callback(fetch)
        self.loop.start()
        self.assertEqual(seen, [(599, self.loop)])

    def test_settings_that_do_not_fit(self):
        self.assertRaises(TypeError, HTTPClient, unknown=1)


class ImplementerTest(ClientCase):
    def test_fetch_impl_gets_a_request_of_its_own(self):
        class Client(AsyncHTTPClient):
            def fetch_impl(self, request, callback):
                seen.append(request)
                callback(HTTPResponse(request.original_request or request, 204))

        seen = []
        client = Client(force_instance=True, defaults={"request_timeout": 7})
        self.addCleanup(client.close)
        request = HTTPRequest("http://h/", connect_timeout=3)
        response = self.fetch(request, client=client)
        self.assertIs(response.request, request)
        own, = seen
        self.assertIsNot(own, request)
        self.assertEqual((own.request_timeout, own.connect_timeout, own.max_redirects), (7, 3, 5))
        self.fetch("http://h/", client=client)
        self.assertRaises(TypeError, client.fetch, "http://h/", "no callable")
        self.assertRaises(NotImplementedError, AsyncHTTPClient.fetch_impl, client, own, None)

    def test_a_subclass_that_is_configurable_itself(self):
        class Base(AsyncHTTPClient):
            @classmethod
            def configurable_base(cls):
                return Base

            @classmethod
            def configurable_default(cls):
                return First

        class First(Base):
            pass

        class Second(Base):
            pass

        first = Base()
        self.addCleanup(first.close)
        self.assertIs(First, type(first))
        Base.configure(Second)
        second = Base()
        self.addCleanup(second.close)
        self.assertIs(Second, type(second))


if __name__ == "__main__":
    unittest.main()
