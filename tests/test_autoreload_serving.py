"""What clients see while a program restarts, in development."""
from __future__ import absolute_import, division, print_function

import os
import signal
import socket
import threading

from tests import PATIENCE
from tests.autoreloadcase import ProgramCase
from tests.servecase import Load, get, wait_until
from tests.services import free_port

PROGRAM = u"""
import os, sys
from friendserve import locale
from friendserve.web import Application, RequestHandler, asynchronous
import module

if os.path.isdir("translations"):
    locale.load_translations("translations")

class Value(RequestHandler):
    def get(self):
        self.write(module.VALUE)

class Number(RequestHandler):
    "Changes when the program restarts."
    started = os.urandom(8).hex() if str is not bytes else os.urandom(8).encode("hex")
    def get(self):
        self.write(self.started)

class Never(RequestHandler):
    @asynchronous
    def get(self):
        pass

application = Application([("/", Value), ("/number", Number), ("/never", Never)],
                          log_function=lambda handler: None, template_path="templates",
                          **%(settings)s)
if __name__ == "__main__":
    application.run(%(port)d, grace=1000)
"""

BROWSER = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html,*/*\r\n\r\n"


class ServingCase(ProgramCase):
    def setUp(self):
        super(ServingCase, self).setUp()
        self.port = free_port()
        self.write_settings(debug=True)
        self.output = b""

    def write_settings(self, **settings):
        self.write("program.py", PROGRAM % {"port": self.port, "settings": settings})

    def start_and_wait(self, *command):
        self.start(*command)
        reader = threading.Thread(target=self.read, args=(self.process,))
        reader.daemon = True
        reader.start()
        self.addCleanup(reader.join, PATIENCE)
        # Cleanups run in reverse: the end of the program is the end of its output.
        self.addCleanup(self.kill)
        self.await_value("one")

    def read(self, process):
        for line in iter(process.stdout.readline, b""):
            self.output += line

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def serve(self, *arguments):
        self.start_and_wait("-m", "friendserve", "serve", "--autoreload",
                            "--bind=127.0.0.1:%d" % self.port, "--graceful-timeout=1000",
                            *(arguments + ("program:application",)))

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def fetch(self, path="/"):
        connection = self.connect()
        try:
            return get(connection, path, close=True)[1]
        finally:
            connection.close()

    def await_value(self, value, path="/"):
        def found():
            self.assertIsNone(self.process.poll(), self.output)
            try:
                return self.fetch(path) == value
            except EnvironmentError:
                return False
        wait_until(found, PATIENCE, lambda: "%s in %r" % (value, self.output))

    def await_restart(self, change):
        """Call `change`, and wait for the restart that it is to cause."""
        before = self.fetch("/number")

        def is_another():
            try:
                return self.fetch("/number") != before
            except EnvironmentError:
                return False
        change()
        wait_until(is_another, PATIENCE, lambda: "restart in %r" % self.output)


class RefusedTest(ServingCase):
    def check(self):
        load = Load(self, keeping=3, closing=3)
        self.addCleanup(load.stop)
        for value in "two", "three", "four":
            load.more(20)
            self.write("module.py", u"VALUE = '%s'\n" % value)
            self.await_value(value)
        load.more(20)
        load.stop()
        self.assertEqual([], load.failed)

    def test_b379_a_program_with_debug(self):
        self.start_and_wait("program.py")
        self.check()

    def test_b379_the_command_of_autoreload(self):
        self.start_and_wait("-m", "friendserve.autoreload", "program.py")
        self.check()

    def test_b379_serve(self):
        self.serve()
        self.check()

    def test_b379_a_unix_socket(self):
        path = os.path.join(self.folder, "sock")
        self.serve("--bind=127.0.0.1:%d,unix:%s" % (self.port, path))
        before = os.stat(path).st_ino
        self.write("module.py", u"VALUE = 'two'\n")
        self.await_value("two")
        self.assertEqual(before, os.stat(path).st_ino)
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        sock.settimeout(PATIENCE)
        sock.connect(path)
        self.assertEqual("two", get(sock)[1])


class MissingTest(ProgramCase):
    def said(self, *command):
        self.start("-m", "friendserve.autoreload", *command)
        self.addCleanup(self.process.poll)
        wait_until(lambda: self.process.poll() is not None, PATIENCE, lambda: "an end")
        self.assertEqual(2, self.process.returncode)
        return self.process.stdout.read().decode("utf-8")

    def test_b453_a_program_that_does_not_exist_is_one_line(self):
        folder = os.path.realpath(self.folder)
        self.assertEqual("there is no file nosuch.py in %s\n" % folder, self.said("nosuch.py"))
        self.assertEqual("there is no file /nosuch/a.py\n", self.said("/nosuch/a.py", "--port=1"))
        os.mkdir(os.path.join(self.folder, "package"))
        self.assertEqual("package is a folder without a __main__.py\n", self.said("package"))
        self.assertEqual("there is no module nosuch in %s or in sys.path\n" % folder,
                         self.said("-m", "nosuch"))


class FailureTest(ServingCase):
    def check(self):
        for text, said in ((u"VALUE = <\n", b"SyntaxError"), (u"import nosuch\n", b"nosuch"),
                           (u"VALUE = 1 // 0\n", b"ZeroDivisionError")):
            self.write("module.py", text)
            wait_until(lambda: said in self.page(), PATIENCE, lambda: "%r in %r" % (
                said, self.output))
            head, _, page = self.page().partition(b"\r\n\r\n")
            self.assertIn(b" 500 ", head)
            self.assertIn(b"text/html", head)
            self.assertIn(b"module.py", page)
            self.assertNotIn(b"VALUE = <", page)
            self.assertIn(b'http-equiv="refresh"', page)
        self.write("module.py", u"VALUE = 'mended'\n")
        self.await_value("mended")

    def page(self):
        """What a browser is shown."""
        try:
            connection = self.connect()
            try:
                connection.sendall(BROWSER)
                received = b""
                while True:
                    piece = connection.recv(65536)
                    received += piece
                    if not piece or b"</p>" in received or b" 200 " in received[:20]:
                        return received
            finally:
                connection.close()
        except EnvironmentError:
            return b""

    def test_b380_a_program_with_debug(self):
        self.start_and_wait("program.py")
        self.check()

    def test_b380_the_command_of_autoreload(self):
        self.start_and_wait("-m", "friendserve.autoreload", "program.py")
        self.check()

    def test_b380_serve(self):
        self.serve()
        self.check()

    def test_b380_the_first_start_of_serve(self):
        self.write("module.py", u"VALUE = <\n")
        self.start("-m", "friendserve", "serve", "--autoreload",
                   "--bind=127.0.0.1:%d" % self.port, "program:application")
        self.check()


class WatchedTest(ServingCase):
    def test_b381_translations_and_patterns(self):
        self.write("translations/de.csv", u'"a","b"\n')
        self.write("data/one.txt", u"1")
        self.serve("--watch=data/*.txt")
        self.await_restart(lambda: self.write("translations/de.csv", u'"a","c"\n'))
        self.await_restart(lambda: self.write("data/one.txt", u"2"))
        self.await_restart(lambda: self.write("data/two.txt", u"1"))

    def test_b381_templates_that_are_read_only_once(self):
        self.write("templates/inner/a.html", u"a")
        self.write_settings(autoreload=True)
        self.start_and_wait("program.py")
        self.await_restart(lambda: self.write("templates/inner/a.html", u"b"))

    def test_b381_templates_that_are_read_each_time_need_no_restart(self):
        self.write("templates/a.html", u"a")
        self.start_and_wait("program.py")
        before = self.fetch("/number")
        self.write("templates/a.html", u"b")
        # It would be seen with this.
        self.write("module.py", u"VALUE = 'two'\n")
        self.await_value("two")
        self.assertNotIn(b"a.html has changed", self.output)
        self.assertNotEqual(before, self.fetch("/number"))


class InterruptTest(ServingCase):
    def check(self):
        for path in "/never", "/":
            connection = self.connect()
            self.addCleanup(connection.close)
            connection.sendall(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode("ascii"))
        connection.recv(100)
        self.process.send_signal(signal.SIGINT)
        # A request in progress has 1000 seconds otherwise.
        wait_until(lambda: self.process.poll() is not None, PATIENCE, lambda: "an end")
        self.assertNotIn(b"Traceback", self.output)

    def test_b382_a_program_with_debug(self):
        self.start_and_wait("program.py")
        self.check()

    def test_b382_after_a_restart(self):
        self.start_and_wait("program.py")
        self.write("module.py", u"VALUE = 'two'\n")
        self.await_value("two")
        self.check()
        self.assertEqual(0, self.process.returncode)

    def test_b382_the_command_of_autoreload(self):
        self.start_and_wait("-m", "friendserve.autoreload", "program.py")
        self.check()

    def test_b382_serve(self):
        self.serve()
        self.check()
