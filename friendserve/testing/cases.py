"""Test cases with a loop, a server and a client."""
from __future__ import absolute_import, division, print_function

import os
import socket
import sys
import types
import unittest

import six

from friendserve.concurrent import Future
from friendserve.gen import Runner
from friendserve.gen.runner import is_native
from friendserve.httpclient import AsyncHTTPClient
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop, TimeoutError
from friendserve.log import app_log
from friendserve.netutil import bind_sockets
from friendserve.stack_context import ExceptionStackContext

#: A certificate for localhost and 127.0.0.1, signed by itself, and its key.
CERTIFICATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "localhost.pem")


def get_async_test_timeout():
    """The number of seconds that an asynchronous test may take by default: the environment variable
    ASYNC_TEST_TIMEOUT, or 5."""
    try:
        return float(os.environ.get("ASYNC_TEST_TIMEOUT", ""))
    except ValueError:
        return 5


def bind_unused_port(reuse_port=False):
    """A socket that listens on a free port of 127.0.0.1, and the number of the port."""
    sock, = bind_sockets(0, "127.0.0.1", socket.AF_INET, reuse_port=reuse_port)
    return sock, sock.getsockname()[1]


def get_unused_port():
    """A port of 127.0.0.1 that was free a moment ago. `bind_unused_port` keeps it."""
    sock, port = bind_unused_port()
    sock.close()
    return port


class AsyncTestCase(unittest.TestCase):
    """A TestCase with a loop, `io_loop`, which is current during the test.

        class FetchTest(AsyncTestCase):
            def test_fetch(self):
                AsyncHTTPClient().fetch("http://127.0.0.1:8888/", self.stop)
                response = self.wait()
                self.assertEqual(200, response.code)

    An exception in a callback that the test has scheduled fails the test, and `wait` raises it.
    Tests that are coroutines need `gen_test`.
    """
    def __init__(self, methodName="runTest"):
        super(AsyncTestCase, self).__init__(methodName)
        self.__stop_args = None
        self.__stopped = self.__running = False
        self.__failure = None       # exc_info of the first exception of a callback
        setattr(self, methodName, _checked(getattr(self, methodName, None)))

    def setUp(self):
        super(AsyncTestCase, self).setUp()
        loop = self.io_loop = self.get_new_ioloop()
        loop.make_current()

    def tearDown(self):
        IOLoop.clear_current()
        if not (IOLoop.initialized() and self.io_loop is IOLoop.instance()):
            # The program may continue to use a loop that it shares.
            self.io_loop.close(all_fds=True)
        super(AsyncTestCase, self).tearDown()
        # An exception may have come after the last wait.
        self.__raise_failure()

    def get_new_ioloop(self):
        """The loop of a test: a new one. May be overridden."""
        return IOLoop(make_current=False)

    def run(self, result=None):
        with ExceptionStackContext(self.__on_exception):
            result = super(AsyncTestCase, self).run(result)
        return result

    def __on_exception(self, typ, value, tb):
        if self.__failure is None:
            self.__failure = typ, value, tb
        else:
            app_log.error("A further exception in a test", exc_info=(typ, value, tb))
        self.stop()
        return True

    def __raise_failure(self):
        failure, self.__failure = self.__failure, None
        if failure is not None:
            try:
                six.reraise(*failure)
            finally:
                failure = None

    def stop(self, _arg=None, **kwargs):
        """Make the pending call of `wait`, or else the next one, return `_arg` or a dict of the
        keyword arguments. Can be passed as a callback anywhere."""
        if _arg is not None and kwargs:
            raise TypeError("stop takes one value or keyword arguments, not both")
        self.__stop_args = kwargs or _arg
        if self.__running:
            self.__running = False
            self.io_loop.stop()
        self.__stopped = True

    def wait(self, condition=None, timeout=None):
        """Run the loop until `stop` is called, and return what it was called with.

        With `condition`, until that returns true after a call of `stop`. Fails the test after
        `timeout` seconds (default: `get_async_test_timeout`), and raises the exception of a
        callback.
        """
        if timeout is None:
            timeout = get_async_test_timeout()
        if not self.__stopped:
            timer = None
            if timeout:
                timer = self.io_loop.call_later(timeout, self.__expire, timeout)
            try:
                self.__run(condition)
            finally:
                self.__running = False
                if timer is not None:
                    self.io_loop.remove_timeout(timer)
        self.__stopped = False
        self.__raise_failure()
        result, self.__stop_args = self.__stop_args, None
        return result

    def __run(self, condition):
        over = False
        while not over:
            self.__running = True
            self.io_loop.start()
            over = self.__failure is not None or condition is None or condition()

    def __expire(self, timeout):
        try:
            raise self.failureException(
                "Async operation timed out after %s seconds" % timeout)
        except Exception:
            self.__on_exception(*sys.exc_info())


def _checked(method):
    """A test method that fails if it returns something: a generator or coroutine would pass without
    being run."""
    if method is None:
        return None

    @six.wraps(method)
    def wrapper(*args, **kwargs):
        result = method(*args, **kwargs)
        if isinstance(result, types.GeneratorType) or is_native(result):
            if is_native(result):
                result.close()
            raise TypeError("a test that is a generator or coroutine needs @gen_test")
        if result is not None:
            raise ValueError("a test must return None, not %r" % (result,))
    return wrapper


def gen_test(func=None, timeout=None):
    """A decorator for a test of an AsyncTestCase that is a generator or ``async def``.

    It fails after `timeout` seconds (default: `get_async_test_timeout`). Also
    ``@gen_test(timeout=10)``.
    """
    if timeout is None:
        timeout = get_async_test_timeout()

    def decorate(func):
        @six.wraps(func)
        def wrapper(self, *args, **kwargs):
            begun = []

            def begin():
                result = func(self, *args, **kwargs)
                if not isinstance(result, types.GeneratorType) and (
                        not is_native(result) or self.io_loop.run_native is not None):
                    return result
                begun.append(result)
                future = Future()
                Runner(result, future).run()
                return future

            try:
                return self.io_loop.run_sync(begin, timeout=timeout)
            except TimeoutError as error:
                if begun:
                    # Raised there, it shows where the test waited.
                    begun[0].throw(error)
                raise
        return wrapper

    return decorate(func) if func is not None else decorate


class AsyncHTTPTestCase(AsyncTestCase):
    """An AsyncTestCase with a server of the application that `get_app` returns.

        class HelloTest(AsyncHTTPTestCase):
            def get_app(self):
                return Application([("/", HelloHandler)])

            def test_hello(self):
                self.assertEqual(b"hello", self.fetch("/").body)
    """
    def setUp(self):
        super(AsyncHTTPTestCase, self).setUp()
        listener, self.__port = bind_unused_port()
        self.http_client, self._app = self.get_http_client(), self.get_app()
        server = self.http_server = self.get_http_server()
        server.add_sockets([listener])

    def tearDown(self):
        self.http_server.stop()
        self.http_server.close_all_connections()
        self.http_client.close()
        super(AsyncHTTPTestCase, self).tearDown()

    def get_app(self):
        """The Application, or another request callback, to serve. To be overridden."""
        raise NotImplementedError("%s must define get_app" % type(self).__name__)

    def get_http_client(self):
        """The client. May be overridden."""
        return AsyncHTTPClient(io_loop=self.io_loop)

    def get_http_server(self):
        """The server. May be overridden."""
        return HTTPServer(self._app, io_loop=self.io_loop, **self.get_httpserver_options())

    def get_httpserver_options(self):
        """The options of the server, a dict. May be overridden."""
        return {}

    def get_protocol(self):
        return "http"

    def get_http_port(self):
        """The port of the server."""
        return self.__port

    def get_url(self, path):
        """The URL of a path on the server."""
        return "%s://127.0.0.1:%d%s" % (self.get_protocol(), self.get_http_port(), path)

    def fetch(self, path, raise_error=False, **kwargs):
        """Fetch a path of the server, or a whole URL, and return the HTTPResponse. `kwargs` are
        options of HTTPRequest; with `raise_error`, the error of the response is raised."""
        if not path.lower().startswith(("http://", "https://")):
            path = self.get_url(path)
        self.http_client.fetch(path, self.stop, **kwargs)
        response = self.wait()
        if raise_error:
            response.rethrow()
        return response


class AsyncHTTPSTestCase(AsyncHTTPTestCase):
    """An AsyncHTTPTestCase over TLS, with a certificate that only this client accepts."""

    def get_http_client(self):
        return AsyncHTTPClient(io_loop=self.io_loop, force_instance=True,
                               defaults={"validate_cert": False})

    def get_httpserver_options(self):
        return {"ssl_options": self.get_ssl_options()}

    def get_ssl_options(self):
        """The TLS options of the server. May be overridden."""
        return {"certfile": CERTIFICATE, "keyfile": CERTIFICATE}

    def get_protocol(self):
        return "https"
