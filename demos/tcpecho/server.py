"""Sends every line back to the client that sent it.

    python demos/tcpecho/server.py --port 8889
"""
from __future__ import absolute_import, division, print_function

import argparse
import sys

from friendserve.ioloop import IOLoop
from friendserve.netutil import bind_sockets
from friendserve.tcpserver import TCPServer

#: The longest line, in bytes with its end; a client that sends a longer one is disconnected.
MAX_LINE = 64 * 1024


class EchoConnection(object):
    """One client. It reads, writes and reads again until the stream closes; the pending read keeps
    it alive."""

    def __init__(self, stream):
        self.stream = stream
        self.read_line()

    def read_line(self):
        self.stream.read_until(b"\n", self.on_line, max_bytes=MAX_LINE)

    def on_line(self, line):
        # Read again only once the line is written, so a client that does not read cannot fill
        # memory.
        self.stream.write(line, self.read_line)


class EchoServer(TCPServer):
    def handle_stream(self, stream, address):
        EchoConnection(stream)


def main():
    parser = argparse.ArgumentParser(
        description="Send every line back to the client that sent it.")
    parser.add_argument("--port", type=int, default=8889,
                        help="the port to listen on; 0 for any free one (default: 8889)")
    parser.add_argument("--address", default="127.0.0.1",
                        help="the address to listen on (default: 127.0.0.1)")
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
