"""friendserve's HTTP server with a function of a request; every default is on."""
from __future__ import absolute_import, division, print_function

import sys

import friendserve.httpserver
import friendserve.ioloop

import callable_app


def hello(request):
    body = callable_app.greeting(request.path)
    request.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s"
                  % (len(body), body))
    request.finish()


if __name__ == "__main__":
    server = friendserve.httpserver.HTTPServer(hello)
    server.listen(int(sys.argv[1]), address="127.0.0.1")
    friendserve.ioloop.IOLoop.instance().start()
