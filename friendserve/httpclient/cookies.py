"""Cookies for clients, kept in a cookie jar of the standard library.

    from six.moves import http_cookiejar

    jar = http_cookiejar.CookieJar()
    AsyncHTTPClient().fetch(url, callback, cookie_jar=jar)

The jar decides which cookies are kept, and which server gets them. The standard jar has no limits:
a program that fetches from untrusted servers should give it a policy that names the domains
whose cookies it wants.
"""
from __future__ import absolute_import, division, print_function


class _Request(object):
    """A request with the interface that cookie jars expect, on Python 2 and on 3."""
    unverifiable = False

    def __init__(self, url, headers):
        self.type = url.scheme
        self.host = url.authority
        self.origin_req_host = url.host
        self._url = url.text
        self._headers = headers
        self.cookie = None

    def get_full_url(self):
        return self._url

    def get_host(self):
        return self.host

    def get_type(self):
        return self.type

    def is_unverifiable(self):
        return self.unverifiable

    def get_origin_req_host(self):
        return self.origin_req_host

    def has_header(self, name):
        return name in self._headers

    def get_header(self, name, default=None):
        return self._headers.get(name, default)

    def header_items(self):
        return list(self._headers.items())

    def add_unredirected_header(self, name, value):
        if name == "Cookie":
            self.cookie = value


class _Response(object):
    """A response with the interface that cookie jars expect, on Python 2 and on 3."""
    def __init__(self, headers):
        self._headers = headers

    def info(self):
        return self

    def get_all(self, name, default=None):
        return self._headers.get_list(name) or default

    def getheaders(self, name):
        return self._headers.get_list(name)


def cookie_for(jar, url, headers):
    """The value of the Cookie header for a request to `url` (a `friendserve.protocol.urls.URL`), or
    None. If `headers` has a Cookie header already, the jar adds nothing to it."""
    request = _Request(url, headers)
    jar.add_cookie_header(request)
    return request.cookie


def keep_cookies(jar, url, headers):
    """Store the cookies of a response in the jar."""
    if "Set-Cookie" in headers:
        jar.extract_cookies(_Response(headers), _Request(url, headers))
