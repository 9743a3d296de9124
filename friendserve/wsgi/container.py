"""WSGI applications on this server."""
from __future__ import absolute_import, division, print_function

import functools
import io
import re
import sys
import threading

import six

from friendserve import version
from friendserve.httputil import HTTPHeaders, ResponseStartLine, http_date
from friendserve.ioloop import IOLoop
from friendserve.iostream import StreamClosedError
from friendserve.log import access_log, app_log
from friendserve.protocol.headers import check_field
from friendserve.wsgi.body import IN_MEMORY, SpooledBody, StreamedBody
from friendserve.wsgi.environ import make_environ

#: Headers that belong to the connection, which is ours (PEP 3333, "Other HTTP Features").
_HOP_BY_HOP = frozenset((
    "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailers",
    "Trailer", "Transfer-Encoding", "Upgrade"))

#: What a final response may have (RFC 9112 4); a reason in obs-text has no known encoding.
_is_status = re.compile(r"[2-9][0-9]{2}( [\x20-\x7e\t]*)?\Z").match

_ERROR_PAGE = b"Internal Server Error"


class WSGIContainer(object):
    """A WSGI application (PEP 3333) as the request callback of an HTTPServer, or as the target of
    a `friendserve.web.FallbackHandler`.

        container = WSGIContainer(flask_app, executor=ThreadPoolExecutor(20))
        HTTPServer(container).listen(8888)

    Without an `executor`, the application runs on the loop, which does nothing else while the
    application works: fine for one that never waits. It begins when the body has arrived; a long
    body is in a temporary file. What it yields is sent piece by piece, as the client reads.

    With an `executor` of concurrent.futures, it runs on a thread of that, which is held until the
    response is sent, and reads the body while that arrives. At most `max_waiting` requests wait for
    a thread; any more are answered with 503.

    Exceptions are logged and answered with 500, or close the connection if the headers have been
    sent. `max_body_size` of the server limits bodies.
    """
    def __init__(self, wsgi_application, executor=None, max_waiting=1000):
        self.wsgi_application = wsgi_application
        self.executor = executor
        self.max_waiting = max_waiting
        self._waiting = 0           # requests that no thread has taken

    @staticmethod
    def environ(request):
        """The WSGI environ of an HTTPServerRequest whose body is in memory."""
        return make_environ(request, io.BytesIO(request.body))

    def start_body(self, request):
        """The receiver of a request's body, or None for one that fits in memory. Called by the
        server."""
        length = request.headers.get("Content-Length", "")
        if self.executor is None:
            if length.isdigit() and int(length) <= IN_MEMORY:
                return None
            return SpooledBody(functools.partial(self._run, request))
        if length.isdigit() and int(length) <= IN_MEMORY:
            return None
        connection = request.connection
        body = StreamedBody(IOLoop.current(), connection.pause_reading, connection.resume_reading)
        self._run(request, io.BufferedReader(body), body)
        return body

    def __call__(self, request):
        """Answer a request."""
        self._run(request, io.BytesIO(request.body))

    def _run(self, request, body, receiver=None):
        environ = make_environ(request, body, multithread=self.executor is not None)
        if self.executor is None:
            if "CONTENT_LENGTH" not in environ and not isinstance(body, io.BytesIO):
                # It was chunked. Many applications read no body without a length.
                body.seek(0, 2)
                environ["CONTENT_LENGTH"] = str(body.tell())
                body.seek(0)
            _Exchange(self, request, environ, body).run()
            return
        exchange = _ThreadedExchange(self, request, environ, body, receiver)
        if self._waiting >= self.max_waiting:
            exchange.refuse()
            return
        self.executor.submit(exchange.run)
        self._waiting += 1

    def on_start(self):
        """Called on the loop when a thread has taken a request."""
        self._waiting -= 1

    def log_request(self, status, request):
        """Write a line to the access log. May be overridden."""
        level = 20 if status < 400 else 30 if status < 500 else 40  # INFO, WARNING, ERROR
        access_log.log(level, "%d %s %s (%s) %.2fms", status, request.method, request.uri,
                       request.remote_ip, 1000.0 * request.request_time())


class _Exchange(object):
    """One request and its response, on the loop."""

    def __init__(self, container, request, environ, body):
        self.container = container
        self.request = request
        self.environ = environ
        self.body = body
        self.head = None            # (status, reason, HTTPHeaders) from start_response
        self.sent = False           # whether the head was sent
        self.iterable = self.iterator = None
        self.closed = False         # the client has left, or the response is over
        request.connection.set_close_callback(self.on_connection_close)

    # The application's side

    def start_response(self, status, headers, exc_info=None):
        if exc_info is not None:
            try:
                if self.sent:
                    six.reraise(*exc_info)
            finally:
                exc_info = None
        elif self.head is not None:
            raise AssertionError("start_response was called a second time, without exc_info")
        if not _is_status(status):
            raise ValueError("a status is three digits from 200 up and a reason in printable "
                             "ASCII, unlike %r" % (status,))
        code, _, reason = status.partition(" ")
        fields = HTTPHeaders()
        for name, value in headers:
            check_field(name, value)
            fields.add(name, value)
        for name in _HOP_BY_HOP.intersection(fields):
            del fields[name]
        if "Content-Type" not in fields and code not in ("204", "304"):
            fields["Content-Type"] = "text/html; charset=UTF-8"
        if "Server" not in fields:
            fields["Server"] = "friendserve/" + version
        if "Date" not in fields:
            fields["Date"] = http_date()
        self.head = int(code), reason, fields
        return self.write

    def write(self, data):
        """The callable that start_response returns. On the loop it cannot wait."""
        self.send(data)

    def begin(self):
        """Call the application."""
        self.iterable = self.container.wsgi_application(self.environ, self.start_response)
        self.iterator = iter(self.iterable)

    def only_chunk(self):
        """The body, if it is known as a whole: that of a list of at most one."""
        if type(self.iterable) in (list, tuple) and len(self.iterable) < 2 and not self.sent:
            return b"".join(self.iterable)
        return None

    def is_head_sent(self):
        """Whether this is all that the client asked for, and was sent."""
        return self.sent and self.request.method == "HEAD"

    def close_iterable(self):
        iterable, self.iterable, self.iterator = self.iterable, None, None
        if hasattr(iterable, "close"):
            try:
                iterable.close()
            except Exception:
                app_log.error("close() of a WSGI response failed", exc_info=True)
        self.body.close()

    # On the loop

    def run(self):
        try:
            self.begin()
            chunk = self.only_chunk()
            if chunk is not None:
                self.respond(chunk)
            else:
                self.proceed()
        except Exception:
            self.fail(sys.exc_info())

    def proceed(self):
        """Send the next chunk, and continue when the client has taken it."""
        if self.closed:
            return
        try:
            chunk = None if self.is_head_sent() else next(self.iterator, None)
            if chunk is None:
                self.end()
            elif chunk:
                self.send(chunk, self.proceed)
            else:
                # The application has nothing yet (PEP 3333): let the loop do other things.
                IOLoop.current().add_callback(self.proceed)
        except Exception:
            self.fail(sys.exc_info())

    def send(self, chunk, callback=None):
        """Send bytes, and the head before the first."""
        if self.closed:
            raise StreamClosedError()
        if self.head is None:
            raise AssertionError("the application sent data before it called start_response")
        connection = self.request.connection
        if self.sent:
            connection.write(chunk, callback)
        else:
            status, reason, headers = self.head
            connection.write_headers(ResponseStartLine("HTTP/1.1", status, reason), headers, chunk,
                                     callback)
            self.sent = True

    def respond(self, body):
        """Send a whole response."""
        if self.closed:
            raise StreamClosedError()
        if self.head is None:
            raise AssertionError("the application did not call start_response")
        self.finish(self.head[0], lambda connection: connection.respond(*self.head + (body,)))

    def end(self):
        """Complete the response."""
        if not self.sent:
            self.respond(b"")
        else:
            self.finish(self.head[0], lambda connection: connection.finish())

    def finish(self, status, send):
        send(self.request.connection)
        self.closed = True
        self.close_iterable()
        self.container.log_request(status, self.request)

    def fail(self, exc_info):
        """Report an exception of the application."""
        if self.is_lost(exc_info[1]):
            self.on_connection_close()
            return
        app_log.error("Uncaught exception in the WSGI application for %r", self.request,
                      exc_info=exc_info)
        self.show_failure()

    def is_lost(self, error):
        """Whether an error only means that the client has left. The application may have streams
        too."""
        return isinstance(error, StreamClosedError) and (
            self.closed or self.request.connection.stream.closed())

    def show_failure(self):
        connection = self.request.connection
        if self.sent or self.closed:
            self.close_iterable()
            self.closed = True
            connection.close()
        else:
            try:
                self.finish(500, lambda connection: connection.respond(
                    500, "Internal Server Error", HTTPHeaders({"Content-Type": "text/plain"}),
                    _ERROR_PAGE))
            except StreamClosedError:
                self.on_connection_close()

    def on_connection_close(self):
        """Called when the client has left."""
        if not self.closed:
            self.closed = True
            self.close_iterable()


class _ThreadedExchange(_Exchange):
    """One request and its response, for an application in a thread.

    The thread calls `run`; whatever concerns the connection is done on the loop. The thread waits
    until the client has taken a chunk before it hands over the next but one.
    """
    def __init__(self, container, request, environ, body, receiver):
        super(_ThreadedExchange, self).__init__(container, request, environ, body)
        self.io_loop = IOLoop.current()
        self.receiver = receiver    # a StreamedBody, or None if the body is there
        self.room = threading.Semaphore(2)  # chunks that may be handed over
        self.ended = False          # whether the thread has finished
        self.server = None          # that of a client who left, for it waits for the thread

    # In the thread

    def run(self):
        self.io_loop.add_callback(self.container.on_start)
        try:
            self.begin()
            chunk = self.only_chunk()
            if chunk is not None:
                self.call(self.respond, chunk)
            else:
                for chunk in self.iterator:
                    if chunk:
                        self.write(chunk)
                    if self.closed:
                        raise StreamClosedError()
                    if self.is_head_sent():
                        break
                self.call(self.end)
        except BaseException:
            # Including SystemExit, of which nothing else would tell the client.
            self.fail(sys.exc_info())
        finally:
            self.close_iterable()
            self.ended = True
            if self.server is not None:
                self.io_loop.add_callback(self.server.on_release, self)

    def write(self, data):
        """Hand over data, and wait while the client does not read. Raises StreamClosedError when it
        has left."""
        self.room.acquire()
        if self.closed:
            raise StreamClosedError()
        self.call(self.send, data, self.room.release)

    def call(self, function, *args):
        self.io_loop.add_callback(self.guarded, function, *args)

    def fail(self, exc_info):
        if self.closed or self.is_lost(exc_info[1]):
            # The client has left, so that a read or a write failed.
            return
        app_log.error("Uncaught exception in the WSGI application for %r", self.request,
                      exc_info=exc_info)
        self.call(self.show_failure)

    # On the loop

    def guarded(self, function, *args):
        try:
            function(*args)
        except Exception as error:
            if self.is_lost(error):
                self.on_connection_close()
                return
            app_log.error("Uncaught exception in the WSGI application for %r", self.request,
                          exc_info=True)
            self.show_failure()
            # It may wait in `write`.
            self.room.release()

    def finish(self, status, send):
        send(self.request.connection)
        self.closed = True
        self.container.log_request(status, self.request)

    def show_failure(self):
        if self.sent or self.closed:
            self.closed = True
            self.request.connection.close()
        else:
            super(_ThreadedExchange, self).show_failure()

    def stop(self):
        """Called when the server drains or stops; the thread cannot be told."""

    def close(self):
        """Called at the deadline of a server that stops; the client has left already."""

    def refuse(self):
        """Answer with 503: too many requests wait for a thread."""
        self.finish(503, lambda connection: connection.respond(
            503, "Service Unavailable", HTTPHeaders({"Retry-After": "1"}), b""))

    def on_connection_close(self):
        self.closed = True
        if not self.ended and self.server is None:
            # The server that drains waits for the thread, as for the user of a detached stream.
            self.server = self.request.connection.server
            self.server.on_detach(self)
            if self.ended:
                self.server.on_release(self)
        if self.receiver is not None:
            self.receiver.on_connection_close()
        # It may wait in `write`.
        self.room.release()
        self.room.release()
