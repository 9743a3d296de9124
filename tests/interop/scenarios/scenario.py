"""What the scenarios share, in terms of Tornado only, so that they run on it as well."""
from __future__ import absolute_import, division, print_function

import os
import socket
import subprocess
import time

from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import Application

#: How long one step may take, in seconds.
PATIENCE = 10


def run(start):
    """Call ``start(done)``, and run the loop until `done` is called; return what it got."""
    loop, results = IOLoop.instance(), []

    def done(*args):
        results.append(args)
        loop.stop()

    limit = loop.add_timeout(time.time() + PATIENCE, loop.stop)
    loop.add_callback(lambda: start(done))
    loop.start()
    loop.remove_timeout(limit)
    assert results, "nothing happened for %d seconds" % PATIENCE
    return results[0][0] if len(results[0]) == 1 else results[0]


def pause(seconds):
    """Run the loop for a while."""
    run(lambda done: IOLoop.instance().add_timeout(time.time() + seconds, done))


def find_port():
    with_socket = socket.socket()
    with_socket.bind(("127.0.0.1", 0))
    port = with_socket.getsockname()[1]
    with_socket.close()
    return port


def serve(handlers, **settings):
    """Serve an application, or the handlers of one. Returns the port."""
    if not isinstance(handlers, Application):
        handlers = Application(handlers, **settings)
    port = find_port()
    HTTPServer(handlers).listen(port, "127.0.0.1")
    return port


def fetch(port, path, **options):
    return run(lambda done: AsyncHTTPClient().fetch(
        "http://127.0.0.1:%d%s" % (port, path), done, **options))


def fetch_soon(port, path, **options):
    """Fetch from a program that is starting."""
    for attempt in range(50):
        response = fetch(port, path, **options)
        if response.code != 599:
            break
        pause(0.1)
    return response


class Program(object):
    """A program that runs during a with statement. Its output goes to where the scenario's goes."""

    def __init__(self, *command, **options):
        self._command, self._options = command, options

    def __enter__(self):
        self._process = subprocess.Popen(self._command, **self._options)
        return self._process

    def __exit__(self, *exc_info):
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait()


def wait_for_port(port):
    deadline = time.time() + PATIENCE
    while time.time() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except (OSError, IOError):
            time.sleep(0.05)
    raise AssertionError("no server on port %d" % port)


class Redis(Program):
    """A Redis server; its port."""

    def __init__(self):
        self.port = find_port()
        super(Redis, self).__init__(
            "redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
            stdout=open(os.devnull, "w"))

    def __enter__(self):
        super(Redis, self).__enter__()
        wait_for_port(self.port)
        return self.port


def equal(expected, value):
    assert expected == value, "%r is expected, not %r" % (expected, value)
