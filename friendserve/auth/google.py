"""Sign-in with Google."""
from __future__ import absolute_import, division, print_function

from friendserve.auth.mixin import consumer_from_settings
from friendserve.auth.oauth import OAuthMixin
from friendserve.auth.openid import OpenIdMixin
from friendserve.auth.openidconnect import OpenIDConnectMixin


class GoogleOAuth2Mixin(OpenIDConnectMixin):
    """Sign-in with Google by OpenID Connect; see `OpenIDConnectMixin`.

    The setting `google_oauth` is a dict with `key` and `secret`, from console.cloud.google.com,
    where each redirect URI is registered too. Only the claim `hd` says that a user belongs to a
    Google Workspace domain; `is_allowed` checks it.
    """
    _OAUTH_SETTINGS_KEY = "google_oauth"
    _OIDC_ISSUER = "https://accounts.google.com"
    _OAUTH_USERINFO_URL = "https://openidconnect.googleapis.com/v1/userinfo"
    # The only provider whose tokens may omit the scheme (Google's documentation of sign-in).
    _OIDC_ALIASES = ("accounts.google.com",)
    # For programs that use these addresses; the mixin takes them from the issuer.
    _OAUTH_AUTHORIZE_URL = "https://accounts.google.com/o/oauth2/v2/auth"
    _OAUTH_ACCESS_TOKEN_URL = "https://oauth2.googleapis.com/token"

    def _oidc_client(self):
        self.require_setting(self._OAUTH_SETTINGS_KEY, "OpenID Connect of Google")
        return dict(self.settings[self._OAUTH_SETTINGS_KEY], issuer=self._OIDC_ISSUER)

    _oauth_consumer_token = _oidc_client

    def get_authenticated_user(self, redirect_uri=None, code=None, callback=None,
                               http_client=None):
        """Call `callback(user)` at the end of a sign-in, as `OpenIDConnectMixin` does.

        `redirect_uri` and `code` were needed in Tornado 3 to 5; here they are taken from this
        request. If the first argument is callable, it is the callback.
        """
        if callable(redirect_uri):
            redirect_uri, callback = None, redirect_uri
        return super(GoogleOAuth2Mixin, self).get_authenticated_user(callback, http_client)


class GoogleMixin(OpenIdMixin, OAuthMixin):
    """Sign-in with Google by OpenID 2.0, with OAuth 1.0 in the same step. Google removed both on 20
    April 2015: see `GoogleOAuth2Mixin`.

    The class keeps programs that still name it running, and shows how a provider of both protocols
    is described. The settings were `google_consumer_key` and `google_consumer_secret`.
    """
    _OPENID_ENDPOINT = "https://www.google.com/accounts/o8/ud"
    _OPENID_CLAIMED_ID = "https://www.google.com/accounts/o8/id"
    _OAUTH_ACCESS_TOKEN_URL = "https://www.google.com/accounts/OAuthGetAccessToken"

    def authorize_redirect(self, oauth_scope, callback_uri=None,
                           ax_attrs=("name", "email", "language", "username"), callback=None):
        """Like `authenticate_redirect`, but also ask for access to `oauth_scope`, a URL or several
        separated by spaces. The user then has an `access_token`."""
        return self._redirect_with_openid(callback_uri, ax_attrs, oauth_scope, callback)

    def _on_verified(self, exchange, flow, user):
        request_token = user.pop("_request_token", None)
        if request_token is None:
            return self._end_flow(exchange, flow, user)
        url = self._OAUTH_ACCESS_TOKEN_URL

        def got(reply):
            fields = reply.parse()
            user["access_token"] = {"key": fields["oauth_token"],
                                    "secret": fields["oauth_token_secret"]}
            self._end_flow(exchange, flow, user)

        # An approved request token of this extension has no secret.
        exchange.post(url, self._sign("POST", url, {}, {"key": request_token, "secret": ""}), got)

    def _oauth_consumer_token(self):
        return consumer_from_settings(self, "google", "Google OAuth")
