"""A daemon of socketserver, one thread for each client, with a status page.

    python demos/embed/socketserver_daemon.py --port=8870 --status-port=8880

It answers each line with the number of its words; try ``nc localhost 8870``. SIGTERM or Ctrl-C ends
it.

The status page runs on a loop in a separate thread (`LoopThread`). Other threads talk to it only by
``add_callback``.
"""
from __future__ import absolute_import, division, print_function

import argparse
import signal
import sys

from six.moves import socketserver

from friendserve.loopthread import LoopThread
from statuspage import StatusPage


class WordCounter(socketserver.StreamRequestHandler):
    def handle(self):
        self.server.report("count", "clients")
        self.server.report("tell", "%s:%d connected" % self.client_address[:2])
        for line in self.rfile:
            self.wfile.write(b"%d\n" % len(line.split()))
            self.server.report("count", "lines")

    def finish(self):
        socketserver.StreamRequestHandler.finish(self)
        self.server.report("count", "clients", -1)
        self.server.report("tell", "%s:%d left" % self.client_address[:2])


class Daemon(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def report(self, what, *args):
        """Have the status page `count` or `tell`. Called in any thread."""
        self.status_thread.io_loop.add_callback(getattr(self.page, what), *args)


def main():
    parser = argparse.ArgumentParser(description="Count the words of lines, in threads.")
    parser.add_argument("--port", type=int, default=8870)
    parser.add_argument("--status-port", type=int, default=8880)
    options = parser.parse_args()

    daemon = Daemon(("127.0.0.1", options.port), WordCounter)
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit())
    with LoopThread() as thread:
        daemon.status_thread = thread
        daemon.page = thread.call(StatusPage, "Word counter in threads", ["clients", "lines"])
        url = thread.call(daemon.page.listen, options.status_port)
        print("port %d, status page %s" % (daemon.server_address[1], url))
        sys.stdout.flush()
        try:
            daemon.serve_forever()
        except KeyboardInterrupt:
            pass
        daemon.server_close()


if __name__ == "__main__":
    main()
