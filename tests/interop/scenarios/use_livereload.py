"""The development server: pages with its script put in, and the greeting over WebSocket."""
from __future__ import absolute_import, division, print_function

import json
import os
import tempfile

from livereload import Server
from scenario import equal, fetch, find_port, pause, run
from tornado.ioloop import IOLoop
from tornado.websocket import websocket_connect

folder, port = tempfile.mkdtemp(), find_port()
with open(os.path.join(folder, "index.html"), "w") as page:
    page.write("<html><head></head><body>a page</body></html>")
loop = IOLoop.instance()
serving, loop.start = loop.start, lambda: None
server = Server()
server.watch(folder)
server.serve(port=port, host="127.0.0.1", root=folder)
loop.start = serving

response = fetch(port, "/index.html")
equal(200, response.code)
assert b"a page" in response.body and b"livereload.js" in response.body, response.body
equal(200, fetch(port, "/livereload.js").code)
connection = run(lambda done: websocket_connect(
    "ws://127.0.0.1:%d/livereload" % port, callback=done)).result()
connection.write_message(json.dumps({
    "command": "hello", "protocols": ["http://livereload.com/protocols/official-7"]}))
message = run(lambda done: connection.read_message(done)).result()
equal("hello", json.loads(message)["command"])
connection.write_message(json.dumps({"command": "info", "url": "/", "plugins": {}}))
# Changes within three seconds of the start are ignored.
pause(3.5)
with open(os.path.join(folder, "index.html"), "w") as page:
    page.write("<html><head></head><body>another page</body></html>")
message = run(lambda done: connection.read_message(done)).result()
equal("reload", json.loads(message)["command"])
