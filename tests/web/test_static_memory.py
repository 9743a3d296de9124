"""Static files that are kept in memory, or held open."""
from __future__ import absolute_import, division, print_function

import os

from friendserve.escape import utf8
from friendserve.web import StaticFileHandler
from friendserve.web import static
from tests.loopcase import COUNTS_REFERENCES
from tests.staticcase import StaticCase
from tests.webcase import request


class MemoryTest(StaticCase):
    def setUp(self):
        super(MemoryTest, self).setUp()
        self.write("hello.txt", b"hello world\n", self.OLD)
        self.settle()

    def serve_counting(self):
        """Serve, and list in `opened` the files that are opened."""
        original = static.open_file
        self.addCleanup(setattr, static, "open_file", original)
        self.opened = []
        static.open_file = lambda path, *args: (self.opened.append(os.path.basename(path)),
                                                original(path, *args))[1]
        self.serve_files()

    def fetch_twice(self, path, **headers):
        first, second = self.ask(path, **headers), self.ask(path, **headers)
        first.headers.pop("Date"), second.headers.pop("Date")
        self.assertEqual((first.status, sorted(first.headers.get_all()), first.body),
                         (second.status, sorted(second.headers.get_all()), second.body))
        return second

    def test_read_once(self):
        self.serve_counting()
        self.assertEqual(self.fetch_twice("/static/hello.txt").body, b"hello world\n")
        opened = len(self.opened)
        for headers in ({}, {"Range": "bytes=0-4"}, {"If_None_Match": '"x"'}):
            self.ask("/static/hello.txt", **headers)
        self.assertEqual(len(self.opened), opened)

    def test_same_answers_as_from_the_disk(self):
        since = "Sun, 09 Sep 2001 01:46:40 GMT"
        etag = self.fetch_twice("/static/hello.txt").headers["Etag"]
        url = "/static/hello.txt?v=" + etag.strip('"')
        self.assertEqual(self.fetch_twice(url).headers["Cache-Control"],
                         "max-age=%d" % StaticFileHandler.CACHE_MAX_AGE)
        self.assertNotIn("Cache-Control", self.fetch_twice("/static/hello.txt").headers)
        for headers, code, body in [
                ({"If_None_Match": etag}, 304, b""), ({"If_Modified_Since": since}, 304, b""),
                ({"Range": "bytes=6-"}, 206, b"world\n"), ({"Range": "bytes=99-"}, 416, b"")]:
            response = self.fetch_twice("/static/hello.txt", **headers)
            self.assertEqual((response.status, response.body), (code, body))
        response = self.ask("/static/hello.txt", "HEAD")
        self.assertEqual((response.headers["Content-Length"], response.body), ("12", b""))

    def test_changes_are_noticed(self):
        self.fetch_twice("/static/hello.txt")
        self.write("hello.txt", b"HELLO WORLD\n", self.OLD + 1)
        self.assertEqual(self.fetch_twice("/static/hello.txt").body, b"HELLO WORLD\n")
        # With the same size and modification time, only the inode's change time differs.
        self.write("hello.txt", b"hello again\n", self.OLD + 1)
        self.assertEqual(self.fetch_twice("/static/hello.txt").body, b"hello again\n")
        os.unlink(os.path.join(self.root, "hello.txt"))
        self.assert_not_served("/static/hello.txt", 404)

    def test_a402_a_link_put_in_its_place_is_noticed(self):
        self.fetch_twice("/static/hello.txt")
        secret = os.path.join(self.folder, "secret")
        with open(secret, "wb") as target:
            target.write(b"secret data\n")
        os.utime(secret, (self.OLD, self.OLD))
        os.unlink(os.path.join(self.root, "hello.txt"))
        os.symlink(secret, os.path.join(self.root, "hello.txt"))
        self.settle()
        self.assert_not_served("/static/hello.txt", 403)

    def test_forgotten_on_reset_and_without_the_setting(self):
        self.serve_counting()
        self.fetch_twice("/static/hello.txt")
        opened = len(self.opened)
        StaticFileHandler.reset()
        self.ask("/static/hello.txt")
        self.assertGreater(len(self.opened), opened)
        self.serve_files(static_hash_cache=False)
        opened = len(self.opened)
        self.ask("/static/hello.txt")
        self.assertGreater(len(self.opened), opened)

    def held(self):
        """The names of the files below the root that are open."""
        names = []
        for number in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink("/proc/self/fd/" + number)
            except OSError:
                # The descriptor of the listing itself.
                continue
            if target.startswith(self.root):
                names.append(os.path.basename(target))
        return sorted(names)

    # Elsewhere no file is held open, as nothing would close it in time.
    if hasattr(os, "sendfile") and COUNTS_REFERENCES:
        def test_files_of_some_size_are_held_open(self):
            first, second = os.urandom(100000), os.urandom(100000)
            self.write("held", first, self.OLD)
            self.write("more", second * 5, self.OLD)
            self.settle()
            self.serve_counting()
            self.assertEqual(self.fetch_twice("/static/held").body, first)
            self.assertEqual(self.fetch_twice("/static/more").body, second * 5)
            opened = len(self.opened)
            self.assertEqual(self.ask("/static/held").body, first)
            self.assertEqual(self.ask("/static/more", Range="bytes=9-99999").body, second[9:])
            self.assertEqual(self.ask("/static/held", "HEAD").body, b"")
            self.assertEqual(len(self.opened), opened)
            self.assertEqual(self.held(), ["held", "more"])
            os.rename(self.write("new", second, self.OLD), os.path.join(self.root, "held"))
            self.settle()
            self.assertEqual(self.fetch_twice("/static/held").body, second)
            # The file that was replaced is closed.
            self.assertEqual(self.held(), ["held", "more"])
            StaticFileHandler.reset()
            self.assertEqual(self.held(), [])

        def test_at_most_64_files_are_held_open(self):
            for number in range(100):
                self.write("held%d" % number, b"x" * 40000, self.OLD)
            self.write("large", b"x" * 2000000, self.OLD)
            self.settle()
            self.serve_files()
            self.fetch_twice("/static/large")
            self.assertEqual(self.held(), [])
            for number in range(100):
                self.fetch_twice("/static/held%d" % number)
            self.assertLessEqual(20, len(self.held()))
            self.assertLessEqual(len(self.held()), 64)
            StaticFileHandler.reset()
            self.assertEqual(self.held(), [])

        def test_a_response_that_is_under_way_holds_it(self):
            content = os.urandom(1000000)
            self.write("held", content, self.OLD)
            self.settle()
            self.serve_files()
            self.fetch_twice("/static/held")
            # More than the system takes at once, so that one response is under way.
            client = self.connect(receive_buffer=4096, data=7 * request("/static/held") + request(
                "/static/held", headers=[("Connection", "close")]))
            self.turn(0.01, times=20)
            StaticFileHandler.reset()
            self.assertEqual(self.held(), ["held"])
            self.assertEqual(self.read_closing(client)[1].count(content), 8)
            StaticFileHandler.reset()
            self.assertEqual(self.held(), [])

    else:
        def test_b428_no_file_stays_open(self):
            self.write("held", b"x" * 500000, self.OLD)
            self.settle()
            self.serve_files()
            self.fetch_twice("/static/held")
            self.assertEqual([], self.held())

    def test_what_a_subclass_adds_is_done_each_time(self):
        class Counted(StaticFileHandler):
            count = 0

            def get_cache_time(self, path, modified, mime_type):
                assert (path, mime_type) == ("hello.txt", "text/plain")
                Counted.count += 1
                return Counted.count

            def set_extra_headers(self, path):
                self.set_header("Content-Type", "x/%d" % Counted.count)

        self.serve_files([(r"/(.*)", Counted, {"path": self.root})])
        for number in range(1, 4):
            response = self.ask("/hello.txt")
            self.assertEqual((response.headers["Cache-Control"], response.headers["Content-Type"]),
                             ("max-age=%d" % number, "x/%d" % number))

    def test_a_subclass_with_other_content_is_asked_each_time(self):
        class Numbered(StaticFileHandler):
            count = 0

            @classmethod
            def get_content(cls, abspath, start=None, end=None):
                Numbered.count += 1
                return utf8(str(Numbered.count))

            def get_content_size(self):
                return 1

            def compute_etag(self):
                return None

        self.serve_files([(r"/(.*)", Numbered, {"path": self.root})])
        self.assertEqual([self.ask("/hello.txt").body for _ in range(3)], [b"1", b"2", b"3"])

    def test_two_folders_do_not_mix(self):
        other = os.path.join(self.folder, "other")
        os.mkdir(other)
        path = os.path.join(other, "hello.txt")
        with open(path, "wb") as target:
            target.write(b"from there\n")
        for name in (path, other):
            os.utime(name, (self.OLD, self.OLD))
        self.serve_files([(r"/a/(.*)", StaticFileHandler, {"path": self.root}),
                          (r"/b/(.*)", StaticFileHandler, {"path": other})])
        for _ in range(2):
            self.assertEqual(self.ask("/a/hello.txt").body, b"hello world\n")
            self.assertEqual(self.ask("/b/hello.txt").body, b"from there\n")

    def test_a_relative_folder_follows_the_working_directory(self):
        self.addCleanup(os.chdir, os.getcwd())
        for name in ("first", "second"):
            self.write("../%s/files/a.txt" % name, utf8(name), self.OLD)
            os.utime(os.path.join(self.folder, name, "files"), (self.OLD, self.OLD))
        self.serve_files([(r"/(.*)", StaticFileHandler, {"path": "files"})])
        for name in ("first", "first", "second"):
            os.chdir(os.path.join(self.folder, name))
            self.assertEqual(utf8(name), self.ask("/a.txt").body)

    def test_default_filename_in_memory(self):
        self.write("sub/index.html", b"<p>", self.OLD)
        os.utime(os.path.join(self.root, "sub"), (self.OLD, self.OLD))
        self.serve_files([(r"/(.*)", StaticFileHandler,
                           {"path": self.root, "default_filename": "index.html"})])
        for _ in range(2):
            self.assertEqual(self.ask("/sub/").body, b"<p>")
            self.assertEqual(self.ask("/sub").status, 301)

    def test_b332_default_filename_in_memory_and_a_pattern_without_the_slash(self):
        self.write("sub/index.html", b"<p>", self.OLD)
        os.utime(os.path.join(self.root, "sub"), (self.OLD, self.OLD))
        self.serve_files([(r"/(.*?)/?", StaticFileHandler,
                           {"path": self.root, "default_filename": "index.html"})])
        for _ in range(2):
            self.assertEqual(self.ask("/sub/").body, b"<p>")
            response = self.ask("/sub")
            self.assertEqual((301, "/sub/"), (response.status, response.headers.get("Location")))
