"""Host names, ports and paths as the system takes them, checked.

The system's functions take C strings and 16-bit numbers, which Python's wrappers check in part:
``getaddrinfo`` reads the host "127.0.0.1\\0x" as "127.0.0.1" and the port 70000 as 4464.
"""
from __future__ import absolute_import, division, print_function

import errno
import os
import re
import socket
import ssl
import sys

import six

from friendserve.protocol.grammar import MAX_HOST_NAME, is_host_name

# Python imports this codec, and punycode, when it is first used: perhaps when no file can be opened
# any more. On Python 2 a thread would wait for the import lock, which the main thread may hold
# while it imports the program that looks up a name.
u"\xfc.example".encode("idna")


def port_number(port):
    """`port`, a number from 0 to 65535 or its decimal digits, as an int. Raises ValueError for
    anything else."""
    number = port
    if isinstance(port, six.string_types) and re.match(r"[0-9]{1,5}\Z", port):
        number = int(port)
    if not isinstance(number, six.integer_types) or isinstance(number, bool) \
            or not 0 <= number <= 65535:
        raise ValueError("a port must be a number from 0 to 65535, not %r" % (port,))
    return int(number)


def host_name(host):
    """A host name or address, text or UTF-8 bytes, as a native string. Raises ValueError if it
    cannot be one, and TypeError if it is neither text nor bytes."""
    if isinstance(host, bytes):
        try:
            host = host.decode("utf-8")
        except UnicodeError as error:
            raise ValueError("%r cannot be a host name: %s" % (host, error))
    elif not isinstance(host, six.text_type):
        raise TypeError("a host name is text, not %r" % (host,))
    if len(host) > MAX_HOST_NAME:
        raise ValueError("a host name of %d characters is too long" % len(host))
    if u"\0" in host:
        raise ValueError("%r cannot be a host name: it contains NUL" % host)
    try:
        host.encode("ascii")
        # An empty label, or one that is too long, is left for getaddrinfo to reject.
        return str(host)
    except UnicodeError:
        try:
            name = str(host.encode("idna").decode("ascii"))
        except UnicodeError as error:
            raise ValueError("%r cannot be a host name: %s" % (host, error))
        # Some characters become ":" or "/", and a name may become longer.
        if len(name) > MAX_HOST_NAME or not is_host_name(name):
            raise ValueError("%r cannot be a host name" % host)
        return name


def unix_path(path):
    """The path of a Unix socket, text or bytes, as bytes. A name that starts with NUL is abstract
    (Linux). Raises ValueError for NUL elsewhere, which would end the path, and for characters that
    no file name of this system can have; TypeError for another type."""
    if isinstance(path, six.text_type):
        try:
            path = path.encode(sys.getfilesystemencoding()) if six.PY2 else os.fsencode(path)
        except UnicodeError as error:
            raise ValueError("%r cannot be the path of a socket: %s" % (path, error))
    elif not isinstance(path, bytes):
        raise TypeError("the path of a socket is text or bytes, not %r" % (path,))
    if b"\0" in path and not path.startswith(b"\0"):
        raise ValueError("%r cannot be the path of a socket: it contains NUL" % (path,))
    return path


def environment_error(error):
    """`error` itself if it is an EnvironmentError, or else one with its text: for callbacks that
    promise this kind, when the standard library raises ValueError, OverflowError or the like."""
    if isinstance(error, EnvironmentError):
        return error
    text = str(error) or type(error).__name__
    if isinstance(error, ssl.CertificateError):  # version: py2, 3.6
        return ssl.SSLError(ssl.SSL_ERROR_SSL, text)
    if isinstance(error, UnicodeError):
        # Names are encoded with the idna codec.
        return socket.gaierror(socket.EAI_NONAME, text)
    return socket.error(errno.EINVAL, text)
