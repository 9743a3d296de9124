"""Sign-in with other sites by OpenID, OAuth, OAuth 2 and OpenID Connect, and some of these sites.

Each mixin is a part of a RequestHandler: it sends the browser to the provider, and when the browser
returns, calls back with the user. If the sign-in failed, it calls back with None, and `auth_error`
says why.
"""
from __future__ import absolute_import, division, print_function

from friendserve.auth.access import is_allowed
from friendserve.auth.errors import REASONS, AuthError
from friendserve.auth.facebook import FacebookGraphMixin, FacebookMixin
from friendserve.auth.friendfeed import FriendFeedMixin
from friendserve.auth.google import GoogleMixin, GoogleOAuth2Mixin
from friendserve.auth.oauth import OAuthMixin
from friendserve.auth.oauth2 import OAuth2Mixin
from friendserve.auth.openid import OpenIdMixin
from friendserve.auth.openidconnect import BackChannelLogoutHandler, OpenIDConnectMixin
from friendserve.auth.twitter import TwitterMixin, TwitterOAuth2Mixin
from friendserve.util import set_public_module

__all__ = ["AuthError", "BackChannelLogoutHandler", "FacebookGraphMixin", "FacebookMixin",
           "FriendFeedMixin", "GoogleMixin", "GoogleOAuth2Mixin", "OAuth2Mixin", "OAuthMixin",
           "OpenIDConnectMixin", "OpenIdMixin", "REASONS", "TwitterMixin", "TwitterOAuth2Mixin",
           "is_allowed"]

set_public_module(globals())
