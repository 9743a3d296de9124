"""Sends every line back to whoever sent it.

    python demos/tcpecho/server.py --port 8889
"""
from __future__ import absolute_import, division, print_function

import argparse
import sys

from friendserve.ioloop import IOLoop
from friendserve.netutil import bind_sockets
from friendserve.tcpserver import TCPServer

#: The longest line that is echoed, in bytes with its end; who sends a longer one is cut off.
MAX_LINE = 64 * 1024


class EchoConnection(object):
    """One client. The chain read, write, read keeps it alive and ends when the stream closes."""

    def __init__(self, stream):
        self.stream = stream
        self.read_line()

    def read_line(self):
        self.stream.read_until(b"\n", self.on_line, max_bytes=MAX_LINE)

    def on_line(self, line):
        # To read again only when the line is on its way holds back a client that does not read.
        self.stream.write(line, self.read_line)


class EchoServer(TCPServer):
    def handle_stream(self, stream, address):
        EchoConnection(stream)


def main():
    parser = argparse.ArgumentParser(description="Sends every line back to whoever sent it.")
    parser.add_argument("--port", type=int, default=8889, help="0 takes any that is free")
    parser.add_argument("--address", default="127.0.0.1")
    options = parser.parse_args()

    try:
        sockets = bind_sockets(options.port, options.address)
    except EnvironmentError as error:
        sys.exit("cannot listen on port %d: %s" % (options.port, error))
    server = EchoServer()
    server.add_sockets(sockets)
    print("echoing on %s:%d" % (options.address, sockets[0].getsockname()[1]))
    sys.stdout.flush()
    try:
        IOLoop.instance().start()
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()
