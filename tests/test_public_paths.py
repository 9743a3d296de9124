"""Every public name can be imported from where version 0.1.0 had it, wherever it is defined
today."""
from __future__ import absolute_import, division, print_function

import importlib
import pickle
import unittest

#: The public names of each module.
NAMES = {
    "friendserve.autoreload":
        "add_reload_hook main start wait watch",
    "friendserve.curl_httpclient":
        "CurlAsyncHTTPClient CurlError curl_log",
    "friendserve.database":
        "Connection DataError DatabaseError Error IntegrityError InterfaceError "
        "InternalError NotSupportedError OperationalError OutcomeUnknown Pool "
        "ProgrammingError Row Unavailable connect",
    "friendserve.escape":
        "json_decode json_encode linkify native_str parse_qs_bytes recursive_unicode "
        "squeeze to_basestring to_unicode url_escape url_unescape utf8 xhtml_escape "
        "xhtml_unescape",
    "friendserve.feed":
        "Batch Feed FeedError FeedOutcomeUnknown FeedUnavailable LocalFeed Message "
        "RedisFeed open_feed",
    "friendserve.http1connection":
        "HTTP1ConnectionParameters HTTP1ServerConnection",
    "friendserve.httpclient":
        "AsyncHTTPClient HTTPClient HTTPClientClosedError HTTPClientError HTTPConnectError "
        "HTTPError HTTPProtocolError HTTPRequest HTTPResponse HTTPStreamClosedError "
        "HTTPTLSError HTTPTimeoutError HTTPTransferError encode_multipart_formdata main",
    "friendserve.httpserver":
        "HTTP1ConnectionParameters HTTPConnection HTTPRequest HTTPServer",
    "friendserve.httputil":
        "HTTPConnection HTTPFile HTTPHeaders HTTPInputError HTTPMessageDelegate "
        "HTTPOutputError HTTPServerConnectionDelegate HTTPServerRequest RequestStartLine "
        "ResponseStartLine basic_credentials encode_multipart_formdata "
        "encode_username_password format_timestamp parse_body_arguments parse_cookie "
        "parse_multipart_form_data parse_request_start_line parse_response_start_line "
        "qs_to_qsl split_host_and_port url_concat",
    "friendserve.ioloop":
        "IOLoop PeriodicCallback PollIOLoop TimeoutError",
    "friendserve.iostream":
        "BaseIOStream IOStream PipeIOStream SSLIOStream StreamBufferFullError "
        "StreamClosedError UnsatisfiableReadError",
    "friendserve.locale":
        "CONTEXT_SEPARATOR CSVLocale GettextLocale LOCALE_NAMES Locale get "
        "get_supported_locales load_gettext_translations load_translations "
        "set_default_locale",
    "friendserve.log":
        "JSONFormatter LogFormatter access_log app_log define_logging_options "
        "enable_pretty_logging escape_controls gen_log",
    "friendserve.netutil":
        "BlockingResolver CachedResolver DefaultExecutorResolver ExecutorResolver "
        "OverrideResolver Resolver ThreadedResolver add_accept_handler bind_sockets "
        "bind_unix_socket is_valid_ip ssl_options_to_context ssl_wrap_socket",
    "friendserve.options":
        "Error OptionParser add_parse_callback define enable_pretty_logging options "
        "parse_command_line parse_config_file parse_environment print_help",
    "friendserve.platform.asyncio":
        "AnyThreadEventLoopPolicy AsyncIOLoop AsyncIOMainLoop BaseAsyncIOLoop IOLoopEventLoop",
    "friendserve.platform.auto":
        "Waker available_pollers make_poller set_close_exec",
    "friendserve.platform.caresresolver":
        "CaresResolver",
    "friendserve.platform.common":
        "try_close",
    "friendserve.platform.epoll":
        "EPollIOLoop",
    "friendserve.platform.interface":
        "Waker monotonic_time set_close_exec",
    "friendserve.platform.kqueue":
        "KQueueIOLoop",
    "friendserve.platform.posix":
        "Waker set_close_exec",
    "friendserve.platform.select":
        "SelectIOLoop",
    "friendserve.platform.twisted":
        "IOLoopReactor TornadoReactor TwistedIOLoop TwistedResolver install",
    "friendserve.platform.windows":
        "Waker set_close_exec",
    "friendserve.protocol.cookies":
        "CookieError DEFAULT_SIGNED_VALUE_MIN_VERSION DEFAULT_SIGNED_VALUE_VERSION "
        "MAX_SUPPORTED_SIGNED_VALUE_VERSION MIN_SUPPORTED_SIGNED_VALUE_VERSION "
        "create_signed_value decode_signed_value format_set_cookie "
        "get_signature_key_version parse_cookie",
    "friendserve.protocol.errors":
        "HTTPInputError HTTPOutputError ProtocolError WebSocketInputError",
    "friendserve.protocol.forms":
        "MAX_FIELDS parse_header_value parse_urlencoded",
    "friendserve.protocol.multipart":
        "HTTPFile MAX_FIELD_BYTES MAX_PARTS MAX_PART_HEADER MultipartParser PART_END Part "
        "encode_multipart parse_multipart",
    "friendserve.routing":
        "AnyMatches DefaultHostMatches HostMatches Matcher PathMatches ReversibleRouter "
        "ReversibleRuleRouter Router Rule RuleRouter URLSpec",
    "friendserve.simple_httpclient":
        "HTTPStreamClosedError HTTPTimeoutError SimpleAsyncHTTPClient",
    "friendserve.stack_context":
        "ExceptionStackContext NullContext StackContext StackContextInconsistentError "
        "run_with_stack_context state unwrap wrap",
    "friendserve.tcpclient":
        "TCPClient",
    "friendserve.tcpserver":
        "TCPServer",
    "friendserve.template":
        "BaseLoader DictLoader Loader ParseError Template filter_whitespace",
    "friendserve.util":
        "ArgReplacer Configurable GzipDecompressor ObjectDict TimeoutError "
        "errno_from_exception format_timestamp import_object re_unescape",
    "friendserve.web":
        "Application ChunkedTransferEncoding DEFAULT_SIGNED_VALUE_MIN_VERSION "
        "DEFAULT_SIGNED_VALUE_VERSION ErrorHandler EventStreamHandler FallbackHandler "
        "Finish GZipContentEncoding HTTPError MAX_SUPPORTED_SIGNED_VALUE_VERSION "
        "MIN_SUPPORTED_SIGNED_VALUE_VERSION MissingArgumentError OutputTransform "
        "RedirectHandler RequestHandler StaticFileHandler TemplateModule UIModule URLSpec "
        "Upload UploadHandler addslash asynchronous authenticated create_signed_value "
        "decode_signed_value get_signature_key_version is_absolute is_safe_next removeslash "
        "stream_request_body url",
    "friendserve.websocket":
        "WebSocketClientConnection WebSocketClosedError WebSocketError WebSocketHandler "
        "WebSocketProtocol13 websocket_connect",
}

#: The third-party package, or part of a newer Python, that a module needs.
NEEDS = {"friendserve.curl_httpclient": "pycurl", "friendserve.platform.asyncio": "asyncio",
         "friendserve.platform.caresresolver": "pycares",
         "friendserve.platform.twisted": "twisted"}


def _is_missing(package):
    try:
        importlib.import_module(package)
    except ImportError:
        return True
    return False


class PublicPathsTest(unittest.TestCase):
    def check(self, path):
        if path in NEEDS and _is_missing(NEEDS[path]):
            self.assertRaises(ImportError, importlib.import_module, path)
            return
        module = importlib.import_module(path)
        for name in NAMES[path].split():
            self.assertTrue(hasattr(module, name), "%s has no %s" % (path, name))
            thing = getattr(module, name)
            if isinstance(thing, type):
                # Pickles use this name, which old versions can find too.
                self.assertIs(thing, pickle.loads(pickle.dumps(thing, 2)))


def _make_test(path):
    def test(self):
        self.check(path)

    test.__name__ = "test_" + path.replace(".", "_")
    return test


for _path in NAMES:
    setattr(PublicPathsTest, "test_" + _path.replace(".", "_"), _make_test(_path))


if __name__ == "__main__":
    unittest.main()
