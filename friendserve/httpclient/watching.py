"""Errors of fetches that a program did not look at, for debug mode.

    watch_fetches(io_loop)

From then on, the clients of this loop log a warning for each failed fetch whose callback drops the
response without a look at its `error`, `code` or `reason`, or a call of `rethrow`. The clients'
method `fetch` is replaced for this; without the call, a fetch does nothing more.
"""
from __future__ import absolute_import, division, print_function

import functools

from friendserve.httpclient.interface import on_each_client
from friendserve.httpclient.messages import HTTPResponse
from friendserve.ioloop.callbacks import calling_place, name_and_place
from friendserve.log import app_log


def watch_fetches(io_loop):
    """Watch the fetches of the clients that a loop has and will have."""
    on_each_client(io_loop, _watch_client)


def _watch_client(client):
    client.fetch = functools.partial(_fetch, client)


def _fetch(client, request, callback=None, raise_error=True, on_error=None, **kwargs):
    if callback is not None and on_error is None:
        callback = functools.partial(_call, callback, "%s:%d" % calling_place())
    return type(client).fetch(client, request, callback, raise_error, on_error, **kwargs)


def _call(callback, place, response):
    error = response.error
    if error is not None and type(response) is HTTPResponse:
        response._unseen = _Unseen("%r, asked for at %s: %s" % (response.request, place, error),
                                   name_and_place(callback)[0])
        response.__class__ = _FailedResponse
    return callback(response)


class _Unseen(object):
    """Logs an error when it is dropped, unless the program has looked at it."""
    # Not __del__ of the response itself: on Python 2 that would keep cycles from being freed.
    def __init__(self, error, callback):
        self.error = error
        self.callback = callback
        self.is_seen = False

    def __del__(self):
        if not self.is_seen:
            app_log.warning("The callback %s dropped the error of a fetch: %s. Look at "
                            "response.error, or call response.rethrow()", self.callback, self.error)


def _noting(name):
    """A property for an attribute of a response; to read it counts as a look at the error."""
    def read(response):
        response._unseen.is_seen = True
        return response.__dict__[name]
    return property(read, lambda response, value: response.__dict__.__setitem__(name, value))


class _FailedResponse(HTTPResponse):
    __doc__ = HTTPResponse.__doc__

    code = _noting("code")
    reason = _noting("reason")

    @property
    def error(self):
        """As that of HTTPResponse."""
        self._unseen.is_seen = True
        return super(_FailedResponse, self).error


_FailedResponse.__name__ = HTTPResponse.__name__
