"""Application: finds the handler for each request.

    application = Application([
        (r"/", MainHandler),
        (r"/user/([0-9]+)", UserHandler, {"database": database}),
        URLSpec(r"/about", AboutHandler, name="about"),
    ], debug=True)
    application.listen(8888)
    IOLoop.instance().start()
"""
from __future__ import absolute_import, division, print_function

import os
import re
import sys
import types

import six

from friendserve import autoreload
from friendserve.escape import linkify, native_str, url_escape
from friendserve.httpserver import HTTPServer, serve_delegate, start_delegate
from friendserve.httputil import HTTPMessageDelegate, HTTPServerConnectionDelegate
from friendserve.log import access_log, app_log
from friendserve.protocol.urls import quote_octets
from friendserve.routing import URLSpec
from friendserve.routing.paths import PathTable, compile_whole
from friendserve.routing.rules import is_from_proxy, reverse_inside, to_rule
from friendserve.util import comes_again, import_object, remember
from friendserve.web.errors import HTTPError
from friendserve.web.handler import RequestHandler
from friendserve.web.mistakes import check_handler
from friendserve.web.running import run
from friendserve.web.settings import check_settings, describe_settings
from friendserve.web.static import StaticFileHandler
from friendserve.web.transforms import GZipContentEncoding
from friendserve.web.uimodule import TemplateModule, UIModule
from friendserve.web.watching import watch_loop


class ErrorHandler(RequestHandler):
    """Answers every request with an error page of the same status."""
    def check_xsrf_cookie(self):
        """Accept every request: it changes nothing that would need protection."""

    _check_origin = check_xsrf_cookie

    def initialize(self, status_code):
        self.set_status(status_code)

    def prepare(self):
        raise HTTPError(self.get_status())


class RedirectHandler(RequestHandler):
    """Redirects to `url`, in which {0}, {1} ... are replaced by the groups of the pattern, and
    {name} by the group of that name; the query of the request is appended.

    Groups are percent-encoded except for their slashes, so a group cannot add to a query, and one
    that begins with a slash cannot become a host. Do not put a group directly after a host name.
    """
    def initialize(self, url, permanent=True):
        self._permanent = permanent
        self._url = native_str(url)

    def get(self, *args, **kwargs):
        url = self._url.format(*[_fill_in(arg) for arg in args], **dict(
            (name, _fill_in(arg)) for name, arg in kwargs.items()))
        if url.startswith("//") and not self._url.startswith("//"):
            # A group from the request's path must not turn this into the name of another host.
            url = "/" + url.lstrip("/")
        if self.request.query:
            url, hash_mark, fragment = url.partition("#")
            url += "%s%s%s%s" % ("&" if "?" in url else "?", quote_octets(self.request.query),
                                 hash_mark, fragment)
        self.redirect(url, permanent=self._permanent)

    head = get


class FallbackHandler(RequestHandler):
    """Passes the request to `fallback`, a function that takes a request, such as a WSGIContainer.

    If `fallback` has a method `start_body`, as that has, it gets the body of a request while that
    arrives. A subclass gets the request with its whole body."""
    def prepare(self):
        self.fallback(self.request)
        self._finished = True

    def initialize(self, fallback):
        self.fallback = fallback


def _fill_in(arg):
    """A group of a pattern, quoted for a URL; empty if the group did not take part."""
    return url_escape(arg or "", plus=False)


#: The number of paths whose handlers an application caches.
_MAX_TARGETS = 1000
#: Longer paths, in characters, are not cached.
_MAX_TARGET_PATH = 200

#: The pattern for every host, into which `compile_whole` turns ``.*``, too. Only this one is tried
#: last; other expressions that match every host are treated like any pattern.
_EVERY_HOST = ".*$"


class _XsrfFormModule(UIModule):
    def render(self):
        return self.handler.xsrf_form_html()


class Application(object):
    """A list of URL specifications, and the settings that their handlers share.

    `handlers` is a list of URLSpec objects, or tuples of their arguments (pattern, handler,
    kwargs, name); the first pattern that matches is used. They serve every host; `add_handlers`
    adds handlers for particular hosts. A request for an unknown host is served by the handlers of
    `default_host`, or redirected there if it came through a proxy. `transforms` are subclasses of
    `OutputTransform` for every response. `settings` are the keyword arguments named in the
    documentation of each feature.
    """
    __doc__ = (__doc__ or "") + "\n    The settings:\n" + describe_settings()

    static_handler_class = StaticFileHandler

    def __init__(self, handlers=None, default_host="", transforms=None, wsgi=False, **settings):
        if wsgi:
            raise ValueError("an Application is served by an HTTPServer, not by WSGI")
        #: What looks like a mistake in the settings; each was logged as a warning.
        self.doubts = check_settings(settings)
        for doubt in self.doubts:
            app_log.warning("%s", doubt)
        self.settings = settings
        self.default_host = default_host or ""
        self.handlers = []
        self.named_handlers = {}
        if settings.get("debug"):
            for name, value in (("serve_traceback", True), ("compiled_template_cache", False),
                                ("static_hash_cache", False), ("autoreload", True)):
                settings.setdefault(name, value)
        self.transforms = list(transforms or ())
        if transforms is None and (settings.get("compress_response") or settings.get("gzip")):
            self.transforms.append(GZipContentEncoding)
        self.ui_modules = {"linkify": _LinkifyModule, "xsrf_form_html": _XsrfFormModule,
                           "Template": TemplateModule}
        self.ui_methods = {}
        _collect(self.ui_modules, settings.get("ui_modules", {}), _is_ui_module)
        _collect(self.ui_methods, settings.get("ui_methods", {}), _is_ui_method)
        self._template_loaders = {}
        self._streams = False
        self._table = None
        self._targets = {}      # path -> target, for paths that were asked for twice
        self._seen = set()      # hashes of paths
        self._watch = None      # a Watch, in debug mode
        handlers = list(handlers or ())
        if settings.get("static_path"):
            handlers = self._static_handlers() + handlers
        if handlers:
            self.add_handlers(_EVERY_HOST, handlers)

    def _static_handlers(self):
        prefix = self.settings.get("static_url_prefix", "/static/")
        handler_class = self.settings.get("static_handler_class", self.static_handler_class)
        arguments = dict(self.settings.get("static_handler_args", {}),
                         path=self.settings["static_path"])
        return [(pattern, handler_class, arguments) for pattern in (
            re.escape(prefix) + r"(.*)", r"/(favicon\.ico)", r"/(robots\.txt)")]

    def listen(self, port, address="", **kwargs):
        """Serve on a port with a new HTTPServer, which takes `kwargs` and is returned."""
        server = HTTPServer(self, **kwargs)
        server.listen(port, address=address)
        return server

    def run(self, port=8888, address="127.0.0.1", **kwargs):
        """Serve on a port until Ctrl-C or SIGTERM, in one call: for a program that does nothing
        else.

        It prints the address, logs requests unless the program has set up logging, runs the current
        loop, and at the end lets requests in progress finish, for `grace` seconds at most (10). A
        second Ctrl-C ends it at once. `address` "" means every interface. `kwargs` are those of
        HTTPServer. Exits with status 1 and one line on stderr if it cannot listen.
        """
        if "host" in kwargs:
            raise TypeError("run() takes address=..., not host=...")
        if "debug" in kwargs:
            raise TypeError("debug is a setting: Application(handlers, debug=True).run()")
        run(self, port, address, **kwargs)

    def add_handlers(self, host_pattern, host_handlers):
        """Add handlers for the hosts whose whole name, in lower case, matches a regular
        expression. Patterns are tried in the order in which they were added, except that ``.*``
        comes last."""
        specs = self._to_rules(host_handlers)
        host = compile_whole(host_pattern)
        if self.handlers and self.handlers[-1][0].pattern == _EVERY_HOST:
            self.handlers.insert(len(self.handlers) - 1, (host, specs))
        else:
            self.handlers.append((host, specs))
        # If all handlers serve every host and are chosen by path alone, the host does not matter,
        # and a path always leads to the same target.
        is_only = len(self.handlers) == 1 and host.pattern == _EVERY_HOST
        self._table = PathTable(specs) if is_only and all(
            isinstance(spec, URLSpec) and not isinstance(spec.target, _RuleList)
            for spec in specs) else None
        self._targets.clear()

    def _to_rules(self, rules):
        rules = [to_rule(rule) for rule in rules]
        for rule in rules:
            if rule.name:
                self.named_handlers[rule.name] = rule
            if isinstance(rule.target, (list, tuple)):
                rule.target = _RuleList(self._to_rules(rule.target))
                continue
            check_handler(rule)
            rule._answer = _answer_of(rule)
            if not _is_handler(rule.target) or rule.target is FallbackHandler \
                    or getattr(rule.target, "_streams_body", False):
                self._streams = True
        return rules

    def add_transform(self, transform_class):
        """Pass every response through one more OutputTransform."""
        self.transforms.append(transform_class)

    def reverse_url(self, name, *args):
        """The path of a named URL, of this application or of an application or router that a rule
        leads to. Raises KeyError if there is no such name."""
        if name in self.named_handlers:
            return self.named_handlers[name].reverse(*args)
        url = reverse_inside([rule.target for _, rules in self.handlers
                              for rule in _flatten(rules)], name, args)
        if url is None:
            raise KeyError("no URL is named %s" % name)
        return url

    def on_listen(self, io_loop):
        """Called by a server when it starts listening for this application."""
        if self.settings.get("autoreload"):
            # What is read at each request needs no restart.
            for path, setting in (("template_path", "compiled_template_cache"),
                                  ("static_path", "static_hash_cache")):
                if self.settings.get(path) and self.settings.get(setting, True):
                    for name in _files_below(self.settings[path]):
                        autoreload.watch(name)
            autoreload.start(io_loop)
        if self.settings.get("debug"):
            self._watch = watch_loop(io_loop)

    # Requests

    def __call__(self, request):
        """Answer a request whose body has been read; returns the handler."""
        handler_class, arguments, args, kwargs = (
            self._targets.get(request.path) or self._find_target(request))
        try:
            handler = handler_class(self, request, **arguments) if arguments \
                else handler_class(self, request)
        except Exception:
            return self._answer_failed_handler(request)
        transforms = self.transforms and [transform(request) for transform in self.transforms]
        if self._watch is None:
            handler._execute(transforms, args, kwargs)
        else:
            self._watch.execute(handler, transforms, args, kwargs)
        return handler

    def _answer_failed_handler(self, request):
        """Answer the exception that the constructor of a handler has raised, which is being
        handled."""
        handler = RequestHandler(self, request)
        handler._handle_exception(*sys.exc_info())
        return handler

    def start_body(self, request):
        """The receiver of a streamed body for `request`, or None if the body is to be read
        whole."""
        return self._start_target(self._find_target(request), request) if self._streams else None

    def _start_target(self, target, request):
        handler_class, arguments, args, kwargs = target
        if handler_class is FallbackHandler:
            start = getattr(arguments.get("fallback"), "start_body", None)
            return start(request) if start is not None else None
        if handler_class is _Elsewhere:
            start = getattr(arguments["target"], "start_body", None)
            if start is not None:
                return start(request)
            if isinstance(arguments["target"], HTTPServerConnectionDelegate):
                return start_delegate(arguments["target"], request)
        if not getattr(handler_class, "_streams_body", False):
            return None
        handler = handler_class(self, request, **arguments)
        handler._begin_stream([transform(request) for transform in self.transforms], args, kwargs)
        return _StreamedBody(handler)

    def find_handler(self, request, **kwargs):
        """The HTTPMessageDelegate that answers a request for a router."""
        return _Message(self, request, self._find_target(request))

    def get_handler_delegate(self, request, target_class, target_kwargs=None, path_args=None,
                             path_kwargs=None):
        """The HTTPMessageDelegate that answers a request with a given handler class, for routers
        that choose the class themselves. `path_args` and `path_kwargs` (bytes) are passed to the
        handler's methods, `target_kwargs` to its `initialize`."""
        return _Message(self, request,
                        (target_class, target_kwargs or {}, path_args, path_kwargs))

    def _find_target(self, request):
        """(handler class, its keyword arguments, args and kwargs of its methods)."""
        if self._table is not None:
            path = request.path
            for spec in self._table.find(path):
                found = spec.match(path)
                if found is not None:
                    target = spec._answer + found
                    if len(path) <= _MAX_TARGET_PATH and comes_again(
                            self._seen, _MAX_TARGETS, path):
                        remember(self._targets, _MAX_TARGETS, path, target)
                    return target
            # Old programs add specs to the lists in `handlers`.
        specs = self._find_specs(request)
        target = _search(specs or (), request)
        if target is not None:
            return target
        if specs is None and self.default_host:
            return RedirectHandler, {
                "url": request.protocol + "://" + self.default_host + "/"}, None, None
        handler_class = self.settings.get("default_handler_class")
        if handler_class is not None:
            return handler_class, self.settings.get("default_handler_args", {}), None, None
        return ErrorHandler, {"status_code": 404}, None, None

    def _find_specs(self, request):
        """The specifications for the host of a request; None if the host is unknown."""
        handlers = self.handlers
        host = request.host_name
        specs = [spec for pattern, specs in handlers if pattern.match(host) for spec in specs]
        if not specs and self.default_host and not is_from_proxy(request):
            specs = [spec for pattern, specs in handlers if pattern.match(self.default_host)
                     for spec in specs]
        return specs or None

    def log_request(self, handler):
        """Write one line to the access log, or call the setting log_function(handler)."""
        if "log_function" in self.settings:
            self.settings["log_function"](handler)
            return
        status = handler._status_code
        level = 20 if status < 400 else 30 if status < 500 else 40  # INFO, WARNING, ERROR
        # Format nothing for a level that is not logged.
        if access_log.isEnabledFor(level):
            milliseconds = 1000.0 * handler.request.request_time()
            access_log.log(level, "%d %s %.2fms", status, handler._request_summary(), milliseconds,
                           extra={"fields": _access_fields(handler, status, milliseconds)})

    def get_template_loader(self, path, handler):
        """The template loader for a folder, created by `handler` when first needed."""
        # Those that are made of nothing but the folder are found where old programs empty them.
        loaders = handler._template_loaders if _LOADER_SETTINGS.isdisjoint(self.settings) \
            and type(handler).create_template_loader == RequestHandler.create_template_loader \
            else self._template_loaders
        loader = loaders.get(path)
        if loader is None or self.settings.get("compiled_template_cache") is False:
            loader = loaders[path] = handler.create_template_loader(path)
        return loader


_LOADER_SETTINGS = frozenset(["template_loader", "autoescape", "template_whitespace"])


def _files_below(folder):
    """The paths of up to 2,000 files of a folder and those in it, hidden ones excepted."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found.extend(os.path.join(place, name) for name in names if not name.startswith("."))
        if len(found) > 2000:
            break
    return found[:2000]


def _access_fields(handler, status, milliseconds):
    """The fields of a request for structured logs."""
    request = handler.request
    length = handler._headers.get("Content-Length", "")
    return {"status": status, "method": request.method, "uri": request.uri,
            "remote_ip": request.remote_ip, "user_agent": request.headers.get("User-Agent"),
            "bytes": int(length) if length.isdigit() else None,
            "milliseconds": round(milliseconds, 2)}


def _is_handler(target):
    return isinstance(target, type) and issubclass(target, RequestHandler)


def _answer_of(rule):
    """The class that answers for a rule, and its keyword arguments."""
    if _is_handler(rule.target):
        return rule.target, rule.target_kwargs
    return _Elsewhere, {"target": rule.target}


def _search(rules, request):
    """The target of the first rule that matches a request, or None."""
    for rule in rules:
        found = rule.matcher.match(request)
        if found is None:
            continue
        if not isinstance(rule.target, _RuleList):
            return _answer_of(rule) + (found.get("path_args"), found.get("path_kwargs"))
        target = _search(rule.target, request)
        if target is not None:
            return target
    return None


class _RuleList(list):
    """The rules that are the target of another rule."""


def _flatten(rules):
    for rule in rules:
        if isinstance(rule.target, _RuleList):
            for one in _flatten(rule.target):
                yield one
        else:
            yield rule


class _Elsewhere(object):
    """Takes the place of a handler if a rule leads to an application, a router or a function."""
    def __init__(self, application, request, target):
        self._target = target
        self._request = request

    def _execute(self, transforms, args, kwargs):
        if isinstance(self._target, HTTPServerConnectionDelegate):
            serve_delegate(self._target, self._request)
        else:
            self._target(self._request)


class _Message(HTTPMessageDelegate):
    """A request that a router passes to a target of an application."""
    def __init__(self, application, request, target):
        self._application = application
        self._request = request
        self._target = target
        self._receiver = None
        self._pieces = []

    def headers_received(self, start_line, headers):
        self._receiver = self._application._start_target(self._target, self._request)

    def data_received(self, chunk):
        if self._receiver is not None:
            self._receiver.data_received(chunk)
        else:
            self._pieces.append(chunk)

    def finish(self):
        # From here on the handler sets its own callback.
        self._request.connection.set_close_callback(None)
        if self._receiver is not None:
            self._receiver.finish()
            return
        self._request.body = b"".join(self._pieces)
        application = self._application
        handler_class, arguments, args, kwargs = self._target
        handler_class(application, self._request, **arguments)._execute(
            [transform(self._request) for transform in application.transforms], args, kwargs)

    def on_connection_close(self):
        if self._receiver is not None:
            self._receiver.on_connection_close()


class _StreamedBody(object):
    """Passes the pieces of a body to a `stream_request_body` handler."""
    __slots__ = ("data_received", "finish", "on_connection_close")

    def __init__(self, handler):
        self.data_received = handler._receive
        self.finish = handler._end_stream
        self.on_connection_close = handler._lose_stream


class _LinkifyModule(UIModule):
    def render(self, text, **kwargs):
        return linkify(text, **kwargs)


def _is_ui_module(name, value):
    return isinstance(value, type) and issubclass(value, UIModule) and value is not UIModule


def _is_ui_method(name, value):
    return isinstance(value, types.FunctionType) and not name.startswith("_") \
        and name[0].lower() == name[0]


def _collect(table, source, wanted):
    """Add the wanted objects of a setting, by name: it is a dict, a module, or a list of these."""
    if isinstance(source, types.ModuleType):
        for name in dir(source):
            if wanted(name, getattr(source, name)):
                table[name] = getattr(source, name)
    elif isinstance(source, dict):
        for name, value in source.items():
            table[name] = import_object(value) if isinstance(value, six.string_types) else value
    else:
        for one in source:
            _collect(table, one, wanted)
