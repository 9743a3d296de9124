"""Static files that are large, or change while they are being sent."""
from __future__ import absolute_import, division, print_function

import gc
import logging
import os

from friendserve.web import StaticFileHandler
from tests.httpcase import LogCatcher
from tests.staticcase import StaticCase
from tests.webcase import request

LAST_CHUNK = b"0\r\n\r\n"


class LargeFileTest(StaticCase):
    SIZE = 3 * 1024 * 1024

    def setUp(self):
        super(LargeFileTest, self).setUp()
        self.content = os.urandom(self.SIZE)
        self.write("large", self.content)

    def test_whole_and_in_part(self):
        self.assertEqual(self.ask("/static/large").body, self.content)
        response = self.ask("/static/large", Range="bytes=1000000-2999999")
        self.assertEqual((response.status, response.body),
                         (206, self.content[1000000:3000000]))

    def test_two_in_a_row_on_one_connection(self):
        self.serve_files()
        client = self.connect(data=2 * request("/static/large") + request("/static/hello.txt"))
        for _ in range(2):
            self.assertEqual(client.read_response().body, self.content)
        self.assertEqual(client.read_response().body, b"hello world\n")

    def test_a_failing_on_finish_does_not_end_the_file(self):
        class Failing(StaticFileHandler):
            def on_finish(self):
                raise RuntimeError("late")

        self.serve_files([(r"/(.*)", Failing, {"path": self.root})])
        self.assertEqual(self.ask("/large").body, self.content)
        self.assertEqual(len(self.logged(logging.ERROR)), 1)

    def test_http_1_0(self):
        self.serve_files()
        client = self.connect(data=request("/static/large", version="1.0"))
        self.assertEqual(client.read_response().body, self.content)
        self.assertEqual(client.read_rest(), b"")

    def test_no_file_stays_open_for_a_client_that_went_away(self):
        self.serve_files()
        before = len(os.listdir("/proc/self/fd"))
        client = self.start("/static/large", receive_buffer=4096)
        self.run_until(lambda: len(os.listdir("/proc/self/fd")) > before + 2)
        client.close()
        self.run_until(lambda: len(os.listdir("/proc/self/fd")) <= before)

    def test_no_file_sent_in_pieces_waits_for_the_garbage_collector(self):
        self.addCleanup(gc.enable)
        gc.disable()
        self.serve_files(compress_response=True)
        self.write("large", b"x" * 16 * 1024 * 1024)
        before = len(os.listdir("/proc/self/fd"))
        client = self.start("/static/large", receive_buffer=4096)
        self.run_until(lambda: len(os.listdir("/proc/self/fd")) > before + 2)
        client.close()
        self.run_until(lambda: len(os.listdir("/proc/self/fd")) <= before)

    def test_b428_content_is_closed_at_its_end_and_by_a_client_that_goes_away(self):
        # What refers to it must not matter, nor whether Python counts references.
        class Logging(StaticFileHandler):
            contents, closed = [], []

            @classmethod
            def get_content(cls, abspath, start=None, end=None):
                def pieces():
                    try:
                        while True:
                            yield b"x" * 100000
                    finally:
                        cls.closed.append(abspath)

                cls.contents.append(pieces())
                return cls.contents[-1]

        self.serve_files([(r"/(.*)", Logging, {"path": self.root})])
        self.assertEqual(self.SIZE, len(self.ask("/large").body))
        self.assertEqual(1, len(Logging.closed))
        client = self.start("/large", receive_buffer=4096)
        self.run_until(lambda: len(Logging.contents) == 2)
        client.close()
        self.run_until(lambda: len(Logging.closed) == 2)


class ChangingFileTest(StaticCase):
    SIZE = 16 * 1024 * 1024

    def begin(self):
        """A Client to which a response is being sent, and which has not read anything yet."""
        self.path = self.write("moving", b"x" * self.SIZE)
        self.serve_files()
        client = self.start("/static/moving", receive_buffer=4096, Connection="close")
        self.turn(0.01, times=20)
        return client

    def test_a406_file_that_grows(self):
        client = self.begin()
        with open(self.path, "ab") as target:
            target.write(b"y" * 100000)
        _, body = self.read_closing(client)
        self.assertEqual(len(body), self.SIZE)
        self.assertNotIn(b"y", body)

    def test_a406_file_that_shrinks(self):
        client = self.begin()
        with open(self.path, "r+b") as target:
            target.truncate(1000)
        with LogCatcher() as records:
            head, body = self.read_closing(client)
        self.assertIn(b"Content-Length: %d\r\n" % self.SIZE, head)
        self.assertLess(len(body), self.SIZE)
        self.assertIn("became shorter", records[0].message)

    def test_a406_file_that_shrinks_under_a_compressed_response(self):
        class Short(StaticFileHandler):
            @classmethod
            def get_content(cls, abspath, start=None, end=None):
                yield b"x" * 2000

        self.write("long.txt", b"x" * 3000)
        self.serve_files([(r"/(.*)", Short, {"path": self.root})], compress_response=True)
        with LogCatcher():
            head, body = self.read_closing(self.start("/long.txt", Accept_Encoding="gzip"))
        self.assertIn(b"Content-Encoding: gzip\r\n", head)
        self.assertFalse(body.endswith(LAST_CHUNK))

    def test_a406_content_that_is_longer_than_its_size(self):
        class Long(StaticFileHandler):
            @classmethod
            def get_content(cls, abspath, start=None, end=None):
                for piece in (b"", b"hello", b"", b" world\nand more", b"more"):
                    yield piece

        self.serve_files([(r"/(.*)", Long, {"path": self.root})])
        response = self.ask("/hello.txt")
        self.assertEqual(response.body, b"hello world\n")

    def test_a406_content_that_is_not_there(self):
        class Empty(StaticFileHandler):
            @classmethod
            def get_content(cls, abspath, start=None, end=None):
                return iter(())

        self.serve_files([(r"/(.*)", Empty, {"path": self.root})])
        self.assertEqual(self.ask("/hello.txt").status, 500)

    def test_a410_file_removed_between_look_and_read(self):
        class Gone(StaticFileHandler):
            def compute_etag(self):
                os.unlink(self.absolute_path)
                return None

        self.serve_files([(r"/(.*)", Gone, {"path": self.root})])
        self.assert_not_served("/hello.txt", 404)
