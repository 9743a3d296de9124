"""A stand-in for Facebook, FOR DEVELOPMENT ONLY: the dialog, the token and the Graph API, as far as
the demo uses them. Everyone is signed in as the same invented person."""
from __future__ import absolute_import, division, print_function

import base64
import binascii
import hashlib
import hmac
import os
import time

from friendserve.escape import native_str, utf8
from friendserve.httpserver import HTTPServer
from friendserve.httputil import url_concat
from friendserve.netutil import bind_sockets
from friendserve.web import Application, HTTPError, RequestHandler

PERSON = {"id": "10", "name": u"Ada Lovelace"}
POSTS = (
    (u"\u05e0\u05d5\u05e2\u05d4 \u05dc\u05d5\u05d9",
     u"\u05e9\u05dc\u05d5\u05dd \u05de\u05ea\u05dc \u05d0\u05d1\u05d9\u05d1!", 7),
    (u"\u4f50\u85e4\u82b1\u5b50", u"\u4eca\u65e5\u306f\u6d77\u304c\u9759\u304b\u3067\u3059\u3002",
     55),
    (u"Charles Babbage", u"The engine turned all night, and not one tooth was lost.", 190),
    (u"Mary Somerville", u"Has anyone a good telescope to lend?\nThe comet is back.", 1500),
)

_PAGE = u"""<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>Stand-in</title>
<link rel="icon" href="data:,">
<style>body { font: 1.05rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 15vh auto;
padding: 0 1.25rem } a { display: inline-block; margin: .5rem 1rem .5rem 0 }</style>
<h1>Not Facebook</h1><p>A stand-in, for development only. Go back to the demo as %s?</p>
<p><a id="allow" href="%s">Yes</a> <a id="deny" href="%s">No</a></p>"""


def _escape(text):
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def make_id():
    return native_str(binascii.hexlify(os.urandom(16)))


class GraphHandler(RequestHandler):
    """A part of the API, with errors in its format."""

    def fail(self, message, code=190):
        self.set_status(400)
        self.finish({"error": {"message": message, "type": "OAuthException", "code": code}})

    def is_allowed(self):
        """Whether the token and its proof are right; if not, the request has been answered."""
        token = self.get_query_argument("access_token", "")
        proof = hmac.new(utf8(self.application.secret), utf8(token), hashlib.sha256).digest()
        if token not in self.application.tokens:
            self.fail("Invalid OAuth access token.")
        elif self.get_query_argument("appsecret_proof", "") != native_str(binascii.hexlify(proof)):
            self.fail("Invalid appsecret_proof provided in the API argument", 100)
        else:
            return True
        return False


class DialogHandler(GraphHandler):
    def get(self):
        if self.get_argument("client_id") != self.application.key:
            raise HTTPError(400, "client_id: no such application")
        where = self.get_argument("redirect_uri")
        if not where.startswith(("http://127.0.0.1:", "http://localhost:")):
            raise HTTPError(400, "redirect_uri must be on this machine")
        code, state = make_id(), self.get_argument("state")
        self.application.codes[code] = where, self.get_argument("code_challenge", None)
        self.finish(_PAGE % (PERSON["name"], _escape(url_concat(where, {
            "code": code, "state": state})), _escape(url_concat(where, {
                "error": "access_denied", "error_reason": "user_denied", "state": state}))))


class TokenHandler(GraphHandler):
    def post(self):
        where, challenge = self.application.codes.pop(self.get_argument("code", ""), (None, None))
        digest = hashlib.sha256(utf8(self.get_argument("code_verifier", ""))).digest()
        if where is None or where != self.get_argument("redirect_uri", ""):
            return self.fail("This authorization code has been used.", 100)
        if challenge and utf8(challenge) != base64.urlsafe_b64encode(digest).rstrip(b"="):
            return self.fail("Invalid code verifier.", 100)
        if self.get_argument("client_secret", "") != self.application.secret:
            return self.fail("Error validating client secret.", 1)
        token = make_id()
        self.application.tokens.add(token)
        self.finish({"access_token": token, "token_type": "bearer", "expires_in": 5184000})

    def check_xsrf_cookie(self):
        pass


class MeHandler(GraphHandler):
    def get(self):
        if self.is_allowed():
            self.finish(PERSON)


class FeedHandler(GraphHandler):
    def get(self):
        if self.is_allowed():
            self.finish({"data": self.application.posts[:int(self.get_argument("limit", "25"))]})

    def post(self):
        if self.is_allowed():
            self.finish({"id": self.application.add(PERSON["name"],
                                                    self.get_body_argument("message"))})


class StandIn(Application):
    """The stand-in for an application `key` with its `secret`. `posts` has the newest first."""

    def __init__(self, key, secret):
        self.key, self.secret = key, secret
        self.codes, self.tokens, self.posts = {}, set(), []
        for name, message, minutes in reversed(POSTS):
            self.add(name, message, minutes)
        Application.__init__(self, [
            (r"/v[0-9.]+/dialog/oauth", DialogHandler),
            (r"/v[0-9.]+/oauth/access_token", TokenHandler),
            (r"/v[0-9.]+/me", MeHandler), (r"/v[0-9.]+/me/feed", FeedHandler)])

    def add(self, name, message, minutes=0):
        """Add a post. Return its id."""
        post_id = "10_%d" % (len(self.posts) + 1)
        self.posts.insert(0, {
            "id": post_id, "from": {"name": name, "id": "1"}, "message": message,
            "created_time": time.strftime("%Y-%m-%dT%H:%M:%S+0000",
                                          time.gmtime(time.time() - 60 * minutes))})
        return post_id


def start_stand_in(key, secret):
    """Start a stand-in on a free port of loopback. Return its URL."""
    sockets = bind_sockets(0, "127.0.0.1")
    HTTPServer(StandIn(key, secret)).add_sockets(sockets)
    return "http://127.0.0.1:%d" % sockets[0].getsockname()[1]
