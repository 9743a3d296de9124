"""Shared by the tests of sign-in: a site, and a browser that keeps cookies."""
from __future__ import absolute_import, division, print_function

import gc

from six.moves import http_cookiejar
from six.moves.urllib.parse import urljoin, urlsplit

from friendserve.httpserver import HTTPServer
from friendserve.netutil import bind_sockets
from friendserve.simple_httpclient import SimpleAsyncHTTPClient
from friendserve.web import Application, HTTPError, RequestHandler, asynchronous
from tests.httpcase import HTTPCase
from tests.loopcase import LogCatcher

SECRET = "a secret for tests, long enough"


class SiteHandler(RequestHandler):
    """Signs in by the mixin of a subclass; answers with what happened."""
    returns = "code", "error"

    def start(self):
        self.authorize_redirect()

    def get_auth_http_client(self):
        return self.application.client

    @asynchronous
    def get(self):
        if any(self.get_argument(name, None) is not None for name in self.returns):
            self.get_authenticated_user(callback=self.on_user)
        else:
            self.start()

    post = get

    def check_xsrf_cookie(self):
        pass

    def on_user(self, user):
        self.application.outcomes.append((user, self.auth_error))
        if user is None:
            raise HTTPError(403, "%s", self.auth_error)
        self.set_secure_cookie("user", "signed in")
        self.redirect(self.auth_next)


class HomeHandler(RequestHandler):
    def get(self):
        user = self.get_secure_cookie("user")
        self.write(user or "nobody")


class Browser(object):
    """Fetches pages with the cookies of one person."""

    def __init__(self, case):
        self.case = case
        self.jar = http_cookiejar.CookieJar()

    def get(self, url, **options):
        """The response for one URL; redirects are not followed."""
        responses = []
        self.case.client.fetch(url, responses.append, follow_redirects=False, cookie_jar=self.jar,
                               **options)
        self.case.run_until(lambda: responses)
        return responses[0]

    def follow(self, url, until=None):
        """The last response of a chain of redirects, which ends before a URL that contains
        `until`: then the URL is returned."""
        for _ in range(12):
            response = self.get(url)
            if "Location" not in response.headers:
                if until is not None:
                    raise AssertionError("%s: %r\n%s" % (url, response.body, "\n".join(
                        str(record.exc_info or record.message) for record in self.case.logged)))
                return response
            url = urljoin(url, response.headers["Location"])
            if until is not None and until in url:
                return url
        raise AssertionError("too many redirects, the last to " + url)

    def cookies(self, prefix=""):
        return sorted(cookie.name for cookie in self.jar if cookie.name.startswith(prefix))


class AuthCase(HTTPCase):
    def setUp(self):
        super(AuthCase, self).setUp()
        self.client = SimpleAsyncHTTPClient(self.loop, force_instance=True, max_clients=100)
        self.addCleanup(self.client.close)
        records = LogCatcher()
        self.logged = records.__enter__()
        self.addCleanup(records.__exit__, None, None, None)

    def serve_on(self, callback):
        """Serve on a new port; its URL."""
        sockets = bind_sockets(0, "127.0.0.1")
        server = HTTPServer(callback, io_loop=self.loop)
        server.add_sockets(sockets)
        self.addCleanup(self.close_server, server)
        return "http://127.0.0.1:%d" % sockets[0].getsockname()[1]

    def serve_site(self, *mixins, **members):
        """Serve a site whose page /in signs in by a mixin; `self.outcomes` is what it was told:
        pairs (user, error)."""
        settings = members.pop("settings", {})
        bases = (SiteHandler,) + mixins
        # The mixin's methods come first, those of SiteHandler that it does not have after it.
        Site = type(str("Site"), bases, members)
        self.app = Application([("/", HomeHandler), ("/in", Site)], cookie_secret=SECRET,
                               **settings)
        self.app.client = self.client
        self.outcomes = self.app.outcomes = []
        self.site = self.serve_on(self.app)
        self.browser = Browser(self)
        return self.site

    def reason(self):
        """The reason of the last failure."""
        user, error = self.outcomes[-1]
        self.assertIsNone(user)
        return error.reason


def count_objects():
    """How many objects there are, without those of the bounded tables of URLs and paths."""
    gc.collect()
    return len([one for one in gc.get_objects()
                if type(one).__name__ not in ("URL", "SplitResult", "tuple")])


def query_of(url):
    return urlsplit(url).query
