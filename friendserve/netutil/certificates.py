"""Certificates that are chosen by the name a client asks for, and renewed while the server runs."""
from __future__ import absolute_import, division, print_function

import os
import ssl

from friendserve.log import gen_log
from friendserve.netutil.tls import ssl_options_to_context
from friendserve.stack_context import NullContext

#: Seconds between two looks at the files.
CHECK_EVERY = 60

_MINIMA = ("1.2", "1.3")


class Certificates(object):
    """The certificates of a server, to be passed to it as its `ssl_options`:

        certificates = Certificates([("example.crt", "example.key"), ("other.pem", None)])
        HTTPServer(application, ssl_options=certificates).listen(443)

    `pairs` are files: a chain of certificates in PEM format, and its key, or None if the key is in
    the same file. A client gets the certificate for the name that it asks for (SNI, RFC 6066 3),
    and the first one if none fits or it asks for no name. Exact names win over wildcards.

    `client_ca` is a file with the authorities of the clients, which must then have certificates.
    `minimum` is the oldest version of TLS that is accepted, "1.2" or "1.3"; `ciphers` is as in
    `friendserve.netutil.ssl_options_to_context`.

    Every `check_every` seconds (None: never), and when `check` is called, the server looks whether
    the files have changed; it notices symbolic links that point elsewhere. Handshakes that begin
    after that have the new certificates; open connections keep theirs. If the new files cannot be
    used (a key that does not fit its certificate, because only one of them was replaced so far),
    that is logged once, and everything stays as it was until they change again.

    The constructor raises ValueError for files that cannot be used. Python 2.7 needs version 2.7.9,
    and "1.3" an ssl module with TLS 1.3.
    """
    def __init__(self, pairs, client_ca=None, minimum="1.2", ciphers=None,
                 check_every=CHECK_EVERY, io_loop=None):
        if minimum not in _MINIMA:
            raise ValueError("the oldest version of TLS is %s, not %r"
                             % (" or ".join(map(repr, _MINIMA)), minimum))
        self.pairs = [(certfile, keyfile) for certfile, keyfile in pairs]
        if not self.pairs:
            raise ValueError("a server needs at least one certificate")
        self.client_ca = client_ca
        self.minimum = minimum
        self.ciphers = ciphers
        self.check_every = check_every
        self.io_loop = io_loop
        self._users = []        # callbacks that want to know of a new context
        self._servers = set()   # those that listen
        self._timer = None
        self._seen = self._look()
        #: The SSLContext for handshakes that begin now.
        self.context = self._load()
        #: Why the files as they are now are not in use, as text; None if they are.
        self.error = None

    def use(self, callback):
        """Call `callback(context)` now, and each time the certificates have changed."""
        self._users.append(callback)
        callback(self.context)

    def start(self, server):
        """Look at the files from time to time, on the loop of `server`, until each server for which
        this was called has called `stop`. Called by a server when it listens."""
        self._servers.add(server)
        if self.io_loop is None:
            self.io_loop = server.io_loop
        if self._timer is None and self.check_every is not None:
            self._plan()

    def stop(self, server):
        """Undo `start`."""
        self._servers.discard(server)
        if self._timer is not None and not self._servers:
            self.io_loop.remove_timeout(self._timer)
            self._timer = None

    def check(self):
        """Look at the files now; whether the certificates in use are those in the files. `error`
        says why not."""
        seen = self._look()
        if seen != self._seen:
            # Even if they cannot be used: that is said once.
            self._seen = seen
            try:
                context = self._load()
            except Exception as error:
                self.error = str(error)
                gen_log.error("The certificates were changed, but are unusable; the old ones stay"
                              " in use: %s", error)
                return False
            self.error = None
            self.context = context
            gen_log.info("New certificates are in use: %s",
                         ", ".join(certfile for certfile, _ in self.pairs))
            for callback in self._users:
                callback(context)
        return self.error is None

    def _plan(self):
        with NullContext():
            self._timer = self.io_loop.call_later(self.check_every, self._on_time)

    def _on_time(self):
        self._plan()
        self.check()

    def _files(self):
        for certfile, keyfile in self.pairs:
            yield certfile
            if keyfile:
                yield keyfile
        if self.client_ca:
            yield self.client_ca

    def _look(self):
        """What changes when a file is replaced."""
        seen = []
        for path in self._files():
            try:
                found = os.stat(path)
            except OSError as error:
                seen.append(error.errno)
            else:
                seen.append((found.st_dev, found.st_ino, found.st_size, found.st_mtime))
        return seen

    def _load(self):
        """The context, with those for other names. Raises ValueError."""
        contexts = [self._load_pair(*pair) for pair in self.pairs]
        by_name = {}
        for (certfile, _), context in zip(self.pairs, contexts):
            for name in names_of(certfile):
                by_name.setdefault(name, context)
        first = contexts[0]
        if len(contexts) > 1:
            def choose(connection, name, _):
                context = _find(by_name, name)
                if context is not None and context is not first:
                    connection.context = context

            if hasattr(first, "sni_callback"):
                first.sni_callback = choose
            else:  # version: py2, 3.6
                first.set_servername_callback(choose)
        return first

    def _load_pair(self, certfile, keyfile):
        options = {"certfile": certfile, "keyfile": keyfile, "ciphers": self.ciphers}
        if self.client_ca:
            options.update(ca_certs=self.client_ca, cert_reqs=ssl.CERT_REQUIRED)
        context = ssl_options_to_context(options)
        if self.minimum == "1.3":
            if not getattr(ssl, "HAS_TLSv1_3", False):
                raise ValueError("the ssl module of this Python has no TLS 1.3")
            if hasattr(context, "minimum_version"):
                context.minimum_version = ssl.TLSVersion.TLSv1_3
            else:  # version: py2, 3.6
                context.options |= ssl.OP_NO_TLSv1_2
        return context


def _find(by_name, name):
    """The value of a host name, or of the wildcard that it matches (RFC 6125 6.4.3), or None."""
    if name is None:
        return None
    name = name.lower().rstrip(".")
    found = by_name.get(name)
    return found if found is not None else by_name.get("*." + name.partition(".")[2])


def names_of(certfile):
    """The host names in the first certificate of a file, lower case; those of IP addresses are not
    among them, because clients do not ask for them. Without any, the common name counts."""
    # The only function of the standard library that reads a certificate which it does not verify.
    found = ssl._ssl._test_decode_cert(certfile)
    names = [value for kind, value in found.get("subjectAltName", ()) if kind == "DNS"]
    if not names:
        names = [value for part in found.get("subject", ()) for kind, value in part
                 if kind == "commonName"]
    return [name.lower() for name in names]
