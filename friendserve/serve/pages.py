"""What a service reports about itself: metrics, health, and who is connected.

In each worker, an Observer counts what happens, and answers requests for the paths in the settings:
`metrics` ("/metrics", the whole service in the text format of Prometheus) and `health` ("/health",
below which are /live and /ready). With an address in `metrics` ("127.0.0.1:9100"), the master
serves these pages there instead, and the connections with the addresses of clients as well: only
operators should be able to connect to it.
"""
from __future__ import absolute_import, division, print_function

import time

from friendserve.escape import utf8, xhtml_escape
from friendserve.httpserver import HTTPServer
from friendserve.metrics import CONTENT_TYPE, registry, render_sources, watch
from friendserve.protocol.http1 import REASONS
from friendserve.serve.scoreboard import READY, STATES

#: How many connections a worker reports.
MAX_ROWS = 200

_PAGE = u"""<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<meta name="viewport" content="width=device-width"><title>Connections</title>
<style>
:root { color-scheme: light dark; background: #fff; color: #1c2330; }
@media (prefers-color-scheme: dark) { :root { background: #12161d; color: #e6eaf1; } }
:focus-visible { outline: 3px solid #5b7cf0; outline-offset: 2px; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.3em; } h2 { font-size: 1.05em; margin-top: 2em; }
table { border-collapse: collapse; width: 100%%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .25em 1em .25em 0;
border-bottom: 1px solid #8884; }
th { font-weight: 600; opacity: .7; } td.n, th.n { text-align: right; }
td.r { overflow-wrap: anywhere; min-width: 28em;
font-family: ui-monospace, monospace; font-size: .9em; }
div { overflow-x: auto; } p { opacity: .7; }
</style>
<h1>Workers</h1>
<div tabindex="0"><table>
<tr><th>Slot<th>Process<th>State<th class="n">Started<th class="n">Connections
%s</table></div>
<h2>Connections</h2>
<div tabindex="0"><table>
<tr><th>Slot<th>Client<th>State<th class="n">Seconds<th>Request
%s</table></div>
<p>Updated every two seconds; up to %d connections of each worker.</p>
"""


class Pages(object):
    """Functions of a request, by path. `board` is the scoreboard of a service."""
    def __init__(self, board):
        self._board = board

    def metrics(self, request):
        """The values of all slots, those of places without a worker included."""
        newest = sorted(self._board.places(), key=lambda place: -place.generation)
        _answer(request, 200, CONTENT_TYPE,
                render_sources([(place.slot, place) for place in newest]))

    def live(self, request):
        """Always 200: that the process answers is what matters."""
        _answer(request, 200, "text/plain", b"ok\n")

    def ready(self, request):
        """503 while no worker is ready, as the service starts or ends. While workers are replaced,
        one always is."""
        if any(place.state == READY for place in self._board.workers()):
            _answer(request, 200, "text/plain", b"ok\n")
        else:
            _answer(request, 503, "text/plain", b"not ready\n")

    def connections(self, request):
        """The workers and their connections, as a page."""
        self._board.ask_for_reports()
        workers, rows = [], []
        for place in self._board.workers():
            workers.append(_row((place.slot, place.pid, STATES[place.state], (
                "n", "%d s ago" % (time.time() - place.started)), ("n", place.connections))))
            rows.extend(_row((place.slot, row["remote_ip"], row["state"], (
                "n", "%d" % row["seconds"]), ("r", row["request"] or ""))) for row in
                place.read_report())
        _answer(request, 200, "text/html; charset=utf-8", utf8(
            _PAGE % (u"".join(workers), u"".join(rows), MAX_ROWS)))

    def by_path(self, metrics=None, health=None, connections=None):
        """{path: function} for the paths that are given."""
        found = {metrics: self.metrics, connections: self.connections}
        if health:
            found[health.rstrip("/") + "/live"] = self.live
            found[health.rstrip("/") + "/ready"] = self.ready
        found.pop(None, None)
        return found


def _row(cells):
    return u"<tr>%s\n" % u"".join(
        u'<td class="%s">%s' % (cell[0], xhtml_escape(u"%s" % cell[1]))
        if isinstance(cell, tuple) else u"<td>%s" % xhtml_escape(u"%s" % cell) for cell in cells)


def _answer(request, status, content_type, body):
    head = ("HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nCache-Control: no-store"
            "\r\n\r\n" % (status, REASONS[status], content_type, len(body)))
    request.write(utf8(head) + (b"" if request.method == "HEAD" else body))
    request.finish()


def is_path(metrics):
    """Whether the setting `metrics` is a path, not an address."""
    return bool(metrics) and metrics.startswith("/")


class Observer(object):
    """What a worker counts and shows. Made before the application is loaded, so that what the
    application counts goes to the shared memory."""
    def __init__(self, settings, place):
        self._settings = settings
        self._place = place
        self._server = None
        registry.move_to(place)

    def start(self, server, loop):
        """Watch a server that serves the application on this loop."""
        self._server = server
        settings = self._settings
        metrics = getattr(settings, "metrics", None)
        if metrics:
            watch(loop)
            watch(server)
            try:
                watch(server.request_callback)
            except TypeError:
                # A function: only its connections are counted.
                pass
        pages = Pages(self._place.board).by_path(
            metrics if is_path(metrics) else None, getattr(settings, "health", None))
        if pages:
            handle_request = server.handle_request

            def handle(request):
                if request.path in pages:
                    registry.sample()
                    pages[request.path](request)
                else:
                    handle_request(request)

            server.handle_request = handle

    def sample(self):
        """Bring the values up to date: about once a second, and before the worker ends."""
        registry.sample()
        if self._server is not None and self._place.is_wanted():
            self._place.report(self._server.describe_connections()[:MAX_ROWS])


def make_operator_server(settings, board):
    """An HTTPServer with all pages, on the current loop, for the address in the setting `metrics`;
    called in the master."""
    pages = Pages(board).by_path("/metrics", getattr(settings, "health", None) or "/health",
                                 "/connections")

    def handle(request):
        page = pages.get(request.path)
        if page is not None:
            page(request)
        else:
            _answer(request, 404, "text/plain", utf8(
                "The pages are: %s\n" % ", ".join(sorted(pages))))

    return HTTPServer(handle, no_keep_alive=True)
