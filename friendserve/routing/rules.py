"""Matchers, rules, and the routers that try them in order.

A request gets its handler when its head has arrived: `Router.start_request` returns a
`_RoutedMessage`, which then calls `find_handler` and passes on the head and everything after it.
"""
from __future__ import absolute_import, division, print_function

import functools

import six

from friendserve.httputil import (
    HTTPHeaders, HTTPMessageDelegate, HTTPServerConnectionDelegate, HTTPServerRequest,
    ResponseStartLine)
from friendserve.routing.paths import PathPattern, compile_whole
from friendserve.util import import_object


class Matcher(object):
    """Decides which requests a rule applies to."""

    def match(self, request):
        """None if the rule does not apply, else a dict of the arguments found in the request:
        `path_args` (a list of bytes) or `path_kwargs`, or neither."""
        raise NotImplementedError()

    def reverse(self, *args):
        """The URL that this matches with `args`; None if that cannot be determined."""


class AnyMatches(Matcher):
    """Every request."""

    def match(self, request):
        return {}


class HostMatches(Matcher):
    """Requests whose host name, in lower case and without port, matches a regular expression as a
    whole."""

    def __init__(self, host_pattern):
        self.host_pattern = compile_whole(host_pattern) if isinstance(
            host_pattern, six.string_types) else host_pattern

    def match(self, request):
        return {} if self.host_pattern.match(request.host_name) else None


def is_from_proxy(request):
    """Whether a request has the header in which a proxy in front gives the client's address: the
    one that `xheaders` of the HTTPServer names; if it names none, X-Real-Ip, and if it is True,
    X-Forwarded-For as well."""
    xheaders = getattr(getattr(request.connection, "server", None), "xheaders", False)
    if isinstance(xheaders, six.string_types):
        return xheaders in request.headers
    return "X-Real-Ip" in request.headers or xheaders and "X-Forwarded-For" in request.headers


class DefaultHostMatches(Matcher):
    """All requests that did not come through a proxy (`is_from_proxy`), if the application's
    default host matches."""

    def __init__(self, application, host_pattern):
        self.application = application
        self.host_pattern = compile_whole(host_pattern) if isinstance(
            host_pattern, six.string_types) else host_pattern

    def match(self, request):
        if self.host_pattern.match(self.application.default_host or "") \
                and not is_from_proxy(request):
            return {}
        return None


class PathMatches(Matcher):
    """Requests whose path matches a regular expression as a whole; its groups are the arguments."""

    def __init__(self, path_pattern):
        self.pattern = PathPattern(path_pattern)
        self.regex = self.pattern.regex

    def match(self, request):
        found = self.pattern.match(request.path)
        if found is None:
            return None
        args, kwargs = found
        return {"path_kwargs": kwargs} if kwargs else {"path_args": args} if args else {}

    def reverse(self, *args):
        return self.pattern.reverse(*args)


class Rule(object):
    """A matcher and its target. `target_kwargs` are passed to the `initialize` of a handler; `name`
    is for `reverse_url`."""

    def __init__(self, matcher, target, target_kwargs=None, name=None):
        if isinstance(target, six.string_types):
            target = import_object(target)
        self.matcher = matcher
        self.target = target
        self.target_kwargs = target_kwargs or {}
        self.name = name

    def __repr__(self):
        return "%s(%r, %s, kwargs=%r, name=%r)" % (
            type(self).__name__, self.matcher, self.target, self.target_kwargs, self.name)

    def reverse(self, *args):
        """The URL that this rule matches with `args`; None if that cannot be determined."""
        return self.matcher.reverse(*args)


class URLSpec(Rule):
    """A rule that maps the paths that match a pattern to the handler that answers them.

    `pattern` is a regular expression for the whole path. Its groups are the arguments of the
    handler's methods: by name if they have names, else by position. `handler` is a class, or its
    dotted name, which is imported immediately. `kwargs` are passed to the handler's `initialize`.
    `name` is for `reverse_url`. `handler_class` is the older name of `handler`.
    """
    def __init__(self, pattern, handler=None, kwargs=None, name=None, handler_class=None):
        handler = handler_class if handler is None else handler
        if handler is None:
            raise TypeError("URLSpec needs a handler for %r" % (pattern,))
        matcher = PathMatches(pattern)
        super(URLSpec, self).__init__(matcher, handler, kwargs, name)
        self.regex = matcher.regex
        self.handler_class = self.target
        self.kwargs = self.target_kwargs
        #: `match(path)` is (args, kwargs), or None if the path does not match.
        self.match = matcher.pattern.match

    def __repr__(self):
        return "URLSpec(%r, %s, kwargs=%r, name=%r)" % (
            self.regex.pattern, getattr(self.handler_class, "__name__", self.handler_class),
            self.kwargs, self.name)


def to_rule(rule):
    """A Rule from a tuple (path pattern or matcher, target[, kwargs[, name]]); a Rule is returned
    unchanged."""
    if isinstance(rule, (tuple, list)):
        if not 2 <= len(rule) <= 4:
            raise ValueError("a rule must be (pattern, handler[, kwargs[, name]]), not %r"
                             % (rule,))
        rule = (Rule if isinstance(rule[0], Matcher) else URLSpec)(*rule)
    if not isinstance(rule, Rule):
        raise TypeError("the handlers must be a list of rules, [(pattern, handler), ...]; %r is not"
                        " a rule" % (rule,))
    return rule


class Router(HTTPServerConnectionDelegate):
    """Finds the handler for each request of a server."""

    def find_handler(self, request, **kwargs):
        """The HTTPMessageDelegate that will answer an HTTPServerRequest (its body has not arrived),
        or None. `kwargs` are the arguments found by the rules that led here."""
        raise NotImplementedError()

    def start_request(self, server_conn, request_conn):
        return _RoutedMessage(self, server_conn, request_conn)


class ReversibleRouter(Router):
    """A Router that can build URLs by name."""

    def reverse_url(self, name, *args):
        """The URL for `name` with `args`; None if the name is unknown."""
        raise NotImplementedError()


class RuleRouter(Router):
    """Tries its rules in order."""

    def __init__(self, rules=None):
        self.rules = []
        if rules:
            self.add_rules(rules)

    def add_rules(self, rules):
        """Add rules: Rule objects, or tuples of their arguments, in which a matcher may be a
        regular expression for the path."""
        for rule in rules:
            self.rules.append(self.process_rule(to_rule(rule)))

    def process_rule(self, rule):
        """Called with each Rule that is added; returns the Rule to add. May be overridden."""
        return rule

    def find_handler(self, request, **kwargs):
        for rule in self.rules:
            found = rule.matcher.match(request)
            if found is None:
                continue
            if rule.target_kwargs:
                found["target_kwargs"] = rule.target_kwargs
            message = self.get_target_delegate(rule.target, request, **found)
            if message is not None:
                return message
        return None

    def get_target_delegate(self, target, request, **target_params):
        """The HTTPMessageDelegate of a target, or None. May be overridden for other kinds of
        targets."""
        find_handler = getattr(target, "find_handler", None)    # a router, an application
        if find_handler is not None:
            return find_handler(request, **target_params)
        if isinstance(target, HTTPServerConnectionDelegate):
            connection = request.connection
            return target.start_request(connection, connection)
        return WholeMessage(functools.partial(target, **target_params), request) \
            if callable(target) else None


class ReversibleRuleRouter(ReversibleRouter, RuleRouter):
    """A RuleRouter whose rules may have names."""

    def __init__(self, rules=None):
        self.named_rules = {}
        super(ReversibleRuleRouter, self).__init__(rules)

    def process_rule(self, rule):
        processed = super(ReversibleRuleRouter, self).process_rule(rule)
        if processed.name:
            self.named_rules[processed.name] = processed
        return processed

    def reverse_url(self, name, *args):
        named = self.named_rules.get(name)
        if named is not None:
            return named.reverse(*args)
        return reverse_inside([rule.target for rule in self.rules], name, args)


def reverse_inside(targets, name, args):
    """The URL for a name that one of these targets knows, or None."""
    for target in targets:
        if isinstance(target, ReversibleRouter) or hasattr(target, "named_handlers"):
            try:
                url = target.reverse_url(name, *args)
            except KeyError:
                continue
            if url is not None:
                return url
    return None


class WholeMessage(HTTPMessageDelegate):
    """Collects the body of a request, then calls `callback(request)`."""

    def __init__(self, callback, request):
        self._callback = callback
        self._request = request
        self._pieces = []

    def data_received(self, chunk):
        self._pieces.append(chunk)

    def finish(self):
        self._request.body = b"".join(self._pieces)
        self._callback(self._request)


class _RoutedMessage(HTTPMessageDelegate):
    """A request being received: passes everything on to the handler found for its head."""

    def __init__(self, router, server_conn, request_conn):
        self._router = router
        self._server_conn = server_conn
        self._connection = request_conn
        self._delegate = None

    def headers_received(self, start_line, headers):
        # The server has already made one, with the client's address and scheme as reported by a
        # proxy.
        request = getattr(self._connection, "request", None) or HTTPServerRequest(
            start_line=start_line, headers=headers, connection=self._connection,
            server_connection=self._server_conn)
        self._delegate = self._router.find_handler(request) or _NotFound(self._connection)
        self._delegate.headers_received(start_line, headers)

    def data_received(self, chunk):
        self._delegate.data_received(chunk)

    def finish(self):
        self._delegate.finish()

    def on_connection_close(self):
        if self._delegate is not None:
            self._delegate.on_connection_close()


class _NotFound(HTTPMessageDelegate):
    def __init__(self, connection):
        self._connection = connection

    def finish(self):
        self._connection.write_headers(
            ResponseStartLine("HTTP/1.1", 404, "Not Found"), HTTPHeaders({"Content-Length": "0"}))
        self._connection.finish()
