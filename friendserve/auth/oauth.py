"""Sign-in by OAuth 1.0 and 1.0a (RFC 5849)."""
from __future__ import absolute_import, division, print_function

import binascii
import os
import time

from friendserve.auth.errors import AuthError
from friendserve.auth.exchange import (
    encode_form, redirect_by_exchange, request_json, run_exchange)
from friendserve.auth.flows import open_flow, this_url
from friendserve.auth.mixin import AuthMixin
from friendserve.escape import native_str
from friendserve.protocol.oauth1 import protocol_parameters


class OAuthMixin(AuthMixin):
    """Sign-in by OAuth 1.0 or 1.0a; see `TwitterMixin` for how a handler uses it.

    A subclass for a provider defines `_OAUTH_REQUEST_TOKEN_URL`, `_OAUTH_AUTHORIZE_URL`,
    `_OAUTH_ACCESS_TOKEN_URL`, and the methods `_oauth_consumer_token`, which returns a dict with
    `key` and `secret`, and `_oauth_get_user(access_token, callback)`, which calls back with a dict
    that describes the user, or None; or `_oauth_get_user_future(access_token)`. It may also define
    `_OAUTH_VERSION` ("1.0a", or "1.0" for a provider without verifiers), `_OAUTH_NO_CALLBACKS`
    (true for one that does not accept a callback_uri) and `_OAUTH_SIGNATURE_METHOD`.
    """
    _OAUTH_VERSION = "1.0a"
    _OAUTH_NO_CALLBACKS = False
    _OAUTH_SIGNATURE_METHOD = "HMAC-SHA1"

    def authorize_redirect(self, callback_uri=None, extra_params=None, http_client=None,
                           callback=None):
        """Redirect to the provider, where the user may allow this site to use their account.

        `callback_uri`, which may be relative, is where the provider sends the user afterwards: the
        handler there calls `get_authenticated_user`. With "oob" the provider shows a code, which
        the user types into a form for the URL of this request, with `oauth_token` and, for the
        code, `oauth_verifier`. `callback()` is called after the redirect; `auth_error` says then
        whether it failed. Without a callback this returns something awaitable, and a failure that
        is not awaited is answered with status 502.
        """
        if callback_uri and self._OAUTH_NO_CALLBACKS:
            raise ValueError("this provider does not support callback_uri")
        return self._redirect_with_token(self._OAUTH_AUTHORIZE_URL, callback_uri, extra_params,
                                         http_client, callback)

    def _redirect_with_token(self, page, callback_uri, extra_params, http_client, callback):
        is_typed = callback_uri == "oob"
        where = this_url(self, None if is_typed else callback_uri)

        def work(exchange):
            url = self._OAUTH_REQUEST_TOKEN_URL
            fields = dict(extra_params or {})
            fields.update(self._sign("POST", url, fields, None, oauth_callback=None
                                     if self._OAUTH_VERSION == "1.0" else
                                     "oob" if is_typed else where))
            exchange.post(url, fields, lambda reply: got_token(exchange, reply))

        def got_token(exchange, reply):
            fields = reply.parse()
            token = _token_of(fields)
            query = {"oauth_token": token["key"]}
            if self._OAUTH_VERSION == "1.0":
                query["oauth_callback"] = None if self._OAUTH_NO_CALLBACKS else where
            elif fields.get("oauth_callback_confirmed") != "true":
                raise AuthError("token", "oauth_callback_confirmed is missing")
            open_flow(self, token["key"], self._binding(), where, token["secret"])
            self.redirect("%s?%s" % (page, native_str(encode_form(query))))
            exchange.end(None)

        return redirect_by_exchange(self, work, callback, http_client)

    def get_authenticated_user(self, callback=None, http_client=None):
        """Call `callback(user)` with a dict that describes the user, at the end of a sign-in: in
        the handler to which the provider sent the user. It contains `access_token`, a dict with
        `key` and `secret` for later requests.

        If the sign-in failed, the callback gets None, and `auth_error` is the AuthError. Without
        a callback this returns a Future, which raises it.
        """
        def work(exchange):
            denied = self.get_argument("denied", None)
            key = denied or self.get_argument("oauth_token", None)
            flow = self._take_flow(exchange, key, self._binding())
            if flow is None:
                return
            if denied or self.get_argument("oauth_problem", "") in ("user_refused",
                                                                    "permission_denied"):
                raise AuthError("denied")
            verifier = self.get_argument("oauth_verifier", None)
            if self._OAUTH_VERSION == "1.0a" and not verifier:
                raise AuthError("token", "oauth_verifier is missing")
            url = self._OAUTH_ACCESS_TOKEN_URL
            token = {"key": key, "secret": flow.secret}
            exchange.post(url, self._sign("POST", url, {}, token, oauth_verifier=verifier),
                          lambda reply: got_token(exchange, flow, reply))

        def got_token(exchange, flow, reply):
            fields = reply.parse()
            access_token = _token_of(fields)
            for name, value in fields.items():
                if not name.startswith("oauth_token"):
                    access_token[name] = value
            self._ask_for_user(exchange, access_token,
                               lambda user: got_user(exchange, flow, access_token, user))

        def got_user(exchange, flow, access_token, user):
            if not user:
                raise AuthError("provider", "the provider did not say who the user is")
            user["access_token"] = access_token
            self._end_flow(exchange, flow, user)

        return run_exchange(self, work, callback, http_client)

    def _oauth_consumer_token(self):
        """The credentials of this site at the provider: a dict with `key` and `secret`."""
        raise NotImplementedError("%s must define _oauth_consumer_token" % type(self).__name__)

    def _binding(self):
        return [self._OAUTH_ACCESS_TOKEN_URL, self._oauth_consumer_token()["key"]]

    def _sign(self, method, url, parameters, token, **extra):
        return protocol_parameters(
            method, url, parameters, self._oauth_consumer_token(), token, time.time(),
            native_str(binascii.b2a_hex(os.urandom(16))), self._OAUTH_SIGNATURE_METHOD, **extra)

    def _oauth_request_parameters(self, url, access_token, parameters={}, method="GET"):
        """The parameters that a request needs in addition to its `parameters`, to sign it for the
        owner of `access_token`."""
        return self._sign(method, url, parameters, access_token)

    def _oauth_request(self, url, callback, access_token, post_args, args):
        """Make a request to the provider's API, and call `callback(reply)` with the parsed JSON of
        the reply, or None; without a callback this returns a Future."""
        method = "GET" if post_args is None else "POST"
        if access_token:
            # Only the fields of a form are signed (RFC 5849 3.4.1.3.1).
            fields = dict(args, **(post_args if isinstance(post_args, dict) else {}))
            args = dict(args, **self._oauth_request_parameters(
                url, access_token, fields, method=method))
        return request_json(self, url, args, post_args, callback)


def _token_of(fields):
    if not fields.get("oauth_token"):
        raise AuthError("token", "oauth_token is missing")
    return {"key": native_str(fields["oauth_token"]),
            "secret": native_str(fields.get("oauth_token_secret", ""))}
