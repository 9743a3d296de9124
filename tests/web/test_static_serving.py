"""Static files: what is served, and for which methods."""
from __future__ import absolute_import, division, print_function

import errno
import os
import zlib

from friendserve.escape import native_str
from friendserve.ioloop import IOLoop, PollIOLoop
from friendserve.web import HTTPError, StaticFileHandler
from friendserve.web import static
from tests.staticcase import StaticCase
from tests.webcase import request


class OtherLoop(IOLoop):
    """A loop with the methods that the docstring of IOLoop requires, and without `turn`."""
    def initialize(self):
        self._loop = PollIOLoop(make_current=False)

    def run_once(self, timeout):
        self._loop.run_once(timeout)


def _passed_on(name):
    return lambda self, *args, **kwargs: getattr(self._loop, name)(*args, **kwargs)


for _name in ("add_handler", "update_handler", "remove_handler", "add_callback", "call_at",
              "remove_timeout", "start", "stop", "running", "close"):
    setattr(OtherLoop, _name, _passed_on(_name))


class OtherLoopTest(StaticCase):
    def setUp(self):
        super(OtherLoopTest, self).setUp()
        self.use_loop(OtherLoop())
        self.write("hello.txt", b"hello world\n", self.OLD)
        self.settle()

    def test_a_file_is_served_on_a_loop_without_turns(self):
        for _ in range(2):
            response = self.ask("/static/hello.txt")
            self.assertEqual((200, b"hello world\n"), (response.status, response.body))

    def test_changes_are_noticed_on_a_loop_without_turns(self):
        client = self.start("/static/hello.txt")
        self.assertEqual(b"hello world\n", client.read_response().body)
        self.write("hello.txt", b"HELLO WORLD\n", self.OLD + 1)
        client.send(request("/static/hello.txt"))
        self.assertEqual(b"HELLO WORLD\n", client.read_response().body)


class ServingTest(StaticCase):
    def test_file(self):
        response = self.ask("/static/hello.txt")
        self.assertEqual((response.status, response.body), (200, b"hello world\n"))
        self.assertEqual(response.headers["Content-Type"], "text/plain")
        self.assertEqual(response.headers["Content-Length"], "12")
        self.assertEqual(response.headers["Accept-Ranges"], "bytes")

    def test_empty_file(self):
        self.write("empty")
        for headers in ({}, {"Range": "bytes=0-"}, {"Range": "bytes=-5"}):
            response = self.ask("/static/empty", **headers)
            self.assertEqual((response.status, response.body), (200, b""))
            self.assertEqual(response.headers["Content-Length"], "0")

    def test_many_pieces(self):
        content = os.urandom(1000) * 700
        self.write("big.bin", content)
        response = self.ask("/static/big.bin")
        self.assertEqual(response.headers["Content-Type"], "application/octet-stream")
        self.assertEqual(response.headers["Content-Length"], "700000")
        self.assertTrue(response.body == content)

    def test_one_piece_in_memory_for_a_client_that_does_not_read(self):
        pieces = []

        class Counting(StaticFileHandler):
            @classmethod
            def get_content(cls, abspath, start=None, end=None):
                for piece in StaticFileHandler.get_content(abspath, start, end):
                    pieces.append(len(piece))
                    yield piece

        size = 64 * 1024 * 1024
        with open(self.write("huge"), "r+b") as target:
            target.truncate(size)
        self.serve_files([(r"/(.*)", Counting, {"path": self.root})])
        self.start("/huge", receive_buffer=4096)
        self.run_until(lambda: pieces)
        before = None
        while before != len(pieces):
            before = len(pieces)
            self.turn(0.01, times=10)
        # The bytes that the kernel has taken, and one more piece.
        self.assertLess(sum(pieces), size // 2)
        self.assertLessEqual(max(pieces), static.PIECE_SIZE)

    def test_names_that_are_not_ascii(self):
        self.write(native_str(u"caf\u00e9 1.txt"), b"x")
        self.assertEqual(self.ask("/static/caf%C3%A9%201.txt").body, b"x")
        self.assert_not_served("/static/%ff.txt", 400, 404)

    def test_types(self):
        for name, wanted in [("a.html", "text/html"), ("a.png", "image/png"),
                             ("a.tar.gz", "application/gzip"), ("a.gz", "application/gzip"),
                             ("a.tar.bz2", "application/octet-stream"),
                             ("a", "application/octet-stream"), ("a.css", "text/css")]:
            self.write(name, b"x")
            self.assertEqual(self.ask("/static/" + name).headers["Content-Type"], wanted)

    def test_other_methods_are_refused(self):
        self.assertEqual(self.ask("/static/hello.txt", "DELETE").status, 405)

    def test_setting_static_path(self):
        self.write("robots.txt", b"robots")
        self.serve_files([], static_path=self.root)
        self.assertEqual(self.ask("/static/hello.txt").status, 200)
        self.assertEqual(self.ask("/robots.txt").body, b"robots")

    def test_compressed_on_the_way(self):
        content = b"some text " * 20000
        self.write("long.txt", content)
        self.serve_files(compress_response=True)
        response = self.ask("/static/long.txt", Accept_Encoding="gzip")
        self.assertEqual(response.headers["Content-Encoding"], "gzip")
        self.assertTrue(response.headers["Etag"].startswith('W/"'))
        self.assertTrue(zlib.decompress(response.body, 16 + zlib.MAX_WBITS) == content)
        again = self.ask("/static/long.txt", Accept_Encoding="gzip",
                         If_None_Match=response.headers["Etag"])
        self.assertEqual(again.status, 304)
        part = self.ask("/static/long.txt", Range="bytes=0-2999")
        self.assertEqual((part.status, len(part.body)), (206, 3000))
        self.assertNotIn("Content-Encoding", part.headers)

    def test_hooks(self):
        class Stored(StaticFileHandler):
            FILES = {"db:a.txt": b"from elsewhere"}

            @classmethod
            def get_absolute_path(cls, root, path):
                return root + ":" + path

            def validate_absolute_path(self, root, absolute_path):
                if absolute_path not in self.FILES:
                    raise HTTPError(404)
                return absolute_path

            @classmethod
            def get_content(cls, abspath, start=None, end=None):
                return cls.FILES[abspath][start:end]

            def get_content_size(self):
                return len(self.FILES[self.absolute_path])

            def get_modified_time(self):
                return None

            def set_extra_headers(self, path):
                self.set_header("X-Path", path)

            def get_cache_time(self, path, modified, mime_type):
                return 7 if (modified, mime_type) == (None, "text/plain") else 0

        self.serve_files([(r"/(.*)", Stored, {"path": "db"})])
        response = self.ask("/a.txt")
        self.assertEqual((response.status, response.body), (200, b"from elsewhere"))
        self.assertEqual(response.headers["X-Path"], "a.txt")
        self.assertEqual(response.headers["Cache-Control"], "max-age=7")
        self.assertNotIn("Last-Modified", response.headers)
        self.assertEqual(self.ask("/a.txt", Range="bytes=5-8").body, b"else")
        self.assertEqual(self.ask("/a.txt", If_None_Match=response.headers["Etag"]).status, 304)
        self.assert_not_served("/b.txt", 404)

    def test_get_content_is_not_called_for_no_bytes(self):
        class Unread(StaticFileHandler):
            @classmethod
            def get_content(cls, abspath, start=None, end=None):
                raise IOError(errno.ENOENT, "read")

            def compute_etag(self):
                return None

        self.write("empty", b"")
        self.serve_files([(r"/(.*)", Unread, {"path": self.root})])
        response = self.ask("/empty")
        self.assertEqual((200, b""), (response.status, response.body))


class HeadTest(StaticCase):
    def test_a408_head(self):
        get = self.ask("/static/hello.txt")
        head = self.ask("/static/hello.txt", "HEAD")
        self.assertEqual((head.status, head.body), (200, b""))
        for name in ("Content-Length", "Etag", "Last-Modified", "Content-Type"):
            self.assertEqual(head.headers[name], get.headers[name])

    def test_a408_head_of_a_large_file_reads_nothing(self):
        class Unread(StaticFileHandler):
            @classmethod
            def get_content(cls, abspath, start=None, end=None):
                raise AssertionError("%s was read" % abspath)

        with open(self.write("large"), "r+b") as target:
            target.truncate(1 << 30)
        self.serve_files([(r"/(.*)", Unread, {"path": self.root})])
        response = self.ask("/large", "HEAD")
        self.assertEqual((response.status, response.body), (200, b""))
        self.assertEqual(response.headers["Content-Length"], str(1 << 30))
        self.assertIn("Etag", response.headers)
