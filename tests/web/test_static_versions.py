"""Static files: versions in URLs, and how long clients may cache them."""
from __future__ import absolute_import, division, print_function

import os

from friendserve.escape import native_str
from friendserve.web import RequestHandler, StaticFileHandler
from friendserve.web import static
from tests.httpcase import LogCatcher
from tests.staticcase import StaticCase


class VersionTest(StaticCase):
    def version(self, path="hello.txt", **settings):
        return StaticFileHandler.get_version(dict(settings, static_path=self.root), path)

    def test_a410_url(self):
        settings = {"static_path": self.root}
        version = self.version()
        make = StaticFileHandler.make_static_url
        self.assertEqual(make(settings, "hello.txt"), "/static/hello.txt?v=" + version)
        self.assertEqual(make(settings, "hello.txt", include_version=False), "/static/hello.txt")
        settings["static_url_prefix"] = "/s/"
        self.assertEqual(make(settings, "hello.txt"), "/s/hello.txt?v=" + version)

    def test_url_of_a_handler(self):
        class Show(RequestHandler):
            def get(self):
                self.write(self.static_url("hello.txt"))

        self.serve_files([("/", Show)], static_path=self.root)
        url = native_str(self.ask("/").body)
        self.assertEqual(url, "/static/hello.txt?v=" + self.version())
        self.assertEqual(self.ask(url).body, b"hello world\n")

    def test_version_is_the_etag(self):
        self.assertEqual(self.ask("/static/hello.txt").headers["Etag"],
                         '"%s"' % self.version())

    def test_a410_changes_are_noticed(self):
        path = self.write("a", b"one", 1000000000)
        first = self.version("a")
        self.assertEqual(self.version("a"), first)
        self.write("a", b"two", 1000000001)
        second = self.version("a")
        self.assertNotEqual(second, first)
        self.write("a", b"three", 1000000001)
        self.assertNotIn(self.version("a"), (first, second))
        self.write("a", b"one", 1000000002)
        self.assertEqual(self.version("a"), first)
        os.unlink(path)
        with LogCatcher():
            self.assertIsNone(self.version("a"))

    def counting(self):
        """A handler class, and the list of paths whose version it computed."""
        reads = []

        class Counting(StaticFileHandler):
            @classmethod
            def get_content_version(cls, abspath):
                reads.append(abspath)
                return "1"

        return Counting, reads

    def test_a410_read_once(self):
        Counting, reads = self.counting()
        self.write("hello.txt", b"hello world\n", 1000000000)
        settings = {"static_path": self.root}
        for _ in range(3):
            self.assertEqual(Counting.get_version(settings, "hello.txt"), "1")
        self.assertEqual(len(reads), 1)
        Counting.get_version(dict(settings, static_hash_cache=False), "hello.txt")
        self.assertEqual(len(reads), 2)
        Counting.reset()
        Counting.get_version(settings, "hello.txt")
        self.assertEqual(len(reads), 3)

    def test_a410_missing(self):
        for path in ("missing", "\0", "."):
            with LogCatcher() as records:
                self.assertIsNone(self.version(path))
            self.assertEqual(len(records), 1)
        with LogCatcher():
            url = StaticFileHandler.make_static_url({"static_path": self.root}, "missing")
        self.assertEqual(url, "/static/missing")

    def test_a410_what_was_changed_just_now_is_not_remembered(self):
        # Another change may come within the same tick of the file system's clock.
        path = self.write("a", b"one")
        times = os.stat(path).st_mtime, os.stat(path).st_mtime
        Counting, reads = self.counting()
        for _ in range(2):
            Counting.get_version({"static_path": self.root}, "a")
        self.assertEqual([path, path], reads)
        first = self.version("a")
        self.write("a", b"two")
        os.utime(path, times)
        self.assertNotEqual(self.version("a"), first)

    def test_large_files_by_time_and_size(self):
        path = self.write("large", b"x" * (static.MAX_HASHED_SIZE + 1), 1000000000)
        first = self.version("large")
        os.utime(path, (1000000001, 1000000001))
        self.assertNotEqual(self.version("large"), first)
        os.utime(path, (1000000000, 1000000000))
        self.assertEqual(self.version("large"), first)

    def test_a410_ten_years_only_with_a_version(self):
        response = self.ask("/static/hello.txt")
        self.assertNotIn("Cache-Control", response.headers)
        self.assertNotIn("Expires", response.headers)
        response = self.ask("/static/hello.txt?v=" + self.version())
        self.assertEqual(response.headers["Cache-Control"],
                         "max-age=%d" % StaticFileHandler.CACHE_MAX_AGE)
        self.assertIn("Expires", response.headers)
