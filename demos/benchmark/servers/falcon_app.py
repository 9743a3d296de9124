"""The falcon application that bjoern and fastwsgi serve."""
from __future__ import absolute_import, division, print_function

import falcon


class Hello(object):
    def on_get(self, request, response, name="world"):
        response.content_type = falcon.MEDIA_TEXT
        response.text = "Hello, %s!" % name


application = falcon.App()
application.add_route("/", Hello())
application.add_route("/hello/{name}", Hello())
