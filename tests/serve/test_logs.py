"""The logs of a service: formats of the access log, rotation, and configuration that changes."""
from __future__ import absolute_import, division, print_function

import json
import os
import re
import signal
import socket
import unittest

from six.moves.urllib.request import Request, urlopen

from friendserve.httputil import HTTPHeaders, HTTPServerRequest
from friendserve.serve import request_id
from friendserve.serve.accesslog import AccessLog, FormatError, make_formatter
from tests import PATIENCE
from tests.commandcase import CommandCase
from tests.servecase import wait_until
from tests.services import free_port

PROGRAM = """
from friendserve.httputil import HTTPHeaders
from friendserve.web import Application, RequestHandler, URLSpec

class Hello(RequestHandler):
    def get(self):
        self.write("hello")

class Missing(RequestHandler):
    def get(self):
        self.set_status(404)

inner = Application([("/inner", Hello)])
application = Application([("/", Hello), ("/missing", Missing), ("/inner", inner)])

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"wsgi"]
"""


def make_request(**headers):
    return HTTPServerRequest("GET", "/", headers=HTTPHeaders(
        (name.replace("_", "-"), value) for name, value in headers.items()))


WAITING_FORK = """
import os
import time

fork = os.fork

def waiting_fork():
    pid = fork()
    if not pid and not os.path.exists("go"):
        open("forked", "w").close()
        while not os.path.exists("go"):
            time.sleep(0.02)
    return pid

os.fork = waiting_fork
"""


class RequestIdTest(unittest.TestCase):
    def test_b375_a_well_formed_identity_is_kept(self):
        for text in ("a", "0123-AB.c_d:/+=@", "x" * 128):
            self.assertEqual(text, request_id(make_request(X_Request_Id=text)))

    def test_b375_another_is_replaced_by_a_random_one_which_stays(self):
        for text in ("", "a b", "a\"b", "a\x1bb", "x" * 129, "a,b", u"\xe9"):
            request = make_request(X_Request_Id=text)
            made = request_id(request)
            self.assertTrue(re.match(r"[0-9a-f]{32}\Z", made), made)
            self.assertEqual(made, request_id(request))
        self.assertNotEqual(request_id(make_request()), request_id(make_request()))


class FormatTest(unittest.TestCase):
    def test_b376_formats_that_are_wrong(self):
        for form, text in (("shrt", "must be short, combined, json, or a text with fields"),
                           ("{statu}", "no field {statu}; did you mean {status}?"),
                           ("{header.}", "has no field {header.}"),
                           ("{request.method}", "has no field {request.method}"),
                           ("{status.real}", "has no field {status.real}")):
            with self.assertRaises(FormatError) as caught:
                make_formatter(form)
            self.assertIn(text, str(caught.exception))

    def test_a_file_that_cannot_be_opened(self):
        with self.assertRaises(EnvironmentError):
            AccessLog("/no/such/folder/log", "short")


class LogsTest(CommandCase):
    def serve(self, *arguments, **options):
        """Start a service, and return when it serves."""
        self.write(PROGRAM)
        self.port = free_port()
        self.access = os.path.join(self.folder, "access")
        self.log = os.path.join(self.folder, "log")
        name = options.pop("name", "application")
        with open(os.path.join(self.folder, "errors"), "wb") as errors:
            self.process = self.start(
                "serve", "--bind", "127.0.0.1:%d" % self.port, "--access-log", self.access,
                "--log-file", self.log, "--graceful-timeout=5", "--drain-idle=0.1",
                *(arguments + (name if ":" in name else "hello:" + name,)),
                stderr=errors, stdout=errors)
        self.addCleanup(self.end)
        self.await_log("Serving|is ready in slot")

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def read(self, path):
        if not os.path.exists(path):
            return ""
        with open(path) as source:
            return source.read()

    def await_log(self, pattern, count=1):
        def found():
            if self.process.poll() is not None:
                raise AssertionError("ended: " + self.read(os.path.join(self.folder, "errors")))
            return len(re.findall(pattern, self.read(self.log))) >= count
        wait_until(found, PATIENCE, lambda: "%r in %s" % (pattern, self.read(self.log)))

    def lines(self, count):
        """The lines of the access log, once there are `count`."""
        wait_until(lambda: self.read(self.access).count("\n") >= count, PATIENCE,
                   lambda: "%d lines in %r" % (count, self.read(self.access)))
        return self.read(self.access).splitlines()

    def get(self, path="/", **headers):
        return urlopen(Request("http://127.0.0.1:%d%s" % (self.port, path), headers=headers),
                       timeout=PATIENCE).read()

    def send(self, head):
        sock = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        sock.sendall(head)
        while sock.recv(65536):
            pass
        sock.close()

    def test_b374_formats_of_a_service(self):
        head = (b"GET /missing?a=\"b HTTP/1.1\r\nHost: h\r\nReferer: http://r/\\\r\n"
                b"User-Agent: a\"b\xe9\r\nX-Request-ID: id-1\r\nConnection: close\r\n\r\n")
        for form, pattern in (
                ("short", r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d 404 GET '
                          r'/missing\?a=\\"b \(127\.0\.0\.1\) \d+\.\d+ms\Z'),
                ("combined", r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d '
                             r'[+-]\d{4}\] "GET /missing\?a=\\"b HTTP/1\.1" 404 0 '
                             r'"http://r/\\\\" "a\\"b.*"\Z'),
                ("{status} 100%s {request_id} {header.Host} {header.X-No} "
                 "{response.Content-Length} {query} {path}",
                 r'404 100%s id-1 h - 0 a=\\"b /missing\Z')):
            self.serve("--no-master", "--log-format", form)
            self.send(head)
            line = self.lines(1)[0]
            self.assertTrue(re.match(pattern, line), line)
            self.process.send_signal(signal.SIGTERM)
            self.assertEqual(0, self.process.wait(), self.read(self.log))
            os.remove(self.access)
            os.remove(self.log)

    def test_b374_json(self):
        self.serve("--no-master", "--log-format=json")
        self.get("/?x=%22", **{"User-Agent": "me"})
        self.get("/inner")
        found, inner = [json.loads(line) for line in self.lines(2)]
        self.assertEqual(
            ("GET", "/?x=%22", 200, 5, "me", None),
            tuple(found[name] for name in ("method", "uri", "status", "bytes", "user_agent",
                                           "referer")))
        self.assertEqual(("/inner", 200), (inner["uri"], inner["status"]))
        self.assertEqual("info", json.loads(self.read(self.log).splitlines()[0])["level"])

    def test_b374_wsgi_applications(self):
        self.serve("--no-master", "--log-format={status} {uri}", name="wsgi")
        self.get("/a")
        self.assertEqual(["200 /a"], self.lines(1))

    def test_b374_no_access_log(self):
        self.serve("--no-master", "--access-log=none")
        self.get()
        self.get("/inner")
        self.assertEqual("", self.read(self.access))
        self.assertNotIn("GET", self.read(self.log))

    def test_b377_logs_that_were_renamed_are_reopened_by_all_processes(self):
        self.serve("--processes=2", "--log-format={pid}")
        self.await_log("is ready in slot", 2)
        self.get()
        before = self.lines(1)
        os.rename(self.access, self.access + ".1")
        os.rename(self.log, self.log + ".1")
        self.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: os.path.exists(self.access) and os.path.exists(self.log))
        # A worker may write to the old file until it has been told; both are told.
        wait_until(lambda: self.get() and len(set(self.read(self.access).split())) == 2)
        self.assertEqual(before, self.read(self.access + ".1").splitlines()[:1])
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, self.process.wait())
        self.assertIn("Stopping", self.read(self.log))

    def start_forking(self):
        """Start a service whose worker has died, while the next one has no handlers for signals
        yet. It goes on once the file exists whose path is returned."""
        go = os.path.join(self.folder, "go")
        # With --preload, the program is there when workers are forked.
        self.write(PROGRAM + WAITING_FORK, "waiting.py")
        with open(go, "w"):
            pass
        self.serve("--preload=true", "--log-format={pid}", name="waiting:application")
        self.get()
        first = int(self.lines(1)[0])
        os.remove(go)
        os.kill(first, signal.SIGKILL)
        self.await_log("starts in slot 0", 2)
        wait_until(lambda: os.path.exists(os.path.join(self.folder, "forked")))
        return go

    if hasattr(signal, "pthread_sigmask"):
        def test_b485_signals_to_all_processes_do_not_end_a_worker_that_starts(self):
            go = self.start_forking()
            worker = re.findall("Worker ([0-9]+) starts", self.read(self.log))[-1]
            for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
                os.kill(int(worker), number)
            with open(go, "w"):
                pass
            self.await_log("is ready in slot 0", 2)
            self.assertIn("Worker %s is ready" % worker, self.read(self.log))

    def test_b485_a_worker_that_starts_while_logs_are_rotated_writes_to_the_new_ones(self):
        go = self.start_forking()
        os.rename(self.access, self.access + ".1")
        os.rename(self.log, self.log + ".1")
        self.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: os.path.exists(self.access) and os.path.exists(self.log))
        with open(go, "w"):
            pass
        self.await_log("is ready in slot 0")
        # It is told when it is ready, and may have answered one request by then.
        wait_until(lambda: self.get() and self.read(self.access), PATIENCE,
                   lambda: "a line, but %r in the old file" % self.read(self.access + ".1"))
        self.assertNotIn("ended by signal", self.read(self.log))

    def test_b378_a_reload_configures_the_logs_again_and_keeps_them_if_that_fails(self):
        config = os.path.join(self.folder, "conf")
        with open(config, "w") as target:
            target.write("log_format = 'one {status}'\n")
        self.serve("--config", config)
        self.get()
        self.assertEqual("one 200", self.lines(1)[-1])
        with open(config, "w") as target:
            target.write("log_format = 'two {statu}'\n")
        self.process.send_signal(signal.SIGHUP)
        self.await_log("Not reloaded: .*did you mean {status}")
        self.get()
        self.assertEqual("one 200", self.lines(2)[-1])
        with open(config, "w") as target:
            target.write("log_format = 'two {status}'\n")
        self.process.send_signal(signal.SIGHUP)
        self.await_log(r"\] Reloaded")
        self.get()
        self.assertEqual("two 200", self.lines(3)[-1])

    def test_b376_wrong_formats_and_files(self):
        self.write(PROGRAM)
        for status, text, arguments in (
                (2, "--log-format: the access log has no field {statu}", ["--log-format={statu}"]),
                (2, "--logging must be debug", ["--logging=loud"]),
                (3, "a log cannot be written", ["--log-file=/no/such/log"])):
            code, _, errors = self.run_it("serve", "--check", "hello:application", *arguments)
            self.assertEqual((status, 1), (code, errors.count("\n")), errors)
            self.assertIn(text, errors)
