"""`tornado.websocket`: callbacks of a client get a Future, as in Tornado."""
from __future__ import absolute_import, division, print_function

import functools

from friendserve import websocket
from friendserve.concurrent import Future, future_of
from friendserve.ioloop import IOLoop
from friendserve.websocket import *  # noqa: F401,F403

__all__ = list(websocket.__all__)


def websocket_connect(url, io_loop=None, callback=None, connect_timeout=None,
                      on_message_callback=None, compression_options=None, **options):
    """Open a WebSocket, as `friendserve.websocket.websocket_connect` does, but the arguments have
    the order of Tornado 4, this always returns a Future, and `callback` is called with it."""
    if callback is None and io_loop is not None and not isinstance(io_loop, IOLoop):
        # Tornado 5 has no io_loop.
        io_loop, callback = None, io_loop
    future = Future()
    websocket.websocket_connect(
        url, callback=lambda connection: future.set_result(_adapt(connection)),
        on_error=future.set_exception, io_loop=io_loop, connect_timeout=connect_timeout,
        on_message_callback=on_message_callback, compression_options=compression_options,
        **options)
    if callback is not None:
        future.add_done_callback(callback)
    return future


def _adapt(connection):
    connection.read_message = functools.partial(_read_message, connection)
    return connection


def _read_message(connection, callback=None):
    future = future_of(websocket.WebSocketClientConnection.read_message, connection)
    if callback is not None:
        future.add_done_callback(callback)
    return future
