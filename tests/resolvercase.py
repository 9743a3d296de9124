# coding: utf-8
"""Shared by the tests of resolvers: look-ups, real and false, and a contract."""
from __future__ import absolute_import, division, print_function

import socket
import struct

from friendserve.ioloop import IOLoop
from friendserve.stack_context import ExceptionStackContext
from tests.httpcase import HTTPCase

A, AAAA = 1, 28
NO_ERROR, SERVER_FAILURE, NO_NAME = 0, 2, 3


class NameServer(object):
    """A name server (RFC 1035) over UDP: `names` has {name: [addresses]}. A name that begins with
    "silent" is not answered, and one with "broken" is an error. `asked` has all questions."""

    def __init__(self, loop, names):
        self.names = names
        self.asked = []
        self._loop = loop
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]
        loop.add_handler(self._socket.fileno(), self._on_question, IOLoop.READ)

    def close(self):
        self._loop.remove_handler(self._socket.fileno())
        self._socket.close()

    def _on_question(self, fd, events):
        question, address = self._socket.recvfrom(4096)
        answer = self.answer(question)
        if answer is not None:
            self._socket.sendto(answer, address)

    def answer(self, question):
        labels, position = [], 12
        data = bytearray(question)
        while data[position]:
            size = data[position]
            labels.append(bytes(data[position + 1:position + 1 + size]).decode("ascii").lower())
            position += 1 + size
        name = ".".join(labels)
        kind, = struct.unpack_from(">H", question, position + 1)
        end = position + 5
        self.asked.append((name, kind))
        if name.startswith("silent"):
            return None
        family = socket.AF_INET6 if kind == AAAA else socket.AF_INET
        found = [socket.inet_pton(family, place) for place in self.names.get(name, ())
                 if (":" in place) == (kind == AAAA)]
        code = SERVER_FAILURE if name.startswith("broken") else \
            NO_ERROR if name in self.names else NO_NAME
        head = question[:2] + struct.pack(">HHHHH", 0x8580 | code, 1, len(found), 0, 0)
        return head + question[12:end] + b"".join(
            [b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(place)) + place
             for place in found])


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
