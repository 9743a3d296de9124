"""Connecting through an HTTP proxy: CONNECT (RFC 9110 9.3.6), and TLS inside the tunnel."""
from __future__ import absolute_import, division, print_function

import collections

from friendserve.http1connection.client import HTTP1ClientConnection
from friendserve.httpclient import HTTPConnectError
from friendserve.httpclient.errors import transfer_error
from friendserve.httputil import HTTPHeaders, basic_credentials
from friendserve.netutil.endpoints import host_name, port_number
from friendserve.protocol.http1 import encode_head
from friendserve.stack_context import NullContext
from friendserve.tcpclient import CONNECT, DONE, TLS, start_tls

PROXY = "proxy"


class Proxy(collections.namedtuple("Proxy", "host port username password")):
    """An HTTP proxy, and the credentials for it (None if there are none)."""

    @classmethod
    def of_request(cls, request):
        """The Proxy of an HTTPRequest. Raises ValueError for one that the simple client cannot
        use."""
        scheme, separator, host = request.proxy_host.rpartition("://")
        if separator and scheme.lower() != "http":
            raise ValueError("the simple client supports http proxies only; a proxy of kind %r "
                             "needs the curl client (friendserve.curl_httpclient)" % scheme)
        if not host or not request.proxy_port:
            raise ValueError("a proxy needs both proxy_host and proxy_port")
        if request.proxy_username is not None and request.proxy_auth_mode not in (None, "basic"):
            raise ValueError("the simple client supports only 'basic' as proxy_auth_mode, not %r"
                             % (request.proxy_auth_mode,))
        return cls(host_name(host.strip("[]")), port_number(request.proxy_port),
                   request.proxy_username, request.proxy_password)

    def credentials(self):
        """The value of the Proxy-Authorization header, or None."""
        if self.username is None:
            return None
        return basic_credentials(self.username, self.password or "")


class TunnelConnecting(object):
    """An attempt to connect to `url` through a proxy: connects to the proxy, sends CONNECT and
    then begins TLS with `ssl_context`.

    The interface is that of `friendserve.tcpclient.Connecting`: `phase` ("proxy" comes between
    "connect" and "tls"), `failed_phase`, `cancel`, and a call of either `callback(stream)` or
    `on_error(error)`.
    """
    def __init__(self, client, proxy, url, ssl_context, user_agent, callback, on_error,
                 **options):
        self._client = client
        self._proxy = proxy
        self._url = url
        self._ssl_context = ssl_context
        self._user_agent = user_agent
        self._callback = callback
        self._on_error = on_error
        self._phase = CONNECT
        self._stream = None
        self.failed_phase = None
        self.connected_at = None
        with NullContext():
            self._inner = client.connect(proxy.host, proxy.port, callback=self._connected,
                                         on_error=self._failed, **options)

    @property
    def phase(self):
        return self._inner.phase if self._phase is CONNECT else self._phase

    @property
    def resolved_at(self):
        return self._inner.resolved_at

    def cancel(self):
        self._phase = DONE
        self._inner.cancel()
        if self._stream is not None:
            self._stream.set_close_callback(None)
            self._stream.close()

    def _failed(self, error):
        if self._phase is not DONE:
            self.failed_phase = self._inner.failed_phase or self._phase
            self._phase = DONE
            self._on_error(error)

    def _connected(self, stream):
        if self._phase is DONE:
            stream.close()
            return
        self._phase = PROXY
        self._stream = stream
        url = self._url
        host = "[%s]" % url.host if ":" in url.host else url.host
        place = "%s:%d" % (host, url.port)
        headers = HTTPHeaders({"Host": place, "User-Agent": self._user_agent})
        credentials = self._proxy.credentials()
        if credentials is not None:
            headers["Proxy-Authorization"] = credentials
        connection = HTTP1ClientConnection(stream, _NoPool)
        connection.request(_ConnectExchange(self, connection),
                           encode_head("CONNECT %s HTTP/1.1" % place, headers))

    def tunnelled(self, stream):
        """Called from the loop once the proxy has connected."""
        if self._phase is DONE:
            return
        self.connected_at = self._client.io_loop.time()
        self._phase = TLS
        try:
            self._stream = start_tls(stream, self._ssl_context, self._url.host, self._shaken,
                                     self._failed)
        except ValueError as error:
            # The server cannot have sent bytes before the handshake.
            self.refused(HTTPConnectError("the proxy sent data before the TLS handshake: %s"
                                          % error, PROXY))

    def _shaken(self, stream):
        if self._phase is DONE:
            stream.close()
            return
        self._phase = DONE
        self._stream = None
        self._callback(stream)

    def refused(self, error):
        """Called when the proxy refused or disconnected."""
        if self._phase is not DONE:
            self.failed_phase = PROXY
            self.cancel()
            self._on_error(error)


class _NoPool(object):
    """The owner of connections to proxies: it keeps none, since each becomes a tunnel or is
    closed."""

    @staticmethod
    def connection_idle(connection):
        connection.abandon()

    @staticmethod
    def connection_closed(connection):
        pass


class _ConnectExchange(object):
    """The exchange of a CONNECT request on an HTTP1ClientConnection."""
    __slots__ = ("_tunnel", "_connection", "_refusal")

    method = "CONNECT"
    max_header_size = 65536
    # The body of a refusal, which is dropped.
    max_body_size = 1 << 20
    decompress = False
    is_sent = require_close_notify = True

    def __init__(self, tunnel, connection):
        self._tunnel = tunnel
        self._connection = connection
        self._refusal = None

    def on_continue(self):
        pass

    def on_head(self, status, reason, headers, raw):
        if 200 <= status < 300:
            stream = self._connection.detach()
            stream.io_loop.add_callback(self._tunnel.tunnelled, stream)
        else:
            self._refusal = HTTPConnectError(
                "the proxy refused to connect: %d %s" % (status, reason), PROXY)
        return True

    def on_data(self, chunk):
        pass

    def on_end(self, body):
        self._tunnel.refused(self._refusal)

    def on_failure(self, phase, error, again):
        self._tunnel.refused(self._refusal or transfer_error(phase, error))
