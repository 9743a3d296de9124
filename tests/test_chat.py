# coding: utf-8
"""The chat demo over real sockets, without a browser."""
from __future__ import absolute_import, division, print_function

import json
import re
import unittest

import six
from six.moves import http_client, http_cookies
from six.moves.urllib.parse import urlencode

from tests.demo_server import CHAT, TIMEOUT, ChatServer, load_demo


class Answer(object):
    """A response that was read to its end."""

    def __init__(self, response):
        self.status = response.status
        self.header = response.getheader
        self.body = response.read().decode("utf-8")

    @property
    def json(self):
        return json.loads(self.body)


class Visitor(object):
    """Somebody with a cookie jar."""

    def __init__(self, port):
        self.port = port
        self.cookies = {}

    def start(self, method, path, fields=None, headers=None):
        """Sends a request and returns its connection; `finish` waits for what comes back."""
        connection = http_client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
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


class ChatTest(unittest.TestCase):
    def setUp(self):
        self.server = ChatServer()
        self.addCleanup(self.server.stop)
        self.room = self.server.application.room

    def visitor(self, name=None):
        visitor = Visitor(self.server.port)
        if name is not None:
            self.assertEqual(302, visitor.login(name).status)
        return visitor

    def poll_path(self):
        return "/messages?after=%d" % self.room.last_id

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
        self.assertEqual(401, stranger.get("/messages?after=0").status)
        self.assertEqual(401, stranger.say(u"hello").status)
        self.assertEqual(0, len(self.room.messages))

    def test_xsrf_token_is_needed(self):
        ada = self.visitor(u"Ada")
        for path, fields in (("/messages", {"text": u"x", "token": u"t"}), ("/logout", {}),
                             ("/login", {"name": u"x"})):
            self.assertEqual(403, ada.post(path, fields).status, path)
        self.assertEqual(200, ada.say(u"x").status)

    def test_what_was_said_is_answered_at_once(self):
        ada, grace = self.visitor(u"Ada"), self.visitor(u"Grace")
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
        visitors = [self.visitor(u"Ada"), self.visitor(u"Grace")]
        for speaker in visitors:
            polls = [visitor.start("GET", self.poll_path()) for visitor in visitors]
            self.server.wait_for_waiters(2)
            speaker.say(u"Hello", token="hello")
            answers = [visitor.finish(poll).json for visitor, poll in zip(visitors, polls)]
            self.assertEqual(answers[0], answers[1])
            self.assertEqual([u"Hello"], [message["text"] for message in answers[0]["messages"]])
            self.assertEqual(0, self.server.call(lambda: len(self.room.waiters)))
        self.assertEqual([u"Ada", u"Grace"], [message["name"] for message in self.room.messages])

    def test_waiting_ends_with_nothing_in_time(self):
        self.server.demo.PATIENCE = 0.01
        ada = self.visitor(u"Ada")
        answer = ada.get(self.poll_path())
        self.assertEqual((200, []), (answer.status, answer.json["messages"]))
        self.assertEqual([], self.room.waiters)

    def test_who_will_not_wait_is_answered_at_once(self):
        answer = self.visitor(u"Ada").get(self.poll_path() + "&wait=no")
        self.assertEqual([], answer.json["messages"])

    def test_b173_who_goes_away_is_forgotten(self):
        ada = self.visitor(u"Ada")
        polls = [ada.start("GET", self.poll_path()) for _ in range(3)]
        self.server.wait_for_waiters(3)
        for poll in polls[:2]:
            poll.close()
        self.server.wait_for_waiters(1)
        ada.say(u"still here")
        self.assertEqual(1, len(ada.finish(polls[2]).json["messages"]))

    def test_who_goes_away_while_news_are_on_their_way_is_not_answered(self):
        ada = self.visitor(u"Ada")
        poll = ada.start("GET", self.poll_path())
        self.addCleanup(poll.close)
        self.server.wait_for_waiters(1)
        finished = []

        def leave_too_late():
            handler = six.get_method_self(self.room.waiters[0])
            handler.finish = finished.append
            self.room.say(u"Grace", u"x", "t")
            handler.on_connection_close()

        self.server.call(leave_too_late)
        self.server.call(lambda: None)
        self.assertEqual([], finished)

    def test_same_token_is_same_message(self):
        ada, grace = self.visitor(u"Ada"), self.visitor(u"Grace")
        self.assertEqual(ada.say(u"once", "t").json, ada.say(u"once", "t").json)
        self.assertEqual(1, len(self.room.messages))
        grace.say(u"once", "t")
        self.assertEqual(2, len(self.room.messages))

    def test_unfit_arguments_are_refused(self):
        ada = self.visitor(u"Ada")
        for after in ("", "x", "-1", "1e5", "%d9%a1", "1" * 17, "1%0a2"):
            self.assertEqual(400, ada.get("/messages?after=" + after).status, after)
        self.assertEqual(400, ada.get("/messages").status)
        for text, token in ((u"", "t"), (u" \n ", "t"), (u"x" * 2001, "t"), (u"x", ""),
                            (u"x", "a b"), (u"x", "t" * 65)):
            self.assertEqual(400, ada.say(text, token).status, (len(text), token))
        self.assertEqual(0, len(self.room.messages))
        self.assertEqual(200, ada.say(u"x" * 2000, "t").status)

    def test_page_shows_the_history_escaped(self):
        ada = self.visitor(u"<i>Ada")
        ada.say(u"<script>alert('x')</script>\r\nand \"more\"")
        page = ada.get("/")
        self.assertIn("&lt;script&gt;", page.body)
        self.assertNotIn("<script>", page.body)
        self.assertNotIn("<i>", page.body)
        self.assertIn('data-cursor="%d"' % self.room.last_id, page.body)
        self.assertEqual(u"<script>alert('x')</script>\nand \"more\"",
                         self.room.messages[0]["text"])

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


class RoomTest(unittest.TestCase):
    def setUp(self):
        self.demo = load_demo(CHAT)
        self.room = self.demo.Room(keep=3)

    def news(self, cursor):
        return json.loads(self.room.news(cursor))

    def test_history_is_bounded_and_a_gap_is_told(self):
        start = self.room.last_id
        ids = [self.room.say(u"Ada", u"%d" % n, "t%d" % n) for n in range(5)]
        self.assertEqual([start + n for n in range(1, 6)], ids)
        self.assertEqual(ids[2:], [message["id"] for message in self.news(0)["messages"]])
        self.assertTrue(self.news(ids[0])["gap"])
        self.assertFalse(self.news(ids[1])["gap"])
        self.assertEqual(ids[-1], self.news(ids[0])["cursor"])

    def test_ids_grow_across_a_restart(self):
        later = load_demo(CHAT)
        later.time = type(str("time"), (), {"time": staticmethod(lambda: 1e10)})
        self.assertGreater(later.Room().last_id, self.room.last_id)

    def test_page_of_an_earlier_server_gets_what_is_new(self):
        self.assertFalse(self.room.has_news(self.room.last_id - 10000))
        new = self.room.say(u"Ada", u"x", "t")
        self.assertTrue(self.room.has_news(new - 10000))
        self.assertFalse(self.room.has_news(new))

    def test_forget_twice(self):
        self.room.wait(len)
        self.room.forget(len)
        self.room.forget(len)
        self.assertEqual([], self.room.waiters)


if __name__ == "__main__":
    unittest.main()
