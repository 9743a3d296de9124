"""A call by JSON-RPC and one by XML-RPC, one of them answered later."""
from __future__ import absolute_import, division, print_function

import json

import tornadorpc
from scenario import equal, fetch, serve
from tornado.ioloop import IOLoop
from tornadorpc.json import JSONRPCHandler
from tornadorpc.xml import XMLRPCHandler

# A keyword of today.
answered_later = getattr(tornadorpc, "async")


class Calls(object):
    def add(self, x, y):
        return x + y

    @answered_later
    def later(self, x):
        IOLoop.instance().add_callback(lambda: self.result(x))


class JSON(Calls, JSONRPCHandler):
    pass


class XML(Calls, XMLRPCHandler):
    pass


port = serve([("/json", JSON), ("/xml", XML)])
for name, args, result in (("add", [1, 2], 3), ("later", ["a"], "a")):
    call = json.dumps({"jsonrpc": "2.0", "method": name, "params": args, "id": 1})
    equal(result, json.loads(fetch(port, "/json", method="POST", body=call).body)["result"])
call = ("<?xml version='1.0'?><methodCall><methodName>add</methodName><params>"
        "<param><value><int>1</int></value></param><param><value><int>2</int></value></param>"
        "</params></methodCall>")
assert b"<int>3</int>" in fetch(port, "/xml", method="POST", body=call).body
