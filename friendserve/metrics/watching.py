"""What the parts of this package report about themselves.

Nothing here adds a call to a part that is not watched. Gauges are read, and requests are counted,
about once a second and when the values are read: see `Registry.sample`. Watching costs one call and
one append for each request, and three calls for each turn of the loop, however many callbacks it
runs. ``demos/benchmark/metrics.py`` measures the price.
"""
from __future__ import absolute_import, division, print_function

from friendserve.metrics.registry import registry as default_registry
from friendserve.platform.pollers.clock import monotonic_time
from friendserve.protocol.http1 import COMMON_METHODS
from friendserve.web import Application

#: A turn of the loop that takes this many seconds is slow: from then on, and until a minute has
#: passed without another one, slow callbacks are counted by name.
SLOW_TURN = 0.1
NAMING_TIME = 60.0

#: The upper bounds of the buckets for turns of the loop, in seconds.
TURN_BUCKETS = (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0)

_STATES = ("idle", "head", "body", "responding", "done", "closing", "detached")


def watch(part, name="", registry=default_registry):
    """Report the figures of a part of the program: an IOLoop, an HTTPServer, an Application or
    WSGIContainer, an HTTP client, a Feed or a database Pool. `name` becomes the label `name`, to
    tell two pools apart. The part is watched, and kept alive, as long as the registry exists.
    Raises TypeError for anything else."""
    for kind in type(part).__mro__:
        watch_part = _WATCHES.get("%s.%s" % (kind.__module__, kind.__name__))
        if watch_part is not None:
            watch_part(part, name, registry)
            return
    raise TypeError("watch() takes a loop, server, application, HTTP client, feed or pool, not %r"
                    % (part,))


class _LoopWatch(object):
    """Counts the turns of a loop, and names its slow callbacks while there are any."""
    def __init__(self, loop, name, registry):
        self._loop = loop
        self._turns = registry.histogram(
            "friendserve_loop_turn_seconds", "How long a turn of the loop works between two waits: "
            "events that become ready meanwhile wait for its end.", buckets=TURN_BUCKETS).labels()
        self._callbacks = registry.counter(
            "friendserve_loop_callbacks_total", "Callbacks that the loop has run, except those "
            "of timers and file descriptors.").labels()
        self._lag = registry.gauge(
            "friendserve_loop_lag_seconds", "The longest turn of the last second or so.").labels()
        self._slow = registry.counter("friendserve_slow_callbacks_total",
                                      "Turns of %s s or more, by the callback that took longest."
                                      % SLOW_TURN, ["callback"])
        self._slow_seconds = registry.counter("friendserve_slow_callback_seconds_total",
                                              "The time of these callbacks.", ["callback"])
        self._longest = 0.0
        self._seconds = []      # of the turns since the last sample
        self._count = 0         # of callbacks since then
        self._naming_until = None
        loop.meter_turns(self._meter)
        registry.add_sampler(self._sample)

    def _meter(self, seconds, callbacks):
        self._seconds.append(seconds)
        self._count += callbacks
        if seconds > self._longest:
            self._longest = seconds
            if seconds >= SLOW_TURN:
                self._start_naming()

    def _start_naming(self):
        if self._naming_until is None:
            self._loop.watch_turns(self._on_slow_turn, SLOW_TURN)
        self._naming_until = self._loop.time() + NAMING_TIME

    def _on_slow_turn(self, turn):
        self._naming_until = self._loop.time() + NAMING_TIME
        name = turn.slowest or "unknown"
        self._slow.labels(name).add()
        self._slow_seconds.labels(name).add(turn.slowest_seconds)

    def _sample(self):
        self._lag.set(self._longest)
        self._longest = 0.0
        seconds, self._seconds = self._seconds, []
        self._turns.observe_all(seconds)
        self._callbacks.add(self._count)
        self._count = 0
        if self._naming_until is not None and self._loop.time() > self._naming_until:
            self._naming_until = None
            self._loop.unwatch_turns(self._on_slow_turn)


def _watch_server(server, name, registry):
    connections = registry.gauge("friendserve_connections", "Connections of servers by state; "
                                 "detached ones serve WebSockets.", ["state"])
    series = [(state, connections.labels(state)) for state in _STATES]
    last = dict.fromkeys(_STATES, 0)

    def sample():
        counts = dict.fromkeys(_STATES, 0)
        for connection in server.describe_connections():
            counts[connection["state"]] += 1
        for state, one in series:
            # Several servers share the gauge.
            one.add(counts[state] - last[state])
        last.update(counts)

    registry.add_sampler(sample)


class _RequestWatch(object):
    """Counts the responses of an application, where it logs them. Each is only noted; `_sample`
    counts many at a time, which takes a fraction of the time."""
    def __init__(self, registry):
        self._requests = registry.counter(
            "friendserve_requests_total", "Responses by method and class of status.",
            ["method", "status"])
        self._times = registry.histogram(
            "friendserve_request_seconds",
            "From the head of a request to the end of its response.").labels()
        # Method -> status -> seconds of each response since the last sample. In a dict of dicts, a
        # list is found faster than in one by pairs, which would have to be made and hashed.
        self.times = dict((method, {}) for method in COMMON_METHODS)
        registry.add_sampler(self._sample)

    def note(self, method, status, seconds):
        """Note a response, also the first one with its status or a method of the client's."""
        by_status = self.times.get(method)
        if by_status is None:
            by_status = self.times.setdefault("other", {})
        by_status.setdefault(status, []).append(seconds)

    def _sample(self):
        for method, by_status in self.times.items():
            for status, seconds in by_status.items():
                if seconds:
                    by_status[status] = []
                    self._requests.labels(method, "%dxx" % (status // 100)).add(len(seconds))
                    self._times.observe_all(seconds)


def _watch_application(application, name, registry):
    watched = _RequestWatch(registry)
    for one in _applications_in(application):
        _watch_log(one, watched)


def _watch_log(application, watched):
    log_request, times, now = application.log_request, watched.times, monotonic_time

    # One call and one append: every response passes here.
    def noting(handler):
        request = handler.request
        seconds = now() - request._start_time
        try:
            times[request.method][handler._status_code].append(seconds)
        except KeyError:
            watched.note(request.method, handler._status_code, seconds)
        log_request(handler)

    application.log_request = noting


def _applications_in(application):
    """An application, and those that its rules lead to."""
    found, todo = [], [application]
    while todo:
        one = todo.pop()
        if isinstance(one, Application) and one not in found:
            found.append(one)
            todo.extend(rule.target for _, rules in one.handlers for rule in rules)
        elif isinstance(one, list):
            todo.extend(rule.target for rule in one)
    return found


def _watch_container(container, name, registry):
    log_request, watched = container.log_request, _RequestWatch(registry)

    def noting(status, request):
        watched.note(request.method, status, request.request_time())
        log_request(status, request)

    container.log_request = noting


def _watch_figures(part, name, registry, prefix, help):
    """Report what `part.statistics()` returns, by the names of the figures."""
    gauges = dict((figure, registry.gauge(
        "friendserve_%s_%s" % (prefix, figure), help % figure, ["name"]).labels(name))
        for figure in part.statistics())

    def sample():
        for figure, value in part.statistics().items():
            gauges[figure].set(value)

    registry.add_sampler(sample)


def _watch_client(client, name, registry):
    _watch_figures(client, name, registry, "client", "HTTP client: %s.")


def _watch_feed(feed, name, registry):
    _watch_figures(feed, name, registry, "feed", "Feed: %s.")


def _watch_pool(pool, name, registry):
    _watch_figures(pool, name, registry, "pool", "Database pool: %s.")


#: By name, as a service without a database should not import database drivers.
_WATCHES = {
    "friendserve.ioloop.IOLoop": _LoopWatch,
    "friendserve.httpserver.HTTPServer": _watch_server,
    "friendserve.web.Application": _watch_application,
    "friendserve.wsgi.WSGIContainer": _watch_container,
    "friendserve.httpclient.AsyncHTTPClient": _watch_client,
    "friendserve.feed.Feed": _watch_feed,
    "friendserve.database.Pool": _watch_pool,
}
