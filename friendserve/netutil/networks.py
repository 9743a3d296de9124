"""Which peers are trusted: networks of IP addresses, and Unix sockets."""
from __future__ import absolute_import, division, print_function

import binascii
import socket

import six

from friendserve.netutil.resolver import is_valid_ip

#: The peers on this machine, for `Networks`.
LOCAL_PEERS = ("127.0.0.0/8", "::1", "unix")

#: The address that stands for the peer of a Unix socket.
UNIX_PEER = "0.0.0.0"

#: How many answers are remembered.
_MOST_KNOWN = 1000


class Networks(object):
    """A set of IP addresses: ``address in networks``.

    `networks` is a list of addresses ("192.0.2.7", "2001:db8::7"), networks in CIDR notation
    ("10.0.0.0/8"), and "unix" for the peers of Unix sockets. An IPv4 address in IPv6 notation
    ("::ffff:192.0.2.7") is the same as the IPv4 address. Raises ValueError for anything else, also
    for a network with bits set outside of its mask, which is usually a mistake.
    """
    def __init__(self, networks):
        if isinstance(networks, six.string_types):
            raise ValueError("trusted networks must be a list, such as [%r]" % str(networks))
        self._networks = [_read_network(network) for network in networks]
        self._known = {}

    def __contains__(self, address):
        known = self._known.get(address)
        if known is None:
            known = False
            number = _number(address) if is_valid_ip(address) else None
            if number is not None:
                bits, value = number
                known = any(bits == width and value >> shift == prefix
                            for width, shift, prefix in self._networks)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[address] = known
        return known


def _read_network(text):
    """(bits of an address, bits after the prefix, prefix)."""
    if text == "unix":
        text = UNIX_PEER
    address, slash, size = text.partition("/") if isinstance(text, six.string_types) \
        else (text, "", "")
    if not is_valid_ip(address):
        raise ValueError("a trusted network is an IP address, a network such as 10.0.0.0/8, or "
                         "\"unix\", not %r" % (text,))
    width, value = _number(address)
    if slash and not (size.isdigit() and len(size) < 4 and int(size) <= width):
        raise ValueError("the mask of %r is not a number from 0 to %d" % (text, width))
    shift = width - int(size) if slash else 0
    if value >> shift << shift != value:
        raise ValueError("%r has bits set outside of its mask" % (text,))
    return width, shift, value >> shift


def _number(address):
    """(bits, value) of a valid address."""
    if ":" not in address:
        return 32, int(binascii.hexlify(socket.inet_aton(address)), 16)
    value = int(binascii.hexlify(socket.inet_pton(socket.AF_INET6, address)), 16)
    if value >> 32 == 0xffff:
        return 32, value & 0xffffffff
    return 128, value
