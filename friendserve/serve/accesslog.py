"""The access log of a service: a line for each request, in a format that the operator chooses.

The formats are "short" and "combined" (Apache's, which most tools read), "json" (one object per
line), or a text with names in braces:

    {time}            2009-09-10T12:00:00.123+02:00
    {clf_time}        10/Sep/2009:12:00:00 +0200
    {status}          200
    {method} {uri} {path} {query} {protocol} {host}
                      of the request; {protocol} is HTTP/1.1
    {remote_ip}       the client's address
    {bytes}           the size of the response's body, if it was known when it began
    {milliseconds}    the time that the response took
    {referer} {user_agent}
    {request_id}      see `request_id`
    {pid}             the worker
    {header.NAME} {response.NAME}
                      a header of the request, or of the response

What is missing is "-". Quotes, backslashes and control characters are escaped, so that a client
cannot end a field or a line. A line is one write to a file that is open for appending, so that the
lines of several workers do not mix.
"""
from __future__ import absolute_import, division, print_function

import binascii
import calendar
import difflib
import json
import logging
import os
import re
import time

import six

from friendserve.httputil import HTTPHeaders
from friendserve.log import JSONFormatter, access_log, app_log, escape_controls
from friendserve.platform.pollers.auto import set_close_exec
from friendserve.web import Application
from friendserve.wsgi import WSGIContainer

_TEMPLATES = {
    "short": "{time} {status} {method} {uri} ({remote_ip}) {milliseconds}ms",
    "combined": '{remote_ip} - - [{clf_time}] "{method} {uri} {protocol}" {status} {bytes} '
                '"{referer}" "{user_agent}"',
}

#: The fields of "json".
_JSON_FIELDS = ("time", "status", "method", "uri", "protocol", "host", "remote_ip", "bytes",
                "milliseconds", "referer", "user_agent", "request_id", "pid")

_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()

#: Identifiers that other programs may have made: UUIDs, ULIDs, numbers, traces.
_is_request_id = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}\Z").match


class FormatError(ValueError):
    """A format of the access log is wrong; the text says how."""


def request_id(request):
    """The identifier of a request in logs: its X-Request-ID if that is well-formed (up to 128
    letters, digits and ``._:/+=@-``), else a random one; every call returns the same."""
    found = request.__dict__.get("_request_id")
    if found is None:
        found = request.headers.get("X-Request-Id", "")
        if not _is_request_id(found):
            found = binascii.hexlify(os.urandom(16)).decode("ascii")
        request.__dict__["_request_id"] = found
    return found


class _Entry(object):
    """A request that was answered; its fields are methods."""
    def __init__(self, request, status, headers):
        self.request = request
        self._status = status
        self._headers = headers
        self._now = time.time()

    def time(self):
        return "%s.%03d%s" % (time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(self._now)),
                              self._now % 1 * 1000, _zone(self._now, ":"))

    def clf_time(self):
        now = time.localtime(self._now)
        # Not by strftime, whose months depend on the locale.
        return "%02d/%s/%04d:%02d:%02d:%02d %s" % (
            now.tm_mday, _MONTHS[now.tm_mon - 1], now.tm_year, now.tm_hour, now.tm_min, now.tm_sec,
            _zone(self._now, ""))

    def status(self):
        return self._status

    def method(self):
        return self.request.method

    def uri(self):
        return self.request.uri

    def path(self):
        return self.request.path

    def query(self):
        return self.request.query or None

    def protocol(self):
        return self.request.version

    def host(self):
        return self.request.headers.get("Host")

    def remote_ip(self):
        return self.request.remote_ip

    def bytes(self):
        length = self._headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None

    def milliseconds(self):
        return round(1000.0 * self.request.request_time(), 2)

    def referer(self):
        return self.request.headers.get("Referer")

    def user_agent(self):
        return self.request.headers.get("User-Agent")

    def request_id(self):
        return request_id(self.request)

    def pid(self):
        return os.getpid()

    def header(self, name):
        return self.request.headers.get(name)

    def response(self, name):
        return self._headers.get(name)


_FIELDS = frozenset(name for name in vars(_Entry) if not name.startswith("_")) \
    - frozenset(("header", "response"))


def _zone(now, colon):
    """The offset from UTC, such as "+0200"."""
    minutes = int(round((calendar.timegm(time.localtime(now)) - now) / 60))
    return "%s%02d%s%02d" % ("-" if minutes < 0 else "+", abs(minutes) // 60, colon,
                             abs(minutes) % 60)


def make_formatter(form):
    """A function from an entry to its line, for one of the formats. Raises FormatError."""
    if form == "json":
        return _to_json
    template = _TEMPLATES.get(form, form)
    parts = re.split(r"\{([^{}]*)\}", template)
    if len(parts) == 1:
        raise FormatError("the format of the access log must be short, combined, json, or a text "
                          "with fields such as {status}, not %r" % (form,))
    getters = [_getter(name) for name in parts[1::2]]
    # Fields are filled in by position.
    pattern = "".join(text.replace("%", "%%") + ("%s" if number < len(getters) else "")
                      for number, text in enumerate(parts[::2]))
    return lambda entry: pattern % tuple(_shown(get(entry)) for get in getters)


def _getter(name):
    kind, dot, header = name.partition(".")
    if dot and header and kind in ("header", "response"):
        return lambda entry: getattr(entry, kind)(header)
    if name not in _FIELDS:
        close = difflib.get_close_matches(name, sorted(_FIELDS), 1)
        raise FormatError("the access log has no field {%s}%s" % (
            name, "; did you mean {%s}?" % close[0] if close else
            "; it has %s, {header.NAME} and {response.NAME}" % ", ".join(sorted(_FIELDS))))
    return lambda entry: getattr(entry, name)()


def _shown(value):
    if value is None or value == "":
        return "-"
    if not isinstance(value, six.string_types):
        return str(value)
    return escape_controls(value.replace("\\", "\\\\").replace('"', '\\"'))


def _to_json(entry):
    fields = {}
    for name in _JSON_FIELDS:
        value = getattr(entry, name)()
        fields[name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return json.dumps(fields, sort_keys=True)


class _Others(logging.Handler):
    """Writes the lines of applications inside the one that is served."""
    def __init__(self, log, is_json):
        logging.Handler.__init__(self)
        self._log = log
        if is_json:
            self.setFormatter(JSONFormatter())

    def emit(self, record):
        self._log.write_line(self.format(record))


class AccessLog(object):
    """The access log of a process, at `path`: a file, "-" for standard output, or "none".

    `attach` has an application use it; other lines of the framework's access logger go there as
    well. `owner` is the (uid, gid) of workers that become another user, so that they can reopen the
    file. It may be made before a fork. Raises FormatError, or EnvironmentError if the file cannot
    be opened.
    """
    def __init__(self, path, form, owner=None):
        self._format = make_formatter(form)
        self.path = path
        self._owner = owner
        self._failed = False    # whether the last line was lost
        self._fd = None
        if path == "-":
            self._fd = 1
        elif path != "none":
            self._fd = open_log(path, owner)

    def attach(self, application):
        """Log the requests of `application`, unless it has its own `log_function`."""
        if self._fd is None:
            access_log.setLevel(logging.CRITICAL + 1)
            return
        for handler in list(access_log.handlers):
            if isinstance(handler, _Others):
                access_log.removeHandler(handler)
        access_log.addHandler(_Others(self, self._format is _to_json))
        access_log.propagate = False
        access_log.setLevel(logging.INFO)
        if isinstance(application, Application):
            application.settings.setdefault("log_function", self._log_handler)
        elif isinstance(application, WSGIContainer):
            application.log_request = self._log_wsgi

    def _log_handler(self, handler):
        self.write(handler.request, handler.get_status(), handler._headers)

    def _log_wsgi(self, status, request):
        self.write(request, status, HTTPHeaders())

    def write(self, request, status, headers):
        """Log one request; `headers` are those of the response."""
        self.write_line(self._format(_Entry(request, status, headers)))

    def write_line(self, line):
        """Append one line."""
        if not isinstance(line, bytes):
            line = line.encode("utf-8", "backslashreplace")
        try:
            os.write(self._fd, line + b"\n")
        except EnvironmentError as error:
            # A full disk, or a reader that has gone away, must not make requests fail.
            if not self._failed:
                self._failed = True
                app_log.error("The access log cannot be written, and lines are lost: %s", error)
        else:
            self._failed = False

    def reopen(self):
        """Open the file again, after it was renamed. If that fails, the old one stays in use."""
        if self._fd is None or self.path == "-":
            return
        try:
            fd = open_log(self.path, self._owner)
        except EnvironmentError as error:
            app_log.error("The access log cannot be reopened: %s", error)
            return
        os.close(self._fd)
        self._fd = fd

    def close(self):
        """Close the file."""
        if self._fd is not None and self.path != "-":
            os.close(self._fd)
            self._fd = None


def open_log(path, owner=None):
    """A descriptor for appending to a file; root makes `owner`, a pair (uid, gid), its owner."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    set_close_exec(fd)
    if owner is not None and os.getuid() == 0:
        os.fchown(fd, *owner)
    return fd
