"""The steps of the tutorial, done as its pages say, up to the chat behind nginx."""
from __future__ import absolute_import, division, print_function

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

from six.moves.urllib.parse import urlencode
from six.moves.urllib.request import HTTPCookieProcessor, HTTPErrorProcessor, build_opener

from tests import PATIENCE, ROOT, services
from tests.docscase import page_files, page_text
from tests.servecase import wait_until


class Visitor(object):
    """A browser without scripts: it keeps cookies, and fills in forms."""

    class _NoErrors(HTTPErrorProcessor):
        def http_response(self, request, response):
            if response.code >= 400:
                return response
            return HTTPErrorProcessor.http_response(self, request, response)

    def __init__(self, address):
        self.address = address
        self.opener = build_opener(HTTPCookieProcessor(), self._NoErrors())

    def get(self, path, data=None):
        """(status, text) of what is at a path."""
        answer = self.opener.open(self.address + path, data, PATIENCE)
        try:
            return answer.code, answer.read().decode("utf-8")
        finally:
            answer.close()

    def send(self, path, **fields):
        """Fill in the form of a page, and send it."""
        fields["_xsrf"] = re.search('name="_xsrf" value="([^"]+)"', self.get(path)[1]).group(1)
        return self.get(path, urlencode(fields).encode("ascii"))

    def messages(self):
        return re.findall("<li>(.*)</li>", self.get("/")[1])

    def cursor(self):
        return re.search('data-cursor="([^"]+)"', self.get("/")[1]).group(1)

    def wait(self, cursor):
        """Begin a long poll; returns the list in which its result will be."""
        found = []
        thread = threading.Thread(
            target=lambda: found.append(json.loads(self.get("/news?after=" + cursor)[1])))
        thread.daemon = True
        thread.start()
        return found


class StepCase(unittest.TestCase):
    def setUp(self):
        # Short: the path of a Unix socket has at most 108 bytes.
        self.folder = tempfile.mkdtemp(prefix="chat")
        os.chmod(self.folder, 0o755)
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, *steps):
        """Write the files of these steps, as a reader has them who has done them in order."""
        for step in steps:
            for name, text in page_files("tutorial/%s.rst" % step).items():
                if not name.startswith("/"):
                    path = os.path.join(self.folder, *name.split("/"))
                    if not os.path.isdir(os.path.dirname(path)):
                        os.makedirs(os.path.dirname(path))
                    with io.open(path, "w", encoding="utf-8") as target:
                        target.write(text)

    def start(self, command, ready, **environ):
        """Start a program in the folder; returns it when its output contains `ready`."""
        path = os.path.join(self.folder, "output-" + os.path.basename(command[-1]))
        environ = dict(os.environ, PYTHONPATH=ROOT, PYTHONDONTWRITEBYTECODE="1",
                       CHAT_SECRET="a secret of the tests", **environ)
        with open(path, "wb") as output:
            process = subprocess.Popen(command, cwd=self.folder, stdout=output, stderr=output,
                                       env=environ)
        self.addCleanup(self.end, process)

        def said():
            with io.open(path, encoding="utf-8") as output:
                return output.read()

        def is_ready():
            self.assertIsNone(process.poll(), said())
            return ready(said()) if callable(ready) else ready in said()
        wait_until(is_ready, PATIENCE, said)
        process.said = said
        return process

    def end(self, process):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                wait_until(lambda: process.poll() is not None)
            except AssertionError:
                process.kill()
        process.wait()

    def run_step(self, *steps):
        """Run chat.py after these steps; returns a Visitor, and what is its output so far."""
        self.write(*steps)
        port = services.free_port()
        path = os.path.join(self.folder, "chat.py")
        with io.open(path, encoding="utf-8") as source:
            text = source.read()
        self.assertIn("8888", text)
        with io.open(path, "w", encoding="utf-8") as target:
            target.write(text.replace("8888", str(port)))
        address = "http://127.0.0.1:%d" % port
        self.start([sys.executable, "chat.py"], "Serving on %s/ (Ctrl-C to stop)" % address)
        return Visitor(address)


class TutorialTest(StepCase):
    """B467"""
    def test_b467_hello(self):
        visitor = self.run_step("hello")
        status, text = visitor.get("/")
        self.assertEqual(200, status)
        self.assertIn("    " + text, page_text("tutorial/hello.rst"))
        self.assertEqual(404, visitor.get("/nobody")[0])

    def test_b467_form(self):
        visitor = self.run_step("hello", "form")
        visitor.send("/", text="<b>bold</b>")
        self.assertEqual(["&lt;b&gt;bold&lt;/b&gt;"], Visitor(visitor.address).messages())
        self.assertEqual(403, visitor.get("/", b"text=forged")[0])

    def test_b467_live(self):
        visitor = self.run_step("hello", "form", "live")
        news = visitor.wait(visitor.cursor())
        visitor.send("/", text="Hello")
        wait_until(lambda: news, PATIENCE)
        self.assertEqual(["Hello"], news[0]["messages"])
        self.assertEqual(["Hello"], visitor.messages())
        self.assertEqual(400, visitor.get("/news?after=x")[0])
        script = re.search('<script src="([^"]+)"', visitor.get("/")[1]).group(1)
        self.assertIn("listen();", visitor.get(script)[1])

    def test_b467_names(self):
        ada = self.run_step("hello", "form", "live", "names")
        self.assertIn("Come in", ada.get("/")[1])
        ada.send("/signin", name="Ada")
        bob = Visitor(ada.address)
        bob.send("/signin", name="Bob")
        news = bob.wait(bob.cursor())
        ada.send("/", text="Hello")
        wait_until(lambda: news, PATIENCE)
        self.assertEqual([{"name": "Ada", "text": "Hello"}], news[0]["messages"])
        self.assertEqual(["Ada: Hello"], bob.messages())
        self.assertEqual(400, Visitor(ada.address).send("/signin", name="a" * 31)[0])

    def test_b467_testing(self):
        self.write("hello", "form", "live", "names", "testing")
        process = self.start([sys.executable, "test_chat.py"], lambda said: "\nRan " in said)
        wait_until(lambda: process.poll() is not None, PATIENCE)
        self.assertEqual(0, process.returncode, process.said())
        count = re.search("Ran ([0-9]+) tests", process.said()).group()
        self.assertIn(count, page_text("tutorial/testing.rst"))


@services.needs(services.Nginx)
@services.needs(services.Redis)
class DeployedTest(StepCase):
    """B467"""
    def setUp(self):
        super(DeployedTest, self).setUp()
        self.places = {"/run/chat": self.folder, "/srv/chat": self.folder}
        self.files = page_files("tutorial/deploy.rst")

    def copy(self, name, target, *more):
        """Write a file of the page with the places of this test, and further replacements."""
        text = self.files[name]
        for before, after in more:
            self.assertIn(before, text)
            text = text.replace(before, after)
        for before, after in self.places.items():
            text = text.replace(before, after)
        path = os.path.join(self.folder, target)
        with io.open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def serve(self, redis):
        self.write("names", "deploy")
        group = () if os.getuid() == 0 else (('unix_group = "www-data"\n', ""),)
        self.copy("chat.conf", "chat.conf", *group)
        words = re.search("^ExecStart=(.*)$", self.files["/etc/systemd/system/chat.service"],
                          re.M).group(1).split()
        self.assertEqual(["serve", "--config", "/srv/chat/chat.conf", "chat:make_application"],
                         words[1:])
        return self.start(
            [sys.executable, "-m", "friendserve", "serve", "--config",
             os.path.join(self.folder, "chat.conf"), "--drain-idle=0.1", words[-1]],
            lambda said: said.count("is ready in slot") == 2, CHAT_FEED=redis.url())

    def start_nginx(self):
        port = services.free_port()
        site = self.copy("/etc/nginx/sites-enabled/default", "site.conf",
                         ("listen 80 ", "listen 127.0.0.1:%d " % port))
        path = os.path.join(self.folder, "nginx.conf")
        with open(path, "w") as target:
            target.write("%sdaemon off; pid nginx.pid; error_log stderr; events {}\n"
                         "http { access_log off; include %s; }\n" % (
                             "user root; " if os.getuid() == 0 else "", site))
        address = "http://127.0.0.1:%d" % port

        def answers(said):
            try:
                return Visitor(address).get("/signin")[0] == 200
            except EnvironmentError:
                return False
        self.start([services.Nginx.program(), "-p", self.folder, "-e", "stderr", "-c", path],
                   answers)
        return address

    def test_b467_deployed_and_reloaded_while_people_talk(self):
        redis = services.Redis()
        self.addCleanup(redis.close)
        service = self.serve(redis)
        address = self.start_nginx()
        ada, bob = Visitor(address), Visitor(address)
        ada.send("/signin", name="Ada")
        bob.send("/signin", name="Bob")
        self.assertEqual(404, bob.get("/health/ready")[0])
        news = bob.wait(bob.cursor())
        ada.send("/", text="Hello")
        wait_until(lambda: news, PATIENCE)
        self.assertEqual([{"name": "Ada", "text": "Hello"}], news[0]["messages"])
        # Bob waits while both processes are replaced; his poll is answered, and he comes back.
        waiting = bob.wait(news[0]["cursor"])
        service.send_signal(signal.SIGHUP)
        wait_until(lambda: service.said().count("is ready in slot") == 4, PATIENCE, service.said)
        wait_until(lambda: waiting, PATIENCE)
        self.assertEqual([], waiting[0]["messages"])
        later = bob.wait(waiting[0]["cursor"])
        ada.send("/", text="Still here")
        wait_until(lambda: later, PATIENCE)
        self.assertEqual([{"name": "Ada", "text": "Still here"}], later[0]["messages"])
        self.assertEqual(["Ada: Hello", "Ada: Still here"], bob.messages())


if __name__ == "__main__":
    unittest.main()
