from __future__ import absolute_import, division, print_function

import datetime
import functools
import gc
import unittest
import weakref

import six

from friendserve import gen
from friendserve.concurrent import Future, future_of, return_future
from friendserve.ioloop import IOLoop
from friendserve.iostream import IOStream, StreamClosedError
from friendserve.netutil import Resolver
from friendserve.platform.pollers.common import loopback_pair
from friendserve.stack_context import (
    ExceptionStackContext, StackContext, StackContextInconsistentError, state)
from tests.loopcase import LogCatcher, LoopCase, is_gone, keeping, of_cpython


class GenCase(LoopCase, unittest.TestCase):
    def setUp(self):
        self.loop = IOLoop(make_current=True)
        self.addCleanup(self.loop.close)
        self.log = []

    def run_gen(self, function):
        """The result of a generator function."""
        return self.loop.run_sync(gen.coroutine(function), timeout=10)

    def soon(self, value):
        """A Future that has this result in a later turn."""
        future = Future()
        self.loop.call_later(0.001, future.set_result, value)
        return future

    def failing(self, error):
        future = Future()
        self.loop.call_later(0.001, future.set_exception, error)
        return future


class CoroutineTest(GenCase):
    def test_results(self):
        @gen.coroutine
        def double(value):
            value = yield self.soon(value)
            raise gen.Return(value * 2)

        def main():
            first = yield double(2)
            second = yield double(first)
            raise gen.Return((first, second))

        self.assertEqual((4, 8), self.run_gen(main))
        self.assertTrue(gen.is_coroutine_function(double))
        self.assertFalse(gen.is_coroutine_function(main))

    def test_it_runs_to_its_first_wait_when_it_is_called(self):
        @gen.coroutine
        def work():
            self.log.append("began")
            yield gen.moment
            self.log.append("ended")

        future = work()
        self.assertEqual(["began"], self.log)
        self.run_until(future.done)
        self.assertEqual(["began", "ended"], self.log)

    def test_functions_that_are_not_generators(self):
        @gen.coroutine
        def plain(fail):
            if fail:
                raise KeyError("k")
            return 5

        self.assertEqual(5, plain(False).result())
        self.assertIsInstance(plain(True).exception(), KeyError)

        @gen.coroutine
        def returns():
            raise gen.Return(6)

        self.assertEqual(6, returns().result())

    def test_exceptions_are_raised_at_the_yield(self):
        def main():
            try:
                yield self.failing(KeyError("k"))
            except KeyError as error:
                self.log.append(error.args)
            yield self.failing(ValueError("v"))

        with self.assertRaises(ValueError):
            self.run_gen(main)
        self.assertEqual([("k",)], self.log)

    def test_futures_that_are_done_take_no_turn(self):
        def main():
            turn = self.loop.turn
            for _ in range(3):
                yield gen.maybe_future(1)
            self.log.append(turn is self.loop.turn)
            yield gen.moment
            yield None
            self.log.append(turn is self.loop.turn)

        self.run_gen(main)
        self.assertEqual([True, False], self.log)

    def test_lists_and_dicts(self):
        def main():
            self.log.append((yield [self.soon(1), gen.maybe_future(2)]))
            self.log.append((yield {"a": self.soon(1), "b": self.soon(2)}))
            self.log.append((yield []))
            self.log.append((yield [[self.soon(3)], {"x": self.soon(4)}]))

        self.run_gen(main)
        self.assertEqual([[1, 2], {"a": 1, "b": 2}, [], [[3], {"x": 4}]], self.log)

    def test_of_several_errors_the_first_is_raised_and_others_are_logged(self):
        def main():
            yield [self.failing(KeyError("1")), self.failing(ValueError("2")), self.soon(3)]

        with LogCatcher() as records:
            with self.assertRaises(KeyError):
                self.run_gen(main)
        self.assertEqual(1, len(records))

        def quiet():
            yield gen.multi([self.failing(KeyError("1")), self.failing(ValueError("2"))],
                            quiet_exceptions=ValueError)

        with LogCatcher() as records:
            with self.assertRaises(KeyError):
                self.run_gen(quiet)
        self.assertEqual([], records)

    def test_what_cannot_be_waited_for(self):
        def main():
            for wrong in (5, "text", [5]):
                try:
                    yield wrong
                except gen.BadYieldError:
                    self.log.append(wrong)

        self.run_gen(main)
        self.assertEqual([5, "text", [5]], self.log)

    def test_a_callback_argument(self):
        @gen.coroutine
        def work():
            yield gen.moment
            raise gen.Return(5)

        work(callback=self.log.append)
        self.run_until(lambda: self.log)
        self.assertEqual([5], self.log)

    def test_an_error_that_nothing_takes_is_raised_in_the_context_of_the_call(self):
        @gen.coroutine
        def work():
            yield gen.moment
            raise KeyError("k")

        def handle(type, value, tb):
            self.log.append(type)
            return True

        with ExceptionStackContext(handle):
            work()
        self.run_until(lambda: self.log)
        self.assertEqual([KeyError], self.log)

    def test_nothing_is_left_of_a_coroutine(self):
        class Thing(object):
            pass

        @gen.coroutine
        def work(thing):
            yield self.soon(1)
            raise gen.Return(thing)

        thing = Thing()
        reference = weakref.ref(thing)
        future = work(thing)
        self.run_until(future.done)
        self.loop.run_once()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        del thing, future
        self.assertTrue(is_gone(reference))

    @of_cpython     # elsewhere it does need it, see `test_an_error_that_nothing_takes_...` above
    def test_an_error_that_nothing_takes_needs_no_garbage_collection(self):
        def fail(callback=None):
            raise KeyError("k")

        @gen.coroutine
        def work():
            fail()
            yield

        def end(callback, on_error):
            try:
                fail()
            except KeyError as error:
                on_error(error)

        def handle(kind, error, trace):
            self.log.append(kind)
            return True

        # Called by the loop: frames of this test would keep the tracebacks.
        starts = [lambda: (gen.Task(fail), None)[1], lambda: (work(), None)[1],
                  lambda: (return_future(fail)(), None)[1], lambda: (future_of(end), None)[1]]
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for number, start in enumerate(starts):
            with ExceptionStackContext(handle):
                self.loop.add_callback(start)
            for _ in range(5):
                self.loop.run_once()
            self.assertEqual([KeyError] * (number + 1), self.log)

    def test_nothing_is_left_of_errors_that_were_caught(self):
        class Thing(object):
            pass

        @gen.coroutine
        def fail():
            yield gen.moment
            raise KeyError("k")

        @gen.coroutine
        def catch(thing):
            try:
                yield fail()
            except KeyError:
                self.log.append("one")

        @gen.coroutine
        def catch_in_list(thing):
            try:
                yield [fail(), self.soon(1)]
            except KeyError:
                self.log.append("list")

        @gen.coroutine
        def wait(thing):
            try:
                yield gen.with_timeout(datetime.timedelta(seconds=0.001), self.soon(1))
                yield gen.with_timeout(datetime.timedelta(seconds=0.001), Future())
            except gen.TimeoutError:
                self.log.append("timeout")

        def start(function, things):
            thing = Thing()
            things.append(weakref.ref(thing))
            function(thing)

        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for number, function in enumerate((catch, catch_in_list, wait)):
            things = []
            self.loop.add_callback(start, function, things)
            self.run_until(lambda: len(self.log) > number)
            for _ in range(5):
                self.loop.run_once()
            self.assertTrue(is_gone(things[0]), function)

    def test_a_stack_context_does_not_leak_from_a_coroutine(self):
        @gen.coroutine
        def work():
            with StackContext(lambda: keeping([])):
                yield self.soon(1)

        def start():
            future = work()
            self.log.append(state.contexts)
            return future

        before = state.contexts
        with self.assertRaises(StackContextInconsistentError):
            self.loop.run_sync(start, 10)
        self.assertEqual([before], self.log)

    def test_a_thousand_in_a_row(self):
        def main():
            for _ in range(10000):
                yield gen.maybe_future(None)

        self.run_gen(main)


class ToolsTest(GenCase):
    def test_with_timeout(self):
        def main():
            soon = datetime.timedelta(seconds=10)
            self.log.append((yield gen.with_timeout(soon, self.soon(1))))
            with self.assertRaises(KeyError):
                yield gen.with_timeout(soon, self.failing(KeyError("k")))
            with self.assertRaises(gen.TimeoutError):
                yield gen.with_timeout(self.loop.time() + 0.001, Future())

        self.run_gen(main)
        self.assertEqual([1], self.log)

    def test_an_error_after_the_timeout_is_logged_unless_quiet(self):
        def main(quiet):
            future = Future()
            try:
                yield gen.with_timeout(datetime.timedelta(0), future, quiet_exceptions=quiet)
            except gen.TimeoutError:
                pass
            future.set_exception(KeyError("late"))
            yield gen.moment
            yield gen.moment

        for quiet, count in ((), 1), (KeyError, 0):
            with LogCatcher() as records:
                self.run_gen(functools.partial(main, quiet))
            self.assertEqual(count, len(records))

    def test_sleep(self):
        def main():
            before = self.loop.time()
            yield gen.sleep(0.01)
            self.log.append(self.loop.time() - before >= 0.01)

        self.run_gen(main)
        self.assertEqual([True], self.log)

    def test_wait_iterator(self):
        def main():
            first, second = Future(), Future()
            waiting = gen.WaitIterator(first, second)
            self.loop.call_later(0.001, second.set_result, "second")
            self.log.append((yield waiting.next()))
            self.log.append((waiting.current_index, waiting.current_future is second))
            first.set_exception(KeyError("k"))
            try:
                yield waiting.next()
            except KeyError:
                self.log.append(waiting.current_index)
            self.log.append(waiting.done())
            named = gen.WaitIterator(a=self.soon(5))
            self.log.append(((yield named.next()), named.current_index))

        self.run_gen(main)
        self.assertEqual(["second", (1, True), 0, True, (5, "a")], self.log)
        self.assertRaises(ValueError, gen.WaitIterator, Future(), a=Future())
        self.assertRaises(IndexError, gen.WaitIterator().next)

    def test_wait_iterator_with_all_done(self):
        def main():
            waiting = gen.WaitIterator(*[gen.maybe_future(number) for number in range(3)])
            yield gen.moment
            while not waiting.done():
                self.log.append((yield waiting.next()))

        self.run_gen(main)
        self.assertEqual([0, 1, 2], self.log)

    def test_maybe_future(self):
        future = Future()
        self.assertIs(future, gen.maybe_future(future))
        self.assertEqual(3, gen.maybe_future(3).result())


class EngineTest(GenCase):
    def answer(self, *args, **kwargs):
        self.loop.call_later(0.001, functools.partial(kwargs.pop("callback"), *args, **kwargs))

    def run_engine(self, function):
        def finish():
            self.log.append("end")
        gen.engine(function)(finish)
        self.run_until(lambda: "end" in self.log)

    def test_tasks(self):
        def main(callback):
            self.log.append((yield gen.Task(self.answer, 1)))
            self.log.append((yield gen.Task(self.answer)))
            arguments = yield gen.Task(self.answer, 1, 2, x=3)
            self.log.append((arguments.args, arguments.kwargs))
            self.log.append((yield [gen.Task(self.answer, 1), gen.Task(self.answer, 2)]))
            callback()

        self.run_engine(main)
        self.assertEqual([1, None, ((1, 2), {"x": 3}), [1, 2], "end"], self.log)

    def test_callbacks_and_waits(self):
        def main(callback):
            self.answer(1, callback=(yield gen.Callback("a")))
            self.answer(2, 3, callback=(yield gen.Callback("b")))
            self.log.append((yield gen.Wait("a")))
            self.log.append((yield gen.Wait("b")).args)
            for key in "cd":
                self.answer(key, callback=(yield gen.Callback(key)))
            self.log.append((yield gen.WaitAll(["d", "c"])))
            for key in "ef":
                self.answer(key, callback=(yield gen.Callback(key)))
            self.log.append((yield {"e": gen.Wait("e"), "x": self.soon(9), "f": gen.Wait("f")}))
            callback()

        self.run_engine(main)
        self.assertEqual([1, (2, 3), ["d", "c"], {"e": "e", "f": "f", "x": 9}, "end"], self.log)

    def test_a_callback_may_be_called_at_once(self):
        def main(callback):
            (yield gen.Callback("a"))(5)
            self.log.append((yield gen.Wait("a")))
            callback()

        self.run_engine(main)
        self.assertEqual([5, "end"], self.log)

    def test_exceptions_of_callbacks_are_raised_at_the_yield(self):
        def fail(callback):
            self.loop.add_callback(six.next, iter([]))
            self.loop.add_callback(lambda: {}["missing"])

        def main(callback):
            for wait in (lambda: gen.Task(fail), None):
                try:
                    if wait is None:
                        fail((yield gen.Callback("k")))
                        yield gen.Wait("k")
                    else:
                        yield wait()
                except (KeyError, StopIteration) as error:
                    self.log.append(type(error).__name__)
            callback()

        with LogCatcher():
            gen.engine(main)(lambda: self.log.append("end"))
            self.run_until(lambda: len(self.log) > 1)
        self.assertIn("StopIteration", self.log)

    def test_misuse_of_keys(self):
        def wait_for_none(callback):
            yield gen.Wait("none")

        def reuse(callback):
            yield gen.Callback("a")
            yield gen.Callback("a")

        def leak(callback):
            yield gen.Callback("a")

        def returns(callback):
            raise gen.Return(5)
            yield

        for function, error in ((wait_for_none, gen.UnknownKeyError),
                                (reuse, gen.KeyReuseError), (leak, gen.LeakedCallbackError),
                                (returns, gen.ReturnValueIgnoredError)):
            errors = []

            def handle(type, value, tb):
                errors.append(type)
                return True

            with ExceptionStackContext(handle):
                gen.engine(function)(None)
            self.run_until(lambda: errors)
            self.assertEqual([error], errors)

    def test_callbacks_may_be_left_over_after_an_exception(self):
        def main(callback):
            yield gen.Callback("never called")
            try:
                yield self.failing(KeyError())
            except KeyError:
                callback("caught")

        errors = []
        with ExceptionStackContext(lambda type, value, tb: errors.append(type) or True):
            gen.engine(main)(self.log.append)
        self.run_until(lambda: self.log)
        self.loop.run_once(0)
        self.loop.run_once(0)
        self.assertEqual((["caught"], []), (self.log, errors))

    def test_own_yield_points(self):
        class Ready(gen.YieldPoint):
            def start(self, runner):
                self.runner = runner

            def is_ready(self):
                return True

            def get_result(self):
                return "own"

        def main(callback):
            self.log.append((yield Ready()))
            callback()

        self.run_engine(main)
        self.assertEqual(["own", "end"], self.log)


class StreamTest(GenCase):
    def setUp(self):
        super(StreamTest, self).setUp()
        first, second = loopback_pair()
        self.a, self.b = IOStream(first), IOStream(second)
        for stream in (self.a, self.b):
            self.addCleanup(stream.close)

    def test_reads_and_writes(self):
        def main():
            yield self.a.write(b"line\nmore5678rest")
            self.log.append((yield self.b.read_until(b"\n")))
            self.log.append((yield self.b.read_until_regex(b"r.")))
            self.log.append((yield self.b.read_bytes(1)))
            buf = bytearray(4)
            self.log.append((yield self.b.read_into(buf)))
            self.log.append(bytes(buf))
            self.a.close()
            self.log.append((yield self.b.read_until_close()))

        self.run_gen(main)
        self.assertEqual([b"line\n", b"more", b"5", 4, b"678r", b"est"], self.log)

    def test_a_read_fails_when_the_stream_closes(self):
        def main():
            self.loop.call_later(0.001, self.a.close)
            for read in (lambda: self.b.read_bytes(5), lambda: self.b.read_until(b"x"),
                         lambda: self.b.read_bytes(1)):
                try:
                    yield read()
                except StreamClosedError as error:
                    self.log.append(error.real_error)

        self.run_gen(main)
        self.assertEqual([None, None, None], self.log)

    def test_on_error_of_a_read(self):
        self.b.read_bytes(5, self.fail, on_error=self.log.append)
        self.a.close()
        self.run_until(lambda: self.log)
        self.assertIsInstance(self.log[0], StreamClosedError)

    def test_a_write_is_awaited_until_all_is_sent(self):
        def main():
            sent = self.a.write(b"x" * (8 << 20))
            self.assertTrue(self.a.writing())
            read = self.b.read_bytes(8 << 20)
            yield sent
            self.log.append(self.a.writing())
            self.log.append(len((yield read)))

        self.run_gen(main)
        self.assertEqual([False, 8 << 20], self.log)

    def test_a_write_fails_when_the_stream_closes(self):
        def main():
            sent = gen.convert_yielded(self.a.write(b"x" * (8 << 20)))
            self.b.close()
            with self.assertRaises(StreamClosedError):
                yield sent
            with self.assertRaises(StreamClosedError):
                yield self.a

        self.run_gen(main)

    def test_streamed_reads(self):
        pieces = []

        def main():
            self.a.write(b"12345")
            read = self.b.read_bytes(5, streaming_callback=pieces.append)
            self.log.append((yield read))
            self.a.close()
            self.log.append((yield self.b.read_until_close(streaming_callback=pieces.append)))

        self.run_gen(main)
        self.assertEqual(([b"", b""], b"12345"), (self.log, b"".join(pieces)))

    def test_resolve(self):
        def main():
            resolver = Resolver()
            self.log.append((yield resolver.resolve("127.0.0.1", 80)))
            resolver.close()

        self.run_gen(main)
        self.assertEqual([("127.0.0.1", 80)], [address for _, address in self.log[0]])
