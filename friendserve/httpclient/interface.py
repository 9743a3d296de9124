"""`AsyncHTTPClient`: the interface of a loop's client, whichever implementation does the work."""
from __future__ import absolute_import, division, print_function

import functools
import time
import warnings

from friendserve.awaitable import future_of
from friendserve.httpclient.errors import HTTPTransferError
from friendserve.httpclient.messages import HTTPRequest, HTTPResponse
from friendserve.ioloop import IOLoop
from friendserve.log import app_log
from friendserve.protocol.urls import parse_url
from friendserve.stack_context import state, wrap
from friendserve.util import Configurable, import_object, load_with_loop

#: The key in `IOLoop.attachments` for a dict of the loop's clients by their class.
_ATTACHED_AS = "friendserve.httpclient"
#: The same for what `on_each_client` was given.
_PREPARED_BY = "friendserve.httpclient.on_each_client"


def _choose(callback, on_error, response):
    if response.error is not None:
        on_error(response.error)
    elif callback is not None:
        callback(response)


def _refusal(request, own, error):
    """The response to a request, given as an HTTPRequest or a URL, that cannot be sent."""
    if not isinstance(request, HTTPRequest):
        request = own or HTTPRequest(request)
    return HTTPResponse(request, 599, error=HTTPTransferError(str(error), "request", error),
                        request_time=0, start_time=request.start_time)


class AsyncHTTPClient(Configurable):
    """The client of a loop, shared by all code on that loop.

    The constructor returns the same client for the same loop (`io_loop`, or the current one)
    until it is closed, and warns if it therefore ignores other settings; a subclass that is called
    by its own name has its own. With `force_instance` it makes a separate one, with separate
    settings. As in Tornado 1 and 2, a number in the place of `force_instance` is `max_clients`,
    which `force_instance` follows; as in Tornado 5, `force_instance` may come first.
    `configure` chooses the implementation and its settings. `defaults` is a dict of values for
    options that an HTTPRequest leaves None; of "headers", each applies to requests without a header
    of that name. The implementation defines the other settings.

    For implementers: `fetch_impl(request, callback)` gets a copy of the request that is checked
    and complete, and calls `callback(response)` exactly once, which schedules the application's
    callback. ``response.request`` should be ``request.original_request``.
    """
    @classmethod
    def configurable_base(cls):
        return AsyncHTTPClient

    @classmethod
    def configurable_default(cls):
        # By name: that module imports this one.
        return import_object("friendserve.simple_httpclient.SimpleAsyncHTTPClient")

    def __new__(cls, io_loop=None, force_instance=False, *args, **kwargs):
        if isinstance(io_loop, bool):
            io_loop, force_instance = None, io_loop
        elif type(force_instance) is int:
            kwargs["max_clients"] = force_instance
            force_instance, args = args[:1] == (True,), args[1:]
        if args:
            raise TypeError("%s: too many positional arguments" % cls.__name__)
        io_loop = io_loop or IOLoop.current()
        if force_instance:
            return super(AsyncHTTPClient, cls).__new__(cls, io_loop=io_loop, **kwargs)
        # Kept on the loop, so that they live no longer than the loop.
        clients = io_loop.attachments.setdefault(_ATTACHED_AS, {})
        # A subclass may be configurable apart from this class.
        is_base = cls is AsyncHTTPClient or cls is cls.configurable_base()
        kind = cls, cls.configured_class() if is_base else cls
        client = clients.get(kind)
        if client is None:
            client = clients[kind] = super(AsyncHTTPClient, cls).__new__(
                cls, io_loop=io_loop, **kwargs)
            client._settings = kwargs
        elif kwargs and kwargs != client._settings:
            warnings.warn("%s: this loop already has such a client, so these settings are ignored: "
                          "%s; with force_instance=True they would be those of a separate client"
                          % (cls.__name__, ", ".join(sorted(kwargs))), RuntimeWarning, stacklevel=2)
        return client

    def initialize(self, io_loop=None, defaults=None):
        self.io_loop = io_loop or IOLoop.current()
        self.defaults = dict(HTTPRequest._DEFAULTS, **(defaults or {}))
        if defaults and defaults.get("decompress_response") is not None:
            # It precedes its old name, as in an HTTPRequest.
            self.defaults.pop("use_gzip", None)
        prepare = self.io_loop.attachments.get(_PREPARED_BY)
        if prepare is not None:
            prepare(self)
        self._plain = None, None        # the template of `_get`, and the defaults it was made with
        self._closed = False

    def close(self):
        """Close all connections and accept no more fetches. Fetches that have not ended get an
        HTTPClientClosedError. A client that lives as long as its loop need not be closed."""
        if self._closed:
            return
        self._closed = True
        clients = self.io_loop.attachments.get(_ATTACHED_AS, {})
        for kind in [kind for kind in clients if clients[kind] is self]:
            del clients[kind]

    def fetch(self, request, callback=None, raise_error=True, on_error=None, **kwargs):
        """Fetch a URL or an HTTPRequest and call `callback(response)` with an HTTPResponse.

        It is called exactly once, from the loop, in the stack context of this call; if the
        fetch fails, ``response.error`` says why. With `on_error`, that is called with this error
        instead. Without both, this returns a Future of the response, or of the error if
        `raise_error`. `kwargs` are the options of HTTPRequest, and are allowed only with a URL.

        A URL, method, header or body that cannot be sent makes the fetch fail like any other, with
        the ValueError as `real_error`, because it may be data. Raises ValueError synchronously for
        other options that the client does not support, TypeError for a value of a wrong type, and
        RuntimeError if the client is closed.
        """
        if self._closed:
            raise RuntimeError("this HTTP client is closed")
        if on_error is not None:
            callback = functools.partial(_choose, wrap(callback), wrap(on_error))
        elif callback is None:
            if raise_error:
                return future_of(self.fetch, request, **kwargs)
            return future_of(self._fetch_any, request, **kwargs)
        if state.contexts:
            callback = wrap(callback)
        elif not callable(callback):
            raise TypeError("a callback must be a callable, not %r" % (callback,))
        callback = functools.partial(self.io_loop.add_callback, callback)
        if kwargs and isinstance(request, HTTPRequest):
            raise ValueError("set these options on the HTTPRequest, not in fetch: %s"
                             % ", ".join(sorted(kwargs)))
        own = None
        try:
            if isinstance(request, HTTPRequest):
                own = request.copy()
                own.original_request = request
                own.complete(self.defaults)
            elif kwargs:
                own = HTTPRequest(request, **kwargs)
                own.complete(self.defaults)
            else:
                own = self._get(request)
        except ValueError as error:
            callback(_refusal(request, own, error))
        else:
            self.fetch_impl(own, callback)

    def _fetch_any(self, request, callback, on_error, **kwargs):
        """`fetch` for a Future that does not raise the error of a response."""
        self.fetch(request, callback, **kwargs)

    def _get(self, url):
        """The complete request for a URL without options: a copy of a template, which is cheaper
        than completing each one."""
        plain, defaults = self._plain
        if defaults != self.defaults:
            plain = HTTPRequest(url)
            plain.complete(self.defaults)
            self._plain = plain, dict(self.defaults)
        own = plain.copy()
        own.url = url
        own.start_time = time.time()
        if parse_url(url).username is not None:
            # The template has those of the defaults.
            own.auth_username = own.auth_password = None
        return own

    def handle_callback_exception(self, callback):
        """Log the exception that is being handled. Only implementations of Tornado 2 call it."""
        app_log.error("Exception in callback %r", callback, exc_info=True)

    def fetch_impl(self, request, callback):
        """Called by `fetch` with a complete request. To be overridden."""
        raise NotImplementedError("%s must define fetch_impl" % type(self).__name__)


def on_each_client(io_loop, prepare):
    """Call `prepare(client)` for each client that a loop shares now, and for each that is made for
    it from now on."""
    io_loop.attachments[_PREPARED_BY] = prepare
    for client in io_loop.attachments.get(_ATTACHED_AS, {}).values():
        prepare(client)


load_with_loop(AsyncHTTPClient.configured_class)
