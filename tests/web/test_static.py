# -*- coding: utf-8 -*-
"""Static files, asked for over real connections to a real server."""
from __future__ import absolute_import, division, print_function

import calendar
import contextlib
import errno
import logging
import os
import shutil
import socket
import tempfile
import time
import unittest
import zlib

from friendserve.escape import native_str, utf8
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop
from friendserve.netutil import bind_sockets
from friendserve.protocol.headers import HTTPHeaders
from friendserve.web import Application, HTTPError, RequestHandler, StaticFileHandler
from friendserve.web import files, static

TIMEOUT = 10


class Response(object):
    """One response, read to the end of its connection; `complete` when all bytes are there."""

    def __init__(self, data, has_body=True):
        head, separator, self.body = data.partition(b"\r\n\r\n")
        if not separator:
            raise ValueError("no response: %r" % data)
        lines = native_str(head.decode("latin-1")).split("\r\n")
        self.code = int(lines[0].split(" ")[1])
        self.headers = HTTPHeaders()
        for line in lines[1:]:
            self.headers.parse_line(line)
        self.complete = True
        if not has_body:
            return
        if self.headers.get("Transfer-Encoding") == "chunked":
            self._unchunk()
        else:
            self.complete = len(self.body) == int(self.headers.get("Content-Length", "0"))

    def _unchunk(self):
        rest, body = self.body, []
        size = None
        while size != 0:
            line, separator, rest = rest.partition(b"\r\n")
            if not separator:
                self.complete = False
                break
            size = int(line, 16)
            body.append(rest[:size])
            rest = rest[size + 2:]
        self.body = b"".join(body)


class ServerTestCase(unittest.TestCase):
    """A folder of files and an application that serves it at /static/."""

    def setUp(self):
        self.folder = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.root = os.path.join(self.folder, "root")
        os.mkdir(self.root)
        self.write("hello.txt", b"hello world\n")
        StaticFileHandler.reset()
        self.server = None

    def write(self, name, content=b"", mtime=None):
        path = os.path.join(self.root, *name.split("/"))
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        with open(path, "wb") as target:
            target.write(content)
        if mtime is not None:
            os.utime(path, (mtime, mtime))
        return path

    def serve(self, handlers=None, **settings):
        if handlers is None:
            handlers = [(r"/static/(.*)", StaticFileHandler, {"path": self.root})]
        if self.server is not None:
            self.close()
        else:
            self.addCleanup(self.close)
        self.io_loop = IOLoop(make_current=False)
        self.application = Application(handlers, log_function=lambda handler: None, **settings)
        self.server = HTTPServer(self.application, io_loop=self.io_loop)
        self.sockets = bind_sockets(0, "127.0.0.1")
        self.server.add_sockets(self.sockets)

    def close(self):
        self.server.stop()
        self.server.close_all_connections()
        self.io_loop.close(all_fds=True)

    def connect(self, receive_buffer=None):
        client = socket.socket()
        self.addCleanup(client.close)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect(self.sockets[0].getsockname())
        client.setblocking(False)
        return client

    def turn_until(self, condition):
        deadline = time.time() + TIMEOUT
        while not condition():
            if time.time() > deadline:
                self.fail("nothing happened for %d seconds" % TIMEOUT)
            self.io_loop.run_once(0.02)

    def read_all(self, client):
        received = []

        def ended():
            while True:
                try:
                    data = client.recv(1 << 20)
                except socket.error as error:
                    if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK):
                        return False
                    if error.errno == errno.ECONNRESET:
                        return True
                    raise
                if not data:
                    return True
                received.append(data)

        self.turn_until(ended)
        return b"".join(received)

    def send(self, client, path, method="GET", **headers):
        lines = ["%s %s HTTP/1.1" % (method, path), "Host: example.com", "Connection: close"]
        lines += ["%s: %s" % (name.replace("_", "-"), value) for name, value in headers.items()]
        client.sendall(utf8("\r\n".join(lines) + "\r\n\r\n"))

    def fetch(self, path, method="GET", **headers):
        if self.server is None:
            self.serve()
        client = self.connect()
        self.send(client, path, method, **headers)
        return Response(self.read_all(client), has_body=method != "HEAD")

    @contextlib.contextmanager
    def quiet(self, *names):
        """Keep what the block logs from the output; gives the list of the records."""
        records = []
        handler = logging.Handler()
        handler.emit = records.append
        loggers = [logging.getLogger(name) for name in names or ("friendserve.general",)]
        for logger in loggers:
            logger.addHandler(handler)
            logger.propagate = False
        try:
            yield records
        finally:
            for logger in loggers:
                logger.removeHandler(handler)
                logger.propagate = True

    def assert_refused(self, path, *codes):
        with self.quiet():
            response = self.fetch(path)
        self.assertIn(response.code, codes or (403, 404), path)
        self.assertNotIn(b"secret", response.body, path)
        return response


class ServingTest(ServerTestCase):
    def test_file(self):
        response = self.fetch("/static/hello.txt")
        self.assertEqual((response.code, response.body), (200, b"hello world\n"))
        self.assertEqual(response.headers["Content-Type"], "text/plain")
        self.assertEqual(response.headers["Content-Length"], "12")
        self.assertEqual(response.headers["Accept-Ranges"], "bytes")

    def test_empty_file(self):
        self.write("empty")
        for headers in ({}, {"Range": "bytes=0-"}, {"Range": "bytes=-5"}):
            response = self.fetch("/static/empty", **headers)
            self.assertEqual((response.code, response.body), (200, b""))
            self.assertEqual(response.headers["Content-Length"], "0")

    def test_many_pieces(self):
        content = os.urandom(1000) * 700
        self.write("big.bin", content)
        response = self.fetch("/static/big.bin")
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
        self.serve([(r"/(.*)", Counting, {"path": self.root})])
        client = self.connect(receive_buffer=4096)
        self.send(client, "/huge")
        self.turn_until(lambda: pieces)
        before = None
        while before != len(pieces):
            before = len(pieces)
            for _ in range(10):
                self.io_loop.run_once(0.01)
        # What the kernel took, and one more.
        self.assertLess(sum(pieces), size // 2)
        self.assertLessEqual(max(pieces), static.PIECE_SIZE)

    def test_names_that_are_not_ascii(self):
        self.write(native_str(u"caf\u00e9 1.txt"), b"x")
        self.assertEqual(self.fetch("/static/caf%C3%A9%201.txt").body, b"x")
        self.assert_refused("/static/%ff.txt", 400, 404)

    def test_types(self):
        for name, wanted in [("a.html", "text/html"), ("a.png", "image/png"),
                             ("a.tar.gz", "application/gzip"), ("a.gz", "application/gzip"),
                             ("a.tar.bz2", "application/octet-stream"),
                             ("a", "application/octet-stream"), ("a.css", "text/css")]:
            self.write(name, b"x")
            self.assertEqual(self.fetch("/static/" + name).headers["Content-Type"], wanted)

    def test_other_methods_are_refused(self):
        with self.quiet():
            self.assertEqual(self.fetch("/static/hello.txt", "DELETE").code, 405)

    def test_setting_static_path(self):
        self.write("robots.txt", b"robots")
        self.serve([], static_path=self.root)
        self.assertEqual(self.fetch("/static/hello.txt").code, 200)
        self.assertEqual(self.fetch("/robots.txt").body, b"robots")

    def test_compressed_on_the_way(self):
        content = b"some text " * 20000
        self.write("long.txt", content)
        self.serve(compress_response=True)
        response = self.fetch("/static/long.txt", Accept_Encoding="gzip")
        self.assertTrue(response.complete)
        self.assertEqual(response.headers["Content-Encoding"], "gzip")
        self.assertTrue(response.headers["Etag"].startswith('W/"'))
        self.assertTrue(zlib.decompress(response.body, 16 + zlib.MAX_WBITS) == content)
        again = self.fetch("/static/long.txt", Accept_Encoding="gzip",
                           If_None_Match=response.headers["Etag"])
        self.assertEqual(again.code, 304)
        part = self.fetch("/static/long.txt", Accept_Encoding="gzip", Range="bytes=0-2999")
        self.assertEqual((part.code, len(part.body)), (206, 3000))
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

        self.serve([(r"/(.*)", Stored, {"path": "db"})])
        response = self.fetch("/a.txt")
        self.assertEqual((response.code, response.body), (200, b"from elsewhere"))
        self.assertEqual(response.headers["X-Path"], "a.txt")
        self.assertEqual(response.headers["Cache-Control"], "max-age=7")
        self.assertNotIn("Last-Modified", response.headers)
        self.assertEqual(self.fetch("/a.txt", Range="bytes=5-8").body, b"else")
        self.assertEqual(self.fetch("/a.txt", If_None_Match=response.headers["Etag"]).code, 304)
        self.assert_refused("/b.txt", 404)


class PathTest(ServerTestCase):
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
            self.assert_refused("/static/" + path)

    def test_a401_same_answer_for_what_is_and_is_not_there(self):
        answers = set((response.code, response.body) for response in [
            self.assert_refused("/static/" + path) for path in (
                "../secret.txt", "../missing.txt", "../../../../../etc/passwd", "../../../../x")])
        self.assertEqual(len(answers), 1)

    def test_a022_a_subclass_that_lets_every_path_through(self):
        class Loose(StaticFileHandler):
            def parse_url_path(self, url_path):
                return url_path

        self.serve([(r"/static/(.*)", Loose, {"path": self.root})])
        for path in ("../secret.txt", "../rootless/secret.txt", "sub/../../secret.txt",
                     self.folder + "/secret.txt"):
            self.assert_refused("/static/" + path, 403)
        self.assertEqual(self.fetch("/static/sub/../hello.txt").code, 200)

    def test_missing(self):
        self.assert_refused("/static/missing.txt", 404)
        self.assert_refused("/static/hello.txt/x", 404)
        self.assert_refused("/static/" + "x" * 300, 404)

    @unittest.skipUnless(hasattr(os, "symlink"), "no symbolic links")
    def test_a402_a051_links(self):
        os.symlink(os.path.join(self.folder, "secret.txt"), os.path.join(self.root, "out.txt"))
        os.symlink(self.folder, os.path.join(self.root, "out"))
        os.symlink(os.path.join(self.folder, "rootless"), os.path.join(self.root, "beside"))
        os.symlink("hello.txt", os.path.join(self.root, "in.txt"))
        os.symlink("loop", os.path.join(self.root, "loop"))
        for path in ("out.txt", "out/secret.txt", "out/missing.txt", "beside/secret.txt", "out",
                     "out/"):
            self.assert_refused("/static/" + path, 403)
        self.assert_refused("/static/loop", 403, 404)
        self.assertEqual(self.fetch("/static/in.txt").body, b"hello world\n")

    @unittest.skipUnless(hasattr(os, "symlink"), "no symbolic links")
    def test_a402_root_may_be_a_link(self):
        link = os.path.join(self.folder, "link")
        os.symlink(self.root, link)
        os.symlink("../secret.txt", os.path.join(self.root, "out.txt"))
        self.serve([(r"/static/(.*)", StaticFileHandler, {"path": link})])
        self.assertEqual(self.fetch("/static/hello.txt").body, b"hello world\n")
        self.assert_refused("/static/out.txt", 403)

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
            self.serve([(r"/(.*)", StaticFileHandler, {"path": root})])
            self.assertEqual(self.fetch(url).body, b"hello world\n", root)
        self.serve()
        self.assert_refused("/static/", 403)

    def test_a030_a_folder_redirects_to_this_host_only(self):
        self.write("evil.com/dir/index.html", b"index")
        self.serve([(r"/(.*)", StaticFileHandler,
                     {"path": "/", "default_filename": "index.html"})])
        self.assert_refused("//evil.com/.." + self.root + "/sub")
        self.assert_refused("//evil.com/../" + self.root + "/sub")
        self.assert_refused("/" + self.root + "/evil.com")
        response = self.fetch(self.root + "/evil.com/dir")
        self.assertEqual(response.code, 301)
        self.assertEqual(response.headers["Location"], self.root + "/evil.com/dir/")
        self.serve([(r"//*(.*)", StaticFileHandler,
                     {"path": self.root, "default_filename": "index.html"})])
        for slashes in ("//", "///", "/\\"):
            with self.quiet():
                location = self.fetch(slashes + "evil.com/dir").headers.get("Location", "")
            self.assertIn(location, ("", "/evil.com/dir/"))

    def test_default_filename(self):
        self.write("sub/index.html", b"index")
        self.serve([(r"/static/(.*)", StaticFileHandler,
                     {"path": self.root, "default_filename": "index.html"})])
        self.assertEqual(self.fetch("/static/sub/").body, b"index")
        response = self.fetch("/static/sub")
        self.assertEqual((response.code, response.headers["Location"]), (301, "/static/sub/"))
        self.assertEqual(self.fetch("/static/sub?v=1").headers["Location"], "/static/sub/?v=1")
        self.assert_refused("/static/", 404)

    @unittest.skipUnless(hasattr(os, "symlink"), "no symbolic links")
    def test_default_filename_that_leads_outside(self):
        os.symlink("../../secret.txt", os.path.join(self.root, "sub", "index.html"))
        self.serve([(r"/static/(.*)", StaticFileHandler,
                     {"path": self.root, "default_filename": "index.html"})])
        self.assert_refused("/static/sub/", 403)

    def test_a409_folders(self):
        self.assert_refused("/static/sub", 403)
        self.assert_refused("/static/sub/", 403)

    def test_a409_folders_whose_content_is_not_looked_at(self):
        class WithoutVersion(StaticFileHandler):
            def compute_etag(self):
                return None

        self.write("sub/x")
        self.serve([(r"/(.*)", WithoutVersion, {"path": self.root})])
        with self.quiet():
            self.assertEqual(self.fetch("/sub", "HEAD").code, 403)

    @unittest.skipUnless(hasattr(os, "mkfifo"), "no named pipes")
    def test_a409_pipes(self):
        os.mkfifo(os.path.join(self.root, "pipe"))
        self.assert_refused("/static/pipe", 403)
        with self.quiet():
            self.assertEqual(self.fetch("/static/pipe", "HEAD").code, 403)
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
            self.serve([(r"/(.*)", handler, {"path": self.root})])
            for number, code in [(errno.EACCES, 403), (errno.EPERM, 403), (errno.ENOENT, 404),
                                 (errno.EIO, 500)]:
                Refused.number = number
                with self.quiet("friendserve.general", "friendserve.application"):
                    self.assertEqual(self.fetch("/hello.txt").code, code)

    if hasattr(os, "geteuid") and os.geteuid() != 0:    # root may read everything
        def test_a409_unreadable(self):
            os.chmod(os.path.join(self.root, "hello.txt"), 0)
            self.assert_refused("/static/hello.txt", 403)


class RangeTest(ServerTestCase):
    def setUp(self):
        super(RangeTest, self).setUp()
        self.write("ten", b"0123456789")

    def test_a405_satisfied(self):
        for header, code, body, content_range in [
                ("bytes=2-5", 206, b"2345", "bytes 2-5/10"),
                ("Bytes=2-5", 206, b"2345", "bytes 2-5/10"),
                ("bytes=9-", 206, b"9", "bytes 9-9/10"),
                ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
                ("bytes=5-99999", 206, b"56789", "bytes 5-9/10"),
                ("bytes=-3", 206, b"789", "bytes 7-9/10"),
                ("bytes=0-", 200, b"0123456789", None),
                ("bytes=0-99999", 200, b"0123456789", None),
                ("bytes=-9999999", 200, b"0123456789", None)]:
            response = self.fetch("/static/ten", Range=header)
            self.assertEqual((response.code, response.body), (code, body), header)
            self.assertEqual(response.headers.get("Content-Range"), content_range, header)
            self.assertEqual(response.headers["Content-Length"], str(len(body)))

    def test_a212_heaps_of_conditions(self):
        many = ",".join(["0-0"] * 10000)
        for headers in ({"Range": "bytes=" + many}, {"Range": "bytes=" + "9" * 10000},
                        {"If-None-Match": ",".join(['"x"'] * 10000)},
                        {"If-Modified-Since": "junk"}, {"If-Modified-Since": "9" * 10000},
                        {"Accept-Language": ",".join(["a;q=x"] * 5000)}):
            self.assertIn(self.fetch("/static/ten", **headers).code, (200, 416))

    def test_a405_ignored(self):
        for header in ("items=0-1", "junk", "bytes", "bytes=", "bytes=-", "bytes=a-b",
                       "bytes=0-1,3-4", "bytes=1--2", "bytes=+1-2", "bytes=1-2x",
                       u"bytes=\u0660-\u0661", "bytes=1_0-", "bytes=1" + "0" * 5000 + "-"):
            response = self.fetch("/static/ten", Range=header)
            self.assertEqual((response.code, response.body), (200, b"0123456789"), header)

    def test_a405_refused(self):
        for header in ("bytes=5-2", "bytes=10-", "bytes=10-11", "bytes=-0", "bytes=99999-"):
            response = self.fetch("/static/ten?v=1", Range=header)
            self.assertEqual((response.code, response.body), (416, b""), header)
            self.assertEqual(response.headers["Content-Range"], "bytes */10")
            self.assertNotIn("Cache-Control", response.headers)
            self.assertNotIn("Expires", response.headers)

    def test_range_of_many_pieces(self):
        content = os.urandom(300000)
        self.write("big", content)
        response = self.fetch("/static/big", Range="bytes=1000-250000")
        self.assertTrue(response.body == content[1000:250001])

    def test_if_range(self):
        headers = self.fetch("/static/ten").headers
        for condition, code in [(headers["Etag"], 206), (headers["Last-Modified"], 206),
                                ('"other"', 200), ("W/" + headers["Etag"], 200),
                                ("Thu, 01 Jan 1970 00:00:00 GMT", 200)]:
            response = self.fetch("/static/ten", Range="bytes=2-5", If_Range=condition)
            self.assertEqual(response.code, code, condition)

    def test_if_range_with_an_etag_that_is_weak(self):
        class Weak(StaticFileHandler):
            def compute_etag(self):
                return 'W/"x"'

        self.serve([(r"/(.*)", Weak, {"path": self.root})])
        self.assertEqual(self.fetch("/ten", Range="bytes=2-5").code, 206)
        self.assertEqual(self.fetch("/ten", Range="bytes=2-5", If_Range='W/"x"').code, 200)

    def test_a405_head(self):
        response = self.fetch("/static/ten", "HEAD", Range="bytes=2-5")
        self.assertEqual((response.code, response.body), (206, b""))
        self.assertEqual(response.headers["Content-Length"], "4")


class ConditionTest(ServerTestCase):
    MTIME = calendar.timegm((2009, 9, 10, 12, 0, 0))
    DATE = "Thu, 10 Sep 2009 12:00:00 GMT"

    def setUp(self):
        super(ConditionTest, self).setUp()
        self.path = self.write("a", b"content", self.MTIME + 0.75)
        self.etag = self.fetch("/static/a").headers["Etag"]

    def code(self, **headers):
        return self.fetch("/static/a", **headers).code

    def test_last_modified(self):
        self.assertEqual(self.fetch("/static/a").headers["Last-Modified"], self.DATE)

    def test_a407_if_none_match(self):
        for value in (self.etag, "W/" + self.etag, "*", '"x", %s' % self.etag,
                      '"x",W/%s , "y"' % self.etag):
            response = self.fetch("/static/a", If_None_Match=value)
            self.assertEqual((response.code, response.body), (304, b""), value)
            self.assertEqual(response.headers["Etag"], self.etag)
            self.assertNotIn("Content-Length", response.headers)
            self.assertNotIn("Content-Type", response.headers)
        for value in ('"x"', self.etag.strip('"'), "", "x"):
            self.assertEqual(self.code(If_None_Match=value), 200, value)

    def test_a407_if_modified_since(self):
        for value, code in [(self.DATE, 304), ("Thu, 10 Sep 2009 12:00:01 GMT", 304),
                            ("Thu, 10 Sep 2009 11:59:59 GMT", 200),
                            ("Thursday, 10-Sep-09 12:00:00 GMT", 304),
                            ("Thu Sep 10 12:00:00 2009", 304),
                            ("Wed, 01 Jan 1908 00:00:00 GMT", 200), ("junk", 200), ("", 200),
                            ("Thu, 99 Sep 2009 99:99:99 GMT", None),
                            ("Thu, 10 Sep 99999999999 12:00:00 GMT", None),
                            ("Thu, 10 Xxx 2009 12:00:00 GMT", 200)]:
            got = self.code(If_Modified_Since=value)
            self.assertIn(got, (200, 304) if code is None else (code,), value)

    def test_a407_if_none_match_wins(self):
        self.assertEqual(self.code(If_None_Match='"x"', If_Modified_Since=self.DATE), 200)
        self.assertEqual(self.code(If_None_Match=self.etag,
                                   If_Modified_Since="Thu, 10 Sep 2009 11:00:00 GMT"), 304)

    def test_a407_before_1970(self):
        os.utime(self.path, (-86400.0, -86400.0))
        response = self.fetch("/static/a")
        self.assertEqual(response.headers["Last-Modified"], "Wed, 31 Dec 1969 00:00:00 GMT")
        self.assertEqual(self.code(If_Modified_Since="Wed, 31 Dec 1969 00:00:00 GMT"), 304)

    def test_condition_comes_before_range(self):
        self.assertEqual(self.code(If_None_Match=self.etag, Range="bytes=1-2"), 304)


class HeadTest(ServerTestCase):
    def test_a408_head(self):
        get = self.fetch("/static/hello.txt")
        head = self.fetch("/static/hello.txt", "HEAD")
        self.assertEqual((head.code, head.body), (200, b""))
        for name in ("Content-Length", "Etag", "Last-Modified", "Content-Type"):
            self.assertEqual(head.headers[name], get.headers[name])

    def test_a408_head_of_a_large_file_reads_nothing(self):
        class Unread(StaticFileHandler):
            @classmethod
            def get_content(cls, abspath, start=None, end=None):
                raise AssertionError("%s was read" % abspath)

        with open(self.write("large"), "r+b") as target:
            target.truncate(1 << 30)
        self.serve([(r"/(.*)", Unread, {"path": self.root})])
        response = self.fetch("/large", "HEAD")
        self.assertEqual((response.code, response.body), (200, b""))
        self.assertEqual(response.headers["Content-Length"], str(1 << 30))
        self.assertIn("Etag", response.headers)


class ChangingFileTest(ServerTestCase):
    SIZE = 16 * 1024 * 1024

    def begin(self):
        """A response that is on its way, to a client that has not read yet."""
        self.path = self.write("moving", b"x" * self.SIZE)
        self.serve()
        client = self.connect(receive_buffer=4096)
        self.send(client, "/static/moving")
        for _ in range(20):
            self.io_loop.run_once(0.01)
        return client

    def test_a406_file_that_grows(self):
        client = self.begin()
        with open(self.path, "ab") as target:
            target.write(b"y" * 100000)
        response = Response(self.read_all(client))
        self.assertEqual(len(response.body), self.SIZE)
        self.assertNotIn(b"y", response.body)

    def test_a406_file_that_shrinks(self):
        client = self.begin()
        with open(self.path, "r+b") as target:
            target.truncate(1000)
        with self.quiet() as records:
            response = Response(self.read_all(client))
        self.assertEqual(response.headers["Content-Length"], str(self.SIZE))
        self.assertFalse(response.complete)
        self.assertIn("became shorter", records[0].getMessage())

    def test_a406_file_that_shrinks_under_a_compressed_response(self):
        class Short(StaticFileHandler):
            @classmethod
            def get_content(cls, abspath, start=None, end=None):
                yield b"x" * 2000

        self.write("long.txt", b"x" * 3000)
        self.serve([(r"/(.*)", Short, {"path": self.root})], compress_response=True)
        with self.quiet():
            response = Response(self.read_all(self.ask("/long.txt", Accept_Encoding="gzip")))
        self.assertEqual(response.headers["Content-Encoding"], "gzip")
        self.assertFalse(response.complete)

    def ask(self, path, **headers):
        client = self.connect()
        self.send(client, path, **headers)
        return client

    def test_a406_content_that_is_longer_than_its_size(self):
        class Long(StaticFileHandler):
            @classmethod
            def get_content(cls, abspath, start=None, end=None):
                for piece in (b"", b"hello", b"", b" world\nand more", b"more"):
                    yield piece

        self.serve([(r"/(.*)", Long, {"path": self.root})])
        response = self.fetch("/hello.txt")
        self.assertEqual(response.body, b"hello world\n")

    def test_a406_content_that_is_not_there(self):
        class Empty(StaticFileHandler):
            @classmethod
            def get_content(cls, abspath, start=None, end=None):
                return iter(())

        self.serve([(r"/(.*)", Empty, {"path": self.root})])
        with self.quiet():
            self.assertEqual(self.fetch("/hello.txt").code, 500)

    def test_a410_file_removed_between_look_and_read(self):
        class Gone(StaticFileHandler):
            def compute_etag(self):
                os.unlink(self.absolute_path)
                return None

        self.serve([(r"/(.*)", Gone, {"path": self.root})])
        self.assert_refused("/hello.txt", 404)


class VersionTest(ServerTestCase):
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

        self.serve([("/", Show)], static_path=self.root)
        url = native_str(self.fetch("/").body)
        self.assertEqual(url, "/static/hello.txt?v=" + self.version())
        self.assertEqual(self.fetch(url).body, b"hello world\n")

    def test_version_is_the_etag(self):
        self.assertEqual(self.fetch("/static/hello.txt").headers["Etag"],
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
        with self.quiet():
            self.assertIsNone(self.version("a"))

    def test_a410_read_once(self):
        reads = []

        class Counting(StaticFileHandler):
            @classmethod
            def get_content_version(cls, abspath):
                reads.append(abspath)
                return "1"

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
            with self.quiet() as records:
                self.assertIsNone(self.version(path))
            self.assertEqual(len(records), 1)
        with self.quiet():
            url = StaticFileHandler.make_static_url({"static_path": self.root}, "missing")
        self.assertEqual(url, "/static/missing")

    def test_a410_what_was_changed_just_now_is_not_remembered(self):
        # Another change may come within the same tick of the file system's clock.
        path = self.write("a", b"one")
        times = os.stat(path).st_mtime, os.stat(path).st_mtime
        self.assertNotEqual(self.version("a"), "")
        self.assertIsNone(StaticFileHandler._memory.get((StaticFileHandler, path)))
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
        response = self.fetch("/static/hello.txt")
        self.assertNotIn("Cache-Control", response.headers)
        self.assertNotIn("Expires", response.headers)
        response = self.fetch("/static/hello.txt?v=" + self.version())
        self.assertEqual(response.headers["Cache-Control"],
                         "max-age=%d" % StaticFileHandler.CACHE_MAX_AGE)
        self.assertIn("Expires", response.headers)


if __name__ == "__main__":
    unittest.main()


class MemoryTest(ServerTestCase):
    """Files in memory."""
    OLD = 1000000000

    def setUp(self):
        super(MemoryTest, self).setUp()
        self.write("hello.txt", b"hello world\n", self.OLD)
        self.settle()

    def settle(self):
        """Let the folder look as if nothing had changed in it for long."""
        os.utime(self.root, (self.OLD, self.OLD))

    def serve_counting(self):
        """Serve, with a list of what is read from disk."""
        original = static.open_file
        self.addCleanup(setattr, static, "open_file", original)
        self.opened = []
        static.open_file = lambda path: (self.opened.append(os.path.basename(path)),
                                         original(path))[1]
        self.serve()

    def fetch_twice(self, path, **headers):
        first, second = self.fetch(path, **headers), self.fetch(path, **headers)
        first.headers.pop("Date"), second.headers.pop("Date")
        self.assertEqual((first.code, sorted(first.headers.get_all()), first.body),
                         (second.code, sorted(second.headers.get_all()), second.body))
        return second

    def test_read_once(self):
        self.serve_counting()
        self.assertEqual(self.fetch_twice("/static/hello.txt").body, b"hello world\n")
        opened = len(self.opened)
        for headers in ({}, {"Range": "bytes=0-4"}, {"If_None_Match": '"x"'}):
            self.fetch("/static/hello.txt", **headers)
        self.assertEqual(len(self.opened), opened)

    def test_same_answers_as_from_the_disk(self):
        since = "Sun, 09 Sep 2001 01:46:40 GMT"
        etag = self.fetch_twice("/static/hello.txt").headers["Etag"]
        self.assertEqual(self.fetch_twice("/static/hello.txt?v=1").headers["Cache-Control"],
                         "max-age=%d" % StaticFileHandler.CACHE_MAX_AGE)
        self.assertNotIn("Cache-Control", self.fetch_twice("/static/hello.txt").headers)
        for headers, code, body in [
                ({"If_None_Match": etag}, 304, b""), ({"If_Modified_Since": since}, 304, b""),
                ({"Range": "bytes=6-"}, 206, b"world\n"), ({"Range": "bytes=99-"}, 416, b"")]:
            response = self.fetch_twice("/static/hello.txt", **headers)
            self.assertEqual((response.code, response.body), (code, body))
        response = self.fetch("/static/hello.txt", "HEAD")
        self.assertEqual((response.headers["Content-Length"], response.body), ("12", b""))

    def test_changes_are_noticed(self):
        self.fetch_twice("/static/hello.txt")
        self.write("hello.txt", b"HELLO WORLD\n", self.OLD + 1)
        self.assertEqual(self.fetch_twice("/static/hello.txt").body, b"HELLO WORLD\n")
        # The same size and modification time: the time of the change tells.
        self.write("hello.txt", b"hello again\n", self.OLD + 1)
        self.assertEqual(self.fetch_twice("/static/hello.txt").body, b"hello again\n")
        os.unlink(os.path.join(self.root, "hello.txt"))
        self.assert_refused("/static/hello.txt", 404)

    def test_a402_a_link_put_in_its_place_is_noticed(self):
        self.fetch_twice("/static/hello.txt")
        secret = os.path.join(self.folder, "secret")
        with open(secret, "wb") as target:
            target.write(b"secret data\n")
        os.utime(secret, (self.OLD, self.OLD))
        os.unlink(os.path.join(self.root, "hello.txt"))
        os.symlink(secret, os.path.join(self.root, "hello.txt"))
        self.settle()
        self.assert_refused("/static/hello.txt", 403)

    def test_forgotten_on_reset_and_without_the_setting(self):
        self.serve_counting()
        self.fetch_twice("/static/hello.txt")
        opened = len(self.opened)
        StaticFileHandler.reset()
        self.fetch("/static/hello.txt")
        self.assertGreater(len(self.opened), opened)
        self.serve(static_hash_cache=False)
        opened = len(self.opened)
        self.fetch("/static/hello.txt")
        self.assertGreater(len(self.opened), opened)

    def held(self):
        """The names of the files below the root that are open."""
        names = []
        for number in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink("/proc/self/fd/" + number)
            except OSError:
                # The one of the list itself.
                continue
            if target.startswith(self.root):
                names.append(os.path.basename(target))
        return sorted(names)

    if hasattr(os, "sendfile"):
        def test_files_of_some_size_are_held_open(self):
            first, second = os.urandom(100000), os.urandom(100000)
            self.write("held", first, self.OLD)
            self.write("more", second * 5, self.OLD)
            self.settle()
            self.serve_counting()
            self.assertEqual(self.fetch_twice("/static/held").body, first)
            self.assertEqual(self.fetch_twice("/static/more").body, second * 5)
            opened = len(self.opened)
            self.assertEqual(self.fetch("/static/held").body, first)
            self.assertEqual(self.fetch("/static/more", Range="bytes=9-99999").body, second[9:])
            self.assertEqual(self.fetch("/static/held", "HEAD").body, b"")
            self.assertEqual(len(self.opened), opened)
            self.assertEqual(self.held(), ["held", "more"])
            os.rename(self.write("new", second, self.OLD), os.path.join(self.root, "held"))
            self.settle()
            self.assertEqual(self.fetch_twice("/static/held").body, second)
            # And not the one that is gone.
            self.assertEqual(self.held(), ["held", "more"])
            StaticFileHandler.reset()
            self.assertEqual(self.held(), [])

        def test_so_many_files_are_held_open(self):
            for number in range(100):
                self.write("held%d" % number, b"x" * 40000, self.OLD)
            self.write("large", b"x" * 2000000, self.OLD)
            self.settle()
            self.serve()
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
            self.serve()
            self.fetch_twice("/static/held")
            client = self.connect(receive_buffer=4096)
            self.send(client, "/static/held")
            self.turn_until(lambda: self.server._connections)
            for _ in range(3):
                self.io_loop.run_once(0)
            StaticFileHandler.reset()
            self.assertTrue(self.read_all(client).endswith(content))
            self.assertEqual(self.held(), [])

    def test_what_a_subclass_adds_is_done_each_time(self):
        class Counted(StaticFileHandler):
            count = 0

            def get_cache_time(self, path, modified, mime_type):
                assert (path, mime_type) == ("hello.txt", "text/plain")
                Counted.count += 1
                return Counted.count

            def set_extra_headers(self, path):
                self.set_header("Content-Type", "x/%d" % Counted.count)

        self.serve([(r"/(.*)", Counted, {"path": self.root})])
        for number in range(1, 4):
            response = self.fetch("/hello.txt")
            self.assertEqual((response.headers["Cache-Control"], response.headers["Content-Type"]),
                             ("max-age=%d" % number, "x/%d" % number))

    def test_a_subclass_that_knows_better_is_asked_each_time(self):
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

        self.serve([(r"/(.*)", Numbered, {"path": self.root})])
        self.assertEqual([self.fetch("/hello.txt").body for _ in range(3)], [b"1", b"2", b"3"])

    def test_two_folders_do_not_mix(self):
        other = os.path.join(self.folder, "other")
        os.mkdir(other)
        path = os.path.join(other, "hello.txt")
        with open(path, "wb") as target:
            target.write(b"from there\n")
        for name in (path, other):
            os.utime(name, (self.OLD, self.OLD))
        self.serve([(r"/a/(.*)", StaticFileHandler, {"path": self.root}),
                    (r"/b/(.*)", StaticFileHandler, {"path": other})])
        for _ in range(2):
            self.assertEqual(self.fetch("/a/hello.txt").body, b"hello world\n")
            self.assertEqual(self.fetch("/b/hello.txt").body, b"from there\n")

    def test_default_filename_in_memory(self):
        self.write("sub/index.html", b"<p>", self.OLD)
        os.utime(os.path.join(self.root, "sub"), (self.OLD, self.OLD))
        self.serve([(r"/(.*)", StaticFileHandler,
                     {"path": self.root, "default_filename": "index.html"})])
        for _ in range(2):
            self.assertEqual(self.fetch("/sub/").body, b"<p>")
            self.assertEqual(self.fetch("/sub").code, 301)


class FileCacheTest(unittest.TestCase):
    def setUp(self):
        descriptor, self.path = tempfile.mkstemp()
        os.close(descriptor)
        self.addCleanup(os.remove, self.path)
        os.utime(self.path, (1000000000, 1000000000))
        self.watched = [(self.path, files.file_key(self.path))]

    def test_bounded(self):
        cache = files.FileCache(1000000)
        for number in range(100):
            cache.put(number, "value %d" % number, self.watched, 100000)
            cache.get(0)
        kept = [number for number in range(100) if cache.get(number)]
        self.assertLessEqual(len(kept), 10)
        self.assertEqual("value 99", cache.get(99))
        self.assertEqual("value 0", cache.get(0), "it was asked for all the time")

    def test_many_small_ones(self):
        cache = files.FileCache(1000000)
        for number in range(10000):
            cache.put(number, number, self.watched)
        self.assertLessEqual(len(cache._young) + len(cache._old), 500)

    def test_looked_at_once_in_a_turn(self):
        cache = files.FileCache(1000000)
        cache.put("a", "value", self.watched)
        turn = object()
        self.assertEqual("value", cache.get("a", turn))
        os.utime(self.path, (1000000001, 1000000001))
        self.assertEqual("value", cache.get("a", turn))
        self.assertIsNone(cache.get("a", object()))

    def test_looked_at_each_time_without_a_turn(self):
        cache = files.FileCache(1000000)
        cache.put("a", "value", self.watched)
        self.assertEqual("value", cache.get("a"))
        os.utime(self.path, (1000000001, 1000000001))
        self.assertIsNone(cache.get("a"))

    def test_what_changed_while_it_was_read_is_not_kept(self):
        cache = files.FileCache(1000000)
        with open(self.path, "wb") as target:
            target.write(b"new")
        os.utime(self.path, (1000000000, 1000000000))
        cache.put("a", "value", self.watched)
        self.assertIsNone(cache.get("a"))
        cache.put("b", "value", [(self.path + ".missing", None)])
        self.assertIsNone(cache.get("b"))


class CompressedBeforehandTest(ServerTestCase):
    OLD = 1000000000
    PLAIN = b"var a = 1;\n" * 1000

    def setUp(self):
        super(CompressedBeforehandTest, self).setUp()
        self.write("app.js", self.PLAIN, self.OLD)
        self.write("app.js.gz", b"gzip'd", self.OLD)
        self.write("app.js.br", b"brotli'd", self.OLD)
        os.utime(self.root, (self.OLD, self.OLD))

    def ask(self, accept, **headers):
        """The answer, the same from the disk and from memory."""
        headers["Accept_Encoding"] = accept
        bodies = []
        for _ in range(2):
            response = self.fetch("/static/app.js", **headers)
            bodies.append(response.body)
        self.assertEqual(bodies[0], bodies[1])
        return response

    def test_what_the_client_accepts(self):
        for accept, body, coding in [
                ("gzip, deflate, br", b"brotli'd", "br"), ("gzip", b"gzip'd", "gzip"),
                ("br;q=0, *", b"gzip'd", "gzip"), ("x-gzip", b"gzip'd", "gzip"),
                ("deflate", self.PLAIN, None), ("", self.PLAIN, None),
                ("gzip;q=0", self.PLAIN, None)]:
            response = self.ask(accept)
            self.assertEqual((response.body, response.headers.get("Content-Encoding")),
                             (body, coding), accept)
            self.assertEqual(response.headers["Content-Length"], str(len(body)))
            self.assertEqual(response.headers["Vary"], "Accept-Encoding")
            self.assertIn("javascript", response.headers["Content-Type"])

    def test_each_has_an_etag_of_its_own(self):
        etags = [self.ask(accept).headers["Etag"] for accept in ("", "gzip", "br")]
        self.assertEqual(len(set(etags)), 3)
        for etag, accept in zip(etags, ("", "gzip", "br")):
            response = self.ask(accept, If_None_Match=etag)
            self.assertEqual((response.code, response.headers["Vary"]), (304, "Accept-Encoding"))
        self.assertEqual(self.ask("gzip", If_None_Match=etags[0]).code, 200)

    def test_ranges_are_of_what_is_sent(self):
        response = self.ask("gzip", Range="bytes=0-3")
        self.assertEqual((response.code, response.body, response.headers["Content-Range"]),
                         (206, b"gzip", "bytes 0-3/6"))
        # What is said of a range that is not there is not compressed.
        response = self.ask("gzip", Range="bytes=9999-")
        self.assertEqual((response.code, response.headers.get("Content-Encoding")), (416, None))

    def test_without_one_nothing_varies(self):
        response = self.fetch("/static/hello.txt", Accept_Encoding="gzip")
        self.assertNotIn("Vary", response.headers)

    def test_an_older_one_is_not_what_the_file_is_now(self):
        self.write("app.js", self.PLAIN + b"more", self.OLD + 1)
        response = self.ask("gzip, br")
        self.assertEqual(response.body, self.PLAIN + b"more")
        self.assertNotIn("Content-Encoding", response.headers)

    def test_one_that_comes_or_goes_is_noticed(self):
        self.ask("gzip, br")
        os.unlink(os.path.join(self.root, "app.js.br"))
        self.assertEqual(self.ask("gzip, br").body, b"gzip'd")
        os.utime(self.root, (self.OLD, self.OLD))
        self.ask("gzip, br")
        self.write("app.js.br", b"again", self.OLD)
        self.assertEqual(self.ask("gzip, br").body, b"again")

    def test_a402_links_and_folders_are_left_alone(self):
        secret = os.path.join(self.folder, "secret")
        with open(secret, "wb") as target:
            target.write(b"secret")
        for name in ("app.js.br", "app.js.gz"):
            os.unlink(os.path.join(self.root, name))
        os.symlink(secret, os.path.join(self.root, "app.js.br"))
        os.mkdir(os.path.join(self.root, "app.js.gz"))
        self.assertEqual(self.ask("gzip, br").body, self.PLAIN)

    def test_asked_for_by_name_they_are_files_as_others(self):
        response = self.fetch("/static/app.js.gz", Accept_Encoding="gzip")
        self.assertEqual((response.body, response.headers["Content-Type"]),
                         (b"gzip'd", "application/gzip"))
        self.assertNotIn("Content-Encoding", response.headers)

    def test_not_compressed_once_more(self):
        self.write("app.js.gz", b"gzip'd" * 1000, self.OLD)
        self.serve(compress_response=True)
        response = self.ask("gzip")
        self.assertEqual(response.body, b"gzip'd" * 1000)
        self.assertEqual(response.headers.get_list("Content-Encoding"), ["gzip"])
        self.assertEqual(response.headers.get_list("Vary"), ["Accept-Encoding"])


class LargeFileTest(ServerTestCase):
    SIZE = 3 * 1024 * 1024

    def setUp(self):
        super(LargeFileTest, self).setUp()
        self.content = os.urandom(self.SIZE)
        self.write("large", self.content)

    def test_whole_and_in_part(self):
        self.assertEqual(self.fetch("/static/large").body, self.content)
        response = self.fetch("/static/large", Range="bytes=1000000-2999999")
        self.assertEqual((response.code, response.body),
                         (206, self.content[1000000:3000000]))

    def test_two_in_a_row_on_one_connection(self):
        self.serve()
        client = self.connect()
        for _ in range(2):
            client.sendall(b"GET /static/large HTTP/1.1\r\nHost: x\r\n\r\n")
        self.send(client, "/static/hello.txt")
        data = self.read_all(client)
        self.assertEqual(data.count(self.content), 2)
        self.assertTrue(data.endswith(b"hello world\n"))

    def test_a_failing_on_finish_does_not_end_the_file(self):
        class Failing(StaticFileHandler):
            def on_finish(self):
                raise RuntimeError("late")

        self.serve([(r"/(.*)", Failing, {"path": self.root})])
        with self.quiet("friendserve.application"):
            self.assertEqual(self.fetch("/large").body, self.content)

    def test_http_1_0(self):
        self.serve()
        client = self.connect()
        client.sendall(b"GET /static/large HTTP/1.0\r\n\r\n")
        self.assertTrue(self.read_all(client).endswith(self.content))

    def test_no_file_stays_open_for_a_client_that_went_away(self):
        self.serve()
        before = len(os.listdir("/proc/self/fd"))
        client = self.connect(receive_buffer=4096)
        self.send(client, "/static/large")
        self.turn_until(lambda: len(os.listdir("/proc/self/fd")) > before + 2)
        client.close()
        self.turn_until(lambda: len(os.listdir("/proc/self/fd")) <= before)
