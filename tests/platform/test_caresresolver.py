# coding: utf-8
"""The resolver over c-ares, against a small name server on loopback."""
from __future__ import absolute_import, division, print_function

import socket
import subprocess
import sys
import unittest

try:
    import pycares
    from friendserve.platform.caresresolver import CaresResolver
except ImportError:
    pycares = CaresResolver = None

from friendserve.httpclient import HTTPConnectError
from friendserve.netutil import Resolver
from friendserve.simple_httpclient import SimpleAsyncHTTPClient
from tests import ROOT
from tests.clientcase import ClientCase
from tests.loopcase import needs_package
from tests.resolvercase import A, NameServer, ResolverCase, ResolverContract

needs_cares = needs_package(pycares, "pycares")


class WithoutTest(unittest.TestCase):
    def test_without_pycares_it_says_what_to_install(self):
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.modules['pycares'] = None\n"
             "import friendserve.platform.caresresolver"], cwd=ROOT, stderr=subprocess.PIPE)
        self.assertIn("pip install friendserve[cares]",
                      process.communicate()[1].decode("utf-8"))


class CaresCase(ResolverCase):
    def setUp(self):
        super(CaresCase, self).setUp()
        self.names = {
            "one.test": ["192.0.2.1"], "two.test": ["192.0.2.1", "192.0.2.2"],
            "six.test": ["2001:db8::1"], "both.test": ["192.0.2.3", "2001:db8::3"],
            "here.test": ["127.0.0.1"], "xn--bcher-kva.test": ["192.0.2.9"]}
        self.server = NameServer(self.loop, self.names)
        self.addCleanup(self.server.close)

    def make_resolver(self, **options):
        options.setdefault("timeout", 5.0)
        options.setdefault("tries", 1)
        resolver = CaresResolver(servers=["127.0.0.1"], udp_port=self.server.port,
                                 tcp_port=self.server.port, **options)
        self.addCleanup(resolver.close)
        return resolver


@needs_cares
class CaresResolverTest(CaresCase, ResolverContract):
    """The contract of all resolvers."""


@needs_cares
class NameServerTest(CaresCase):
    def setUp(self):
        super(NameServerTest, self).setUp()
        self.resolver = self.make_resolver()

    def found(self, host, family=socket.AF_UNSPEC):
        addresses, error = self.resolve(self.resolver, host, 80, family)
        self.assertIsNone(error)
        return sorted((af, address[0]) for af, address in addresses)

    def test_addresses(self):
        four, six = socket.AF_INET, socket.AF_INET6
        self.assertEqual(self.found("one.test"), [(four, "192.0.2.1")])
        self.assertEqual(self.found(u"two.test"), [(four, "192.0.2.1"), (four, "192.0.2.2")])
        self.assertEqual(self.found("six.test"), [(six, "2001:db8::1")])
        self.assertEqual(self.found("both.test"), [(four, "192.0.2.3"), (six, "2001:db8::3")])
        self.assertEqual(self.found("both.test", four), [(four, "192.0.2.3")])
        self.assertEqual(self.found("both.test", six), [(six, "2001:db8::3")])
        self.assertEqual(self.found(u"b\xfccher.test"), [(four, "192.0.2.9")])
        address, = [address for af, address in self.resolve(self.resolver, "six.test", 80)[0]]
        # As socket.connect wants it.
        self.assertEqual(address, ("2001:db8::1", 80, 0, 0))
        self.assertIs(type(address[0]), str)

    def test_errors(self):
        for host, code in (("none.test", socket.EAI_NONAME), ("broken.test", socket.EAI_AGAIN)):
            addresses, error = self.resolve(self.resolver, host, 80, socket.AF_INET)
            self.assertIsNone(addresses)
            self.assertIsInstance(error, socket.gaierror)
            self.assertEqual(error.args[0], code)
            self.assertIn(host, error.args[1])
        self.assertEqual(self.resolve(self.resolver, "one.test", 80, socket.AF_INET6)[1].args[0],
                         socket.EAI_NONAME)

    def test_b220_many_at_a_time(self):
        found, silent = [], []
        self.resolver.resolve("silent.test", 80, callback=self.fail, on_error=silent.append)
        for number in range(100):
            self.resolver.resolve(["one.test", "two.test", "six.test"][number % 3], 80,
                                  callback=found.append)
        self.run_until(lambda: len(found) == 100)
        self.assertEqual(silent, [])

    def test_b220_a_server_that_says_nothing(self):
        resolver = self.make_resolver(timeout=0.05)
        addresses, error = self.resolve(resolver, "silent.test", 80, socket.AF_INET)
        self.assertEqual(error.args[0], socket.EAI_AGAIN)
        self.assertIsNone(resolver._timer)
        self.assertIn(("silent.test", A), self.server.asked)

    def test_closed_in_the_middle(self):
        resolver = self.make_resolver()
        ends = []
        resolver.resolve("silent.test", 80, callback=self.fail, on_error=ends.append)
        self.run_until(lambda: self.server.asked)
        self.assertNotEqual(resolver.fds, {})
        resolver.close()
        resolver.close()
        self.assertEqual((resolver.fds, ends), ({}, []))
        self.run_until(lambda: ends)
        self.assertIsInstance(ends[0], socket.gaierror)
        self.assertIsInstance(self.resolve(resolver, "one.test", 80)[1], socket.gaierror)

    def test_its_sockets_are_its_own(self):
        for _ in range(3):
            self.found("two.test")
        self.resolver.close()
        self.assertEqual(self.resolver.fds, {})

    def test_configure(self):
        Resolver.configure("friendserve.platform.caresresolver.CaresResolver", tries=1)
        self.addCleanup(Resolver.configure, None)
        resolver = Resolver()
        self.addCleanup(resolver.close)
        self.assertIsInstance(resolver, CaresResolver)


@needs_cares
class FetchTest(ClientCase):
    def test_b220_a_client_over_it(self):
        names = NameServer(self.loop, {"here.test": ["127.0.0.1"]})
        self.addCleanup(names.close)
        resolver = CaresResolver(servers=["127.0.0.1"], udp_port=names.port, timeout=5.0, tries=1)
        self.addCleanup(resolver.close)
        client = SimpleAsyncHTTPClient(force_instance=True, resolver=resolver)
        self.addCleanup(client.close)
        self.serve()
        self.assertEqual(self.fetch_ok(self.url(host="here.test"), client=client).body, b"ok")
        error = self.fetch_error(HTTPConnectError, self.url(host="none.test"), client=client)
        self.assertEqual(error.phase, "resolve")


if __name__ == "__main__":
    unittest.main()
