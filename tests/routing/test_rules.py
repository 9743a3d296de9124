"""Rules and routers: which application, handler or function answers a request."""
from __future__ import absolute_import, division, print_function

from friendserve import routing
from friendserve.httputil import (
    HTTPHeaders, HTTPMessageDelegate, HTTPServerConnectionDelegate, ResponseStartLine)
from friendserve.routing import (
    AnyMatches, DefaultHostMatches, HostMatches, PathMatches, ReversibleRuleRouter, Router, Rule,
    RuleRouter, URLSpec)
from friendserve.web import Application, RequestHandler, asynchronous, stream_request_body
from tests.webcase import WebCase, request


class Tell(RequestHandler):
    """Answers with its name and its arguments."""
    def initialize(self, name="tell"):
        self.name = name

    def get(self, *args, **kwargs):
        self.write("%s %s %s" % (self.name, list(args), sorted(kwargs.items())))

    def post(self, *args):
        self.write(self.request.body)


@stream_request_body
class Stream(RequestHandler):
    def prepare(self):
        self.sizes = []

    def data_received(self, chunk):
        self.sizes.append(len(chunk))

    def post(self):
        self.write("streamed %d" % sum(self.sizes))


class Delegate(HTTPServerConnectionDelegate):
    """A delegate that answers with the body."""
    def __init__(self):
        self.closed = []

    def start_request(self, server_conn, request_conn):
        return Message(request_conn, self.closed)


class Message(HTTPMessageDelegate):
    def __init__(self, connection, closed):
        self.connection = connection
        self.closed = closed
        self.pieces = [b"delegate "]

    def headers_received(self, start_line, headers):
        self.pieces.append(start_line.path.encode("ascii") + b" ")

    def data_received(self, chunk):
        self.pieces.append(chunk)

    def finish(self):
        body = b"".join(self.pieces)
        self.connection.write_headers(ResponseStartLine("HTTP/1.1", 200, "OK"),
                                      HTTPHeaders({"Content-Length": str(len(body))}), body)
        self.connection.finish()

    def on_connection_close(self):
        self.closed.append(True)


def function(request):
    request.connection.respond(200, "OK", HTTPHeaders(), b"function " + request.body)


class RouterCase(WebCase):
    def ask_for(self, path, method="GET", **kwargs):
        # On Python 2 the repr of text has a u in front.
        return str(self.ask(path, method, **kwargs).body.decode("ascii")).replace("u'", "'")


class RuleRouterTest(RouterCase):
    """A server whose requests are routed by a router."""

    def serve_rules(self, rules, router_class=RuleRouter, **options):
        self.router = router_class(rules)
        self.serve(self.router, **options)

    def test_targets_of_every_kind(self):
        delegate = Delegate()
        self.serve_rules([
            Rule(HostMatches(r"api\.example\.com"),
                 Application([(r"/(.*)", Tell, {"name": "api"})])),
            Rule(PathMatches(r"/delegate.*"), delegate),
            Rule(PathMatches("/function"), function),
            (r"/nested/.*", RuleRouter([(r"/nested/a", Application([(r"/.*", Tell)]))])),
            (r"/nested/b", function),
            (r"/.*", Application([(r"/stream", Stream), (r"/(.*)", Tell, {"name": "main"})])),
        ])
        for path, body in [
                ("/x", "main ['x'] []"), ("/delegate/5", "delegate /delegate/5 "),
                ("/function", "function "), ("/nested/a", "tell [] []"),
                ("/nested/b", "function "), ("/nested/c", "main ['nested/c'] []")]:
            self.assertEqual(body, self.ask_for(path), path)
        self.assertEqual("api ['x'] []", self.ask_for("/x", host="API.example.com:80"))
        for path, body in [("/delegate", "delegate /delegate hello"),
                           ("/function", "function hello"), ("/x", "hello"),
                           ("/stream", "streamed 5")]:
            self.assertEqual(body, self.ask_for(path, "POST", body=b"hello"), path)

    def test_nothing_found(self):
        self.serve_rules([(r"/a", function)])
        self.assertEqual(404, self.ask("/b").status)
        self.assertEqual(404, self.ask("/b", "POST", body=b"x").status)
        self.assertEqual(200, self.ask("/a").status)

    def test_what_a_proxy_says_of_the_client_is_kept(self):
        def tell(request):
            request.connection.respond(200, "OK", HTTPHeaders(), request.remote_ip.encode("ascii"))

        self.serve_rules([(r"/.*", tell)], xheaders=True)
        self.assertEqual(b"1.2.3.4", self.ask(headers=[("X-Real-Ip", "1.2.3.4")]).body)

    def test_own_router(self):
        application = Application(debug_name="x")

        class ByQuery(Router):
            def find_handler(self, request, **kwargs):
                if request.query == "none":
                    return None
                return application.get_handler_delegate(
                    request, Tell, target_kwargs={"name": request.query}, path_args=[b"a", b"b"])

        self.serve(ByQuery())
        self.assertEqual("you ['a', 'b'] []", self.ask_for("/?you"))
        self.assertEqual("hello", self.ask_for("/?you", "POST", body=b"hello"))
        self.assertEqual(404, self.ask("/?none").status)

    def test_processing_of_rules_and_arguments_of_functions(self):
        class Named(RuleRouter):
            def process_rule(self, rule):
                rule.target_kwargs = {"greeting": "hi"}
                return rule

        def tell(request, path_args=None, target_kwargs=None):
            text = target_kwargs["greeting"].encode("ascii") + b" " + path_args[0]
            request.connection.respond(200, "OK", HTTPHeaders(), text)

        self.serve_rules([(r"/(.*)", tell)], Named)
        self.assertEqual("hi x", self.ask_for("/x"))

    def test_a_client_that_goes_away(self):
        delegate = Delegate()
        self.serve_rules([(r"/.*", delegate)])
        client = self.connect()
        client.send(request("/", "POST", body=b"hello")[:-2])
        client.close()
        self.run_until(lambda: delegate.closed)

    def test_long_polls_behind_a_router(self):
        gone, waiting = [], []

        class Wait(RequestHandler):
            @asynchronous
            def get(self):
                waiting.append(self)

            def on_connection_close(self):
                gone.append(self)

        self.serve_rules([(r"/.*", Application([(r"/.*", Wait)]))])
        client = self.connect()
        client.send(request("/"))
        self.run_until(lambda: waiting)
        client.close()
        self.run_until(lambda: gone)


class ApplicationRulesTest(RouterCase):
    """Rules among the handlers of an application."""

    def test_rules_lists_and_other_targets(self):
        inner = Application([(r"/inner/(.*)", Tell, {"name": "inner"}), (r"/inner-stream", Stream)])
        self.serve_app([
            (r"/inner.*", inner),
            Rule(PathMatches(r"/rule/(?P<word>\w+)"), Tell, {"name": "rule"}),
            (HostMatches(r"api\..*"), [(r"/list/(.*)", Tell, {"name": "api"}),
                                       (AnyMatches(), [(r"/deep", Tell, {"name": "deep"})])]),
            (r"/list/(.*)", Tell, {"name": "list"}),
            (r"/function", function), (r"/delegate", Delegate()),
            (r"/router/.*", RuleRouter([(r"/router/x", function)])),
            (r"/dotted", "tests.routing.test_rules.Tell", {"name": "dotted"}),
            URLSpec(r"/spec", Tell, {"name": "spec"}),
        ])
        for path, body in [
                ("/inner/5", "inner ['5'] []"), ("/rule/x", "rule [] [('word', 'x')]"),
                ("/list/5", "list ['5'] []"), ("/function", "function "),
                ("/delegate", "delegate /delegate "), ("/router/x", "function "),
                ("/dotted", "dotted [] []"), ("/spec", "spec [] []")]:
            for _ in range(2):
                self.assertEqual(body, self.ask_for(path))
        for path, body in [("/list/5", "api ['5'] []"), ("/deep", "deep [] []"),
                           ("/spec", "spec [] []")]:
            self.assertEqual(body, self.ask_for(path, host="api.example.com"))
        for path, body in [("/inner-stream", "streamed 5"), ("/function", "function hello"),
                           ("/delegate", "delegate /delegate hello"), ("/spec", "hello")]:
            self.assertEqual(body, self.ask_for(path, "POST", body=b"hello"))
        for path in ("/deep", "/router/y", "/innerx"):
            self.assertEqual(404, self.ask(path).status)

    def test_default_host(self):
        application = self.serve_app([(r"/", Tell, {"name": "else"})], default_host="main.example")
        application.add_handlers(".*", [(
            DefaultHostMatches(application, r"main\.example"), [(r"/x", Tell, {"name": "main"})])])
        self.assertEqual("main [] []", self.ask_for("/x"))
        self.assertEqual(404, self.ask("/x", headers=[("X-Real-Ip", "1.2.3.4")]).status)

    def test_reverse(self):
        inner = Application([URLSpec(r"/inner/(\d+)", Tell, name="inner")])
        router = ReversibleRuleRouter([
            Rule(PathMatches(r"/r/(.*)"), function, name="routed"), (r"/.*", inner)])
        application = self.serve_app([
            (r"/a/(.*)/b", Tell, None, "here"),
            (HostMatches("x"), [(r"/l/(.*)", Tell, None, "list"), (r"/.*", router)])])
        for name, args, url in [("here", ["x y"], "/a/x%20y/b"), ("list", [5], "/l/5"),
                                ("routed", ["z"], "/r/z"), ("inner", [7], "/inner/7")]:
            self.assertEqual(url, application.reverse_url(name, *args))
        self.assertIsNone(router.reverse_url("nothing"))
        self.assertEqual("/inner/7", router.reverse_url("inner", 7))
        with self.assertRaises(KeyError):
            application.reverse_url("nothing")
        self.assertIsNone(Rule(AnyMatches(), function).reverse())

    def test_bad_rules(self):
        for rules in ([(r"/",)], [(r"/", Tell, {}, "n", 5)]):
            with self.assertRaises(ValueError):
                Application(rules)
            with self.assertRaises(ValueError):
                RuleRouter(rules)

    def test_names(self):
        self.assertEqual("Rule(", repr(Rule(AnyMatches(), function))[:5])
        for name in routing.__all__:
            self.assertTrue(getattr(routing, name).__doc__, name)
