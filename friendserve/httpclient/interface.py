"""`AsyncHTTPClient`: the client of a loop, whichever does the work."""
from __future__ import absolute_import, division, print_function

import functools
import time

from friendserve.httpclient.messages import HTTPRequest
from friendserve.ioloop import IOLoop
from friendserve.protocol.urls import parse_url
from friendserve.stack_context import state, wrap
from friendserve.util import Configurable, import_object

#: The key in `IOLoop.attachments` of the loop's clients, a dict of them by their class.
_ATTACHED_AS = "friendserve.httpclient"


def _ignore(response):
    """The callback of those who do not want to know."""


class AsyncHTTPClient(Configurable):
    """A client of one loop, which all code on that loop shares.

    The constructor returns the same client for the same loop (`io_loop`, or the current one),
    until it is closed; `force_instance` makes one apart, with settings of its own.
    `configure` chooses the implementation and its settings; `defaults` is a dict of values for
    what an HTTPRequest leaves open. Further settings are those of the implementation.

    For implementers: `fetch_impl(request, callback)` gets a request that is checked, complete
    and its own, and calls `callback(response)` exactly once; that schedules the call into
    the application. ``request.original_request`` is for the response.
    """
    @classmethod
    def configurable_base(cls):
        return AsyncHTTPClient

    @classmethod
    def configurable_default(cls):
        # By name: it stands above this module.
        return import_object("friendserve.simple_httpclient.SimpleAsyncHTTPClient")

    def __new__(cls, io_loop=None, force_instance=False, **kwargs):
        io_loop = io_loop or IOLoop.current()
        if force_instance:
            return super(AsyncHTTPClient, cls).__new__(cls, io_loop=io_loop, **kwargs)
        # Kept on the loop, so that they live no longer than it does.
        clients = io_loop.attachments.setdefault(_ATTACHED_AS, {})
        kind = cls.configured_class() if cls is AsyncHTTPClient else cls
        client = clients.get(kind)
        if client is None:
            client = clients[kind] = super(AsyncHTTPClient, cls).__new__(
                cls, io_loop=io_loop, **kwargs)
        return client

    def initialize(self, io_loop=None, defaults=None):
        self.io_loop = io_loop or IOLoop.current()
        self.defaults = dict(HTTPRequest._DEFAULTS, **(defaults or {}))
        self._plain = None, None        # the request of `_get`, and the defaults it was made of
        self._closed = False

    def close(self):
        """Fetch no more, and give back all connections. Callbacks of requests that are under
        way are called with an error. Needless for a client that lives as long as its loop."""
        if self._closed:
            return
        self._closed = True
        clients = self.io_loop.attachments.get(_ATTACHED_AS, {})
        for kind in [kind for kind in clients if clients[kind] is self]:
            del clients[kind]

    def fetch(self, request, callback=None, raise_error=True, **kwargs):
        """Fetch a URL or an HTTPRequest and call `callback(response)` with an HTTPResponse.

        It is called exactly once, from the loop, in the stack context of this call; whatever
        went wrong on the way is ``response.error``. `kwargs` are those of HTTPRequest, for a
        URL. `raise_error` is for those to whom a fetch returns something, such as
        `HTTPClient.fetch`, and changes nothing here.

        Raises ValueError at once for what cannot be sent, and RuntimeError when the client is
        closed.
        """
        if self._closed:
            raise RuntimeError("this HTTP client is closed")
        if isinstance(request, HTTPRequest):
            if kwargs:
                raise ValueError("options go into the HTTPRequest, where there is one: %s"
                                 % ", ".join(sorted(kwargs)))
            own = request.copy()
            own.original_request = request
            own.complete(self.defaults)
        elif kwargs:
            own = HTTPRequest(request, **kwargs)
            own.complete(self.defaults)
        else:
            own = self._get(request)
        if callback is None:
            callback = _ignore
        elif state.contexts:
            callback = wrap(callback)
        elif not callable(callback):
            raise TypeError("a callback must be a callable, not %r" % (callback,))
        self.fetch_impl(own, functools.partial(self.io_loop.add_callback, callback))

    def _get(self, url):
        """The complete request for a URL and no more: one is made, and the others are copies."""
        plain, defaults = self._plain
        if defaults != self.defaults:
            plain = HTTPRequest(url)
            plain.complete(self.defaults)
            self._plain = plain, dict(self.defaults)
        own = plain.copy()
        own.url = url
        own.start_time = time.time()
        parse_url(url)
        return own

    def fetch_impl(self, request, callback):
        """Fetch a complete request; to be overridden."""
        raise NotImplementedError("%s must define fetch_impl" % type(self).__name__)
