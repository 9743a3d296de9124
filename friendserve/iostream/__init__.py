"""Streams: non-blocking reads and writes on an fd, with callbacks from a loop.

    sock = socket.socket()
    stream = IOStream(sock)
    stream.connect(("127.0.0.1", 8888), lambda: (
        stream.write(b"GET / HTTP/1.0\\r\\n\\r\\n"),
        stream.read_until_close(lambda data: (print(data), IOLoop.current().stop()))))
    IOLoop.current().start()

`IOStream` is over a plain socket, `SSLIOStream` over one with TLS, `PipeIOStream` over a pipe;
`BaseIOStream` is the base for streams over other kinds of fd.

At most one read is pending at a time. Its callback is called once, from the loop, never inside the
call that started it. A write is tried at once, and only what the system does not accept is queued.
Either its callback is called or the close callback is. When the peer disconnects, all that can be
read is delivered first, and then the close callback is called, once.

A stream does not read ahead: while no read is pending it reads one more chunk from the fd and
leaves the rest in the kernel, which slows the sender down.

With TLS, the peer must announce its end (close_notify); otherwise data may be missing, and `error`
says so. See `SSLIOStream.require_close_notify`.

The peer may stop sending and continue to receive. The stream then stays open until everything
queued is sent and everything received is read.
"""
from __future__ import absolute_import, division, print_function

from friendserve.iostream.base import BaseIOStream, StreamClosedError
from friendserve.iostream.buffers import StreamBufferFullError, UnsatisfiableReadError
from friendserve.iostream.pipe import PipeIOStream
from friendserve.iostream.sockets import IOStream, SSLIOStream
from friendserve.util import set_public_module

__all__ = ["BaseIOStream", "IOStream", "SSLIOStream", "PipeIOStream", "StreamClosedError",
           "StreamBufferFullError", "UnsatisfiableReadError"]

set_public_module(globals())
