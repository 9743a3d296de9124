"""The application of friendserve_metrics.py."""
from __future__ import absolute_import, division, print_function

from friendserve.web import Application, RequestHandler


class MainHandler(RequestHandler):
    def get(self):
        self.write("Hello, world!")


application = Application([("/", MainHandler)])
