"""A minimal WebSocket client for making load.

It is not in websocket.py because there is also a package of that name.
"""
from __future__ import absolute_import, division, print_function

import socket
import struct

import loadgen
import machine

HANDSHAKE = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def frame(first, payload, mask=b""):
    """One frame; the payload is masked if there is a mask."""
    bit = 0x80 if mask else 0
    size = len(payload)
    if size < 126:
        head = struct.pack(">BB", first, bit | size)
    elif size < 65536:
        head = struct.pack(">BBH", first, bit | 126, size)
    else:
        head = struct.pack(">BBQ", first, bit | 127, size)
    if mask:
        masks = bytearray(mask)
        masked = bytearray(payload)
        for place, key in enumerate(masks):
            table = bytes(bytearray(byte ^ key for byte in range(256)))
            masked[place::4] = bytes(masked[place::4]).translate(table)
        payload = bytes(masked)
    return head + mask + payload


def connect(port):
    """A socket on which the WebSocket handshake is done."""
    sock = socket.create_connection((loadgen.HOST, port), loadgen.PATIENCE_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(loadgen.request("/", HANDSHAKE))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = sock.recv(4096)
        if not piece:
            raise machine.BenchmarkError("the server closed in the handshake")
        head += piece
    if not head.startswith(b"HTTP/1.1 101 ") or ACCEPT not in head:
        raise machine.BenchmarkError("not a WebSocket: %r" % head[:200])
    return sock
