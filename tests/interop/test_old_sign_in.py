# coding: utf-8
"""The demos chat, blog and facebook of Tornado 1.2.1 and 2.4.1 sign in at stand-ins: python-openid
for Google, and a stand-in for the Graph interface. See `tests/olddemocase.py`."""
from __future__ import absolute_import, division, print_function

import json
import os
import re
import sys
import unittest

from six.moves.urllib.parse import urljoin

from friendserve import database
from friendserve.web import Application
from tests import ROOT, services
from tests.demo_server import DemoServer, load_demo
from tests.olddemocase import OldDemo, needs_old
from tests.providercase import OpenIdProvider
from tests.signincase import Visitor

#: The older one only as its authors published it: its demos hardly differ.
VERSIONS = ("1.2.1", "2.4.1") if sys.version_info[0] == 2 else ("2.4.1",)
TO_GOOGLE = """
tornado.auth.GoogleMixin._OPENID_ENDPOINT = %(url)r + "/openid"
tornado.auth.GoogleMixin._OPENID_CLAIMED_ID = %(url)r + "/id/"
"""
TO_FACEBOOK = """
tornado.auth.FacebookGraphMixin._FACEBOOK_DIALOG_URL = %(url)r
tornado.auth.FacebookGraphMixin._FACEBOOK_BASE_URL = %(url)r
"""


class SignInDemo(OldDemo):
    """A demo whose provider is the one at `provider`; `pointed` is the code that says so."""
    module = None
    pointed = TO_GOOGLE

    def __init__(self, version, provider, options=()):
        self.version, self.provider = version, provider
        self.options = options
        super(SignInDemo, self).__init__()

    def change(self):
        if self.version == "1.2.1":
            # Since 2.0 templates escape by themselves, unless they are told not to.
            self.replace(self.module + ".py", (
                (b"xsrf_cookies=True,", b"xsrf_cookies=True, autoescape=None,"),))
        with open(os.path.join(self.program_folder, "starter.py"), "w") as opened:
            opened.write("import tornado.auth\nimport %s\n%s\n%s.main()\n" % (
                self.module, self.pointed % {"url": str(self.provider)}, self.module))

    def arguments(self):
        return [os.path.join(self.program_folder, "starter.py"), "--port=%d" % self.port] \
            + list(self.options)

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.port


class ChatDemo(SignInDemo):
    name = "chat"
    module = "chatdemo"
    by_hand = {"chatdemo.py": (
        (b'self.render_string("message.html", message=message)',
         b'self.render_string("message.html", message=message).decode("utf-8")'),)}


class BlogDemo(SignInDemo):
    name = "blog"
    module = "blog"
    by_hand = {"blog.py": ((b'"ascii", "ignore")', b'"ascii", "ignore").decode("ascii")'),),
               "markdown.py": ((b"'md5-'+md5(s)", b"'md5-'+md5(s.encode('utf-8'))"),)}


class FacebookDemo(SignInDemo):
    name = "facebook"
    module = "facebook"
    pointed = TO_FACEBOOK


class SignInCase(unittest.TestCase):
    def start(self, demo, version, *options):
        self.demo = demo(version, self.provider.url, options)
        self.addCleanup(self.demo.close)
        self.visitor = Visitor()

    def open(self, path):
        return self.visitor.get(self.demo.url + path)

    def get_page(self):
        """What the demo shows; None if its visitor is sent to the provider."""
        page = self.open("/")
        return page if page.url == self.demo.url + "/" else None


@needs_old
class OpenIdTest(SignInCase):
    def setUp(self):
        provider = OpenIdProvider()
        self.provider = DemoServer(lambda: Application(provider.rules()))
        self.addCleanup(self.provider.stop)

    def answer(self, path, answer="allow"):
        """Open a page that needs a sign-in, and answer the provider."""
        page = self.open(path)
        self.assertTrue(page.url.startswith(self.provider.url), page.url)
        return self.visitor.post(urljoin(page.url, page.texts('action="([^"]*)"')[0]),
                                 answer=answer)

    def test_a466_chat(self):
        for version in VERSIONS:
            self.start(ChatDemo, version)
            self.assertEqual(500, self.answer("/", "deny").status)
            self.assertIsNone(self.get_page())
            page = self.answer("/")
            self.assertEqual((self.demo.url + "/", ["Alice Liddell"]),
                             (page.url, page.texts("<b>(.*?)</b> -")))
            for text in (u"שלום <b>", u"a & b"):
                self.visitor.post(self.demo.url + "/a/message/new", body=text, next="/")
            shown = r'class="message" id="m([^"]*)"><b>Alice: </b>(.*?)</div>'
            messages = re.findall(shown, self.visitor.page.text)
            self.assertEqual([u"שלום &lt;b&gt;", u"a &amp; b"], [text for _, text in messages])
            reply = json.loads(self.visitor.post(
                self.demo.url + "/a/message/updates", cursor=messages[0][0]).text)
            self.assertEqual([u"a & b"], [one["body"] for one in reply["messages"]])
            self.open("/auth/logout")
            self.assertIsNone(self.get_page())
            # The response of the provider is worth nothing in another browser.
            path = re.findall(r"GET (/\S+openid\.sig=\S+)", self.demo.log())[-1]
            self.visitor = Visitor()
            self.assertEqual(500, self.open(path).status)
            self.assertIsNone(self.get_page())

    @services.needs(services.MariaDB)
    def test_a466_blog_on_mariadb(self):
        server = services.shared(services.MariaDB)
        for version in VERSIONS:
            db = database.connect(server.url())
            db.execute("CREATE DATABASE IF NOT EXISTS oldblog")
            db.close()
            self.start(BlogDemo, version, "--mysql_host=127.0.0.1:%d" % server.port,
                       "--mysql_database=oldblog", "--mysql_user=friend",
                       "--mysql_password=p@ss/word")
            self.load(server)
            page = self.answer("/compose?x=1")
            self.assertEqual(self.demo.url + "/compose?x=1", page.url)
            page = self.visitor.post(self.demo.url + "/compose", title=u"Größe, *first*",
                                     markdown=u"An *old* program: שלום")
            self.assertEqual(self.demo.url + "/entry/groe-first", page.url)
            self.assertIn(u"An <em>old</em> program: שלום", page.text)
            self.assertIn(u"Größe, *first*", self.open("/archive").text)
            self.assertIn(u"Größe, *first*", self.open("/feed").text)
            self.assertIn("/auth/logout", self.open("/").text)
            self.open("/auth/logout")
            self.assertNotIn("/auth/logout", self.open("/").text)

    def load(self, server):
        """Make the tables of the demo's schema, with what a server of its time did by itself."""
        with open(os.path.join(self.demo.program_folder, "schema.sql")) as opened:
            text = re.sub("(?m)^--.*$", "", opened.read()).replace(
                "updated TIMESTAMP NOT NULL",
                "updated TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP")
        db = database.connect(server.url().rpartition("/")[0] + "/oldblog")
        for statement in ["SET SESSION foreign_key_checks = 0"] + text.split(";"):
            if statement.strip():
                db.execute(statement.replace("%", "%%"))
        db.close()


class FacebookStandIn(object):
    """The stand-in of our demo, and the part of the interface that the old demos use."""

    def __init__(self):
        module = load_demo(os.path.join(ROOT, "demos", "facebook", "standin.py"))

        class HomeHandler(module.GraphHandler):
            def get(self):
                if self.is_allowed():
                    posts = [dict(post, actions=[{"link": "http://127.0.0.1/post"}])
                             for post in self.application.posts]
                    self.finish({"data": posts})

        def make_application():
            application = module.StandIn("demo", "its secret")
            application.add_handlers(".*$", [(r"/v[0-9.]+/me/home", HomeHandler)])
            return application

        self.make_application = make_application


@needs_old
class FacebookTest(SignInCase):
    def setUp(self):
        self.provider = DemoServer(FacebookStandIn().make_application)
        self.addCleanup(self.provider.stop)

    def test_a466_facebook(self):
        for version in VERSIONS:
            self.start(FacebookDemo, version, "--facebook_api_key=demo",
                       "--facebook_secret=its secret")
            dialog = self.open("/")
            self.assertTrue(dialog.url.startswith(self.provider.url), dialog.url)
            denied = self.visitor.get(dialog.texts('id="deny" href="([^"]*)"')[0])
            self.assertTrue(denied.url.startswith(self.provider.url), denied.url)
            dialog = self.open("/?x=1")
            allow = dialog.texts('id="allow" href="([^"]*)"')[0]
            page = self.visitor.get(allow)
            self.assertEqual((self.demo.url + "/?x=1", ["Ada Lovelace"]),
                             (page.url, page.texts("<b>(.*?)</b> -")))
            self.assertEqual([u"נועה לוי", u"佐藤花子", "Charles Babbage", "Mary Somerville"],
                             page.texts('class="actor">(.*?)</a>'))
            self.visitor = Visitor()
            self.assertEqual(500, self.visitor.get(allow).status)
            self.assertIsNone(self.get_page())


if __name__ == "__main__":
    unittest.main()
