"""What the mixins of every protocol share."""
from __future__ import absolute_import, division, print_function

from friendserve.auth.flows import Reloaded, end_flow, take_flow
from friendserve.escape import native_str
from friendserve.httpclient import AsyncHTTPClient
from friendserve.web import Finish


class AuthMixin(object):
    """A part of a RequestHandler: the HTTP client, and the first and last step of a return."""

    #: Why the last sign-in or request failed, an AuthError, or None.
    auth_error = None

    #: Where to go after a sign-in: the path of this host that the argument `next` named at its
    #: start, or "/".
    auth_next = "/"

    def get_auth_http_client(self):
        """The AsyncHTTPClient for requests to the provider. Override it for one with other
        settings, such as a proxy."""
        return AsyncHTTPClient()

    def _take_flow(self, exchange, key, binding):
        """The Flow that this request ends; None after a reload, which is redirected."""
        try:
            return take_flow(self, key, binding)
        except Reloaded as reloaded:
            self.redirect(reloaded.next)
            exchange.fail(Finish())
            return None

    def _end_flow(self, exchange, flow, user):
        end_flow(self, flow)
        exchange.end(user)

    def _ask_for_user(self, exchange, access_token, then):
        """Do the step `then(user)` with what `_oauth_get_user(access_token, callback)` of the
        subclass, or its `_oauth_get_user_future(access_token)`, says."""
        if hasattr(self, "_oauth_get_user"):
            self._oauth_get_user(access_token, exchange.then(then))
        else:
            exchange.follow(self._oauth_get_user_future(access_token), then)


def consumer_from_settings(handler, prefix, feature):
    """The credentials in the settings ``PREFIX_consumer_key`` and ``PREFIX_consumer_secret``, as a
    dict with `key` and `secret`. Raises RuntimeError if one is missing."""
    names = prefix + "_consumer_key", prefix + "_consumer_secret"
    for name in names:
        handler.require_setting(name, feature)
    return dict(key=native_str(handler.settings[names[0]]),
                secret=native_str(handler.settings[names[1]]))
