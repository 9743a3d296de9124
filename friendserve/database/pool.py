"""Statements that do not block the loop: threads run them, and callbacks get the results.

    pool = Pool("postgresql://localhost/blog", threads=4)
    pool.query("SELECT * FROM entries WHERE author = %s", "paul",
               callback=on_rows, on_error=on_error)
    pool.transaction(lambda db: move_money(db, 5), callback=on_moved)
"""
from __future__ import absolute_import, division, print_function

import collections
import os
import threading

from friendserve.awaitable import future_of
from friendserve.database.connection import MAX_IDLE_TIME, Connection
from friendserve.database.engines import make_engine
from friendserve.database.errors import InterfaceError, OutcomeUnknown, Unavailable
from friendserve.ioloop import IOLoop
from friendserve.log import gen_log
from friendserve.stack_context import NullContext, wrap
from friendserve.util import raise_error


class Pool(object):
    """Connections to one database, each in its own thread, for use from a loop.

    `query`, `get`, `execute`, `execute_rowcount`, `executemany` and `executemany_rowcount` take
    the arguments of the Connection methods of the same names, and these options:

    callback    called with the result, by the loop
    on_error    called with the exception, by the loop; without it, the exception is raised in the
                stack context of the caller, so a handler under `@asynchronous` answers 500
    timeout     seconds from the call to the result; the default is that of the pool

    One of the two callbacks is called, once. A call without both returns a Future. At most
    `max_queue` statements wait for a thread; any more fail with Unavailable. When the timeout
    expires, a statement that has not started fails with Unavailable and is never run; one that has
    started fails with OutcomeUnknown, and its result is dropped.

    A job that leaves a transaction open, such as ``execute("BEGIN")``, fails with InterfaceError,
    and the transaction is rolled back: jobs that follow would be lost with it. Use `transaction`.

    Threads are started as needed and end with the process. Call a pool only from the thread of
    its loop. In a forked child, the pool starts again without threads, connections and jobs: those
    of the parent remain with the parent, which alone completes them. `io_loop` must then be a loop
    of the child.
    """
    def __init__(self, url, threads=4, max_queue=1000, timeout=30, max_idle_time=MAX_IDLE_TIME,
                 io_loop=None):
        if threads < 1:
            raise ValueError("a pool needs at least one thread")
        self.io_loop = io_loop or IOLoop.current()
        self.max_queue = max_queue
        self.timeout = timeout
        self._engine = make_engine(url)
        if self._engine.place == ":memory:":
            # Each connection would get a separate database.
            threads = 1
        self._max_threads = threads
        self._max_idle_time = max_idle_time
        self._closed = False
        self._begin()

    def _begin(self):
        self._process = os.getpid()
        self._threads = []                  # all that were started
        # The rest is changed only while holding _ready.
        self._running = 0                   # threads that have not ended
        self._jobs = collections.deque()    # those that no thread has taken
        self._idle = 0                      # threads that wait for a job
        self._on_end = []                   # called when the last thread has ended
        self._ready = threading.Condition()

    def query(self, query, *parameters, **options):
        """Call back with all rows, as a list of Row."""
        return self._submit("query", (query,) + parameters, options)

    def get(self, query, *parameters, **options):
        """Call back with the only row, or None if there is none."""
        return self._submit("get", (query,) + parameters, options)

    def execute(self, query, *parameters, **options):
        """Run a statement, and call back with the id of an inserted row."""
        return self._submit("execute", (query,) + parameters, options)

    def execute_rowcount(self, query, *parameters, **options):
        """Run a statement, and call back with the number of rows matched."""
        return self._submit("execute_rowcount", (query,) + parameters, options)

    def executemany(self, query, parameters, **options):
        """Run a statement once for each list in `parameters`, in one transaction."""
        return self._submit("executemany", (query, parameters), options)

    def executemany_rowcount(self, query, parameters, **options):
        """As `executemany`, and call back with the total number of rows matched."""
        return self._submit("executemany_rowcount", (query, parameters), options)

    def run(self, function, **options):
        """Call `function(connection)` in a thread, and call back with its result. It must not touch
        the loop, nor anything that belongs to it."""
        return self._submit(None, (function,), options)

    def transaction(self, function, **options):
        """As `run`, in a transaction, which is rolled back if the function raises."""
        return self._submit("transaction", (function,), options)

    def close(self, callback=None):
        """Accept no more statements: those waiting fail with Unavailable, those that have started
        are completed. `callback()` is called when the last thread has finished."""
        self._claim()
        callback = wrap(callback)
        with self._ready:
            self._closed = True
            waiting, self._jobs = list(self._jobs), collections.deque()
            if callback is not None and self._running:
                self._on_end.append(callback)
                callback = None
            self._ready.notify_all()
        for job in waiting:
            self._tell(job, None, Unavailable("the pool was closed before this started"))
        if callback is not None:
            self.io_loop.spawn_callback(callback)

    def statistics(self):
        """The current numbers, as a dict: `threads`, those of them that are `busy`, and statements
        that are `waiting` for one."""
        self._claim()
        with self._ready:
            return {"threads": self._running, "busy": self._running - self._idle,
                    "waiting": len(self._jobs)}

    def _claim(self):
        """Start again if this is a child of the process that has used the pool so far: its threads
        do not exist here, and one may have held the lock."""
        if self._process != os.getpid():
            self._begin()

    # In the loop

    def _submit(self, method, arguments, options):
        if not options.get("callback") and not options.get("on_error"):
            return future_of(self._submit_for, method, arguments, options)
        callback = wrap(options.pop("callback", None))
        fail = wrap(options.pop("on_error", None) or raise_error)
        timeout = options.pop("timeout", self.timeout)
        if options:
            raise TypeError("unexpected arguments: %s" % ", ".join(sorted(options)))
        if self._closed:
            raise InterfaceError("this pool is closed")
        self._claim()
        job = _Job(method, arguments, callback, fail)
        with NullContext():
            with self._ready:
                is_full = len(self._jobs) >= self.max_queue + self._idle
                if not is_full:
                    self._jobs.append(job)
                    self._ready.notify()
            if is_full:
                self._tell(job, None, Unavailable(
                    "%d statements are already waiting for the database; nothing was done"
                    % self.max_queue))
                return
            if timeout is not None:
                job.timer = self.io_loop.call_later(timeout, self._expire, job, timeout)
        if len(self._jobs) > self._idle and len(self._threads) < self._max_threads:
            self._start_thread(job)

    def _start_thread(self, job):
        thread = threading.Thread(target=self._work)
        # A slow statement must not keep the process from ending.
        thread.daemon = True
        with self._ready:
            self._running += 1
        try:
            thread.start()
        except Exception as error:
            # The system is out of threads; those already running must do.
            gen_log.error("Cannot start a thread for %s: %s", self._engine.place, error)
            with self._ready:
                self._running -= 1
            if not self._threads and self._take_back(job):
                self._tell(job, None, Unavailable("no thread could be started: %s" % error))
        else:
            self._threads.append(thread)

    def _submit_for(self, method, arguments, options, callback, on_error):
        self._submit(method, arguments, dict(options, callback=callback, on_error=on_error))

    def _take_back(self, job):
        """Remove a job from the queue; returns False if a thread has taken it already."""
        with self._ready:
            try:
                self._jobs.remove(job)
            except ValueError:
                return False
        return True

    def _expire(self, job, timeout):
        job.timer = None
        self._claim()
        if self._take_back(job):
            error = Unavailable("no connection was free within %s seconds; nothing was done"
                                % timeout)
        else:
            error = OutcomeUnknown("the database did not answer within %s seconds" % timeout)
        self._finish(job, None, error)

    def _tell(self, job, result, error):
        """Have the loop report an outcome. May be called from any thread."""
        self.io_loop.spawn_callback(self._finish, job, result, error)

    def _finish(self, job, result, error):
        if job.timer is not None:
            self.io_loop.remove_timeout(job.timer)
            job.timer = None
        callback, fail = job.callback, job.fail
        if fail is None:
            return
        job.callback = job.fail = None
        if error is not None:
            fail(error)
        elif callback is not None:
            callback(result)

    # In the threads

    def _work(self):
        try:
            connection = Connection.over(self._engine, self._max_idle_time, self.timeout)
            self._carry_out_jobs(connection)
            connection.close()
        finally:
            with self._ready:
                self._running -= 1
                callbacks = [] if self._running else self._on_end
            for callback in callbacks:
                self.io_loop.spawn_callback(callback)

    def _carry_out_jobs(self, connection):
        """Carry out jobs until the pool is closed."""
        while True:
            with self._ready:
                self._idle += 1
                while not self._jobs and not self._closed:
                    self._ready.wait()
                self._idle -= 1
                if self._closed:
                    break
                job = self._jobs.popleft()
            try:
                result, error = self._carry_out(connection, job), None
            except BaseException as caught:
                # Including SystemExit, which would end this thread for good.
                result, error = None, caught
            if self._end_open_transaction(connection) and error is None:
                result, error = None, InterfaceError(
                    "a transaction was left open, and has been rolled back; use transaction()")
            self._tell(job, result, error)
            job = result = error = None

    def _end_open_transaction(self, connection):
        """Leave nothing of a job to the jobs that follow."""
        try:
            return connection.end_open_transaction()
        except Exception:
            gen_log.error("Cannot roll back on %s", self._engine.place, exc_info=True)
            connection.close()
            return False

    def _carry_out(self, connection, job):
        if job.method is None:
            return job.arguments[0](connection)
        if job.method == "transaction":
            with connection.transaction():
                return job.arguments[0](connection)
        return getattr(connection, job.method)(*job.arguments)


class _Job(object):
    """A statement or function to run. `fail` is None once the outcome was reported."""
    __slots__ = ("method", "arguments", "callback", "fail", "timer")

    def __init__(self, method, arguments, callback, fail):
        self.method = method
        self.arguments = arguments
        self.callback = callback
        self.fail = fail
        self.timer = None
