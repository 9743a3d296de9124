"""What the bare callables answer, and the one that the WSGI servers serve."""
from __future__ import absolute_import, division, print_function


def greeting(path):
    """``Hello, world!`` for the path /, and ``Hello, NAME!`` for /hello/NAME."""
    return ("Hello, %s!" % (path[7:] or "world")).encode("latin-1")


def wsgi(environ, start_response):
    body = greeting(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body)))])
    return [body]
