"""Sign-in by OpenID Connect with any issuer, given its URL."""
from __future__ import absolute_import, division, print_function

import time

from friendserve.auth.discovery import provider
from friendserve.auth.errors import AuthError
from friendserve.auth.exchange import encode_form, redirect_by_exchange, run_exchange
from friendserve.auth.flows import open_flow, new_state, this_url
from friendserve.auth.oauth2 import OAuth2Mixin
from friendserve.escape import native_str
from friendserve.ioloop import IOLoop
from friendserve.protocol.jose import (
    DEFAULT_ALGORITHMS, check_algorithms, check_hash, check_id_token, check_logout_token,
    secret_key, uses_secret, verify)
from friendserve.web import RequestHandler, asynchronous

_REFRESHES = "friendserve.auth.refreshes"
_LOGOUTS = "friendserve.auth.logouts"

#: Seconds for which the identifier of a logout token is remembered: longer than the token is valid.
_LOGOUT_MEMORY = 600


class OpenIDConnectMixin(OAuth2Mixin):
    """Sign-in by OpenID Connect, with any provider that has discovery: Keycloak, GitLab, Google,
    Auth0, a tenant of Microsoft and others.

        class LoginHandler(RequestHandler, OpenIDConnectMixin):
            @asynchronous
            def get(self):
                if self.is_authentication_response():
                    self.get_authenticated_user(self.on_user)
                else:
                    self.authenticate_redirect()

            def on_user(self, user):
                if user is None:
                    raise HTTPError(403, "%s", self.auth_error)
                self.set_secure_cookie("user", user["sub"])
                self.redirect(self.auth_next)

    The setting `openid_connect` is a dict with `issuer`, the URL exactly as the provider spells it,
    `key` (the client id) and `secret` (None for a public client). A program with several providers
    overrides `_oidc_client`, and gives each its own path as the redirect URI, so that a response
    from one cannot be taken for that of another. Needs ``friendserve[oidc]``.
    """
    #: The accepted algorithms of ID tokens. ("HS256",) alone means that the secret is the key.
    _OIDC_ALGORITHMS = DEFAULT_ALGORITHMS

    #: Whether to ask the provider for more about the user than the ID token says.
    _OIDC_USERINFO = True

    #: The most seconds since the user entered a password; None: no limit.
    _OIDC_MAX_AGE = None

    #: Another spelling of the issuer in ID tokens.
    _OIDC_ALIASES = ()

    def _oidc_client(self):
        """A dict with the `issuer`, and the `key` and `secret` of this site there."""
        self.require_setting("openid_connect", "OpenID Connect")
        return self.settings["openid_connect"]

    _oauth_consumer_token = _oidc_client

    def _load(self, exchange, then):
        """Do the step `then(provider)`."""
        found = provider(self._oidc_client()["issuer"])

        def loaded():
            self._OAUTH_AUTHORIZE_URL = found.metadata["authorization_endpoint"]
            self._OAUTH_ACCESS_TOKEN_URL = found.metadata["token_endpoint"]
            methods = found.metadata.get("token_endpoint_auth_methods_supported",
                                         ["client_secret_basic"])
            self._OAUTH_CLIENT_AUTH = "none" if not self._oidc_client().get("secret") else \
                "basic" if "client_secret_basic" in methods else "post"
            then(found)

        found.load(exchange, loaded)

    def _binding(self, client_id, where):
        return [self._oidc_client()["issuer"], client_id, where]

    def authenticate_redirect(self, callback_uri=None, scope=("openid", "email", "profile"),
                              extra_params=None, callback=None, http_client=None):
        """Redirect to the provider, where the user signs in.

        `callback_uri`, which may be relative, is where the provider sends the user afterwards, by
        default the URL of this request; the handler there calls `get_authenticated_user`.
        `extra_params` are further parameters, such as prompt, login_hint, ui_locales or
        response_mode; max_age is `_OIDC_MAX_AGE`, since it is checked at the end of the sign-in.
        Calls `callback()` after the redirect; without a callback, returns something awaitable.
        """
        check_algorithms(self._OIDC_ALGORITHMS)
        if "max_age" in (extra_params or {}):
            raise ValueError("set _OIDC_MAX_AGE instead of max_age in extra_params: it is checked "
                             "at the end of the sign-in")
        where = this_url(self, callback_uri)
        client_id = self._oidc_client()["key"]

        def work(exchange):
            self._load(exchange, lambda found: redirect(exchange))

        def redirect(exchange):
            key = new_state(self)
            query = dict(extra_params or {})
            flow = open_flow(self, key, self._binding(client_id, where), where,
                             cross_site=query.get("response_mode") == "form_post")
            query.update({
                "client_id": client_id, "redirect_uri": where, "response_type": "code",
                "scope": " ".join(scope), "state": key, "nonce": flow.nonce,
                "code_challenge": flow.challenge, "code_challenge_method": "S256",
                "max_age": None if self._OIDC_MAX_AGE is None else str(self._OIDC_MAX_AGE)})
            url = self._OAUTH_AUTHORIZE_URL
            self.redirect(url + ("&" if "?" in url else "?") + native_str(encode_form(query)))
            exchange.end(None)

        return redirect_by_exchange(self, work, callback, http_client)

    def get_authenticated_user(self, callback=None, http_client=None):
        """Call `callback(user)` with a dict that describes the user, at the end of a sign-in: in
        the handler to which the provider sent the user.

        It has the claims of the ID token, which is verified, and of the provider's userinfo: `sub`
        identifies the user at this provider; other keys are name, email, email_verified (see
        `is_allowed`), preferred_username, picture. It also has `access_token`, `id_token`,
        `expires_in` and, if the provider gives one, `refresh_token`.

        If the sign-in failed, the callback gets None, and `auth_error` is the AuthError. Without a
        callback this returns a Future, which raises it.
        """
        check_algorithms(self._OIDC_ALGORITHMS)
        client = self._oidc_client()
        where = this_url(self)

        def work(exchange):
            flow = self._take_flow(exchange, self.get_argument("state", None),
                                   self._binding(client["key"], where))
            if flow is not None:
                self._load(exchange, lambda found: loaded(exchange, flow, found))

        def loaded(exchange, flow, found):
            self._check_issuer(found)
            self._check_response()
            fields = {"grant_type": "authorization_code", "code": self.get_argument("code"),
                      "redirect_uri": where, "code_verifier": flow.verifier}
            self._post_to_token_url(exchange, client["key"], client.get("secret"), fields,
                                    lambda tokens: got_tokens(exchange, flow, found, tokens))

        def got_tokens(exchange, flow, found, tokens):
            self._verify_id_token(exchange, found, tokens, flow.nonce, lambda claims: verified(
                exchange, flow, found, tokens, claims))

        def verified(exchange, flow, found, tokens, claims):
            user = dict(claims)
            for name in ("access_token", "refresh_token", "id_token", "expires_in"):
                if name in tokens:
                    user[name] = tokens[name]
            url = found.metadata.get("userinfo_endpoint")
            if not url or not self._OIDC_USERINFO:
                return self._end_flow(exchange, flow, user)

            def got_userinfo(reply):
                fields = reply.parse()
                if fields.get("sub") != claims["sub"]:
                    raise AuthError("token", "the userinfo is about another user")
                # email_verified is about the address in the same set of claims.
                if "email" in user and fields.get("email") != user["email"]:
                    fields.pop("email_verified", None)
                elif "email" not in user and "email" in fields:
                    user.pop("email_verified", None)
                for name, value in fields.items():
                    user.setdefault(name, value)
                self._end_flow(exchange, flow, user)

            exchange.fetch(url, got_userinfo, headers={
                "Authorization": "Bearer " + native_str(tokens["access_token"])})

        return run_exchange(self, work, callback, http_client)

    def _check_issuer(self, found):
        """Raise AuthError for a response from another provider (RFC 9207 2.4)."""
        issuer = self.get_argument("iss", None)
        if issuer is None:
            if found.metadata.get("authorization_response_iss_parameter_supported") is True:
                raise AuthError("issuer", "the response does not say who it is from")
        elif issuer != found.issuer:
            raise AuthError("issuer", "the response is from %s" % native_str(issuer[:200]))

    def _verify_id_token(self, exchange, found, tokens, nonce, then):
        """Do the step `then(claims)` with the claims of the ID token among `tokens`."""
        client = self._oidc_client()
        token = tokens.get("id_token")
        if not token or not hasattr(token, "split"):
            raise AuthError("token", "the reply has no id_token")

        def check(header, claims):
            check_id_token(claims, (found.issuer,) + tuple(self._OIDC_ALIASES), client["key"],
                           time.time(), nonce, None if nonce is None else self._OIDC_MAX_AGE)
            check_hash(claims, "at_hash", tokens["access_token"], header["alg"])
            if nonce is not None:
                check_hash(claims, "c_hash", self.get_argument("code"), header["alg"])
            then(claims)

        self._verify_token(exchange, found, token, check)

    def _verify_token(self, exchange, found, token, then, types=("jwt",)):
        """Do the step `then(header, claims)` with the contents of a token that the provider
        signed."""
        def check(keys):
            header, claims = verify(token, keys, self._OIDC_ALGORITHMS, types)
            then(header, claims)

        if uses_secret(self._OIDC_ALGORITHMS):
            check([secret_key(self._oidc_client().get("secret") or "")])
        else:
            found.with_keys(exchange, check)

    def refresh(self, refresh_token, callback=None, subject=None):
        """Get new tokens for a refresh token: calls `callback(tokens)` with a dict that has
        `access_token`, `expires_in` and `refresh_token`, which must be stored in place of the old
        one, since many providers accept each only once. Fails as `get_authenticated_user` does.

        Calls for one refresh token that are made at the same time share one request. `subject` is
        the `sub` of the user, which a new ID token must have too.
        """
        check_algorithms(self._OIDC_ALGORITHMS)
        client = self._oidc_client()
        key = client["issuer"], refresh_token

        def work(exchange):
            flights = IOLoop.current().attachments.setdefault(_REFRESHES, {})
            for ended in [one for one in flights if flights[one].has_ended()]:
                del flights[ended]
            if key in flights:
                flights[key].followers.append(exchange)
            else:
                flights[key] = exchange
                self._load(exchange, lambda found: send(exchange, found))

        def send(exchange, found):
            fields = {"grant_type": "refresh_token", "refresh_token": refresh_token}
            self._post_to_token_url(exchange, client["key"], client.get("secret"), fields,
                                    lambda tokens: got(exchange, found, tokens))

        def got(exchange, found, tokens):
            tokens.setdefault("refresh_token", refresh_token)
            if not tokens.get("id_token"):
                return exchange.end(tokens)

            def verified(claims):
                if subject is not None and claims["sub"] != subject:
                    raise AuthError("token", "the new ID token is about another user")
                exchange.end(tokens)
            self._verify_id_token(exchange, found, tokens, None, verified)

        return run_exchange(self, work, callback)

    def end_session_redirect(self, id_token=None, callback_uri="/", state=None, callback=None):
        """Redirect to the provider to end the session there too (OpenID Connect RP-Initiated
        Logout). The program deletes its own cookies first. `callback_uri`, which must be registered
        there, is where the user returns to. If the provider has no page for this, redirect to
        `callback_uri` directly."""
        where = this_url(self, callback_uri)

        def work(exchange):
            self._load(exchange, lambda found: redirect(exchange, found))

        def redirect(exchange, found):
            url = found.metadata.get("end_session_endpoint")
            if url:
                url += ("&" if "?" in url else "?") + native_str(encode_form({
                    "id_token_hint": id_token, "post_logout_redirect_uri": where, "state": state,
                    "client_id": self._oidc_client()["key"]}))
            self.redirect(url or where)
            exchange.end(None)

        return redirect_by_exchange(self, work, callback)


class BackChannelLogoutHandler(RequestHandler, OpenIDConnectMixin):
    """Receives the provider's message that a session has ended (OpenID Connect Back-Channel Logout
    1.0). A subclass defines `on_logout`, and is registered with the provider by its URL."""

    def check_xsrf_cookie(self):
        """Accept every request: its token authenticates it."""

    _check_origin = check_xsrf_cookie

    def on_logout(self, sid, sub):
        """End the sessions begun with an ID token that had this `sid`, or, if it is None, all
        sessions of the user `sub`."""
        raise NotImplementedError("%s must define on_logout" % type(self).__name__)

    @asynchronous
    def post(self):
        check_algorithms(self._OIDC_ALGORITHMS)
        token = self.get_body_argument("logout_token", "")
        self.set_header("Cache-Control", "no-store")

        def work(exchange):
            self._load(exchange, lambda found: self._verify_token(
                exchange, found, token, lambda header, claims: check(exchange, found, claims),
                types=("jwt", "logout+jwt")))

        def check(exchange, found, claims):
            check_logout_token(claims, (found.issuer,), self._oidc_client()["key"], time.time())
            self._check_once(found.issuer, claims["jti"])
            exchange.end(claims)

        run_exchange(self, work, self._on_claims)

    def _check_once(self, issuer, jti):
        loop = IOLoop.current()
        seen = loop.attachments.setdefault(_LOGOUTS, {})
        for key in [key for key, until in seen.items() if until < loop.time()]:
            del seen[key]
        if (issuer, jti) in seen:
            raise AuthError("token", "the logout token was used before")
        seen[issuer, jti] = loop.time() + _LOGOUT_MEMORY

    def _on_claims(self, claims):
        if claims is None:
            # Back-Channel Logout 2.8. An error page would lose the header above.
            self.set_status(400)
            return self.finish({"error": "invalid_request", "error_description":
                                self.auth_error.reason + ": " + self.auth_error.detail})
        self.on_logout(claims.get("sid"), claims.get("sub"))
        self.finish()
