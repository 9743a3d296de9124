"""Streams: bytes in and out of an fd, by callbacks on a loop.

    sock = socket.socket()
    stream = IOStream(sock)
    stream.connect(("127.0.0.1", 8888), lambda: (
        stream.write(b"GET / HTTP/1.0\\r\\n\\r\\n"),
        stream.read_until_close(lambda data: (print(data), IOLoop.current().stop()))))
    IOLoop.current().start()

At most one read is pending at a time. Its callback runs once, from the loop, never inside the
call that asked for it. Writes are tried at once and only what does not fit is queued; each
write callback runs, or the close callback does. When the other side goes, what can be read is
delivered first, and then the close callback is called, once.

Nobody reads ahead of the reader: while no read is pending a stream takes one more buffer
from the fd and then leaves the rest with the kernel, which holds the sender back.

The other side may end its sending and go on receiving. A stream then lives on until what was
queued is sent and what came is read, and closes when nothing of that is left.
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
