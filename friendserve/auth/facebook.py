"""Sign-in with Facebook."""
from __future__ import absolute_import, division, print_function

import binascii
import hashlib
import hmac
import json
import time

from friendserve.auth.errors import AuthError
from friendserve.auth.exchange import encode_form, request_json, run_exchange
from friendserve.auth.flows import open_flow, new_state, this_url
from friendserve.auth.mixin import AuthMixin, url_of
from friendserve.auth.oauth2 import OAuth2Mixin
from friendserve.awaitable import DONE
from friendserve.escape import native_str, utf8
from friendserve.protocol.oauth1 import to_octets


class FacebookGraphMixin(OAuth2Mixin):
    """Sign-in with Facebook by OAuth 2.0, and access to its Graph API.

        class FacebookLoginHandler(RequestHandler, FacebookGraphMixin):
            @asynchronous
            def get(self):
                if self.is_authentication_response():
                    self.get_authenticated_user(
                        redirect_uri="/auth/facebook", client_id=self.settings["facebook_api_key"],
                        client_secret=self.settings["facebook_secret"],
                        code=self.get_argument("code", None), callback=self.on_user)
                else:
                    self.authorize_redirect(
                        redirect_uri="/auth/facebook", client_id=self.settings["facebook_api_key"],
                        extra_params={"scope": "public_profile,email"})

            def on_user(self, user):
                if user is None:
                    raise HTTPError(403, "%s", self.auth_error)
                self.set_secure_cookie("user", user["id"])
                self.redirect(self.auth_next)

    A version of the API is available for about two years: `_FACEBOOK_GRAPH_VERSION` is the one
    place that names it.
    """
    _FACEBOOK_GRAPH_VERSION = "v26.0"
    _FACEBOOK_DIALOG_URL = "https://www.facebook.com"
    _FACEBOOK_BASE_URL = "https://graph.facebook.com"
    _FACEBOOK_FIELDS = ("id", "name", "first_name", "last_name", "email", "picture")

    @property
    def _OAUTH_AUTHORIZE_URL(self):
        return "%s/%s/dialog/oauth" % (self._FACEBOOK_DIALOG_URL, self._FACEBOOK_GRAPH_VERSION)

    @property
    def _OAUTH_ACCESS_TOKEN_URL(self):
        return "%s/%s/oauth/access_token" % (self._FACEBOOK_BASE_URL, self._FACEBOOK_GRAPH_VERSION)

    def _oauth_consumer_token(self):
        for name in ("facebook_api_key", "facebook_secret"):
            self.require_setting(name, "Facebook")
        return {"key": native_str(self.settings["facebook_api_key"]),
                "secret": native_str(self.settings["facebook_secret"])}

    def get_authenticated_user(self, redirect_uri=None, client_id=None, client_secret=None,
                               code=None, callback=None, extra_fields=None):
        """Call `callback(user)` with a dict that describes the user, at the end of a sign-in: in
        the handler to which Facebook sent the user.

        It has `id`, `name`, `first_name`, `last_name`, `email`, `picture` and the `extra_fields`,
        as far as the user allows; `access_token`, a text; and `session_expires`, the seconds for
        which that is valid. By default, `client_id` and `client_secret` are the settings
        facebook_api_key and facebook_secret.

        If the sign-in failed, the callback gets None, and `auth_error` is the AuthError. Without a
        callback this returns a Future, which raises it.
        """
        if callable(redirect_uri):
            redirect_uri, callback = None, redirect_uri
        if client_id is None or client_secret is None:
            token = self._oauth_consumer_token()
            client_id, client_secret = client_id or token["key"], client_secret or token["secret"]
        fields = sorted(set(self._FACEBOOK_FIELDS).union(extra_fields or ()))

        def then(exchange, flow, tokens):
            token = tokens["access_token"]
            expires = tokens.get("expires_in") or tokens.get("expires")
            query = {"access_token": token, "fields": ",".join(fields),
                     "appsecret_proof": _prove(token, client_secret)}
            exchange.fetch("%s?%s" % (self._graph("/me"), native_str(encode_form(query))),
                           lambda reply: got_user(exchange, flow, token, expires, reply.parse()))

        def got_user(exchange, flow, token, expires, user):
            if not user.get("id"):
                raise AuthError("provider", "the provider did not say who the user is")
            user = dict((name, user.get(name)) for name in fields)
            user["access_token"] = token
            if expires is not None:
                user["session_expires"] = str(expires)
            self._end_flow(exchange, flow, user)

        return self._get_token(redirect_uri, client_id, client_secret, code, callback, then)

    def facebook_request(self, path, callback=None, access_token=None, post_args=None, **args):
        """Make a request to the Graph API, such as ``/me/feed``, with `args` in the query and,
        unless it is None, `post_args` in a form.

        Calls `callback(reply)` with the parsed JSON, or with None if it failed: `auth_error` says
        why. Without a callback, returns a Future. `path` may be a whole URL. With the setting
        facebook_secret the request proves that it comes from this server (appsecret_proof).
        """
        url = self._graph(path)
        if access_token:
            args["access_token"] = access_token
            if self.settings.get("facebook_secret"):
                args["appsecret_proof"] = _prove(access_token, self.settings["facebook_secret"])
        return request_json(self, url, args, post_args, callback)

    def _graph(self, path):
        version = "/" + self._FACEBOOK_GRAPH_VERSION
        return url_of(self._FACEBOOK_BASE_URL + (
            "" if path.startswith(version + "/") else version), path)


def _prove(access_token, secret):
    return native_str(binascii.b2a_hex(
        hmac.new(utf8(secret), utf8(access_token), hashlib.sha256).digest()))


class FacebookMixin(AuthMixin):
    """Sign-in with Facebook Connect, the API of 2009. Facebook has shut it down: see
    `FacebookGraphMixin`.

    The class keeps programs that still name it running, against a server with the old API. The
    settings were `facebook_api_key` and `facebook_secret`.
    """
    _FACEBOOK_LOGIN_URL = "https://www.facebook.com/login.php"
    _FACEBOOK_REST_URL = "https://api.facebook.com/restserver.php"
    _FIELDS = ("uid", "first_name", "last_name", "name", "locale", "pic_square", "profile_url",
               "username")

    def authenticate_redirect(self, callback_uri=None, cancel_uri=None, extended_permissions=None,
                              callback=None):
        """Redirect to the provider, where the user signs in. `callback_uri` and `cancel_uri`, which
        may be relative, are where the user is sent afterwards. `extended_permissions` is a text
        with commas, or a list."""
        where = this_url(self, callback_uri)
        self.require_setting("facebook_api_key", "Facebook Connect")
        key = new_state(self)
        open_flow(self, key, [self._FACEBOOK_REST_URL, where], where)
        args = {"api_key": self.settings["facebook_api_key"], "v": "1.0", "fbconnect": "true",
                "display": "page", "return_session": "true",
                "next": "%s?auth_state=%s" % (where, key),
                "cancel_url": this_url(self, cancel_uri) if cancel_uri else None}
        if extended_permissions:
            if not isinstance(extended_permissions, (type(u""), str)):
                extended_permissions = ",".join(extended_permissions)
            args["req_perms"] = extended_permissions
        self.redirect("%s?%s" % (self._FACEBOOK_LOGIN_URL, native_str(encode_form(args))))
        if callback is not None:
            callback()
        return DONE

    def authorize_redirect(self, extended_permissions, callback_uri=None, cancel_uri=None,
                           callback=None):
        """Does the same as `authenticate_redirect`."""
        return self.authenticate_redirect(callback_uri, cancel_uri, extended_permissions, callback)

    def get_authenticated_user(self, callback=None):
        """Call `callback(user)` with a dict that describes the user, at the end of a sign-in, or
        with None; as in the other mixins."""
        def work(exchange):
            flow = self._take_flow(exchange, self.get_argument("auth_state", None),
                                   [self._FACEBOOK_REST_URL, this_url(self)])
            if flow is None:
                return
            try:
                session = json.loads(self.get_argument("session", ""))
                session_key, uid = session["session_key"], session["uid"]
            except (KeyError, TypeError, ValueError):
                raise AuthError("denied")
            self.facebook_request(
                "facebook.users.getInfo", exchange.then(lambda users: got(
                    exchange, flow, session, users)), session_key=session_key, uids=uid,
                fields=",".join(self._FIELDS))

        def got(exchange, flow, session, users):
            if not users:
                raise self.auth_error or AuthError("provider", "there is no such user")
            user = dict((name, users[0].get(name)) for name in self._FIELDS)
            user["session_key"] = session["session_key"]
            user["session_expires"] = session.get("expires")
            self._end_flow(exchange, flow, user)

        return run_exchange(self, work, callback)

    def facebook_request(self, method, callback=None, **args):
        """Call a method of the API, such as "stream.get", and then `callback(reply)`, or
        `callback(None)` if it failed: `auth_error` says why. Without a callback, returns a
        Future."""
        for name in ("facebook_api_key", "facebook_secret"):
            self.require_setting(name, "Facebook Connect")
        args.update(
            method=method if method.startswith("facebook.") else "facebook." + method,
            format="json", v="1.0", api_key=self.settings["facebook_api_key"],
            call_id="%d" % (time.time() * 1e6))
        args["sig"] = self._signature(args)
        return request_json(self, self._FACEBOOK_REST_URL, args, None, callback)

    def _signature(self, args):
        digest = hashlib.md5()
        for name, value in sorted(args.items()):
            digest.update(utf8(name) + b"=" + utf8(to_octets(value)))
        digest.update(utf8(self.settings["facebook_secret"]))
        return digest.hexdigest()
