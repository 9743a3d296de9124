"""The programs of how-to guides do what the guides say."""
from __future__ import absolute_import, division, print_function

import os
import shutil
import tempfile
import unittest

import six

from friendserve.database import connect
from friendserve.escape import json_decode
from friendserve.httpclient import AsyncHTTPClient, encode_multipart_formdata
from friendserve.httputil import HTTPFile
from friendserve.web import Application, RequestHandler
from tests import CERT, KEY
from tests.docscase import program, programs
from tests.webcase import WebCase


def all_programs(page):
    """The names that all programs of a page define together."""
    names = {"__name__": "page"}
    for text in programs(page):
        six.exec_(text, names)
    return names


class GuidesTest(WebCase):
    """B468"""
    def post(self, path, body, headers=()):
        return self.ask(path, "POST", headers, body)

    def json(self, path):
        return json_decode(self.ask(path).body)

    def test_b468_long_polling(self):
        self.serve(program("how-to/long-polling.rst")["make_application"]())
        cursor = self.json("/news")["cursor"]
        answers = []
        client = AsyncHTTPClient(io_loop=self.loop)
        self.addCleanup(client.close)
        client.fetch("http://127.0.0.1:%d/news?after=%s" % (self.server.address[1], cursor),
                     answers.append)
        self.assertEqual(200, self.post("/news", {"text": "Hello"}).status)
        self.run_until(lambda: answers)
        news = json_decode(answers[0].body)
        self.assertEqual((["Hello"], True), (news["texts"], news["complete"]))
        self.assertEqual(400, self.ask("/news?after=x").status)

    def test_b468_streaming(self):
        self.serve(program("how-to/streaming.rst")["application"])
        body = self.ask("/numbers").body
        self.assertEqual(b"99999\n", body[-6:])
        self.assertEqual(100000, body.count(b"\n"))
        pieces = []
        client = AsyncHTTPClient(io_loop=self.loop)
        self.addCleanup(client.close)
        client.fetch("http://127.0.0.1:%d/clock" % self.server.address[1], lambda response: None,
                     streaming_callback=pieces.append)
        self.run_until(lambda: b"data: tick\n\n" in b"".join(pieces))

    def test_b468_uploads(self):
        names = program("how-to/uploads.rst")
        self.addCleanup(shutil.rmtree, names["FOLDER"], ignore_errors=True)
        self.serve(names["application"])
        self.assertIn(b"<form", self.ask("/").body)
        photo = HTTPFile(filename=u"sea.jpg", body=b"waves", content_type="image/jpeg")
        kind, body = encode_multipart_formdata({"title": "Sea"}, {"photo": photo})
        answer = self.post("/", body, [("Content-Type", kind)])
        self.assertEqual({"title": "Sea", "sizes": [5]}, json_decode(answer.body))
        photo, = os.listdir(names["FOLDER"])
        self.assertEqual("photo-", photo[:6])

    def test_b468_database(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        names = all_programs("how-to/database.rst")
        url = "sqlite:///" + os.path.join(folder, "notes.db")
        application = names["make_application"](url)
        self.addCleanup(application.pool.close)
        self.serve(application)
        answer = self.post("/notes", {"text": "Milk"})
        self.assertEqual((201, {"id": 1}), (answer.status, json_decode(answer.body)))
        self.assertEqual({"notes": [{"id": 1, "text": "Milk"}]}, self.json("/notes"))
        connection = connect(url)
        self.addCleanup(connection.close)
        connection.execute("CREATE TABLE accounts (name TEXT, amount INTEGER)")
        connection.executemany("INSERT INTO accounts VALUES (%s, %s)", [("ada", 5), ("bob", 5)])
        results = []
        names["start"](application.pool, results.append, results.append)
        self.run_until(lambda: results)
        self.assertEqual([0, 10], [row.amount for row in connection.query(
            "SELECT amount FROM accounts ORDER BY name")])


class QuestionsTest(WebCase):
    """B468"""
    @classmethod
    def setUpClass(cls):
        cls.names = all_programs("how-to/questions.rst")

    def serve_with(self, *specs, **settings):
        self.serve(Application(list(specs), **settings))

    def test_b468_twenty_questions(self):
        self.assertEqual(21, len(programs("how-to/questions.rst")))

    def test_b468_paths_arguments_and_json(self):
        names = self.names
        self.serve_with(names["entry"], ("/search", names["SearchHandler"]),
                        ("/sum", names["SumHandler"]), names["old"], names["named"],
                        ("/home", names["HomeHandler"]), ("/old", names["OldHandler"]))
        self.assertEqual(b"hello in 2009", self.ask("/entries/2009/hello").body)
        self.assertEqual({"q": "a", "page": "1", "tags": ["b", "c"]},
                         json_decode(self.ask("/search?q=a&tag=b&tag=c").body))
        self.assertEqual(400, self.ask("/search").status)
        answer = self.ask("/sum", "POST", [("Content-Type", "application/json")], b"[1, 2]")
        self.assertEqual({"sum": 3}, json_decode(answer.body))
        self.assertEqual("/entries/2009/a", self.ask("/blog/2009/a").headers["Location"])
        self.assertEqual(301, self.ask("/old").status)
        self.assertEqual(b"/people/ada", self.ask("/home").body)

    def test_b468_errors_headers_and_cookies(self):
        names = self.names
        self.serve_with(("/private", names["PrivateHandler"]), ("/safe", names["SafeHandler"]),
                        ("/key", names["KeyHandler"]), names["greeting"],
                        ("/visits", names["VisitsHandler"]), names["fallback"],
                        names["downloads"](os.path.dirname(os.path.abspath(__file__))),
                        cookie_secret="a secret of the tests")
        self.assertEqual(403, self.ask("/private").status)
        self.assertEqual("default-src 'self'",
                         self.ask("/safe").headers["Content-Security-Policy"])
        self.assertEqual(401, self.ask("/key").status)
        self.assertEqual(b"open", self.ask("/key", "GET", [("X-Key", "sesame")]).body)
        self.assertEqual(b"Hi", self.ask("/hi").body)
        first = self.ask("/visits")
        cookie = first.headers["Set-Cookie"].partition(";")[0]
        self.assertEqual((b"1", b"2"),
                         (first.body, self.ask("/visits", "GET", [("Cookie", cookie)]).body))
        self.assertEqual(b"from WSGI", self.ask("/old/page").body)
        self.assertIn(b"how-to guides", self.ask("/downloads/test_docs_howto.py").body)

    def test_b468_error_pages(self):
        self.serve(self.names["friendly"])
        self.assertEqual(b"Sorry: 404\n", self.ask("/nowhere").body)

    def test_b468_waiting(self):
        class Hello(RequestHandler):
            def get(self):
                self.write("hello")

        names = self.names
        self.serve_with(("/hello", Hello), ("/proxy", names["ProxyHandler"]),
                        ("/both", names["BothHandler"]), ("/later", names["LaterHandler"]),
                        ("/slow", names["SlowHandler"]), ("/patient", names["PatientHandler"]))
        self.addCleanup(lambda: AsyncHTTPClient().close())
        url = "http://127.0.0.1:%d/hello" % self.server.address[1]
        self.assertEqual({"length": 5}, json_decode(self.ask("/proxy?url=" + url).body))
        self.assertEqual({"lengths": [5, 5]},
                         json_decode(self.ask("/both?url=%s&url=%s" % (url, url)).body))
        self.assertEqual(b"later", self.ask("/later").body)
        self.assertEqual(b"32 bytes", self.ask("/slow").body)
        self.assertEqual(b"patient", self.ask("/patient").body)

    def test_b468_https(self):
        application = Application([("/hi", self.names["GreetingHandler"], {"greeting": "Hi"})])
        server = self.names["listen_securely"](application, 0, CERT, KEY)
        self.addCleanup(server.stop)

    def test_b468_the_test(self):
        case = self.names["SumTest"]("test_sum")
        result = unittest.TestResult()
        case.run(result)
        self.assertEqual((1, [], []), (result.testsRun, result.failures, result.errors))


if __name__ == "__main__":
    unittest.main()
