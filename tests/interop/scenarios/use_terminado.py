"""A shell in a page: what is typed over WebSocket comes back, and what the program prints."""
from __future__ import absolute_import, division, print_function

import json

from scenario import run, serve
from terminado import SingleTermManager, TermSocket
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

manager = SingleTermManager(shell_command=["sh"])
port = serve([("/terminal", TermSocket, {"term_manager": manager})])
connection = run(lambda done: websocket_connect(
    HTTPRequest("ws://127.0.0.1:%d/terminal" % port,
                headers={"Origin": "http://127.0.0.1:%d" % port}), callback=done)).result()
text = ""
connection.write_message(json.dumps(["stdin", "echo $((6 * 7))\n"]))
while "42" not in text:
    kind, value = json.loads(run(lambda done: connection.read_message(done)).result())[:2]
    if kind == "stdout":
        text += value
manager.terminal.ptyproc.terminate(force=True)
