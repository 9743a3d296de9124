"""A chat room over long polling, for as many people as care to open the page.

    python demos/chat/chatdemo.py --port 8888

Each page asks for the messages after the last one it has seen. When there are none yet, the request
waits (that costs a callback in a list, and no thread) until somebody says something.
"""
from __future__ import absolute_import, division, print_function

import argparse
import binascii
import collections
import errno
import os
import re
import socket
import sys
import time
import zlib

from friendserve.escape import json_encode, utf8
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop
from friendserve.log import enable_pretty_logging
from friendserve.netutil import bind_sockets
from friendserve.web import (
    Application, HTTPError, RequestHandler, asynchronous, authenticated, is_safe_next)

HERE = os.path.dirname(os.path.abspath(__file__))

MAX_NAME = 30
MAX_TEXT = 2000

#: Seconds after which a request that waited in vain is answered with nothing, and the page asks
#: again. Proxies like to cut connections on which nothing happens for a minute.
PATIENCE = 50

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

CURSOR = re.compile(r"[0-9]{1,16}\Z")
TOKEN = re.compile(r"[0-9A-Za-z-]{1,64}\Z")
#: What a name cannot hold: controls, invisible spaces, and marks that turn the direction of text.
UNSEEN = re.compile(u"[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def clean_name(name):
    """The name with single spaces; None when it is empty, too long or not all to be seen."""
    name = u" ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME or UNSEEN.search(name):
        return None
    return name


class Room(object):
    """The last messages, in their order, and the callbacks of those who wait for the next one.

    Ids only grow, across restarts too, because they begin at the time of the start in milliseconds.
    A page that outlives the server just goes on with the id it has.
    """

    def __init__(self, keep=200):
        self.messages = collections.deque(maxlen=keep)
        self.waiters = []
        self.last_id = int(time.time() * 1000)
        self.dropped_id = 0

    def say(self, name, text, token):
        """Adds a message, hands it to all who wait, and returns its id.

        A page that heard no answer says the same again with the same `token`: that changes nothing.
        """
        for message in self.messages:
            if (message["name"], message["token"]) == (name, token):
                return message["id"]
        if len(self.messages) == self.messages.maxlen:
            self.dropped_id = self.messages[0]["id"]
        self.last_id += 1
        self.messages.append({
            "id": self.last_id, "name": name, "text": text, "token": token,
            "hue": zlib.crc32(utf8(name)) % HUES,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        })
        # Whoever waits has seen all that was said before, so one text serves them all.
        news = self.news(self.last_id - 1)
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            IOLoop.current().add_callback(waiter, news)
        return self.last_id

    def has_news(self, cursor):
        return bool(self.messages) and self.messages[-1]["id"] > cursor

    def news(self, cursor):
        """What a page gets that has seen the messages up to the id `cursor`, as JSON.

        "gap" says that of the messages after `cursor` some are no longer kept.
        """
        return json_encode({
            "messages": [message for message in self.messages if message["id"] > cursor],
            "cursor": self.last_id,
            "gap": 0 < cursor < self.dropped_id,
        })

    def wait(self, waiter):
        """Has waiter(news) called, once, when something is said."""
        self.waiters.append(waiter)

    def forget(self, waiter):
        """Takes back wait(waiter). Does nothing when that is no longer in the list."""
        if waiter in self.waiters:
            self.waiters.remove(waiter)


class BaseHandler(RequestHandler):
    @property
    def room(self):
        return self.application.room

    def set_default_headers(self):
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def get_current_user(self):
        name = self.get_secure_cookie("name")
        return name.decode("utf-8") if name else None


class RoomHandler(BaseHandler):
    """The page, with what was said so far."""

    @authenticated
    def get(self):
        self.render("room.html", messages=list(self.room.messages), cursor=self.room.last_id,
                    max_text=MAX_TEXT)


class LoginHandler(BaseHandler):
    def get(self):
        self.show_form(name=u"", error=None)

    def post(self):
        given = self.get_argument("name", u"")
        name = clean_name(given)
        if name is None:
            self.set_status(400)
            self.show_form(given, u"Please choose a name of 1 to %d characters." % MAX_NAME)
        else:
            self.set_secure_cookie("name", name, httponly=True, samesite="Lax")
            self.redirect(self.next_path())

    def show_form(self, name, error):
        self.render("login.html", name=name, error=error, next=self.next_path(), max_name=MAX_NAME)

    def next_path(self):
        path = self.get_argument("next", "/")
        return path if is_safe_next(path) else "/"


class LogoutHandler(BaseHandler):
    def post(self):
        self.clear_cookie("name")
        self.redirect("/login")


class MessagesHandler(BaseHandler):
    """What the script of the page talks to. Whoever is not signed in gets 401, not a form."""

    timeout = None

    def prepare(self):
        if self.current_user is None:
            raise HTTPError(401, "not signed in")

    @asynchronous
    def get(self):
        """Gives the messages after the id `after`; waits for one unless `wait` is "no"."""
        after = self.get_argument("after")
        if CURSOR.match(after) is None:
            raise HTTPError(400, "after must be the id of a message, not %r", after)
        cursor = int(after)
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        if self.room.has_news(cursor) or self.get_argument("wait", "yes") == "no":
            self.finish(self.room.news(cursor))
        else:
            self.room.wait(self.on_news)
            self.timeout = IOLoop.current().call_later(
                PATIENCE, self.on_news, self.room.news(self.room.last_id))

    def on_news(self, news):
        """Called by the room or by the timeout."""
        if self.stop_waiting():
            self.finish(news)

    def on_connection_close(self):
        # Who closes the page would otherwise stay in the room until the next message (B173).
        self.stop_waiting()

    def stop_waiting(self):
        """Leaves the room. False when that was done before: there is nobody to answer any more."""
        if self.timeout is None:
            return False
        self.room.forget(self.on_news)
        IOLoop.current().remove_timeout(self.timeout)
        self.timeout = None
        return True

    def post(self):
        """Says `text`. `token` is a name that the page gives to this message and to no other."""
        text = self.get_argument("text").replace(u"\r\n", u"\n")
        token = self.get_argument("token")
        if not 1 <= len(text) <= MAX_TEXT:
            raise HTTPError(400, "text must have 1 to %d characters, not %d", MAX_TEXT, len(text))
        if TOKEN.match(token) is None:
            raise HTTPError(400, "token must have 1 to 64 letters, digits and dashes")
        self.write({"id": self.room.say(self.current_user, text, token)})


class ChatApplication(Application):
    def __init__(self, cookie_secret, **settings):
        self.room = Room()
        settings.update(
            cookie_secret=cookie_secret,
            login_url="/login",
            static_path=os.path.join(HERE, "static"),
            template_path=os.path.join(HERE, "templates"),
            xsrf_cookies=True)
        Application.__init__(self, [
            (r"/", RoomHandler),
            (r"/login", LoginHandler),
            (r"/logout", LogoutHandler),
            (r"/messages", MessagesHandler),
        ], **settings)


def parse_options():
    parser = argparse.ArgumentParser(description="A chat room over long polling.")
    parser.add_argument("--port", type=int, default=8888, help="0 takes any that is free")
    parser.add_argument("--address", default="127.0.0.1",
                        help="where to listen; 0.0.0.0 lets your network in (127.0.0.1)")
    parser.add_argument("--cookie-secret", default=os.environ.get("CHAT_COOKIE_SECRET"),
                        help="signs the cookies; without it, or CHAT_COOKIE_SECRET in the "
                             "environment, everybody signs in anew after a restart")
    return parser.parse_args()


def main():
    options = parse_options()
    enable_pretty_logging()
    application = ChatApplication(options.cookie_secret or binascii.hexlify(os.urandom(32)))
    try:
        sockets = bind_sockets(options.port, options.address)
    except socket.error as error:
        if error.errno != errno.EADDRINUSE:
            raise
        sys.exit("port %d is taken; choose another with --port" % options.port)
    server = HTTPServer(application)
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
