"""Sign-in with X, formerly Twitter."""
from __future__ import absolute_import, division, print_function

from friendserve.auth.mixin import consumer_from_settings, url_of
from friendserve.auth.oauth import OAuthMixin
from friendserve.auth.oauth2 import OAuth2Mixin


class TwitterMixin(OAuthMixin):
    """Sign-in with X (Twitter) by OAuth 1.0a.

        class TwitterLoginHandler(RequestHandler, TwitterMixin):
            @asynchronous
            def get(self):
                if self.get_argument("oauth_token", None) or self.get_argument("denied", None):
                    self.get_authenticated_user(self.on_user)
                else:
                    self.authenticate_redirect()

            def on_user(self, user):
                if user is None:
                    raise HTTPError(403, "%s", self.auth_error)
                self.set_secure_cookie("user", user["username"])
                self.redirect(self.auth_next)

    The settings `twitter_consumer_key` and `twitter_consumer_secret` are the credentials of the
    application, registered at developer.x.com; since 2026, use of the API is charged for. The URLs
    are attributes of the class, in case they change, and for tests.
    """
    _OAUTH_REQUEST_TOKEN_URL = "https://api.x.com/oauth/request_token"
    _OAUTH_ACCESS_TOKEN_URL = "https://api.x.com/oauth/access_token"
    _OAUTH_AUTHORIZE_URL = "https://api.x.com/oauth/authorize"
    _OAUTH_AUTHENTICATE_URL = "https://api.x.com/oauth/authenticate"
    _TWITTER_BASE_URL = "https://api.x.com"
    _TWITTER_USER_PATH = "/2/users/me"

    def authenticate_redirect(self, callback_uri=None, callback=None):
        """Like `authorize_redirect`, but a user who is signed in there and has given permission
        before is sent back at once."""
        return self._redirect_with_token(self._OAUTH_AUTHENTICATE_URL, callback_uri, None, None,
                                         callback)

    def twitter_request(self, path, callback=None, access_token=None, post_args=None, **args):
        """Make a request to the API, such as ``/2/users/me``, with `args` in the query. With
        `post_args` it is a POST: JSON text, which version 2 of the API takes, is sent as it is, and
        a dict as a form.

            self.twitter_request("/2/tweets", self.on_posted, access_token=token,
                                 post_args=json_encode({"text": "Hello"}))

        Calls `callback(reply)` with the parsed JSON, or with None if it failed: `auth_error` says
        why. Without a callback, returns a Future. `path` may be a whole URL. `access_token` is that
        of a user.
        """
        url = url_of(self._TWITTER_BASE_URL, path)
        return self._oauth_request(url, callback, access_token, post_args, args)

    def _oauth_consumer_token(self):
        return consumer_from_settings(self, "twitter", "Twitter OAuth")

    def _oauth_get_user(self, access_token, callback):
        self.twitter_request(self._TWITTER_USER_PATH, lambda reply: callback(_to_user(reply)),
                             access_token=access_token)


class TwitterOAuth2Mixin(OAuth2Mixin):
    """Sign-in with X by OAuth 2.0 with PKCE: used like `OAuth2Mixin`, with the scopes
    tweet.read and users.read at least.

    The setting `twitter_oauth2` is a dict with `key` and `secret`. The access token is valid for
    two hours; with the scope offline.access the user has a `refresh_token`.
    """
    _OAUTH_AUTHORIZE_URL = "https://x.com/i/oauth2/authorize"
    _OAUTH_ACCESS_TOKEN_URL = "https://api.x.com/2/oauth2/token"
    _OAUTH_CLIENT_AUTH = "basic"
    _TWITTER_BASE_URL = "https://api.x.com"
    _OAUTH_SETTINGS_KEY = "twitter_oauth2"

    def twitter_request(self, path, callback=None, access_token=None, post_args=None, **args):
        """Like that of `TwitterMixin`, but `access_token` is a text."""
        url = url_of(self._TWITTER_BASE_URL, path)
        return self.oauth2_request(url, callback, access_token, post_args, **args)

    def _oauth_consumer_token(self):
        self.require_setting(self._OAUTH_SETTINGS_KEY, "OAuth 2 of X")
        return self.settings[self._OAUTH_SETTINGS_KEY]

    def _oauth_get_user(self, access_token, callback):
        def got(reply):
            user = _to_user(reply)
            if user is not None and access_token.get("refresh_token"):
                user["refresh_token"] = access_token["refresh_token"]
            callback(user)
        self.twitter_request("/2/users/me", got, access_token=access_token["access_token"])


def _to_user(reply):
    """The dict for a user, from a reply of version 2 or 1.1 of the API."""
    if not reply:
        return None
    user = dict(reply.get("data", reply))
    user["username"] = user.get("username") or user.get("screen_name")
    return user if user["username"] else None
