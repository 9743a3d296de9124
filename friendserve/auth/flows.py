"""Flows: what is remembered in the browser from the start of a sign-in to its end.

Each flow has its own signed cookie, named by the hash of its key (the `state` of OAuth 2, the
request token of OAuth 1), so several may be under way in several tabs. The cookie holds a random
seed, from which the nonce and the PKCE verifier are made, a hash of what the flow is bound to (the
provider, the client and the redirect URI), and where to go afterwards. It can be used once; after a
success it only says where to go if the page is reloaded.
"""
from __future__ import absolute_import, division, print_function

import base64
import hashlib
import hmac
import os
import time

from six.moves.urllib.parse import urljoin, urlsplit

from friendserve.auth.errors import AuthError
from friendserve.escape import native_str, utf8
from friendserve.protocol.cookies import create_signed_value, decode_signed_value
from friendserve.protocol.urls import is_safe_next

#: Seconds from the start of a flow to its end.
MAX_AGE = 600

#: How many flows a browser may have at once.
MAX_FLOWS = 5

#: The most bytes of a cookie, name and value; a longer `next` is dropped.
MAX_COOKIE = 300

#: The most characters of the secret of a request token: browsers drop cookies over 4,096 bytes.
MAX_SECRET = 2000

_PREFIX = "fs_auth_"
_OPEN, _DONE = b"o", b"d"


def base64url(data):
    """Bytes as text that needs no escaping in a URL (RFC 4648 5), without padding."""
    return native_str(base64.urlsafe_b64encode(data).rstrip(b"="))


def _hash(*parts):
    return base64url(hashlib.sha256(b"\0".join(utf8(part) for part in parts)).digest())


class Flow(object):
    """A flow under way. `key` names it; `nonce`, `verifier` and `challenge` (PKCE, RFC 7636 4.2)
    are texts; `next` is the path to go to afterwards."""

    def __init__(self, key, seed, next, secret=""):
        self.key = key
        self.next = next
        self.secret = secret    # the secret of a request token of OAuth 1
        self.nonce = _hash(seed, "nonce")
        self.verifier = _hash(seed, "verifier")
        self.challenge = _hash(self.verifier)


def new_state(handler):
    """A `state`: 32 random bytes; when and on which host it was made, which only serves to tell
    users why it is not accepted."""
    return "%s.%x.%s" % (base64url(os.urandom(32)), int(time.time()),
                         _hash(handler.request.host_name)[:6])


def this_url(handler, callback_uri=None):
    """The URL that a provider sends the browser to: `callback_uri`, relative to this request, or
    the URL of this request without its query."""
    request = handler.request
    here = "%s://%s%s" % (request.protocol, request.host, request.path)
    return urljoin(here, native_str(callback_uri)) if callback_uri else here


def next_path(handler):
    """The argument `next` of this request if it is a path of this host, else "/"."""
    path = native_str(handler.get_argument("next", "/") or "/")
    return path if path.startswith("/") and is_safe_next(path) else "/"


def open_flow(handler, key, binding, redirect_uri, secret="", cross_site=False):
    """Begin a flow: set its cookie, and return the Flow. `binding` is a list of texts that must be
    the same at its end, such as the provider and the client. `cross_site` is for a provider that
    answers by a POST from its own page."""
    if "\n" in secret or len(secret) > MAX_SECRET:
        raise AuthError("token", "the secret of the request token is too long, or has a newline")
    seed = base64url(os.urandom(16))
    fields = [_OPEN, utf8(seed), utf8(_hash(*binding)[:16]), utf8(secret)]
    name = _cookie_name(key)
    path = next_path(handler)
    value = _sign(handler, name, fields + [utf8(path)])
    if len(name) + 1 + len(value) > MAX_COOKIE and path != "/":
        path = "/"
        value = _sign(handler, name, fields + [b"/"])
    where = urlsplit(redirect_uri)
    _make_room(handler, where.path or "/", name)
    is_secure = where.scheme == "https"
    handler.set_cookie(name, value, path=where.path or "/", max_age=MAX_AGE, httponly=True,
                       secure=is_secure, samesite="None" if cross_site and is_secure else "Lax")
    return Flow(key, seed, path, secret)


def take_flow(handler, key, binding):
    """The Flow that this request ends; its cookie is deleted. Raises AuthError "state" or
    "expired", and Reloaded if it has already ended with success."""
    name = _cookie_name(key or "")
    cookie = handler.get_cookie(name)
    fields = _read(handler, name, cookie)
    if fields is None:
        raise _explain(handler, key, cookie)
    if fields[0] == _DONE:
        raise Reloaded(native_str(fields[-1]))
    _, seed, bound, secret, path = fields
    # The page that began the flows may not have seen their cookies.
    _make_room(handler, handler.request.path, name)
    handler.clear_cookie(name, path=handler.request.path)
    if not hmac.compare_digest(bound, utf8(_hash(*binding)[:16])):
        raise AuthError("state", "the flow was started for another provider or address")
    return Flow(key, native_str(seed), native_str(path), native_str(secret))


def end_flow(handler, flow):
    """Note that a flow ended with success, so that a reload of the page goes to its `next`. The
    XSRF token is renewed, since others may know the one from before the sign-in."""
    handler.auth_next = flow.next
    if handler._headers_written:
        return
    name = _cookie_name(flow.key)
    handler.set_cookie(name, _sign(handler, name, [_DONE, utf8(flow.next)]), max_age=MAX_AGE,
                       path=handler.request.path, httponly=True, samesite="Lax",
                       secure=handler.request.protocol == "https")
    handler.renew_xsrf_token()


class Reloaded(Exception):
    """The page at which a flow ends was loaded again after its success. `next` is where to go."""

    def __init__(self, next):
        super(Reloaded, self).__init__(next)
        self.next = next


def _cookie_name(key):
    return _PREFIX + _hash(key)[:16]


def _sign(handler, name, fields):
    settings = handler.settings
    handler.require_setting("cookie_secret", "sign-in with a provider")
    secret = settings["cookie_secret"]
    return native_str(create_signed_value(
        secret, name, b"\n".join(fields),
        key_version=settings.get("key_version") if isinstance(secret, dict) else None))


def _read(handler, name, cookie):
    handler.require_setting("cookie_secret", "sign-in with a provider")
    if not cookie:
        return None
    content = decode_signed_value(handler.settings["cookie_secret"], name, cookie,
                                  max_age_days=MAX_AGE / 86400.0, min_version=2)
    return None if content is None else content.split(b"\n")


def _explain(handler, key, cookie):
    """The AuthError for a flow for which this browser has no cookie."""
    if not key:
        return AuthError("state", "the request has no state",
                         "This page can only be opened at the end of a sign-in. Please sign in.")
    if cookie:
        return AuthError("expired", "the cookie of the flow is too old, or forged")
    # Unsigned, and good enough to say what may be wrong.
    parts = key.split(".")
    if len(parts) == 3:
        try:
            age = time.time() - int(parts[1], 16)
        except ValueError:
            age = 0
        if age > MAX_AGE:
            return AuthError("expired", "the flow was started %d seconds ago" % age)
        if parts[2] != _hash(handler.request.host_name)[:6]:
            return AuthError("state", "the flow was started under another host name",
                             "The sign-in was started at another address of this site. Please "
                             "sign in here.")
    if not handler.request.cookies:
        return AuthError("state", "the browser sent no cookies",
                         "The browser sent no cookies. Please allow them for this site, and "
                         "sign in again.")
    return AuthError("state", "the flow is unknown, or was used before")


def _make_room(handler, path, own):
    """Delete the oldest flows of this browser, so that there are at most MAX_FLOWS, including the
    one with the cookie `own`."""
    found = []
    for name, cookie in handler.request.cookies.items():
        if name.startswith(_PREFIX) and name != own:
            # 2|1:0|10:SECONDS|...
            parts = cookie.value.split("|")
            seconds = parts[2].partition(":")[2] if len(parts) > 2 else ""
            found.append((int(seconds) if seconds.isdigit() else 0, name))
    for _, name in sorted(found)[:max(0, len(found) + 1 - MAX_FLOWS)]:
        handler.clear_cookie(name, path=path)
