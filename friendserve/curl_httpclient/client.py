"""`CurlAsyncHTTPClient`: runs a CurlMulti, libcurl's set of transfers, on the loop."""
from __future__ import absolute_import, division, print_function

import logging

import pycurl

from friendserve.curl_httpclient.errors import CurlTimeoutError
from friendserve.curl_httpclient.options import check_request, set_options
from friendserve.curl_httpclient.sockets import make_sockets
from friendserve.curl_httpclient.transfer import CurlTransfer
from friendserve.httpclient import HTTPTransferError
from friendserve.httpclient.fetch import BaseFetch
from friendserve.httpclient.queue import QueuedHTTPClient
from friendserve.platform.pollers.interface import ERROR, NONE, READ, WRITE
from friendserve.stack_context import NullContext

curl_log = logging.getLogger("friendserve.curl_httpclient")

#: Seconds between two checks of all sockets, in case an event was missed.
SCAN_INTERVAL = 1.0

_PHASES_OF_CONNECTING = frozenset(["resolve", "connect", "proxy", "tls"])


def _to_curl(events):
    return ((pycurl.CSELECT_IN if events & READ else 0)
            | (pycurl.CSELECT_OUT if events & WRITE else 0)
            | (pycurl.CSELECT_ERR if events & ERROR else 0))


class CurlFetch(BaseFetch):
    """A fetch whose connections are `CurlTransfer`s."""
    __slots__ = ()

    @property
    def phase(self):
        return self._phase if self.connection is None else self.connection.phase()

    def use(self, transfer):
        """Send the request with a transfer."""
        self.connection = transfer
        self._phase = "headers"
        self._times = None
        self.is_sent = self.request.body_producer is None
        try:
            transfer.request(self)
        except HTTPTransferError as error:
            transfer.abandon()
            self.fail(error)
        except Exception as error:
            # A value that libcurl refuses, or whatever prepare_curl_callback raises.
            transfer.abandon()
            self.fail(HTTPTransferError("the request cannot be sent: %s" % error, "request",
                                        error))

    @property
    def plain(self):
        """The options of a plain GET, as a comparable tuple; None for any other request."""
        request, url = self.request, self.url
        if self.method == "GET" and request._headers is None and url.scheme == "http" \
                and request._body is None and request.body_producer is None \
                and request.auth_username is None and url.username is None \
                and request.cookie_jar is None and request.prepare_curl_callback is None \
                and request.proxy_host is None and request.network_interface is None \
                and request.unix_socket is None and request.allow_ipv6 \
                and not self.client.hostname_mapping:
            return request.user_agent, self.decompress, request.connect_timeout
        return None

    def configure(self, curl):
        set_options(curl, self)

    def set_length(self, headers):
        # libcurl sets these itself.
        for name in ("Content-Length", "Transfer-Encoding"):
            if name in headers:
                del headers[name]

    def on_continue(self):
        if self.connection is not None:
            self.produce(self.connection)

    def send_piece(self, data, callback):
        self.connection.write(data, callback)

    def send_end(self):
        self.connection.end_body()

    def note_times(self, transfer):
        """Record the times of a transfer that opened a connection, for time_info."""
        count, resolved, connected, secured = transfer.times()
        if count:
            self.client.count_connects(count)
            before = self._redirect_time
            self._times = [before + seconds if seconds else 0
                           for seconds in (resolved, connected, secured)]

    def cancel(self):
        if self.connection is not None:
            self.note_times(self.connection)
        super(CurlFetch, self).cancel()

    def time_out(self):
        timeout = self.request.request_timeout
        if self.phase not in _PHASES_OF_CONNECTING and self.phase != "queue" and not (
                timeout and self.started + timeout <= self.client.io_loop.time()):
            # It connected in time; only the request_timeout still applies.
            self.client.set_deadline(self, self.started, timeout)
            return
        super(CurlFetch, self).time_out()

    def timeout_error(self, message, phase):
        return CurlTimeoutError(pycurl.E_OPERATION_TIMEDOUT, message, phase)


class CurlAsyncHTTPClient(QueuedHTTPClient):
    """The client over libcurl. Its settings, besides `io_loop` and `defaults`:

    - `max_clients` (10): fetches at a time, and connections kept alive;
    - `max_clients_per_host` (None: no such limit): fetches at a time to one host;
    - `max_header_size` (64 KiB) and `max_body_size` (100 MiB): limits of a response, for the body
      also after decompression;
    - `hostname_mapping`: other addresses for some hosts, as for `OverrideResolver`.
    """
    fetch_class = CurlFetch

    def initialize(self, io_loop=None, max_clients=10, defaults=None, max_header_size=None,
                   max_body_size=None, max_clients_per_host=None, hostname_mapping=None):
        super(CurlAsyncHTTPClient, self).initialize(
            io_loop, max_clients, defaults, max_header_size, max_body_size, max_clients_per_host)
        if not pycurl.version_info()[4] & pycurl.VERSION_ASYNCHDNS:
            curl_log.warning("this libcurl blocks the loop while it looks up host names: use one "
                             "that was built with c-ares or the threaded resolver")
        self.hostname_mapping = hostname_mapping or {}
        self._free = []                 # transfers that are not in use
        self._is_due = False            # whether libcurl is to be called in the next turn
        self._timer = None              # for when libcurl wants to be called, if later
        self._scan_timer = None
        self._multi = pycurl.CurlMulti()
        self._sockets = make_sockets(self.io_loop, self._on_ready)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._sockets.change)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer_wanted)
        self._multi.setopt(pycurl.M_MAXCONNECTS, max_clients)

    def close(self):
        if self._closed:
            return
        super(CurlAsyncHTTPClient, self).close()
        for timer in (self._timer, self._scan_timer):
            if timer is not None:
                self.io_loop.remove_timeout(timer)
        # Before the sockets: libcurl closes its connections, and calls `change` for each.
        self._multi.close()
        self._sockets.close()
        for transfer in self._free:
            transfer.close()
        self._free = []

    def count_connects(self, count):
        """Add to the number of connections that libcurl has opened."""
        self._counts["connects"] += count

    def key_of(self, url, request):
        check_request(url, request)
        return url.origin

    def begin(self, fetch):
        """Start a fetch, or its next request after a redirect."""
        request = fetch.request
        self.set_deadline(fetch, fetch.started, request.connect_timeout, request.request_timeout)
        fetch.use(self._free.pop() if self._free else CurlTransfer(self))

    def add(self, transfer):
        """Called by a transfer that begins."""
        transfer.is_added = True
        self._multi.add_handle(transfer.curl)
        if self._scan_timer is None:
            self._scan_later()

    def release(self, transfer):
        """Called by a transfer that has ended."""
        if transfer.is_added:
            transfer.is_added = False
            self._multi.remove_handle(transfer.curl)
        self._free.append(transfer)

    def watch_all(self):
        """Watch all sockets for reading and writing."""
        for fd in self._sockets.wanted():
            self._sockets.change(pycurl.POLL_INOUT, fd, None, None)

    # What libcurl waits for

    def _on_timer_wanted(self, milliseconds):
        if self._timer is not None:
            self.io_loop.remove_timeout(self._timer)
            self._timer = None
        if milliseconds == 0:
            # Not now: libcurl is calling us, and must not be called from its callbacks.
            if not self._is_due:
                self._is_due = True
                self.io_loop.spawn_callback(self._on_due)
        elif milliseconds > 0:
            with NullContext():
                self._timer = self.io_loop.call_later(milliseconds / 1000.0, self._on_timer)

    def _on_due(self):
        self._is_due = False
        if not self._closed:
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
            self._take_finished()

    def _on_timer(self):
        self._timer = None
        self._on_due()
        if self._timer is None and not self._is_due and not self._closed:
            # By libcurl's clock this may have been too early; then it does not ask again by itself.
            self._on_timer_wanted(self._multi.timeout())

    def _on_ready(self, pairs):
        action = self._multi.socket_action
        for fd, events in pairs:
            action(fd, pycurl.CSELECT_IN if events == READ else _to_curl(events))
        self._take_finished()

    def _scan_later(self):
        with NullContext():
            self._scan_timer = self.io_loop.call_later(SCAN_INTERVAL, self._scan)

    def _scan(self):
        self._scan_timer = None
        if self.active:
            # Without events, libcurl checks the socket itself.
            self._on_ready([(fd, NONE) for fd in self._sockets.wanted()])
            if self.active and self._scan_timer is None:
                self._scan_later()

    def _take_finished(self):
        more = True
        while more and not self._closed:
            more, succeeded, failed = self._multi.info_read()
            for curl in succeeded:
                curl.transfer.finished(0, None)
            for curl, errno, message in failed:
                curl.transfer.finished(errno, message)
