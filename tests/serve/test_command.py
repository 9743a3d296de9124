"""The command `friendserve`: its options, what it says of mistakes, and a whole service."""
from __future__ import absolute_import, division, print_function

import os
import re
import shutil
import signal
import socket
import tempfile
import time
import unittest

from six.moves.urllib.request import urlopen

from friendserve.serve.config import SettingsError, read_settings
from tests import PATIENCE
from tests.commandcase import PROGRAM, CommandCase
from tests.services import free_port


class SettingsTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, text):
        path = os.path.join(self.folder, "conf")
        with open(path, "w") as config:
            config.write(text)
        return path

    def test_defaults(self):
        settings = read_settings(["a:b"], {})
        self.assertEqual((["127.0.0.1:8000"], 1, 0o660, 30.0, 5.0, None, "a:b"), (
            settings.bind, settings.processes, settings.unix_mode, settings.graceful_timeout,
            settings.drain_idle, settings.max_requests, settings.application))

    def test_b370_the_command_line_wins_over_the_environment_and_that_over_the_file(self):
        path = self.write("processes = 2\nbacklog = 5\nmax_requests = 7\nbind = ':1'\n")
        settings = read_settings(
            ["--config", path, "--processes=4", "a:b"],
            {"FRIENDSERVE_PROCESSES": "3", "FRIENDSERVE_BACKLOG": "6", "WEB_CONCURRENCY": "9"})
        self.assertEqual((4, 6, 7, [":1"]), (settings.processes, settings.backlog,
                                             settings.max_requests, settings.bind))
        self.assertEqual(("command line", "environment", path), tuple(
            settings.origins[name] for name in ("processes", "backlog", "bind")))

    def test_web_concurrency_and_auto(self):
        self.assertEqual(9, read_settings(["a:b"], {"WEB_CONCURRENCY": "9"}).processes)
        self.assertIsNone(read_settings(["--processes", "auto", "a:b"], {}).processes)

    def test_several_addresses_and_units(self):
        settings = read_settings(["--bind", ":80,unix:/a", "--max-memory", "200", "a:b"], {})
        self.assertEqual(([":80", "unix:/a"], 200 << 20), (settings.bind, settings.max_memory))

    def test_b371_what_is_wrong(self):
        for arguments, text in (
                (["--prot", "a:b"], "unknown option --prot"),
                (["--processes", "many", "a:b"],
                 "--processes must be a number from 1 to 1000, or auto, not 'many'"),
                (["--backlog=x", "a:b"], "option --backlog cannot be 'x'"),
                (["--unix-mode", "9", "a:b"], "--unix-mode must be an octal number"),
                (["a:b", "c:d"], "only one application can be served, not a:b and c:d"),
                (["--user", "nosuchuser", "a:b"], "there is no such user or group"),
                (["--config", "/no/such", "a:b"], "No such file"),
                (["--certfile", "a", "--keyfile", "b,c", "a:b"], "--keyfile names 2 files")):
            with self.assertRaises(SettingsError) as caught:
                read_settings(arguments, {})
            self.assertIn(text, str(caught.exception))

    def test_b371_a_name_in_a_file_that_is_almost_an_option(self):
        path = self.write("import os\nworkers = 2\nprocesses = workers\nproceses = 4\n")
        with self.assertRaises(SettingsError) as caught:
            read_settings(["--config", path, "a:b"], {})
        self.assertEqual(path + ", line 4: there is no option proceses; did you mean processes?",
                         str(caught.exception))


class MistakesTest(CommandCase):
    def check(self, status, text, *arguments):
        code, output, errors = self.run_it("serve", *arguments)
        self.assertEqual(status, code, errors)
        self.assertIn(text, errors)
        self.assertNotIn("Traceback", errors)
        self.assertEqual("", output)

    def test_b371_wrong_arguments(self):
        self.check(2, "friendserve serve: unknown option --prot", "--prot", "hello:application")

    def test_b372_applications_that_cannot_be_loaded(self):
        self.write("import nosuchmodule\n", "broken.py")
        self.write("a b\n", "wrong.py")
        self.write("import wrong\n", "outer.py")
        for name, text in (
                ("", "which application? Write MODULE:APPLICATION"),
                ("hello", "'hello' is not MODULE:APPLICATION, such as hello:application"),
                ("nosuch:application", "cannot import nosuch: "),
                ("broken:application", "cannot import broken: "),
                ("broken:application", 'broken.py", line 1: import nosuchmodule\n'),
                ("wrong:application", "wrong cannot be loaded:\n"),
                ("outer:application", 'wrong.py", line 1: a b\n  SyntaxError: '),
                ("hello:app", "hello has no app; it has Application, Hello, "),
                ("hello:make", "hello:make takes no arguments: if it makes the application, add "
                               "--factory"),
                ("hello:VERSION", "hello:VERSION is 1, which is not an application")):
            self.check(3, text, "--check", *([name] if name else []))
        self.assertEqual((0, "", ""), self.run_it("serve", "--check", "hello:application"))
        self.assertEqual((0, "", ""), self.run_it("serve", "--check", "--factory", "hello:make"))
        self.write("from friendserve.web import Application\n"
                   "application = Application(template_dir='x')\n", "doubtful.py")
        self.check(3, "there is no setting template_dir", "--check", "doubtful:application")

    def test_a_port_that_is_taken(self):
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.bind(("127.0.0.1", 0))
        sock.listen(1)
        self.check(3, "in use by another program", "--bind", "127.0.0.1:%d" % sock.getsockname()[1],
                   "hello:application")

    def test_help_and_configuration(self):
        status, output, errors = self.run_it("serve", "--help")
        self.assertEqual((0, ""), (status, errors))
        for text in ("--processes=NUMBER|auto", "(default 127.0.0.1:8000)", "Exit status:"):
            self.assertIn(text, " ".join(output.split()))
        status, output, errors = self.run_it("serve", "--print-config", "--processes=3")
        self.assertEqual((0, ""), (status, errors))
        self.assertTrue(re.search(r"^processes +3 +# command line$", output, re.M), output)
        self.assertTrue(re.search(r"^backlog +1024 +# default$", output, re.M), output)
        self.assertEqual(2, self.run_it()[0])
        self.assertEqual(0, self.run_it("--help")[0])


class ServiceTest(CommandCase):
    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def said(self):
        with open(self.log) as log:
            return log.read()

    def wait_for(self, pattern):
        deadline = time.time() + PATIENCE
        while True:
            match = re.search(pattern, self.said())
            if match is not None:
                return match
            self.assertIsNone(self.process.poll(), self.said())
            self.assertLess(time.time(), deadline, self.said())
            time.sleep(0.02)

    def test_b373_alone_and_under_a_master(self):
        path = os.path.join(self.folder, "sock")
        for arguments in (["--no-master"], ["--processes=2", "--control", "unix:" + path]):
            port = free_port()
            arguments += ["--bind", "127.0.0.1:%d" % port, "hello:application"]
            self.log = os.path.join(self.folder, "log")
            with open(self.log, "wb") as log:
                self.process = self.start("serve", *arguments, stderr=log, stdout=log)
            self.addCleanup(self.end)
            self.wait_for("Serving|is ready in slot 1")
            url = "http://127.0.0.1:%d/" % port
            self.assertEqual(b"hello from 1", urlopen(url, timeout=PATIENCE).read())
            if "--no-master" not in arguments:
                status, output, errors = self.run_it("ctl", "status", "--control", path)
                self.assertEqual((0, 2), (status, output.count("ready")), errors)
                self.write(PROGRAM.replace("VERSION = 1", "VERSION = 2"))
                self.assertEqual(0, self.run_it("ctl", "reload", "--control", path)[0])
                self.assertEqual(b"hello from 2", urlopen(url, timeout=PATIENCE).read())
            self.assertEqual(0, self.run_it("ping", url)[0])
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
            self.assertEqual(0, self.process.returncode, self.said())
            self.assertNotIn("Traceback", self.said())
            self.assertNotEqual(0, self.run_it("ping", url)[0])
