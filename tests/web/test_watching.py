"""What debug mode says of handlers and fetches that do not end as they should."""
from __future__ import absolute_import, division, print_function

import functools
import gc
import logging
import os
import time

import six

from friendserve import gen
from friendserve.httpclient import AsyncHTTPClient
from friendserve.ioloop import IOLoop
from friendserve.stack_context import NullContext
from friendserve.web import RequestHandler, asynchronous, watching
from tests.httpcase import LogCatcher
from tests.webcase import WebCase, request

HERE = os.path.splitext(os.path.abspath(__file__))[0]
kept = []


class Slow(RequestHandler):
    def get(self):
        time.sleep(0.2)


class SlowCallback(RequestHandler):
    @asynchronous
    def get(self):
        IOLoop.current().add_callback(self.on_turn)

    def on_turn(self):
        time.sleep(0.2)
        self.finish()


class SlowCoroutine(RequestHandler):
    @gen.coroutine
    def get(self):
        yield gen.moment
        time.sleep(0.2)


class Waiting(RequestHandler):
    def keep(self, callback):
        with NullContext():
            kept.append(callback)

    def on_answer(self, answer=None):
        self.finish()


class Forgotten(Waiting):
    @asynchronous
    def get(self):
        pass


class ForOwnMethod(Waiting):
    @asynchronous
    def get(self):
        self.keep(self.on_answer)


class ForInnerFunction(Waiting):
    @asynchronous
    def get(self):
        def inner():
            self.finish()
        self.keep(inner)


class ForPartial(Waiting):
    @asynchronous
    def get(self):
        self.keep(functools.partial(answer_later, self))


def answer_later(handler):
    handler.finish()


class ForMany(Waiting):
    @asynchronous
    def get(self):
        for number in range(20):
            self.keep(lambda: self.finish(number))
            self.keep(functools.partial(answer_later, self))


class ForCoroutine(Waiting):
    @gen.coroutine
    def get(self):
        yield gen.Task(self.keep)  # here


class LongPoll(Waiting):
    @asynchronous
    def get(self):
        self.keep(self.on_answer)

    def on_connection_close(self):
        pass


class WatchCase(WebCase):
    def setUp(self):
        super(WatchCase, self).setUp()
        self.addCleanup(kept.__delitem__, slice(None))

    def serve_debug(self, *handlers):
        self.serve_app([("/" + cls.__name__, cls) for cls in handlers], debug=True,
                       autoreload=False)

    def warnings(self, caught):
        return [record.message for record in caught if record.levelno == logging.WARNING]


class SlowTest(WatchCase):
    collects = False    # that may take longer than what is slow here

    def test_b450_a_handler_that_blocks_the_loop(self):
        self.serve_debug(Slow)
        self.ask("/Slow")
        # Other turns may be slow too, where other programs take the time.
        line, = [line for line in self.logged(logging.WARNING) if "Slow.get" in line]
        six.assertRegex(self, line, (
            r"^GET /Slow \(127.0.0.1\): Slow.get \(%s.pyc?:\d+\) took \d.\d\d seconds, during "
            r"which nothing else was answered: pass slow work to IOLoop.run_in_executor$" % HERE))

    def test_b450_a_callback_that_blocks_the_loop(self):
        self.serve_debug(SlowCallback)
        self.ask("/SlowCallback")
        lines = [line for line in self.logged(logging.WARNING) if "SlowCallback.on_turn" in line]
        six.assertRegex(self, lines[0], (
            r"^A turn of the loop took .* in .*SlowCallback.on_turn, scheduled at %s.pyc?:\d+; "
            r"nothing else was" % HERE))

    def test_b450_a_coroutine_that_blocks_the_loop(self):
        self.serve_debug(SlowCoroutine)
        self.ask("/SlowCoroutine")
        # The handler is named instead if the coroutine blocked in the turn of the request.
        lines = [line for line in self.logged(logging.WARNING) if "Coroutine" in line
                 or "the coroutine" in line]
        self.assertTrue(lines, self.logged(logging.WARNING))
        six.assertRegex(self, lines[0], (
            r"(^A turn of the loop took .* in the coroutine (SlowCoroutine.)?get"
            r"|: SlowCoroutine.get) \(%s.pyc?:\d+\)" % HERE))

    def test_b450_nothing_is_watched_without_debug(self):
        self.serve_app([("/Slow", Slow)])
        self.ask("/Slow")
        self.assertEqual([], self.logged(logging.WARNING))
        self.assertIsNone(self.app._watch)
        self.assertNotIn("_turn", self.loop.__dict__)


class UnfinishedTest(WatchCase):
    def setUp(self):
        super(UnfinishedTest, self).setUp()
        self.addCleanup(setattr, watching, "UNFINISHED", watching.UNFINISHED)
        watching.UNFINISHED = 0.05

    def line(self, cls):
        """The one warning for a request that `cls` does not answer."""
        self.serve_debug(cls)
        connection = self.connect()
        with LogCatcher() as caught:
            connection.send(request("/" + cls.__name__))
            self.run_until(lambda: any("finish()" in line for line in self.warnings(caught)))
        return [line for line in self.warnings(caught) if "finish()" in line][0]

    def check(self, cls, pattern):
        # On Python 2 the decorator hides where the method is.
        six.assertRegex(self, self.line(cls), (
            r"^GET /%s \(127.0.0.1\): %s.get (\(%s.pyc?:\d+\) )?has not called finish\(\) for 0 "
            r"seconds: %s" % (cls.__name__, cls.__name__, HERE, pattern)))

    def test_b451_forgotten(self):
        self.check(Forgotten, "nothing refers to the handler any more, so nothing can finish")

    def test_b451_a_method(self):
        self.check(ForOwnMethod, r"it waits until one of its callbacks is called: "
                                 r"(Waiting.)?on_answer \(%s.pyc?:\d+\)$" % HERE)

    def test_b451_a_function_inside(self):
        self.check(ForInnerFunction, r"it waits until one of its callbacks is called: "
                                     r"[\w.<>]*inner \(%s.pyc?:\d+\)$" % HERE)

    def test_b451_a_partial(self):
        self.check(ForPartial, r"it waits until one of its callbacks is called: "
                               r"answer_later \(%s.pyc?:\d+\)$" % HERE)

    def test_b451_a_coroutine(self):
        self.check(ForCoroutine, r"it waits at %s.pyc?:\d+: yield gen.Task\(self.keep\)  # here"
                   % HERE)

    def test_b471_a_report_reads_the_heap_three_times_at_most(self):
        """Which takes a second or more each time in a large program on PyPy."""
        reads = []
        referrers = gc.get_referrers
        self.addCleanup(setattr, gc, "get_referrers", referrers)
        gc.get_referrers = lambda *objects: reads.append(len(objects)) or referrers(*objects)
        self.check(ForMany, r"it waits until one of its callbacks is called: "
                            r"[\w.]*(<locals>.)?<lambda> .*, answer_later \(%s.pyc?:\d+\)$" % HERE)
        self.assertLessEqual(len(reads), 3)

    def test_b451_not_for_handlers_that_are_told_of_the_end(self):
        self.serve_debug(LongPoll, Forgotten)
        first, second = self.connect(), self.connect()
        with LogCatcher() as caught:
            first.send(request("/LongPoll"))
            self.run_until(lambda: kept)
            second.send(request("/Forgotten"))
            self.run_until(lambda: any("Forgotten" in line for line in self.warnings(caught)))
        self.assertFalse([line for line in self.warnings(caught) if "LongPoll" in line])

    def test_b451_not_for_lost_connections(self):
        self.serve_debug(ForOwnMethod, Forgotten)
        first, second = self.connect(), self.connect()
        with LogCatcher() as caught:
            first.send(request("/ForOwnMethod"))
            self.run_until(lambda: kept)
            first.abort()
            second.send(request("/Forgotten"))
            self.run_until(lambda: any("Forgotten" in line for line in self.warnings(caught)))
        self.assertFalse([line for line in self.warnings(caught) if "ForOwnMethod" in line])


class FetchTest(WatchCase):
    def warned(self, callback, path="/missing", debug=True):
        client = AsyncHTTPClient(force_instance=True, io_loop=self.loop)
        if debug:
            self.serve_debug(Slow)
        else:
            self.serve_app([])
        shared = AsyncHTTPClient(io_loop=self.loop)
        self.addCleanup(client.close)
        self.addCleanup(shared.close)
        called = []

        def on_response(response):
            called.append(True)
            callback(response)

        with LogCatcher() as caught:
            shared.fetch("http://%s:%d%s" % (self.server.address + (path,)), on_response)
            self.run_until(lambda: called)
            gc.collect()
            del on_response
            return [line for line in self.warnings(caught) if "fetch" in line]

    def test_b452_an_error_that_was_dropped(self):
        line, = self.warned(lambda response: response.body)
        six.assertRegex(self, line, (
            r"^The callback .*on_response dropped the error of a fetch: HTTPRequest\(GET "
            r"http://127.0.0.1:\d+/missing\), asked for at %s.pyc?:\d+: HTTP 404: Not Found. Look "
            r"at response.error" % HERE))

    def test_b452_a_look_is_enough(self):
        for look in ("error", "code", "reason"):
            self.assertEqual([], self.warned(functools.partial(_get, look)))
        self.assertEqual([], self.warned(lambda response: repr(response)))

    def test_b452_a_success_is_not_looked_at(self):
        self.assertEqual([], self.warned(lambda response: None, path="/Slow"))

    def test_b452_not_without_debug(self):
        self.assertEqual([], self.warned(lambda response: None, debug=False))


def _get(name, response):
    getattr(response, name)
