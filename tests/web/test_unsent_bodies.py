"""Under compress_response, HEAD and 304 have the headers of the 200 (row B320), and no-transform is
honoured (row B321)."""
from __future__ import absolute_import, division, print_function

from friendserve.web import OutputTransform
from tests.staticcase import StaticCase
from tests.webcase import HandlerCase

BODY = "some text " * 1000
#: Those of a 200 that HEAD has as well; a 304 has the first two (RFC 9110 15.4.5).
FIELDS = ("Etag", "Vary", "Content-Encoding", "Content-Type", "Accept-Ranges", "Cache-Control")


def fields(response, names=FIELDS):
    return [response.headers.get(name) for name in names]


class HandlerTest(HandlerCase):
    def check(self, encoding="gzip"):
        headers = [("Accept-Encoding", encoding)]
        whole = self.ask(headers=headers)
        self.assertEqual(200, whole.status)
        head = self.ask("/", "HEAD", headers=headers)
        self.assertEqual(fields(whole), fields(head))
        for method in ("GET", "HEAD"):
            same = self.ask("/", method, headers + [("If-None-Match", whole.headers["Etag"])])
            self.assertEqual((304, b""), (same.status, same.body))
            self.assertEqual(fields(whole, FIELDS[:2]), fields(same, FIELDS[:2]))
            for name in ("Content-Encoding", "Content-Length", "Content-Type"):
                self.assertNotIn(name, same.headers)
        return whole, head

    def serve_text(self, get):
        self.serve_handler(get, head=get, settings={"compress_response": True})

    def test_b320_handlers(self):
        self.serve_text(lambda handler: handler.finish(BODY))
        for encoding in ("gzip", "identity"):
            whole, head = self.check(encoding)
            self.assertEqual("Accept-Encoding", whole.headers["Vary"])
            self.assertEqual(encoding == "gzip", whole.headers["Etag"].startswith("W/"))
            self.assertEqual(whole.headers["Content-Length"], head.headers["Content-Length"])

    def test_b320_short_bodies_keep_their_tag(self):
        self.serve_text(lambda handler: handler.finish("short"))
        whole, _ = self.check()
        self.assertEqual("Accept-Encoding", whole.headers["Vary"])
        self.assertEqual('"', whole.headers["Etag"][0])

    def test_b320_head_that_only_announces_its_body(self):
        def head(handler):
            handler.set_header("Etag", '"1"')
            handler.set_header("Content-Length", len(BODY))

        def get(handler):
            handler.set_header("Etag", '"1"')
            handler.finish(BODY)

        self.serve_handler(get, head=head, settings={"compress_response": True})
        whole, head = self.check()
        self.assertEqual("gzip", head.headers["Content-Encoding"])
        # The compressed length is unknown.
        self.assertNotIn("Content-Length", head.headers)
        whole, head = self.check("identity")
        self.assertEqual(str(len(BODY)), head.headers["Content-Length"])
        # GET sends its body, so a wrong length is an error there.
        self.serve_text(lambda handler: handler.set_header("Content-Length", len(BODY)))
        self.assertEqual(500, self.ask(headers=[("Accept-Encoding", "gzip")]).status)

    def test_b320_handlers_that_answer_304_without_making_the_body(self):
        for body in (BODY, "short"):
            def get(handler):
                handler.set_header("Etag", '"1"')
                if handler.check_etag_header():
                    handler.set_status(304)
                else:
                    handler.write(body)

            self.serve_text(get)
            self.check()
            self.check("identity")

    def test_b320_the_next_request_after_such_a_head(self):
        def get(handler):
            if handler.request.method == "HEAD":
                handler.set_header("Content-Length", len(BODY))
            else:
                handler.write("next")

        self.serve_text(get)
        client = self.connect(data=(
            b"HEAD / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
        self.run_until(lambda: client.receive() is not None and client.ended)
        head, _, rest = client.data.partition(b"\r\n\r\n")
        self.assertIn(b"Content-Encoding: gzip", head)
        self.assertNotIn(b"Content-Length", head)
        self.assertTrue(rest.startswith(b"HTTP/1.1 200 OK\r\n"), rest)
        self.assertTrue(rest.endswith(b"\r\n\r\nnext"), rest)

    def test_b320_transforms_see_the_headers_of_the_200(self):
        class ByType(OutputTransform):
            def transform_first_chunk(self, status_code, headers, chunk, finishing):
                if headers.get("Content-Type", "").startswith("text/"):
                    headers["Cache-Control"] = "private"
                return status_code, headers, chunk

        self.serve_handler(lambda handler: handler.finish(BODY))
        self.app.add_transform(ByType)
        etag = self.ask().headers["Etag"]
        response = self.ask(headers=[("If-None-Match", etag)])
        self.assertEqual((304, "private"), (response.status, response.headers.get("Cache-Control")))

    def test_b321_no_transform(self):
        for value, compressed in (
                ("no-transform", False), ("private, No-Transform", False),
                ("max-age=1 ,no-transform,private", False), ("private", True),
                ("no-transformation", True), ('ext="no-transform"', True)):
            def get(handler):
                handler.set_header("Cache-Control", value)
                handler.finish(BODY)

            self.serve_text(get)
            whole, _ = self.check()
            self.assertEqual("gzip" if compressed else None,
                             whole.headers.get("Content-Encoding"), value)
            self.assertEqual("Accept-Encoding" if compressed else None,
                             whole.headers.get("Vary"), value)
            self.assertEqual(compressed, whole.headers["Etag"].startswith("W/"), value)


class StaticTest(StaticCase):
    def check(self, size, name="large.txt", **settings):
        self.write(name, b"x" * size, self.OLD)
        self.settle()
        self.serve_files(compress_response=True, **settings)
        # Twice: from the disk, then from memory.
        for _ in range(2):
            for encoding in ("gzip", "identity"):
                whole = self.ask("/static/" + name, Accept_Encoding=encoding)
                head = self.ask("/static/" + name, "HEAD", Accept_Encoding=encoding)
                self.assertEqual((200, 200), (whole.status, head.status))
                self.assertEqual(fields(whole), fields(head), encoding)
                if "Content-Length" in head.headers:
                    self.assertEqual(whole.headers.get("Content-Length"),
                                     head.headers["Content-Length"])
                for condition in ({"If_None_Match": whole.headers["Etag"]},
                                  {"If_Modified_Since": whole.headers["Last-Modified"]}):
                    for method in ("GET", "HEAD"):
                        same = self.ask("/static/" + name, method, Accept_Encoding=encoding,
                                        **condition)
                        self.assertEqual(304, same.status)
                        self.assertEqual(fields(whole, FIELDS[:2]), fields(same, FIELDS[:2]))
                        self.assertNotIn("Content-Length", same.headers)

    def test_b320_files(self):
        for size in (0, 100, 1023, 1024, 40000, 200000):
            for extension in ("txt", "png"):
                self.check(size, "%d.%s" % (size, extension))

    def test_b320_files_without_memory(self):
        for size in (100, 200000):
            self.check(size, static_hash_cache=False)
