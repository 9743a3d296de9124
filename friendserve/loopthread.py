"""A loop in a thread, for a program whose main thread does something else.

    from friendserve.httpclient import AsyncHTTPClient
    from friendserve.loopthread import LoopThread
    from friendserve.web import Application, RequestHandler

    class StatusHandler(RequestHandler):
        def get(self):
            self.write("all is well")

    with LoopThread() as thread:
        server = thread.call(Application([("/status", StatusHandler)]).listen, 8888)
        # The program's other work. From here, anything on the loop is done by a call:
        client = thread.call(AsyncHTTPClient)
        response = thread.call_async(client.fetch, "http://localhost:8888/status", timeout=10)
        print(response.body)
        thread.call(server.stop)

A loop, and all that runs on it, may be used only in its own thread. A `LoopThread` starts that
thread, and hands functions over to it and their results back. There are two kinds of functions:

- `call` is for one that returns its result, such as `server.stop`, or a Future or coroutine, whose
  result it then is;
- `call_async` is for one that takes a `callback`, such as `client.fetch`, and its result is the
  argument of that callback. An error reaches the caller as well: the function raises it from the
  loop, unless it is given an `on_error`.

Both block until the result is there. `submit` and `submit_async` return a Future of
concurrent.futures instead.

The thread is a daemon thread: it does not keep the process alive. When the program ends, the loop
is stopped after the program's own `atexit` functions, which may still call into it. A child made by
a fork does not have the thread: there, calls raise LoopStoppedError and `stop` does nothing. So a
program that becomes a daemon by a fork starts it after that.
"""
from __future__ import absolute_import, division, print_function

import atexit
import numbers
import os
import sys
import threading

import six

try:
    from concurrent.futures import Future
except ImportError:  # version: py2
    Future = None

from friendserve.awaitable import is_awaitable
from friendserve.ioloop import IOLoop
from friendserve.log import app_log
from friendserve.platform.pollers.clock import monotonic_time
from friendserve.stack_context import ExceptionStackContext
from friendserve.util import TimeoutError

__all__ = ["LoopThread", "LoopStoppedError"]

#: Seconds for which the end of the process waits for a loop that is blocked by a callback.
EXIT_TIMEOUT = 5

# The longest single wait in seconds. A wait without a limit cannot be interrupted by a signal on
# Python 2, and one that is too long raises OverflowError.
_LONG = 86400

#: The states of a LoopThread, in order. Calls are accepted while it is RUNNING.
NEW, STARTING, RUNNING, STOPPING, ENDED = "new", "starting", "running", "stopping", "ended"

# Those whose loop has not ended, in this process or, after a fork, in its parent.
_threads = set()


class LoopStoppedError(RuntimeError):
    """The loop was stopped before the call had a result, or it does not run in this process."""


class LoopThread(object):
    """A loop that runs in a thread, from `start` to `stop` or in a ``with`` block.

    `make_loop()` is called in the thread and returns the loop; `name` is that of the thread. All
    methods may be called from any thread.

    `call` and the other methods that call into the loop raise LoopStoppedError if it is not
    running. A call that has no result yet when the loop stops, for whatever reason, ends with that
    error too.
    """
    def __init__(self, make_loop=IOLoop, name="friendserve loop"):
        if not callable(make_loop):
            raise TypeError("make_loop must be a function that returns a loop, not %r"
                            % (make_loop,))
        #: The loop; None before `start`.
        self.io_loop = None
        self._make_loop = make_loop
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._run, name=name)
        self._thread.daemon = True
        self._made = threading.Event()      # set once the thread is RUNNING, or ENDED
        self._failure = None                # the exc_info of make_loop
        self._lock = threading.Lock()       # guards the rest
        self._state = NEW
        self._calls = set()                 # those that have no answer yet

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, error, trace):
        self.stop()

    def start(self):
        """Start the loop in its thread. Once it has ended, make another LoopThread.

        Raises RuntimeError the second time, and any exception of `make_loop`.
        """
        with self._lock:
            if self._state is not NEW:
                raise RuntimeError("a LoopThread can be started only once: make another")
            self._state = STARTING
        self._process = os.getpid()
        try:
            self._thread.start()
        except BaseException:
            # The system allows no more threads.
            self._end()
            raise
        while not self._made.is_set():
            self._made.wait(_LONG)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            six.reraise(*failure)

    def running(self):
        """Whether calls are accepted."""
        return self._state is RUNNING and self._process == os.getpid()

    def stop(self, timeout=None):
        """Stop the loop, close it with all fds that are registered with it, and wait until its
        thread has ended.

        Functions handed over before this are still called. Raises TimeoutError if a callback blocks
        the loop for `timeout` seconds (None: no limit); then calls without a result end with
        LoopStoppedError, and the loop stops when that callback returns. Harmless if the loop is not
        running. In the loop's own thread this does not wait.
        """
        if self._process != os.getpid():
            return
        with self._lock:
            is_new = self._state is NEW
            self._state = STARTING if is_new else self._state
        if is_new:
            self._end()
        self._made.wait(_LONG)
        with self._lock:
            was_running = self._state is RUNNING
            if was_running:
                self._state = STOPPING
        if was_running:
            self.io_loop.spawn_callback(self.io_loop.stop)
        if threading.current_thread() is self._thread:
            return
        deadline = None if timeout is None else monotonic_time() + timeout
        while self._thread.is_alive():
            wait = _LONG if deadline is None else deadline - monotonic_time()
            if wait <= 0:
                self._fail_all("it is being stopped, but a callback blocks it")
                raise TimeoutError("the loop did not stop within %s seconds: a callback blocks it"
                                   % timeout)
            self._thread.join(min(wait, _LONG))

    def call(self, function, *args, **kwargs):
        """The result of `function(*args, **kwargs)`, called in the loop's thread; an exception is
        raised here. If the function returns a Future or coroutine, that is waited for.

        The option `timeout` is a number of seconds. When it has passed, TimeoutError is raised: a
        call that has not begun is never made, and the result of one that has is dropped. All other
        options are passed on. (For a function that itself has a `timeout`, use
        functools.partial.) Raises RuntimeError in the loop's thread, which would wait for itself.
        """
        return self._wait(self._begin, function, args, kwargs)

    def call_async(self, function, *args, **kwargs):
        """Like `call`, for ``function(*args, callback=..., **kwargs)``: the result is the argument
        of the callback, None if there is none, or a tuple of several.

        An exception that the function raises, at once or later from the loop in the stack context
        of the call, is raised here. What happens after the first result has no effect here.
        """
        return self._wait(self._begin_async, function, args, kwargs)

    def submit(self, function, *args, **kwargs):
        """A concurrent.futures.Future for the result of `call`. The function is called unless the
        Future is cancelled before.

        All options are passed to the function. May be used in the loop's thread too. Raises
        RuntimeError on a Python 2 without the package 'futures'.
        """
        return self._submit(self._begin, function, args, kwargs)

    def submit_async(self, function, *args, **kwargs):
        """Like `submit`, for a function as in `call_async`."""
        return self._submit(self._begin_async, function, args, kwargs)

    # In the callers' threads

    def _wait(self, begin, function, args, kwargs):
        timeout = kwargs.pop("timeout", None)
        if timeout is not None and not isinstance(timeout, numbers.Real):
            raise TypeError("timeout must be a number of seconds or None, not %r" % (timeout,))
        if threading.current_thread() is self._thread:
            raise RuntimeError("this is the loop's own thread, which would wait for itself: call "
                               "the function directly")
        call = _BlockingCall()
        self._hand_over(call, begin, function, args, kwargs)
        try:
            return call.wait(timeout)
        finally:
            self._forget(call)

    def _submit(self, begin, function, args, kwargs):
        if Future is None:
            raise RuntimeError("there are no Futures: install the package 'futures', or use call")
        call = _FutureCall()
        self._hand_over(call, begin, function, args, kwargs)
        return call.future

    def _hand_over(self, call, begin, function, args, kwargs):
        if not callable(function):
            raise TypeError("only a function can be called, not %r" % (function,))
        if self._process != os.getpid():
            # The lock may have been held by a thread that does not exist here.
            raise LoopStoppedError(
                "the loop runs in process %d and not in its child %d: start another LoopThread "
                "after the fork" % (self._process, os.getpid()))
        with self._lock:
            if self._state is not RUNNING:
                raise LoopStoppedError(
                    "the loop has not been started" if self._state in (NEW, STARTING) else
                    "the loop was stopped")
            self._calls.add(call)
        self.io_loop.spawn_callback(begin, call, function, args, kwargs)

    def _forget(self, call):
        """Remove a call; returns whether it had no answer, which the caller may now give."""
        with self._lock:
            if call in self._calls:
                self._calls.remove(call)
                return True
        return False

    def _end(self):
        with self._lock:
            self._state = ENDED
        self._made.set()

    def _fail_all(self, reason):
        """End all calls that have no answer."""
        with self._lock:
            calls, self._calls = self._calls, set()
        for call in calls:
            call.answer(None, (LoopStoppedError,
                               LoopStoppedError("the loop cannot answer: " + reason), None))

    # In the loop's thread

    def _run(self):
        try:
            loop = self.io_loop = self._make_loop()
        except BaseException:
            self._failure = sys.exc_info()
            self._end()
            return
        _threads.add(self)
        self._state = RUNNING
        self._made.set()
        reason = "it was stopped"
        try:
            loop.start()
        except BaseException as error:
            # SystemExit, for example, which a callback has raised.
            app_log.error("The loop of the thread %r was ended by an exception",
                          self._thread.name, exc_info=True)
            reason = "it was ended by %r" % (error,)
        finally:
            self._end()
            self._fail_all(reason)
            _threads.discard(self)
            loop.close(all_fds=True)

    def _begin(self, call, function, args, kwargs):
        if self._claim(call):
            self._finish(call, function, *args, **kwargs)

    def _finish(self, call, function, *args, **kwargs):
        """Answer a call with the result of a function."""
        try:
            result = function(*args, **kwargs)
            if is_awaitable(result):
                self.io_loop.add_future(result, lambda future: self._finish(call, future.result))
                return
        except BaseException:
            self._answer(call, None, sys.exc_info())
        else:
            self._answer(call, result, None)

    def _begin_async(self, call, function, args, kwargs):
        if self._claim(call):
            _Callback(self, call).pass_to(function, args, kwargs)

    def _claim(self, call):
        """Whether a call is still to be made."""
        with self._lock:
            if call not in self._calls:
                return False
            if not call.begin():
                self._calls.remove(call)
                return False
        return True

    def _answer(self, call, result, exc_info):
        """Answer a call, unless it has been answered; returns whether this was the answer."""
        if not self._forget(call):
            return False
        call.answer(result, exc_info)
        return True


class _Callback(object):
    """The callback of a function for `call_async`."""
    __slots__ = ("_thread", "_call", "_deactivate")

    def __init__(self, thread, call):
        self._thread = thread
        self._call = call
        self._deactivate = None

    def pass_to(self, function, args, kwargs):
        try:
            with ExceptionStackContext(self._failed) as self._deactivate:
                function(*args, callback=self, **kwargs)
        except BaseException:
            # The context passes SystemExit on, and whatever follows the answer.
            if not self._thread._answer(self._call, None, sys.exc_info()):
                raise

    def __call__(self, *results):
        # Connections, for example, may outlive the call.
        self._deactivate()
        self._thread._answer(self._call, results[0] if len(results) == 1 else results or None,
                             None)

    def _failed(self, kind, error, trace):
        self._deactivate()
        return self._thread._answer(self._call, None, (kind, error, trace))


class _BlockingCall(object):
    """A call whose caller waits for it. `begin` returns whether it is still to be made; `answer` is
    called at most once, with a result or an exc_info."""
    __slots__ = ("_changed", "_has_begun", "_is_over", "_outcome")

    def __init__(self):
        self._changed = threading.Condition()
        self._has_begun = False
        self._is_over = False       # answered, or its caller does not wait any more
        self._outcome = None

    def begin(self):
        with self._changed:
            self._has_begun = not self._is_over
            return self._has_begun

    def answer(self, result, exc_info):
        with self._changed:
            self._is_over = True
            self._outcome = result, exc_info
            self._changed.notify()

    def wait(self, timeout):
        deadline = None if timeout is None else monotonic_time() + timeout
        with self._changed:
            try:
                while not self._is_over:
                    wait = _LONG if deadline is None else deadline - monotonic_time()
                    if wait <= 0:
                        raise TimeoutError(
                            "the call %s within %s seconds" % (
                                "has not ended" if self._has_begun else
                                "did not begin, and is not made,", timeout))
                    self._changed.wait(min(wait, _LONG))
            finally:
                # Also when a signal's handler raises.
                self._is_over = True
        (result, exc_info), self._outcome = self._outcome, None
        if exc_info is not None:
            try:
                six.reraise(*exc_info)
            finally:
                # Its frames refer back to it.
                del exc_info
        return result


class _FutureCall(object):
    """A call whose outcome goes to a Future. The methods are as in `_BlockingCall`."""
    __slots__ = ("future", "_has_begun")

    def __init__(self):
        self.future = Future()
        self._has_begun = False

    def begin(self):
        # False if it was cancelled.
        self._has_begun = self.future.set_running_or_notify_cancel()
        return self._has_begun

    def answer(self, result, exc_info):
        if not self._has_begun and not self.begin():
            return
        if exc_info is None:
            self.future.set_result(result)
        elif hasattr(self.future, "set_exception_info"):  # version: py2
            self.future.set_exception_info(exc_info[1], exc_info[2])
        else:
            self.future.set_exception(exc_info[1])


def _stop_all():
    for thread in list(_threads):
        try:
            thread.stop(EXIT_TIMEOUT)
        except TimeoutError as error:
            app_log.warning("The process ends although %s", error)


atexit.register(_stop_all)
