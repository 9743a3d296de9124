"""Sends lines to the echo server and prints the echoes.

    python demos/tcpecho/client.py "one line" "and another"
    python demos/tcpecho/client.py < some_file
"""
from __future__ import absolute_import, division, print_function

import argparse
import socket
import sys

from friendserve.escape import native_str, utf8
from friendserve.ioloop import IOLoop
from friendserve.iostream import IOStream


class EchoClient(object):
    """Sends `lines` one at a time, each after the echo of the one before."""

    def __init__(self, address, lines):
        self.lines = iter(lines)
        self.done = False
        self.stream = IOStream(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        self.stream.set_close_callback(self.on_close)
        self.stream.connect(address, self.send_next)

    def send_next(self):
        line = next(self.lines, None)
        if line is None:
            self.done = True
            self.stream.close()
        else:
            self.stream.write(utf8(line.rstrip("\r\n") + "\n"))
            self.stream.read_until(b"\n", self.on_line)

    def on_line(self, line):
        print(native_str(line.rstrip(b"\n")))
        self.send_next()

    def on_close(self):
        """Called once: the connection failed, the server closed it, or all lines are done."""
        IOLoop.instance().stop()


def main():
    parser = argparse.ArgumentParser(
        description="Send lines to the echo server and print the echoes.")
    parser.add_argument("lines", nargs="*",
                        help="the lines to send (default: those of standard input)")
    parser.add_argument("--port", type=int, default=8889, help="the server's port (default: 8889)")
    parser.add_argument("--address", default="127.0.0.1",
                        help="the server's IPv4 address (default: 127.0.0.1)")
    options = parser.parse_args()

    client = EchoClient((options.address, options.port), options.lines or sys.stdin)
    IOLoop.instance().start()
    if not client.done:
        sys.exit("%s:%d did not echo every line" % (options.address, options.port))


if __name__ == "__main__":
    main()
