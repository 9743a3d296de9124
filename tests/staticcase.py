"""A folder of files served by StaticFileHandler, for the tests of static files."""
from __future__ import absolute_import, division, print_function

import os
import shutil
import tempfile

from friendserve.web import StaticFileHandler
from tests.httpcase import head_of
from tests.webcase import WebCase, request


class StaticCase(WebCase):
    """`root` is the folder that is served, and contains hello.txt; `folder` is its parent."""
    #: A modification time long ago, so that files are kept in memory.
    OLD = 1000000000

    server = None

    def setUp(self):
        super(StaticCase, self).setUp()
        self.folder = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.root = os.path.join(self.folder, "root")
        os.mkdir(self.root)
        self.write("hello.txt", b"hello world\n")
        StaticFileHandler.reset()

    def write(self, name, content=b"", mtime=None):
        """Write a file below the root; returns its path."""
        path = os.path.join(self.root, *name.split("/"))
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        with open(path, "wb") as target:
            target.write(content)
        if mtime is not None:
            os.utime(path, (mtime, mtime))
        return path

    def settle(self):
        """Make the root look as if nothing had changed in it for a long time."""
        os.utime(self.root, (self.OLD, self.OLD))

    def serve_files(self, handlers=None, **settings):
        """Serve an Application; without `handlers`, the root at /static/."""
        if handlers is None:
            handlers = [(r"/static/(.*)", StaticFileHandler, {"path": self.root})]
        self.serve_app(handlers, **settings)

    def ask(self, path, method="GET", **headers):
        """The Response to one request, with "_" for "-" in the names of headers. Serves the root
        if nothing is served yet."""
        if self.server is None:
            self.serve_files()
        return super(StaticCase, self).ask(path, method, pairs(headers))

    def start(self, path, receive_buffer=None, **headers):
        """A Client that has sent a request and not yet read the response."""
        if self.server is None:
            self.serve_files()
        return self.connect(data=request(path, headers=pairs(headers)),
                            receive_buffer=receive_buffer)

    def read_closing(self, client):
        """(head, body) of a response, whole or cut off, after which the server closes. Quicker than
        `Client.read_response` for megabytes."""
        pieces = []

        def has_ended():
            while client.receive(1 << 20):
                pieces.append(client.data)
                client.data = b""
            return client.ended

        self.run_until(has_ended)
        return head_of(b"".join(pieces))

    def assert_not_served(self, path, *statuses):
        """Check that the path is refused with one of `statuses` (default: 403 or 404) and that the
        body does not contain "secret"; returns the Response."""
        response = self.ask(path)
        self.assertIn(response.status, statuses or (403, 404), path)
        self.assertNotIn(b"secret", response.body, path)
        return response


def pairs(headers):
    """(name, value) pairs of headers given as keyword arguments."""
    return [(name.replace("_", "-"), value) for name, value in headers.items()]
