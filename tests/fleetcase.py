"""Two machines and a balancer in front of them: in network namespaces of this host, with the
addresses of demos/deploy/fleet.conf, where this process may make some (as root, with the Debian
package iproute2); else on ports of loopback."""
from __future__ import absolute_import, division, print_function

import os
import socket
import subprocess

from tests import PATIENCE, services


class Namespaces(object):
    """Each machine and the balancer has a network to itself, and cables to the others. The balancer
    is reached by a Unix socket in `folder`, as files are not separate.

    Raises EnvironmentError or CalledProcessError where namespaces cannot be had.
    """
    addresses = ["10.0.0.11:8000", "10.0.0.12:8000"]
    trusted = "10.0.0.1"

    def __init__(self, folder):
        self._path = os.path.join(folder, "balancer")
        self.listen = "unix:" + self._path
        # Those that exist, of the machines and then of the balancer.
        self._names = []
        self._ip = services.find_program("ip", "/sbin", "/usr/sbin")
        if self._ip is None:
            raise EnvironmentError("no program ip")
        try:
            for what in ("one", "two", "balancer"):
                self._add("friendserve-%d-%s" % (os.getpid(), what))
            for number, address in enumerate(self.addresses):
                self._connect(self._names[number], "machine%d" % number, address.split(":")[0])
        except BaseException:
            self.close()
            raise

    def _run(self, *words):
        with open(os.devnull, "w") as nowhere:
            subprocess.check_call((self._ip,) + words, stdout=nowhere, stderr=nowhere)

    def _add(self, name):
        self._run("netns", "add", name)
        self._names.append(name)
        self._run("-n", name, "link", "set", "lo", "up")

    def _connect(self, machine, cable, address):
        """A cable from the balancer to a machine. Both ends are made in their namespaces, so that
        their names cannot meet others."""
        balancer = self._names[-1]
        self._run("-n", balancer, "link", "add", cable, "type", "veth", "peer", "name", "eth0",
                  "netns", machine)
        for name, device, own, peer in ((balancer, cable, self.trusted, address),
                                        (machine, "eth0", address, self.trusted)):
            self._run("-n", name, "address", "add", own, "peer", peer + "/32", "dev", device)
            self._run("-n", name, "link", "set", device, "up")

    def on_machine(self, number):
        """The words before a command that run it on a machine."""
        return [self._ip, "netns", "exec", self._names[number]]

    def on_balancer(self):
        """The words before a command that run it on the balancer."""
        return self.on_machine(-1)

    def connect(self):
        """A connection of a client to the balancer."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        try:
            sock.connect(self._path)
        except EnvironmentError:
            sock.close()
            raise
        return sock

    def close(self):
        """Remove the namespaces, and with them their devices; their programs have ended."""
        while self._names:
            self._run("netns", "delete", self._names.pop())


class Ports(object):
    """The same on ports of 127.0.0.1."""
    trusted = "127.0.0.1"

    def __init__(self):
        ports = services.free_ports(3)
        self.addresses = ["127.0.0.1:%d" % port for port in ports[:2]]
        self._port = ports[2]
        self.listen = "127.0.0.1:%d" % self._port

    def on_machine(self, number):
        return []

    def on_balancer(self):
        return []

    def connect(self):
        return socket.create_connection(("127.0.0.1", self._port), PATIENCE)

    def close(self):
        pass


def make_network(folder):
    """Namespaces if they can be had, else Ports; close it after its programs have ended."""
    try:
        return Namespaces(folder)
    except (EnvironmentError, subprocess.CalledProcessError):
        return Ports()
