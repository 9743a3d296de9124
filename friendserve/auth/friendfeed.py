"""Sign-in with FriendFeed, for old programs."""
from __future__ import absolute_import, division, print_function

from friendserve.auth.mixin import consumer_from_settings, url_of
from friendserve.auth.oauth import OAuthMixin


class FriendFeedMixin(OAuthMixin):
    """Sign-in with FriendFeed by OAuth 1.0. FriendFeed closed on 9 April 2015.

    The class keeps programs that still name it running, and shows how a provider is described. The
    settings were `friendfeed_consumer_key` and `friendfeed_consumer_secret`.
    """
    _FRIENDFEED_BASE_URL = "https://friendfeed-api.com/v2"
    _OAUTH_AUTHORIZE_URL = "https://friendfeed.com/account/oauth/authorize"
    _OAUTH_REQUEST_TOKEN_URL = "https://friendfeed.com/account/oauth/request_token"
    _OAUTH_ACCESS_TOKEN_URL = "https://friendfeed.com/account/oauth/access_token"
    # FriendFeed supported neither verifiers nor a callback_uri.
    _OAUTH_VERSION = "1.0"
    _OAUTH_NO_CALLBACKS = True

    def friendfeed_request(self, path, callback=None, access_token=None, post_args=None, **args):
        """Make a request to the API, as `TwitterMixin.twitter_request` does."""
        url = url_of(self._FRIENDFEED_BASE_URL, path)
        return self._oauth_request(url, callback, access_token, post_args, args)

    def _oauth_consumer_token(self):
        return consumer_from_settings(self, "friendfeed", "FriendFeed OAuth")

    def _oauth_get_user(self, access_token, callback):
        def got(user):
            if user:
                user["username"] = user.get("id")
            callback(user)
        self.friendfeed_request("/feedinfo/" + access_token["username"], got,
                                access_token=access_token, include="id,name,description")
