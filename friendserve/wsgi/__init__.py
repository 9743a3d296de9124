"""WSGI (PEP 3333), both ways: WSGI applications on our server, and our applications on theirs.

    from friendserve.httpserver import HTTPServer
    from friendserve.wsgi import WSGIContainer

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    HTTPServer(WSGIContainer(application)).listen(8888)
"""
from __future__ import absolute_import, division, print_function

from friendserve.util import set_public_module
from friendserve.wsgi.adapter import WSGIAdapter, WSGIApplication
from friendserve.wsgi.container import WSGIContainer
from friendserve.wsgi.environ import HTTPRequest, from_wsgi_str, to_wsgi_str

__all__ = ["HTTPRequest", "WSGIAdapter", "WSGIApplication", "WSGIContainer", "from_wsgi_str",
           "to_wsgi_str"]

set_public_module(globals())
