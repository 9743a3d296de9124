"""The header with which a proxy tells a server who the client is: PROXY protocol, versions 1 and 2.

It precedes everything else on a connection, TLS included. The rules are those of
"The PROXY protocol", https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt.
"""
from __future__ import absolute_import, division, print_function

import binascii
import collections
import re
import struct

from friendserve.protocol.errors import ProtocolError

#: The longest header of version 1, with its line end (section 2.1).
MAX_LINE = 107

#: The longest part of a header of version 2 after its first 16 bytes. Section 2.2 allows 65,535;
#: what proxies send has less than 600, and large TLS attributes are optional.
MAX_REST = 4096

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"

#: What a header says: `source` and `destination` are (address, port), both None if the proxy speaks
#: for itself (a health check), or does not know, or the client used something other than TCP.
ProxyHeader = collections.namedtuple("ProxyHeader", "source destination")

_UNKNOWN = ProxyHeader(None, None)

_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_PORT = r"(0|[1-9][0-9]{0,4})"
_match_tcp4 = re.compile(
    r"PROXY TCP4 (%(ip)s) (%(ip)s) %(port)s %(port)s\Z"
    % {"ip": r"(?:%s\.){3}%s" % (_BYTE, _BYTE), "port": _PORT}).match
_match_tcp6 = re.compile(
    r"PROXY TCP6 ([0-9A-Fa-f:.]{2,39}) ([0-9A-Fa-f:.]{2,39}) %s %s\Z" % (_PORT, _PORT)).match
_is_group = re.compile(r"[0-9A-Fa-f]{1,4}\Z").match
_is_ipv4 = re.compile(r"(?:%s\.){3}%s\Z" % (_BYTE, _BYTE)).match

#: For each family and transport of version 2 that is TCP: the bytes of an address.
_SIZES = {0x11: 4, 0x21: 16}
#: The bytes of the addresses of those that are something else: UDP and Unix sockets.
_OTHERS = {0x00: 0, 0x12: 12, 0x22: 36, 0x31: 216, 0x32: 216}


class ProxyHeaderError(ProtocolError):
    """Not a PROXY header."""


def read_proxy_header(data):
    """(ProxyHeader, its size in bytes), or None if `data`, the first bytes of a connection, is only
    the beginning of a header.

    Raises ProxyHeaderError as soon as it cannot become one.
    """
    if SIGNATURE.startswith(data[:12]):
        return _read_binary(data) if len(data) >= 16 else _check_start(data)
    if not b"PROXY ".startswith(data[:6]):
        raise ProxyHeaderError("no PROXY header: %r" % data[:16])
    end = data.find(b"\r\n", 0, MAX_LINE)
    if end < 0:
        if len(data) >= MAX_LINE:
            raise ProxyHeaderError("a PROXY header of more than %d bytes" % MAX_LINE)
        return None
    return _read_line(data[:end]), end + 2


def _check_start(data):
    """Version and command, as far as they are there."""
    if len(data) > 12 and ord(data[12:13]) not in (0x20, 0x21):
        raise ProxyHeaderError("version and command 0x%02x of a PROXY header" % ord(data[12:13]))
    if len(data) >= 16 and struct.unpack("!H", data[14:16])[0] > MAX_REST:
        raise ProxyHeaderError("a PROXY header of more than %d bytes" % (16 + MAX_REST))


def _read_binary(data):
    _check_start(data)
    command, family, length = struct.unpack("!BBH", data[12:16])
    if len(data) < 16 + length:
        return None
    # Local: whatever addresses there are do not count (section 2.2).
    if command == 0x20:
        return _UNKNOWN, 16 + length
    size = _SIZES.get(family)
    if size is None and family not in _OTHERS:
        raise ProxyHeaderError("address family and transport 0x%02x of a PROXY header" % family)
    if length < (2 * size + 4 if size else _OTHERS[family]):
        raise ProxyHeaderError("a PROXY header without room for its addresses")
    if size is None:
        return _UNKNOWN, 16 + length
    source, destination = data[16:16 + size], data[16 + size:16 + 2 * size]
    ports = struct.unpack("!HH", data[16 + 2 * size:20 + 2 * size])
    return ProxyHeader((_show_address(source), ports[0]),
                       (_show_address(destination), ports[1])), 16 + length


def _show_address(packed):
    if len(packed) == 4:
        return ".".join(str(byte) for byte in bytearray(packed))
    text = binascii.hexlify(packed).decode("ascii")
    groups = ["%x" % int(text[i:i + 4], 16) for i in range(0, 32, 4)]
    # RFC 5952 4.2: the longest run of zeros, of at least two, and of equal ones the first.
    runs = [(len(run.group()), run.start()) for run in re.finditer(
        "0{2,}", "".join("0" if group == "0" else "x" for group in groups))]
    if not runs:
        return str(":".join(groups))
    size, start = max(runs, key=lambda run: (run[0], -run[1]))
    return str(":".join(groups[:start]) + "::" + ":".join(groups[start + size:]))


def _read_line(line):
    try:
        text = str(line.decode("ascii"))
    except UnicodeDecodeError:
        raise ProxyHeaderError("malformed PROXY header %r" % line)
    if text == "PROXY UNKNOWN" or text.startswith("PROXY UNKNOWN "):
        # Section 2.1: the rest of the line is ignored.
        return _UNKNOWN
    match = _match_tcp4(text) or _match_tcp6(text)
    if match is None or not all(int(port) < 65536 for port in match.group(3, 4)) \
            or text[9] == "6" and not all(map(_is_ipv6, match.group(1, 2))):
        raise ProxyHeaderError("malformed PROXY header %r" % text)
    source, destination, source_port, destination_port = match.groups()
    return ProxyHeader((source, int(source_port)), (destination, int(destination_port)))


def _is_ipv6(text):
    """Whether `text` is an IPv6 address (RFC 4291 2.2)."""
    left, gap, right = text.partition("::")
    groups = [group for side in (left, right) if side for group in side.split(":")]
    size = len(groups)
    if groups and "." in groups[-1] and text.endswith(groups[-1]):
        if _is_ipv4(groups.pop()) is None:
            return False
        size += 1
    return all(map(_is_group, groups)) and (size < 8 if gap else size == 8)
