"""A plug-in for pytest: fixtures for a loop, a client and a server, and tests that are coroutines.

    import pytest

    @pytest.fixture
    def app():
        return Application([("/", HelloHandler)])

    async def test_hello(http_client, base_url):
        response = await http_client.fetch(base_url + "/")
        assert response.body == b"hello"

A test that is a coroutine, by ``async def`` or ``@gen.coroutine``, and uses `io_loop`, itself or
through another fixture, runs on that loop, for at most ASYNC_TEST_TIMEOUT seconds (default: 5).

pytest finds this by itself once the package is installed; ``-p no:friendserve`` turns it off.
"""
from __future__ import absolute_import, division, print_function

import functools
import inspect

import pytest

from friendserve.gen import is_coroutine_function
from friendserve.httpclient import AsyncHTTPClient
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop
from friendserve.testing.cases import bind_unused_port, get_async_test_timeout

_is_native = getattr(inspect, "iscoroutinefunction", lambda function: False)  # version: py2


@pytest.fixture
def io_loop():
    """A new IOLoop, which is current during the test."""
    loop = IOLoop(make_current=True)
    yield loop
    IOLoop.clear_current()
    loop.close(all_fds=True)


@pytest.fixture
def http_client(io_loop):
    """The AsyncHTTPClient of `io_loop`."""
    client = AsyncHTTPClient(io_loop=io_loop)
    yield client
    client.close()


@pytest.fixture
def _listener():
    sock, port = bind_unused_port()
    yield sock, port
    sock.close()


@pytest.fixture
def http_port(_listener):
    """The port of `http_server`."""
    return _listener[1]


@pytest.fixture
def http_server(io_loop, _listener, app):
    """An HTTPServer of the fixture `app`, an Application, which the test module defines."""
    server = HTTPServer(app, io_loop=io_loop)
    server.add_sockets([_listener[0]])
    yield server
    server.stop()
    server.close_all_connections()


@pytest.fixture
def base_url(http_server, http_port):
    """The URL of `http_server`, without a path."""
    return "http://127.0.0.1:%d" % http_port


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    loop, function = pyfuncitem.funcargs.get("io_loop"), pyfuncitem.obj
    if loop is None or not (is_coroutine_function(function) or _is_native(function)):
        return None
    arguments = dict((name, pyfuncitem.funcargs[name])
                     for name in pyfuncitem._fixtureinfo.argnames)
    loop.run_sync(functools.partial(function, **arguments), timeout=get_async_test_timeout())
    return True
