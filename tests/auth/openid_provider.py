"""A provider of OpenID 2.0: python-openid and its successor python3-openid, as an application."""
from __future__ import absolute_import, division, print_function

from openid.extensions import ax
from openid.server.server import Server
from openid.store.memstore import MemoryStore
from six.moves.urllib.parse import parse_qsl

from friendserve.web import Application, RequestHandler

USER = {"http://axschema.org/contact/email": u"ann@example.com",
        "http://axschema.org/namePerson/first": u"Ann",
        "http://axschema.org/namePerson/last": u"Example",
        "http://axschema.org/pref/language": u"DE",
        "http://axschema.org/namePerson/friendly": u"ann"}


class Endpoint(RequestHandler):
    """The endpoint, for browsers and for sites; `answer` says what the user clicks."""
    def get(self):
        fields = dict(parse_qsl(self.request.query, keep_blank_values=True))
        answer = fields.pop("answer", None)
        server = self.application.server
        request = server.decodeRequest(fields)
        if answer is None:
            self.write('<a id="yes" href="?%s&amp;answer=yes">Sign in as Ann</a>'
                       % self.request.query.replace("&", "&amp;"))
        elif answer == "no":
            self.send(server.encodeResponse(request.answer(False)))
        else:
            response = request.answer(True, identity=self.application.identity)
            asked = ax.FetchRequest.fromOpenIDRequest(request)
            if asked is not None:
                reply = ax.FetchResponse(asked)
                for uri in asked.requested_attributes:
                    if uri in USER:
                        reply.addValue(uri, USER[uri])
                response.addExtension(reply)
            self.send(server.encodeResponse(response))

    def post(self):
        server = self.application.server
        fields = dict(parse_qsl(self.request.body.decode("ascii"), keep_blank_values=True))
        self.application.asked.append(fields)
        self.send(server.encodeResponse(server.handleRequest(server.decodeRequest(fields))))

    def send(self, response):
        self.set_status(response.code)
        for name, value in response.headers.items():
            self.set_header(name, value)
        self.finish(response.body)


def make_provider():
    application = Application([("/openid", Endpoint)])
    application.asked = []
    return application


def set_url(application, url):
    """Tell a provider its URL."""
    application.server = Server(MemoryStore(), url + "/openid")
    application.identity = url + "/id/ann"
