# coding: utf-8
"""UploadHandler, and the demo that uses it."""
from __future__ import absolute_import, division, print_function

import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
try:
    import resource
except ImportError:     # Windows, where only the test that uses it fails
    resource = None

from six.moves.urllib.parse import quote
from six.moves.urllib.request import urlopen

from friendserve.escape import utf8
from friendserve.locale import load_translations
from friendserve.httputil import HTTPFile, encode_multipart_formdata
from friendserve.web import Application, UploadHandler, asynchronous
from friendserve.routing import PathMatches, Rule, RuleRouter
from friendserve.web.upload import Upload
from tests import PATIENCE, ROOT
from tests.demo_server import load_demo
from tests.httpcase import LogCatcher
from tests.services import free_port
from tests.localecase import LocaleCase
from tests.webcase import WebCase, request

FOLDER = os.path.join(ROOT, "demos", "upload")
FORM = "multipart/form-data; boundary=1234"


def form(fields=(), files=()):
    """(headers, body) of a form; `files` are (field, file name, content)."""
    content_type, body = encode_multipart_formdata(fields, [
        (name, HTTPFile(filename=filename, body=content)) for name, filename, content in files])
    return [("Content-Type", content_type)], body


class UploadTest(WebCase):
    def setUp(self):
        super(UploadTest, self).setUp()
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.seen = []

    def serve_upload(self, post=None, options=None, settings=None, **members):
        test = self

        class Handler(UploadHandler):
            upload_folder = test.folder

            def get(self):
                self.write("got")

            def post(self):
                test.seen.append(sorted(
                    (name, upload.filename, upload.content_type, upload.size,
                     open_and_read(upload.path))
                    for name, uploads in self.uploads.items() for upload in uploads))
                self.write(self.get_argument("title", "none"))

        if post is not None:
            members["post"] = post
        self.handler = type("Handler", (Handler,), members)
        self.serve_app([("/", self.handler)], options, **(settings or {}))

    def post(self, headers, body, path="/"):
        return self.ask(path, "POST", headers, body)

    def left(self):
        return os.listdir(self.folder)

    def test_fields_and_files(self):
        self.serve_upload()
        big = os.urandom(300000)
        response = self.post(*form({"title": u"Sch\xf6n", "other": ["1", "2"]}, [
            ("a", u"b\xe4r.txt", b"one"), ("a", "empty", b""), ("b", "../../x", big)]))
        self.assertEqual((200, utf8(u"Sch\xf6n")), (response.status, response.body))
        plain = "application/octet-stream"
        self.assertEqual([[("a", u"b\xe4r.txt", plain, 3, b"one"), ("a", u"empty", plain, 0, b""),
                           ("b", u"../../x", plain, 300000, big)]], self.seen)
        self.assertEqual([], self.left())

    def test_arguments_of_query_and_body(self):
        self.serve_upload(lambda handler: handler.finish(u",".join(
            handler.get_arguments("a") + handler.get_body_arguments("a"))))
        self.assertEqual(b"1,2,2", self.post(*form({"a": "2"}), path="/?a=1").body)

    def test_an_urlencoded_form_is_a_form_too(self):
        self.serve_upload()
        self.assertEqual(b"x y", self.ask("/", "POST", body={"title": "x y"}).body)
        self.assertEqual([[]], self.seen)

    def test_other_methods(self):
        self.serve_upload(delete=lambda handler: handler.write("deleted"))
        self.assertEqual(b"got", self.ask("/").body)
        headers, body = form({"title": "x"})
        self.assertEqual(b"got", self.ask("/", "GET", headers, body).body)
        self.assertEqual(b"deleted", self.ask("/", "DELETE", headers, body).body)
        self.assertEqual(b"got", self.ask("/", "GET", body={"title": "x"}).body)

    def test_moved_files_stay(self):
        target = os.path.join(self.folder, "kept")

        def post(handler):
            handler.uploads["f"][0].move_to(target)
            handler.write("ok")
        self.serve_upload(post)
        self.post(*form((), [("f", "a", b"new"), ("f", "b", b"dropped")]))
        self.assertEqual(["kept"], self.left())
        self.post(*form((), [("f", "a", b"newer")]))
        self.assertEqual(b"newer", open_and_read(target))
        self.assertEqual(0o600, os.stat(target).st_mode & 0o777)

    def test_files_live_until_the_response_is_finished(self):
        @asynchronous
        def post(handler):
            handler.request.connection.stream.io_loop.add_callback(later, handler)

        def later(handler):
            handler.finish(open_and_read(handler.uploads["f"][0].path))
        self.serve_upload(post)
        self.assertEqual(b"still here", self.post(*form((), [("f", "a", b"still here")])).body)
        self.assertEqual([], self.left())

    def test_an_exception_leaves_nothing(self):
        self.serve_upload(lambda handler: 1 // 0)
        self.assertEqual(500, self.post(*form((), [("f", "a", b"x")])).status)
        self.assertEqual([], self.left())

    def test_a_client_that_goes_away_leaves_nothing(self):
        self.serve_upload()
        headers, body = form((), [("f", "a", b"x" * 100000)])
        data = request("/", "POST", headers, body)
        for end in ("close", "abort", "end"):
            client = self.connect(data=data[:len(data) // 2])
            self.run_until(self.left)
            getattr(client, end)()
            self.run_until(lambda: not self.left())
        self.assertEqual([], self.seen)

    def test_a_subclass_that_forgets_the_method_here_leaves_nothing(self):
        class Forgetful(UploadHandler):
            upload_folder = self.folder

            def finish(self, chunk=None):
                super(UploadHandler, self).finish(chunk)

            def post(self):
                pass
        self.serve_app([("/", Forgetful)])
        self.post(*form((), [("f", "a", b"x")]))
        self.run_until(lambda: not self.left())

    def test_files_that_were_moved_in_another_way(self):
        def post(handler):
            for number, upload in enumerate(handler.uploads["f"]):
                shutil.move(upload.path, os.path.join(self.folder, "kept%d" % number))
        self.serve_upload(post)
        self.assertEqual(200, self.post(*form((), [("f", "a", b"x"), ("f", "b", b"y")])).status)
        self.assertEqual(["kept0", "kept1"], sorted(self.left()))
        self.assertEqual([], self.logged(logging.WARNING))

    def test_a_client_that_goes_away_is_told_once_whatever_the_files_do(self):
        closed = []
        self.serve_upload(on_connection_close=lambda handler: closed.append(handler))
        headers, body = form((), [("f", "a", b"x" * 100000)])
        data = request("/", "POST", headers, body)
        client = self.connect(data=data[:len(data) // 2])
        self.run_until(self.left)
        os.remove(os.path.join(self.folder, self.left()[0]))
        client.close()
        self.run_until(lambda: closed)
        self.assertEqual(1, len(closed))

    def test_b331_a_kept_handler_keeps_no_files_of_a_client_that_went_away(self):
        kept = []

        def on_connection_close(handler):
            kept.append((handler, self.left(), handler.uploads["f"][0]._file.closed))

        self.serve_upload(on_connection_close=on_connection_close)
        headers, body = form((), [("f", "a", b"x" * 100000)])
        data = request("/", "POST", headers, body)
        client = self.connect(data=data[:len(data) // 2])
        self.run_until(self.left)
        client.close()
        self.run_until(lambda: kept)
        self.assertEqual(([], True), kept[0][1:])

    def test_an_upload_is_moved_once(self):
        upload = Upload(u"a", "text/plain", self.folder)
        upload.write(b"x")
        upload.move_to(os.path.join(self.folder, "kept"))
        self.assertRaises(RuntimeError, upload.move_to, os.path.join(self.folder, "again"))
        upload.discard()
        self.assertEqual(["kept"], self.left())

    def test_behind_a_router(self):
        @asynchronous
        def post(handler):
            test.handlers.append(handler)

        test, self.handlers = self, []

        class Handler(UploadHandler):
            upload_folder = self.folder

        Handler.post = post
        self.serve(RuleRouter([Rule(PathMatches("/.*"), Application([("/", Handler)]))]))
        headers, body = form((), [("f", "a", b"x")])
        data = request("/", "POST", headers, body)
        # A client that ends its side still waits for the answer (RFC 9112 9.6).
        client = self.connect(data=data)
        client.end()
        self.run_until(lambda: self.handlers)
        self.handlers.pop().finish("got")
        self.assertEqual(b"got", client.read_response().body)
        # A handler may still use the files after the client has disconnected.
        client = self.connect(data=data)
        self.run_until(lambda: self.handlers)
        client.abort()
        handler, = self.handlers
        self.run_until(handler.request.connection.stream.closed)
        self.assertEqual(1, len(self.left()))
        handler.finish()
        self.assertEqual([], self.left())

    def test_prepare_has_to_be_called(self):
        self.serve_upload(prepare=lambda handler: None)
        self.assertEqual(500, self.post(*form({"title": "x"})).status)
        self.assertIn("must call prepare() of UploadHandler",
                      str([record.exc_info[1] for record in self.records if record.exc_info]))

    def test_other_limits(self):
        self.serve_upload(max_parts=200, max_field_bytes=1000)
        files = [("f", "a", b"x")] * 150
        self.assertEqual(200, self.post(*form((), files)).status)
        self.assertEqual(400, self.post(*form({"title": "x" * 1001})).status)
        self.assertEqual(413, self.ask("/", "POST", body={"title": "x" * 1001}).status)

    def test_compressed_forms(self):
        self.serve_upload()
        headers, body = form({"title": "x"})
        for coding, status in [("gzip", 415), ("br", 415), ("identity", 200)]:
            response = self.post(headers + [("Content-Encoding", coding)], body)
            self.assertEqual(status, response.status, coding)
            response = self.ask("/", "POST", [("Content-Encoding", coding)], {"title": "x"})
            self.assertEqual(status, response.status, coding)

    def test_what_is_no_form(self):
        self.serve_upload()
        for headers, status, text in [
                ([("Content-Type", "text/plain")], 415, b"Unsupported"), ([], 415, b""),
                ([("Content-Type", "multipart/form-data")], 400, b""),
                ([("Content-Type", "multipart/form-data; boundary=x; boundary=y")], 400, b"")]:
            response = self.post(headers, b"hello")
            self.assertEqual(status, response.status, headers)
            self.assertIn(text, response.body)

    def test_damaged_forms(self):
        self.serve_upload()
        good = (b'--1234\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
                b"content\r\n--1234--\r\n")
        self.assertEqual(200, self.post([("Content-Type", FORM)], good).status)
        for bad in (good[:-10], good.replace(b"form-data", b"attachment"),
                    good.replace(b"1234--", b"1234-"), good.replace(b"name=", b"nome="),
                    b"", b"x" * 1000):
            self.assertEqual(400, self.post([("Content-Type", FORM)], bad).status, bad)
            self.assertEqual([], self.left())
        self.assertEqual(1, len(self.seen))

    def test_a041_too_many_parts(self):
        self.serve_upload()
        part = b'--1234\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nx\r\n'
        response = self.post([("Content-Type", FORM)], part * 101 + b"--1234--")
        self.assertEqual(400, response.status)
        self.assertEqual([], self.left())

    def test_a_body_that_is_too_large(self):
        self.serve_upload(max_upload_size=1000)
        self.assertEqual(413, self.post(*form((), [("f", "a", b"x" * 2000)])).status)
        # A body without a Content-Length.
        headers, body = form((), [("f", "a", b"x" * 2000)])
        head = request("/", "POST", headers + [("Transfer-Encoding", "chunked")])
        with LogCatcher():
            response = self.fetch(
                head + utf8("%x\r\n" % len(body)) + body + b"\r\n0\r\n\r\n")
        self.assertEqual(413, response.status)
        self.assertEqual([], self.left())

    def test_more_than_the_server_takes_otherwise(self):
        self.serve_upload(options={"max_body_size": 1000}, max_upload_size=100000)
        self.assertEqual(200, self.post(*form((), [("f", "a", b"x" * 50000)])).status)

    def test_a_full_disk(self):
        self.serve_upload()
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, before)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100000, before[1]))
        response = self.post(*form((), [("f", "a", b"x" * 300000)]))
        self.assertEqual((507, "Insufficient Storage"), (response.status, response.reason))
        self.assertEqual([], self.left())

    def test_xsrf_token_in_the_query_or_a_header(self):
        self.serve_upload(settings={"xsrf_cookies": True})
        token = "0123456789abcdef0123456789abcdef"
        headers, body = form({"title": "t", "_xsrf": token}, [("f", "a", b"x")])
        headers.append(("Cookie", "_xsrf=" + token))
        self.assertEqual(403, self.post(headers, body).status)
        self.assertIn("in the query or a header", self.logged()[0])
        self.assertEqual([], self.seen)
        self.assertEqual(b"t", self.post(headers, body, "/?_xsrf=" + token).body)
        self.assertEqual(b"t", self.post(headers + [("X-XSRFToken", token)], body).body)


def open_and_read(path):
    with open(path, "rb") as source:
        return source.read()


class DemoTest(LocaleCase, WebCase):
    def setUp(self):
        WebCase.setUp(self)
        LocaleCase.setUp(self)
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.demo = load_demo(os.path.join(FOLDER, "upload.py"))
        self.serve(self.demo.make_application(self.folder, 1000000))
        self.token = "0123456789abcdef0123456789abcdef"
        self.cookie = [("Cookie", "_xsrf=" + self.token)]

    def store(self, *files):
        headers, body = form((), [("file", name, content) for name, content in files])
        return self.ask("/store?_xsrf=" + self.token, "POST", headers + self.cookie, body)

    def page(self, language="en"):
        return self.ask("/", headers=[("Accept-Language", language)]).body.decode("utf-8")

    def test_stored_listed_taken_deleted(self):
        self.assertIn(u"Nothing here yet", self.page())
        names = [u"notes.txt", u"../../etc/passwd", u"C:\\dir\\<b>&\"'.html", u"\u05e9.zip", u"..",
                 u"x" * 300 + u".txt", u"\u65e5" * 100]
        self.assertEqual(302, self.store(*[
            (name.replace(u'"', u""), utf8(name)) for name in names]).status)
        self.assertEqual(len(names), len(os.listdir(self.folder)))
        page = self.page()
        self.assertIn(u"7 files", page)
        self.assertNotIn(u"<b>", page)
        self.assertIn(u">passwd</bdi>", page)
        for path in re.findall(r'href="(/files/[^"]+)"', page):
            response = self.ask(str(path))
            self.assertEqual((200, "attachment", "nosniff"), (
                response.status, response.headers["Content-Disposition"],
                response.headers["X-Content-Type-Options"]), path)
            self.assertIn("sandbox", response.headers["Content-Security-Policy"])
            path = str(path).replace("/files/", "/delete/")
            self.assertEqual(403, self.ask(path, "POST", body=b"").status)
            self.assertEqual(302, self.ask(path, "POST", self.cookie,
                                           {"_xsrf": self.token}).status)
        self.assertEqual([], os.listdir(self.folder))

    def test_names(self):
        for name in (u"\u0939\u093f\u0928\u094d\u0926\u0940.txt", u"Sch\xf6n (2) +_-.txt",
                     u"\u65e5\u672c", u"a\u200d\u200cb", u"100%, & 'more'!.txt"):
            kept = self.demo.shown(self.demo.make_name(name, "utf-8"))
            self.assertEqual(name.replace(u"%", u"_").replace(u"&", u"_").replace(
                u"'", u"_").replace(u"!", u"_"), kept)
        for name, kept in [
                (u"Scho\u0308n", u"Sch\xf6n"), (u"a\u202eb\u2028c\nd", u"a_b_c_d"),
                (u"<a>|b:c?\"*", u"_a__b_c___"), (u". .", u"file"), (u"..a..", u"a")]:
            self.assertEqual(kept, self.demo.shown(self.demo.make_name(name, "utf-8")))
        for coding in ("ascii", "latin-1"):
            self.assertEqual(u"___.txt", self.demo.shown(
                self.demo.make_name(u"\u65e5\u672c\u8a9e.txt", coding)))
        long = self.demo.shown(self.demo.make_name(u"\u65e5" * 100000 + u".txt", "utf-8"))
        self.assertEqual(u"\u65e5" * 65 + u".txt", long)

    def test_what_lies_in_the_folder_otherwise(self):
        self.store((u"a", b"x"))
        os.symlink("nowhere", os.path.join(self.folder, "0123456789ab-link"))
        with open(os.path.join(utf8(self.folder), b"0123456789ac-\xff"), "wb"):
            pass
        page = self.page()
        self.assertIn(u"1 file<", page)
        for name, age in (("upload-old", 100000), ("upload-new", 1000), ("other", 100000)):
            path = os.path.join(self.folder, name)
            with open(path, "wb"):
                pass
            os.utime(path, (time.time() - age, time.time() - age))
        self.demo.clean(self.folder)
        left = os.listdir(self.folder)
        self.assertNotIn("upload-old", left)
        self.assertTrue(set(["other", "upload-new"]) <= set(left), left)

    def test_as_many_files_as_there_may_be(self):
        self.demo.MAX_FILES = 3
        self.assertEqual(302, self.store(("a", b"x"), ("b", b"y")).status)
        self.assertEqual(507, self.store(("c", b"x"), ("d", b"y")).status)
        self.assertEqual(2, len(os.listdir(self.folder)))
        self.assertEqual(302, self.store(("e", b"x")).status)
        self.assertEqual(507, self.store(("f", b"x")).status)
        self.assertEqual(3, len(os.listdir(self.folder)))

    def test_a316_names_of_this_machine_alone(self):
        self.serve(self.demo.make_application(self.folder, 1000000, self.demo.LOOPBACK))
        for host, status in [("localhost", 200), ("127.0.0.1:8888", 200), ("[::1]:8888", 200),
                             ("evil.example", 404), ("127.0.0.1.evil.example", 404),
                             ("evil.example:8888", 404)]:
            self.assertEqual(status, self.ask("/", host=host).status, host)

    def test_nothing_chosen_and_too_much(self):
        self.assertEqual(400, self.store().status)
        self.assertEqual(413, self.store(("a", b"x" * 1100000)).status)
        self.assertEqual([], os.listdir(self.folder))

    def test_names_that_lead_elsewhere(self):
        with open(os.path.join(self.folder, "stranger"), "wb"):
            pass
        for path in ("/files/stranger", "/files/..%2f..%2fetc%2fpasswd",
                     "/files/0123456789ab-..%2f..%2fstranger", "/files/0123456789ab-x"):
            self.assertIn(self.ask(path).status, (403, 404), path)
        self.assertNotIn(u"stranger", self.page())
        self.assertEqual(404, self.ask("/delete/stranger", "POST", self.cookie,
                                       {"_xsrf": self.token}).status)
        self.assertEqual(["stranger"], os.listdir(self.folder))

    def test_languages(self):
        self.store(("a", b"x"))
        for language, direction, text in [("en", "ltr", u"1 file<"), ("de", "ltr", u"1 Datei"),
                                          ("he", "rtl", u"קובץ אחד"), ("ja", "ltr", u"1個")]:
            page = self.page(language)
            self.assertIn(u'dir="%s"' % direction, page)
            self.assertIn(text, page)

    def test_every_text_is_translated(self):
        with open(os.path.join(FOLDER, "templates", "page.html"), "rb") as source:
            texts = re.findall(u"_\\([\"']([^\"']+)[\"']", source.read().decode("utf-8"))
        self.assertGreater(len(texts), 8)
        load_translations(os.path.join(FOLDER, "translations"))
        for code in ("de", "he", "ja"):
            known = open_and_read(os.path.join(FOLDER, "translations", code + ".csv"))
            for text in texts:
                self.assertIn(u'"%s",' % text, known.decode("utf-8"), code)


class LargeTest(unittest.TestCase):
    """The demo in a separate process."""

    def setUp(self):
        self.folder = tempfile.mkdtemp()
        # A gigabyte, unless the disk is too small.
        disk = os.statvfs(self.folder)
        self.size = 1000000000 if disk.f_bavail * disk.f_frsize > 4e9 else 100000000
        self.addCleanup(shutil.rmtree, self.folder)
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(FOLDER, "upload.py"), "--port=%d" % self.port,
             "--folder=" + self.folder, "--logging=none"],
            env=dict(os.environ, PYTHONPATH=ROOT), stdout=subprocess.PIPE)
        self.addCleanup(self.stop)
        # It prints its address once it is listening.
        self.assertIn(utf8("http://127.0.0.1:%d/" % self.port), self.process.stdout.readline())

    def stop(self):
        self.process.kill()
        self.process.communicate()

    def memory(self):
        """The peak memory of the process, in bytes."""
        with open("/proc/%d/status" % self.process.pid) as source:
            return int(re.search(r"VmHWM:\s+([0-9]+) kB", source.read()).group(1)) * 1024

    def test_a_gigabyte_in_less_than_30_megabytes(self):
        page = urlopen("http://127.0.0.1:%d/" % self.port, timeout=PATIENCE)
        self.addCleanup(page.close)
        token = re.search(br'action="(/store[^"]+)"', page.read()).group(1).decode("ascii")
        cookie = page.headers["Set-Cookie"].partition(";")[0]
        before = self.memory()
        client = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        self.addCleanup(client.close)
        begin = (b'--1234\r\nContent-Disposition: form-data; name="file"; filename="big"\r\n\r\n')
        end = b"\r\n--1234--\r\n"
        client.sendall(request(
            quote(token, safe="/?=&"), "POST", [
                ("Cookie", cookie), ("Content-Type", FORM),
                ("Content-Length", str(len(begin) + self.size + len(end)))],
            host="127.0.0.1:%d" % self.port) + begin)
        piece = os.urandom(1000000)
        for _ in range(self.size // len(piece)):
            client.sendall(piece)
        client.sendall(end)
        self.assertIn(b" 302 ", client.recv(1000))
        name, = os.listdir(self.folder)
        self.assertEqual(self.size, os.path.getsize(os.path.join(self.folder, name)))
        self.assertLess(self.memory() - before, 30000000)
