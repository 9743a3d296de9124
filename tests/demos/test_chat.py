# coding: utf-8
"""The chat demo over real sockets, without a browser."""
from __future__ import absolute_import, division, print_function

import io
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
import unittest

from six.moves import http_client, http_cookies
from six.moves.urllib.parse import urlencode

from friendserve.feed import Batch, Message
from tests import PATIENCE, ROOT
from tests.demo_server import CHAT, ChatServer
from tests.services import Nginx, Redis, free_port, needs


class Answer(object):
    """A complete response."""

    def __init__(self, response):
        self.status = response.status
        self.header = response.getheader
        self.body = response.read().decode("utf-8")

    @property
    def json(self):
        return json.loads(self.body)


class Visitor(object):
    """A visitor with a cookie jar."""

    def __init__(self, port):
        self.port = port
        self.cookies = {}

    def start(self, method, path, fields=None, headers=None):
        """Send a request and return its connection; `finish` waits for the response."""
        connection = http_client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        body = None
        headers = dict(headers or {})
        if fields is not None:
            body = urlencode(dict((name, value.encode("utf-8")) for name, value in fields.items()))
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if self.cookies:
            headers["Cookie"] = "; ".join("%s=%s" % pair for pair in sorted(self.cookies.items()))
        connection.request(method, path, body, headers)
        return connection

    def finish(self, connection):
        response = connection.getresponse()
        answer = Answer(response)
        for name, value in response.getheaders():
            if name.lower() == "set-cookie":
                for morsel in http_cookies.SimpleCookie(value).values():
                    self.cookies[morsel.key] = morsel.coded_value
        connection.close()
        return answer

    def get(self, path):
        return self.finish(self.start("GET", path))

    def post(self, path, fields, headers=None):
        return self.finish(self.start("POST", path, fields, headers))

    def xsrf(self):
        page = self.get("/login").body
        return re.search(r'name="_xsrf" value="([^"]+)"', page).group(1)

    def login(self, name, next_path=None):
        fields = {"name": name, "_xsrf": self.xsrf()}
        if next_path is not None:
            fields["next"] = next_path
        return self.post("/login", fields)

    def say(self, text, token="t1"):
        return self.post("/messages", {"text": text, "token": token},
                         {"X-XSRFToken": self.xsrf()})


class ChatCase(unittest.TestCase):
    def setUp(self):
        self.server = ChatServer()
        self.addCleanup(self.server.stop)
        self.chat = self.server.application

    def visitor(self, name=None):
        visitor = Visitor(self.server.port)
        if name is not None:
            self.assertEqual(302, visitor.login(name).status)
        return visitor

    def messages(self):
        """The messages so far."""
        answer = self.visitor(u"Watcher").get("/messages?wait=no&after=0")
        return answer.json["messages"]

    def enter(self, *names):
        """Visitors who are online already, so that their arrival is not announced."""
        visitors = [self.visitor(name) for name in names]
        for visitor in visitors:
            visitor.get("/messages?wait=no&after=0")
        return visitors

    def poll_path(self):
        """The path of a long poll for messages from now on."""
        page = self.visitor(u"Watcher").get("/").body
        return "/messages?after=%s&online=%s" % (
            re.search('data-cursor="([^"]+)"', page).group(1),
            self.server.call(lambda: self.chat.presence.version))


class ChatTest(ChatCase):
    def test_stranger_is_sent_to_sign_in(self):
        answer = self.visitor().get("/")
        self.assertEqual(302, answer.status)
        self.assertEqual("/login?next=%2F", answer.header("Location"))

    def test_sign_in_and_out(self):
        ada = self.visitor()
        answer = ada.login(u"  Ada   Lovelace ")
        self.assertEqual((302, "/"), (answer.status, answer.header("Location")))
        for attribute in ("httponly", "samesite=lax"):
            self.assertIn(attribute, answer.header("Set-Cookie").lower())
        page = ada.get("/")
        self.assertEqual(200, page.status)
        self.assertIn('data-user="Ada Lovelace"', page.body)
        answer = ada.post("/logout", {"_xsrf": ada.xsrf()})
        self.assertEqual("/login", answer.header("Location"))
        self.assertEqual(302, ada.get("/").status)

    def test_name_in_any_script(self):
        self.assertIn(u'data-user="Żofia 花"', self.visitor(u"Żofia 花").get("/").body)

    def test_a_forged_name_is_nobody(self):
        visitor = self.visitor()
        visitor.cookies["name"] = "QWRh|1234567890|0000000000000000000000000000000000000000"
        self.assertEqual(302, visitor.get("/").status)

    def test_unfit_names_are_refused(self):
        for name in (u"", u"   ", u"n" * 31, u"a\u202eb", u"\u200b"):
            answer = self.visitor().login(name)
            self.assertEqual(400, answer.status, repr(name))
            self.assertIn('role="alert"', answer.body)
            self.assertIn('id="name"', answer.body)
        self.assertEqual(302, self.visitor().login(u"n" * 30).status)

    def test_refused_name_is_shown_escaped(self):
        answer = self.visitor().login(u'"><script>alert(1)</script>' + u"x" * 30)
        self.assertEqual(400, answer.status)
        self.assertNotIn("<script", answer.body)

    def test_a303_sign_in_leads_to_this_site_only(self):
        def led_to(path):
            return self.visitor().login(u"Ada", path).header("Location")

        for path in ("http://evil.example", "//evil.example", "/\\evil.example", "\t//evil.example",
                     "/\t/evil.example", "\\\\evil.example", "evil.example", "javascript:alert(1)",
                     "/\\/evil.example", "///evil.example", "/a b", "/a\\b", u"/\u2028", ""):
            self.assertEqual("/", led_to(path), repr(path))
        self.assertEqual("/?a=1&b=%20#c", led_to("/?a=1&b=%20#c"))

    def test_messages_are_for_those_who_signed_in(self):
        stranger = self.visitor()
        for path in ("/messages", "/events", "/socket"):
            self.assertEqual(401, stranger.get(path + "?after=0").status)
        self.assertEqual(401, stranger.say(u"hello").status)
        self.assertEqual([], self.messages())

    def test_xsrf_token_is_needed(self):
        ada = self.visitor(u"Ada")
        for path, fields in (("/messages", {"text": u"x", "token": u"t"}), ("/logout", {}),
                             ("/login", {"name": u"x"})):
            self.assertEqual(403, ada.post(path, fields).status, path)
        self.assertEqual(200, ada.say(u"x").status)

    def test_what_was_said_is_answered_at_once(self):
        ada, grace = self.enter(u"Ada", u"Grace")
        path = self.poll_path()
        said = ada.say(u"Grüße <b>").json
        answer = grace.get(path)
        self.assertEqual("application/json; charset=UTF-8", answer.header("Content-Type"))
        message, = answer.json["messages"]
        self.assertEqual((u"Ada", u"Grüße <b>", said["id"]),
                         (message["name"], message["text"], message["id"]))
        self.assertEqual(said["id"], answer.json["cursor"])
        self.assertFalse(answer.json["gap"])

    def test_messages_cross_by_long_poll(self):
        visitors = self.enter(u"Ada", u"Grace")
        for speaker in visitors:
            path = self.poll_path()
            polls = [visitor.start("GET", path) for visitor in visitors]
            self.server.wait_for_waiters(2)
            speaker.say(u"Hello", token="hello")
            answers = [visitor.finish(poll).json for visitor, poll in zip(visitors, polls)]
            self.assertEqual(answers[0], answers[1])
            self.assertEqual([u"Hello"], [message["text"] for message in answers[0]["messages"]])
            self.assertEqual([u"Ada", u"Grace"], answers[0]["online"]["names"])
            self.server.wait_for_waiters(0)
        self.assertEqual([u"Ada", u"Grace"], [message["name"] for message in self.messages()])

    def test_waiting_ends_with_nothing_in_time(self):
        self.server.demo.PATIENCE = 0.01
        ada, = self.enter(u"Ada")
        path = self.poll_path()
        answer = ada.get(path)
        self.assertEqual((200, []), (answer.status, answer.json["messages"]))
        self.assertIn(answer.json["cursor"], path)
        self.server.wait_for_waiters(0)

    def test_a_request_that_will_not_wait_is_answered_at_once(self):
        answer = self.visitor(u"Ada").get(self.poll_path() + "&wait=no")
        self.assertEqual([], answer.json["messages"])

    def test_b173_a_reader_that_goes_away_is_forgotten(self):
        ada, = self.enter(u"Ada")
        path = self.poll_path()
        polls = [ada.start("GET", path) for _ in range(3)]
        self.server.wait_for_waiters(3)
        for poll in polls[:2]:
            poll.close()
        self.server.wait_for_waiters(1)
        ada.say(u"still here")
        self.assertEqual(1, len(ada.finish(polls[2]).json["messages"]))

    def test_b173_a_reader_that_goes_away_leaves_no_reader_in_the_feed(self):
        ada, = self.enter(u"Ada")
        path = self.poll_path()
        polls = [ada.start("GET", path) for _ in range(2)]
        self.server.wait_for_waiters(2)
        for poll in polls:
            poll.close()
        self.server.wait_for_waiters(0)
        self.assertEqual(0, self.server.call(
            lambda: len(self.chat.feed._channels[u"room"].watches)))

    def test_same_token_is_same_message(self):
        ada, grace = self.visitor(u"Ada"), self.visitor(u"Grace")
        self.assertEqual(ada.say(u"once", "t").json, ada.say(u"once", "t").json)
        self.assertEqual(1, len(self.messages()))
        grace.say(u"once", "t")
        self.assertEqual(2, len(self.messages()))

    def test_unfit_arguments_are_refused(self):
        ada = self.visitor(u"Ada")
        for after in ("", "x", "-1", "1e5", "%d9%a1", "1" * 17, "1%0a2", "1-", "-", "1-2-3"):
            for path in ("/messages", "/events", "/socket"):
                self.assertEqual(400, ada.get(path + "?after=" + after).status, path + after)
        for path in ("/messages", "/events", "/socket"):
            self.assertEqual(400, ada.get(path).status)
        for text, token in ((u"", "t"), (u" \n ", "t"), (u"x" * 2001, "t"), (u"x", ""),
                            (u"x", "a b"), (u"x", "t" * 65)):
            self.assertEqual(400, ada.say(text, token).status, (len(text), token))
        self.assertEqual([], self.messages())
        self.assertEqual(200, ada.say(u"x" * 2000, "t").status)

    def test_what_others_write_to_the_feed_is_left_out(self):
        ada, = self.enter(u"Ada")
        said = {"name": u"x", "text": u"y", "token": u"z", "hue": 1,
                "time": u"2026-01-01T00:00:00Z"}
        others = [json.dumps(dict(said, **{name: value})) + u"" for name, value in (
            ("time", 5), ("name", None), ("text", [u"a"]), ("token", {}), ("hue", u"a b"))]
        for text in [u"", u"{", u"[]", u"1", u'{"name": "x"}', u"null"] + others:
            self.server.call(lambda: self.chat.feed.publish(u"room", text))
        ada.say(u"said", "t")
        self.assertEqual([u"said"], [message["text"] for message in self.messages()])
        self.assertEqual(200, ada.get("/").status)

    def test_page_shows_the_history_escaped(self):
        ada = self.visitor(u"<i>Ada")
        ada.say(u"<script>alert('x')</script>\r\nand \"more\"")
        page = ada.get("/")
        self.assertIn("&lt;script&gt;", page.body)
        self.assertNotIn("<script>", page.body)
        self.assertNotIn("<i>", page.body)
        message, = self.messages()
        self.assertIn('data-cursor="%s"' % message["id"], page.body)
        self.assertEqual(u"<script>alert('x')</script>\nand \"more\"", message["text"])

    def test_pages_allow_no_inline_script(self):
        ada = self.visitor(u"Ada")
        for path in ("/", "/login"):
            policy = ada.get(path).header("Content-Security-Policy")
            self.assertIn("default-src 'none'; script-src 'self'", policy)
            self.assertNotIn("unsafe", policy)

    def test_static_files(self):
        ada = self.visitor(u"Ada")
        kinds = {"js": "javascript", "css": "text/css", "svg": "image/svg+xml"}
        found = re.findall(r'(?:src|href)="(/static/[a-z.]+\.(js|css|svg)\?v=[0-9a-f]+)"',
                           ada.get("/").body)
        self.assertEqual(sorted(kinds), sorted(set(kind for _, kind in found)))
        for path, kind in found:
            answer = ada.get(path)
            self.assertEqual(200, answer.status, path)
            self.assertIn(kinds[kind], answer.header("Content-Type"))


class Follower(object):
    """A WebSocket or an event stream of a visitor who has signed in; `news` is everything it
    received."""

    def __init__(self, visitor, path):
        self.socket = socket.create_connection(("127.0.0.1", visitor.port), PATIENCE)
        cookies = "; ".join("%s=%s" % pair for pair in visitor.cookies.items())
        lines = ["GET %s HTTP/1.1" % path, "Host: 127.0.0.1:%d" % visitor.port,
                 "Cookie: " + cookies]
        self.is_socket = path.startswith("/socket")
        if self.is_socket:
            lines += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                      "Sec-WebSocket-Key: " + "A" * 22 + "==",
                      "Origin: http://127.0.0.1:%d" % visitor.port]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("ascii"))
        self.data = b""
        self.head = self.read_to(b"\r\n\r\n")

    def read_to(self, end):
        while end not in self.data:
            piece = self.socket.recv(65536)
            if not piece:
                raise AssertionError("closed after %r" % self.data)
            self.data += piece
        found, _, self.data = self.data.partition(end)
        return found

    def hear(self):
        """The next news."""
        if not self.is_socket:
            while True:
                lines = self.read_to(b"\n\n").split(b"\n")
                data = [line[6:] for line in lines if line.startswith(b"data: ")]
                if data:
                    return json.loads(data[0].decode("utf-8"))
        self.need(2)
        size, head = ord(self.data[1:2]), 2
        if size == 126:
            self.need(4)
            size, head = struct.unpack(">H", self.data[2:4])[0], 4
        self.need(head + size)
        text, self.data = self.data[head:head + size], self.data[head + size:]
        return json.loads(text.decode("utf-8"))

    def need(self, size):
        while len(self.data) < size:
            piece = self.socket.recv(65536)
            if not piece:
                raise AssertionError("closed")
            self.data += piece

    def hear_texts(self, count):
        """The texts of the next messages, and the cursor after them."""
        texts = []
        while len(texts) < count:
            news = self.hear()
            texts += [message["text"] for message in news["messages"]]
        return texts, news["cursor"]

    def hear_online(self, *names):
        """Wait until these are online."""
        while self.hear()["online"]["names"] != list(names):
            pass

    def close(self):
        self.socket.close()


class PresenceTest(ChatCase):
    def test_what_others_tell_of_who_is_online(self):
        presence = self.chat.presence
        for text in (u"", u"[]", u"{}", u'{"node": 1}', u'{"node": "a", "names": 5}',
                     u'{"node": "a", "names": [5]}', u'{"node": [], "names": []}'):
            batch = Batch([Message("%d-0" % (time.time() * 1000), u"online", text)], "1-0", True)
            self.server.call(lambda: presence._on_batch(batch))
            self.assertEqual([], presence.names, text)
        old, new = [Batch([Message("%d-0" % (1000 * (time.time() - age)), u"online",
                                   u'{"node": "a", "names": ["Noa"]}')], "1-0", True)
                    for age in (1000, 1)]
        self.server.call(lambda: presence._on_batch(old))
        self.assertEqual([], presence.names)
        self.server.call(lambda: presence._on_batch(new))
        self.assertEqual([u"Noa"], presence.names)


class FollowTest(ChatCase):
    """Event streams and WebSockets."""

    def follow(self, visitor, path):
        follower = Follower(visitor, path)
        self.addCleanup(follower.close)
        return follower

    def test_each_delivers_and_resumes_by_its_cursor(self):
        ada, grace = self.enter(u"Ada", u"Grace")
        ada.say(u"before", "t0")
        for path in ("/events", "/socket"):
            follower = self.follow(grace, path + "?after=0")
            texts, cursor = follower.hear_texts(len(self.messages()))
            self.assertEqual(u"before", texts[0])
            ada.say(u"now", "now" + path[1:])
            texts, cursor = follower.hear_texts(1)
            self.assertEqual([u"now"], texts)
            follower.close()
            self.server.wait_for_waiters(0)
            ada.say(u"while away", "away" + path[1:])
            follower = self.follow(grace, path + "?after=" + cursor)
            self.assertEqual([u"while away"], follower.hear_texts(1)[0])
            follower.close()
            self.server.wait_for_waiters(0)
        self.assertEqual(5, len(self.messages()))

    def test_who_goes_away_is_forgotten(self):
        ada, = self.enter(u"Ada")
        for path in ("/events", "/socket"):
            follower = self.follow(ada, path + "?after=0")
            self.server.wait_for_waiters(1)
            follower.close()
            self.server.wait_for_waiters(0)
        self.assertEqual(0, self.server.call(
            lambda: len(self.chat.feed._channels[u"room"].watches)))

    def test_who_is_online(self):
        self.server.demo.GRACE = 0.01
        ada, grace = self.visitor(u"Ada"), self.visitor(u"Grace")
        follower = self.follow(ada, "/socket?after=0")
        follower.hear_online(u"Ada")
        for path in ("/events", "/socket"):
            other = self.follow(grace, path + "?after=0")
            other.hear_online(u"Ada", u"Grace")
            follower.hear_online(u"Ada", u"Grace")
            other.close()
            follower.hear_online(u"Ada")
        # A visitor with two windows is online until the last one is closed.
        windows = [self.follow(grace, "/events?after=0") for _ in range(2)]
        follower.hear_online(u"Ada", u"Grace")
        windows.pop().close()
        self.server.wait_for_waiters(2)
        windows.pop().close()
        follower.hear_online(u"Ada")

    def test_b458_who_signs_out_is_not_waited_for(self):
        self.server.demo.GRACE = 1000
        ada, grace = self.visitor(u"Ada"), self.visitor(u"Grace")
        follower = self.follow(ada, "/socket?after=0")
        gone, staying = [self.follow(grace, "/socket?after=0") for _ in range(2)]
        follower.hear_online(u"Ada", u"Grace")
        # One connection has ended before, the other ends after it.
        gone.close()
        self.server.wait_for_waiters(2)
        grace.post("/logout", {"_xsrf": grace.xsrf()})
        staying.close()
        follower.hear_online(u"Ada")

    def test_b458_who_signs_out_in_another_process(self):
        presence = self.chat.presence
        follower = self.follow(self.visitor(u"Ada"), "/socket?after=0")
        gone = self.follow(self.visitor(u"Grace"), "/socket?after=0")
        follower.hear_online(u"Ada", u"Grace")
        self.server.demo.GRACE = 1000
        gone.close()
        self.server.wait_for_waiters(1)
        text = json.dumps({"node": "other", "names": [], "gone": u"Grace"})
        self.server.call(lambda: presence._on_batch(
            Batch([Message("%d-0" % (time.time() * 1000), u"online", text)], "1-0", True)))
        follower.hear_online(u"Ada")

    def test_b230_pages_of_others_may_not_listen(self):
        ada = self.visitor(u"Ada")
        answer = ada.finish(ada.start("GET", "/socket?after=0", headers={
            "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "A" * 22 + "==", "Origin": "https://evil.example"}))
        self.assertEqual(403, answer.status)


class Node(object):
    """The demo in a separate process, on a Redis."""

    def __init__(self, redis, port):
        self.process = subprocess.Popen(
            [sys.executable, CHAT, "--port=%d" % port, "--redis=" + redis,
             "--cookie-secret=shared", "--xheaders", "--logging=none"],
            env=dict(os.environ, PYTHONPATH=ROOT), stdout=subprocess.PIPE)
        self.process.stdout.readline()

    def kill(self):
        if not self.process.stdout.closed:
            self.process.kill()
            self.process.communicate()


class ProxiedChat(Nginx):
    """An nginx with the demo's configuration."""

    def __init__(self, ports):
        self.ports = ports
        super(ProxiedChat, self).__init__()

    def prepare(self):
        with io.open(os.path.join(os.path.dirname(CHAT), "nginx.conf"), encoding="utf-8") as source:
            text = source.read()
        for old, new in zip(("127.0.0.1:8001", "127.0.0.1:8002", "listen 127.0.0.1:8888"), (
                "127.0.0.1:%d" % self.ports[0], "127.0.0.1:%d" % self.ports[1],
                "listen 127.0.0.1:%d" % self.port)):
            assert old in text
            text = text.replace(old, new)
        temporary = "".join("%s_temp_path %s/%s;\n" % (kind, self.folder, kind) for kind in (
            "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        text = "daemon off;\n" + text.replace("access_log off;", "access_log off;\n" + temporary)
        self.write("conf", text.encode("utf-8"))
        os.chmod(self.folder, 0o755)


@needs(Redis)
@needs(Nginx)
class ManyProcessesTest(unittest.TestCase):
    def setUp(self):
        self.redis = Redis()
        self.addCleanup(self.redis.close)
        self.ports = [free_port(), free_port()]
        self.nodes = [self.start_node(port) for port in self.ports]
        self.proxy = ProxiedChat(self.ports)
        self.addCleanup(self.proxy.close)

    def start_node(self, port):
        node = Node(self.redis.url(), port)
        self.addCleanup(node.kill)
        return node

    def visitor(self, name, port):
        visitor = Visitor(port)
        self.assertEqual(302, visitor.login(name).status)
        return visitor

    def follow(self, visitor, path):
        follower = Follower(visitor, path)
        self.addCleanup(follower.close)
        return follower

    def test_one_room_behind_nginx(self):
        ada = self.visitor(u"Ada", self.proxy.port)
        grace = Visitor(self.ports[1])
        # A visitor who signed in at one process is known to the other.
        noa = self.visitor(u"Noa", self.ports[0])
        grace.cookies = dict(self.visitor(u"Grace", self.ports[0]).cookies)
        followers = [self.follow(ada, "/socket?after=0"), self.follow(grace, "/events?after=0"),
                     self.follow(noa, "/socket?after=0")]
        for follower in followers:
            follower.hear_online(u"Ada", u"Grace", u"Noa")
        for number, speaker in enumerate([ada, grace, noa]):
            self.assertEqual(200, speaker.say(u"text %d" % number, "t%d" % number).status)
            for follower in followers:
                self.assertEqual([u"text %d" % number], follower.hear_texts(1)[0])

        # A process is killed; its clients continue with the other one, at their cursors.
        texts, cursor = self.follow(ada, "/events?after=0").hear_texts(3)
        self.nodes[0].kill()
        self.assertEqual(200, ada.say(u"still here", "t9").status)
        self.assertEqual([u"still here"], followers[1].hear_texts(1)[0])
        again = self.follow(ada, "/socket?after=" + cursor)
        self.assertEqual([u"still here"], again.hear_texts(1)[0])

        # Redis is down for a while: nothing is lost, and senders learn which messages failed.
        self.redis.stop()
        self.assertEqual(503, ada.say(u"lost?", "t10").status)
        self.redis.start()
        while ada.say(u"kept", "t11").status != 200:
            pass
        self.assertEqual([u"kept"], again.hear_texts(1)[0])

    def test_a_secret_of_its_own_is_refused(self):
        process = subprocess.Popen(
            [sys.executable, CHAT, "--redis=" + self.redis.url()], stdout=subprocess.PIPE,
            env=dict(os.environ, PYTHONPATH=ROOT, CHAT_COOKIE_SECRET=""), stderr=subprocess.STDOUT)
        output = process.communicate()[0]
        self.assertEqual(1, process.returncode)
        self.assertIn(b"need the same --cookie-secret", output)


if __name__ == "__main__":
    unittest.main()
