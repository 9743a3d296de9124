"""A chat room. Messages reach browsers by WebSocket, event stream or long poll, whichever works.

    python demos/chat/chatdemo.py --port=8888

The messages are kept in a `friendserve.feed`: by default, in this process's memory. With Redis, any
number of processes on any number of machines form one room; nginx.conf in this directory shows a
proxy for them:

    python demos/chat/chatdemo.py --port=8001 --redis=redis://localhost:6379/0 --cookie-secret=...
    python demos/chat/chatdemo.py --port=8002 --redis=redis://localhost:6379/0 --cookie-secret=...

Each page knows the cursor of the last message it has seen. Whenever it loses its connection, it
resumes from there, with any process that answers.
"""
from __future__ import absolute_import, division, print_function

import binascii
import collections
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
#: How many messages a page shows when it is opened.
HISTORY = 200
#: How many tokens of messages a process remembers, so that a repeated one is stored once.
TOKENS = 1000

#: Seconds after which a long poll without news is answered, and the page sends the next one. Many
#: proxies close connections that are idle for a minute.
PATIENCE = 50

#: Seconds between two heartbeats of a process, and seconds without one until it counts as gone.
BEAT, GONE = 10, 35
#: Seconds for which someone without a connection still counts as online: the page may be reloading,
#: or between two polls.
GRACE = 5
#: How many names a process announces, and how many of all names are shown.
MAX_ONLINE = 200

#: The number of colours for names.
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
#: Characters that a name must not contain: controls, invisible spaces, and marks that change the
#: direction of text.
UNSEEN = re.compile(u"[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def clean_name(name):
    """The name with single spaces; None if it is empty, too long, or has invisible characters."""
    name = u" ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME or UNSEEN.search(name):
        return None
    return name


class Presence(object):
    """Who is online: `names`, sorted, and `version`, a hash of the names.

    Each process announces its names to the others through the feed, whenever they change and every
    BEAT seconds. The callbacks in `watchers` are called on changes.
    """

    def __init__(self, feed, is_shared):
        self._feed = feed
        self._is_shared = is_shared
        self._loop = feed.io_loop
        self._node = binascii.hexlify(os.urandom(8)).decode("ascii")
        self._here = collections.Counter()
        self._leaving = {}          # name -> the timers of its connections that have ended
        self._signed_out = {}       # name -> when to begin waiting for its connections again
        self._others = {}           # node -> (names, when it was last heard, by this loop's clock)
        self.watchers = set()
        self._compute()
        if is_shared:
            feed.subscribe(u"online", self._on_batch)
            feed.recent(u"online", 100, self._on_batch, self._on_error)
            self._beat = PeriodicCallback(self._on_beat, BEAT * 1000)
            self._beat.start()

    def join(self, name):
        """Count a connection of `name`."""
        self._here[name] += 1
        if self._here[name] == 1:
            self._change()

    def leave(self, name):
        """Undo a `join` after GRACE seconds, in case the page connects again."""
        if self._signed_out.get(name, 0) > self._loop.time():
            return self._leave(name)
        timers = self._leaving.setdefault(name, [])
        timers.append(self._loop.call_later(GRACE, self._leave_late, name))

    def sign_out(self, name):
        """Do not wait for `name` to connect again."""
        if self._is_shared:
            # Its connections may be in other processes.
            self._tell(gone=name)
        self._sign_out(name)

    def _sign_out(self, name):
        now = self._loop.time()
        self._signed_out = dict((other, end) for other, end in self._signed_out.items()
                                if end > now)
        self._signed_out[name] = now + GRACE
        for timer in self._leaving.pop(name, ()):
            self._loop.remove_timeout(timer)
            self._leave(name)

    def _leave_late(self, name):
        timers = self._leaving[name]
        del timers[0]
        if not timers:
            del self._leaving[name]
        self._leave(name)

    def _leave(self, name):
        self._here[name] -= 1
        if not self._here[name]:
            del self._here[name]
            self._change()

    def _change(self):
        self._update()
        if self._is_shared:
            self._tell()

    def _tell(self, gone=None):
        self._feed.publish(u"online", json_encode(
            {"node": self._node, "names": sorted(self._here)[:MAX_ONLINE], "gone": gone}),
            on_error=self._on_error)

    def _on_error(self, error):
        # The next beat announces the same.
        gen_log.debug("cannot announce who is online: %s", error)

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
                # Something else also writes to this channel.
                continue
            if node != self._node and age < GONE:
                self._others[node] = names, self._loop.time() - max(0, age)
                if news.get("gone") and age < GRACE:
                    self._sign_out(news["gone"])
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
    """The page, with the latest messages."""

    @asynchronous
    @authenticated
    def get(self):
        self.feed.recent(u"room", HISTORY, self.on_recent, self.on_error)

    def on_recent(self, batch):
        messages = collections.OrderedDict()
        for message in to_messages(batch):
            # A message may be there twice: its page did not get the first answer and repeated it.
            messages.setdefault((message["name"], message["token"]), message)
        self.show(list(messages.values()), batch.cursor)

    def on_error(self, error):
        # The script of the page keeps trying, and then gets all messages.
        self.show([], "0")

    def show(self, messages, cursor):
        translate = self.locale.translate
        self.render("room.html", messages=messages, cursor=cursor, max_text=MAX_TEXT,
                    presence=self.presence, words=json_encode(dict(
                        (key, translate(text)) for key, text in WORDS.items())))


#: The texts for the script of the page.
WORDS = {
    "connected": "Connected",
    "reconnecting": u"Reconnecting\u2026",
    "today": "Today",
    "yesterday": "Yesterday",
    "gap": "Some of the messages in between are no longer available.",
    "waiting": "It will be sent when the server is back.",
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
        if self.current_user is not None:
            self.presence.sign_out(self.current_user)
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
    """Base of handlers that send news: the messages after the cursor `after`, and who is online.

    Subclasses define `tell(news, cursor)`. Unless signed in, a reader gets a 401, not a form.
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
        # In this order, so that the reader is notified of its own arrival.
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
        """Stop waiting for news. Return whether it was waiting."""
        if not self.is_waiting:
            return False
        self.is_waiting = False
        self.feed.cancel(self.watch)
        self.presence.watchers.discard(self.on_online)
        self.presence.leave(self.current_user)
        return True


class MessagesHandler(ReaderHandler):
    """Long polls for news, and posting a message."""

    @asynchronous
    def get(self):
        """Send the messages after the cursor `after`. Wait until there is one, unless `wait` is
        "no" or `online` is not the current version of who is online."""
        is_new = self.get_argument("online", "") != self.presence.version
        patience = 0 if is_new or self.get_argument("wait", "yes") == "no" else PATIENCE
        self.begin(self.feed.wait(u"room", str(self.after), self.on_batch, patience))

    def tell(self, news, cursor):
        if self.end():
            self.set_header("Content-Type", "application/json; charset=UTF-8")
            self.finish(news)

    def on_connection_close(self):
        # Otherwise a user who closes the page would stay online until the next message (B173).
        self.end()

    def on_drain(self):
        if self.is_waiting:
            self.feed.expire(self.watch)

    @asynchronous
    def post(self):
        """Post the message `text`. `token` identifies it; the page makes a new one for each."""
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
        # The page repeats the message, with the same token.
        raise HTTPError(503, str(error))


class EventsHandler(ReaderHandler, EventStreamHandler):
    """News as an event stream."""

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
    """News over a WebSocket."""

    def open(self):
        self.after = str(self.after)
        self.begin(self.feed.subscribe(u"room", self.on_batch, self.after))
        self.on_online()

    def tell(self, news, cursor):
        self.write_message(news)

    def on_message(self, message):
        # Messages are posted to MessagesHandler, whose answer says whether they were stored.
        pass

    def on_close(self):
        self.end()


def to_messages(batch):
    """The messages of a Batch as dicts for pages, without those that are not from this chat."""
    messages = []
    for message in batch.messages:
        try:
            said = json_decode(message.text)
            # Adding text raises TypeError for any other value.
            messages.append(dict(((key, said[key] + u"") for key in (
                "name", "text", "token", "time")), hue=int(said["hue"]), id=message.id))
        except (KeyError, TypeError, ValueError):
            gen_log.warning("not a message of the chat: %r", message.text[:100])
    return messages


class ChatApplication(Application):
    """The room. `redis` is the URL of a Redis server to share with other processes, or None."""

    def __init__(self, cookie_secret, redis=None, **settings):
        self.feed = open_feed(redis)
        self.presence = Presence(self.feed, redis is not None)
        self._said = collections.OrderedDict()      # (name, token) -> id, None until it is stored
        self._news = None, None, None               # the last arguments and result of `news`
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
        """Store a message and call `callback(id)`, or `on_error(error)`. A page without an answer
        repeats the message with the same `token`, and it is stored only once."""
        key = name, token
        if key in self._said:
            if self._said[key] is None:
                on_error(FeedError("this message is being stored already"))
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
        """The JSON of a batch for pages. It is made once for all pages that get the same."""
        presence = self.presence
        before, version, text = self._news
        if before is None or before[0] is not batch or before[1] != cursor \
                or version != presence.version:
            text = json_encode({
                "messages": to_messages(batch),
                "cursor": cursor,
                # Whether messages after the page's cursor are no longer kept.
                "gap": not batch.complete,
                "online": {"version": presence.version, "count": len(presence.names),
                           "names": presence.names[:MAX_ONLINE]},
            })
            self._news = (batch, cursor), presence.version, text
        return text


def make_options():
    options = OptionParser()
    options.define("port", default=8888, help="the port to listen on; 0 for any free one")
    options.define("address", default="127.0.0.1",
                   help="the address to listen on; 0.0.0.0 lets other machines connect")
    options.define("redis", default="", help="redis://HOST:PORT/NUMBER: share the room with all "
                   "processes that use this Redis")
    options.define("cookie_secret", default="", help="the key that signs cookies (default: "
                   "CHAT_COOKIE_SECRET in the environment, or else a new one at each start, after "
                   "which everyone has to sign in again)")
    options.define("xheaders", default=False, help="trust the proxy's headers about the client "
                   "(X-Real-IP, X-Scheme)")
    define_logging_options(options)
    return options


def main():
    options = make_options()
    try:
        options.parse_program(arguments=False)
        # Not the default of the option, because --help would show it.
        secret = options.cookie_secret or os.environ.get("CHAT_COOKIE_SECRET", "")
        if options.redis and not secret:
            raise Error("processes that share a Redis need the same --cookie-secret")
        application = ChatApplication(
            secret or binascii.hexlify(os.urandom(32)), options.redis or None)
        sockets = bind_sockets(options.port, options.address)
    except (Error, ValueError, ImportError) as error:
        sys.exit("chatdemo.py: %s" % error)
    except socket.error as error:
        sys.exit("chatdemo.py: %s" % error.strerror)
    server = HTTPServer(application, xheaders=options.xheaders)
    server.add_sockets(sockets)
    print("Open http://%s:%d/ (Ctrl-C to stop)" % (
        options.address, sockets[0].getsockname()[1]))
    sys.stdout.flush()
    try:
        IOLoop.instance().start()
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()
