"""What the short pages list: the demos, and pieces of source, coloured without a library."""
from __future__ import absolute_import, division, print_function

import collections
import inspect
import io
import keyword
import os
import re
import textwrap

from friendserve.escape import xhtml_escape

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

#: A demo: the `name` of its folder, the command that starts it, and what it shows (a text that the
#: templates translate).
Demo = collections.namedtuple("Demo", "name command text")

DEMOS = tuple(Demo(*row) for row in (
    ("helloworld", "python demos/helloworld/helloworld.py",
     "The smallest server: one handler, one line."),
    ("chat", "python demos/chat/chatdemo.py",
     "A chat room over WebSocket, event stream or long poll, whichever works; with Redis, any "
     "number of processes form one room."),
    ("blog", "python demos/blog/blog.py",
     "A blog with accounts, comments, an archive and a feed, on SQLite, MariaDB or PostgreSQL."),
    ("upload", "python demos/upload/upload.py",
     "Uploads of any size, with progress bars, written to disk as they arrive."),
    ("auth", "python demos/auth/authdemo.py",
     "Sign-in through other sites, and a provider to try it with that needs no account anywhere."),
    ("facebook", "python demos/facebook/facebookdemo.py",
     "Posts by a reader's friends, through Facebook's API or a stand-in that needs no account."),
    ("localized", "python demos/localized/localized.py",
     "One page in four languages, with plurals, dates and numbers."),
    ("webspider", "python demos/webspider/webspider.py http://127.0.0.1:8888/",
     "Reads a site page by page, several at a time, and reports broken links."),
    ("proxyfetch", "python demos/proxyfetch/proxyfetch.py",
     "Pages made from another service's data, which is fetched for each request."),
    ("tcpecho", "python demos/tcpecho/server.py",
     "A protocol other than HTTP: it echoes lines."),
    ("embed", "python demos/embed/asyncio_service.py",
     "A status page for four programs that have other main loops: asyncio, Twisted, "
     "socketserver, and a daemon that forks."),
    ("deploy", "python demos/deploy/hello.py",
     "Files for nginx, HAProxy, Caddy, systemd and Docker, each tested with its program."),
    ("benchmark", "python demos/benchmark/hello.py",
     "The programs that measure friendserve side by side with its peers, and draw the chart on "
     "the front page."),
))


def hello():
    """The first program of the README."""
    with io.open(os.path.join(ROOT, "README.rst"), encoding="utf-8") as source:
        block = re.search(u"code-block:: python\n\n((?:    .*\n|\n)+)", source.read()).group(1)
    return textwrap.dedent(block).strip(u"\n")


def source_of(cls):
    """The source of a class as far as its first comment that begins with two dashes."""
    source = inspect.getsource(cls).split("\n    # --")[0].rstrip()
    return source if not isinstance(source, bytes) else source.decode("utf-8")  # version: py2


_TOKEN = re.compile(
    u'(?P<c1>#.*)|(?P<s>u?"""(?:.|\n)*?"""|u?"(?:[^"\\\\\n]|\\\\.)*")'
    u"|(?P<nd>@[\\w.]+)|(?<=def )(?P<nf>\\w+)|(?<=class )(?P<nc>\\w+)|(?P<k>\\b(?:%s)\\b)"
    % u"|".join(keyword.kwlist))


def code(source):
    """Python source as HTML, with the class names that Sphinx uses."""
    parts, end = [], 0
    for match in _TOKEN.finditer(source):
        parts.append(xhtml_escape(source[end:match.start()]))
        parts.append(u'<span class="%s">%s</span>' % (
            match.lastgroup, xhtml_escape(match.group())))
        end = match.end()
    return u"".join(parts) + xhtml_escape(source[end:])


#: What is in the package, for the front page: a name, and a text that the templates translate.
CONTENTS = (
    ("ioloop", "The loop: callbacks, timers and file descriptors, on epoll, kqueue, poll or "
               "select."),
    ("httpserver", "HTTP/1.1 with strict framing, and a limit on everything that a client can "
                   "make grow."),
    ("web", "Handlers, routing, signed cookies, XSRF protection, static files, uploads of any "
            "size."),
    ("websocket", "WebSockets, server and client, with compression and flow control."),
    ("feed", "Messages with cursors, for long polling, WebSockets and event streams, in one "
             "process or, through Redis, in many."),
    ("httpclient", "Two HTTP clients, one in Python and one on libcurl, with callbacks or "
                   "blocking."),
    ("auth", "Sign-in with Google, Facebook, X and every OpenID Connect provider."),
    ("database", "SQLite, MariaDB and PostgreSQL, with a thread pool that keeps the loop free."),
    ("serve", "Several processes, restarts without lost requests, metrics and health checks."),
    ("porting", "Runs programs written for Tornado, or rewrites their imports."),
)


def commands():
    """The commands of the README: install and start the chat, install and run the tests."""
    with io.open(os.path.join(ROOT, "README.rst"), encoding="utf-8") as source:
        return re.findall(u"^    (python -m pip install .*)$", source.read(), re.M)
