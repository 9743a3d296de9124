"""AsyncSentryClient and SentryMixin: an error in a handler reaches a server."""
from __future__ import absolute_import, division, print_function

from raven.contrib.tornado import AsyncSentryClient, SentryMixin
from scenario import equal, fetch, pause, serve
from tornado.web import Application, RequestHandler

events = []


class Store(RequestHandler):
    def post(self):
        events.append((self.request.headers["X-Sentry-Auth"], len(self.request.body)))


class Failing(SentryMixin, RequestHandler):
    def get(self):
        1 / 0


store = serve([("/api/1/store/", Store)])
application = Application([("/", Failing)])
application.sentry_client = AsyncSentryClient("http://key:secret@127.0.0.1:%d/1" % store)
port = serve(application)
equal(500, fetch(port, "/").code)
for _ in range(50):
    if not events:
        pause(0.1)
equal(1, len(events))
assert "sentry_key=key" in events[0][0]
