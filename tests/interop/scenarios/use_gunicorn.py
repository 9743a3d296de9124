"""The worker class "tornado" serves an Application and a WSGI application, and ends when asked."""
from __future__ import absolute_import, division, print_function

import sys

from scenario import Program, equal, fetch, fetch_soon, find_port

PROGRAM = """
import os, sys
if os.environ.get("ALIAS"):
    import friendserve.porting
    friendserve.porting.alias(version=os.environ["ALIAS"])
import tornado.web
from gunicorn.app.wsgiapp import run

class Page(tornado.web.RequestHandler):
    def get(self):
        self.write("from a handler")

application = tornado.web.Application([("/", Page)])

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"from wsgi"]

sys.modules["app"] = sys.modules["__main__"]
sys.argv[:] = ["gunicorn", "-k", "tornado", "-b", "127.0.0.1:" + sys.argv[2], "app:" + sys.argv[1]]
run()
"""
for name, body in (("application", b"from a handler"), ("wsgi", b"from wsgi")):
    port = find_port()
    with Program(sys.executable, "-c", PROGRAM, name, str(port)) as process:
        response = fetch_soon(port, "/")
        equal((200, body), (response.code, response.body))
        equal(200, fetch(port, "/").code)
    equal(0, process.returncode)
