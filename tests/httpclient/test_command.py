"""``python -m friendserve.httpclient``, run as users run it."""
from __future__ import absolute_import, division, print_function

import base64
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

import six

from friendserve.httpclient import command
from friendserve.httpclient.output import Progress
from tests import CERT, KEY, ROOT
from tests.clientcase import InThread
from tests.httpcase import answer
from tests.services import free_port


def make_file():
    """What can take the place of sys.stdout, in memory."""
    return six.StringIO() if six.PY2 else io.TextIOWrapper(io.BytesIO(), write_through=True)


class CommandCase(InThread):
    def setUp(self):
        super(CommandCase, self).setUp()
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def run_here(self, *arguments):
        """(exit status, standard output, standard error) of the command in a thread."""
        files = [make_file(), make_file()]
        saved = sys.stdout, sys.stderr

        def run():
            try:
                return command.main(arguments)
            except SystemExit as error:
                return error.code

        sys.stdout, sys.stderr = files
        try:
            status = self.run_blocking(run)
        finally:
            sys.stdout, sys.stderr = saved
        out, err = [getattr(one, "buffer", one).getvalue() for one in files]
        return status, out, err.decode("utf-8")

    def run_main(self, *arguments, **options):
        """The same of a process."""
        stdin = options.get("stdin", b"")

        def run():
            process = subprocess.Popen(
                [sys.executable, "-m", "friendserve.httpclient"] + list(arguments), cwd=self.folder,
                env=dict(os.environ, PYTHONPATH=ROOT, COLUMNS="80"), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.addCleanup(lambda: process.poll() is None and process.kill())
            out, err = process.communicate(stdin)
            return process.returncode, out, err.decode("utf-8", "replace")
        return self.run_blocking(run)

    def echo(self, request):
        """Answer with what was asked."""
        status = int(request.path[1:]) if request.path[1:].isdigit() else 200
        answer(request, json.dumps({
            "method": request.method, "body": request.body.decode("utf-8"),
            "headers": dict(request.headers.get_all())}).encode("utf-8"),
            status, "A Reason", **({"Location": "/there"} if request.path == "/go" else {}))

    def ask(self, *arguments, **options):
        """What the server has received."""
        self.serve(self.echo)
        run = self.run_main if "stdin" in options else self.run_here
        status, out, err = run(*(arguments + (self.url(),)), **options)
        self.assertEqual((0, ""), (status, err))
        return json.loads(out.decode("utf-8"))


class RequestTest(CommandCase):
    def test_b454_data_is_a_form_by_post(self):
        asked = self.ask("-d", "a=1", "--data", "b=2")
        self.assertEqual(("POST", "a=1&b=2"), (asked["method"], asked["body"]))
        self.assertEqual("application/x-www-form-urlencoded", asked["headers"]["Content-Type"])

    def test_b454_data_from_files(self):
        path = os.path.join(self.folder, "data")
        with open(path, "w") as target:
            target.write("from a file")
        self.assertEqual("from a file", self.ask("-d", "@" + path)["body"])
        self.assertEqual("from stdin", self.ask("-d", "@-", stdin=b"from stdin")["body"])
        status, _, err = self.run_here("-d", "@nosuch", "h")
        self.assertEqual(2, status)
        self.assertIn("No such file or directory: 'nosuch'", err)

    def test_b454_json(self):
        asked = self.ask("--json", '{"a": 1}', "-X", "PUT")
        self.assertEqual(("PUT", '{"a": 1}'), (asked["method"], asked["body"]))
        self.assertEqual(("application/json",) * 2, (asked["headers"]["Content-Type"],
                                                     asked["headers"]["Accept"]))
        status, _, err = self.run_here("--json", "{a: 1}", self.url())
        self.assertEqual(2, status)
        self.assertIn("--json: this is not JSON: ", err)

    def test_b454_headers_methods_and_users(self):
        asked = self.ask("-H", "X-A: 1", "-H", "Content-Type:text/x", "-d", "x", "-XDELETE",
                         "-A", "me", "-u", "name:pass:word")
        headers = asked["headers"]
        self.assertEqual(["DELETE", "1", "text/x", "me"], [
            asked["method"], headers["X-A"], headers["Content-Type"], headers["User-Agent"]])
        self.assertEqual("Basic " + base64.b64encode(b"name:pass:word").decode("ascii"),
                         headers["Authorization"])

    def test_b454_urls_without_a_scheme(self):
        self.serve(self.echo)
        host, port = self.server.address
        for url in ("%s:%d" % (host, port), "%s:%d/path?a=b" % (host, port)):
            self.assertEqual((0, ""), self.run_here(url)[::2])
        for url, complete in ((":8888/a", "http://localhost:8888/a"), (":", "http://localhost"),
                              (":/a", "http://localhost/a"), ("example.com", "http://example.com"),
                              ("https://x/", "https://x/")):
            self.assertEqual(complete, command.complete_url(url))

    def test_b454_a_proxy(self):
        self.serve(lambda request: answer(request, request.full_url().encode("ascii")))
        proxy = "%s:%d" % self.server.address
        for arguments in (("-x", proxy), ("--proxy=http://" + proxy,),
                          ("--proxy_host=" + proxy.split(":")[0],
                           "--proxy_port=" + proxy.split(":")[1])):
            self.assertEqual((0, b"http://example.test/", ""),
                             self.run_here(*(arguments + ("example.test/",))))

    def test_b454_flags_do_not_take_the_url_for_their_value(self):
        self.serve(self.echo)
        for flag in "--print_headers", "--print-headers", "-i", "--include":
            status, out, _ = self.run_here(flag, self.url())
            self.assertEqual((0, b"HTTP/1.1 200 A Reason"), (status, out.split(b"\r\n")[0]))

    def test_b454_wrong_options(self):
        for arguments, text in ((("-H", "x", "h"), "expected 'NAME: VALUE', not 'x'"),
                                (("-x", "proxy", "h"), "expected HOST:PORT, not 'proxy'"),
                                (("-d", "a", "--json", "1", "h"), "exclude each other"),
                                (("-o", "f", "h", "i"), "-o takes one URL"),
                                (("--progress=perhaps", "h"), "expected yes or no, not 'perhaps'")):
            status, out, err = self.run_here(*arguments)
            self.assertEqual((2, b""), (status, out))
            self.assertIn(text, err)

    def test_b454_help(self):
        status, out, _ = self.run_main("--help")
        self.assertEqual(0, status)
        for text in (b"usage: python -m", b"examples:", b"exit status", b"--user NAME:PASSWORD"):
            self.assertIn(text, out)
        self.assertLessEqual(max(map(len, out.splitlines())), 100)


class ResponseTest(CommandCase):
    def test_b455_head(self):
        self.serve(self.echo)
        status, out, _ = self.run_here("-I", self.url())
        self.assertEqual((0, b"HTTP/1.1 200 A Reason"), (status, out.split(b"\r\n")[0]))
        self.assertEqual(b"\r\n\r\n", out[-4:])

    def test_b455_a_file(self):
        self.serve(self.echo)
        path = os.path.join(self.folder, "out")
        self.assertEqual((0, b"", ""), self.run_here("-o", path, self.url()))
        with open(path, "rb") as source:
            before = source.read()
        self.assertEqual(b"{", before[:1])
        self.assertEqual(7, self.run_here("-o", path, "127.0.0.1:%d" % free_port())[0])
        with open(path, "rb") as source:
            self.assertEqual(before, source.read())
        status, _, err = self.run_here("-o", "no/such/folder", self.url())
        self.assertEqual((23, "%s: cannot write no/such/folder: No such file or directory\n"
                          % self.url()), (status, err))

    def test_b455_verbose_shows_each_hop(self):
        self.serve(lambda request: answer(
            request, b"body", *((302, "Found") if request.path == "/go" else (200, "OK")),
            Location="/there"))
        status, out, err = self.run_here("-v", "-L", self.url("/go"))
        self.assertEqual((0, b"body"), (status, out))
        self.assertEqual(["> GET /go HTTP/1.1", "< HTTP/1.1 302 Found", "> GET /there HTTP/1.1",
                          "< HTTP/1.1 200 OK"],
                         [line for line in err.splitlines() if "HTTP/1.1" in line])
        self.assertIn("> Host: 127.0.0.1:", err)

    def test_b455_no_redirects_and_no_body(self):
        self.serve(self.echo)
        status, out, err = self.run_here("--follow_redirects=false", self.url("/302"))
        self.assertEqual((3, b"{"), (status, out[:1]))
        self.assertIn("HTTP 302: A Reason", err)
        self.assertEqual((0, b""), self.run_here("--print_body=false", self.url())[:2])

    def test_b455_exit_statuses(self):
        self.serve(self.echo)
        for path, expected in (("/204", 0), ("/304", 3), ("/404", 4), ("/503", 5)):
            status, _, err = self.run_here(self.url(path))
            self.assertEqual((expected, err == ""), (status, expected == 0), err)
        self.assertEqual(4, self.run_here(self.url(), self.url("/404"), self.url("/500"))[0])
        status, _, err = self.run_here("ftp://x/")
        self.assertEqual((2, "ftp://x/: only"), (status, err[:14]))
        status, _, err = self.run_main("no.such.host.invalid")
        self.assertEqual(6, status, err)
        self.assertNotIn("599", err)

    def test_b455_a_timeout(self):
        silent = socket.socket()
        self.addCleanup(silent.close)
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        port = silent.getsockname()[1]
        self.assertEqual(28, self.run_here("-m", "0.2", "127.0.0.1:%d" % port)[0])

    def test_b455_certificates(self):
        self.serve(self.echo, ssl_options={"certfile": CERT, "keyfile": KEY})
        url = "https://localhost:%d/" % self.server.address[1]
        self.assertEqual(60, self.run_here(url)[0])
        self.assertEqual(0, self.run_here("-k", url)[0])

    def test_b455_a_reader_that_has_enough(self):
        self.serve(lambda request: answer(request, b"x" * 2000000))
        script = '"%s" -m friendserve.httpclient "%s" | head -c 10' % (sys.executable, self.url())

        def run():
            process = subprocess.Popen(["sh", "-c", script], cwd=ROOT, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE)
            return process.communicate()
        self.assertEqual((b"x" * 10, b""), self.run_blocking(run))


class ProgressTest(unittest.TestCase):
    def setUp(self):
        self.now = 100.0
        self.stream = six.StringIO()
        self.progress = Progress(self.stream, lambda: self.now)

    def add(self, seconds, size, total):
        self.now += seconds
        self.progress.add(size, total)

    def test_b455_a_line_for_a_long_download(self):
        self.add(0, 0, 100000000)
        self.add(0.5, 1000000, 100000000)
        self.assertEqual("", self.stream.getvalue())
        self.add(0.5, 1000000, 100000000)
        self.add(0.1, 1000000, 100000000)
        self.add(0.9, 1000000, 100000000)
        self.progress.clear()
        lines = self.stream.getvalue().split("\r")
        self.assertEqual(["", "2.0 MB of 100.0 MB (2 %), 2.0 MB/s, 49 s left",
                          "4.0 MB of 100.0 MB (4 %), 2.0 MB/s, 48 s left", "", ""],
                         [line.rstrip() for line in lines])

    def test_b455_a_length_that_is_not_known(self):
        self.add(0, 500, None)
        self.add(2, 0, None)
        self.assertEqual("\r500 B, 250 B/s", self.stream.getvalue())
