"""The requests that a sign-in makes to a provider: limited in time and size, and ended once."""
from __future__ import absolute_import, division, print_function

import base64
import json

import six
from six.moves.urllib.parse import urlencode

from friendserve.auth.errors import AuthError
from friendserve.awaitable import Outcome, as_future, future_of
from friendserve.escape import native_str, parse_qs_bytes, to_unicode, utf8
from friendserve.httpclient import HTTPClientError, HTTPTransferError
from friendserve.ioloop import IOLoop
from friendserve.log import gen_log
from friendserve.protocol.errors import TokenError
from friendserve.protocol.oauth1 import to_octets, to_pairs
from friendserve.protocol.urls import parse_url
from friendserve.stack_context import ExceptionStackContext, NullContext, wrap
from friendserve.web import Finish, HTTPError

#: Seconds for a whole exchange, and for each of its requests.
DEADLINE = 20
REQUEST_TIMEOUT = 10

#: The most bytes of a reply: to the requests of a sign-in, and to those of a program.
MAX_REPLY = 64 * 1024
_MAX_JSON = 4 << 20

_LOOPBACK = frozenset(["127.0.0.1", "::1", "localhost"])


def run_exchange(handler, work, callback=None, client=None):
    """Call `work(exchange)` with an `Exchange`, and `callback(result)` with its result.

    If it fails, `handler.auth_error` is the AuthError and the callback is called with None. Without
    a callback this returns a Future, which raises the error. An exchange that ends by Finish has
    been answered, so the callback is not called.
    """
    def start(callback, on_error):
        Exchange(handler, client, callback, on_error).run(work)

    if callback is None:
        return future_of(start)

    def fail(error):
        if isinstance(error, Finish):
            return
        handler.auth_error = error
        gen_log.info("Sign-in failed: %s", error)
        callback(None)

    handler.auth_error = None
    start(callback, fail)


def redirect_by_exchange(handler, work, callback=None, client=None):
    """Like `run_exchange`, for an exchange that ends with a redirect, after which `callback()`, if
    given, is called. Returns something awaitable, which may raise the AuthError; if there is
    neither a callback nor code that awaits it, a failure is answered with 502."""
    if callback is not None:
        return run_exchange(handler, work, lambda _: callback(), client)
    outcome = Outcome()

    def fail(error):
        handler.auth_error = error
        try:
            outcome.on_error(error)
        except AuthError:
            raise HTTPError(502, "%s", error)

    handler.auth_error = None
    Exchange(handler, client, outcome.callback, fail).run(work)
    return outcome


class Exchange(object):
    """One exchange with a provider, which ends once: by `end`, by `fail` or by its deadline.

    An AuthError or TokenError raised in a step ends it; so does any other exception in a step,
    which counts as the provider's mistake. What the callback raises is not caught. `followers` are
    exchanges that end in the same way.
    """
    def __init__(self, handler, client, callback, on_error):
        self.handler = handler
        self._client = client
        self._callback = callback
        self._on_error = on_error
        self._outcome = None
        self._inside = 0        # how many steps are being run
        self.followers = []
        self._loop = IOLoop.current()
        self._deadline = self._loop.time() + DEADLINE
        self._timer = self._loop.call_at(self._deadline, self.fail, AuthError(
            "network", "no answer within %d seconds" % DEADLINE))

    def end(self, result):
        """End it with a result."""
        self._finish(self._callback, result)

    def fail(self, error):
        """End it with an error."""
        self._finish(self._on_error, error)

    def _finish(self, function, value):
        if self._outcome is None:
            self._outcome = function, value
            self._loop.remove_timeout(self._timer)
            for follower in self.followers:
                if function == self._callback:
                    follower.end(dict(value))
                else:
                    follower.fail(value)
            self._deliver()

    def has_ended(self):
        return self._outcome is not None

    def _deliver(self):
        # Not from inside a step, which would catch what the callback raises.
        if self._outcome is not None and not self._inside and self._callback is not None:
            self._callback = self._on_error = self._client = None
            function, value = self._outcome
            function(value)

    def run(self, work):
        """Do the first step."""
        self._step(work, self)

    def follow(self, awaitable, then):
        """Do the step `then(result)` with the result of something awaitable."""
        as_future(awaitable).add_done_callback(
            lambda future: self._step(lambda: then(future.result())))

    def _step(self, function, *args):
        self._inside += 1
        try:
            if self._outcome is None:
                function(*args)
        except AuthError as error:
            self.fail(error)
        except TokenError as error:
            self.fail(AuthError(error.reason, str(error)))
        except Exception as error:
            # The replies of providers change without notice.
            gen_log.warning("A reply of the provider was not understood", exc_info=True)
            self.fail(AuthError("provider", "%s: %s" % (type(error).__name__, error)))
        finally:
            self._inside -= 1
        self._deliver()

    def watch(self):
        """A context in which an exception, even one in a later callback, ends the exchange."""
        return ExceptionStackContext(self._on_exception)

    def _on_exception(self, kind, error, traceback):
        if self._outcome is not None:
            return False
        self._step(six.reraise, kind, error, traceback)
        return True

    def then(self, function):
        """A callback that continues with `function`."""
        return lambda *args: self._step(function, *args)

    def fetch(self, url, then, limit=MAX_REPLY, otherwise=None, **options):
        """Fetch a URL of the provider, without following redirects; then do the step
        `then(reply)`, with a `Reply` of any status. If there is no reply, the exchange fails, or
        does the step `otherwise(error)`."""
        check_secure(url)
        reply = Reply(limit)

        def on_response(response):
            error = response.error
            if error is not None and (isinstance(error, HTTPTransferError) or
                                      not isinstance(error, HTTPClientError)):
                failed = reply.error or AuthError("network", "%s: %s" % (_host(url), error))
                if otherwise is None:
                    raise failed
                return otherwise(failed)
            reply.complete(response)
            then(reply)

        seconds = max(0.001, min(REQUEST_TIMEOUT, self._deadline - self._loop.time()))
        client = self._client or self.handler.get_auth_http_client()
        callback = wrap(self.then(on_response))
        # An exception in `reply` ends the fetch. It must not reach a context that would answer with
        # it.
        with NullContext():
            client.fetch(url, callback=callback, follow_redirects=False,
                         streaming_callback=reply.add, request_timeout=seconds,
                         connect_timeout=seconds, **options)

    def post(self, url, fields, then, headers=None, limit=MAX_REPLY):
        """Like `fetch`, but send a form, the dict `fields`, or JSON text to the provider."""
        headers = dict(headers or {}, Accept="application/json")
        is_form = isinstance(fields, dict)
        headers["Content-Type"] = "application/x-www-form-urlencoded" if is_form \
            else "application/json"
        self.fetch(url, then, limit, method="POST", headers=headers,
                   body=encode_form(fields) if is_form else utf8(fields))


def _host(url):
    return native_str(parse_url(url).host)


def check_secure(url):
    """Raise AuthError for a URL that is not https, unless it is on this machine."""
    try:
        parts = parse_url(url)
    except ValueError as error:
        raise AuthError("provider", str(error))
    if parts.scheme != "https" and native_str(parts.host) not in _LOOPBACK:
        raise AuthError("provider", "%s must be an https URL" % native_str(url))


def encode_form(fields):
    """A form as the body of a request, bytes. A list of values repeats the field, values that are
    not text are converted by str(), and fields that are None are left out."""
    return utf8(urlencode([(name, to_octets(value)) for name, value in to_pairs(fields)]))


def basic_credentials(client_id, client_secret):
    """The value of Authorization for a client (RFC 6749 2.3.1: both are form-encoded first)."""
    pair = ":".join(urlencode([("", utf8(part))])[1:] for part in (client_id, client_secret))
    return "Basic " + native_str(base64.b64encode(utf8(pair)))


class Reply(object):
    """A reply from a provider: `status`, `headers`, `body` (bytes). `error` is an AuthError if it
    is too large."""

    def __init__(self, limit):
        self._pieces = []
        self._limit = self._left = limit
        self.error = None
        self.status = None
        self.headers = {}
        self.body = b""

    def add(self, data):
        """Add a piece of the body. Raises AuthError if it is too large."""
        self._left -= len(data)
        if self._left < 0:
            self.error = AuthError("provider", "a reply of more than %d bytes" % self._limit)
            raise self.error
        self._pieces.append(data)

    def complete(self, response):
        """Take over a response. Its body is in the response itself if the client does not
        stream."""
        self.status = response.code
        self.headers = response.headers if response.headers is not None else {}
        if not self._pieces and response.body:
            self.add(response.body)
        self.body = b"".join(self._pieces)

    def parse_value(self):
        """The JSON of the body, of any type; None for an empty body. Raises AuthError as `parse`
        does."""
        if 200 <= self.status <= 299:
            if not self.body:
                return None
            try:
                value = json.loads(to_unicode(self.body))
            except (ValueError, RuntimeError):
                value = None
            if isinstance(value, list) or value is not None and not isinstance(value, dict):
                return value
        return self.parse()

    def parse(self):
        """The fields of the body, JSON or a form, as a dict. Raises AuthError "provider" if the
        reply says that there was an error, has a status other than 200, or is neither JSON nor a
        form."""
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        readers = [_read_form, _read_json] if "urlencoded" in kind or kind == "text/plain" \
            else [_read_json, _read_form]
        fields = None
        for read in readers:
            fields = read(self.body)
            if fields is not None:
                break
        if fields and fields.get("error"):
            raise AuthError("provider", _describe(fields))
        if not 200 <= self.status <= 299:
            raise AuthError("provider", "status %s" % self.status)
        if fields is None:
            raise AuthError("provider", "the reply is neither JSON nor a form")
        return fields


def _describe(fields):
    error = fields["error"]
    if isinstance(error, dict):     # Facebook
        error = error.get("message") or error.get("type") or error
    text = u"%s" % (error,)
    if fields.get("error_description"):
        text += u": %s" % (fields["error_description"],)
    return native_str(text[:500])


def _read_json(body):
    try:
        fields = json.loads(to_unicode(body))
    except (ValueError, RuntimeError):
        return None
    return fields if isinstance(fields, dict) else None


def _read_form(body):
    if b"=" not in body or body[:1] in (b"{", b"<"):
        return None
    try:
        values = parse_qs_bytes(body, keep_blank_values=True)
        return dict((native_str(name), to_unicode(texts[-1])) for name, texts in values.items())
    except (ValueError, UnicodeDecodeError):
        return None


def request_json(handler, url, args, post_args, callback, headers=None):
    """Make a request to a provider's API. `args` are in the query; `post_args` make it a POST
    unless they are None: a dict is sent as a form, and text, which is JSON, as it is. Calls
    `callback(reply)` with the JSON of the reply, or with None if it failed: `handler.auth_error`
    says why. Without a callback this returns a Future."""
    if args:
        url += ("&" if "?" in url else "?") + native_str(encode_form(args))

    def work(exchange):
        def got(reply):
            exchange.end(reply.parse_value())
        if post_args is None:
            exchange.fetch(url, got, limit=_MAX_JSON, headers=headers or {})
        else:
            exchange.post(url, post_args, got, headers=headers, limit=_MAX_JSON)

    return run_exchange(handler, work, callback)
