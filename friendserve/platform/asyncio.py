from __future__ import absolute_import, division, print_function
import asyncio

from friendserve.platform.foreign import ForeignIOLoop


class BaseAsyncIOLoop(ForeignIOLoop):
    def initialize(self, asyncio_loop, close_loop=False, **kwargs):
        self.asyncio_loop = asyncio_loop
        self.close_loop = close_loop
        super(BaseAsyncIOLoop, self).initialize(**kwargs)

    def _host_watch(self, fd, callback):
        self.asyncio_loop.add_reader(fd, callback)

    def _host_unwatch(self, fd):
        self.asyncio_loop.remove_reader(fd)

    def _host_soon(self, callback):
        return self.asyncio_loop.call_soon(callback)

    def _host_later(self, seconds, callback):
        return self.asyncio_loop.call_later(seconds, callback)

    def _host_run(self):
        self.asyncio_loop.run_forever()

    def _host_stop(self):
        self.asyncio_loop.stop()

    def close(self, all_fds=False):
        closed = self._closed
        super(BaseAsyncIOLoop, self).close(all_fds)
        if self.close_loop and not closed:
            self.asyncio_loop.close()


class AsyncIOLoop(BaseAsyncIOLoop):
    def initialize(self, **kwargs):
        super().initialize(asyncio.new_event_loop(), close_loop=True, **kwargs)
