"""Decorators for handlers and their methods."""
from __future__ import absolute_import, division, print_function

import functools

from six.moves.urllib.parse import urlencode, urlsplit

from friendserve.protocol.urls import quote_octets, to_octets
from friendserve.stack_context import ExceptionStackContext
from friendserve.web.errors import HTTPError


def asynchronous(method):
    """For a method that starts work and returns before it is done: a call of `finish` ends the
    response, and the method's return does not.

    An exception in one of its callbacks is answered with an error page, as one in the method is.
    """
    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        self._auto_finish = False
        with ExceptionStackContext(self._handle_exception):
            return method(self, *args, **kwargs)
    return wrapper


def stream_request_body(cls):
    """For a handler class that receives the body piece by piece in `data_received`.

    `prepare` is called after the headers have arrived, and the method after the last piece. An
    XSRF token must be in a header or in the query, because it is checked before the body arrives.
    """
    cls._streams_body = True
    return cls


def authenticated(method):
    """For a method that needs `current_user`. Without one, GET and HEAD are redirected to the login
    URL, with the requested page in the argument "next"; other methods are refused with 403.

    Anyone can make up a link with another "next", so the login page must not redirect to another
    host because of it: see `is_safe_next`.
    """
    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        if not self.current_user:
            if self.request.method not in ("GET", "HEAD"):
                raise HTTPError(403)
            url = self.get_login_url()
            if "?" not in url:
                # A login page on another host needs the full URL to return to.
                next_url = self.request.full_url() if urlsplit(url).scheme else self.request.uri
                url += "?" + urlencode({"next": to_octets(next_url)})
            self.redirect(url)
            return None
        return method(self, *args, **kwargs)
    return wrapper


def _redirect_to_path(self, path):
    # Browsers take "//evil.example" and "/\evil.example" for URLs of another host.
    url = "/" + path.lstrip("/\\")
    if self.request.query:
        url += "?" + self.request.query
    self.redirect(quote_octets(url), permanent=True)


def removeslash(method):
    """For a method whose path does not end with a slash. If it does, GET and HEAD are redirected
    and other methods refused with 404. "/" itself is served."""
    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        path = self.request.path
        if path.endswith("/") and path.rstrip("/"):
            if self.request.method not in ("GET", "HEAD"):
                raise HTTPError(404)
            return _redirect_to_path(self, path.rstrip("/"))
        return method(self, *args, **kwargs)
    return wrapper


def addslash(method):
    """For a method whose path ends with a slash. If it does not, GET and HEAD are redirected and
    other methods refused with 404."""
    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        path = self.request.path
        if not path.endswith("/"):
            if self.request.method not in ("GET", "HEAD"):
                raise HTTPError(404)
            return _redirect_to_path(self, path + "/")
        return method(self, *args, **kwargs)
    return wrapper
