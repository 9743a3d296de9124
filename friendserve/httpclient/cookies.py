"""Cookies of clients, kept in a jar of the standard library.

    from six.moves import http_cookiejar

    jar = http_cookiejar.CookieJar()
    AsyncHTTPClient().fetch(url, callback, cookie_jar=jar)

The jar decides what is kept and who gets it. A standard one bounds nothing: a program that asks
strangers' servers should give it a policy that names the domains it wants cookies of.
"""
from __future__ import absolute_import, division, print_function


class _Request(object):
    """A request as a jar of either Python wants to see it."""
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
    """A response as a jar of either Python wants to see it."""
    def __init__(self, headers):
        self._headers = headers

    def info(self):
        return self

    def get_all(self, name, default=None):
        return self._headers.get_list(name) or default

    def getheaders(self, name):
        return self._headers.get_list(name)


def cookie_for(jar, url, headers):
    """The value of a Cookie header for a request to a `friendserve.protocol.urls.URL`, or None.
    One that is in `headers` already stays alone."""
    request = _Request(url, headers)
    jar.add_cookie_header(request)
    return request.cookie


def keep_cookies(jar, url, headers):
    """Put the cookies of a response into the jar."""
    if "Set-Cookie" in headers:
        jar.extract_cookies(_Response(headers), _Request(url, headers))
