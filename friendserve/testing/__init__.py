"""Tests of asynchronous code: test cases for unittest, and a plug-in for pytest.

    from friendserve.testing import AsyncHTTPTestCase

    class HelloTest(AsyncHTTPTestCase):
        def get_app(self):
            return Application([("/", HelloHandler)])

        def test_hello(self):
            self.assertEqual(b"hello", self.fetch("/").body)

``python -m friendserve.testing mytests.test_hello`` runs them, as unittest and pytest do. The
fixtures for pytest are in `friendserve.testing.plugin`.
"""
from __future__ import absolute_import, division, print_function

from friendserve.testing.cases import (
    AsyncHTTPSTestCase, AsyncHTTPTestCase, AsyncTestCase, bind_unused_port, gen_test,
    get_async_test_timeout, get_unused_port)
from friendserve.testing.command import main
from friendserve.testing.logs import ExpectLog, LogTrapTestCase
from friendserve.util import set_public_module

__all__ = ["AsyncHTTPSTestCase", "AsyncHTTPTestCase", "AsyncTestCase", "ExpectLog",
           "LogTrapTestCase", "bind_unused_port", "gen_test", "get_async_test_timeout",
           "get_unused_port", "main"]

set_public_module(globals())
