"""Sign-in by OAuth 2.0: the code flow (RFC 6749 4.1) with state and PKCE (RFC 7636)."""
from __future__ import absolute_import, division, print_function

from friendserve.auth.errors import AuthError
from friendserve.auth.exchange import (
    basic_credentials, encode_form, request_json, run_exchange)
from friendserve.auth.flows import new_state, open_flow, this_url
from friendserve.auth.mixin import AuthMixin
from friendserve.awaitable import DONE
from friendserve.escape import native_str


#: Parameters that authorize_redirect makes for each flow, so that a program cannot weaken it.
_OWN_PARAMETERS = frozenset(["state", "nonce", "code_challenge", "code_challenge_method"])


class OAuth2Mixin(AuthMixin):
    """Sign-in by OAuth 2.0.

        class LoginHandler(RequestHandler, ExampleMixin):
            @asynchronous
            def get(self):
                if self.is_authentication_response():
                    self.get_authenticated_user(self.on_user)
                else:
                    self.authorize_redirect(scope=["profile"])

            def on_user(self, user):
                if user is None:
                    raise HTTPError(403, "%s", self.auth_error)
                self.set_secure_cookie("user", user["id"])
                self.redirect(self.auth_next)

    A subclass for a provider defines `_OAUTH_AUTHORIZE_URL` and `_OAUTH_ACCESS_TOKEN_URL`; for
    `get_authenticated_user` also `_oauth_consumer_token`, which returns a dict with `key` and
    `secret`, and `_oauth_get_user(access_token, callback)`. `_OAUTH_CLIENT_AUTH` is "post" (the
    credentials are in the form), "basic" (RFC 6749 2.3.1) or "none" (a public client).
    """
    _OAUTH_CLIENT_AUTH = "post"

    #: The issuer identifier of the provider (RFC 9207), for one that sends it.
    _OAUTH_ISSUER = None

    def authorize_redirect(self, redirect_uri=None, client_id=None, client_secret=None,
                           extra_params=None, callback=None, scope=None, response_type="code"):
        """Redirect to the provider, where the user may allow this site to use their account.

        `redirect_uri`, which may be relative, is where the provider sends the user afterwards, by
        default the URL of this request; the handler there calls `get_authenticated_user`. `scope`
        is a list of texts; `extra_params` are further parameters, such as prompt or login_hint.
        Calls `callback()` after the redirect; without a callback, returns something awaitable.
        `client_secret` is not sent here.
        """
        where = this_url(self, redirect_uri)
        client_id = client_id or self._oauth_consumer_token()["key"]
        key = new_state(self)
        parameters = dict(extra_params or {})
        for name in _OWN_PARAMETERS.intersection(parameters):
            raise ValueError("extra_params must not contain %s, which is made for each sign-in; "
                             "the argument `next` of the request says where to go after it" % name)
        flow = open_flow(self, key, self._binding(client_id, where), where,
                         cross_site=parameters.get("response_mode") == "form_post")
        query = {"client_id": client_id, "redirect_uri": where, "response_type": response_type,
                 "state": key, "code_challenge": flow.challenge, "code_challenge_method": "S256",
                 "scope": " ".join(scope) if scope else None}
        query.update(self._more_parameters(flow))
        query.update(parameters)
        url = self._OAUTH_AUTHORIZE_URL
        self.redirect(url + ("&" if "?" in url else "?") + native_str(encode_form(query)))
        if callback is not None:
            callback()
        return DONE

    def is_authentication_response(self):
        """Whether this request is a return from the provider, with or without success."""
        return any(self.get_argument(name, None) is not None for name in ("code", "error"))

    def get_authenticated_user(self, callback=None):
        """Call `callback(user)` with a dict that describes the user, at the end of a sign-in: in
        the handler to which the provider sent the user. It contains `access_token`.

        If the sign-in failed, the callback gets None, and `auth_error` is the AuthError. Without a
        callback this returns a Future, which raises it.
        """
        token = self._oauth_consumer_token()

        def then(exchange, flow, reply):
            def got_user(user):
                if not user:
                    raise AuthError("provider", "the provider did not say who the user is")
                user["access_token"] = reply["access_token"]
                self._end_flow(exchange, flow, user)
            self._ask_for_user(exchange, reply, got_user)

        return self._get_token(this_url(self), token["key"], token["secret"], None, callback, then)

    def _oauth_consumer_token(self):
        """The credentials of this site at the provider: a dict with `key` and `secret`."""
        raise NotImplementedError("%s must define _oauth_consumer_token" % type(self).__name__)

    def _binding(self, client_id, where):
        return [self._OAUTH_ACCESS_TOKEN_URL, client_id, where]

    def _more_parameters(self, flow):
        """Further parameters of the redirect, from the flow."""
        return {}

    def _get_token(self, redirect_uri, client_id, client_secret, code, callback, then,
                   extra_params=None):
        """Exchange the code of this request for a token, and do `then(exchange, flow, reply)`."""
        where = this_url(self, redirect_uri)

        def work(exchange):
            flow = self._take_flow(exchange, self.get_argument("state", None),
                                   self._binding(client_id, where))
            if flow is None:
                return
            self._check_response()
            fields = dict(extra_params or {}, grant_type="authorization_code",
                          code=code or self.get_argument("code"), redirect_uri=where,
                          code_verifier=flow.verifier)
            self._post_to_token_url(exchange, client_id, client_secret, fields,
                                    lambda reply: then(exchange, flow, reply))

        return run_exchange(self, work, callback)

    def _check_response(self):
        """Raise AuthError for a return without a code, or from another provider."""
        issuer = self.get_argument("iss", None)
        if issuer is not None and self._OAUTH_ISSUER is not None and issuer != self._OAUTH_ISSUER:
            raise AuthError("issuer", "the response is from %s" % native_str(issuer[:200]))
        error = self.get_argument("error", None)
        if error is not None:
            detail = native_str(error[:100])
            description = self.get_argument("error_description", "")
            if description:
                detail += ": " + native_str(description[:500])
            raise AuthError("denied" if error in ("access_denied", "user_denied")
                            else "provider", detail)
        if not self.get_argument("code", None):
            raise AuthError("token", "the response has no code")

    def _post_to_token_url(self, exchange, client_id, client_secret, fields, then):
        """Send `fields` with the credentials of the client; then do `then(reply)` with the fields
        of the reply, which has a bearer token (RFC 6749 5.1, RFC 6750)."""
        headers = {}
        if self._OAUTH_CLIENT_AUTH == "basic":
            headers["Authorization"] = basic_credentials(client_id, client_secret or "")
        else:
            fields = dict(fields, client_id=client_id)
            if self._OAUTH_CLIENT_AUTH == "post":
                fields["client_secret"] = client_secret

        def got(reply):
            token = reply.parse()
            if not token.get("access_token") or not hasattr(token["access_token"], "split"):
                raise AuthError("token", "the reply has no access_token")
            kind = token.get("token_type", "bearer")
            if not hasattr(kind, "lower") or kind.lower() != "bearer":
                raise AuthError("token", "the token is of the type %s" % (kind,))
            then(token)

        exchange.post(self._OAUTH_ACCESS_TOKEN_URL, fields, got, headers)

    def _oauth_request_token_url(self, redirect_uri=None, client_id=None, client_secret=None,
                                 code=None, extra_params=None):
        """The URL to fetch a token from by GET, for programs that do so themselves."""
        query = dict(extra_params or {}, redirect_uri=redirect_uri, code=code,
                     client_id=client_id, client_secret=client_secret)
        return "%s?%s" % (self._OAUTH_ACCESS_TOKEN_URL, native_str(encode_form(query)))

    def oauth2_request(self, url, callback=None, access_token=None, post_args=None, **args):
        """Fetch a URL of the provider's API, with `args` in the query. With `post_args` it is a
        POST: a dict is sent as a form, and text, which is JSON, as it is. Calls `callback(reply)`
        with the parsed JSON, or with None if it failed: `auth_error` says why. Without a callback,
        returns a Future.

        `access_token` is sent in the Authorization header (RFC 6750 2.1), not in the URL, which
        ends up in logs.
        """
        headers = {"Authorization": "Bearer " + native_str(access_token)} if access_token else None
        return request_json(self, url, args, post_args, callback, headers)
