"""Our handlers under any WSGI server."""
from __future__ import absolute_import, division, print_function

from friendserve.httputil import HTTPHeaders
from friendserve.iostream.buffers import FilePiece
from friendserve.log import app_log
from friendserve.protocol.http1 import REASONS
from friendserve.web import Application
from friendserve.wsgi.environ import BodyIncomplete, BodyTooLarge, read_environ

_CHUNK = 65536

DEFAULT_MAX_BODY_SIZE = 100 * 1024 * 1024


class WSGIAdapter(object):
    """A `friendserve.web.Application` as a WSGI application.

        application = WSGIAdapter(Application([("/", MainHandler)]))

    ``gunicorn module:application`` runs it.

    Handlers answer before their method returns: `@asynchronous` methods, coroutines and WebSockets
    need our own server; those that have not finished are answered with 500. A body longer than
    `max_body_size` bytes is answered with 413; it is read whole before the handler is called.
    """
    def __init__(self, application, max_body_size=DEFAULT_MAX_BODY_SIZE):
        self.application = application
        self.max_body_size = max_body_size

    def __call__(self, environ, start_response):
        connection = _Connection(environ)
        try:
            request = read_environ(environ, connection, self.max_body_size)
        except BodyTooLarge:
            connection.fail(413)
        except BodyIncomplete:
            connection.fail(400)
        else:
            # Of a WSGIApplication too, which is called with an environ itself.
            Application.__call__(self.application, request) \
                if isinstance(self.application, Application) else self.application(request)
            if not connection.finished:
                app_log.error("%r did not finish its response before it returned; under WSGI it "
                              "must", request)
                connection = _Connection(environ)
                connection.fail(500)
        start_response(connection.status, connection.headers)
        return connection.body


class WSGIApplication(Application):
    """An Application that is a WSGI application itself, see `WSGIAdapter`."""

    def __call__(self, environ, start_response):
        return WSGIAdapter(self)(environ, start_response)


class _Connection(object):
    """Collects one response; what a handler sees of a connection."""
    stream = None               # there is none
    no_keep_alive = True

    def __init__(self, environ):
        self.method = environ["REQUEST_METHOD"]
        self.remote_ip = environ.get("REMOTE_ADDR", "")
        self.protocol = environ["wsgi.url_scheme"]
        self.status = None          # as for start_response
        self.headers = None
        self.body = []
        self.finished = False

    def respond(self, status, reason, headers, body):
        self._start(status, reason, headers)
        self._add(body, len(body))
        self.finished = True

    def fail(self, status):
        """Respond with the reason for this status as the page."""
        self.respond(status, REASONS[status], HTTPHeaders({"Content-Type": "text/plain"}),
                     REASONS[status].encode("ascii"))

    def write_headers(self, start_line, headers, chunk=None, callback=None):
        self._start(start_line.code, start_line.reason, headers)
        if chunk:
            self._add(chunk)

    def write(self, chunk, callback=None):
        self._add(chunk)

    def finish(self):
        self.finished = True

    def _start(self, status, reason, headers):
        self.status = "%d %s" % (status, reason)
        self.headers = [(name, value) for name, value in headers.get_all()
                        if name not in ("Transfer-Encoding", "Connection")]
        if status == 204 or status == 304:
            self.method = "HEAD"    # no body either

    def _add(self, chunk, length=None):
        if length is not None and not any(name == "Content-Length" for name, _ in self.headers) \
                and not self.status.startswith(("204", "304")):
            self.headers.append(("Content-Length", str(length)))
        if type(chunk) is FilePiece:
            if self.method == "HEAD":
                chunk.file.close()
            else:
                self.body = _File(chunk)
        elif chunk and self.method != "HEAD":
            self.body.append(chunk)

    # Nothing happens to a connection while a handler runs.

    def set_close_callback(self, callback):
        pass

    set_stop_callback = set_close_callback

    def close(self):
        # An error page can no longer be sent.
        self.finished = False

    def pause_reading(self):
        pass

    resume_reading = pause_reading


class _File(object):
    """The bytes of a FilePiece, read as the server asks for them."""

    def __init__(self, piece):
        self._piece = piece

    def __iter__(self):
        return self

    def __next__(self):
        piece = self._piece
        if not piece.size:
            raise StopIteration
        data = piece.read(_CHUNK)
        piece.start += len(data)
        piece.size -= len(data)
        return data

    next = __next__  # version: py2

    def close(self):
        self._piece.file.close()
