"""A chat room: what is said crosses by WebSocket, event stream or long poll, as a browser can.

    python demos/chat/chatdemo.py --port=8888

The messages are in a `friendserve.feed`. By default that is this process. With a Redis any number
of processes, on any number of machines, are one room; nginx.conf beside this file puts a proxy in
front:

    python demos/chat/chatdemo.py --port=8001 --redis=redis://localhost:6379/0 --cookie-secret=...
    python demos/chat/chatdemo.py --port=8002 --redis=redis://localhost:6379/0 --cookie-secret=...

Every page knows the cursor of the last message it has seen. However it lost its connection, it goes
on from there, with whatever process answers.
"""
from __future__ import absolute_import, division, print_function

import binascii
import collections
import errno
import os
import re
import socket
import sys
import time
import zlib

from friendserve import locale
from friendserve.escape import json_decode, json_encode, utf8
from friendserve.feed import Batch, FeedError, open_feed
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop, PeriodicCallback
from friendserve.log import define_logging_options, gen_log
from friendserve.netutil import bind_sockets
from friendserve.options import Error, OptionParser
from friendserve.web import (
    Application, EventStreamHandler, HTTPError, RequestHandler, asynchronous, authenticated,
    is_safe_next)
from friendserve.websocket import WebSocketHandler

HERE = os.path.dirname(os.path.abspath(__file__))
LANGUAGES = ("en_US", "de", "he", "ja")

MAX_NAME = 30
MAX_TEXT = 2000
#: Messages that a page shows when it is opened.
HISTORY = 200
#: Tokens of messages that a process remembers, so that what is said twice is kept once.
TOKENS = 1000

#: Seconds after which a request that waited in vain is answered with nothing, and the page asks
#: again. Proxies like to cut connections on which nothing happens for a minute.
PATIENCE = 50

#: Seconds between two signs of life of a process, and after which one that gave none is gone.
BEAT, GONE = 10, 35
#: Seconds for which somebody without a connection is online still: a page is being reloaded, or is
#: between two polls.
GRACE = 5
#: Names that are told of a process, and shown of all.
MAX_ONLINE = 200

#: Names are shown in one of so many colours.
HUES = 8

HEADERS = {
    "Content-Security-Policy":
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

TOKEN = re.compile(r"[0-9A-Za-z-]{1,64}\Z")
#: A cursor of a feed: milliseconds since 1970, and a number within the millisecond.
CURSOR = re.compile(r"[0-9]{1,16}(?:-[0-9]{1,16})?\Z")
#: What a name cannot hold: controls, invisible spaces, and marks that turn the direction of text.
UNSEEN = re.compile(u"[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def clean_name(name):
    """The name with single spaces; None when it is empty, too long or not all to be seen."""
    name = u" ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME or UNSEEN.search(name):
        return None
    return name


class Presence(object):
    """Who is online: `names`, sorted, and `version`, which is the same for the same names.

    Each process tells the others its names through the feed, when they change and every BEAT
    seconds. Who wants to know of changes adds a callback to `watchers`.
    """

    def __init__(self, feed, is_shared):
        self._feed = feed
        self._is_shared = is_shared
        self._loop = feed.io_loop
        self._node = binascii.hexlify(os.urandom(8)).decode("ascii")
        self._here = collections.Counter()
        self._others = {}           # node -> (names, when it was heard, on our clock)
        self.watchers = set()
        self._compute()
        if is_shared:
            feed.subscribe(u"online", self._on_batch)
            feed.recent(u"online", 100, self._on_batch, self._on_error)
            self._beat = PeriodicCallback(self._on_beat, BEAT * 1000)
            self._beat.start()

    def join(self, name):
        """Somebody has one more connection."""
        self._here[name] += 1
        if self._here[name] == 1:
            self._change()

    def leave(self, name):
        """And one less: gone after a while, unless another comes."""
        self._loop.call_later(GRACE, self._leave, name)

    def _leave(self, name):
        self._here[name] -= 1
        if not self._here[name]:
            del self._here[name]
            self._change()

    def _change(self):
        self._update()
        if self._is_shared:
            self._tell()

    def _tell(self):
        self._feed.publish(u"online", json_encode(
            {"node": self._node, "names": sorted(self._here)[:MAX_ONLINE]}),
            on_error=self._on_error)

    def _on_error(self, error):
        # The next beat says it again.
        gen_log.debug("who is online could not be told: %s", error)

    def _on_beat(self):
        now = self._loop.time()
        for node, (_, heard) in list(self._others.items()):
            if now - heard > GONE:
                del self._others[node]
        self._update()
        self._tell()

    def _on_batch(self, batch):
        for message in batch.messages:
            age = time.time() - int(message.id.partition("-")[0]) / 1000
            try:
                news = json_decode(message.text)
                node, names = news["node"] + u"", [name + u"" for name in news["names"]]
            except (KeyError, TypeError, ValueError):
                # Something else writes to this Redis, too.
                continue
            if node != self._node and age < GONE:
                self._others[node] = names, self._loop.time() - max(0, age)
        self._update()

    def _compute(self):
        names = set(self._here)
        for others, _ in self._others.values():
            names.update(others)
        self.names = sorted(names)
        self.version = "%x" % (zlib.crc32(utf8(json_encode(self.names))) & 0xffffffff)

    def _update(self):
        before = self.version
        self._compute()
        if self.version != before:
            for callback in list(self.watchers):
                self._loop.add_callback(callback)


class BaseHandler(RequestHandler):
    @property
    def feed(self):
        return self.application.feed

    @property
    def presence(self):
        return self.application.presence

    def set_default_headers(self):
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def get_current_user(self):
        name = self.get_secure_cookie("name")
        return name.decode("utf-8") if name else None

    def get_user_locale(self):
        code = self.get_cookie("language")
        return locale.get(code) if code in LANGUAGES else None

    def get_template_namespace(self):
        namespace = super(BaseHandler, self).get_template_namespace()
        namespace["languages"] = [locale.get(code) for code in LANGUAGES]
        return namespace

    def next_path(self):
        path = self.get_argument("next", "/")
        return path if is_safe_next(path) else "/"


class RoomHandler(BaseHandler):
    """The page, with what was said so far."""

    @asynchronous
    @authenticated
    def get(self):
        self.feed.recent(u"room", HISTORY, self.on_recent, self.on_error)

    def on_recent(self, batch):
        messages = collections.OrderedDict()
        for message in to_messages(batch):
            # Said again, after an answer was lost.
            messages.setdefault((message["name"], message["token"]), message)
        self.show(list(messages.values()), batch.cursor)

    def on_error(self, error):
        # The page waits for the store by itself, and gets all there is then.
        self.show([], "0")

    def show(self, messages, cursor):
        translate = self.locale.translate
        self.render("room.html", messages=messages, cursor=cursor, max_text=MAX_TEXT,
                    presence=self.presence, words=json_encode(dict(
                        (key, translate(text)) for key, text in WORDS.items())))


#: What the script of the page says.
WORDS = {
    "connected": "Connected",
    "reconnecting": u"Reconnecting\u2026",
    "today": "Today",
    "yesterday": "Yesterday",
    "gap": "Some messages in between are no longer kept.",
    "refused": "not sent: the server rejected it",
    "online": "%d online",
}


class LoginHandler(BaseHandler):
    def get(self):
        self.show_form(name=u"", error=None)

    def post(self):
        given = self.get_argument("name", u"")
        name = clean_name(given)
        if name is None:
            self.set_status(400)
            self.show_form(given, self.locale.translate(
                "Please choose a name of 1 to %d characters.") % MAX_NAME)
        else:
            self.set_secure_cookie("name", name, httponly=True, samesite="Lax",
                                   secure=self.request.protocol == "https")
            self.redirect(self.next_path())

    def show_form(self, name, error):
        self.render("login.html", name=name, error=error, next=self.next_path(), max_name=MAX_NAME)


class LogoutHandler(BaseHandler):
    def post(self):
        self.clear_cookie("name")
        self.redirect("/login")


class LanguageHandler(BaseHandler):
    def post(self):
        code = self.get_argument("language")
        if code not in LANGUAGES:
            raise HTTPError(400, "language must be one of %s", ", ".join(LANGUAGES))
        self.set_cookie("language", code, expires_days=365, samesite="Lax")
        self.redirect(self.next_path())


class ReaderHandler(BaseHandler):
    """Somebody who is to hear what is said after the cursor `after`, and who is online.

    Subclasses have `tell(news, cursor)`. Whoever is not signed in gets 401, not a form.
    """
    watch = None
    is_waiting = False

    def prepare(self):
        if self.current_user is None:
            raise HTTPError(401, "not signed in")
        if self.request.method == "GET":
            self.after = self.get_argument("after")
            self.check_cursor(self.after)

    def check_cursor(self, cursor):
        if not CURSOR.match(cursor):
            raise HTTPError(400, "after: not a cursor: %.60r", cursor)

    def begin(self, watch):
        self.watch = watch
        self.is_waiting = True
        # In this order: one's own coming is news, too.
        self.presence.watchers.add(self.on_online)
        self.presence.join(self.current_user)

    def on_batch(self, batch):
        cursor = batch.cursor or self.after
        self.tell(self.application.news(batch, cursor), cursor)
        self.after = cursor

    def on_online(self):
        if self.is_waiting:
            self.on_batch(Batch([], self.after, True))

    def end(self):
        """Hear no more. False when that was so before."""
        if not self.is_waiting:
            return False
        self.is_waiting = False
        self.feed.cancel(self.watch)
        self.presence.watchers.discard(self.on_online)
        self.presence.leave(self.current_user)
        return True


class MessagesHandler(ReaderHandler):
    """What the script of the page talks to: long polls, and what somebody says."""

    @asynchronous
    def get(self):
        """Gives the messages after the cursor `after`; waits for one unless `wait` is "no", or
        others are online than those of the version `online`."""
        is_new = self.get_argument("online", "") != self.presence.version
        patience = 0 if is_new or self.get_argument("wait", "yes") == "no" else PATIENCE
        self.begin(self.feed.wait(u"room", str(self.after), self.on_batch, patience))

    def tell(self, news, cursor):
        if self.end():
            self.set_header("Content-Type", "application/json; charset=UTF-8")
            self.finish(news)

    def on_connection_close(self):
        # Who closes the page would otherwise stay in the room until the next message (B173).
        self.end()

    def on_server_stop(self):
        self.on_batch(Batch([], self.after, True))

    @asynchronous
    def post(self):
        """Says `text`. `token` is a name that the page gives to this message and to no other."""
        text = self.get_argument("text").replace(u"\r\n", u"\n")
        token = self.get_argument("token")
        if not 1 <= len(text) <= MAX_TEXT:
            raise HTTPError(400, "text must have 1 to %d characters, not %d", MAX_TEXT, len(text))
        if TOKEN.match(token) is None:
            raise HTTPError(400, "token must have 1 to 64 letters, digits and dashes")
        self.application.say(self.current_user, text, token, self.on_said, self.on_error)

    def on_said(self, message_id):
        self.finish({"id": message_id})

    def on_error(self, error):
        # The page says it again, with the same token.
        raise HTTPError(503, str(error))


class EventsHandler(ReaderHandler, EventStreamHandler):
    """The same as an event stream."""

    def open(self):
        cursor = self.last_event_id or self.after
        self.check_cursor(cursor)
        self.after = str(cursor)
        self.begin(self.feed.subscribe(u"room", self.on_batch, self.after))
        self.on_online()

    def tell(self, news, cursor):
        self.send_event(news, id=cursor)

    def on_close(self):
        self.end()


class SocketHandler(ReaderHandler, WebSocketHandler):
    """The same over a WebSocket."""

    def open(self):
        self.after = str(self.after)
        self.begin(self.feed.subscribe(u"room", self.on_batch, self.after))
        self.on_online()

    def tell(self, news, cursor):
        self.write_message(news)

    def on_message(self, message):
        # What is said comes by POST, which tells whether it was kept.
        pass

    def on_close(self):
        self.end()


def to_messages(batch):
    """The messages of a Batch as pages know them, without what somebody else wrote to the feed."""
    messages = []
    for message in batch.messages:
        try:
            said = json_decode(message.text)
            # What is no text raises TypeError.
            messages.append(dict(((key, said[key] + u"") for key in (
                "name", "text", "token", "time")), hue=int(said["hue"]), id=message.id))
        except (KeyError, TypeError, ValueError):
            gen_log.warning("not a message of the chat: %r", message.text[:100])
    return messages


class ChatApplication(Application):
    """The room. `redis` is the URL of the Redis that it shares with other processes, or None."""

    def __init__(self, cookie_secret, redis=None, **settings):
        self.feed = open_feed(redis)
        self.presence = Presence(self.feed, redis is not None)
        self._said = collections.OrderedDict()      # (name, token) -> id, or None on its way
        self._news = None, None, None
        settings.update(
            cookie_secret=cookie_secret,
            login_url="/login",
            static_path=os.path.join(HERE, "static"),
            template_path=os.path.join(HERE, "templates"),
            websocket_ping_interval=30,
            xsrf_cookies=True)
        locale.load_translations(os.path.join(HERE, "translations"))
        Application.__init__(self, [
            (r"/", RoomHandler),
            (r"/login", LoginHandler),
            (r"/logout", LogoutHandler),
            (r"/language", LanguageHandler),
            (r"/messages", MessagesHandler),
            (r"/events", EventsHandler),
            (r"/socket", SocketHandler),
        ], **settings)

    def say(self, name, text, token, callback, on_error):
        """Keep a message; callback(id). A page that heard no answer says the same again with the
        same `token`: that changes nothing."""
        key = name, token
        if key in self._said:
            if self._said[key] is None:
                on_error(FeedError("this is being said already"))
            else:
                callback(self._said[key])
            return
        self._said[key] = None
        if len(self._said) > TOKENS:
            self._said.popitem(last=False)

        def on_kept(message_id):
            if key in self._said:
                self._said[key] = message_id
            callback(message_id)

        def on_failed(error):
            self._said.pop(key, None)
            on_error(error)

        self.feed.publish(u"room", json_encode({
            "name": name, "text": text, "token": token, "hue": zlib.crc32(utf8(name)) % HUES,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}), on_kept, on_failed)

    def news(self, batch, cursor):
        """What a page gets for a batch, as JSON; one text serves all who get the same."""
        presence = self.presence
        before, version, text = self._news
        if before is None or before[0] is not batch or before[1] != cursor \
                or version != presence.version:
            text = json_encode({
                "messages": to_messages(batch),
                "cursor": cursor,
                # Of the messages after its cursor some are no longer kept.
                "gap": not batch.complete,
                "online": {"version": presence.version, "count": len(presence.names),
                           "names": presence.names[:MAX_ONLINE]},
            })
            self._news = (batch, cursor), presence.version, text
        return text


def make_options():
    options = OptionParser()
    options.define("port", default=8888, help="0 takes any that is free")
    options.define("address", default="127.0.0.1", help="0.0.0.0 lets your network in")
    options.define("redis", default="", help="redis://HOST:PORT/NUMBER: be one room with all "
                   "processes that use it")
    options.define("cookie_secret", default="", help="signs the cookies, as does "
                   "CHAT_COOKIE_SECRET in the environment; without it everybody signs in anew "
                   "after a restart")
    options.define("xheaders", default=False, help="believe the proxy in front what it says of "
                   "the client (X-Real-IP, X-Scheme)")
    define_logging_options(options)
    return options


def main():
    options = make_options()
    try:
        options.parse_command_line()
        # Not as the default of the option, which --help would show.
        secret = options.cookie_secret or os.environ.get("CHAT_COOKIE_SECRET", "")
        if options.redis and not secret:
            raise Error("processes that share a Redis need the same --cookie-secret")
        application = ChatApplication(
            secret or binascii.hexlify(os.urandom(32)), options.redis or None)
        sockets = bind_sockets(options.port, options.address)
    except (Error, ValueError, ImportError) as error:
        sys.exit("chatdemo.py: %s" % error)
    except socket.error as error:
        if error.errno != errno.EADDRINUSE:
            raise
        sys.exit("port %d is taken; choose another with --port" % options.port)
    server = HTTPServer(application, xheaders=options.xheaders)
    server.add_sockets(sockets)
    print("The room is open: http://%s:%d/ (Ctrl-C closes it)" % (
        options.address, sockets[0].getsockname()[1]))
    sys.stdout.flush()
    try:
        IOLoop.instance().start()
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()
