"""A service of asyncio, with a status page. For Python 3.7 and newer.

    python demos/embed/asyncio_service.py --port=8870 --status-port=8880

It answers each line with the number of its words; try ``nc localhost 8870``. SIGTERM or Ctrl-C ends
it.

`AsyncIOMainLoop` is an IOLoop that the asyncio loop drives, so the status page and the service run
in one thread and call each other directly.
"""
import argparse
import asyncio
import signal
import sys

from friendserve.platform.asyncio import AsyncIOMainLoop
from statuspage import StatusPage


class WordCounter(object):
    def __init__(self, page):
        self.page = page
        self.clients = {}           # task -> StreamWriter

    async def serve(self, reader, writer):
        name = "%s:%d" % writer.get_extra_info("peername")[:2]
        self.clients[asyncio.current_task()] = writer
        self.page.count("clients")
        self.page.tell(name + " connected")
        try:
            async for line in reader:
                writer.write(b"%d\n" % len(line.split()))
                await writer.drain()
                self.page.count("lines")
        except ConnectionError:
            pass
        finally:
            writer.close()
            del self.clients[asyncio.current_task()]
            self.page.count("clients", -1)
            self.page.tell(name + " left")


async def run(options):
    stopped = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopped.set)

    io_loop = AsyncIOMainLoop()
    page = StatusPage("Word counter on asyncio", ["clients", "lines"])
    url = page.listen(options.status_port)

    counter = WordCounter(page)
    server = await asyncio.start_server(counter.serve, "127.0.0.1", options.port)
    print("port %d, status page %s" % (server.sockets[0].getsockname()[1], url))
    sys.stdout.flush()
    await stopped.wait()
    server.close()
    clients = dict(counter.clients)
    for writer in clients.values():
        writer.transport.abort()
    await asyncio.gather(*clients)
    io_loop.close(all_fds=True)


def main():
    parser = argparse.ArgumentParser(description="Count the words of lines, on asyncio.")
    parser.add_argument("--port", type=int, default=8870)
    parser.add_argument("--status-port", type=int, default=8880)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
