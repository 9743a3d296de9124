"""A loop in a thread: calls into it end with the result or with an error, always, and restarts
leave nothing behind."""
from __future__ import absolute_import, division, print_function

import functools
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import unittest

import six

from friendserve import concurrent, gen, loopthread
from friendserve.httpclient import AsyncHTTPClient
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop
from friendserve.ioloop.interface import ThreadPoolExecutor
from friendserve.loopthread import LoopStoppedError, LoopThread
from friendserve.netutil import bind_sockets
from friendserve.platform.pollers.auto import available_pollers
from friendserve.stack_context import StackContext
from friendserve.tcpclient import TCPClient
from friendserve.util import TimeoutError
from tests import PATIENCE, ROOT, services
from tests.forkcase import ForkCase, no_threads
from tests.httpcase import answer
from tests.loopcase import GrowthCase, LogCatcher, keeping


class Blocked(Exception):
    pass


def serve(port=0):
    """A server with a free port; its attribute `port` is that."""
    server = HTTPServer(answer)
    sockets = bind_sockets(port, "127.0.0.1")
    server.add_sockets(sockets)
    server.port = sockets[0].getsockname()[1]
    return server


class LoopThreadCase(unittest.TestCase):
    def start(self, *args, **kwargs):
        thread = LoopThread(*args, **kwargs)
        self.addCleanup(thread.stop, PATIENCE)
        thread.start()
        return thread

    def block(self, thread):
        """Have a callback block the loop; returns the function that ends it."""
        blocking, release = threading.Event(), threading.Event()
        self.addCleanup(release.set)

        def hold():
            blocking.set()
            release.wait(PATIENCE)
        thread.io_loop.add_callback(hold)
        self.assertTrue(blocking.wait(PATIENCE))
        return release.set

    def in_thread(self, function, *args, **kwargs):
        """Start `function` in another thread; returns a function that waits for its result, or for
        the exception that it has raised."""
        outcome = []

        def run():
            try:
                outcome.append(function(*args, **kwargs))
            except Exception as error:
                outcome.append(error)
        thread = threading.Thread(target=run)
        thread.daemon = True
        thread.start()

        def result():
            thread.join(PATIENCE)
            self.assertEqual(1, len(outcome), "it hangs")
            return outcome[0]
        return result

    def wait_until(self, condition):
        for _ in range(1000):
            if condition():
                return
            threading.Event().wait(PATIENCE / 1000.0)
        self.fail("the condition did not become true within %d seconds" % PATIENCE)


class CallTest(LoopThreadCase):
    def test_b291_the_result_of_a_function(self):
        thread = self.start()
        self.assertEqual("5 x", thread.call("{} {name}".format, 5, name="x"))
        self.assertIs(thread.io_loop, thread.call(IOLoop.current))
        self.assertIsNot(threading.current_thread(), thread.call(threading.current_thread))
        self.assertTrue(thread.running())

    def test_b291_its_exception(self):
        thread = self.start()
        for error in (KeyError("x"), SystemExit(3), KeyboardInterrupt()):
            def fail():
                raise error
            for call in (thread.call, thread.call_async):
                with self.assertRaises(type(error)) as caught:
                    call(fail if call == thread.call else lambda callback: fail())
                self.assertIs(error, caught.exception)
        self.assertEqual(1, thread.call(int, "1"), "the loop goes on")

    def test_b291_the_traceback_shows_where(self):
        def deep_inside():
            raise KeyError
        try:
            self.start().call(deep_inside)
        except KeyError:
            found = sys.exc_info()[2]
            names = []
            while found is not None:
                names.append(found.tb_frame.f_code.co_name)
                found = found.tb_next
        self.assertEqual("deep_inside", names[-1])

    def test_b291_the_argument_of_a_callback(self):
        thread = self.start()
        loop = thread.io_loop
        for arguments, result in (((), None), ((5,), 5), ((None,), None), ((1, 2), (1, 2))):
            self.assertEqual(result, thread.call_async(
                lambda callback: loop.add_callback(callback, *arguments)))
            self.assertEqual(result, thread.call_async(lambda callback: callback(*arguments)))

    def test_b291_an_exception_in_the_context_of_the_call(self):
        thread = self.start()

        def later(callback):
            thread.io_loop.call_later(0, lambda: thread.io_loop.add_callback(int, "x"))
        self.assertRaises(ValueError, thread.call_async, later)
        # As from an operation without an on_error.
        client = thread.call(TCPClient)
        self.assertRaises(EnvironmentError, thread.call_async, client.connect, "127.0.0.1",
                          services.free_port())

    def test_b291_only_the_first_result_counts(self):
        thread = self.start()
        loop = thread.io_loop

        def twice(callback):
            callback(1)
            callback(2)
            loop.add_callback(callback, 3)
        self.assertEqual(1, thread.call_async(twice))

        def fail_afterwards(callback):
            loop.add_callback(callback, 1)
            loop.add_callback(int, "x")
        with LogCatcher() as records:
            self.assertEqual(1, thread.call_async(fail_afterwards))
            thread.call(len, "")
        self.assertEqual(1, len(records), "for the loop, as any exception of a callback")

    def test_b291_the_caller_keeps_its_contexts(self):
        thread = self.start()
        log = []
        with StackContext(lambda: keeping(log)):
            thread.call(log.append, "call")
        self.assertEqual(["in", "call", "out"], log)

    def test_b291_a_server_and_a_client(self):
        thread = self.start()
        server = thread.call(serve)
        client = thread.call(AsyncHTTPClient)
        url = "http://127.0.0.1:%d/" % server.port
        self.assertEqual(b"ok", thread.call_async(client.fetch, url, headers={"A": "b"}).body)
        self.assertEqual(b"ok", thread.call_async(client.fetch, url, timeout=PATIENCE).body)
        self.assertRaises(TypeError, thread.call_async, client.fetch, 5)
        self.assertEqual(599, thread.call_async(client.fetch, "nonsense").code)
        thread.call(server.stop)
        thread.call(client.close)
        client = thread.call(AsyncHTTPClient)
        response = thread.call_async(client.fetch, url)
        self.assertEqual("connect", response.error.phase)

    def test_b291_a_function_that_returns_a_future_or_coroutine(self):
        thread = self.start()

        @gen.coroutine
        def sum_up(numbers):
            total = 0
            for number in numbers:
                yield gen.moment
                total += int(number)
            raise gen.Return(total)

        self.assertEqual(6, thread.call(sum_up, "123"))
        self.assertRaises(ValueError, thread.call, sum_up, "12x")
        server = thread.call(serve)
        client = thread.call(AsyncHTTPClient)
        self.assertEqual(b"ok", thread.call(
            client.fetch, "http://127.0.0.1:%d/" % server.port, timeout=PATIENCE).body)
        self.assertRaises(TimeoutError, thread.call, concurrent.Future, timeout=0.01)
        if ThreadPoolExecutor is not None:
            self.assertEqual(6, thread.submit(sum_up, "123").result(PATIENCE))

    def test_b291_calls_of_many_threads(self):
        thread = self.start()
        seen = []

        def count(number):
            for _ in range(200):
                if thread.call(seen.append, number) is not None:
                    return "wrong"
            return number
        results = [self.in_thread(count, number) for number in range(8)]
        self.assertEqual(list(range(8)), [result() for result in results])
        self.assertEqual(sorted(list(range(8)) * 200), sorted(seen))

    def test_b291_misuse(self):
        thread = self.start()
        self.assertRaises(TypeError, thread.call, 5)
        self.assertRaises(TypeError, thread.call, len, timeout="x")
        self.assertRaises(TypeError, thread.call_async, len, "x")
        self.assertRaises(TypeError, LoopThread, 5)
        self.assertRaises(RuntimeError, thread.start)


class TimeLimitTest(LoopThreadCase):
    def test_b291_a_call_that_has_not_begun_is_never_made(self):
        thread = self.start()
        release = self.block(thread)
        made = []
        with self.assertRaises(TimeoutError) as caught:
            thread.call(made.append, 1, timeout=0.01)
        self.assertIn("did not begin", str(caught.exception))
        release()
        thread.call(made.append, 2)
        self.assertEqual([2], made)

    def test_b291_the_result_of_one_that_has_begun_is_dropped(self):
        thread = self.start()
        callbacks = []
        with self.assertRaises(TimeoutError) as caught:
            thread.call_async(lambda callback: callbacks.append(callback), timeout=0.05)
        self.assertIn("has not ended", str(caught.exception))
        thread.call(callbacks[0], 5)
        self.assertEqual(6, thread.call(lambda: 6))

    def test_b291_limits_of_any_size(self):
        thread = self.start()
        for timeout in (None, 1e-9 + PATIENCE, 10 ** 12, float("inf")):
            self.assertEqual(5, thread.call(int, "5", timeout=timeout))
        for timeout in (0, -1):
            release = self.block(thread)
            self.assertRaises(TimeoutError, thread.call, len, "", timeout=timeout)
            release()

    def test_b291_a_function_with_a_timeout(self):
        self.assertEqual(5, self.start().call(functools.partial(lambda timeout: timeout,
                                                                timeout=5), timeout=PATIENCE))


class SignalTest(LoopThreadCase):
    def test_b291_a_signal_ends_the_wait(self):
        def handle(number, frame):
            raise Blocked

        thread = self.start()
        release = self.block(thread)
        self.addCleanup(signal.signal, signal.SIGALRM, signal.signal(signal.SIGALRM, handle))
        made = []
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        self.assertRaises(Blocked, thread.call, made.append, 1)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        self.assertRaises(Blocked, thread.stop)
        release()
        thread.stop()
        self.assertEqual([], made)


class OwnThreadTest(LoopThreadCase):
    def test_b291_a_call_from_the_loops_thread_is_refused(self):
        thread = self.start()
        for call in (thread.call, thread.call_async):
            with self.assertRaises(RuntimeError) as caught:
                thread.call(call, len, "", timeout=PATIENCE)
            self.assertIn("own thread", str(caught.exception))
            self.assertNotIsInstance(caught.exception, LoopStoppedError)

    def test_b291_stop_in_the_loops_thread(self):
        thread = self.start()
        thread.call(thread.stop)
        self.wait_until(lambda: not thread._thread.is_alive())
        self.assertRaises(LoopStoppedError, thread.call, len, "")


class StopTest(LoopThreadCase):
    def test_b291_calls_after_the_end_and_before_the_start(self):
        thread = LoopThread()
        calls = [thread.call, thread.call_async]
        if ThreadPoolExecutor is not None:
            calls += [thread.submit, thread.submit_async]
        for call in calls:
            self.assertRaises(LoopStoppedError, call, len, "")
        self.assertFalse(thread.running())
        with thread:
            self.assertTrue(thread.running())
        self.assertFalse(thread.running())
        for call in calls:
            self.assertRaises(LoopStoppedError, call, len, "")
        thread.stop()
        self.assertRaises(RuntimeError, thread.start)

    def test_b291_stopped_and_never_started(self):
        thread = LoopThread()
        thread.stop()
        thread.stop()
        self.assertRaises(RuntimeError, thread.start)

    def test_b291_a_call_that_is_pending_when_the_loop_stops(self):
        for stop in (lambda thread: thread.stop(),
                     lambda thread: thread.io_loop.add_callback(thread.io_loop.stop),
                     lambda thread: thread.io_loop.add_callback(sys.exit)):
            thread = self.start()
            begun = threading.Event()
            result = self.in_thread(thread.call_async, lambda callback: begun.set())
            futures = []
            if ThreadPoolExecutor is not None:
                futures = [thread.submit_async(lambda callback: None)]
                self.assertRaises(LoopStoppedError, lambda: thread.call(lambda: stop(thread)) or
                                  futures[0].result(PATIENCE))
            begun.wait(PATIENCE)
            with LogCatcher():
                stop(thread)
                self.assertIsInstance(result(), LoopStoppedError)
            self.assertRaises(LoopStoppedError, thread.call, len, "")

    def test_b291_what_was_handed_over_before_the_stop_is_done(self):
        thread = self.start()
        release = self.block(thread)
        results = [self.in_thread(thread.call, int, str(number)) for number in range(5)]
        self.wait_until(lambda: len(thread._calls) == 5)
        stopped = self.in_thread(thread.stop)
        self.wait_until(lambda: not thread.running())
        self.assertRaises(LoopStoppedError, thread.call, len, "")
        release()
        self.assertEqual(list(range(5)), [result() for result in results])
        self.assertIsNone(stopped())

    def test_b291_a_stop_beside_calls_of_many_threads(self):
        def call_until_stopped(thread):
            for number in range(10 ** 6):
                try:
                    if thread.call(int, str(number)) != number:
                        return "wrong"
                except LoopStoppedError:
                    return number
        for _ in range(6):
            thread = self.start()
            results = [self.in_thread(call_until_stopped, thread) for _ in range(4)]
            self.wait_until(lambda: thread.call(lambda: True))
            thread.stop()
            for result in results:
                self.assertIsInstance(result(), int)

    def test_b291_a_loop_that_is_blocked(self):
        thread = self.start()
        release = self.block(thread)
        result = self.in_thread(thread.call, int, "5")
        self.wait_until(lambda: thread._calls)
        with self.assertRaises(TimeoutError) as caught:
            thread.stop(timeout=0.01)
        self.assertIn("blocks", str(caught.exception))
        self.assertIsInstance(result(), LoopStoppedError)
        release()
        thread.stop()
        self.assertFalse(thread._thread.is_alive())

    def test_b291_a_loop_that_cannot_be_made(self):
        def make_loop():
            raise Blocked
        thread = LoopThread(make_loop)
        self.assertRaises(Blocked, thread.start)
        self.assertRaises(LoopStoppedError, thread.call, len, "")
        thread.stop()

    def test_b291_no_thread_can_be_started(self):
        thread = LoopThread()
        with no_threads():
            self.assertRaises(Exception, thread.start)
        thread.stop()
        self.assertRaises(LoopStoppedError, thread.call, len, "")

    def test_b291_another_kind_of_loop(self):
        thread = self.start(lambda: IOLoop(impl="select"), name="select loop")
        self.assertEqual("select loop", thread.call(threading.current_thread).name)


if ThreadPoolExecutor is not None:
    class FutureTest(LoopThreadCase):
        def test_b291_futures(self):
            thread = self.start()
            self.assertEqual(5, thread.submit(int, "5").result(PATIENCE))
            self.assertRaises(ValueError, thread.submit(int, "x").result, PATIENCE)
            self.assertEqual(5, thread.submit_async(
                lambda callback: thread.io_loop.add_callback(callback, 5)).result(PATIENCE))
            # It does not wait, so it may be used in the loop's thread.
            futures = []
            thread.call(lambda: futures.append(thread.submit(int, "5")))
            self.assertEqual(5, futures[0].result(PATIENCE))
            # Called with `call`, that is waited for.
            self.assertEqual(5, thread.call(thread.submit, int, "5"))

        def test_b291_a_future_that_is_cancelled(self):
            thread = self.start()
            release = self.block(thread)
            made = []
            future = thread.submit(made.append, 1)
            self.assertTrue(future.cancel())
            release()
            self.assertIsNone(thread.submit(made.append, 2).result(PATIENCE))
            self.assertEqual([2], made)
            self.assertFalse(thread._calls)

        def test_b291_futures_that_wait_when_a_blocked_loop_is_stopped(self):
            thread = self.start()
            release = self.block(thread)
            made = []
            future, cancelled = [thread.submit(made.append, 1) for _ in range(2)]
            cancelled.cancel()
            self.assertRaises(TimeoutError, thread.stop, timeout=0.01)
            self.assertRaises(LoopStoppedError, future.result, PATIENCE)
            release()
            thread.stop()
            self.assertEqual([], made)


class ProcessTest(ForkCase, LoopThreadCase):
    def test_b291_a_program_that_forks_later(self):
        thread = self.start()
        server = thread.call(serve)

        def child():
            found = []
            for call in (thread.call, thread.call_async):
                try:
                    call(len, "")
                except LoopStoppedError as error:
                    found.append("after the fork" in str(error))
            thread.stop()
            loopthread._stop_all()
            with LoopThread() as other:
                found.append(other.call(int, "5"))
            return found
        # Even while another thread has the lock.
        with thread._lock:
            self.assertEqual("[True, True, 5]", self.in_child(child))
        client = thread.call(AsyncHTTPClient)
        self.assertEqual(b"ok", thread.call_async(
            client.fetch, "http://127.0.0.1:%d/" % server.port, timeout=PATIENCE).body)

    def test_b291_a_fork_in_the_loops_thread(self):
        thread = self.start()
        self.assertEqual("[True, True]", thread.call(self.in_child, lambda: [
            self.in_thread(lambda: isinstance(self.error_of(thread), LoopStoppedError))(),
            isinstance(self.error_of(thread), RuntimeError)]))
        self.assertEqual(5, thread.call(int, "5"))

    def error_of(self, thread):
        try:
            thread.call(len, "")
        except Exception as error:
            return error

    def program(self, text, is_silent=True):
        """The output of a program, which must end by itself, silently. (A thread that is still
        alive at the end of a Python 2 may complain that its modules are gone.)"""
        process = subprocess.Popen(
            # Python 3.12 and later warn of forks.
            [sys.executable, "-W", "ignore", "-c", textwrap.dedent(text)], cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=dict(os.environ, PYTHONPATH=ROOT))
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        try:
            output, errors = process.communicate()
        finally:
            timer.cancel()
        self.assertEqual(("" if is_silent else errors.decode("utf-8"), 0),
                         (errors.decode("utf-8"), process.returncode))
        return output.decode("ascii").split()

    def test_b291_the_end_of_the_program(self):
        self.assertEqual(["main", "atexit", "5", "stopped"], self.program("""
            from __future__ import print_function
            import atexit, os
            from friendserve.loopthread import LoopThread

            class Loud(object):
                def __init__(self):
                    self.fds = os.pipe()

                def fileno(self):
                    return self.fds[0]

                def close(self):
                    print("stopped")

            thread = LoopThread()

            @atexit.register
            def goodbye():
                print("atexit")
                print(thread.call(int, "5"))

            thread.start()
            thread.call(thread.io_loop.add_handler, Loud(), print, thread.io_loop.READ)
            print("main")
            """))

    def test_b291_a_child_that_ends_normally(self):
        self.assertEqual(["child", "5"], self.program("""
            from __future__ import print_function
            import os, sys
            from friendserve.loopthread import LoopThread

            with LoopThread() as thread:
                child = os.fork()
                if not child:
                    print("child")
                    sys.stdout.flush()
                    sys.exit()
                os.waitpid(child, 0)
                print(thread.call(int, "5", timeout=10))
            """))

    def test_b291_a_callback_that_blocks_does_not_keep_the_program(self):
        output = self.program("""
            from __future__ import print_function
            import logging, threading
            from friendserve import loopthread

            logging.disable(logging.CRITICAL)
            loopthread.EXIT_TIMEOUT = 0.05
            thread = loopthread.LoopThread()
            thread.start()
            begun = threading.Event()
            thread.io_loop.add_callback(lambda: (begun.set(), threading.Event().wait(100)))
            begun.wait(10)
            print("main")
            """, is_silent=not six.PY2)
        self.assertEqual(["main"], output)


class ExampleTest(unittest.TestCase):
    def test_the_example_of_the_docstring(self):
        example = re.search("\n\n((?:    .*\n|\n)+)\nA loop", loopthread.__doc__).group(1)
        printed = []
        program = textwrap.dedent(example).replace("8888", str(services.free_port())).replace(
            "print(response.body)", "printed.append(response.body)")
        six.exec_(program, {"printed": printed, "__name__": "example"})
        self.assertEqual([b"all is well"], printed)


class RestartTest(GrowthCase, LoopThreadCase):
    def restart(self, poller):
        with LoopThread(lambda: IOLoop(impl=poller)) as thread:
            server = thread.call(serve, self.port)
            client = thread.call(AsyncHTTPClient)
            # The connection stays open, on both sides.
            response = thread.call_async(
                client.fetch, "http://127.0.0.1:%d/" % server.port, timeout=PATIENCE)
            self.assertEqual(b"ok", response.body)

    def test_b292_100_restarts_with_a_server(self):
        # The same each time, since URLs are remembered.
        self.port = services.free_port()
        for poller in available_pollers():
            self.assert_no_growth(functools.partial(self.restart, poller))
            self.assertEqual(set(), loopthread._threads)
