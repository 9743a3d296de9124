"""A preflight request and a GET."""
from __future__ import absolute_import, division, print_function

from scenario import equal, fetch, serve
from tornado.web import RequestHandler
from tornado_cors import CorsMixin


class Handler(CorsMixin, RequestHandler):
    CORS_ORIGIN = "*"
    CORS_HEADERS = "Content-Type"

    def get(self):
        self.write("page")


port = serve([("/", Handler)])
response = fetch(port, "/", method="OPTIONS")
equal(204, response.code)
equal("GET, OPTIONS", response.headers["Access-Control-Allow-Methods"])
response = fetch(port, "/")
equal((b"page", "*"), (response.body, response.headers["Access-Control-Allow-Origin"]))
