"""Rules that route requests to applications, handlers and servers of any kind.

    from friendserve.httpserver import HTTPServer
    from friendserve.ioloop import IOLoop
    from friendserve.routing import HostMatches, Rule, RuleRouter
    from friendserve.web import Application, RequestHandler, StaticFileHandler

    class MainHandler(RequestHandler):
        def get(self):
            self.write("Hello, world")

    main = Application([(r"/", MainHandler)])
    files = Application([(r"/files/(.*)", StaticFileHandler, {"path": "files"})])

    router = RuleRouter([
        Rule(HostMatches(r"files\\.example\\.com"), files),
        (r"/files/.*", files),
        (r"/.*", main),
    ])
    HTTPServer(router).listen(8888)
    IOLoop.current().start()

A `Rule` is a `Matcher` and a target. The first rule whose matcher accepts the request is applied,
and its target provides the handler: another router, an Application, any
HTTPServerConnectionDelegate, or a function of the request. If a router finds no handler for a
request, the next rule is tried; after the last one the response is 404. `ReversibleRuleRouter` also
builds the URL of a rule from its name.

The handlers of an Application may be rules as well; their targets may also be handlers, or lists of
rules. To route in some other way, subclass `Router` and define `find_handler`.
"""
from __future__ import absolute_import, division, print_function

from friendserve.routing.rules import (
    AnyMatches, DefaultHostMatches, HostMatches, Matcher, PathMatches, ReversibleRouter,
    ReversibleRuleRouter, Router, Rule, RuleRouter, URLSpec)
from friendserve.util import set_public_module

__all__ = ["AnyMatches", "DefaultHostMatches", "HostMatches", "Matcher", "PathMatches",
           "ReversibleRouter", "ReversibleRuleRouter", "Router", "Rule", "RuleRouter", "URLSpec"]

set_public_module(globals())
