from __future__ import absolute_import, division, print_function

import logging
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest

from friendserve import gen
from friendserve.httpclient import AsyncHTTPClient, HTTPError
from friendserve.ioloop import IOLoop
from friendserve.testing import (
    AsyncHTTPSTestCase, AsyncHTTPTestCase, AsyncTestCase, ExpectLog, LogTrapTestCase,
    bind_unused_port, gen_test, get_async_test_timeout, get_unused_port)
from friendserve.web import Application, RequestHandler, asynchronous
from tests import ROOT


def run_case(base, test):
    """The TestResult of one test function as a test of `base`."""
    case = type(str("Case"), (base,), {str("test"): test})("test")
    result = unittest.TestResult()
    case.run(result)
    return result


class HelloHandler(RequestHandler):
    def get(self):
        self.write(self.request.protocol)

    @asynchronous
    def post(self):
        raise KeyError("k")


class AsyncTestCaseTest(unittest.TestCase):
    def passes(self, test, base=AsyncTestCase):
        result = run_case(base, test)
        self.assertEqual(([], []), (result.errors, result.failures))

    def fails(self, test, *texts):
        result = run_case(AsyncTestCase, test)
        self.assertEqual(1, len(result.errors + result.failures))
        for text in texts:
            self.assertIn(text, (result.errors + result.failures)[0][1])

    def test_stop_and_wait(self):
        def test(case):
            case.assertIs(case.io_loop, IOLoop.current())
            case.io_loop.add_callback(case.stop, 5)
            case.assertEqual(5, case.wait())
            case.stop(x=1)
            case.assertEqual({"x": 1}, case.wait())
            case.io_loop.call_later(0.001, case.stop)
            case.assertIsNone(case.wait(timeout=10))
            with case.assertRaises(TypeError):
                case.stop(1, x=2)

        self.passes(test)

    def test_wait_for_a_condition(self):
        def test(case):
            seen = []

            def more():
                seen.append(1)
                case.stop()
                case.io_loop.add_callback(more)

            case.io_loop.add_callback(more)
            case.wait(lambda: len(seen) >= 3)
            case.assertGreaterEqual(len(seen), 3)

        self.passes(test)

    def test_exceptions_of_callbacks_fail_the_test(self):
        def test(case):
            case.io_loop.add_callback(lambda: {}["missing"])
            case.wait()

        def later(case):
            case.io_loop.add_callback(lambda: {}["missing"])
            case.io_loop.run_once()

        for function in (test, later):
            self.fails(function, "KeyError", "missing")

    def test_it_does_not_wait_without_end(self):
        self.fails(lambda case: case.wait(timeout=0.001), "timed out after 0.001 seconds")

    def test_a_test_that_would_not_run(self):
        def generator(case):
            yield

        self.fails(generator, "@gen_test")
        self.fails(lambda case: 5, "must return None")

    def test_gen_test(self):
        @gen_test
        def test(case):
            yield gen.moment
            case.assertEqual(1, (yield gen.maybe_future(1)))

        @gen_test(timeout=10)
        def plain(case):
            pass

        self.passes(test)
        self.passes(plain)

        @gen_test
        def failing(case):
            yield gen.moment
            raise KeyError("in the test")

        @gen_test(timeout=0.001)
        def slow(case):
            yield gen.sleep(60)     # it waits here

        self.fails(failing, "in the test")
        self.fails(slow, "TimeoutError", "# it waits here")

    def test_nothing_is_left(self):
        before = IOLoop.current(instance=False)
        self.passes(lambda case: None)
        self.assertIsNone(IOLoop.current(instance=False))
        if before is not None:
            before.make_current()

    def test_ports(self):
        sock, port = bind_unused_port()
        self.assertEqual(("127.0.0.1", port), sock.getsockname())
        sock.close()
        self.assertGreater(get_unused_port(), 0)

    def test_the_time_limit(self):
        old = os.environ.get("ASYNC_TEST_TIMEOUT")
        try:
            for text, expected in (("7.5", 7.5), ("", 5), ("x", 5)):
                os.environ["ASYNC_TEST_TIMEOUT"] = text
                self.assertEqual(expected, get_async_test_timeout())
        finally:
            del os.environ["ASYNC_TEST_TIMEOUT"]
            if old is not None:
                os.environ["ASYNC_TEST_TIMEOUT"] = old


class HTTPTest(AsyncHTTPTestCase):
    def get_app(self):
        return Application([("/", HelloHandler)])

    def test_fetch(self):
        self.assertEqual(b"http", self.fetch("/").body)
        self.assertEqual(404, self.fetch("/none").code)
        self.assertEqual(200, self.fetch(self.get_url("/")).code)
        with self.assertRaises(HTTPError):
            self.fetch("/none", raise_error=True)

    def test_an_error_in_a_handler_is_the_servers(self):
        with ExpectLog("friendserve.application", "Uncaught exception POST / "):
            self.assertEqual(500, self.fetch("/", method="POST", body=b"").code)

    @gen_test
    def test_a_coroutine(self):
        response = yield self.http_client.fetch(self.get_url("/"))
        self.assertEqual(b"http", response.body)


class HTTPSTest(AsyncHTTPSTestCase):
    def get_app(self):
        return Application([("/", HelloHandler)])

    def test_fetch(self):
        self.assertEqual(b"https", self.fetch("/").body)

    def test_the_certificate_is_for_this_client_only(self):
        client = AsyncHTTPClient(io_loop=self.io_loop)
        client.fetch(self.get_url("/"), self.stop)
        self.assertEqual(599, self.wait().code)


class LogTest(unittest.TestCase):
    def test_expected_logs_are_hidden(self):
        seen = []
        logger = logging.getLogger("friendserve.tests.logs")
        handler = logging.Handler()
        handler.emit = seen.append
        logger.addHandler(handler)
        logger.propagate = False
        self.addCleanup(logger.removeHandler, handler)
        with ExpectLog(logger, "expected") as expected:
            logger.error("expected %d", 1)
            logger.error("other")
        self.assertTrue(expected.matched)
        self.assertFalse(expected.logged_stack)
        self.assertEqual(["other"], [record.getMessage() for record in seen])
        with ExpectLog(logger, "expected", required=False) as expected:
            logger.error("other", exc_info=(KeyError, KeyError(), None))
        self.assertTrue(expected.logged_stack)
        with self.assertRaises(AssertionError):
            with ExpectLog(logger.name, "expected"):
                pass
        with self.assertRaises(KeyError):
            with ExpectLog(logger, "expected"):
                raise KeyError()

    def test_logs_are_shown_if_a_test_fails(self):
        seen = []
        root = logging.getLogger()
        old, handler = root.handlers, logging.Handler()
        handler.emit = seen.append
        root.handlers = [handler]
        try:
            def passing(case):
                logging.error("quiet")

            def failing(case):
                logging.error("loud")
                case.fail()

            run_case(LogTrapTestCase, passing)
            run_case(LogTrapTestCase, failing)
        finally:
            root.handlers = old
        self.assertEqual(["loud"], [record.getMessage() for record in seen])


class CommandTest(unittest.TestCase):
    def run_python(self, *args, **options):
        process = subprocess.Popen(
            (sys.executable,) + args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            cwd=options.get("cwd"), env=dict(os.environ, PYTHONPATH=ROOT, PYTEST_ADDOPTS=""))
        output = process.communicate()[0].decode("utf-8")
        return process.returncode, output

    def write(self, name, text):
        folder = tempfile.mkdtemp()
        self.addCleanup(self.run_python, "-c",
                        "import shutil, sys; shutil.rmtree(sys.argv[1])", folder)
        with open(os.path.join(folder, name), "w") as target:
            target.write(textwrap.dedent(text))
        return folder

    def test_main(self):
        folder = self.write("mytests.py", """
            import sys, unittest
            from friendserve.testing import main

            class Good(unittest.TestCase):
                def test_good(self):
                    pass

            class Bad(unittest.TestCase):
                def test_bad(self):
                    self.fail("as it should")

            def all():
                return unittest.defaultTestLoader.loadTestsFromTestCase(Good)

            if __name__ == "__main__":
                main()
        """)
        code, output = self.run_python("mytests.py", cwd=folder)
        self.assertEqual((0, True), (code, "Ran 1 test" in output), output)
        code, output = self.run_python("-m", "friendserve.testing", "--verbose",
                                       "mytests.Good", cwd=folder)
        self.assertEqual((0, True), (code, "test_good" in output), output)
        code, output = self.run_python("-m", "friendserve.testing", "mytests", cwd=folder)
        self.assertEqual((1, True), (code, "as it should" in output), output)
        code, output = self.run_python("-m", "friendserve.testing", cwd=folder)
        self.assertEqual((1, True), (code, "usage" in output), output)

    def test_the_pytest_plugin(self):
        folder = self.write("test_hello.py", """
            import pytest
            from friendserve import gen
            from friendserve.web import Application, RequestHandler

            class HelloHandler(RequestHandler):
                def get(self):
                    self.write("hello")

            @pytest.fixture
            def app():
                return Application([("/", HelloHandler)])

            @gen.coroutine
            def test_coroutine(http_client, base_url):
                response = yield http_client.fetch(base_url + "/")
                assert response.body == b"hello"

            @gen.coroutine
            def test_failure(io_loop):
                yield gen.moment
                assert "this" == "not that"

            def test_plain(io_loop):
                assert io_loop.run_sync(lambda: gen.maybe_future(5)) == 5
        """ + ("" if sys.version_info < (3,) else """
            async def test_native(http_client, base_url):
                assert (await http_client.fetch(base_url + "/")).code == 200
        """))
        # The first turns it off where the package is installed.
        code, output = self.run_python(
            "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:friendserve",
            "-p", "friendserve.testing.plugin", cwd=folder)
        self.assertEqual(1, code, output)
        self.assertIn("1 failed, %d passed" % (2 if sys.version_info < (3,) else 3), output)
        self.assertIn("not that", output)
