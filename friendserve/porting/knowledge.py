"""What porters must know: names of Tornado that there are none of here, or that act differently.

This is data; `checking` reports what it finds of it in a program, and `alias` refuses the modules.
A name is reported as missing only while this package lacks it. Each text says what differs and what
to do.
"""
from __future__ import absolute_import, division, print_function

#: What the first digits of a code mean. FS9xx are notes: they do not need a hand.
KINDS = (
    ("FS0", "a file that cannot be read"),
    ("FS1", "modules"),
    ("FS2", "names that friendserve does not have"),
    ("FS3", "private names and names for subclasses"),
    ("FS4", "arguments"),
    ("FS5", "what the alias does and rewrite does not"),
    ("FS9", "notes"),
)

#: Modules of Tornado that there are none of here, and what to do.
GIVEN_UP = {
    "epoll": "the loop has its own pollers; nothing needs it",
    "s3server": "it was a demo; copy it from Tornado's source distribution",
    "speedups": "there is no compiled code; pip install friendserve[speedups] is faster",
    "win32_support": "use platform.windows",
}

_OLD_PROTOCOL = "only RFC 6455 is spoken, which browsers have had since 2012; remove it"
_TASK = "gen.Task is a function that returns a Future; yield it"
_MYSQL = "the conversions are those of PyMySQL or mysqlclient; convert in the program"
_LOOP = "it is a method of the loop that IOLoop() makes, not of the class; subclass PollIOLoop"

#: Names that are missing: {name: what to do}. Members of classes have three parts.
GONE = {
    "database.CONVERSIONS": _MYSQL,
    "database.FIELD_TYPE": _MYSQL,
    "database.FLAG": _MYSQL,
    "database.field_types": _MYSQL,
    "escape.bytes": "use the built-in bytes",
    "escape.bytes_type": "use the built-in bytes",
    "escape.unicode_type": "use six.text_type",
    "escape.basestring_type": "use six.string_types",
    "escape._unicode": "use escape.to_unicode",
    "gen.Multi.get_result": "gen.Multi is a function that returns a Future; yield it",
    "gen.Multi.is_ready": "gen.Multi is a function that returns a Future; yield it",
    "gen.Multi.start": "gen.Multi is a function that returns a Future; yield it",
    "gen.Task.get_result": _TASK,
    "gen.Task.is_ready": _TASK,
    "gen.Task.start": _TASK,
    "http1connection.HTTP1Connection":
        "use HTTP1ServerConnection, HTTPServer or the HTTP clients",
    "http1connection.HTTP1ServerConnection.start_serving":
        "HTTPServer starts its connections; override HTTPServer.handle_stream",
    "httpclient.AsyncHTTPClient.handle_callback_exception":
        "exceptions in callbacks go to IOLoop.handle_callback_exception; override that",
    "httpclient.AsyncHTTPClient2": "use AsyncHTTPClient",
    "httpclient.CurlError": "import it from curl_httpclient",
    "httpserver.HTTPServer.configurable_base": "make the subclass of HTTPServer yourself",
    "httpserver.HTTPServer.configurable_default": "make the subclass of HTTPServer yourself",
    "httpserver.HTTPServer.initialize": "override __init__ and call it with the same arguments",
    "httpserver.HTTPServer.start_request":
        "pass a callback or an HTTPServerConnectionDelegate to HTTPServer",
    "httpserver._BadRequestException": "use httputil.HTTPInputError",
    "httputil.doctests": "remove it",
    "ioloop.IOLoop.add_callback": _LOOP,
    "ioloop.IOLoop.add_handler": _LOOP,
    "ioloop.IOLoop.call_at": _LOOP,
    "ioloop.IOLoop.close": _LOOP,
    "ioloop.IOLoop.remove_handler": _LOOP,
    "ioloop.IOLoop.remove_timeout": _LOOP,
    "ioloop.IOLoop.running": _LOOP,
    "ioloop.IOLoop.start": _LOOP,
    "ioloop.IOLoop.stop": _LOOP,
    "ioloop.IOLoop.update_handler": _LOOP,
    "iostream.doctests": "remove it",
    "netutil.SSLCertificateError": "use ssl.CertificateError",
    "netutil.ssl_match_hostname": "the SSLContext checks host names; remove it",
    "options._LogFormatter": "use log.LogFormatter",
    "platform.common.Waker": "the loop makes its waker; call IOLoop.add_callback from any thread",
    "platform.windows.HANDLE_FLAG_INHERIT": "use set_close_exec",
    "platform.windows.SetHandleInformation": "use set_close_exec",
    "process.CalledProcessError": "import it from subprocess",
    "simple_httpclient.CertificateError": "import it from ssl",
    "simple_httpclient.main": "run python -m friendserve.httpclient",
    "simple_httpclient.match_hostname": "the SSLContext checks host names; remove it",
    "simple_httpclient._DEFAULT_CA_CERTS": "use ssl.create_default_context()",
    "stack_context.ExceptionStackContext.enter": "use it in a with statement",
    "stack_context.ExceptionStackContext.exit": "use it in a with statement",
    "stack_context.StackContext.enter": "use it in a with statement",
    "stack_context.StackContext.exit": "use it in a with statement",
    "util.b": "write b\"...\"",
    "util.u": "write u\"...\"",
    "util.PY3": "use six.PY3",
    "util.basestring_type": "use six.string_types",
    "util.bytes_type": "use the built-in bytes",
    "util.doctests": "remove it",
    "util.exec_in": "use six.exec_",
    "util.raise_exc_info": "use six.reraise(*exc_info)",
    "util.timedelta_to_seconds": "use timedelta.total_seconds()",
    "util.unicode_type": "use six.text_type",
    "web._time_independent_equals": "use hmac.compare_digest",
    "web.RequestHandler._clear_headers_for_304": "set_status(304) leaves them out; remove it",
    "web.RequestHandler._handle_request_exception": "override write_error or log_exception",
    "web.RequestHandler._log": "override Application.log_request",
    "web.RequestHandler._request_summary":
        "write it from request.method, request.uri and request.remote_ip",
    "web.RequestHandler._template_loaders":
        "pass template_loader as a setting, or override create_template_loader",
    "web.RequestHandler.get_error_html":
        "one of the program is still called, but none is inherited; override write_error",
    "websocket.WebSocketClientConnection.data_received": "use on_message_callback",
    "websocket.WebSocketClientConnection.finish": "use close()",
    "websocket.WebSocketClientConnection.get_websocket_protocol": "there is one protocol",
    "websocket.WebSocketClientConnection.headers_received": "use the callback",
    "websocket.WebSocketClientConnection.on_connection_close":
        "on_message_callback is called with None",
    "websocket.WebSocketHandler.get_websocket_protocol":
        "there is one protocol, WebSocketProtocol13",
    "websocket.WebSocketHandler.get_websocket_scheme": "use request.protocol",
    "websocket.WebSocketProtocol": _OLD_PROTOCOL,
    "websocket.WebSocketProtocol13.FIN": "use WebSocketHandler and websocket_connect",
    "websocket.WebSocketProtocol13.accept_connection": "use WebSocketHandler",
    "websocket.WebSocketProtocol13.periodic_ping": "use the setting websocket_ping_interval",
    "websocket.WebSocketProtocol76": _OLD_PROTOCOL,
    "websocket.WebSocketRequest": "use httputil.HTTPServerRequest",
}

#: Names that a subclass may define, but that are never called here: {name: (code, text)}.
NOT_CALLED = {
    "web.RequestHandler._handle_request_exception":
        ("FS310", "it is not called; override write_error or log_exception"),
    "web.RequestHandler._log": ("FS310", "it is not called; override Application.log_request"),
    "web.RequestHandler._clear_headers_for_304": ("FS310", "it is not called; remove it"),
    "web.RequestHandler._request_summary": ("FS310", "it is not called; override log_exception"),
    "httpserver.HTTPServer.initialize":
        ("FS310", "it is not called; override __init__ with the same arguments"),
    "httpserver.HTTPServer.start_request":
        ("FS310", "it is not called; pass an HTTPServerConnectionDelegate"),
    "websocket.WebSocketHandler.get_websocket_protocol":
        ("FS310", "it is not called; there is one protocol"),
    "websocket.WebSocketHandler.allow_draft76":
        ("FS911", "it is not called: " + _OLD_PROTOCOL),
    "websocket.WebSocketHandler.get_websocket_scheme": ("FS911", "it is not called; remove it"),
}

#: Names that exist and act differently: {name: (code, text)}.
DIFFERS = {
    "httputil.parse_multipart_form_data":
        ("FS902", "raises HTTPInputError for a malformed body, where Tornado logs; catch it"),
    "httputil.parse_body_arguments":
        ("FS902", "raises HTTPInputError for a malformed body, where Tornado logs; catch it"),
    "httputil.url_concat": ("FS903", "acts as in Tornado 4: arguments that exist stay"),
    "iostream.SSLIOStream":
        ("FS904", "verifies certificates and host names unless ssl_options say "
                  "cert_reqs=ssl.CERT_NONE"),
}

#: What works under the alias only: {name: text}.
ALIAS_ONLY = {
    "netutil.TCPServer": "after rewrite, import it from friendserve.tcpserver",
    "websocket.websocket_connect":
        "after rewrite, callbacks are called with the connection, under the alias with a Future; "
        "without a callback both return a Future",
    "version": "after rewrite it is the version of friendserve, whose numbers begin at 0.1; "
               "remove the comparison",
    "version_info": "after rewrite it is the version of friendserve, whose numbers begin at 0.1; "
                    "remove the comparison",
}

#: For strings that name a module of Tornado, or require it.
STRING = "it is a string, which rewrite leaves alone; change it by hand if it names a module"
REQUIREMENT = "after rewrite, the requirement is friendserve"

#: The last release with callbacks; what asks for a later one cannot be served.
LAST = (5, 1, 1)
