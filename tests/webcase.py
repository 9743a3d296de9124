"""Shared by the tests of the web package: applications on a real server on loopback."""
from __future__ import absolute_import, division, print_function

import functools
import logging

from six.moves.urllib.parse import urlencode

from friendserve.escape import utf8
from friendserve.web import Application, RequestHandler
from tests.httpcase import HTTPCase, LogCatcher

FORM = "application/x-www-form-urlencoded"


def request(path="/", method="GET", headers=(), body=None, version="1.1", host="example.com"):
    """The bytes of a request; `headers` are (name, value) pairs, `body` is bytes or a dict of a
    form's fields."""
    lines = ["%s %s HTTP/%s" % (method, path, version), "Host: " + host]
    if isinstance(body, dict):
        body = utf8(urlencode(body))
        lines.append("Content-Type: " + FORM)
    if body is not None:
        lines.append("Content-Length: %d" % len(body))
    lines.extend("%s: %s" % pair for pair in headers)
    head = "\r\n".join(lines) + "\r\n\r\n"
    return (head if isinstance(head, bytes) else head.encode("latin-1")) + (body or b"")


class WebCase(HTTPCase):
    """`records` are the log records of the last `ask`."""
    records = ()

    def serve_app(self, handlers=None, options=None, **settings):
        """Serve an Application with these handlers and settings; `options` are those of the
        server. Returns the Application."""
        self.app = Application(handlers, **settings)
        self.serve(self.app, **(options or {}))
        return self.app

    def ask(self, path="/", method="GET", *args, **kwargs):
        """The Response to one request, on a new connection."""
        with LogCatcher() as self.records:
            return self.fetch(request(path, method, *args, **kwargs), method)

    def logged(self, level=logging.DEBUG, access=False):
        """The messages logged during the last `ask`, from `level` up: those of the access log, or
        all others."""
        return [record.message for record in self.records
                if record.levelno >= level and (record.name == "friendserve.access") == access]

    def cookies_of(self, response):
        """{name: whole Set-Cookie line} of a response."""
        lines = response.headers.get_list("Set-Cookie")
        cookies = dict((line.partition("=")[0], line) for line in lines)
        self.assertEqual(len(cookies), len(lines), lines)
        return cookies


def handler(**methods):
    """A handler class with these functions as its methods."""
    return type(str("Handler"), (RequestHandler,), dict(
        (str(name), method) for name, method in methods.items()))


def _drop_tuple(result):
    return None if isinstance(result, tuple) else result


def _without_tuple(get):
    @functools.wraps(get)
    def get_without_tuple(self, *args, **kwargs):
        return _drop_tuple(get(self, *args, **kwargs))
    return get_without_tuple


class HandlerCase(WebCase):
    def serve_handler(self, get=None, settings=None, **methods):
        if get is not None:
            # A lambda makes several calls by a tuple, which is not meant as a response.
            methods["get"] = _without_tuple(get)
        self.serve_app([("/.*", handler(**methods))], **(settings or {}))

    def failing(self, function, error, *args):
        """Run a get that calls function(handler), which must raise `error` with these texts in its
        message."""
        seen = []

        def get(self):
            try:
                function(self)
            except error as exception:
                seen.append(str(exception))

        self.serve_handler(get)
        response = self.ask()
        self.assertEqual(len(seen), 1, self.logged())
        for text in args:
            self.assertIn(text, seen[0])
        return response
