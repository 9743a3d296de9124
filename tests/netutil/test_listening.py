# -*- coding: utf-8 -*-
from __future__ import absolute_import, division, print_function

import errno
import os
import shutil
import socket
import stat
import sys
import tempfile
import unittest

from friendserve.netutil import bind_sockets, bind_unix_socket, is_valid_ip
from tests import PATIENCE

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


def can_bind_ipv6():
    try:
        sock = socket.socket(socket.AF_INET6)
    except socket.error:
        return False
    try:
        sock.bind(("::1", 0))
        return True
    except socket.error:
        return False
    finally:
        sock.close()


needs_ipv6 = unittest.skipUnless(can_bind_ipv6(), "this machine has no IPv6")
needs_posix = unittest.skipUnless(fcntl, "only on POSIX systems")


class Patched(object):
    """Replaces an attribute of a system module for the body of a with statement."""

    def __init__(self, module, name, value):
        self.module, self.name, self.value = module, name, value

    def __enter__(self):
        self.original = getattr(self.module, self.name)
        setattr(self.module, self.name, self.value)

    def __exit__(self, *exc_info):
        setattr(self.module, self.name, self.original)


def resolving_to(*places):
    """Lets every name have these (family, address) places."""
    def getaddrinfo(host, port, family=0, kind=0, proto=0, flags=0):
        return [(af, socket.SOCK_STREAM, socket.IPPROTO_TCP, "",
                 (address, port) if af == socket.AF_INET else (address, port, 0, scope))
                for af, address, scope in places]
    return Patched(socket, "getaddrinfo", getaddrinfo)


def is_closed(sock):
    try:
        return sock.fileno() == -1
    except socket.error:  # version: py2
        return True


V4 = (socket.AF_INET, "127.0.0.1", 0)
V6 = (socket.AF_INET6, "::1", 0)
# Reserved for documentation (RFC 3849, RFC 5737), so that no machine has them.
NOT_OURS_V6 = (socket.AF_INET6, "2001:db8::1", 0)
NOT_OURS_V4 = (socket.AF_INET, "192.0.2.1", 0)


class BindSocketsTest(unittest.TestCase):
    def bind(self, *args, **kwargs):
        sockets = bind_sockets(*args, **kwargs)
        for sock in sockets:
            self.addCleanup(sock.close)
        return sockets

    def assert_fails_and_closes(self, code, *args):
        """bind_sockets raises an error with that errno and leaves no socket open."""
        made = []

        class Remembered(socket.socket):
            def __init__(self, *args, **kwargs):
                super(Remembered, self).__init__(*args, **kwargs)
                made.append(self)

        with Patched(socket, "socket", Remembered):
            with self.assertRaises(socket.error) as cm:
                self.bind(*args)
        self.assertEqual(cm.exception.errno, code)
        self.assertTrue(made)
        for sock in made:
            self.assertTrue(is_closed(sock))

    def test_listens_on_the_port(self):
        sock, = self.bind(0, "127.0.0.1")
        client = socket.create_connection(sock.getsockname(), timeout=PATIENCE)
        self.addCleanup(client.close)
        connection, address = sock.accept()
        connection.close()
        self.assertEqual(address, client.getsockname())
        self.assertGreater(sock.getsockname()[1], 0)

    def test_port_in_use(self):
        sock, = self.bind(0, "127.0.0.1")
        self.assert_fails_and_closes(errno.EADDRINUSE, sock.getsockname()[1], "127.0.0.1")

    def test_nonblocking(self):
        sock, = self.bind(0, "127.0.0.1")
        self.assertEqual(sock.gettimeout(), 0)

    @needs_posix
    def test_close_on_exec(self):
        sock, = self.bind(0, "127.0.0.1")
        self.assertTrue(fcntl.fcntl(sock.fileno(), fcntl.F_GETFD) & fcntl.FD_CLOEXEC)

    @needs_posix
    def test_port_can_be_bound_again_at_once(self):
        sock, = self.bind(0, "127.0.0.1")
        self.assertTrue(sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))

    @needs_ipv6
    def test_b115_port_0_is_one_port_on_both_families(self):
        for address in (None, ""):
            sockets = self.bind(0, address)
            self.assertEqual(sorted(sock.family for sock in sockets),
                             sorted([socket.AF_INET, socket.AF_INET6]))
            self.assertEqual(len(set(sock.getsockname()[1] for sock in sockets)), 1)

    @needs_ipv6
    def test_b115_ipv6_takes_no_ipv4(self):
        sock, = self.bind(0, "::1", family=socket.AF_INET6)
        self.assertTrue(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))

    def test_family(self):
        sock, = self.bind(0, family=socket.AF_INET)
        self.assertEqual(sock.family, socket.AF_INET)

    def test_b115_duplicate_addresses(self):
        with resolving_to(V4, V4):
            self.assertEqual(len(self.bind(0, "twice.test")), 1)

    @needs_ipv6
    def test_b115_link_local_address_of_localhost(self):
        with resolving_to(V4, V6, (socket.AF_INET6, "::1", 1)):
            self.assertEqual(len(self.bind(0, "localhost")), 2)

    def test_b115_ipv6_address_that_can_not_be_assigned(self):
        for places in ((NOT_OURS_V6, V4), (V4, NOT_OURS_V6)):
            with resolving_to(*places):
                sock, = self.bind(0, "half.test")
            self.assertEqual(sock.family, socket.AF_INET)

    def test_b115_kernel_without_ipv6(self):
        original = socket.socket

        def only_ipv4(family, *args):
            if family == socket.AF_INET6:
                raise socket.error(errno.EAFNOSUPPORT, "Address family not supported")
            return original(family, *args)

        with resolving_to(V6, V4), Patched(socket, "socket", only_ipv4):
            self.assertEqual(len(self.bind(0, "half.test")), 1)

    def test_b115_python_without_ipv6(self):
        with Patched(socket, "has_ipv6", False):
            sock, = self.bind(0)
        self.assertEqual(sock.family, socket.AF_INET)

    def test_nothing_can_be_assigned(self):
        with resolving_to(NOT_OURS_V6), self.assertRaises(socket.error) as cm:
            bind_sockets(0, "none.test")
        self.assertIn(cm.exception.errno, (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT))

    def test_ipv4_address_that_can_not_be_assigned(self):
        with resolving_to(V4, NOT_OURS_V4):
            self.assert_fails_and_closes(errno.EADDRNOTAVAIL, 0, "half.test")

    def test_port_0_draws_again_when_the_port_is_taken_on_the_other_address(self):
        original = socket.socket
        ports = []

        class Unlucky(original):
            def bind(self, place):
                if place[1]:
                    ports.append(place[1])
                    if len(ports) < 3:
                        raise socket.error(errno.EADDRINUSE, "Address already in use")
                    place = (place[0], 0) + place[2:]
                return original.bind(self, place)

        with resolving_to(V4, (socket.AF_INET, "127.0.0.2", 0)):
            with Patched(socket, "socket", Unlucky):
                try:
                    sockets = bind_sockets(0, "both.test")
                except socket.error as e:
                    # On macOS only 127.0.0.1 exists, so a second address is not available.
                    self.assertEqual(e.errno, errno.EADDRNOTAVAIL)
                    self.skipTest("127.0.0.2 is not ours")
        for sock in sockets:
            sock.close()
        self.assertEqual(len(sockets), 2)
        self.assertEqual(len(ports), 3)

    def test_port_0_gives_up(self):
        with resolving_to((socket.AF_INET, "0.0.0.0", 0), V4):
            self.assert_fails_and_closes(errno.EADDRINUSE, 0, "overlapping.test")

    def test_unknown_host(self):
        self.assertRaises(socket.gaierror, bind_sockets, 0, "127.0.0.1.",
                          flags=socket.AI_NUMERICHOST)

    def test_no_port(self):
        for port in (-1, 65536, "http", "80\n", "", 1.5, b"\xd9"):
            self.assertRaises(ValueError, bind_sockets, port, "127.0.0.1")

    def test_p19_none_is_any_port(self):
        sock, = self.bind(None, "127.0.0.1")
        self.assertGreater(sock.getsockname()[1], 0)

    def test_port_as_text(self):
        self.assertEqual(len(self.bind("0", "127.0.0.1")), 1)

    @unittest.skipUnless(hasattr(socket, "SO_REUSEPORT"), "this system has no SO_REUSEPORT")
    def test_b133_reuse_port(self):
        sock, = self.bind(0, "127.0.0.1", reuse_port=True)
        port = sock.getsockname()[1]
        self.assertEqual(len(self.bind(port, "127.0.0.1", reuse_port=True)), 1)
        self.assertRaises(socket.error, bind_sockets, port, "127.0.0.1")

    def test_reuse_port_where_there_is_none(self):
        if hasattr(socket, "SO_REUSEPORT"):
            original = socket.SO_REUSEPORT
            del socket.SO_REUSEPORT
            self.addCleanup(setattr, socket, "SO_REUSEPORT", original)
        self.assertRaises(ValueError, bind_sockets, 0, "127.0.0.1", reuse_port=True)


@unittest.skipUnless(hasattr(socket, "AF_UNIX"), "this system has no Unix sockets")
class BindUnixSocketTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = os.path.join(self.folder, "s")

    def bind(self, *args, **kwargs):
        sock = bind_unix_socket(*args, **kwargs)
        self.addCleanup(sock.close)
        return sock

    def check_connect(self, sock, name):
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.connect(name)
        connection, _ = sock.accept()
        connection.close()

    def mode(self):
        return stat.S_IMODE(os.stat(self.path).st_mode)

    def test_listens(self):
        sock = self.bind(self.path)
        self.check_connect(sock, self.path)
        self.assertEqual(sock.gettimeout(), 0)
        self.assertTrue(fcntl.fcntl(sock.fileno(), fcntl.F_GETFD) & fcntl.FD_CLOEXEC)

    def test_b116_mode(self):
        self.bind(self.path)
        self.assertEqual(self.mode(), 0o600)
        self.bind(self.path, mode=0o666)
        self.assertEqual(self.mode(), 0o666)

    def test_b116_stale_socket_is_removed(self):
        bind_unix_socket(self.path).close()
        self.assertTrue(os.path.exists(self.path))
        self.check_connect(self.bind(self.path), self.path)

    def test_b116_other_files_stay(self):
        with open(self.path, "w") as f:
            f.write("precious")
        self.assertRaises(ValueError, bind_unix_socket, self.path)
        with open(self.path) as f:
            self.assertEqual(f.read(), "precious")

    def test_b116_link_to_a_socket_stays(self):
        self.bind(self.path)
        link = self.path + "link"
        os.symlink(self.path, link)
        self.assertRaises(ValueError, bind_unix_socket, link)
        self.assertTrue(os.path.islink(link))

    def test_folder_that_does_not_exist(self):
        self.assertRaises(EnvironmentError, bind_unix_socket, self.path + "/s")

    @unittest.skipUnless(sys.platform.startswith("linux"), "only Linux has abstract names")
    def test_b116_abstract_name(self):
        name = "\0friendserve test " + self.folder
        for form in (name, name.encode("ascii"), u"" + name):
            sock = bind_unix_socket(form)
            self.check_connect(sock, name)
            sock.close()
        self.assertEqual(os.listdir(self.folder), [])


class IsValidIpTest(unittest.TestCase):
    def test_addresses(self):
        for ip in ("127.0.0.1", "4.4.4.4", "0.0.0.0", "255.255.255.255", "::1", "::",
                   "2620:0:1cfe:face:b00c::3", "::ffff:10.0.0.1",
                   "ABCD:EF01:2345:6789:abcd:ef01:2345:6789"):
            self.assertTrue(is_valid_ip(ip), ip)

    def test_a009_everything_else(self):
        for ip in ("", " ", "localhost", "www.google.com", "<script>", "4.4.4.4<script>",
                   " 127.0.0.1", "127.0.0.1 ", "127.0.0.1\n", "\n", "\x00", "127.0.0.1\x00",
                   "::1\x00", "::1\n", "127.1", "127.0.0", "1", "0x7f000001", "127.0.0.1.",
                   "127.0.0.1.1", "256.0.0.1", "01.2.3.4", "1.2.3.004", "1..2.3", "-1.2.3.4",
                   "127.0.0.1:80", "[::1]", "::1%lo", "fe80::1%1", ":", ":::", "1::2::3",
                   "12345::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::256.1.1.1", "g::1",
                   "a" * 5000, "1" * 5000, ":" * 5000, u"\uff11.2.3.4", u"\u0661.2.3.4",
                   u"\u2488.2.3.4", u"::\uff11", b"\xff", None, 5, ("127.0.0.1",)):
            self.assertFalse(is_valid_ip(ip), repr(ip))

    def test_never_asks_the_resolver(self):
        original = socket.getaddrinfo

        def checked(host, port, family=0, kind=0, proto=0, flags=0):
            self.assertTrue(flags & socket.AI_NUMERICHOST)
            return original(host, port, family, kind, proto, flags)

        with Patched(socket, "getaddrinfo", checked):
            for ip in ("::1", "beef:", "dead.beef", "127.0.0.1", "localhost"):
                is_valid_ip(ip)


if __name__ == "__main__":
    unittest.main()
