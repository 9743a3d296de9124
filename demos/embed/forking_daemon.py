"""A daemon that forks a child for each client, with a pid file, signals, and a status page.

    python demos/embed/forking_daemon.py --port=8870 --status-port=8880 --pid-file=/tmp/words.pid
    kill $(cat /tmp/words.pid)

It answers each line with the number of its words; try ``nc localhost 8870``. SIGTERM ends it and
its children. ``--foreground`` keeps it in the terminal.

The daemon has its own main loop, over select. The loop of the status page is one of the files that
it waits for: ``fileno()`` is readable when ``run_once()`` has something to do, and ``wait_time()``
is the longest wait. Forks need two calls: ``after_fork()`` in the process that continues as the
daemon, and ``close(all_fds=True)`` in children that have nothing to do with the page.
"""
from __future__ import absolute_import, division, print_function

import argparse
import os
import select
import signal
import socket
import sys

from friendserve.ioloop import IOLoop
from statuspage import StatusPage


class Daemon(object):
    def __init__(self, options):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", options.port))
        self.listener.listen(128)
        self.children = {}          # pid -> the name of its client
        self.io_loop = IOLoop()
        self.page = StatusPage("Word counter in processes", ["clients", "served"])
        url = self.page.listen(options.status_port)
        print("port %d, status page %s" % (self.listener.getsockname()[1], url))
        sys.stdout.flush()

    def run(self):
        # These wake the loop, and so the select below.
        self.io_loop.add_signal_handler(signal.SIGTERM, self.io_loop.stop)
        self.io_loop.add_signal_handler(signal.SIGINT, self.io_loop.stop)
        self.io_loop.add_signal_handler(signal.SIGCHLD, self.reap)
        while not self.io_loop.stopped():
            try:
                ready = select.select([self.listener, self.io_loop.fileno()], [], [],
                                      self.io_loop.wait_time())[0]
            except select.error:
                ready = []          # Python 2: a signal has interrupted it.
            if self.listener in ready:
                self.accept()
            self.io_loop.run_once(0)
        self.listener.close()
        while self.children:
            for pid in self.children:
                # Sent again if need be: a child that was just forked still has our handler.
                os.kill(pid, signal.SIGTERM)
            self.io_loop.run_once(0.1)
        self.io_loop.close(all_fds=True)

    def accept(self):
        client, address = self.listener.accept()
        pid = os.fork()
        if not pid:
            try:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                self.listener.close()
                self.io_loop.close(all_fds=True)    # the copies of this child only
                serve(client)
            finally:
                os._exit(0)
        client.close()
        self.children[pid] = "%s:%d" % address
        self.page.count("clients")
        self.page.tell("process %d serves %s" % (pid, self.children[pid]))

    def reap(self):
        for pid in list(self.children):
            if os.waitpid(pid, os.WNOHANG)[0]:
                self.page.count("clients", -1)
                self.page.count("served")
                self.page.tell("%s left process %d" % (self.children.pop(pid), pid))


def serve(client):
    """Answer the lines of a client until it leaves."""
    lines = client.makefile("rb")
    for line in lines:
        client.sendall(b"%d\n" % len(line.split()))


def daemonize():
    """Continue in the background, without the terminal."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.close(null)


def main():
    parser = argparse.ArgumentParser(description="Count the words of lines, in processes.")
    parser.add_argument("--port", type=int, default=8870)
    parser.add_argument("--status-port", type=int, default=8880)
    parser.add_argument("--pid-file", default="words.pid")
    parser.add_argument("--foreground", action="store_true")
    options = parser.parse_args()

    # Errors, such as that of a port in use, are still seen in the terminal.
    daemon = Daemon(options)
    if not options.foreground:
        daemonize()
        daemon.io_loop.after_fork()
    with open(options.pid_file, "w") as pid_file:
        pid_file.write("%d\n" % os.getpid())
    try:
        daemon.run()
    finally:
        os.remove(options.pid_file)


if __name__ == "__main__":
    main()
