"""Web applications: handlers, and the Application that finds the handler for each request.

    from friendserve.ioloop import IOLoop
    from friendserve.web import Application, RequestHandler

    class MainHandler(RequestHandler):
        def get(self):
            self.write("Hello, world")

    Application([(r"/", MainHandler)]).listen(8888)
    IOLoop.instance().start()

Besides `Application` and `URLSpec`, an entry in its list of URLs:

- Handlers to subclass: `RequestHandler`, `EventStreamHandler` for Server-Sent Events,
  `UploadHandler` for forms with large files. Handlers to use as they are: `StaticFileHandler`,
  `RedirectHandler`, `ErrorHandler`, `FallbackHandler`.
- Decorators of methods: `asynchronous`, `authenticated`, `addslash`, `removeslash`; of classes:
  `stream_request_body`.
- Exceptions that end a request: `HTTPError`, `MissingArgumentError`, `Finish`.
- For pages: `UIModule`, `TemplateModule`.
- Transforms of responses: `OutputTransform`, `GZipContentEncoding`.
- Signed values: `create_signed_value`, `decode_signed_value`, `get_signature_key_version`.
- URLs from clients: `is_safe_next`, whether a redirect to it stays on this host.
"""
from __future__ import absolute_import, division, print_function

from friendserve.protocol.cookies import (
    DEFAULT_SIGNED_VALUE_MIN_VERSION, DEFAULT_SIGNED_VALUE_VERSION,
    MAX_SUPPORTED_SIGNED_VALUE_VERSION, MIN_SUPPORTED_SIGNED_VALUE_VERSION, create_signed_value,
    decode_signed_value, get_signature_key_version)
from friendserve.protocol.cookies import _time_independent_equals  # noqa: F401 - old programs do
from friendserve.protocol.urls import is_safe_next
from friendserve.routing import URLSpec
from friendserve.util import set_public_module
from friendserve.web.application import Application, ErrorHandler, FallbackHandler, RedirectHandler
from friendserve.web.decorators import (
    addslash, asynchronous, authenticated, removeslash, stream_request_body)
from friendserve.web.errors import Finish, HTTPError, MissingArgumentError
from friendserve.web.eventstream import EventStreamHandler
from friendserve.web.handler import RequestHandler
from friendserve.web.page import is_absolute
from friendserve.web.static import StaticFileHandler
from friendserve.web.transforms import ChunkedTransferEncoding, GZipContentEncoding, OutputTransform
from friendserve.web.uimodule import TemplateModule, UIModule
from friendserve.web.upload import Upload, UploadHandler

url = URLSpec

__all__ = [
    "Application", "ChunkedTransferEncoding", "DEFAULT_SIGNED_VALUE_MIN_VERSION",
    "DEFAULT_SIGNED_VALUE_VERSION", "ErrorHandler", "EventStreamHandler", "FallbackHandler",
    "Finish", "GZipContentEncoding", "HTTPError", "MAX_SUPPORTED_SIGNED_VALUE_VERSION",
    "MIN_SUPPORTED_SIGNED_VALUE_VERSION", "MissingArgumentError", "OutputTransform",
    "RedirectHandler", "RequestHandler", "StaticFileHandler", "TemplateModule", "UIModule",
    "URLSpec", "Upload", "UploadHandler",
    "addslash", "asynchronous", "authenticated", "create_signed_value",
    "decode_signed_value", "get_signature_key_version", "is_absolute", "is_safe_next",
    "removeslash", "stream_request_body", "url"]

set_public_module(globals())
