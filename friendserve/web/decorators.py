"""Decorators for the methods of handlers, and one for handlers."""
from __future__ import absolute_import, division, print_function

import functools

from six.moves.urllib.parse import urlencode, urlsplit

from friendserve.protocol.urls import quote_octets, to_octets
from friendserve.stack_context import ExceptionStackContext
from friendserve.web.errors import HTTPError


def asynchronous(method):
    """For a method that starts something and returns: the response is finished by `finish`.

    What its callbacks raise is answered with an error page, as if the method had raised it.
    """
    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        self._auto_finish = False
        with ExceptionStackContext(self._handle_exception):
            return method(self, *args, **kwargs)
    return wrapper


def stream_request_body(cls):
    """For a handler class that takes the body piece by piece in `data_received`.

    `prepare` is called when the headers are in, and the method after the last piece. An XSRF
    token must be in a header or in the query, for it is looked for before the body is there.
    """
    cls._streams_body = True
    return cls


def authenticated(method):
    """For a method that needs `current_user`: without one, GET and HEAD are redirected to
    the login URL, with the page that was asked for in the argument "next", and the others
    are refused with 403.

    "next" comes back from the browser, where anybody can write it: the login page must not
    redirect to another host because of it.
    """
    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        if not self.current_user:
            if self.request.method not in ("GET", "HEAD"):
                raise HTTPError(403)
            url = self.get_login_url()
            if "?" not in url:
                # A login page on another host needs to know where to come back to.
                next_url = self.request.full_url() if urlsplit(url).scheme else self.request.uri
                url += "?" + urlencode({"next": to_octets(next_url)})
            self.redirect(url)
            return None
        return method(self, *args, **kwargs)
    return wrapper


def _redirect_to_path(self, path):
    # "//evil.example" and "/\evil.example" would lead to another host.
    url = "/" + path.lstrip("/\\")
    if self.request.query:
        url += "?" + self.request.query
    self.redirect(quote_octets(url), permanent=True)


def removeslash(method):
    """For a method whose path ends without a slash: GET and HEAD with one are redirected,
    others refused with 404. "/" itself is served."""
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
    """For a method whose path ends with a slash: GET and HEAD without one are redirected,
    others refused with 404."""
    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        path = self.request.path
        if not path.endswith("/"):
            if self.request.method not in ("GET", "HEAD"):
                raise HTTPError(404)
            return _redirect_to_path(self, path + "/")
        return method(self, *args, **kwargs)
    return wrapper
