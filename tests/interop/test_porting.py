"""What was written for Tornado, from the package index; `fetch` gets it, FRIENDSERVE_OLD names the
folder. How to run this by hand: see `fetch`."""
from __future__ import absolute_import, division, print_function

import json
import os
import re
import subprocess
import unittest

from six.moves import http_client

from friendserve import gen
from friendserve.ioloop import IOLoop
from friendserve.websocket import websocket_connect
from tests import PATIENCE, ROOT
from tests.olddemocase import OLD, PEERS, OldDemo, environ, needs_old


@needs_old
class ScopedAliasTest(unittest.TestCase):
    def test_tornado_6_and_an_old_library_in_one_process(self):
        output = subprocess.check_output(
            [PEERS, os.path.join(ROOT, "tests", "interop", "servers", "two_loops.py")],
            env=environ(os.path.join(OLD, "packages")))
        self.assertEqual({
            "answers": True, "tornado": "6", "tornado loop": "tornado.platform.asyncio",
            "friendserve loop here": False, "rpc loop": ["friendserve.ioloop"],
            "rpc imports": "friendserve.ioloop", "rpc class": "friendserve.ioloop",
            "tornado names us": [], "rpc ended": True}, json.loads(output.decode("ascii")))

    def test_check_installed_knows_it(self):
        process = subprocess.Popen(
            [PEERS, "-m", "friendserve.porting", "check", "--installed", "--json"],
            stdout=subprocess.PIPE, env=environ(os.path.join(OLD, "packages")))
        found = json.loads(process.communicate()[0].decode("utf-8"))
        self.assertEqual("6", found["tornado"].split(".")[0])
        self.assertIn(["msgpack-rpc-python", True, True, ["msgpackrpc"], 0], [
            [entry[key] for key in ("name", "conflicts", "admits", "packages", "findings")]
            for entry in found["dependents"]])


class S3Server(OldDemo):
    name = "s3server"
    by_hand = {"s3server.py": (
        (b"escape.utf8(name)", b"name"), (b'open(path, "r")', b'open(path, "rb")'),
        (b'open(path, "w")', b'open(path, "wb")'),
        (b"md5(object_name)", b"md5(escape.utf8(object_name))"))}

    def arguments(self):
        starter = os.path.join(self.folder, "starter.py")
        with open(starter, "w") as opened:
            opened.write("import s3server\ns3server.start(%d, %r, 2)\n" % (
                self.port, os.path.join(self.folder, "data")))
        return [starter]


class ChatDemo(OldDemo):
    name = "websocket"
    by_hand = {"chatdemo.py": (
        (b'self.render_string("message.html", message=chat)',
         b'self.render_string("message.html", message=chat).decode("utf-8")'),)}

    def arguments(self):
        return [os.path.join(self.program_folder, "chatdemo.py"), "--port=%d" % self.port]


@needs_old
class DemosTest(unittest.TestCase):
    def start(self, demo):
        server = demo()
        self.addCleanup(server.close)
        self.port = server.port
        return server

    def ask(self, method, path, body=None):
        connection = http_client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def test_s3server(self):
        self.start(S3Server)
        data = bytes(bytearray(range(256))) * 40
        for status, method, path, body in (
                (404, "GET", "/bucket/", None), (200, "PUT", "/bucket/", ""),
                (403, "PUT", "/bucket/", ""), (200, "PUT", "/bucket/one", data),
                (200, "PUT", "/bucket/a/two%20three", b"2"), (404, "PUT", "/none/x", b"3"),
                (403, "DELETE", "/bucket/", None)):
            self.assertEqual(status, self.ask(method, path, body)[0], (method, path))
        self.assertEqual((200, data), self.ask("GET", "/bucket/one"))
        self.assertEqual((200, b"2"), self.ask("GET", "/bucket/a/two%20three"))
        status, page = self.ask("GET", "/")
        self.assertEqual((200, [b"bucket"]), (status, re.findall(b"<Name>(.*?)</Name>", page)))
        status, page = self.ask("GET", "/bucket/?max-keys=1&terse=1")
        self.assertEqual((200, [b"a/two three"], [b"True"]), (
            status, re.findall(b"<Key>(.*?)</Key>", page),
            re.findall(b"<IsTruncated>(.*?)</IsTruncated>", page)))
        for path in ("/bucket/one", "/bucket/a/two%20three"):
            self.assertEqual((204, b""), self.ask("DELETE", path))
            self.assertEqual(404, self.ask("GET", path)[0])

    def test_websocket(self):
        self.start(ChatDemo)
        status, page = self.ask("GET", "/")
        self.assertEqual(200, status)
        self.assertIn(b'name="_xsrf"', page)
        style = re.search(b'href="(/static/chat.css[^"]*)"', page).group(1).decode("ascii")
        self.assertEqual(200, self.ask("GET", style)[0])

        @gen.coroutine
        def talk():
            url = "ws://127.0.0.1:%d/chatsocket" % self.port
            sockets = yield [websocket_connect(url) for _ in range(3)]
            sockets[2].close()
            sockets[0].write_message(json.dumps({"body": "see http://example.com/ & more"}))
            messages = yield [socket.read_message() for socket in sockets[:2]]
            for socket in sockets[:2]:
                socket.close()
            for socket in sockets:
                while (yield socket.read_message()) is not None:
                    pass
            raise gen.Return(messages)

        loop = IOLoop()
        messages = loop.run_sync(talk, timeout=PATIENCE)
        loop.close(all_fds=True)
        self.assertEqual(messages[0], messages[1])
        said = json.loads(messages[0])
        self.assertEqual("see http://example.com/ & more", said["body"])
        self.assertIn('<a href="http://example.com/">http://example.com/</a> &amp; more',
                      said["html"])
        self.assertIn(said["id"].encode("ascii"), self.ask("GET", "/")[1])


if __name__ == "__main__":
    unittest.main()
