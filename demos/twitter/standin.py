"""A stand-in for X, FOR DEVELOPMENT ONLY: the three steps of OAuth 1.0a and the API, as far as the
demo uses them. Everyone is signed in as the same invented person."""
from __future__ import absolute_import, division, print_function

import binascii
import hmac
import os
import time

from friendserve.escape import json_decode, native_str, utf8
from friendserve.httpserver import HTTPServer
from friendserve.httputil import url_concat
from friendserve.netutil import bind_sockets
from friendserve.protocol.oauth1 import base_string, sign
from friendserve.web import Application, HTTPError, RequestHandler

PERSON = {"id": "10", "name": u"Ada Lovelace", "username": u"ada"}
PEOPLE = (
    {"id": "11", "name": u"\u05e0\u05d5\u05e2\u05d4 \u05dc\u05d5\u05d9", "username": u"noa"},
    {"id": "12", "name": u"\u4f50\u85e4\u82b1\u5b50", "username": u"hanako"},
    {"id": "13", "name": u"Charles Babbage", "username": u"engine"},
    {"id": "14", "name": u"Mary Somerville", "username": u"mary_s"},
    PERSON,
)
#: Posts: the id of the author, the text, and its age in minutes.
POSTS = (
    ("14", u"Clear sky tonight. Jupiter is up by ten, with all four moons on one side.", 3),
    ("11", u"\u05d1\u05d5\u05e7\u05e8 \u05d8\u05d5\u05d1 \u05de\u05d7\u05d9\u05e4\u05d4!", 20),
    ("12", u"\u96e8\u304c\u3084\u3093\u3067\u3001\u8679\u304c\u51fa\u307e\u3057\u305f\u3002", 64),
    ("13", u"Steam is up, the cards are in.\nIf it prints one wrong digit I am going for a walk.",
     250),
)
#: Seconds that a request may take to arrive.
MAX_AGE = 300

_PAGE = u"""<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>Stand-in</title>
<link rel="icon" href="data:,">
<style>body { font: 1.05rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 15vh auto;
padding: 0 1.25rem } a { display: inline-block; margin: .5rem 1rem .5rem 0 }</style>
<h1>Not X</h1><p>A stand-in, for development only. Go back to the demo as %s?</p>
<p><a id="allow" href="%s">Yes</a> <a id="deny" href="%s">No</a></p>"""


def _escape(text):
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def make_id():
    return native_str(binascii.hexlify(os.urandom(16)))


class InterfaceHandler(RequestHandler):
    """A part of the API, with errors in its format."""

    def fail(self, status, detail):
        self.set_header("Content-Type", "application/problem+json")
        self.set_status(status)
        self.finish({"title": "Problem", "type": "about:blank", "status": status,
                     "detail": detail})

    def check_signature(self, tokens):
        """The token (None if there is none) with which this request is signed. False if it is not
        signed correctly; then it has been answered."""
        fields = dict((name, values[-1]) for name, values in self.request.arguments.items())
        signature = fields.pop("oauth_signature", b"")
        key = native_str(fields["oauth_token"]) if "oauth_token" in fields else None
        where = "%s://%s%s" % (self.request.protocol, self.request.host, self.request.path)
        right = sign("HMAC-SHA1", base_string(self.request.method, where, fields),
                     self.application.secret, tokens.get(key, {}).get("secret", ""))
        made = fields.get("oauth_timestamp", b"")
        once = made, fields.get("oauth_nonce")
        if native_str(fields.get("oauth_consumer_key", b"")) != self.application.key \
                or key is not None and key not in tokens \
                or not hmac.compare_digest(utf8(right), signature):
            self.fail(401, "Could not authenticate you.")
        elif not made.isdigit() or abs(time.time() - int(made)) > MAX_AGE \
                or once in self.application.nonces:
            self.fail(401, "Timestamp out of bounds, or nonce used.")
        else:
            self.application.nonces.add(once)
            return key
        return False

    def check_user(self):
        """Whether the request is signed for a user; if not, it has been answered."""
        key = self.check_signature(self.application.tokens)
        if key is None:
            self.fail(401, "Unauthorized")
        return bool(key)

    def check_xsrf_cookie(self):
        pass


class RequestTokenHandler(InterfaceHandler):
    def post(self):
        if self.check_signature({}) is not None:
            return
        where = self.get_argument("oauth_callback", "")
        if not where.startswith(("http://127.0.0.1:", "http://localhost:")):
            return self.fail(403, "Callback URL not approved for this client application.")
        token, secret = make_id(), make_id()
        self.application.requests[token] = {"secret": secret, "callback": where}
        self.finish("oauth_token=%s&oauth_token_secret=%s&oauth_callback_confirmed=true"
                    % (token, secret))


class AuthenticateHandler(InterfaceHandler):
    def get(self):
        token = self.get_argument("oauth_token")
        request = self.application.requests.get(token)
        if request is None or "verifier" in request:
            raise HTTPError(403, "oauth_token: there is no such request token, or it was used")
        request["verifier"] = make_id()
        where = request["callback"]
        self.finish(_PAGE % (PERSON["name"], _escape(url_concat(where, {
            "oauth_token": token, "oauth_verifier": request["verifier"]})),
            _escape(url_concat(where, {"denied": token}))))


class AccessTokenHandler(InterfaceHandler):
    def post(self):
        key = self.check_signature(self.application.requests)
        if key is False:
            return
        request = self.application.requests.pop(key, {})
        if not request.get("verifier") or \
                request["verifier"] != self.get_argument("oauth_verifier", ""):
            return self.fail(401, "Error processing your OAuth request: Invalid oauth_verifier.")
        token, secret = make_id(), make_id()
        self.application.tokens[token] = {"secret": secret}
        self.finish("oauth_token=%s&oauth_token_secret=%s&user_id=%s&screen_name=%s"
                    % (token, secret, PERSON["id"], PERSON["username"]))


class MeHandler(InterfaceHandler):
    def get(self):
        if self.check_user():
            self.finish({"data": PERSON})


class TimelineHandler(InterfaceHandler):
    def get(self, user_id):
        if self.check_user():
            posts = self.application.posts[:int(self.get_argument("max_results", "100"))]
            self.finish({"data": posts, "includes": {"users": PEOPLE},
                         "meta": {"result_count": len(posts)}})


class TweetsHandler(InterfaceHandler):
    def post(self):
        if not self.check_user():
            return
        text = json_decode(self.request.body)["text"]
        if text == self.application.posts[0]["text"]:
            return self.fail(
                403, "You are not allowed to create a Tweet with duplicate content.")
        post_id = self.application.add(PERSON["id"], text)
        self.set_status(201)
        self.finish({"data": {"id": post_id, "text": text}})


class StandIn(Application):
    """The stand-in for an application `key` with its `secret`. `posts` has the newest first."""

    def __init__(self, key, secret):
        self.key, self.secret = key, secret
        self.requests, self.tokens, self.nonces, self.posts = {}, {}, set(), []
        for author, text, minutes in reversed(POSTS):
            self.add(author, text, minutes)
        Application.__init__(self, [
            (r"/oauth/request_token", RequestTokenHandler),
            (r"/oauth/authenticate", AuthenticateHandler),
            (r"/oauth/access_token", AccessTokenHandler), (r"/2/users/me", MeHandler),
            (r"/2/users/(\d+)/timelines/reverse_chronological", TimelineHandler),
            (r"/2/tweets", TweetsHandler)])

    def add(self, author, text, minutes=0):
        """Add a post. Return its id."""
        post_id = str(len(self.posts) + 1)
        self.posts.insert(0, {
            "id": post_id, "author_id": author, "text": text,
            "created_at": time.strftime("%Y-%m-%dT%H:%M:%S.000Z",
                                        time.gmtime(time.time() - 60 * minutes))})
        return post_id


def start_stand_in(key, secret):
    """Start a stand-in on a free port of loopback. Return its URL."""
    sockets = bind_sockets(0, "127.0.0.1")
    HTTPServer(StandIn(key, secret)).add_sockets(sockets)
    return "http://127.0.0.1:%d" % sockets[0].getsockname()[1]
