"""A server in a thread with a loop of its own, and a client that calls it, at once and later."""
from __future__ import absolute_import, division, print_function

import threading

import msgpackrpc
from scenario import equal, find_port


class Calls(object):
    def add(self, x, y):
        return x + y


port = find_port()
server = msgpackrpc.Server(Calls())
server.listen(msgpackrpc.Address("127.0.0.1", port))
thread = threading.Thread(target=server.start)
thread.start()
client = msgpackrpc.Client(msgpackrpc.Address("127.0.0.1", port), timeout=5)
equal(3, client.call("add", 1, 2))
futures = [client.call_async("add", number, 1) for number in range(100)]
equal(list(range(1, 101)), [future.get() for future in futures])
client.close()
server.stop()
thread.join(5)
assert not thread.is_alive(), "the server does not stop"
