"""Static files that are replaced while they are served (row A690), the version in a URL (row B322)
and the redirect of a folder (row B323)."""
from __future__ import absolute_import, division, print_function

import hashlib
import os
import shutil
import unittest

from friendserve.web import StaticFileHandler
from tests.loopcase import COUNTS_REFERENCES
from tests.staticcase import StaticCase


@unittest.skipUnless(hasattr(os, "symlink"), "no symbolic links")
class ReplacedTest(StaticCase):
    """A file or folder below the root becomes a link to one outside while it is served."""
    SIZES = (20, 40000, 200000, 1200000)

    def put(self, size):
        """Write sub/a.txt below the root, and a file as large outside."""
        for path in ("root/sub", "outside"):
            path = os.path.join(self.folder, path)
            if os.path.islink(path):
                os.remove(path)
            elif os.path.isdir(path):
                shutil.rmtree(path)
            os.mkdir(path)
        self.write("sub/a.txt", b"i" * size, self.OLD)
        self.outside = self.write("../outside/a.txt", b"secret" + b"o" * (size - 6), self.OLD)
        os.utime(os.path.join(self.root, "sub"), (self.OLD, self.OLD))

    def swap_file(self):
        path = os.path.join(self.root, "sub", "a.txt")
        os.remove(path)
        os.symlink(self.outside, path)

    def swap_folder(self):
        path = os.path.join(self.root, "sub")
        os.rename(path, os.path.join(self.folder, "moved"))
        self.addCleanup(shutil.rmtree, os.path.join(self.folder, "moved"), True)
        os.symlink(os.path.dirname(self.outside), path)

    def check(self, serve, swaps, sizes=SIZES, **headers):
        for swap in swaps:
            for size in sizes:
                for method in ("GET", "HEAD"):
                    shutil.rmtree(os.path.join(self.folder, "moved"), True)
                    self.put(size)
                    StaticFileHandler.reset()
                    serve(swap)
                    response = self.ask("/static/sub/a.txt", method, **headers)
                    self.assertNotIn(b"secret", response.body)
                    with open(self.outside, "rb") as source:
                        digest = hashlib.sha256(source.read()).hexdigest()[:32]
                    self.assertNotIn(digest, response.headers.get("Etag", ""))
                    yield method, response

    def serve_class(self, methods, **settings):
        cls = type(str("Files"), (StaticFileHandler,), methods)
        self.serve_files([(r"/static/(.*)", cls, {"path": self.root})], **settings)

    def test_a690_between_the_check_and_the_opening(self):
        for settings in ({}, {"compress_response": True}, {"static_hash_cache": False}):
            def serve(swap):
                self.serve_class({"set_extra_headers": lambda handler, path: swap()}, **settings)

            for method, response in self.check(serve, (self.swap_file, self.swap_folder)):
                if method == "GET":
                    self.assertEqual(403, response.status, settings)

    def test_a690_between_the_check_and_the_hash(self):
        def serve(swap):
            def get_modified_time(handler):
                swap()
                return StaticFileHandler.get_modified_time(handler)

            self.serve_class({"get_modified_time": get_modified_time})

        for _, response in self.check(serve, (self.swap_file, self.swap_folder), (20, 40000)):
            self.assertEqual(403, response.status)

    def test_a690_within_the_check(self):
        realpath = os.path.realpath
        self.addCleanup(setattr, os.path, "realpath", realpath)

        def serve(swap):
            waiting = [swap]

            def find(path, *args, **kwargs):
                found = realpath(path, *args, **kwargs)
                if waiting and str(path).endswith("a.txt"):
                    waiting.pop()()
                return found

            self.serve_files()
            os.path.realpath = find

        for _, response in self.check(serve, (self.swap_file, self.swap_folder)):
            self.assertEqual(403, response.status)

    def test_a690_a_kept_file_that_is_replaced(self):
        for size in self.SIZES:
            swaps = []
            self.put(size)
            self.serve_class({"set_extra_headers": lambda handler, path: swaps and swaps.pop()()})
            for _ in range(2):
                self.assertEqual(size, len(self.ask("/static/sub/a.txt").body))
            swaps.append(self.swap_file)
            # A small file is in memory; a larger one may be held open.
            is_held = size < 100000 or size < 1000000 and hasattr(os, "sendfile") \
                and COUNTS_REFERENCES
            response = self.ask("/static/sub/a.txt")
            self.assertNotIn(b"secret", response.body)
            self.assertEqual(200 if is_held else 403, response.status)
            self.assert_not_served("/static/sub/a.txt", 403)


class VersionTest(StaticCase):
    def cache_control(self, path, **headers):
        # Twice: from the disk, then from memory.
        first, second = [self.ask(path, **headers).headers.get("Cache-Control") for _ in range(2)]
        self.assertEqual(first, second)
        return first

    TEN_YEARS = "max-age=%d" % StaticFileHandler.CACHE_MAX_AGE

    def test_b322_only_the_present_version_is_kept_for_years(self):
        settings = {"static_path": self.root}
        for keep in (True, False):
            self.write("hello.txt", b"hello world\n", self.OLD)
            self.settle()
            self.serve_files(static_hash_cache=keep)
            before = StaticFileHandler.make_static_url(settings, "hello.txt")
            self.assertEqual(self.TEN_YEARS, self.cache_control(before))
            for query in ("?v=", "?v", "?v=1", "?v=%C3%A9", "?v=%FF", "?w=1", "?v=1&v=2"):
                self.assertIsNone(self.cache_control("/static/hello.txt" + query), query)
            self.assertIsNone(self.cache_control(before + "0"))
            self.write("hello.txt", b"HELLO WORLD\n", self.OLD + 1)
            after = StaticFileHandler.make_static_url(settings, "hello.txt")
            self.assertNotEqual(before, after)
            self.assertIsNone(self.cache_control(before))
            self.assertEqual(self.TEN_YEARS, self.cache_control(after))

    def test_b322_the_version_is_that_of_the_plain_file(self):
        self.write("hello.txt", b"hello world\n", self.OLD)
        self.write("hello.txt.gz", b"compressed", self.OLD)
        self.settle()
        url = StaticFileHandler.make_static_url({"static_path": self.root}, "hello.txt")
        for encoding in ("gzip", "identity"):
            self.assertEqual(self.TEN_YEARS, self.cache_control(url, Accept_Encoding=encoding))
            etag = self.ask("/static/hello.txt", Accept_Encoding="gzip").headers["Etag"]
            self.assertIsNone(self.cache_control("/static/hello.txt?v=" + etag.strip('"'),
                                                 Accept_Encoding=encoding))

    def test_b322_a_subclass_with_versions_of_another_kind(self):
        class Released(StaticFileHandler):
            @classmethod
            def get_version(cls, settings, path):
                return "release-7" if os.path.isdir(settings["static_path"]) else None

        self.serve_files([(r"/static/(.*)", Released, {"path": self.root})])
        self.assertEqual(self.TEN_YEARS, self.cache_control("/static/hello.txt?v=release-7"))
        self.assertIsNone(self.cache_control("/static/hello.txt?v=release-6"))


class FolderTest(StaticCase):
    def test_b323_the_redirect_of_a_folder_is_encoded_once(self):
        for name in (u"d\xe9", u"\u65e5\u672c"):
            self.write(name.encode("utf-8").decode("utf-8") + u"/index.html"
                       if str is not bytes else name.encode("utf-8") + "/index.html", b"index")
            self.serve_files([(r"/static/(.*)", StaticFileHandler,
                               {"path": self.root, "default_filename": "index.html"})])
            raw = name.encode("utf-8")
            encoded = "".join("%%%02X" % octet if octet > 127 else chr(octet)
                              for octet in bytearray(raw))
            for path in (raw, encoded.encode("ascii")):
                for query, wanted in ((b"", ""), (b"?a=\xc3\xa9", "?a=%C3%A9")):
                    response = self.fetch(b"GET /static/" + path + query + b" HTTP/1.1\r\n"
                                          b"Host: example.com\r\n\r\n")
                    self.assertEqual(301, response.status)
                    self.assertEqual("/static/" + encoded + "/" + wanted,
                                     response.headers["Location"])
