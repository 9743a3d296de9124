"""Tornado 6 and msgpack-rpc-python in one process, each on its own loop.

Tornado serves HTTP on asyncio, in the main thread. A request makes a call of msgpack-rpc in a
thread; its server is in another. Both of those are on friendserve. Prints one line of JSON.
"""
import asyncio
import json
import signal
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import friendserve.porting

signal.alarm(30)
friendserve.porting.alias(packages=["msgpackrpc"])

import msgpackrpc                                                   # noqa: E402
import msgpackrpc.loop                                              # noqa: E402
import tornado                                                      # noqa: E402
from tornado import httpserver, ioloop, netutil, web                # noqa: E402

import friendserve.ioloop                                           # noqa: E402

CALLS = 200


class Sums:
    def __init__(self):
        self.loops = set()

    def add(self, x, y):
        self.loops.add(type(friendserve.ioloop.IOLoop.current()).__module__)
        return x + y


def start_rpc(sums, port, ready):
    server = msgpackrpc.Server(sums)
    server.listen(msgpackrpc.Address("127.0.0.1", port))
    ready.append(server)
    server.start()


def call(port, x):
    client = msgpackrpc.Client(msgpackrpc.Address("127.0.0.1", port))
    try:
        return client.call("add", x, 1)
    finally:
        client.close()


class Handler(web.RequestHandler):
    async def get(self, x):
        loop = ioloop.IOLoop.current()
        self.write(str(await loop.run_in_executor(pool, call, rpc_port, int(x))))


async def main():
    sockets = netutil.bind_sockets(0, "127.0.0.1")
    server = httpserver.HTTPServer(web.Application([(r"/(\d+)", Handler)]))
    server.add_sockets(sockets)
    url = "http://127.0.0.1:%d/" % sockets[0].getsockname()[1]
    answers = await asyncio.gather(*(
        asyncio.get_running_loop().run_in_executor(
            browsers, lambda x: urllib.request.urlopen(url + str(x), timeout=20).read(), x)
        for x in range(CALLS)))
    server.stop()
    return {
        "answers": [int(answer) for answer in answers] == list(range(1, CALLS + 1)),
        "tornado": tornado.version.split(".")[0],
        "tornado loop": type(ioloop.IOLoop.current()).__module__,
        "friendserve loop here": friendserve.ioloop.IOLoop.current(instance=False) is not None,
        "rpc loop": sorted(sums.loops),
        "rpc imports": msgpackrpc.loop.ioloop.__name__,
        "rpc class": type(rpc._loop._ioloop).__module__,
        "tornado names us": sorted(
            name for name, module in list(sys.modules.items())
            if name.split(".")[0] == "tornado" and any(
                str(getattr(value, "__module__", "")).startswith("friendserve")
                for value in list(vars(module).values()))),
    }


# msgpack-rpc takes a port, and does not say which one it got.
with netutil.bind_sockets(0, "127.0.0.1")[0] as free:
    rpc_port = free.getsockname()[1]
sums, ready = Sums(), []
pool, browsers = ThreadPoolExecutor(4), ThreadPoolExecutor(4)
rpc_thread = threading.Thread(target=start_rpc, args=(sums, rpc_port, ready))
rpc_thread.start()
while rpc_thread.is_alive() and not ready:
    rpc_thread.join(0.01)
rpc = ready[0]
result = asyncio.run(main())
rpc._loop._ioloop.add_callback(rpc.stop)
rpc_thread.join(10)
result["rpc ended"] = not rpc_thread.is_alive()
print(json.dumps(result))
