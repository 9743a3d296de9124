"""The demos that fetch: a spider on a site with broken links, and pages made from a JSON API."""
from __future__ import absolute_import, division, print_function

import os
import socket
import subprocess
import sys
import unittest

from friendserve.httpclient import AsyncHTTPClient
from tests import ROOT, services
from tests.demo_server import DemoServer, load_demo
from tests.httpcase import HTTPCase, LogCatcher, answer
from tests.webcase import WebCase

SPIDER = os.path.join(ROOT, "demos", "webspider", "webspider.py")
PROXYFETCH = os.path.join(ROOT, "demos", "proxyfetch", "proxyfetch.py")

SITE = {
    "/": u"""<a href="/a">a</a> <A HREF='b/c?x=1&amp;y=2#part'>c</a> <a href="#top">top</a>
        <a href="mailto:me@example.test">me</a> <a href="http://elsewhere.test/">away</a>
        <a href="/missing">gone</a> <a name=x> <a href="http://[127.0.0.1/">no host</a>""",
    "/a": u"<a href=/>home</a> <a href='/missing'>gone</a> <a href=/picture.png>p</a> caf\u00e9",
    "/b/c?x=1&y=2": u"<a href=../moved>moved</a> <a href='/broken'>",
    "/there/": u"<a href=next>next</a>",
    "/there/next": u"the end",
}


class SpiderTest(HTTPCase):
    def setUp(self):
        super(SpiderTest, self).setUp()
        self.demo = load_demo(SPIDER)
        self.asked = []
        self.under_way = self.most = 0
        self.serve(self.on_request)
        self.url = "http://127.0.0.1:%d" % self.server.address[1]

    def on_request(self, request):
        self.asked.append(request.uri)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        # Later, so that several requests are pending at a time.
        self.loop.add_callback(self.loop.add_callback, self.answer, request)

    def answer(self, request):
        self.under_way -= 1
        if request.uri in SITE:
            answer(request, SITE[request.uri].encode("utf-8"), Content_Type="text/html")
        elif request.uri == "/moved":
            answer(request, b"", 302, "Found", Location="/there/")
        elif request.uri == "/picture.png":
            answer(request, b"<a href=/not-a-link>", Content_Type="image/png")
        elif request.uri == "/broken":
            answer(request, b"", 500, "Broken")
        elif request.uri.startswith("/many"):
            number = int(request.uri[5:] or 0)
            answer(request, "".join(["<a href=/many%d>x</a>" % (number * 5 + step)
                                     for step in range(1, 6)]).encode("ascii"),
                   Content_Type="text/html")
        else:
            answer(request, b"", 404, "Not Found")

    def crawl(self, path="/", concurrency=3, max_pages=100):
        done = []
        spider = self.demo.Spider(self.url + path, concurrency, max_pages,
                                  lambda: done.append(True))
        spider.begin()
        self.run_until(lambda: done)
        self.turn(0, 3)
        self.assertEqual(done, [True])
        return spider

    def test_each_page_once_and_what_is_broken(self):
        spider = self.crawl()
        self.assertEqual(sorted(self.asked), sorted([
            "/", "/a", "/b/c?x=1&y=2", "/missing", "/picture.png", "/moved", "/there/",
            "/there/next", "/broken"]))
        self.assertEqual(dict((place.replace(self.url, ""), reason.split(":")[1].strip())
                              for place, reason in spider.broken.items()
                              if place.startswith(self.url)),
                         {"/missing": "Not Found", "/broken": "Broken"})
        self.assertIn("http://[127.0.0.1/", spider.broken)
        self.assertEqual([self.url + "/", self.url + "/a"],
                         spider.linked_from[self.url + "/missing"])

    def test_bounded_at_a_time_and_in_all(self):
        spider = self.crawl("/many", concurrency=4, max_pages=50)
        self.assertEqual(spider.read, 50)
        self.assertEqual(len(self.asked), 50)
        self.assertEqual(self.most, 4)

    def test_a_site_that_is_not_there(self):
        self.url = "http://127.0.0.1:%d" % services.free_port()
        spider = self.crawl()
        self.assertEqual(list(spider.broken), [self.url + "/"])


class SpiderProgramTest(HTTPCase):
    def run_spider(self, *arguments):
        process = subprocess.Popen([sys.executable, SPIDER] + list(arguments),
                                   env=dict(os.environ, PYTHONPATH=ROOT),
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = process.communicate()[0].decode("utf-8")
        return process.returncode, said

    def test_as_people_run_it(self):
        demo = load_demo(PROXYFETCH)
        server = DemoServer(lambda: demo.make_application("http://127.0.0.1:1"))
        self.addCleanup(server.stop)
        with LogCatcher():
            status, said = self.run_spider(server.url + "/", "--concurrency=2")
        # The service that two of its pages ask is down.
        self.assertEqual(status, 1, said)
        self.assertIn("3 pages read, 2 broken", said)
        self.assertIn("%s/feed/ada\n    HTTP 502" % server.url, said)
        self.assertIn("    linked from %s/\n" % server.url, said)
        status, said = self.run_spider(server.url + "/", "--max-pages=1")
        self.assertEqual(status, 0, said)
        self.assertIn("there may be more pages", said)
        self.assertEqual(self.run_spider("http://127.0.0.1:%d/" % services.free_port())[0], 2)
        status, said = self.run_spider("ftp://127.0.0.1/")
        self.assertEqual(status, 2)
        self.assertIn("must be an http:// or https:// URL", said)
        self.assertIn("1 or more", self.run_spider("http://h/", "--concurrency=0")[1])


class ProxyFetchProgramTest(unittest.TestCase):
    def refused(self, *arguments):
        process = subprocess.Popen([sys.executable, PROXYFETCH] + list(arguments),
                                   env=dict(os.environ, PYTHONPATH=ROOT), stderr=subprocess.PIPE)
        said = process.communicate()[1].decode("utf-8")
        self.assertNotEqual(process.returncode, 0)
        self.assertNotIn("Traceback", said)
        return said

    def test_options_that_cannot_be(self):
        self.assertIn("--service must be an http:// or https:// URL",
                      self.refused("--service=localhost:8889"))
        self.assertIn("--port", self.refused("--port=x"))
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.bind(("127.0.0.1", 0))
        sock.listen(1)
        port = sock.getsockname()[1]
        self.assertIn("port %d of 127.0.0.1 is taken" % port, self.refused(
            "--port=%d" % port, "--service=http://127.0.0.1:1"))


class ProxyFetchTest(WebCase):
    def setUp(self):
        super(ProxyFetchTest, self).setUp()
        self.demo = load_demo(PROXYFETCH)
        self.addCleanup(lambda: AsyncHTTPClient().close())

    def serve_pages(self, service):
        self.serve(service)
        url = "http://127.0.0.1:%d" % self.server.address[1]
        self.serve(self.demo.make_application(url))

    def page(self, path):
        response = self.ask(path)
        return response.status, response.body.decode("utf-8")

    def test_pages(self):
        self.serve_pages(self.demo.make_service(delay=0))
        status, page = self.page("/")
        self.assertEqual(status, 200)
        self.assertIn(u'<a href="/feed/ada">ada</a>', page)
        status, page = self.page("/feed/ada")
        self.assertEqual(status, 200)
        self.assertIn(u"2 entries", page)
        self.assertIn(u"<b>Charles</b> I like it.", page)

    def test_what_goes_wrong(self):
        self.serve_pages(self.demo.make_service(delay=0))
        self.assertIn(u"There is no feed with that name", self.page("/feed/nobody")[1])
        self.assertEqual(self.page("/feed/nobody")[0], 404)
        status, page = self.page("/elsewhere")
        self.assertEqual(status, 404)
        self.assertIn(u"There is no such page", page)
        for body in (b"no json", b"[]", b'{"entries": [1]}'):
            self.serve_pages(lambda request, body=body: answer(request, body))
            status, page = self.page("/feed/ada")
            self.assertEqual(status, 502)
            self.assertIn(u"sent an invalid response", page)

    def test_a_service_that_is_slow_or_not_there(self):
        self.demo.PATIENCE = 0.05
        with LogCatcher():
            self.serve_pages(lambda request: None)
            self.assertEqual(self.page("/feed/ada")[0], 504)
            self.serve(self.demo.make_application("http://127.0.0.1:%d" % services.free_port()))
            status, page = self.page("/feed/ada")
        self.assertEqual(status, 502)
        self.assertIn(u"The service is not working", page)
        self.assertNotIn(u"Traceback", page)

    def test_what_the_service_says_is_text(self):
        self.serve_pages(lambda request: answer(
            request, b'{"entries": [{"from": "<script>", "body": "&"}]}'))
        page = self.page("/feed/ada")[1]
        self.assertIn(u"&lt;script&gt;", page)
        self.assertNotIn(u"<script>", page)
