"""What happens to clients that wait while a service reloads: `python
demos/benchmark/reload/waiting.py [COUNT [GRACE]]`.

COUNT WebSockets (500) and as many long polls are open when the service with two workers is told to
reload (HUP), with GRACE seconds (30) for what is open. Each client must be told, and reconnect to a
new worker; one that reconnects to a worker that is yet to be replaced is told twice. The exit
status is 1 if a client was not told, or failed.
"""
from __future__ import absolute_import, division, print_function

import os
import signal
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, ROOT)

from friendserve.escape import json_decode  # noqa: E402
from friendserve.httpclient import AsyncHTTPClient, HTTPRequest  # noqa: E402
from friendserve.ioloop import IOLoop  # noqa: E402
from friendserve.websocket import websocket_connect  # noqa: E402


class Waiting(object):
    """The clients. `times` are those at which WebSockets were told, in seconds after the reload."""
    def __init__(self, loop, port, count):
        self.loop, self.port, self.count = loop, port, count
        self.http = AsyncHTTPClient(max_clients=count + 1, force_instance=True)
        self.began = None
        self.open, self.codes, self.times, self.polls, self.failed = {}, {}, [], [], []
        self.old = set()        # the workers before the reload

    def start(self):
        for number in range(self.count):
            self.connect(number)
            self.poll(None)

    def connect(self, number):
        found = []

        def on_message(message):
            if message is None:
                self.on_close(number, found[0].close_code)
            else:
                self.open[number] = message
                if self.began is None:
                    self.old.add(message)

        websocket_connect("ws://127.0.0.1:%d/talk" % self.port, found.append,
                          on_message_callback=on_message, connect_timeout=60,
                          on_error=self.fail)

    def on_close(self, number, code):
        del self.open[number]
        self.codes[code] = self.codes.get(code, 0) + 1
        self.times.append(self.loop.time() - self.began)
        self.connect(number)

    def poll(self, cursor):
        url = "http://127.0.0.1:%d/poll%s" % (self.port, "?cursor=" + cursor if cursor else "")
        self.http.fetch(HTTPRequest(url, request_timeout=300, connect_timeout=60), self.on_poll)

    def on_poll(self, response):
        if response.error:
            return self.fail(response.error)
        answer = json_decode(response.body)
        self.polls.append(self.loop.time() - self.began)
        self.poll(answer["cursor"])

    def fail(self, error):
        self.failed.append(str(error))

    def is_open(self):
        return len(self.open) == self.count

    def is_over(self):
        return len(self.polls) >= self.count and self.back() == self.count or self.failed

    def back(self):
        """How many WebSockets are open at a new worker."""
        return len([1 for worker in self.open.values() if worker not in self.old])


def wait(loop, condition, seconds):
    """Whether the condition was true in time."""
    end = loop.time() + seconds

    def check():
        if condition() or loop.time() > end:
            loop.stop()
        else:
            loop.call_later(0.05, check)

    check()
    loop.start()
    return condition()


def free_port():
    sock = socket.socket()
    try:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
    finally:
        sock.close()


def main(count=500, grace=30):
    """Run the measurement, and return the exit status."""
    count, grace, port = int(count), float(grace), free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "friendserve", "serve", "--processes=2", "--access-log=none",
         "--logging=error", "--bind=127.0.0.1:%d" % port, "--graceful-timeout=%g" % grace,
         "service:application"], cwd=HERE, env=dict(os.environ, PYTHONPATH=ROOT))
    loop = IOLoop(make_current=True)
    loop.install()
    clients = Waiting(loop, port, count)
    try:
        wait(loop, lambda: not socket.socket().connect_ex(("127.0.0.1", port)), 20)
        clients.start()
        opened = wait(loop, clients.is_open, 60)
        # The polls have arrived too.
        wait(loop, lambda: False, 1)
        clients.began = loop.time()
        server.send_signal(signal.SIGHUP)
        over = opened and wait(loop, clients.is_over, grace + 30)
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait()
    return report(clients, over)


def report(clients, over):
    """Print what happened, and return the exit status."""
    times = sorted(clients.times)
    print("%d WebSockets were told %d times, by the codes %s, and %d are open at a new worker" % (
        clients.count, len(times), sorted(clients.codes.items()), clients.back()))
    if times:
        span = times[-1] - times[0] or 1.0
        tenths = [0] * 10
        for time in times:
            tenths[min(9, int(10 * (time - times[0]) / span))] += 1
        print("WebSockets closed from %.1f to %.1f s after HUP; in each tenth of that time: %s" % (
            times[0], times[-1], " ".join(map(str, tenths))))
    if clients.polls:
        print("%d long polls were answered %d times, from %.1f to %.1f s" % (
            clients.count, len(clients.polls), min(clients.polls), max(clients.polls)))
    for failed in clients.failed[:5]:
        print("failed: %s" % failed)
    return 0 if over and not clients.failed and set(clients.codes) == {1012} else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
