"""TLS contexts, from dicts with the options of the old ssl.wrap_socket."""
from __future__ import absolute_import, division, print_function

import os
import ssl

from friendserve.protocol.grammar import MAX_HOST_NAME

try:
    # The binding that PyPy's ssl module is written with.
    from _cffi_ssl._stdssl import lib as _openssl
except ImportError:
    _openssl = None

_SSL_OPTIONS = frozenset(
    ["ssl_version", "certfile", "keyfile", "cert_reqs", "ca_certs", "ciphers"])


def ssl_options_to_context(ssl_options, server_side=True):
    """The ssl.SSLContext for `ssl_options`: a dict, or a context, which is returned unchanged.

    The keys of the dict are those of the old ssl.wrap_socket, all optional: `certfile`, `keyfile`
    and `ca_certs` (file names), `cert_reqs`, `ssl_version` and `ciphers`.

    Without `ssl_version` (or with PROTOCOL_SSLv23, which means the same) the protocol is TLS 1.2
    or later; SSL 2 and 3 and compression are never used. A server needs `certfile`, and requests
    certificates from its clients only if `cert_reqs` says so. A client (`server_side` False)
    verifies the server's certificate and name, against `ca_certs` or by default the system's
    authorities, unless `cert_reqs` is ssl.CERT_NONE. (The name may be an IP address, but the ssl
    module of Python 2.7 rejects those.) A context that the caller has made on PyPy conceals an end
    without close_notify, unless OP_IGNORE_UNEXPECTED_EOF is taken out of its `options`.

    Raises ValueError if an option is unknown, a file is missing or has the wrong content, or the
    options contradict each other. Loading files takes milliseconds: make one context and use it
    for many connections.
    """
    if isinstance(ssl_options, ssl.SSLContext):
        return ssl_options
    options = checked_ssl_options(ssl_options, server_side)
    context = _new_ssl_context(options.get("ssl_version"), server_side)
    requirement = options.get("cert_reqs")
    if requirement is None:
        requirement = ssl.CERT_NONE if server_side else ssl.CERT_REQUIRED
    context.check_hostname = False  # otherwise the next line refuses CERT_NONE
    context.verify_mode = requirement
    context.check_hostname = not server_side and requirement != ssl.CERT_NONE
    try:
        if options.get("certfile"):
            context.load_cert_chain(options["certfile"], options.get("keyfile"))
        if options.get("ca_certs"):
            context.load_verify_locations(options["ca_certs"])
        elif context.check_hostname:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        if options.get("ciphers"):
            context.set_ciphers(options["ciphers"])
    except EnvironmentError as error:  # ssl.SSLError is one
        shown = dict((key, options[key]) for key in options if key != "ssl_version")
        raise ValueError("these ssl_options cannot be used: %r (%s)" % (shown, error))
    return context


def checked_ssl_options(ssl_options, server_side):
    """Check `ssl_options`, a dict as in `ssl_options_to_context`, and return it.

    Raises ValueError for anything but a dict, for unknown keys, files that do not exist, and
    options that contradict each other on this side. The files are not read, so this also serves
    libraries that load them themselves.
    """
    if not isinstance(ssl_options, dict):
        raise ValueError("ssl_options must be a dict or an ssl.SSLContext, not %r"
                         % (ssl_options,))
    unknown = sorted(set(ssl_options) - _SSL_OPTIONS)
    if unknown:
        raise ValueError("unknown ssl_options: %s; the options are %s"
                         % (", ".join(map(str, unknown)), ", ".join(sorted(_SSL_OPTIONS))))
    for key in ("certfile", "keyfile", "ca_certs"):
        path = ssl_options.get(key)
        if path and not os.path.exists(path):
            raise ValueError("the %s %r in the ssl_options does not exist" % (key, path))
    if not ssl_options.get("certfile"):
        if server_side:
            raise ValueError("the ssl_options of a server need a certfile")
        if ssl_options.get("keyfile"):
            raise ValueError("a keyfile in the ssl_options requires a certfile")
    if server_side and ssl_options.get("cert_reqs") and not ssl_options.get("ca_certs"):
        raise ValueError("to verify the certificates of clients (cert_reqs), the ssl_options"
                         " need ca_certs")
    return ssl_options


def _new_ssl_context(version, server_side):
    # PROTOCOL_SSLv23, also called PROTOCOL_TLS, is the old name of "the best version available".
    best = version is None or version == ssl.PROTOCOL_SSLv23
    if best:
        name = "PROTOCOL_TLS_SERVER" if server_side else "PROTOCOL_TLS_CLIENT"
        version = getattr(ssl, name, ssl.PROTOCOL_SSLv23)
    context = ssl.SSLContext(version)
    if best and hasattr(context, "minimum_version"):
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    elif best:  # version: py2, 3.6
        context.options |= ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1
    # Python 3 and newer libraries do this themselves, Python 2 over an older library does not.
    context.options |= ssl.OP_NO_SSLv2 | ssl.OP_NO_SSLv3 | ssl.OP_NO_COMPRESSION
    # PyPy sets it in every context, and then a truncation passes for an end.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    if server_side:
        context.options |= (ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_SINGLE_DH_USE
                            | ssl.OP_SINGLE_ECDH_USE | getattr(ssl, "OP_NO_RENEGOTIATION", 0))
    return context


def forget_errors():
    """Empty the TLS library's queue of errors. Called after a TLS operation has failed.

    The ssl module of PyPy does not do that. An operation on another connection that had to wait
    would then fail with the error that is in the queue.
    """
    if _openssl is not None:
        _openssl.ERR_clear_error()


def ssl_wrap_socket(socket, ssl_options, server_hostname=None, **kwargs):
    """An ssl.SSLSocket over `socket`, which must not be used afterwards.

    `ssl_options` is as in `ssl_options_to_context`, for the side given by `server_side` (default
    False); a client that verifies certificates needs `server_hostname`. Other arguments are passed
    to SSLContext.wrap_socket, such as ``do_handshake_on_connect=False``, without which a connected
    socket performs the handshake synchronously.
    """
    server_side = kwargs.get("server_side", False)
    context = ssl_options_to_context(ssl_options, server_side=server_side)
    if not server_side:
        if server_hostname is not None and len(server_hostname) > MAX_HOST_NAME:
            raise ValueError("a server_hostname of %d characters is too long"
                             % len(server_hostname))
        if server_hostname and server_hostname.endswith("."):
            # The name of a host with its root; in TLS names are without it (RFC 6066 3).
            server_hostname = server_hostname[:-1]
        kwargs["server_hostname"] = server_hostname
    return context.wrap_socket(socket, **kwargs)
