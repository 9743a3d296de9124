"""What the mixins of every protocol share."""
from __future__ import absolute_import, division, print_function

from friendserve.auth.errors import AuthError
from friendserve.auth.flows import Reloaded, end_flow, take_flow
from friendserve.awaitable import is_awaitable
from friendserve.escape import native_str
from friendserve.httpclient import AsyncHTTPClient
from friendserve.web import Finish


#: Parameters that a response must not repeat (RFC 6749 3.1, RFC 5849 2.2): one part of a program
#: might look at the first value, and another at the last.
_ONCE = ("code", "state", "iss", "error", "oauth_token", "oauth_verifier", "auth_state")


class AuthMixin(object):
    """A part of a RequestHandler: the HTTP client, and the first and last steps after the user
    returns."""

    #: Why the last sign-in or request failed: an AuthError, or None.
    auth_error = None

    #: Where to go after a sign-in: the path on this host that the argument `next` named when it
    #: began, or "/".
    auth_next = "/"

    def get_auth_http_client(self):
        """The AsyncHTTPClient for requests to the provider. Override it to use other settings, such
        as a proxy."""
        return AsyncHTTPClient()

    def _take_flow(self, exchange, key, binding):
        """The Flow that this request ends; None after a reload, which is redirected."""
        try:
            flow = take_flow(self, key, binding)
        except Reloaded as reloaded:
            self.redirect(reloaded.next)
            exchange.fail(Finish())
            return None
        for name in _ONCE:
            if len(self.request.arguments.get(name, ())) > 1:
                raise AuthError("token", "%s is sent twice" % name)
        return flow

    def _end_flow(self, exchange, flow, user):
        end_flow(self, flow)
        exchange.end(user)

    def _ask_for_user(self, exchange, access_token, then):
        """Do the step `then(user)` with the user from the subclass's `_oauth_get_user(access_token,
        callback)` or `_oauth_get_user_future(access_token)`."""
        with exchange.watch():
            if hasattr(self, "_oauth_get_user"):
                found = self._oauth_get_user(access_token, exchange.then(then))
                # A coroutine calls back as well; the Future that it returns has its exception.
                if is_awaitable(found):
                    exchange.follow(found, lambda _: None)
            else:
                exchange.follow(self._oauth_get_user_future(access_token), then)


def url_of(base, path):
    """The URL of a path of an API, which begins with "/", or `path` itself if it is a whole URL.
    Raises ValueError for anything else, which could become a part of the host."""
    if path.startswith(("http:", "https:")):
        return path
    if not path.startswith("/"):
        raise ValueError("a path must begin with a slash, or be a whole URL, not %r" % (path,))
    return base + path


def consumer_from_settings(handler, prefix, feature):
    """The credentials in the settings ``PREFIX_consumer_key`` and ``PREFIX_consumer_secret``, as a
    dict with `key` and `secret`. Raises RuntimeError if one is missing."""
    names = prefix + "_consumer_key", prefix + "_consumer_secret"
    for name in names:
        handler.require_setting(name, feature)
    return dict(key=native_str(handler.settings[names[0]]),
                secret=native_str(handler.settings[names[1]]))
