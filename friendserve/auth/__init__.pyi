from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from friendserve.httpclient import AsyncHTTPClient
from friendserve.web import RequestHandler

__all__ = ["AuthError", "BackChannelLogoutHandler", "FacebookGraphMixin", "FacebookMixin",
    "FriendFeedMixin", "GoogleMixin", "GoogleOAuth2Mixin", "OAuth2Mixin", "OAuthMixin",
    "OpenIDConnectMixin", "OpenIdMixin", "REASONS", "TwitterMixin", "TwitterOAuth2Mixin",
    "is_allowed"]

class AuthError(Exception):
    reason: str
    detail: str
    message: str
    def __init__(self, reason: str, detail: str = '', message: str | None = None) -> None: ...

class BackChannelLogoutHandler(RequestHandler, OpenIDConnectMixin):
    def check_xsrf_cookie(self) -> None: ...
    def on_logout(self, sid: str | None, sub: str | None) -> Any: ...
    def post(self) -> None: ...

class FacebookGraphMixin(OAuth2Mixin):
    def get_authenticated_user(  # type: ignore[override]
        self, redirect_uri: str | None = None, client_id: str | None = None,
        client_secret: str | None = None, code: str | None = None,
        callback: Callable[..., Any] | None = None,
        extra_fields: dict[str, Any] | None = None
    ) -> Awaitable[Any]: ...
    def facebook_request(
        self, path: str, callback: Callable[..., Any] | None = None, access_token: Any = None,
        post_args: dict[str, Any] | str | None = None, **args: Any
    ) -> Awaitable[Any]: ...

class FacebookMixin:
    def authenticate_redirect(
        self, callback_uri: str | None = None, cancel_uri: str | None = None,
        extended_permissions: Iterable[str] | None = None,
        callback: Callable[..., Any] | None = None
    ) -> Awaitable[Any]: ...
    def authorize_redirect(
        self, extended_permissions: Iterable[str], callback_uri: str | None = None,
        cancel_uri: str | None = None, callback: Callable[..., Any] | None = None
    ) -> Awaitable[Any]: ...
    def get_authenticated_user(
        self, callback: Callable[..., Any] | None = None
    ) -> Awaitable[Any]: ...
    def facebook_request(
        self, method: str, callback: Callable[..., Any] | None = None, **args: Any
    ) -> Awaitable[Any]: ...
    auth_error: AuthError | None
    auth_next: str
    def get_auth_http_client(self) -> AsyncHTTPClient: ...

class FriendFeedMixin(OAuthMixin):
    def friendfeed_request(
        self, path: str, callback: Callable[..., Any] | None = None, access_token: Any = None,
        post_args: dict[str, Any] | str | None = None, **args: Any
    ) -> Awaitable[Any]: ...

class GoogleMixin(OpenIdMixin, OAuthMixin):
    def authorize_redirect(  # type: ignore[override]
        self, oauth_scope: str, callback_uri: str | None = None,
        ax_attrs: Iterable[str] = ..., callback: Callable[..., Any] | None = None
    ) -> Awaitable[Any]: ...

class GoogleOAuth2Mixin(OpenIDConnectMixin):
    def get_authenticated_user(  # type: ignore[override]
        self, redirect_uri: str | None = None, code: str | None = None,
        callback: Callable[..., Any] | None = None,
        http_client: AsyncHTTPClient | None = None
    ) -> Awaitable[Any]: ...

class OAuth2Mixin:
    def authorize_redirect(
        self, redirect_uri: str | None = None, client_id: str | None = None,
        client_secret: str | None = None, extra_params: dict[str, Any] | None = None,
        callback: Callable[..., Any] | None = None, scope: Iterable[str] | None = None,
        response_type: str = 'code'
    ) -> Awaitable[Any]: ...
    def is_authentication_response(self) -> bool: ...
    def get_authenticated_user(
        self, callback: Callable[..., Any] | None = None
    ) -> Awaitable[Any]: ...
    def oauth2_request(
        self, url: str, callback: Callable[..., Any] | None = None, access_token: Any = None,
        post_args: dict[str, Any] | str | None = None, **args: Any
    ) -> Awaitable[Any]: ...
    auth_error: AuthError | None
    auth_next: str
    def get_auth_http_client(self) -> AsyncHTTPClient: ...

class OAuthMixin:
    def authorize_redirect(
        self, callback_uri: str | None = None, extra_params: dict[str, Any] | None = None,
        http_client: AsyncHTTPClient | None = None,
        callback: Callable[..., Any] | None = None
    ) -> Awaitable[Any]: ...
    def get_authenticated_user(
        self, callback: Callable[..., Any] | None = None,
        http_client: AsyncHTTPClient | None = None
    ) -> Awaitable[Any]: ...
    auth_error: AuthError | None
    auth_next: str
    def get_auth_http_client(self) -> AsyncHTTPClient: ...

class OpenIDConnectMixin(OAuth2Mixin):
    def authenticate_redirect(
        self, callback_uri: str | None = None, scope: Iterable[str] = ...,
        extra_params: dict[str, Any] | None = None,
        callback: Callable[..., Any] | None = None,
        http_client: AsyncHTTPClient | None = None
    ) -> Awaitable[Any]: ...
    def get_authenticated_user(
        self, callback: Callable[..., Any] | None = None,
        http_client: AsyncHTTPClient | None = None
    ) -> Awaitable[Any]: ...
    def refresh(
        self, refresh_token: str, callback: Callable[..., Any] | None = None,
        subject: str | None = None
    ) -> Awaitable[Any]: ...
    def end_session_redirect(
        self, id_token: str | None = None, callback_uri: str = '/', state: str | None = None,
        callback: Callable[..., Any] | None = None
    ) -> Awaitable[Any]: ...

class OpenIdMixin:
    def authenticate_redirect(
        self, callback_uri: str | None = None, ax_attrs: Iterable[str] = ...,
        callback: Callable[..., Any] | None = None
    ) -> Awaitable[Any]: ...
    def is_authentication_response(self) -> bool: ...
    def get_authenticated_user(
        self, callback: Callable[..., Any] | None = None,
        http_client: AsyncHTTPClient | None = None
    ) -> Awaitable[Any]: ...
    auth_error: AuthError | None
    auth_next: str
    def get_auth_http_client(self) -> AsyncHTTPClient: ...

REASONS: dict[Any, Any]

class TwitterMixin(OAuthMixin):
    def authenticate_redirect(
        self, callback_uri: str | None = None, callback: Callable[..., Any] | None = None
    ) -> Awaitable[Any]: ...
    def twitter_request(
        self, path: str, callback: Callable[..., Any] | None = None, access_token: Any = None,
        post_args: dict[str, Any] | str | None = None, **args: Any
    ) -> Awaitable[Any]: ...

class TwitterOAuth2Mixin(OAuth2Mixin):
    def twitter_request(
        self, path: str, callback: Callable[..., Any] | None = None, access_token: Any = None,
        post_args: dict[str, Any] | str | None = None, **args: Any
    ) -> Awaitable[Any]: ...

def is_allowed(
    user: dict[str, Any] | None, emails: str | Iterable[str] = ...,
    domains: str | Iterable[str] = ...
) -> bool: ...
