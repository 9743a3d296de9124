"""Names that programs for Tornado import, call or override do what they expect (row B341)."""
from __future__ import absolute_import, division, print_function

import datetime
import logging
import os
import sys
import unittest

import six

from friendserve import (
    autoreload, database, escape, gen, httpclient, httpserver, options, simple_httpclient, util,
    web)
from friendserve.concurrent import Future
from friendserve.httpserver import HTTPServer
from friendserve.httputil import HTTPHeaders, HTTPMessageDelegate
from friendserve.ioloop import IOLoop, PeriodicCallback
from friendserve.locale import get_supported_locales
from friendserve.netutil import bind_sockets
from friendserve.stack_context import ExceptionStackContext, StackContext
from friendserve.template import Loader
from friendserve.web import (
    Application, Finish, HTTPError, RequestHandler, URLSpec, stream_request_body)
from friendserve.websocket import WebSocketHandler, WebSocketProtocol13
from tests import PATIENCE
from tests.httpcase import Delegate, HTTPCase, echo, get, post, post_chunked
from tests.loopcase import LogCatcher
from tests.webcase import WebCase, request

FOLDER = os.path.dirname(os.path.abspath(__file__))


class HelperTest(unittest.TestCase):
    def test_p34_types(self):
        self.assertEqual((bytes, six.text_type, not six.PY2),
                         (util.bytes_type, util.unicode_type, util.PY3))
        self.assertIsInstance("", util.basestring_type)
        self.assertIsInstance(u"", util.basestring_type)
        self.assertIs(util.unicode_type, escape.unicode_type)
        self.assertIs(util.basestring_type, escape.basestring_type)
        self.assertEqual(u"\u00e9", escape._unicode(b"\xc3\xa9"))

    def test_p34_literals(self):
        self.assertEqual(b"a\xff", util.b("a\xff"))
        self.assertEqual(u"a\u00e9", util.u("a\u00e9"))
        self.assertIsInstance(util.u("a"), six.text_type)

    def test_p34_functions(self):
        self.assertEqual(1.5, util.timedelta_to_seconds(datetime.timedelta(seconds=1.5)))
        self.assertIs(False, util.is_finalizing())
        names = {}
        util.exec_in("x = 1 / 2 if False else 3", names)
        util.exec_in(compile("y = x", "<here>", "exec"), names)
        self.assertEqual((3, 3), (names["x"], names["y"]))
        try:
            raise KeyError("raised")
        except KeyError:
            exc_info = sys.exc_info()
        with self.assertRaises(KeyError) as raised:
            util.raise_exc_info(exc_info)
        self.assertIs(exc_info[1], raised.exception)

    def test_p34_private_names(self):
        self.assertTrue(web._time_independent_equals("a", u"a"))
        self.assertFalse(web._time_independent_equals(u"\u00e9", b"e"))
        for formatter in (options._LogFormatter(False), options._LogFormatter(color=False)):
            record = logging.LogRecord("a", 20, "b.py", 1, "hello %s", ("you",), None)
            self.assertIn("hello you", formatter.format(record))
        file = simple_httpclient._DEFAULT_CA_CERTS
        self.assertTrue(file is None or os.path.exists(file))

    def test_p34_old_names(self):
        self.assertIs(httpclient.AsyncHTTPClient, httpclient.AsyncHTTPClient2)
        self.assertIs(httpclient.HTTPTransferError, httpclient.CurlError)
        self.assertEqual(get_supported_locales(), get_supported_locales(object))
        self.assertEqual((0x80, 0x40, 0x20, 0x10, 0x70, 0x0f), (
            WebSocketProtocol13.FIN, WebSocketProtocol13.RSV1, WebSocketProtocol13.RSV2,
            WebSocketProtocol13.RSV3, WebSocketProtocol13.RSV_MASK,
            WebSocketProtocol13.OPCODE_MASK))
        self.assertIs(RequestHandler, URLSpec("/", handler_class=RequestHandler).handler_class)
        with self.assertRaises(TypeError):
            URLSpec("/")

    def test_p34_update_of_headers_keeps_values_apart(self):
        headers = HTTPHeaders({"A": "1", "B": "2"})
        other = HTTPHeaders()
        other.add("a", "3")
        other.add("a", "4")
        headers.update(other, c="5")
        headers.update([("D", "6")])
        headers.update({"b": "7"})
        other.add("a", "not here")
        self.assertEqual([("A", "3"), ("A", "4"), ("B", "7"), ("C", "5"), ("D", "6")],
                         sorted(headers.get_all()))

    def test_p34_a_loop_that_lacks_a_method_says_so(self):
        class Loop(IOLoop):
            def start(self):
                super(Loop, self).start()

        loop = Loop(make_current=False)
        for call in (loop.start, loop.stop, loop.running, loop.close,
                     lambda: loop.add_handler(0, None, 0), lambda: loop.update_handler(0, 0),
                     lambda: loop.remove_handler(0), lambda: loop.add_callback(None),
                     lambda: loop.call_later(0, None), lambda: loop.remove_timeout(None)):
            with self.assertRaises(NotImplementedError) as raised:
                call()
            self.assertIn("Loop does not define", str(raised.exception))

    def test_p34_contexts_are_entered_by_hand(self):
        log = []

        class Manager(object):
            def __enter__(self):
                log.append("enter")

            def __exit__(self, *exc_info):
                log.append(exc_info[0])
                return True

        context = StackContext(Manager)
        context.enter()
        self.assertTrue(context.exit(KeyError, KeyError(), None))
        self.assertEqual(["enter", KeyError], log)
        context = ExceptionStackContext(lambda typ, value, tb: log.append(typ) or True)
        context.enter()
        self.assertTrue(context.exit(ValueError, ValueError(), None))
        self.assertEqual([ValueError], log[2:])


class HandlerTest(WebCase):
    def test_p34_get_error_html_may_call_the_inherited_one(self):
        class Old(RequestHandler):
            def get(self):
                raise HTTPError(404)

            def get_error_html(self, status_code, **kwargs):
                page = super(Old, self).get_error_html(status_code, **kwargs)
                return page.replace("404", "four-oh-four, " + type(kwargs["exception"]).__name__)

        self.serve_app([("/", Old)])
        response = self.ask()
        self.assertEqual(404, response.status)
        self.assertIn(b"four-oh-four, HTTPError: Not Found", response.body)

    def test_p34_handle_request_exception_may_be_overridden(self):
        log = []

        class Own(RequestHandler):
            def get(self, name):
                raise {"key": KeyError, "finish": Finish, "http": HTTPError}[name]()

            def _handle_request_exception(self, e):
                log.append((type(e), sys.exc_info()[1] is e))
                if isinstance(e, KeyError):
                    self.set_status(402)
                    self.finish("own")
                else:
                    super(Own, self)._handle_request_exception(e)

        self.serve_app([("/(.*)", Own)])
        self.assertEqual((402, b"own"), (self.ask("/key").status, self.ask("/key").body))
        self.assertEqual(200, self.ask("/finish").status)
        self.assertEqual(500, self.ask("/http").status)
        self.assertEqual([(KeyError, True)] * 2 + [(Finish, True), (HTTPError, True)], log)

    def test_p34_an_exception_of_that_override_closes_the_connection(self):
        class Own(RequestHandler):
            def get(self):
                raise KeyError()

            def _handle_request_exception(self, e):
                raise ValueError("from the override")

        self.serve_app([("/", Own)])
        self.assertEqual(b"", self.connect(data=request()).read_rest())

    def test_p34_log_and_request_summary_may_be_overridden(self):
        log = []

        class Own(RequestHandler):
            def get(self, name):
                self.write(name)

            def _log(self):
                log.append(self.get_status())
                if self.get_argument("all", None):
                    super(Own, self)._log()

            def _request_summary(self):
                return "a request"

        self.serve_app([("/(.*)", Own)])
        self.ask("/quiet")
        self.assertEqual([], self.logged(access=True))
        self.ask("/?all=1")
        self.assertEqual([200, 200], log)
        self.assertEqual(1, len(self.logged(access=True)))
        self.assertIn("200 a request", self.logged(access=True)[0])

    def test_p34_template_loaders_can_be_emptied(self):
        made = []

        class Own(RequestHandler):
            def get(self):
                self.application.get_template_loader(FOLDER, self)
                made.append(RequestHandler._template_loaders[FOLDER])
                with RequestHandler._template_loader_lock:
                    RequestHandler._template_loaders.clear()

        self.serve_app([("/", Own)])
        self.ask()
        self.ask()
        self.assertIsInstance(made[0], Loader)
        self.assertIsNot(made[0], made[1])
        # Loaders that depend on settings are those of one application.
        plain, other = Application(), Application(autoescape=None)
        handler = type(str("Handler"), (RequestHandler,), {})(plain, None)
        self.assertEqual("xhtml_escape", plain.get_template_loader(FOLDER, handler).autoescape)
        handler = type(str("Handler"), (RequestHandler,), {})(other, None)
        self.assertIsNone(other.get_template_loader(FOLDER, handler).autoescape)
        RequestHandler._template_loaders.clear()

    def test_p34_clear_headers_for_304(self):
        class Own(RequestHandler):
            def get(self):
                self.set_header("Content-Language", "de")
                self._clear_headers_for_304()

        self.serve_app([("/", Own)])
        response = self.ask()
        self.assertEqual(200, response.status)
        self.assertNotIn("Content-Language", response.headers)

    def test_p34_cookies_without_a_name_are_refused(self):
        class Own(RequestHandler):
            def get(self):
                value = self.create_signed_value("a", "1")
                self.write(self.get_secure_cookie("a", include_name=True, value=value))
                with_error = self.get_argument("no", None)
                if with_error:
                    self.get_secure_cookie("a", include_name=False)

        self.serve_app([("/", Own)], cookie_secret="secret")
        self.assertEqual(b"1", self.ask().body)
        self.assertEqual(500, self.ask("/?no=1").status)

    def test_p34_the_scheme_of_a_websocket(self):
        for protocol, scheme in [("https", "wss"), ("http", "ws")]:
            class Request(object):
                pass

            Request.protocol = protocol
            handler = WebSocketHandler(Application(), Request)
            self.assertEqual(scheme, handler.get_websocket_scheme())


class ServerTest(HTTPCase):
    def use(self, server):
        """Let this server, of a class of one's own, serve."""
        sock, = bind_sockets(0, "127.0.0.1")
        server.add_socket(sock)
        server.address = sock.getsockname()
        self.addCleanup(self.close_server, server)
        self.server = server

    def test_p34_a_bad_request_exception_is_answered_with_400(self):
        def refuse(request):
            raise httpserver._BadRequestException("no")

        self.serve(refuse)
        self.assertEqual(400, self.fetch(get()).status)

    def test_p34_initialize_of_a_server_may_be_overridden(self):
        class Own(HTTPServer):
            def initialize(self, request_callback, *args, **kwargs):
                self.seen = args, kwargs.pop("own")
                super(Own, self).initialize(request_callback, *args, **kwargs)

        self.use(Own(echo, True, own="mine", xheaders=True))
        self.assertEqual(((True,), "mine"), self.server.seen)
        self.assertTrue(self.server.params.no_keep_alive)
        self.assertTrue(self.server.xheaders)
        self.assertEqual(b"abc", self.fetch(post(b"abc")).body)

    def make_own(self, callback):
        class Message(HTTPMessageDelegate):
            def __init__(self, inner):
                self.inner = inner

            def headers_received(self, start_line, headers):
                log.append(start_line.path)
                self.inner.headers_received(start_line, headers)

            def data_received(self, chunk):
                log.append(chunk)
                self.inner.data_received(chunk)

            def finish(self):
                log.append("finish")
                self.inner.finish()

            def on_connection_close(self):
                log.append("closed")
                self.inner.on_connection_close()

        class Own(HTTPServer):
            def start_request(self, server_conn, request_conn):
                return Message(super(Own, self).start_request(server_conn, request_conn))

        log = self.log = []
        self.use(Own(callback))

    def test_p34_start_request_of_a_server_may_be_overridden(self):
        delegate = Delegate()
        for callback in (echo, delegate):
            self.make_own(callback)
            self.assertEqual(b"abc", self.fetch(post(b"abc", "/a")).body)
            self.assertEqual(["/a", b"abc", "finish"], self.log)
            self.assertEqual(b"", self.fetch(get("/b")).body)
            self.assertEqual(["/b", "finish"], self.log[3:])
        self.run_until(lambda: len(delegate.closed) == 2)

    def test_p34_start_request_of_a_server_of_an_application(self):
        @stream_request_body
        class Pieces(RequestHandler):
            def prepare(self):
                self.pieces = []

            def data_received(self, chunk):
                self.pieces.append(chunk)

            def post(self):
                self.write(b"".join(self.pieces))

            def get(self):
                self.write("nothing")

            def on_connection_close(self):
                lost.append(b"".join(self.pieces))

        class Whole(RequestHandler):
            def post(self):
                self.write(self.request.body)

        lost = []
        self.make_own(Application([("/pieces", Pieces), ("/whole", Whole)]))
        self.assertEqual(b"abc", self.fetch(post_chunked(b"ab", b"c", path="/pieces")).body)
        self.assertEqual(b"nothing", self.fetch(get("/pieces")).body)
        self.assertEqual(b"abc", self.fetch(post_chunked(b"ab", b"c", path="/whole")).body)
        self.assertEqual(404, self.fetch(get("/other")).status)
        client = self.connect(data=post(b"ab", "/pieces")[:-1])
        self.run_until(lambda: isinstance(self.log[-1], bytes) and self.log[-1] == b"a")
        client.close()
        self.run_until(lambda: lost)
        self.assertEqual([b"a"], lost)


class PositionTest(unittest.TestCase):
    """Arguments by position, where Tornado 5 has none for the loop."""

    def setUp(self):
        self.loop = IOLoop(make_current=True)
        self.addCleanup(self.loop.close)

    def test_p34_jitter(self):
        periodic = PeriodicCallback(self.loop.stop, 1, 0.1)
        self.assertEqual((0.1, None), (periodic.jitter, periodic.io_loop))
        periodic.start()
        self.loop.start()
        self.assertIs(self.loop, PeriodicCallback(None, 1, self.loop).io_loop)

    def test_p34_check_time_of_autoreload(self):
        self.addCleanup(setattr, autoreload, "_watcher", None)
        autoreload.start(1000)
        self.assertIs(self.loop, autoreload._watcher.io_loop)
        autoreload._watcher.stop()

    def test_p34_quiet_exceptions_of_with_timeout(self):
        late = Future()
        with LogCatcher() as records:
            with self.assertRaises(gen.TimeoutError):
                self.loop.run_sync(lambda: gen.with_timeout(datetime.timedelta(0), late, KeyError),
                                   timeout=PATIENCE)
            late.set_exception(KeyError())
            self.loop.run_sync(lambda: gen.sleep(0), timeout=PATIENCE)
        self.assertEqual([], records)


class DatabaseTest(unittest.TestCase):
    def test_p34_keywords_of_statements(self):
        connection = database.connect("sqlite://:memory:")
        self.addCleanup(connection.close)
        connection.execute(query="CREATE TABLE a (b INTEGER)")
        connection.executemany(query="INSERT INTO a VALUES (%s)", parameters=[[1], [2]])
        self.assertEqual([1, 2], [row.b for row in connection.query(query="SELECT b FROM a")])
        self.assertIsInstance(database.CONVERSIONS, dict)
        self.assertIsInstance(database.field_types, list)


if __name__ == "__main__":
    unittest.main()
