"""Static files: no path leads out of the folder."""
from __future__ import absolute_import, division, print_function

import errno
import os
import unittest

from friendserve.web import StaticFileHandler
from friendserve.web import files
from tests.staticcase import StaticCase


class PathTest(StaticCase):
    def setUp(self):
        super(PathTest, self).setUp()
        for name in ("secret.txt", "rootless/secret.txt", "root.txt"):
            self.write("../" + name, b"secret")
        self.write("sub/page.txt", b"page")

    def test_a022_a401_ways_out(self):
        for path in [
                "../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "%2e%2e%2fsecret.txt",
                "..\\secret.txt", "..%5csecret.txt", "sub/../../secret.txt",
                "sub/..%2f..%2fsecret.txt", "%00", "hello.txt%00", "%00/../secret.txt",
                "C:/secret.txt", "C:%5csecret.txt", "%5c%5chost%5cshare", "./hello.txt",
                "hello.txt/.", "sub/.", "sub/..", "..", ".", "hello.txt/", "sub/../hello.txt",
                "/" + self.folder.lstrip("/") + "/secret.txt",
                self.folder + "/secret.txt", "/etc/passwd", "%2fetc/passwd",
                "..%2frootless/secret.txt", "..%2froot.txt"]:
            self.assert_not_served("/static/" + path)

    def test_a401_same_answer_for_what_is_and_is_not_there(self):
        answers = set((response.status, response.body) for response in [
            self.assert_not_served("/static/" + path) for path in (
                "../secret.txt", "../missing.txt", "../../../../../etc/passwd", "../../../../x")])
        self.assertEqual(len(answers), 1)

    def test_a022_a_subclass_that_lets_every_path_through(self):
        class Loose(StaticFileHandler):
            def parse_url_path(self, url_path):
                return url_path

        self.serve_files([(r"/static/(.*)", Loose, {"path": self.root})])
        for path in ("../secret.txt", "../rootless/secret.txt", "sub/../../secret.txt",
                     self.folder + "/secret.txt"):
            self.assert_not_served("/static/" + path, 403)
        self.assertEqual(self.ask("/static/sub/../hello.txt").status, 200)

    def test_missing(self):
        self.assert_not_served("/static/missing.txt", 404)
        self.assert_not_served("/static/hello.txt/x", 404)
        self.assert_not_served("/static/" + "x" * 300, 404)

    @unittest.skipUnless(hasattr(os, "symlink"), "no symbolic links")
    def test_a402_a051_links(self):
        os.symlink(os.path.join(self.folder, "secret.txt"), os.path.join(self.root, "out.txt"))
        os.symlink(self.folder, os.path.join(self.root, "out"))
        os.symlink(os.path.join(self.folder, "rootless"), os.path.join(self.root, "beside"))
        os.symlink("hello.txt", os.path.join(self.root, "in.txt"))
        os.symlink("loop", os.path.join(self.root, "loop"))
        for path in ("out.txt", "out/secret.txt", "out/missing.txt", "beside/secret.txt", "out",
                     "out/"):
            self.assert_not_served("/static/" + path, 403)
        self.assert_not_served("/static/loop", 403, 404)
        self.assertEqual(self.ask("/static/in.txt").body, b"hello world\n")

    @unittest.skipUnless(hasattr(os, "symlink"), "no symbolic links")
    def test_a402_root_may_be_a_link(self):
        link = os.path.join(self.folder, "link")
        os.symlink(self.root, link)
        os.symlink("../secret.txt", os.path.join(self.root, "out.txt"))
        self.serve_files([(r"/static/(.*)", StaticFileHandler, {"path": link})])
        self.assertEqual(self.ask("/static/hello.txt").body, b"hello world\n")
        self.assert_not_served("/static/out.txt", 403)

    def test_a403_names_of_windows(self):
        for path in ("NUL", "con.txt", "a/AUX .x", "file::$DATA", "x.", "x ", "C:/x", "a\\b",
                     "com1", "a/lpt9.tar.gz", "a:b", "conin$"):
            self.assertFalse(files.is_plain_windows_path(path), path)
        for path in ("console.txt", "a/auxiliary", "x.y.z", "nul1", "com", ".hidden", "a b.txt"):
            self.assertTrue(files.is_plain_windows_path(path), path)

    def test_a404_roots(self):
        hello = os.path.join(self.root, "hello.txt")
        for root, url in [("/", hello), (self.root + "/", "/hello.txt"),
                          (os.path.join(self.root, "sub", ".."), "/hello.txt")]:
            self.serve_files([(r"/(.*)", StaticFileHandler, {"path": root})])
            self.assertEqual(self.ask(url).body, b"hello world\n", root)
        self.serve_files()
        self.assert_not_served("/static/", 403)

    def test_a030_a_folder_redirects_to_this_host_only(self):
        self.write("evil.com/dir/index.html", b"index")
        self.serve_files([(r"/(.*)", StaticFileHandler,
                           {"path": "/", "default_filename": "index.html"})])
        self.assert_not_served("//evil.com/.." + self.root + "/sub")
        self.assert_not_served("//evil.com/../" + self.root + "/sub")
        self.assert_not_served("/" + self.root + "/evil.com")
        response = self.ask(self.root + "/evil.com/dir")
        self.assertEqual(response.status, 301)
        self.assertEqual(response.headers["Location"], self.root + "/evil.com/dir/")
        self.serve_files([(r"//*(.*)", StaticFileHandler,
                           {"path": self.root, "default_filename": "index.html"})])
        for slashes in ("//", "///", "/\\"):
            location = self.ask(slashes + "evil.com/dir").headers.get("Location", "")
            self.assertIn(location, ("", "/evil.com/dir/"))

    def test_default_filename(self):
        self.write("sub/index.html", b"index")
        self.serve_files([(r"/static/(.*)", StaticFileHandler,
                           {"path": self.root, "default_filename": "index.html"})])
        self.assertEqual(self.ask("/static/sub/").body, b"index")
        response = self.ask("/static/sub")
        self.assertEqual((response.status, response.headers["Location"]), (301, "/static/sub/"))
        self.assertEqual(self.ask("/static/sub?v=1").headers["Location"], "/static/sub/?v=1")
        self.assert_not_served("/static/", 404)

    @unittest.skipUnless(hasattr(os, "symlink"), "no symbolic links")
    def test_default_filename_that_leads_outside(self):
        os.symlink("../../secret.txt", os.path.join(self.root, "sub", "index.html"))
        self.serve_files([(r"/static/(.*)", StaticFileHandler,
                           {"path": self.root, "default_filename": "index.html"})])
        self.assert_not_served("/static/sub/", 403)

    def test_a409_folders(self):
        self.assert_not_served("/static/sub", 403)
        self.assert_not_served("/static/sub/", 403)

    def test_a409_folders_whose_content_is_not_looked_at(self):
        class WithoutVersion(StaticFileHandler):
            def compute_etag(self):
                return None

        self.write("sub/x")
        self.serve_files([(r"/(.*)", WithoutVersion, {"path": self.root})])
        self.assertEqual(self.ask("/sub", "HEAD").status, 403)

    @unittest.skipUnless(hasattr(os, "mkfifo"), "no named pipes")
    def test_a409_pipes(self):
        os.mkfifo(os.path.join(self.root, "pipe"))
        self.assert_not_served("/static/pipe", 403)
        self.assertEqual(self.ask("/static/pipe", "HEAD").status, 403)
        with self.assertRaises(EnvironmentError):
            next(StaticFileHandler.get_content(os.path.join(self.root, "pipe")))

    def test_a409_what_the_system_refuses(self):
        class Refused(StaticFileHandler):
            number = None

            @classmethod
            def get_content(cls, abspath, start=None, end=None):
                raise IOError(cls.number, os.strerror(cls.number), abspath)

        class RefusedLater(Refused):
            def compute_etag(self):
                return None

        for handler in (Refused, RefusedLater):
            self.serve_files([(r"/(.*)", handler, {"path": self.root})])
            for number, status in [(errno.EACCES, 403), (errno.EPERM, 403), (errno.ENOENT, 404),
                                   (errno.EIO, 500)]:
                Refused.number = number
                self.assertEqual(self.ask("/hello.txt").status, status)

    if hasattr(os, "geteuid") and os.geteuid() != 0:    # root may read everything
        def test_a409_unreadable(self):
            os.chmod(os.path.join(self.root, "hello.txt"), 0)
            self.assert_not_served("/static/hello.txt", 403)
