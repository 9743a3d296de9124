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

A handler lives for one request. `initialize`, `prepare` and the method named like the HTTP
method are called in this order; unless that one is `asynchronous` the response is finished
when it returns. An exception that leaves any of them, or a callback that an asynchronous one
started, becomes an error page, once.
"""
from __future__ import absolute_import, division, print_function

import datetime
import hmac
import os
import re
import sys
import time
import traceback

import six
from six.moves.urllib.parse import quote

from friendserve import version
from friendserve.escape import json_encode, native_str, to_unicode, utf8, xhtml_escape
from friendserve.httputil import format_timestamp, http_date
from friendserve.iostream import StreamClosedError
from friendserve.log import app_log, escape_controls, gen_log
from friendserve.protocol.cookies import (
    create_signed_value, decode_signed_value, format_set_cookie, get_signature_key_version)
from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.headers import HTTPHeaders, check_field
from friendserve.protocol.http1 import REASONS
from friendserve.protocol.urls import ASCII
from friendserve.web.debugpage import debug_page
from friendserve.web.errors import Finish, HTTPError, MissingArgumentError
from friendserve.web.etags import etag_of, is_known_etag
from friendserve.web.page import Page
from friendserve.web.xsrf import (
    MASK_SIZE, TOKEN_SIZE, decode_token, encode_plain_token, encode_token, is_cross_site)

_SERVER = "friendserve/" + version
_HTML = "text/html; charset=UTF-8"
_REQUIRED = object()
_new_headers = HTTPHeaders.__new__

#: RFC 9112 4, reason-phrase, without the octets that nobody knows the encoding of.
_is_reason = re.compile(r"[\x20-\x7e]*\Z").match

#: RFC 9110 9.2.1: methods that change nothing, and so need no XSRF token.
_SAFE_METHODS = frozenset(["GET", "HEAD", "OPTIONS"])

_METHOD_NAMES = dict((_method, _method.lower()) for _method in
                     ("GET", "HEAD", "POST", "DELETE", "PATCH", "PUT", "OPTIONS"))

#: Methods whose responses get an ETag.
_TAGGED_METHODS = frozenset(["GET", "HEAD"])

#: RFC 9110 15.4.5: what a 304 has no use for, for it describes the body that is left out.
_BODY_HEADERS = ("Allow", "Content-Encoding", "Content-Language", "Content-Length",
                 "Content-Md5", "Content-Range", "Content-Type", "Last-Modified")


class RequestHandler(Page):
    """Answers one request; see the module.

    `request` is the HTTPServerRequest and `application` the Application. Not for other
    threads: nothing here may be called from one, but `IOLoop.add_callback` can bring a call
    back to the loop.
    """
    #: The HTTP methods that may be answered at all; others are refused with 405.
    SUPPORTED_METHODS = ("GET", "HEAD", "POST", "DELETE", "PATCH", "PUT", "OPTIONS")

    # These change for few requests, so they begin on the class.
    _finished = False
    _headers_written = False
    _auto_finish = True
    _transforms = ()
    _new_cookies = None
    _streams_body = False
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
        """Called first, with the keyword arguments that stand in the URL's specification."""

    def prepare(self):
        """Called before the method, for all methods. When it finishes the response, the
        method is not called."""

    def on_finish(self):
        """Called when the response has been handed over; nothing can be written any more."""

    def on_connection_close(self):
        """Called once when the client goes away while an asynchronous response is pending.

        Override it to stop the work that nobody waits for. A client that only ends its own
        sending looks the same and counts as gone; for a handler that does not override this,
        the response is still sent.
        """

    def on_server_stop(self):
        """Called once when the server is asked to stop while an asynchronous response is
        pending: a long poll should be finished now."""

    def data_received(self, chunk):
        """Called with each piece of the body as it comes, in a `stream_request_body` class.

        Call `pause_reading` when the pieces come faster than they can be dealt with, and
        `resume_reading` later.
        """
        raise NotImplementedError("a stream_request_body class must have data_received")

    def set_default_headers(self):
        """Called before everything else and again before an error page; `set_header` here
        what every response shall have."""

    def get_current_user(self):
        """Return who is signed in, from a cookie for instance; None for nobody."""

    def log_exception(self, typ, value, tb):
        """Called for each exception that becomes an error page, or would have."""
        if isinstance(value, HTTPError):
            if value.log_message:
                gen_log.warning("%d %s: %s", value.status_code, self._summary(), value)
        elif isinstance(value, HTTPInputError):
            gen_log.info("%d %s: %s", value.status, self._summary(), value)
        else:
            app_log.error("Uncaught exception %s\n%r", self._summary(), self.request,
                          exc_info=(typ, value, tb))

    def _summary(self):
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
        """The last value of a query or body argument, as text; `strip` takes off whitespace.

        Without a default a missing one answers the request with 400.
        """
        return self._last(self.get_arguments(name, strip), name, default)

    def get_query_argument(self, name, default=_REQUIRED, strip=True):
        """As `get_argument`, from the query alone."""
        return self._last(self.get_query_arguments(name, strip), name, default)

    def get_body_argument(self, name, default=_REQUIRED, strip=True):
        """As `get_argument`, from the body alone."""
        return self._last(self.get_body_arguments(name, strip), name, default)

    def get_arguments(self, name, strip=True):
        """All values of a query or body argument, as text."""
        return self._decode(self.request.arguments, name, strip)

    def get_query_arguments(self, name, strip=True):
        """All values of a query argument, as text."""
        return self._decode(self.request.query_arguments, name, strip)

    def get_body_arguments(self, name, strip=True):
        """All values of a body argument, as text."""
        return self._decode(self.request.body_arguments, name, strip)

    def _last(self, values, name, default):
        if values:
            return values[-1]
        if default is _REQUIRED:
            raise MissingArgumentError(name)
        return default

    def _decode(self, arguments, name, strip):
        values = []
        for value in arguments.get(native_str(name), ()):
            value = self.decode_argument(value, name)
            # Control characters cannot be typed, and end up in logs and headers.
            value = value.translate(_CONTROL_TO_SPACE)
            values.append(value.strip() if strip else value)
        return values

    def decode_argument(self, value, name=None):
        """The bytes of an argument as text. `name` is None for a part of the path.

        To be overridden for other encodings than UTF-8. Bytes that are none raise
        HTTPError(400).
        """
        try:
            return to_unicode(value)
        except UnicodeDecodeError:
            raise HTTPError(400, "%s is not UTF-8: %r", name or "the path", value[:40])

    @property
    def current_user(self):
        """What `get_current_user` answered when this was first asked."""
        if "_current_user" not in self.__dict__:
            self.current_user = self.get_current_user()
        return self._current_user

    @current_user.setter
    def current_user(self, user):
        self._current_user = user

    def get_login_url(self):
        """Where `authenticated` sends people: the setting login_url."""
        self.require_setting("login_url", "@friendserve.web.authenticated")
        return self.settings["login_url"]

    def require_setting(self, name, feature="this feature"):
        """Raise an exception with a clear text when a setting is missing."""
        if not self.settings.get(name):
            raise RuntimeError("You must define the %r setting in your application to use %s"
                               % (name, feature))

    def reverse_url(self, name, *args):
        """The path of a named URL."""
        return self.application.reverse_url(name, *args)

    def pause_reading(self):
        """Read no more of the body until `resume_reading`; for stream_request_body classes."""
        # After the response the connection is reading for another request.
        if not self._finished:
            self.request.connection.pause_reading()

    def resume_reading(self):
        """Go on reading the body."""
        if not self._finished:
            self.request.connection.resume_reading()

    def detach(self):
        """Take the stream over, with its unread bytes; this handler has no response then."""
        self._finished = True
        return self.request.connection.detach()

    # Status and headers of the response

    def clear(self):
        """Forget all that was set and written so far."""
        # As `HTTPHeaders.from_values`, without a call: every response begins with it.
        headers = self._headers = _new_headers(HTTPHeaders)
        headers._values = {"Server": _SERVER, "Content-Type": _HTML, "Date": http_date()}
        self._write_buffer = []
        self._status_code = 200
        self._reason = "OK"
        self.set_default_headers()

    def set_status(self, status_code, reason=None):
        """Set the status; a reason phrase that could break a header line is not taken."""
        self._status_code = status_code
        if reason is None:
            reason = REASONS.get(status_code, "Unknown")
        else:
            reason = native_str(reason)
            if not _is_reason(reason):
                reason = "Unknown"
        self._reason = reason

    def get_status(self):
        """The status that was set."""
        return self._status_code

    def set_header(self, name, value):
        """Set a header: a string, an integer, or a datetime (UTC).

        Raises ValueError when it cannot be sent as one line, and RuntimeError when the headers
        were sent already.
        """
        self._headers[name] = self._header_value(name, value)

    def add_header(self, name, value):
        """Add one more line of a header."""
        self._headers.add(name, self._header_value(name, value))

    def clear_header(self, name):
        """Undo `set_header` and `add_header`."""
        if name in self._headers:
            del self._headers[name]

    def _header_value(self, name, value):
        if self._headers_written:
            raise RuntimeError("cannot set %s after the headers were sent" % name)
        if isinstance(value, datetime.datetime):
            value = format_timestamp(value)
        return check_field(name, value)

    # Cookies

    @property
    def cookies(self):
        """The cookies of the request, by name, each with a `value`."""
        return self.request.cookies

    def get_cookie(self, name, default=None):
        """The value of a cookie of the request."""
        morsel = self.request.cookies.get(name)
        return default if morsel is None else morsel.value

    def set_cookie(self, name, value, domain=None, expires=None, path="/", expires_days=None,
                   **kwargs):
        """Set a cookie. `expires` is a datetime, a time tuple or a timestamp; `expires_days`
        counts from now. `kwargs` are further attributes: max_age, secure, httponly,
        samesite. Raises ValueError for what cannot stand in a cookie, and RuntimeError when
        the headers were sent already."""
        if self._headers_written:
            raise RuntimeError("cannot set the cookie %s after the headers were sent" % name)
        if expires_days is not None and not expires:
            expires = time.time() + expires_days * 86400
        cookie = format_set_cookie(native_str(name), native_str(value), domain=domain,
                                   expires=expires, path=path, **kwargs)
        if self._new_cookies is None:
            self._new_cookies = {}
        self._new_cookies[native_str(name)] = cookie

    def clear_cookie(self, name, path="/", domain=None, **kwargs):
        """Have the client delete a cookie; path, domain and the other attributes must be
        those it was set with."""
        kwargs.pop("max_age", None)
        self.set_cookie(name, "", path=path, domain=domain,
                        expires=datetime.datetime(1970, 1, 1), **kwargs)

    def clear_all_cookies(self, path="/", domain=None, **kwargs):
        """`clear_cookie` for every cookie of the request."""
        for name in self.request.cookies:
            self.clear_cookie(name, path=path, domain=domain, **kwargs)

    def set_secure_cookie(self, name, value, expires_days=30, version=None, **kwargs):
        """Set a cookie that nobody can forge: signed with the setting cookie_secret, but not
        encrypted. Read it with `get_secure_cookie`."""
        self.set_cookie(name, self.create_signed_value(name, value, version=version),
                        expires_days=expires_days, **kwargs)

    def create_signed_value(self, name, value, version=None):
        """A signed and timestamped string, as `set_secure_cookie` makes it."""
        self.require_setting("cookie_secret", "secure cookies")
        secret = self.settings["cookie_secret"]
        return create_signed_value(
            secret, name, value, version=version,
            key_version=self.settings.get("key_version") if isinstance(secret, dict) else None)

    def get_secure_cookie(self, name, value=None, max_age_days=31, min_version=None):
        """The bytes of a signed cookie, or None when it is absent, forged or too old."""
        self.require_setting("cookie_secret", "secure cookies")
        if value is None:
            value = self.get_cookie(name)
        content = decode_signed_value(self.settings["cookie_secret"], name, value,
                                      max_age_days=max_age_days, min_version=min_version)
        if value and content is None:
            # Not the value: it may be a good one under another name, and logs are read by many.
            gen_log.warning("Refused the signed cookie %r: it is forged, damaged or too old", name)
        return content

    def get_secure_cookie_key_version(self, name, value=None):
        """The version of the key that signed a cookie, or None."""
        self.require_setting("cookie_secret", "secure cookies")
        if value is None:
            value = self.get_cookie(name)
        return None if value is None else get_signature_key_version(value)

    # Writing

    def write(self, chunk):
        """Add to the body: bytes, text (sent as UTF-8), or a dict (sent as JSON).

        A list is refused: as JSON, old browsers let other sites read it.
        """
        if self._finished:
            raise RuntimeError("write() after finish(): is this handler @asynchronous?")
        if type(chunk) is six.text_type:
            chunk = chunk.encode("utf-8")
        elif type(chunk) is not bytes:
            if isinstance(chunk, dict):
                if not self._headers_written:
                    self.set_header("Content-Type", "application/json; charset=UTF-8")
                chunk = json_encode(chunk)
            elif not isinstance(chunk, (bytes, six.text_type)):
                raise TypeError("write() takes bytes, text or a dict, not %s%s" % (
                    type(chunk).__name__, "; put a list into a dict, for security"
                    if isinstance(chunk, list) else ""))
            if not isinstance(chunk, bytes):
                chunk = chunk.encode("utf-8")
        self._write_buffer.append(chunk)

    def flush(self, include_footers=False, callback=None):
        """Send what was written so far; `callback()` is called when the client took it, and
        never if it went away.

        The first flush sends the headers too: none can be set after it.
        """
        if self._finished:
            raise RuntimeError("flush() after finish(): is this handler @asynchronous?")
        chunk = b"".join(self._write_buffer)
        self._write_buffer = []
        connection = self.request.connection
        try:
            if not self._headers_written:
                chunk = self._transform_first(chunk, include_footers)
                connection.write_headers(
                    _StartLine(self._status_code, self._reason), self._complete_headers(),
                    chunk, callback)
            else:
                for transform in self._transforms:
                    chunk = transform.transform_chunk(chunk, include_footers)
                if chunk or callback is not None:
                    connection.write(chunk, callback)
        except StreamClosedError:
            # The client has gone; `on_connection_close` is what tells.
            pass
        self._headers_written = True

    def finish(self, chunk=None):
        """Send what was written and end the response. Nothing may be written after it."""
        if self._finished:
            raise RuntimeError("finish() was called twice: is a method that is not "
                               "@asynchronous finished by a callback?")
        if chunk is not None:
            self.write(chunk)
        if not self._headers_written:
            self._finish_whole()
        else:
            self.flush(include_footers=True)
            self.request.connection.finish()
        self._finished = True
        if self._ui is not None:
            self._release_ui()
        try:
            self.application.log_request(self)
        finally:
            self.on_finish()

    def _finish_whole(self):
        """Most responses go out in one piece."""
        request = self.request
        headers = self._headers
        if self._status_code == 200 and request.method in _TAGGED_METHODS:
            self.set_etag_header()
            if "If-None-Match" in request.headers._values and self.check_etag_header():
                self.set_status(304)
        buffer = self._write_buffer
        body = buffer[0] if len(buffer) == 1 else b"".join(buffer)
        if self._status_code == 304:
            body = b""
            for name in _BODY_HEADERS:
                self.clear_header(name)
        if self._transforms:
            body = self._transform_first(body, True)
            headers = self._headers
        if self._new_cookies is not None:
            self._complete_headers()
        self._write_buffer = []
        try:
            request.connection.respond(self._status_code, self._reason, headers, body)
        except StreamClosedError:
            # The client has gone, and with it who could be told.
            pass
        # Not before: an error page can take the place of what cannot be sent.
        self._headers_written = True

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
        """Send the client to `url`, absolute or relative, with 302, 301 (`permanent`) or
        `status`, and finish."""
        if self._headers_written:
            raise RuntimeError("cannot redirect after the headers were sent")
        if status is None:
            status = 301 if permanent else 302
        elif not 300 <= status <= 399:
            raise ValueError("a redirect has a status from 300 to 399, not %r" % (status,))
        url = utf8(url)
        if b"\t" in url:
            # Browsers take it out, and then "/\t/host" is the name of another host.
            raise ValueError("a tab in the URL of a redirect: %r" % (url,))
        self.set_status(status)
        # What is not ASCII goes as UTF-8, quoted; what is, stays as it was given.
        self.set_header("Location", quote(url, safe=ASCII))
        self.finish()

    # Errors

    def send_error(self, status_code=500, **kwargs):
        """Answer with an error page; when the headers are out already, close the connection.

        `kwargs` go to `write_error`.
        """
        if self._headers_written:
            gen_log.error("Cannot send status %d, the headers were sent already", status_code)
            if not self._finished:
                self._finished = True
                if self._ui is not None:
                    self._release_ui()
                self.request.connection.close()
                self.application.log_request(self)
                self.on_finish()
            return
        self.clear()
        reason = kwargs.get("reason")
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        if reason is None and isinstance(error, HTTPError):
            reason = error.reason
        self.set_status(status_code, reason)
        if status_code == 405:
            # RFC 9110 15.5.6.
            self.set_header("Allow", ", ".join(self._allowed_methods()))
        try:
            self.write_error(status_code, **kwargs)
        except Exception:
            app_log.error("write_error failed", exc_info=True)
        if not self._finished:
            self.finish()

    def write_error(self, status_code, **kwargs):
        """Write the error page; to be overridden. `kwargs` may have `exc_info`.

        A traceback is shown only with the setting serve_traceback (which debug sets): as a page
        to a browser, and as text to others.
        """
        if hasattr(self, "get_error_html"):
            # The hook of 2009 returns the page.
            if "exc_info" in kwargs:
                kwargs["exception"] = kwargs.pop("exc_info")[1]
            page = self.get_error_html(status_code, **kwargs)
            if not self._finished:
                self.finish(page)
        elif "exc_info" in kwargs and self.settings.get("serve_traceback"):
            if "text/html" in self.request.headers.get("Accept", ""):
                self.finish(debug_page(*kwargs["exc_info"], request=self.request))
            else:
                self.set_header("Content-Type", "text/plain; charset=UTF-8")
                self.finish("".join(traceback.format_exception(*kwargs["exc_info"])))
        else:
            title = "%d: %s" % (status_code, xhtml_escape(self._reason))
            self.finish("<html><head><title>%s</title></head><body>%s</body></html>"
                        % (title, title))

    def _handle_exception(self, typ, value, tb):
        """Turn an exception into an error page; True, for it goes no further."""
        if isinstance(value, Finish):
            try:
                if not self._finished:
                    self.finish()
                return True
            except Exception:
                return self._handle_exception(*sys.exc_info())
        try:
            self.log_exception(typ, value, tb)
        except Exception:
            app_log.error("Uncaught exception in log_exception", exc_info=True)
        if self._finished:
            # It was answered already; the log is all that is left.
            return True
        if isinstance(value, HTTPError):
            status = value.status_code
        else:
            status = value.status if isinstance(value, HTTPInputError) else 500
        if not 200 <= status <= 999:
            app_log.error("%s raised an HTTPError with the status %r, which cannot be sent",
                          type(self).__name__, status)
            status = 500
        try:
            self.send_error(status, exc_info=(typ, value, tb))
        except Exception:
            app_log.error("Uncaught exception in send_error", exc_info=True)
            self._finished = True
            self.request.connection.close()
        return True

    def async_callback(self, callback, *args, **kwargs):
        """A function that calls `callback` and answers what it raises with an error page.

        Callbacks that an `asynchronous` method starts are cared for without it; this is for
        those that are passed to code that knows nothing of the loop.
        """
        if callback is None:
            return None

        def call(*more, **more_kwargs):
            try:
                return callback(*(args + more), **dict(kwargs, **more_kwargs))
            except Exception:
                self._handle_exception(*sys.exc_info())
        return call

    # ETag

    def compute_etag(self):
        """The ETag of what was written, or None for none; to be overridden."""
        buffer = self._write_buffer
        return etag_of(buffer[0] if len(buffer) == 1 else b"".join(buffer))

    def set_etag_header(self):
        """Set the Etag header from `compute_etag`, unless it is set already."""
        if "Etag" not in self._headers._values:
            etag = self.compute_etag()
            if etag is not None:
                # Not through set_header: whatever breaks a line is refused when it is sent.
                self._headers._values["Etag"] = etag if type(etag) is str else native_str(etag)

    def check_etag_header(self):
        """Whether the client has this very response already (If-None-Match, RFC 9110 13.1.2):
        weak comparison of the Etag header."""
        if "If-None-Match" not in self.request.headers._values:
            return False
        etag = self._headers.get("Etag")
        if not etag:
            return False
        return is_known_etag(etag, self.request.headers["If-None-Match"])

    # XSRF

    @property
    def xsrf_token(self):
        """The token that forms and scripts send back; the cookie is set when there was none.

        It looks different in each response, for a compressed page whose secret never changes
        can be guessed byte by byte (the BREACH attack); all forms of it are accepted.
        """
        if not hasattr(self, "_xsrf_token"):
            known, token, timestamp = self._get_raw_xsrf_token()
            version = self.settings.get("xsrf_cookie_version", 2)
            if version == 1:
                self._xsrf_token = encode_plain_token(token)
            elif version == 2:
                self._xsrf_token = encode_token(token, os.urandom(MASK_SIZE),
                                                timestamp or time.time())
            else:
                raise ValueError("xsrf_cookie_version must be 1 or 2, not %r" % (version,))
            if not known:
                options = dict(self.settings.get("xsrf_cookie_kwargs", {}))
                if self.current_user:
                    # A form left open for days shall still be accepted.
                    options.setdefault("expires_days", 30)
                self.set_cookie(self._xsrf_cookie_name(), self._xsrf_token, **options)
        return self._xsrf_token

    def _xsrf_cookie_name(self):
        return self.settings.get("xsrf_cookie_name", "_xsrf")

    def _get_raw_xsrf_token(self):
        """(version of the cookie or None for a new token, token, timestamp)."""
        if not hasattr(self, "_raw_xsrf_token"):
            self._raw_xsrf_token = decode_token(self.get_cookie(self._xsrf_cookie_name())) or (
                None, os.urandom(TOKEN_SIZE), None)
        return self._raw_xsrf_token

    def check_xsrf_cookie(self):
        """Answer with 403 unless the request brings the token of its cookie, as the argument
        or header; nothing else, such as X-Requested-With, takes its place."""
        try:
            token = self.get_argument("_xsrf", None)
        except HTTPError:
            # It is no text, so no token either.
            token = None
        token = (token or self.request.headers.get("X-Xsrftoken")
                 or self.request.headers.get("X-Csrftoken"))
        if not token:
            raise HTTPError(403, "'_xsrf' argument missing from %s%s", self.request.method,
                            "; of a body that is streamed it is in the query or a header"
                            if self._streams_body else "")
        sent = decode_token(token)
        expected = self._get_raw_xsrf_token()[1]
        if sent is None or not hmac.compare_digest(sent[1], expected):
            raise HTTPError(403, "XSRF cookie does not match %s argument", self.request.method)

    def _check_origin(self):
        trusted = self.settings["cross_origin_protection"]
        if is_cross_site(self.request, () if trusted is True else trusted):
            raise HTTPError(403, "a page of another origin sent this %s", self.request.method)

    def xsrf_form_html(self):
        """The hidden field that belongs into every form that posts."""
        return '<input type="hidden" name="_xsrf" value="%s"/>' % xhtml_escape(self.xsrf_token)

    # What the application calls

    def _execute(self, transforms, args, kwargs):
        """Answer the request."""
        try:
            if transforms or args or kwargs or self.request.method != "GET" \
                    or "GET" not in self.SUPPORTED_METHODS:
                self._begin(transforms, args, kwargs)
            else:
                # Most requests: there is nothing to be done before.
                self.prepare()
            if not self._finished:
                self._run_method()
        except Exception:
            self._handle_exception(*sys.exc_info())

    def _begin(self, transforms, args, kwargs):
        """All that comes before the method."""
        method = self.request.method
        if method not in self.SUPPORTED_METHODS:
            raise HTTPError(405)
        if transforms:
            self._transforms = transforms
        if args:
            self.path_args = [self._decode_path(arg) for arg in args]
        if kwargs:
            self.path_kwargs = dict((name, self._decode_path(arg))
                                    for name, arg in kwargs.items())
        if method not in _SAFE_METHODS:
            settings = self.application.settings
            if settings.get("xsrf_cookies"):
                self.check_xsrf_cookie()
            if settings.get("cross_origin_protection"):
                self._check_origin()
        self.prepare()

    def _run_method(self):
        name = _METHOD_NAMES.get(self.request.method)
        function = getattr(self, name) if name is not None else \
            getattr(self, self.request.method.lower(), self._unsupported)
        if self.path_args or self.path_kwargs:
            function(*self.path_args, **self.path_kwargs)
        else:
            function()
        if not self._finished:
            if self._auto_finish:
                self.finish()
            else:
                self._wait()

    # The same for a body that comes piece by piece

    def _begin_stream(self, transforms, args, kwargs):
        try:
            self._begin(transforms, args, kwargs)
        except Exception:
            self._handle_exception(*sys.exc_info())

    def _receive(self, chunk):
        if not self._finished:
            try:
                self.data_received(chunk)
            except Exception:
                self._handle_exception(*sys.exc_info())

    def _end_stream(self):
        if not self._finished:
            try:
                self._run_method()
            except Exception:
                self._handle_exception(*sys.exc_info())

    def _lose_stream(self):
        self.on_connection_close()

    def _wait(self):
        """The response comes later: have the connection tell what happens until then."""
        cls, connection = type(self), self.request.connection
        if cls.on_connection_close != RequestHandler.on_connection_close:
            connection.set_close_callback(self.on_connection_close)
        if cls.on_server_stop != RequestHandler.on_server_stop:
            connection.set_stop_callback(self.on_server_stop)

    def _decode_path(self, arg):
        return None if arg is None else self.decode_argument(arg)


class _StartLine(object):
    __slots__ = ("code", "reason")

    def __init__(self, code, reason):
        self.code = code
        self.reason = reason


_CONTROL_TO_SPACE = dict((code, u" ") for code in range(32) if code not in (9, 10, 13))
