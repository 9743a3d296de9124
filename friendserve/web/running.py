"""A program that serves one application, in one call."""
from __future__ import absolute_import, division, print_function

import logging
import signal
import sys

from friendserve import autoreload
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop
from friendserve.log import enable_pretty_logging
from friendserve.netutil import bind_sockets

#: Seconds for which requests in progress may go on after Ctrl-C or SIGTERM.
_GRACE = 10
GRACE_IN_DEVELOPMENT = 0.3


def run(application, port, address, grace=_GRACE, **server_options):
    """Serve `application` until SIGINT or SIGTERM; see `Application.run`."""
    if not logging.getLogger().handlers:
        enable_pretty_logging()
    server = HTTPServer(application, **server_options)
    try:
        sockets = bind_sockets(port, address=address)
    except (EnvironmentError, ValueError, TypeError) as error:
        sys.exit("cannot listen: %s" % (getattr(error, "strerror", None) or error))
    server.add_sockets(sockets)
    loop = IOLoop.current()
    if application.settings.get("autoreload"):
        # A developer wants the prompt back.
        grace = min(grace, GRACE_IN_DEVELOPMENT)
    stop = _Stop(loop, server, grace)
    handles = [loop.add_signal_handler(number, stop)
               for number in (signal.SIGINT, signal.SIGTERM)]
    scheme = "https" if server_options.get("ssl_options") else "http"
    sys.stderr.write("Serving on %s (Ctrl-C to stop)\n" % " and ".join(
        _url(scheme, sock) for sock in sockets))
    sys.stderr.flush()
    try:
        loop.start()
    finally:
        for handle in handles:
            loop.remove_signal_handler(handle)
        server.stop()


def _url(scheme, sock):
    host, port = sock.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    return "%s://%s:%d/" % (scheme, "[%s]" % host if ":" in host else host, port)


class _Stop(object):
    """Called for each signal: the first lets requests in progress end, the second does not."""

    def __init__(self, loop, server, grace):
        self._loop = loop
        self._server = server
        self._grace = grace
        self._stopping = False

    def __call__(self):
        if self._stopping:
            self._loop.stop()
            return
        self._stopping = True
        autoreload.end()
        self._server.graceful_stop(self._grace, self._loop.stop)
