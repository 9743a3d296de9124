"""Sends lines to the echo server and prints what comes back.

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
    """Sends `lines` one at a time, each when the one before has come back."""

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
        """Called once, whoever closed: the server was never there, left early, or we are done."""
        IOLoop.instance().stop()


def main():
    parser = argparse.ArgumentParser(description="Sends lines to the echo server.")
    parser.add_argument("lines", nargs="*", help="without any, the lines of standard input")
    parser.add_argument("--port", type=int, default=8889)
    parser.add_argument("--address", default="127.0.0.1", help="an IPv4 address")
    options = parser.parse_args()

    client = EchoClient((options.address, options.port), options.lines or sys.stdin)
    IOLoop.instance().start()
    if not client.done:
        sys.exit("%s:%d did not echo every line" % (options.address, options.port))


if __name__ == "__main__":
    main()
