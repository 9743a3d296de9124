"""A loop in a thread takes functions and coroutines from outside."""
from __future__ import absolute_import, division, print_function

import threading

from scenario import equal
from threadloop import ThreadLoop
from tornado import gen
from tornado.ioloop import IOLoop


def where():
    return threading.current_thread().ident


@gen.coroutine
def later():
    yield gen.Task(IOLoop.current().add_callback)
    raise gen.Return("result")


with ThreadLoop() as loop:
    inside = loop.submit(where).result(5)
    assert inside != where()
    equal(inside, loop.submit(where).result(5))
    equal("result", loop.submit(later).result(5))
    failed = loop.submit(lambda: 1 / 0)
    assert isinstance(failed.exception(5), ZeroDivisionError)
