"""Coroutines: asynchronous code that reads from top to bottom.

    from friendserve import gen
    from friendserve.httpclient import AsyncHTTPClient
    from friendserve.ioloop import IOLoop

    @gen.coroutine
    def sizes(urls):
        client = AsyncHTTPClient()
        responses = yield [client.fetch(url) for url in urls]
        raise gen.Return([len(response.body) for response in responses])

    print(IOLoop.current().run_sync(lambda: sizes(["http://127.0.0.1:8888/"])))

A coroutine is a generator that yields what it waits for: a Future, what a write returns, another
coroutine, or a list or dict of these. It is resumed with the result, or the exception is raised at
the ``yield``. It runs until its first ``yield`` as soon as it is called, and returns a Future. On
Python 3 a generator may ``return`` its result, and ``async def`` functions with ``await`` work in
all places where coroutines do.

`engine`, `Task`, `Callback`, `Wait` and `WaitAll` are the older style: they work with functions
that take a callback, and `engine` returns nothing.
"""
from __future__ import absolute_import, division, print_function

from friendserve.concurrent import Future, ReturnValueIgnoredError, is_future
from friendserve.gen.coroutines import (
    Task, WaitIterator, coroutine, engine, is_coroutine_function, maybe_future, sleep,
    with_timeout)
from friendserve.gen.points import (
    Arguments, BadYieldError, Callback, KeyReuseError, LeakedCallbackError, UnknownKeyError, Wait,
    WaitAll, YieldPoint)
from friendserve.gen.runner import (
    MultiYieldPoint, Return, Runner, YieldFuture, convert_yielded, moment, multi, multi_future)
from friendserve.util import TimeoutError, set_public_module

#: The name of Tornado 2.
Multi = multi

__all__ = [
    "Arguments", "BadYieldError", "Callback", "Future", "KeyReuseError", "LeakedCallbackError",
    "Multi", "MultiYieldPoint", "Return", "ReturnValueIgnoredError", "Runner", "Task",
    "TimeoutError", "UnknownKeyError", "Wait", "WaitAll", "WaitIterator", "YieldFuture",
    "YieldPoint", "convert_yielded", "coroutine", "engine", "is_coroutine_function",
    "is_future", "maybe_future", "moment", "multi", "multi_future", "sleep", "with_timeout"]

set_public_module(globals())
