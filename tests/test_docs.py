"""The programs in the pages of website/docs do what the pages say."""
from __future__ import absolute_import, division, print_function

import io
import os
import re
import sys
import unittest

import six
from six.moves.urllib.request import urlopen

import friendserve
from friendserve.feed import open_feed
from friendserve.httpclient import AsyncHTTPClient
from friendserve.ioloop import IOLoop
from friendserve.platform.pollers.auto import available_pollers
from friendserve.web import Application
from friendserve.websocket import websocket_connect
from tests import PATIENCE, ROOT
from tests.docscase import page_text, program, program_text
from tests.house import PACKAGE, find_symbol, parse_tree, table_of_contents
from tests.httpcase import answer
from tests.services import free_port
from tests.webcase import WebCase


class WebSocketPageTest(WebCase):
    def test_what_one_says_all_see(self):
        names = program("how-to/websocket.rst")
        application = Application([("/", names["PageHandler"]),
                                   ("/socket", names["SocketHandler"])])
        application.feed = open_feed()
        self.serve(application)
        self.assertIn(b"new WebSocket", self.ask("/").body)
        heard, connections = [], []
        for _ in range(2):
            websocket_connect("ws://127.0.0.1:%d/socket" % self.server.address[1],
                              connections.append, on_message_callback=heard.append)
        self.run_until(lambda: len(connections) == 2)
        connections[0].write_message(u"hello")
        self.run_until(lambda: heard == [u"hello", u"hello"])
        for connection in connections:
            connection.close()
        self.run_until(lambda: heard[2:] == [None, None])


class CoroutinesPageTest(WebCase):
    def test_handlers_locks_and_queues(self):
        names = program("how-to/coroutines.rst")
        self.serve(names["application"])
        url = "http://127.0.0.1:%d/slow" % self.server.address[1]
        self.assertEqual(b"done", self.ask("/slow").body)
        response = self.ask("/sizes?url=%s&url=%s" % (url, url))
        self.assertEqual(b'{"sizes": [4, 4]}', response.body)
        self.assertEqual(502, self.ask("/sizes?url=%s/no" % url).status)
        seen = []
        self.assertEqual(5, self.loop.run_sync(lambda: names["produce"](seen), PATIENCE))
        self.assertEqual(list(range(5)), seen)

    def test_without_coroutines(self):
        load = program("how-to/coroutines.rst", 1)["load"]
        self.serve(lambda request: answer(request, body=url.encode("ascii")))
        url = "http://127.0.0.1:%d/" % self.server.address[1]
        results, errors = [], []
        client = AsyncHTTPClient(io_loop=self.loop)
        load(client, [url, url], results.append, errors.append)
        self.run_until(lambda: results)
        self.assertEqual([[url.encode("ascii")] * 2], results)
        load(client, [url, "http://127.0.0.1:%d/" % free_port()], results.append, errors.append)
        self.run_until(lambda: errors)
        self.assertEqual(1, len(results))


class EmbeddingPageTest(unittest.TestCase):
    def test_b299_a_loop_of_your_own(self):
        run = program("how-to/embedding.rst")["run"]
        for poller in available_pollers():
            reader, writer = os.pipe()
            seen = []

            def on_readable():
                seen.append(os.read(reader, 1))
                # Between turns, for the next one.
                loop.call_later(0.001, on_timer)

            def on_timer():
                seen.append(b"timer")
                loop.stop()
            with IOLoop(impl=poller, make_current=False) as loop:
                loop.call_later(PATIENCE, loop.stop)
                loop.call_later(0.001, os.write, writer, b"x")
                run(loop, {reader: on_readable})
            os.close(reader)
            os.close(writer)
            self.assertEqual([b"x", b"timer"], seen, poller)

    def test_b299_a_thread(self):
        port = free_port()
        names = {"__name__": "page"}
        six.exec_(program_text("how-to/embedding.rst", 1).replace("8888", str(port)), names)
        self.addCleanup(names["thread"].stop)
        answer = urlopen("http://127.0.0.1:%d/status" % port, timeout=PATIENCE)
        self.addCleanup(answer.close)
        self.assertEqual(b'{"jobs": 2}', answer.read())

    def test_b299_the_table_leads_to_pages(self):
        rows = re.search(u"={9,} .*\n=", page_text("how-to/embedding.rst"), re.S).group()
        pages = re.findall(u"<([a-z]+)>`", rows)
        self.assertLessEqual(5, len(pages))
        for page in pages:
            self.assertTrue(page_text("how-to/%s.rst" % page))


class ArchitecturePageTest(unittest.TestCase):
    """Every symbol that the page names is where the page says."""
    longMessage = True

    @classmethod
    def setUpClass(cls):
        cls.page = page_text("explanation/architecture.rst")
        cls.modules = parse_tree(os.path.join(ROOT, PACKAGE))
        cls.doors = [name for name, _ in table_of_contents(friendserve.__doc__)]

    def test_each_change_leads_to_its_place(self):
        rows = re.findall(u"^(\\S.*?) {2,}``(\\S+)`` +``(\\S+)``$", self.page, re.M)
        self.assertLessEqual(20, len(rows))
        for change, door, symbol in rows:
            self.assertIn(door, self.doors, change)
            module = find_symbol(self.modules, symbol)
            self.assertIsNotNone(module, "%s: nothing defines %s" % (change, symbol))
            folder = door.rstrip("/").replace("/", ".")
            self.assertTrue((module.name + ".").startswith(folder + "."),
                            "%s: %s is not in %s" % (change, symbol, door))

    def test_every_symbol_exists(self):
        tops = set(name.split("/")[0] for name in self.doors)
        names = [name for name in re.findall(u"``([A-Za-z_0-9.]+)``", self.page)
                 if name.split(".")[0] in tops and "." in name]
        self.assertLessEqual(60, len(names))
        for name in names:
            self.assertIsNotNone(find_symbol(self.modules, name), "nothing defines %s" % name)

    def test_the_drawing_is_current(self):
        folder = os.path.join(ROOT, "website", "docs")
        sys.path.insert(0, folder)
        try:
            import draw_floors
        finally:
            sys.path.remove(folder)
        with io.open(os.path.join(folder, "explanation", "floors.svg"), encoding="utf-8") as source:
            self.assertEqual(source.read(), draw_floors.draw(),
                             "run python website/docs/draw_floors.py")
