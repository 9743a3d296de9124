"""B392: the networks whose proxies are trusted."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.netutil import LOCAL_PEERS, Networks


class NetworksTest(unittest.TestCase):
    def test_b392_addresses_and_networks(self):
        networks = Networks(["192.0.2.7", "10.0.0.0/8", "2001:db8::/32", "::1", "unix"])
        for address in ("192.0.2.7", "10.0.0.0", "10.255.255.255", "2001:db8::7", "::1", "0:0::1",
                        "2001:DB8:ffff::", "::ffff:10.1.2.3", "0.0.0.0"):
            # Asked twice, because answers are remembered.
            self.assertEqual([True] * 2, [address in networks] * 2, address)
            self.assertIn(address, networks)
        for address in ("192.0.2.6", "9.255.255.255", "11.0.0.0", "2001:db9::", "::2", "::",
                        "::ffff:9.1.2.3", "", "x", "10.0.0", "unix", None, "::a01:203", "010.0.0.1",
                        "10.0.0.1:80"):
            self.assertEqual([False] * 2, [address in networks for _ in range(2)], address)

    def test_b392_every_width(self):
        self.assertIn("9.9.9.9", Networks(["0.0.0.0/0"]))
        self.assertNotIn("::9", Networks(["0.0.0.0/0"]))
        self.assertIn("::9", Networks(["::/0"]))
        self.assertIn("192.0.2.254", Networks(["192.0.2.254/31"]))
        self.assertNotIn("192.0.2.253", Networks(["192.0.2.254/31"]))
        self.assertNotIn("192.0.2.254", Networks([]))

    def test_b392_this_machine(self):
        networks = Networks(LOCAL_PEERS)
        for address in ("127.0.0.1", "127.1.2.3", "::1", "0.0.0.0"):
            self.assertIn(address, networks)
        self.assertNotIn("192.168.0.1", networks)

    def test_b392_what_is_not_a_network(self):
        for wrong in ("localhost", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/x",
                      "10.0.0.0/-1", "10.0.0/8",
                      "/8", "", "fe80::1%eth0", None, 10, "10.0.0.0/255.0.0.0"):
            with self.assertRaises(ValueError):
                Networks([wrong])
        with self.assertRaises(ValueError) as caught:
            Networks(["10.0.0.1/8"])
        self.assertIn("outside of its mask", str(caught.exception))
        with self.assertRaises(ValueError):
            Networks("10.0.0.0/8")

    def test_b392_few_answers_are_remembered(self):
        networks = Networks(["10.0.0.0/8"])
        for number in range(3000):
            self.assertIn("10.0.%d.%d" % divmod(number, 256), networks)
        self.assertLessEqual(len(networks._known), 1000)
