"""What users of callback programs asked for (C1 to C4, C13 and C14)."""
from __future__ import absolute_import, division, print_function

import os
import socket
import sys
import threading
import unittest

from friendserve.database import Pool
from friendserve.feed import LocalFeed
from friendserve.httpclient import AsyncHTTPClient
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop, PeriodicCallback
from friendserve.iostream import IOStream, PipeIOStream
from friendserve.loopthread import LoopThread
from friendserve.netutil import Resolver
from friendserve.tcpclient import TCPClient
from friendserve.tcpserver import TCPServer
from friendserve.web import RequestHandler, asynchronous
from friendserve.websocket import websocket_connect
from tests import PATIENCE
from tests.httpcase import LogCatcher
from tests.loopcase import LoopCase
from tests.portingcase import PortingCase
from tests.webcase import WebCase, request


class CallbackProgramsTest(PortingCase):
    def test_c01_a_callback_program_runs_without_a_warning(self):
        self.assertEqual(["hello 3"], self.run_program("""
            import warnings
            warnings.simplefilter("error")
            import friendserve.porting
            friendserve.porting.alias()
            from tornado import gen, httpserver, ioloop, testing, web
            from tornado.httpclient import AsyncHTTPClient

            class Page(web.RequestHandler):
                @web.asynchronous
                @gen.engine
                def get(self):
                    number = yield gen.Task(self.ask)
                    self.finish("hello %d" % number)

                def ask(self, callback):
                    loop.add_timeout(loop.time() + 0.001, lambda: callback(3))

            def done(response):
                print(response.body.decode())
                loop.stop()

            loop = ioloop.IOLoop.instance()
            sock, port = testing.bind_unused_port()
            server = httpserver.HTTPServer(web.Application([("/", Page)]), io_loop=loop)
            server.add_sockets([sock])
            AsyncHTTPClient(loop).fetch("http://127.0.0.1:%d/" % port, done)
            loop.start()
            loop.close(all_fds=True)
        """))

    def test_ten_thousand_requests_through_the_alias_leave_nothing(self):
        self.assertEqual(["10000 True"], self.run_program("""
            import gc, socket
            import friendserve.porting
            friendserve.porting.alias()
            from tornado import httpserver, ioloop, testing, web

            class Page(web.RequestHandler):
                @web.asynchronous
                def get(self):
                    loop.add_callback(self.finish, "x")

            loop = ioloop.IOLoop.instance()
            sock, port = testing.bind_unused_port()
            httpserver.HTTPServer(web.Application([("/", Page)])).add_sockets([sock])
            client = socket.create_connection(("127.0.0.1", port))
            client.setblocking(False)
            answered = 0

            def ask(times):
                for _ in range(times // 20):
                    client.sendall(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n" * 20)
                    seen = b""
                    while seen.count(b"\\r\\n\\r\\nx") < 20:
                        loop.run_once(0.01)
                        try:
                            seen += client.recv(65536)
                        except EnvironmentError:
                            pass
                return times

            ask(200)
            gc.collect()
            before = len(gc.get_objects())
            answered = ask(10000)
            gc.collect()
            print("%d %s" % (answered, len(gc.get_objects()) - before < 200))
        """))


class ErrorsTest(WebCase):
    def test_c02_an_exception_in_any_callback_is_one_500(self):
        case = self
        resolver = Resolver(io_loop=self.loop)
        self.addCleanup(resolver.close)

        class Page(RequestHandler):
            @asynchronous
            def get(self, way):
                getattr(self, way)()

            def fail(self, *args):
                raise KeyError("k")

            def timer(self):
                case.loop.call_later(0.001, self.fail)

            def chain(self):
                case.loop.add_callback(lambda: case.loop.add_callback(self.fail))

            def thread(self):
                thread = threading.Thread(
                    target=lambda add, fail: add(fail),
                    args=(case.loop.add_callback, self.async_callback(self.fail)))
                thread.start()

            def resolve(self):
                resolver.resolve("127.0.0.1", 80, callback=self.fail)

            def fetch(self):
                AsyncHTTPClient(io_loop=case.loop).fetch(
                    "http://127.0.0.1:%d/none" % case.server.address[1], self.fail)

            def stream(self):
                reader, writer = os.pipe()
                self.reader = PipeIOStream(reader, io_loop=case.loop)
                self.reader.read_bytes(1, self.fail)
                os.write(writer, b"x")
                os.close(writer)

        self.serve_app([("/(timer|chain|thread|resolve|fetch|stream)", Page)])
        for way in ("timer", "chain", "thread", "resolve", "fetch", "stream"):
            with LogCatcher() as records:
                self.assertEqual(500, self.fetch(request("/" + way)).status, way)
            self.assertEqual(1, sum("KeyError" in repr(record.exc_info) for record in records))


class LoopsTest(LoopCase, unittest.TestCase):
    def setUp(self):
        self.loop = IOLoop(make_current=False)
        self.other = IOLoop(make_current=False)
        self.other.make_current()
        self.addCleanup(IOLoop.clear_current)
        for loop in (self.loop, self.other):
            self.addCleanup(loop.close, all_fds=True)

    def test_c03_a_loop_that_is_passed_in_is_used(self):
        first, second = socket.socketpair()
        reader, writer = os.pipe()
        closing = [
            IOStream(first, io_loop=self.loop), IOStream(second, self.loop),
            PipeIOStream(reader, io_loop=self.loop), PipeIOStream(writer, self.loop),
            AsyncHTTPClient(io_loop=self.loop), TCPClient(io_loop=self.loop),
            Resolver(io_loop=self.loop), LocalFeed(io_loop=self.loop),
            Pool("sqlite:///:memory:", io_loop=self.loop)]
        others = [
            TCPServer(io_loop=self.loop), HTTPServer(lambda request: None, io_loop=self.loop),
            PeriodicCallback(lambda: None, 1000, io_loop=self.loop),
            websocket_connect("ws://127.0.0.1:1/", self.fail, io_loop=self.loop,
                              on_error=lambda error: None)]
        for item in closing + others:
            self.assertIs(self.loop, item.io_loop, item)
        for item in closing:
            item.close()

    def test_c04_loops_in_threads_stop_and_are_told_from_outside(self):
        with LoopThread() as first, LoopThread() as second:
            threads = [loop.call(threading.current_thread) for loop in (first, second)]
            self.assertEqual(3, len(set(threads + [threading.current_thread()])))
        # Without the helper: any thread may call add_callback, and so stop a loop.
        thread = threading.Thread(target=self.loop.start)
        thread.start()
        self.loop.add_callback(self.loop.stop)
        thread.join(PATIENCE)
        self.assertFalse(thread.is_alive())

    def test_c13_a_database_does_not_stop_the_loop(self):
        go_on, turns, rows = threading.Event(), [], []
        self.addCleanup(go_on.set)
        pool = Pool("sqlite:///:memory:", io_loop=self.loop)
        self.addCleanup(pool.close)
        pool.run(lambda db: go_on.wait(PATIENCE) and db.query("SELECT 1 AS one"),
                 callback=rows.append)

        def turn():
            turns.append(1)
            if len(turns) == 5:
                go_on.set()
            self.loop.call_later(0.001, turn)

        turn()
        self.run_until(lambda: rows)
        self.assertGreaterEqual(len(turns), 5)
        self.assertEqual(1, rows[0][0].one)


if sys.version_info >= (3,):  # version: py2
    class AsyncioTest(PortingCase):
        def test_c14_a_callback_program_beside_an_asyncio_library(self):
            self.assertEqual(["slept", "hello"], self.run_program("""
                import asyncio
                import friendserve.porting
                friendserve.porting.alias()
                from tornado import httpserver, ioloop, testing, web
                from tornado.httpclient import AsyncHTTPClient
                from tornado.platform.asyncio import AsyncIOMainLoop

                class Page(web.RequestHandler):
                    async def get(self):
                        await asyncio.sleep(0.001)
                        print("slept")
                        self.write("hello")

                def done(response):
                    print(response.body.decode())
                    loop.stop()

                AsyncIOMainLoop().install()
                loop = ioloop.IOLoop.instance()
                sock, port = testing.bind_unused_port()
                httpserver.HTTPServer(web.Application([("/", Page)])).add_sockets([sock])
                AsyncHTTPClient().fetch("http://127.0.0.1:%d/" % port, done)
                loop.start()
            """))
