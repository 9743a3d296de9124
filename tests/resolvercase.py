# coding: utf-8
"""Shared by the tests of resolvers: look-ups, real and false, and a contract."""
from __future__ import absolute_import, division, print_function

import socket

from friendserve.stack_context import ExceptionStackContext
from tests.httpcase import HTTPCase


class FakeSocketModule(object):
    """The socket module with a different getaddrinfo."""
    def __init__(self, getaddrinfo):
        self.getaddrinfo = getaddrinfo

    def __getattr__(self, name):
        return getattr(socket, name)


class ResolverCase(HTTPCase):
    def resolve(self, resolver, *args, **kwargs):
        """(addresses, error) of one of the two callbacks, which must be called once."""
        calls = []
        resolver.resolve(*args, callback=lambda found: calls.append((found, None)),
                         on_error=lambda error: calls.append((None, error)), **kwargs)
        self.assertEqual(calls, [])
        self.run_until(lambda: calls)
        self.turn(0, 2)
        self.assertEqual(len(calls), 1)
        return calls[0]


class ResolverContract(object):
    def make_resolver(self):
        return self.resolver_class()

    def test_localhost(self):
        resolver = self.make_resolver()
        addresses, error = self.resolve(resolver, "localhost", 80, socket.AF_INET)
        self.assertIsNone(error)
        self.assertIn((socket.AF_INET, ("127.0.0.1", 80)), addresses)
        self.assertIn((socket.AF_INET, ("127.0.0.1", 80)),
                      self.resolve(resolver, u"localhost", 80)[0])
        resolver.close()

    def test_b221_addresses(self):
        resolver = self.make_resolver()
        for host in ("127.0.0.1", u"127.0.0.1"):
            self.assertEqual(self.resolve(resolver, host, 80),
                             ([(socket.AF_INET, ("127.0.0.1", 80))], None))
        if socket.has_ipv6:
            (family, address), = self.resolve(resolver, "::1", 80)[0]
            self.assertEqual((family, address[:2]), (socket.AF_INET6, ("::1", 80)))
        resolver.close()

    def test_errors(self):
        resolver = self.make_resolver()
        for host in ("no-such-host.invalid", "a" * 64 + ".invalid", "1.2.3.4.5", "1:2:3"):
            error = self.resolve(resolver, host, 80)[1]
            self.assertIsInstance(error, EnvironmentError, host)
        self.assertRaises(ValueError, resolver.resolve, u"ü" * 100, 80)
        resolver.close()

    def test_without_on_error_it_is_raised_in_the_context_of_the_call(self):
        resolver = self.make_resolver()
        caught = []

        def handler(kind, error, trace):
            caught.append(error)
            return True

        with ExceptionStackContext(handler):
            resolver.resolve("no-such-host.invalid", 80, callback=self.fail)
        self.run_until(lambda: caught)
        self.assertIsInstance(caught[0], EnvironmentError)
        resolver.close()
