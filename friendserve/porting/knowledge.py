"""What porters must know: names of Tornado that are missing here, or that behave differently.

This is data: `checking` reports the names that it finds in a program, and `alias` refuses the
modules. A name is reported as missing only while this package lacks it. Each text says what differs
and what to do.
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

#: Modules of Tornado that are missing here, and what to do.
GIVEN_UP = {
    "epoll": "the loop has its own pollers; nothing needs it",
    "s3server": "it was a demo; copy it from Tornado's source distribution",
    "speedups": "there is no compiled code; pip install friendserve[speedups] is faster",
    "win32_support": "use platform.windows",
}

_OLD_PROTOCOL = "only RFC 6455 is supported, which browsers have had since 2012; remove it"
_FUNCTION = "it is a function that returns a Future; yield it"
_MYSQL = "the conversions are those of PyMySQL or mysqlclient; convert in the program"
_HANDSHAKE = "override on_message, or use the callbacks of websocket_connect"
_REMOVE = "remove it"

#: Names that are missing: {name: what to do}. Members of classes have three parts.
GONE = {
    "database.FIELD_TYPE": _MYSQL,
    "database.FLAG": _MYSQL,
    "escape.bytes": "use the built-in bytes",
    "gen.Multi.get_result": _FUNCTION,
    "gen.Multi.is_ready": _FUNCTION,
    "gen.Multi.start": _FUNCTION,
    "gen.Task.get_result": _FUNCTION,
    "gen.Task.is_ready": _FUNCTION,
    "gen.Task.start": _FUNCTION,
    "http1connection.HTTP1Connection":
        "use HTTP1ServerConnection, HTTPServer or AsyncHTTPClient",
    "http1connection.HTTP1ServerConnection.start_serving":
        "HTTPServer starts its connections; override HTTPServer.start_request",
    "httpserver.HTTPServer.configurable_base": "there is one HTTPServer; subclass it",
    "httpserver.HTTPServer.configurable_default": "there is one HTTPServer; subclass it",
    "httputil.doctests": _REMOVE,
    "iostream.doctests": _REMOVE,
    "netutil.SSLCertificateError": "use ssl.CertificateError",
    "netutil.ssl_match_hostname": "the SSLContext checks host names; remove it",
    "platform.common.Waker": "call IOLoop.add_callback, which wakes the loop from any thread",
    "platform.windows.HANDLE_FLAG_INHERIT": "use set_close_exec",
    "platform.windows.SetHandleInformation": "use set_close_exec",
    "process.CalledProcessError": "import it from subprocess",
    "simple_httpclient.CertificateError": "import it from ssl",
    "simple_httpclient.match_hostname": "the SSLContext checks host names; remove it",
    "util.doctests": _REMOVE,
    "websocket.WebSocketClientConnection.data_received": _HANDSHAKE,
    "websocket.WebSocketClientConnection.finish": _HANDSHAKE,
    "websocket.WebSocketClientConnection.get_websocket_protocol": _HANDSHAKE,
    "websocket.WebSocketClientConnection.headers_received": _HANDSHAKE,
    "websocket.WebSocketClientConnection.on_connection_close": _HANDSHAKE,
    "websocket.WebSocketHandler.get_websocket_protocol": "ws_connection is the protocol's object",
    "websocket.WebSocketProtocol": _OLD_PROTOCOL,
    "websocket.WebSocketProtocol13.accept_connection":
        "the handler makes the handshake; override prepare, check_origin or select_subprotocol",
    "websocket.WebSocketProtocol13.periodic_ping":
        "use the settings websocket_ping_interval and websocket_ping_timeout",
    "websocket.WebSocketProtocol76": _OLD_PROTOCOL,
    "websocket.WebSocketRequest": _OLD_PROTOCOL,
}

#: Names that a subclass may define, but that are never called here: {name: (code, text)}.
NOT_CALLED = {
    "websocket.WebSocketHandler.get_websocket_protocol":
        ("FS310", "it is not called; there is one protocol, RFC 6455"),
    "websocket.WebSocketHandler.allow_draft76": ("FS911", "it is not called: " + _OLD_PROTOCOL),
}

#: Names that exist and behave differently, where they are used or defined: {name: (code, text)}.
DIFFERS = {
    "iostream.BaseIOStream.read_from_fd":
        ("FS320", "takes no buffer and returns the bytes, as up to Tornado 4.5; drop the argument"),
    "iostream.SSLIOStream":
        ("FS904", "verifies certificates and host names unless ssl_options say "
                  "cert_reqs=ssl.CERT_NONE"),
}

#: Names that work only under the alias: {name: text}.
ALIAS_ONLY = {
    "netutil.TCPServer": "after rewrite, import it from friendserve.tcpserver",
    "httputil.parse_body_arguments":
        "after rewrite, catch HTTPInputError for a malformed body, where Tornado logs",
    "httputil.parse_multipart_form_data":
        "after rewrite, catch HTTPInputError for a malformed body, where Tornado logs",
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

#: The last release with callbacks; programs that require a later one cannot be served.
LAST = (5, 1, 1)
