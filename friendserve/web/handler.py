"""RequestHandler, the class that applications subclass.

    class Hello(RequestHandler):
        def get(self):
            self.write("Hello, world")

    class Slow(RequestHandler):
        @asynchronous
        def get(self):
            IOLoop.current().call_later(1, self.on_time)

        def on_time(self):
            self.finish("one second later")

A handler serves one request. `initialize`, `prepare` and the method named after the HTTP method
are called in this order; unless that method is `asynchronous`, the response is finished when it
returns. An exception in any of these, or in a callback started by an asynchronous method, is
answered with an error page; further ones are only logged.
"""
from __future__ import absolute_import, division, print_function

import datetime
import re
import sys
import time

import six
from six.moves.urllib.parse import quote

from friendserve import version
from friendserve.awaitable import DONE, Pending, as_future, failed, is_awaitable
from friendserve.escape import json_encode, native_str, to_unicode, utf8
from friendserve.httputil import format_timestamp, http_date
from friendserve.iostream import StreamClosedError
from friendserve.log import app_log, escape_controls, gen_log
from friendserve.protocol.cookies import (
    create_signed_value, decode_signed_value, format_set_cookie, get_signature_key_version)
from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.headers import HTTPHeaders, check_field
from friendserve.protocol.http1 import REASONS
from friendserve.protocol.urls import ASCII
from friendserve.web.errorpage import error_body, short_page, traceback_body
from friendserve.web.errors import Finish, HTTPError, MissingArgumentError
from friendserve.web.etags import Tagged
from friendserve.web.jsonbody import parse_json
from friendserve.web.mistakes import returned
from friendserve.web.page import Page
from friendserve.web.xsrf import XsrfProtected

_SERVER = "friendserve/" + version
_HTML = "text/html; charset=UTF-8"
_REQUIRED = object()
_new_headers = HTTPHeaders.__new__

#: A reason-phrase (RFC 9112 4), without the obs-text octets, whose encoding is undefined.
_is_reason = re.compile(r"[\x20-\x7e]*\Z").match

#: Safe methods (RFC 9110 9.2.1) change nothing, so they need no XSRF token.
_SAFE_METHODS = frozenset(["GET", "HEAD", "OPTIONS"])

#: Methods whose responses get an ETag.
_TAGGED_METHODS = frozenset(["GET", "HEAD"])

#: Headers that a 304 leaves out, because they describe the missing body (RFC 9110 15.4.5).
_BODY_HEADERS = ("Allow", "Content-Encoding", "Content-Language", "Content-Length",
                 "Content-Md5", "Content-Range", "Content-Type", "Last-Modified")


class RequestHandler(Page, Tagged, XsrfProtected):
    """Answers one request; see the module.

    `request` is the HTTPServerRequest and `application` the Application. No method may be called
    from another thread; use `IOLoop.add_callback` to get back to the loop's thread.
    """
    #: The HTTP methods that may be implemented; all others are refused with 405.
    SUPPORTED_METHODS = ("GET", "HEAD", "POST", "DELETE", "PATCH", "PUT", "OPTIONS")

    # Few requests change these, so their initial values are on the class.
    _finished = False
    _headers_written = False
    _auto_finish = True
    _transforms = ()
    _new_cookies = None
    _streams_body = False
    _conditions_checked = False     # whether the method itself has decided against a 304
    path_args = ()
    path_kwargs = {}

    def __init__(self, application, request, **kwargs):
        self.application = application
        self.request = request
        self.clear()
        if kwargs:
            self.initialize(**kwargs)
        else:
            self.initialize()

    # To be overridden

    def initialize(self):
        """Called first, with the keyword arguments from the URL's specification."""

    def prepare(self):
        """Called before the method, whichever it is. If it finishes the response, the method is
        not called."""

    def on_finish(self):
        """Called after the response, when nothing more can be written."""

    def on_connection_close(self):
        """Called once when the client disconnects while an asynchronous response is pending.

        Override it to stop work. A client that only shuts down its sending side looks the same and
        counts as disconnected; if this is not overridden, the response is still sent.
        """

    def on_drain(self):
        """Called once when the server drains or is stopped while an asynchronous response is
        pending. Override it to finish a long poll; other responses are waited for."""
        self.on_server_stop()

    def on_server_stop(self):
        """The older name of `on_drain`, which calls it."""

    def data_received(self, chunk):
        """Called with each piece of the body as it arrives, in a `stream_request_body` class.

        Call `pause_reading` if the pieces arrive faster than they can be processed, and
        `resume_reading` later.
        """
        raise NotImplementedError("a stream_request_body class must define data_received()")

    def set_default_headers(self):
        """Called before anything else, and again before an error page. Override it to set headers
        for every response."""

    def get_current_user(self):
        """The user who is signed in, for example from a cookie, or None. To be overridden."""

    def log_exception(self, typ, value, tb):
        """Called with each exception that is answered, or was raised after the response."""
        if isinstance(value, HTTPError):
            if value.log_message:
                gen_log.warning("%d %s: %s", value.status_code, self._request_summary(), value)
        elif isinstance(value, HTTPInputError):
            gen_log.info("%d %s: %s", value.status, self._request_summary(), value)
        else:
            app_log.error("Uncaught exception %s\n%r", self._request_summary(), self.request,
                          exc_info=(typ, value, tb))

    def _request_summary(self):
        request = self.request
        return escape_controls("%s %s (%s)" % (request.method, request.uri, request.remote_ip))

    def _unsupported(self, *args, **kwargs):
        raise HTTPError(405)

    head = get = post = delete = patch = put = options = _unsupported

    def _allowed_methods(self):
        return [method for method in self.SUPPORTED_METHODS
                if getattr(type(self), method.lower(), None) not in (
                    None, RequestHandler._unsupported)]

    # The request

    @property
    def settings(self):
        """The settings of the application."""
        return self.application.settings

    def get_argument(self, name, default=_REQUIRED, strip=True):
        """The last value of a query or body argument, as text; `strip` removes whitespace at both
        ends. The body of a GET, HEAD or DELETE does not count here, only for `get_body_argument`.

        If the argument is missing and no default is given, the request is answered with 400.
        """
        values = self.get_arguments(name, strip)
        return values[-1] if values else self._absent(name, default)

    def get_query_argument(self, name, default=_REQUIRED, strip=True):
        """As `get_argument`, from the query alone."""
        values = self.get_query_arguments(name, strip)
        return values[-1] if values else self._absent(name, default)

    def get_body_argument(self, name, default=_REQUIRED, strip=True):
        """As `get_argument`, from the body alone."""
        values = self.get_body_arguments(name, strip)
        return values[-1] if values else self._absent(name, default)

    def get_arguments(self, name, strip=True):
        """All values of a query or body argument, as text."""
        return self._decode(self.request.arguments, name, strip)

    def get_query_arguments(self, name, strip=True):
        """All values of a query argument, as text."""
        return self._decode(self.request.query_arguments, name, strip)

    def get_body_arguments(self, name, strip=True):
        """All values of a body argument, as text."""
        return self._decode(self.request.body_arguments, name, strip)

    def get_json(self):
        """The body as JSON. If it is not JSON, the request is answered with 400, or 415 if its
        Content-Type names another format, and a text that says what is wrong."""
        return parse_json(self.request)

    def _absent(self, name, default):
        if default is _REQUIRED:
            raise self._missing(name)
        return default

    def _missing(self, name):
        error = MissingArgumentError(name)
        if "json" in self.request.headers.get("Content-Type", ""):
            error.log_message += "; the body is JSON, which self.get_json() reads"
        return error

    def _decode(self, arguments, name, strip):
        values = []
        for value in arguments.get(name if type(name) is str else native_str(name), ()):
            value = self.decode_argument(value, name)
            if isinstance(value, six.text_type) and _find_control(value):
                # Users cannot type control characters, and they could end up in logs and headers.
                value = value.translate(_CONTROL_TO_SPACE)
            values.append(value.strip() if strip else value)
        return values

    def decode_argument(self, value, name=None):
        """The bytes of an argument as text. `name` is None for a part of the path.

        Raises HTTPError 400 if the bytes are not valid UTF-8. Override it for other encodings; it
        may return bytes, for data that is not text, and these reach the handler unchanged.
        """
        try:
            return to_unicode(value)
        except UnicodeDecodeError:
            raise HTTPError(400, "Invalid unicode in %s: it must be UTF-8, not %r"
                            % (name or "the path", value[:40]))

    @property
    def current_user(self):
        """The user, as returned by `get_current_user` on first access; it can be set."""
        if "_current_user" not in self.__dict__:
            self.current_user = self.get_current_user()
        return self._current_user

    @current_user.setter
    def current_user(self, user):
        self._current_user = user

    def get_login_url(self):
        """The URL to which `authenticated` redirects: the setting login_url. May be overridden."""
        self.require_setting("login_url", "@friendserve.web.authenticated")
        return self.settings["login_url"]

    def require_setting(self, name, feature="this feature"):
        """Raise RuntimeError if a setting is missing."""
        if not self.settings.get(name):
            raise RuntimeError("You must define the %r setting in your application to use %s"
                               % (name, feature))

    def reverse_url(self, name, *args):
        """The path of a named URL."""
        return self.application.reverse_url(name, *args)

    def pause_reading(self):
        """Stop reading the body until `resume_reading`; for stream_request_body classes."""
        # After the response, the connection is reading the next request.
        if not self._finished:
            self.request.connection.pause_reading()

    def resume_reading(self):
        """Continue reading the body."""
        if not self._finished:
            self.request.connection.resume_reading()

    def detach(self, stop_callback=None):
        """Detach the stream from the connection and return it, with its unread bytes. This handler
        then sends no response.

        With `stop_callback`, a server that drains or stops calls it, and waits for
        ``self.request.connection.release()``.
        """
        self._finished = True
        return self.request.connection.detach(stop_callback)

    # Status and headers of the response

    def clear(self):
        """Discard the status, the headers and the body set so far."""
        # As `HTTPHeaders.from_values`, without the call, since every response starts here.
        headers = self._headers = _new_headers(HTTPHeaders)
        headers._values = {"Server": _SERVER, "Content-Type": _HTML, "Date": http_date()}
        self._write_buffer = []
        self._status_code = 200
        self._reason = "OK"
        self.set_default_headers()

    def set_status(self, status_code, reason=None):
        """Set the status. A reason phrase that is not printable ASCII becomes "Unknown"."""
        if not isinstance(status_code, six.integer_types):
            raise TypeError("a status must be an integer, such as 404, not %r" % (status_code,))
        self._status_code = status_code
        if reason is None:
            reason = REASONS.get(status_code, "Unknown")
        else:
            reason = native_str(reason)
            if not _is_reason(reason):
                reason = "Unknown"
        self._reason = reason

    def get_status(self):
        """The status of the response."""
        return self._status_code

    def set_header(self, name, value):
        """Set a header to a string, an integer, or a datetime (UTC).

        Raises ValueError if the value cannot be sent as one line. Once the headers have been sent,
        this has no effect and logs a warning; with the setting debug it raises RuntimeError.
        """
        self._headers[name] = self._header_value(name, value)

    def add_header(self, name, value):
        """Add a header without replacing those of the same name."""
        self._headers.add(name, self._header_value(name, value))

    def clear_header(self, name):
        """Remove a header."""
        if name in self._headers:
            del self._headers[name]

    def _header_value(self, name, value):
        if self._headers_written:
            self._set_too_late(name)
        if isinstance(value, datetime.datetime):
            value = format_timestamp(value)
        return check_field(name, value)

    def _set_too_late(self, name):
        # Only an error while developing: to cut off a page that is otherwise good helps no user.
        message = "cannot set %s: the headers have already been sent" % native_str(name)
        if self.settings.get("debug"):
            raise RuntimeError(message)
        gen_log.warning("%s: %s", self._request_summary(), message)

    # Cookies

    @property
    def cookies(self):
        """The cookies of the request by name; each has a `value`."""
        return self.request.cookies

    def get_cookie(self, name, default=None):
        """The value of a cookie of the request."""
        morsel = self.request.cookies.get(name)
        return default if morsel is None else morsel.value

    def set_cookie(self, name, value, domain=None, expires=None, path="/", expires_days=None,
                   **kwargs):
        """Set a cookie.

        `expires` is a datetime, a time tuple or a timestamp; `expires_days` counts from now.
        `kwargs` are further attributes: max_age, secure, httponly, samesite. Raises ValueError if
        a name or value is not allowed in a cookie. When it is too late: as for `set_header`.
        """
        if self._headers_written:
            self._set_too_late("cookie " + native_str(name))
        name = name if type(name) is str else native_str(name)
        if expires_days is not None and not expires:
            expires = int(time.time()) + expires_days * 86400
        cookie = format_set_cookie(name, native_str(value), domain, expires, path, **kwargs)
        if self._new_cookies is None:
            self._new_cookies = {}
        self._new_cookies[name] = cookie

    def clear_cookie(self, name, path="/", domain=None, **kwargs):
        """Tell the client to delete a cookie; the path, domain and other attributes must be the
        same as when it was set."""
        kwargs.pop("max_age", None)
        self.set_cookie(name, "", path=path, domain=domain,
                        expires=datetime.datetime(1970, 1, 1), **kwargs)

    def clear_all_cookies(self, path="/", domain=None, **kwargs):
        """`clear_cookie` for every cookie of the request."""
        for name in self.request.cookies:
            self.clear_cookie(name, path=path, domain=domain, **kwargs)

    def set_secure_cookie(self, name, value, expires_days=30, version=None, **kwargs):
        """Set a cookie that clients can read but not forge: it is signed with the setting
        cookie_secret, not encrypted. Read it with `get_secure_cookie`."""
        self.set_cookie(name, self.create_signed_value(name, value, version=version),
                        expires_days=expires_days, **kwargs)

    def create_signed_value(self, name, value, version=None):
        """A signed string with a timestamp, as used by `set_secure_cookie`."""
        self.require_setting("cookie_secret", "secure cookies")
        secret = self.settings["cookie_secret"]
        return create_signed_value(
            secret, name, value, version=version,
            key_version=self.settings.get("key_version") if isinstance(secret, dict) else None)

    def get_secure_cookie(self, name, value=None, max_age_days=31, min_version=None,
                          include_name=True):
        """The bytes of a signed cookie, or None if it is missing, forged or too old. `include_name`
        is for old programs: without the name in it, one cookie could be passed off as another."""
        if not include_name:
            raise ValueError("include_name=False: cookies signed without their name are refused")
        self.require_setting("cookie_secret", "secure cookies")
        if value is None:
            value = self.get_cookie(name)
        content = decode_signed_value(self.settings["cookie_secret"], name, value,
                                      max_age_days=max_age_days, min_version=min_version)
        if value and content is None:
            # Log no value: it may be valid under another name, and many people read logs.
            gen_log.warning("Refused the signed cookie %r: it is forged, damaged or too old", name)
        return content

    def get_secure_cookie_key_version(self, name, value=None):
        """The version of the key with which a cookie was signed, or None."""
        self.require_setting("cookie_secret", "secure cookies")
        if value is None:
            value = self.get_cookie(name)
        return None if value is None else get_signature_key_version(value)

    # Writing

    def write(self, chunk):
        """Add to the body: bytes, text (sent as UTF-8), or a dict (sent as JSON).

        Raises TypeError for a list: old browsers let other sites read JSON that is a list.
        """
        if self._finished:
            raise RuntimeError("write() after finish(): is this handler @asynchronous?")
        if type(chunk) is six.text_type:
            chunk = chunk.encode("utf-8")
        elif type(chunk) is not bytes:
            if isinstance(chunk, dict):
                chunk = json_encode(chunk)
                if not self._headers_written:
                    self.set_header("Content-Type", "application/json; charset=UTF-8")
            elif not isinstance(chunk, (bytes, six.text_type)):
                raise TypeError("write() takes bytes, text or a dict, not %s%s" % (
                    type(chunk).__name__, "; for security, wrap a list in a dict"
                    if isinstance(chunk, list) else ""))
            if not isinstance(chunk, bytes):
                chunk = chunk.encode("utf-8")
        self._write_buffer.append(chunk)

    def flush(self, include_footers=False, callback=None):
        """Send everything written so far. `callback()` is called when all of it has been written to
        the socket, and never if the client disconnects first.

        The first flush also sends the headers, so none can be set after it. Returns an awaitable
        for the same moment; it fails with a StreamClosedError if the client has disconnected.
        """
        if self._finished:
            raise RuntimeError("flush() after finish(): is this handler @asynchronous?")
        chunk = b"".join(self._write_buffer)
        self._write_buffer = []
        connection = self.request.connection
        try:
            if not self._headers_written:
                chunk = self._transform_first(chunk, include_footers)
                sent = connection.write_headers(
                    _StartLine(self._status_code, self._reason), self._complete_headers(),
                    chunk, callback)
            else:
                for transform in self._transforms:
                    chunk = transform.transform_chunk(chunk, include_footers)
                sent = DONE
                if chunk or callback is not None:
                    sent = connection.write(chunk, callback)
        except StreamClosedError as error:
            # The client has disconnected; `on_connection_close` tells the handler.
            sent = failed(error)
        self._headers_written = True
        return sent

    def finish(self, chunk=None):
        """Send everything written so far and end the response. Nothing can be written after it.
        Returns an awaitable, as `flush` does."""
        if self._finished:
            raise RuntimeError("finish() called twice: does a callback finish a method that is not "
                               "@asynchronous?")
        if chunk is not None:
            self.write(chunk)
        if not self._headers_written:
            sent = self._finish_whole()
        else:
            self.flush(include_footers=True)
            sent = self.request.connection.finish()
        self._finished = True
        if self._ui is not None:
            self._release_ui()
        try:
            self._log()
        finally:
            self.on_finish()
        return sent

    def _log(self):
        self.application.log_request(self)

    def _finish_whole(self):
        """Send the headers and the whole body at once, as most responses are sent."""
        request = self.request
        headers = self._headers
        if self._status_code == 200 and request.method in _TAGGED_METHODS:
            self.set_etag_header()
            if "If-None-Match" in request.headers._values and not self._conditions_checked \
                    and self.check_etag_header():
                self.set_status(304)
        buffer = self._write_buffer
        body = buffer[0] if len(buffer) == 1 else b"".join(buffer)
        only_announced = False
        if self._transforms:
            # Also for 304 and HEAD, and before anything is removed: their headers are those of the
            # 200 (RFC 9110 15.4.5 and 9.3.2), which only the transforms can tell.
            only_announced = not body and request.method == "HEAD" \
                and "Content-Length" in headers._values
            body = self._transform_first(body, True)
            headers = self._headers
        if self._status_code == 304:
            body = b""
            self._clear_headers_for_304()
        if self._new_cookies is not None:
            self._complete_headers()
        self._write_buffer = []
        try:
            if only_announced and "Content-Length" not in headers._values:
                # A transform changes the length to one that is not known; `respond` would
                # announce a body of 0 bytes.
                request.connection.write_headers(
                    _StartLine(self._status_code, self._reason), headers)
                sent = request.connection.finish()
            else:
                sent = request.connection.respond(self._status_code, self._reason, headers, body)
        except StreamClosedError as error:
            # The client has disconnected: there is nothing left to do.
            sent = failed(error)
        # Only now: if the response could not be sent, an error page can still replace it.
        self._headers_written = True
        return sent

    def _clear_headers_for_304(self):
        for name in _BODY_HEADERS:
            self.clear_header(name)

    def _transform_first(self, chunk, finishing):
        for transform in self._transforms:
            self._status_code, self._headers, chunk = transform.transform_first_chunk(
                self._status_code, self._headers, chunk, finishing)
        return chunk

    def _complete_headers(self):
        if self._new_cookies is not None:
            for cookie in self._new_cookies.values():
                self._headers.add("Set-Cookie", cookie)
            self._new_cookies = None
        return self._headers

    def redirect(self, url, permanent=False, status=None):
        """Redirect to `url`, absolute or relative, with the status 302, 301 (`permanent`) or
        `status`, and finish the response."""
        if self._headers_written:
            raise RuntimeError("cannot redirect: the headers have already been sent")
        if status is None:
            status = 301 if permanent else 302
        elif not 300 <= status <= 399:
            raise ValueError("the status of a redirect must be 300 to 399, not %r" % (status,))
        if not isinstance(url, (six.text_type, bytes)):
            raise TypeError("redirect() takes a URL, not %r" % (url,))
        url = utf8(url)
        if b"\t" in url:
            # Browsers remove tabs, which would turn "/\t/host" into the name of another host.
            raise ValueError("the URL of a redirect contains a tab: %r" % (url,))
        self.set_status(status)
        # Quote the UTF-8 bytes of other characters; leave ASCII as it is.
        self.set_header("Location", quote(url, safe=ASCII))
        self.finish()

    # Errors

    def send_error(self, status_code=500, **kwargs):
        """Answer with an error page, or close the connection if the headers have already been sent.

        `kwargs` are passed to `write_error`.
        """
        if self._headers_written:
            gen_log.error("Cannot send status %d: the headers have already been sent", status_code)
            if not self._finished:
                self._finished = True
                if self._ui is not None:
                    self._release_ui()
                self.request.connection.close()
                self._log()
                self.on_finish()
            return
        self.clear()
        reason = kwargs.get("reason")
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        if reason is None and isinstance(error, HTTPError):
            reason = error.reason
        self.set_status(status_code, reason)
        if status_code == 405:
            # Required by RFC 9110 15.5.6.
            self.set_header("Allow", ", ".join(self._allowed_methods()))
        try:
            self.write_error(status_code, **kwargs)
        except Exception:
            app_log.error("write_error failed", exc_info=True)
        if not self._finished:
            self.finish()

    def write_error(self, status_code, **kwargs):
        """Write the error page and finish the response. May be overridden. `kwargs` contain
        `exc_info` if there was an exception.

        Browsers get a page, programs that ask for JSON get that, all others a short page; with the
        setting serve_traceback (which debug turns on) it shows the traceback.
        """
        if type(self).get_error_html != RequestHandler.get_error_html:
            if "exc_info" in kwargs:
                kwargs["exception"] = kwargs.pop("exc_info")[1]
            page = self.get_error_html(status_code, **kwargs)
            if not self._finished:
                self.finish(page)
            return
        if "exc_info" in kwargs and self.settings.get("serve_traceback"):
            kind, body = traceback_body(self, status_code, self._reason, kwargs["exc_info"])
        else:
            kind, body = error_body(self.request, status_code, self._reason)
        self.set_header("Content-Type", kind)
        self.finish(body)

    def get_error_html(self, status_code, **kwargs):
        """The error page, for programs that override this instead of `write_error`, as in Tornado
        1.0: `kwargs` contain `exception` if there was one. It may call `finish` itself."""
        return short_page("%d: %s" % (status_code, self._reason))

    def _handle_exception(self, typ, value, tb):
        """Answer an exception with an error page. Always True: the exception has been handled."""
        if "request" not in self.__dict__:
            raise TypeError("%s.__init__ must call the __init__ of RequestHandler with "
                            "(application, request, **kwargs); better define initialize() instead"
                            % type(self).__name__)
        try:
            self._handle_request_exception(value)
        except Exception:
            app_log.error("Uncaught exception while another was answered", exc_info=True)
            self._finished = True
            self.request.connection.close()
        return True

    def _handle_request_exception(self, e):
        """Answer the exception that is being handled. Old programs override it."""
        typ, value, tb = sys.exc_info()
        if value is not e:
            typ, value, tb = type(e), e, getattr(e, "__traceback__", None)
        if isinstance(value, Finish):
            try:
                if not self._finished:
                    self.finish(*value.args)
            except Exception:
                self._handle_exception(*sys.exc_info())
            return
        try:
            self.log_exception(typ, value, tb)
        except Exception:
            app_log.error("Uncaught exception in log_exception", exc_info=True)
        if self._finished:
            # Too late for an error page: logging is all that can be done.
            return
        if isinstance(value, HTTPError):
            status = value.status_code
        else:
            status = value.status if isinstance(value, HTTPInputError) else 500
        if not 200 <= status <= 999:
            app_log.error("%s raised an HTTPError with the invalid status %r",
                          type(self).__name__, status)
            status = 500
        self.send_error(status, exc_info=(typ, value, tb))

    def async_callback(self, callback, *args, **kwargs):
        """A function that calls `callback` and answers its exceptions with an error page.

        The callbacks of an `asynchronous` method do not need it, unless they are called by code
        that does not use the loop.
        """
        if callback is None:
            return None

        def call(*more, **more_kwargs):
            try:
                return callback(*(args + more), **dict(kwargs, **more_kwargs))
            except Exception:
                self._handle_exception(*sys.exc_info())
        return call

    # Called by the application

    def _execute(self, transforms, args, kwargs):
        """Answer the request."""
        try:
            if transforms or args or kwargs or self.request.method != "GET" \
                    or "GET" not in self.SUPPORTED_METHODS:
                prepared = self._begin(transforms, args, kwargs)
            else:
                # Most requests: `_begin` would have nothing else to do.
                prepared = self.prepare()
            if prepared is not None and is_awaitable(prepared):
                self._await(prepared, self._run_method_unless_finished)
                prepared = None
            elif not self._finished:
                self._run_method()
        except Exception:
            self._handle_exception(*sys.exc_info())

    def _begin(self, transforms, args, kwargs):
        """Do everything that precedes the method."""
        method = self.request.method
        if method not in self.SUPPORTED_METHODS:
            raise HTTPError(405)
        if transforms:
            self._transforms = transforms
        if args:
            decode = self.decode_argument
            self.path_args = [arg if arg is None else decode(arg) for arg in args]
        if kwargs:
            decode = self.decode_argument
            self.path_kwargs = dict((name, arg if arg is None else decode(arg))
                                    for name, arg in kwargs.items())
        if method not in _SAFE_METHODS:
            settings = self.application.settings
            if settings.get("xsrf_cookies"):
                self.check_xsrf_cookie()
            if settings.get("cross_origin_protection"):
                self._check_origin()
        return self.prepare()

    def _run_method(self):
        method = self.request.method
        if method == "GET":
            function = self.get
        else:
            function = getattr(self, method.lower(), self._unsupported)
        if self.path_args or self.path_kwargs:
            result = function(*self.path_args, **self.path_kwargs)
        else:
            result = function()
        if result is not None and (self._auto_finish or not isinstance(result, Pending)):
            # With a Pending, an asynchronous method only returns what its last call returned.
            if is_awaitable(result):
                self._await(result, self._finish_unless_finished)
                result = None   # the traceback of an exception of it may lead to this frame
                return
            returned(self, result)
        if not self._finished:
            if self._auto_finish:
                self.finish()
            else:
                self._wait()

    def _await(self, awaitable, proceed):
        """Call `proceed()` when `awaitable` has ended, or answer its exception."""
        def ended(future):
            # Not by an exception here, whose traceback would refer to this frame.
            exc_info = future.exc_info()
            if exc_info is not None:
                self._handle_exception(*exc_info)
                return
            try:
                proceed()
            except Exception:
                self._handle_exception(*sys.exc_info())

        future = as_future(awaitable)
        if future.done():
            return ended(future)
        if not self._finished:
            self._wait()
        future.add_done_callback(ended)

    def _finish_unless_finished(self):
        if not self._finished:
            self.finish()

    def _run_method_unless_finished(self):
        if not self._finished:
            self._run_method()

    # The same for a streamed body

    def _begin_stream(self, transforms, args, kwargs):
        try:
            result = self._begin(transforms, args, kwargs)
            if result is not None:
                self._pause_for(result)
        except Exception:
            self._handle_exception(*sys.exc_info())

    def _receive(self, chunk):
        if not self._finished:
            try:
                result = self.data_received(chunk)
                if result is not None:
                    self._pause_for(result)
            except Exception:
                self._handle_exception(*sys.exc_info())

    def _pause_for(self, result):
        """Read no more of the body until `result`, if it is awaitable, has ended."""
        if is_awaitable(result):
            self.pause_reading()
            self._await(result, self.resume_reading)

    def _end_stream(self):
        if not self._finished:
            try:
                self._run_method()
            except Exception:
                self._handle_exception(*sys.exc_info())

    def _lose_stream(self):
        self.on_connection_close()

    def _wait(self):
        """Set the connection's callbacks for the time until the response is finished."""
        cls, connection = type(self), self.request.connection
        if cls.on_connection_close != RequestHandler.on_connection_close:
            connection.set_close_callback(self.on_connection_close)
        if cls.on_drain != RequestHandler.on_drain or \
                cls.on_server_stop != RequestHandler.on_server_stop:
            connection.set_stop_callback(self.on_drain)


class _StartLine(object):
    __slots__ = ("code", "reason")

    def __init__(self, code, reason):
        self.code = code
        self.reason = reason


_CONTROL_TO_SPACE = dict((code, u" ") for code in range(32) if code not in (9, 10, 13))
_find_control = re.compile(u"[\x00-\x08\x0b\x0c\x0e-\x1f]").search
